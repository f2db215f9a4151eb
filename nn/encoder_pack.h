/* nn/encoder_pack.h - write an encoder's weights as a packed file: int8, as INT8 makes them at
 * open.
 *
 * The file is safetensors (nn/weights.h) with {"ragd_packed":"1"} as its metadata; docs/FORMATS.md
 * lists its tensors. Rows are in order and belong to no instruction set: each kernel path packs
 * them when it opens the file. encoder_open() of it with PRECISION_INT8 gives the same bits as of
 * the folder that it was made of, but for the word embeddings, which are int8 with a scale per row
 * here:
 *
 *     word[id] = w[id] * scale[id]     scale[id] = max_i |word[id,i]| / 127
 *
 * The same weights give the same bytes: the factors of the columns are computed in plain C
 * (nn/encoder_columns.c). Which layers stay in fp32 is decided by comparing with OpenBLAS's sums,
 * which differ between CPUs in the last bits: only a layer at the very edge could go either way. */
#ifndef RAG_NN_ENCODER_PACK_H
#define RAG_NN_ENCODER_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/compute_pool.h"

struct encoder_pack_info {
    size_t n_linears;      /* of the layers */
    size_t n_fp32_linears; /* of them, kept as floats */
    uint64_t n_source_bytes;
    uint64_t n_bytes;
};

/* The encoder of 'dir' (config.json, weights of any float type) to the file 'path', by
 * base/atomic_file.h. pool: borrowed, NULL: the caller's thread. Statuses of encoder_open();
 * RAG_EINVAL (it is packed already), RAG_ENUMERIC (a word embedding is not finite), RAG_ELIMIT (a
 * header over WEIGHTS_HEADER_BYTES_MAX), RAG_ENOSPC. */
enum rag_status encoder_pack(const char *dir, struct compute_pool *pool, const char *path,
                             struct encoder_pack_info *ret, struct rag_error *reterr);

#endif
