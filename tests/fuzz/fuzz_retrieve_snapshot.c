/* tests/fuzz/fuzz_retrieve_snapshot.c - hostile BM25 snapshots.
 *
 * The input is a file. It is loaded twice: as it is, and without comparing checksums, so
 * that changed bytes reach the checks behind them. What loads is searched with terms of
 * its own dictionary, changed and saved: none of it may read or write out of bounds, and
 * pruned and exhaustive search must agree (or a bound of the file would be a lie). */
#define _GNU_SOURCE
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "retrieve/bm25_index.h"
#include "retrieve/bm25_snapshot.h"

#define N_HITS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search_both(struct bm25 *index, const struct bm25_query_term *terms, size_t n,
                        const struct id_set *keep)
{
    struct bm25_hit pruned[N_HITS], all[N_HITS];
    size_t n_pruned = 0;
    size_t n_all = 0;

    if (bm25_search(index, terms, n, keep, N_HITS, pruned, &n_pruned, NULL) != RAG_OK ||
        bm25_search_exhaustive(index, terms, n, keep, N_HITS, all, &n_all, NULL) != RAG_OK)
        return;
    assert(n_pruned == n_all);
    for (size_t i = 0; i < n_all; i++)
        assert(pruned[i].passage_id == all[i].passage_id && pruned[i].score == all[i].score);
}

static void use(struct bm25 *index)
{
    struct bm25_view *view = bm25_view_get(index);
    struct bm25_query_term terms[24];
    uint64_t ids[4];
    size_t n = 0;
    size_t n_ids = 0;
    struct bm25_batch *batch = NULL;
    struct id_set keep;

    for (size_t i = 0; i < view->n_segments; i++) {
        const struct bm25_segment *s = view->segments[i];

        for (uint32_t t = 0; t < s->shape.n_terms && n < sizeof terms / sizeof terms[0]; t++)
            terms[n++] = (struct bm25_query_term){s->terms[t], t % 3 ? 1.0f : 0.25f};
        for (uint32_t d = 0; d < s->shape.n_docs && n_ids < sizeof ids / sizeof ids[0]; d += 3)
            ids[n_ids++] = s->ids[d];
    }
    bm25_view_unref(view);
    search_both(index, terms, n, NULL);
    search_both(index, terms, n / 2, NULL);
    if (id_set_init(&keep, ids, n_ids) == RAG_OK) {
        search_both(index, terms, n, &keep);
        id_set_release(&keep);
    }
    if (bm25_batch_new(&batch) == RAG_OK) {
        struct bm25_posting posting = {n ? terms[0].term : 1, 8};

        if (n_ids)
            (void)bm25_batch_remove(batch, ids[0], NULL, 0);
        (void)bm25_batch_add(batch, 1234567, &posting, 1, 8);
        if (bm25_apply(index, batch, 1, NULL) == RAG_OK)
            search_both(index, terms, n, NULL);
        bm25_batch_free(batch);
    }
    if (bm25_compact(index, NULL) == RAG_OK)
        search_both(index, terms, n, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm25_options options = {BM25_K1_DEFAULT, BM25_B_DEFAULT};
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    struct rag_error error;

    if (fd < 0)
        return 0;
    for (int check_sums = 0; check_sums < 2 && write(fd, data, size) == (ssize_t)size;
         check_sums++) {
        struct bm25 *index = NULL;

        (void)lseek(fd, 0, SEEK_SET);
        if (bm25_load_fd(fd, "input", check_sums, "fuzz", &options, &index, &error) == RAG_OK)
            use(index);
        bm25_free(index);
        (void)lseek(fd, 0, SEEK_SET);
    }
    close(fd);
    return 0;
}
