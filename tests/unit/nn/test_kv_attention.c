/* Goal: kv_attention.h is the formula on every path, and a query's result is the same to the last
 * bit whatever it is computed with. Method: against sums in double over the keys as they are
 * stored; the same queries alone, in chunks of several sizes, over pages that were filled in other
 * pieces and that hold other numbers behind the end. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/f16.h"
#include "kernel_paths.h"
#include "nn/kv_attention.h"

struct row {
    const char *name;
    size_t n_heads;
    size_t n_kv_heads;
    size_t head_dim;
    size_t history; /* tokens before the queries */
    size_t n;       /* queries */
    size_t window;
    float size; /* of q and k: how peaked the softmax is */
};

static const struct row rows[] = {
    {"one token",                              1,  1, 8,   0,   1,   0,   1 },
    {"the least that a head can be",           2,  1, 2,   3,   5,   0,   1 },
    {"stories15M",                             6,  6, 48,  0,   70,  0,   1 },
    {"a tiny model, pages not whole",          4,  2, 16,  5,   40,  0,   1 },
    {"EXAONE 3.5",                             8,  2, 80,  0,   70,  0,   1 },
    {"EXAONE 3.5 far into a text",             8,  2, 80,  500, 20,  0,   1 },
    {"Llama 3.2 1B",                           8,  2, 64,  31,  70,  0,   1 },
    {"Qwen3",                                  4,  2, 128, 64,  64,  0,   1 },
    {"eight query heads share a key",          8,  1, 96,  33,  37,  0,   1 },
    {"no query heads share a key",             3,  3, 32,  32,  100, 0,   1 },
    {"more query heads a key than a tile has", 71, 1, 16,  10,  3,   0,   1 },
    {"Gemma's local layers",                   4,  1, 256, 40,  50,  32,  1 },
    {"a window that is no multiple of a page", 4,  2, 24,  3,   150, 45,  1 },
    {"a window of one key",                    2,  1, 16,  30,  40,  1,   1 },
    {"a window longer than the text",          2,  1, 16,  0,   40,  999, 1 },
    {"an odd half of a head",                  4,  2, 10,  7,   60,  0,   1 },
    {"a head wider than a vector by two",      4,  2, 34,  7,   60,  0,   1 },
    {"one key takes nearly all",               4,  2, 64,  40,  40,  0,   12},
    {"a long text",                            2,  1, 32,  0,   700, 0,   1 },
};

/* One sequence of history + n tokens. */
struct fixture {
    const struct kernels *k;
    struct kv_shape shape;
    size_t total;
    size_t width;    /* of q */
    size_t kv_width; /* of keys and of values */
    float *q;
    float *keys;
    float *values;
    size_t n_pages;
    unsigned char **pages;
};

static void fill_pages(struct fixture *f, size_t piece, int behind)
{
    size_t bytes = kv_page_bytes(f->k, &f->shape);

    assert_int_equal(bytes % 64, 0);
    for (size_t i = 0; i < f->n_pages; i++)
        memset(f->pages[i], behind, bytes);
    for (size_t i = 0; i < f->total; i += piece) {
        size_t m = f->total - i < piece ? f->total - i : piece;
        size_t half = f->shape.n_kv_heads / 2;
        const float *k = f->keys + i * f->kv_width;
        const float *v = f->values + i * f->kv_width;

        kv_store(f->k, &f->shape, f->pages, i, k, v, f->kv_width, m, half,
                 f->shape.n_kv_heads - half);
        kv_store(f->k, &f->shape, f->pages, i, k, v, f->kv_width, m, 0, half);
    }
}

static void prepare(struct fixture *f, const struct kernels *k, const struct row *row,
                    enum kv_type type)
{
    uint64_t seed = row->n + row->head_dim;

    *f = (struct fixture){.k = k, .total = row->history + row->n};
    f->shape = (struct kv_shape){.type = type,
                                 .n_heads = row->n_heads,
                                 .n_kv_heads = row->n_kv_heads,
                                 .head_dim = row->head_dim,
                                 .scale = 1.0f / sqrtf((float)row->head_dim),
                                 .window = row->window};
    f->width = row->n_heads * row->head_dim;
    f->kv_width = row->n_kv_heads * row->head_dim;
    f->q = floats(f->total * f->width);
    f->keys = floats(f->total * f->kv_width);
    f->values = floats(f->total * f->kv_width);
    draw_floats(&seed, f->total * f->width, row->size, f->q);
    draw_floats(&seed, f->total * f->kv_width, row->size, f->keys);
    draw_floats(&seed, f->total * f->kv_width, 1, f->values);
    f->n_pages = (f->total + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    f->pages = calloc(f->n_pages, sizeof *f->pages);
    assert_non_null(f->pages);
    for (size_t i = 0; i < f->n_pages; i++)
        f->pages[i] = (unsigned char *)floats(kv_page_bytes(k, &f->shape) / sizeof(float));
    fill_pages(f, f->total, 0);
}

static void release(struct fixture *f)
{
    for (size_t i = 0; i < f->n_pages; i++)
        free(f->pages[i]);
    free(f->pages);
    free(f->q);
    free(f->keys);
    free(f->values);
}

/* Queries first .. first + n - 1 of the sequence, by kv heads in descending order. */
static void attend(const struct fixture *f, size_t first, size_t n, float *out)
{
    size_t bytes = kv_attention_scratch_bytes(f->k, &f->shape, n);
    float *scratch = floats((bytes + sizeof(float) - 1) / sizeof(float));

    memset(scratch, 0xFF, bytes); /* NaNs */
    for (size_t head = f->shape.n_kv_heads; head-- > 0;)
        kv_attention(f->k, &f->shape, f->pages, first, f->q + first * f->width, f->width, n, head,
                     out, f->width, scratch);
    free(scratch);
}

/* Are keys, values, queries and probabilities rounded to bfloat16? */
static bool is_bf16(const struct fixture *f)
{
    return f->shape.type == KV_F16 && kernels_path(f->k) == KERNELS_AMX;
}

static double stored(const struct fixture *f, float x)
{
    if (is_bf16(f))
        return (double)x;
    return (double)(f->shape.type == KV_F16 ? f16_to_f32(f16_from_f32(x)) : x);
}

static void expected(const struct fixture *f, size_t position, size_t head, double *ret)
{
    const struct kv_shape *s = &f->shape;
    size_t kv_head = head / (s->n_heads / s->n_kv_heads);
    const float *q = f->q + position * f->width + head * s->head_dim;
    size_t first = s->window && position >= s->window ? position - s->window + 1 : 0;
    double *p = calloc(position + 1, sizeof *p);
    double largest = -INFINITY;
    double sum = 0;

    assert_non_null(p);
    for (size_t j = first; j <= position; j++) {
        const float *k = f->keys + j * f->kv_width + kv_head * s->head_dim;

        for (size_t d = 0; d < s->head_dim; d++)
            p[j] += (double)q[d] * stored(f, k[d]) * (double)s->scale;
        largest = fmax(largest, p[j]);
    }
    for (size_t j = first; j <= position; j++)
        sum += p[j] = exp(p[j] - largest);
    for (size_t d = 0; d < s->head_dim; d++) {
        ret[d] = 0;
        for (size_t j = first; j <= position; j++)
            ret[d] +=
                p[j] / sum * stored(f, f->values[j * f->kv_width + kv_head * s->head_dim + d]);
    }
    free(p);
}

static void check_formula(const struct fixture *f, const struct row *row, const float *out)
{
    double truth[KV_HEAD_DIM_MAX];
    /* bfloat16 has 8 bits; the values' largest magnitude is 1 */
    double slack = (is_bf16(f) ? 0.02 : 3e-6) * (double)row->size;
    size_t step = row->n > 100 ? 13 : 1; /* some of many queries */

    for (size_t i = 0; i < row->n; i += step)
        for (size_t head = 0; head < row->n_heads; head++) {
            expected(f, row->history + i, head, truth);
            for (size_t d = 0; d < row->head_dim; d++) {
                double found = (double)out[i * f->width + head * row->head_dim + d];

                if (!(fabs(found - truth[d]) <= slack))
                    fail_msg("%s, %s, type %d: query %zu head %zu dimension %zu: %.9g, expected "
                             "%.9g",
                             kernels_name(f->k), row->name, (int)f->shape.type, i, head, d, found,
                             truth[d]);
            }
        }
}

static void check_chunks(struct fixture *f, const struct row *row, const float *whole)
{
    static const struct {
        size_t queries;
        size_t stored; /* tokens that are stored at once */
        int behind;    /* bytes of a page where nothing was stored */
    } chunks[] = {
        {1,   1,   0   },
        {7,   3,   0x3C},
        {16,  16,  0x11},
        {64,  32,  0xB4},
        {512, 100, 0   },
    };
    float *part = floats(512 * f->width);

    for (size_t c = 0; c < COUNT(chunks); c++) {
        size_t n = chunks[c].queries;

        fill_pages(f, chunks[c].stored, chunks[c].behind);
        for (size_t first = 0; first < row->n; first += n) {
            size_t m = row->n - first < n ? row->n - first : n;

            attend(f, row->history + first, m, part);
            if (memcmp(part, whole + first * f->width, m * f->width * sizeof *part) != 0)
                fail_msg("%s, %s, type %d: queries %zu..%zu differ from those of all at once",
                         kernels_name(f->k), row->name, (int)f->shape.type, first, first + m - 1);
        }
    }
    free(part);
}

static void attention_is_the_formula_in_any_chunks(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(rows); i++)
            for (int type = KV_F16; type <= KV_F32; type++) {
                struct fixture f;
                float *out = floats(rows[i].n * rows[i].n_heads * rows[i].head_dim);

                prepare(&f, k, &rows[i], (enum kv_type)type);
                attend(&f, rows[i].history, rows[i].n, out);
                check_formula(&f, &rows[i], out);
                check_chunks(&f, &rows[i], out);
                release(&f);
                free(out);
            }
}

/* A NaN in a key reaches those who see it, and nobody before it. */
static void nan_is_not_hidden(void **state)
{
    static const struct row row = {"NaN", 4, 2, 32, 0, 100, 0, 1};
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (int type = KV_F16; type <= KV_F32; type++) {
            struct fixture f;
            float *out = floats(row.n * 4 * row.head_dim);
            const float bad = NAN;

            prepare(&f, k, &row, (enum kv_type)type);
            f.keys[50 * f.kv_width + 5] = bad; /* of kv head 0 */
            fill_pages(&f, f.total, 0);
            attend(&f, 0, row.n, out);
            for (size_t i = 0; i < row.n; i++)
                for (size_t d = 0; d < f.width; d++)
                    assert_int_equal(isnan(out[i * f.width + d]) != 0,
                                     i >= 50 && d < 2 * row.head_dim);
            release(&f);
            free(out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_the_formula_in_any_chunks),
        cmocka_unit_test(nan_is_not_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
