/* Goal: what a right GGUF file says is read as it was written, and a file that is none is named.
 * Method: a file of every type of value and several tensors; files of other kinds; one that is cut
 * while it is open. (Wrong headers: test_gguf_hostile.c) */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gguf_builder.h"
#include "nn/gguf.h"

/* ---- a right file ---- */

static struct gguf_builder right;
static char dir[] = "/tmp/rag-gguf-XXXXXX";
static char path[64];
static struct gguf *opened;

static int open_right(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/right.gguf", dir);
    gguf_build_right(&right);
    gguf_save(&right, path);
    return gguf_open(path, &opened, NULL) == RAG_OK ? 0 : -1;
}

static int close_right(void **state)
{
    (void)state;
    gguf_close(opened);
    gguf_drop(&right);
    unlink(path);
    return rmdir(dir);
}

static void numbers_as_written(void **state)
{
    struct rag_error error;
    uint64_t u = 0;
    double f = 0;
    bool yes = false;

    (void)state;
    assert_int_equal(gguf_get_uint(opened, "a.u32", &u, NULL), RAG_OK);
    assert_true(u == 4000000000u);
    assert_int_equal(gguf_get_uint(opened, "a.u64", &u, NULL), RAG_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(gguf_get_uint(opened, "a.u8", &u, NULL), RAG_OK);
    assert_true(u == 255);
    assert_int_equal(gguf_get_float(opened, "a.f32", &f, NULL), RAG_OK);
    assert_true(f == 0.25);
    assert_int_equal(gguf_get_float(opened, "a.f64", &f, NULL), RAG_OK);
    assert_true(f == 1e300);
    assert_int_equal(gguf_get_bool(opened, "a.bool", &yes, NULL), RAG_OK);
    assert_true(yes);
    u = 5;
    assert_int_equal(gguf_get_uint(opened, "a.i32", &u, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "-7, expected 0 or more"));
    assert_int_equal(gguf_get_uint(opened, "a.i64", &u, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "-9223372036854775808"));
    assert_int_equal(gguf_get_uint(opened, "a.i8", &u, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "-128"));
    assert_true(u == 5);
}

static void what_does_not_fit_is_named(void **state)
{
    struct rag_error error;
    struct gguf_string s;
    struct gguf_array a;
    uint64_t u;
    double f;
    bool yes;

    (void)state;
    assert_int_equal(gguf_get_uint(opened, "a.f32", &u, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "key 'a.f32': type f32, expected a whole number"));
    assert_int_equal(gguf_get_float(opened, "a.u32", &f, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "type u32, expected f32 or f64"));
    assert_int_equal(gguf_get_float(opened, "a.nan", &f, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "finite"));
    assert_int_equal(gguf_get_bool(opened, "a.bool2", &yes, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "2, a bool is 0 or 1"));
    assert_int_equal(gguf_get_bool(opened, "a.u8", &yes, &error), RAG_EFORMAT);
    assert_int_equal(gguf_get_string(opened, "a.u8", &s, &error), RAG_EFORMAT);
    assert_int_equal(gguf_get_array(opened, "a.u8", &a, &error), RAG_EFORMAT);
    assert_int_equal(gguf_get_string(opened, "a.words", &s, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "type array, expected string"));
    assert_int_equal(gguf_get_uint(opened, "a.nothing", &u, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "'a.nothing' is missing"));
    assert_false(gguf_has(opened, "a."));
    assert_false(gguf_has(opened, ""));
    assert_false(gguf_has(opened, "a.words2"));
}

static void arrays_as_written(void **state)
{
    struct rag_error error;
    struct gguf_array a;
    struct gguf_string s;
    int64_t i = 0;
    double f = 0;

    (void)state;
    assert_int_equal(gguf_get_array(opened, "a.words", &a, NULL), RAG_OK);
    assert_int_equal(a.n, 3);
    assert_int_equal(gguf_array_string(opened, &a, 2, &s, NULL), RAG_OK);
    assert_int_equal(s.n_bytes, 6);
    assert_memory_equal(s.text, "\xFFthird", 6);
    assert_int_equal(gguf_array_string(opened, &a, 1, &s, NULL), RAG_OK);
    assert_int_equal(s.n_bytes, 0);
    assert_int_equal(gguf_array_int(opened, &a, 0, &i, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "item 0 has type string"));
    assert_int_equal(gguf_get_array(opened, "a.numbers", &a, NULL), RAG_OK);
    assert_int_equal(gguf_array_int(opened, &a, 0, &i, NULL), RAG_OK);
    assert_true(i == -3);
    assert_int_equal(gguf_array_int(opened, &a, 2, &i, NULL), RAG_OK);
    assert_true(i == 32767);
    assert_int_equal(gguf_array_string(opened, &a, 0, &s, NULL), RAG_EFORMAT);
    assert_int_equal(gguf_array_float(opened, &a, 0, &f, NULL), RAG_EFORMAT);
    assert_int_equal(gguf_get_array(opened, "a.floats", &a, NULL), RAG_OK);
    assert_int_equal(gguf_array_float(opened, &a, 1, &f, NULL), RAG_OK);
    assert_true(f == -2.0);
    assert_int_equal(gguf_get_array(opened, "a.wide", &a, NULL), RAG_OK);
    assert_int_equal(gguf_array_int(opened, &a, 0, &i, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "-9223372036854775808, too large"));
    assert_int_equal(gguf_get_array(opened, "a.none", &a, NULL), RAG_OK);
    assert_int_equal(a.n, 0);
}

static void tensors_as_written(void **state)
{
    const struct gguf_tensor *t = gguf_find(opened, "z");
    float row[3];

    (void)state;
    assert_int_equal(gguf_count(opened), 3);
    assert_string_equal(gguf_at(opened, 0)->name, "a");
    assert_string_equal(gguf_at(opened, 2)->name, "z");
    assert_non_null(t);
    assert_int_equal(t->n_rows, 2);
    assert_int_equal(t->n_cols, 3);
    blocks_read_f32(t->type, t->data + t->row_bytes, 3, row);
    assert_true(row[0] == 13.0f && row[2] == 15.0f);
    t = gguf_find(opened, "m");
    assert_non_null(t);
    assert_int_equal(t->n_dims, 4);
    assert_int_equal(t->n_rows, 2);
    assert_int_equal(t->row_bytes, 34);
    assert_null(gguf_find(opened, "b"));
    gguf_forget(opened, t);
    assert_int_equal(t->data[0], 0);
    assert_int_equal(gguf_bytes(opened), right.n);
    assert_string_equal(gguf_path(opened), path);
}

/* ---- files ---- */

static void what_is_no_file(void **state)
{
    struct gguf *g = NULL;
    struct rag_error error;
    char name[96];

    (void)state;
    snprintf(name, sizeof name, "%s/none.gguf", dir);
    assert_int_equal(gguf_open(name, &g, &error), RAG_ENOTFOUND);
    assert_int_equal(gguf_open(dir, &g, &error), RAG_EFORMAT);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_int_equal(gguf_open(name, &g, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(unlink(name), 0);
    assert_null(g);
    gguf_close(NULL);
}

static void a_part_of_a_split_file(void **state)
{
    struct gguf_builder b;
    struct gguf *g = NULL;
    struct rag_error error;
    char name[96];

    (void)state;
    snprintf(name, sizeof name, "%s/x-00001-of-00003.gguf", dir);
    gguf_begin(&b);
    put_key(&b, "split.count", T_U16);
    put(&b, "\3\0", 2);
    gguf_finish(&b);
    gguf_save(&b, name);
    assert_int_equal(gguf_open(name, &g, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "one of 3 parts"));
    assert_int_equal(unlink(name), 0);
    gguf_drop(&b);
}

static void a_file_that_is_cut_while_it_is_open(void **state)
{
    struct gguf *g = NULL;
    struct rag_error error;
    char name[96];

    (void)state;
    snprintf(name, sizeof name, "%s/cut.gguf", dir);
    gguf_save(&right, name);
    assert_int_equal(gguf_open(name, &g, NULL), RAG_OK);
    assert_int_equal(gguf_intact(g, NULL), RAG_OK);
    assert_int_equal(truncate(name, (off_t)right.n - 1), 0);
    assert_int_equal(gguf_intact(g, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "cut or changed"));
    gguf_close(g);
    assert_int_equal(unlink(name), 0);
}

/* A vocabulary of the largest kind in a file of the usual size, whose data nobody reads: a hole. */
static void a_large_file_costs_its_header(void **state)
{
    const uint64_t n_data = 1ull << 30;
    struct gguf_builder b;
    struct gguf *g = NULL;
    struct gguf_array tokens;
    struct gguf_string s;
    char name[96];

    (void)state;
    snprintf(name, sizeof name, "%s/large.gguf", dir);
    gguf_begin(&b);
    key_array(&b, "tokenizer.ggml.tokens", T_STRING, 250000);
    for (int i = 0; i < 250000; i++) {
        char token[16];

        snprintf(token, sizeof token, "t%d", i);
        put_text(&b, token);
    }
    put_tensor(&b, "t", 2, (const uint64_t[]){1ull << 14, 1ull << 14}, G_F32, 0);
    gguf_finish(&b);
    put_padding(&b, 32);
    gguf_save(&b, name);
    assert_int_equal(truncate(name, (off_t)(b.n + n_data)), 0);
    assert_int_equal(gguf_open(name, &g, NULL), RAG_OK);
    assert_int_equal(gguf_get_array(g, "tokenizer.ggml.tokens", &tokens, NULL), RAG_OK);
    assert_int_equal(gguf_array_string(g, &tokens, 249999, &s, NULL), RAG_OK);
    assert_memory_equal(s.text, "t249999", 7);
    gguf_close(g);
    assert_int_equal(unlink(name), 0);
    gguf_drop(&b);
}

/* Every type of tests/data/quant by its number in the format. */
static void files_of_the_reference(void **state)
{
    (void)state;
    for (int i = BLOCK_F16; i < BLOCK_TYPES; i++) {
        enum block_type type = (enum block_type)i;
        struct rag_error error = {.text = ""};
        const struct gguf_tensor *t;
        struct gguf *g = NULL;
        struct gguf_string s;
        char name[512];

        snprintf(name, sizeof name, "%s/quant/%s.gguf", RAG_TEST_DATA, block_type_name(type));
        if (gguf_open(name, &g, &error) != RAG_OK)
            fail_msg("%s", error.text);
        assert_int_equal(gguf_get_string(g, "general.architecture", &s, NULL), RAG_OK);
        assert_int_equal(s.n_bytes, 4);
        assert_memory_equal(s.text, "test", 4);
        t = gguf_find(g, "t.weight");
        assert_non_null(t);
        assert_int_equal(t->type, type);
        assert_int_equal(t->n_rows, 8);
        assert_int_equal(t->n_cols, 512);
        assert_int_equal(t->row_bytes, 512 / block_elements(type) * block_bytes(type));
        gguf_close(g);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_written),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(arrays_as_written),
        cmocka_unit_test(tensors_as_written),
        cmocka_unit_test(what_is_no_file),
        cmocka_unit_test(a_part_of_a_split_file),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_open),
        cmocka_unit_test(a_large_file_costs_its_header),
        cmocka_unit_test(files_of_the_reference),
    };

    return cmocka_run_group_tests(tests, open_right, close_right);
}
