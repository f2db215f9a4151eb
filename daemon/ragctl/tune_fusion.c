/* The fusion of BM25 and vectors: both lists of each question of the learning half, and
 * retrieve/fusion_tune.h. */
#include <stdio.h>
#include <string.h>

#include "daemon/fusion_settings.h"
#include "daemon/ragctl/interrupt.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/tune_parts.h"
#include "retrieve/fusion_tune.h"

static enum rag_status ask(struct tune_bench *b, struct tune_question *questions,
                           struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct progress progress;
    size_t n = 0;

    progress_init(&progress, stderr, b->options->quiet, "questions (fusion)", b->pairs.n_learn, 0);
    for (size_t i = 0; i < b->pairs.n && status == RAG_OK; i++) {
        const struct pair *q = &b->pairs.items[i];

        if (q->measures)
            continue;
        questions[n].gold_first = q->gold_first;
        questions[n].gold_last = q->gold_last;
        status = interrupt_check(reterr);
        for (int list = 0; list < N_LISTS && status == RAG_OK; list++) {
            struct ranked *items = arena_calloc(&b->arena, FUSION_TUNE_DEPTH, sizeof *items);

            if (!items)
                status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
            else
                status = shadow_search(&b->shadow, q->text, list, FUSION_TUNE_DEPTH, items,
                                       &questions[n].lists[list].n, reterr);
            questions[n].lists[list].items = items;
        }
        progress_update(&progress, ++n, 0);
    }
    progress_finish(&progress);
    return status;
}

static void write_members(struct json_writer *w, const void *value)
{
    fusion_settings_write(w, value);
}

static void note(struct tune_outcome *o, const struct fusion_choice *c, size_t n)
{
    const struct fusion_options *t = &c->tried;

    tune_outcome_note(o, "learning half (%zu): MRR@10 of bm25 alone %.4f, of vectors alone %.4f", n,
                      c->mrr[LIST_BM25], c->mrr[LIST_DENSE]);
    tune_outcome_note(o,
                      "best of %zu fusions there %.4f (%+.4f, p = %.4f): %s, bm25 %.2g, dense "
                      "%.2g, k %.0f, depth %zu",
                      c->n_grid, c->mrr_tried, c->gain, c->p, fusion_method_name(t->method),
                      (double)t->weights[LIST_BM25], (double)t->weights[LIST_DENSE],
                      (double)t->rrf_k, t->depth);
    if (!c->fused)
        tune_outcome_note(o, "that is no better than %s alone, which is what was measured",
                          c->options.weights[LIST_DENSE] > 0 ? "vectors" : "bm25");
}

enum rag_status tune_fusion(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr)
{
    struct tune_question *questions =
        arena_calloc(&b->arena, b->pairs.n_learn + 1, sizeof *questions);
    struct fusion_choice choice = {0};
    struct json *found = NULL;
    enum rag_status status;

    if (!b->vectors) {
        o->skipped = true;
        snprintf(o->verdict, sizeof o->verdict, "%s", b->no_vectors);
        return RAG_OK;
    }
    if (!questions)
        return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    status = ask(b, questions, reterr);
    if (status == RAG_OK)
        status = fusion_tune(questions, b->pairs.n_learn, &choice, reterr);
    if (status != RAG_OK)
        return status;
    note(o, &choice, b->pairs.n_learn);
    status = tune_as_json(write_members, &choice.options, &found, reterr);
    return status == RAG_OK ? tune_measure(b, SETTING_FUSION, found, TUNE_ALL_KINDS, o, reterr)
                            : status;
}
