/* Goal: what is published is visible, whole and durable; what is not leaves nothing behind.
 * Method: small documents through the public calls, a second connection to look underneath. */
#include "store_fixture.h"

#include "base/bounds.h"

/* ---- content and its owners ---- */

static enum rag_status note_chunk(void *context, const struct store_passage *p,
                                  struct rag_error *reterr)
{
    char *out = context;
    size_t n = strlen(out);

    (void)reterr;
    out[n] = p->text ? p->text[0] : '?';
    out[n + 1] = (char)('0' + p->n_owners);
    out[n + 2] = '\0';
    return RAG_OK;
}

/* The visible chunks as "a1b2": content and number of owners, by id. */
static void visible(struct fixture *f, char *ret)
{
    uint64_t change;

    ret[0] = '\0';
    assert_int_equal(
        store_collection_chunks(f->store, f->collection, true, note_chunk, ret, &change, NULL),
        RAG_OK);
    assert_int_equal(change, store_last_change(f->store));
}

/* A history: "x=abc" puts document x with chunks a, b, c; "x-" deletes it. */
struct history {
    const char *name;
    const char *steps;
    const char *want_visible;
    int64_t want_stored; /* rows of chunks once everything is reclaimed */
};

static struct history histories[] = {
    {"a document brings its chunks",                    "x=abc",             "a1b1c1", 3},
    {"an empty document is visible without chunks",     "x=",                "",       0},
    {"a deleted document takes its chunks along",       "x=abc x-",          "",       0},
    {"an update keeps what both versions have",         "x=abc x=bcd",       "b1c1d1", 3},
    {"two owners share one content",                    "x=ab y=bc",         "a1b2c1", 3},
    {"shared content outlives its first owner",         "x=ab y=bc x-",      "b1c1",   2},
    {"shared content goes with its last owner",         "x=a y=a x- y-",     "",       0},
    {"content twice in a document counts twice",        "x=aba",             "a2b1",   2},
    {"content twice goes as a whole",                   "x=aba y=a x-",      "a1",     1},
    {"a document that comes back is new",               "x=a x- x=a",        "a1",     1},
    {"putting the same again changes owners, not text", "x=ab x=ab x=ab",    "a1b1",   2},
    {"content moves from one document to another",      "x=ab y=c y=abc x-", "a1b1c1", 3},
};

static void replay(struct fixture *f, const char *steps)
{
    char copy[128];
    char *rest = copy;
    char *step;

    snprintf(copy, sizeof copy, "%s", steps);
    while ((step = strsep(&rest, " ")) != NULL) {
        char name[2] = {step[0], '\0'};

        if (step[1] == '=')
            put_ok(f, name, step + 2);
        else
            delete_ok(f, name);
    }
}

/* Ids are given in order of first sight, which reclaiming decides; compare as sets. */
static int by_letter(const void *a, const void *b)
{
    return memcmp(a, b, 1);
}

static void check_history(void **state)
{
    const struct history *row = *state;
    void *fixture = NULL;
    struct fixture *f;
    char got[64];

    fixture_setup(&fixture);
    f = fixture;
    replay(f, row->steps);
    visible(f, got);
    qsort(got, strlen(got) / 2, 2, by_letter);
    assert_string_equal(got, row->want_visible);
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"),
                     row->want_stored);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM version_chunks"),
                     query_number(f->dir, "ragd.db",
                                  "SELECT count(*) FROM version_chunks v JOIN documents d"
                                  " ON d.version_id=v.version_id"));
    fixture_reopen(f);
    visible(f, got);
    qsort(got, strlen(got) / 2, 2, by_letter);
    assert_string_equal(got, row->want_visible);
    fixture_teardown(&fixture);
}

/* ---- documents ---- */

static void document_comes_back_as_it_was_put(void **state)
{
    struct fixture *f = *state;
    struct store_put_result put = {0};
    struct store_document d;
    struct arena arena;
    char *text = NULL;
    size_t n = 0;

    arena_init(&arena, 1u << 20);
    assert_int_equal(
        put_text(f->store, f->collection, "가/나.txt", "xyz", "{\"year\":2024}", NULL, &put, NULL),
        RAG_OK);
    assert_int_equal(put.retired_version_id, 0);
    assert_int_equal(put.change, store_last_change(f->store));
    fixture_reopen(f);
    assert_int_equal(store_document_get(f->store, f->collection, "가/나.txt", &arena, &d, NULL),
                     RAG_OK);
    assert_string_equal(d.name, "가/나.txt");
    assert_string_equal(d.title, "title");
    assert_string_equal(d.mime, "text/plain");
    assert_string_equal(d.metadata, "{\"year\":2024}");
    assert_int_equal(d.version_id, put.version_id);
    assert_int_equal(d.text_bytes, 3);
    assert_int_equal(d.n_chunks, 3);
    assert_int_equal(store_document_text(f->store, f->collection, "가/나.txt", &text, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(text, "xyz", 3);
    free(text);
    arena_release(&arena);
}

static void what_is_not_there_is_said_to_be_missing(void **state)
{
    struct fixture *f = *state;
    struct store_collection c;
    struct rag_error error;
    struct store_document d;
    struct arena arena;
    char *text = NULL;
    uint64_t change;
    uint64_t version;
    size_t n;

    arena_init(&arena, 1u << 20);
    assert_int_equal(store_document_get(f->store, f->collection, "no", &arena, &d, &error),
                     RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "'no'"));
    assert_int_equal(store_document_text(f->store, f->collection, "no", &text, &n, &error),
                     RAG_ENOTFOUND);
    assert_int_equal(
        store_document_delete(f->store, f->collection, "no", "uid:1", &change, &version, &error),
        RAG_ENOTFOUND);
    assert_int_equal(store_collection_get(f->store, "none", &arena, &c, &error), RAG_ENOTFOUND);
    assert_int_equal(store_collection_delete(f->store, "none", "uid:1", &change, &error),
                     RAG_ENOTFOUND);
    assert_int_equal(put_text(f->store, 4711, "x", "a", NULL, NULL, NULL, &error), RAG_ENOTFOUND);
    assert_int_equal(store_last_change(f->store), 0);
    arena_release(&arena);
}

static void list_pages_by_name(void **state)
{
    struct fixture *f = *state;
    struct store_document *page;
    struct arena arena;
    char after[16] = "";
    char seen[32] = "";
    size_t n;

    arena_init(&arena, 1u << 20);
    replay(f, "c=x a=x e=x b=x d=x");
    do {
        assert_int_equal(
            store_document_list(f->store, f->collection, after, 2, &arena, &page, &n, NULL),
            RAG_OK);
        for (size_t i = 0; i < n; i++) {
            strcat(seen, page[i].name);
            snprintf(after, sizeof after, "%s", page[i].name);
        }
        strcat(seen, "|");
    } while (n == 2);
    assert_string_equal(seen, "ab|cd|e|");
    arena_release(&arena);
}

static void passages_keep_the_order_asked_for(void **state)
{
    struct fixture *f = *state;
    struct store_passage *p;
    struct arena arena;
    uint64_t ids[3] = {0};
    uint64_t ask[4];
    size_t n;

    arena_init(&arena, 1u << 20);
    put_text(f->store, f->collection, "x", "abc", NULL, ids, NULL, NULL);
    put_ok(f, "y", "b");
    memcpy(ask, (uint64_t[]){ids[2], 99999, ids[0], ids[1]}, sizeof ask);
    assert_int_equal(store_passages(f->store, ask, 4, &arena, &p, &n, NULL), RAG_OK);
    assert_int_equal(n, 3);
    assert_string_equal(p[0].text, "c");
    assert_string_equal(p[1].text, "a");
    assert_string_equal(p[2].text, "b");
    assert_int_equal(p[0].byte_start, 2);
    assert_int_equal(p[0].byte_end, 3);
    assert_int_equal(p[2].n_owners, 2);
    assert_string_equal(p[2].document, "x");
    delete_ok(f, "x");
    assert_int_equal(store_passages(f->store, ask, 4, &arena, &p, &n, NULL), RAG_OK);
    assert_int_equal(n, 1);
    assert_string_equal(p[0].document, "y");
    arena_release(&arena);
}

static void big_document_is_staged_and_published_whole(void **state)
{
    struct fixture *f = *state;
    size_t n = STAGE_SLICE_CHUNKS * 3 + 7;
    char *text = malloc(n + 1);
    uint64_t *ids = calloc(n, sizeof *ids);
    struct store_put_result first;
    struct store_put_result second;
    struct store_document d;
    struct arena arena;

    arena_init(&arena, 1u << 20);
    assert_true(text && ids);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('!' + i % 90);
    text[n] = '\0';
    assert_int_equal(put_text(f->store, f->collection, "x", text, NULL, ids, &first, NULL), RAG_OK);
    assert_int_equal(ids[0], ids[90]); /* the same content across slices is one chunk */
    assert_int_equal(put_text(f->store, f->collection, "x", text, NULL, ids, &second, NULL),
                     RAG_OK);
    assert_int_equal(second.retired_version_id, first.version_id);
    assert_int_equal(store_document_get(f->store, f->collection, "x", &arena, &d, NULL), RAG_OK);
    assert_int_equal(d.n_chunks, n);
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"), 90);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM version_chunks"), n);
    delete_ok(f, "x");
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"), 0);
    free(text);
    free(ids);
    arena_release(&arena);
}

/* ---- collections and changes ---- */

static void collection_goes_with_its_documents(void **state)
{
    struct fixture *f = *state;
    struct store_collection c;
    struct store_collection *list;
    struct arena arena;
    int64_t old = f->collection;
    uint64_t change;
    size_t n;

    arena_init(&arena, 1u << 20);
    replay(f, "x=abc y=cd");
    assert_int_equal(store_collection_get(f->store, "books", &arena, &c, NULL), RAG_OK);
    assert_int_equal(c.n_documents, 2);
    assert_int_equal(c.generation, 2);
    assert_string_equal(c.binding, "analyzer 1");
    assert_int_equal(store_collection_delete(f->store, "books", "uid:1", &change, NULL), RAG_OK);
    assert_int_equal(change, 3);
    assert_int_equal(store_collection_list(f->store, &arena, &list, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    assert_int_equal(put_text(f->store, old, "z", "a", NULL, NULL, NULL, NULL), RAG_ENOTFOUND);
    f->collection = make_collection(f->store, "books");
    assert_int_not_equal(f->collection, old); /* an id never comes back */
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"), 0);
    arena_release(&arena);
}

static enum rag_status note_change(void *context, const struct store_change *c,
                                   struct rag_error *reterr)
{
    char *out = context;
    size_t n = strlen(out);

    (void)reterr;
    snprintf(out + n, 256 - n, "%llu%s%s%c ", (unsigned long long)c->change, c->collection,
             c->document, "pdc"[c->kind]);
    return RAG_OK;
}

static void changes_tell_what_happened_in_order(void **state)
{
    struct fixture *f = *state;
    char got[256] = "";
    uint64_t change;

    replay(f, "x=a y=b x-");
    assert_int_equal(store_collection_delete(f->store, "books", "uid:1", &change, NULL), RAG_OK);
    fixture_reopen(f);
    assert_int_equal(store_last_change(f->store), 4);
    assert_int_equal(store_changes_since(f->store, 1, note_change, got, NULL), RAG_OK);
    assert_string_equal(got, "2booksyp 3booksxd 4booksc ");
}

/* ---- opening ---- */

static void second_daemon_is_told_who_holds_the_state(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.state_dir = f->dir};
    struct store *second = NULL;
    struct rag_error error;
    char pid[32];

    assert_int_equal(store_open(&options, &second, &error), RAG_EEXIST);
    assert_null(second);
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    assert_non_null(strstr(error.text, pid));
    assert_non_null(strstr(error.text, f->dir));
}

struct damage {
    const char *name;
    const char *sql;  /* done to ragd.db while it is closed, or NULL */
    const char *file; /* overwrites its first bytes, or NULL */
    enum rag_status want;
    const char *want_text;
};

static struct damage damages[] = {
    {"a newer format is refused with both numbers", "PRAGMA user_version=99",  NULL,                                RAG_EFORMAT,
     "99"                                                                                                                                 },
    {"a file that is no database is refused",       NULL,                      "this is not a database at all, no",
     RAG_EFORMAT,                                                                                                                "ragd.db"},
    {"a database of another program is refused",    "PRAGMA application_id=1", NULL,                                RAG_EFORMAT,
     "application"                                                                                                                        },
};

static void check_damage(void **state)
{
    const struct damage *row = *state;
    struct store_options options = {0};
    struct rag_error error = {RAG_OK, ""};
    void *fixture = NULL;
    struct store *store = NULL;
    struct fixture *f;
    char path[128];

    fixture_setup(&fixture);
    f = fixture;
    put_ok(f, "x", "abc");
    store_close(f->store);
    f->store = NULL;
    if (row->sql)
        run_sql(f->dir, "ragd.db", row->sql);
    if (row->file) {
        FILE *file;

        snprintf(path, sizeof path, "%s/ragd.db", f->dir);
        file = fopen(path, "r+");
        assert_non_null(file);
        fputs(row->file, file);
        fclose(file);
    }
    options.state_dir = f->dir;
    assert_int_equal(store_open(&options, &store, &error), row->want);
    assert_non_null(strstr(error.text, row->want_text));
    fixture_teardown(&fixture);
}

static void a_damaged_page_after_a_crash_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.state_dir = f->dir};
    struct store *store = NULL;
    struct rag_error error = {RAG_OK, ""};
    char path[128];
    FILE *file;

    for (char name[2] = "a"; name[0] <= 'z'; name[0]++)
        put_ok(f, name, "the same letters again and again");
    store_close(f->store);
    f->store = NULL;
    snprintf(path, sizeof path, "%s/ragd.db", f->dir);
    file = fopen(path, "r+");
    assert_non_null(file);
    for (long page = 1; page < 12; page++) { /* cell counts that no page can hold */
        assert_int_equal(fseek(file, page * 4096 + 3, SEEK_SET), 0);
        fputs("\x7f\x7f", file);
    }
    fclose(file);
    snprintf(path, sizeof path, "%s/lock", f->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("1234\n", file); /* as kill -9 leaves it */
    fclose(file);
    assert_int_equal(store_open(&options, &store, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "ragd.db"));
}

static void staged_rows_of_a_crash_are_reclaimed_at_open(void **state)
{
    struct fixture *f = *state;

    put_ok(f, "x", "ab");
    store_close(f->store);
    f->store = NULL;
    run_sql(f->dir, "ragd.db", "UPDATE versions SET state=0; DELETE FROM documents");
    f->store = open_store(f->dir);
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"), 0);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM versions"), 0);
}

static void chunk_pages_walk_through_what_is_visible(void **state)
{
    struct fixture *f = *state;
    struct store_passage *page;
    struct arena arena;
    uint64_t after = 0;
    char seen[32] = "";
    size_t n;

    put_ok(f, "x", "abc");
    put_ok(f, "y", "cde");
    put_ok(f, "z", "f");
    delete_ok(f, "z");
    delete_ok(f, "x");
    arena_init(&arena, 1u << 20);
    do {
        assert_int_equal(
            store_chunk_page(f->store, f->collection, after, 2, &arena, &page, &n, NULL), RAG_OK);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(page[i].document, "y");
            assert_true(page[i].id > after);
            after = page[i].id;
            strncat(seen, page[i].text, 1);
        }
    } while (n == 2);
    assert_string_equal(seen, "cde");
    assert_int_equal(store_chunk_page(f->store, f->collection + 1, 0, 2, &arena, &page, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, 0);
    arena_release(&arena);
}

static void versions_and_generation_come_from_one_look(void **state)
{
    static const char *const names[] = {"x", "nowhere", "y"};
    struct store_put_result x;
    struct store_put_result y;
    struct fixture *f = *state;
    uint64_t generation = 99;
    uint64_t versions[3];
    uint64_t change;

    put_ok(f, "x", "abc");
    assert_int_equal(put_text(f->store, f->collection, "x", "abcd", NULL, NULL, &x, NULL), RAG_OK);
    assert_int_equal(put_text(f->store, f->collection, "y", "a", NULL, NULL, &y, NULL), RAG_OK);
    assert_int_equal(
        store_document_versions(f->store, f->collection, names, 3, versions, &generation, NULL),
        RAG_OK);
    assert_int_equal(versions[0], x.version_id);
    assert_int_equal(versions[1], 0);
    assert_int_equal(versions[2], y.version_id);
    assert_int_equal(generation, 3);
    assert_int_equal(store_collection_delete(f->store, "books", "uid:1", &change, NULL), RAG_OK);
    assert_int_equal(
        store_document_versions(f->store, f->collection, names, 0, NULL, &generation, NULL),
        RAG_ENOTFOUND);
    assert_int_equal(generation, 3);
}

int main(void)
{
    struct CMUnitTest tests[32 + COUNT(histories)];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(histories); i++)
        tests[n++] =
            (struct CMUnitTest){histories[i].name, check_history, NULL, NULL, &histories[i]};
    for (size_t i = 0; i < COUNT(damages); i++)
        tests[n++] = (struct CMUnitTest){damages[i].name, check_damage, NULL, NULL, &damages[i]};
#define WITH_STORE(f) tests[n++] = (struct CMUnitTest){#f, f, fixture_setup, fixture_teardown, NULL}
    WITH_STORE(document_comes_back_as_it_was_put);
    WITH_STORE(what_is_not_there_is_said_to_be_missing);
    WITH_STORE(list_pages_by_name);
    WITH_STORE(chunk_pages_walk_through_what_is_visible);
    WITH_STORE(versions_and_generation_come_from_one_look);
    WITH_STORE(passages_keep_the_order_asked_for);
    WITH_STORE(big_document_is_staged_and_published_whole);
    WITH_STORE(collection_goes_with_its_documents);
    WITH_STORE(changes_tell_what_happened_in_order);
    WITH_STORE(second_daemon_is_told_who_holds_the_state);
    WITH_STORE(a_damaged_page_after_a_crash_is_refused);
    WITH_STORE(staged_rows_of_a_crash_are_reclaimed_at_open);
    return _cmocka_run_group_tests("store", tests, n, NULL, NULL);
}
