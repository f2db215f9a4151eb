#define _GNU_SOURCE
#include "daemon/collection_adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/bounds.h"
#include "base/clock.h"
#include "store/adapters.h"

#define WEIGHTS_TEXT_BYTES_MAX ((2u * ADAPTER_WEIGHTS_MAX + 2) / 3 * 4)
#define METRIC_BYTES_MAX       32

/* ---- made and freed ---- */

struct collection_adapter *collection_adapter_ref(struct collection_adapter *a)
{
    atomic_fetch_add(&a->n_refs, 1);
    return a;
}

void collection_adapter_unref(struct collection_adapter *a)
{
    if (!a || atomic_fetch_sub(&a->n_refs, 1) > 1)
        return;
    question_adapter_free(a->map);
    free(a->measured);
    free(a);
}

static enum rag_status name_it(struct collection_adapter *a, const void *bytes, size_t n_bytes)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    char form[64];
    const struct sha256_part parts[] = {
        {a->fingerprint, strlen(a->fingerprint)},
        {form,           sizeof form           },
        {bytes,          n_bytes               },
    };
    enum rag_status status;

    memset(form, 0, sizeof form);
    snprintf(form, sizeof form, "%zu/%zu", a->map->dim, a->map->rank);
    status = sha256_lengths(parts, 3, digest);
    if (status != RAG_OK)
        return status;
    sha256_hex(digest, hex);
    snprintf(a->id, sizeof a->id, "%.16s", hex);
    return RAG_OK;
}

/* Of checked members; fingerprint has 64 digits. */
static enum rag_status make(const struct store_adapter *from, struct collection_adapter **ret,
                            struct rag_error *reterr)
{
    struct collection_adapter *a = calloc(1, sizeof *a);
    enum rag_status status;

    if (!a)
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    atomic_init(&a->n_refs, 1);
    snprintf(a->fingerprint, sizeof a->fingerprint, "%s", from->fingerprint);
    a->n_pairs = from->n_pairs;
    a->learned_ms = from->learned_ms;
    a->measured = strdup(from->measured);
    status = a->measured ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    if (status == RAG_OK)
        status = question_adapter_decode(from->dim, from->rank, from->weights, from->n_bytes,
                                         &a->map, reterr);
    if (status == RAG_OK && name_it(a, from->weights, from->n_bytes) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    if (status != RAG_OK) {
        collection_adapter_unref(a);
        return status;
    }
    *ret = a;
    return RAG_OK;
}

/* ---- from a body ---- */

/* "measured": checked, and as compact text. */
static enum rag_status read_measured(const struct json *body, char **ret, struct rag_error *reterr)
{
    static const char *const keys[] = {"metric", "questions", "before",    "after",
                                       "p",      "gain_low",  "gain_high", NULL};
    static const struct {
        const char *key;
        double min;
    } figures[] = {
        {"before",    0 },
        {"after",     0 },
        {"p",         0 },
        {"gain_low",  -1},
        {"gain_high", -1},
    };
    const struct json *object = NULL;
    const char *metric = NULL;
    int64_t n = 0;
    double figure = 0;
    enum rag_status status = json_get_object(body, "measured", &object, reterr);

    if (status == RAG_OK && object)
        status = json_only(object, keys, reterr);
    if (status == RAG_OK && object)
        status = json_get_string(object, "metric", METRIC_BYTES_MAX, &metric, reterr);
    if (status == RAG_OK && object)
        status = json_get_int(object, "questions", 0, INT32_MAX, &n, reterr);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0] && status == RAG_OK && object; i++)
        status = json_get_double(object, figures[i].key, figures[i].min, 1, &figure, reterr);
    if (status != RAG_OK)
        return status;
    if (object ? json_print(object, ret) != RAG_OK : !(*ret = strdup("")))
        return rag_fail(reterr, RAG_ENOMEM, "'measured': out of memory");
    return RAG_OK;
}

static enum rag_status read_weights(const struct json *body, struct store_adapter *a,
                                    uint8_t **ret_bytes, struct rag_error *reterr)
{
    size_t n = question_adapter_n_weights(a->dim, a->rank);
    const char *text = NULL;
    enum rag_status status;

    if (n == 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "'rank': %zu with 'dim' %zu is beyond %d, %u weights in all, or not below "
                        "'dim'",
                        a->rank, a->dim, ADAPTER_RANK_MAX, ADAPTER_WEIGHTS_MAX);
    status = json_get_string(body, "weights", WEIGHTS_TEXT_BYTES_MAX, &text, reterr);
    if (status == RAG_OK && !text)
        status = rag_fail(reterr, RAG_EINVAL, "'weights': missing");
    if (status == RAG_OK)
        status = base64_read(text, "'weights'", 2 * (size_t)ADAPTER_WEIGHTS_MAX, ret_bytes,
                             &a->n_bytes, reterr);
    if (status == RAG_EFORMAT || status == RAG_ELIMIT)
        status = RAG_EINVAL;
    a->weights = *ret_bytes;
    return status;
}

enum rag_status collection_adapter_read(const struct json *body, struct collection_adapter **ret,
                                        struct rag_error *reterr)
{
    static const char *const keys[] = {"fingerprint", "dim",      "rank", "weights",
                                       "pairs",       "measured", NULL};
    struct store_adapter a = {.learned_ms = clock_wall_ms()};
    uint8_t digest[SHA256_BYTES];
    uint8_t *bytes = NULL;
    char *measured = NULL;
    int64_t dim = 0;
    int64_t rank = 0;
    int64_t pairs = 0;
    enum rag_status status = json_only(body, keys, reterr);

    if (status == RAG_OK)
        status = json_get_string(body, "fingerprint", SHA256_HEX_BYTES - 1, &a.fingerprint, reterr);
    if (status == RAG_OK && (!a.fingerprint || sha256_from_hex(a.fingerprint, digest) != RAG_OK))
        status = rag_fail(reterr, RAG_EINVAL,
                          "'fingerprint': must be the embedder's, 64 hexadecimal digits");
    if (status == RAG_OK)
        status = json_get_int(body, "dim", 1, EMBEDDING_DIM_MAX, &dim, reterr);
    if (status == RAG_OK && dim == 0)
        status = rag_fail(reterr, RAG_EINVAL, "'dim': missing");
    if (status == RAG_OK)
        status = json_get_int(body, "rank", 0, ADAPTER_RANK_MAX, &rank, reterr);
    if (status == RAG_OK)
        status = json_get_int(body, "pairs", 0, INT64_C(1) << 40, &pairs, reterr);
    a.dim = (size_t)dim;
    a.rank = (size_t)rank;
    a.n_pairs = (uint64_t)pairs;
    if (status == RAG_OK)
        status = read_measured(body, &measured, reterr);
    a.measured = measured;
    if (status == RAG_OK)
        status = read_weights(body, &a, &bytes, reterr);
    if (status == RAG_OK)
        status = make(&a, ret, reterr);
    free(measured);
    free(bytes);
    return status;
}

/* ---- from the store, and to it ---- */

enum rag_status collection_adapter_load(struct store *store, int64_t collection_id,
                                        struct collection_adapter **ret, struct rag_error *reterr)
{
    struct store_adapter stored;
    uint8_t digest[SHA256_BYTES];
    enum rag_status status;
    struct arena arena;

    arena_init(&arena, 4 * (size_t)ADAPTER_WEIGHTS_MAX);
    status = store_adapter_get(store, collection_id, &arena, &stored, reterr);
    if (status == RAG_OK && sha256_from_hex(stored.fingerprint, digest) != RAG_OK)
        status = rag_fail(reterr, RAG_EFORMAT, "adapter: its fingerprint in the store is none");
    else if (status == RAG_OK)
        status = make(&stored, ret, reterr);
    arena_release(&arena);
    if (status == RAG_ENOTFOUND) {
        *ret = NULL;
        return RAG_OK;
    }
    return status == RAG_EINVAL || status == RAG_ELIMIT ? RAG_EFORMAT : status;
}

enum rag_status collection_adapter_save(struct store *store, int64_t collection_id,
                                        const struct collection_adapter *a, bool *ret_replaced,
                                        struct rag_error *reterr)
{
    size_t n_bytes = 2 * question_adapter_n_weights(a->map->dim, a->map->rank);
    uint8_t *bytes = malloc(n_bytes);
    struct store_adapter row = {
        .fingerprint = a->fingerprint,
        .dim = a->map->dim,
        .rank = a->map->rank,
        .weights = bytes,
        .n_bytes = n_bytes,
        .n_pairs = a->n_pairs,
        .measured = a->measured,
        .learned_ms = a->learned_ms,
    };
    enum rag_status status;

    if (!bytes)
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    question_adapter_encode(a->map, bytes);
    status = store_adapter_put(store, collection_id, &row, ret_replaced, reterr);
    free(bytes);
    return status;
}

/* ---- told ---- */

static void write_weights(const struct collection_adapter *a, struct json_writer *w)
{
    size_t n_bytes = 2 * question_adapter_n_weights(a->map->dim, a->map->rank);
    uint8_t *bytes = malloc(n_bytes);
    struct buf text;

    buf_init(&text, WEIGHTS_TEXT_BYTES_MAX);
    if (bytes) {
        question_adapter_encode(a->map, bytes);
        base64_append(bytes, n_bytes, &text);
    }
    if (bytes && buf_status(&text) == RAG_OK)
        json_put_string(w, "weights", buf_str(&text));
    else
        w->out->failed = RAG_ENOMEM;
    buf_release(&text);
    free(bytes);
}

void collection_adapter_write(const struct collection_adapter *a, bool active, bool with_weights,
                              const char *key, struct json_writer *w)
{
    char learned[CLOCK_TEXT_BYTES];

    clock_format(a->learned_ms, learned);
    json_begin_object(w, key);
    json_put_string(w, "id", a->id);
    json_put_bool(w, "active", active);
    json_put_string(w, "fingerprint", a->fingerprint);
    json_put_int(w, "dim", (int64_t)a->map->dim);
    json_put_int(w, "rank", (int64_t)a->map->rank);
    json_put_string(w, "learned", learned);
    json_put_int(w, "pairs", (int64_t)a->n_pairs);
    if (a->measured[0])
        json_put_raw(w, "measured", a->measured);
    if (with_weights)
        write_weights(a, w);
    json_end_object(w);
}
