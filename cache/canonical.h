/* cache/canonical.h - one spelling of a question, for asking whether it was asked before.
 *
 *     NFC; runs of white space (Unicode's Zs, and \t \n \r) -> one blank, none at the ends;
 *     control and zero-width characters dropped; final punctuation (. ? ! and their full-width
 *     forms, an ellipsis, closing quotes behind them) dropped; Latin letters without case
 *
 * What is left decides nothing about meaning: words, particles and numbers stay as they are. A
 * question that is punctuation only stays as it is. */
#ifndef RAG_CACHE_CANONICAL_H
#define RAG_CACHE_CANONICAL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the canonical form of n bytes of NFC text. RAG_OK, RAG_ENOMEM, RAG_ELIMIT of 'out'. */
enum rag_status question_canonical(const char *text, size_t n, struct buf *out);

#endif
