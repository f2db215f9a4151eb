#include "daemon/metrics_family.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct family_label {
    const char *name; /* NULL: the family has one label only */
    const char *values[FAMILY_VALUES_MAX];
};

#define STATUSES                                                                                   \
    "invalid", "denied", "busy", "limit", "io", "timeout", "cancelled", "format", "out_of_memory", \
        "other"
#define BACKENDS "local", "openai", "extractive", "other"
#define SERVICES "openai", "embed", "rerank", "other"

static const struct {
    const char *name;
    const char *help;
    bool millionths; /* counted in millionths of what is shown */
    struct family_label labels[2];
} table[N_METRICS_FAMILIES] = {
    [METRICS_CACHE_LOOKUPS] = {"ragd_cache_lookups_total",
                               "Questions that the cache was asked for, by what it had.",         false,
                               {{"result", {"exact", "semantic", "miss", "bypass", "other"}}}    },
    [METRICS_CACHE_DROPPED] = {"ragd_cache_dropped_total",
                               "Cached answers that are not given any more, by why.",             false,
                               {{"reason", {"stale", "evicted", "invalidated", "other"}}}        },
    [METRICS_CACHE_FEEDBACK] = {"ragd_cache_feedback_total",
                               "Reports of people about answers from the cache.",                 false,
                               {{"verdict", {"correct", "false", "other"}}}                      },
    [METRICS_GUARD_FINDINGS] = {"ragd_guard_findings_total",
                               "What the guard found, by where and by what was done.",            false,
                               {{"stage", {"question", "passage", "answer", "document", "other"}},
                                 {"action", {"pass", "flag", "mask", "drop", "refuse", "other"}}}},
    [METRICS_BACKEND_CALLS] = {"ragd_backend_calls_total",
                               "Answers asked of each backend, by what came of it.",              false,
                               {{"backend", {BACKENDS}},
                                {"outcome", {"answered", "refused", "unsupported", STATUSES}}}   },
    [METRICS_BACKEND_TOKENS] = {"ragd_backend_tokens_total",
                               "Tokens of prompts and answers, by backend.",                      false,
                               {{"backend", {BACKENDS}},
                                 {"kind", {"prompt", "cached", "output", "other"}}}              },
    [METRICS_BACKEND_COST] = {"ragd_backend_cost_total",
                               "What the tokens cost, in the currency of the configured prices.", true,
                               {{"backend", {BACKENDS}}}                                         },
    [METRICS_REMOTE_CALLS] = {"ragd_remote_calls_total",
                               "Requests to other servers, by what came of them.",                false,
                               {{"service", {SERVICES}},
                               {"outcome",
                                {"ok", "failed", "refused_offline", "refused_open",
                                 "refused_budget", "other"}}}                                    },
    [METRICS_REMOTE_TRIES] = {"ragd_remote_tries_total",
                               "Requests sent to other servers, repetitions included.",           false,
                               {{"service", {SERVICES}}}                                         },
    [METRICS_REMOTE_BYTES] = {"ragd_remote_bytes_total",
                               "Bytes sent to and received from other servers.",                  false,
                               {{"service", {SERVICES}},
                               {"direction", {"sent", "received", "other"}}}                     },
    [METRICS_TRACE_SPANS] = {"ragd_trace_spans_total",
                               "Spans of traces, by what became of them.",                        false,
                               {{"outcome", {"exported", "dropped", "failed", "other"}}}         },
};

static size_t n_values(const struct family_label *label)
{
    size_t n = 0;

    while (n < FAMILY_VALUES_MAX && label->values[n])
        n++;
    return n;
}

/* The last value of a list is "other". */
static size_t place(const struct family_label *label, const char *value)
{
    size_t n = n_values(label);

    if (!label->name)
        return 0;
    assert(n > 0 && strcmp(label->values[n - 1], "other") == 0);
    for (size_t i = 0; value && i < n; i++)
        if (strcmp(label->values[i], value) == 0)
            return i;
    return n - 1;
}

atomic_uint_fast64_t *family_counter(struct family_counts *counts, enum metrics_family family,
                                     const char *first, const char *second)
{
    const struct family_label *labels = table[family].labels;

    return &counts->n[place(&labels[0], first)][place(&labels[1], second)];
}

static void write_one(enum metrics_family family, size_t i, size_t j, uint64_t n, struct buf *out)
{
    const struct family_label *labels = table[family].labels;

    buf_printf(out, "%s{%s=\"%s\"", table[family].name, labels[0].name, labels[0].values[i]);
    if (labels[1].name)
        buf_printf(out, ",%s=\"%s\"", labels[1].name, labels[1].values[j]);
    if (table[family].millionths)
        buf_printf(out, "} %.6f\n", (double)n / 1e6);
    else
        buf_printf(out, "} %llu\n", (unsigned long long)n);
}

void family_write(struct family_counts *counts, enum metrics_family family, struct buf *out)
{
    const struct family_label *labels = table[family].labels;
    size_t n_first = n_values(&labels[0]);
    size_t n_second = labels[1].name ? n_values(&labels[1]) : 1;

    buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", table[family].name, table[family].help,
               table[family].name);
    for (size_t i = 0; i < n_first; i++)
        for (size_t j = 0; j < n_second; j++) {
            uint64_t n = atomic_load_explicit(&counts->n[i][j], memory_order_relaxed);
            bool other = i + 1 == n_first || (labels[1].name && j + 1 == n_second);

            if (n > 0 || !other) /* "other" is shown when there is something to wonder about */
                write_one(family, i, j, n, out);
        }
}
