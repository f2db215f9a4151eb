/* Attention with the products in bfloat16 on AMX, sums and softmax in float32.
 *
 * Per head, keys and values are rounded and laid out as the B operands of tdpbf16ps, pairs of the
 * summed dimension side by side:
 *
 *     k_tiles [n/16][d/32]: row r of a tile holds dimensions 2r, 2r+1 of 16 keys
 *     v_tiles [d/16][n/32]: row r of a tile holds keys 2r, 2r+1 of 16 dimensions
 *
 * Then 32 queries at a time: s = q k^T (2 x 2 tiles), p = exp2(s - max s), o = p v. The queries
 * carry scale * log2 e. What pads n and d is 0. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/amx_tiles.h"
#include "nn/attention_bf16.h"
#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"

#define ROWS 32

struct amx_attention {
    size_t n;
    size_t n_padded; /* multiple of 32 */
    size_t head_dim;
    size_t d_padded; /* multiple of 32 */
    size_t s_stride; /* floats of a row of s */
    size_t p_stride; /* bfloat16s of a row of p */
    uint16_t *k_tiles;
    uint16_t *v_tiles;
    uint16_t *q; /* [ROWS][d_padded] */
    float *s;    /* [ROWS][s_stride] */
    uint16_t *p; /* [ROWS][p_stride] */
    float *o;    /* [ROWS][32] */
    float inverse_sum[ROWS] __attribute__((aligned(64)));
};

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Sizes and places; the floats of scratch that they take. Rows are an odd number of cache lines
 * apart, for tiles read 16 of them at once. */
static size_t lay_out(struct amx_attention *t, const struct attention *a, size_t n, float *scratch)
{
    size_t at = 0;

    t->n = n;
    t->n_padded = rounded(n, 32);
    t->head_dim = a->head_dim;
    t->d_padded = rounded(a->head_dim, 32);
    t->s_stride = t->n_padded + 16;
    t->p_stride = t->n_padded / 32 % 2 ? t->n_padded : t->n_padded + 32;
    if (scratch) {
        t->k_tiles = (uint16_t *)(void *)scratch;
        t->v_tiles = t->k_tiles + t->n_padded * t->d_padded;
        t->q = t->v_tiles + t->n_padded * t->d_padded;
        t->p = t->q + ROWS * t->d_padded;
        t->o = scratch + t->n_padded * t->d_padded + ROWS * (t->d_padded + t->p_stride) / 2;
        t->s = t->o + ROWS * 32;
    }
    at = t->n_padded * t->d_padded + ROWS * (t->d_padded + t->p_stride) / 2 + ROWS * 32 +
         ROWS * t->s_stride;
    return at;
}

size_t attention_scratch_amx(const struct attention *a, size_t n)
{
    struct amx_attention t = {0};

    return lay_out(&t, a, n, NULL);
}

static void pack_keys(const struct amx_attention *t, const float *k, size_t stride)
{
    uint16_t *tile = t->k_tiles;

    for (size_t j = 0; j < t->n_padded; j += 16)
        for (size_t d = 0; d < t->d_padded; d += 32, tile += TILE_BYTES / 2) {
            vf pairs[16]; /* a key each; a lane is two dimensions */

            for (size_t i = 0; i < 16; i++)
                pairs[i] = j + i < t->n
                               ? _mm512_castsi512_ps(to_bf16(k + (j + i) * stride + d,
                                                             t->head_dim - d, _mm512_set1_ps(1)))
                               : _mm512_setzero_ps();
            vf_transpose(pairs);
            for (size_t i = 0; i < 16; i++)
                _mm512_store_ps(tile + i * 32, pairs[i]);
        }
}

static void pack_values(const struct amx_attention *t, const float *v, size_t stride)
{
    uint16_t *tile = t->v_tiles;
    uint16_t order[32];
    __m512i interleave;

    for (uint16_t i = 0; i < 16; i++) {
        order[2 * i] = i;
        order[2 * i + 1] = (uint16_t)(16 + i);
    }
    interleave = _mm512_loadu_si512(order);
    for (size_t d = 0; d < t->d_padded; d += 16)
        for (size_t j = 0; j < t->n_padded; j += 32, tile += TILE_BYTES / 2)
            for (size_t i = 0; i < 16; i++) {
                size_t key = j + 2 * i;
                size_t left = d < t->head_dim ? t->head_dim - d : 0;
                __m512 even =
                    key < t->n ? vf_load_n(v + key * stride + d, left) : _mm512_setzero_ps();
                __m512 odd = key + 1 < t->n ? vf_load_n(v + (key + 1) * stride + d, left)
                                            : _mm512_setzero_ps();
                __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);

                _mm512_store_si512(tile + i * 32, _mm512_permutexvar_epi16(interleave, both));
            }
}

static void pack_queries(const struct amx_attention *t, const float *q, size_t stride, size_t n,
                         float scale)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t d = 0; d < t->d_padded; d += 32)
            _mm512_store_si512(
                t->q + i * t->d_padded + d,
                i < n ? to_bf16(q + i * stride + d, t->head_dim - d, _mm512_set1_ps(scale * LOG2_E))
                      : _mm512_setzero_si512());
}

/* s of 32 queries and all keys, 32 keys at a time. */
static void scores(const struct amx_attention *t)
{
    size_t tiles = t->d_padded / 32;
    const uint16_t *lower = t->q + 16 * t->d_padded;
    long q_stride = (long)(t->d_padded * 2);
    long s_stride = (long)(t->s_stride * 4);

    _tile_loadd(4, t->q, q_stride);
    _tile_loadd(5, lower, q_stride);
    for (size_t j = 0; j < t->n_padded; j += 32) {
        const uint16_t *left = t->k_tiles + j / 16 * tiles * (TILE_BYTES / 2);
        const uint16_t *right = left + tiles * (TILE_BYTES / 2);

        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (size_t i = 0; i < tiles; i++) {
            if (tiles > 1) { /* else the queries stay where they are */
                _tile_loadd(4, t->q + i * 32, q_stride);
                _tile_loadd(5, lower + i * 32, q_stride);
            }
            _tile_loadd(6, left + i * (TILE_BYTES / 2), 64);
            _tile_loadd(7, right + i * (TILE_BYTES / 2), 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, t->s + j, s_stride);
        _tile_stored(1, t->s + j + 16, s_stride);
        _tile_stored(2, t->s + 16 * t->s_stride + j, s_stride);
        _tile_stored(3, t->s + 16 * t->s_stride + j + 16, s_stride);
    }
}

/* Their sums, likewise. */
static inline vf sum_of_rows(vf row[16])
{
    vf_transpose(row);
    for (size_t step = 8; step > 0; step /= 2)
        for (size_t i = 0; i < step; i++)
            row[i] = vf_add(row[i], row[i + step]);
    return row[0];
}

/* Largest score of a query, still in 16 lanes. */
static inline vf largest_scores(const struct amx_attention *t, const float *s)
{
    vf first = vf_set1(-INFINITY);
    vf second = vf_set1(-INFINITY);
    size_t j = 0;

    for (; j + 32 <= t->n; j += 32) {
        first = vf_max(first, vf_load(s + j));
        second = vf_max(second, vf_load(s + j + 16));
    }
    for (; j < t->n; j += 16)
        first = _mm512_mask_max_ps(first, vf_mask(t->n - j), first, vf_load(s + j));
    return vf_max(first, second);
}

/* p of a query; the sum of them, still in 16 lanes. */
static inline vf probabilities(const struct amx_attention *t, const float *s, vf largest,
                               uint16_t *p)
{
    vf sum_low = vf_set1(0);
    vf sum_high = vf_set1(0);
    size_t j = 0;

    for (; j + 32 <= t->n; j += 32) {
        vf low = exp2_rough(vf_sub(vf_load(s + j), largest));
        vf high = exp2_rough(vf_sub(vf_load(s + j + 16), largest));

        sum_low = vf_add(sum_low, low);
        sum_high = vf_add(sum_high, high);
        _mm512_store_si512(p + j, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    if (j < t->n) {
        size_t left = t->n - j;
        vf low = exp2_rough(vf_sub(vf_load(s + j), largest));
        vf high = exp2_rough(vf_sub(vf_load(s + j + 16), largest));

        low = _mm512_maskz_mov_ps(vf_mask(left), low);
        high = _mm512_maskz_mov_ps(vf_mask(left > 16 ? left - 16 : 0), high);
        sum_low = vf_add(sum_low, low);
        sum_high = vf_add(sum_high, high);
        _mm512_store_si512(p + j, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    return vf_add(sum_low, sum_high);
}

/* p of 16 queries from 'first' on, and what their o is to be multiplied by. Rows behind the last
 * query hold zeros, so nothing is special about them. */
static void softmax_rows(struct amx_attention *t, size_t first)
{
    float largest[16] __attribute__((aligned(64)));
    vf row[16];

    for (size_t i = 0; i < 16; i++)
        row[i] = largest_scores(t, t->s + (first + i) * t->s_stride);
    _mm512_store_ps(largest, largest_of_rows(row));
    for (size_t i = 0; i < 16; i++)
        row[i] = probabilities(t, t->s + (first + i) * t->s_stride, vf_set1(largest[i]),
                               t->p + (first + i) * t->p_stride);
    _mm512_store_ps(t->inverse_sum + first, vf_div(vf_set1(1), sum_of_rows(row)));
}

/* o of 32 queries for dimensions d .. d + 31. */
static void weighted(const struct amx_attention *t, size_t d)
{
    const uint16_t *left = t->v_tiles + d / 16 * (t->n_padded / 32) * (TILE_BYTES / 2);
    const uint16_t *right = left + t->n_padded / 32 * (TILE_BYTES / 2);
    const uint16_t *lower = t->p + 16 * t->p_stride;
    long p_stride = (long)(t->p_stride * 2);

    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t j = 0; j < t->n_padded; j += 32) {
        _tile_loadd(4, t->p + j, p_stride);
        _tile_loadd(6, left + j / 32 * (TILE_BYTES / 2), 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, right + j / 32 * (TILE_BYTES / 2), 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, lower + j, p_stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, t->o, 128);
    _tile_stored(1, t->o + 16, 128);
    _tile_stored(2, t->o + 16 * 32, 128);
    _tile_stored(3, t->o + 16 * 32 + 16, 128);
}

static void store_outputs(const struct amx_attention *t, size_t n_rows, size_t d, float *out,
                          size_t stride)
{
    size_t left = t->head_dim - d;

    for (size_t i = 0; i < n_rows; i++) {
        vf factor = vf_set1(t->inverse_sum[i]);

        vf_store_n(out + i * stride + d, left, vf_mul(vf_load(t->o + i * 32), factor));
        if (left > 16)
            vf_store_n(out + i * stride + d + 16, left - 16,
                       vf_mul(vf_load(t->o + i * 32 + 16), factor));
    }
}

void attention_amx(const struct attention *a, const float *qkv, size_t qkv_stride, size_t n,
                   size_t first_query, size_t n_queries, float *out, size_t out_stride,
                   float *scratch)
{
    size_t width = a->n_heads * a->head_dim;
    struct amx_attention t = {0};

    (void)lay_out(&t, a, n, scratch);
    amx_configure();
    /* rows of p beyond the last query are multiplied too, and what was there must be numbers: a
     * tile's rows are independent, but denormals and NaNs may cost time */
    memset(t.p, 0, ROWS * t.p_stride * sizeof *t.p);
    for (size_t head = 0; head < a->n_heads; head++) {
        const float *q = qkv + first_query * qkv_stride + head * a->head_dim;
        const float *k = qkv + width + head * a->head_dim;

        pack_keys(&t, k, qkv_stride);
        pack_values(&t, k + width, qkv_stride);
        for (size_t i = 0; i < n_queries; i += ROWS) {
            size_t n_rows = n_queries - i < ROWS ? n_queries - i : ROWS;

            pack_queries(&t, q + i * qkv_stride, qkv_stride, n_rows, a->scale);
            scores(&t);
            softmax_rows(&t, 0);
            if (n_rows > 16)
                softmax_rows(&t, 16);
            for (size_t d = 0; d < t.d_padded; d += 32) {
                weighted(&t, d);
                store_outputs(&t, n_rows, d, out + i * out_stride + head * a->head_dim, out_stride);
            }
        }
    }
    amx_release();
}
