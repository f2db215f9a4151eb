#include "retrieve/rerank_lexical.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text/entity.h"
#include "text/overlap.h"
#include "text/sentence.h"

/* A term that the title has is known to be meant wherever the sentence stands, but a
 * sentence that repeats it is the better one. */
#define GIVEN_BY_TITLE 0.6f

/* Sentences are compared by coverage and this much of proximity. */
#define PICK_PROXIMITY 0.3f

/* Which question terms the title and the heading have, in part. */
static enum rag_status read_given(const struct overlap_query *q, const struct analyzer *analyzer,
                                  const struct passage *p, struct overlap_text *t, float *given)
{
    const char *const fields[] = {p->title, p->heading, p->context};
    enum rag_status status = RAG_OK;

    memset(given, 0, q->n * sizeof *given);
    for (size_t f = 0; f < 3 && status == RAG_OK; f++) {
        if (!fields[f] || fields[f][0] == '\0')
            continue;
        status = overlap_read(q, analyzer, fields[f], strlen(fields[f]), t);
        for (size_t i = 0; status == RAG_OK && i < t->n; i++)
            given[t->hits[i].term] = GIVEN_BY_TITLE;
    }
    return status;
}

static bool asks_for_form(const struct question *question)
{
    return question->kind == ANSWER_DATE || question->kind == ANSWER_QUANTITY;
}

/* Could the entity be what is asked for? A number in another unit could not. */
static bool fits(const struct question *question, const char *text, const struct entity *found)
{
    size_t n_unit;
    enum unit_class asked;

    if (question->kind == ANSWER_DATE)
        return found->kind == ENTITY_DATE;
    if (found->kind != ENTITY_NUMBER)
        return false;
    asked = unit_read(question->unit, strlen(question->unit), &n_unit);
    if (asked != UNIT_OTHER)
        return n_unit == 0 || unit_fits(asked, (enum unit_class)found->unit);
    return found->unit_end - found->unit_start >= n_unit &&
           memcmp(text + found->unit_start, question->unit, n_unit) == 0;
}

static bool said_in_question(const struct lexical_query *query, const char *text,
                             const struct entity *found)
{
    struct entity own;
    size_t at = 0;

    while (entity_next(query->text, query->n_bytes, &at, &own))
        if (entity_same(query->text, &own, text, found))
            return true;
    return false;
}

/* Does the sentence hold the form of an answer that the question does not say itself? */
static bool has_kind(const struct lexical_query *query, const char *text,
                     const struct sentence *sentence)
{
    struct entity found;
    size_t at = sentence->byte_start;

    while (entity_next(text, sentence->byte_end, &at, &found))
        if (fits(query->question, text, &found) && !said_in_question(query, text, &found))
            return true;
    return false;
}

static enum rag_status read_passage(const struct lexical_query *query,
                                    const struct overlap_query *q, const struct passage *p,
                                    struct overlap_text *t, float *given,
                                    struct lexical_evidence *ret)
{
    struct sentence *sentences = NULL;
    size_t n = 0;
    size_t before = 0;
    size_t best = 0;
    enum rag_status status = read_given(q, query->analyzer, p, t, given);

    if (status == RAG_OK)
        status = overlap_read(q, query->analyzer, p->text, p->text_bytes, t);
    if (status == RAG_OK)
        status = sentence_split(p->text, p->text_bytes, &sentences, &n);
    if (status != RAG_OK)
        return status;
    *ret = (struct lexical_evidence){.bm25 = q->total > 0 ? p->bm25_score / q->total : 0,
                                     .read = true,
                                     .form = asks_for_form(query->question)};
    for (size_t i = 0; i < n; i++) {
        size_t from = overlap_find(t, sentences[i].byte_start);
        size_t to = overlap_find(t, sentences[i].byte_end);
        struct overlap one = overlap_score(q, t, from, to, given);

        struct overlap two = i ? overlap_score(q, t, before, to, given) : one;

        if (one.coverage + PICK_PROXIMITY * one.proximity >
            ret->sentence + PICK_PROXIMITY * ret->proximity) {
            ret->sentence = one.coverage;
            ret->proximity = one.proximity;
            ret->start = from < to ? t->hits[from].byte_start : 0;
            ret->end = from < to ? t->hits[to - 1].byte_end : 0;
            best = i;
        }
        if (two.coverage > ret->window)
            ret->window = two.coverage;
        before = from;
    }
    ret->kind = n > 0 && ret->form && has_kind(query, p->text, &sentences[best]);
    free(sentences);
    return RAG_OK;
}

float lexical_score(const struct lexical_weights *w, const struct lexical_evidence *e)
{
    float bm25 = e->bm25 < 1 ? e->bm25 : 1;
    float sum = w->bm25 * bm25 + w->sentence * e->sentence + w->window * e->window +
                w->proximity * e->proximity;
    float shares = w->bm25 + w->sentence + w->window + w->proximity;

    if (e->form) {
        sum += e->kind ? w->kind : 0;
        shares += w->kind;
    }
    return shares > 0 ? sum / shares : 0;
}

enum rag_status rerank_lexical(const struct lexical_query *query,
                               const struct lexical_weights *weights, struct passage *passages,
                               size_t n)
{
    const struct lexical_weights defaults = LEXICAL_WEIGHTS_DEFAULT;
    struct overlap_query q = {0};
    struct overlap_text t = {0};
    struct lexical_evidence *read = calloc(n + 1, sizeof *read);
    float *given = malloc((query->terms->n + 1) * sizeof *given);
    enum rag_status status = read && given ? RAG_OK : RAG_ENOMEM;

    if (status == RAG_OK)
        status = overlap_query_init(query->terms, query->idf, &q);
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        status = read_passage(query, &q, &passages[i], &t, given, &read[i]);
    if (status == RAG_OK) {
        for (size_t i = 0; i < n; i++) {
            passages[i].words = read[i];
            passages[i].lexical_score = lexical_score(&defaults, &read[i]);
            passages[i].rerank_score = lexical_score(weights, &read[i]);
        }
        passages_by_rerank(passages, n);
        for (size_t i = 0; i < n; i++)
            passages[i].final_rank = (uint32_t)i + 1;
    }
    overlap_text_release(&t);
    overlap_query_release(&q);
    free(given);
    free(read);
    return status;
}

/* How little of the question's idf mass the best passage by words holds in one place. */
static float doubt_of_words(const struct passage *by_words, size_t n)
{
    float held = 0.0f;

    for (size_t i = 0; i < n; i++)
        if (by_words[i].bm25_rank != RANK_NONE && by_words[i].words.window > held)
            held = by_words[i].words.window;
    return held < FUSION_HELD ? 1.0f - held / FUSION_HELD : 0.0f;
}

/* Move an entry that is below place `at` up to it; the others keep their order. */
static void lift(struct fused *list, size_t n, uint64_t id, size_t at)
{
    for (size_t i = at + 1; i < n; i++) {
        if (list[i].id == id) {
            struct fused lifted = list[i];

            lifted.score = list[at].score;
            memmove(list + at + 1, list + at, (i - at) * sizeof *list);
            list[at] = lifted;
            return;
        }
    }
}

enum rag_status rerank_fuse(const struct fusion_options *fusion, const struct passage *by_words,
                            size_t n, struct fused *ret, size_t *ret_n, float *ret_doubt,
                            struct rag_error *reterr)
{
    const struct passage **near = calloc(n + 1, sizeof *near);
    struct ranked *items = calloc(n * N_LISTS + 1, sizeof *items);
    struct fusion_options options = *fusion;
    struct ranked_list lists[N_LISTS];
    enum rag_status status;
    size_t n_words = 0;
    size_t n_near = 0;

    if (!near || !items) {
        status = rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        /* rrf pays for a rank whatever the score, and scaled measures by the tenth: what bm25 gave
         * no rank, having none of the words, gets none here. convex needs it, as the least of the
         * list. */
        if (options.method == FUSION_CONVEX || by_words[i].bm25_rank != RANK_NONE)
            items[n_words++] = (struct ranked){by_words[i].id, by_words[i].rerank_score};
        if (by_words[i].dense_rank != RANK_NONE)
            near[n_near++] = &by_words[i];
    }
    qsort(near, n_near, sizeof *near, passages_compare_dense);
    for (size_t i = 0; i < n_near; i++)
        items[n + i] = (struct ranked){near[i]->id, near[i]->dense_score};
    lists[LIST_BM25] = (struct ranked_list){items, n_words};
    lists[LIST_DENSE] = (struct ranked_list){items + n, n_near};
    options.depth = 0; /* the head is what it is */
    if (options.method == FUSION_SCALED)
        options.doubt = doubt_of_words(by_words, n);
    status = fusion_rank(&options, lists, ret, ret_n, reterr);
    if (status == RAG_OK && options.method == FUSION_SCALED && options.weights[LIST_BM25] > 0.0f)
        for (size_t i = 0; i < n_words; i++)
            lift(ret, *ret_n, items[i].id, (i + 1) * FUSION_WORDS_PLACES - 1);
    if (status == RAG_OK && ret_doubt)
        *ret_doubt = options.doubt;
out:
    free(near);
    free(items);
    return status;
}
