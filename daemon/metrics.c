#include "daemon/metrics.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics_family.h"

/* Upper bounds of the histograms in ms, .1 ms to a minute in steps of 1, 2.5, 5. */
static const double bounds_ms[] = {0.1, 0.25, 0.5, 1,    2.5,  5,    10,    25,    50,
                                   100, 250,  500, 1000, 2500, 5000, 10000, 30000, 60000};
#define N_BOUNDS (sizeof bounds_ms / sizeof bounds_ms[0])
#define N_CODES  5 /* 1xx .. 5xx */

struct histogram {
    const char *name; /* label value; NULL: not used */
    atomic_uint_fast64_t buckets[N_BOUNDS + 1];
    atomic_uint_fast64_t sum_us;
};

struct metrics {
    atomic_uint_fast64_t counters[N_METRICS];
    _Atomic double gauges[N_METRICS];
    struct histogram stages[METRIC_SERIES_MAX];
    struct histogram routes[METRIC_SERIES_MAX];
    struct histogram models[N_METRICS_MODEL];
    struct histogram guard[N_GUARD_STAGES];
    atomic_uint_fast64_t codes[METRIC_SERIES_MAX][N_CODES];
    struct family_counts families[N_METRICS_FAMILIES];
};

enum kind { GAUGE, COUNTER, MILLIONTHS }; /* the last: a counter in millionths of what is shown */

static const struct {
    const char *name;
    const char *labels; /* or "" */
    const char *help;   /* of the first row of a name; NULL on the others */
    enum kind kind;
} table[N_METRICS] = {
    [METRIC_ASKS_ANSWERED] = {"ragd_asks_total",                     "{outcome=\"answered\"}",  "Questions by outcome.",
                              COUNTER                                                                                                                  },
    [METRIC_ASKS_REFUSED] = {"ragd_asks_total",                     "{outcome=\"refused\"}",   NULL,                                        COUNTER   },
    [METRIC_ASKS_CANCELLED] = {"ragd_asks_total",                     "{outcome=\"cancelled\"}", NULL,                                        COUNTER   },
    [METRIC_ASKS_FAILED] = {"ragd_asks_total",                     "{outcome=\"failed\"}",    NULL,                                        COUNTER   },
    [METRIC_DEGRADED_DENSE] = {"ragd_degraded_total",                 "{stage=\"dense\"}",
                              "Questions that a model stage was left out of.",                                                               COUNTER   },
    [METRIC_DEGRADED_RERANK] = {"ragd_degraded_total",                 "{stage=\"rerank\"}",      NULL,                                        COUNTER   },
    [METRIC_DEGRADED_GENERATE] = {"ragd_degraded_total",                 "{stage=\"generate\"}",    NULL,                                        COUNTER   },
    [METRIC_DEGRADED_CONDENSE] = {"ragd_degraded_total",                 "{stage=\"condense\"}",    NULL,                                        COUNTER   },
    [METRIC_DEGRADED_CACHE] = {"ragd_degraded_total",                 "{stage=\"cache\"}",       NULL,                                        COUNTER   },
    [METRIC_DEGRADED_GUARD] = {"ragd_degraded_total",                 "{stage=\"guard\"}",       NULL,                                        COUNTER   },
    [METRIC_DOCUMENTS_PUT] = {"ragd_document_changes_total",         "{kind=\"put\"}",
                              "Documents received, by what became of them.",                                                                 COUNTER   },
    [METRIC_DOCUMENTS_UNCHANGED] = {"ragd_document_changes_total",         "{kind=\"unchanged\"}",    NULL,
                              COUNTER                                                                                                                  },
    [METRIC_DOCUMENTS_FAILED] = {"ragd_document_changes_total",         "{kind=\"failed\"}",       NULL,                                        COUNTER   },
    [METRIC_DOCUMENTS_DELETED] = {"ragd_document_changes_total",         "{kind=\"deleted\"}",      NULL,
                              COUNTER                                                                                                                  },
    [METRIC_DOCUMENT_BYTES] = {"ragd_document_bytes_total",           "",                        "Bytes of documents received.",
                              COUNTER                                                                                                                  },
    [METRIC_HTTP_BUSY] = {"ragd_http_busy_total",                "",
                              "Requests answered 503 because a queue was full.",                                                             COUNTER   },
    [METRIC_HTTP_VANISHED] = {"ragd_http_vanished_total",            "",
                              "Clients that left before their reply.",                                                                       COUNTER   },
    [METRIC_HTTP_REFUSED] = {"ragd_http_refused_total",             "",                        "Requests without a valid principal.",
                              COUNTER                                                                                                                  },
    [METRIC_HTTP_TIMEOUTS] = {"ragd_http_timeouts_total",            "",
                              "Clients that were too slow and got 408.",                                                                     COUNTER   },
    [METRIC_HTTP_EVICTED] = {"ragd_http_evicted_total",             "",
                              "Idle connections closed to make room for others.",                                                            COUNTER   },
    [METRIC_HTTP_TURNED_AWAY] = {"ragd_http_turned_away_total",         "",
                              "Connections answered 503 at once: too many, or no descriptors.",                                              COUNTER   },
    [METRIC_MODEL_TEXTS] = {"ragd_model_texts_total",              "",                        "Texts embedded.",                           COUNTER   },
    [METRIC_MODEL_TOKENS] = {"ragd_model_tokens_total",             "",                        "Tokens of the texts embedded.",
                              COUNTER                                                                                                                  },
    [METRIC_MODEL_PAIRS] = {"ragd_model_pairs_total",              "",                        "Passages reranked.",                        COUNTER   },
    [METRIC_PROMPT_TOKENS] = {"ragd_generate_prompt_tokens_total",   "",
                              "Tokens of prompts, those known already included.",                                                            COUNTER   },
    [METRIC_CACHED_TOKENS] = {"ragd_generate_cached_tokens_total",   "",
                              "Tokens of prompts whose keys and values were kept.",                                                          COUNTER   },
    [METRIC_OUTPUT_TOKENS] = {"ragd_generate_output_tokens_total",   "",
                              "Tokens that the decoder wrote.",                                                                              COUNTER   },
    [METRIC_DRAFTED_TOKENS] = {"ragd_generate_drafted_tokens_total",  "",
                              "Tokens guessed from the prompt.",                                                                             COUNTER   },
    [METRIC_ACCEPTED_TOKENS] = {"ragd_generate_accepted_tokens_total", "",
                              "Guessed tokens that were right.",                                                                             COUNTER   },
    [METRIC_COLLECTIONS] = {"ragd_collections",                    "",                        "Collections.",                              GAUGE     },
    [METRIC_DOCUMENTS] = {"ragd_documents",                      "",                        "Visible documents.",                        GAUGE     },
    [METRIC_CHUNKS] = {"ragd_chunks",                         "",                        "Distinct visible chunks.",                  GAUGE     },
    [METRIC_DATABASE_BYTES] = {"ragd_database_bytes",                 "",                        "Size of the main database.",                GAUGE     },
    [METRIC_STORE_QUEUE] = {"ragd_store_queue_length",             "",                        "Writes waiting for the writer thread.",
                              GAUGE                                                                                                                    },
    [METRIC_INDEX_PASSAGES] = {"ragd_index_passages",                 "",                        "Live passages of all BM25 indexes.",
                              GAUGE                                                                                                                    },
    [METRIC_INDEX_TOMBSTONES] = {"ragd_index_tombstones",               "",
                              "Removed passages not merged away yet.",                                                                       GAUGE     },
    [METRIC_INDEX_SEGMENTS] = {"ragd_index_segments",                 "",                        "Segments of all BM25 indexes.",             GAUGE     },
    [METRIC_INDEX_BYTES] = {"ragd_index_bytes",                    "",                        "Memory of all BM25 indexes.",               GAUGE     },
    [METRIC_HTTP_CONNECTIONS] = {"ragd_http_connections",               "",                        "Open connections.",                         GAUGE     },
    [METRIC_HTTP_BODY_BYTES] = {"ragd_http_body_bytes",                "",                        "Bytes of request bodies held now.",
                              GAUGE                                                                                                                    },
    [METRIC_WORKERS_BUSY] = {"ragd_workers_busy",                   "",                        "Worker threads at work.",                   GAUGE     },
    [METRIC_JOBS_QUEUED] = {"ragd_jobs_queued",                    "{class=\"interactive\"}",
                              "Jobs waiting for a worker.",                                                                                  GAUGE     },
    [METRIC_ANSWERS_QUEUED] = {"ragd_jobs_queued",                    "{class=\"answer\"}",      NULL,                                        GAUGE     },
    [METRIC_BULK_QUEUED] = {"ragd_jobs_queued",                    "{class=\"bulk\"}",        NULL,                                        GAUGE     },
    [METRIC_MODELS_WAITING] = {"ragd_models_waiting",                 "",
                              "Requests before the models, those in work counted.",                                                          GAUGE     },
    [METRIC_DECODER_RUNNING] = {"ragd_generate_running",               "",                        "Answers that the decoder writes now.",
                              GAUGE                                                                                                                    },
    [METRIC_DECODER_WAITING] = {"ragd_generate_waiting",               "",                        "Answers that wait for the decoder.",
                              GAUGE                                                                                                                    },
    [METRIC_KV_BUDGET_BYTES] = {"ragd_kv_budget_bytes",                "",
                              "Limit of the keys and values of conversations.",                                                              GAUGE     },
    [METRIC_KV_HELD_BYTES] = {"ragd_kv_held_bytes",                  "",
                              "Memory that they have, those kept for later included.",                                                       GAUGE     },
    [METRIC_KV_USED_BYTES] = {"ragd_kv_used_bytes",                  "",                        "Memory of conversations that are running.",
                              GAUGE                                                                                                                    },
    [METRIC_VECTORS] = {"ragd_vectors",                        "",                        "Vectors of all serving indexes.",           GAUGE     },
    [METRIC_VECTORS_PENDING] = {"ragd_vectors_pending",                "",                        "Chunks that wait to be embedded.",
                              GAUGE                                                                                                                    },
    [METRIC_VECTORS_FAILED] = {"ragd_vectors_failed",                 "",                        "Chunks that the embedder refused.",
                              GAUGE                                                                                                                    },
    [METRIC_VECTOR_BYTES] = {"ragd_vector_index_bytes",             "",                        "Memory of all vector indexes.",             GAUGE     },
    [METRIC_CACHE_UNCONFIRMED] = {"ragd_cache_unconfirmed_total",        "",
                              "Similar questions in the cache that ask for something else.",                                                 COUNTER   },
    [METRIC_CACHE_SAVED_US] = {"ragd_cache_saved_seconds_total",      "",
                              "Time that making the cached answers had taken.",                                                              MILLIONTHS},
    [METRIC_PROCESS_CPU_US] = {"process_cpu_seconds_total",           "",                        "CPU time of the daemon.",
                              MILLIONTHS                                                                                                               },
    [METRIC_CACHE_ENTRIES] = {"ragd_cache_entries",                  "",                        "Answers in the cache.",                     GAUGE     },
    [METRIC_CACHE_BYTES] = {"ragd_cache_bytes",                    "",                        "Memory of the cache.",                      GAUGE     },
    [METRIC_REMOTE_OPENAI_OPEN] = {"ragd_remote_circuit_open",            "{service=\"openai\"}",
                              "1: after failures nothing is sent to this server for a while.",                                               GAUGE     },
    [METRIC_REMOTE_EMBED_OPEN] = {"ragd_remote_circuit_open",            "{service=\"embed\"}",     NULL,                                        GAUGE     },
    [METRIC_REMOTE_RERANK_OPEN] = {"ragd_remote_circuit_open",            "{service=\"rerank\"}",    NULL,                                        GAUGE     },
    [METRIC_REQUESTS_LIVE] = {"ragd_requests_live",                  "",                        "Requests that wait or are at work.",
                              GAUGE                                                                                                                    },
    [METRIC_TRACE_QUEUE] = {"ragd_trace_queue_length",             "",                        "Spans that wait to be exported.",
                              GAUGE                                                                                                                    },
    [METRIC_PROCESS_RESIDENT_BYTES] = {"process_resident_memory_bytes",       "",
                              "Memory of the daemon in RAM.",                                                                                GAUGE     },
    [METRIC_PROCESS_OPEN_FDS] = {"process_open_fds",                    "",                        "Open file descriptors.",                    GAUGE     },
    [METRIC_PROCESS_MAX_FDS] = {"process_max_fds",                     "",                        "Limit of open file descriptors.",           GAUGE     },
    [METRIC_PROCESS_THREADS] = {"process_threads",                     "",                        "Threads of the daemon.",                    GAUGE     },
    [METRIC_PROCESS_START_S] = {"process_start_time_seconds",          "",
                              "When the daemon started, in seconds since 1970.",                                                             GAUGE     },
};

enum rag_status metrics_new(struct metrics **ret, struct rag_error *reterr)
{
    struct metrics *m = calloc(1, sizeof *m);

    if (!m)
        return rag_fail(reterr, RAG_ENOMEM, "metrics: out of memory");
    m->models[METRICS_EMBED].name = "embed";
    m->models[METRICS_EMBED_BULK].name = "embed_bulk";
    m->models[METRICS_RERANK].name = "rerank";
    for (int i = 0; i < N_GUARD_STAGES; i++)
        m->guard[i].name = guard_stage_name((enum guard_stage)i);
    *ret = m;
    return RAG_OK;
}

void metrics_free(struct metrics *m)
{
    free(m);
}

void metrics_add(struct metrics *m, enum metric metric, uint64_t n)
{
    assert(table[metric].kind != GAUGE);
    atomic_fetch_add_explicit(&m->counters[metric], n, memory_order_relaxed);
}

/* Two scrapes at once may have read their totals in another order than they set them: a counter
 * never falls. */
static void raise_to(atomic_uint_fast64_t *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);

    while (was < n && !atomic_compare_exchange_weak_explicit(counter, &was, n, memory_order_relaxed,
                                                             memory_order_relaxed))
        ;
}

void metrics_set_total(struct metrics *m, enum metric metric, uint64_t n)
{
    assert(table[metric].kind != GAUGE);
    raise_to(&m->counters[metric], n);
}

void metrics_count(struct metrics *m, enum metrics_family family, const char *first,
                   const char *second, uint64_t n)
{
    atomic_fetch_add_explicit(family_counter(&m->families[family], family, first, second), n,
                              memory_order_relaxed);
}

void metrics_count_total(struct metrics *m, enum metrics_family family, const char *first,
                         const char *second, uint64_t n)
{
    raise_to(family_counter(&m->families[family], family, first, second), n);
}

void metrics_set(struct metrics *m, enum metric metric, double value)
{
    assert(table[metric].kind == GAUGE);
    atomic_store_explicit(&m->gauges[metric], value, memory_order_relaxed);
}

void metrics_change(struct metrics *m, enum metric metric, int64_t by)
{
    double old = atomic_load_explicit(&m->gauges[metric], memory_order_relaxed);

    assert(table[metric].kind == GAUGE);
    while (!atomic_compare_exchange_weak_explicit(&m->gauges[metric], &old, old + (double)by,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void observe(struct histogram *h, double ms)
{
    size_t i = 0;

    while (i < N_BOUNDS && ms > bounds_ms[i])
        i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, ms > 0 ? (uint64_t)(ms * 1000) : 0, memory_order_relaxed);
}

void metrics_stage(struct metrics *m, unsigned stage, double ms)
{
    assert(stage < METRIC_SERIES_MAX);
    observe(&m->stages[stage], ms);
}

void metrics_model(struct metrics *m, enum metrics_model model, double ms)
{
    assert(model < N_METRICS_MODEL);
    observe(&m->models[model], ms);
}

void metrics_guard(struct metrics *m, enum guard_stage stage, double ms)
{
    observe(&m->guard[stage], ms);
}

void metrics_request(struct metrics *m, unsigned route, int code, double ms)
{
    assert(route < METRIC_SERIES_MAX);
    observe(&m->routes[route], ms);
    if (code >= 100 && code < 600)
        atomic_fetch_add_explicit(&m->codes[route][code / 100 - 1], 1, memory_order_relaxed);
}

void metrics_name_stage(struct metrics *m, unsigned stage, const char *name)
{
    assert(stage < METRIC_SERIES_MAX);
    m->stages[stage].name = name;
}

void metrics_name_route(struct metrics *m, unsigned route, const char *name)
{
    assert(route < METRIC_SERIES_MAX);
    m->routes[route].name = name;
}

static void write_histogram(const char *metric, const char *label, struct histogram *h,
                            struct buf *out)
{
    uint64_t total = 0;

    for (size_t i = 0; i <= N_BOUNDS; i++) {
        total += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s=\"%s\",le=\"", metric, label, h->name);
        if (i < N_BOUNDS)
            buf_printf(out, "%g\"} %llu\n", bounds_ms[i] / 1000, (unsigned long long)total);
        else
            buf_printf(out, "+Inf\"} %llu\n", (unsigned long long)total);
    }
    buf_printf(out, "%s_sum{%s=\"%s\"} %.6f\n", metric, label, h->name,
               (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6);
    buf_printf(out, "%s_count{%s=\"%s\"} %llu\n", metric, label, h->name,
               (unsigned long long)total);
}

static void write_value(struct metrics *m, int i, struct buf *out)
{
    uint64_t n = atomic_load_explicit(&m->counters[i], memory_order_relaxed);

    buf_printf(out, "%s%s ", table[i].name, table[i].labels);
    if (table[i].kind == GAUGE)
        buf_printf(out, "%.17g\n", atomic_load_explicit(&m->gauges[i], memory_order_relaxed));
    else if (table[i].kind == MILLIONTHS)
        buf_printf(out, "%.6f\n", (double)n / 1e6);
    else
        buf_printf(out, "%llu\n", (unsigned long long)n);
}

void metrics_write(struct metrics *m, struct buf *out)
{
    for (int i = 0; i < N_METRICS; i++) {
        if (table[i].help)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help,
                       table[i].name, table[i].kind == GAUGE ? "gauge" : "counter");
        write_value(m, i, out);
    }
    for (int i = 0; i < N_METRICS_FAMILIES; i++)
        family_write(&m->families[i], (enum metrics_family)i, out);
    buf_append_str(out, "# HELP ragd_stage_seconds Time of each stage of a question.\n"
                        "# TYPE ragd_stage_seconds histogram\n");
    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++)
        if (m->stages[i].name)
            write_histogram("ragd_stage_seconds", "stage", &m->stages[i], out);
    buf_append_str(out, "# HELP ragd_model_seconds Time of each batch that the models computed.\n"
                        "# TYPE ragd_model_seconds histogram\n");
    for (unsigned i = 0; i < N_METRICS_MODEL; i++)
        write_histogram("ragd_model_seconds", "work", &m->models[i], out);
    buf_append_str(out, "# HELP ragd_guard_seconds Time of the policy's rules on each text.\n"
                        "# TYPE ragd_guard_seconds histogram\n");
    for (unsigned i = 0; i < N_GUARD_STAGES; i++)
        write_histogram("ragd_guard_seconds", "stage", &m->guard[i], out);
    buf_append_str(out, "# HELP ragd_http_request_seconds From the end of the request to its "
                        "reply.\n# TYPE ragd_http_request_seconds histogram\n");
    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++)
        if (m->routes[i].name)
            write_histogram("ragd_http_request_seconds", "route", &m->routes[i], out);
    buf_append_str(out, "# HELP ragd_http_responses_total Replies by route and class of status.\n"
                        "# TYPE ragd_http_responses_total counter\n");
    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++)
        for (int c = 0; m->routes[i].name && c < N_CODES; c++)
            buf_printf(
                out, "ragd_http_responses_total{route=\"%s\",code=\"%dxx\"} %llu\n",
                m->routes[i].name, c + 1,
                (unsigned long long)atomic_load_explicit(&m->codes[i][c], memory_order_relaxed));
}
