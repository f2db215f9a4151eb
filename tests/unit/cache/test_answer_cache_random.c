/* Goal: in 10,000 random operations under each expiry policy no answer is given that is stale, or
 * was made for another user or collection. Method: a model that knows nothing of the cache keeps a
 * stamp of each document's content and counts each collection's changes; an answer's payload holds
 * what the model said when it was made, and each one that is given is compared with what the model
 * says now. Half of the changes are not told to the cache, answers are put long after their search,
 * documents and collections come back under their names, the lists of readers change, and the cache
 * is opened again. The seed is printed; RAG_TEST_SEED sets another one. */
#include "cache_fixture.h"

#include "base/splitmix.h"

#define N_OPERATIONS  10000
#define N_COLLECTIONS 3
#define N_DOCUMENTS   8
#define N_USERS       3
#define N_QUESTIONS   12
#define N_LATE        6
#define CITED_MAX     3

struct model_document {
    bool there;
    uint64_t stamp; /* of its content; 0: never */
};

struct model_collection {
    char name[16];
    int64_t id;
    uint64_t life;    /* which of those that had this name */
    uint64_t changes; /* of its documents */
    uint64_t readers; /* of its list */
    struct model_document documents[N_DOCUMENTS];
};

/* What an answer was made from; its payload. */
struct made {
    uint64_t life;
    uint64_t changes;
    uint64_t readers;
    int32_t collection;
    int32_t user;
    int32_t question;
    int32_t refused;
    int32_t n_cited;
    int32_t cited[CITED_MAX];
    uint64_t stamps[CITED_MAX];
};

/* An answer between its search and its put. */
struct late {
    bool waits;
    struct made made;
    struct cache_key key;
    uint64_t generation;
    uint64_t versions[CITED_MAX];
};

struct world {
    struct cache_test *t;
    uint64_t random;
    uint64_t stamp;
    bool shared; /* scope: the readers, else the user */
    struct model_collection collections[N_COLLECTIONS];
    struct late late[N_LATE];
    char questions[N_QUESTIONS][64];
    float vectors[N_QUESTIONS][N_QUESTIONS];
    unsigned n_given;
    unsigned n_given_similar;
    unsigned n_rechecked;
    unsigned n_missed;
};

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)(splitmix_next(&w->random) % n);
}

static const char *document_name(unsigned i)
{
    static const char *const names[N_DOCUMENTS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    return names[i];
}

static struct cache_key key_for(const struct world *w, unsigned collection, unsigned user,
                                unsigned question)
{
    const struct model_collection *c = &w->collections[collection];
    struct cache_key key = {.collection_id = c->id, .question = w->questions[question]};

    if (w->shared)
        memcpy(key.scope, &c->readers, sizeof c->readers);
    else
        key.scope[0] = (uint8_t)(user + 1);
    key.settings[0] = 's';
    return key;
}

/* ---- the world changes ---- */

static void change_document(struct world *w, struct model_collection *c, unsigned d, bool remove)
{
    struct store *store = w->t->f.store;
    const char *name = document_name(d);
    char text[24];
    uint64_t change;
    uint64_t version;

    if (remove && !c->documents[d].there)
        return;
    if (remove) {
        assert_int_equal(
            store_document_delete(store, c->id, name, "uid:1", &change, &version, NULL), RAG_OK);
        c->documents[d] = (struct model_document){false, 0};
    } else {
        snprintf(text, sizeof text, "%u", below(w, 4)); /* often the same text again */
        assert_int_equal(put_text(store, c->id, name, text, NULL, NULL, NULL, NULL), RAG_OK);
        c->documents[d] = (struct model_document){true, ++w->stamp};
    }
    c->changes++;
    if (below(w, 2))
        answer_cache_document_changed(w->t->cache, c->id, name);
}

static void begin_collection(struct world *w, struct model_collection *c)
{
    c->id = make_collection(w->t->f.store, c->name);
    c->life++;
    c->changes = 0;
    memset(c->documents, 0, sizeof c->documents);
    for (unsigned d = 0; d < N_DOCUMENTS / 2; d++)
        change_document(w, c, d, false);
}

static void renew_collection(struct world *w, struct model_collection *c)
{
    int64_t id = c->id;
    uint64_t change;

    assert_int_equal(store_collection_delete(w->t->f.store, c->name, "uid:1", &change, NULL),
                     RAG_OK);
    if (below(w, 2))
        answer_cache_collection_deleted(w->t->cache, id);
    begin_collection(w, c);
}

/* ---- questions ---- */

static void search(struct world *w, unsigned collection, unsigned user, unsigned question,
                   struct late *ret)
{
    struct model_collection *c = &w->collections[collection];
    struct made *m = &ret->made;

    memset(ret, 0, sizeof *ret);
    ret->waits = true;
    ret->key = key_for(w, collection, user, question);
    *m = (struct made){
        .life = c->life,
        .changes = c->changes,
        .readers = c->readers,
        .collection = (int32_t)collection,
        .user = (int32_t)user,
        .question = (int32_t)question,
        .refused = below(w, 5) == 0,
    };
    for (unsigned i = below(w, N_DOCUMENTS);
         m->n_cited < (int32_t)(1 + below(w, CITED_MAX)) && i < N_DOCUMENTS; i++) {
        const char *name = document_name(i);
        uint64_t generation;

        if (!c->documents[i].there)
            continue;
        assert_int_equal(store_document_versions(w->t->f.store, c->id, &name, 1,
                                                 &ret->versions[m->n_cited], &generation, NULL),
                         RAG_OK);
        m->cited[m->n_cited] = (int32_t)i;
        m->stamps[m->n_cited++] = c->documents[i].stamp;
    }
    assert_int_equal(
        store_document_versions(w->t->f.store, c->id, NULL, 0, NULL, &ret->generation, NULL),
        RAG_OK);
}

static void keep(struct world *w, struct late *l)
{
    struct cache_meaning meaning = {.vector = w->vectors[l->made.question], .dim = N_QUESTIONS};
    struct cache_document documents[CITED_MAX];
    struct cache_put put = {
        .question = l->key.question,
        .meaning = &meaning,
        .payload = (const char *)&l->made,
        .payload_bytes = sizeof l->made,
        .refused = l->made.refused != 0,
        .generation = l->generation,
        .documents = documents,
        .n_documents = (size_t)l->made.n_cited,
        .cost_ms = 1,
    };

    for (int32_t i = 0; i < l->made.n_cited; i++)
        documents[i] =
            (struct cache_document){document_name((unsigned)l->made.cited[i]), l->versions[i]};
    assert_int_equal(answer_cache_put(w->t->cache, &l->key, &put, NULL), RAG_OK);
    l->waits = false;
}

/* May the answer be given to this user of this collection, by the model? */
static void judge(const struct world *w, const struct made *m, unsigned collection, unsigned user,
                  bool rechecked)
{
    const struct model_collection *c = &w->collections[collection];
    enum cache_expiry expiry = w->t->options.expiry;

    assert_int_equal(m->collection, collection);
    assert_int_equal(m->life, c->life);
    if (w->shared)
        assert_int_equal(m->readers, c->readers);
    else
        assert_int_equal(m->user, user);
    if (expiry == CACHE_EXPIRE_CHANGE || m->refused || m->n_cited == 0)
        assert_int_equal(m->changes, c->changes);
    if (rechecked)
        assert_int_equal(expiry, CACHE_EXPIRE_TOP_K);
    for (int32_t i = 0; i < m->n_cited; i++) {
        assert_true(c->documents[m->cited[i]].there);
        assert_int_equal(m->stamps[i], c->documents[m->cited[i]].stamp);
    }
}

static void ask(struct world *w)
{
    unsigned collection = below(w, N_COLLECTIONS);
    unsigned user = below(w, N_USERS);
    unsigned question = below(w, N_QUESTIONS);
    struct cache_key key = key_for(w, collection, user, question);
    enum cache_verdict verdict = CACHE_MISS;
    struct answer_cached a = {0};
    struct made made;

    if (below(w, 3) > 0) {
        assert_int_equal(answer_cache_find(w->t->cache, &key, &verdict, &a, NULL), RAG_OK);
    } else {
        float vector[N_QUESTIONS];
        struct cache_meaning meaning = {.vector = vector, .dim = N_QUESTIONS};

        memcpy(vector, w->vectors[question], sizeof vector);
        vector[question] = 0.9F; /* and the rest somewhere else */
        vector[(question + 1) % N_QUESTIONS] = 0.43589F;
        key.question = w->questions[(question + 1) % N_QUESTIONS];
        assert_int_equal(
            answer_cache_find_similar(w->t->cache, &key, &meaning, NULL, &verdict, &a, NULL),
            RAG_OK);
        w->n_given_similar += verdict != CACHE_MISS;
    }
    if (verdict == CACHE_MISS) {
        struct late *l = &w->late[below(w, N_LATE)];

        w->n_missed++;
        if (l->waits)
            keep(w, l);
        search(w, collection, user, question, l);
        if (below(w, 3) > 0)
            keep(w, l);
        return;
    }
    assert_int_equal(a.payload_bytes, sizeof made);
    memcpy(&made, a.payload, sizeof made);
    judge(w, &made, collection, user, verdict == CACHE_RECHECK);
    if (verdict == CACHE_RECHECK) {
        answer_cache_rechecked(w->t->cache, a.id, a.generation, below(w, 4) > 0);
        w->n_rechecked++;
    }
    w->n_given++;
    answer_cached_release(&a);
}

static void step(struct world *w)
{
    struct model_collection *c = &w->collections[below(w, N_COLLECTIONS)];
    unsigned what = below(w, 1000);
    size_t n;

    if (what < 800) {
        ask(w);
    } else if (what < 900) {
        change_document(w, c, below(w, N_DOCUMENTS), false);
    } else if (what < 940) {
        change_document(w, c, below(w, N_DOCUMENTS), true);
    } else if (what < 950) { /* gone and back, with the cache none the wiser in between */
        unsigned d = below(w, N_DOCUMENTS);

        change_document(w, c, d, true);
        change_document(w, c, d, false);
    } else if (what < 955) {
        renew_collection(w, c);
    } else if (what < 965) {
        c->readers++;
    } else if (what < 968) {
        cache_reopen(w->t);
    } else if (what < 970) {
        assert_int_equal(answer_cache_clear(w->t->cache, c->id, &n, NULL), RAG_OK);
    } else {
        struct late *l = &w->late[below(w, N_LATE)];

        if (l->waits)
            keep(w, l);
    }
}

static void begin_world(struct world *w, struct cache_test *t, uint64_t seed, bool shared)
{
    memset(w, 0, sizeof *w);
    w->t = t;
    w->random = seed;
    w->shared = shared;
    for (unsigned i = 0; i < N_QUESTIONS; i++) {
        /* confirmed as the same by their words; the vectors tell them apart */
        snprintf(w->questions[i], sizeof w->questions[i], "대한민국의 수도는 어디인가%.*s", (int)i,
                 "!!!!!!!!!!!!");
        w->vectors[i][i] = 1;
    }
    for (unsigned i = 0; i < N_COLLECTIONS; i++) {
        struct model_collection *c = &w->collections[i];

        snprintf(c->name, sizeof c->name, "c%u", i);
        begin_collection(w, c);
    }
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("RAG_TEST_SEED");

    return text ? strtoull(text, NULL, 0) : 20261121;
}

struct policy {
    const char *name;
    enum cache_expiry expiry;
    bool shared;
};

static struct policy policies[] = {
    {"any change ends an answer, each user alone",     CACHE_EXPIRE_CHANGE, false},
    {"changed passages end an answer, readers share",  CACHE_EXPIRE_TOP_K,  true },
    {"only what is cited ends an answer, users alone", CACHE_EXPIRE_TTL,    false},
};

static void check_policy(void **state)
{
    const struct policy *p = *state;
    uint64_t seed = choose_seed();
    struct cache_test *t = NULL;
    struct world w;

    cache_setup((void **)&t);
    t->options.expiry = p->expiry;
    t->options.entries_max = 60; /* some are evicted */
    cache_reopen(t);
    begin_world(&w, t, seed, p->shared);
    for (unsigned i = 0; i < N_OPERATIONS; i++)
        step(&w);
    print_message("seed %llu: %u given (%u by likeness, %u after a search), %u missed\n",
                  (unsigned long long)seed, w.n_given, w.n_given_similar, w.n_rechecked,
                  w.n_missed);
    /* it is no proof when hardly anything was given */
    assert_true(w.n_given > 500);
    assert_true(w.n_given_similar > 100);
    cache_teardown((void **)&t);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(policies)];

    for (size_t i = 0; i < COUNT(policies); i++)
        tests[i] = (struct CMUnitTest){policies[i].name, check_policy, NULL, NULL, &policies[i]};
    return _cmocka_run_group_tests("answer_cache_random", tests, COUNT(policies), NULL, NULL);
}
