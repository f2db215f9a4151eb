/* Step 6. Four ways to order the head:
 *   a cross-encoder reads question and passage together, in fused order until its budget is spent;
 *       what it has read goes first, by its score, and the rest keeps its order behind
 *   where it is to read fewer than the head, or words have a share in its score, the head is first
 *       ordered as without one, it reads the first, and both scores together make the order
 *       (retrieve/rerank_blend.h)
 *   without one, after bm25: by words (retrieve/rerank_lexical.h)
 *   without one, after fusion: the order by words takes the place of bm25 in the same fusion, since
 *       an order by words alone would undo what the vectors found
 * Nothing reorders what only vectors ranked (mode dense). The words are read in every case: their
 * score is comparable between questions, and the generator goes by it. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "daemon/pipeline_internal.h"
#include "embed/passage_text.h"
#include "retrieve/rerank_blend.h"
#include "retrieve/rerank_window.h"

/* a chunk of the largest size, four bytes a character, with its title, headings and context */
#define PAIR_BYTES_MAX                                                                             \
    (CHUNK_CHARS_MAX * 4 + TITLE_BYTES_MAX + HEADING_PATH_BYTES_MAX + CHUNK_CONTEXT_BYTES_MAX + 16)

/* The passage of that id among the head. */
static struct passage *find(struct passage *passages, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (passages[i].id == id)
            return &passages[i];
    return NULL;
}

/* The head in the order of its words, as a copy; fills words and lexical_score in both. */
static enum rag_status read_words(const struct pipeline *p, struct retrieval *r, size_t head,
                                  struct passage **ret, struct rag_error *reterr)
{
    struct lexical_query query = pipeline_lexical_query(p, r);
    struct passage *copy = arena_calloc(&r->arena, head, sizeof *copy);
    enum rag_status status = RAG_ENOMEM;

    if (copy) {
        memcpy(copy, r->passages, head * sizeof *copy);
        status = rerank_lexical(&query, &r->lexical, copy, head);
    }
    if (status != RAG_OK)
        return rag_fail(reterr, status, "rerank: out of memory");
    for (size_t i = 0; i < head; i++) {
        struct passage *s = find(r->passages, head, copy[i].id);

        s->words = copy[i].words;
        s->lexical_score = copy[i].lexical_score;
    }
    *ret = copy;
    return RAG_OK;
}

/* words: the head by words. Their order and that of the vectors, fused as bm25 and dense were. */
static enum rag_status fuse_words(struct retrieval *r, const struct passage *words, size_t head,
                                  struct rag_error *reterr)
{
    struct fused *fused = arena_calloc(&r->arena, head * N_LISTS, sizeof *fused);
    struct passage *ordered = arena_calloc(&r->arena, head, sizeof *ordered);
    enum rag_status status;
    size_t n = 0;

    if (!fused || !ordered)
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    status = rerank_fuse(&r->fusion, words, head, fused, &n, &r->doubt, reterr);
    if (status != RAG_OK)
        return status;
    /* what only a list of weight 0 knows is not in 'fused'; it keeps its place behind */
    for (size_t i = 0; i < n; i++) {
        struct passage *s = find(r->passages, head, fused[i].id);

        s->rerank_score = fused[i].score;
        s->rerank_rank = (uint32_t)i + 1;
        ordered[i] = *s;
    }
    for (size_t i = 0; i < head; i++)
        if (r->passages[i].rerank_rank == RANK_NONE)
            ordered[n++] = r->passages[i];
    memcpy(r->passages, ordered, head * sizeof *ordered);
    return RAG_OK;
}

/* What the cross-encoder reads of a passage: what the embedder does, or a window of it. */
static enum rag_status write_pair(const struct pipeline *p, struct retrieval *r,
                                  const struct passage *s, struct pair_text *ret)
{
    struct passage_parts parts = {s->title, s->heading, s->context, s->text, s->text_bytes};
    struct byte_span words = {s->words.start, s->words.end};
    struct byte_span window;
    enum rag_status status =
        rerank_window(s->text, s->text_bytes, words, p->rerank.window_tokens, &window);
    struct buf text;

    if (status != RAG_OK)
        return status;
    parts.text += window.start;
    parts.text_bytes = window.end - window.start;
    buf_init(&text, PAIR_BYTES_MAX);
    passage_text(&parts, &text);
    status = buf_status(&text);
    if (status == RAG_OK) {
        *ret = (struct pair_text){arena_strndup(&r->arena, buf_str(&text), text.len), text.len};
        status = ret->text ? RAG_OK : RAG_ENOMEM;
    }
    buf_release(&text);
    return status;
}

/* Scores of the first n passages, of the first *ret_n_scored in fact. */
static enum rag_status score_pairs(const struct pipeline *p, const struct pipeline_request *request,
                                   struct retrieval *r, size_t n, float *scores,
                                   size_t *ret_n_scored, struct rag_error *reterr)
{
    struct pair_text *pairs = arena_calloc(&r->arena, n, sizeof *pairs);
    struct pair_text query = {r->text.data, r->text.len};
    enum rag_status status = pairs ? RAG_OK : RAG_ENOMEM;

    for (size_t i = 0; i < n && status == RAG_OK; i++)
        status = write_pair(p, r, &r->passages[i], &pairs[i]);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "rerank: out of memory");
    return models_rerank(
        p->models, collection_is_offline(request->collection) ? MODELS_STAY_HERE : MODELS_MAY_LEAVE,
        query, pairs, n, false, p->rerank_budget_ns, request->cancel, scores, ret_n_scored, reterr);
}

/* The first n by score, best first; equal ones keep their order. */
static void sort_scored(struct passage *passages, size_t n)
{
    passages_by_rerank(passages, n);
    for (size_t i = 0; i < n; i++)
        passages[i].rerank_rank = (uint32_t)i + 1;
}

static enum rag_status order_by_words(struct retrieval *r, const struct passage *words, size_t head,
                                      struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (r->mode == SEARCH_DENSE)
        return RAG_OK;
    if (r->mode == SEARCH_HYBRID) {
        status = fuse_words(r, words, head, reterr);
    } else {
        memcpy(r->passages, words, head * sizeof *words);
        for (size_t i = 0; i < head; i++)
            r->passages[i].rerank_rank = (uint32_t)i + 1;
    }
    if (status == RAG_OK)
        r->reranker = "lexical";
    return status;
}

/* words: the head by words. On failure the head is in some order that is as good without the
 * cross-encoder, and r->reranker says which. */
static enum rag_status cross_encode(const struct pipeline *p,
                                    const struct pipeline_request *request, struct retrieval *r,
                                    const struct passage *words, size_t head,
                                    struct rag_error *reterr)
{
    size_t n = p->rerank.n_pairs > 0 && p->rerank.n_pairs < head ? p->rerank.n_pairs : head;
    bool blended = r->mode != SEARCH_DENSE && (n < head || r->rerank_words > 0);
    float *scores = arena_calloc(&r->arena, n, sizeof *scores);
    enum rag_status status = RAG_OK;
    struct cross_encoder_info info;
    size_t n_scored = 0;

    if (!scores)
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    if (blended)
        status = order_by_words(r, words, head, reterr);
    if (status == RAG_OK)
        status = score_pairs(p, request, r, n, scores, &n_scored, reterr);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n_scored; i++) {
        r->passages[i].cross_score = scores[i];
        r->passages[i].cross_read = true;
    }
    if (blended) {
        rerank_blend(r->passages, head, r->rerank_words);
    } else {
        for (size_t i = 0; i < n_scored; i++)
            r->passages[i].rerank_score = scores[i];
        sort_scored(r->passages, n_scored);
    }
    cross_encoder_info(models_reranker(p->models), &info);
    r->reranker = info.name;
    return RAG_OK;
}

enum rag_status pipeline_rerank(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *r, struct rag_error *reterr)
{
    size_t head = r->n_passages < p->rerank_head ? r->n_passages : p->rerank_head;
    /* an offline collection has no use for another server's, nor one where only words count */
    bool cross =
        p->models && models_reranker(p->models) && r->rerank_words < 1 &&
        !(models_reranker_is_remote(p->models) && collection_is_offline(request->collection));
    int64_t begun = pipeline_stage_begin(request, STAGE_RERANK);
    struct passage *words = NULL;
    enum rag_status status;

    if (request->no_rerank || head == 0)
        return RAG_OK;
    status = read_words(p, r, head, &words, reterr);
    if (status == RAG_OK && cross) {
        struct rag_error why = {RAG_OK, ""};

        status = cross_encode(p, request, r, words, head, &why);
        if (status != RAG_OK)
            status = pipeline_leave_out(request, r, STAGE_RERANK, status, &why, reterr);
    }
    if (status == RAG_OK && strcmp(r->reranker, "none") == 0)
        status = order_by_words(r, words, head, reterr);
    if (strcmp(r->reranker, "none") != 0)
        pipeline_stage_done(r, STAGE_RERANK, begun);
    return status;
}
