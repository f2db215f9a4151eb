/* Goal: a list of ids keeps what was added, in that order, and can be used again when released. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/id_list.h"

#define N 1000 /* grows several times */

static void ids_come_back_in_their_order(void **state)
{
    struct id_list list = {0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++)
            assert_int_equal(id_list_add(&list, UINT64_MAX - i * i), RAG_OK);
        assert_int_equal(list.n, N);
        for (size_t i = 0; i < N; i++)
            assert_true(list.ids[i] == UINT64_MAX - i * i);
        id_list_release(&list);
        assert_null(list.ids);
        assert_int_equal(list.n, 0);
    }
}

static void an_empty_one_can_be_released(void **state)
{
    struct id_list list = {0};

    (void)state;
    id_list_release(&list);
    assert_int_equal(list.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back_in_their_order),
        cmocka_unit_test(an_empty_one_can_be_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
