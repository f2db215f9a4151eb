/* A batch: passages as they come, their terms numbered on arrival, so that turning it
 * into a segment is one counting sort by term and no comparison of postings. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

enum rag_status bm25_batch_new(struct bm25_batch **ret)
{
    struct bm25_batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return RAG_ENOMEM;
    *ret = batch;
    return RAG_OK;
}

void bm25_batch_free(struct bm25_batch *batch)
{
    if (!batch)
        return;
    free(batch->adds);
    free(batch->removes);
    free(batch->numbers);
    free(batch->tfs);
    free(batch->terms);
    free(batch->table);
    free(batch);
}

static size_t slot_of(const struct bm25_batch *batch, uint64_t term)
{
    return (size_t)((term * 0x9E3779B97F4A7C15ull) >> 24) & (batch->table_cap - 1);
}

static enum rag_status grow_table(struct bm25_batch *batch)
{
    size_t cap = batch->table_cap ? batch->table_cap * 2 : 512;
    size_t terms_cap = cap / 2;
    uint64_t *terms = realloc(batch->terms, terms_cap * sizeof *terms);
    uint32_t *table;

    if (!terms)
        return RAG_ENOMEM;
    batch->terms = terms;
    table = calloc(cap, sizeof *table);
    if (!table)
        return RAG_ENOMEM;
    free(batch->table);
    batch->table = table;
    batch->table_cap = cap;
    batch->terms_cap = terms_cap;
    for (size_t i = 0; i < batch->n_terms; i++) {
        size_t slot = slot_of(batch, terms[i]);

        while (table[slot])
            slot = (slot + 1) & (cap - 1);
        table[slot] = (uint32_t)i + 1;
    }
    return RAG_OK;
}

/* Number a term. There is room for it. */
static uint32_t term_number(struct bm25_batch *batch, uint64_t term)
{
    size_t slot = slot_of(batch, term);

    while (batch->table[slot]) {
        if (batch->terms[batch->table[slot] - 1] == term)
            return batch->table[slot] - 1;
        slot = (slot + 1) & (batch->table_cap - 1);
    }
    batch->terms[batch->n_terms++] = term;
    batch->table[slot] = (uint32_t)batch->n_terms;
    return (uint32_t)batch->n_terms - 1;
}

static enum rag_status grow_postings(struct bm25_batch *batch, size_t n)
{
    size_t cap = batch->postings_cap ? batch->postings_cap : 256;
    uint32_t *numbers;
    uint16_t *tfs;

    if (n > SIZE_MAX / 16 - batch->n_postings)
        return RAG_ENOMEM;
    while (cap < batch->n_postings + n)
        cap += cap / 2;
    if (cap == batch->postings_cap)
        return RAG_OK;
    numbers = realloc(batch->numbers, cap * sizeof *numbers);
    if (!numbers)
        return RAG_ENOMEM;
    batch->numbers = numbers;
    tfs = realloc(batch->tfs, cap * sizeof *tfs);
    if (!tfs)
        return RAG_ENOMEM;
    batch->tfs = tfs;
    batch->postings_cap = cap;
    return RAG_OK;
}

/* Room for one more operation in one of the two lists. */
static enum rag_status grow_ops(struct bm25_batch_op **ops, size_t n, size_t *cap)
{
    size_t bigger = *cap ? *cap * 2 : 8;
    struct bm25_batch_op *grown;

    if (n < *cap)
        return RAG_OK;
    grown = realloc(*ops, bigger * sizeof *grown);
    if (!grown)
        return RAG_ENOMEM;
    *ops = grown;
    *cap = bigger;
    return RAG_OK;
}

static enum rag_status put_postings(struct bm25_batch *batch, const struct bm25_posting *postings,
                                    size_t n)
{
    if (n > UINT32_MAX / 4 - batch->n_terms || grow_postings(batch, n) != RAG_OK)
        return RAG_ENOMEM;
    while (batch->terms_cap < batch->n_terms + n)
        if (grow_table(batch) != RAG_OK)
            return RAG_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        uint32_t tf = postings[i].tf;

        if (tf == 0)
            tf = 1;
        batch->numbers[batch->n_postings + i] = term_number(batch, postings[i].term);
        batch->tfs[batch->n_postings + i] = (uint16_t)(tf < BM25_TF_MAX ? tf : BM25_TF_MAX);
    }
    batch->n_postings += n;
    return RAG_OK;
}

enum rag_status bm25_batch_add(struct bm25_batch *batch, uint64_t passage_id,
                               const struct bm25_posting *postings, size_t n, uint32_t length)
{
    struct bm25_batch_op op = {
        .id = passage_id,
        .first = batch->n_postings,
        .n = (uint32_t)n,
        .length = length < BM25_LENGTH_MAX ? length : BM25_LENGTH_MAX,
        .has_postings = true,
    };

    if (grow_ops(&batch->adds, batch->n_adds, &batch->adds_cap) != RAG_OK ||
        put_postings(batch, postings, n) != RAG_OK)
        return RAG_ENOMEM;
    batch->adds[batch->n_adds++] = op;
    return RAG_OK;
}

enum rag_status bm25_batch_remove(struct bm25_batch *batch, uint64_t passage_id,
                                  const struct bm25_posting *postings, size_t n)
{
    struct bm25_batch_op op = {
        .id = passage_id,
        .first = batch->n_postings,
        .n = (uint32_t)n,
        .has_postings = postings != NULL,
    };

    if (grow_ops(&batch->removes, batch->n_removes, &batch->removes_cap) != RAG_OK ||
        put_postings(batch, postings, n) != RAG_OK)
        return RAG_ENOMEM;
    batch->removes[batch->n_removes++] = op;
    return RAG_OK;
}

/* ---- the segment ---- */

struct numbered_term {
    uint64_t term;
    uint32_t number;
};

static int by_term(const void *a, const void *b)
{
    uint64_t x = ((const struct numbered_term *)a)->term;
    uint64_t y = ((const struct numbered_term *)b)->term;

    return (x > y) - (x < y);
}

struct inversion {
    size_t *starts; /* of each term number; n_terms + 1 */
    uint32_t *docs; /* of all postings, grouped by term */
    uint16_t *tfs;
    uint64_t *ids;
    uint32_t *lengths;
    struct numbered_term *order;
};

static void inversion_release(struct inversion *v)
{
    free(v->starts);
    free(v->docs);
    free(v->tfs);
    free(v->ids);
    free(v->lengths);
    free(v->order);
}

static enum rag_status inversion_alloc(struct inversion *v, size_t n_terms, size_t n_postings,
                                       size_t n_docs)
{
    memset(v, 0, sizeof *v);
    v->starts = calloc(n_terms + 2, sizeof *v->starts);
    v->docs = malloc((n_postings + 1) * sizeof *v->docs);
    v->tfs = malloc((n_postings + 1) * sizeof *v->tfs);
    v->ids = malloc((n_docs + 1) * sizeof *v->ids);
    v->lengths = malloc((n_docs + 1) * sizeof *v->lengths);
    v->order = malloc((n_terms + 1) * sizeof *v->order);
    if (v->starts && v->docs && v->tfs && v->ids && v->lengths && v->order)
        return RAG_OK;
    inversion_release(v);
    return RAG_ENOMEM;
}

/* Counting sort of the postings of the adds by term number; docs ascend within a term. */
static void invert(const struct bm25_batch *batch, const struct bm25_batch_op *const *adds,
                   uint32_t n_adds, struct inversion *v)
{
    size_t *next = v->starts + 1; /* next[t] walks from the start of t to that of t + 1 */

    for (uint32_t d = 0; d < n_adds; d++)
        for (uint32_t i = 0; i < adds[d]->n; i++)
            v->starts[batch->numbers[adds[d]->first + i] + 2]++;
    for (size_t t = 2; t < batch->n_terms + 2; t++)
        v->starts[t] += v->starts[t - 1];
    for (uint32_t d = 0; d < n_adds; d++) {
        v->ids[d] = adds[d]->id;
        v->lengths[d] = adds[d]->length;
        for (uint32_t i = 0; i < adds[d]->n; i++) {
            size_t at = next[batch->numbers[adds[d]->first + i]]++;

            v->docs[at] = d;
            v->tfs[at] = batch->tfs[adds[d]->first + i];
        }
    }
}

/* A caller that repeats a term of a passage gets the sum: a list must ascend strictly. */
static uint32_t join_repeats(uint32_t *docs, uint16_t *tfs, size_t n)
{
    uint32_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (n_kept > 0 && docs[n_kept - 1] == docs[i]) {
            uint32_t tf = (uint32_t)tfs[n_kept - 1] + tfs[i];

            tfs[n_kept - 1] = (uint16_t)(tf < BM25_TF_MAX ? tf : BM25_TF_MAX);
            continue;
        }
        docs[n_kept] = docs[i];
        tfs[n_kept++] = tfs[i];
    }
    return n_kept;
}

enum rag_status bm25_batch_segment(const struct bm25_batch *batch,
                                   const struct bm25_batch_op *const *adds, uint32_t n_adds,
                                   struct bm25_segment **ret)
{
    struct inversion v;
    struct bm25_writer writer;
    size_t n_postings = 0;
    size_t n_order = 0;
    enum rag_status status = RAG_OK;

    for (uint32_t d = 0; d < n_adds; d++)
        n_postings += adds[d]->n;
    if (inversion_alloc(&v, batch->n_terms, n_postings, n_adds) != RAG_OK)
        return RAG_ENOMEM;
    invert(batch, adds, n_adds, &v);
    for (size_t t = 0; t < batch->n_terms; t++)
        if (v.starts[t + 1] > v.starts[t])
            v.order[n_order++] = (struct numbered_term){batch->terms[t], (uint32_t)t};
    qsort(v.order, n_order, sizeof *v.order, by_term);
    bm25_writer_init(&writer, v.lengths, n_adds);
    for (size_t i = 0; i < n_order && status == RAG_OK; i++) {
        size_t first = v.starts[v.order[i].number];
        uint32_t n =
            join_repeats(v.docs + first, v.tfs + first, v.starts[v.order[i].number + 1] - first);

        status = bm25_writer_add(&writer, v.order[i].term, v.docs + first, v.tfs + first, n);
    }
    if (status == RAG_OK)
        status = bm25_writer_finish(&writer, v.ids, n_adds, ret);
    bm25_writer_release(&writer);
    inversion_release(&v);
    return status;
}
