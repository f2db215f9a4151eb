/* Goal: an answer is given to its own question, within its scope, as long as it is true, and to
 * nobody else. Method: a real store with small documents; what makes an answer stale is done to it
 * behind the cache's back, so that only the check within the lookup can notice. */
#include "cache_fixture.h"

#include "base/bounds.h"

/* ---- what happens between put and find ---- */

struct staleness {
    const char *name;
    const char *steps; /* "x=ab" puts document x, "x-" deletes it, "!" deletes and makes the
                          collection anew */
    const char *documents;
    bool refused;
    enum cache_verdict want[3]; /* by enum cache_expiry */
};

#define M CACHE_MISS
#define H CACHE_HIT
#define R CACHE_RECHECK
static struct staleness stalenesses[] = {
    {"nothing: it is given",                                "",          "x",   false, {H, H, H}},
    {"a cited document changed",                            "x=abd",     "x",   false, {M, M, M}},
    {"a cited document was deleted",                        "x-",        "x",   false, {M, M, M}},
    {"deleted and put again with the same text",            "x- x=abc",  "x",   false, {M, M, M}},
    {"changed and changed back",                            "x=d x=abc", "x",   false, {M, M, M}},
    {"one of two cited documents changed",                  "y=b",       "x,y", false, {M, M, M}},
    {"another document changed",                            "y=b",       "x",   false, {M, R, H}},
    {"a document was added",                                "z=new",     "x",   false, {M, R, H}},
    {"a document that is not cited was deleted",            "y-",        "x",   false, {M, R, H}},
    {"the collection was deleted and made anew",            "!",         "x",   false, {M, M, M}},
    {"and its document put again",                          "! x=abc",   "x",   false, {M, M, M}},
    {"a refusal in its generation",                         "",          "",    true,  {H, H, H}},
    {"a refusal after a document was added",                "z=new",     "",    true,  {M, M, M}},
    {"an answer that cites nothing, in its generation",     "",          "",    false, {H, H, H}},
    {"an answer that cites nothing, after any change",      "y=b",       "",    false, {M, M, M}},
    {"a refusal that cites, after a change of another one", "y=b",       "x",   true,  {M, M, M}},
};
#undef M
#undef H
#undef R

static void replay(struct cache_test *t, const char *steps)
{
    uint64_t change;
    char copy[64];
    char *rest = copy;
    char *step;

    snprintf(copy, sizeof copy, "%s", steps);
    while (*steps && (step = strsep(&rest, " ")) != NULL) {
        char name[2] = {step[0], '\0'};

        if (step[0] == '!') {
            assert_int_equal(store_collection_delete(t->f.store, "books", "uid:1", &change, NULL),
                             RAG_OK);
            t->f.collection = make_collection(t->f.store, "books");
        } else if (step[1] == '=') {
            put_ok(&t->f, name, step + 2);
        } else {
            delete_ok(&t->f, name);
        }
    }
}

static void check_staleness(void **state)
{
    const struct staleness *s = *state;

    for (int expiry = CACHE_EXPIRE_CHANGE; expiry <= CACHE_EXPIRE_TTL; expiry++) {
        struct answer_cache_stats stats;
        struct cache_test *t = NULL;
        struct cache_key key;

        cache_setup((void **)&t);
        t->options.expiry = (enum cache_expiry)expiry;
        cache_reopen(t);
        put_ok(&t->f, "x", "abc");
        put_ok(&t->f, "y", "a");
        key = key_of(t, "question");
        put_answer(t, &key, &(struct answer){.documents = s->documents, .refused = s->refused});
        replay(t, s->steps);
        assert_int_equal(look(t, &key), s->want[expiry]);
        answer_cache_stats(t->cache, &stats);
        assert_int_equal(stats.stale, s->want[expiry] == CACHE_MISS);
        assert_int_equal(stats.exact_hits, s->want[expiry] == CACHE_HIT);
        assert_int_equal(stats.n, s->want[expiry] != CACHE_MISS);
        cache_teardown((void **)&t);
    }
}

/* ---- the rest ---- */

static void a_hit_is_a_copy_of_what_was_put(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cache_stats stats;
    struct answer_cached a = {0};

    put_ok(&t->f, "x", "abc");
    assert_int_equal(look(t, &key), CACHE_MISS);
    put_answer(t, &key, &(struct answer){.documents = "x", .payload = "{\"answer\":1}"});
    assert_int_equal(find(t, &key, &a), CACHE_HIT);
    assert_string_equal(a.payload, "{\"answer\":1}");
    assert_int_equal(a.payload_bytes, strlen(a.payload));
    assert_string_equal(a.question, "question");
    assert_int_equal(a.kind, CACHE_EXACT);
    assert_true(a.similarity == 1);
    assert_int_equal(a.n_chunks, 3);
    assert_int_equal(a.chunks[0], 3);
    assert_int_equal(a.generation, 1);
    assert_true(a.created_ms > 0);
    answer_cached_release(&a);
    answer_cached_release(&a);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.exact_hits, 1);
    assert_int_equal(stats.misses, 1);
    assert_true(stats.saved_ms == 100);
}

static void nothing_crosses_scope_settings_or_collection(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key key = key_of(t, "question");
    struct cache_key keys[] = {
        cache_key_of(t->f.collection, 'v', 's', "question"),
        cache_key_of(t->f.collection, 'u', 't', "question"),
        cache_key_of(other, 'u', 's', "question"),
        cache_key_of(t->f.collection, 'u', 's', "question?"),
        cache_key_of(t->f.collection, 's', 'u', "question"),
    };

    put_ok(&t->f, "x", "abc");
    put_answer(t, &key, &(struct answer){.documents = "x"});
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(look(t, &keys[i]), CACHE_MISS);
    assert_int_equal(look(t, &key), CACHE_HIT);
}

static void a_document_that_changed_while_answering_leaves_no_entry(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cache_stats stats;
    struct cache_document document;
    struct cache_put put = {.question = "question",
                            .payload = "old",
                            .payload_bytes = 3,
                            .documents = &document,
                            .n_documents = 1};

    t->options.expiry = CACHE_EXPIRE_TTL;
    cache_reopen(t);
    put_ok(&t->f, "x", "abc");
    put.generation = generation_of(t);
    document = (struct cache_document){"x", version_of(t, "x")};
    put_ok(&t->f, "x", "abd");
    assert_int_equal(answer_cache_put(t->cache, &key, &put, NULL), RAG_OK);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.n, 0);
    assert_int_equal(look(t, &key), CACHE_MISS);
}

static void a_put_into_a_deleted_collection_leaves_no_entry(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cache_stats stats;
    struct cache_put put = {.question = "question", .payload = "old", .payload_bytes = 3};
    uint64_t change;

    put.generation = generation_of(t);
    assert_int_equal(store_collection_delete(t->f.store, "books", "uid:1", &change, NULL), RAG_OK);
    answer_cache_collection_deleted(t->cache, t->f.collection);
    assert_int_equal(answer_cache_put(t->cache, &key, &put, NULL), RAG_OK);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.n, 0);
}

static void the_answer_of_a_later_search_stays(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct cache_put late = {.question = "question", .payload = "old", .payload_bytes = 3};

    late.generation = generation_of(t);
    put_ok(&t->f, "x", "abc");
    put_answer(t, &key, &(struct answer){.documents = "x"});
    assert_int_equal(answer_cache_put(t->cache, &key, &late, NULL), RAG_OK);
    assert_int_equal(look(t, &key), CACHE_HIT);
}

static void a_change_takes_exactly_the_entries_that_cite_it(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key keys[] = {key_of(t, "cites x"), key_of(t, "cites x and y"),
                               key_of(t, "cites y"), key_of(t, "cites none")};
    static const char *const cited[] = {"x", "x,y", "y", ""};
    struct answer_cache_stats stats;

    put_ok(&t->f, "x", "abc");
    put_ok(&t->f, "y", "b");
    for (size_t i = 0; i < COUNT(keys); i++)
        put_answer(t, &keys[i], &(struct answer){.documents = cited[i]});
    assert_int_equal(answer_cache_document_changed(t->cache, other, "x"), 0);
    assert_int_equal(answer_cache_document_changed(t->cache, t->f.collection, "xy"), 0);
    assert_int_equal(answer_cache_document_changed(t->cache, t->f.collection, "x"), 2);
    assert_int_equal(answer_cache_document_changed(t->cache, t->f.collection, "x"), 0);
    assert_int_equal(look(t, &keys[0]), CACHE_MISS);
    assert_int_equal(look(t, &keys[1]), CACHE_MISS);
    assert_int_equal(look(t, &keys[2]), CACHE_HIT);
    assert_int_equal(look(t, &keys[3]), CACHE_HIT);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.invalidated, 2);
    assert_int_equal(stats.n, 2);
}

static void collections_go_and_are_cleared_alone(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key key = key_of(t, "question");
    struct cache_key elsewhere = cache_key_of(other, 'u', 's', "question");
    struct cache_put put = {.question = "question", .payload = "a", .payload_bytes = 1};
    size_t n = 0;

    for (int i = 0; i < 3; i++) {
        put_answer(t, &key, &(struct answer){.documents = ""});
        assert_int_equal(answer_cache_put(t->cache, &elsewhere, &put, NULL), RAG_OK);
        if (i == 0) {
            assert_int_equal(answer_cache_collection_deleted(t->cache, t->f.collection), 1);
        } else {
            assert_int_equal(answer_cache_clear(t->cache, i == 1 ? t->f.collection : 0, &n, NULL),
                             RAG_OK);
            assert_int_equal(n, i);
        }
        assert_int_equal(look(t, &key), CACHE_MISS);
        assert_int_equal(look(t, &elsewhere), i < 2 ? CACHE_HIT : CACHE_MISS);
    }
}

static void the_entry_used_longest_ago_goes_first(void **state)
{
    struct cache_test *t = *state;
    struct answer_cache_stats stats;
    char question[32];

    t->options.entries_max = 3;
    cache_reopen(t);
    put_ok(&t->f, "x", "abc");
    for (int i = 0; i < 4; i++) {
        struct cache_key first = key_of(t, "question 0");
        struct cache_key key;

        snprintf(question, sizeof question, "question %d", i);
        key = key_of(t, question);
        put_answer(t, &key, &(struct answer){.documents = "x"});
        assert_int_equal(look(t, &first), CACHE_HIT);
    }
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.n, 3);
    assert_int_equal(stats.evicted, 1);
    for (int i = 0; i < 4; i++) {
        struct cache_key key;

        snprintf(question, sizeof question, "question %d", i);
        key = key_of(t, question);
        assert_int_equal(look(t, &key), i == 1 ? CACHE_MISS : CACHE_HIT);
    }
}

static void bytes_stay_within_their_bound_and_come_back(void **state)
{
    struct cache_test *t = *state;
    struct answer_cache_stats empty;
    struct answer_cache_stats stats;
    char *payload = calloc(1, 100001);
    const float vector[CACHE_DIM] = {1, 0, 0, 0};
    char question[32];
    size_t n = 0;

    assert_non_null(payload);
    memset(payload, 'p', 100000);
    t->options.bytes_max = 1u << 20;
    cache_reopen(t);
    put_ok(&t->f, "x", "abc");
    answer_cache_stats(t->cache, &empty);
    for (int i = 0; i < 50; i++) {
        struct cache_key key;

        snprintf(question, sizeof question, "question %d", i);
        key = key_of(t, question);
        put_answer(t, &key,
                   &(struct answer){.documents = "x", .payload = payload, .vector = vector});
        answer_cache_stats(t->cache, &stats);
        assert_true(stats.bytes <= t->options.bytes_max);
    }
    assert_true(stats.n >= 8);
    assert_int_equal(stats.n + stats.evicted, 50);
    assert_int_equal(answer_cache_clear(t->cache, 0, &n, NULL), RAG_OK);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.bytes, empty.bytes);
    free(payload);
}

static void an_answer_over_a_quarter_of_the_bound_is_not_kept(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    char *payload = calloc(1, (1u << 20) + 1);

    assert_non_null(payload);
    memset(payload, 'p', 1u << 20);
    put_answer(t, &key, &(struct answer){.documents = "", .payload = payload});
    assert_int_equal(look(t, &key), CACHE_MISS);
    free(payload);
}

static void an_old_entry_is_not_given(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cache_stats stats;

    t->options.ttl_ms = 20;
    cache_reopen(t);
    put_answer(t, &key, &(struct answer){.documents = ""});
    usleep(30000);
    assert_int_equal(look(t, &key), CACHE_MISS);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.stale, 1);
    assert_int_equal(stats.n, 0);
}

static void what_was_checked_again_holds_for_that_generation(void **state)
{
    struct cache_test *t = *state;
    struct cache_key key = key_of(t, "question");
    struct answer_cache_stats stats;
    struct answer_cached a = {0};

    t->options.expiry = CACHE_EXPIRE_TOP_K;
    cache_reopen(t);
    put_ok(&t->f, "x", "abc");
    put_answer(t, &key, &(struct answer){.documents = "x"});
    put_ok(&t->f, "y", "b");
    assert_int_equal(find(t, &key, &a), CACHE_RECHECK);
    assert_int_equal(a.generation, 2);
    answer_cache_rechecked(t->cache, a.id, a.generation, true);
    answer_cached_release(&a);
    assert_int_equal(look(t, &key), CACHE_HIT);
    put_ok(&t->f, "y", "c");
    assert_int_equal(find(t, &key, &a), CACHE_RECHECK);
    answer_cache_rechecked(t->cache, a.id, a.generation, false);
    answer_cache_rechecked(t->cache, a.id, a.generation, true); /* too late: it is gone */
    answer_cached_release(&a);
    assert_int_equal(look(t, &key), CACHE_MISS);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.exact_hits, 2);
    assert_int_equal(stats.stale, 1);
}

struct listing {
    char text[256];
};

static void note(void *context, const struct cache_listed *e)
{
    struct listing *l = context;

    strcat(l->text, e->question);
    strcat(l->text, " ");
}

static void the_list_shows_what_one_may_see(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key keys[] = {cache_key_of(t->f.collection, 'u', 's', "mine"),
                               cache_key_of(t->f.collection, 'v', 's', "theirs"),
                               cache_key_of(other, 'u', 's', "elsewhere")};
    struct cache_view all[] = {
        {t->f.collection, NULL},
        {other,           NULL}
    };
    struct cache_view own = {t->f.collection, keys[0].scope};
    struct listing listing = {""};

    for (size_t i = 0; i < COUNT(keys); i++) {
        struct cache_put put = {.question = keys[i].question, .payload = "a", .payload_bytes = 1};

        assert_int_equal(answer_cache_put(t->cache, &keys[i], &put, NULL), RAG_OK);
    }
    assert_int_equal(answer_cache_list(t->cache, all, 2, 10, note, &listing, NULL), RAG_OK);
    assert_string_equal(listing.text, "elsewhere theirs mine ");
    listing.text[0] = '\0';
    assert_int_equal(answer_cache_list(t->cache, all, 2, 2, note, &listing, NULL), RAG_OK);
    assert_string_equal(listing.text, "elsewhere theirs ");
    listing.text[0] = '\0';
    assert_int_equal(answer_cache_list(t->cache, &own, 1, 10, note, &listing, NULL), RAG_OK);
    assert_string_equal(listing.text, "mine ");
}

struct bad_option {
    const char *name;
    struct answer_cache_options options;
};

static struct bad_option bad_options[] = {
    {"no entries",                       {.entries_max = 0}                                  },
    {"too many entries",                 {.entries_max = CACHE_ENTRIES_MAX + 1}              },
    {"a negative time to live",          {.entries_max = 1, .ttl_ms = -1}                    },
    {"a time to live beyond any clock",  {.entries_max = 1, .ttl_ms = INT64_MAX}             },
    {"a threshold above 1",              {.entries_max = 1, .threshold = 1.5}                },
    {"an error bound below 0",           {.entries_max = 1, .error_bound = -1}               },
    {"an error bound that is no number", {.entries_max = 1, .error_bound = __builtin_nan("")}},
};

static void check_bad_option(void **state)
{
    const struct bad_option *row = *state;
    struct rag_error error = {RAG_OK, ""};
    struct answer_cache *cache = NULL;

    assert_int_equal(answer_cache_open(&row->options, &cache, NULL, &error), RAG_EINVAL);
    assert_null(cache);
    assert_true(error.text[0] != '\0');
    answer_cache_close(NULL);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(stalenesses) + COUNT(bad_options) + 16];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(stalenesses); i++)
        tests[n++] =
            (struct CMUnitTest){stalenesses[i].name, check_staleness, NULL, NULL, &stalenesses[i]};
    for (size_t i = 0; i < COUNT(bad_options); i++)
        tests[n++] =
            (struct CMUnitTest){bad_options[i].name, check_bad_option, NULL, NULL, &bad_options[i]};
#define WITH_CACHE(f) tests[n++] = (struct CMUnitTest){#f, f, cache_setup, cache_teardown, NULL}
    WITH_CACHE(a_hit_is_a_copy_of_what_was_put);
    WITH_CACHE(nothing_crosses_scope_settings_or_collection);
    WITH_CACHE(a_document_that_changed_while_answering_leaves_no_entry);
    WITH_CACHE(a_put_into_a_deleted_collection_leaves_no_entry);
    WITH_CACHE(the_answer_of_a_later_search_stays);
    WITH_CACHE(a_change_takes_exactly_the_entries_that_cite_it);
    WITH_CACHE(collections_go_and_are_cleared_alone);
    WITH_CACHE(the_entry_used_longest_ago_goes_first);
    WITH_CACHE(bytes_stay_within_their_bound_and_come_back);
    WITH_CACHE(an_answer_over_a_quarter_of_the_bound_is_not_kept);
    WITH_CACHE(an_old_entry_is_not_given);
    WITH_CACHE(what_was_checked_again_holds_for_that_generation);
    WITH_CACHE(the_list_shows_what_one_may_see);
    return _cmocka_run_group_tests("answer_cache", tests, n, NULL, NULL);
}
