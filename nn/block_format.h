/* nn/block_format.h - the packed weights of nn/block_linear.h, for those that write and read them.
 *
 * A strip is 16 outputs (the last one is filled up with zeros), a block 256 inputs of a strip, a
 * group 32. K is rounded up to whole pairs of groups: the last block of a strip may have fewer than
 * eight groups (only in formats with float scales), but an even number. Blocks follow one another,
 * strip by strip; a block of G groups is
 *
 *     low    G x 4 x [16][4] bytes: byte o, i of vector v holds inputs 8 v + i (low nibble) and
 *            8 v + 4 + i (high) of output o. 8 bits: G x 8 x [16][4], signed, vector v has 4 v + i
 *     high   5 bits: G x [16][4], bit j of byte o, i is the fifth bit of input 4 j + i
 *            6 bits: G x 2 x [16][4], bits 2 j, 2 j + 1 of byte o, i of vector v belong to input
 *            16 v + 4 j + i
 *
 * and then, with integer scales (K-quants),
 *
 *     scale  groups of 32: G/2 x [16][2] signed bytes, those of two groups beside each other;
 *            groups of 16: G x [16][2], those of the two halves of a group
 *     minimum  the same, in formats that have it
 *     d, dmin  [16] f16 each
 *
 * or, with float scales,
 *
 *     scale  G x [16] f16        minimum  G x [16] f16, in formats that have it
 *
 * Every part is a multiple of 32 bytes, a block one of 64. Four consecutive inputs of an output are
 * the four bytes that vpdpbusd multiplies; with 8 bits, a group is the B operand of a tile. */
#ifndef RAG_NN_BLOCK_FORMAT_H
#define RAG_NN_BLOCK_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/block_rows.h"

/* What the headers of the compilers want the counts of 16-bit shifts to be. */
#ifdef __clang__
typedef unsigned bl_count;
#else
typedef int bl_count;
#endif

#define BLOCK_STRIP  16
#define BLOCK_INPUTS 256
#define BLOCK_GROUP  32
#define BLOCK_GROUPS 8 /* of a block, at most */

/* name, bits, integer scales, inputs of a scale, minimum, what stands for zero */
#define BLOCK_FORMATS(X)                                                                           \
    X(q4_k, 4, true, 32, true, 0)                                                                  \
    X(q5_k, 5, true, 32, true, 0)                                                                  \
    X(q6_k, 6, true, 16, false, 32)                                                                \
    X(q3_k, 4, true, 16, false, 4)                                                                 \
    X(q2_k, 4, true, 16, true, 0)                                                                  \
    X(q4_0, 4, false, 32, false, 8)                                                                \
    X(q4_1, 4, false, 32, true, 0)                                                                 \
    X(q5_0, 5, false, 32, false, 16)                                                               \
    X(q5_1, 5, false, 32, true, 0)                                                                 \
    X(q8_0, 8, false, 32, false, 128)

#define BLOCK_FORMAT_ID(name, bits, integer, group, minimum, zero) BLOCK_FORMAT_##name,
enum block_format_id { BLOCK_FORMATS(BLOCK_FORMAT_ID) BLOCK_FORMAT_COUNT };

struct block_format {
    uint8_t bits;
    bool integer;
    uint8_t group;
    bool minimum;
    uint8_t zero; /* of the unsigned value; the signed bytes of 8 bits are it less 128 */
};

struct block_weights {
    const uint8_t *packed;
    size_t strip_bytes;
    size_t n_groups; /* of a strip: even */
    size_t n_blocks;
    const float *bias; /* [n_out rounded up to whole strips] */
    size_t n_out;
    enum block_format_id format;
};

/* A range of outputs that is computed: output first + j of row i at y[i * stride + j]. */
struct block_range {
    size_t first;
    size_t n;
    float *y;
    size_t stride;
};

static inline size_t block_low_bytes(struct block_format f, size_t groups)
{
    return groups * (f.bits == 8 ? 512 : 256);
}

static inline size_t block_high_bytes(struct block_format f, size_t groups)
{
    return groups * (f.bits == 5 ? 64 : f.bits == 6 ? 128 : 0);
}

/* of the scales, and of the minimums where there are any */
static inline size_t block_scale_bytes(struct block_format f, size_t groups)
{
    return groups * (f.integer && f.group == 32 ? 16 : 32);
}

static inline size_t block_packed_bytes(struct block_format f, size_t groups)
{
    return block_low_bytes(f, groups) + block_high_bytes(f, groups) +
           block_scale_bytes(f, groups) * (f.minimum ? 2 : 1) + (f.integer ? 64 : 0);
}

/* Groups of block b. */
static inline size_t block_groups_at(size_t n_groups, size_t b)
{
    size_t left = n_groups - b * BLOCK_GROUPS;

    return left < BLOCK_GROUPS ? left : BLOCK_GROUPS;
}

/* block_rows_from() without a call. */
static inline struct block_rows block_rows_after(const struct block_rows *rows, size_t i)
{
    struct block_rows rest = *rows;

    rest.q += i * BLOCK_ROWS_BLOCK;
    rest.scale += i;
    rest.sum8 += i * (BLOCK_ROWS_BLOCK / 8);
    rest.sum16 += i * (BLOCK_ROWS_BLOCK / 16);
    rest.sum32 += i * (BLOCK_ROWS_BLOCK / 32);
    return rest;
}

#endif
