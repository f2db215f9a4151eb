/* Goal: a mapped file that is cut, rewritten or replaced under a live mapping reads as zeros or as
 * it was, is known to be damaged, and never ends the process. Method: the cuts are made in a child,
 * whose exit status says what it saw; a SIGBUS elsewhere must still end it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bounds.h"
#include "nn/mapped_file.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PAGES    8

static char dir[] = "/tmp/rag-mapped-XXXXXX";
static char path[64];

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void fill(size_t n_bytes)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    for (size_t i = 0; i < n_bytes; i++)
        fputc('x', f);
    assert_int_equal(fclose(f), 0);
}

/* What the child found, as bits of its exit status. */
enum { HEAD_KEPT = 1, TAIL_ZERO = 2, INTACT = 4 };

static int look(const struct mapped_file *f)
{
    const volatile uint8_t *data = mapped_file_data(f);
    size_t n = mapped_file_size(f);
    int seen = 0;

    if (data[0] == 'x')
        seen |= HEAD_KEPT;
    if (data[n / 2] == 0 && data[n - page()] == 0 && data[n - 1] == 0)
        seen |= TAIL_ZERO;
    if (mapped_file_intact(f))
        seen |= INTACT;
    return seen;
}

enum change { NOTHING, CUT_HALF, CUT_ALL, CUT_ONE_BYTE, WRITTEN_OVER, RENAMED_OVER, REMOVED };

static struct row {
    const char *name;
    enum change change;
    int seen;
} rows[] = {
    {"an untouched file is intact",                          NOTHING,      HEAD_KEPT | INTACT   },
    {"half a file gone: zeros, damaged, alive",              CUT_HALF,     HEAD_KEPT | TAIL_ZERO},
    {"a whole file gone: zeros, damaged, alive",             CUT_ALL,      TAIL_ZERO            },
    {"a byte gone inside the last page: no signal, damaged", CUT_ONE_BYTE, HEAD_KEPT            },
    {"a file written over in place is damaged",              WRITTEN_OVER, HEAD_KEPT            },
    {"a file replaced by rename stays as it was mapped",     RENAMED_OVER, HEAD_KEPT | INTACT   },
    {"a removed file stays as it was mapped",                REMOVED,      HEAD_KEPT | INTACT   },
};

static void make_change(enum change change, size_t n)
{
    struct timespec later[2] = {{.tv_sec = 2000000000}, {.tv_sec = 2000000000}};
    char other[80];
    int fd;

    switch (change) {
    case NOTHING:
        break;
    case CUT_HALF:
        assert_int_equal(truncate(path, (off_t)(n / 2)), 0);
        break;
    case CUT_ALL:
        assert_int_equal(truncate(path, 0), 0);
        break;
    case CUT_ONE_BYTE:
        assert_int_equal(truncate(path, (off_t)(n - 1)), 0);
        break;
    case WRITTEN_OVER:
        fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, "y", 1, (off_t)n / 2), 1);
        /* a clock may stand still for a tick */
        assert_int_equal(futimens(fd, later), 0);
        close(fd);
        break;
    case RENAMED_OVER:
        snprintf(other, sizeof other, "%s.new", path);
        fd = open(other, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "z", 1), 1);
        close(fd);
        assert_int_equal(rename(other, path), 0);
        break;
    case REMOVED:
        assert_int_equal(unlink(path), 0);
        break;
    }
}

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t n = PAGES * page();
    pid_t child;
    int status;

    fill(n);
    child = fork();
    if (child == 0) {
        struct mapped_file *f = NULL;

        if (mapped_file_guard(NULL) != RAG_OK || mapped_file_guard(NULL) != RAG_OK ||
            mapped_file_open(path, &f, NULL) != RAG_OK)
            _exit(100);
        make_change(row->change, n);
        status = look(f);
        mapped_file_close(f);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), row->seen);
    unlink(path);
}

static void a_fault_elsewhere_still_ends_the_process(void **state)
{
    pid_t child;
    int status;

    (void)state;
    fill(PAGES * page());
    child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        struct mapped_file *f = NULL;
        volatile uint8_t *foreign;
        int fd = open(path, O_RDONLY);

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGBUS, SIG_DFL); /* a sanitizer's own handler would exit instead */
        if (mapped_file_guard(NULL) != RAG_OK || mapped_file_open(path, &f, NULL) != RAG_OK)
            _exit(100);
        foreign = mmap(NULL, PAGES * page(), PROT_READ, MAP_SHARED, fd, 0);
        if (truncate(path, 0) < 0)
            _exit(101);
        _exit(foreign[0] == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    unlink(path);
}

static void what_is_no_file_is_refused(void **state)
{
    struct mapped_file *f = NULL;
    struct rag_error error;

    (void)state;
    assert_int_equal(mapped_file_open("/nonexistent/x", &f, &error), RAG_ENOTFOUND);
    assert_int_equal(mapped_file_open("/tmp", &f, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(mapped_file_open("/dev/null", &f, &error), RAG_EFORMAT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mapped_file_open(path, &f, &error), RAG_EFORMAT);
    unlink(path);
    fill(0);
    assert_int_equal(mapped_file_open(path, &f, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "empty"));
    assert_null(f);
    mapped_file_close(NULL);
    unlink(path);
}

static void one_more_than_the_table_holds_is_refused(void **state)
{
    static struct mapped_file *files[MAPPED_FILES_MAX];
    struct mapped_file *extra = NULL;

    (void)state;
    fill(10);
    for (size_t i = 0; i < COUNT(files); i++)
        assert_int_equal(mapped_file_open(path, &files[i], NULL), RAG_OK);
    assert_int_equal(mapped_file_open(path, &extra, NULL), RAG_ELIMIT);
    mapped_file_close(files[17]);
    assert_int_equal(mapped_file_open(path, &files[17], NULL), RAG_OK);
    mapped_file_forget(files[17], 0, 10);
    assert_int_equal(mapped_file_data(files[17])[9], 'x');
    assert_string_equal(mapped_file_path(files[17]), path);
    for (size_t i = 0; i < COUNT(files); i++)
        mapped_file_close(files[i]);
    unlink(path);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 3];
    size_t n = 0;
    int failed;

    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/file", dir);
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_fault_elsewhere_still_ends_the_process);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_no_file_is_refused);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(one_more_than_the_table_holds_is_refused);
    failed = cmocka_run_group_tests_name("mapped_file", tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
