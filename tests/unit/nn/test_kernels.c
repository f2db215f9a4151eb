/* Goal: the best path is chosen, RAGD_KERNELS names another one, and nonsense is said to be so.
 * Method: the environment, row by row. */
#define _GNU_SOURCE /* setenv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/cpu.h"
#include "nn/kernels.h"

static void each_path_can_be_asked_for(void **state)
{
    const struct kernels *best = NULL;
    const struct kernels *chosen = NULL;

    (void)state;
    unsetenv("RAGD_KERNELS");
    assert_int_equal(kernels_choose(&best, NULL), RAG_OK);
    setenv("RAGD_KERNELS", "", 1);
    assert_int_equal(kernels_choose(&chosen, NULL), RAG_OK);
    assert_ptr_equal(chosen, best);
    for (int path = KERNELS_PORTABLE; path < KERNEL_PATHS; path++) {
        const struct kernels *k = kernels_of((enum kernel_path)path);

        if (!k)
            continue;
        assert_true(path <= (int)kernels_path(best));
        assert_int_equal(kernels_path(k), path);
        setenv("RAGD_KERNELS", kernels_name(k), 1);
        assert_int_equal(kernels_choose(&chosen, NULL), RAG_OK);
        assert_ptr_equal(chosen, k);
    }
    assert_non_null(kernels_of(KERNELS_PORTABLE));
}

static void nonsense_is_refused(void **state)
{
    const struct kernels *chosen = NULL;
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    setenv("RAGD_KERNELS", "fast", 1);
    assert_int_equal(kernels_choose(&chosen, &error), RAG_EINVAL);
    assert_string_equal(error.text, "RAGD_KERNELS 'fast': no such path; there are portable, avx2, "
                                    "avx-vnni, avx512, avx512-vnni, amx");
    if (!kernels_of(KERNELS_AMX)) {
        setenv("RAGD_KERNELS", "amx", 1);
        assert_int_equal(kernels_choose(&chosen, &error), RAG_EINVAL);
        assert_non_null(strstr(error.text, "RAGD_KERNELS 'amx': this CPU"));
    }
    assert_null(chosen);
}

static void newer_instructions_come_with_older_ones(void **state)
{
    struct cpu_features cpu = cpu_features();

    (void)state;
    assert_true(!cpu.avx512 || cpu.avx2);
    assert_true(!cpu.avx_vnni || cpu.avx2);
    assert_true(!cpu.avx512_vnni || cpu.avx512);
    assert_true(!cpu.amx || cpu.avx512_vnni);
}

static void the_core_of_openblas_has_a_name(void **state)
{
    const char *better = "untouched";

    (void)state;
    assert_true(strlen(kernels_blas_core(NULL)) > 0);
    assert_true(strlen(kernels_blas_core(&better)) > 0);
    assert_true(!better || strcmp(better, kernels_blas_core(NULL)) != 0);
    assert_true(!better || kernels_of(KERNELS_AVX2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_can_be_asked_for),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(newer_instructions_come_with_older_ones),
        cmocka_unit_test(the_core_of_openblas_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
