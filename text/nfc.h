/* text/nfc.h - Unicode normalisation at the door: documents and questions are NFC. */
#ifndef RAG_TEXT_NFC_H
#define RAG_TEXT_NFC_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the NFC form of n bytes to 'out', after: a leading byte-order mark
 * dropped, CRLF and lone CR made LF, other C0 controls except TAB and LF made a
 * space. Text that is already so is copied without a pass through utf8proc.
 * RAG_OK; RAG_EFORMAT with the offset of the first byte that is not UTF-8 (or is
 * NUL); RAG_ELIMIT when out's cap is passed; RAG_ENOMEM. On failure out is as before.
 * Source: UAX #15. */
enum rag_status nfc_append(const char *text, size_t n, struct buf *out, struct rag_error *reterr);

#endif
