/* daemon/ragctl/exposition.h - Prometheus' text format 0.0.4, as far as ragd writes it, read back.
 *
 * Lines that are no sample are passed over: a person looks at this, no alarm hangs on it. */
#ifndef RAG_DAEMON_EXPOSITION_H
#define RAG_DAEMON_EXPOSITION_H

#include <stddef.h>

#include "base/status.h"

struct exposition_sample {
    const char *name;   /* of the exposition's text, as labels */
    const char *labels; /* between the braces: "stage=\"bm25\",le=\"0.001\""; "" */
    double value;
};

struct exposition {
    char *text; /* owned */
    struct exposition_sample *samples;
    size_t n;
};

/* RAG_OK, RAG_ENOMEM. */
enum rag_status exposition_parse(const char *text, struct exposition *ret,
                                 struct rag_error *reterr);
void exposition_release(struct exposition *e); /* a zeroed one is a no-op */

/* The sum of the samples of a name, of those that have 'label="value"' where label is not NULL;
 * NAN: there is none. */
double exposition_sum(const struct exposition *e, const char *name, const char *label,
                      const char *value);
/* The value of a label of a sample, copied ("" when it has none, cut to n - 1 bytes). */
void exposition_label(const struct exposition_sample *sample, const char *label, char *ret,
                      size_t n);
/* The q-quantile of what a histogram counted between two readings ('before' empty: ever), by linear
 * interpolation within its bucket, as histogram_quantile() of Prometheus has it: of the last,
 * unbounded bucket its lower bound. NAN: nothing was counted. */
double exposition_quantile(const struct exposition *now, const struct exposition *before,
                           const char *name, const char *label, const char *value, double q);

#endif
