/* nn/weights.h - named tensors of a model directory, read-only, from hostile files.
 *
 * A directory holds one *.safetensors file, or model.safetensors.index.json naming shards. The
 * files are memory-mapped (nn/mapped_file.h); every header is validated before anything of it is
 * believed: sizes, overlaps, gaps, overflow, dtype, alignment, duplicates, limits of base/bounds.h.
 *
 * Format: 8 bytes little-endian header length, a JSON object
 * {"name":{"dtype":"F16","shape":[a,b],"data_offsets":[begin,end]},...,"__metadata__":{..}}, then
 * the data; offsets count from the data's first byte. (huggingface/safetensors, README "Format")
 *
 * A file whose metadata has WEIGHTS_PACKED_KEY holds int8 weights as nn/encoder_pack.h writes them
 * (docs/FORMATS.md): only there are tensors of type I8 read. */
#ifndef RAG_NN_WEIGHTS_H
#define RAG_NN_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define WEIGHTS_DIMS_MAX 4

#define WEIGHTS_PACKED_KEY     "ragd_packed"
#define WEIGHTS_PACKED_VERSION "1"

enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_I8 };

struct tensor {
    const char *name; /* owned by the weights, as data */
    enum tensor_type type;
    size_t n_dims;
    size_t shape[WEIGHTS_DIMS_MAX]; /* row-major, outermost first */
    size_t n_elements;
    const void *data; /* maybe unaligned; little-endian; valid until weights_close() */
};

struct weights; /* opaque; after open it may be read by any number of threads */

/* Open the weights of a model directory: model.safetensors, or the shards of
 * model.safetensors.index.json, or the only other *.safetensors there is. Tensors of other dtypes
 * (I64 position_ids ...) are validated and left out. RAG_ENOTFOUND (no safetensors), RAG_EIO,
 * RAG_ENOMEM, RAG_ELIMIT, RAG_EFORMAT naming file, tensor, what was found and what was expected. */
enum rag_status weights_open(const char *dir, struct weights **ret, struct rag_error *reterr);
void weights_close(struct weights *w); /* NULL is a no-op */

/* NULL when there is no such tensor. O(log n). */
const struct tensor *weights_find(const struct weights *w, const char *name);
size_t weights_count(const struct weights *w);
const struct tensor *weights_at(const struct weights *w, size_t i); /* by name, ascending */

/* The tensor of exactly this shape. RAG_EFORMAT: "model 'DIR': tensor 'NAME': missing", "dtype I8,
 * expected F32, F16 or BF16" or
 * "shape [2,3], expected [4,3] (hidden_size 4 of config.json ...)". */
enum rag_status weights_need(const struct weights *w, const char *name, const size_t *shape,
                             size_t n_dims, const struct tensor **ret, struct rag_error *reterr);

/* The same for a tensor of type I8: "dtype F16, expected I8". */
enum rag_status weights_need_int8(const struct weights *w, const char *name, const size_t *shape,
                                  size_t n_dims, const struct tensor **ret,
                                  struct rag_error *reterr);

/* Is one of the files packed? */
bool weights_packed(const struct weights *w);

size_t tensor_type_bytes(enum tensor_type type); /* of one element */

/* n elements from element 'first' on, as float32 (of I8 the whole numbers). In bounds is the
 * caller's duty (assert). */
void tensor_read_f32(const struct tensor *t, size_t first, size_t n, float *ret);

/* The tensor was copied and will not be read again soon: its pages of the file need not count as
 * memory of this process. It stays readable. */
void weights_forget(const struct weights *w, const struct tensor *t);

/* Did the disk take a mapped file away (truncated under us)? Then what was read is zeros and
 * whatever was computed from it is void: RAG_EIO naming the file. O(files). */
enum rag_status weights_intact(const struct weights *w, struct rag_error *reterr);

uint64_t weights_bytes(const struct weights *w);  /* of all files */
const char *weights_dir(const struct weights *w); /* as given to weights_open() */

#endif
