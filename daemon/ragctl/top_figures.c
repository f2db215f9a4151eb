#include "daemon/ragctl/top_figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct readings {
    const struct exposition *now;
    const struct exposition *before;
    double seconds;
};

/* How fast a counter grew. */
static double rate(const struct readings *r, const char *name, const char *label, const char *value)
{
    double now = exposition_sum(r->now, name, label, value);
    double before = exposition_sum(r->before, name, label, value);

    if (isnan(before) || before > now)
        before = 0;
    return (now - before) / r->seconds;
}

static double gauge(const struct readings *r, const char *name, const char *label,
                    const char *value)
{
    return exposition_sum(r->now, name, label, value);
}

static double or_zero(double v)
{
    return isnan(v) ? 0 : v;
}

static void compute_stages(const struct readings *r, struct top_figures *f)
{
    for (size_t i = 0; i < r->now->n && f->n_stages < TOP_STAGES_MAX; i++) {
        const struct exposition_sample *s = &r->now->samples[i];
        struct top_stage *stage = &f->stages[f->n_stages];

        if (strcmp(s->name, "ragd_stage_seconds_count") != 0)
            continue;
        exposition_label(s, "stage", stage->name, sizeof stage->name);
        stage->per_s = rate(r, s->name, "stage", stage->name);
        stage->p50_ms = 1000 * exposition_quantile(r->now, r->before, "ragd_stage_seconds", "stage",
                                                   stage->name, .5);
        stage->p95_ms = 1000 * exposition_quantile(r->now, r->before, "ragd_stage_seconds", "stage",
                                                   stage->name, .95);
        f->n_stages++;
    }
}

/* Requests that somebody made: not the probes, and not what this command asks itself. */
static double requests_rate(const struct readings *r)
{
    static const char *const own[] = {"healthz", "readyz", "metrics", "requests"};
    double all = rate(r, "ragd_http_request_seconds_count", NULL, NULL);

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        all -= or_zero(rate(r, "ragd_http_request_seconds_count", "route", own[i]));
    return all;
}

static void compute_cache(const struct readings *r, struct top_figures *f)
{
    double hits;

    f->cache_exact_per_s = rate(r, "ragd_cache_lookups_total", "result", "exact");
    f->cache_semantic_per_s = rate(r, "ragd_cache_lookups_total", "result", "semantic");
    f->cache_miss_per_s = rate(r, "ragd_cache_lookups_total", "result", "miss");
    hits = f->cache_exact_per_s + f->cache_semantic_per_s;
    f->cache_hit_rate =
        hits + f->cache_miss_per_s > 0 ? hits / (hits + f->cache_miss_per_s) : (double)NAN;
    f->cache_entries = gauge(r, "ragd_cache_entries", NULL, NULL);
}

void top_figures_compute(const struct exposition *now, const struct exposition *before,
                         double seconds, double now_s, struct top_figures *ret)
{
    struct readings r = {now, before, seconds};

    *ret = (struct top_figures){
        .seconds = seconds,
        .uptime_s = now_s - gauge(&r, "process_start_time_seconds", NULL, NULL),
        .resident_bytes = gauge(&r, "process_resident_memory_bytes", NULL, NULL),
        .cpu = rate(&r, "process_cpu_seconds_total", NULL, NULL),
        .open_fds = gauge(&r, "process_open_fds", NULL, NULL),
        .max_fds = gauge(&r, "process_max_fds", NULL, NULL),
        .requests_per_s = requests_rate(&r),
        .errors_per_s = rate(&r, "ragd_http_responses_total", "code", "5xx"),
        .answered_per_s = rate(&r, "ragd_asks_total", "outcome", "answered"),
        .refused_per_s = rate(&r, "ragd_asks_total", "outcome", "refused"),
        .failed_per_s = rate(&r, "ragd_asks_total", "outcome", "failed"),
        .guard_per_s = rate(&r, "ragd_guard_findings_total", NULL, NULL) -
                       rate(&r, "ragd_guard_findings_total", "action", "pass"),
        .workers_busy = gauge(&r, "ragd_workers_busy", NULL, NULL),
        .queued_interactive = gauge(&r, "ragd_jobs_queued", "class", "interactive"),
        .queued_answer = gauge(&r, "ragd_jobs_queued", "class", "answer"),
        .queued_bulk = gauge(&r, "ragd_jobs_queued", "class", "bulk"),
        .queued_writes = gauge(&r, "ragd_store_queue_length", NULL, NULL),
        .models_waiting = gauge(&r, "ragd_models_waiting", NULL, NULL),
        .decoder_running = gauge(&r, "ragd_generate_running", NULL, NULL),
        .decoder_waiting = gauge(&r, "ragd_generate_waiting", NULL, NULL),
        .output_tokens_per_s = rate(&r, "ragd_generate_output_tokens_total", NULL, NULL),
        .kv_used_bytes = gauge(&r, "ragd_kv_used_bytes", NULL, NULL),
        .kv_budget_bytes = gauge(&r, "ragd_kv_budget_bytes", NULL, NULL),
    };
    compute_cache(&r, ret);
    compute_stages(&r, ret);
}

void top_write(const struct top_figures *f, const char *requests_json, struct json_writer *w)
{
    const struct {
        const char *key;
        double value;
    } members[] = {
        {"interval_s",           f->seconds             },
        {"uptime_s",             f->uptime_s            },
        {"resident_bytes",       f->resident_bytes      },
        {"cpu_cores",            f->cpu                 },
        {"open_fds",             f->open_fds            },
        {"max_fds",              f->max_fds             },
        {"requests_per_s",       f->requests_per_s      },
        {"errors_per_s",         f->errors_per_s        },
        {"answered_per_s",       f->answered_per_s      },
        {"refused_per_s",        f->refused_per_s       },
        {"failed_per_s",         f->failed_per_s        },
        {"cache_hit_rate",       f->cache_hit_rate      },
        {"cache_exact_per_s",    f->cache_exact_per_s   },
        {"cache_semantic_per_s", f->cache_semantic_per_s},
        {"cache_miss_per_s",     f->cache_miss_per_s    },
        {"cache_entries",        f->cache_entries       },
        {"guard_findings_per_s", f->guard_per_s         },
        {"workers_busy",         f->workers_busy        },
        {"queued_interactive",   f->queued_interactive  },
        {"queued_answer",        f->queued_answer       },
        {"queued_bulk",          f->queued_bulk         },
        {"queued_writes",        f->queued_writes       },
        {"models_waiting",       f->models_waiting      },
        {"decoder_running",      f->decoder_running     },
        {"decoder_waiting",      f->decoder_waiting     },
        {"output_tokens_per_s",  f->output_tokens_per_s },
        {"kv_used_bytes",        f->kv_used_bytes       },
        {"kv_budget_bytes",      f->kv_budget_bytes     },
    };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        json_put_exact(w, members[i].key, members[i].value);
    json_begin_array(w, "stages");
    for (size_t i = 0; i < f->n_stages; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "stage", f->stages[i].name);
        json_put_double(w, "per_s", f->stages[i].per_s);
        json_put_double(w, "p50_ms", f->stages[i].p50_ms);
        json_put_double(w, "p95_ms", f->stages[i].p95_ms);
        json_end_object(w);
    }
    json_end_array(w);
    json_put_raw(w, "requests", requests_json);
}
