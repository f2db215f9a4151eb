#define _GNU_SOURCE
#include "daemon/embedders.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "embed/passage_text.h"

#define SETTINGS_BYTES_MAX 65536

struct embedders {
    struct store *store; /* borrowed, as the models */
    struct models *models;
    struct embedder *current; /* owned; NULL: none is configured */

    pthread_mutex_t mutex; /* guards what follows, and is held while an older one is loaded */
    struct embedder *older;
};

/* What an encoder needs to be opened so that it gives the same vectors again: what it found in its
 * directory is written down too, as that may be edited. */
static enum rag_status print_settings(const struct bi_encoder_info *info, char **ret,
                                      struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf out;

    buf_init(&out, SETTINGS_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "max_tokens", (int64_t)info->max_tokens);
    json_put_int(&w, "dim", (int64_t)info->dim);
    json_put_string(&w, "pooling", info->pooling);
    json_put_string(&w, "query_prompt", info->query_prompt);
    json_put_string(&w, "passage_prompt", info->passage_prompt);
    json_end_object(&w);
    status = buf_take(&out, ret, NULL);
    buf_release(&out);
    return status == RAG_OK
               ? status
               : rag_fail(reterr, status, "embedder '%s': settings do not fit", info->dir);
}

static enum rag_status read_settings(const struct json *root, struct bi_encoder_options *o,
                                     struct rag_error *reterr)
{
    int64_t max_tokens = 0;
    int64_t dim = 0;
    enum rag_status status = json_get_int(root, "max_tokens", 0, 1 << 30, &max_tokens, reterr);

    if (status == RAG_OK)
        status = json_get_int(root, "dim", 0, EMBEDDING_DIM_MAX, &dim, reterr);
    if (status == RAG_OK)
        status = json_get_string(root, "pooling", 64, &o->pooling, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(root, "query_prompt", SETTINGS_BYTES_MAX, &o->query_prompt, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(root, "passage_prompt", SETTINGS_BYTES_MAX, &o->passage_prompt, reterr);
    o->max_tokens = (size_t)max_tokens;
    o->dim = (size_t)dim;
    return status;
}

static void describe(struct embedder *e, const struct bi_encoder *encoder)
{
    struct bi_encoder_info info;

    bi_encoder_info(encoder, &info);
    e->encoder = encoder;
    e->dim = info.dim;
    snprintf(e->binding, sizeof e->binding, "%s/%d", info.fingerprint, PASSAGE_TEXT_VERSION);
}

static enum rag_status register_current(struct embedders *e, struct rag_error *reterr)
{
    const struct bi_encoder *encoder = models_embedder(e->models);
    struct bi_encoder_info info;
    enum rag_status status;
    char *settings = NULL;
    char *dir = NULL;

    if (!encoder)
        return RAG_OK;
    bi_encoder_info(encoder, &info);
    e->current = calloc(1, sizeof *e->current);
    dir = realpath(info.dir, NULL); /* the next start may have another working directory */
    if (!e->current)
        return rag_fail(reterr, RAG_ENOMEM, "embedder '%s': out of memory", info.dir);
    describe(e->current, encoder);
    status = print_settings(&info, &settings, reterr);
    if (status == RAG_OK)
        status = store_embedder_register(e->store, e->current->binding, dir ? dir : info.dir,
                                         settings, e->current->dim, &e->current->id, reterr);
    free(settings);
    free(dir);
    return status;
}

enum rag_status embedders_open(struct store *store, struct models *models, struct embedders **ret,
                               struct rag_error *reterr)
{
    struct embedders *e = calloc(1, sizeof *e);
    enum rag_status status;

    if (!e)
        return rag_fail(reterr, RAG_ENOMEM, "embedders: out of memory");
    e->store = store;
    e->models = models;
    pthread_mutex_init(&e->mutex, NULL);
    status = register_current(e, reterr);
    if (status != RAG_OK) {
        embedders_close(e);
        return status;
    }
    *ret = e;
    return RAG_OK;
}

void embedders_close(struct embedders *e)
{
    if (!e)
        return;
    free(e->current);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

struct models *embedders_models(const struct embedders *e)
{
    return e->models;
}

struct embedder *embedders_current(struct embedders *e)
{
    if (!e->current)
        return NULL;
    pthread_mutex_lock(&e->mutex);
    e->current->n_refs++;
    pthread_mutex_unlock(&e->mutex);
    return e->current;
}

/* The part of a binding that names the model: a question can be asked of an older form of text. */
static bool same_model(const char *a, const char *b)
{
    size_t n = strcspn(a, "/");

    return n == strcspn(b, "/") && memcmp(a, b, n) == 0;
}

static enum rag_status load(struct embedders *e, const struct store_embedder *stored,
                            struct embedder *ret, struct rag_error *reterr)
{
    struct bi_encoder_options options = {.precision = models_precision(e->models),
                                         .pool = models_pool(e->models)};
    struct json *settings = NULL;
    enum rag_status status;

    if (strncmp(stored->dir, "http", 4) == 0)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "embedder '%s': another server's, which is not configured any more",
                        stored->dir);
    status = json_parse(stored->settings, strlen(stored->settings), "settings", &settings, reterr);
    if (status == RAG_OK)
        status = read_settings(settings, &options, reterr);
    if (status == RAG_OK)
        status = bi_encoder_open(stored->dir, &options, &ret->owned, reterr);
    json_free(settings);
    if (status != RAG_OK)
        return status;
    describe(ret, ret->owned);
    if (!same_model(ret->binding, stored->fingerprint) || ret->dim != stored->dim) {
        bi_encoder_close(ret->owned);
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': is another one than the vectors were made with", stored->dir);
    }
    ret->id = stored->id;
    snprintf(ret->binding, sizeof ret->binding, "%s", stored->fingerprint);
    return RAG_OK;
}

enum rag_status embedders_older(struct embedders *e, const struct store_embedder *stored,
                                struct embedder **ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct embedder *found;

    pthread_mutex_lock(&e->mutex);
    found = e->older;
    while (found && found->id != stored->id)
        found = found->next;
    if (!found) {
        found = calloc(1, sizeof *found);
        status = found ? load(e, stored, found, reterr)
                       : rag_fail(reterr, RAG_ENOMEM, "embedders: out of memory");
        if (status == RAG_OK) {
            found->next = e->older;
            e->older = found;
        } else {
            free(found);
        }
    }
    if (status == RAG_OK) {
        found->n_refs++;
        *ret = found;
    }
    pthread_mutex_unlock(&e->mutex);
    return status;
}

void embedders_release(struct embedders *e, struct embedder *embedder)
{
    bool last;

    if (!embedder)
        return;
    pthread_mutex_lock(&e->mutex);
    last = --embedder->n_refs == 0 && embedder->owned;
    if (last) {
        struct embedder **at = &e->older;

        while (*at != embedder)
            at = &(*at)->next;
        *at = embedder->next;
    }
    pthread_mutex_unlock(&e->mutex);
    if (last) {
        bi_encoder_close(embedder->owned);
        free(embedder);
    }
}
