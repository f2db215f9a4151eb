/* Rows and queries. Layout and invariants: vector_rows.h. */
#include "store/vector_rows.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/f16.h"

#define ALIGN 64u

_Static_assert(EMBEDDING_DIM_MAX <= 8192, "integer sums fit 32 bits: vector_kernels.h");

struct vector_rows *vector_rows_new(size_t dim, enum vector_storage storage)
{
    struct vector_rows *rows = calloc(1, sizeof *rows);

    if (!rows)
        return NULL;
    atomic_init(&rows->refs, 1);
    rows->storage = storage;
    rows->dim = dim;
    rows->padded = (dim + VECTOR_PAD - 1) / VECTOR_PAD * VECTOR_PAD;
    rows->code_bytes =
        rows->padded * (storage == VECTOR_F32 ? 4u : (storage == VECTOR_F16 ? 2u : 1u));
    rows->kernels = vector_kernels_variant(0);
    return rows;
}

void vector_rows_ref(struct vector_rows *rows)
{
    atomic_fetch_add_explicit(&rows->refs, 1, memory_order_relaxed);
}

static void block_free(struct vector_block *b)
{
    if (!b)
        return;
    free(b->codes);
    free(b->low);
    free(b->scales);
    free(b);
}

void vector_rows_unref(struct vector_rows *rows)
{
    if (!rows || atomic_fetch_sub_explicit(&rows->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < rows->n_blocks; i++)
        block_free(rows->blocks[i]);
    free(rows);
}

static struct vector_block *block_new(const struct vector_rows *rows)
{
    struct vector_block *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->codes = aligned_alloc(ALIGN, VECTOR_BLOCK * rows->code_bytes);
    if (rows->storage == VECTOR_INT8) {
        b->low = aligned_alloc(ALIGN, VECTOR_BLOCK * rows->padded);
        b->scales = malloc(VECTOR_BLOCK * 2 * sizeof *b->scales);
    }
    if (!b->codes || (rows->storage == VECTOR_INT8 && (!b->low || !b->scales))) {
        block_free(b);
        return NULL;
    }
    return b;
}

enum rag_status vector_rows_reserve(struct vector_rows *rows, size_t n)
{
    if (n > VECTORS_MAX)
        return RAG_ELIMIT;
    while (rows->n_blocks * VECTOR_BLOCK < n) {
        struct vector_block *b = block_new(rows);

        if (!b)
            return RAG_ENOMEM;
        rows->blocks[rows->n_blocks++] = b;
    }
    return RAG_OK;
}

uint64_t vector_rows_bytes(const struct vector_rows *rows, size_t n)
{
    uint64_t row = rows->code_bytes + sizeof(uint64_t) * 2;

    if (rows->storage == VECTOR_INT8)
        row += rows->padded + 2 * sizeof(float);
    return row * n;
}

/* Returns the scale. */
static float set_int8(const struct vector_rows *rows, struct vector_block *b, size_t at,
                      const float *vector)
{
    int8_t *high = (int8_t *)b->codes + at * rows->padded;
    int8_t *low = b->low + at * rows->padded;
    float most = 0.0f;
    float scale;

    for (size_t i = 0; i < rows->dim; i++)
        most = fmaxf(most, fabsf(f16_to_f32(f16_from_f32(vector[i]))));
    scale = most / (float)VECTOR_INT16_MAX; /* most >= .99 / sqrt(dim) */
    for (size_t i = 0; i < rows->dim; i++) {
        float x = f16_to_f32(f16_from_f32(vector[i]));
        int v = (int)lrintf(x / scale);
        int h = (v + 128 + (128 << 8)) / 256 - 128; /* floor((v + 128) / 256): v >= -32640 */

        high[i] = (int8_t)h;
        low[i] = (int8_t)(v - 256 * h);
    }
    memset(high + rows->dim, 0, rows->padded - rows->dim);
    memset(low + rows->dim, 0, rows->padded - rows->dim);
    return scale;
}

float vector_rows_scale(const struct vector_rows *rows, uint32_t r)
{
    return vector_rows_block(rows, r)->scales[(size_t)(r % VECTOR_BLOCK) * 2];
}

void vector_rows_set_scale(struct vector_rows *rows, uint32_t r, float scale)
{
    float *scales = vector_rows_block(rows, r)->scales + (size_t)(r % VECTOR_BLOCK) * 2;
    const int8_t *low = vector_rows_low(rows, r);
    double sum = 0.0;

    for (size_t i = 0; i < rows->dim; i++)
        sum += (double)low[i] * (double)low[i];
    scales[0] = scale;
    scales[1] = (float)(sqrt(sum) * (double)scale * (1.0 + 1e-6)); /* rounded up */
}

bool vector_rows_padded(const struct vector_rows *rows, uint32_t r)
{
    const uint8_t *code = vector_rows_code(rows, r);
    size_t element = rows->code_bytes / rows->padded;

    for (size_t i = rows->dim * element; i < rows->code_bytes; i++)
        if (code[i])
            return false;
    for (size_t i = rows->dim; i < rows->padded && rows->storage == VECTOR_INT8; i++)
        if (vector_rows_low(rows, r)[i])
            return false;
    return true;
}

void vector_rows_set(struct vector_rows *rows, uint32_t r, uint64_t id, const float *vector)
{
    struct vector_block *b = vector_rows_block(rows, r);
    size_t at = r % VECTOR_BLOCK;

    b->ids[at] = id;
    atomic_store_explicit(&b->dead[at], 0, memory_order_relaxed);
    if (rows->storage == VECTOR_INT8) {
        vector_rows_set_scale(rows, r, set_int8(rows, b, at, vector));
    } else if (rows->storage == VECTOR_F16) {
        uint16_t *to = (uint16_t *)(void *)(b->codes + at * rows->code_bytes);

        f16_encode(vector, rows->dim, to);
        memset(to + rows->dim, 0, (rows->padded - rows->dim) * sizeof *to);
    } else {
        float *to = (float *)(void *)(b->codes + at * rows->code_bytes);

        memcpy(to, vector, rows->dim * sizeof *to);
        memset(to + rows->dim, 0, (rows->padded - rows->dim) * sizeof *to);
    }
}

void vector_rows_copy(struct vector_rows *rows, uint32_t r, const struct vector_rows *from,
                      uint32_t s)
{
    struct vector_block *b = vector_rows_block(rows, r);
    const struct vector_block *c = vector_rows_block(from, s);
    size_t at = r % VECTOR_BLOCK;
    size_t source = s % VECTOR_BLOCK;

    b->ids[at] = c->ids[source];
    atomic_store_explicit(&b->dead[at], 0, memory_order_relaxed);
    memcpy(b->codes + at * rows->code_bytes, c->codes + source * rows->code_bytes,
           rows->code_bytes);
    if (rows->storage != VECTOR_INT8)
        return;
    memcpy(b->low + at * rows->padded, c->low + source * rows->padded, rows->padded);
    memcpy(b->scales + at * 2, c->scales + source * 2, 2 * sizeof *b->scales);
}

void vector_rows_get(const struct vector_rows *rows, uint32_t r, float *ret)
{
    const void *code = vector_rows_code(rows, r);
    const uint16_t *half = code;
    const int8_t *high = code;
    const int8_t *low = rows->storage == VECTOR_INT8 ? vector_rows_low(rows, r) : NULL;
    float scale = low ? vector_rows_scale(rows, r) : 0.0f;

    if (rows->storage == VECTOR_F32) {
        memcpy(ret, code, rows->dim * sizeof *ret);
        return;
    }
    for (size_t i = 0; i < rows->dim; i++)
        ret[i] = low ? (float)(256 * high[i] + low[i]) * scale : f16_to_f32(half[i]);
}

float vector_rows_score(const struct vector_rows *rows, const struct vector_query *q, uint32_t r)
{
    if (rows->storage != VECTOR_INT8)
        return vector_rows_scan(rows, q, r);
    return rows->kernels->i16(q->f32, (const int8_t *)vector_rows_code(rows, r),
                              vector_rows_low(rows, r), rows->padded) *
           vector_rows_scale(rows, r);
}

float vector_rows_between(const struct vector_rows *rows, uint32_t a, uint32_t b)
{
    const void *x = vector_rows_code(rows, a);
    const void *y = vector_rows_code(rows, b);

    if (rows->storage == VECTOR_F16)
        return rows->kernels->f16_f16(x, y, rows->padded);
    if (rows->storage == VECTOR_F32)
        return rows->kernels->f32(x, y, rows->padded);
    return (float)rows->kernels->i8_i8(x, y, rows->padded) * 65536.0f * vector_rows_scale(rows, a) *
           vector_rows_scale(rows, b);
}

bool vector_is_unit(const float *vector, size_t dim, double *ret_length)
{
    double sum = 0.0;

    for (size_t i = 0; i < dim; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (ret_length)
        *ret_length = sqrt(sum);
    return fabs(sqrt(sum) - 1.0) <= VECTOR_LENGTH_TOL; /* false for a NaN too */
}

/* ---- queries ---- */

enum rag_status vector_query_init(struct vector_query *q, const struct vector_rows *rows)
{
    memset(q, 0, sizeof *q);
    q->f32 = aligned_alloc(ALIGN, rows->padded * sizeof *q->f32);
    if (rows->storage == VECTOR_INT8)
        q->i12 = aligned_alloc(ALIGN, rows->padded * sizeof *q->i12);
    if (!q->f32 || (rows->storage == VECTOR_INT8 && !q->i12)) {
        vector_query_release(q);
        return RAG_ENOMEM;
    }
    memset(q->f32, 0, rows->padded * sizeof *q->f32);
    if (q->i12)
        memset(q->i12, 0, rows->padded * sizeof *q->i12);
    return RAG_OK;
}

void vector_query_release(struct vector_query *q)
{
    free(q->f32);
    free(q->i12);
    memset(q, 0, sizeof *q);
}

/* Make i12 of f32. The error of a scan: |sum (q - scale i12) x256| <= |q - scale i12| |x256|,
 * where |x256| <= 1 + VECTOR_LENGTH_TOL + residual < 1.3, and rounding of the float sums. */
static void quantise(struct vector_query *q, size_t n)
{
    float most = 0.0f;
    double error = 0.0;
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(q->f32[i]));
    q->scale = most / (float)VECTOR_QUERY_MAX;
    if (q->scale < FLT_MIN)
        most = 0.0f; /* all of it is error then */
    for (size_t i = 0; i < n; i++) {
        double d;

        q->i12[i] = (int16_t)(most > 0.0f ? lrintf(q->f32[i] / q->scale) : 0);
        d = (double)q->f32[i] - (double)q->scale * q->i12[i];
        error += d * d;
        sum += (double)q->f32[i] * (double)q->f32[i];
    }
    q->length = (float)sqrt(sum);
    q->error = (float)(sqrt(error) * 1.3 + 1e-5 * sqrt(sum));
}

void vector_query_set(struct vector_query *q, const struct vector_rows *rows, const float *vector)
{
    memcpy(q->f32, vector, rows->dim * sizeof *q->f32);
    if (rows->storage == VECTOR_INT8)
        quantise(q, rows->dim);
}

void vector_query_set_row(struct vector_query *q, const struct vector_rows *rows, uint32_t r)
{
    vector_rows_get(rows, r, q->f32);
    if (rows->storage == VECTOR_INT8)
        quantise(q, rows->dim);
}
