/* daemon/ragctl/ragctl_audit.h - the head of an audit log as text. Pure. */
#ifndef RAG_DAEMON_RAGCTL_AUDIT_H
#define RAG_DAEMON_RAGCTL_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"

/* "<rows>:<64 hex digits>" (a space instead of the colon is read as well, trailing white
 * space ignored): what 'audit verify' prints. RAG_EFORMAT when it is not that. */
enum rag_status ragctl_audit_head_parse(const char *text, size_t n, uint64_t *ret_n,
                                        char ret_hex[SHA256_HEX_BYTES]);

#endif
