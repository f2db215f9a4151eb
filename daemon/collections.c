/* daemon/collections.c - registry of the open collections.
 *
 * Invariants
 *   1. A name in the registry's list has exactly one object, not deleted.
 *   2. n_refs counts the registry (1 until deletion) and every user.
 *   3. A snapshot's change number W means: every change <= W of this collection is in it.
 *      It may hold later ones too; loading compares with the store and mends both ways. */
#define _GNU_SOURCE
#include "daemon/collections.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "daemon/collection_index.h"

struct collections {
    struct collections_options options;
    char *index_dir; /* owned */

    pthread_rwlock_t lock;   /* guards the list and its membership */
    struct collection *head; /* by name */
    size_t n;
};

/* ---- objects ---- */

static struct collection *object_new(const struct collections *cs, int64_t id, const char *name)
{
    struct collection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->id = id;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->settings.chunks = cs->options.chunks;
    c->n_refs = 1;
    pthread_mutex_init(&c->mutex, NULL);
    for (size_t i = 0; i < NAME_LOCKS; i++)
        pthread_mutex_init(&c->name_locks[i], NULL);
    return c;
}

static void object_free(struct collection *c)
{
    if (!c)
        return;
    collection_vectors_close(c->vectors); /* its background looks into the index */
    bm25_free(c->index);
    collection_settings_release(&c->settings);
    pthread_mutex_destroy(&c->mutex);
    for (size_t i = 0; i < NAME_LOCKS; i++)
        pthread_mutex_destroy(&c->name_locks[i]);
    free(c);
}

static void object_unref(struct collection *c)
{
    bool last;

    pthread_mutex_lock(&c->mutex);
    assert(c->n_refs > 0);
    last = --c->n_refs == 0;
    pthread_mutex_unlock(&c->mutex);
    if (last)
        object_free(c);
}

/* Insert by name; the write lock is held. */
static void list_insert(struct collections *cs, struct collection *c)
{
    struct collection **at = &cs->head;

    while (*at && strcmp((*at)->name, c->name) < 0)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
    cs->n++;
}

static struct collection *list_find(const struct collections *cs, const char *name)
{
    for (struct collection *c = cs->head; c; c = c->next)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

/* kind: "bm25" or "vec". */
static void index_path(const struct collections *cs, int64_t id, const char *kind, struct buf *path)
{
    buf_reset(path);
    buf_printf(path, "%s/%lld.%s", cs->index_dir, (long long)id, kind);
}

static enum rag_status open_vectors(struct collections *cs, struct collection *c,
                                    struct rag_error *reterr)
{
    struct collection_vectors_options options = {
        .worker = cs->options.embedding,
        .live = c->index,
        .collection_id = c->id,
        .name = c->name,
        .offline = c->settings.offline,
    };
    enum rag_status status;
    struct buf path;

    buf_init(&path, 8192);
    index_path(cs, c->id, "vec", &path);
    options.path = buf_str(&path);
    status = collection_vectors_open(&options, &c->vectors, reterr);
    buf_release(&path);
    return status;
}

/* ---- open and close ---- */

static enum rag_status open_one(struct collections *cs, const struct store_collection *stored,
                                void (*report)(const struct collection_opened *opened),
                                struct rag_error *reterr)
{
    struct collection_opened opened = {.name = stored->name, .why = ""};
    struct collection *c = object_new(cs, stored->id, stored->name);
    int64_t begun = clock_monotonic_ns();
    struct collection_index_source source = {cs->options.store, cs->options.analyzer,
                                             cs->options.bm25, stored->id};
    struct json *settings = NULL;
    struct rag_error why = {RAG_OK, ""};
    enum rag_status status;
    struct buf path;

    buf_init(&path, 8192);
    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "collection '%s': out of memory", stored->name);
    status = json_parse(stored->settings, strlen(stored->settings), "stored settings", &settings,
                        reterr);
    if (status == RAG_OK)
        status = collection_settings_read(&c->settings, settings, &cs->options.defaults, reterr);
    json_free(settings);
    if (status != RAG_OK)
        goto out;
    index_path(cs, c->id, "bm25", &path);
    status = collection_index_open(&source, buf_str(&path), &c->index, &opened, &c->saved_change,
                                   &why, reterr);
    if (status != RAG_OK)
        goto out;
    opened.why = opened.rebuilt ? why.text : "";
    opened.ms = clock_elapsed_ms(begun);
    if (report)
        report(&opened);
    status = open_vectors(cs, c, reterr);
    if (status != RAG_OK)
        goto out;
    list_insert(cs, c);
    c = NULL; /* the list owns it */
out:
    buf_release(&path);
    object_free(c);
    return status;
}

enum rag_status collections_open(const struct collections_options *options,
                                 void (*report)(const struct collection_opened *opened),
                                 struct collections **ret, struct rag_error *reterr)
{
    struct collections *cs = calloc(1, sizeof *cs);
    struct store_collection *stored = NULL;
    enum rag_status status = RAG_OK;
    struct arena arena;
    size_t n = 0;

    arena_init(&arena, 256u << 20);
    if (!cs)
        return rag_fail(reterr, RAG_ENOMEM, "collections: out of memory");
    cs->options = *options;
    pthread_rwlock_init(&cs->lock, NULL);
    if (asprintf(&cs->index_dir, "%s/index", options->state_dir) < 0) {
        cs->index_dir = NULL;
        status = rag_fail(reterr, RAG_ENOMEM, "collections: out of memory");
    }
    if (status == RAG_OK && mkdir(cs->index_dir, 0700) < 0 && errno != EEXIST)
        status =
            rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': cannot create", cs->index_dir);
    if (status == RAG_OK)
        status = store_collection_list(options->store, &arena, &stored, &n, reterr);
    for (size_t i = 0; status == RAG_OK && i < n; i++)
        status = open_one(cs, &stored[i], report, reterr);
    arena_release(&arena);
    if (status != RAG_OK) {
        collections_close(cs);
        return status;
    }
    *ret = cs;
    return RAG_OK;
}

void collections_close(struct collections *cs)
{
    if (!cs)
        return;
    while (cs->head) {
        struct collection *c = cs->head;

        cs->head = c->next;
        object_unref(c);
    }
    pthread_rwlock_destroy(&cs->lock);
    free(cs->index_dir);
    free(cs);
}

/* ---- access ---- */

bool collections_is_admin(const struct collections *cs, const char *principal)
{
    for (size_t i = 0; i < cs->options.n_admins; i++)
        if (strcmp(cs->options.admins[i], principal) == 0)
            return true;
    return false;
}

static bool listed(char *const *list, size_t n, const char *principal)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], "*") == 0 || strcmp(list[i], principal) == 0)
            return true;
    return false;
}

static bool may(const struct collections *cs, struct collection *c, const char *principal,
                enum access access)
{
    bool ok;

    if (collections_is_admin(cs, principal))
        return true;
    pthread_mutex_lock(&c->mutex);
    if (access == ACCESS_READ)
        ok = listed(c->settings.readers, c->settings.n_readers, principal);
    else
        ok = listed(c->settings.writers, c->settings.n_writers, principal);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

enum rag_status collections_get(struct collections *cs, const char *name, const char *principal,
                                enum access access, struct collection **ret,
                                struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct collection *c;

    pthread_rwlock_rdlock(&cs->lock);
    c = list_find(cs, name);
    if (!c) {
        status = rag_fail(reterr, RAG_ENOTFOUND, "collection '%.80s': does not exist", name);
    } else if (principal && !may(cs, c, principal, access)) {
        status = rag_fail(reterr, RAG_EDENIED, "collection '%.80s': %s may not %s it", name,
                          principal, access == ACCESS_READ ? "read" : "write");
    } else {
        pthread_mutex_lock(&c->mutex);
        c->n_refs++;
        pthread_mutex_unlock(&c->mutex);
        *ret = c;
    }
    pthread_rwlock_unlock(&cs->lock);
    return status;
}

void collection_release(struct collections *cs, struct collection *c)
{
    (void)cs;
    if (c)
        object_unref(c);
}

enum rag_status collections_each(struct collections *cs, const char *principal,
                                 enum rag_status (*visit)(void *context, struct collection *c,
                                                          struct rag_error *reterr),
                                 void *context, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    pthread_rwlock_rdlock(&cs->lock);
    for (struct collection *c = cs->head; c && status == RAG_OK; c = c->next)
        if (!principal || may(cs, c, principal, ACCESS_READ))
            status = visit(context, c, reterr);
    pthread_rwlock_unlock(&cs->lock);
    return status;
}

/* ---- create, change, delete ---- */

static enum rag_status check_name(const char *name, struct rag_error *reterr)
{
    size_t n = strlen(name);
    bool ok = n > 0 && n <= COLLECTION_NAME_BYTES_MAX && name[0] != '-' && name[0] != '_';

    for (size_t i = 0; ok && i < n; i++)
        ok = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
             name[i] == '-' || name[i] == '_';
    if (!ok)
        return rag_fail(reterr, RAG_EINVAL,
                        "collection '%.80s': a name is 1 to %d of a-z 0-9 _ - and begins with a "
                        "letter or digit",
                        name, COLLECTION_NAME_BYTES_MAX);
    return RAG_OK;
}

static enum rag_status own_list(char ***list, size_t *n, const char *principal)
{
    if (*list)
        return RAG_OK;
    *list = calloc(2, sizeof **list);
    if (!*list)
        return RAG_ENOMEM;
    (*list)[0] = strdup(principal);
    if (!(*list)[0])
        return RAG_ENOMEM;
    *n = 1;
    return RAG_OK;
}

/* The write lock is held. */
static enum rag_status create(struct collections *cs, const char *name, const struct json *body,
                              const char *principal, struct rag_error *reterr)
{
    struct collection *c = object_new(cs, 0, name);
    enum rag_status status = RAG_ENOMEM;
    char *settings = NULL;
    bool created = false;

    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "collection '%s': out of memory", name);
    status = collection_settings_read(&c->settings, body, &cs->options.defaults, reterr);
    if (status == RAG_OK &&
        (own_list(&c->settings.readers, &c->settings.n_readers, principal) != RAG_OK ||
         own_list(&c->settings.writers, &c->settings.n_writers, principal) != RAG_OK ||
         bm25_new(&cs->options.bm25, &c->index) != RAG_OK))
        status = rag_fail(reterr, RAG_ENOMEM, "collection '%s': out of memory", name);
    if (status == RAG_OK)
        status = collection_settings_print(&c->settings, &settings, reterr);
    if (status == RAG_OK)
        status = store_collection_put(cs->options.store, name, settings,
                                      analyzer_fingerprint(cs->options.analyzer), &c->id, &created,
                                      reterr);
    free(settings);
    if (status == RAG_OK)
        status = open_vectors(cs, c, reterr);
    if (status != RAG_OK) {
        object_free(c);
        return status;
    }
    list_insert(cs, c);
    return RAG_OK;
}

/* The write lock is held, so nobody else changes settings. */
static enum rag_status change(struct collections *cs, struct collection *c, const struct json *body,
                              struct rag_error *reterr)
{
    struct collection_settings fresh = c->settings;
    enum rag_status status;
    char *settings = NULL;
    bool created;
    int64_t id;

    fresh.readers = fresh.writers = NULL;
    fresh.n_readers = fresh.n_writers = 0;
    status = collection_settings_read(&fresh, body, &cs->options.defaults, reterr);
    /* Lists that the body does not name stay: they move over, and back on failure. */
    if (!fresh.readers) {
        fresh.readers = c->settings.readers;
        fresh.n_readers = c->settings.n_readers;
    }
    if (!fresh.writers) {
        fresh.writers = c->settings.writers;
        fresh.n_writers = c->settings.n_writers;
    }
    if (status == RAG_OK)
        status = collection_settings_print(&fresh, &settings, reterr);
    if (status == RAG_OK)
        status =
            store_collection_put(cs->options.store, c->name, settings,
                                 analyzer_fingerprint(cs->options.analyzer), &id, &created, reterr);
    free(settings);
    pthread_mutex_lock(&c->mutex);
    if (status == RAG_OK) {
        struct collection_settings old = c->settings;

        c->settings = fresh;
        fresh = old;
    }
    /* 'fresh' is now what is not used: free it except for what both share */
    if (fresh.readers != c->settings.readers)
        collection_principals_free(fresh.readers, fresh.n_readers);
    if (fresh.writers != c->settings.writers)
        collection_principals_free(fresh.writers, fresh.n_writers);
    pthread_mutex_unlock(&c->mutex);
    collection_vectors_set_offline(c->vectors, collection_is_offline(c));
    return status;
}

enum rag_status collections_put(struct collections *cs, const char *name, const struct json *body,
                                const char *principal, bool *ret_created, struct rag_error *reterr)
{
    enum rag_status status = check_name(name, reterr);
    struct collection *c;

    if (status != RAG_OK)
        return status;
    pthread_rwlock_wrlock(&cs->lock);
    c = list_find(cs, name);
    if (!c && cs->n >= COLLECTIONS_MAX)
        status = rag_fail(reterr, RAG_ELIMIT, "collection '%s': there are %d already, the limit",
                          name, COLLECTIONS_MAX);
    else if (!c)
        status = create(cs, name, body, principal, reterr);
    else if (!may(cs, c, principal, ACCESS_WRITE))
        status =
            rag_fail(reterr, RAG_EDENIED, "collection '%s': %s may not write it", name, principal);
    else
        status = change(cs, c, body, reterr);
    pthread_rwlock_unlock(&cs->lock);
    if (status == RAG_OK)
        *ret_created = !c;
    return status;
}

enum rag_status collections_delete(struct collections *cs, const char *name, const char *principal,
                                   uint64_t *ret_change, struct rag_error *reterr)
{
    enum rag_status status;
    struct collection *c;
    struct buf path;

    buf_init(&path, 8192);
    pthread_rwlock_wrlock(&cs->lock);
    c = list_find(cs, name);
    if (!c)
        status = rag_fail(reterr, RAG_ENOTFOUND, "collection '%.80s': does not exist", name);
    else if (!may(cs, c, principal, ACCESS_WRITE))
        status =
            rag_fail(reterr, RAG_EDENIED, "collection '%s': %s may not write it", name, principal);
    else
        status = store_collection_delete(cs->options.store, name, principal, ret_change, reterr);
    if (status == RAG_OK) {
        struct collection **at = &cs->head;

        while (*at != c)
            at = &(*at)->next;
        *at = c->next;
        cs->n--;
        pthread_mutex_lock(&c->mutex);
        c->deleted = true; /* a snapshot in progress sees it and removes its file */
        pthread_mutex_unlock(&c->mutex);
        index_path(cs, c->id, "bm25", &path);
        (void)unlink(buf_str(&path));
        collection_vectors_forget(c->vectors);
        if (cs->options.cache)
            answer_cache_collection_deleted(cs->options.cache, c->id);
    }
    pthread_rwlock_unlock(&cs->lock);
    if (status == RAG_OK)
        object_unref(c); /* waits for a batch of its that is being embedded */
    buf_release(&path);
    return status;
}

void collection_write_settings(struct collection *c, struct json_writer *w)
{
    pthread_mutex_lock(&c->mutex);
    collection_settings_write(&c->settings, w);
    pthread_mutex_unlock(&c->mutex);
}

bool collection_fusion(struct collection *c, struct fusion_options *ret)
{
    bool own;

    pthread_mutex_lock(&c->mutex);
    own = c->settings.fusion_set;
    if (own)
        *ret = c->settings.fusion;
    pthread_mutex_unlock(&c->mutex);
    return own;
}

bool collection_lexical(struct collection *c, struct lexical_weights *ret)
{
    bool own;

    pthread_mutex_lock(&c->mutex);
    own = c->settings.lexical_set;
    if (own)
        *ret = c->settings.lexical;
    pthread_mutex_unlock(&c->mutex);
    return own;
}

bool collection_rerank(struct collection *c, float *ret_words)
{
    bool own;

    pthread_mutex_lock(&c->mutex);
    own = c->settings.rerank_set;
    if (own)
        *ret_words = c->settings.rerank_words;
    pthread_mutex_unlock(&c->mutex);
    return own;
}

bool collection_gate(struct collection *c, float *ret_relevance_min)
{
    bool own;

    pthread_mutex_lock(&c->mutex);
    own = c->settings.gate_set;
    if (own)
        *ret_relevance_min = c->settings.gate_relevance_min;
    pthread_mutex_unlock(&c->mutex);
    return own;
}

size_t collection_backends(struct collection *c, enum config_backend ret[CONFIG_BACKENDS_MAX])
{
    size_t n = 0;

    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->settings.n_backends; i++)
        if (!c->settings.offline || c->settings.backends[i] != BACKEND_OPENAI)
            ret[n++] = c->settings.backends[i];
    if (n == 0 && c->settings.n_backends > 0)
        ret[n++] = BACKEND_EXTRACTIVE;
    pthread_mutex_unlock(&c->mutex);
    return n;
}

bool collection_is_offline(struct collection *c)
{
    bool offline;

    pthread_mutex_lock(&c->mutex);
    offline = c->settings.offline;
    pthread_mutex_unlock(&c->mutex);
    return offline;
}

enum rag_status collection_readers_hash(struct collection *c, uint8_t ret[SHA256_BYTES])
{
    enum rag_status status = RAG_ENOMEM;
    struct sha256_part *parts;

    pthread_mutex_lock(&c->mutex);
    parts = calloc(c->settings.n_readers + 1, sizeof *parts);
    if (parts) {
        parts[0] = (struct sha256_part){"readers", 7};
        for (size_t i = 0; i < c->settings.n_readers; i++)
            parts[i + 1] =
                (struct sha256_part){c->settings.readers[i], strlen(c->settings.readers[i])};
        status = sha256_lengths(parts, c->settings.n_readers + 1, ret);
    }
    pthread_mutex_unlock(&c->mutex);
    free(parts);
    return status;
}

void collection_chunks(struct collection *c, struct chunker_options *ret)
{
    pthread_mutex_lock(&c->mutex);
    *ret = c->settings.chunks;
    pthread_mutex_unlock(&c->mutex);
}

/* ---- snapshots ---- */

static enum rag_status save_one(struct collections *cs, struct collection *c, uint64_t min_changes,
                                bool *ret_saved, struct rag_error *reterr)
{
    enum rag_status status;
    struct bm25_stats stats;
    struct buf path;
    bool skip;

    bm25_stats(c->index, &stats);
    pthread_mutex_lock(&c->mutex);
    skip = c->deleted || stats.change < c->saved_change + min_changes;
    pthread_mutex_unlock(&c->mutex);
    if (skip)
        return RAG_OK;
    buf_init(&path, 8192);
    index_path(cs, c->id, "bm25", &path);
    status =
        bm25_save(c->index, buf_str(&path), analyzer_fingerprint(cs->options.analyzer), reterr);
    pthread_mutex_lock(&c->mutex);
    if (status == RAG_OK && stats.change > c->saved_change)
        c->saved_change = stats.change; /* the file holds at least this */
    if (c->deleted)
        (void)unlink(buf_str(&path));
    pthread_mutex_unlock(&c->mutex);
    buf_release(&path);
    *ret_saved = status == RAG_OK;
    return status;
}

size_t collections_save(struct collections *cs, uint64_t min_changes, bool now,
                        struct rag_error *reterr)
{
    struct collection **list = NULL;
    size_t n_saved = 0;
    size_t n = 0;

    /* References first: saving takes long and must not hold the registry's lock. */
    pthread_rwlock_rdlock(&cs->lock);
    for (struct collection *c = cs->head; c; c = c->next)
        n++;
    list = calloc(n + 1, sizeof *list);
    n = 0;
    for (struct collection *c = cs->head; c && list; c = c->next) {
        pthread_mutex_lock(&c->mutex);
        c->n_refs++;
        pthread_mutex_unlock(&c->mutex);
        list[n++] = c;
    }
    pthread_rwlock_unlock(&cs->lock);

    for (size_t i = 0; i < n; i++) {
        bool saved = false;

        (void)save_one(cs, list[i], min_changes, &saved, reterr);
        n_saved += saved;
        saved = false;
        (void)collection_vectors_save(list[i]->vectors, now, &saved, reterr);
        n_saved += saved;
        object_unref(list[i]);
    }
    free(list);
    return n_saved;
}

/* ---- changes in flight ---- */

static size_t lock_of(const char *document)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (const char *p = document; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return (size_t)((h >> 32) % NAME_LOCKS);
}

size_t collection_change_begin(struct collections *cs, struct collection *c, const char *document)
{
    size_t lock = lock_of(document);

    pthread_mutex_lock(&c->name_locks[lock]);
    pthread_mutex_lock(&c->mutex);
    c->in_flight[lock] = store_last_change(cs->options.store) + 1;
    pthread_mutex_unlock(&c->mutex);
    return lock;
}

uint64_t collection_watermark(struct collection *c, size_t lock, uint64_t committed)
{
    uint64_t mark = committed;

    /* A change that began when the store was at L commits as L + 1 at the earliest, so
     * what it will add cannot be at or below L. */
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < NAME_LOCKS; i++)
        if (i != lock && c->in_flight[i] != 0 && c->in_flight[i] - 1 < mark)
            mark = c->in_flight[i] - 1;
    if (c->missed_change != 0 && c->missed_change - 1 < mark)
        mark = c->missed_change - 1;
    pthread_mutex_unlock(&c->mutex);
    return mark;
}

void collection_index_missed(struct collection *c, uint64_t committed)
{
    pthread_mutex_lock(&c->mutex);
    if (c->missed_change == 0 || committed < c->missed_change)
        c->missed_change = committed;
    pthread_mutex_unlock(&c->mutex);
}

void collection_change_end(struct collection *c, size_t lock)
{
    pthread_mutex_lock(&c->mutex);
    c->in_flight[lock] = 0;
    pthread_mutex_unlock(&c->mutex);
    pthread_mutex_unlock(&c->name_locks[lock]);
}
