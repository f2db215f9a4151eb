/* base/clock.h - the two clocks, and dates as text. Thread-safe. */
#ifndef RAG_BASE_CLOCK_H
#define RAG_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_BYTES 25 /* "2026-01-31T23:59:59.123Z" and NUL */

int64_t clock_wall_ms(void);               /* UTC, ms since 1970; may step */
int64_t clock_monotonic_ns(void);          /* for durations and deadlines; never steps back */
double clock_elapsed_ms(int64_t since_ns); /* since a clock_monotonic_ns() */

/* Format a UTC wall time in ms as RFC 3339 with ms; years 0000-9999. */
void clock_format(int64_t wall_ms, char ret_text[CLOCK_TEXT_BYTES]);

#endif
