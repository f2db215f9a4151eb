/* daemon/metrics.h - counters, gauges and latency histograms, as Prometheus reads them.
 *
 * Recording is a relaxed atomic add and never blocks. Text format 0.0.4
 * (prometheus.io, "Exposition formats"); names begin with ragd_ (or process_, those
 * that every exporter has), units are in the name. */
#ifndef RAG_DAEMON_METRICS_H
#define RAG_DAEMON_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "guard/guard.h"

enum metric {
    /* counters */
    METRIC_ASKS_ANSWERED,
    METRIC_ASKS_REFUSED,
    METRIC_ASKS_CANCELLED,
    METRIC_ASKS_FAILED,
    METRIC_DEGRADED_DENSE,    /* searches and asks without their vectors */
    METRIC_DEGRADED_RERANK,   /* and without the cross-encoder, though there is one */
    METRIC_DEGRADED_GENERATE, /* asks that another backend answered than the first one */
    METRIC_DEGRADED_CONDENSE, /* follow-ups that the decoder could not complete */
    METRIC_DEGRADED_CACHE,    /* asks whose answer could not be looked for among earlier ones */
    METRIC_DEGRADED_GUARD,    /* refusals that could not name all that came nearest */
    METRIC_DOCUMENTS_PUT,
    METRIC_DOCUMENTS_UNCHANGED,
    METRIC_DOCUMENTS_FAILED,
    METRIC_DOCUMENTS_DELETED,
    METRIC_DOCUMENT_BYTES,
    METRIC_HTTP_BUSY,        /* answered 503 */
    METRIC_HTTP_VANISHED,    /* clients that left before their reply */
    METRIC_HTTP_REFUSED,     /* answered 401 */
    METRIC_HTTP_TIMEOUTS,    /* answered 408 */
    METRIC_HTTP_EVICTED,     /* idle connections closed to make room */
    METRIC_HTTP_TURNED_AWAY, /* answered 503 at accept */
    METRIC_MODEL_TEXTS,      /* embedded */
    METRIC_MODEL_TOKENS,
    METRIC_MODEL_PAIRS,   /* reranked */
    METRIC_PROMPT_TOKENS, /* of prompts that the decoder read; those it knew already included */
    METRIC_CACHED_TOKENS, /* those it knew already */
    METRIC_OUTPUT_TOKENS,
    METRIC_DRAFTED_TOKENS,
    METRIC_ACCEPTED_TOKENS,
    METRIC_CACHE_UNCONFIRMED, /* similar enough, but numbers, names or words differ */
    METRIC_CACHE_SAVED_US,    /* that making the answers again would have taken */
    METRIC_PROCESS_CPU_US,
    /* gauges */
    METRIC_COLLECTIONS,
    METRIC_DOCUMENTS,
    METRIC_CHUNKS,
    METRIC_DATABASE_BYTES,
    METRIC_STORE_QUEUE,
    METRIC_INDEX_PASSAGES,
    METRIC_INDEX_TOMBSTONES,
    METRIC_INDEX_SEGMENTS,
    METRIC_INDEX_BYTES,
    METRIC_HTTP_CONNECTIONS,
    METRIC_HTTP_BODY_BYTES, /* of bodies being received */
    METRIC_WORKERS_BUSY,
    METRIC_JOBS_QUEUED,
    METRIC_ANSWERS_QUEUED,
    METRIC_BULK_QUEUED,
    METRIC_MODELS_WAITING,
    METRIC_DECODER_RUNNING,
    METRIC_DECODER_WAITING,
    METRIC_KV_BUDGET_BYTES,
    METRIC_KV_HELD_BYTES,
    METRIC_KV_USED_BYTES,
    METRIC_VECTORS,
    METRIC_VECTORS_PENDING,
    METRIC_VECTORS_FAILED,
    METRIC_VECTOR_BYTES,
    METRIC_CACHE_ENTRIES,
    METRIC_CACHE_BYTES,
    METRIC_REMOTE_OPENAI_OPEN, /* 1: its circuit is open, nothing is sent */
    METRIC_REMOTE_EMBED_OPEN,
    METRIC_REMOTE_RERANK_OPEN,
    METRIC_REQUESTS_LIVE,
    METRIC_TRACE_QUEUE,
    METRIC_PROCESS_RESIDENT_BYTES,
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_THREADS,
    METRIC_PROCESS_START_S,
    N_METRICS,
};

#define METRIC_SERIES_MAX 32 /* stages, or routes */

/* What the models compute, by who asked. */
enum metrics_model { METRICS_EMBED, METRICS_EMBED_BULK, METRICS_RERANK, N_METRICS_MODEL };

/* Counters by labels. The values of each label are a list in metrics_family.c. */
enum metrics_family {
    METRICS_CACHE_LOOKUPS,  /* result: exact, semantic, miss, bypass */
    METRICS_CACHE_DROPPED,  /* reason: stale, evicted, invalidated */
    METRICS_CACHE_FEEDBACK, /* verdict: correct, false */
    METRICS_GUARD_FINDINGS, /* stage: guard_stage_name(); action: guard_action_name() */
    METRICS_BACKEND_CALLS,  /* backend: its name; outcome: answered, refused, unsupported, or the
                               rag_status_code() of a failure */
    METRICS_BACKEND_TOKENS, /* backend; kind: prompt, cached, output */
    METRICS_BACKEND_COST,   /* backend; in millionths of the currency */
    METRICS_REMOTE_CALLS,   /* service: openai, embed, rerank; outcome: ok, failed,
                               refused_offline, refused_open, refused_budget */
    METRICS_REMOTE_TRIES,   /* service */
    METRICS_REMOTE_BYTES,   /* service; direction: sent, received */
    METRICS_TRACE_SPANS,    /* outcome: exported, dropped, failed */
    N_METRICS_FAMILIES,
};

struct metrics; /* opaque */

enum rag_status metrics_new(struct metrics **ret, struct rag_error *reterr);
void metrics_free(struct metrics *m);

void metrics_add(struct metrics *m, enum metric metric, uint64_t n); /* counters */
/* A counter that somebody else counts, as it stands now. */
void metrics_set_total(struct metrics *m, enum metric metric, uint64_t n);
/* The same of a family, by the values of its labels: the first, and the second where it has two
 * (else NULL). A value that the family does not know, or NULL, counts as "other". */
void metrics_count(struct metrics *m, enum metrics_family family, const char *first,
                   const char *second, uint64_t n);
void metrics_count_total(struct metrics *m, enum metrics_family family, const char *first,
                         const char *second, uint64_t n);
void metrics_set(struct metrics *m, enum metric metric, double value);  /* gauges */
void metrics_change(struct metrics *m, enum metric metric, int64_t by); /* integer gauges */
/* stage: an index below METRIC_SERIES_MAX; its name was given by metrics_name_stage(). */
void metrics_stage(struct metrics *m, unsigned stage, double ms);
void metrics_model(struct metrics *m, enum metrics_model model, double ms); /* one batch */
void metrics_guard(struct metrics *m, enum guard_stage stage, double ms); /* one text, all rules */
void metrics_request(struct metrics *m, unsigned route, int code, double ms);
/* Names are static texts; called before threads start. */
void metrics_name_stage(struct metrics *m, unsigned stage, const char *name);
void metrics_name_route(struct metrics *m, unsigned route, const char *name);

/* Set the gauges of this process, from /proc/self: memory, descriptors, threads, CPU time. What
 * cannot be read keeps its value. */
void metrics_read_process(struct metrics *m);
/* Append the exposition text. */
void metrics_write(struct metrics *m, struct buf *out);

#endif
