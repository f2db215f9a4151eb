#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/f16.h"
#include "nn/kernels_table.h"

/* A block as the formula has it: 16 bits a weight, zero subtracted. */
struct unpacked {
    int16_t w[BLOCK_STRIP][BLOCK_INPUTS];
    int8_t scale[BLOCK_STRIP][2 * BLOCK_GROUPS]; /* one a group, or one a half group */
    int8_t minimum[BLOCK_STRIP][2 * BLOCK_GROUPS];
    float group_scale[BLOCK_STRIP][BLOCK_GROUPS];
    float group_minimum[BLOCK_STRIP][BLOCK_GROUPS];
    float d[BLOCK_STRIP];
    float dmin[BLOCK_STRIP];
};

static int weight_at(struct block_format f, const uint8_t *low, const uint8_t *high, size_t o,
                     size_t i)
{
    size_t byte = o * 4 + i % 4;
    int value;

    if (f.bits == 8)
        return (int8_t)low[i / 4 * 64 + byte];
    value = low[i / 8 * 64 + byte] >> (i / 4 % 2 * 4) & 15;
    if (f.bits == 5)
        value |= (high[i / 32 * 64 + byte] >> (i / 4 % 8) & 1) << 4;
    else if (f.bits == 6)
        value |= (high[i / 16 * 64 + byte] >> (i / 4 % 4 * 2) & 3) << 4;
    return value - f.zero;
}

static float half_at(const uint8_t *p, size_t i)
{
    uint16_t half;

    memcpy(&half, p + 2 * i, sizeof half);
    return f16_to_f32(half);
}

static void unpack_scales(struct block_format f, const uint8_t *p, size_t groups,
                          struct unpacked *ret)
{
    const uint8_t *minimum = p + block_scale_bytes(f, groups);
    const uint8_t *d = minimum + (f.minimum ? block_scale_bytes(f, groups) : 0);
    size_t n = groups * BLOCK_GROUP / f.group;

    for (size_t o = 0; o < BLOCK_STRIP; o++) {
        for (size_t g = 0; g < n && f.integer; g++) {
            size_t at = (g / 2 * BLOCK_STRIP + o) * 2 + g % 2;

            ret->scale[o][g] = (int8_t)p[at];
            ret->minimum[o][g] = f.minimum ? (int8_t)minimum[at] : 0;
        }
        for (size_t g = 0; g < n && !f.integer; g++) {
            ret->group_scale[o][g] = half_at(p, g * BLOCK_STRIP + o);
            ret->group_minimum[o][g] = f.minimum ? half_at(minimum, g * BLOCK_STRIP + o) : 0;
        }
        ret->d[o] = f.integer ? half_at(d, o) : 0;
        ret->dmin[o] = f.integer ? half_at(d, BLOCK_STRIP + o) : 0;
    }
}

static void unpack(struct block_format f, const uint8_t *block, size_t groups, struct unpacked *ret)
{
    const uint8_t *high = block + block_low_bytes(f, groups);

    for (size_t o = 0; o < BLOCK_STRIP; o++)
        for (size_t i = 0; i < groups * BLOCK_GROUP; i++)
            ret->w[o][i] = (int16_t)weight_at(f, block, high, o, i);
    unpack_scales(f, high + block_high_bytes(f, groups), groups, ret);
}

static int32_t product(const int16_t *w, const int8_t *q, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += w[i] * q[i];
    return sum;
}

static float integer_block(struct block_format f, const struct unpacked *u, size_t o,
                           const int8_t *q, const int16_t *sums, size_t n)
{
    int32_t sum = 0;
    int32_t low = 0;
    float t;

    for (size_t g = 0; g < n; g++) {
        sum += u->scale[o][g] * product(u->w[o] + g * f.group, q + g * f.group, f.group);
        low += u->minimum[o][g] * sums[g];
    }
    t = u->d[o] * (float)sum;
    return f.minimum ? fmaf(-u->dmin[o], (float)low, t) : t;
}

static float float_block(struct block_format f, const struct unpacked *u, size_t o, const int8_t *q,
                         const int16_t *sums, size_t n)
{
    float t = 0;

    for (size_t g = 0; g < n; g++) {
        t = fmaf((float)product(u->w[o] + g * BLOCK_GROUP, q + g * BLOCK_GROUP, BLOCK_GROUP),
                 u->group_scale[o][g], t);
        if (f.minimum)
            t = fmaf((float)sums[g], u->group_minimum[o][g], t);
    }
    return t;
}

/* One strip: blocks outside, rows inside, so that a block is unpacked once. */
static void strip(struct block_format f, const struct block_weights *w, size_t s,
                  const struct block_rows *x, size_t n, float *y, size_t n_outs, size_t stride)
{
    struct unpacked u = {0};
    const uint8_t *block = w->packed + s * w->strip_bytes;

    for (size_t i = 0; i < n; i++)
        memcpy(y + i * stride, w->bias + s * BLOCK_STRIP, n_outs * sizeof *y);
    for (size_t b = 0; b < w->n_blocks; b++) {
        size_t groups = block_groups_at(w->n_groups, b);
        size_t n_scales = groups * BLOCK_GROUP / f.group;

        unpack(f, block, groups, &u);
        for (size_t i = 0; i < n; i++) {
            size_t at = block_rows_at(x, i, b);
            const int8_t *q = x->q + at * BLOCK_INPUTS;
            const int16_t *sums = f.group == 16 ? x->sum16 + at * 16 : x->sum32 + at * 8;

            for (size_t o = 0; o < n_outs; o++) {
                float t = f.integer ? integer_block(f, &u, o, q, sums, n_scales)
                                    : float_block(f, &u, o, q, sums, n_scales);

                y[i * stride + o] = fmaf(t, x->scale[at], y[i * stride + o]);
            }
        }
        block += block_packed_bytes(f, groups);
    }
}

#define FORMAT(name, ...) [BLOCK_FORMAT_##name] = {__VA_ARGS__},
static const struct block_format formats[BLOCK_FORMAT_COUNT] = {BLOCK_FORMATS(FORMAT)};
#undef FORMAT

size_t block_linear_scratch_portable(const struct block_weights *w, size_t n, size_t n_outs)
{
    (void)w;
    (void)n;
    (void)n_outs;
    return 0;
}

void block_linear_portable(const struct block_weights *w, const struct block_rows *x, size_t n,
                           const struct block_range *out, void *scratch)
{
    (void)scratch;
    for (size_t o = 0; o < out->n; o += BLOCK_STRIP)
        strip(formats[w->format], w, (out->first + o) / BLOCK_STRIP, x, n, out->y + o,
              out->n - o < BLOCK_STRIP ? out->n - o : BLOCK_STRIP, out->stride);
}
