/* The weights of the rerank by words: what it read in the head of each question of the learning
 * half, and retrieve/lexical_tune.h. Only titles and headings ask here: a passage from which its
 * sentence was taken has no best sentence, and would teach that sentences do not count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/fusion_settings.h"
#include "daemon/ragctl/tune_parts.h"
#include "daemon/ranking_settings.h"
#include "retrieve/lexical_tune.h"

struct lexical_task {
    struct tune_bench *bench;
    struct lexical_tune_question *questions;
    size_t n;
    bool fused;
    struct fusion_options fusion;
};

static struct passage passage_of(const struct json *r, const struct json *words, bool fused)
{
    const struct json *kind = json_member(words, "kind");

    return (struct passage){
        .id = shadow_passage_index(json_string(json_member(r, "document")), UINT32_MAX),
        .bm25_rank = (uint32_t)tune_number(r, "bm25_rank"),
        .dense_rank = (uint32_t)tune_number(r, "dense_rank"),
        .dense_score = (float)tune_number(r, "dense_score"),
        .fused_rank = (uint32_t)tune_number(r, fused ? "fused_rank" : "bm25_rank"),
        .words = {.bm25 = (float)tune_number(words, "bm25"),
                  .sentence = (float)tune_number(words, "sentence"),
                  .window = (float)tune_number(words, "window"),
                  .proximity = (float)tune_number(words, "proximity"),
                  .form = json_is_bool(kind),
                  .kind = json_true(kind),
                  .read = true},
    };
}

/* As the rerank got them: of equal scores the earlier one stays first. */
static int by_earlier_rank(const void *a, const void *b)
{
    const struct passage *x = a;
    const struct passage *y = b;

    return (x->fused_rank > y->fused_rank) - (x->fused_rank < y->fused_rank);
}

static enum rag_status take_head(void *context, const struct pair *q, const struct json *reply,
                                 struct rag_error *reterr)
{
    struct lexical_task *t = context;
    const struct json *results = json_member(reply, "results");
    const struct json *words = json_first(json_member(json_member(reply, "explanation"), "words"));
    struct passage *head = arena_calloc(&t->bench->arena, json_size(results) + 1, sizeof *head);
    size_t n = 0;

    if (!head)
        return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    t->fused = strcmp(ragctl_text(reply, "mode"), "hybrid") == 0;
    for (const struct json *r = json_first(results); r && words && n < LEXICAL_TUNE_HEAD_MAX;
         r = json_next(r), words = json_next(words))
        if (!json_is_null(words))
            head[n++] = passage_of(r, words, t->fused);
    qsort(head, n, sizeof *head, by_earlier_rank);
    t->questions[t->n++] = (struct lexical_tune_question){head, n, q->gold_first, q->gold_last};
    return t->fused ? fusion_settings_read(json_member(reply, "fusion"), &t->fusion, reterr)
                    : RAG_OK;
}

static void write_members(struct json_writer *w, const void *value)
{
    lexical_settings_write(w, value);
}

/* Is there nothing that could be learned here? */
static bool is_idle(struct tune_bench *b, struct tune_outcome *o)
{

    float share = 0.0f;

    /* what it has says nothing new: it was read from the daemon */
    (void)rerank_settings_read(b->settings[SETTING_RERANK], &share, NULL);
    if (b->cross && share < 1.0f)
        snprintf(o->verdict, sizeof o->verdict,
                 "the model '%.128s' orders the head%s; 'rerank' learns their share", b->reranker,
                 share > 0 ? ", words only have a share in it" : ", the words do not");
    o->skipped = o->verdict[0] != '\0' || !tune_has_titles(b, LEXICAL_TUNE_QUESTIONS_MIN, o);
    return o->skipped;
}

enum rag_status tune_lexical(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr)
{
    struct lexical_task task = {.bench = b};
    const struct tune_ask ask = {.noun = "questions (lexical)",
                                 .mode = "auto",
                                 .top_k = PASSAGES_MAX,
                                 .rerank = true,
                                 .explain = true,
                                 .kinds = TUNE_TITLE_KINDS,
                                 .learn = true,
                                 .take = take_head,
                                 .context = &task};
    struct lexical_weights present = LEXICAL_WEIGHTS_DEFAULT;
    struct lexical_choice choice = {0};
    struct json *found = NULL;
    enum rag_status status;

    if (is_idle(b, o))
        return RAG_OK;
    status = lexical_settings_read(b->settings[SETTING_LEXICAL], &present, reterr);
    if (status == RAG_OK && present.bm25 <= 0)
        present = LEXICAL_WEIGHTS_DEFAULT; /* the ratio to bm25 is what is learned */
    task.questions = arena_calloc(&b->arena, tune_bench_count(b, false, TUNE_TITLE_KINDS) + 1,
                                  sizeof *task.questions);
    if (status == RAG_OK)
        status = task.questions ? tune_bench_ask(b, &ask, reterr)
                                : rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    if (status == RAG_OK)
        status = lexical_tune(task.questions, task.n, task.fused ? &task.fusion : NULL, &present,
                              &choice, reterr);
    if (status != RAG_OK)
        return status;
    tune_outcome_note(o,
                      "learning half (%zu of titles and headings): MRR@10 %.4f -> %.4f, %zu "
                      "weights tried",
                      task.n, choice.mrr_before, choice.mrr_after, choice.n_tried);
    status = tune_as_json(write_members, &choice.weights, &found, reterr);
    return status == RAG_OK ? tune_measure(b, SETTING_LEXICAL, found, TUNE_TITLE_KINDS, o, reterr)
                            : status;
}
