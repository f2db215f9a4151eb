/* daemon/ragctl/top_figures.h - what 'ragctl top' shows, from two readings of the metrics. Pure. */
#ifndef RAG_DAEMON_TOP_FIGURES_H
#define RAG_DAEMON_TOP_FIGURES_H

#include "base/buf.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/ragctl/exposition.h"

#define TOP_STAGES_MAX 32

struct top_stage {
    char name[32];
    double per_s;
    double p50_ms; /* NAN: it did not run */
    double p95_ms;
};

/* Rates are per second between the readings; NAN: the daemon has no such metric. */
struct top_figures {
    double seconds; /* between them */
    double uptime_s;
    double resident_bytes;
    double cpu; /* cores in use */
    double open_fds;
    double max_fds;
    double requests_per_s; /* without probes */
    double errors_per_s;   /* 5xx */
    double answered_per_s;
    double refused_per_s;
    double failed_per_s;
    double cache_exact_per_s;
    double cache_semantic_per_s;
    double cache_miss_per_s;
    double cache_hit_rate; /* NAN: nothing was looked up */
    double cache_entries;
    double guard_per_s; /* findings that did something: all but "pass" */
    double workers_busy;
    double queued_interactive;
    double queued_answer;
    double queued_bulk;
    double queued_writes;
    double models_waiting;
    double decoder_running;
    double decoder_waiting;
    double output_tokens_per_s;
    double kv_used_bytes;
    double kv_budget_bytes;
    struct top_stage stages[TOP_STAGES_MAX];
    size_t n_stages;
};

/* before: empty, or of this many seconds ago. What counts less than before (the daemon started
 * anew) counts from zero. now_s: since 1970. */
void top_figures_compute(const struct exposition *now, const struct exposition *before,
                         double seconds, double now_s, struct top_figures *ret);

/* Lines for a terminal: at most 'rows' of at most 'columns'. requests: the reply of /v1/requests.
 */
void top_draw(const struct top_figures *f, const struct json *requests, const char *where,
              size_t rows, size_t columns, struct buf *out);
/* Members of an open object. */
void top_write(const struct top_figures *f, const char *requests_json, struct json_writer *w);

#endif
