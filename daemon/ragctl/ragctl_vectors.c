#include "daemon/ragctl/ragctl_vectors.h"

#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/ragctl/progress.h"

#define POLL_MS_FIRST 50 /* a small collection is done soon; then twice as long each time */
#define POLL_MS_MAX   1000

static enum rag_status read_state(struct ragctl_client *client, const char *path,
                                  struct vectors_state *ret, struct rag_error *reterr)
{
    const struct json *vectors = NULL;
    struct json *collection = NULL;
    const char *error = NULL;
    const char *state = "off";
    int64_t n_pending = 0;
    enum rag_status status = ragctl_client_call(client, "GET", path, &collection, reterr);

    *ret = (struct vectors_state){0};
    if (status == RAG_OK)
        status = json_get_object(collection, "vectors", &vectors, reterr);
    if (status == RAG_OK && vectors)
        status = json_get_string(vectors, "state", sizeof ret->why, &state, reterr);
    if (status == RAG_OK && vectors)
        status = json_get_int(vectors, "pending", 0, INT64_MAX, &n_pending, reterr);
    if (status == RAG_OK && vectors)
        status = json_get_string(vectors, "error", sizeof ret->why - 1, &error, reterr);
    if (status == RAG_OK) {
        /* "offline": the embedder is another server, which will not get this text */
        ret->off = strcmp(state, "off") == 0 || strcmp(state, "offline") == 0;
        ret->n_pending = ret->off ? 0 : (uint64_t)n_pending;
        snprintf(ret->why, sizeof ret->why, "%s", error ? error : "");
    }
    json_free(collection);
    return status;
}

enum rag_status ragctl_vectors_wait(struct ragctl_client *client, const char *collection,
                                    enum rag_status (*check)(struct rag_error *reterr),
                                    struct vectors_state *ret, struct rag_error *reterr)
{
    int64_t poll_ms = POLL_MS_FIRST;
    struct vectors_state state;
    struct progress progress;
    enum rag_status status;
    uint64_t total;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, collection, "", NULL);
    status = read_state(client, buf_str(&path), &state, reterr);
    total = state.n_pending;
    progress_init(&progress, stderr, client->options->quiet, "chunks embedded", total, 0);
    while (status == RAG_OK && state.n_pending > 0 && state.why[0] == '\0') {
        ragctl_client_sleep_ms(poll_ms);
        poll_ms = poll_ms * 2 < POLL_MS_MAX ? poll_ms * 2 : POLL_MS_MAX;
        status = check ? check(reterr) : RAG_OK;
        if (status == RAG_OK)
            status = read_state(client, buf_str(&path), &state, reterr);
        if (status == RAG_OK && state.n_pending <= total)
            progress_update(&progress, total - state.n_pending, 0);
    }
    progress_finish(&progress);
    buf_release(&path);
    if (status == RAG_OK)
        *ret = state;
    return status;
}
