/* The selection of numpy.random.default_rng(seed).permutation(n). The rows were printed by
 * numpy 1.24.2:
 *     p = numpy.random.default_rng(seed).permutation(n); print(p[:10], p[-1], fnv1a(p))
 * where fnv1a is h = 14695981039346656037; h = (h ^ x) * 1099511628211 mod 2^64 per element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "eval/permutation.h"

static const struct {
    const char *name;
    size_t n;
    uint64_t seed;
    uint64_t hash;
    uint32_t first[10];
    uint32_t last;
} rows[] = {
    {"nothing",                   0,   42ull,                   0xcbf29ce484222325ull, {0},                                                                              0 },
    {"one element needs no draw", 1,   42ull,                   0xaf63bd4c8601b7dfull, {0},                                                                              0 },
    {"two",                       2,   1ull,                    0x08328707b4eb6e3aull, {0, 1},                                                                           1 },
    {"three",                     3,   1ull,                    0xd949aa186c0c4928ull, {0, 1, 2},                                                                        2 },
    {"ten",                       10,  42ull,                   0xda1cd7d376fc9894ull, {5, 6, 0, 7, 3, 2, 4, 9, 1, 8},                                                   8 },
    {"seed zero",                 100, 0ull,                    0x2ebdddd2087e221full, {82, 36, 20, 5, 93, 16, 94, 52, 72, 90},                                          95},
    {"KLUE-MRC dev, seed 42",
     5841,                             42ull,
     0x3a0180d467b22fb9ull,                                                            {3831, 4144, 4066, 3633, 2787, 1744, 3560, 5186, 4143, 3768},
     1672                                                                                                                                                                  },
    {"KorQuAD dev, seed 42",
     5774,                             42ull,
     0xbef55656161c25deull,                                                            {1916, 5126, 1359, 1951, 3833, 5304, 3682, 2702, 4314, 4881},
     1672                                                                                                                                                                  },
    {"KorQuAD dev, seed 7",
     5774,                             7ull,
     0x6a2f3dc989b6de7cull,                                                            {991, 2012, 5042, 5358, 1467, 2538, 2822, 1836, 375, 845},
     2699                                                                                                                                                                  },
    {"a seed that fills 32 bits",
     1000,                             4294967295ull,
     0x40141e5a936ee709ull,                                                            {886, 862, 591, 711, 394, 38, 442, 195, 603, 995},
     415                                                                                                                                                                   },
    {"a seed of two words",
     1000,                             4294967296ull,
     0xe80f85b348e756f9ull,                                                            {144, 255, 317, 766, 751, 94, 535, 579, 477, 268},
     549                                                                                                                                                                   },
    {"a seed that fills 64 bits",
     1000,                             18446744073709551615ull,
     0xcd7cd5d2f8812487ull,                                                            {649, 664, 775, 331, 104, 630, 392, 413, 260, 24},
     655                                                                                                                                                                   },
    {"just below a power of two",
     65535,                            3ull,
     0xcbbfbf8b27f03d32ull,                                                            {34290, 6584, 64593, 25019, 37833, 12503, 1697, 34091, 28516, 62420},
     49912                                                                                                                                                                 },
    {"a power of two",
     65536,                            3ull,
     0x3fdfc01054c874c3ull,                                                            {27186, 6584, 25600, 52189, 45882, 12503, 1697, 23334, 41391, 62421},
     49912                                                                                                                                                                 },
    {"just above a power of two",
     65537,                            3ull,
     0x8f2f16b100cc1f05ull,                                                            {27186, 6584, 25600, 52189, 45882, 12503, 1697, 23334, 41391, 62422},
     49912                                                                                                                                                                 },
    {"a million",
     1000003,                          42ull,
     0x04061802be316770ull,                                                            {217938, 748977, 861147, 619356, 186185, 528334, 131600, 836262, 777283, 669920},
     599688                                                                                                                                                                },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t hash = 14695981039346656037ull;
        uint32_t *order = NULL;

        assert_int_equal(permutation_make(rows[i].n, rows[i].seed, &order), RAG_OK);
        for (size_t k = 0; k < rows[i].n && k < 10; k++)
            if (order[k] != rows[i].first[k])
                fail_msg("%s: element %zu is %u, not %u", rows[i].name, k, order[k],
                         rows[i].first[k]);
        for (size_t k = 0; k < rows[i].n; k++)
            hash = (hash ^ order[k]) * 1099511628211ull;
        if (rows[i].n > 0)
            assert_int_equal(order[rows[i].n - 1], rows[i].last);
        if (hash != rows[i].hash)
            fail_msg("%s: a later element differs", rows[i].name);
        free(order);
    }
}

static void test_published_selection(void **state)
{
    uint32_t *order = NULL;

    (void)state;
    assert_int_equal(permutation_make(5841, 42, &order), RAG_OK);
    assert_int_equal(order[999], 2233);
    free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_published_selection)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
