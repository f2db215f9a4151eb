#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bounds.h"
#include "base/http_client.h"
#include "daemon/ragctl/hub_internal.h"
#include "daemon/ragctl/ragctl_client.h"

#define PAUSE_FIRST_MS 250
#define ERROR_BYTES_MAX                                                                            \
    65536 /* of an error's body: dropped unread, but not kept coming for ever                      \
           */
#define USER_AGENT "User-Agent: ragctl"

struct hub {
    char *endpoint;            /* without a slash at its end; owned */
    char *origin;              /* its scheme, host and port; owned */
    struct http_client *own;   /* carries the token; owned */
    struct http_client *other; /* never does; owned */
    struct hub_options options;
};

/* ---- opening ---- */

static size_t origin_bytes(const char *url)
{
    const char *host = strstr(url, "://");

    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static bool same_origin(const char *origin, const char *url)
{
    size_t n = origin_bytes(url);

    return n == strlen(origin) && strncasecmp(origin, url, n) == 0;
}

static bool is_this_machine(const char *origin)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t n = strlen(hosts[i]);

        if (strncasecmp(origin, hosts[i], n) == 0 && (origin[n] == '\0' || origin[n] == ':'))
            return true;
    }
    return false;
}

static enum rag_status check_endpoint(const struct hub *hub, struct rag_error *reterr)
{
    const char *host = strstr(hub->origin, "://");
    bool https = strncasecmp(hub->origin, "https://", 8) == 0;

    if ((!https && strncasecmp(hub->origin, "http://", 7) != 0) || !host || host[3] == '\0')
        return rag_fail(reterr, RAG_EINVAL,
                        "HF_ENDPOINT '%.100s': must be a URL as https://huggingface.co",
                        hub->endpoint);
    if (strpbrk(hub->origin, "@ ") || strpbrk(hub->endpoint, "?#"))
        return rag_fail(reterr, RAG_EINVAL,
                        "HF_ENDPOINT: must be scheme, host and path; the token goes to HF_TOKEN");
    if (hub->options.token && !https && !is_this_machine(hub->origin))
        return rag_fail(reterr, RAG_EINVAL,
                        "HF_TOKEN: would go to '%s' unencrypted; use an https endpoint or unset it",
                        hub->origin);
    if (hub->options.token && strpbrk(hub->options.token, "\r\n"))
        return rag_fail(reterr, RAG_EINVAL, "HF_TOKEN: holds a line break");
    return RAG_OK;
}

void hub_close(struct hub *hub)
{
    if (!hub)
        return;
    http_client_close(hub->own);
    http_client_close(hub->other);
    free(hub->endpoint);
    free(hub->origin);
    free(hub);
}

enum rag_status hub_open(const struct hub_options *options, struct hub **ret,
                         struct rag_error *reterr)
{
    const char *endpoint = options->endpoint ? options->endpoint : HUB_ENDPOINT_DEFAULT;
    struct http_target own = {.bearer_token = options->token};
    struct http_target other = {.base_url = ""};
    struct hub *hub = calloc(1, sizeof *hub);
    size_t n = strlen(endpoint);
    enum rag_status status;

    if (!hub)
        return rag_fail(reterr, RAG_ENOMEM, "hub: out of memory");
    while (n > 0 && endpoint[n - 1] == '/')
        n--;
    hub->options = *options;
    hub->endpoint = strndup(endpoint, n);
    hub->origin = strndup(endpoint, origin_bytes(endpoint));
    if (!hub->endpoint || !hub->origin) {
        status = rag_fail(reterr, RAG_ENOMEM, "hub: out of memory");
        goto out;
    }
    own.base_url = hub->endpoint;
    status = check_endpoint(hub, reterr);
    if (status == RAG_OK)
        status = http_client_open(&own, &hub->own, reterr);
    if (status == RAG_OK)
        status = http_client_open(&other, &hub->other, reterr);
out:
    if (status != RAG_OK) {
        hub_close(hub);
        return status;
    }
    *ret = hub;
    return RAG_OK;
}

const char *hub_endpoint(const struct hub *hub)
{
    return hub->endpoint;
}

/* ---- one attempt ---- */

struct attempt {
    struct http_client *client; /* of the request that is under way */
    struct hub_sink *sink;
    uint64_t asked;         /* offset of the Range */
    bool begun;             /* the sink has been told */
    size_t n_ignored;       /* bytes of redirects and errors */
    enum rag_status status; /* what the sink or a header said */
    struct rag_error error;
};

/* "bytes 100-199/1000": the first byte and the total. */
static bool parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_total)
{
    unsigned long long first;
    unsigned long long last;
    unsigned long long total;

    if (!text)
        return false;
    if (sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &total) == 3) {
        *ret_total = total;
    } else if (sscanf(text, "bytes %llu-%llu/*", &first, &last) == 2) {
        *ret_total = HUB_SIZE_UNKNOWN;
    } else {
        return false;
    }
    *ret_first = first;
    return true;
}

static enum rag_status begin_body(struct attempt *a, long code)
{
    uint64_t total = HUB_SIZE_UNKNOWN;
    uint64_t first = 0;

    a->begun = true;
    if (code == 206 &&
        (!parse_content_range(http_client_header(a->client, "Content-Range"), &first, &total) ||
         first != a->asked))
        return rag_fail(&a->error, RAG_EFORMAT,
                        "the server sent another part than byte %llu and on",
                        (unsigned long long)a->asked);
    if (code != 206)
        a->sink->offset = 0; /* the server takes no notice of Range: from the start then */
    return a->sink->begin(a->sink->context, code == 206, total, &a->error);
}

static bool on_piece(void *context, const char *data, size_t n)
{
    struct attempt *a = context;
    long code = http_client_code(a->client);

    if (code != 200 && code != 206) {
        a->n_ignored += n;
        return a->n_ignored <= ERROR_BYTES_MAX;
    }
    if (!a->begun)
        a->status = begin_body(a, code);
    if (a->status == RAG_OK)
        a->status = a->sink->piece(a->sink->context, data, n, &a->error);
    if (a->status == RAG_OK)
        a->sink->offset += n;
    return a->status == RAG_OK;
}

/* Follows redirects to the response that is none. */
static enum rag_status follow(struct hub *hub, struct attempt *a, const char *path, long *ret_code,
                              struct rag_error *reterr)
{
    struct http_call call = {.method = "GET",
                             .path = path,
                             .stall_ms = HUB_STALL_S * 1000,
                             .on_piece = on_piece,
                             .context = a};
    const char *headers[3] = {USER_AGENT, NULL, NULL};
    enum rag_status status = RAG_OK;
    bool https = strncasecmp(hub->origin, "https:", 6) == 0;
    char *url = NULL;
    struct buf none;
    char range[64];

    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)a->asked);
    headers[1] = a->asked > 0 ? range : NULL;
    call.headers = headers;
    buf_init(&none, 1);
    a->client = hub->own;
    for (int i = 0;; i++) {
        const char *next;

        status = http_client_do(a->client, &call, ret_code, &none, reterr);
        if (status == RAG_ECANCELLED && a->status == RAG_OK) { /* too long a body of an error */
            *ret_code = http_client_code(a->client);
            status = RAG_OK;
        }
        if (status != RAG_OK || *ret_code < 300 || *ret_code > 399 || *ret_code == 304)
            break;
        next = http_client_redirect(a->client);
        if (!next || i == HUB_REDIRECTS_MAX ||
            (strncasecmp(next, "https:", 6) != 0 &&
             (https || strncasecmp(next, "http:", 5) != 0))) {
            status = rag_fail(reterr, RAG_EFORMAT, "%s",
                              next && i == HUB_REDIRECTS_MAX ? "too many redirects"
                                                             : "a redirect to nowhere, or from "
                                                               "https to something less safe");
            break;
        }
        https = strncasecmp(next, "https:", 6) == 0;
        free(url);
        url = strdup(next);
        if (!url) {
            status = rag_fail(reterr, RAG_ENOMEM, "out of memory");
            break;
        }
        call.url = url;
        a->client = same_origin(hub->origin, url) ? hub->own : hub->other;
        a->n_ignored = 0;
    }
    free(url);
    buf_release(&none);
    if (a->status != RAG_OK) {
        rag_fail(reterr, a->status, "%s", a->error.text);
        return a->status;
    }
    return status;
}

/* What a code means. RAG_EBUSY: the same call may work later. */
static enum rag_status code_status(long code, struct rag_error *reterr)
{
    if (code == 200 || code == 206)
        return RAG_OK;
    if (code == 401)
        return rag_fail(
            reterr, RAG_EDENIED,
            "the server wants a token (401), or there is no such model; set HF_TOKEN if "
            "it is private or gated");
    if (code == 403)
        return rag_fail(reterr, RAG_EDENIED,
                        "refused (403); accept the model's terms on its page and set HF_TOKEN");
    if (code == 404)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "not there (404); check name and revision, or set HF_TOKEN if it is "
                        "private");
    if (code == 416)
        return rag_fail(reterr, RAG_ELIMIT, "shorter than what is here already (416)");
    if (code == 408 || code == 429 || code >= 500)
        return rag_fail(reterr, RAG_EBUSY, "the server is busy or broken (%ld)", code);
    return rag_fail(reterr, RAG_EFORMAT, "an answer that was not expected (%ld)", code);
}

/* The path of <https://host/path>; rel="next", when it is at the endpoint. */
static void append_next(const struct hub *hub, const struct http_client *client, struct buf *out)
{
    const char *link = http_client_header(client, "Link");
    const char *end = link ? strstr(link, ">; rel=\"next\"") : NULL;
    size_t n = strlen(hub->endpoint);

    if (!end || link[0] != '<')
        return;
    if (strncmp(link + 1, hub->endpoint, n) == 0 && link[1 + n] == '/')
        buf_append(out, link + 1 + n, (size_t)(end - (link + 1 + n)));
    else if (link[1] == '/' && link[2] != '/')
        buf_append(out, link + 1, (size_t)(end - (link + 1)));
}

static enum rag_status once(struct hub *hub, const char *path, struct hub_sink *sink,
                            struct buf *ret_next, int64_t *ret_retry_after_s,
                            struct rag_error *reterr)
{
    struct attempt a = {.sink = sink, .asked = sink->offset, .status = RAG_OK};
    enum rag_status status;
    long code = 0;

    *ret_retry_after_s = 0;
    status = follow(hub, &a, path, &code, reterr);
    if (status != RAG_OK)
        return status;
    status = code_status(code, reterr);
    if (status == RAG_OK && !a.begun) { /* an empty file */
        status = begin_body(&a, code);
        if (status != RAG_OK)
            rag_fail(reterr, status, "%s", a.error.text);
    }
    if (status == RAG_OK && ret_next)
        append_next(hub, a.client, ret_next);
    *ret_retry_after_s = http_client_retry_after_s(a.client);
    return status;
}

/* ---- repetition ---- */

static bool may_pass(enum rag_status status)
{
    return status == RAG_EBUSY || status == RAG_EIO || status == RAG_ETIMEOUT;
}

enum rag_status hub_get(struct hub *hub, const char *path, const char *what, struct hub_sink *sink,
                        struct buf *ret_next, struct rag_error *reterr)
{
    struct rag_error error = {0};
    int n_without_progress = 0;

    for (int i = 0;; i++) {
        uint64_t before = sink->offset;
        int64_t retry_after_s = 0;
        enum rag_status status = once(hub, path, sink, ret_next, &retry_after_s, &error);
        int64_t pause_ms;

        if (status == RAG_OK)
            return RAG_OK;
        n_without_progress = sink->offset > before ? 0 : n_without_progress + 1;
        if (!may_pass(status))
            return rag_fail(reterr, status, "%s: %s", what, error.text);
        if (retry_after_s > HUB_RETRY_AFTER_S_MAX)
            return rag_fail(reterr, status, "%s: %s and asks to come back in %lld s", what,
                            error.text, (long long)retry_after_s);
        if (n_without_progress == HUB_ATTEMPTS_MAX || i == HUB_ATTEMPTS_ALL_MAX)
            return rag_fail(reterr, status,
                            "%s: %s, after %d attempts; what has come is kept, run "
                            "the same command again",
                            what, error.text, i + 1);
        pause_ms = (int64_t)PAUSE_FIRST_MS << (n_without_progress > 0 ? n_without_progress - 1 : 0);
        if (retry_after_s > 0)
            pause_ms = retry_after_s * 1000;
        if (hub->options.on_pause)
            hub->options.on_pause(hub->options.context, error.text, pause_ms);
        ragctl_client_sleep_ms(pause_ms);
    }
}

static enum rag_status text_begin(void *context, bool ranged, uint64_t total,
                                  struct rag_error *reterr)
{
    (void)total;
    (void)reterr;
    if (!ranged)
        buf_reset(context);
    return RAG_OK;
}

static enum rag_status text_piece(void *context, const char *data, size_t n,
                                  struct rag_error *reterr)
{
    struct buf *out = context;

    buf_append(out, data, n);
    if (buf_status(out) != RAG_OK)
        return rag_fail(reterr, buf_status(out), "an answer over %zu bytes", out->max);
    return RAG_OK;
}

enum rag_status hub_get_text(struct hub *hub, const char *path, const char *what, struct buf *out,
                             struct buf *ret_next, struct rag_error *reterr)
{
    struct hub_sink sink = {.begin = text_begin, .piece = text_piece, .context = out};

    return hub_get(hub, path, what, &sink, ret_next, reterr);
}

void hub_append_path(struct buf *out, const char *path)
{
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        char part[HUB_NAME_BYTES_MAX + 1];

        snprintf(part, sizeof part, "%.*s", (int)(n < sizeof part ? n : sizeof part - 1), p);
        http_encode_segment(out, part);
        p += n;
        if (*p == '/') {
            buf_append_char(out, '/');
            p++;
        }
    }
}
