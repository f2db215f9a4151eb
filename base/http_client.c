#define _GNU_SOURCE
#include "base/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/http_address.h"

#define WAIT_MS 1000 /* between two looks at go_on */

struct http_client {
    CURL *curl;        /* owned */
    CURLM *multi;      /* owned; keeps the connection */
    char *socket_path; /* owned, or NULL */
    char *base_url;    /* owned */
    char *auth;        /* owned "Authorization: Bearer ...", or NULL */
    char *ca_file;     /* owned, or NULL */
    enum http_reach reach;
};

struct transfer {
    const struct http_call *request;
    const struct http_client *client;
    struct buf *body;
    bool stopped; /* on_piece, go_on or the cancel flag said stop */
    bool stalled;
    bool too_long;       /* headers or pieces */
    int64_t last_ns;     /* when a byte came, or it began */
    size_t n_header;     /* bytes */
    size_t n_pieces;     /* bytes */
    const char *outside; /* why an address was refused, or NULL */
    char address[HTTP_ADDRESS_TEXT_BYTES];
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
    if (client->multi)
        (void)curl_multi_cleanup(client->multi);
    free(client->socket_path);
    free(client->base_url);
    free(client->ca_file);
    if (client->auth)
        explicit_bzero(client->auth, strlen(client->auth));
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
    c->multi = curl_multi_init();
    c->reach = target->reach;
    c->base_url = strdup(target->base_url);
    if (target->socket_path)
        c->socket_path = strdup(target->socket_path);
    if (target->ca_file)
        c->ca_file = strdup(target->ca_file);
    if (target->bearer_token) {
        buf_printf(&auth, "Authorization: Bearer %s", target->bearer_token);
        if (buf_take(&auth, &c->auth, NULL) != RAG_OK)
            buf_release(&auth);
    }
    if (!c->curl || !c->multi || !c->base_url || (target->socket_path && !c->socket_path) ||
        (target->bearer_token && !c->auth) || (target->ca_file && !c->ca_file)) {
        http_client_close(c);
        return rag_fail(reterr, RAG_ENOMEM, "http client: out of memory");
    }
    *ret = c;
    return RAG_OK;
}

/* ---- what libcurl calls ---- */

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count;

    (void)data;
    t->last_ns = clock_monotonic_ns();
    t->n_header += n;
    t->too_long = t->n_header > HTTP_RESPONSE_HEADER_BYTES_MAX;
    return t->too_long ? 0 : n;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t n = size * count; /* libcurl: size is always 1 */

    t->last_ns = clock_monotonic_ns();
    if (t->request->on_piece) {
        t->n_pieces += n;
        t->too_long =
            t->request->pieces_bytes_max > 0 && t->n_pieces > t->request->pieces_bytes_max;
        if (t->too_long)
            return 0;
        if (!t->request->on_piece(t->request->context, data, n)) {
            t->stopped = true;
            return 0;
        }
        return n;
    }
    buf_append(t->body, data, n);
    return buf_status(t->body) == RAG_OK ? n : 0;
}

/* Why an address is out of reach, or NULL. */
static const char *out_of_reach(const struct transfer *t, const struct sockaddr *address)
{
    const char *url = t->request->url ? t->request->url : t->client->base_url;
    bool https = strncasecmp(url, "https:", 6) == 0;

    switch (http_address_class(address)) {
    case HTTP_ADDRESS_PUBLIC:
        return https ? NULL : "a public address, and http is not encrypted; use https";
    case HTTP_ADDRESS_PRIVATE:
        return t->client->reach == HTTP_PRIVATE_TOO
                   ? NULL
                   : "a private address; set allow_private when the server is meant to be there";
    case HTTP_ADDRESS_NEVER:
        break;
    }
    return "an address that no server may have";
}

/* The one place where a socket comes from, called with the address that the name has just been
 * resolved to: what it refuses cannot be reached by whatever DNS says. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct transfer *t = context;
    const char *why = out_of_reach(t, &address->addr);

    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    if (why) {
        t->outside = why;
        http_address_text(&address->addr, t->address);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
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

/* The text of a status for a libcurl code. */
static enum rag_status report_code(const struct transfer *t, const char *where, CURLcode code,
                                   struct rag_error *reterr)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return rag_fail(reterr, RAG_EDENIED, "request to '%s': %s", where,
                        curl_easy_strerror(code));
    case CURLE_OPERATION_TIMEDOUT:
        if (!http_client_sent(t->client))
            return rag_fail(reterr, RAG_ETIMEOUT, "request to '%s': no connection in time", where);
        return rag_fail(reterr, RAG_ETIMEOUT, "request to '%s': no answer within %lld ms", where,
                        (long long)t->request->timeout_ms);
    case CURLE_OUT_OF_MEMORY:
        return rag_fail(reterr, RAG_ENOMEM, "request to '%s': out of memory", where);
    case CURLE_COULDNT_CONNECT:
        if (t->client->socket_path)
            return rag_fail(reterr, RAG_EIO, "socket '%s': cannot connect; is ragd running there?",
                            where);
        break;
    default:
        break;
    }
    return rag_fail(reterr, RAG_EIO, "request to '%s': %s", where, curl_easy_strerror(code));
}

static enum rag_status report(const struct transfer *t, CURLcode code, struct rag_error *reterr)
{
    const struct http_client *c = t->client;
    const char *where = c->socket_path ? c->socket_path : c->base_url;
    char origin[256];

    if (!c->socket_path) {
        origin_of(t->request->url ? t->request->url : c->base_url, origin, sizeof origin);
        where = origin;
    }
    if (t->stopped)
        return rag_fail(reterr, RAG_ECANCELLED, "request to '%s': stopped by the caller", where);
    if (code == CURLE_OK)
        return RAG_OK;
    if (t->stalled)
        return rag_fail(reterr, RAG_ETIMEOUT, "request to '%s': nothing came for %lld ms", where,
                        (long long)t->request->stall_ms);
    if (t->too_long)
        return rag_fail(reterr, RAG_ELIMIT, "response of '%s': its %s are longer than %zu bytes",
                        where, t->request->on_piece && t->n_pieces > 0 ? "pieces" : "headers",
                        t->n_pieces > 0 ? t->request->pieces_bytes_max
                                        : (size_t)HTTP_RESPONSE_HEADER_BYTES_MAX);
    if (buf_status(t->body) == RAG_ELIMIT)
        return rag_fail(reterr, RAG_ELIMIT, "response of '%s': longer than the limit of %zu bytes",
                        where, t->body->max);
    if (t->outside && !http_client_sent(c))
        return rag_fail(reterr, RAG_EDENIED, "request to '%s': %s is %s", where, t->address,
                        t->outside);
    return report_code(t, where, code, reterr);
}

static void set_times(CURL *curl, const struct http_call *r)
{
    int64_t connect_ms = r->connect_timeout_ms > 0 ? r->connect_timeout_ms : r->stall_ms;

    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    if (connect_ms > 0)
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
}

static void set_options(struct http_client *client, const struct http_call *request,
                        const char *url, struct curl_slist *headers, struct transfer *t)
{
    CURL *curl = client->curl;

    curl_easy_reset(curl); /* options only: the connection stays */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name that nobody wants */
    if (client->socket_path)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
    if (client->socket_path || client->reach != HTTP_ANYWHERE)
        curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* none of the environment */
    if (client->reach != HTTP_ANYWHERE) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t);
    }
    if (client->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* it alone */
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    set_times(curl, request);
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Whether the caller, or the time without a byte, says that it is enough. */
static bool must_end(struct transfer *t)
{
    const struct http_call *r = t->request;

    if ((r->cancel && atomic_load(r->cancel)) || (r->go_on && !r->go_on(r->context)))
        t->stopped = true;
    if (r->stall_ms > 0 && clock_monotonic_ns() - t->last_ns > r->stall_ms * 1000000)
        t->stalled = true;
    return t->stopped || t->stalled;
}

/* As curl_easy_perform(), but that it looks up in between. */
static CURLcode perform(struct http_client *client, struct transfer *t)
{
    int wait_ms = t->request->cancel ? HTTP_CANCEL_LOOK_MS : WAIT_MS;
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    CURLMcode multi = CURLM_OK;
    int n_running = 1;
    int n_left;

    if (t->request->stall_ms > 0 && t->request->stall_ms < wait_ms)
        wait_ms = (int)t->request->stall_ms;
    t->last_ns = clock_monotonic_ns();
    if (curl_multi_add_handle(client->multi, client->curl) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    while (multi == CURLM_OK && n_running > 0 && !must_end(t)) {
        multi = curl_multi_perform(client->multi, &n_running);
        if (multi == CURLM_OK && n_running > 0)
            multi = curl_multi_poll(client->multi, NULL, 0, wait_ms, NULL);
    }
    if (multi != CURLM_OK)
        code = CURLE_OUT_OF_MEMORY;
    for (CURLMsg *m = curl_multi_info_read(client->multi, &n_left); m;
         m = curl_multi_info_read(client->multi, &n_left))
        if (m->msg == CURLMSG_DONE)
            code = m->data.result;
    (void)curl_multi_remove_handle(client->multi, client->curl);
    return code;
}

enum rag_status http_client_do(struct http_client *client, const struct http_call *request,
                               long *ret_code, struct buf *ret_body, struct rag_error *reterr)
{
    struct transfer t = {.request = request, .client = client, .body = ret_body};
    enum rag_status status = RAG_ENOMEM;
    struct curl_slist *headers = NULL;
    struct buf url;

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
    set_options(client, request, buf_str(&url), headers, &t);
    status = report(&t, perform(client, &t), reterr);
    if (status == RAG_OK)
        *ret_code = http_client_code(client);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, NULL); /* 't' ends here */
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, NULL);
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

bool http_client_sent(const struct http_client *client)
{
    curl_off_t us = 0;

    return curl_easy_getinfo(client->curl, CURLINFO_PRETRANSFER_TIME_T, &us) == CURLE_OK && us > 0;
}

enum rag_status http_base_url_check(const char *url, bool *ret_https, struct rag_error *reterr)
{
    static const struct {
        CURLUPart part;
        const char *what;
    } unwanted[] = {
        {CURLUPART_USER,     "a user name"},
        {CURLUPART_PASSWORD, "a password" },
        {CURLUPART_QUERY,    "a query"    },
        {CURLUPART_FRAGMENT, "a fragment" },
    };
    CURLU *parsed = curl_url();
    enum rag_status status = RAG_OK;
    char *scheme = NULL;
    char *text = NULL;

    if (!parsed)
        return rag_fail(reterr, RAG_ENOMEM, "URL: out of memory");
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) || strpbrk(url, " \t\r\n"))
        status = rag_fail(reterr, RAG_EINVAL,
                          "must be https://HOST[:PORT][/PATH] (or http:// of a private address)");
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0] && status == RAG_OK; i++) {
        if (curl_url_get(parsed, unwanted[i].part, &text, 0) == CURLUE_OK) {
            status = rag_fail(reterr, RAG_EINVAL, "must not have %s in it", unwanted[i].what);
            curl_free(text);
        }
    }
    if (status == RAG_OK)
        *ret_https = strcmp(scheme, "https") == 0;
    curl_free(scheme);
    curl_url_cleanup(parsed);
    return status;
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
