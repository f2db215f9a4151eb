/* The threshold of the refusal gate: each question is asked with the passages that answer it and
 * without its document, then one that is mixed of the words of several, and retrieve/gate_tune.h
 * chooses. Whole sentences do not ask here: people
 * ask in fewer words, and of few words more is found by chance. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/ragctl/tune_parts.h"
#include "daemon/ranking_settings.h"

#define KINDS (1u << PAIR_TITLE | 1u << PAIR_HEADING | 1u << PAIR_WORDS)

/* A mixed question has as many words as people use, each of another document. */
#define MIXED_WORDS_MIN 3
#define MIXED_WORDS_MAX 5
#define MIXED_STRIDE    7 /* pairs between two that lend a word; a document's stand together */

enum gate_way { ASK_WITH, ASK_WITHOUT, ASK_MIXED, N_WAYS };

struct gate_task {
    const struct tune_bench *bench;
    struct gate_tune_question *questions; /* [pairs.n], by pair */
    const char **mixed;                   /* [pairs.n]: texts, NULL: none */
    enum gate_way way;
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
    struct gate_seen *seen = t->way == ASK_WITH      ? &asked->with
                             : t->way == ASK_WITHOUT ? &asked->without
                                                     : &asked->mixed;

    if (!isfinite(relevance))
        return rag_fail(reterr, RAG_EFORMAT, "response of ragd: a search without 'gate'");
    asked->measures = q->measures;
    asked->has_mixed = t->way == ASK_MIXED;
    *seen = (struct gate_seen){
        .relevance = (float)relevance,
        .decided = pass ? relevance < (double)t->present : strcmp(code, "low_relevance") != 0,
        .refused = !pass,
    };
    return RAG_OK;
}

/* ---- questions that nothing answers ---- */

/* The longest word of a text: most often one that says something. */
static const char *longest_word(const char *text, size_t *ret_n)
{
    const char *best = text;

    *ret_n = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " \t\n");

        if (n > *ret_n) {
            best = p;
            *ret_n = n;
        }
        p += n;
        p += strspn(p, " \t\n");
    }
    return best;
}

/* Has one of the pairs that lent a word that document? */
static bool is_lender(const struct pairs *p, const size_t *lenders, size_t n, uint32_t document)
{
    for (size_t i = 0; i < n; i++)
        if (p->items[lenders[i]].document == document)
            return true;
    return false;
}

/* Words of pair i and of later ones of its half, each of another document; *ret NULL when there are
 * too few. */
static enum rag_status mix(struct tune_bench *b, size_t i, const char **ret,
                           struct rag_error *reterr)
{
    const struct pairs *p = &b->pairs;
    size_t n_words = MIXED_WORDS_MIN + i % (MIXED_WORDS_MAX - MIXED_WORDS_MIN + 1);
    size_t lenders[MIXED_WORDS_MAX];
    enum rag_status status = RAG_OK;
    struct buf text;
    size_t n = 0;

    buf_init(&text, QUESTION_BYTES_MAX);
    for (size_t k = 0; k < p->n && n < n_words; k += n ? MIXED_STRIDE : 1) {
        size_t other = (i + k) % p->n;
        const struct pair *q = &p->items[other];
        size_t n_bytes = 0;
        const char *word = longest_word(q->text, &n_bytes);

        if (q->measures != p->items[i].measures || is_lender(p, lenders, n, q->document))
            continue;
        if (n > 0)
            buf_append_char(&text, ' ');
        buf_append(&text, word, n_bytes);
        lenders[n++] = other;
    }
    if (n >= MIXED_WORDS_MIN && buf_status(&text) == RAG_OK) {
        *ret = arena_strndup(&b->arena, buf_str(&text), text.len);
        if (!*ret)
            status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    }
    buf_release(&text);
    return status;
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
    static const char *const nouns[N_WAYS] = {
        [ASK_WITH] = "questions (gate)",
        [ASK_WITHOUT] = "questions (gate, no answer)",
        [ASK_MIXED] = "questions (gate, mixed)",
    };
    enum rag_status status = RAG_OK;

    for (int way = 0; way < N_WAYS && status == RAG_OK; way++) {
        task->way = (enum gate_way)way;
        ask.leave_out = way == ASK_WITHOUT;
        ask.texts = way == ASK_MIXED ? task->mixed : NULL;
        ask.noun = nouns[way];
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
    const char *what =
        c->kept_bound ? "refused rightly less three times refused falsely" : "falsely refused";

    o->better = o->changed && c->better;
    if (!o->changed)
        snprintf(o->verdict, sizeof o->verdict, "the best that was found is what is in place");
    else if (c->better)
        snprintf(o->verdict, sizeof o->verdict, "better: %s %+.4f [%+.4f, %+.4f]", what, d->mean,
                 d->low, d->high);
    else if (c->kept_bound && c->answers_more)
        snprintf(o->verdict, sizeof o->verdict,
                 "not better: it refuses less of what nothing answers, %+.4f [%+.4f, %+.4f] "
                 "without the document, %+.4f [%+.4f, %+.4f] of mixed words; what was in place "
                 "stays",
                 c->without.mean, c->without.low, c->without.high, c->mixed.mean, c->mixed.low,
                 c->mixed.high);
    else if (c->too_low.low > o->gate_bound)
        snprintf(o->verdict, sizeof o->verdict,
                 "not better: it finds %.4f [%.4f, %.4f] too little relevant that are, the "
                 "bound is %g; what was in place stays",
                 c->too_low.mean, c->too_low.low, c->too_low.high, o->gate_bound);
    else
        snprintf(o->verdict, sizeof o->verdict,
                 "not better beyond chance: %s %+.4f [%+.4f, %+.4f]; what was in place stays", what,
                 d->mean, d->low, d->high);
}

/* What people should know of a threshold before they live with it. */
static void warn(struct tune_outcome *o)
{
    const struct gate_choice *c = &o->gate;

    if (!c->kept_bound)
        tune_outcome_note(
            o,
            "the threshold in place, %.2f, finds more than %g of the learning half too "
            "little relevant that are: it has to come down, as far as that and no "
            "further",
            (double)o->gate_before, o->gate_bound);
    if (o->better && c->answers_more)
        tune_outcome_note(o,
                          "warning: it answers more of what nothing answers: without the document "
                          "%.4f are refused, %.4f were; of mixed words %.4f, %.4f were",
                          c->after.refused_without, c->before.refused_without,
                          c->after.refused_mixed, c->before.refused_mixed);
    if (o->better && c->threshold == 0.0f)
        tune_outcome_note(o, "warning: at 0 only what names something that is nowhere is refused");
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
    task.mixed = arena_calloc(&b->arena, b->pairs.n + 1, sizeof *task.mixed);
    if (status == RAG_OK && (!task.questions || !task.mixed))
        status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    for (size_t i = 0; i < b->pairs.n && status == RAG_OK; i++)
        if (KINDS & 1u << b->pairs.items[i].kind)
            status = mix(b, i, &task.mixed[i], reterr);
    if (status == RAG_OK)
        status = ask(b, &task, reterr);
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
    warn(o);
    return conclude(b, o, reterr);
}
