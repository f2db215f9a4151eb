#include "eval/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"

static const char *const stage_names[N_RUN_STAGES] = {"bm25",   "dense",  "rrf",  "convex",
                                                      "scaled", "rerank", "final"};

const char *run_stage_name(enum run_stage stage)
{
    return stage_names[stage];
}

enum run_stage run_stage_find(const char *name)
{
    int stage = 0;

    while (stage < N_RUN_STAGES && strcmp(stage_names[stage], name) != 0)
        stage++;
    return (enum run_stage)stage;
}

enum rag_status run_init(struct run *run, size_t n_outcomes)
{
    memset(run, 0, sizeof *run);
    arena_init(&run->arena, EVAL_TEXT_BYTES_MAX);
    run->source = run->version = run->distractors = run->daemon_version = "";
    run->embedder = run->retrieval = "";
    run->protocol = "standard";
    run->fused = N_RUN_STAGES;
    run->outcomes = calloc(n_outcomes + 1, sizeof *run->outcomes);
    if (!run->outcomes)
        return RAG_ENOMEM;
    run->n_outcomes = n_outcomes;
    for (size_t i = 0; i < n_outcomes; i++) {
        struct outcome *o = &run->outcomes[i];

        o->id = o->question = o->kind = o->gold_name = o->gold_text = o->gold_answer = "";
        o->answer = o->reason = "";
    }
    return RAG_OK;
}

void run_release(struct run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->n_latencies; i++)
        latency_release(&run->latencies[i].times);
    free(run->outcomes);
    arena_release(&run->arena);
    memset(run, 0, sizeof *run);
}

enum rag_status run_add_latency(struct run *run, const char *name, double ms)
{
    size_t i = 0;

    while (i < run->n_latencies && strcmp(run->latencies[i].name, name) != 0)
        i++;
    if (i == RUN_LATENCIES_MAX || strlen(name) >= sizeof run->latencies[0].name)
        return RAG_ELIMIT;
    if (i == run->n_latencies) {
        snprintf(run->latencies[i].name, sizeof run->latencies[i].name, "%s", name);
        run->n_latencies++;
    }
    return latency_add(&run->latencies[i].times, ms);
}

void run_finish(struct run *run)
{
    for (size_t i = 0; i < run->n_latencies; i++)
        latency_sort(&run->latencies[i].times);
}

static void count(struct tally *t, bool part)
{
    t->whole++;
    t->part += part ? 1 : 0;
}

static void count_answerable(const struct run *run, const struct outcome *o, struct run_summary *s)
{
    struct run_group *g = o->paraphrase ? &s->paraphrases : &s->originals;

    count(&s->answered, !o->refused);
    count(&g->cited, o->cited && !o->refused);
    count(&g->refused, o->refused);
    if (run->question_set)
        count(&g->cited_all, o->cited_all && !o->refused);
    if (o->has_norms)
        count(&g->norm_found, o->norm_found && !o->refused);
    if (o->scored) {
        s->n_scored++;
        s->em += o->exact;
        s->f1 += o->f1;
    }
}

void run_summarize(const struct run *run, struct run_summary *ret)
{
    struct run_summary s = {0};

    for (size_t i = 0; i < run->n_outcomes; i++) {
        const struct outcome *o = &run->outcomes[i];

        s.n_answerable += o->answerable ? 1 : 0;
        s.n_unanswerable += o->answerable ? 0 : 1;
        if (!o->asked)
            continue;
        s.asked = true;
        if (o->refused)
            count(&s.refusal_precision, !o->answerable);
        if (o->answerable) {
            count_answerable(run, o, &s);
        } else {
            count(&s.refusal_recall, o->refused);
            count(&s.refused_by_topic[o->topic], o->refused);
        }
    }
    if (s.n_scored > 0) {
        s.em /= (double)s.n_scored;
        s.f1 /= (double)s.n_scored;
    }
    *ret = s;
}

/* How bad an outcome is: 0 for one in order. The rank of the gold passage leads; among equal
 * ranks a wrong answer is worse than a partly right one. */
static double badness(const struct run *run, const struct outcome *o)
{
    double bad = 0.0;

    if (o->retrievable) {
        uint32_t rank = o->rank[RUN_FINAL];

        bad += rank == RANK_NOT_FOUND ? 1000.0 : (double)(rank - 1) * 10.0;
    }
    if (!o->asked)
        return bad;
    if (!o->answerable)
        return bad + (o->refused ? 0.0 : 5.0);
    if (o->refused)
        return bad + 6.0;
    if (!o->cited)
        bad += 4.0;
    if (!run->question_set && o->scored)
        bad += 1.0 - o->f1;
    return bad;
}

struct bad_row {
    double bad;
    size_t i;
};

static int worst_first(const void *a, const void *b)
{
    const struct bad_row *x = a;
    const struct bad_row *y = b;

    if (x->bad > y->bad || x->bad < y->bad)
        return x->bad > y->bad ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

size_t run_worst(const struct run *run, size_t ret[RUN_WORST_MAX])
{
    struct bad_row rows[RUN_WORST_MAX + 1];
    size_t n = 0;

    for (size_t i = 0; i < run->n_outcomes; i++) {
        struct bad_row row = {badness(run, &run->outcomes[i]), i};

        /* the worst so far stay sorted; one that is not worse than the last is not kept */
        if (row.bad <= 0.0 || (n == RUN_WORST_MAX && worst_first(&row, &rows[n - 1]) > 0))
            continue;
        rows[n] = row;
        if (n < RUN_WORST_MAX)
            n++;
        else
            rows[n - 1] = row;
        for (size_t k = n - 1; k > 0 && worst_first(&rows[k], &rows[k - 1]) < 0; k--) {
            struct bad_row swapped = rows[k];

            rows[k] = rows[k - 1];
            rows[k - 1] = swapped;
        }
    }
    for (size_t k = 0; k < n; k++)
        ret[k] = rows[k].i;
    return n;
}
