#define _GNU_SOURCE
#include "daemon/ingest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/id_list.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/collection_index.h"
#include "daemon/ingest_internal.h"
#include "retrieve/fields.h"
#include "text/grapheme.h"
#include "text/nfc.h"

/* Everything of one document on its way in. */
struct work {
    struct buf name;  /* NFC */
    struct buf title; /* NFC, cut to its limit */
    char *metadata;   /* JSON text, owned, or NULL */
    struct extracted extracted;
    struct chunk_list chunks;
    struct store_chunk *stored; /* [chunks.n], borrows from chunks */
    uint64_t *chunk_ids;        /* [chunks.n] */
    struct postings *postings;  /* [chunks.n] */
    struct bm25_batch *batch;   /* has the removals of the old version */
    struct id_list removed;     /* the chunks of the old version */
};
struct postings {
    struct bm25_posting *items; /* owned */
    size_t n;
    uint32_t length;
};

static void work_release(struct work *w)
{
    for (size_t i = 0; w->postings && i < w->chunks.n; i++)
        free(w->postings[i].items);
    free(w->postings);
    free(w->stored);
    free(w->chunk_ids);
    id_list_release(&w->removed);
    free(w->metadata);
    bm25_batch_free(w->batch);
    chunk_list_release(&w->chunks);
    extracted_release(&w->extracted);
    buf_release(&w->name);
    buf_release(&w->title);
}

static enum rag_status out_of_memory(const char *name, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "document '%.200s': out of memory", name);
}

enum rag_status ingest_document_name(const char *name, struct buf *out, struct rag_error *reterr)
{
    enum rag_status status = nfc_append(name, strlen(name), out, reterr);

    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return rag_fail(reterr, RAG_EINVAL, "document name: control character 0x%02x",
                            (unsigned)(unsigned char)*p);
    if (status == RAG_EFORMAT)
        return rag_fail(reterr, RAG_EINVAL, "document name: not UTF-8");
    if (status == RAG_ELIMIT || out->len > DOCUMENT_NAME_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "document name: over the limit of %d bytes",
                        DOCUMENT_NAME_BYTES_MAX);
    if (status != RAG_OK)
        return status;
    if (out->len == 0)
        return rag_fail(reterr, RAG_EINVAL, "document name: empty");
    return RAG_OK;
}

/* What was sent decides "unchanged": bytes, kind, title, metadata and how it would be cut. */
static enum rag_status hash_source(const struct ingest *ingest, const struct ingest_source *s,
                                   const char *collection, const struct chunker_options *chunks,
                                   uint8_t ret[SHA256_BYTES])
{
    bool guarded = ingest->guard && guard_has_stage(ingest->guard, GUARD_DOCUMENT, collection);
    const char *fingerprint = analyzer_fingerprint(ingest->analyzer);
    const char *policy = guarded ? guard_fingerprint(ingest->guard) : "";
    uint64_t numbers[4] = {CHUNKER_VERSION, (uint64_t)s->format, chunks->chunk_chars,
                           chunks->overlap_chars};
    struct sha256_part parts[] = {
        {numbers,                        sizeof numbers                       },
        {fingerprint,                    strlen(fingerprint)                  },
        {s->title ? s->title : "",       s->title ? strlen(s->title) : 0      },
        {s->metadata ? s->metadata : "", s->metadata ? strlen(s->metadata) : 0},
        {s->body,                        s->n_bytes                           },
        {policy,                         strlen(policy)                       }, /* another one may mask otherwise */
    };

    return sha256_lengths(parts, sizeof parts / sizeof parts[0] - !guarded, ret);
}

static bool is_scalar(const struct json *node)
{
    return json_is_string(node) || json_is_number(node) || json_is_bool(node) || json_is_null(node);
}

/* What can be filtered by: a text of limited length, number, boolean or an array of these. */
static enum rag_status check_metadata_value(const struct json *m, struct rag_error *reterr)
{
    bool array = json_is_array(m);

    for (const struct json *v = array ? json_first(m) : m; v; v = array ? json_next(v) : NULL) {
        const char *text = json_string(v);

        if (!is_scalar(v))
            return rag_fail(reterr, RAG_EINVAL,
                            "metadata '%.64s': use a text, number, boolean or an array of these",
                            json_key(m));
        if (text && strlen(text) > METADATA_VALUE_BYTES_MAX)
            return rag_fail(reterr, RAG_EINVAL, "metadata '%.64s': %zu bytes, the limit is %d",
                            json_key(m), strlen(text), METADATA_VALUE_BYTES_MAX);
    }
    return RAG_OK;
}

/* Metadata from the request and from a JSON record are one object; the request's wins. */
static enum rag_status merge_metadata(const char *given, const char *extracted, char **ret,
                                      struct rag_error *reterr)
{
    const char *only = given ? given : extracted;
    struct json *over = NULL;
    struct json *under = NULL;
    struct json_writer w;
    enum rag_status status;
    struct buf out;

    buf_init(&out, METADATA_BYTES_MAX);
    if (!only) {
        *ret = NULL;
        return RAG_OK;
    }
    status = json_parse(only, strlen(only), "metadata", &over, reterr);
    if (status == RAG_OK && given && extracted)
        status = json_parse(extracted, strlen(extracted), "metadata", &under, reterr);
    if (status == RAG_OK && !json_is_object(over))
        status = rag_fail(reterr, RAG_EINVAL, "metadata: not a JSON object");
    if (status == RAG_OK && json_size(over) + json_size(under) > METADATA_KEYS_MAX)
        status = rag_fail(reterr, RAG_EINVAL, "metadata: %zu keys, the limit is %d",
                          json_size(over) + json_size(under), METADATA_KEYS_MAX);
    if (status != RAG_OK)
        goto out;
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    for (int pass = 0; pass < 2 && status == RAG_OK; pass++) {
        for (const struct json *m = json_first(pass == 0 ? over : under); m; m = json_next(m)) {
            char *text = NULL;

            if (pass == 1 && json_member(over, json_key(m)))
                continue;
            status = check_metadata_value(m, reterr);
            if (status == RAG_OK)
                status = json_print(m, &text);
            if (status != RAG_OK)
                break;
            json_put_raw(&w, json_key(m), text);
            free(text);
        }
    }
    json_end_object(&w);
    if (status == RAG_OK && buf_status(&out) == RAG_ELIMIT)
        status = rag_fail(reterr, RAG_EINVAL, "metadata: over the limit of %d bytes",
                          METADATA_BYTES_MAX);
    if (status == RAG_OK)
        status = buf_take(&out, ret, NULL);
out:
    buf_release(&out);
    json_free(over);
    json_free(under);
    return status;
}

static enum rag_status choose_title(const struct ingest_source *s, const struct extracted *e,
                                    struct buf *out, struct rag_error *reterr)
{
    const char *title = s->title ? s->title : e->title;
    enum rag_status status = nfc_append(title, strlen(title), out, reterr);

    if (status == RAG_ELIMIT)
        return rag_fail(reterr, RAG_EINVAL, "title: %zu bytes are too many", strlen(title));
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\t')
            out->data[i] = ' ';
    if (out->len > TITLE_BYTES_MAX) {
        out->len = grapheme_floor(out->data, out->len, TITLE_BYTES_MAX);
        out->data[out->len] = '\0';
    }
    return RAG_OK;
}

/* Chunk, hash and analyse. */
static enum rag_status prepare_chunks(const struct ingest *ingest, struct work *w,
                                      const struct chunker_options *options,
                                      struct rag_error *reterr)
{
    const char *title = buf_str(&w->title);
    enum rag_status status = chunk_document(&w->extracted, options, &w->chunks, reterr);
    size_t n = w->chunks.n;

    if (status != RAG_OK)
        return status;
    w->stored = calloc(n + 1, sizeof *w->stored);
    w->chunk_ids = calloc(n + 1, sizeof *w->chunk_ids);
    w->postings = calloc(n + 1, sizeof *w->postings);
    if (!w->stored || !w->chunk_ids || !w->postings)
        return out_of_memory(buf_str(&w->name), reterr);
    for (size_t i = 0; i < n; i++) {
        const struct chunk *c = &w->chunks.items[i];
        const char *text = w->extracted.text + c->byte_start;
        size_t n_bytes = c->byte_end - c->byte_start;
        struct sha256_part parts[] = {
            {title,      w->title.len      },
            {c->heading, strlen(c->heading)},
            {c->context, strlen(c->context)},
            {text,       n_bytes           },
        };
        struct passage_fields fields = {title, c->heading, c->context, text, n_bytes};
        struct store_chunk *s = &w->stored[i];

        s->heading = c->heading;
        s->context = c->context;
        s->byte_start = c->byte_start;
        s->byte_end = c->byte_end;
        status = sha256_lengths(parts, sizeof parts / sizeof parts[0], s->hash);
        if (status == RAG_OK)
            status = passage_postings(ingest->analyzer, &fields, &w->postings[i].items,
                                      &w->postings[i].n, &w->postings[i].length);
        if (status != RAG_OK)
            return out_of_memory(buf_str(&w->name), reterr);
    }
    return RAG_OK;
}

struct removal {
    const struct ingest *ingest;
    struct bm25_batch *batch;
    struct id_list *removed;
};

/* Re-analysing the old text gives the very postings that were added, so that df is
 * corrected in O(document). */
static enum rag_status remove_one(void *context, const struct store_passage *p,
                                  struct rag_error *reterr)
{
    struct removal *r = context;
    struct bm25_posting *postings = NULL;
    uint32_t length = 0;
    size_t n = 0;
    enum rag_status status;

    status = collection_index_postings(r->ingest->analyzer, p, &postings, &n, &length);
    if (status == RAG_OK)
        status = bm25_batch_remove(r->batch, p->id, postings, n);
    if (status == RAG_OK)
        status = id_list_add(r->removed, p->id);
    free(postings);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "passage %llu: out of memory", (unsigned long long)p->id);
    return RAG_OK;
}

static enum rag_status prepare_removal(const struct ingest *ingest, struct bm25_batch *batch,
                                       uint64_t version_id, struct id_list *removed,
                                       struct rag_error *reterr)
{
    struct removal r = {ingest, batch, removed};

    return store_version_chunks(ingest->store, version_id, remove_one, &r, reterr);
}

/* Steps 6 and 7, between collection_change_begin() and _end(). */
static enum rag_status publish(const struct ingest *ingest, struct collection *c, size_t lock,
                               const struct ingest_source *s, struct work *w,
                               const uint8_t *source_hash, struct ingest_result *ret,
                               struct rag_error *reterr)
{
    struct store_put put = {
        .collection_id = c->id,
        .name = buf_str(&w->name),
        .title = buf_str(&w->title),
        .mime = document_format_mime(s->format),
        .metadata = w->metadata ? w->metadata : "{}",
        .source_hash = source_hash,
        .text = w->extracted.text,
        .text_bytes = w->extracted.n_bytes,
        .chunks = w->stored,
        .n_chunks = w->chunks.n,
        .principal = s->principal,
    };
    struct store_put_result result;
    enum rag_status status;

    status = store_document_put(ingest->store, &put, w->chunk_ids, &result, reterr);
    if (status != RAG_OK)
        return status;
    if (ingest->cache)
        answer_cache_document_changed(ingest->cache, c->id, put.name);
    for (size_t i = 0; i < w->chunks.n && status == RAG_OK; i++)
        status = bm25_batch_add(w->batch, w->chunk_ids[i], w->postings[i].items, w->postings[i].n,
                                w->postings[i].length);
    if (status == RAG_OK)
        status =
            bm25_apply(c->index, w->batch, collection_watermark(c, lock, result.change), reterr);
    if (status != RAG_OK) {
        /* Stored but not indexed: only memory can have run out. No snapshot may claim this
         * change, so that the next start mends the index. */
        collection_index_missed(c, result.change);
        return rag_fail(reterr, status, "document '%.200s': stored, but the index is out of memory",
                        buf_str(&w->name));
    }
    collection_vectors_remove(c->vectors, w->removed.ids, w->removed.n);
    collection_vectors_add(c->vectors, w->chunk_ids, w->chunks.n);
    ret->change = result.change;
    ret->version_id = result.version_id;
    ret->n_chunks = w->chunks.n;
    ret->text_bytes = w->extracted.n_bytes;
    return RAG_OK;
}

/* Is the stored document the same? Fills ret for an unchanged one, *old_version otherwise. */
static enum rag_status compare_stored(const struct ingest *ingest, struct collection *c,
                                      const char *name, const uint8_t *hash,
                                      struct ingest_result *ret, uint64_t *old_version,
                                      struct rag_error *reterr)
{
    struct store_document old;
    enum rag_status status;
    struct arena arena;

    arena_init(&arena, 1u << 20);
    *old_version = 0;
    status = store_document_get(ingest->store, c->id, name, &arena, &old, reterr);
    if (status == RAG_OK) {
        *old_version = old.version_id;
        if (memcmp(old.source_hash, hash, SHA256_BYTES) == 0) {
            ret->unchanged = true;
            ret->version_id = old.version_id;
            ret->n_chunks = old.n_chunks;
            ret->text_bytes = old.text_bytes;
        }
    } else if (status == RAG_ENOTFOUND) {
        ret->created = true;
        status = RAG_OK;
    }
    arena_release(&arena);
    return status;
}

/* What the policy refuses leaves a row too. Returns RAG_EINVAL, or what kept the row away. */
static enum rag_status audit_refused(const struct ingest *ingest, struct pending_audit *pending,
                                     const char *collection, const struct ingest_source *s,
                                     const struct work *w, const struct ingest_guarded *guarded,
                                     struct rag_error *reterr)
{
    const struct ingest_result result = {.guarded = *guarded};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status =
        ingest_audit_change(ingest, pending, "document.refused", collection, buf_str(&w->name),
                            s->principal, s->request_id, &result, 0, &error);

    if (status == RAG_OK)
        return RAG_EINVAL; /* reterr says which rule */
    return rag_fail(reterr, status, "%s", error.text);
}

/* Steps 3 and 4: what is stored, where the source is not what is there already. */
static enum rag_status prepare(const struct ingest *ingest, const struct collection *c,
                               const struct ingest_source *s, struct work *w,
                               const struct chunker_options *options, struct pending_audit *pending,
                               struct ingest_guarded *guarded, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (!w->extracted.text)
        status = extract_document(s->format, s->body, s->n_bytes, &w->extracted, reterr);
    if (status == RAG_OK)
        status = choose_title(s, &w->extracted, &w->title, reterr);
    if (status == RAG_OK)
        status = merge_metadata(s->metadata, w->extracted.metadata, &w->metadata, reterr);
    if (status == RAG_OK) {
        status = ingest_guard_check(ingest, c->name, buf_str(&w->name), &w->extracted, &w->title,
                                    &w->metadata, guarded, reterr);
        if (status == RAG_EINVAL && guarded->verdict == GUARD_REFUSE)
            return audit_refused(ingest, pending, c->name, s, w, guarded, reterr);
    }
    if (status == RAG_OK)
        status = prepare_chunks(ingest, w, options, reterr);
    return status;
}

/* Ingest what is extracted already (or will be, from s->body, when w->extracted is empty). */
static enum rag_status ingest_work(const struct ingest *ingest, struct collection *c,
                                   const struct ingest_source *s, struct work *w,
                                   struct pending_audit *pending, struct ingest_result *ret,
                                   struct rag_error *reterr)
{
    struct ingest_guarded guarded = {0};
    struct ingest_result result = {0};
    uint8_t hash[SHA256_BYTES];
    struct chunker_options options;
    uint64_t old_version = 0;
    enum rag_status status;
    size_t lock;

    collection_chunks(c, &options);
    status = ingest_document_name(s->name, &w->name, reterr);
    if (status != RAG_OK)
        return status;
    if (hash_source(ingest, s, c->name, &options, hash) != RAG_OK)
        return out_of_memory(buf_str(&w->name), reterr);

    /* A look before the lock saves the parsing of what has not changed. */
    status = compare_stored(ingest, c, buf_str(&w->name), hash, &result, &old_version, reterr);
    if (status == RAG_OK && !result.unchanged)
        status = prepare(ingest, c, s, w, &options, pending, &guarded, reterr);
    if (status != RAG_OK || result.unchanged)
        goto done;

    lock = collection_change_begin(ingest->collections, c, buf_str(&w->name));
    /* Under the lock the old version is sure. */
    memset(&result, 0, sizeof result);
    status = compare_stored(ingest, c, buf_str(&w->name), hash, &result, &old_version, reterr);
    if (status == RAG_OK && !result.unchanged) {
        status = bm25_batch_new(&w->batch);
        if (status != RAG_OK)
            out_of_memory(buf_str(&w->name), reterr);
        if (status == RAG_OK && old_version != 0)
            status = prepare_removal(ingest, w->batch, old_version, &w->removed, reterr);
        if (status == RAG_OK)
            status = publish(ingest, c, lock, s, w, hash, &result, reterr);
    }
    collection_change_end(c, lock);
    result.guarded = guarded;
    if (status == RAG_OK && !result.unchanged)
        status = ingest_audit_put(ingest, pending, c->name, buf_str(&w->name), s, &result, reterr);
done:
    if (status == RAG_OK)
        *ret = result;
    return status;
}

static void work_init(struct work *w)
{
    memset(w, 0, sizeof *w);
    /* NFC can triple a text at worst (UAX #15, table of expansion factors). */
    buf_init(&w->name, INGEST_NAME_BUF);
    buf_init(&w->title, METADATA_BYTES_MAX * 3);
}

enum rag_status ingest_document(const struct ingest *ingest, struct collection *c,
                                const struct ingest_source *source, struct ingest_result *ret,
                                struct rag_error *reterr)
{
    enum rag_status status;
    struct work w;

    assert(source->format != FORMAT_NDJSON);
    status = ingest_settle_audit(ingest, reterr);
    if (status != RAG_OK)
        return status;
    work_init(&w);
    status = ingest_work(ingest, c, source, &w, NULL, ret, reterr);
    work_release(&w);
    return status;
}

enum rag_status ingest_extracted(const struct ingest *ingest, struct collection *c,
                                 const struct ingest_source *source, struct extracted *record,
                                 struct pending_audit *pending, struct ingest_result *ret,
                                 struct rag_error *reterr)
{
    enum rag_status status;
    struct work w;

    work_init(&w);
    w.extracted = *record; /* moves over: the work owns it now */
    memset(record, 0, sizeof *record);
    status = ingest_work(ingest, c, source, &w, pending, ret, reterr);
    work_release(&w);
    return status;
}

/* ---- delete ---- */

enum rag_status ingest_delete(const struct ingest *ingest, struct collection *c, const char *name,
                              const char *principal, const char *request_id, uint64_t *ret_change,
                              struct rag_error *reterr)
{
    struct bm25_batch *batch = NULL;
    struct id_list removed = {0};
    struct store_document old;
    enum rag_status status;
    uint64_t version = 0;
    uint64_t change = 0;
    struct arena arena;
    struct buf nfc;
    size_t lock;

    arena_init(&arena, 1u << 20);
    buf_init(&nfc, INGEST_NAME_BUF);
    status = ingest_settle_audit(ingest, reterr);
    if (status == RAG_OK)
        status = ingest_document_name(name, &nfc, reterr);
    if (status != RAG_OK)
        goto out;
    name = buf_str(&nfc);
    lock = collection_change_begin(ingest->collections, c, name);
    status = store_document_get(ingest->store, c->id, name, &arena, &old, reterr);
    if (status == RAG_OK && bm25_batch_new(&batch) != RAG_OK)
        status = out_of_memory(name, reterr);
    if (status == RAG_OK)
        status = prepare_removal(ingest, batch, old.version_id, &removed, reterr);
    if (status == RAG_OK)
        status =
            store_document_delete(ingest->store, c->id, name, principal, &change, &version, reterr);
    if (status == RAG_OK) {
        if (ingest->cache)
            answer_cache_document_changed(ingest->cache, c->id, name);
        status = bm25_apply(c->index, batch, collection_watermark(c, lock, change), reterr);
        if (status != RAG_OK)
            collection_index_missed(c, change);
        else
            collection_vectors_remove(c->vectors, removed.ids, removed.n);
    }
    collection_change_end(c, lock);
    if (status == RAG_OK)
        status = ingest_audit_change(ingest, NULL, "document.delete", c->name, name, principal,
                                     request_id, NULL, change, reterr);
    if (status == RAG_OK)
        *ret_change = change;
out:
    bm25_batch_free(batch);
    id_list_release(&removed);
    buf_release(&nfc);
    arena_release(&arena);
    return status;
}
