/* Steps 2 to 5 of a question. BM25 and the vectors are searched side by side: the vectors on a
 * thread of p->side (the question is embedded there, in a batch with others), BM25 on the
 * caller's. Both get the same filter. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/collection_vectors.h"
#include "daemon/pipeline_internal.h"
#include "retrieve/bm25.h"
#include "text/nfc.h"

/* A change is in the store some moments before it is in the index; a search that found what is
 * gone waits for it and searches again: 200 times 1 ms at most. */
#define RETRIES_MAX   200
#define RETRY_WAIT_NS 1000000

static const char *const mode_names[] = {[SEARCH_AUTO] = "auto",
                                         [SEARCH_BM25] = "bm25",
                                         [SEARCH_DENSE] = "dense",
                                         [SEARCH_HYBRID] = "hybrid"};

const char *search_mode_name(enum search_mode mode)
{
    return mode_names[mode];
}

enum rag_status search_mode_parse(const char *name, enum search_mode *ret)
{
    for (int i = 0; i < (int)(sizeof mode_names / sizeof mode_names[0]); i++) {
        if (strcmp(name, mode_names[i]) == 0) {
            *ret = (enum search_mode)i;
            return RAG_OK;
        }
    }
    return RAG_EINVAL;
}

/* ---- 2. analyze ---- */

enum rag_status pipeline_read(const char *text, struct buf *out, struct rag_error *reterr)
{
    size_t n = strlen(text);
    enum rag_status status;

    if (n > QUESTION_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'question': %zu bytes, the limit is %d", n,
                        QUESTION_BYTES_MAX);
    status = nfc_append(text, n, out, reterr);
    if (status != RAG_OK)
        return status == RAG_EFORMAT ? rag_fail(reterr, RAG_EINVAL, "'question': not UTF-8")
                                     : status;
    if (buf_str(out)[strspn(buf_str(out), " \t\n")] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "'question': empty");
    return RAG_OK;
}

enum rag_status pipeline_analyze(const struct pipeline *p, const struct pipeline_request *request,
                                 struct retrieval *r, struct rag_error *reterr)
{
    int64_t begun = pipeline_stage_begin(request, STAGE_ANALYZE);
    enum rag_status status;

    buf_init(&r->text, PIPELINE_QUESTION_BYTES_MAX);
    buf_append_str(&r->text, request->question);
    status = buf_status(&r->text);
    if (status == RAG_OK)
        status = analyzer_question(p->analyzer, r->text.data, r->text.len, &r->terms);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "'question': out of memory");
    question_analyze(r->text.data, r->text.len, &r->question);
    pipeline_stage_done(r, STAGE_ANALYZE, begun);
    return RAG_OK;
}

/* ---- 4. the two lists ---- */

struct hunt {
    const struct pipeline *p;
    const struct pipeline_request *request;
    struct retrieval *r;
    const struct id_set *keep;     /* NULL: no filter */
    const struct id_set *versions; /* likewise */
    size_t n_fetch;                /* of the final list */
    size_t n_rankings;             /* of each stage's own list; 0: not wanted */
    size_t n_nearest;              /* first vectors that are fetched whatever fusion says */
    bool dense;                    /* the vectors are to be searched */
    struct ranked_list lists[N_LISTS];
    struct fused *all; /* every candidate, by id */
    size_t n_all;
    struct fused *final; /* those in order; the first n_final are fetched */
    size_t n_final;
    bool lost;       /* one of them is gone from the store, though an index had it */
    bool lost_dense; /* and the vectors had it */

    /* of the vector search, on another thread */
    struct side_job job;
    struct vector_hit *near;
    size_t k_near;
    size_t n_near;
    int64_t dense_begun_ns;
    double dense_ms;
    enum rag_status dense_status;
    struct rag_error dense_error;
};

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "search: out of memory");
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum rag_status search_terms(struct hunt *h, struct rag_error *reterr)
{
    struct retrieval *r = h->r;
    size_t k = larger(h->n_fetch, h->p->n_candidates);
    struct bm25_query_term *terms = arena_calloc(&r->arena, r->terms.n + 1, sizeof *terms);
    uint64_t *ids = arena_calloc(&r->arena, r->terms.n + 1, sizeof *ids);
    struct bm25_hit *hits = arena_calloc(&r->arena, k, sizeof *hits);
    struct ranked *items = arena_calloc(&r->arena, k, sizeof *items);
    int64_t begun = pipeline_stage_begin(h->request, STAGE_BM25);
    enum rag_status status = RAG_OK;
    size_t n = 0;

    r->idf = arena_calloc(&r->arena, r->terms.n + 1, sizeof *r->idf);
    if (!terms || !ids || !hits || !items || !r->idf)
        return no_memory(reterr);
    for (size_t i = 0; i < r->terms.n; i++) {
        terms[i] = (struct bm25_query_term){r->terms.items[i].id, r->terms.items[i].weight};
        ids[i] = r->terms.items[i].id;
    }
    bm25_idf(h->request->collection->index, ids, r->terms.n, r->idf);
    if (r->terms.n > 0 && h->request->mode != SEARCH_DENSE) /* 0: punctuation only */
        status = bm25_search(h->request->collection->index, terms, r->terms.n, h->keep, k, hits, &n,
                             reterr);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct ranked){hits[i].passage_id, hits[i].score};
    h->lists[LIST_BM25] = (struct ranked_list){items, n};
    if (h->request->mode != SEARCH_DENSE)
        pipeline_stage_done(r, STAGE_BM25, begun);
    return status;
}

/* On a thread of p->side; touches nothing of the hunt but its dense part. */
static void search_vectors(void *context)
{
    struct hunt *h = context;
    const struct pipeline_request *request = h->request;
    int64_t begun = clock_monotonic_ns();
    int64_t deadline = request->deadline_ns;
    int64_t budget = begun + h->p->embed_budget_ns;

    if (request->mode != SEARCH_DENSE && (deadline == 0 || budget < deadline))
        deadline = budget;
    h->dense_error = (struct rag_error){RAG_OK, ""};
    h->dense_status =
        collection_vectors_search(request->collection->vectors,
                                  &(struct vectors_query){
                                      .question = h->r->text.data,
                                      .n_bytes = h->r->text.len,
                                      .keep = h->keep,
                                      .k = h->k_near,
                                      .as_embedded = request->no_adapter,
                                      .deadline_ns = deadline,
                                      .cancel = request->cancel,
                                  },
                                  h->near, &h->n_near, h->r->adapter, &h->dense_error);
    h->dense_begun_ns = begun;
    h->dense_ms = clock_elapsed_ms(begun);
}

static enum rag_status begin_vectors(struct hunt *h, struct rag_error *reterr)
{
    h->k_near = larger(h->n_fetch, h->p->n_dense);
    h->near = arena_calloc(&h->r->arena, h->k_near, sizeof *h->near);
    if (!h->near)
        return no_memory(reterr);
    h->n_near = 0;
    h->r->adapter[0] = '\0';
    h->job = (struct side_job){.run = search_vectors, .context = h};
    side_work_begin(h->p->side, &h->job);
    return RAG_OK;
}

static enum rag_status finish_vectors(struct hunt *h, struct rag_error *reterr)
{
    enum search_mode mode = h->request->mode;
    struct ranked *items;

    side_work_finish(h->p->side, &h->job);
    h->lists[LIST_DENSE] = (struct ranked_list){NULL, 0};
    /* nothing serves: nothing was left out, unless it was asked for */
    if (h->dense_status == RAG_ENOTFOUND && mode == SEARCH_AUTO) {
        h->dense = false;
        return RAG_OK;
    }
    if (!h->r->ran[STAGE_DENSE])
        h->r->begun_ns[STAGE_DENSE] = h->dense_begun_ns;
    h->r->stages_ms[STAGE_DENSE] += h->dense_ms;
    h->r->ran[STAGE_DENSE] = true;
    if (h->dense_status != RAG_OK) {
        h->dense = false;
        if (mode == SEARCH_DENSE)
            return rag_fail(reterr, h->dense_status, "%s", h->dense_error.text);
        return pipeline_leave_out(h->request, h->r, STAGE_DENSE, h->dense_status, &h->dense_error,
                                  reterr);
    }
    items = arena_calloc(&h->r->arena, h->n_near + 1, sizeof *items);
    if (!items)
        return no_memory(reterr);
    for (size_t i = 0; i < h->n_near; i++)
        items[i] = (struct ranked){h->near[i].id, h->near[i].score};
    h->lists[LIST_DENSE] = (struct ranked_list){items, h->n_near};
    return RAG_OK;
}

/* Both lists again, or (a retry) only BM25's. */
static enum rag_status search_lists(struct hunt *h, bool vectors, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    enum rag_status dense = RAG_OK;

    if (vectors && h->dense)
        status = begin_vectors(h, reterr);
    if (status != RAG_OK)
        return status;
    status = search_terms(h, reterr);
    if (vectors && h->dense) /* a job that was begun is finished, whatever happened meanwhile */
        dense = finish_vectors(h, status == RAG_OK ? reterr : NULL);
    return status != RAG_OK ? status : dense;
}

/* ---- 4. fuse ---- */

static int by_id(const void *a, const void *b)
{
    const struct fused *x = a;
    const struct fused *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Every candidate with its ranks and scores in both lists, by id. */
static enum rag_status unite(struct hunt *h, struct rag_error *reterr)
{
    struct fusion_options both = {
        .method = FUSION_RRF, .weights = {1, 1},
             .rrf_k = 1
    };
    enum rag_status status = fusion_rank(&both, h->lists, h->all, &h->n_all, reterr);

    if (status == RAG_OK && h->n_all > 0)
        qsort(h->all, h->n_all, sizeof *h->all, by_id);
    return status;
}

static const struct fused *candidate(const struct hunt *h, uint64_t id)
{
    struct fused key = {.id = id};

    return bsearch(&key, h->all, h->n_all, sizeof *h->all, by_id);
}

/* The order of the candidates: fused, or the one list that there is. */
static enum rag_status order(struct hunt *h, struct rag_error *reterr)
{
    const struct retrieval *r = h->r;
    int only = r->mode == SEARCH_DENSE ? LIST_DENSE : LIST_BM25;

    if (r->mode == SEARCH_HYBRID) {
        struct fusion_options options = r->fusion;

        if (options.depth > 0) /* never fewer results than are asked for */
            options.depth = larger(options.depth, h->n_fetch);
        return fusion_rank(&options, h->lists, h->final, &h->n_final, reterr);
    }
    h->n_final = h->lists[only].n;
    for (size_t i = 0; i < h->n_final; i++)
        h->final[i] = (struct fused){.id = h->lists[only].items[i].id,
                                     .score = h->lists[only].items[i].score};
    return RAG_OK;
}

static enum rag_status add_ranking(struct hunt *h, const char *stage, const struct ranked *items,
                                   size_t n, struct rag_error *reterr)
{
    struct retrieval *r = h->r;
    struct ranking *ranking = &r->rankings[r->n_rankings++];

    if (n > h->n_rankings)
        n = h->n_rankings;
    *ranking = (struct ranking){stage, arena_calloc(&r->arena, n + 1, sizeof *items), n};
    if (!ranking->items)
        return no_memory(reterr);
    if (n > 0)
        memcpy(ranking->items, items, n * sizeof *items);
    return RAG_OK;
}

static enum rag_status rank_by(struct hunt *h, enum fusion_method method, struct fused *scratch,
                               struct rag_error *reterr)
{
    struct fusion_options options = h->r->fusion;
    struct ranked *items;
    enum rag_status status;
    size_t n = 0;

    options.method = method;
    status = fusion_rank(&options, h->lists, scratch, &n, reterr);
    if (status != RAG_OK)
        return status;
    items = arena_calloc(&h->r->arena, n + 1, sizeof *items);
    if (!items)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct ranked){scratch[i].id, scratch[i].score};
    return add_ranking(h, fusion_method_name(method), items, n, reterr);
}

/* Each stage's own list, and every fusion whichever is used, for who compares them. */
static enum rag_status keep_rankings(struct hunt *h, struct fused *scratch,
                                     struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    h->r->n_rankings = 0;
    if (h->n_rankings == 0)
        return RAG_OK;
    if (h->r->mode != SEARCH_DENSE)
        status = add_ranking(h, "bm25", h->lists[LIST_BM25].items, h->lists[LIST_BM25].n, reterr);
    if (status == RAG_OK && h->dense)
        status =
            add_ranking(h, "dense", h->lists[LIST_DENSE].items, h->lists[LIST_DENSE].n, reterr);
    if (h->r->mode != SEARCH_HYBRID)
        return status;
    if (status == RAG_OK)
        status = rank_by(h, FUSION_RRF, scratch, reterr);
    if (status == RAG_OK)
        status = rank_by(h, FUSION_CONVEX, scratch, reterr);
    if (status == RAG_OK)
        status = rank_by(h, FUSION_SCALED, scratch, reterr);
    return status;
}

/* ---- 5. fetch ---- */

struct wanted {
    uint64_t id;
    size_t place; /* in the order in which they are wanted */
};

static int wanted_by_id(const void *a, const void *b)
{
    const struct wanted *x = a;
    const struct wanted *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static int wanted_by_place(const void *a, const void *b)
{
    const struct wanted *x = a;
    const struct wanted *y = b;

    return (x->place > y->place) - (x->place < y->place);
}

/* The final list's ids, then the first of the vectors, then those that only a stage's own list has,
 * each once. */
static enum rag_status collect_ids(const struct hunt *h, uint64_t **ret, size_t *ret_n,
                                   struct rag_error *reterr)
{
    const struct ranked_list *dense = &h->lists[LIST_DENSE];
    size_t n_nearest = h->n_nearest < dense->n ? h->n_nearest : dense->n;
    struct retrieval *r = h->r;
    size_t most = h->n_final + n_nearest;
    struct wanted *wanted;
    size_t n = 0;
    size_t n_distinct = 0;

    for (size_t i = 0; i < r->n_rankings; i++)
        most += r->rankings[i].n;
    wanted = arena_calloc(&r->arena, most + 1, sizeof *wanted);
    *ret = arena_calloc(&r->arena, most + 1, sizeof **ret);
    if (!wanted || !*ret)
        return no_memory(reterr);
    for (; n < h->n_final; n++)
        wanted[n] = (struct wanted){h->final[n].id, n};
    for (size_t i = 0; i < n_nearest; i++, n++)
        wanted[n] = (struct wanted){dense->items[i].id, n};
    for (size_t i = 0; i < r->n_rankings; i++)
        for (size_t k = 0; k < r->rankings[i].n; k++, n++)
            wanted[n] = (struct wanted){r->rankings[i].items[k].id, n};
    qsort(wanted, n, sizeof *wanted, wanted_by_id);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || wanted[i].id != wanted[i - 1].id)
            wanted[n_distinct++] = wanted[i];
    qsort(wanted, n_distinct, sizeof *wanted, wanted_by_place);
    for (size_t i = 0; i < n_distinct; i++)
        (*ret)[i] = wanted[i].id;
    *ret_n = n_distinct;
    return RAG_OK;
}

static struct passage passage_of(const struct store_passage *s)
{
    return (struct passage){
        .id = s->id,
        .document = s->document,
        .title = s->title,
        .heading = s->heading,
        .context = s->context,
        .text = s->text,
        .text_bytes = s->text_bytes,
        .byte_start = s->byte_start,
        .byte_end = s->byte_end,
        .version_id = s->version_id,
    };
}

/* Texts of the final list, and of what is fetched beside it. */
static enum rag_status fetch(struct hunt *h, struct rag_error *reterr)
{
    struct retrieval *r = h->r;
    struct store_passage *stored = NULL;
    enum rag_status status;
    uint64_t *ids = NULL;
    size_t n = 0;
    size_t at = 0;

    arena_reset(&r->texts);
    status = collect_ids(h, &ids, &n, reterr);
    if (status == RAG_OK)
        status = store_passages_owned(h->p->store, ids, n, h->versions, &r->texts, &stored,
                                      &r->n_fetched, reterr);
    if (status != RAG_OK)
        return status;
    r->passages = arena_calloc(&r->arena, r->n_fetched + 1, sizeof *r->passages);
    if (!r->passages)
        return no_memory(reterr);
    r->n_passages = 0;
    for (size_t i = 0; i < r->n_fetched; i++, at++) {
        const struct fused *known = candidate(h, stored[i].id);
        struct passage *s = &r->passages[i];

        while (ids[at] != stored[i].id)
            at++; /* the store keeps the order and only leaves out */
        *s = passage_of(&stored[i]);
        s->bm25_rank = known->ranks[LIST_BM25];
        s->bm25_score = known->scores[LIST_BM25];
        s->dense_rank = known->ranks[LIST_DENSE];
        s->dense_score = known->scores[LIST_DENSE];
        if (at >= h->n_final)
            continue;
        r->n_passages++;
        s->score = h->final[at].score;
        if (r->mode == SEARCH_HYBRID) {
            s->fused_rank = (uint32_t)at + 1;
            s->fused_score = h->final[at].score;
        }
    }
    return RAG_OK;
}

static void note_lost(struct hunt *h)
{
    h->lost = h->r->n_passages < h->n_final;
    h->lost_dense = false;
    for (size_t i = 0; h->lost && i < h->n_final; i++)
        h->lost_dense |= candidate(h, h->final[i].id)->ranks[LIST_DENSE] != RANK_NONE;
}

/* Fuse what was found and fetch it. */
static enum rag_status fuse_and_fetch(struct hunt *h, struct rag_error *reterr)
{
    struct retrieval *r = h->r;
    size_t most = h->lists[LIST_BM25].n + h->lists[LIST_DENSE].n + 1;
    struct fused *scratch = arena_calloc(&r->arena, most, sizeof *scratch);
    int64_t begun = pipeline_stage_begin(h->request, STAGE_FUSE);
    enum rag_status status;

    h->all = arena_calloc(&r->arena, most, sizeof *h->all);
    h->final = arena_calloc(&r->arena, most, sizeof *h->final);
    if (!h->all || !h->final || !scratch)
        return no_memory(reterr);
    status = unite(h, reterr);
    if (status == RAG_OK)
        status = order(h, reterr);
    if (status == RAG_OK)
        status = keep_rankings(h, scratch, reterr);
    if (status != RAG_OK)
        return status;
    if (r->mode == SEARCH_HYBRID)
        pipeline_stage_done(r, STAGE_FUSE, begun);
    r->n_candidates = h->n_all;
    if (h->n_final > h->n_fetch)
        h->n_final = h->n_fetch;
    begun = pipeline_stage_begin(h->request, STAGE_FETCH);
    status = fetch(h, reterr);
    pipeline_stage_done(r, STAGE_FETCH, begun);
    if (status == RAG_OK)
        note_lost(h);
    return status;
}

/* Steps 4 and 5: again when a chunk that an index still had was deleted in the store, so that a
 * search never returns fewer than there are. */
static enum rag_status find(struct hunt *h, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool vectors = true;

    for (int i = 0; i < RETRIES_MAX && status == RAG_OK; i++) {
        status = search_lists(h, vectors, reterr);
        if (status != RAG_OK)
            break;
        h->r->mode = h->request->mode == SEARCH_DENSE ? SEARCH_DENSE
                     : h->dense                       ? SEARCH_HYBRID
                                                      : SEARCH_BM25;
        status = fuse_and_fetch(h, reterr);
        if (status != RAG_OK || !h->lost)
            break;
        vectors = h->lost_dense;
        status = pipeline_still_wanted(h->request, reterr);
        (void)nanosleep(&(struct timespec){.tv_nsec = RETRY_WAIT_NS}, NULL);
    }
    return status;
}

/* ---- 2 to 6 ---- */

static void choose_settings(const struct pipeline *p, const struct pipeline_request *request,
                            struct retrieval *r)
{
    if (!collection_lexical(request->collection, &r->lexical))
        r->lexical = LEXICAL_WEIGHTS_DEFAULT;
    r->rerank_words = p->rerank.words;
    (void)collection_rerank(request->collection, &r->rerank_words);
    if (request->fusion)
        r->fusion = *request->fusion;
    else if (!collection_fusion(request->collection, &r->fusion))
        r->fusion = p->fusion;
}

static void number_results(struct retrieval *r)
{
    bool reranked = strcmp(r->reranker, "none") != 0;

    for (size_t i = 0; i < r->n_passages; i++) {
        struct passage *s = &r->passages[i];

        s->final_rank = (uint32_t)i + 1;
        if (reranked)
            s->score = s->rerank_score;
    }
}

enum rag_status pipeline_find(const struct pipeline *p, const struct pipeline_request *request,
                              struct retrieval *r, struct rag_error *reterr)
{
    size_t top_k = request->top_k ? request->top_k : TOP_K_DEFAULT;
    bool filtered = request->n_filter > 0;
    struct id_set versions = {0};
    struct id_set keep = {0};
    enum rag_status status = RAG_OK;
    struct hunt h = {
        .p = p,
        .request = request,
        .r = r,
        .keep = filtered ? &keep : NULL,
        .versions = filtered ? &versions : NULL,
        .n_fetch = larger(top_k, p->rerank_head),
        .n_rankings = request->rankings ? top_k : 0,
        .n_nearest = request->nearest ? NEAREST_MAX : 0,
    };

    choose_settings(p, request, r);
    /* a weight of 0 leaves the vectors out, but for who wants to compare the lists */
    h.dense =
        request->mode != SEARCH_BM25 &&
        (request->collection->vectors || request->mode != SEARCH_AUTO) &&
        (r->fusion.weights[LIST_DENSE] > 0 || request->rankings || request->mode == SEARCH_DENSE);
    if (filtered) {
        int64_t begun = pipeline_stage_begin(request, STAGE_FILTER);

        status = store_filter_owners(p->store, request->collection->id, request->filter,
                                     request->n_filter, &keep, &versions, reterr);
        pipeline_stage_done(r, STAGE_FILTER, begun);
    }
    if (status == RAG_OK)
        status = pipeline_still_wanted(request, reterr);
    if (status == RAG_OK)
        status = find(&h, reterr);
    id_set_release(&keep);
    id_set_release(&versions);
    if (status == RAG_OK)
        status = pipeline_still_wanted(request, reterr);
    /* another server reads what the policy let through, and as it let it through */
    if (status == RAG_OK && p->models && models_reranker_is_remote(p->models) &&
        !collection_is_offline(request->collection))
        status = pipeline_guard_passages(p, request, r, p->rerank_head, reterr);
    if (status == RAG_OK)
        status = pipeline_rerank(p, request, r, reterr);
    number_results(r);
    return status;
}

enum rag_status pipeline_search(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *ret, struct rag_error *reterr)
{
    size_t top_k = request->top_k ? request->top_k : TOP_K_DEFAULT;
    int64_t begun_all = clock_monotonic_ns();
    struct pipeline_request asked = *request;
    struct retrieval *r = ret;
    struct buf question;
    enum rag_status status;
    bool refused = false;

    retrieval_init(r);
    buf_init(&question, PIPELINE_QUESTION_BYTES_MAX);
    status = pipeline_read(request->question, &question, reterr);
    if (status == RAG_OK)
        status = pipeline_guard_question(p, request, r, question.data, &refused, reterr);
    if (status == RAG_OK && refused)
        status = rag_fail(reterr, RAG_EDENIED, "'query': %s", r->guard_reason);
    asked.question = buf_str(&question);
    if (status == RAG_OK)
        status = pipeline_analyze(p, &asked, r, reterr);
    if (status == RAG_OK)
        status = pipeline_find(p, &asked, r, reterr);
    if (status == RAG_OK)
        status = pipeline_guard_passages(p, &asked, r, top_k, reterr);
    if (status == RAG_OK && asked.explain) {
        size_t n_given = p->n_passages < top_k ? p->n_passages : top_k;

        pipeline_gate(p, &asked, r, n_given < r->n_passages ? n_given : r->n_passages, &r->gate);
    }
    buf_release(&question);
    pipeline_stage_done(r, STAGE_TOTAL, begun_all);
    return status;
}
