#define _GNU_SOURCE
#include "base/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_client {
    CURL *curl;        /* owned */
    char *socket_path; /* owned, or NULL */
    char *base_url;    /* owned */
    char *auth;        /* owned "Authorization: Bearer ...", or NULL */
};

struct transfer {
    const struct http_call *request;
    struct buf *body;
    bool stopped; /* on_piece or go_on said stop */
};

enum rag_status http_client_global(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? RAG_OK : RAG_ENOMEM;
}

void http_client_close(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client->socket_path);
    free(client->base_url);
    free(client->auth);
    free(client);
}

enum rag_status http_client_open(const struct http_target *target, struct http_client **ret,
                                 struct rag_error *reterr)
{
    struct http_client *c = calloc(1, sizeof *c);
    struct buf auth;

    buf_init(&auth, 8192);
    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "http client: out of memory");
    c->curl = curl_easy_init();
    c->base_url = strdup(target->base_url);
    if (target->socket_path)
        c->socket_path = strdup(target->socket_path);
    if (target->bearer_token) {
        buf_printf(&auth, "Authorization: Bearer %s", target->bearer_token);
        if (buf_take(&auth, &c->auth, NULL) != RAG_OK)
            buf_release(&auth);
    }
    if (!c->curl || !c->base_url || (target->socket_path && !c->socket_path) ||
        (target->bearer_token && !c->auth)) {
        http_client_close(c);
        return rag_fail(reterr, RAG_ENOMEM, "http client: out of memory");
    }
    *ret = c;
    return RAG_OK;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count; /* libcurl: size is always 1 */

    if (t->request->on_piece) {
        if (!t->request->on_piece(t->request->context, data, n)) {
            t->stopped = true;
            return 0;
        }
        return n;
    }
    buf_append(t->body, data, n);
    return buf_status(t->body) == RAG_OK ? n : 0;
}

static int on_progress(void *context, curl_off_t n_in_all, curl_off_t n_in, curl_off_t n_out_all,
                       curl_off_t n_out)
{
    struct transfer *t = context;

    (void)n_in_all, (void)n_in, (void)n_out_all, (void)n_out;
    if (t->request->go_on(t->request->context))
        return 0;
    t->stopped = true;
    return 1;
}

/* The list is NULL when memory ran out; the caller then reports that. */
static struct curl_slist *make_headers(const struct http_client *c, const struct http_call *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    struct buf type;

    buf_init(&type, 4096);
    if (r->body) {
        buf_printf(&type, "Content-Type: %s",
                   r->content_type ? r->content_type : "application/json");
        list = buf_status(&type) == RAG_OK && list ? curl_slist_append(list, buf_str(&type)) : NULL;
    }
    buf_release(&type);
    if (list && c->auth)
        list = curl_slist_append(list, c->auth);
    for (const char *const *h = r->headers; list && h && *h; h++)
        list = curl_slist_append(list, *h);
    return list;
}

/* Scheme and host of a URL. */
static void origin_of(const char *url, char *ret, size_t size)
{
    const char *host = strstr(url, "://");
    const char *end = host ? strpbrk(host + 3, "/?#") : NULL;
    size_t n = end ? (size_t)(end - url) : strlen(url);

    snprintf(ret, size, "%.*s", (int)(n < size ? n : size - 1), url);
}

static enum rag_status report(const struct http_client *c, const struct transfer *t, CURLcode code,
                              struct rag_error *reterr)
{
    const char *where = c->socket_path ? c->socket_path : c->base_url;
    char origin[256];

    if (t->request->url) {
        origin_of(t->request->url, origin, sizeof origin);
        where = origin;
    }
    if (code == CURLE_OK)
        return RAG_OK;
    if (t->stopped)
        return rag_fail(reterr, RAG_ECANCELLED, "request to '%s': stopped by the caller", where);
    if (buf_status(t->body) == RAG_ELIMIT)
        return rag_fail(reterr, RAG_ELIMIT, "response of '%s': longer than the limit of %zu bytes",
                        where, t->body->max);
    if (code == CURLE_OPERATION_TIMEDOUT && t->request->stall_s > 0)
        return rag_fail(reterr, RAG_ETIMEOUT, "request to '%s': nothing came for %lld s", where,
                        (long long)t->request->stall_s);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return rag_fail(reterr, RAG_EDENIED, "request to '%s': %s", where,
                        curl_easy_strerror(code));
    if (code == CURLE_OPERATION_TIMEDOUT)
        return rag_fail(reterr, RAG_ETIMEOUT, "request to '%s': no answer within %lld ms", where,
                        (long long)t->request->timeout_ms);
    if (code == CURLE_OUT_OF_MEMORY)
        return rag_fail(reterr, RAG_ENOMEM, "request to '%s': out of memory", where);
    if (code == CURLE_COULDNT_CONNECT && c->socket_path)
        return rag_fail(reterr, RAG_EIO, "socket '%s': cannot connect; is ragd running there?",
                        where);
    return rag_fail(reterr, RAG_EIO, "request to '%s': %s", where, curl_easy_strerror(code));
}

enum rag_status http_client_do(struct http_client *client, const struct http_call *request,
                               long *ret_code, struct buf *ret_body, struct rag_error *reterr)
{
    struct transfer t = {request, ret_body, false};
    enum rag_status status = RAG_ENOMEM;
    struct curl_slist *headers = NULL;
    CURL *curl = client->curl;
    struct buf url;
    CURLcode code;

    buf_init(&url, 65536);
    buf_reset(ret_body);
    if (request->response_bytes_max)
        ret_body->max = request->response_bytes_max;
    if (request->url)
        buf_append_str(&url, request->url);
    else
        buf_printf(&url, "%s%s", client->base_url, request->path);
    headers = make_headers(client, request);
    if (!headers || buf_status(&url) != RAG_OK) {
        rag_fail(reterr, status, "request to '%.200s': out of memory",
                 request->url ? client->base_url : request->path);
        goto out;
    }

    curl_easy_reset(curl); /* options only: the connection stays */
    curl_easy_setopt(curl, CURLOPT_URL, buf_str(&url));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (client->socket_path) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
        curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* http_proxy must not catch a local socket */
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
    if (request->go_on) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &t);
    }
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (request->stall_s > 0) {
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)request->stall_s);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)request->stall_s);
    }
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);

    code = curl_easy_perform(curl);
    status = report(client, &t, code, reterr);
    if (status == RAG_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
out:
    curl_slist_free_all(headers);
    buf_release(&url);
    return status;
}

long http_client_code(const struct http_client *client)
{
    long code = 0;

    return curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK ? code : 0;
}

const char *http_client_header(const struct http_client *client, const char *name)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(client->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

const char *http_client_redirect(const struct http_client *client)
{
    char *url = NULL;

    if (curl_easy_getinfo(client->curl, CURLINFO_REDIRECT_URL, &url) != CURLE_OK)
        return NULL;
    return url;
}

int64_t http_client_retry_after_s(const struct http_client *client)
{
    curl_off_t seconds = 0;

    if (curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
        return 0;
    return (int64_t)seconds;
}

void http_encode_segment(struct buf *out, const char *segment)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (const char *p = segment; *p; p++) {
        if (strchr(plain, *p))
            buf_append_char(out, *p);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
}
