/* Goal: block_rows.h on every path. Method: the definition, value by value, and every path against
 * the portable twin to the last bit. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_paths.h"
#include "nn/block_rows.h"

#define ROWS 12

static const size_t widths[] = {1, 5, 31, 32, 48, 64, 255, 256, 257, 288, 320, 2560};

static void draw_rows(size_t width, float *ret)
{
    uint64_t seed = 8;

    draw_floats(&seed, ROWS * width, 3, ret);
    for (size_t j = 0; j < width; j++) {
        ret[1 * width + j] = 0;
        ret[2 * width + j] *= 1e-31f;
        ret[3 * width + j] = (float)(j % 255) - 127.0f; /* every step, among them halves below */
        ret[4 * width + j] = (float)(j % 255) / 2 - 63.5f;
        ret[5 * width + j] *= 1e30f;
        ret[6 * width + j] = j % 2 ? -0.0f : 0.0f;
    }
    ret[4 * width] = 127; /* so that a step is 1 and the others of this row are ties */
    ret[7 * width + width - 1] = NAN;
    ret[8 * width] = -INFINITY;
    ret[9 * width + width / 2] = -1e5f;
}

static struct block_rows quantized(const struct kernels *k, const float *x, size_t width,
                                   void **ret_memory)
{
    size_t bytes = block_rows_bytes(k, ROWS, width);
    struct block_rows rows;

    *ret_memory = floats(bytes / sizeof(float));
    memset(*ret_memory, 0x55, bytes);
    rows = block_rows_in(k, *ret_memory, ROWS, width);
    block_rows_quantize(k, x, width, ROWS, &rows);
    return rows;
}

static void check_block(const struct kernels *k, const struct block_rows *row, size_t i, size_t b,
                        const float *x)
{
    size_t at = block_rows_at(row, 0, b);
    const int8_t *q = row->q + at * BLOCK_ROWS_BLOCK;
    size_t n = row->width - b * BLOCK_ROWS_BLOCK;
    float max = 0;
    bool finite = true;

    n = n < BLOCK_ROWS_BLOCK ? n : BLOCK_ROWS_BLOCK;
    for (size_t j = 0; j < n; j++) {
        finite = finite && isfinite(x[j]);
        max = fmaxf(max, fabsf(x[j]));
    }
    if (!finite)
        assert_true(isnan(row->scale[at]));
    else
        assert_true(row->scale[at] == (max < 1e-30f ? 0 : max / 127.0f));
    for (size_t j = 0; j < BLOCK_ROWS_BLOCK; j++) {
        long expected = finite && max >= 1e-30f && j < n ? lrintf(x[j] * (127.0f / max)) : 0;

        if (q[j] != expected)
            fail_msg("%s, width %zu, row %zu, block %zu: value %zu is %d, not %ld", kernels_name(k),
                     row->width, i, b, j, q[j], expected);
    }
    for (size_t s = 0; s < 32; s++) {
        int sum = 0;

        for (size_t j = 0; j < 8; j++)
            sum += q[s * 8 + j];
        assert_int_equal(row->sum8[at * 32 + s], sum);
    }
    for (size_t s = 0; s < 16; s++)
        assert_int_equal(row->sum16[at * 16 + s],
                         row->sum8[at * 32 + 2 * s] + row->sum8[at * 32 + 2 * s + 1]);
    for (size_t s = 0; s < 8; s++)
        assert_int_equal(row->sum32[at * 8 + s],
                         row->sum16[at * 16 + 2 * s] + row->sum16[at * 16 + 2 * s + 1]);
}

static void check_definition(const struct kernels *k, const struct block_rows *rows, const float *x)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct block_rows row = block_rows_from(rows, i);

        for (size_t b = 0; b < row.n_blocks; b++)
            check_block(k, &row, i, b, x + i * row.width + b * BLOCK_ROWS_BLOCK);
    }
}

static void every_path_follows_the_definition(void **state)
{
    const struct kernels *k;
    size_t at = 0;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t w = 0; w < COUNT(widths); w++) {
            float *x = floats(ROWS * widths[w]);
            void *memory = NULL;
            struct block_rows rows;

            draw_rows(widths[w], x);
            rows = quantized(k, x, widths[w], &memory);
            check_definition(k, &rows, x);
            free(memory);
            free(x);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_follows_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
