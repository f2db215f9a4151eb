/* daemon/collection_vectors_adapter.c - the collection's question adapter: which one, whether it
 * fits what serves, and its end when the embedder that it was learned with has gone.
 *
 * Invariant: v->adapter is what the store has, but for a moment in which adapter_mutex is held. */
#include <string.h>

#include "daemon/collection_vectors_internal.h"
#include "daemon/log.h"
#include "store/adapters.h"

bool space_fits(const struct space *s, const struct collection_adapter *a)
{
    struct bi_encoder_info info;

    if (!s || !a)
        return false;
    bi_encoder_info(s->embedder->encoder, &info);
    return strcmp(info.fingerprint, a->fingerprint) == 0 && s->embedder->dim == a->map->dim;
}

struct collection_adapter *collection_vectors_adapter(struct collection_vectors *v,
                                                      bool *ret_active)
{
    struct collection_adapter *a = NULL;

    *ret_active = false;
    if (!v)
        return NULL;
    pthread_mutex_lock(&v->mutex);
    if (v->adapter) {
        a = collection_adapter_ref(v->adapter);
        *ret_active = space_fits(v->serving, a);
    }
    pthread_mutex_unlock(&v->mutex);
    return a;
}

/* a moves over; adapter_mutex is held. */
static void exchange(struct collection_vectors *v, struct collection_adapter *a)
{
    struct collection_adapter *old;

    pthread_mutex_lock(&v->mutex);
    old = v->adapter;
    v->adapter = a;
    pthread_mutex_unlock(&v->mutex);
    collection_adapter_unref(old);
}

enum rag_status collection_vectors_install(struct collection_vectors *v,
                                           struct collection_adapter *a, bool *ret_replaced,
                                           struct rag_error *reterr)
{
    struct bi_encoder_info info;
    enum rag_status status;

    if (!v)
        return rag_fail(reterr, RAG_EINVAL,
                        "adapter: the daemon has no embedder whose questions it could map; name "
                        "one as [models] embedder in ragd.conf");
    bi_encoder_info(v->target->embedder->encoder, &info);
    if (strcmp(info.fingerprint, a->fingerprint) != 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "'fingerprint': %.12s... is not the embedder of collection '%s', which is "
                        "%.12s...; learn with that one",
                        a->fingerprint, v->name, info.fingerprint);
    if (v->target->embedder->dim != a->map->dim)
        return rag_fail(reterr, RAG_EINVAL, "'dim': expected %zu dimensions, not %zu",
                        v->target->embedder->dim, a->map->dim);
    pthread_mutex_lock(&v->adapter_mutex);
    status = collection_adapter_save(v->store, v->collection_id, a, ret_replaced, reterr);
    if (status == RAG_OK)
        exchange(v, collection_adapter_ref(a));
    pthread_mutex_unlock(&v->adapter_mutex);
    return status;
}

enum rag_status collection_vectors_uninstall(struct collection_vectors *v, struct rag_error *reterr)
{
    enum rag_status status;

    pthread_mutex_lock(&v->adapter_mutex);
    status = store_adapter_delete(v->store, v->collection_id, NULL, reterr);
    if (status == RAG_OK)
        exchange(v, NULL);
    pthread_mutex_unlock(&v->adapter_mutex);
    return status;
}

void collection_vectors_check_adapter(struct collection_vectors *v)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = RAG_OK;
    char id[ADAPTER_ID_BYTES];
    char fingerprint[SHA256_HEX_BYTES];
    bool stays;

    pthread_mutex_lock(&v->adapter_mutex);
    pthread_mutex_lock(&v->mutex);
    stays = !v->adapter || space_fits(v->target, v->adapter) || space_fits(v->serving, v->adapter);
    if (!stays) {
        memcpy(id, v->adapter->id, sizeof id);
        memcpy(fingerprint, v->adapter->fingerprint, sizeof fingerprint);
    }
    pthread_mutex_unlock(&v->mutex);
    if (!stays) {
        status = store_adapter_delete(v->store, v->collection_id, fingerprint, &error);
        exchange(v, NULL); /* of no use, also when its row stays until the next start */
        log_event(LOG_WARN, NULL, "adapter_dropped",
                  "collection=%s id=%s learned_with=%.16s embedder=%.16s%s%s%s", v->name, id,
                  fingerprint, v->target->embedder->binding, status == RAG_OK ? "" : " error=\"",
                  error.text, status == RAG_OK ? "" : "\"");
    }
    pthread_mutex_unlock(&v->adapter_mutex);
}

void collection_vectors_load_adapter(struct collection_vectors *v)
{
    struct collection_adapter *a = NULL;
    struct rag_error error = {RAG_OK, ""};

    if (collection_adapter_load(v->store, v->collection_id, &a, &error) != RAG_OK) {
        log_event(LOG_ERROR, NULL, "adapter_not_loaded", "collection=%s error=\"%s\"", v->name,
                  error.text);
        return;
    }
    v->adapter = a;
    collection_vectors_check_adapter(v);
}
