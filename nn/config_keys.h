/* nn/config_keys.h - what reading a config.json has in common, an encoder's and a decoder's. Below
 * the readers' own messages name no file; config_finish() puts it before them. Thread-safe. */
#ifndef RAG_NN_CONFIG_KEYS_H
#define RAG_NN_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

/* A size, 1 .. max; the default when the file does not say, and 0 has none: transformers' defaults
 * are mostly those of one certain model, and a file that relies on them does not say what its
 * weights are. RAG_EFORMAT (missing), else json_get_int()'s. */
enum rag_status config_size(const struct json *root, const char *key, int64_t or_else, int64_t max,
                            size_t *ret, struct rag_error *reterr);

/* Does a name in "architectures" have 'part' in it? */
bool config_names_architecture(const struct json *root, const char *part);

/* The status of a whole reading for its caller: a member's wrong type or range (RAG_EINVAL) is the
 * file's fault; a failure says which model before why. */
enum rag_status config_finish(enum rag_status status, const char *model,
                              const struct rag_error *why, struct rag_error *reterr);

#endif
