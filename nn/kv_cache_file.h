/* nn/kv_cache_file.h - known pages of a KV cache in a file, so that what was read before a restart
 * need not be computed again.
 *
 * The bytes of a page depend on the weights, on the instruction set and on how both are packed;
 * 'binding' is a digest of all that, and a file with another one is refused. The file holds what
 * users asked and the documents that they were given: mode 0600. docs/FORMATS.md has the layout.
 * Every page carries a SHA-256; nothing of a damaged file is used. */
#ifndef RAG_NN_KV_CACHE_FILE_H
#define RAG_NN_KV_CACHE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "nn/kv_cache.h"

/* Write the pages that no sequence holds, the most recently used first, at most bytes_max bytes of
 * them, to 'path' (base/atomic_file.h). *ret_n: pages. No sequence may be open.
 * RAG_ENOMEM, RAG_ENOSPC, RAG_EIO. */
enum rag_status kv_cache_save(const struct kv_cache *c, const char *path,
                              const uint8_t binding[SHA256_BYTES], uint64_t bytes_max,
                              size_t *ret_n, struct rag_error *reterr);

/* Read them into an empty cache, as many as its budget has room for. *ret_n: pages. On failure the
 * cache is empty still. RAG_ENOTFOUND (no file), RAG_EFORMAT (of another model or machine, damaged:
 * which), RAG_EIO, RAG_ENOMEM. */
enum rag_status kv_cache_load(struct kv_cache *c, const char *path,
                              const uint8_t binding[SHA256_BYTES], size_t *ret_n,
                              struct rag_error *reterr);

#endif
