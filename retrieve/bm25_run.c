/* Document frequency corrections, kept as a logarithmic number of sorted runs, so that
 * a removal costs O(log n) amortised per posting and a view shares them unchanged. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

struct entry {
    uint64_t term;
    int64_t delta;
};

static int by_term(const void *a, const void *b)
{
    uint64_t x = ((const struct entry *)a)->term;
    uint64_t y = ((const struct entry *)b)->term;

    return (x > y) - (x < y);
}

static struct bm25_run *run_alloc(size_t n)
{
    struct bm25_run *run = calloc(1, sizeof *run);

    if (!run)
        return NULL;
    atomic_init(&run->refs, 1);
    run->terms = calloc(n ? n : 1, sizeof *run->terms);
    run->deltas = calloc(n ? n : 1, sizeof *run->deltas);
    if (!run->terms || !run->deltas) {
        bm25_run_unref(run);
        return NULL;
    }
    return run;
}

/* Append, adding to the last entry when it has the same term; entries of 0 vanish. */
static void run_append(struct bm25_run *run, uint64_t term, int64_t delta)
{
    if (run->n > 0 && run->terms[run->n - 1] == term) {
        run->deltas[run->n - 1] += delta;
    } else {
        run->terms[run->n] = term;
        run->deltas[run->n++] = delta;
    }
    if (run->deltas[run->n - 1] == 0)
        run->n--;
}

enum rag_status bm25_run_new(uint64_t *terms, int64_t *deltas, size_t n, struct bm25_run **ret)
{
    struct entry *entries = malloc((n ? n : 1) * sizeof *entries);
    struct bm25_run *run = run_alloc(n);

    if (!entries || !run) {
        free(entries);
        bm25_run_unref(run);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct entry){terms[i], deltas[i]};
    qsort(entries, n, sizeof *entries, by_term);
    for (size_t i = 0; i < n; i++)
        run_append(run, entries[i].term, entries[i].delta);
    free(entries);
    *ret = run;
    return RAG_OK;
}

enum rag_status bm25_run_join(const struct bm25_run *a, const struct bm25_run *b,
                              struct bm25_run **ret)
{
    struct bm25_run *run = run_alloc(a->n + b->n);
    size_t j = 0;

    if (!run)
        return RAG_ENOMEM;
    for (size_t i = 0; i < a->n; i++) {
        for (; j < b->n && b->terms[j] < a->terms[i]; j++)
            run_append(run, b->terms[j], b->deltas[j]);
        run_append(run, a->terms[i], a->deltas[i]);
        if (j < b->n && b->terms[j] == a->terms[i]) {
            run_append(run, b->terms[j], b->deltas[j]);
            j++;
        }
    }
    for (; j < b->n; j++)
        run_append(run, b->terms[j], b->deltas[j]);
    *ret = run;
    return RAG_OK;
}

void bm25_run_unref(struct bm25_run *run)
{
    if (!run || atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(run->terms);
    free(run->deltas);
    free(run);
}

int64_t bm25_run_delta(const struct bm25_run *run, uint64_t term)
{
    size_t low = 0;
    size_t high = run->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (run->terms[middle] < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->n && run->terms[low] == term ? run->deltas[low] : 0;
}

/* ---- deltas ---- */

enum rag_status bm25_deltas_add(struct bm25_deltas *d, uint64_t term, int64_t delta)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 256;
        uint64_t *terms = realloc(d->terms, cap * sizeof *terms);
        int64_t *deltas;

        if (!terms)
            return RAG_ENOMEM;
        d->terms = terms;
        deltas = realloc(d->deltas, cap * sizeof *deltas);
        if (!deltas)
            return RAG_ENOMEM;
        d->deltas = deltas;
        d->cap = cap;
    }
    d->terms[d->n] = term;
    d->deltas[d->n++] = delta;
    return RAG_OK;
}

void bm25_deltas_release(struct bm25_deltas *d)
{
    free(d->terms);
    free(d->deltas);
    memset(d, 0, sizeof *d);
}

/* How many of the ascending docs are in block b of the list. */
static int64_t count_in_block(const struct bm25_list *list, uint32_t b, const uint32_t *docs,
                              uint32_t n)
{
    uint32_t found[BM25_BLOCK];
    uint32_t tfs[BM25_BLOCK];
    uint32_t n_found = bm25_block_decode(list, b, found, tfs);
    uint32_t at = 0;
    int64_t count = 0;

    for (uint32_t i = 0; i < n_found && at < n; i++) {
        while (at < n && docs[at] < found[i])
            at++;
        count += at < n && docs[at] == found[i];
    }
    return count;
}

enum rag_status bm25_segment_count(const struct bm25_segment *s, const uint32_t *docs, uint32_t n,
                                   struct bm25_deltas *d)
{
    enum rag_status status = RAG_OK;

    for (uint32_t t = 0; t < s->shape.n_terms && status == RAG_OK; t++) {
        struct bm25_list list;
        int64_t count = 0;
        uint32_t at = 0; /* first doc not in the blocks done */

        bm25_segment_list(s, t, &list);
        for (uint32_t b = 0; b < list.n_blocks && at < n; b++) {
            uint32_t last = list.blocks ? list.blocks[b].last : list.one_doc;
            uint32_t from = at;

            while (at < n && docs[at] <= last)
                at++;
            if (at > from)
                count += count_in_block(&list, b, docs + from, at - from);
        }
        if (count)
            status = bm25_deltas_add(d, s->terms[t], -count);
    }
    return status;
}
