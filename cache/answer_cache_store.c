/* cache/answer_cache_store.c - an entry as it is stored, and the way back.
 *
 * Little-endian, one part behind the other, nothing behind the last:
 *
 *     head     struct stored
 *     chunks   u64 [n_chunks]
 *     versions u64 [n_documents]
 *     terms    u64 [n_terms], their values f32 [n_terms]
 *     vector   f16 [dim]
 *     texts    canonical, question, payload, each document's name; each with its NUL
 *
 * The row's sum says that the bytes are those that were written (store/cache_rows.h); decoding
 * believes nothing all the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/f16.h"
#include "base/id_list.h"
#include "cache/answer_cache_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "entries are stored as they are");

#define STORED_VERSION 1u

struct stored { /* 136 bytes */
    uint32_t version;
    uint32_t refused; /* 0 or 1 */
    uint8_t scope[SHA256_BYTES];
    uint8_t settings[SHA256_BYTES];
    uint64_t generation;
    int64_t created_ms;
    double cost_ms;
    uint64_t n_hits[2];
    uint64_t payload_bytes;
    uint32_t n_chunks;
    uint32_t n_documents;
    uint32_t n_terms;
    uint32_t dim;
};

_Static_assert(sizeof(struct stored) == 136, "the head is stored as it is");

/* ---- encode ---- */

static void append_vector(struct buf *out, const float *vector, size_t dim)
{
    char *room = buf_reserve(out, dim * sizeof(uint16_t));

    for (size_t i = 0; room && i < dim; i++) {
        uint16_t half = f16_from_f32(vector[i]);

        memcpy(room + i * sizeof half, &half, sizeof half);
    }
    if (room)
        buf_commit(out, dim * sizeof(uint16_t));
}

void entry_encode(const struct entry *e, const float *vector, size_t dim, struct buf *out)
{
    struct stored head = {
        .version = STORED_VERSION,
        .refused = e->refused,
        .generation = e->generation,
        .created_ms = e->created_ms,
        .cost_ms = e->cost_ms,
        .n_hits = {e->n_hits[0], e->n_hits[1]},
        .payload_bytes = e->payload_bytes,
        .n_chunks = (uint32_t)e->n_chunks,
        .n_documents = (uint32_t)e->n_documents,
        .n_terms = (uint32_t)e->terms.n,
        .dim = vector && dim <= EMBEDDING_DIM_MAX ? (uint32_t)dim : 0,
    };

    memcpy(head.scope, e->scope, SHA256_BYTES);
    memcpy(head.settings, e->settings, SHA256_BYTES);
    buf_append(out, &head, sizeof head);
    buf_append(out, e->chunks, e->n_chunks * sizeof *e->chunks);
    for (size_t i = 0; i < e->n_documents; i++)
        buf_append(out, &e->documents[i].version_id, sizeof e->documents[i].version_id);
    buf_append(out, e->terms.ids, e->terms.n * sizeof *e->terms.ids);
    buf_append(out, e->terms.values, e->terms.n * sizeof *e->terms.values);
    append_vector(out, vector, head.dim);
    buf_append(out, e->canonical, strlen(e->canonical) + 1);
    buf_append(out, e->question, strlen(e->question) + 1);
    buf_append(out, e->payload, e->payload_bytes + 1);
    for (size_t i = 0; i < e->n_documents; i++)
        buf_append(out, e->documents[i].name, strlen(e->documents[i].name) + 1);
}

/* ---- decode ---- */

struct reader {
    const char *data;
    size_t n; /* that are left */
    bool bad;
};

/* n bytes into 'ret', which has room for them. */
static void read_bytes(struct reader *r, void *ret, size_t n)
{
    if (r->bad || n > r->n) {
        r->bad = true;
        return;
    }
    if (n > 0)
        memcpy(ret, r->data, n);
    r->data += n;
    r->n -= n;
}

static const char *read_text(struct reader *r)
{
    const char *text = r->data;
    const char *end = r->bad || r->n == 0 ? NULL : memchr(text, '\0', r->n);

    if (!end) {
        r->bad = true;
        return "";
    }
    r->n -= (size_t)(end - text) + 1;
    r->data = end + 1;
    return text;
}

static const char *read_payload(struct reader *r, uint64_t n_bytes)
{
    const char *payload = r->data;

    if (r->bad || n_bytes >= r->n || payload[n_bytes] != '\0') {
        r->bad = true;
        return "";
    }
    r->data += n_bytes + 1;
    r->n -= (size_t)n_bytes + 1;
    return payload;
}

/* Parts of a row, as big as they can be. */
struct parts {
    uint64_t chunks[TOP_K_MAX];
    uint64_t versions[CACHE_DOCUMENTS_MAX];
    uint64_t term_ids[QUERY_TERMS_MAX];
    float term_values[QUERY_TERMS_MAX];
    uint16_t vector[EMBEDDING_DIM_MAX];
    struct cache_document documents[CACHE_DOCUMENTS_MAX];
};

static bool head_ok(const struct stored *h)
{
    return h->version == STORED_VERSION && h->refused <= 1 && h->n_chunks <= TOP_K_MAX &&
           h->n_documents <= CACHE_DOCUMENTS_MAX && h->n_terms <= QUERY_TERMS_MAX &&
           h->dim <= EMBEDDING_DIM_MAX && isfinite(h->cost_ms) && !signbit(h->cost_ms);
}

/* Ids ascend, as comparing them expects. */
static bool numbers_ok(const struct stored *h, const struct parts *p, const float *vector)
{
    bool ok = true;

    for (size_t i = 0; i < h->n_terms; i++)
        ok = ok && isfinite(p->term_values[i]) && (i == 0 || p->term_ids[i] > p->term_ids[i - 1]);
    for (size_t i = 0; i < h->dim; i++)
        ok = ok && isfinite(vector[i]);
    return ok;
}

static enum rag_status decode_parts(struct reader *r, const struct stored *h, int64_t collection_id,
                                    struct parts *p, float *vector, struct entry **ret)
{
    struct cache_key key = {.collection_id = collection_id};
    struct sparse_vector terms = {p->term_ids, p->term_values, h->n_terms};
    struct cache_put put = {
        .payload_bytes = (size_t)h->payload_bytes,
        .refused = h->refused != 0,
        .generation = h->generation,
        .documents = p->documents,
        .n_documents = h->n_documents,
        .chunks = p->chunks,
        .n_chunks = h->n_chunks,
        .cost_ms = h->cost_ms,
    };
    enum rag_status status;

    memcpy(key.scope, h->scope, SHA256_BYTES);
    memcpy(key.settings, h->settings, SHA256_BYTES);
    read_bytes(r, p->chunks, h->n_chunks * sizeof p->chunks[0]);
    read_bytes(r, p->versions, h->n_documents * sizeof p->versions[0]);
    read_bytes(r, p->term_ids, h->n_terms * sizeof p->term_ids[0]);
    read_bytes(r, p->term_values, h->n_terms * sizeof p->term_values[0]);
    read_bytes(r, p->vector, h->dim * sizeof p->vector[0]);
    key.question = read_text(r);
    put.question = read_text(r);
    put.payload = read_payload(r, h->payload_bytes);
    for (size_t i = 0; i < h->n_documents; i++)
        p->documents[i] = (struct cache_document){read_text(r), p->versions[i]};
    if (r->bad || r->n != 0)
        return RAG_EFORMAT;
    f16_decode(p->vector, h->dim, vector);
    if (!numbers_ok(h, p, vector))
        return RAG_EFORMAT;
    status = entry_new(&key, &put, &terms, CACHE_ROW_BYTES_MAX, ret);
    return status == RAG_ELIMIT ? RAG_EFORMAT : status;
}

enum rag_status entry_decode(const void *data, size_t n_bytes, int64_t collection_id,
                             struct entry **ret, float *vector, size_t *ret_dim)
{
    struct reader r = {data, n_bytes, false};
    struct stored head = {0};
    struct entry *e = NULL;
    enum rag_status status;
    struct parts *p;

    read_bytes(&r, &head, sizeof head);
    if (r.bad || !head_ok(&head))
        return RAG_EFORMAT;
    p = malloc(sizeof *p);
    if (!p)
        return RAG_ENOMEM;
    status = decode_parts(&r, &head, collection_id, p, vector, &e);
    free(p);
    if (status != RAG_OK)
        return status;
    e->created_ms = head.created_ms;
    memcpy(e->n_hits, head.n_hits, sizeof e->n_hits);
    *ret = e;
    *ret_dim = head.dim;
    return RAG_OK;
}

/* ---- which history of the store ---- */

static enum rag_status read_time(void *context, const struct store_change *change,
                                 struct rag_error *reterr)
{
    struct cache_moment *moment = context;

    (void)reterr;
    if (change->change == moment->change)
        moment->time_ms = change->time_ms;
    return RAG_ECANCELLED; /* the first one is the only one asked for */
}

/* The time of a change; RAG_ENOTFOUND: there is none of this number. */
static enum rag_status time_of(struct answer_cache *c, uint64_t change, int64_t *ret_ms,
                               struct rag_error *reterr)
{
    struct cache_moment moment = {change, INT64_MIN};
    enum rag_status status =
        store_changes_since(c->options.store, change - 1, read_time, &moment, reterr);

    if (status != RAG_OK && status != RAG_ECANCELLED)
        return status;
    if (moment.time_ms == INT64_MIN)
        return RAG_ENOTFOUND;
    *ret_ms = moment.time_ms;
    return RAG_OK;
}

enum rag_status cache_moment(struct answer_cache *c, struct cache_moment *ret)
{
    struct cache_moment moment = {store_last_change(c->options.store), 0};
    enum rag_status status;

    pthread_mutex_lock(&c->lock);
    if (c->moment.change == moment.change)
        moment = c->moment;
    pthread_mutex_unlock(&c->lock);
    if (moment.change != 0 && moment.time_ms == 0) {
        status = time_of(c, moment.change, &moment.time_ms, NULL);
        if (status != RAG_OK)
            return status;
        pthread_mutex_lock(&c->lock);
        c->moment = moment;
        pthread_mutex_unlock(&c->lock);
    }
    *ret = moment;
    return RAG_OK;
}

/* ---- load ---- */

struct loading {
    struct answer_cache *c;
    struct store_collection *collections; /* that are there */
    size_t n_collections;
    struct id_list evicted; /* that did not fit */
    float vector[EMBEDDING_DIM_MAX];
};

static bool is_there(const struct loading *l, int64_t collection_id)
{
    for (size_t i = 0; i < l->n_collections; i++)
        if (l->collections[i].id == collection_id)
            return true;
    return false;
}

/* False: it is too old, or its age is not known because the clock was set back. */
static bool set_age(const struct answer_cache *c, struct entry *e)
{
    int64_t ttl = c->options.ttl_ms;
    int64_t now = clock_wall_ms();

    e->expires_ns = INT64_MAX;
    if (ttl == 0)
        return true;
    if (e->created_ms > now || e->created_ms < 0 || now - e->created_ms >= ttl)
        return false;
    e->expires_ns = clock_monotonic_ns() + (ttl - (now - e->created_ms)) * 1000000;
    return true;
}

/* Rows come by when they were used, so that what does not fit is older than what does. */
static enum rag_status load_entry(void *context, const struct cache_row *row)
{
    struct loading *l = context;
    struct answer_cache *c = l->c;
    struct entry *e = NULL;
    enum rag_status status;
    size_t dim = 0;

    if (!is_there(l, row->collection_id))
        return RAG_EFORMAT;
    status = entry_decode(row->body, row->n_bytes, row->collection_id, &e, l->vector, &dim);
    if (status != RAG_OK)
        return status;
    if (!set_age(c, e) || e->bytes > c->options.bytes_max / 4 || cache_by_key(c, e->key) ||
        cache_by_id(c, row->id)) {
        entry_unref(e);
        return RAG_EFORMAT;
    }
    e->id = row->id;
    e->used_ms = row->used_ms;
    e->stored = true;
    status = cache_link(c, e, dim > 0 ? l->vector : NULL, dim);
    if (status != RAG_OK) {
        entry_unref(e);
        return status;
    }
    c->last_id = row->id > c->last_id ? row->id : c->last_id;
    while (c->oldest != e &&
           (c->stats.n > c->options.entries_max || c->stats.bytes > c->options.bytes_max)) {
        status = id_list_add(&l->evicted, c->oldest->id);
        if (status != RAG_OK)
            return status;
        cache_unlink(c, c->oldest);
    }
    return RAG_OK;
}

static enum rag_status load_report(void *context, const struct cache_report_row *report)
{
    struct loading *l = context;
    struct book *b = NULL;
    enum rag_status status;

    if (!is_there(l, report->collection_id))
        return RAG_OK;
    status = cache_book_make(l->c, report->collection_id, &b);
    if (status == RAG_OK)
        status = cache_report_add(l->c, b, report->key, report->similarity, report->correct);
    return status;
}

static enum rag_status load_knows(void *context, const struct cache_moment *moment, bool *ret,
                                  struct rag_error *reterr)
{
    const struct loading *l = context;
    int64_t time_ms = 0;
    enum rag_status status = time_of(l->c, moment->change, &time_ms, reterr);

    *ret = status == RAG_OK && time_ms == moment->time_ms;
    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

static void load_reset(void *context)
{
    struct loading *l = context;

    l->evicted.n = 0;
    cache_tables_empty(l->c);
    l->c->last_id = 0;
}

enum rag_status cache_load(struct answer_cache *c, char *ret_why, struct rag_error *reterr)
{
    struct loading *l = calloc(1, sizeof *l);
    uint64_t last_id = 0;
    enum rag_status status;
    struct arena arena;

    if (!l)
        return rag_fail(reterr, RAG_ENOMEM, "cache of answers: out of memory");
    arena_init(&arena, 256u << 20);
    l->c = c;
    status =
        store_collection_list(c->options.store, &arena, &l->collections, &l->n_collections, reterr);
    if (status == RAG_OK) {
        struct cache_rows_options options = {
            .path = c->options.path,
            .knows = load_knows,
            .entry = load_entry,
            .report = load_report,
            .reset = load_reset,
            .context = l,
        };

        status = cache_rows_open(&options, &c->rows, &last_id, ret_why, reterr);
    }
    if (status == RAG_OK) {
        c->last_id = last_id > c->last_id ? last_id : c->last_id;
        for (size_t i = 0; i < l->evicted.n; i++)
            cache_rows_delete(c->rows, l->evicted.ids[i]);
        for (struct book *b = c->books; b; b = b->next)
            if (b->n_reports > 0)
                cache_learn(c, b);
    }
    arena_release(&arena);
    id_list_release(&l->evicted);
    free(l);
    return status;
}

void cache_store_used(struct answer_cache *c)
{
    pthread_mutex_lock(&c->lock);
    for (struct entry *e = c->newest; e; e = e->older)
        if (e->stored && e->used)
            cache_rows_used(c->rows, e->id, e->used_ms);
    pthread_mutex_unlock(&c->lock);
}
