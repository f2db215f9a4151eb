/* generate/stop_filter.h - text that ends where one of some strings begins.
 *
 * Text comes in pieces of whole characters and goes on at once, but for an end that could still
 * become a stop string. One request, one thread at a time. */
#ifndef RAG_GENERATE_STOP_FILTER_H
#define RAG_GENERATE_STOP_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct stop_filter; /* opaque */

/* stop: NULL-terminated list that passed sampling_check(), borrowed; or NULL. RAG_ENOMEM. */
enum rag_status stop_filter_open(const char *const *stop, struct stop_filter **ret,
                                 struct rag_error *reterr);
void stop_filter_close(struct stop_filter *f); /* NULL is a no-op */

/* Append to 'ret' what may be shown now. *ret_stopped: a stop string is there (the first one in the
 * text); it and what is behind it are never shown, and nothing more may be put in. RAG_ENOMEM. */
enum rag_status stop_filter_put(struct stop_filter *f, const char *text, size_t n, struct buf *ret,
                                bool *ret_stopped, struct rag_error *reterr);
/* What was held back, when no stop string came. */
enum rag_status stop_filter_finish(struct stop_filter *f, struct buf *ret,
                                   struct rag_error *reterr);

#endif
