/* Blocks of weights, byte by byte (all little-endian; d, m: f16; a nibble pair is low then high):
 *
 *   type     weights bytes  layout (OFFSET bytes)                         weight
 *   Q4_0     32      18     0 d, 2 q[16]                                  d (q - 8)
 *   Q4_1     32      20     0 d, 2 m, 4 q[16]                             d q + m
 *   Q5_0     32      22     0 d, 2 bits[4], 6 q[16]                       d (q - 16)
 *   Q5_1     32      24     0 d, 2 m, 4 bits[4], 8 q[16]                  d q + m
 *   Q8_0     32      34     0 d, 2 q[32] signed                           d q
 *   Q2_K     256     84     0 scales[16], 16 q[64], 80 d, 82 m            (d s) q - (m t)
 *   Q3_K     256     110    0 bits[32], 32 q[64], 96 scales[12], 108 d    (d (s - 32)) (q - 4)
 *   Q4_K     256     144    0 d, 2 m, 4 scales[12], 16 q[128]             (d s) q - (m t)
 *   Q5_K     256     176    0 d, 2 m, 4 scales[12], 16 bits[32], 48 q     (d s) q - (m t)
 *   Q6_K     256     210    0 q[128], 128 bits[64], 192 s[16] signed, 208 d   (d s) (q - 32)
 *   IQ4_NL   32      18     0 d, 2 q[16]                                  d levels[q]
 *   IQ4_XS   256     136    0 d, 2 high scale bits, 4 scales[4], 8 q      (d (s - 32)) levels[q]
 *   IQ2_XXS  256     66     0 d, 2 eight times u32 q, u32 signs and scale (d (s + 1/2) / 4) +-
 * vectors[q]
 *
 * Which weight a nibble or a pair of bits belongs to is said at each function. */
#include "nn/quant_blocks.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/f16.h"

#define SMALL_BLOCK 32
#define LARGE_BLOCK 256

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are read as they are stored");

static const struct {
    const char *name;
    size_t n_elements;
    size_t n_bytes;
} types[BLOCK_TYPES] = {
    [BLOCK_F32] = {"F32",     1,           4  },
    [BLOCK_F16] = {"F16",     1,           2  },
    [BLOCK_BF16] = {"BF16",    1,           2  },
    [BLOCK_Q4_0] = {"Q4_0",    SMALL_BLOCK, 18 },
    [BLOCK_Q4_1] = {"Q4_1",    SMALL_BLOCK, 20 },
    [BLOCK_Q5_0] = {"Q5_0",    SMALL_BLOCK, 22 },
    [BLOCK_Q5_1] = {"Q5_1",    SMALL_BLOCK, 24 },
    [BLOCK_Q8_0] = {"Q8_0",    SMALL_BLOCK, 34 },
    [BLOCK_Q2_K] = {"Q2_K",    LARGE_BLOCK, 84 },
    [BLOCK_Q3_K] = {"Q3_K",    LARGE_BLOCK, 110},
    [BLOCK_Q4_K] = {"Q4_K",    LARGE_BLOCK, 144},
    [BLOCK_Q5_K] = {"Q5_K",    LARGE_BLOCK, 176},
    [BLOCK_Q6_K] = {"Q6_K",    LARGE_BLOCK, 210},
    [BLOCK_IQ4_NL] = {"IQ4_NL",  SMALL_BLOCK, 18 },
    [BLOCK_IQ4_XS] = {"IQ4_XS",  LARGE_BLOCK, 136},
    [BLOCK_IQ2_XXS] = {"IQ2_XXS", LARGE_BLOCK, 66 },
};

/* What the 16 values of an IQ4 nibble stand for (kvalues_iq4nl of ggml-common.h). */
static const int8_t levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

/* The 256 vectors of eight magnitudes that an IQ2_XXS byte stands for, two bits each from the
 * lowest: 0 is 8, 1 is 25, 2 is 43 (iq2xxs_grid of ggml-common.h). */
static const uint16_t iq2_vectors[256] = {
    0x0000, 0x0002, 0x0005, 0x0008, 0x000A, 0x0011, 0x0014, 0x0020, 0x0022, 0x0028, 0x002A, 0x0041,
    0x0044, 0x0050, 0x0058, 0x0061, 0x0064, 0x0080, 0x0082, 0x008A, 0x00A2, 0x0101, 0x0104, 0x0110,
    0x0115, 0x0140, 0x0184, 0x0198, 0x0200, 0x0202, 0x0222, 0x0282, 0x0401, 0x0404, 0x0410, 0x0421,
    0x0424, 0x0440, 0x0442, 0x0448, 0x0460, 0x0481, 0x0484, 0x0490, 0x04A4, 0x0500, 0x0502, 0x0508,
    0x0520, 0x0546, 0x0569, 0x0580, 0x0591, 0x0609, 0x0610, 0x0640, 0x0684, 0x06A4, 0x0800, 0x0805,
    0x0808, 0x0814, 0x0828, 0x0841, 0x0844, 0x0850, 0x0852, 0x0888, 0x0904, 0x0940, 0x0A02, 0x0A14,
    0x1001, 0x1004, 0x1010, 0x1021, 0x1040, 0x1060, 0x1084, 0x1090, 0x1095, 0x1100, 0x1108, 0x1120,
    0x1150, 0x115A, 0x1180, 0x1224, 0x1245, 0x1400, 0x1408, 0x1420, 0x1425, 0x1449, 0x1480, 0x1518,
    0x1562, 0x1600, 0x1616, 0x1801, 0x1804, 0x1810, 0x1840, 0x1881, 0x1900, 0x1905, 0x19A0, 0x1A51,
    0x2000, 0x2002, 0x200A, 0x2044, 0x2061, 0x2080, 0x2082, 0x2129, 0x2148, 0x2200, 0x2202, 0x2401,
    0x2404, 0x2410, 0x2440, 0x2456, 0x2500, 0x2541, 0x2564, 0x2690, 0x2808, 0x2820, 0x2894, 0x2A44,
    0x4001, 0x4004, 0x4010, 0x4018, 0x4021, 0x4024, 0x4040, 0x4048, 0x4056, 0x4060, 0x4081, 0x4084,
    0x4090, 0x4100, 0x4120, 0x4161, 0x4180, 0x4185, 0x4201, 0x4210, 0x4248, 0x4256, 0x4268, 0x4400,
    0x4408, 0x4420, 0x4480, 0x4499, 0x4512, 0x4524, 0x4600, 0x4801, 0x4804, 0x4810, 0x4840, 0x4845,
    0x4900, 0x4958, 0x4961, 0x4982, 0x4A45, 0x4A90, 0x5000, 0x5008, 0x5011, 0x5019, 0x5020, 0x5080,
    0x5088, 0x5104, 0x5142, 0x51A4, 0x5291, 0x5490, 0x5492, 0x550A, 0x5601, 0x5654, 0x5800, 0x5811,
    0x5819, 0x5864, 0x5940, 0x5A08, 0x6004, 0x6010, 0x6040, 0x6068, 0x6100, 0x6155, 0x6218, 0x6260,
    0x6400, 0x6405, 0x6510, 0x6512, 0x6584, 0x6842, 0x8000, 0x8002, 0x800A, 0x8041, 0x8082, 0x8104,
    0x8118, 0x8140, 0x8211, 0x8401, 0x8404, 0x8410, 0x8415, 0x8440, 0x8460, 0x8500, 0x8546, 0x8594,
    0x8609, 0x8640, 0x8660, 0x8802, 0x8904, 0x8A11, 0x9004, 0x9010, 0x9024, 0x9040, 0x90A1, 0x9116,
    0x9180, 0x9245, 0x9400, 0x9422, 0x9444, 0x9551, 0x9881, 0x9920, 0xA002, 0xA050, 0xA085, 0xA109,
    0xA200, 0xA418, 0xA850, 0xA904,
};

const char *block_type_name(enum block_type type)
{
    assert(type < BLOCK_TYPES);
    return types[type].name;
}

size_t block_elements(enum block_type type)
{
    assert(type < BLOCK_TYPES);
    return types[type].n_elements;
}

size_t block_bytes(enum block_type type)
{
    assert(type < BLOCK_TYPES);
    return types[type].n_bytes;
}

static inline uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline float f16_at(const uint8_t *p)
{
    return f16_to_f32(u16_at(p));
}

/* ---- plain numbers ---- */

static void read_f32(const uint8_t *b, size_t n, float *ret)
{
    memcpy(ret, b, n * sizeof *ret);
}

static void read_f16(const uint8_t *b, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = f16_at(b + 2 * i);
}

static void read_bf16(const uint8_t *b, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)u16_at(b + 2 * i) << 16;

        memcpy(&ret[i], &bits, sizeof bits);
    }
}

/* ---- blocks of 32: byte j holds weights j (low nibble) and j + 16 (high) ---- */

static void read_q4_0(const uint8_t *b, float *ret)
{
    float d = f16_at(b);

    for (size_t j = 0; j < 16; j++) {
        ret[j] = d * (float)((b[2 + j] & 15) - 8);
        ret[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
    }
}

static void read_q4_1(const uint8_t *b, float *ret)
{
    float d = f16_at(b);
    float m = f16_at(b + 2);

    for (size_t j = 0; j < 16; j++) {
        ret[j] = d * (float)(b[4 + j] & 15) + m;
        ret[j + 16] = d * (float)(b[4 + j] >> 4) + m;
    }
}

/* Bit j of the 32 is the fifth of weight j. */
static inline int fifth_bit(const uint8_t *bits, size_t j)
{
    return (bits[j / 8] >> (j % 8) & 1) << 4;
}

static void read_q5_0(const uint8_t *b, float *ret)
{
    float d = f16_at(b);

    for (size_t j = 0; j < 16; j++) {
        ret[j] = d * (float)(((b[6 + j] & 15) | fifth_bit(b + 2, j)) - 16);
        ret[j + 16] = d * (float)((b[6 + j] >> 4 | fifth_bit(b + 2, j + 16)) - 16);
    }
}

static void read_q5_1(const uint8_t *b, float *ret)
{
    float d = f16_at(b);
    float m = f16_at(b + 2);

    for (size_t j = 0; j < 16; j++) {
        ret[j] = d * (float)((b[8 + j] & 15) | fifth_bit(b + 4, j)) + m;
        ret[j + 16] = d * (float)(b[8 + j] >> 4 | fifth_bit(b + 4, j + 16)) + m;
    }
}

static void read_q8_0(const uint8_t *b, float *ret)
{
    float d = f16_at(b);

    for (size_t j = 0; j < SMALL_BLOCK; j++)
        ret[j] = d * (float)(int8_t)b[2 + j];
}

static void read_iq4_nl(const uint8_t *b, float *ret)
{
    float d = f16_at(b);

    for (size_t j = 0; j < 16; j++) {
        ret[j] = d * (float)levels[b[2 + j] & 15];
        ret[j + 16] = d * (float)levels[b[2 + j] >> 4];
    }
}

/* ---- blocks of 256 ---- */

/* Q2_K, Q3_K: byte 32 h + j holds, in bit pairs from the lowest, weights 128 h + j, + 32, + 64,
 * + 96; every 16 weights have a scale. */
static inline int two_bits(const uint8_t *q, size_t i)
{
    return q[32 * (i / 128) + i % 32] >> (i % 128 / 32 * 2) & 3;
}

static void read_q2_k(const uint8_t *b, float *ret)
{
    float d = f16_at(b + 80);
    float m = f16_at(b + 82);

    for (size_t g = 0; g < 16; g++) {
        float scale = d * (float)(b[g] & 15);
        float low = m * (float)(b[g] >> 4);

        for (size_t i = 16 * g; i < 16 * g + 16; i++)
            ret[i] = scale * (float)two_bits(b + 16, i) - low;
    }
}

/* Scale g: four low bits in nibbles of bytes 0..7 (g and g + 8 share one), two high bits in bytes
 * 8..11 (g, g + 4, g + 8, g + 12 share one). Bit i / 32 of bits[i % 32] is weight i's third. */
static void read_q3_k(const uint8_t *b, float *ret)
{
    const uint8_t *scales = b + 96;
    float d = f16_at(b + 108);

    for (size_t g = 0; g < 16; g++) {
        int low = scales[g % 8] >> (g / 8 * 4) & 15;
        int high = scales[8 + g % 4] >> (g / 4 * 2) & 3;
        float scale = d * (float)((low | high << 4) - 32);

        for (size_t i = 16 * g; i < 16 * g + 16; i++) {
            int third = b[i % 32] >> (i / 32) & 1;

            ret[i] = scale * (float)((two_bits(b + 32, i) | third << 2) - 4);
        }
    }
}

/* Q4_K, Q5_K: scale and minimum of group g of 32 weights, six bits each, in 12 bytes: 0..3 the
 * scales 0..3, 4..7 the minimums 0..3, 8..11 the low nibbles of both of 4..7, whose two high bits
 * are the top ones of the first eight bytes. */
static inline void six_bits(const uint8_t *s, size_t g, int *ret_scale, int *ret_minimum)
{
    if (g < 4) {
        *ret_scale = s[g] & 63;
        *ret_minimum = s[g + 4] & 63;
    } else {
        *ret_scale = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
        *ret_minimum = s[g + 4] >> 4 | s[g] >> 6 << 4;
    }
}

/* Byte 32 h + j of q holds weights 64 h + j (low nibble) and 64 h + 32 + j (high). With 'bits',
 * bit g of bits[j] is the fifth of weight 32 g + j. */
static void read_k_groups(const uint8_t *b, const uint8_t *bits, const uint8_t *q, float *ret)
{
    float d = f16_at(b);
    float m = f16_at(b + 2);

    for (size_t g = 0; g < 8; g++) {
        int s;
        int t;
        float scale;
        float low;

        six_bits(b + 4, g, &s, &t);
        scale = d * (float)s;
        low = m * (float)t;
        for (size_t j = 0; j < 32; j++) {
            int value = q[32 * (g / 2) + j] >> (g % 2 * 4) & 15;

            if (bits)
                value |= (bits[j] >> g & 1) << 4;
            ret[32 * g + j] = scale * (float)value - low;
        }
    }
}

static void read_q4_k(const uint8_t *b, float *ret)
{
    read_k_groups(b, NULL, b + 16, ret);
}

static void read_q5_k(const uint8_t *b, float *ret)
{
    read_k_groups(b, b + 16, b + 48, ret);
}

/* Within each half of 128: byte j (of 64) holds weights j (low nibble) and j + 64 (high); byte j
 * (of 32) of the bits holds the two high ones of weights j, j + 32, j + 64, j + 96. */
static void read_q6_k(const uint8_t *b, float *ret)
{
    float d = f16_at(b + 208);

    for (size_t g = 0; g < 16; g++) {
        float scale = d * (float)(int8_t)b[192 + g];

        for (size_t i = 16 * g; i < 16 * g + 16; i++) {
            size_t half = i / 128;
            size_t j = i % 128;
            int low = b[64 * half + j % 64] >> (j / 64 * 4) & 15;
            int high = b[128 + 32 * half + j % 32] >> (j / 32 * 2) & 3;

            ret[i] = scale * (float)((low | high << 4) - 32);
        }
    }
}

/* Eight groups of 32, each laid out as IQ4_NL; scale g has its low nibble in scales[g / 2], its two
 * high bits at 2 g of a u16. */
static void read_iq4_xs(const uint8_t *b, float *ret)
{
    float d = f16_at(b);
    uint16_t high = u16_at(b + 2);

    for (size_t g = 0; g < 8; g++) {
        const uint8_t *q = b + 8 + 16 * g;
        int s = (b[4 + g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
        float scale = d * (float)(s - 32);

        for (size_t j = 0; j < 16; j++) {
            ret[32 * g + j] = scale * (float)levels[q[j] & 15];
            ret[32 * g + 16 + j] = scale * (float)levels[q[j] >> 4];
        }
    }
}

/* Eight groups of 32: four bytes name vectors of eight, then come seven bits of signs for each of
 * them (the eighth makes their number even) and, on top, the scale. */
static void read_iq2_xxs(const uint8_t *b, float *ret)
{
    static const float magnitudes[3] = {8.0f, 25.0f, 43.0f};
    float d = f16_at(b);

    for (size_t i = 0; i < 32; i++) { /* the vectors */
        const uint8_t *q = b + 2 + i / 4 * 8;
        uint32_t rest = (uint32_t)u16_at(q + 4) | (uint32_t)u16_at(q + 6) << 16;
        uint32_t signs = rest >> (i % 4 * 7) & 127;
        float scale = d * (0.5f + (float)(rest >> 28)) * 0.25f;

        signs |= (uint32_t)__builtin_parity(signs) << 7;
        for (size_t j = 0; j < 8; j++) {
            float value = scale * magnitudes[iq2_vectors[q[i % 4]] >> (2 * j) & 3];

            ret[8 * i + j] = signs >> j & 1 ? -value : value;
        }
    }
}

typedef void read_block(const uint8_t *block, float *ret);

/* In line where it is called, so that each type's loop is its own. */
static inline __attribute__((always_inline)) void read_all(read_block *read, enum block_type type,
                                                           const uint8_t *b, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i += types[type].n_elements, b += types[type].n_bytes)
        read(b, ret + i);
}

void blocks_read_f32(enum block_type type, const void *blocks, size_t n, float *ret)
{
    static read_block *const readers[BLOCK_TYPES] = {
        [BLOCK_Q4_0] = read_q4_0,       [BLOCK_Q4_1] = read_q4_1,     [BLOCK_Q5_0] = read_q5_0,
        [BLOCK_Q5_1] = read_q5_1,       [BLOCK_Q8_0] = read_q8_0,     [BLOCK_Q2_K] = read_q2_k,
        [BLOCK_Q3_K] = read_q3_k,       [BLOCK_Q4_K] = read_q4_k,     [BLOCK_Q5_K] = read_q5_k,
        [BLOCK_Q6_K] = read_q6_k,       [BLOCK_IQ4_NL] = read_iq4_nl, [BLOCK_IQ4_XS] = read_iq4_xs,
        [BLOCK_IQ2_XXS] = read_iq2_xxs,
    };
    const uint8_t *b = blocks;

    assert(type < BLOCK_TYPES && n % types[type].n_elements == 0);
    if (type == BLOCK_F32)
        read_f32(b, n, ret);
    else if (type == BLOCK_F16)
        read_f16(b, n, ret);
    else if (type == BLOCK_BF16)
        read_bf16(b, n, ret);
    else
        read_all(readers[type], type, b, n, ret);
}

/* ---- quantising ---- */

/* To nearest, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits behind the point. A
 * loop of it becomes vectors, one of rintf() only with SSE4.1. */
static inline float round_even(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

static inline float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static void put_f16(uint16_t half, uint8_t *ret)
{
    ret[0] = (uint8_t)half;
    ret[1] = (uint8_t)(half >> 8);
}

/* d = max |x| / 127, q = round(x / d) with the d that is stored. False: d is beyond f16. */
static bool write_q8_0(const float *x, uint8_t *ret)
{
    float max = 0;
    uint16_t half;
    float inverse;

    for (size_t j = 0; j < SMALL_BLOCK; j++)
        max = fabsf(x[j]) > max ? fabsf(x[j]) : max;
    half = f16_from_f32(max / 127.0f);
    if (!isfinite(f16_to_f32(half)))
        return false;
    inverse = half ? 1.0f / f16_to_f32(half) : 0.0f;
    put_f16(half, ret);
    for (size_t j = 0; j < SMALL_BLOCK; j++)
        ret[2 + j] = (uint8_t)(int8_t)round_even(clamp(x[j] * inverse, -127.0f, 127.0f));
    return true;
}

/* A block as d q + m. */
struct line {
    uint16_t d; /* f16 */
    uint16_t m;
    float error;          /* sum of (d q + m - x)^2 */
    float q[SMALL_BLOCK]; /* whole numbers 0 .. 15 */
};

#define LANES 8 /* sums are taken in so many, whatever width the machine's vectors have */

static inline float sum_lanes(const float *lanes)
{
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/* The best q for d and m as f16 has them, and the error. */
static void fit_values(const float *x, float d, float m, struct line *ret)
{
    float error[LANES] = {0};
    float inverse;

    ret->d = f16_from_f32(d);
    ret->m = f16_from_f32(m);
    d = f16_to_f32(ret->d);
    m = f16_to_f32(ret->m);
    inverse = d > 0.0f ? 1.0f / d : 0.0f;
    for (size_t j = 0; j < SMALL_BLOCK; j += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            float q = round_even(clamp((x[j + l] - m) * inverse, 0.0f, 15.0f));
            float off = (d * q + m) - x[j + l];

            ret->q[j + l] = q;
            error[l] += off * off;
        }
    }
    ret->error = sum_lanes(error);
}

/* The d and m with the least squared error for given q: linear regression of x on q. False: all q
 * are equal. (The sums of q and q^2 are exact.) */
static bool fit_line(const float *x, const float *q, float *ret_d, float *ret_m)
{
    float lanes_x[LANES] = {0};
    float lanes_xq[LANES] = {0};
    float lanes_q[LANES] = {0};
    float lanes_qq[LANES] = {0};
    float sum_q;
    float spread;

    for (size_t j = 0; j < SMALL_BLOCK; j += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            lanes_x[l] += x[j + l];
            lanes_xq[l] += x[j + l] * q[j + l];
            lanes_q[l] += q[j + l];
            lanes_qq[l] += q[j + l] * q[j + l];
        }
    }
    sum_q = sum_lanes(lanes_q);
    spread = SMALL_BLOCK * sum_lanes(lanes_qq) - sum_q * sum_q;
    if (!(spread > 0.0f))
        return false;
    *ret_d = (SMALL_BLOCK * sum_lanes(lanes_xq) - sum_q * sum_lanes(lanes_x)) / spread;
    *ret_m = (sum_lanes(lanes_x) - *ret_d * sum_q) / SMALL_BLOCK;
    return true;
}

/* Starts from the line through both ends and one that cuts a little of them off, and bends each
 * once by regression. On bell-shaped weights the error is 5 % below that of the first line alone;
 * more starts gain 1 % and cost as much time each. */
static bool write_q4_1(const float *x, uint8_t *ret)
{
    static const float shares[] = {1.0f, 0.9f};
    struct line best = {.error = INFINITY};
    float min = x[0];
    float max = x[0];

    for (size_t j = 1; j < SMALL_BLOCK; j++) {
        min = x[j] < min ? x[j] : min;
        max = x[j] > max ? x[j] : max;
    }
    if (!isfinite(f16_to_f32(f16_from_f32(min))) || !isfinite(f16_to_f32(f16_from_f32(max))) ||
        !isfinite(f16_to_f32(f16_from_f32((max - min) / 15.0f))))
        return false;
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        float cut = 0.5f * (1.0f - shares[i]) * (max - min);
        float d = shares[i] * (max - min) / 15.0f;
        float m = min + cut;
        struct line line;

        fit_values(x, d, m, &line);
        if (line.error < best.error)
            best = line;
        if (fit_line(x, line.q, &d, &m) && d > 0.0f) {
            fit_values(x, d, m, &line);
            if (line.error < best.error)
                best = line;
        }
    }
    put_f16(best.d, ret);
    put_f16(best.m, ret + 2);
    for (size_t j = 0; j < 16; j++)
        ret[4 + j] = (uint8_t)((uint8_t)best.q[j] | (uint8_t)best.q[j + 16] << 4);
    return isfinite(best.error);
}

enum rag_status blocks_write(enum block_type type, const float *x, size_t n, void *ret,
                             struct rag_error *reterr)
{
    uint8_t *b = ret;

    assert((type == BLOCK_Q8_0 || type == BLOCK_Q4_1) && n % SMALL_BLOCK == 0);
    for (size_t i = 0; i < n; i += SMALL_BLOCK, b += types[type].n_bytes) {
        float sum = 0; /* of zeros, or NaN */

        for (size_t j = 0; j < SMALL_BLOCK; j++)
            sum += x[i + j] * 0.0f;
        if (sum != 0.0f)
            return rag_fail(reterr, RAG_ENUMERIC,
                            "weights %zu to %zu: not all of them are finite numbers", i, i + 31);
        if (!(type == BLOCK_Q8_0 ? write_q8_0 : write_q4_1)(x + i, b))
            return rag_fail(reterr, RAG_ENUMERIC, "weights %zu to %zu: too large for %s", i, i + 31,
                            types[type].name);
    }
    return RAG_OK;
}
