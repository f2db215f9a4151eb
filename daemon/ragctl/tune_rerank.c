/* The share of the words beside a cross-encoder: both scores of the head of each question of the
 * learning half, and retrieve/blend_tune.h. Then also what the model adds to the words by
 * themselves, since it costs most of a search. Only titles and headings ask here: a passage from
 * which its sentence was taken would teach that words do not count. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/ragctl/tune_parts.h"
#include "daemon/ranking_settings.h"
#include "retrieve/blend_tune.h"

#define SHARE_ASK 0.5f /* with it both scores can be told from their mean */

struct rerank_task {
    struct tune_bench *bench;
    struct blend_tune_question *questions;
    size_t n;
    size_t n_read;      /* questions of which the model read something */
    size_t n_part;      /* questions of which it read less than of the others: its time ran out */
    size_t most_read;   /* passages of one question */
    char degraded[160]; /* why it read nothing */
};

/* rerank_score = (1 - w) * cross + w * words, with w = SHARE_ASK */
static struct passage passage_of(const struct json *r, const struct json *words)
{
    double cross = json_number(json_member(words, "cross"));
    double score = tune_number(r, "rerank_score");
    bool read = isfinite(cross);
    double w = (double)SHARE_ASK;

    return (struct passage){
        .id = shadow_passage_index(json_string(json_member(r, "document")), UINT32_MAX),
        .cross_score = read ? (float)cross : 0.0f,
        .cross_read = read,
        .rerank_score = (float)((score - (1.0 - w) * (read ? cross : 0.0)) / w),
    };
}

static enum rag_status take_head(void *context, const struct pair *q, const struct json *reply,
                                 struct rag_error *reterr)
{
    struct rerank_task *t = context;
    const struct json *results = json_member(reply, "results");
    const struct json *words = json_first(json_member(json_member(reply, "explanation"), "words"));
    const struct json *degraded = json_first(json_member(reply, "degraded"));
    struct passage *head = arena_calloc(&t->bench->arena, PASSAGES_MAX, sizeof *head);
    size_t n_read = 0;
    size_t n = 0;

    if (!head)
        return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    for (const struct json *r = json_first(results); r && words && n < PASSAGES_MAX;
         r = json_next(r), words = json_next(words)) {
        if (json_is_null(words))
            continue;
        head[n] = passage_of(r, words);
        n_read += head[n++].cross_read;
    }
    if (degraded)
        snprintf(t->degraded, sizeof t->degraded, "%s", ragctl_text(degraded, "reason"));
    passages_by_rerank(head, n);
    t->n_read += n_read > 0;
    t->most_read = n_read > t->most_read ? n_read : t->most_read;
    t->questions[t->n++] = (struct blend_tune_question){head, n, q->gold_first, q->gold_last};
    return RAG_OK;
}

static void count_part(struct rerank_task *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct blend_tune_question *q = &t->questions[i];
        size_t n_read = 0;

        for (size_t k = 0; k < q->n; k++)
            n_read += q->head[k].cross_read;
        t->n_part += n_read < q->n && n_read < t->most_read;
    }
}

static void write_members(struct json_writer *w, const void *value)
{
    rerank_settings_write(w, *(const float *)value);
}

static enum rag_status try_share(struct tune_bench *b, float share, struct rag_error *reterr)
{
    struct json *value = NULL;
    enum rag_status status = tune_as_json(write_members, &share, &value, reterr);

    if (status == RAG_OK)
        status = tune_bench_try(b, SETTING_RERANK, value, reterr);
    json_free(value);
    return status;
}

static enum rag_status take_back(struct tune_bench *b, struct rag_error *reterr)
{
    return tune_bench_try(b, SETTING_RERANK,
                          b->own[SETTING_RERANK] ? b->settings[SETTING_RERANK] : NULL, reterr);
}

/* Both scores of the learning half. */
static enum rag_status ask(struct rerank_task *t, struct rag_error *reterr)
{
    const struct tune_ask ask = {.noun = "questions (rerank)",
                                 .mode = "auto",
                                 .top_k = PASSAGES_MAX,
                                 .rerank = true,
                                 .explain = true,
                                 .kinds = TUNE_TITLE_KINDS,
                                 .learn = true,
                                 .take = take_head,
                                 .context = t};
    struct tune_bench *b = t->bench;
    enum rag_status status = try_share(b, SHARE_ASK, reterr);

    if (status == RAG_OK)
        status = tune_bench_ask(b, &ask, reterr);
    if (status == RAG_OK && t->n_read == 0)
        status = rag_fail(reterr, RAG_EIO, "tune rerank: the model '%s' read nothing%s%s",
                          b->reranker, t->degraded[0] ? ": " : "", t->degraded);
    if (status == RAG_OK)
        count_part(t);
    return status == RAG_OK ? take_back(b, reterr) : status;
}

/* What is in place in the end, beside words alone. */
static enum rag_status measure_words(struct tune_bench *b, struct tune_outcome *o,
                                     struct rag_error *reterr)
{
    uint32_t *alone = NULL;
    const struct paired *d = &o->words_gain.mrr_at_10;
    enum rag_status status = try_share(b, 1.0f, reterr);

    if (status == RAG_OK)
        status = tune_bench_rank(b, "auto", "questions (words alone)", &alone, reterr);
    if (status == RAG_OK)
        status = take_back(b, reterr);
    if (status != RAG_OK)
        return status;
    o->has_words = true;
    o->words_alone = tune_bench_quality(b, alone, TUNE_TITLE_KINDS);
    o->with_model = tune_bench_quality(b, b->ranks, TUNE_TITLE_KINDS);
    o->words_gain = tune_bench_gain(b, alone, b->ranks, TUNE_TITLE_KINDS);
    tune_outcome_note(o, "what is in place%s, beside words alone: MRR@10 %+.4f [%+.4f, %+.4f]",
                      o->better ? " now" : "", d->mean, d->low, d->high);
    if (d->low > 0)
        tune_outcome_note(o, "so the model '%.64s' helps", b->reranker);
    else
        tune_outcome_note(o,
                          "so the model '%.64s' %s: rerank.words 1 does without it in this "
                          "collection, [models] reranker in all",
                          b->reranker,
                          d->high < 0 ? "does harm here" : "does not help beyond chance");
    return RAG_OK;
}

/* Is there nothing that could be learned here? */
static bool is_idle(struct tune_bench *b, struct tune_outcome *o)
{
    if (!b->cross)
        snprintf(o->verdict, sizeof o->verdict, "%s", b->no_cross);
    o->skipped = !b->cross || !tune_has_titles(b, BLEND_TUNE_QUESTIONS_MIN, o);
    return o->skipped;
}

enum rag_status tune_rerank(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr)
{
    struct rerank_task task = {.bench = b};
    struct blend_choice choice = {0};
    struct json *found = NULL;
    float present = 0.0f;
    enum rag_status status;

    if (is_idle(b, o))
        return RAG_OK;
    status = rerank_settings_read(b->settings[SETTING_RERANK], &present, reterr);
    task.questions = arena_calloc(&b->arena, tune_bench_count(b, false, TUNE_TITLE_KINDS) + 1,
                                  sizeof *task.questions);
    if (status == RAG_OK && !task.questions)
        status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    if (status == RAG_OK)
        status = tune_bench_ranks(b, reterr); /* before another share is tried */
    if (status == RAG_OK)
        status = ask(&task, reterr);
    if (status == RAG_OK)
        status = blend_tune(task.questions, task.n, present, &choice, reterr);
    if (status != RAG_OK)
        return status;
    tune_outcome_note(o,
                      "learning half (%zu of titles and headings): MRR@10 %.4f of the model alone, "
                      "%.4f of words alone, %.4f -> %.4f with %.1f of words",
                      task.n, choice.mrr_cross, choice.mrr_words, choice.mrr_before, choice.mrr,
                      (double)choice.words);
    if (task.n_part > 0)
        tune_outcome_note(o,
                          "of %zu questions the model read less than the %zu passages of others: "
                          "its time ran out (rerank_budget_ms)",
                          task.n_part, task.most_read);
    status = tune_as_json(write_members, &choice.words, &found, reterr);
    if (status == RAG_OK)
        status = tune_measure(b, SETTING_RERANK, found, TUNE_TITLE_KINDS, o, reterr);
    return status == RAG_OK ? measure_words(b, o, reterr) : status;
}
