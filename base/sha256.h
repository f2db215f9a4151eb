/* base/sha256.h - SHA-256 (FIPS 180-4), by libcrypto. Thread-safe. */
#ifndef RAG_BASE_SHA256_H
#define RAG_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 65 /* 64 lower-case digits and NUL */

struct sha256_part {
    const void *data; /* borrowed */
    size_t n_bytes;
};

/* Digest of the concatenation of the parts. The caller separates parts whose
 * lengths vary (sha256_lengths does it): plain concatenation is ambiguous.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status sha256_parts(const struct sha256_part *parts, size_t n_parts,
                             uint8_t ret_digest[SHA256_BYTES]);
/* The same with each part preceded by its length as little-endian u64. */
enum rag_status sha256_lengths(const struct sha256_part *parts, size_t n_parts,
                               uint8_t ret_digest[SHA256_BYTES]);
enum rag_status sha256(const void *data, size_t n_bytes, uint8_t ret_digest[SHA256_BYTES]);
enum rag_status sha256_file(const char *path, uint8_t ret_digest[SHA256_BYTES],
                            struct rag_error *reterr);

void sha256_hex(const uint8_t digest[SHA256_BYTES], char ret_hex[SHA256_HEX_BYTES]);
/* RAG_EFORMAT unless 'hex' is exactly 64 hexadecimal digits. */
enum rag_status sha256_from_hex(const char *hex, uint8_t ret_digest[SHA256_BYTES]);

/* n random bytes from the system. RAG_OK or RAG_EIO. */
enum rag_status random_bytes(void *ret_data, size_t n);

#endif
