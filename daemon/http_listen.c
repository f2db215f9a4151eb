#define _GNU_SOURCE
#include "daemon/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512 /* connections that wait for accept(): a burst of clients, not a queue */

/* Is somebody listening at this address? */
static bool answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool live;

    if (fd < 0)
        return true; /* not known: do not replace it */
    live = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
           errno == EAGAIN; /* a full backlog is a live server */
    (void)close(fd);
    return live;
}

static enum rag_status remove_stale(const struct sockaddr_un *address, struct rag_error *reterr)
{
    struct stat sb;

    if (lstat(address->sun_path, &sb) < 0) {
        if (errno == ENOENT)
            return RAG_OK;
        return rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': cannot stat",
                              address->sun_path);
    }
    if (!S_ISSOCK(sb.st_mode))
        return rag_fail(reterr, RAG_EIO, "socket '%s': a file that is no socket is there",
                        address->sun_path);
    if (answers(address))
        return rag_fail(reterr, RAG_EEXIST, "socket '%s': another process serves it",
                        address->sun_path);
    if (unlink(address->sun_path) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': stale, cannot remove",
                              address->sun_path);
    return RAG_OK;
}

static enum rag_status give_to_group(const char *path, const char *group, struct rag_error *reterr)
{
    const struct group *entry;

    if (group[0] == '\0')
        return RAG_OK;
    entry = getgrnam(group); /* before threads start: the static result is safe */
    if (!entry)
        return rag_fail(reterr, RAG_EINVAL, "socket '%s': no group '%s'", path, group);
    if (chown(path, (uid_t)-1, entry->gr_gid) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': cannot give to group '%s'",
                              path, group);
    return RAG_OK;
}

enum rag_status listen_unix(const char *path, mode_t mode, const char *group, struct listener *ret,
                            struct rag_error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listener l = {.fd = -1};
    enum rag_status status;
    struct stat sb;
    mode_t mask;
    int bound;

    if (strlen(path) >= sizeof address.sun_path)
        return rag_fail(reterr, RAG_EINVAL, "socket '%s': %zu bytes, the limit is %zu", path,
                        strlen(path), sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    status = remove_stale(&address, reterr);
    if (status != RAG_OK)
        return status;
    l.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l.fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': cannot create", path);
    mask = umask(0777 & ~mode);
    bound = bind(l.fd, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound < 0) {
        status = errno == EADDRINUSE
                     ? rag_fail(reterr, RAG_EEXIST,
                                "socket '%s': another process has just taken it", path)
                     : rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': cannot bind", path);
        goto out;
    }
    memcpy(l.path, path, strlen(path) + 1);
    status = give_to_group(path, group, reterr);
    if (lstat(path, &sb) == 0) {
        l.device = sb.st_dev;
        l.inode = sb.st_ino;
        l.changed = sb.st_ctim;
    }
    if (status == RAG_OK && listen(l.fd, BACKLOG) < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "socket '%s': cannot listen", path);
    if (status == RAG_OK) {
        *ret = l;
        return RAG_OK;
    }
    listener_unlink(&l);
out:
    (void)close(l.fd);
    return status;
}

void listener_unlink(struct listener *l)
{
    struct stat sb;

    if (l->path[0] != '\0' && lstat(l->path, &sb) == 0 && sb.st_dev == l->device &&
        sb.st_ino == l->inode && sb.st_ctim.tv_sec == l->changed.tv_sec &&
        sb.st_ctim.tv_nsec == l->changed.tv_nsec)
        (void)unlink(l->path);
    l->path[0] = '\0';
}

enum rag_status listen_tcp(const char *address, unsigned port, struct listener *ret,
                           struct rag_error *reterr)
{
    bool v6 = strchr(address, ':') != NULL;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in in = {.sin_family = AF_INET};
    const struct sockaddr *sa = v6 ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;
    socklen_t size = v6 ? sizeof in6 : sizeof in;
    int one = 1;
    int fd;

    in6.sin6_port = htons((uint16_t)port);
    in.sin_port = htons((uint16_t)port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "TCP %s port %u: cannot create", address,
                              port);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 || bind(fd, sa, size) < 0 ||
        listen(fd, BACKLOG) < 0) {
        enum rag_status status =
            rag_fail_errno(reterr, RAG_EIO, errno, "TCP %s port %u: cannot listen", address, port);

        (void)close(fd);
        return status;
    }
    *ret = (struct listener){.fd = fd};
    return RAG_OK;
}

/* ---- tokens ---- */

struct token {
    char principal[PRINCIPAL_BYTES_MAX + 1];
    char *secret; /* owned */
};

void bearer_list_release(struct bearer_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].secret);
    free(list->items);
    memset(list, 0, sizeof *list);
}

/* A name becomes part of a principal, in lists and logs: no blanks, commas or quotes. */
static bool is_name(const char *text)
{
    return text[0] != '\0' && strlen(text) <= PRINCIPAL_BYTES_MAX - sizeof "token:" &&
           text[strspn(
               text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-")] == '\0';
}

static enum rag_status add_token(struct bearer_list *list, const char *path, size_t line,
                                 char *text, struct rag_error *reterr)
{
    char *colon = strchr(text, ':');
    struct token *t;

    if (colon)
        *colon = '\0';
    if (!colon || !is_name(text) || strlen(colon + 1) < TOKEN_BYTES_MIN)
        return rag_fail(reterr, RAG_EINVAL,
                        "token file '%s' line %zu: not NAME:TOKEN with a name of letters, digits "
                        "and ._@- and a token of at least %d characters",
                        path, line, TOKEN_BYTES_MIN);
    if (list->n == TOKENS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "token file '%s': more than %d tokens", path,
                        TOKENS_MAX);
    t = &list->items[list->n];
    snprintf(t->principal, sizeof t->principal, "token:%.120s", text);
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].principal, t->principal) == 0)
            return rag_fail(reterr, RAG_EINVAL, "token file '%s' line %zu: a second token for '%s'",
                            path, line, text);
    t->secret = strdup(colon + 1);
    if (!t->secret)
        return rag_fail(reterr, RAG_ENOMEM, "token file '%s': out of memory", path);
    list->n++;
    return RAG_OK;
}

enum rag_status bearer_list_load(const char *path, struct bearer_list *ret,
                                 struct rag_error *reterr)
{
    struct bearer_list list = {calloc(TOKENS_MAX, sizeof(struct token)), 0};
    enum rag_status status = RAG_OK;
    size_t n_line = 0;
    char line[1024];
    struct stat sb;
    FILE *file;

    if (!list.items)
        return rag_fail(reterr, RAG_ENOMEM, "token file '%s': out of memory", path);
    file = fopen(path, "re");
    if (!file) {
        free(list.items);
        return rag_fail_errno(reterr, RAG_EIO, errno, "token file '%s': cannot open", path);
    }
    if (fstat(fileno(file), &sb) == 0 && (sb.st_mode & 0007) != 0)
        status = rag_fail(reterr, RAG_EINVAL,
                          "token file '%s': others may read or write it (mode %04o); chmod 600 it",
                          path, (unsigned)(sb.st_mode & 07777));
    while (status == RAG_OK && fgets(line, sizeof line, file)) {
        n_line++;
        if (!strchr(line, '\n') && !feof(file)) {
            status = rag_fail(reterr, RAG_EINVAL, "token file '%s' line %zu: over %zu bytes", path,
                              n_line, sizeof line - 2);
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            status = add_token(&list, path, n_line, line, reterr);
    }
    fclose(file);
    if (status == RAG_OK && list.n == 0)
        status = rag_fail(reterr, RAG_EINVAL, "token file '%s': holds no token", path);
    if (status != RAG_OK) {
        bearer_list_release(&list);
        return status;
    }
    *ret = list;
    return RAG_OK;
}

/* The time does not depend on where two texts differ, only on the length of the given one. */
static bool equal_secret(const char *given, const char *secret)
{
    size_t n_given = strlen(given);
    size_t n = strlen(secret);
    unsigned char difference = n_given != n;

    for (size_t i = 0; i < n_given; i++)
        difference |= (unsigned char)(given[i] ^ secret[i % n]);
    return difference == 0;
}

enum rag_status token_principal(const struct bearer_list *list, const char *authorization,
                                char ret[PRINCIPAL_BYTES_MAX + 1])
{
    const struct token *found = NULL;

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return RAG_EDENIED;
    for (size_t i = 0; i < list->n; i++)
        if (equal_secret(authorization + 7, list->items[i].secret))
            found = &list->items[i];
    if (!found)
        return RAG_EDENIED;
    memcpy(ret, found->principal, sizeof found->principal);
    return RAG_OK;
}
