/* Goal: the socket is never more open than its mode, a dead one is replaced, a live one or a file
 * that is no socket never; token files are read strictly. Method: sockets and files in a folder
 * of the test's own; sd_notify's datagrams are received. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/http_listen.h"
#include "daemon/notify.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char folder[] = "/tmp/test_listen.XXXXXX";
static char path[64];

static void must_listen(struct listener *l, mode_t mode)
{
    struct rag_error error = {RAG_OK, ""};

    if (listen_unix(path, mode, "", l, &error) != RAG_OK)
        fail_msg("%s", error.text);
}

static void the_mode_is_the_configured_one(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0700};
    mode_t before = umask(0022);

    (void)state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct listener l = {.fd = -1};
        struct stat sb;

        must_listen(&l, modes[i]);
        assert_int_equal(stat(path, &sb), 0);
        assert_int_equal(sb.st_mode & 0777, modes[i]);
        assert_int_equal(umask(0022), 0022); /* held only around bind() */
        listener_unlink(&l);
        assert_int_equal(access(path, F_OK), -1);
        close(l.fd);
    }
    umask(before);
}

static void a_dead_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct listener first = {.fd = -1};
    struct listener second = {.fd = -1};

    (void)state;
    must_listen(&first, 0600);
    assert_int_equal(listen_unix(path, 0600, "", &second, &error), RAG_EEXIST);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "another process serves it"));
    assert_int_equal(second.fd, -1);
    close(first.fd); /* as a crash leaves it: the file stays */
    assert_int_equal(access(path, F_OK), 0);
    (void)poll(NULL, 0, 20); /* the clock of files is coarse */
    must_listen(&second, 0600);
    listener_unlink(&first); /* the file is not its own any more */
    assert_int_equal(access(path, F_OK), 0);
    listener_unlink(&second);
    close(second.fd);
}

static void a_live_socket_with_a_full_backlog_is_live(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rag_error error = {RAG_OK, ""};
    struct listener second = {.fd = -1};
    int waiting[3];
    int fd;

    (void)state;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; i < COUNT(waiting); i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(listen_unix(path, 0600, "", &second, &error), RAG_EEXIST);
    for (size_t i = 0; i < COUNT(waiting); i++)
        close(waiting[i]);
    close(fd);
    unlink(path);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct listener l = {.fd = -1};
    FILE *file = fopen(path, "w");

    (void)state;
    fputs("precious", file);
    fclose(file);
    assert_int_equal(listen_unix(path, 0600, "", &l, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "a file that is no socket is there"));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(listen_unix(path, 0600, "", &l, &error), RAG_EIO);
    unlink(path);
}

static void mistakes_are_named(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct listener l = {.fd = -1};
    char too_long[200];

    (void)state;
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(listen_unix(too_long, 0600, "", &l, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "199 bytes, the limit is 107"));
    assert_int_equal(listen_unix("/nonexistent/s", 0600, "", &l, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "'/nonexistent/s': cannot bind: No such file"));
    assert_int_equal(listen_unix(path, 0600, "no-such-group", &l, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "no group 'no-such-group'"));
    assert_int_equal(access(path, F_OK), -1); /* nothing is left behind */
    assert_int_equal(l.fd, -1);
}

/* ---- tokens ---- */

struct row {
    const char *name;
    const char *text;
    mode_t mode;
    enum rag_status want;
    const char *message;
};

static struct row rows[] = {
    {"one token",                   "alice:0123456789abcdef\n",                 0600, RAG_OK,     NULL                    },
    {"comments and blank lines",    "# who\n\nalice:0123456789abcdef",          0640, RAG_OK,     NULL                    },
    {"lines of another system",     "alice:0123456789abcdef\r\n",               0600, RAG_OK,     NULL                    },
    {"a file that others may read", "alice:0123456789abcdef\n",                 0644, RAG_EINVAL,
     "others may read or write it (mode 0644); chmod 600"                                                                 },
    {"a short token",               "alice:0123456789abcde\n",                  0600, RAG_EINVAL, "line 1: not NAME:TOKEN"},
    {"no name",                     ":0123456789abcdef\n",                      0600, RAG_EINVAL, "line 1"                },
    {"a name with a blank",         "a b:0123456789abcdef\n",                   0600, RAG_EINVAL, "letters, digits"       },
    {"no colon",                    "# x\nalice 0123456789abcdef\n",            0600, RAG_EINVAL, "line 2"                },
    {"a name twice",                "a:0123456789abcdef\na:0123456789abcdeX\n", 0600, RAG_EINVAL,
     "line 2: a second token for 'a'"                                                                                     },
    {"nothing",                     "",                                         0600, RAG_EINVAL, "holds no token"        },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {RAG_OK, ""};
    struct bearer_list list = {NULL, 0};
    char principal[PRINCIPAL_BYTES_MAX + 1] = "none";
    FILE *file = fopen(path, "w");
    enum rag_status status;

    assert_non_null(file);
    fputs(row->text, file);
    fclose(file);
    chmod(path, row->mode);
    status = bearer_list_load(path, &list, &error);
    unlink(path);
    if (status != row->want || (row->message && !strstr(error.text, row->message)))
        fail_msg("status %d, message: %s", status, error.text);
    if (status != RAG_OK)
        return;
    assert_int_equal(token_principal(&list, "Bearer 0123456789abcdef", principal), RAG_OK);
    assert_string_equal(principal, "token:alice");
    assert_int_equal(token_principal(&list, "Bearer 0123456789abcdeg", principal), RAG_EDENIED);
    assert_int_equal(token_principal(&list, "Bearer", principal), RAG_EDENIED);
    assert_int_equal(token_principal(&list, "", principal), RAG_EDENIED);
    assert_int_equal(token_principal(&list, NULL, principal), RAG_EDENIED);
    bearer_list_release(&list);
}

static void a_missing_token_file_is_named(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct bearer_list list = {NULL, 0};

    (void)state;
    assert_int_equal(bearer_list_load("/nonexistent/t", &list, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "token file '/nonexistent/t': cannot open"));
}

/* ---- the service manager ---- */

static void the_service_manager_is_told(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char got[64];
    ssize_t n;
    int fd;

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_state("READY=1"); /* nobody to tell */
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    notify_state("READY=1");
    n = recv(fd, got, sizeof got - 1, 0);
    assert_int_equal(n, 7);
    got[n] = '\0';
    assert_string_equal(got, "READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_state("STOPPING=1");
    assert_int_equal(recv(fd, got, sizeof got, 0), -1);
    close(fd);
    unlink(path);
}

int main(void)
{
    static const struct CMUnitTest singles[] = {
        cmocka_unit_test(the_mode_is_the_configured_one),
        cmocka_unit_test(a_dead_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(a_live_socket_with_a_full_backlog_is_live),
        cmocka_unit_test(what_is_no_socket_is_left_alone),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_missing_token_file_is_named),
        cmocka_unit_test(the_service_manager_is_told),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/s", folder);
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    failed = cmocka_run_group_tests_name("http_listen", tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
