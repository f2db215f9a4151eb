/* store/store_filter.c - the chunks of the documents whose metadata a filter asks for.
 *
 * The first clause that compares with "=" (else the first) walks the index of (collection, key,
 * value), and each version that it finds is probed for the other clauses by (version, key): the
 * cost is O(matches of that clause x clauses), whatever the size of the collection.
 *
 * metadata.value has no declared type, so SQLite keeps numbers and texts apart and orders every
 * number before every text before every blob; a range of one kind is closed off with that. */

#include "base/bounds.h"
#include "base/buf.h"
#include "base/id_list.h"
#include "store/store_internal.h"

#define SQL_BYTES_MAX (1u << 20)

/* "value <op> ?n" for one value; parameters of the statement are numbered in order of writing. */
static void append_comparison(struct buf *sql, const char *table, const struct filter_clause *c)
{
    bool text = c->n_values > 0 && c->values[0].text;

    switch (c->op) {
    case FILTER_EQ:
    case FILTER_IN:
        buf_printf(sql, " AND %s.value IN (", table);
        for (size_t i = 0; i < c->n_values; i++)
            buf_append_str(sql, i == 0 ? "?" : ",?");
        buf_append_str(sql, ")");
        break;
    case FILTER_GT:
    case FILTER_GTE:
        buf_printf(sql, " AND %s.value%s? AND %s.value<%s", table,
                   c->op == FILTER_GT ? ">" : ">=", table, text ? "x''" : "''");
        break;
    case FILTER_LT:
    case FILTER_LTE:
        buf_printf(sql, " AND %s.value%s?", table, c->op == FILTER_LT ? "<" : "<=");
        if (text)
            buf_printf(sql, " AND %s.value>=''", table);
        break;
    }
}

static size_t choose_driver(const struct filter_clause *clauses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (clauses[i].op == FILTER_EQ)
            return i;
    for (size_t i = 0; i < n; i++)
        if (clauses[i].op == FILTER_IN)
            return i;
    return 0;
}

/* Parameters: the collection, then key and values of the driver, then of the others in order. */
static void write_sql(struct buf *sql, const struct filter_clause *clauses, size_t n, size_t driver)
{
    buf_append_str(sql, "SELECT o.chunk_id, d.version_id FROM ");
    if (n > 0) {
        buf_append_str(sql, "(SELECT DISTINCT m.version_id FROM metadata m"
                            " WHERE m.collection_id=?1 AND m.key=?");
        append_comparison(sql, "m", &clauses[driver]);
        for (size_t i = 0; i < n; i++) {
            if (i == driver)
                continue;
            buf_append_str(sql, " AND EXISTS (SELECT 1 FROM metadata x"
                                " WHERE x.version_id=m.version_id AND x.key=?");
            append_comparison(sql, "x", &clauses[i]);
            buf_append_str(sql, ")");
        }
        buf_append_str(sql, ") f CROSS JOIN documents d ON d.version_id=f.version_id");
    } else {
        buf_append_str(sql, "documents d");
    }
    buf_append_str(sql, " CROSS JOIN version_chunks o ON o.version_id=d.version_id" VISIBLE
                        " WHERE d.collection_id=?1");
}

static int bind_clause(sqlite3_stmt *statement, int at, const struct filter_clause *c)
{
    sqlite3_bind_text(statement, at++, c->key, -1, SQLITE_STATIC);
    for (size_t i = 0; i < c->n_values; i++) {
        if (c->values[i].text)
            sqlite3_bind_text(statement, at++, c->values[i].text, -1, SQLITE_STATIC);
        else
            sqlite3_bind_double(statement, at++, c->values[i].number);
    }
    return at;
}

static void bind_all(sqlite3_stmt *statement, int64_t collection_id,
                     const struct filter_clause *clauses, size_t n, size_t driver)
{
    int at = 2;

    sqlite3_bind_int64(statement, 1, collection_id);
    if (n > 0)
        at = bind_clause(statement, at, &clauses[driver]);
    for (size_t i = 0; i < n; i++)
        if (i != driver)
            at = bind_clause(statement, at, &clauses[i]);
}

static enum rag_status ids_add(struct id_list *ids, uint64_t id, struct rag_error *reterr)
{
    if (id_list_add(ids, id) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "filter: out of memory");
    return RAG_OK;
}

static enum rag_status collect(struct database *db, sqlite3_stmt *statement, struct id_list *chunks,
                               struct id_list *versions, struct rag_error *reterr)
{
    enum rag_status status;
    bool row = true;

    for (;;) {
        uint64_t version;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            return status;
        status = ids_add(chunks, (uint64_t)sqlite3_column_int64(statement, 0), reterr);
        version = (uint64_t)sqlite3_column_int64(statement, 1);
        /* a version's chunks come together */
        if (status == RAG_OK && (versions->n == 0 || versions->ids[versions->n - 1] != version))
            status = ids_add(versions, version, reterr);
        if (status != RAG_OK)
            return status;
    }
}

static enum rag_status to_set(const struct id_list *list, struct id_set *ret,
                              struct rag_error *reterr)
{
    enum rag_status status = id_set_init(ret, list->ids, list->n);

    if (status != RAG_OK)
        rag_fail(reterr, status, "filter: %zu ids cannot be held", list->n);
    return status;
}

static enum rag_status check_clauses(const struct filter_clause *clauses, size_t n,
                                     struct rag_error *reterr)
{
    if (n > FILTER_CLAUSES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "filter: %zu clauses, the limit is %d", n,
                        FILTER_CLAUSES_MAX);
    for (size_t i = 0; i < n; i++)
        if (clauses[i].n_values > FILTER_VALUES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "filter: '%.64s' lists %zu values, the limit is %d",
                            clauses[i].key, clauses[i].n_values, FILTER_VALUES_MAX);
    return RAG_OK;
}

enum rag_status store_filter_owners(struct store *s, int64_t collection_id,
                                    const struct filter_clause *clauses, size_t n,
                                    struct id_set *ret_chunks, struct id_set *ret_versions,
                                    struct rag_error *reterr)
{
    size_t driver = choose_driver(clauses, n);
    sqlite3_stmt *statement = NULL;
    struct database *db = NULL;
    struct id_list versions = {0};
    struct id_list chunks = {0};
    enum rag_status status;
    struct buf sql;
    int code;

    status = check_clauses(clauses, n, reterr);
    if (status != RAG_OK)
        return status;
    buf_init(&sql, SQL_BYTES_MAX);
    write_sql(&sql, clauses, n, driver);
    if (buf_status(&sql) != RAG_OK)
        status = rag_fail(reterr, buf_status(&sql), "filter: out of memory");
    if (status == RAG_OK)
        status = reader_begin(s, &db, reterr);
    if (status != RAG_OK)
        goto out;
    code = sqlite3_prepare_v2(db->handle, buf_str(&sql), -1, &statement, NULL);
    if (code != SQLITE_OK) {
        status = database_fail(db, code, reterr);
    } else {
        bind_all(statement, collection_id, clauses, n, driver);
        status = collect(db, statement, &chunks, &versions, reterr);
    }
    sqlite3_finalize(statement);
    reader_end(s, db);
    if (status == RAG_OK)
        status = to_set(&chunks, ret_chunks, reterr);
    if (status == RAG_OK) {
        status = to_set(&versions, ret_versions, reterr);
        if (status != RAG_OK)
            id_set_release(ret_chunks);
    }
out:
    id_list_release(&chunks);
    id_list_release(&versions);
    buf_release(&sql);
    return status;
}

enum rag_status store_filter(struct store *s, int64_t collection_id,
                             const struct filter_clause *clauses, size_t n, struct id_set *ret,
                             struct rag_error *reterr)
{
    struct id_set versions;
    enum rag_status status =
        store_filter_owners(s, collection_id, clauses, n, ret, &versions, reterr);

    if (status == RAG_OK)
        id_set_release(&versions);
    return status;
}
