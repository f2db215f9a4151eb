#include "daemon/ragctl_vectors.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bounds.h"
#include "daemon/progress.h"

#define POLL_MS_FIRST 50 /* a small collection is done soon; then twice as long each time */
#define POLL_MS_MAX   1000

/* What the daemon says of the vectors now. */
struct state {
    int64_t n_pending;
    bool failing;
    char error[256];
};

static enum rag_status read_state(struct ragctl_client *client, const char *path, struct state *ret,
                                  struct rag_error *reterr)
{
    const struct json *vectors = NULL;
    struct json *collection = NULL;
    const char *error = NULL;
    enum rag_status status = ragctl_client_call(client, "GET", path, &collection, reterr);

    *ret = (struct state){0};
    if (status == RAG_OK)
        status = json_get_object(collection, "vectors", &vectors, reterr);
    if (status == RAG_OK && vectors)
        status = json_get_int(vectors, "pending", 0, INT64_MAX, &ret->n_pending, reterr);
    if (status == RAG_OK && vectors)
        status = json_get_string(vectors, "error", sizeof ret->error - 1, &error, reterr);
    if (status == RAG_OK && error) {
        ret->failing = true;
        snprintf(ret->error, sizeof ret->error, "%s", error);
    }
    json_free(collection);
    return status;
}

enum rag_status ragctl_vectors_wait(struct ragctl_client *client, uint64_t *ret_pending,
                                    struct rag_error *reterr)
{
    const struct ragctl_options *options = client->options;
    int64_t poll_ms = POLL_MS_FIRST;
    struct progress progress;
    enum rag_status status;
    struct state state;
    uint64_t total;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, options->collection, "", NULL);
    status = read_state(client, buf_str(&path), &state, reterr);
    total = (uint64_t)state.n_pending;
    progress_init(&progress, stderr, options->quiet, "chunks embedded", total, 0);
    while (status == RAG_OK && state.n_pending > 0 && !state.failing) {
        ragctl_client_sleep_ms(poll_ms);
        poll_ms = poll_ms * 2 < POLL_MS_MAX ? poll_ms * 2 : POLL_MS_MAX;
        status = read_state(client, buf_str(&path), &state, reterr);
        if (status == RAG_OK && (uint64_t)state.n_pending <= total)
            progress_update(&progress, total - (uint64_t)state.n_pending, 0);
    }
    progress_finish(&progress);
    if (status == RAG_OK && state.n_pending > 0)
        ragctl_note(options,
                    "%" PRId64 " chunks are found by their words only; the daemon tries again: %s",
                    state.n_pending, state.error);
    if (status == RAG_OK)
        *ret_pending = (uint64_t)state.n_pending;
    buf_release(&path);
    return status;
}
