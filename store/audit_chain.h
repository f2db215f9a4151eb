/* store/audit_chain.h - what is hashed and signed of an audit log: all that is needed to check rows
 * that have left the database (format: store/audit.h). Pure, thread-safe. */
#ifndef RAG_STORE_AUDIT_CHAIN_H
#define RAG_STORE_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_list.h"
#include "base/sha256.h"
#include "base/status.h"

#define AUDIT_SALT_BYTES      16
#define AUDIT_SIGNATURE_BYTES 64 /* Ed25519, RFC 8032 */
#define AUDIT_PUBLIC_BYTES    32

/* What a row's hash covers besides the previous hash. */
struct audit_row {
    uint64_t seq;
    int64_t time_ms;
    const char *kind;
    const char *principal;
    uint8_t payload_hash[SHA256_BYTES];
};
/* RAG_OK or RAG_ENOMEM. */
enum rag_status audit_row_hash(const uint8_t previous[SHA256_BYTES], const struct audit_row *row,
                               uint8_t ret[SHA256_BYTES]);
enum rag_status audit_payload_hash(const uint8_t salt[AUDIT_SALT_BYTES], const char *payload,
                                   size_t n_bytes, uint8_t ret[SHA256_BYTES]);

/* A cut: everything up to seq was dropped; 'hash' is that of row seq. */
struct audit_checkpoint {
    uint64_t seq;
    int64_t time_ms;
    uint8_t hash[SHA256_BYTES];
    uint8_t signature[AUDIT_SIGNATURE_BYTES];
    uint8_t public_key[AUDIT_PUBLIC_BYTES];
};
/* The message that is signed: "ragd audit checkpoint v1" NUL, seq and time_ms as little-endian u64,
 * hash. */
#define AUDIT_CHECKPOINT_MESSAGE_BYTES (25 + 8 + 8 + SHA256_BYTES)
void audit_checkpoint_message(const struct audit_checkpoint *c,
                              uint8_t ret[AUDIT_CHECKPOINT_MESSAGE_BYTES]);
/* Is it signed by this very key? */
bool audit_checkpoint_signed_by(const struct audit_checkpoint *c,
                                const uint8_t public_key[AUDIT_PUBLIC_BYTES]);

/* Payloads that are gone, and those that rows "audit.erase" name: each of the first needs one of
 * the second. A zeroed one is empty. */
struct audit_erasures {
    struct id_list gone;
    struct id_list recorded;
};
/* The first row that lost its payload unrecorded, or 0. 'gone' was filled in ascending order. */
uint64_t audit_erasures_unrecorded(struct audit_erasures *e);
void audit_erasures_release(struct audit_erasures *e);

#endif
