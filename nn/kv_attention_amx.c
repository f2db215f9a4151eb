/* nn/kv_attention.h with the products in bfloat16 on AMX, sums and softmax in float32: the
 * precision that these models are trained in. KV_F32 is the AVX-512 path's.
 *
 * Inside a page each kv head has tiles, the B operands of tdpbf16ps, pairs of the summed dimension
 * side by side:
 *
 *     keys   [2][head_dim / 2][16][2]         16 positions; row r holds dimensions 2r, 2r + 1
 *     values [ceil(head_dim / 16)][16][16][2] 16 dimensions; row r holds positions 2r, 2r + 1
 *
 * Rows (query heads of queries, those of a query together) go by 16. They meet the keys in blocks
 * of BLOCK_PAGES pages, which begin at multiples of as many; for a row and a block
 *
 *     s[j] = q . keys[j]              in tdpbf16ps's order; q carries scale * log2 e
 *     m'   = max of s[j] that are seen, where it is above m + GROWTH; else m
 *     p[j] = bfloat16(2^(s[j] - m')), 0 for those not seen
 *     l    = l 2^(m - m') + p         16 lanes, summed at the end
 *     o    = o 2^(m - m') + p values  page by page, in tdpbf16ps's order
 *
 * so that o is rarely rescaled, and a row's steps do not depend on its neighbours: a tile's rows
 * are independent, and a position that is not seen adds 0 times something finite. Where head_dim /
 * 2 is no multiple of 16 the last tile of keys reads on into what follows them, which meets zeros
 * of q; kv_store clears a page when it begins, so that all of it is finite. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/amx_tiles.h"
#include "nn/attention_bf16.h"
#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#define LN_2        0.693147181f
#define GROWTH      8.0f /* p stays below 2^8 */
#define BLOCK_PAGES 4
#define TILE_ROWS   64 /* about: whole queries, at least one */
#define PAIR        2  /* tiles of rows that share the tiles of keys */

#define TILE_HALVES (TILE_BYTES / 2)
#define TILE_FLOATS (TILE_BYTES / 4)

_Static_assert(KV_PAGE_TOKENS == 32, "a page is two tiles of keys and one row of tiles of values");

struct rows {
    size_t head_dim;
    size_t q_tiles; /* of 32 dimensions */
    size_t v_tiles; /* of 16 dimensions */
    size_t group;   /* query heads of a query */
    size_t window;
    size_t first_position;
    size_t n;    /* rows */
    uint16_t *q; /* [ceil(n / 16)][q_tiles] tiles */
    float *o;    /* [ceil(n / 16)][v_tiles] tiles */
    float *l;    /* [ceil(n / 16)][16][16] */
    float *m;    /* [ceil(n / 16)][16] */
    float *s;    /* [PAIR][2 * BLOCK_PAGES] tiles */
    uint16_t *p; /* [PAIR][BLOCK_PAGES] tiles */
};

static size_t key_halves(const struct kv_shape *s)
{
    return s->head_dim * KV_PAGE_TOKENS;
}

/* Of one kv head in a page. */
static size_t head_halves(const struct kv_shape *s)
{
    return key_halves(s) + (s->head_dim + 15) / 16 * TILE_HALVES;
}

size_t kv_page_bytes_amx(const struct kv_shape *s)
{
    return s->type == KV_F32 ? kv_page_bytes_avx512(s) : s->n_kv_heads * head_halves(s) * 2;
}

/* ---- storing ---- */

static void store_key(uint16_t *keys, size_t slot, const float *x, size_t n)
{
    uint32_t pairs[KV_HEAD_DIM_MAX / 2 + 16];
    uint32_t *to = (uint32_t *)(void *)keys + slot / 16 * (n / 2) * 16 + slot % 16;

    for (size_t d = 0; d < n; d += 32)
        _mm512_storeu_si512(pairs + d / 2, to_bf16(x + d, n - d, vf_set1(1)));
    for (size_t r = 0; r < n / 2; r++)
        to[r * 16] = pairs[r];
}

/* 16 positions from a multiple of 16. */
static void store_keys(uint16_t *keys, size_t slot, const float *x, size_t stride, size_t n)
{
    uint16_t *to = keys + slot * n;

    for (size_t d = 0; d < n; d += 32) {
        vf pairs[16]; /* a position each; a lane is two dimensions */

        for (size_t i = 0; i < 16; i++)
            pairs[i] = _mm512_castsi512_ps(to_bf16(x + i * stride + d, n - d, vf_set1(1)));
        vf_transpose(pairs);
        for (size_t i = 0; i < 16 && d + 2 * i < n; i++)
            _mm512_storeu_ps(to + (d / 2 + i) * 32, pairs[i]);
    }
}

static void store_value(uint16_t *values, size_t slot, const float *x, size_t n)
{
    uint16_t halves[KV_HEAD_DIM_MAX + 32];
    uint16_t *to = values + slot / 2 * 32 + slot % 2;

    for (size_t d = 0; d < n; d += 32)
        _mm512_storeu_si512(halves + d, to_bf16(x + d, n - d, vf_set1(1)));
    for (size_t d = 0; d < n; d++)
        to[d / 16 * TILE_HALVES + d % 16 * 2] = halves[d];
}

/* Two positions, the first one even. */
static void store_values(uint16_t *values, size_t slot, const float *x, size_t stride, size_t n)
{
    uint16_t *to = values + slot / 2 * 32;

    for (size_t d = 0; d < n; d += 16) {
        __m256i even = (__m256i)_mm512_cvtneps_pbh(vf_load_n(x + d, n - d));
        __m256i odd = (__m256i)_mm512_cvtneps_pbh(vf_load_n(x + stride + d, n - d));
        __m512i low = _mm512_cvtepu16_epi32(even);
        __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);

        _mm512_storeu_si512(to + d / 16 * TILE_HALVES, _mm512_or_si512(low, high));
    }
}

static void store_head(const struct kv_shape *s, unsigned char *const *pages, size_t head,
                       size_t first_position, const float *k, const float *v, size_t stride,
                       size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t slot = (first_position + i) % KV_PAGE_TOKENS;
        uint16_t *keys = (uint16_t *)(void *)pages[(first_position + i) / KV_PAGE_TOKENS] +
                         head * head_halves(s);
        uint16_t *values = keys + key_halves(s);
        size_t here = n - i < KV_PAGE_TOKENS - slot ? n - i : KV_PAGE_TOKENS - slot;

        if (slot == 0 && here < KV_PAGE_TOKENS)
            memset(keys, 0, head_halves(s) * 2);
        for (size_t j = 0; j < here;) {
            size_t step = (slot + j) % 16 == 0 && here - j >= 16 ? 16 : 1;

            if (step == 16)
                store_keys(keys, slot + j, k + (i + j) * stride, stride, s->head_dim);
            else
                store_key(keys, slot + j, k + (i + j) * stride, s->head_dim);
            j += step;
        }
        for (size_t j = 0; j < here;) {
            size_t step = (slot + j) % 2 == 0 && here - j >= 2 ? 2 : 1;

            if (step == 2)
                store_values(values, slot + j, v + (i + j) * stride, stride, s->head_dim);
            else
                store_value(values, slot + j, v + (i + j) * stride, s->head_dim);
            j += step;
        }
        i += here;
    }
}

void kv_store_amx(const struct kv_shape *s, unsigned char *const *pages, size_t first_position,
                  const float *k_rows, const float *v_rows, size_t stride, size_t n,
                  size_t first_head, size_t n_heads_here)
{
    if (s->type == KV_F32) {
        kv_store_avx512(s, pages, first_position, k_rows, v_rows, stride, n, first_head,
                        n_heads_here);
        return;
    }
    for (size_t head = first_head; head < first_head + n_heads_here; head++)
        store_head(s, pages, head, first_position, k_rows + head * s->head_dim,
                   v_rows + head * s->head_dim, stride, n);
}

/* ---- a block of keys ---- */

struct block {
    size_t first_page;
    size_t n_pages;
    const uint16_t *keys[BLOCK_PAGES];
    const uint16_t *values[BLOCK_PAGES];
};

/* Memory that is wanted next: one head's part of some pages. While few rows are computed, reading
 * the pages takes longer than all else, and goes on only if requests for lines lie between the
 * instructions everywhere. */
struct ahead {
    const uint16_t *at[BLOCK_PAGES];
    size_t n_pages;
    size_t halves; /* of each */
    size_t next;   /* in the last of 'at' */
};

#define LINES_AT_ONCE 8

static inline void fetch_ahead(struct ahead *a)
{
    if (a->n_pages == 0)
        return;
    for (size_t i = 0; i < LINES_AT_ONCE; i++)
        __builtin_prefetch(a->at[a->n_pages - 1] + a->next + i * 32);
    a->next += LINES_AT_ONCE * 32;
    if (a->next >= a->halves) {
        a->next = 0;
        a->n_pages--;
    }
}

/* s of 16 rows. */
static void scores_one(const struct rows *t, const struct block *b, const uint16_t *q,
                       struct ahead *ahead)
{
    for (size_t page = 0; page < b->n_pages; page++) {
        const uint16_t *left = b->keys[page];
        const uint16_t *right = left + t->head_dim * 16;
        float *s = t->s + 2 * page * TILE_FLOATS;

        _tile_zero(0);
        _tile_zero(1);
        for (size_t i = 0; i < t->q_tiles; i++) {
            _tile_loadd(4, q + i * TILE_HALVES, 64);
            _tile_loadd(6, left + i * TILE_HALVES, 64);
            _tile_loadd(7, right + i * TILE_HALVES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            fetch_ahead(ahead);
        }
        _tile_stored(0, s, 64);
        _tile_stored(1, s + TILE_FLOATS, 64);
    }
}

/* s of 32 rows. */
static void scores_two(const struct rows *t, const struct block *b, const uint16_t *q)
{
    const uint16_t *lower = q + t->q_tiles * TILE_HALVES;

    for (size_t page = 0; page < b->n_pages; page++) {
        const uint16_t *left = b->keys[page];
        const uint16_t *right = left + t->head_dim * 16;
        float *s = t->s + 2 * page * TILE_FLOATS;
        float *s_lower = s + 2 * BLOCK_PAGES * TILE_FLOATS;

        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (size_t i = 0; i < t->q_tiles; i++) {
            _tile_loadd(4, q + i * TILE_HALVES, 64);
            _tile_loadd(6, left + i * TILE_HALVES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, right + i * TILE_HALVES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, lower + i * TILE_HALVES, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, s, 64);
        _tile_stored(1, s + TILE_FLOATS, 64);
        _tile_stored(2, s_lower, 64);
        _tile_stored(3, s_lower + TILE_FLOATS, 64);
    }
}

static void weighted_one(const struct rows *t, const struct block *b, float *o, struct ahead *ahead)
{
    for (size_t d = 0; d < t->v_tiles; d++) {
        _tile_loadd(0, o + d * TILE_FLOATS, 64);
        for (size_t page = 0; page < b->n_pages; page++) {
            _tile_loadd(4, t->p + page * TILE_HALVES, 64);
            _tile_loadd(6, b->values[page] + d * TILE_HALVES, 64);
            _tile_dpbf16ps(0, 4, 6);
            fetch_ahead(ahead);
        }
        _tile_stored(0, o + d * TILE_FLOATS, 64);
    }
}

static void weighted_two(const struct rows *t, const struct block *b, float *o)
{
    float *o_lower = o + t->v_tiles * TILE_FLOATS;
    const uint16_t *p_lower = t->p + BLOCK_PAGES * TILE_HALVES;

    for (size_t d = 0; d < t->v_tiles; d++) {
        _tile_loadd(0, o + d * TILE_FLOATS, 64);
        _tile_loadd(1, o_lower + d * TILE_FLOATS, 64);
        for (size_t page = 0; page < b->n_pages; page++) {
            _tile_loadd(6, b->values[page] + d * TILE_HALVES, 64);
            _tile_loadd(4, t->p + page * TILE_HALVES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(5, p_lower + page * TILE_HALVES, 64);
            _tile_dpbf16ps(1, 5, 6);
        }
        _tile_stored(0, o + d * TILE_FLOATS, 64);
        _tile_stored(1, o_lower + d * TILE_FLOATS, 64);
    }
}

/* ---- softmax ---- */

struct span {
    size_t from; /* the part of a block that a row sees: positions from .. to - 1 of it */
    size_t to;
};

static inline struct span seen(const struct rows *t, size_t row, const struct block *b)
{
    size_t position = t->first_position + row / t->group;
    size_t begin = b->first_page * KV_PAGE_TOKENS;
    size_t keys = b->n_pages * KV_PAGE_TOKENS;
    size_t first = t->window && position >= t->window ? position - t->window + 1 : 0;
    size_t end = position + 1;
    struct span span = {first > begin ? first - begin : 0, end > begin ? end - begin : 0};

    if (span.from > keys)
        span.from = keys;
    if (span.to > keys)
        span.to = keys;
    return span;
}

static inline __mmask16 span_mask(struct span span, size_t first)
{
    unsigned below_end = span.to > first ? vf_mask(span.to - first) : 0;
    unsigned below_begin = span.from > first ? vf_mask(span.from - first) : 0;

    return (__mmask16)(below_end & ~below_begin);
}

/* New maxima of 16 rows from 'tile' on; o and l of those that grew are rescaled. */
static void maxima(const struct rows *t, size_t tile, vf row[16])
{
    float *m = t->m + tile * 16;
    vf high = largest_of_rows(row);
    vf before = vf_load(m);
    __mmask16 grown = _mm512_cmp_ps_mask(high, vf_add(before, vf_set1(GROWTH)), _CMP_NLE_UQ);
    __mmask16 begun = _mm512_cmp_ps_mask(before, vf_set1(-INFINITY), _CMP_NEQ_UQ);
    float factor[16];

    if (!grown)
        return;
    vf_store(m, _mm512_mask_mov_ps(before, grown, high));
    vf_store(factor, vf_exp(vf_mul(vf_sub(before, high), vf_set1(LN_2))));
    for (unsigned left = grown & begun; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctz(left);
        float *o = t->o + tile * t->v_tiles * TILE_FLOATS + i * 16;
        float *l = t->l + (tile * 16 + i) * 16;

        vf_store(l, vf_mul(vf_load(l), vf_set1(factor[i])));
        for (size_t d = 0; d < t->v_tiles; d++)
            vf_store(o + d * TILE_FLOATS, vf_mul(vf_load(o + d * TILE_FLOATS), vf_set1(factor[i])));
    }
}

/* Sum of 32 bfloat16s, in 16 lanes. */
static inline vf pair_sums(__m512i p)
{
    return vf_add(_mm512_castsi512_ps(_mm512_slli_epi32(p, 16)),
                  _mm512_castsi512_ps(_mm512_and_si512(p, _mm512_set1_epi32((int)0xFFFF0000u))));
}

/* All of the block is seen by all 16 rows. */
static void softmax_whole(const struct rows *t, const struct block *b, size_t tile, const float *s,
                          uint16_t *p, struct ahead *ahead)
{
    size_t count = t->n - tile * 16 < 16 ? t->n - tile * 16 : 16;
    vf row[16];

    for (size_t i = 0; i < count; i++) {
        row[i] = vf_max(vf_load(s + i * 16), vf_load(s + TILE_FLOATS + i * 16));
        for (size_t j = 2; j < 2 * b->n_pages; j++)
            row[i] = vf_max(row[i], vf_load(s + j * TILE_FLOATS + i * 16));
    }
    for (size_t i = count; i < 16; i++)
        row[i] = vf_set1(-INFINITY);
    maxima(t, tile, row);
    for (size_t i = 0; i < count; i++) {
        float *l = t->l + (tile * 16 + i) * 16;
        vf shift = vf_set1(t->m[tile * 16 + i]);
        vf sum = vf_load(l);

        for (size_t page = 0; page < b->n_pages; page++) {
            const float *at = s + 2 * page * TILE_FLOATS + i * 16;
            vf low = exp2_rough(vf_sub(vf_load(at), shift));
            vf high = exp2_rough(vf_sub(vf_load(at + TILE_FLOATS), shift));
            __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);

            sum = vf_add(sum, pair_sums(both));
            _mm512_store_si512(p + page * TILE_HALVES + i * 32, both);
        }
        vf_store(l, sum);
        fetch_ahead(ahead);
    }
}

static void softmax_partial(const struct rows *t, const struct block *b, size_t tile,
                            const float *s, uint16_t *p, struct ahead *ahead)
{
    size_t count = t->n - tile * 16 < 16 ? t->n - tile * 16 : 16;
    vf row[16];

    for (size_t i = 0; i < count; i++) {
        struct span span = seen(t, tile * 16 + i, b);

        row[i] = vf_set1(-INFINITY);
        for (size_t j = 0; j < 2 * b->n_pages; j++)
            row[i] = _mm512_mask_max_ps(row[i], span_mask(span, j * 16), row[i],
                                        vf_load(s + j * TILE_FLOATS + i * 16));
    }
    for (size_t i = count; i < 16; i++)
        row[i] = vf_set1(-INFINITY);
    maxima(t, tile, row);
    for (size_t i = 0; i < count; i++) {
        struct span span = seen(t, tile * 16 + i, b);
        float *l = t->l + (tile * 16 + i) * 16;
        vf shift = vf_set1(t->m[tile * 16 + i]);
        vf sum = vf_load(l);

        for (size_t page = 0; page < b->n_pages; page++) {
            const float *at = s + 2 * page * TILE_FLOATS + i * 16;
            vf low = exp2_rough(vf_sub(vf_load(at), shift));
            vf high = exp2_rough(vf_sub(vf_load(at + TILE_FLOATS), shift));
            __m512i both;

            low = _mm512_maskz_mov_ps(span_mask(span, page * 32), low);
            high = _mm512_maskz_mov_ps(span_mask(span, page * 32 + 16), high);
            both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            sum = vf_add(sum, pair_sums(both));
            _mm512_store_si512(p + page * TILE_HALVES + i * 32, both);
        }
        vf_store(l, sum);
        fetch_ahead(ahead);
    }
}

static void softmax(const struct rows *t, const struct block *b, size_t tile, size_t which,
                    struct ahead *ahead)
{
    const float *s = t->s + which * 2 * BLOCK_PAGES * TILE_FLOATS;
    uint16_t *p = t->p + which * BLOCK_PAGES * TILE_HALVES;
    size_t keys = b->n_pages * KV_PAGE_TOKENS;

    if (seen(t, tile * 16, b).to == keys && seen(t, tile * 16 + 15, b).from == 0)
        softmax_whole(t, b, tile, s, p, ahead);
    else
        softmax_partial(t, b, tile, s, p, ahead);
}

/* ---- all of it ---- */

static void attend_block(const struct rows *t, const struct block *b, struct ahead *ahead)
{
    size_t n_tiles = (t->n + 15) / 16;

    for (size_t tile = 0; tile < n_tiles; tile += PAIR) {
        const uint16_t *q = t->q + tile * t->q_tiles * TILE_HALVES;
        float *o = t->o + tile * t->v_tiles * TILE_FLOATS;

        if (tile + 1 == n_tiles) {
            scores_one(t, b, q, ahead);
            softmax(t, b, tile, 0, ahead);
            weighted_one(t, b, o, ahead);
        } else {
            scores_two(t, b, q);
            softmax(t, b, tile, 0, ahead);
            softmax(t, b, tile + 1, 1, ahead);
            weighted_two(t, b, o);
        }
    }
}

static void attend_pages(const struct kv_shape *s, const struct rows *t,
                         unsigned char *const *pages, size_t kv_head)
{
    size_t last_position = t->first_position + (t->n - 1) / t->group;
    size_t last = last_position / KV_PAGE_TOKENS;
    size_t page = t->window && t->first_position >= t->window
                      ? (t->first_position - t->window + 1) / KV_PAGE_TOKENS
                      : 0;

    while (page <= last) {
        struct block b = {.first_page = page};
        struct ahead ahead = {.halves = head_halves(s)};

        do {
            const uint16_t *at =
                (const uint16_t *)(const void *)pages[page] + kv_head * head_halves(s);

            b.keys[b.n_pages] = at;
            b.values[b.n_pages++] = at + key_halves(s);
            page++;
        } while (page <= last && page % BLOCK_PAGES != 0);
        for (size_t next = page; next <= last && next < page + BLOCK_PAGES; next++)
            ahead.at[ahead.n_pages++] =
                (const uint16_t *)(const void *)pages[next] + kv_head * head_halves(s);
        attend_block(t, &b, &ahead);
        while (ahead.n_pages > 0)
            fetch_ahead(&ahead);
    }
}

static void begin_rows(const struct rows *t, const float *q, size_t q_stride, float scale)
{
    size_t n_tiles = (t->n + 15) / 16;

    for (size_t row = 0; row < n_tiles * 16; row++) {
        const float *from = q + row / t->group * q_stride + row % t->group * t->head_dim;
        uint16_t *to = t->q + row / 16 * t->q_tiles * TILE_HALVES + row % 16 * 32;

        for (size_t i = 0; i < t->q_tiles; i++)
            _mm512_store_si512(
                to + i * TILE_HALVES,
                row < t->n ? to_bf16(from + i * 32, t->head_dim - i * 32, vf_set1(scale * LOG2_E))
                           : _mm512_setzero_si512());
    }
    memset(t->o, 0, n_tiles * t->v_tiles * TILE_BYTES);
    memset(t->l, 0, n_tiles * TILE_BYTES);
    for (size_t row = 0; row < n_tiles * 16; row++)
        t->m[row] = -INFINITY;
}

static void end_rows(const struct rows *t, float *out, size_t out_stride)
{
    for (size_t row = 0; row < t->n; row++) {
        const float *o = t->o + row / 16 * t->v_tiles * TILE_FLOATS + row % 16 * 16;
        float *to = out + row / t->group * out_stride + row % t->group * t->head_dim;
        vf factor = vf_set1(1.0f / vf_sum(vf_load(t->l + row * 16)));

        for (size_t d = 0; d < t->v_tiles; d++)
            vf_store_n(to + d * 16, t->head_dim - d * 16,
                       vf_mul(vf_load(o + d * TILE_FLOATS), factor));
    }
}

static size_t tile_queries(const struct kv_shape *s, size_t n)
{
    size_t group = s->n_heads / s->n_kv_heads;
    size_t most = group < TILE_ROWS ? TILE_ROWS / group : 1;

    return n < most ? n : most;
}

/* Places for n queries in 'scratch' (NULL: only counted); floats that they take. */
static size_t lay_out(struct rows *t, const struct kv_shape *s, size_t n, float *scratch)
{
    size_t n_tiles = (n * (s->n_heads / s->n_kv_heads) + 15) / 16;
    size_t q_tiles = (s->head_dim + 31) / 32;
    size_t v_tiles = (s->head_dim + 15) / 16;
    size_t scores = PAIR * 2 * BLOCK_PAGES * TILE_FLOATS;

    if (scratch) {
        t->s = scratch;
        t->p = (uint16_t *)(void *)(t->s + scores);
        t->o = t->s + scores + scores / 2;
        t->l = t->o + n_tiles * v_tiles * TILE_FLOATS;
        t->m = t->l + n_tiles * TILE_FLOATS;
        t->q = (uint16_t *)(void *)(t->m + n_tiles * 16);
    }
    return scores + scores / 2 + n_tiles * ((v_tiles + 1 + q_tiles) * TILE_FLOATS + 16);
}

size_t kv_attention_scratch_amx(const struct kv_shape *s, size_t n)
{
    if (s->type == KV_F32)
        return kv_attention_scratch_avx512(s, n);
    return lay_out(NULL, s, tile_queries(s, n), NULL) * sizeof(float);
}

void kv_attention_amx(const struct kv_shape *s, unsigned char *const *pages, size_t first_position,
                      const float *q, size_t q_stride, size_t n, size_t kv_head, float *out,
                      size_t out_stride, void *scratch)
{
    size_t group = s->n_heads / s->n_kv_heads;
    size_t column = kv_head * group * s->head_dim;
    size_t most = tile_queries(s, n);
    struct rows t = {.head_dim = s->head_dim,
                     .q_tiles = (s->head_dim + 31) / 32,
                     .v_tiles = (s->head_dim + 15) / 16,
                     .group = group,
                     .window = s->window};

    if (s->type == KV_F32) {
        kv_attention_avx512(s, pages, first_position, q, q_stride, n, kv_head, out, out_stride,
                            scratch);
        return;
    }
    (void)lay_out(&t, s, most, scratch);
    memset(t.p, 0, PAIR * BLOCK_PAGES * TILE_BYTES); /* rows behind the last stay numbers */
    amx_configure();
    for (size_t i = 0; i < n; i += most) {
        t.n = (n - i < most ? n - i : most) * group;
        t.first_position = first_position + i;
        begin_rows(&t, q + i * q_stride + column, q_stride, s->scale);
        attend_pages(s, &t, pages, kv_head);
        end_rows(&t, out + i * out_stride + column, out_stride);
    }
    amx_release();
}
