/* nn/block_linear_template.h - block_linear on vectors of 8 or 16 outputs.
 *
 * The includer defines bl_i, bl_f, BL_LANES, BL_VNNI, BL_ROWS_MAX (4 or 8) and the functions bl_*.
 *
 * Rows are computed R = 1, 2, 4 or 8 at a time (a number in between repeats its last row): weights
 * are unpacked once for all of them and stay in a register, sums too. What they need of the
 * activations is first laid out in the order of use, so that one pointer reaches it ('prepared').
 *
 * VNNI: sums in 32 bits. With integer scales a chunk of C inputs of R rows begins at -c sum[chunk],
 * c the middle of the weights' range; then its sum fits 16 bits (c 127 C < 2^15), and one vpdpwssd
 * multiplies it with its scale and adds it to I. What c and the format's zero differ by is put
 * right at the end of the block: I += (c - zero) sum_g s_g sum[g].
 *
 * Without VNNI: vpmaddubsw gives sums of two products in 16 bits. Of 4, 5 or 6 bits a chunk of C
 * inputs can be added up in 16 bits (15 127 2 8 = 30480, 31 127 2 4 = 31496, 63 127 2 2 = 32004),
 * then vpmaddwd multiplies with the scale. 8 bits: |w| and q with w's sign, 128 127 2 = 32512. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/block_format.h"

#define BL_INLINE static inline __attribute__((always_inline))
#ifdef __SANITIZE_ADDRESS__ /* checked accesses, unrolled, take gcc a minute a file */
#define BL_EACH for
#define BL_LOOP for
#else
#define BL_EACH _Pragma("GCC unroll 16") for
#define BL_LOOP _Pragma("GCC unroll 1") for
#endif

/* ---- formats ---- */

BL_INLINE size_t bl_chunk(struct block_format f)
{
    return f.bits == 4 || f.bits == 8 ? (f.group < 32 ? f.group : 32) : f.bits == 5 ? 16 : 8;
}

/* What sums begin at is -c times the sum of the activations. */
BL_INLINE int bl_centre(struct block_format f)
{
    if (!f.integer)
        return BL_VNNI || f.bits != 8 ? f.zero : 0;
    return BL_VNNI && (f.group == 32 || f.bits == 6) ? 1 << (f.bits - 1) : 0;
}

/* ---- prepared activations ----
 *
 * For each block: q [8 groups][8][R] four bytes; start [8 * 32 / C][R] int32; pairs of sums [R]
 * (as int16) for the groups of two scales; sums [8][R] float; scale [R]. */

BL_INLINE size_t bl_start_at(size_t n)
{
    return 64 * n * 4;
}

BL_INLINE size_t bl_n_starts(struct block_format f)
{
    return f.integer ? BLOCK_INPUTS / bl_chunk(f) : BLOCK_GROUPS;
}

BL_INLINE size_t bl_pairs_at(struct block_format f, size_t n)
{
    return bl_start_at(n) + bl_n_starts(f) * n * 4;
}

BL_INLINE size_t bl_n_pairs(struct block_format f)
{
    return (size_t)(BLOCK_INPUTS / f.group / 2);
}

BL_INLINE size_t bl_scale_at(struct block_format f, size_t n)
{
    return bl_pairs_at(f, n) + (f.integer ? bl_n_pairs(f) : f.minimum ? BLOCK_GROUPS : 0) * n * 4;
}

BL_INLINE size_t bl_prepared_bytes(struct block_format f, size_t n)
{
    return bl_scale_at(f, n) + n * 4;
}

BL_INLINE void bl_put32(uint8_t *p, int32_t value)
{
    memcpy(p, &value, sizeof value);
}

/* Four bytes of each row beside each other: rows of 16 or 32 bytes turned. */
BL_INLINE void bl_turn4(const int8_t *const *q, size_t at, size_t n, uint8_t *ret)
{
    __m128i v[4];
    __m128i a, b, c, d;

    for (size_t r = 0; r < 4; r++)
        v[r] = _mm_loadu_si128((const __m128i *)(const void *)(q[r] + at));
    a = _mm_unpacklo_epi32(v[0], v[1]);
    b = _mm_unpackhi_epi32(v[0], v[1]);
    c = _mm_unpacklo_epi32(v[2], v[3]);
    d = _mm_unpackhi_epi32(v[2], v[3]);
    _mm_storeu_si128((__m128i *)(void *)ret, _mm_unpacklo_epi64(a, c));
    _mm_storeu_si128((__m128i *)(void *)(ret + n * 4), _mm_unpackhi_epi64(a, c));
    _mm_storeu_si128((__m128i *)(void *)(ret + n * 8), _mm_unpacklo_epi64(b, d));
    _mm_storeu_si128((__m128i *)(void *)(ret + n * 12), _mm_unpackhi_epi64(b, d));
}

/* Block b of the n (1, 2, 4 or 8) rows from first on; only n_rows are there. */
BL_INLINE void bl_prepare_block(struct block_format f, size_t n, const struct block_rows *x,
                                size_t first, size_t n_rows, size_t b, size_t groups, uint8_t *ret)
{
    const int8_t *q[BL_ROWS_MAX];
    size_t chunk = f.integer ? bl_chunk(f) : BLOCK_GROUP;
    int centre = bl_centre(f);

    BL_EACH (size_t r = 0; r < n; r++) {
        size_t at = block_rows_at(x, first + (r < n_rows ? r : n_rows - 1), b);
        const int16_t *pairs = f.group == 16 ? x->sum16 + at * 16 : x->sum32 + at * 8;
        const int16_t *chunks = chunk == 8    ? x->sum8 + at * 32
                                : chunk == 16 ? x->sum16 + at * 16
                                              : x->sum32 + at * 8;

        q[r] = x->q + at * BLOCK_INPUTS;
        for (size_t i = 0; i < groups * BLOCK_GROUP / chunk; i++)
            bl_put32(ret + bl_start_at(n) + (i * n + r) * 4, -centre * chunks[i]);
        for (size_t i = 0; f.integer && i < bl_n_pairs(f); i++)
            memcpy(ret + bl_pairs_at(f, n) + (i * n + r) * 4, pairs + 2 * i, 4);
        for (size_t i = 0; !f.integer && f.minimum && i < groups; i++) {
            float sum = (float)pairs[i];

            memcpy(ret + bl_pairs_at(f, n) + (i * n + r) * 4, &sum, 4);
        }
        memcpy(ret + bl_scale_at(f, n) + r * 4, &x->scale[at], 4);
    }
    if (n == 1)
        memcpy(ret, q[0], groups * BLOCK_GROUP);
    else if (n == 2)
        for (size_t i = 0; i < groups * BLOCK_GROUP; i += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(q[0] + i));
            __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(q[1] + i));

            _mm_storeu_si128((__m128i *)(void *)(ret + 2 * i), _mm_unpacklo_epi32(v, w));
            _mm_storeu_si128((__m128i *)(void *)(ret + 2 * i + 16), _mm_unpackhi_epi32(v, w));
        }
    else
        for (size_t i = 0; i < groups * BLOCK_GROUP; i += 16)
            for (size_t r = 0; r < n; r += 4)
                bl_turn4(q + r, i, n, ret + i * n + r * 4);
}

BL_INLINE bl_i bl_prepared(const uint8_t *at, size_t i, size_t n, size_t r)
{
    return bl_every32(at + (i * n + r) * 4);
}

/* ---- weights ---- */

/* Four inputs 4 j .. 4 j + 3 of a group, as unsigned bytes (8 bits: signed). */
BL_INLINE bl_i bl_weights(struct block_format f, const uint8_t *low, const uint8_t *high, size_t j)
{
    bl_i nibble;
    bl_i h;

    if (f.bits == 8)
        return bl_load(low + j * 64);
    nibble = bl_load(low + j / 2 * 64);
    nibble = bl_and(j % 2 ? bl_right16(nibble, 4) : nibble, bl_every8(15));
    if (f.bits == 4)
        return nibble;
    h = bl_load(high + (f.bits == 5 ? 0 : j / 4 * 64));
    if (f.bits == 5)
        h = j < 4 ? bl_left16(h, (int)(4 - j)) : bl_right16(h, (int)(j - 4));
    else
        h = j % 4 < 2 ? bl_left16(h, (int)(4 - j % 4 * 2)) : bl_right16(h, (int)(j % 4 * 2 - 4));
    return bl_and_or(h, bl_every8(f.bits == 5 ? 16 : 48), nibble);
}

/* The first rows read every weight faster than the hardware looks ahead (it stops at pages of 4
 * KiB): ask for the n bytes that are read BL_AHEAD later. */
#define BL_AHEAD 4096

BL_INLINE void bl_ask(const uint8_t *at, size_t n)
{
    BL_EACH (size_t i = 0; i < n; i += 64)
        _mm_prefetch((const char *)at + BL_AHEAD + i, _MM_HINT_T0);
}

/* ---- integer scales ---- */

/* acc[r] and I[r] for one chunk whose four-input steps begin at j of group g. */
BL_INLINE void bl_chunk_sums(struct block_format f, size_t n, const uint8_t *low,
                             const uint8_t *high, const uint8_t *x, size_t g, size_t j, bl_i scale,
                             bl_i *sum)
{
    bl_i acc[BL_ROWS_MAX];
    size_t chunk = bl_chunk(f);
    size_t index = (g * BLOCK_GROUP + j * 4) / chunk;

    BL_EACH (size_t r = 0; r < n; r++)
        acc[r] = BL_VNNI && bl_centre(f) ? bl_prepared(x + bl_start_at(n), index, n, r) : bl_zero();
    BL_EACH (size_t i = 0; i < chunk / 4; i++) {
        bl_i w = bl_weights(f, low, high, j + i);

        BL_EACH (size_t r = 0; r < n; r++)
            acc[r] = bl_dot(acc[r], w, bl_prepared(x, g * 8 + j + i, n, r));
    }
    BL_EACH (size_t r = 0; r < n; r++)
        sum[r] = bl_add_scaled(sum[r], acc[r], scale);
}

/* y of n rows, a vector of outputs, over one block with integer scales. */
BL_INLINE void bl_integer_block(struct block_format f, size_t n, const uint8_t *w, size_t half,
                                const uint8_t *x, bl_f *y)
{
    const uint8_t *low = w + half * BL_LANES * 4;
    const uint8_t *high = low + block_low_bytes(f, BLOCK_GROUPS);
    const uint8_t *scales = w + block_low_bytes(f, BLOCK_GROUPS) +
                            block_high_bytes(f, BLOCK_GROUPS) + half * BL_LANES * 2;
    const uint8_t *minimums = scales + block_scale_bytes(f, BLOCK_GROUPS);
    const uint8_t *d = minimums + (f.minimum ? block_scale_bytes(f, BLOCK_GROUPS) : 0);
    size_t chunk = bl_chunk(f);
    size_t part = block_packed_bytes(f, BLOCK_GROUPS) * f.group * 2 / BLOCK_INPUTS;
    int shift = bl_centre(f) - f.zero;
    bl_i sum[BL_ROWS_MAX];
    bl_f t[BL_ROWS_MAX];

    BL_EACH (size_t r = 0; r < n; r++)
        sum[r] = bl_zero();
    BL_LOOP (size_t p = 0; p < BLOCK_INPUTS / (size_t)f.group / 2; p++) {
        bl_i pair = bl_wide8(scales + p * 32);

        if (half == 0)
            bl_ask(w + p * part, part);
        BL_EACH (size_t i = 0; i < 2 * (size_t)f.group; i += chunk) {
            size_t input = p * 2 * f.group + i;
            size_t g = input / BLOCK_GROUP;

            bl_chunk_sums(f, n, low + g * 256, high + g * (f.bits == 5 ? 64 : 128), x, g,
                          input % BLOCK_GROUP / 4,
                          i < f.group ? bl_first_scale(pair) : bl_second_scale(pair), sum);
        }
        if (shift)
            BL_EACH (size_t r = 0; r < n; r++)
                sum[r] = bl_add_pairs(sum[r], bl_times16(pair, shift),
                                      bl_prepared(x + bl_pairs_at(f, n), p, n, r));
    }
    BL_EACH (size_t r = 0; r < n; r++)
        t[r] = bl_mul(bl_half(d), bl_float(sum[r]));
    if (f.minimum) {
        BL_EACH (size_t r = 0; r < n; r++)
            sum[r] = bl_zero();
        BL_LOOP (size_t p = 0; p < BLOCK_INPUTS / (size_t)f.group / 2; p++) {
            bl_i pair = bl_wide8(minimums + p * 32);

            BL_EACH (size_t r = 0; r < n; r++)
                sum[r] = bl_add_pairs(sum[r], pair, bl_prepared(x + bl_pairs_at(f, n), p, n, r));
        }
        BL_EACH (size_t r = 0; r < n; r++)
            t[r] = bl_fnma(bl_half(d + 32), bl_float(sum[r]), t[r]);
    }
    BL_EACH (size_t r = 0; r < n; r++)
        y[r] = bl_fma(t[r], bl_everyf(x + bl_scale_at(f, n) + r * 4), y[r]);
}

/* ---- float scales ---- */

/* The exact sums of a group, zero subtracted. */
BL_INLINE void bl_group_sums(struct block_format f, size_t n, const uint8_t *low,
                             const uint8_t *high, const uint8_t *x, size_t g, bl_i *sum)
{
#if !BL_VNNI
    const size_t steps = f.bits == 8 ? 1 : bl_chunk(f) / 4;

#endif
    BL_EACH (size_t r = 0; r < n; r++)
        sum[r] = bl_centre(f) ? bl_prepared(x + bl_start_at(n), g, n, r) : bl_zero();
#if BL_VNNI
    BL_EACH (size_t j = 0; j < 8; j++) {
        bl_i w = bl_weights(f, low, high, j);

        if (f.bits == 8)
            w = bl_xor(w, bl_every8((char)128));
        BL_EACH (size_t r = 0; r < n; r++)
            sum[r] = bl_dot(sum[r], w, bl_prepared(x, g * 8 + j, n, r));
    }
#else
    BL_EACH (size_t j = 0; j < 8; j += steps) {
        bl_i acc[BL_ROWS_MAX];

        BL_EACH (size_t r = 0; r < n; r++)
            acc[r] = bl_zero();
        BL_EACH (size_t i = 0; i < steps; i++) {
            bl_i w = bl_weights(f, low, high, j + i);

            BL_EACH (size_t r = 0; r < n; r++) {
                bl_i q = bl_prepared(x, g * 8 + j + i, n, r);

                acc[r] = f.bits == 8 ? bl_dot_signed(w, q) : bl_dot(acc[r], w, q);
            }
        }
        BL_EACH (size_t r = 0; r < n; r++)
            sum[r] = bl_add_pairs(sum[r], acc[r], bl_every16(1));
    }
#endif
}

BL_INLINE void bl_float_block(struct block_format f, size_t n, const uint8_t *w, size_t groups,
                              size_t half, const uint8_t *x, bl_f *y)
{
    const uint8_t *low = w + half * BL_LANES * 4;
    const uint8_t *high = low + block_low_bytes(f, groups);
    const uint8_t *scales =
        w + block_low_bytes(f, groups) + block_high_bytes(f, groups) + half * BL_LANES * 2;
    const uint8_t *minimums = scales + block_scale_bytes(f, groups);
    size_t part = block_packed_bytes(f, 2) / 2;
    bl_f t[BL_ROWS_MAX];

    BL_EACH (size_t r = 0; r < n; r++)
        t[r] = bl_zerof();
    for (size_t g = 0; g < groups; g++) {
        bl_i sum[BL_ROWS_MAX];
        bl_f scale = bl_half(scales + g * 32);

        if (half == 0)
            bl_ask(w + g * part, part);
        bl_group_sums(f, n, low + g * (f.bits == 8 ? 512 : 256), high + g * 64, x, g, sum);
        BL_EACH (size_t r = 0; r < n; r++)
            t[r] = bl_fma(bl_float(sum[r]), scale, t[r]);
        if (f.minimum) {
            bl_f minimum = bl_half(minimums + g * 32);

            BL_EACH (size_t r = 0; r < n; r++)
                t[r] = bl_fma(bl_everyf(x + bl_pairs_at(f, n) + (g * n + r) * 4), minimum, t[r]);
        }
    }
    BL_EACH (size_t r = 0; r < n; r++)
        y[r] = bl_fma(t[r], bl_everyf(x + bl_scale_at(f, n) + r * 4), y[r]);
}

/* ---- rows x outputs ---- */

#define BL_BLOCKS_AT_ONCE 4 /* whose prepared rows stay in L1 while all strips pass */

/* Blocks first .. end - 1 of strip s; y holds what the blocks before gave. */
BL_INLINE void bl_strip(struct block_format f, size_t n, const struct block_weights *w, size_t s,
                        size_t first, size_t end, const uint8_t *x, float *y, size_t n_outs,
                        size_t stride, size_t n_rows)
{
    const uint8_t *block = w->packed + s * w->strip_bytes;

    block += first * block_packed_bytes(f, BLOCK_GROUPS);
    for (size_t half = 0; half * BL_LANES < n_outs; half++) {
        const float *bias = w->bias + s * BLOCK_STRIP + half * BL_LANES;
        size_t left = n_outs - half * BL_LANES;
        float *to = y + half * BL_LANES;
        const uint8_t *at = block;
        bl_f sum[BL_ROWS_MAX];

        BL_EACH (size_t r = 0; r < n; r++)
            sum[r] = first == 0 ? bl_loadf(bias)
                                : bl_loadf_n(to + (r < n_rows ? r : n_rows - 1) * stride, left);
        for (size_t b = first; b < end; b++) {
            size_t groups = f.integer ? BLOCK_GROUPS : block_groups_at(w->n_groups, b);

            if (f.integer)
                bl_integer_block(f, n, at, half, x + b * bl_prepared_bytes(f, n), sum);
            else
                bl_float_block(f, n, at, groups, half, x + b * bl_prepared_bytes(f, n), sum);
            at += block_packed_bytes(f, groups);
        }
        BL_EACH (size_t r = 0; r < n; r++)
            if (r < n_rows)
                bl_storef_n(to + r * stride, left, sum[r]);
    }
}

/* n_rows <= n rows, all outputs of the range. */
BL_INLINE void bl_rows(struct block_format f, size_t n, const struct block_weights *w,
                       const struct block_rows *x, size_t first, size_t n_rows,
                       const struct block_range *out, float *y, uint8_t *prepared)
{
    /* the first rows bring the weights from memory: in the order in which they lie there */
    size_t at_once = first == 0 ? w->n_blocks : BL_BLOCKS_AT_ONCE;

    for (size_t b = 0; b < w->n_blocks; b++)
        bl_prepare_block(f, n, x, first, n_rows, b, block_groups_at(w->n_groups, b),
                         prepared + b * bl_prepared_bytes(f, n));
    for (size_t b = 0; b < w->n_blocks; b += at_once)
        for (size_t o = 0; o < out->n; o += BLOCK_STRIP)
            bl_strip(f, n, w, (out->first + o) / BLOCK_STRIP, b,
                     b + at_once < w->n_blocks ? b + at_once : w->n_blocks, prepared, y + o,
                     out->n - o < BLOCK_STRIP ? out->n - o : BLOCK_STRIP, out->stride, n_rows);
}

typedef void bl_rows_function(const struct block_weights *w, const struct block_rows *x,
                              size_t first, size_t n_rows, const struct block_range *out, float *y,
                              uint8_t *prepared);

/* For each format, functions for 1, 2, 4 and, where registers suffice, 8 rows. */
#define BL_DEFINE_N(name, n, ...)                                                                  \
    static void bl_rows_##name##_##n(const struct block_weights *w, const struct block_rows *x,    \
                                     size_t first, size_t n_rows, const struct block_range *out,   \
                                     float *y, uint8_t *prepared)                                  \
    {                                                                                              \
        bl_rows((struct block_format){__VA_ARGS__}, n, w, x, first, n_rows, out, y, prepared);     \
    }
#if BL_ROWS_MAX == 8
#define BL_DEFINE_8(name, ...) BL_DEFINE_N(name, 8, __VA_ARGS__)
#define BL_ENTRY_8(name)       bl_rows_##name##_8
#else
#define BL_DEFINE_8(name, ...)
#define BL_ENTRY_8(name) NULL
#endif
#define BL_DEFINE(name, ...)                                                                       \
    BL_DEFINE_N(name, 1, __VA_ARGS__)                                                              \
    BL_DEFINE_N(name, 2, __VA_ARGS__)                                                              \
    BL_DEFINE_N(name, 4, __VA_ARGS__)                                                              \
    BL_DEFINE_8(name, __VA_ARGS__)
#define BL_ENTRY(name, ...)                                                                        \
    [BLOCK_FORMAT_##                                                                               \
        name] = {bl_rows_##name##_1, bl_rows_##name##_2, bl_rows_##name##_4, BL_ENTRY_8(name)},

BLOCK_FORMATS(BL_DEFINE)

static bl_rows_function *const bl_functions[BLOCK_FORMAT_COUNT][4] = {BLOCK_FORMATS(BL_ENTRY)};

/* Of any format, so that one bound holds for all. */
BL_INLINE size_t bl_scratch_bytes(const struct block_weights *w)
{
    return w->n_blocks * BL_ROWS_MAX * 4 * (64 + 32 + 8 + 1);
}

BL_INLINE void bl_forward(const struct block_weights *w, const struct block_rows *x, size_t n,
                          const struct block_range *out, uint8_t *scratch)
{
    for (size_t row = 0; row < n;) {
        size_t n_rows = n - row < BL_ROWS_MAX ? n - row : BL_ROWS_MAX;
        size_t which = n_rows > 4 ? 3 : n_rows > 2 ? 2 : n_rows - 1;

        bl_functions[w->format][which](w, x, row, n_rows, out, out->y + row * out->stride, scratch);
        row += n_rows;
    }
}
