/* Goal: the files of a folder become documents with names that do not depend on where the
 * command was started. Method: a temporary tree with one file of each kind. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "daemon/ragctl/ragctl_files.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char root[64];
static unsigned n_told;

static const char *const tree[] = {
    "b.md",  "a.TXT",      "sub/c.html", "sub/deeper/d.json",           "e.jsonl",
    "f.pdf", ".hidden.md", ".git/g.md",  "\xE1\x84\x92\xE1\x85\xB2.md", /* decomposed 휴 */
};

static char *path_of(const char *below)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", root, below);
    return p;
}

static void write_file(const char *below, const char *text)
{
    FILE *f = fopen(path_of(below), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_tree(void **state)
{
    (void)state;
    strcpy(root, "/tmp/ragctl_files.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    mkdir(path_of("sub"), 0700);
    mkdir(path_of("sub/deeper"), 0700);
    mkdir(path_of(".git"), 0700);
    for (size_t i = 0; i < COUNT(tree); i++)
        write_file(tree[i], "text");
    return symlink("b.md", path_of("link.md")) + symlink("sub", path_of("loop")) +
           symlink("nowhere", path_of("broken.md"));
}

static int remove_tree(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void on_unreadable(void *context, const char *path, const char *why)
{
    (void)context;
    assert_non_null(path);
    assert_non_null(why);
    n_told++;
}

static struct ragctl_files_options defaults(void)
{
    return (struct ragctl_files_options){.prefix = "", .on_unreadable = on_unreadable};
}

static void a_folder_is_read_in_order(void **state)
{
    static const char *const want[] = {
        "a.TXT", "b.md", "e.jsonl", "link.md", "sub/c.html", "sub/deeper/d.json", "휴.md"};
    struct ragctl_files_options options = defaults();
    struct ragctl_files files = {0};
    struct rag_error error = {0};

    (void)state;
    n_told = 0;
    assert_int_equal(ragctl_files_add(&files, path_of("//"), &options, &error), RAG_OK);
    assert_int_equal(ragctl_files_sort(&files, &error), RAG_OK);
    assert_int_equal(files.n, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        assert_string_equal(files.items[i].name, want[i]);
    assert_int_equal(files.n_hidden, 2);
    assert_int_equal(files.n_unsupported, 3); /* f.pdf, the link to a folder, the broken link */
    assert_int_equal(n_told, 0);
    assert_int_equal(files.n_bytes, 4 * COUNT(want));
    assert_true(files.items[2].records);
    assert_string_equal(files.items[0].content_type, "text/plain");
    assert_true(files.folders && !files.singles);
    ragctl_files_release(&files);
    ragctl_files_release(&files);
}

static void a_file_has_its_base_name(void **state)
{
    struct ragctl_files_options options = defaults();
    struct ragctl_files files = {0};
    struct rag_error error = {0};

    (void)state;
    options.prefix = "hr/";
    assert_int_equal(ragctl_files_add(&files, path_of("sub/c.html"), &options, &error), RAG_OK);
    assert_string_equal(files.items[0].name, "hr/c.html");
    options.name = "page";
    options.content_type = "text/markdown";
    assert_int_equal(ragctl_files_add(&files, path_of("f.pdf"), &options, &error), RAG_OK);
    assert_string_equal(files.items[1].name, "hr/page");
    assert_string_equal(files.items[1].content_type, "text/markdown");
    options.name = "in.md";
    options.content_type = NULL;
    assert_int_equal(ragctl_files_add(&files, "-", &options, &error), RAG_OK);
    assert_null(files.items[2].path);
    assert_string_equal(files.items[2].content_type, "text/markdown");
    assert_true(files.singles && !files.folders);
    ragctl_files_release(&files);
}

static void what_cannot_be_taken_is_named(void **state)
{
    char long_prefix[DOCUMENT_NAME_BYTES_MAX + 1];
    struct ragctl_files_options options = defaults();
    struct ragctl_files files = {0};
    struct rag_error error = {0};

    (void)state;
    assert_int_equal(ragctl_files_add(&files, path_of("none.md"), &options, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "none.md': cannot be read: No such file"));
    assert_int_equal(ragctl_files_add(&files, path_of("f.pdf"), &options, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "--type"));
    assert_int_equal(ragctl_files_add(&files, "/dev/null", &options, &error), RAG_EINVAL);
    options.name = "x";
    assert_int_equal(ragctl_files_add(&files, root, &options, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "--prefix is for folders"));
    options.name = "bad\xFFname.md";
    assert_int_equal(ragctl_files_add(&files, path_of("b.md"), &options, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "not UTF-8"));
    options.name = "two\nlines.md";
    assert_int_equal(ragctl_files_add(&files, path_of("b.md"), &options, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "control character"));
    memset(long_prefix, 'x', DOCUMENT_NAME_BYTES_MAX);
    long_prefix[DOCUMENT_NAME_BYTES_MAX] = '\0';
    options.name = NULL;
    options.prefix = long_prefix;
    assert_int_equal(ragctl_files_add(&files, path_of("b.md"), &options, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "limit of 1024 bytes"));
    assert_int_equal(files.n, 0);
    ragctl_files_release(&files);
}

static void two_files_of_one_name_are_refused(void **state)
{
    struct ragctl_files_options options = defaults();
    struct ragctl_files files = {0};
    struct rag_error error = {0};

    (void)state;
    assert_int_equal(ragctl_files_add(&files, root, &options, &error), RAG_OK);
    assert_int_equal(ragctl_files_add(&files, path_of("b.md"), &options, &error), RAG_OK);
    assert_int_equal(ragctl_files_sort(&files, &error), RAG_EEXIST);
    assert_non_null(strstr(error.text, "document 'b.md': both"));
    ragctl_files_release(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_read_in_order),
        cmocka_unit_test(a_file_has_its_base_name),
        cmocka_unit_test(what_cannot_be_taken_is_named),
        cmocka_unit_test(two_files_of_one_name_are_refused),
    };

    return cmocka_run_group_tests_name("ragctl_files", tests, make_tree, remove_tree);
}
