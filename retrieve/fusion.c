#include "retrieve/fusion.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One entry of one list, on its way to being merged by id. */
struct entry {
    uint64_t id;
    uint32_t list;
    uint32_t rank; /* from 1 */
    float score;
};

/* What turns a score of one list into its addend. */
struct scale {
    double weight; /* convex, scaled: of weights that sum to 1 */
    double min;    /* of the list; scaled: 0 of BM25 */
    double span;   /* what counts as 1 above it; 0: all are equal */
};

static enum rag_status check_options(const struct fusion_options *o, struct rag_error *reterr)
{
    float sum = 0.0f;

    if (o->method != FUSION_RRF && o->method != FUSION_CONVEX && o->method != FUSION_SCALED)
        return rag_fail(reterr, RAG_EINVAL, "fusion: method %d is none", (int)o->method);
    for (size_t i = 0; i < N_LISTS; i++) {
        if (!isfinite(o->weights[i]) || o->weights[i] < 0.0f)
            return rag_fail(reterr, RAG_EINVAL, "fusion: weight %g, must be a number >= 0",
                            (double)o->weights[i]);
        sum += o->weights[i];
    }
    if (!(sum > 0.0f) || !isfinite(sum))
        return rag_fail(reterr, RAG_EINVAL, "fusion: every weight is 0, at least one must not be");
    if (!(o->doubt >= 0.0f && o->doubt <= 1.0f))
        return rag_fail(reterr, RAG_EINVAL, "fusion: doubt %g, must be 0..1", (double)o->doubt);
    if (o->method == FUSION_RRF && !(o->rrf_k > 0.0f && isfinite(o->rrf_k)))
        return rag_fail(reterr, RAG_EINVAL, "fusion: rrf_k %g, must be > 0", (double)o->rrf_k);
    return RAG_OK;
}

static size_t looked_at(const struct fusion_options *o, const struct ranked_list *list)
{
    size_t n = o->depth > 0 && o->depth < list->n ? o->depth : list->n;

    return n < UINT32_MAX ? n : UINT32_MAX - 1; /* ranks are 32 bits wide */
}

/* FUSION_SCALED: scores count by their size, and cosines the less, the further BM25's first stand
 * out, as far as the words are trusted. */
static void keep_sizes(const struct fusion_options *o, const struct ranked_list lists[N_LISTS],
                       struct scale scales[N_LISTS])
{
    const struct ranked *words = lists[LIST_BM25].items;
    size_t n = looked_at(o, &lists[LIST_BM25]);
    struct scale *dense = &scales[LIST_DENSE];
    double trust = 1.0 - (double)o->doubt;

    scales[LIST_BM25].weight *= trust;
    if (n > 0 && words[0].score > 0.0f) {
        size_t last = n < FUSION_LEAD_RANK ? n : FUSION_LEAD_RANK;
        double close = (double)words[last - 1].score / (double)words[0].score;

        close = fmax(close, FUSION_CLOSE_MIN);
        dense->weight *= 1.0 - trust * (1.0 - close * close);
        scales[LIST_BM25].min = 0.0;
        scales[LIST_BM25].span = (double)words[0].score;
    }
    if (dense->span > 0.0)
        dense->span = fmax(dense->span, FUSION_SPAN_MIN);
}

static enum rag_status collect(const struct fusion_options *o,
                               const struct ranked_list lists[N_LISTS], struct entry *entries,
                               struct scale scales[N_LISTS], struct rag_error *reterr)
{
    double weight_sum = 0.0;
    size_t n = 0;

    for (uint32_t i = 0; i < N_LISTS; i++)
        weight_sum += (double)o->weights[i];
    for (uint32_t i = 0; i < N_LISTS; i++) {
        const struct ranked_list *list = &lists[i];
        size_t depth = looked_at(o, list);
        double max = -INFINITY;

        scales[i] = (struct scale){.weight = (double)o->weights[i], .min = INFINITY};
        for (size_t r = 0; r < depth; r++) {
            double score = (double)list->items[r].score;

            if (!isfinite(score))
                return rag_fail(reterr, RAG_EINVAL, "fusion: score %g at rank %zu of list %u",
                                score, r + 1, i);
            scales[i].min = fmin(scales[i].min, score);
            max = fmax(max, score);
            entries[n++] =
                (struct entry){list->items[r].id, i, (uint32_t)(r + 1), list->items[r].score};
        }
        scales[i].span = depth > 0 ? max - scales[i].min : 0.0;
        if (o->method != FUSION_RRF)
            scales[i].weight /= weight_sum;
    }
    if (o->method == FUSION_SCALED)
        keep_sizes(o, lists, scales);
    return RAG_OK;
}

static double addend(const struct fusion_options *o, const struct scale *scale,
                     const struct entry *entry)
{
    if (o->method == FUSION_RRF)
        return scale->weight / ((double)o->rrf_k + (double)entry->rank);
    if (scale->span > 0.0)
        return scale->weight * (((double)entry->score - scale->min) / scale->span);
    return scale->weight;
}

static int by_id_then_rank(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    if (x->list != y->list)
        return x->list < y->list ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int best_first(const void *a, const void *b)
{
    const struct fused *x = a;
    const struct fused *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if ((x->ranks[LIST_BM25] == 0) != (y->ranks[LIST_BM25] == 0))
        return x->ranks[LIST_BM25] == 0 ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The entries of one id, sorted by list, as one result. False: only lists of weight 0 know it. */
static bool merge(const struct fusion_options *o, const struct scale scales[N_LISTS],
                  const struct entry *entries, size_t n, struct fused *ret)
{
    struct fused f = {.id = entries[0].id};
    bool wanted = false;
    double score = 0.0;

    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &entries[i];

        if (f.ranks[e->list] != 0)
            continue; /* twice in one list: its best rank counts */
        f.ranks[e->list] = e->rank;
        f.scores[e->list] = e->score;
        if (o->weights[e->list] > 0.0f) {
            wanted = true;
            score += addend(o, &scales[e->list], e);
        }
    }
    f.score = (float)score;
    *ret = f;
    return wanted;
}

enum rag_status fusion_rank(const struct fusion_options *options,
                            const struct ranked_list lists[N_LISTS], struct fused *ret,
                            size_t *ret_n, struct rag_error *reterr)
{
    enum rag_status status = check_options(options, reterr);
    struct scale scales[N_LISTS];
    struct entry *entries = NULL;
    size_t n_entries = 0;
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < N_LISTS; i++) {
        assert(lists[i].items || lists[i].n == 0);
        n_entries += looked_at(options, &lists[i]);
    }
    if (n_entries == 0) {
        *ret_n = 0;
        return RAG_OK;
    }
    entries = calloc(n_entries, sizeof *entries);
    if (!entries)
        return rag_fail(reterr, RAG_ENOMEM, "fusion: out of memory for %zu candidates", n_entries);
    status = collect(options, lists, entries, scales, reterr);
    if (status != RAG_OK)
        goto out;
    qsort(entries, n_entries, sizeof *entries, by_id_then_rank);
    for (size_t i = 0; i < n_entries;) {
        size_t end = i + 1;

        while (end < n_entries && entries[end].id == entries[i].id)
            end++;
        if (merge(options, scales, entries + i, end - i, &ret[n]))
            n++;
        i = end;
    }
    qsort(ret, n, sizeof *ret, best_first);
    *ret_n = n;
out:
    free(entries);
    return status;
}

static const char *const names[] = {
    [FUSION_RRF] = "rrf", [FUSION_CONVEX] = "convex", [FUSION_SCALED] = "scaled"};

const char *fusion_method_name(enum fusion_method method)
{
    return names[method];
}

enum rag_status fusion_method_parse(const char *name, enum fusion_method *ret)
{
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum fusion_method)i;
            return RAG_OK;
        }
    }
    return RAG_EINVAL;
}
