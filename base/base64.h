/* base/base64.h - RFC 4648, section 4: the standard alphabet, padded, in one line. */
#ifndef RAG_BASE_BASE64_H
#define RAG_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* Appends 4 characters for each 3 bytes begun. */
void base64_append(const void *data, size_t n_bytes, struct buf *out);
/* Padding may be missing. malloc'ed. 'what' begins the messages. RAG_EFORMAT: a byte that is not of
 * the alphabet (its place is named), a lone last character; RAG_ELIMIT: more than bytes_max
 * decoded; RAG_ENOMEM. */
enum rag_status base64_read(const char *text, const char *what, size_t bytes_max, uint8_t **ret,
                            size_t *ret_n, struct rag_error *reterr);

#endif
