/* Goal: what was kept is there after a restart as far as it is still true; a file that is damaged,
 * foreign or of another state is begun anew, and what people reported is on the disk when the call
 * returns. Method: caches that are opened again, copies of the file taken while it is open, and
 * damage done to the file. */
#include "cache_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "cache/answer_cache_internal.h"

static const float north[CACHE_DIM] = {1, 0, 0, 0};

static size_t n_entries(const struct cache_test *t)
{
    struct answer_cache_stats stats;

    answer_cache_stats(t->cache, &stats);
    return stats.n;
}

/* Open again and say why the file was begun anew ("" when it was not). */
static void reopen_why(struct cache_test *t, char why[256])
{
    struct rag_error error = {RAG_OK, ""};

    answer_cache_close(t->cache); /* NULL: it is closed */
    t->cache = NULL;
    if (answer_cache_open(&t->options, &t->cache, why, &error) != RAG_OK)
        fail_msg("answer_cache_open: %s", error.text);
}

static void entries_come_back_as_they_were(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_key refused = key_of(t, "refused");
    struct answer_cached before = {0};
    struct answer_cached after = {0};
    char why[256];

    put_ok(&t->f, "x", "abc");
    put_ok(&t->f, "y", "abc");
    put_answer(t, &key, &(struct answer){.documents = "x,y", .payload = "{\"a\":\"\\u0000\"}"});
    put_answer(t, &refused, &(struct answer){.documents = "", .refused = true});
    assert_int_equal(find(t, &key, &before), CACHE_HIT);
    reopen_why(t, why);
    assert_string_equal(why, "");
    assert_int_equal(n_entries(t), 2);
    assert_int_equal(find(t, &key, &after), CACHE_HIT);
    assert_string_equal(after.payload, before.payload);
    assert_string_equal(after.question, before.question);
    assert_int_equal(after.id, before.id);
    assert_int_equal(after.created_ms, before.created_ms);
    assert_int_equal(after.n_chunks, before.n_chunks);
    assert_memory_equal(after.chunks, before.chunks, before.n_chunks * sizeof *before.chunks);
    answer_cached_release(&before);
    answer_cached_release(&after);
    assert_int_equal(look(t, &refused), CACHE_HIT);
    put_ok(&t->f, "y", "abd");
    cache_reopen(t);
    assert_int_equal(look(t, &key), CACHE_MISS);
    assert_int_equal(look(t, &refused), CACHE_MISS);
    cache_reopen(t);
    assert_int_equal(n_entries(t), 0);
}

static void similar_questions_are_found_after_a_restart(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, "대한민국의 수도는 어디인가");
    struct cache_key again = key_of(t, "수도는 대한민국의 어디인가");
    struct term_list terms = {0};
    float idf[QUERY_TERMS_MAX];
    struct cache_meaning by_vector = {.vector = north, .dim = CACHE_DIM};
    struct cache_meaning by_terms = {.terms = &terms, .idf = idf};
    const struct cache_meaning *meanings[] = {&by_vector, &by_terms};

    for (size_t i = 0; i < COUNT(idf); i++)
        idf[i] = 1;
    assert_int_equal(analyzer_question(t->analyzer, again.question, strlen(again.question), &terms),
                     RAG_OK);
    for (size_t i = 0; i < COUNT(meanings); i++) {
        struct cache_put put = {
            .question = asked.question, .payload = "a", .payload_bytes = 1, .meaning = meanings[i]};
        enum cache_verdict verdict = CACHE_MISS;
        struct answer_cached a = {0};

        assert_int_equal(answer_cache_put(t->cache, &asked, &put, NULL), RAG_OK);
        cache_reopen(t);
        assert_int_equal(
            answer_cache_find_similar(t->cache, &again, meanings[i], NULL, &verdict, &a, NULL),
            RAG_OK);
        assert_int_equal(verdict, CACHE_HIT);
        assert_true(a.similarity > 0.99F);
        answer_cached_release(&a);
    }
    term_list_release(&terms);
}

static void the_order_of_use_outlives_a_restart(void **state)
{
    struct cache_test *t = *state;
    struct cache_key keys[4];
    static const char *const questions[] = {"a", "b", "c", "d"};

    for (size_t i = 0; i < COUNT(keys); i++) {
        keys[i] = key_of(t, questions[i]);
        put_answer(t, &keys[i], &(struct answer){.documents = ""});
        usleep(2000);
    }
    assert_int_equal(look(t, &keys[0]), CACHE_HIT);
    t->options.entries_max = 2;
    cache_reopen(t);
    assert_int_equal(n_entries(t), 2);
    assert_int_equal(look(t, &keys[0]), CACHE_HIT);
    assert_int_equal(look(t, &keys[3]), CACHE_HIT);
    cache_reopen(t);
    answer_cache_close(t->cache);
    t->cache = NULL;
    assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT count(*) FROM entries"), 2);
}

static void ids_are_not_used_again(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cached a = {0};
    uint64_t id;
    size_t n;

    put_answer(t, &key, &(struct answer){.documents = ""});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    id = a.id;
    answer_cached_release(&a);
    assert_int_equal(answer_cache_clear(t->cache, 0, &n, NULL), RAG_OK);
    cache_reopen(t);
    put_answer(t, &key, &(struct answer){.documents = ""});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    assert_true(a.id > id);
    answer_cached_release(&a);
}

static void entries_of_a_collection_that_is_gone_are_left_out(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    uint64_t change;

    put_answer(t, &key, &(struct answer){.documents = ""});
    answer_cache_close(t->cache);
    assert_int_equal(store_collection_delete(t->f.store, "books", "uid:1", &change, NULL), RAG_OK);
    cache_open(t);
    assert_int_equal(n_entries(t), 0);
}

/* ---- age ---- */

static enum rag_status nothing_entry(void *context, const struct cache_row *row)
{
    (void)context;
    (void)row;
    return RAG_OK;
}

static enum rag_status nothing_report(void *context, const struct cache_report_row *report)
{
    (void)context;
    (void)report;
    return RAG_OK;
}

/* A row of an answer that was made at this time, past the cache. */
static void store_made_at(struct cache_test *t, int64_t created_ms)
{
    struct cache_rows_options options = {
        .path = t->path, .entry = nothing_entry, .report = nothing_report};
    struct cache_key key = key_of(t, "question");
    struct cache_put put = {.question = "question", .payload = "a", .payload_bytes = 1};
    struct sparse_vector terms = {NULL, NULL, 0};
    struct cache_rows *rows = NULL;
    struct cache_row row;
    struct entry *e = NULL;
    struct buf body;
    char *data = NULL;
    char why[256];
    uint64_t last_id;
    size_t n = 0;

    buf_init(&body, 65536);
    assert_int_equal(entry_new(&key, &put, &terms, 65536, &e), RAG_OK);
    e->created_ms = created_ms;
    entry_encode(e, NULL, 0, &body);
    assert_int_equal(buf_take(&body, &data, &n), RAG_OK);
    assert_int_equal(cache_rows_open(&options, &rows, &last_id, why, NULL), RAG_OK);
    row = (struct cache_row){1, t->f.collection, 1, data, n};
    assert_true(cache_rows_put(rows, &row, data, &(struct cache_moment){0, 0}));
    assert_int_equal(cache_rows_flush(rows, NULL), RAG_OK);
    cache_rows_close(rows);
    entry_unref(e);
}

struct age {
    const char *name;
    int64_t ms; /* negative: the clock was set back since */
    int64_t ttl_ms;
    size_t want;
};

static struct age ages[] = {
    {"a young entry is there",                          60000,    3600000, 1},
    {"an old one is not",                               3600000,  3600000, 0},
    {"one of tomorrow is of unknown age and not there", -3600000, 3600000, 0},
    {"without a time to live age does not matter",      3600000,  0,       1},
    {"nor does tomorrow",                               -3600000, 0,       1},
};

static void check_age(void **state)
{
    const struct age *age = *state;
    struct cache_test *t = NULL;

    cache_setup((void **)&t);
    answer_cache_close(t->cache);
    store_made_at(t, clock_wall_ms() - age->ms);
    t->options.ttl_ms = age->ttl_ms;
    cache_open(t);
    assert_int_equal(n_entries(t), age->want);
    cache_teardown((void **)&t);
}

static void the_rest_of_a_life_counts_after_a_restart(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");

    answer_cache_close(t->cache);
    store_made_at(t, clock_wall_ms() - 3600000);
    t->options.ttl_ms = 3600000 + 60;
    cache_open(t);
    usleep(70000);
    assert_int_equal(look(t, &key), CACHE_MISS);
}

/* Either clock alone makes an entry old; the one that stepped back does not make it young. */
static void both_clocks_are_asked(void **state)
{
    struct entry e = {.created_ms = 1000, .expires_ns = 5000000};

    (void)state;
    assert_false(entry_expired(&e, 10, 1005, 1000000));
    assert_true(entry_expired(&e, 10, 1010, 1000000));
    assert_true(entry_expired(&e, 10, 500, 5000000));
    assert_false(entry_expired(&e, 10, 500, 1000000));
    assert_false(entry_expired(&e, 0, 99999, 9000000));
}

/* ---- damage ---- */

static void overwrite(const struct cache_test *t, off_t at, const void *data, size_t n)
{
    int fd = open(t->path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, n, at), n);
    close(fd);
}

static void garbage(struct cache_test *t)
{
    char noise[8192];

    memset(noise, 0x5A, sizeof noise);
    overwrite(t, 0, noise, sizeof noise);
}

static void damaged_pages(struct cache_test *t)
{
    char noise[3000];

    memset(noise, 0xA5, sizeof noise);
    overwrite(t, 4096, noise, sizeof noise);
    overwrite(t, 2 * 4096, noise, sizeof noise);
}

static void cut_in_half(struct cache_test *t)
{
    assert_int_equal(truncate(t->path, 8192 + 100), 0);
}

static void newer_version(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "PRAGMA user_version=99");
}

static void of_another_program(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "PRAGMA application_id=17");
}

static void without_meta(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "DELETE FROM meta");
}

static void of_a_later_state(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "UPDATE meta SET change=1000000");
}

static void of_another_history(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "UPDATE meta SET change_ms=change_ms-1");
}

static void without_a_table(struct cache_test *t)
{
    run_sql(t->f.dir, "cache.db", "DROP TABLE reports");
}

struct damage {
    const char *name;
    void (*damage)(struct cache_test *t);
    const char *why; /* part of it */
};

static struct damage damages[] = {
    {"garbage",                                     garbage,            "not a database"  },
    {"pages of garbage",                            damaged_pages,      "cache.db"        },
    {"a file cut in half",                          cut_in_half,        "cache.db"        },
    {"a newer version",                             newer_version,      "format 99"       },
    {"a file of another program",                   of_another_program, "another program" },
    {"a file without its row of numbers",           without_meta,       "cache.db"        },
    {"a file that knows changes to come",           of_a_later_state,   "of another state"},
    {"a file of other changes of the same numbers", of_another_history, "of another state"},
    {"a file that lacks a table",                   without_a_table,    "no such table"   },
};

/* Begun anew, said, and of use from then on. */
static void check_damage(void **state)
{
    const struct damage *d = *state;
    struct cache_test *t = NULL;
    struct cache_key key;
    char why[256] = "";

    cache_setup((void **)&t);
    key = key_of(t, "question");
    put_ok(&t->f, "x", "abc");
    put_answer(t, &key, &(struct answer){.documents = "x"});
    answer_cache_close(t->cache);
    t->cache = NULL;
    d->damage(t);
    reopen_why(t, why);
    if (!strstr(why, d->why))
        fail_msg("why: \"%s\"", why);
    assert_int_equal(n_entries(t), 0);
    put_answer(t, &key, &(struct answer){.documents = "x"});
    reopen_why(t, why);
    assert_string_equal(why, "");
    assert_int_equal(look(t, &key), CACHE_HIT);
    cache_teardown((void **)&t);
}

static void a_changed_row_is_left_out_alone(void **state)
{
    static const char *const changes[] = {
        "UPDATE entries SET body=CAST(replace(CAST(body AS TEXT), 'first', 'fIrst') AS BLOB)"
        " WHERE id=1",
        "UPDATE entries SET body=zeroblob(length(body)) WHERE id=1",
        "UPDATE entries SET collection_id=collection_id+1 WHERE id=1",
        "UPDATE entries SET sum=x'00' WHERE id=1",
        "UPDATE entries SET body=x'', sum=x'' WHERE id=1",
        "UPDATE entries SET body=17 WHERE id=1",
    };

    for (size_t i = 0; i < COUNT(changes); i++) {
        struct cache_test *t = NULL;
        struct cache_key first;
        struct cache_key second;
        char why[256];

        cache_setup((void **)&t);
        first = key_of(t, "first");
        second = key_of(t, "second");
        put_answer(t, &first, &(struct answer){.documents = ""});
        put_answer(t, &second, &(struct answer){.documents = ""});
        answer_cache_close(t->cache);
        t->cache = NULL;
        run_sql(t->f.dir, "cache.db", changes[i]);
        reopen_why(t, why);
        assert_string_equal(why, "");
        assert_int_equal(look(t, &first), CACHE_MISS);
        assert_int_equal(look(t, &second), CACHE_HIT);
        assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT count(*) FROM entries"), 1);
        cache_teardown((void **)&t);
    }
    (void)state;
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    struct cache_test *t = *state;
    struct rag_error error = {RAG_OK, ""};
    struct answer_cache *cache = NULL;

    t->options.path = t->f.dir;
    assert_int_equal(answer_cache_open(&t->options, &cache, NULL, &error), RAG_EIO);
    assert_null(cache);
    assert_true(error.text[0] != '\0');
}

/* ---- durable when it returns ---- */

static void copy_file(const char *from, const char *to)
{
    char command[512];

    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* What a crash now would leave behind, as a cache of its own. */
static void open_as_after_a_crash(const struct cache_test *t, struct cache_test *ret)
{
    static const char *const endings[] = {"", "-wal"};
    char from[200];
    char to[200];

    *ret = *t;
    snprintf(ret->path, sizeof ret->path, "%s/crashed.db", t->f.dir);
    for (size_t i = 0; i < COUNT(endings); i++) {
        snprintf(from, sizeof from, "%s%s", t->path, endings[i]);
        snprintf(to, sizeof to, "%s%s", ret->path, endings[i]);
        copy_file(from, to);
    }
    ret->options.path = ret->path;
    cache_open(ret);
}

static void reports_are_there_after_a_crash(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_hit hit = {.kind = CACHE_SEMANTIC, .similarity = 0.85F};
    struct answer_cached a = {0};
    struct cache_test crashed;
    double threshold;

    put_answer(t, &key, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    for (int i = 0; i < 40; i++) {
        hit.similarity = 0.85F + (float)i * 0.0005F; /* another question each */
        assert_int_equal(answer_cache_feedback(t->cache, &hit, NULL, false, NULL), RAG_OK);
    }
    threshold = answer_cache_threshold(t->cache, t->f.collection);
    assert_true(threshold > 0.85);
    open_as_after_a_crash(t, &crashed);
    assert_true(answer_cache_threshold(crashed.cache, t->f.collection) == threshold);
    answer_cache_close(crashed.cache);
    remove(crashed.path);
    /* and so is that an answer is wrong */
    hit.kind = CACHE_EXACT;
    assert_int_equal(answer_cache_feedback(t->cache, &hit, NULL, false, NULL), RAG_OK);
    open_as_after_a_crash(t, &crashed);
    assert_int_equal(n_entries(&crashed), 0);
    answer_cache_close(crashed.cache);
}

static void what_was_cleared_does_not_come_back_after_a_crash(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_test crashed;
    size_t n = 0;

    put_answer(t, &key, &(struct answer){.documents = ""});
    assert_int_equal(cache_rows_flush(t->cache->rows, NULL), RAG_OK);
    open_as_after_a_crash(t, &crashed);
    assert_int_equal(n_entries(&crashed), 1);
    answer_cache_close(crashed.cache);
    remove(crashed.path);
    assert_int_equal(answer_cache_clear(t->cache, t->f.collection, &n, NULL), RAG_OK);
    assert_int_equal(n, 1);
    open_as_after_a_crash(t, &crashed);
    assert_int_equal(n_entries(&crashed), 0);
    answer_cache_close(crashed.cache);
}

static void reports_of_a_collection_go_with_it(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_hit hit = {.kind = CACHE_SEMANTIC, .similarity = 0.85F};
    struct answer_cached a = {0};

    put_answer(t, &key, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    for (int i = 0; i < 40; i++) {
        hit.similarity = 0.85F + (float)i * 0.0005F; /* another question each */
        assert_int_equal(answer_cache_feedback(t->cache, &hit, NULL, false, NULL), RAG_OK);
    }
    assert_int_equal(answer_cache_collection_deleted(t->cache, t->f.collection), 1);
    assert_true(answer_cache_threshold(t->cache, t->f.collection) == 0.8);
    answer_cache_close(t->cache);
    t->cache = NULL;
    assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT count(*) FROM reports"), 0);
}

static void only_the_latest_reports_are_kept(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_hit hit = {.kind = CACHE_SEMANTIC, .similarity = 0.85F};
    struct answer_cached a = {0};
    int64_t n;

    put_answer(t, &key, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    for (int i = 0; i < CACHE_OBSERVATIONS_MAX + 20; i++) {
        hit.similarity = (float)i / (CACHE_OBSERVATIONS_MAX + 20); /* another question each */
        assert_int_equal(answer_cache_feedback(t->cache, &hit, NULL, true, NULL), RAG_OK);
    }
    n = query_number(t->f.dir, "cache.db", "SELECT count(*) FROM reports");
    assert_int_equal(n, CACHE_OBSERVATIONS_MAX);
    cache_reopen(t);
    assert_int_equal(t->cache->books->n_reports, CACHE_OBSERVATIONS_MAX);
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_costs_rows_and_no_answers(void **state)
{
    struct cache_test *t = *state;
    struct rag_error error = {RAG_OK, ""};
    struct cache_key first = key_of(t, "first");
    struct cache_key second = key_of(t, "second");
    struct cache_hit hit = {.kind = CACHE_SEMANTIC, .similarity = 0.85F};
    struct answer_cached a = {0};
    struct rlimit before;
    struct rlimit limit;
    size_t n = 0;

    put_answer(t, &first, &(struct answer){.documents = ""});
    assert_int_equal(cache_rows_flush(t->cache->rows, NULL), RAG_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){1000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put_answer(t, &second, &(struct answer){.documents = ""});
    assert_int_equal(find(t, &second, &a), CACHE_HIT);
    assert_int_equal(look(t, &first), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    assert_int_equal(answer_cache_feedback(t->cache, &hit, NULL, true, &error), RAG_ENOSPC);
    assert_int_equal(answer_cache_clear(t->cache, 0, &n, &error), RAG_ENOSPC);
    assert_int_equal(n, 2);
    assert_int_equal(look(t, &first), CACHE_MISS);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    /* there is room again: what was said and what takes away is written, the row is not there */
    assert_int_equal(answer_cache_clear(t->cache, 0, &n, &error), RAG_OK);
    assert_int_equal(n, 0);
    assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT count(*) FROM entries"), 0);
    assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT count(*) FROM reports"), 1);
    assert_int_equal(query_number(t->f.dir, "cache.db", "SELECT last_id FROM meta"), 1);
}

/* ---- hostile rows ---- */

static void no_prefix_of_a_row_is_a_row(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    const struct cache_document documents[] = {
        {"x",  1},
        {"yy", 2}
    };
    uint64_t chunks[] = {1, 2};
    uint64_t ids[] = {3, 9};
    float values[] = {0.6F, 0.8F};
    struct sparse_vector terms = {ids, values, 2};
    struct cache_put put = {.question = "Question?",
                            .payload = "payload",
                            .payload_bytes = 7,
                            .documents = documents,
                            .n_documents = 2,
                            .chunks = chunks,
                            .n_chunks = 2};
    float *vector = calloc(EMBEDDING_DIM_MAX, sizeof *vector);
    struct entry *e = NULL;
    struct entry *back = NULL;
    size_t dim = 0;
    struct buf body;

    assert_non_null(vector);
    buf_init(&body, 65536);
    assert_int_equal(entry_new(&key, &put, &terms, 65536, &e), RAG_OK);
    entry_encode(e, north, CACHE_DIM, &body);
    for (size_t n = 0; n < body.len; n++) {
        char *exact = malloc(n + 1); /* so that a byte too many is seen */

        assert_non_null(exact);
        memcpy(exact, body.data, n);
        exact[n] = 0;
        assert_int_equal(entry_decode(exact, n, 1, &back, vector, &dim), RAG_EFORMAT);
        free(exact);
    }
    buf_append_char(&body, 'x');
    assert_int_equal(entry_decode(body.data, body.len, 1, &back, vector, &dim), RAG_EFORMAT);
    assert_int_equal(entry_decode(body.data, body.len - 1, t->f.collection, &back, vector, &dim),
                     RAG_OK);
    assert_int_equal(dim, CACHE_DIM);
    assert_memory_equal(back->key, e->key, SHA256_BYTES);
    assert_string_equal(back->question, "Question?");
    assert_string_equal(back->documents[1].name, "yy");
    assert_int_equal(back->documents[1].version_id, 2);
    assert_int_equal(back->terms.n, 2);
    entry_unref(back);
    entry_unref(e);
    buf_release(&body);
    free(vector);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(ages) + COUNT(damages) + 24];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(ages); i++)
        tests[n++] = (struct CMUnitTest){ages[i].name, check_age, NULL, NULL, &ages[i]};
    for (size_t i = 0; i < COUNT(damages); i++)
        tests[n++] = (struct CMUnitTest){damages[i].name, check_damage, NULL, NULL, &damages[i]};
#define WITH_CACHE(f) tests[n++] = (struct CMUnitTest){#f, f, cache_setup, cache_teardown, NULL}
    WITH_CACHE(entries_come_back_as_they_were);
    WITH_CACHE(similar_questions_are_found_after_a_restart);
    WITH_CACHE(the_order_of_use_outlives_a_restart);
    WITH_CACHE(ids_are_not_used_again);
    WITH_CACHE(entries_of_a_collection_that_is_gone_are_left_out);
    WITH_CACHE(the_rest_of_a_life_counts_after_a_restart);
    WITH_CACHE(both_clocks_are_asked);
    WITH_CACHE(a_changed_row_is_left_out_alone);
    WITH_CACHE(a_file_that_cannot_be_opened_is_an_error);
    WITH_CACHE(reports_are_there_after_a_crash);
    WITH_CACHE(what_was_cleared_does_not_come_back_after_a_crash);
    WITH_CACHE(reports_of_a_collection_go_with_it);
    WITH_CACHE(only_the_latest_reports_are_kept);
    WITH_CACHE(a_full_disk_costs_rows_and_no_answers);
    WITH_CACHE(no_prefix_of_a_row_is_a_row);
    return _cmocka_run_group_tests("answer_cache_store", tests, n, NULL, NULL);
}
