/* nn/quant_blocks.h - the types of tensor data in GGUF files, and what their bytes mean.
 *
 * A row is a whole number of blocks; a block holds block_elements(type) weights in
 * block_bytes(type) bytes, little-endian. blocks_read_f32() is the definition of every type here: a
 * plain float32 product, then a separate addition (no fused multiply-add), bit-equal to the
 * reference on every machine. (The formats are those of ggml: ggml/src/ggml-common.h and
 * ggml-quants.c of ggml-org/llama.cpp describe them.) */
#ifndef RAG_NN_QUANT_BLOCKS_H
#define RAG_NN_QUANT_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum block_type {
    BLOCK_F32,
    BLOCK_F16,
    BLOCK_BF16,
    BLOCK_Q4_0,
    BLOCK_Q4_1,
    BLOCK_Q5_0,
    BLOCK_Q5_1,
    BLOCK_Q8_0,
    BLOCK_Q2_K,
    BLOCK_Q3_K,
    BLOCK_Q4_K,
    BLOCK_Q5_K,
    BLOCK_Q6_K,
    BLOCK_IQ4_NL,
    BLOCK_IQ4_XS,
    BLOCK_IQ2_XXS,
    BLOCK_TYPES /* their number */
};

const char *block_type_name(enum block_type type); /* "F32", "Q4_K" ... */
size_t block_elements(enum block_type type);       /* 1, 32 or 256 */
size_t block_bytes(enum block_type type);

/* n weights, a multiple of block_elements(type), from the start of a block. 'blocks' may be
 * unaligned. */
void blocks_read_f32(enum block_type type, const void *blocks, size_t n, float *ret);

/* ---- quantising what comes as floats (a safetensors directory) ---- */

/* n weights, a multiple of 32: to BLOCK_Q8_0 or BLOCK_Q4_1, rounded to nearest. Q4_1: the scale and
 * minimum with the least squared error of a small search around (max - min) / 15.
 * RAG_ENUMERIC: a weight is not finite. */
enum rag_status blocks_write(enum block_type type, const float *x, size_t n, void *ret,
                             struct rag_error *reterr);

#endif
