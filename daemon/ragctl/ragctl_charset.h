/* daemon/ragctl/ragctl_charset.h - the encodings that Korean files really have -> UTF-8.
 *
 * ragd takes UTF-8 only; guessing is the tool's business, where a person can see it. */
#ifndef RAG_DAEMON_RAGCTL_CHARSET_H
#define RAG_DAEMON_RAGCTL_CHARSET_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

/* Make sure that 'text' is UTF-8, converting it in place when it is
 *   - UTF-16 with its byte-order mark (Windows "Unicode" text), or
 *   - CP949 (the superset of EUC-KR that Korean Windows writes): it must decode without
 *     one error, hold no control characters, and be Hangul in at least half of its
 *     non-ASCII characters, so that other encodings and binary files are not "converted".
 * *ret_from is NULL when nothing was done, else a static name: "CP949", "UTF-16".
 * RAG_OK; RAG_EFORMAT with the offset of the first byte that is not UTF-8; RAG_ENOMEM;
 * RAG_ELIMIT when the cap of 'text' is passed. On failure text is as before. Thread-safe.
 * Source: KS X 1001 / Microsoft code page 949, decoded by iconv. */
enum rag_status charset_to_utf8(struct buf *text, const char **ret_from, struct rag_error *reterr);

#endif
