/* store/store.c - open, lock, readers, collections, changes. Invariants: store.h. */
#define _GNU_SOURCE
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "store/state_lock.h"
#include "store/store_internal.h"

#define READERS_DEFAULT 4
#define QUEUE_DEFAULT   1024

/* ---- readers ---- */

enum rag_status reader_begin(struct store *s, struct database **ret, struct rag_error *reterr)
{
    struct database *db = NULL;
    enum rag_status status;

    pthread_mutex_lock(&s->mutex);
    while (!db) {
        for (size_t i = 0; i < s->n_readers && !db; i++) {
            if (!s->reader_busy[i]) {
                s->reader_busy[i] = true;
                db = &s->readers[i];
            }
        }
        if (!db)
            pthread_cond_wait(&s->freed, &s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    status = database_exec(db, "BEGIN", reterr);
    if (status != RAG_OK) {
        reader_end(s, db);
        return status;
    }
    *ret = db;
    return RAG_OK;
}

void reader_end(struct store *s, struct database *db)
{
    for (size_t i = 0; i < db->n_cached; i++)
        sqlite3_reset(db->cache[i].statement); /* an open cursor would keep the snapshot */
    if (!sqlite3_get_autocommit(db->handle))
        (void)database_exec(db, "COMMIT", NULL);
    pthread_mutex_lock(&s->mutex);
    s->reader_busy[db - s->readers] = false;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->mutex);
}

enum rag_status arena_column(struct arena *arena, sqlite3_stmt *statement, int column, char **ret)
{
    const char *text = column_text(statement, column);

    *ret = arena_strndup(arena, text, (size_t)sqlite3_column_bytes(statement, column));
    return *ret ? RAG_OK : RAG_ENOMEM;
}

/* ---- open and close ---- */

static void on_committed(void *context, struct database *db)
{
    static const char sql[] = "SELECT seq FROM sqlite_sequence WHERE name='changes'";
    struct store *s = context;
    sqlite3_stmt *statement;
    bool row = false;

    if (database_statement(db, sql, &statement, NULL) != RAG_OK ||
        database_step(db, statement, &row, NULL) != RAG_OK || !row)
        return;
    pthread_mutex_lock(&s->mutex);
    s->last_change = (uint64_t)sqlite3_column_int64(statement, 0);
    pthread_mutex_unlock(&s->mutex);
    sqlite3_reset(statement);
}

/* SQLite recovers a crash by itself; what it cannot see is a disk that lied about a sync. So after
 * an end that was no close a file of a bearable size is read once before it is trusted. */
static enum rag_status check_after_crash(struct store *s, struct rag_error *reterr)
{
    struct stat sb;

    if (!s->was_unclean || stat(s->path, &sb) < 0 || sb.st_size > (off_t)OPEN_CHECK_BYTES_MAX)
        return RAG_OK;
    return database_quick_check(&s->writer_db, reterr);
}

static enum rag_status open_databases(struct store *s, size_t n_readers, struct rag_error *reterr)
{
    enum rag_status status = database_open(s->path, true, &s->writer_db, reterr);

    if (status == RAG_OK)
        status = database_migrate(&s->writer_db, STORE_APPLICATION_ID, store_schema, store_schema_n,
                                  reterr);
    if (status == RAG_OK)
        status = check_after_crash(s, reterr);
    /* what a crash left staged was never acknowledged */
    if (status == RAG_OK)
        status = database_exec(&s->writer_db, "UPDATE versions SET state=2 WHERE state=0", reterr);
    for (; status == RAG_OK && s->n_readers < n_readers; s->n_readers++)
        status = database_open(s->path, false, &s->readers[s->n_readers], reterr);
    if (status == RAG_OK)
        on_committed(s, &s->writer_db);
    return status;
}

enum rag_status store_open(const struct store_options *options, struct store **ret,
                           struct rag_error *reterr)
{
    size_t n_readers = options->n_readers ? options->n_readers : READERS_DEFAULT;
    struct writer_options writer;
    struct store *s = calloc(1, sizeof *s);
    enum rag_status status;

    if (!s)
        return rag_fail(reterr, RAG_ENOMEM, "store: out of memory");
    s->lock_fd = -1;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->freed, NULL);
    if (asprintf(&s->path, "%s/ragd.db", options->state_dir) < 0) {
        s->path = NULL;
        status = rag_fail(reterr, RAG_ENOMEM, "store: out of memory");
    } else {
        status = state_lock(options->state_dir, "lock", &s->lock_fd, &s->was_unclean, reterr);
    }
    if (status == RAG_OK)
        status = open_databases(s, n_readers < READERS_MAX ? n_readers : READERS_MAX, reterr);
    if (status == RAG_OK) {
        writer = (struct writer_options){
            .db = &s->writer_db,
            .queue_max = options->queue_max ? options->queue_max : QUEUE_DEFAULT,
            .committed = on_committed,
            .idle = reclaim_slice,
            .context = s,
        };
        status = writer_start(&writer, &s->writer, reterr);
    }
    if (status != RAG_OK) {
        store_close(s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    writer_stop(s->writer);
    for (size_t i = 0; i < s->n_readers; i++)
        database_close(&s->readers[i]);
    database_close(&s->writer_db);
    state_unlock(s->lock_fd, s->writer != NULL);
    pthread_cond_destroy(&s->freed);
    pthread_mutex_destroy(&s->mutex);
    free(s->path);
    free(s);
}

uint64_t store_last_change(struct store *s)
{
    uint64_t change;

    pthread_mutex_lock(&s->mutex);
    change = s->last_change;
    pthread_mutex_unlock(&s->mutex);
    return change;
}

/* ---- collections ---- */

struct put_collection {
    const char *name;
    const char *settings;
    const char *binding;
    int64_t id;
    bool created;
};

static enum rag_status put_collection(struct database *db, void *context, struct rag_error *reterr)
{
    static const char update[] =
        "UPDATE collections SET settings=?2, binding=?3 WHERE name=?1 AND deleted=0 RETURNING id";
    static const char insert[] =
        "INSERT INTO collections(name, settings, binding, created_ms) VALUES(?1,?2,?3,?4)"
        " RETURNING id";
    struct put_collection *p = context;
    enum rag_status status = RAG_OK;
    sqlite3_stmt *statement;
    bool row = false;

    for (int pass = 0; pass < 2 && !row && status == RAG_OK; pass++) {
        status = database_statement(db, pass == 0 ? update : insert, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_text(statement, 1, p->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, p->settings, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, p->binding, -1, SQLITE_STATIC);
        if (pass == 1)
            sqlite3_bind_int64(statement, 4, clock_wall_ms());
        status = database_step(db, statement, &row, reterr);
        if (row) {
            p->id = sqlite3_column_int64(statement, 0);
            p->created = pass == 1;
            status = database_run(db, statement, reterr); /* RETURNING gives one row */
        }
    }
    return status;
}

enum rag_status store_collection_put(struct store *s, const char *name, const char *settings,
                                     const char *binding, int64_t *ret_id, bool *ret_created,
                                     struct rag_error *reterr)
{
    struct put_collection p = {name, settings, binding, 0, false};
    enum rag_status status = writer_do(s->writer, put_collection, &p, reterr);

    if (status == RAG_OK) {
        *ret_id = p.id;
        *ret_created = p.created;
    }
    return status;
}

static const char collection_columns[] =
    "SELECT c.id, c.name, c.settings, c.binding, c.created_ms, c.generation,"
    " (SELECT count(*) FROM documents d WHERE d.collection_id=c.id)"
    " FROM collections c WHERE c.deleted=0 AND (?1 IS NULL OR c.name=?1) ORDER BY c.name";

static enum rag_status read_collection(sqlite3_stmt *statement, struct arena *arena,
                                       struct store_collection *ret)
{
    enum rag_status status;

    memset(ret, 0, sizeof *ret);
    ret->id = sqlite3_column_int64(statement, 0);
    ret->created_ms = sqlite3_column_int64(statement, 4);
    ret->generation = (uint64_t)sqlite3_column_int64(statement, 5);
    ret->n_documents = (uint64_t)sqlite3_column_int64(statement, 6);
    status = arena_column(arena, statement, 1, &ret->name);
    if (status == RAG_OK)
        status = arena_column(arena, statement, 2, &ret->settings);
    if (status == RAG_OK)
        status = arena_column(arena, statement, 3, &ret->binding);
    return status;
}

enum rag_status store_collection_get(struct store *s, const char *name, struct arena *arena,
                                     struct store_collection *ret, struct rag_error *reterr)
{
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, collection_columns, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && !row)
        status = rag_fail(reterr, RAG_ENOTFOUND, "collection '%.80s': does not exist", name);
    if (status == RAG_OK && read_collection(statement, arena, ret) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "collection '%.80s': out of memory", name);
    reader_end(s, db);
    return status;
}

enum rag_status store_collection_list(struct store *s, struct arena *arena,
                                      struct store_collection **ret, size_t *ret_n,
                                      struct rag_error *reterr)
{
    struct store_collection *list = NULL;
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = true;
    size_t cap = 0;
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, collection_columns, &statement, reterr);
    while (status == RAG_OK) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        if (n == cap) {
            struct store_collection *more;

            cap = cap ? cap * 2 : 16;
            more = arena_calloc(arena, cap, sizeof *more);
            if (more && n > 0)
                memcpy(more, list, n * sizeof *more);
            list = more;
        }
        if (!list || read_collection(statement, arena, &list[n++]) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "collections: out of memory");
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n;
    }
    return status;
}

/* ---- changes ---- */

enum rag_status store_changes_since(struct store *s, uint64_t change,
                                    enum rag_status (*visit)(void *context,
                                                             const struct store_change *change,
                                                             struct rag_error *reterr),
                                    void *context, struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT change, collection_id, collection, document, principal, kind, version_id,"
        " retired_version_id, time_ms FROM changes WHERE change>?1 ORDER BY change";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = true;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK)
        sqlite3_bind_int64(statement, 1, (int64_t)change);
    while (status == RAG_OK) {
        struct store_change c;
        int kind;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        kind = sqlite3_column_int(statement, 5);
        if (kind < CHANGE_PUBLISH || kind > CHANGE_COLLECTION_DELETE) {
            status = rag_fail(reterr, RAG_EFORMAT, "database '%s': change %" PRId64 " of kind %d",
                              db->what, (int64_t)sqlite3_column_int64(statement, 0), kind);
            break;
        }
        c = (struct store_change){
            .change = (uint64_t)sqlite3_column_int64(statement, 0),
            .collection_id = sqlite3_column_int64(statement, 1),
            .collection = column_text(statement, 2),
            .document = column_text(statement, 3),
            .principal = column_text(statement, 4),
            .kind = (enum change_kind)kind,
            .version_id = (uint64_t)sqlite3_column_int64(statement, 6),
            .retired_version_id = (uint64_t)sqlite3_column_int64(statement, 7),
            .time_ms = sqlite3_column_int64(statement, 8),
        };
        status = visit(context, &c, reterr);
    }
    reader_end(s, db);
    return status;
}

enum rag_status store_stats(struct store *s, struct store_stats *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM collections WHERE deleted=0),"
                              " (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    struct writer_stats writer;
    sqlite3_stmt *statement;
    struct stat sb;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK)
        status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row) {
        ret->n_collections = (uint64_t)sqlite3_column_int64(statement, 0);
        ret->n_documents = (uint64_t)sqlite3_column_int64(statement, 1);
        ret->n_chunks = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    reader_end(s, db);
    writer_stats(s->writer, &writer);
    ret->n_commits = writer.n_commits;
    ret->n_writes = writer.n_writes;
    ret->queue_length = writer.queue_length;
    ret->database_bytes = stat(s->path, &sb) == 0 ? (uint64_t)sb.st_size : 0;
    return status;
}
