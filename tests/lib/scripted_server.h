/* tests/lib/scripted_server.h - a TCP server on 127.0.0.1 that says what a test wrote down.
 *
 * Each connection gets the next reply of a list, byte for byte, once its request is whole; past the
 * list the last one again. Requests are counted and the newest is kept. One thread. */
#ifndef RAG_TESTS_SCRIPTED_SERVER_H
#define RAG_TESTS_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRIPTED_HANG "(hang)" /* a reply that never comes */

struct scripted_server {
    const char *const *replies; /* borrowed */
    size_t n_replies;
    atomic_int n_requests;
    char request[65536]; /* the newest; read it when nothing is under way */
    int listener;
    int port;
    atomic_bool stopping;
    pthread_t thread;
};

static void scripted_serve(struct scripted_server *s, int fd)
{
    size_t n = 0;
    size_t wanted = 0;
    const char *reply;
    size_t i;

    while (wanted == 0 || n < wanted) {
        ssize_t more = recv(fd, s->request + n, sizeof s->request - 1 - n, 0);
        const char *end;
        const char *length;

        if (more <= 0)
            return;
        n += (size_t)more;
        s->request[n] = '\0';
        end = strstr(s->request, "\r\n\r\n");
        length = strstr(s->request, "Content-Length: ");
        if (end)
            wanted = (size_t)(end + 4 - s->request) +
                     (length && length < end ? (size_t)atol(length + 16) : 0);
    }
    i = (size_t)atomic_fetch_add(&s->n_requests, 1);
    reply = s->replies[i < s->n_replies ? i : s->n_replies - 1];
    if (strcmp(reply, SCRIPTED_HANG) == 0) {
        while (!atomic_load(&s->stopping) && recv(fd, s->request, 1, MSG_PEEK) > 0)
            usleep(1000);
        return;
    }
    (void)!send(fd, reply, strlen(reply), MSG_NOSIGNAL);
}

static void *scripted_loop(void *context)
{
    struct scripted_server *s = context;

    for (;;) {
        int fd = accept(s->listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        scripted_serve(s, fd);
        close(fd);
    }
}

static bool scripted_start(struct scripted_server *s, const char *const *replies, size_t n)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    memset(s, 0, sizeof *s);
    s->replies = replies;
    s->n_replies = n;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s->listener, 16) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    s->port = ntohs(address.sin_port);
    return pthread_create(&s->thread, NULL, scripted_loop, s) == 0;
}

static void scripted_stop(struct scripted_server *s)
{
    atomic_store(&s->stopping, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

#endif
