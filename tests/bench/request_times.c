/* request_times.c - how long requests over the socket take, one after the other over one kept-open
 * connection.
 *
 *     request_times SOCKET < requests
 *
 * A request is a line PATH TAB BODY (JSON). For each comes a line MICROSECONDS TAB STATUS TAB
 * BODY: from before the first byte is sent until the last one of the reply is here. A client in C
 * that does nothing else: what an interpreter takes would be more than what is measured. */
#define _GNU_SOURCE /* strcasestr */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define REPLY_BYTES_MAX ((size_t)1 << 20)

static int fail(const char *what)
{
    fprintf(stderr, "request_times: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    return 1;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static bool send_all(int fd, const char *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t sent = send(fd, data + done, n - done, MSG_NOSIGNAL);

        if (sent < 0)
            return false;
        done += (size_t)sent;
    }
    return true;
}

/* A whole reply into 'reply'; its status, 0: none, or one without Content-Length. *ret_body points
 * to its body. */
static int receive(int fd, char *reply, char **ret_body)
{
    size_t n = 0;
    size_t wanted = REPLY_BYTES_MAX;
    char *body = NULL;

    while (!body || n < wanted) {
        ssize_t got = n < REPLY_BYTES_MAX ? recv(fd, reply + n, REPLY_BYTES_MAX - n, 0) : 0;

        if (got <= 0)
            return 0;
        n += (size_t)got;
        reply[n] = '\0';
        if (!body && (body = strstr(reply, "\r\n\r\n")) != NULL) {
            const char *length = strcasestr(reply, "\r\nContent-Length:");

            body += 4;
            if (!length || length > body)
                return 0;
            wanted = (size_t)(body - reply) + strtoul(length + 17, NULL, 10);
        }
    }
    *ret_body = body;
    return atoi(reply + strlen("HTTP/1.1 "));
}

int main(int argc, char **argv)
{
    char *line = NULL;
    char *request = malloc(REPLY_BYTES_MAX);
    char *reply = malloc(REPLY_BYTES_MAX + 1);
    size_t size = 0;
    ssize_t n;
    int fd = argc == 2 ? connect_to(argv[1]) : -1;

    if (fd < 0 || !request || !reply)
        return fail(argc == 2 ? argv[1] : "usage: request_times SOCKET < requests");
    while ((n = getline(&line, &size, stdin)) > 0) {
        char *tab = strchr(line, '\t');
        char *body;
        int64_t begun;
        int length, status;

        line[n - 1] = '\0';
        if (!tab)
            return fail("a line without a tab");
        *tab = '\0';
        length =
            snprintf(request, REPLY_BYTES_MAX,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     line, strlen(tab + 1), tab + 1);
        if (length < 0 || (size_t)length >= REPLY_BYTES_MAX)
            return fail("a long request");
        begun = clock_monotonic_ns();
        if (!send_all(fd, request, (size_t)length))
            return fail("send");
        status = receive(fd, reply, &body);
        if (status == 0)
            return fail("the reply");
        printf("%.3f\t%d\t%s\n", (double)(clock_monotonic_ns() - begun) / 1e3, status, body);
    }
    free(line);
    free(request);
    free(reply);
    close(fd);
    return 0;
}
