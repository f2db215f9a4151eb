/* A block of 256 inputs of 16 outputs at a time: first each output's values and scales as numbers
 * (the layouts of the types are at the head of nn/quant_blocks.c), then all of them to their places
 * in the strip. */
#include "nn/block_pack.h"

#include <assert.h>
#include <string.h>

#include "base/f16.h"

struct numbers {
    uint8_t w[BLOCK_STRIP][BLOCK_INPUTS]; /* unsigned, or the signed bytes of 8 bits */
    uint8_t scale[BLOCK_STRIP][2 * BLOCK_GROUPS];
    uint8_t minimum[BLOCK_STRIP][2 * BLOCK_GROUPS];
    uint16_t d[BLOCK_STRIP]; /* f16, as all that follows */
    uint16_t dmin[BLOCK_STRIP];
    uint16_t group_scale[BLOCK_STRIP][BLOCK_GROUPS];
    uint16_t group_minimum[BLOCK_STRIP][BLOCK_GROUPS];
};

static inline uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t u32_at(const uint8_t *p)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

/* ---- blocks of 32, into group g of output o ---- */

static void nibbles(const uint8_t *q, uint8_t *ret)
{
    for (size_t j = 0; j < 16; j++) {
        ret[j] = q[j] & 15;
        ret[j + 16] = q[j] >> 4;
    }
}

static void fifth_bits(const uint8_t *bits, uint8_t *w)
{
    uint32_t all = u32_at(bits);

    for (size_t j = 0; j < 32; j++)
        w[j] |= (uint8_t)((all >> j & 1) << 4);
}

static void read_q4_0(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    nibbles(b + 2, ret->w[o] + 32 * g);
}

static void read_q4_1(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    ret->group_minimum[o][g] = u16_at(b + 2);
    nibbles(b + 4, ret->w[o] + 32 * g);
}

static void read_q5_0(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    nibbles(b + 6, ret->w[o] + 32 * g);
    fifth_bits(b + 2, ret->w[o] + 32 * g);
}

static void read_q5_1(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    ret->group_minimum[o][g] = u16_at(b + 2);
    nibbles(b + 8, ret->w[o] + 32 * g);
    fifth_bits(b + 4, ret->w[o] + 32 * g);
}

static void read_q8_0(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    memcpy(ret->w[o] + 32 * g, b + 2, 32);
}

/* kvalues_iq4nl of ggml-common.h */
static void levels(const uint8_t *q, uint8_t *ret)
{
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

    for (size_t j = 0; j < 16; j++) {
        ret[j] = (uint8_t)values[q[j] & 15];
        ret[j + 16] = (uint8_t)values[q[j] >> 4];
    }
}

static void read_iq4_nl(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    ret->group_scale[o][g] = u16_at(b);
    levels(b + 2, ret->w[o] + 32 * g);
}

/* ---- blocks of 256 ---- */

static void read_iq4_xs(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    float d = f16_to_f32(u16_at(b));

    (void)g;
    for (size_t i = 0; i < 8; i++) {
        int s = (b[4 + i / 2] >> (i % 2 * 4) & 15) | (u16_at(b + 2) >> (2 * i) & 3) << 4;

        ret->group_scale[o][i] = f16_from_f32(d * (float)(s - 32));
        levels(b + 8 + 16 * i, ret->w[o] + 32 * i);
    }
}

/* Byte 32 h + j: weights 128 h + j, + 32, + 64, + 96 in bit pairs from the lowest. */
static void bit_pairs(const uint8_t *q, uint8_t *ret)
{
    for (size_t h = 0; h < 2; h++)
        for (size_t part = 0; part < 4; part++)
            for (size_t j = 0; j < 32; j++)
                ret[128 * h + 32 * part + j] = q[32 * h + j] >> (2 * part) & 3;
}

static void read_q2_k(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    (void)g;
    ret->d[o] = u16_at(b + 80);
    ret->dmin[o] = u16_at(b + 82);
    bit_pairs(b + 16, ret->w[o]);
    for (size_t i = 0; i < 16; i++) {
        ret->scale[o][i] = b[i] & 15;
        ret->minimum[o][i] = b[i] >> 4;
    }
}

static void read_q3_k(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    const uint8_t *scales = b + 96;

    (void)g;
    ret->d[o] = u16_at(b + 108);
    bit_pairs(b + 32, ret->w[o]);
    for (size_t part = 0; part < 8; part++)
        for (size_t j = 0; j < 32; j++)
            ret->w[o][32 * part + j] |= (uint8_t)((b[j] >> part & 1) << 2);
    for (size_t i = 0; i < 16; i++) {
        int low = scales[i % 8] >> (i / 8 * 4) & 15;
        int high = scales[8 + i % 4] >> (i / 4 * 2) & 3;

        ret->scale[o][i] = (uint8_t)((low | high << 4) - 32);
    }
}

static void read_k_groups(const uint8_t *b, const uint8_t *bits, const uint8_t *q, size_t o,
                          struct numbers *ret)
{
    const uint8_t *s = b + 4;

    ret->d[o] = u16_at(b);
    ret->dmin[o] = u16_at(b + 2);
    for (size_t g = 0; g < 8; g++) {
        uint8_t *w = ret->w[o] + 32 * g;

        ret->scale[o][g] = (uint8_t)(g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4);
        ret->minimum[o][g] = (uint8_t)(g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4);
        for (size_t j = 0; j < 32; j++)
            w[j] = q[32 * (g / 2) + j] >> (g % 2 * 4) & 15;
        for (size_t j = 0; j < 32 && bits; j++)
            w[j] |= (uint8_t)((bits[j] >> g & 1) << 4);
    }
}

static void read_q4_k(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    (void)g;
    read_k_groups(b, NULL, b + 16, o, ret);
}

static void read_q5_k(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    (void)g;
    read_k_groups(b, b + 16, b + 48, o, ret);
}

static void read_q6_k(const uint8_t *b, size_t o, size_t g, struct numbers *ret)
{
    (void)g;
    ret->d[o] = u16_at(b + 208);
    memcpy(ret->scale[o], b + 192, 16);
    for (size_t part = 0; part < 8; part++) { /* of 32 weights */
        const uint8_t *low = b + 64 * (part / 4) + 32 * (part % 2);
        const uint8_t *high = b + 128 + 32 * (part / 4);
        uint8_t *w = ret->w[o] + 32 * part;

        for (size_t j = 0; j < 32; j++)
            w[j] = (uint8_t)((low[j] >> (part % 4 / 2 * 4) & 15) | (high[j] >> (part % 4 * 2) & 3)
                                                                       << 4);
    }
}

/* ---- to their places ---- */

static inline void put(uint8_t *p, uint32_t four)
{
    memcpy(p, &four, sizeof four);
}

static void write_weights(const struct numbers *from, struct block_format f, size_t groups,
                          uint8_t *ret)
{
    uint8_t *high = ret + block_low_bytes(f, groups);

    for (size_t g = 0; g < groups; g++)
        for (size_t o = 0; o < BLOCK_STRIP; o++) {
            const uint8_t *w = from->w[o] + g * BLOCK_GROUP;
            uint32_t bits[2] = {0, 0};

            for (size_t j = 0; j < 8 && f.bits == 8; j++)
                put(ret + (g * 8 + j) * 64 + o * 4, u32_at(w + 4 * j));
            if (f.bits == 8)
                continue;
            for (size_t v = 0; v < 4; v++)
                put(ret + (g * 4 + v) * 64 + o * 4,
                    (u32_at(w + 8 * v) & 0x0F0F0F0Fu) | (u32_at(w + 8 * v + 4) & 0x0F0F0F0Fu) << 4);
            if (f.bits == 5) {
                for (size_t j = 0; j < 8; j++)
                    bits[0] |= (u32_at(w + 4 * j) >> 4 & 0x01010101u) << j;
                put(high + g * 64 + o * 4, bits[0]);
            } else if (f.bits == 6) {
                for (size_t j = 0; j < 8; j++)
                    bits[j / 4] |= (u32_at(w + 4 * j) >> 4 & 0x03030303u) << (j % 4 * 2);
                put(high + g * 128 + o * 4, bits[0]);
                put(high + g * 128 + 64 + o * 4, bits[1]);
            }
        }
}

static void put_half(uint8_t *p, uint16_t half)
{
    memcpy(p, &half, sizeof half);
}

static void write_scales(const struct numbers *from, struct block_format f, size_t groups,
                         uint8_t *ret)
{
    uint8_t *minimum = ret + block_scale_bytes(f, groups);
    uint8_t *d = minimum + (f.minimum ? block_scale_bytes(f, groups) : 0);

    for (size_t o = 0; o < BLOCK_STRIP; o++) {
        for (size_t i = 0; i < groups * BLOCK_GROUP / f.group; i++) {
            size_t at = (i / 2 * BLOCK_STRIP + o) * 2 + i % 2;

            if (f.integer) {
                ret[at] = from->scale[o][i];
                if (f.minimum)
                    minimum[at] = from->minimum[o][i];
            } else {
                put_half(ret + (i * BLOCK_STRIP + o) * 2, from->group_scale[o][i]);
                if (f.minimum)
                    put_half(minimum + (i * BLOCK_STRIP + o) * 2, from->group_minimum[o][i]);
            }
        }
        if (f.integer) {
            put_half(d + o * 2, from->d[o]);
            put_half(d + (BLOCK_STRIP + o) * 2, from->dmin[o]);
        }
    }
}

static bool finite(uint16_t half)
{
    return (half & 0x7C00) != 0x7C00;
}

static bool finite_scales(const struct numbers *from, size_t groups)
{
    bool all = true;

    for (size_t o = 0; o < BLOCK_STRIP; o++) {
        all = all && finite(from->d[o]) && finite(from->dmin[o]);
        for (size_t g = 0; g < groups; g++)
            all = all && finite(from->group_scale[o][g]) && finite(from->group_minimum[o][g]);
    }
    return all;
}

/* ---- types ---- */

static const struct {
    enum block_format_id format;
    void (*read)(const uint8_t *block, size_t o, size_t g, struct numbers *ret);
} types[BLOCK_TYPES] = {
    [BLOCK_Q4_0] = {BLOCK_FORMAT_q4_0, read_q4_0  },
    [BLOCK_Q4_1] = {BLOCK_FORMAT_q4_1, read_q4_1  },
    [BLOCK_Q5_0] = {BLOCK_FORMAT_q5_0, read_q5_0  },
    [BLOCK_Q5_1] = {BLOCK_FORMAT_q5_1, read_q5_1  },
    [BLOCK_Q8_0] = {BLOCK_FORMAT_q8_0, read_q8_0  },
    [BLOCK_Q2_K] = {BLOCK_FORMAT_q2_k, read_q2_k  },
    [BLOCK_Q3_K] = {BLOCK_FORMAT_q3_k, read_q3_k  },
    [BLOCK_Q4_K] = {BLOCK_FORMAT_q4_k, read_q4_k  },
    [BLOCK_Q5_K] = {BLOCK_FORMAT_q5_k, read_q5_k  },
    [BLOCK_Q6_K] = {BLOCK_FORMAT_q6_k, read_q6_k  },
    [BLOCK_IQ4_NL] = {BLOCK_FORMAT_q8_0, read_iq4_nl},
    [BLOCK_IQ4_XS] = {BLOCK_FORMAT_q8_0, read_iq4_xs},
};

#define FORMAT(name, ...) [BLOCK_FORMAT_##name] = {__VA_ARGS__},
static const struct block_format formats[BLOCK_FORMAT_COUNT] = {BLOCK_FORMATS(FORMAT)};
#undef FORMAT

bool block_pack_format(enum block_type type, enum block_format_id *ret)
{
    if (!types[type].read)
        return false;
    *ret = types[type].format;
    return true;
}

struct block_format block_format_of(enum block_format_id id)
{
    return formats[id];
}

bool block_pack_strip(enum block_type type, const uint8_t *rows, size_t row_bytes, size_t n_rows,
                      size_t n_in, uint8_t *ret)
{
    struct block_format f = formats[types[type].format];
    size_t elements = block_elements(type);
    size_t bytes = block_bytes(type);
    size_t n_groups = (n_in + 2 * BLOCK_GROUP - 1) / (2 * BLOCK_GROUP) * 2;
    struct numbers numbers;

    assert(types[type].read && n_in % elements == 0 && n_rows >= 1 && n_rows <= BLOCK_STRIP);
    /* outputs that are not there, and groups behind the end, stay 0 */
    memset(&numbers, 0, sizeof numbers);
    for (size_t first = 0; first < n_in; first += BLOCK_INPUTS) {
        size_t groups = block_groups_at(n_groups, first / BLOCK_INPUTS);
        size_t inputs = n_in - first < BLOCK_INPUTS ? n_in - first : BLOCK_INPUTS;

        if (inputs < groups * BLOCK_GROUP)
            memset(&numbers, 0, sizeof numbers);
        for (size_t o = 0; o < n_rows; o++)
            for (size_t i = 0; i < inputs; i += elements)
                types[type].read(rows + o * row_bytes + (first + i) / elements * bytes, o,
                                 i / BLOCK_GROUP, &numbers);
        if (!finite_scales(&numbers, groups))
            return false;
        write_weights(&numbers, f, groups, ret);
        write_scales(&numbers, f, groups,
                     ret + block_low_bytes(f, groups) + block_high_bytes(f, groups));
        ret += block_packed_bytes(f, groups);
    }
    return true;
}
