/* nn/model_files.h - the files of a model directory as files: JSON settings, and what identifies
 * the whole. The directory is hostile input; sizes are bounded. Thread-safe. */
#ifndef RAG_NN_MODEL_FILES_H
#define RAG_NN_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/status.h"
#include "nn/compute_pool.h"

/* dir/name as JSON; json_free() it. RAG_ENOTFOUND (no such file), RAG_EFORMAT (not a regular file,
 * not JSON), RAG_ELIMIT (over MODEL_JSON_BYTES_MAX), RAG_EIO, RAG_ENOMEM; the message names the
 * file. */
enum rag_status model_json(const char *dir, const char *name, struct json **ret,
                           struct rag_error *reterr);

/* Does a file's name end in 'ending' (".gguf") and have something before it? */
bool model_file_ends(const char *name, const char *ending);

/* What people call the model in 'dir', malloc'ed: the path's last part; "org/name" for a snapshot
 * in the cache of huggingface_hub (.../models--org--name/snapshots/COMMIT). NULL: out of memory. */
char *model_dir_name(const char *dir);

/* The limit of tokens in tokenizer_config.json (model_max_length); *ret = 0 when there is none or
 * it is the "no limit" of 1e30 that transformers writes. RAG_OK, or the statuses of model_json()
 * but RAG_ENOTFOUND. */
enum rag_status model_max_length(const char *dir, size_t *ret, struct rag_error *reterr);

/* What the files are: SHA-256 over the names and contents of config.json, the tokenizer's files
 * and every *.safetensors and *.gguf of 'dir' (not of folders below it). Contents enter as SHA-256
 * of each block of 1 MiB, so that the pool's threads (NULL: the caller's) share the work; nothing
 * is sampled and nothing is believed from a date, so no change of a byte goes unnoticed. RAG_OK,
 * RAG_EIO, RAG_ENOMEM, RAG_ELIMIT (over MODEL_FILES_MAX files). */
enum rag_status model_digest(const char *dir, struct compute_pool *pool,
                             uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr);
/* The same of one file: over its size and the SHA-256 of each block. RAG_ENOTFOUND, RAG_EFORMAT (no
 * regular file), RAG_EIO, RAG_ENOMEM. */
enum rag_status model_file_digest(const char *path, struct compute_pool *pool,
                                  uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr);

#endif
