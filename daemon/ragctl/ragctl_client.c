#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_client.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

#define TIMEOUT_DEFAULT_MS   120000       /* one request; a search takes milliseconds */
#define BUSY_WAIT_DEFAULT_MS 30000        /* a person waits that long, a script too */
#define RESPONSE_BYTES_MAX   (512u << 20) /* a list of every document of a large collection */
#define RETRY_AFTER_MS_MIN   100
#define RETRY_AFTER_MS_MAX   10000 /* ask again sooner: the queue may be empty long before */

enum rag_status ragctl_client_open(const struct ragctl_options *options, struct ragctl_client *ret,
                                   struct rag_error *reterr)
{
    struct http_target target = {.socket_path = options->socket_path,
                                 .base_url = "http://localhost"};

    if (options->url)
        target = (struct http_target){.base_url = options->url, .bearer_token = options->token};
    memset(ret, 0, sizeof *ret);
    ret->options = options;
    ret->busy_wait_ms = BUSY_WAIT_DEFAULT_MS;
    buf_init(&ret->body, RESPONSE_BYTES_MAX);
    return http_client_open(&target, &ret->http, reterr);
}

void ragctl_client_close(struct ragctl_client *client)
{
    http_client_close(client->http);
    buf_release(&client->body);
    client->http = NULL;
}

static enum rag_status status_of_code(long code)
{
    switch (code) {
    case 400:
    case 405:
    case 415:
    case 422:
        return RAG_EINVAL;
    case 401:
    case 403:
        return RAG_EDENIED;
    case 404:
        return RAG_ENOTFOUND;
    case 409:
        return RAG_EEXIST;
    case 413:
    case 414:
    case 431:
        return RAG_ELIMIT;
    case 429:
    case 503:
        return RAG_EBUSY;
    case 504:
        return RAG_ETIMEOUT;
    case 507:
        return RAG_ENOSPC;
    default:
        return RAG_EINTERNAL;
    }
}

enum rag_status ragctl_client_error(long code, const char *body, size_t n_bytes,
                                    struct rag_error *reterr)
{
    enum rag_status status = status_of_code(code);
    struct json *root = NULL;
    const char *message = NULL;

    if (n_bytes > 0 && json_parse(body, n_bytes, "response", &root, NULL) == RAG_OK)
        message = json_string(json_member(json_member(root, "error"), "message"));
    if (message)
        rag_fail(reterr, status, "%s", message);
    else
        rag_fail(reterr, status, "ragd: answered with HTTP status %ld and no message", code);
    json_free(root);
    return status;
}

const char *ragctl_text(const struct json *object, const char *key)
{
    const char *text = json_string(json_member(object, key));

    return text ? text : "";
}

void ragctl_client_sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

bool ragctl_client_busy_again(const struct ragctl_client *client, int64_t since_ns)
{
    int64_t left_ms = client->busy_wait_ms - (int64_t)clock_elapsed_ms(since_ns);
    int64_t pause_ms = http_client_retry_after_s(client->http) * 1000;

    if (client->code != 429 && client->code != 503)
        return false;
    if (pause_ms < RETRY_AFTER_MS_MIN)
        pause_ms = RETRY_AFTER_MS_MIN;
    if (pause_ms > RETRY_AFTER_MS_MAX)
        pause_ms = RETRY_AFTER_MS_MAX;
    if (pause_ms > left_ms)
        return false;
    ragctl_client_sleep_ms(pause_ms);
    return true;
}

enum rag_status ragctl_client_once(struct ragctl_client *client, struct http_call *request,
                                   struct rag_error *reterr)
{
    enum rag_status status;

    if (request->timeout_ms == 0)
        request->timeout_ms =
            client->options->timeout_ms ? client->options->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (request->response_bytes_max == 0)
        request->response_bytes_max = RESPONSE_BYTES_MAX;
    client->code = 0;
    status = http_client_do(client->http, request, &client->code, &client->body, reterr);
    if (status != RAG_OK)
        return status;
    if (client->code >= 200 && client->code < 300)
        return RAG_OK;
    return ragctl_client_error(client->code, buf_str(&client->body), client->body.len, reterr);
}

enum rag_status ragctl_client_do(struct ragctl_client *client, struct http_call *request,
                                 struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    enum rag_status status;

    do
        status = ragctl_client_once(client, request, reterr);
    while (status == RAG_EBUSY && ragctl_client_busy_again(client, since_ns));
    return status;
}

static enum rag_status do_and_parse(struct ragctl_client *client, struct http_call *request,
                                    struct json **ret_json, struct rag_error *reterr)
{
    enum rag_status status = ragctl_client_do(client, request, reterr);

    if (status != RAG_OK || !ret_json)
        return status;
    return json_parse(buf_str(&client->body), client->body.len, "response of ragd", ret_json,
                      reterr);
}

enum rag_status ragctl_client_call(struct ragctl_client *client, const char *method,
                                   const char *path, struct json **ret_json,
                                   struct rag_error *reterr)
{
    struct http_call request = {.method = method, .path = path};

    return do_and_parse(client, &request, ret_json, reterr);
}

enum rag_status ragctl_client_send(struct ragctl_client *client, const char *method,
                                   const char *path, const struct buf *body, struct json **ret_json,
                                   struct rag_error *reterr)
{
    struct http_call request = {.method = method, .path = path};

    if (buf_status(body) != RAG_OK)
        return rag_fail(reterr, buf_status(body), "request '%s': too long or out of memory", path);
    request.body = buf_str(body);
    request.body_bytes = body->len;
    return do_and_parse(client, &request, ret_json, reterr);
}

void ragctl_client_collection_path(struct buf *out, const char *collection, const char *tail,
                                   const char *segment)
{
    buf_append_str(out, "/v1/collections/");
    http_encode_segment(out, collection);
    buf_append_str(out, tail);
    if (segment)
        http_encode_segment(out, segment);
}
