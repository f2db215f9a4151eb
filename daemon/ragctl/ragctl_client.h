/* daemon/ragctl/ragctl_client.h - a conversation with ragd as ragctl's commands need it. */
#ifndef RAG_DAEMON_RAGCTL_CLIENT_H
#define RAG_DAEMON_RAGCTL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl.h"

struct ragctl_client {
    const struct ragctl_options *options; /* borrowed */
    struct http_client *http;             /* owned */
    struct buf body;                      /* of the last response */
    long code;                            /* its HTTP status; 0: no response came */
    int64_t busy_wait_ms; /* how long a busy daemon is asked again; 0: not once more */
};

/* One connection, used by one thread. Nothing is sent yet. */
enum rag_status ragctl_client_open(const struct ragctl_options *options, struct ragctl_client *ret,
                                   struct rag_error *reterr);
void ragctl_client_close(struct ragctl_client *client); /* a zeroed one is a no-op */

/* Do a request. A 429 or 503 is repeated after the Retry-After that came with it, until
 * busy_wait_ms have passed. RAG_OK for a 2xx answer, whose body is in client->body. Any
 * other answer fails with the daemon's own message and the status that its HTTP code
 * stands for: 400 RAG_EINVAL, 403 RAG_EDENIED, 404 RAG_ENOTFOUND, 409 RAG_EEXIST,
 * 413 RAG_ELIMIT, 429/503 RAG_EBUSY, 504 RAG_ETIMEOUT, 507 RAG_ENOSPC, else RAG_EINTERNAL.
 * Timeouts and the limit on the response are filled in where the request leaves them 0.
 * Other failures: those of http_client_do(). */
enum rag_status ragctl_client_do(struct ragctl_client *client, struct http_call *request,
                                 struct rag_error *reterr);

/* The two halves of ragctl_client_do(), for who has to start over in between: one attempt,
 * and, after one that found the daemon busy, the pause (false: no more attempts). */
enum rag_status ragctl_client_once(struct ragctl_client *client, struct http_call *request,
                                   struct rag_error *reterr);
bool ragctl_client_busy_again(const struct ragctl_client *client, int64_t since_ns);

/* A request without a body; *ret_json (may be NULL) is the parsed answer, json_free() it. */
enum rag_status ragctl_client_call(struct ragctl_client *client, const char *method,
                                   const char *path, struct json **ret_json,
                                   struct rag_error *reterr);
/* With a JSON body. */
enum rag_status ragctl_client_send(struct ragctl_client *client, const char *method,
                                   const char *path, const struct buf *body, struct json **ret_json,
                                   struct rag_error *reterr);

/* "/v1/collections/<c>" + tail + (segment, percent-encoded, unless NULL). */
void ragctl_client_collection_path(struct buf *out, const char *collection, const char *tail,
                                   const char *segment);

/* A member's text; "" unless it is one. */
const char *ragctl_text(const struct json *object, const char *key);

void ragctl_client_sleep_ms(int64_t ms);

/* What a response with this code and body means as an error (used by the stream reader
 * of ask as well). Never RAG_OK. */
enum rag_status ragctl_client_error(long code, const char *body, size_t n_bytes,
                                    struct rag_error *reterr);

#endif
