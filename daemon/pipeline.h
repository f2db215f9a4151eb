/* daemon/pipeline.h - the life of one question.
 *
 *   1. admit     the caller (daemon/handle_ask.c) holds the collection by its reader list
 *   2. analyze   NFC, terms, kind of answer asked for
 *   3. filter    metadata clauses -> the ids that may be found (inside the search)
 *   4. bm25      top candidates
 *   5. fetch     their texts, from one snapshot of the store
 *   6. rerank    the head, by reading it
 *   7. gate      too weak, or something asked for is nowhere: refuse, generate nothing
 *   8. generate  the configured backends in order, until one has released a piece
 *   9. verify    every citation lies inside the passage that it names
 *  10. audit     the record is durable before the reply ends
 *
 * Thread-safe: a pipeline is immutable after start. */
#ifndef RAG_DAEMON_PIPELINE_H
#define RAG_DAEMON_PIPELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "daemon/collections.h"
#include "generate/generator.h"
#include "retrieve/gate.h"
#include "retrieve/passage.h"
#include "store/audit.h"
#include "store/store.h"
#include "text/analyzer.h"
#include "text/question.h"

#define GENERATORS_MAX 4

enum stage {
    STAGE_ANALYZE,
    STAGE_FILTER,
    STAGE_BM25,
    STAGE_FETCH,
    STAGE_RERANK,
    STAGE_GATE,
    STAGE_GENERATE,
    STAGE_AUDIT,
    STAGE_TOTAL,
    N_STAGES,
};
const char *stage_name(enum stage stage); /* "bm25", ... */

struct pipeline {
    struct store *store; /* borrowed, as all here */
    struct audit *audit;
    const struct analyzer *analyzer;
    struct generator *generators[GENERATORS_MAX]; /* tried in this order */
    size_t n_generators;
    size_t n_candidates; /* of bm25 */
    size_t rerank_head;
    size_t n_passages; /* given to a generator, unless the request says top_k */
    struct gate_options gate;
};

struct pipeline_request {
    struct collection *collection;
    const char *question;          /* as sent; UTF-8 */
    const struct message *history; /* earlier turns, oldest first */
    size_t n_history;
    size_t top_k;                       /* results of a search, passages of an ask; 0: default */
    const struct filter_clause *filter; /* all must hold */
    size_t n_filter;
    const char *filter_text; /* the filter as JSON, for the audit record; or NULL */
    int64_t deadline_ns;     /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel;
    const char *principal;
    const char *request_id;
};

/* What a search found. Everything lives in its arenas. */
struct retrieval {
    struct arena arena;
    struct arena texts; /* of the passages */
    struct buf text;    /* the question, NFC */
    struct term_list terms;
    float *idf; /* [terms.n] */
    struct question question;
    struct passage *passages; /* final order; at most max(rerank head, top_k) */
    size_t n_passages;
    size_t n_candidates; /* that bm25 returned */
    double stages_ms[N_STAGES];
    bool ran[N_STAGES];
};
void retrieval_release(struct retrieval *r); /* a zeroed one is a no-op */

/* Steps 2-6. RAG_OK (nothing found is n_passages 0); RAG_EINVAL (question empty, too long, not
 * UTF-8; bad filter); RAG_ECANCELLED; RAG_ETIMEOUT; RAG_ENOMEM; RAG_EIO. */
enum rag_status pipeline_search(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *ret, struct rag_error *reterr);

/* Told as things happen, on the caller's thread; each may be NULL. on_piece returns false
 * to stop. */
struct pipeline_sink {
    void (*on_passages)(void *context, const struct retrieval *r, size_t n_given);
    bool (*on_piece)(void *context, const char *text, size_t n_bytes);
    void *context;
};

struct pipeline_answer {
    struct retrieval retrieval;
    struct gate_verdict verdict;
    struct generator_result result; /* of the backend that answered */
    bool refused;
    const char *reason; /* for the person; "" when not refused. Points into this struct */
    const char *reason_code;
    size_t n_given; /* passages that the generator saw: retrieval.passages[0..n_given) */
};
void pipeline_answer_release(struct pipeline_answer *a);

/* The whole life. Also records asks that end in an error or a cancel. */
enum rag_status pipeline_ask(const struct pipeline *p, const struct pipeline_request *request,
                             const struct pipeline_sink *sink, struct pipeline_answer *ret,
                             struct rag_error *reterr);

#endif
