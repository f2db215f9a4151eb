/* tests/fuzz/fuzz_store_vector_snapshot.c - hostile vector snapshots.
 *
 * The input is a file. It is loaded as it is, and without comparing checksums, so that changed
 * bytes reach the checks behind them. What loads is searched with vectors of its own, by the graph
 * and exactly, filtered, changed, and its graph extended: none of it may read or write out of
 * bounds, every score must be a number, and an exact search finds what any other one finds. */
#define _GNU_SOURCE
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/vector_snapshot.h"
#include "store/vector_view.h"

#define N_HITS   12
#define DIM_MAX  300 /* larger ones only cost time */
#define HEAD     24  /* bytes up to m */
#define ROWS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search_both(struct vector_index *ix, const float *query, const struct id_set *keep)
{
    struct vector_search_options narrow = {.ef_search = 3};
    struct vector_search_options exact = {.exact = true};
    struct vector_hit some[N_HITS], all[N_HITS];
    size_t n_some = 0;
    size_t n_all = 0;

    if (vector_index_search(ix, query, keep, N_HITS, &narrow, some, &n_some, NULL) != RAG_OK ||
        vector_index_search(ix, query, keep, N_HITS, &exact, all, &n_all, NULL) != RAG_OK)
        return;
    assert(n_some == n_all);
    for (size_t i = 0; i < n_all; i++) {
        assert(isfinite(all[i].score) && isfinite(some[i].score));
        assert(some[i].score <= all[i].score);
        assert(!keep || (id_set_has(keep, all[i].id) && id_set_has(keep, some[i].id)));
    }
}

static void extend(struct vector_index *ix)
{
    struct vector_view *view = vector_view_get(ix);
    atomic_bool stop = false;
    struct vector_build build = {
        .m = ix->options.m, .ef_construction = 8, .n_threads = 1, .stop = &stop};
    struct vector_graph *graph = NULL;

    if (vector_graph_build(view->rows, view->graph, view->n_rows, view->seq, &build, &graph) ==
        RAG_OK)
        vector_graph_unref(graph);
    vector_view_unref(view);
}

static void use(struct vector_index *ix)
{
    struct vector_view *view = vector_view_get(ix);
    size_t n = view->n_rows < ROWS_MAX ? view->n_rows : ROWS_MAX;
    float *vector = malloc(ix->options.dim * sizeof *vector);
    uint64_t ids[4] = {0, 1, 2, 3};
    struct id_set keep;

    for (size_t r = 0; r < n && r < 4; r++)
        ids[r] = vector_rows_id(view->rows, (uint32_t)(r * n / 4));
    for (size_t r = 0; vector && r < n; r += 1 + n / 3) {
        vector_rows_get(view->rows, (uint32_t)r, vector);
        search_both(ix, vector, NULL);
        if (id_set_init(&keep, ids, 1 + r % 4) == RAG_OK) {
            search_both(ix, vector, &keep);
            id_set_release(&keep);
        }
    }
    if (vector && n) {
        (void)vector_index_add(ix, ids, vector, 1, NULL);
        (void)vector_index_remove(ix, ids + 1, 1, NULL);
        search_both(ix, vector, NULL);
        extend(ix);
    }
    free(vector);
    vector_view_unref(view);
}

/* What the input itself says, so that a change there reaches what is behind it. */
static struct vector_index_options options_of(const uint8_t *data, size_t size)
{
    struct vector_index_options o = {.dim = 8, .hnsw_min = 1u << 20};
    uint32_t words[HEAD / 4];

    if (size < HEAD)
        return o;
    memcpy(words, data, HEAD);
    o.storage = words[3] <= VECTOR_INT8 ? (enum vector_storage)words[3] : VECTOR_F16;
    o.dim = words[4] >= 1 && words[4] <= DIM_MAX ? words[4] : 8;
    o.m = words[5] >= VECTOR_M_MIN && words[5] <= VECTOR_M_MAX ? words[5] : VECTOR_M_MIN;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vector_index_options options = options_of(data, size);
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    struct rag_error error;

    if (fd < 0)
        return 0;
    for (int check_sums = 0; check_sums < 2 && write(fd, data, size) == (ssize_t)size;
         check_sums++) {
        struct vector_index *ix = NULL;
        uint64_t change;

        (void)lseek(fd, 0, SEEK_SET);
        if (vector_load_fd(fd, "input", check_sums, "fuzz", &options, &ix, &change, &error) ==
            RAG_OK)
            use(ix);
        vector_index_free(ix);
        (void)lseek(fd, 0, SEEK_SET);
    }
    close(fd);
    return 0;
}
