/* Merging segments: a walk over all their terms at once, removed docs left out. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

struct merge {
    struct bm25_segment *const *sources;
    size_t n_sources;
    uint32_t **maps; /* doc of a source -> doc of the result */
    uint64_t *ids;   /* of the result */
    uint32_t *lengths;
    uint32_t n_docs;
    /* the postings of one term, in the order of the sources */
    uint32_t *docs;
    uint16_t *tfs;
    uint64_t *keys; /* doc << 16 | tf, two halves of n_docs: only when the sources interleave */
    size_t starts[BM25_SEGMENTS_MAX + 1]; /* where each source's postings begin */
    /* what the dropped docs counted in df */
    struct bm25_deltas gone;
};

static void merge_release(struct merge *m)
{
    for (size_t i = 0; i < m->n_sources && m->maps; i++)
        free(m->maps[i]);
    free(m->maps);
    free(m->ids);
    free(m->lengths);
    free(m->docs);
    free(m->tfs);
    free(m->keys);
    bm25_deltas_release(&m->gone);
}

/* Number the live docs of all sources by ascending id. */
static enum rag_status number_docs(struct merge *m, uint64_t seq)
{
    uint32_t at[BM25_SEGMENTS_MAX] = {0};
    size_t total = 0;

    m->maps = calloc(m->n_sources, sizeof *m->maps);
    if (!m->maps)
        return RAG_ENOMEM;
    for (size_t i = 0; i < m->n_sources; i++) {
        m->maps[i] = malloc(((size_t)m->sources[i]->shape.n_docs + 1) * sizeof **m->maps);
        if (!m->maps[i])
            return RAG_ENOMEM;
        total += m->sources[i]->shape.n_docs;
    }
    m->ids = malloc((total + 1) * sizeof *m->ids);
    m->lengths = malloc((total + 1) * sizeof *m->lengths);
    if (!m->ids || !m->lengths)
        return RAG_ENOMEM;
    for (size_t n = 0; n < total; n++) {
        size_t least = SIZE_MAX;
        const struct bm25_segment *s;

        for (size_t i = 0; i < m->n_sources; i++)
            if (at[i] < m->sources[i]->shape.n_docs &&
                (least == SIZE_MAX ||
                 m->sources[i]->ids[at[i]] < m->sources[least]->ids[at[least]]))
                least = i;
        s = m->sources[least];
        if (bm25_segment_dead(s, at[least], seq)) {
            m->maps[least][at[least]++] = BM25_NO_DOC;
            continue;
        }
        m->ids[m->n_docs] = s->ids[at[least]];
        m->lengths[m->n_docs] = s->lengths[at[least]];
        m->maps[least][at[least]++] = m->n_docs++;
    }
    return RAG_OK;
}

/* Append source i's postings of its dictionary entry 'entry'. Returns the new count. */
static size_t read_list(struct merge *m, size_t i, uint32_t entry, size_t n, int64_t *gone)
{
    struct bm25_list list;
    uint32_t docs[BM25_BLOCK];
    uint32_t tfs[BM25_BLOCK];

    bm25_segment_list(m->sources[i], entry, &list);
    for (uint32_t b = 0; b < list.n_blocks; b++) {
        uint32_t n_here = bm25_block_decode(&list, b, docs, tfs);

        for (uint32_t j = 0; j < n_here; j++) {
            uint32_t doc = m->maps[i][docs[j]];

            if (doc == BM25_NO_DOC) {
                ++*gone;
                continue;
            }
            m->docs[n] = doc;
            m->tfs[n++] = (uint16_t)tfs[j];
        }
    }
    return n;
}

static void merge_two(const uint64_t *from, size_t start, size_t middle, size_t end, uint64_t *to)
{
    size_t i = start;
    size_t j = middle;

    for (size_t at = start; at < end; at++)
        to[at] = i < middle && (j == end || from[i] < from[j]) ? from[i++] : from[j++];
}

/* Sort the postings, whose n_runs runs (m->starts) ascend each. */
static enum rag_status order_postings(struct merge *m, size_t n_runs)
{
    size_t n = m->starts[n_runs];
    uint64_t *from;
    uint64_t *to;

    if (!m->keys)
        m->keys = malloc(((size_t)m->n_docs * 2 + 2) * sizeof *m->keys);
    if (!m->keys)
        return RAG_ENOMEM;
    from = m->keys;
    to = m->keys + m->n_docs + 1;
    for (size_t i = 0; i < n; i++)
        from[i] = (uint64_t)m->docs[i] << 16 | m->tfs[i];
    while (n_runs > 1) {
        size_t n_left = 0;
        uint64_t *swap = from;

        for (size_t r = 0; r < n_runs; r += 2) {
            size_t middle = m->starts[r + 1];
            size_t end = r + 2 <= n_runs ? m->starts[r + 2] : middle;

            merge_two(from, m->starts[r], middle, end, to);
            m->starts[n_left++] = m->starts[r];
        }
        m->starts[n_left] = n;
        n_runs = n_left;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) {
        m->docs[i] = (uint32_t)(from[i] >> 16);
        m->tfs[i] = (uint16_t)from[i];
    }
    return RAG_OK;
}

static enum rag_status merge_term(struct merge *m, uint64_t term, uint32_t *entries,
                                  struct bm25_writer *w)
{
    size_t n = 0;
    size_t n_runs = 0;
    int64_t gone = 0;
    bool ordered = true;

    for (size_t i = 0; i < m->n_sources; i++) {
        const struct bm25_segment *s = m->sources[i];
        size_t before = n;

        if (entries[i] == s->shape.n_terms || s->terms[entries[i]] != term)
            continue;
        n = read_list(m, i, entries[i]++, n, &gone);
        if (n == before)
            continue;
        ordered = ordered && (before == 0 || m->docs[before] > m->docs[before - 1]);
        m->starts[n_runs++] = before;
    }
    m->starts[n_runs] = n;
    if (gone && bm25_deltas_add(&m->gone, term, gone) != RAG_OK)
        return RAG_ENOMEM;
    if (n == 0)
        return RAG_OK;
    if (!ordered && order_postings(m, n_runs) != RAG_OK)
        return RAG_ENOMEM;
    return bm25_writer_add(w, term, m->docs, m->tfs, (uint32_t)n);
}

static enum rag_status merge_lists(struct merge *m, struct bm25_writer *w)
{
    uint32_t entries[BM25_SEGMENTS_MAX] = {0};
    enum rag_status status = RAG_OK;

    m->docs = malloc(((size_t)m->n_docs + 1) * sizeof *m->docs);
    m->tfs = malloc(((size_t)m->n_docs + 1) * sizeof *m->tfs);
    if (!m->docs || !m->tfs)
        return RAG_ENOMEM;
    while (status == RAG_OK) {
        uint64_t term = UINT64_MAX;
        bool any = false;

        for (size_t i = 0; i < m->n_sources; i++) {
            const struct bm25_segment *s = m->sources[i];

            if (entries[i] < s->shape.n_terms && s->terms[entries[i]] <= term) {
                term = s->terms[entries[i]];
                any = true;
            }
        }
        if (!any)
            break;
        status = merge_term(m, term, entries, w);
    }
    return status;
}

enum rag_status bm25_merge(struct bm25_segment *const *sources, size_t n_sources, uint64_t seq,
                           struct bm25_segment **ret_segment, struct bm25_run **ret_run,
                           uint32_t **ret_docs)
{
    struct merge m = {.sources = sources, .n_sources = n_sources};
    struct bm25_writer w;
    struct bm25_run *run = NULL;
    enum rag_status status = number_docs(&m, seq);

    bm25_writer_init(&w, m.lengths, status == RAG_OK ? m.n_docs : 0);
    if (status == RAG_OK)
        status = merge_lists(&m, &w);
    if (status == RAG_OK)
        status = bm25_run_new(m.gone.terms, m.gone.deltas, m.gone.n, &run);
    if (status == RAG_OK)
        status = bm25_writer_finish(&w, m.ids, m.n_docs, ret_segment);
    bm25_writer_release(&w);
    if (status == RAG_OK) {
        *ret_run = run;
        for (size_t i = 0; i < n_sources; i++) {
            ret_docs[i] = m.maps[i]; /* the caller's from here on */
            m.maps[i] = NULL;
        }
    } else {
        bm25_run_unref(run);
    }
    merge_release(&m);
    return status;
}
