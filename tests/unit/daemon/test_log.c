/* Goal: one event is one line whatever its values hold; the log survives rotation and a reader
 * that does not read. Method: log into files and pipes of the test and read them back. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "daemon/log.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define TEXT_MAX  (1u << 20)
#define N_THREADS 4
#define N_LINES   500

static char folder[] = "/tmp/test_log.XXXXXX";
static char log_path[64];
static char old_path[64];

static void read_text(const char *path, char text[TEXT_MAX])
{
    FILE *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(text, 1, TEXT_MAX - 1, file);
    fclose(file);
    text[n] = '\0';
}

static int set_up(void **state)
{
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    (void)unlink(log_path);
    (void)unlink(old_path);
    return log_open(log_path, LOG_INFO, LOG_TEXT, &error) == RAG_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    log_close();
    return 0;
}

struct row {
    const char *name;
    const char *value;
    const char *want;
};

static struct row rows[] = {
    {"plain text",                      "abc",              "v=\"abc\"\n"                },
    {"Korean stays readable",           "한글",           "v=\"한글\"\n"             },
    {"a line feed cannot forge a line", "a\nb event=ready", "v=\"a\\x0ab event=ready\"\n"},
    {"a carriage return and an escape", "\r\x1B[2J",        "v=\"\\x0d\\x1b[2J\"\n"      },
    {"DEL",                             "\x7F",             "v=\"\\x7f\"\n"              },
    {"bytes that are not UTF-8",        "\xC0\xAF",         "v=\"\\xc0\\xaf\"\n"         },
    {"half a character",                "\xED\x95",         "v=\"\\xed\\x95\"\n"         },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    char text[TEXT_MAX];
    const char *at;

    assert_int_equal(set_up(NULL), 0);
    log_event(LOG_WARN, "0123abcd", "tried", "v=\"%s\"", row->value);
    read_text(log_path, text);
    /* 2026-01-31T23:59:59.123Z */
    assert_true(strlen(text) > 24 && text[10] == 'T' && text[19] == '.' && text[23] == 'Z');
    at = text + 24;
    assert_int_equal(strncmp(at, " warn req=0123abcd event=tried ", 31), 0);
    assert_string_equal(at + 31, row->want);
    tear_down(NULL);
}

static void levels_below_the_chosen_one_are_left_out(void **state)
{
    char text[TEXT_MAX];

    (void)state;
    log_event(LOG_DEBUG, NULL, "small", "n=%d", 1);
    log_event(LOG_INFO, NULL, "middle", "n=%d", 2);
    log_event(LOG_ERROR, NULL, "big", "n=%d", 3);
    read_text(log_path, text);
    assert_null(strstr(text, "small"));
    assert_non_null(strstr(text, " info event=middle n=2\n"));
    assert_non_null(strstr(text, " error event=big n=3\n"));
}

static void a_long_line_is_cut_at_a_character(void **state)
{
    char text[TEXT_MAX];
    char value[30001];

    (void)state;
    for (size_t i = 0; i < 10000; i++)
        memcpy(value + 3 * i, "한", 4);
    for (int shift = 0; shift < 3; shift++) {
        log_event(LOG_INFO, NULL, "long", "%.*s%s", shift, "xx", value);
        log_event(LOG_INFO, NULL, "next", "n=%d", shift);
    }
    read_text(log_path, text);
    assert_true(utf8_valid(text, strlen(text), NULL));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) < 4096);
}

static void a_moved_file_is_left_and_a_new_one_begun(void **state)
{
    char text[TEXT_MAX];
    struct stat sb;

    (void)state;
    log_event(LOG_INFO, NULL, "before", "n=%d", 1);
    assert_int_equal(rename(log_path, old_path), 0);
    log_event(LOG_INFO, NULL, "between", "n=%d", 2);
    log_reopen();
    log_event(LOG_INFO, NULL, "after", "n=%d", 3);
    read_text(old_path, text);
    assert_non_null(strstr(text, "event=before"));
    assert_non_null(strstr(text, "event=between"));
    read_text(log_path, text);
    assert_null(strstr(text, "event=between"));
    assert_non_null(strstr(text, "event=after"));
    assert_int_equal(stat(log_path, &sb), 0);
    assert_int_equal(sb.st_mode & 0137, 0); /* not for others, not for writing by the group */
}

static void a_reopen_that_fails_keeps_the_old_file(void **state)
{
    char text[TEXT_MAX];

    (void)state;
    assert_int_equal(rename(log_path, old_path), 0);
    assert_int_equal(mkdir(log_path, 0700), 0);
    log_reopen();
    log_event(LOG_INFO, NULL, "after", "n=%d", 3);
    assert_int_equal(rmdir(log_path), 0);
    read_text(old_path, text);
    assert_non_null(strstr(text, "event=log_reopen_failed error=\"Is a directory\""));
    assert_non_null(strstr(text, "event=after"));
}

static void a_folder_is_no_log(void **state)
{
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    log_close();
    assert_int_equal(log_open(folder, LOG_INFO, LOG_TEXT, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "cannot open"));
}

static void *write_lines(void *context)
{
    for (int i = 0; i < N_LINES; i++)
        log_event(LOG_INFO, context, "line", "n=%d", i);
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    static char ids[N_THREADS][2];
    pthread_t threads[N_THREADS];
    static char text[TEXT_MAX];
    size_t n = 0;

    (void)state;
    for (int t = 0; t < N_THREADS; t++) {
        ids[t][0] = (char)('a' + t);
        assert_int_equal(pthread_create(&threads[t], NULL, write_lines, ids[t]), 0);
    }
    for (int t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    read_text(log_path, text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), n++)
        assert_true(strncmp(line + 24, " info req=", 10) == 0 && strstr(line, " event=line n="));
    assert_int_equal(n, N_THREADS * N_LINES);
}

static void a_reader_that_does_not_read_stops_nobody(void **state)
{
    char fifo[96];
    char text[65536];
    struct rag_error error = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    size_t n = 0;
    ssize_t got;
    int fd;

    (void)state;
    log_close();
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(log_open(fifo, LOG_INFO, LOG_TEXT, &error), RAG_OK);
    for (int i = 0; i < 5000; i++)
        log_event(LOG_INFO, NULL, "filling", "n=%d text=%0100d", i, i);
    assert_true(clock_elapsed_ms(begun) < 10000);
    while ((got = read(fd, text, sizeof text)) > 0)
        continue;
    log_event(LOG_INFO, NULL, "again", "n=%d", 1);
    got = read(fd, text, sizeof text - 1);
    assert_true(got > 0);
    n = (size_t)got;
    text[n] = '\0';
    assert_non_null(strstr(text, "event=again"));
    assert_non_null(strstr(text, "event=log_lines_lost n="));
    close(fd);
    unlink(fifo);
}

static void a_users_text_is_told_by_length_and_hash(void **state)
{
    char told[LOG_TEXT_HASH_BYTES];

    (void)state;
    log_text_hash("abc", 3, told);
    assert_string_equal(told, "bytes=3 sha256=ba7816bf8f01cfea");
    log_text_hash("", 0, told);
    assert_string_equal(told, "bytes=0 sha256=e3b0c44298fc1c14");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest singles[] = {
        WITH(levels_below_the_chosen_one_are_left_out),
        WITH(a_long_line_is_cut_at_a_character),
        WITH(a_moved_file_is_left_and_a_new_one_begun),
        WITH(a_reopen_that_fails_keeps_the_old_file),
        WITH(a_folder_is_no_log),
        WITH(lines_of_many_threads_stay_whole),
        WITH(a_reader_that_does_not_read_stops_nobody),
        WITH(a_users_text_is_told_by_length_and_hash),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(old_path, sizeof old_path, "%s/log.1", folder);
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    failed = cmocka_run_group_tests_name("log", tests, NULL, NULL);
    (void)unlink(log_path);
    (void)unlink(old_path);
    (void)rmdir(folder);
    return failed;
}
