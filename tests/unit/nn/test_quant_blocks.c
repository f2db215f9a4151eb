/* Goal: every type of block means what the reference library says, to the last bit, wherever it
 * lies, and what is written reads back as near as the type allows. Method: files of the reference
 * beside what it reads from them (tests/data/quant); blocks of chosen bytes whose weights are
 * worked out here by another route; random rows that are written and read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/f16.h"
#include "base/splitmix.h"
#include "nn/quant_blocks.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define N        ((size_t)8 * 512)

static uint8_t *read_file(const char *name, const char *suffix, size_t *ret_n)
{
    char path[512];
    uint8_t *data = malloc(1u << 20);
    FILE *f;

    snprintf(path, sizeof path, "%s/quant/%s.%s", RAG_TEST_DATA, name, suffix);
    f = fopen(path, "rb");
    if (!f || !data)
        fail_msg("cannot read %s", path);
    *ret_n = fread(data, 1, 1u << 20, f);
    fclose(f);
    return data;
}

/* The data of these files is their end: the tensor's bytes, padded to 32. */
static void reads_as_the_reference(void **state)
{
    const char *name = *state;
    enum block_type type = BLOCK_F32;
    size_t n_file = 0;
    size_t n_expected = 0;
    uint8_t *file = read_file(name, "gguf", &n_file);
    uint8_t *expected = read_file(name, "f32", &n_expected);
    float *found = malloc(N * sizeof *found);
    size_t n_bytes;
    size_t padded;

    while (type < BLOCK_TYPES && strcmp(block_type_name(type), name) != 0)
        type++;
    assert_true(type < BLOCK_TYPES);
    n_bytes = N / block_elements(type) * block_bytes(type);
    padded = (n_bytes + 31) / 32 * 32;
    assert_true(n_file > padded);
    assert_int_equal(n_expected, N * sizeof *found);
    assert_non_null(found);
    blocks_read_f32(type, file + n_file - padded, N, found);
    assert_memory_equal(found, expected, N * sizeof *found);
    /* from an odd address, and a row by itself */
    memmove(file + 1, file + n_file - padded, n_bytes);
    blocks_read_f32(type, file + 1 + n_bytes / 8, 512, found);
    assert_memory_equal(found, expected + 512 * sizeof *found, 512 * sizeof *found);
    free(found);
    free(expected);
    free(file);
}

/* IQ4_XS by another route: a bit at a time, from the format's description alone. */
static void iq4_xs_of_random_bytes(void **state)
{
    static const int values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
    uint64_t seed = 7;
    uint8_t block[136];
    float found[256];

    (void)state;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)splitmix_next(&seed);
        block[1] &= 0x3F; /* a finite, positive scale */
        blocks_read_f32(BLOCK_IQ4_XS, block, 256, found);
        for (unsigned i = 0; i < 256; i++) {
            unsigned group = i / 32;
            unsigned byte = 8 + 16 * group + i % 16;
            unsigned nibble = i % 32 < 16 ? block[byte] % 16u : block[byte] / 16u;
            unsigned scale = 0;
            float d = f16_to_f32((uint16_t)(block[0] + 256 * block[1]));

            for (unsigned bit = 0; bit < 4; bit++)
                scale += (unsigned)(block[4 + group / 2] >> (group % 2 * 4 + bit) & 1) << bit;
            for (unsigned bit = 0; bit < 2; bit++)
                scale += (unsigned)(block[2 + group / 4] >> (group % 4 * 2 + bit) & 1) << (4 + bit);
            assert_float_equal(found[i], d * ((float)scale - 32.0f) * (float)values[nibble], 0.0f);
        }
    }
}

static void sizes_are_those_of_the_format(void **state)
{
    static const struct {
        enum block_type type;
        const char *name;
        size_t n_elements;
        size_t n_bytes;
    } rows[] = {
        {BLOCK_F32,    "F32",    1,   4  },
        {BLOCK_F16,    "F16",    1,   2  },
        {BLOCK_BF16,   "BF16",   1,   2  },
        {BLOCK_Q8_0,   "Q8_0",   32,  34 },
        {BLOCK_Q4_K,   "Q4_K",   256, 144},
        {BLOCK_IQ4_XS, "IQ4_XS", 256, 136},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(block_type_name(rows[i].type), rows[i].name);
        assert_int_equal(block_elements(rows[i].type), rows[i].n_elements);
        assert_int_equal(block_bytes(rows[i].type), rows[i].n_bytes);
    }
}

/* ---- writing ---- */

static float random_weight(uint64_t *seed)
{
    float sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (float)(splitmix_next(seed) >> 40) * 0x1p-24f - 0.5f;
    return sum;
}

static double rms_error(enum block_type type, const float *x, size_t n)
{
    uint8_t *blocks = malloc(n / block_elements(type) * block_bytes(type));
    float *found = malloc(n * sizeof *found);
    double sum = 0;

    assert_true(blocks && found);
    assert_int_equal(blocks_write(type, x, n, blocks, NULL), RAG_OK);
    blocks_read_f32(type, blocks, n, found);
    for (size_t i = 0; i < n; i++)
        sum += ((double)found[i] - (double)x[i]) * ((double)found[i] - (double)x[i]);
    free(found);
    free(blocks);
    return sqrt(sum / (double)n);
}

/* Bell-shaped weights: half a step of 8 bits is some .2 % of the largest, of 4 bits some 3 %. */
static void written_weights_read_back(void **state)
{
    static float x[4096];
    uint64_t seed = 11;
    double q8;
    double q4;

    (void)state;
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = 0.04f * random_weight(&seed);
    q8 = rms_error(BLOCK_Q8_0, x, COUNT(x)) / 0.04;
    q4 = rms_error(BLOCK_Q4_1, x, COUNT(x)) / 0.04;
    if (q8 > 0.003)
        fail_msg("Q8_0: rms %g of a deviation of .58", q8);
    if (q4 > 0.0425) /* lines through both ends alone: .0437 */
        fail_msg("Q4_1: rms %g of a deviation of .58", q4);
}

static void values_on_the_grid_are_kept(void **state)
{
    float x[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        x[i] = 0.25f * (float)(i % 16) - 1.0f;
    assert_true(rms_error(BLOCK_Q4_1, x, 32) == 0.0);
    for (int i = 0; i < 32; i++)
        x[i] = 0.5f * (float)(4 * i - 127 + 3 * (i == 31));
    x[0] = -63.5f;
    assert_true(rms_error(BLOCK_Q8_0, x, 32) == 0.0);
    for (int i = 0; i < 32; i++)
        x[i] = 0.0f;
    assert_true(rms_error(BLOCK_Q4_1, x, 32) == 0.0);
    assert_true(rms_error(BLOCK_Q8_0, x, 32) == 0.0);
    for (int i = 0; i < 32; i++)
        x[i] = -3.5f;
    assert_true(rms_error(BLOCK_Q4_1, x, 32) == 0.0);
}

/* A scale below f16's normal numbers has few bits: what is stored is what is divided by. */
static void tiny_weights_keep_their_sign_and_size(void **state)
{
    float x[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        x[i] = (i % 2 ? 1e-4f : -1e-4f) * (float)(i + 1) / 32.0f;
    assert_true(rms_error(BLOCK_Q8_0, x, 32) < 6e-7);
    for (int i = 0; i < 32; i++)
        x[i] = 1e-20f;
    assert_true(rms_error(BLOCK_Q8_0, x, 32) < 2e-20);
    assert_true(rms_error(BLOCK_Q4_1, x, 32) < 2e-20);
}

static void what_has_no_block_is_refused(void **state)
{
    static const struct {
        const char *name;
        enum block_type type;
        float value;
    } rows[] = {
        {"NaN",                   BLOCK_Q8_0, NAN      },
        {"infinity",              BLOCK_Q8_0, INFINITY },
        {"minus infinity",        BLOCK_Q4_1, -INFINITY},
        {"NaN in Q4_1",           BLOCK_Q4_1, NAN      },
        {"a scale beyond f16",    BLOCK_Q8_0, 1e10f    },
        {"a minimum beyond f16",  BLOCK_Q4_1, -70000.0f},
        {"largest float of Q4_1", BLOCK_Q4_1, 3.4e38f  },
        {"largest float of Q8_0", BLOCK_Q8_0, 3.4e38f  },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        float x[64] = {0};
        uint8_t blocks[68];
        struct rag_error error = {.text = ""};

        x[40] = rows[i].value;
        if (blocks_write(rows[i].type, x, 64, blocks, &error) != RAG_ENUMERIC)
            fail_msg("%s was taken", rows[i].name);
        assert_non_null(strstr(error.text, "weights 32 to 63"));
    }
}

int main(void)
{
    static const char *const names[] = {"F16",  "BF16", "Q4_0",   "Q4_1",   "Q5_0",
                                        "Q5_1", "Q8_0", "Q2_K",   "Q3_K",   "Q4_K",
                                        "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ2_XXS"};
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(iq4_xs_of_random_bytes),
        cmocka_unit_test(sizes_are_those_of_the_format),
        cmocka_unit_test(written_weights_read_back),
        cmocka_unit_test(values_on_the_grid_are_kept),
        cmocka_unit_test(tiny_weights_keep_their_sign_and_size),
        cmocka_unit_test(what_has_no_block_is_refused),
    };
    struct CMUnitTest tests[COUNT(names) + COUNT(others)];

    for (size_t i = 0; i < COUNT(names); i++)
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = reads_as_the_reference,
                                       .initial_state = (void *)(uintptr_t)names[i]};
    memcpy(tests + COUNT(names), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
