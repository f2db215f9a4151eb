/* daemon/http_listen.h - the listening sockets, and the tokens of TCP clients. */
#ifndef RAG_DAEMON_HTTP_LISTEN_H
#define RAG_DAEMON_HTTP_LISTEN_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#include "base/bounds.h"
#include "base/status.h"

#define SOCKET_PATH_MAX (sizeof((struct sockaddr_un *)0)->sun_path)

struct listener {
    int fd;                     /* -1: none */
    char path[SOCKET_PATH_MAX]; /* of a Unix socket that is ours; "": none */
    dev_t device;               /* and the file that we bound */
    ino_t inode;
    struct timespec changed; /* numbers of inodes are used again at once */
};

/* Bind and listen on a Unix socket, non-blocking and close-on-exec. The umask is held around
 * bind(), so that the socket is never more open than 'mode'; a stale socket file (nobody
 * answers) is replaced, a live one is RAG_EEXIST, a file that is no socket RAG_EIO.
 * group "" keeps the process's. */
enum rag_status listen_unix(const char *path, mode_t mode, const char *group, struct listener *ret,
                            struct rag_error *reterr);
/* On loopback; address 127.0.0.1 or ::1. */
enum rag_status listen_tcp(const char *address, unsigned port, struct listener *ret,
                           struct rag_error *reterr);
/* Remove the socket file, unless another process has put its own there. Does not close. */
void listener_unlink(struct listener *listener);

/* Bearer tokens: lines NAME:TOKEN, '#' comments. The file must not be readable by others. */
struct bearer_list {
    struct token *items; /* owned */
    size_t n;
};
#define TOKENS_MAX      1024
#define TOKEN_BYTES_MIN 16
enum rag_status bearer_list_load(const char *path, struct bearer_list *ret,
                                 struct rag_error *reterr);
void bearer_list_release(struct bearer_list *list);
/* "token:NAME" for an Authorization header; compares in constant time. RAG_EDENIED. */
enum rag_status token_principal(const struct bearer_list *list, const char *authorization,
                                char ret[PRINCIPAL_BYTES_MAX + 1]);

#endif
