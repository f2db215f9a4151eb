/* A file appears whole, replaces the old one, or leaves it alone. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"

static char folder[] = "/tmp/ragd-atomic-XXXXXX";
static char path[sizeof folder + 16];
static char temporary[sizeof path + 8];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* fails when a temporary file was left */
}

static void assert_content(const char *expected)
{
    char text[64] = {0};
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text - 1, f), strlen(expected));
    fclose(f);
    assert_string_equal(text, expected);
}

static void a_commit_replaces_and_a_close_does_not(void **state)
{
    struct atomic_file f = {0};

    (void)state;
    assert_int_equal(atomic_file_open(&f, "thing", path, 0600, NULL), RAG_OK);
    assert_int_equal(atomic_file_write(&f, "one ", 4, NULL), RAG_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(atomic_file_write(&f, "two", 3, NULL), RAG_OK);
    assert_int_equal(atomic_file_commit(&f, NULL), RAG_OK);
    atomic_file_close(&f);
    assert_content("one two");
    assert_int_equal(atomic_file_open(&f, "thing", path, 0600, NULL), RAG_OK);
    assert_int_equal(atomic_file_write(&f, "three", 5, NULL), RAG_OK);
    assert_int_equal(access(temporary, F_OK), 0);
    atomic_file_close(&f);
    atomic_file_close(&f);
    assert_int_equal(access(temporary, F_OK), -1);
    assert_content("one two");
}

static void failures_name_thing_and_file(void **state)
{
    struct atomic_file f = {0};
    struct rag_error error;

    (void)state;
    assert_int_equal(atomic_file_open(&f, "thing", "/nowhere/file", 0600, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "thing '/nowhere/file.tmp': cannot create"));
    atomic_file_close(&f);
    assert_int_equal(atomic_file_open(&f, "thing", folder, 0600, &error), RAG_OK);
    assert_int_equal(atomic_file_commit(&f, &error), RAG_EIO); /* a folder is in the way */
    assert_non_null(strstr(error.text, "cannot rename"));
    atomic_file_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_replaces_and_a_close_does_not),
        cmocka_unit_test(failures_name_thing_and_file),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
