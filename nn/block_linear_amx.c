/* Many rows on AMX tiles: 16 rows of activations (A, signed) times 16 outputs (B, signed).
 *
 * Integer scales: s_g (w - zero) of a block is up to 14 bits, v = 128 high + low with high and low
 * in 8 bits. Two products with K = 64 then run through all groups of a block without leaving the
 * tiles: I = 128 sum(high q) + sum(low q), exact. 32 rows x 1 strip x 2 planes are 4 tiles of sums;
 * 2 tiles of A, 2 of B: a step of K = 64 loads 4 tiles and multiplies 4 times.
 *
 * Float scales: a product of K = 32 a group, whose sums leave the tile to be scaled; the float sums
 * of 16 rows x 1 strip are 16 registers.
 *
 * What follows the integers is done for the unit before while the tiles multiply. Blocks outside,
 * then groups of rows, then the strips of a panel, then the rows of the group: all rows are read
 * once a panel; y holds what the blocks before gave. Few rows are VNNI's. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/amx_tiles.h"
#include "nn/kernels_table.h"

#define INLINE static inline __attribute__((always_inline))

#define FEW_ROWS   8 /* up to so many are faster without tiles */
#define TILE_ROWS  16
#define UNIT_ROWS  32
#define GROUP_ROWS 64 /* of a block: 16 KiB, which stay in L1 while the strips pass */
#define PANEL      8  /* strips whose unpacked blocks, 64 KiB, stay in L2 while the rows pass */
#define PLANE      (BLOCK_INPUTS * BLOCK_STRIP)

struct scratch {
    int8_t planes[PANEL][2][PLANE];
    int32_t sums[2][4][TILE_ROWS * BLOCK_STRIP]; /* of a unit and of the one before */
};

/* What is to be done with the sums of a unit. */
struct unit {
    const struct block_weights *w;
    const uint8_t *block; /* packed */
    size_t b;
    size_t strip;
    const struct block_rows *x;
    size_t row;
    size_t n_rows;
    float *y; /* of the first row and output */
    size_t stride;
    __mmask16 mask;
    const int32_t *sums;
};

INLINE __m512i load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

INLINE __m512i pairs(const uint8_t *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE __m512 halves(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE __m512i every32(const int16_t *p)
{
    int32_t two;

    memcpy(&two, p, sizeof two);
    return _mm512_set1_epi32(two);
}

/* Bytes that are needed soon, into L2. */
INLINE void fetch(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        _mm_prefetch((const char *)p + i, _MM_HINT_T1);
}

/* Four inputs 4 j .. of 16 outputs, unsigned, of a group with 4, 5 or 6 bits. */
INLINE __m512i weights(struct block_format f, const uint8_t *low, const uint8_t *high, size_t j)
{
    __m512i nibble = load(low + j / 2 * 64);
    __m512i h;

    if (j % 2)
        nibble = _mm512_srli_epi16(nibble, 4);
    nibble = _mm512_and_si512(nibble, _mm512_set1_epi8(15));
    if (f.bits == 4)
        return nibble;
    h = load(high + (f.bits == 5 ? 0 : j / 4 * 64));
    h = f.bits == 5
            ? _mm512_sllv_epi16(_mm512_srli_epi16(h, (bl_count)j), _mm512_set1_epi16(4))
            : _mm512_sllv_epi16(_mm512_srli_epi16(h, (bl_count)(j % 4 * 2)), _mm512_set1_epi16(4));
    return _mm512_ternarylogic_epi32(h, _mm512_set1_epi8(f.bits == 5 ? 16 : 48), nibble, 0xEA);
}

/* ---- integer scales ---- */

/* s (w - zero) of 64 weights, in two planes; s twice in 32 bits. */
INLINE void split(__m512i w, __m512i scale, __m512i shift, int8_t *low, int8_t *high)
{
    __m512i even = _mm512_and_si512(w, _mm512_set1_epi16(0xFF));
    __m512i odd = _mm512_srli_epi16(w, 8);
    __m512i bits;

    even = _mm512_sub_epi16(_mm512_mullo_epi16(even, scale), shift);
    odd = _mm512_sub_epi16(_mm512_mullo_epi16(odd, scale), shift);
    bits = _mm512_and_si512(even, _mm512_set1_epi16(0x7F));
    bits =
        _mm512_ternarylogic_epi32(_mm512_slli_epi16(odd, 8), _mm512_set1_epi16(0x7F00), bits, 0xEA);
    _mm512_store_si512(low, bits);
    bits = _mm512_and_si512(_mm512_srli_epi16(even, 7), _mm512_set1_epi16(0xFF));
    bits = _mm512_ternarylogic_epi32(_mm512_slli_epi16(odd, 1), _mm512_set1_epi16((short)0xFF00),
                                     bits, 0xEA);
    _mm512_store_si512(high, bits);
}

INLINE void unpack_integer(struct block_format f, const uint8_t *block, int8_t planes[2][PLANE])
{
    const uint8_t *high = block + block_low_bytes(f, BLOCK_GROUPS);
    const uint8_t *scales = high + block_high_bytes(f, BLOCK_GROUPS);

    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        __m512i pair = pairs(scales + (f.group == 16 ? g : g / 2) * 32);
        __m512i first = _mm512_mask_blend_epi16(0xAAAAAAAA, pair, _mm512_slli_epi32(pair, 16));
        __m512i second = _mm512_mask_blend_epi16(0x55555555, pair, _mm512_srli_epi32(pair, 16));
        __m512i zero = _mm512_set1_epi16(f.zero);

        if (f.group == 32)
            first = second = g % 2 ? second : first;
        fetch(block + block_packed_bytes(f, BLOCK_GROUPS) * (BLOCK_GROUPS + g) / BLOCK_GROUPS,
              block_packed_bytes(f, BLOCK_GROUPS) / BLOCK_GROUPS);
        for (size_t j = 0; j < 8; j++) {
            __m512i scale = j < 4 ? first : second;
            size_t at = (g * 8 + j) * 64;

            split(weights(f, block + g * 256, high + g * (f.bits == 5 ? 64 : 128), j), scale,
                  _mm512_mullo_epi16(scale, zero), planes[0] + at, planes[1] + at);
        }
    }
}

/* Rows first .. first + 7 of the unit. */
INLINE void finish_integer(struct block_format f, const struct unit *u, size_t first)
{
    const uint8_t *minimums = u->block + block_low_bytes(f, BLOCK_GROUPS) +
                              block_high_bytes(f, BLOCK_GROUPS) +
                              block_scale_bytes(f, BLOCK_GROUPS);
    const uint8_t *d = minimums + (f.minimum ? block_scale_bytes(f, BLOCK_GROUPS) : 0);
    const size_t n_pairs = (size_t)(BLOCK_INPUTS / f.group / 2);
    const size_t n_sums = (size_t)(BLOCK_INPUTS / f.group);
    const size_t at_row = block_rows_at(u->x, u->row, u->b);
    const int16_t *sums = (f.group == 16 ? u->x->sum16 : u->x->sum32) + at_row * n_sums;
    size_t end = u->n_rows < first + 8 ? u->n_rows : first + 8;
    __m512i minimum[8];
    __m512 scale = halves(d);
    __m512 low_scale = halves(d + 32);
    __m512 bias = _mm512_loadu_ps(u->w->bias + u->strip * BLOCK_STRIP);

    for (size_t p = 0; f.minimum && p < n_pairs; p++)
        minimum[p] = pairs(minimums + p * 32);
    for (size_t r = first; r < end; r++) {
        const int32_t *at = u->sums + (r / 16 * 2 * 16 + r % 16) * BLOCK_STRIP;
        float *y = u->y + r * u->stride;
        __m512i sum =
            _mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(at + TILE_ROWS * BLOCK_STRIP), 7),
                             _mm512_load_si512(at));
        __m512 t = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum));

        if (f.minimum) {
            sum = _mm512_setzero_si512();
            for (size_t p = 0; p < n_pairs; p++)
                sum = _mm512_dpwssd_epi32(sum, minimum[p], every32(sums + r * n_sums + 2 * p));
            t = _mm512_fnmadd_ps(low_scale, _mm512_cvtepi32_ps(sum), t);
        }
        t = _mm512_fmadd_ps(t, _mm512_set1_ps(u->x->scale[at_row + r]),
                            u->b ? _mm512_maskz_loadu_ps(u->mask, y) : bias);
        _mm512_mask_storeu_ps(y, u->mask, t);
    }
}

/* The tiles of a unit, and what is left to do of the one before. */
INLINE void multiply_integer(struct block_format f, const int8_t *rows, int8_t planes[2][PLANE],
                             int32_t *ret_sums, const struct unit *before)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < BLOCK_INPUTS; k += 64) {
        _tile_loadd(4, rows + k, BLOCK_INPUTS);
        _tile_loadd(6, planes[0] + k * BLOCK_STRIP, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, planes[1] + k * BLOCK_STRIP, 64);
        _tile_dpbssd(1, 4, 7);
        _tile_loadd(5, rows + TILE_ROWS * BLOCK_INPUTS + k, BLOCK_INPUTS);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
        finish_integer(f, before, k / 64 * 8);
    }
    _tile_stored(0, ret_sums, 64);
    _tile_stored(1, ret_sums + TILE_ROWS * BLOCK_STRIP, 64);
    _tile_stored(2, ret_sums + 2 * TILE_ROWS * BLOCK_STRIP, 64);
    _tile_stored(3, ret_sums + 3 * TILE_ROWS * BLOCK_STRIP, 64);
}

/* ---- float scales ---- */

INLINE void unpack_float(struct block_format f, const uint8_t *block, size_t groups, int8_t *plane)
{
    const uint8_t *high = block + block_low_bytes(f, groups);

    for (size_t g = 0; g < groups; g++)
        for (size_t j = 0; j < 8; j++)
            _mm512_store_si512(plane + (g * 8 + j) * 64,
                               _mm512_sub_epi8(weights(f, block + g * 256, high + g * 64, j),
                                               _mm512_set1_epi8((char)f.zero)));
}

INLINE void finish_group(struct block_format f, const struct unit *u, size_t g,
                         const uint8_t *scales, const uint8_t *minimums, const int32_t *sums,
                         __m512 t[TILE_ROWS])
{
    __m512 scale = halves(scales + g * 32);

#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++)
        t[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums + r * BLOCK_STRIP)), scale,
                               t[r]);
    if (f.minimum) {
        const int16_t *row_sums =
            u->x->sum32 + block_rows_at(u->x, u->row, u->b) * BLOCK_GROUPS + g;
        __m512 minimum = halves(minimums + g * 32);

#pragma GCC unroll 16
        for (size_t r = 0; r < TILE_ROWS; r++) {
            size_t row = r < u->n_rows ? r : 0;

            t[r] =
                _mm512_fmadd_ps(_mm512_set1_ps((float)row_sums[row * BLOCK_GROUPS]), minimum, t[r]);
        }
    }
}

#define MULTIPLY(sum, a, b)                                                                        \
    do {                                                                                           \
        _tile_loadd(a, rows + g * BLOCK_GROUP, BLOCK_INPUTS);                                      \
        _tile_loadd(b, plane + g * BLOCK_GROUP * BLOCK_STRIP, 64);                                 \
        _tile_zero(sum);                                                                           \
        _tile_dpbssd(sum, a, b);                                                                   \
    } while (0)

INLINE void multiply_group(const int8_t *rows, const int8_t *plane, size_t g)
{
    switch (g % 4) {
    case 0:
        MULTIPLY(0, 4, 6);
        break;
    case 1:
        MULTIPLY(1, 5, 7);
        break;
    case 2:
        MULTIPLY(2, 4, 6);
        break;
    default:
        MULTIPLY(3, 5, 7);
        break;
    }
}

INLINE void store_group(size_t g, int32_t sums[4][TILE_ROWS * BLOCK_STRIP])
{
    switch (g % 4) {
    case 0:
        _tile_stored(0, sums[0], 64);
        break;
    case 1:
        _tile_stored(1, sums[1], 64);
        break;
    case 2:
        _tile_stored(2, sums[2], 64);
        break;
    default:
        _tile_stored(3, sums[3], 64);
        break;
    }
}

/* 16 rows of one strip over a block; sums are used two groups after they are made. */
INLINE void block_float(struct block_format f, const struct unit *u, const int8_t *rows,
                        const int8_t *plane, size_t groups,
                        int32_t sums[4][TILE_ROWS * BLOCK_STRIP])
{
    const uint8_t *scales = u->block + block_low_bytes(f, groups) + block_high_bytes(f, groups);
    const uint8_t *minimums = scales + block_scale_bytes(f, groups);
    __m512 bias = _mm512_loadu_ps(u->w->bias + u->strip * BLOCK_STRIP);
    __m512 t[TILE_ROWS];

#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++)
        t[r] = _mm512_setzero_ps();
#pragma GCC unroll 16
    for (size_t g = 0; g < BLOCK_GROUPS + 2; g++) {
        if (g < groups)
            multiply_group(rows, plane, g);
        if (g >= 1 && g - 1 < groups)
            store_group(g - 1, sums);
        if (g >= 2 && g - 2 < groups)
            finish_group(f, u, g - 2, scales, minimums, sums[(g - 2) % 4], t);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++)
        if (r < u->n_rows) {
            float *y = u->y + r * u->stride;
            float scale = u->x->scale[block_rows_at(u->x, u->row + r, u->b)];

            _mm512_mask_storeu_ps(y, u->mask,
                                  _mm512_fmadd_ps(t[r], _mm512_set1_ps(scale),
                                                  u->b ? _mm512_maskz_loadu_ps(u->mask, y) : bias));
        }
}

/* ---- all of it ---- */

static void configure(bool integer)
{
    uint16_t row_bytes[8];
    uint8_t rows[8];

    for (size_t i = 0; i < 8; i++) {
        row_bytes[i] = !integer && (i == 4 || i == 5) ? BLOCK_GROUP : 64;
        rows[i] = !integer && i > 5 ? BLOCK_GROUP / 4 : 16;
    }
    amx_configure_as(rows, row_bytes);
}

struct call {
    const struct block_weights *w;
    const struct block_rows *x;
    size_t n;
    const struct block_range *out;
    struct scratch *s;
};

INLINE struct unit unit_of(const struct call *c, size_t strip, const uint8_t *block, size_t b,
                           size_t row, size_t rows_max)
{
    size_t o = strip * BLOCK_STRIP - c->out->first;
    size_t left = c->out->n - o;

    return (struct unit){.w = c->w,
                         .block = block,
                         .b = b,
                         .strip = strip,
                         .x = c->x,
                         .row = row,
                         .n_rows = c->n - row < rows_max ? c->n - row : rows_max,
                         .y = c->out->y + row * c->out->stride + o,
                         .stride = c->out->stride,
                         .mask = left >= BLOCK_STRIP ? (__mmask16)0xFFFF
                                                     : (__mmask16)((1u << left) - 1)};
}

/* The p-th of n parts of these rows in the next block. */
INLINE void fetch_next(const struct call *c, const int8_t *rows, size_t b, size_t p, size_t n)
{
    size_t part = (size_t)UNIT_ROWS * BLOCK_INPUTS / n;

    if (b + 1 < c->w->n_blocks)
        fetch(rows + c->x->n_rows * BLOCK_INPUTS + p * part, part);
}

INLINE void panel_integer(struct block_format f, const struct call *c, size_t first, size_t n)
{
    struct unit before = {.w = c->w, .x = c->x, .block = c->w->packed}; /* no rows */
    size_t parity = 0;

    for (size_t b = 0; b < c->w->n_blocks; b++) {
        const uint8_t *block =
            c->w->packed + first * c->w->strip_bytes + b * block_packed_bytes(f, BLOCK_GROUPS);

        for (size_t p = 0; p < n; p++)
            unpack_integer(f, block + p * c->w->strip_bytes, c->s->planes[p]);
        for (size_t first_row = 0; first_row < c->n; first_row += GROUP_ROWS)
            for (size_t p = 0; p < n; p++)
                for (size_t row = first_row; row < c->n && row < first_row + GROUP_ROWS;
                     row += UNIT_ROWS) {
                    const int8_t *rows = c->x->q + block_rows_at(c->x, row, b) * BLOCK_INPUTS;
                    int32_t *sums = c->s->sums[parity][0];

                    fetch_next(c, rows, b, p, n);
                    multiply_integer(f, rows, c->s->planes[p], sums, &before);
                    before =
                        unit_of(c, first + p, block + p * c->w->strip_bytes, b, row, UNIT_ROWS);
                    before.sums = sums;
                    parity ^= 1;
                }
    }
    for (size_t r = 0; r < UNIT_ROWS; r += 8)
        finish_integer(f, &before, r);
}

INLINE void panel_float(struct block_format f, const struct call *c, size_t first, size_t n)
{
    const uint8_t *block = c->w->packed + first * c->w->strip_bytes;

    for (size_t b = 0; b < c->w->n_blocks; b++) {
        size_t groups = block_groups_at(c->w->n_groups, b);

        for (size_t p = 0; p < n; p++) {
            if (f.bits != 8)
                unpack_float(f, block + p * c->w->strip_bytes, groups, c->s->planes[p][0]);
            fetch(block + p * c->w->strip_bytes + block_packed_bytes(f, groups),
                  block_packed_bytes(f, groups));
        }
        for (size_t first_row = 0; first_row < c->n; first_row += GROUP_ROWS)
            for (size_t p = 0; p < n; p++) {
                const uint8_t *at = block + p * c->w->strip_bytes;

                for (size_t row = first_row; row < c->n && row < first_row + GROUP_ROWS;
                     row += TILE_ROWS) {
                    const int8_t *rows = c->x->q + block_rows_at(c->x, row, b) * BLOCK_INPUTS;
                    struct unit u = unit_of(c, first + p, at, b, row, TILE_ROWS);

                    if (row % UNIT_ROWS == 0)
                        fetch_next(c, rows, b, p, n);
                    block_float(f, &u, rows, f.bits == 8 ? (const int8_t *)at : c->s->planes[p][0],
                                groups, c->s->sums[0]);
                }
            }
        block += block_packed_bytes(f, groups);
    }
}

#define DEFINE(name, ...)                                                                          \
    static void panel_##name(const struct call *c, size_t first, size_t n)                         \
    {                                                                                              \
        const struct block_format f = {__VA_ARGS__};                                               \
                                                                                                   \
        if (f.integer)                                                                             \
            panel_integer(f, c, first, n);                                                         \
        else                                                                                       \
            panel_float(f, c, first, n);                                                           \
    }
#define ENTRY(name, bits, integer, ...) [BLOCK_FORMAT_##name] = {panel_##name, integer},

BLOCK_FORMATS(DEFINE)

static const struct {
    void (*panel)(const struct call *c, size_t first, size_t n);
    bool integer;
} formats[BLOCK_FORMAT_COUNT] = {BLOCK_FORMATS(ENTRY)};

size_t block_linear_scratch_amx(const struct block_weights *w, size_t n, size_t n_outs)
{
    size_t few = block_linear_scratch_avx512_vnni(w, n, n_outs);

    return few > sizeof(struct scratch) ? few : sizeof(struct scratch);
}

void block_linear_amx(const struct block_weights *w, const struct block_rows *x, size_t n,
                      const struct block_range *out, void *scratch)
{
    struct call c = {.w = w, .x = x, .n = n, .out = out, .s = scratch};

    if (n <= FEW_ROWS) {
        block_linear_avx512_vnni(w, x, n, out, scratch);
        return;
    }
    configure(formats[w->format].integer);
    for (size_t o = 0; o < out->n; o += PANEL * BLOCK_STRIP) {
        size_t left = (out->n - o + BLOCK_STRIP - 1) / BLOCK_STRIP;

        formats[w->format].panel(&c, (out->first + o) / BLOCK_STRIP, left < PANEL ? left : PANEL);
    }
    amx_release();
}
