/* daemon/metrics_family.h - counters with labels (internal to metrics.c).
 *
 * A family is one name with one or two labels, whose values are a fixed list: what a caller passes
 * and the list lacks is counted as "other", so that no text from outside makes a series. */
#ifndef RAG_DAEMON_METRICS_FAMILY_H
#define RAG_DAEMON_METRICS_FAMILY_H

#include <stdatomic.h>
#include <stddef.h>

#include "daemon/metrics.h"

#define FAMILY_VALUES_MAX 16 /* of one label, "other" included */

/* One family's counters: [first value][second value]. */
struct family_counts {
    atomic_uint_fast64_t n[FAMILY_VALUES_MAX][FAMILY_VALUES_MAX];
};

/* The counter of these values; second is not looked at where the family has one label. */
atomic_uint_fast64_t *family_counter(struct family_counts *counts, enum metrics_family family,
                                     const char *first, const char *second);
void family_write(struct family_counts *counts, enum metrics_family family, struct buf *out);

#endif
