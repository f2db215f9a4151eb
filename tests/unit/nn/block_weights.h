/* tests/unit/nn/block_weights.h - random weights of every type of nn/quant_blocks.h. */
#ifndef RAG_TESTS_BLOCK_WEIGHTS_H
#define RAG_TESTS_BLOCK_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/f16.h"
#include "kernel_paths.h"
#include "nn/quant_blocks.h"

/* Where a block has its f16 scales; -1: none. */
static inline const int *block_scales_at(enum block_type type)
{
    static const int at[BLOCK_TYPES][2] = {
        [BLOCK_Q4_0] = {0,   -1},
          [BLOCK_Q4_1] = {0,   2 },
          [BLOCK_Q5_0] = {0,   -1},
        [BLOCK_Q5_1] = {0,   2 },
          [BLOCK_Q8_0] = {0,   -1},
          [BLOCK_Q2_K] = {80,  82},
        [BLOCK_Q3_K] = {108, -1},
          [BLOCK_Q4_K] = {0,   2 },
          [BLOCK_Q5_K] = {0,   2 },
        [BLOCK_Q6_K] = {208, -1},
          [BLOCK_IQ4_NL] = {0,   -1},
          [BLOCK_IQ4_XS] = {0,   -1},
        [BLOCK_IQ2_XXS] = {0,   -1},
    };

    return at[type];
}

/* Exactly n weights: every byte random, scales around 1/64. To be freed. */
static inline uint8_t *random_blocks(enum block_type type, size_t n, uint64_t *seed)
{
    size_t bytes = n / block_elements(type) * block_bytes(type);
    uint8_t *ret = malloc(bytes);

    if (!ret)
        abort();
    if (type == BLOCK_F32 || type == BLOCK_F16 || type == BLOCK_BF16) {
        for (size_t i = 0; i < n; i++) {
            float value = draw_float(seed);
            uint16_t half = f16_from_f32(value);

            if (type == BLOCK_F32)
                memcpy(ret + 4 * i, &value, 4);
            else if (type == BLOCK_F16)
                memcpy(ret + 2 * i, &half, 2);
            else
                memcpy(ret + 2 * i, (uint8_t *)&value + 2, 2);
        }
        return ret;
    }
    for (size_t i = 0; i < bytes; i++)
        ret[i] = (uint8_t)(draw(seed) >> 40);
    for (size_t b = 0; b < bytes; b += block_bytes(type))
        for (size_t i = 0; i < 2; i++)
            if (block_scales_at(type)[i] >= 0) {
                /* multiplied by up to 170 in IQ2_XXS */
                float parts = type == BLOCK_IQ2_XXS ? 512 : 64;
                uint16_t half = f16_from_f32((1.5f + draw_float(seed)) / parts);

                memcpy(ret + b + (size_t)block_scales_at(type)[i], &half, 2);
            }
    return ret;
}

#endif
