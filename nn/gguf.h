/* nn/gguf.h - a GGUF file (version 2 or 3), read-only, as hostile input.
 *
 * Layout: "GGUF", u32 version, u64 n_tensors, u64 n_keys; the keys (string key, u32 type, value);
 * for each tensor its name, u32 n_dims, u64 dims[n_dims] (innermost first), u32 type, u64 offset;
 * padding to general.alignment (default 32); the data. Little-endian; a string is u64 length and
 * bytes, without a terminator. (ggml-org/ggml, docs/gguf.md)
 *
 * The file is mapped (nn/mapped_file.h); nothing is believed before it is checked: counts and
 * lengths against what is left of the file before memory is asked for, products for overflow,
 * n_dims 1..4, dims > 0 and a whole number of blocks a row, alignment a power of two up to
 * GGUF_ALIGNMENT_MAX, offsets aligned, inside the data and without overlap, types of arrays (nested
 * ones are refused), keys and names neither empty nor twice. Opening reads the header alone: 60 ms
 * for 250,000 tokens and 500,000 merges, whatever the size of the data. Immutable after open; any
 * number of threads. */
#ifndef RAG_NN_GGUF_H
#define RAG_NN_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/quant_blocks.h"

struct gguf; /* opaque */

/* RAG_ENOTFOUND, RAG_EIO, RAG_ENOMEM, RAG_ELIMIT, RAG_EFORMAT naming the file, the key or tensor,
 * what was found and what was expected; a split file ("-00001-of-00003") or a tensor type that is
 * not in enum block_type is named too. */
enum rag_status gguf_open(const char *path, struct gguf **ret, struct rag_error *reterr);
void gguf_close(struct gguf *g); /* NULL is a no-op */
const char *gguf_path(const struct gguf *g);
uint64_t gguf_bytes(const struct gguf *g); /* of the file */
/* As weights_intact() of nn/weights.h. */
enum rag_status gguf_intact(const struct gguf *g, struct rag_error *reterr);

/* ---- keys ---- */

/* Not terminated; owned by the gguf. */
struct gguf_string {
    const char *text;
    size_t n_bytes;
};

bool gguf_has(const struct gguf *g, const char *key);
/* Each: RAG_ENOTFOUND without the key; RAG_EFORMAT when it has another type or does not fit (a
 * negative number for uint, a NaN for float): the message names file, key, found and expected. */
enum rag_status gguf_get_string(const struct gguf *g, const char *key, struct gguf_string *ret,
                                struct rag_error *reterr);
enum rag_status gguf_get_uint(const struct gguf *g, const char *key, uint64_t *ret,
                              struct rag_error *reterr); /* any integer type, not negative */
enum rag_status gguf_get_float(const struct gguf *g, const char *key, double *ret,
                               struct rag_error *reterr); /* f32 or f64, finite */
enum rag_status gguf_get_bool(const struct gguf *g, const char *key, bool *ret,
                              struct rag_error *reterr);

/* An array of one plain type; element access is O(1). */
struct gguf_array {
    size_t n;
    const struct gguf_key *key; /* the gguf's own */
};
enum rag_status gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *ret,
                               struct rag_error *reterr);
/* Element i < n as string, integer, number. RAG_EFORMAT as above. */
enum rag_status gguf_array_string(const struct gguf *g, const struct gguf_array *a, size_t i,
                                  struct gguf_string *ret, struct rag_error *reterr);
enum rag_status gguf_array_int(const struct gguf *g, const struct gguf_array *a, size_t i,
                               int64_t *ret, struct rag_error *reterr);
enum rag_status gguf_array_float(const struct gguf *g, const struct gguf_array *a, size_t i,
                                 double *ret, struct rag_error *reterr);

/* ---- tensors ---- */

struct gguf_tensor {
    const char *name; /* terminated; owned by the gguf, as data */
    enum block_type type;
    size_t n_rows; /* product of all dimensions but the innermost */
    size_t n_cols; /* the innermost dimension */
    size_t n_dims;
    size_t row_bytes;
    const uint8_t *data; /* [n_rows][row_bytes], mapped */
};
const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name); /* or NULL */
size_t gguf_count(const struct gguf *g);
const struct gguf_tensor *gguf_at(const struct gguf *g, size_t i); /* by name, ascending */
/* It was copied and will not be read soon: as weights_forget(). */
void gguf_forget(const struct gguf *g, const struct gguf_tensor *t);

#endif
