/* Goal: readers see whole documents while writers replace and delete them; run it under
 * ThreadSanitizer. Method: every version of a document is one letter repeated n times, so a
 * mixture of two versions shows. */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define N_WRITERS 4
#define N_READERS 3
#define N_PUTS    40

/* cmocka's assertions belong to the main thread. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static atomic_bool stop;

struct worker {
    struct fixture *f;
    unsigned number;
    pthread_t thread;
};

static void *write_documents(void *context)
{
    struct worker *w = context;
    char name[8];

    for (unsigned i = 0; i < N_PUTS; i++) {
        char text[33];
        size_t n = 1 + (i * 7 + w->number) % 32;

        memset(text, (int)('a' + (i + w->number) % 26), n);
        text[n] = '\0';
        snprintf(name, sizeof name, "d%u", (i + w->number) % 3); /* shared between writers */
        CHECK(put_text(w->f->store, w->f->collection, name, text, NULL, NULL, NULL, NULL) ==
              RAG_OK);
        if (i % 8 == 7) {
            uint64_t change;
            uint64_t version;
            enum rag_status status = store_document_delete(w->f->store, w->f->collection, name,
                                                           "uid:1", &change, &version, NULL);

            CHECK(status == RAG_OK || status == RAG_ENOTFOUND);
        }
    }
    return NULL;
}

static enum rag_status count_chunk(void *context, const struct store_passage *p,
                                   struct rag_error *reterr)
{
    (void)reterr;
    CHECK(p->n_owners > 0);
    *(uint64_t *)context += p->n_owners;
    return RAG_OK;
}

static void read_text(struct fixture *f, const char *name)
{
    char *text = NULL;
    size_t n = 0;
    enum rag_status status = store_document_text(f->store, f->collection, name, &text, &n, NULL);

    CHECK(status == RAG_OK || status == RAG_ENOTFOUND);
    if (status == RAG_OK) {
        for (size_t i = 0; i < n; i++)
            CHECK(text[i] == text[0]);
        free(text);
    }
}

static void *read_documents(void *context)
{
    struct worker *w = context;
    struct arena arena;
    uint64_t last = 0;

    arena_init(&arena, 1u << 20);
    while (!atomic_load(&stop)) {
        struct store_document *page;
        struct store_stats stats;
        uint64_t n_owners = 0;
        uint64_t n_chunks = 0;
        uint64_t change;
        size_t n;

        read_text(w->f, "d0");
        read_text(w->f, "d1");
        arena_reset(&arena);
        assert_int_equal(
            store_document_list(w->f->store, w->f->collection, "", 10, &arena, &page, &n, NULL),
            RAG_OK);
        for (size_t i = 0; i < n; i++) {
            CHECK(page[i].n_chunks == page[i].text_bytes);
            n_chunks += page[i].n_chunks;
        }
        CHECK(n <= 3 && n_chunks <= 3 * 32);
        CHECK(store_collection_chunks(w->f->store, w->f->collection, true, count_chunk, &n_owners,
                                      &change, NULL) == RAG_OK);
        CHECK(n_owners <= 3 * 32);
        CHECK(store_stats(w->f->store, &stats, NULL) == RAG_OK);
        CHECK(change >= last); /* snapshots do not step back */
        last = change;
    }
    arena_release(&arena);
    return NULL;
}

static void readers_see_whole_documents(void **state)
{
    struct worker writers[N_WRITERS];
    struct worker readers[N_READERS];

    atomic_store(&stop, false);
    for (unsigned i = 0; i < N_READERS; i++) {
        readers[i] = (struct worker){*state, i, 0};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_documents, &readers[i]), 0);
    }
    for (unsigned i = 0; i < N_WRITERS; i++) {
        writers[i] = (struct worker){*state, i, 0};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_documents, &writers[i]), 0);
    }
    for (unsigned i = 0; i < N_WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < N_READERS; i++)
        pthread_join(readers[i].thread, NULL);
    wait_reclaimed(((struct fixture *)*state)->dir);
    assert_int_equal(query_number(((struct fixture *)*state)->dir, "ragd.db",
                                  "SELECT count(*) FROM chunks WHERE id NOT IN"
                                  " (SELECT chunk_id FROM version_chunks)"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_whole_documents, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests_name("store under threads", tests, NULL, NULL);
}
