/* daemon/ragctl/ragctl_status.c - 'ragctl status', 'metrics' and 'version'. */
#include <stdio.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/version.h"

#define SCRATCH_BYTES_MAX 8192
#define WAIT_S_MAX        3600
#define WAIT_PAUSE_MS     100
#define LATE_ANSWER_MS    1000

static void print_status(const struct ragctl_options *options, const char *version, bool ready,
                         const struct json *collections)
{
    const struct json *list = json_member(collections, "collections");
    double documents = 0;
    double chunks = 0;

    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        documents += json_number(json_member(c, "documents"));
        chunks += json_number(json_member(c, "chunks"));
    }
    if (!options->json) {
        printf("ragd %s at %s: %s\n%zu collections, %.0f documents, %.0f chunks\n", version,
               options->url ? options->url : options->socket_path,
               ready ? "ready" : "not ready (starting or shutting down)", json_size(list),
               documents, chunks);
        return;
    }
    {
        struct json_writer w;
        struct buf out;

        buf_init(&out, SCRATCH_BYTES_MAX);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "version", version);
        json_put_bool(&w, "ready", ready);
        json_put_int(&w, "collections", (int64_t)json_size(list));
        json_put_int(&w, "documents", (int64_t)documents);
        json_put_int(&w, "chunks", (int64_t)chunks);
        json_end_object(&w);
        printf("%s\n", buf_str(&out));
        buf_release(&out);
    }
}

/* Until it is ready, at most so many seconds. */
static bool wait_ready(const struct ragctl_options *options, int64_t seconds)
{
    int64_t since_ns = clock_monotonic_ns();
    struct ragctl_options once = *options;
    bool ready = false;

    while (!ready && clock_elapsed_ms(since_ns) < (double)seconds * 1000) {
        struct ragctl_client client = {0};
        int64_t left_ms = seconds * 1000 - (int64_t)clock_elapsed_ms(since_ns);

        /* one that accepts and says nothing must not hold us longer */
        if (options->timeout_ms == 0 || left_ms < options->timeout_ms)
            once.timeout_ms = left_ms > WAIT_PAUSE_MS ? left_ms : WAIT_PAUSE_MS;
        if (ragctl_client_open(&once, &client, NULL) == RAG_OK) {
            client.busy_wait_ms = 0;
            ready = ragctl_client_call(&client, "GET", "/readyz", NULL, NULL) == RAG_OK;
        }
        ragctl_client_close(&client);
        if (!ready)
            ragctl_client_sleep_ms(WAIT_PAUSE_MS);
    }
    return ready;
}

int ragctl_status(const struct ragctl_options *options, int argc, char **argv)
{
    int64_t wait_s = 0;
    const struct ragctl_arg args[] = {
        {.name = "--wait", .number = &wait_s, .min = 0, .max = WAIT_S_MAX},
    };
    struct ragctl_options told = *options;
    struct ragctl_client client = {0};
    struct json *health = NULL;
    struct json *collections = NULL;
    struct rag_error error = {0};
    enum rag_status status;
    const char *version;
    bool ready = false;

    if (ragctl_args_no_words("status", args, sizeof args / sizeof args[0], argc, argv, &error) !=
        RAG_OK)
        return ragctl_usage("status", &error);
    if (wait_s > 0 && !wait_ready(options, wait_s))
        told.timeout_ms = LATE_ANSWER_MS; /* who comes too late is told why, but soon */
    status = ragctl_client_open(&told, &client, &error);
    client.busy_wait_ms = 0;
    if (status == RAG_OK)
        status = ragctl_client_call(&client, "GET", "/healthz", &health, &error);
    if (status == RAG_OK) {
        ready = ragctl_client_call(&client, "GET", "/readyz", NULL, NULL) == RAG_OK;
        if (ready)
            status = ragctl_client_call(&client, "GET", "/v1/collections", &collections, &error);
    }
    version = json_string(json_member(health, "version"));
    if (status == RAG_OK)
        print_status(options, version ? version : "of unknown version", ready, collections);
    json_free(health);
    json_free(collections);
    ragctl_client_close(&client);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    return ready ? RAGCTL_OK : RAGCTL_FAILED;
}

int ragctl_metrics(const struct ragctl_options *options, int argc, char **argv)
{
    struct ragctl_client client = {0};
    struct rag_error error = {0};
    enum rag_status status;

    if (ragctl_args_no_words("metrics", NULL, 0, argc, argv, &error) != RAG_OK)
        return ragctl_usage("metrics", &error);
    status = ragctl_client_open(options, &client, &error);
    if (status == RAG_OK)
        status = ragctl_client_call(&client, "GET", "/metrics", NULL, &error);
    if (status == RAG_OK && options->json) {
        struct json_writer w;
        struct buf out;

        buf_init(&out, client.body.len * 2 + SCRATCH_BYTES_MAX);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "prometheus", buf_str(&client.body));
        json_end_object(&w);
        printf("%s\n", buf_str(&out));
        buf_release(&out);
    } else if (status == RAG_OK) {
        fputs(buf_str(&client.body), stdout);
    }
    ragctl_client_close(&client);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}

int ragctl_version(const struct ragctl_options *options, int argc, char **argv)
{
    struct rag_error error = {0};

    if (ragctl_args_no_words("version", NULL, 0, argc, argv, &error) != RAG_OK)
        return ragctl_usage("version", &error);
    if (options->json)
        printf("{\"version\":\"%s\"}\n", RAGD_VERSION);
    else
        printf("ragctl %s\n", RAGD_VERSION);
    return RAGCTL_OK;
}
