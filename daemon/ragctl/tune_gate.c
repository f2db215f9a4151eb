/* The threshold of the refusal gate: each question is asked with the passages that answer it and
 * without its document, and retrieve/gate_tune.h chooses. Whole sentences do not ask here: people
 * ask in fewer words, and of few words more is found by chance. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/ragctl/tune_parts.h"
#include "daemon/ranking_settings.h"

#define KINDS (1u << PAIR_TITLE | 1u << PAIR_HEADING | 1u << PAIR_WORDS)

struct gate_task {
    const struct tune_bench *bench;
    struct gate_tune_question *questions; /* [pairs.n], by pair */
    bool without;
    float present; /* threshold */
};

static enum rag_status take_verdict(void *context, const struct pair *q, const struct json *reply,
                                    struct rag_error *reterr)
{
    struct gate_task *t = context;
    const struct json *gate = json_member(json_member(reply, "explanation"), "gate");
    double relevance = json_number(json_member(gate, "relevance"));
    bool pass = json_true(json_member(gate, "pass"));
    const char *code = ragctl_text(gate, "reason_code");
    struct gate_tune_question *asked = &t->questions[q - t->bench->pairs.items];
    struct gate_seen *seen = t->without ? &asked->without : &asked->with;

    if (!isfinite(relevance))
        return rag_fail(reterr, RAG_EFORMAT, "response of ragd: a search without 'gate'");
    asked->measures = q->measures;
    *seen = (struct gate_seen){
        .relevance = (float)relevance,
        .decided = pass ? relevance < (double)t->present : strcmp(code, "low_relevance") != 0,
        .refused = !pass,
    };
    return RAG_OK;
}

static enum rag_status ask(struct tune_bench *b, struct gate_task *task, struct rag_error *reterr)
{
    struct tune_ask ask = {.mode = "auto",
                           .top_k = PASSAGES_MAX,
                           .rerank = true,
                           .explain = true,
                           .kinds = KINDS,
                           .learn = true,
                           .measure = true,
                           .take = take_verdict,
                           .context = task};
    enum rag_status status = RAG_OK;

    for (int without = 0; without < 2 && status == RAG_OK; without++) {
        task->without = without != 0;
        ask.leave_out = task->without;
        ask.noun = without ? "questions (gate, no answer)" : "questions (gate)";
        status = tune_bench_ask(b, &ask, reterr);
    }
    return status;
}

/* Those of KINDS to the front; returns how many. */
static size_t gather(const struct tune_bench *b, struct gate_tune_question *questions)
{
    size_t n = 0;

    for (size_t i = 0; i < b->pairs.n; i++)
        if (KINDS & 1u << b->pairs.items[i].kind)
            questions[n++] = questions[i];
    return n;
}

static void judge(struct tune_outcome *o)
{
    const struct gate_choice *c = &o->gate;
    const struct paired *d = c->kept_bound ? &c->index : &c->with;
    const char *what = c->kept_bound ? "refused rightly less three times refused falsely" : "falsely refused";

    o->better = o->changed && c->better;
    if (!o->changed)
        snprintf(o->verdict, sizeof o->verdict, "the best that was found is what is in place");
    else if (c->better)
        snprintf(o->verdict, sizeof o->verdict, "better: %s %+.4f [%+.4f, %+.4f]", what, d->mean,
                 d->low, d->high);
    else if (c->falsely.low > o->gate_bound)
        snprintf(o->verdict, sizeof o->verdict,
                 "not better: it refuses %.4f [%.4f, %.4f] falsely, the bound is %g; what was in "
                 "place stays",
                 c->falsely.mean, c->falsely.low, c->falsely.high, o->gate_bound);
    else
        snprintf(o->verdict, sizeof o->verdict,
                 "not better beyond chance: %s %+.4f [%+.4f, %+.4f]; what was in place stays", what,
                 d->mean, d->low, d->high);
}

static void write_members(struct json_writer *w, const void *value)
{
    gate_settings_write(w, *(const float *)value);
}

/* No ranking changes by it. */
static enum rag_status conclude(struct tune_bench *b, struct tune_outcome *o,
                                struct rag_error *reterr)
{
    struct json *found = NULL;
    enum rag_status status = tune_as_json(write_members, &o->gate.threshold, &found, reterr);

    if (status == RAG_OK && json_print(found, &o->found) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    if (status == RAG_OK && o->better)
        status = tune_bench_try(b, SETTING_GATE, found, reterr);
    if (status == RAG_OK && o->better)
        return tune_bench_keep(b, SETTING_GATE, found, b->ranks, reterr);
    json_free(found);
    return status;
}

enum rag_status tune_gate(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr)
{
    struct gate_task task = {.bench = b};
    enum rag_status status;

    o->is_gate = true;
    o->kinds = KINDS;
    o->gate_bound = b->args->false_refusals;
    o->gate_n = tune_bench_count(b, true, KINDS);
    if (o->gate_n < GATE_TUNE_QUESTIONS_MIN ||
        tune_bench_count(b, false, KINDS) < GATE_TUNE_QUESTIONS_MIN) {
        o->skipped = true;
        snprintf(o->verdict, sizeof o->verdict,
                 "of titles, headings and words there are %zu questions to learn from and %zu to "
                 "measure; at least %d of each are needed",
                 tune_bench_count(b, false, KINDS), o->gate_n, GATE_TUNE_QUESTIONS_MIN);
        return RAG_OK;
    }
    status = gate_settings_read(b->settings[SETTING_GATE], &o->gate_before, reterr);
    task.present = o->gate_before;
    task.questions = arena_calloc(&b->arena, b->pairs.n + 1, sizeof *task.questions);
    if (status == RAG_OK)
        status = task.questions ? ask(b, &task, reterr)
                                : rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    if (status == RAG_OK)
        status = gate_tune(task.questions, gather(b, task.questions), o->gate_before, o->gate_bound,
                           &o->gate, reterr);
    if (status != RAG_OK)
        return status;
    tune_outcome_note(o,
                      "learning half at %.2f: %.4f of the questions without their document "
                      "refused, %.4f of those with it",
                      (double)o->gate.threshold, o->gate.learned.refused_without,
                      o->gate.learned.refused_with);
    o->changed = o->gate.threshold != o->gate_before;
    judge(o);
    return conclude(b, o, reterr);
}
