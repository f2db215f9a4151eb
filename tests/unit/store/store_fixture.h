/* What the tests of the store share: a state directory of their own, and documents made of
 * a few letters ("abc" is a document of three chunks whose contents are "a", "b" and "c"). */
#ifndef RAG_TESTS_STORE_FIXTURE_H
#define RAG_TESTS_STORE_FIXTURE_H

#define _GNU_SOURCE
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
    char dir[64];
    struct store *store;
    int64_t collection;
};

static inline int fixture_unlink(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void)sb;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    (void)nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void make_dir(char dir[64])
{
    strcpy(dir, "/tmp/ragd-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static inline struct store *open_store(const char *dir)
{
    struct store_options options = {.state_dir = dir};
    struct rag_error error = {RAG_OK, ""};
    struct store *store = NULL;

    if (store_open(&options, &store, &error) != RAG_OK)
        fail_msg("store_open: %s", error.text);
    return store;
}

static inline int64_t make_collection(struct store *store, const char *name)
{
    struct rag_error error = {RAG_OK, ""};
    bool created = false;
    int64_t id = 0;

    if (store_collection_put(store, name, "{}", "analyzer 1", &id, &created, &error) != RAG_OK)
        fail_msg("store_collection_put: %s", error.text);
    return id;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    make_dir(f->dir);
    f->store = open_store(f->dir);
    f->collection = make_collection(f->store, "books");
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    remove_tree(f->dir);
    free(f);
    return 0;
}

static inline void fixture_reopen(struct fixture *f)
{
    store_close(f->store);
    f->store = open_store(f->dir);
}

/* One chunk a byte of 'text'; chunk_ids may be NULL. */
static inline enum rag_status put_text(struct store *store, int64_t collection, const char *name,
                                       const char *text, const char *metadata, uint64_t *chunk_ids,
                                       struct store_put_result *ret, struct rag_error *reterr)
{
    size_t n = strlen(text);
    struct store_chunk *chunks = calloc(n + 1, sizeof *chunks);
    uint64_t *ids = calloc(n + 1, sizeof *ids);
    struct store_put_result result = {0};
    uint8_t source[SHA256_BYTES];
    enum rag_status status;

    assert_true(chunks && ids);
    assert_int_equal(sha256(text, n, source), RAG_OK);
    for (size_t i = 0; i < n; i++) {
        chunks[i] = (struct store_chunk){
            .heading = "", .context = "", .byte_start = (uint32_t)i, .byte_end = (uint32_t)i + 1};
        assert_int_equal(sha256(text + i, 1, chunks[i].hash), RAG_OK);
    }
    status = store_document_put(store,
                                &(struct store_put){.collection_id = collection,
                                                    .name = name,
                                                    .title = "title",
                                                    .mime = "text/plain",
                                                    .metadata = metadata ? metadata : "{}",
                                                    .source_hash = source,
                                                    .text = text,
                                                    .text_bytes = n,
                                                    .chunks = chunks,
                                                    .n_chunks = n,
                                                    .principal = "uid:1"},
                                ids, &result, reterr);
    if (status == RAG_OK && chunk_ids)
        memcpy(chunk_ids, ids, n * sizeof *ids);
    if (status == RAG_OK && ret)
        *ret = result;
    free(chunks);
    free(ids);
    return status;
}

static inline void put_ok(struct fixture *f, const char *name, const char *text)
{
    struct rag_error error = {RAG_OK, ""};

    if (put_text(f->store, f->collection, name, text, NULL, NULL, NULL, &error) != RAG_OK)
        fail_msg("put '%s': %s", name, error.text);
}

static inline void delete_ok(struct fixture *f, const char *name)
{
    struct rag_error error = {RAG_OK, ""};
    uint64_t change;
    uint64_t version;

    if (store_document_delete(f->store, f->collection, name, "uid:1", &change, &version, &error) !=
        RAG_OK)
        fail_msg("delete '%s': %s", name, error.text);
}

/* One number out of a database, past the code under test. */
static inline int64_t query_number(const char *dir, const char *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;
    char path[128];
    int64_t n;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return n;
}

static inline void run_sql(const char *dir, const char *file, const char *sql)
{
    char *message = NULL;
    sqlite3 *db = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* Wait until nothing is left to reclaim, at most a minute: disks of busy machines are slow. */
static inline void wait_reclaimed(const char *dir)
{
    for (int i = 0; i < 6000; i++) {
        if (query_number(dir, "ragd.db",
                         "SELECT (SELECT count(*) FROM versions WHERE state<>1)"
                         " + (SELECT count(*) FROM collections WHERE deleted=1)") == 0)
            return;
        usleep(10000);
    }
    fail_msg("retired versions are not reclaimed");
}

#endif
