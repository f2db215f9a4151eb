/* Goal: what a GGUF file says is believed only after it was checked, and what is right is read as
 * it was written. Method: files of the reference (tests/data/quant). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "nn/gguf.h"

static void a_file_of_the_reference(void **state)
{
    char path[512];
    struct gguf *g = NULL;
    struct gguf_string s;
    const struct gguf_tensor *t;
    float row[512];

    (void)state;
    snprintf(path, sizeof path, "%s/quant/Q4_K.gguf", RAG_TEST_DATA);
    assert_int_equal(gguf_open(path, &g, NULL), RAG_OK);
    assert_int_equal(gguf_get_string(g, "general.architecture", &s, NULL), RAG_OK);
    assert_int_equal(s.n_bytes, 4);
    assert_memory_equal(s.text, "test", 4);
    assert_int_equal(gguf_count(g), 1);
    t = gguf_find(g, "t.weight");
    assert_non_null(t);
    assert_ptr_equal(t, gguf_at(g, 0));
    assert_null(gguf_find(g, "t.weight2"));
    assert_int_equal(t->type, BLOCK_Q4_K);
    assert_int_equal(t->n_rows, 8);
    assert_int_equal(t->n_cols, 512);
    assert_int_equal(t->row_bytes, 288);
    blocks_read_f32(t->type, t->data + 7 * t->row_bytes, 512, row);
    gguf_forget(g, t);
    assert_int_equal(gguf_intact(g, NULL), RAG_OK);
    gguf_close(g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_the_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
