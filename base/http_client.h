/* base/http_client.h - one HTTP request at a time, by libcurl, over a Unix
 * socket or TCP. Used by ragctl, the evaluator and remote backends. One client
 * belongs to one thread; it keeps its connection open between requests. */
#ifndef RAG_BASE_HTTP_CLIENT_H
#define RAG_BASE_HTTP_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

struct http_client; /* opaque */

/* Which addresses may be connected to (base/http_address.h), whatever a name resolves to. */
enum http_reach {
    HTTP_ANYWHERE,   /* the person at the keyboard chose the URL */
    HTTP_PUBLIC,     /* public ones, by https only */
    HTTP_PRIVATE_TOO /* private ones too, those by http as well */
};

struct http_target {
    const char *socket_path;  /* Unix socket, or NULL for TCP */
    const char *base_url;     /* "http://localhost" with a socket; else scheme, host and port */
    const char *bearer_token; /* or NULL */
    const char *ca_file;      /* certificates to trust, PEM; NULL: the system's */
    /* HTTP_PUBLIC and HTTP_PRIVATE_TOO: proxies of the environment are not used, since behind one
     * nobody knows who is spoken to. */
    enum http_reach reach;
};

struct http_call {
    const char *method;         /* "GET", "POST", "PUT", "DELETE" */
    const char *path;           /* "/v1/ask", already percent-encoded */
    const char *url;            /* absolute, instead of base_url and path; or NULL */
    const char *content_type;   /* of the body; NULL: application/json */
    const char *const *headers; /* further "Name: value" lines, NULL-terminated; or NULL */
    const void *body;           /* borrowed until the call returns; NULL: none */
    size_t body_bytes;
    int64_t timeout_ms;         /* for the whole exchange; 0: none */
    int64_t connect_timeout_ms; /* of it for name look-up, connection and TLS; 0: stall_ms */
    int64_t stall_ms;           /* give up when no byte came for so long; 0: never */
    size_t response_bytes_max;  /* a longer response in ret_body is RAG_ELIMIT; 0: its limit */
    size_t pieces_bytes_max;    /* the same of what goes to on_piece; 0: none */
    const atomic_bool *cancel;  /* looked at every HTTP_CANCEL_LOOK_MS, at any stage; or NULL */
    /* When set, body pieces go here as they arrive instead of into ret_body.
     * Return false to stop: the request then ends with RAG_ECANCELLED. */
    bool (*on_piece)(void *context, const char *data, size_t n_bytes);
    /* Asked about once a second and after each signal, while nothing comes too: may it go on? false
     * ends the request with RAG_ECANCELLED. Or NULL. */
    bool (*go_on)(void *context);
    void *context;
};

/* Copies what 'target' points to. Call http_client_global() once before threads. */
enum rag_status http_client_global(void);
enum rag_status http_client_open(const struct http_target *target, struct http_client **ret,
                                 struct rag_error *reterr);
void http_client_close(struct http_client *client); /* NULL is a no-op */

/* Is the text an http:// or https:// URL of a host, with nothing but a port and a path behind it:
 * no user, no query, no fragment? RAG_OK; RAG_EINVAL naming what is wrong; RAG_ENOMEM. */
enum rag_status http_base_url_check(const char *url, bool *ret_https, struct rag_error *reterr);

/* RAG_OK whenever a response arrived, whatever its code; redirects are not followed. ret_body is
 * reset first and is NUL-terminated. RAG_EIO: no connection or it broke, before the promised end of
 * the body too (the message names the socket, or the URL without its path, which may hold a
 * signature); RAG_EDENIED: the server's certificate is not trusted, or its address is out of the
 * target's reach; RAG_ETIMEOUT; RAG_ELIMIT; RAG_ECANCELLED; RAG_ENOMEM. */
enum rag_status http_client_do(struct http_client *client, const struct http_call *request,
                               long *ret_code, struct buf *ret_body, struct rag_error *reterr);

/* Of the response that is arriving (within on_piece) or the last one: its code; a header's value,
 * NULL when it has none; the absolute URL that a 3xx sends to, or NULL. Texts live until the next
 * call. */
long http_client_code(const struct http_client *client);
const char *http_client_header(const struct http_client *client, const char *name);
const char *http_client_redirect(const struct http_client *client);
/* Did the last request get as far as to be sent? */
bool http_client_sent(const struct http_client *client);

/* The Retry-After of the last response, in seconds (a date is turned into them); 0: none. */
int64_t http_client_retry_after_s(const struct http_client *client);

/* Percent-encode one path segment (everything but RFC 3986 unreserved), into out. */
void http_encode_segment(struct buf *out, const char *segment);

#endif
