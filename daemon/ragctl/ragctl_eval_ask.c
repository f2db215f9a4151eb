#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "daemon/ragctl/ragctl_eval.h"
#include "daemon/ragctl/ragctl_filter.h"
#include "daemon/ragctl/ragctl_print.h"
#include "eval/answer_score.h"
#include "eval/score.h"

#define REQUEST_BYTES_MAX   (QUESTION_BYTES_MAX * 6 + 1024) /* every byte escaped */
#define RETRIEVAL_BYTES_MAX 1024 /* a line of a report; what is longer is cut */
#define LIST_MAX            TOP_K_MAX

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
}

static enum rag_status keep(struct evaluation *e, const char *text, const char **ret,
                            struct rag_error *reterr)
{
    *ret = arena_strdup(&e->run->arena, text ? text : "");
    return *ret ? RAG_OK : no_memory(reterr);
}

/* A document of either kind of evaluation as a number; UINT32_MAX: none of ours. */
static uint32_t document_number(const struct evaluation *e, const struct json *entry)
{
    const char *name = json_string(json_member(entry, "document"));
    size_t i;

    if (!name)
        return UINT32_MAX;
    if (e->dataset)
        return shadow_passage_index(name, e->dataset->n_passages);
    i = eval_corpus_find(e, name);
    return i < e->n_documents ? (uint32_t)i : UINT32_MAX;
}

/* ---- ranks ---- */

static uint32_t book_copies(const void *context, uint32_t value)
{
    const struct dataset *d = context;

    return value < d->n_passages && d->passages[value].n_paragraphs > 1
               ? d->passages[value].n_paragraphs
               : 1;
}

struct relevant {
    uint32_t ranks[EVAL_RELEVANT_MAX];
    float gains[EVAL_RELEVANT_MAX];
    size_t n;
};

static void rank_dataset(const struct evaluation *e, const struct dataset_question *q,
                         const uint32_t *list, size_t n, struct relevant *ret)
{
    bool book = strcmp(e->run->protocol, "book") == 0;

    ret->n = q->n_judgments;
    for (size_t k = 0; k < ret->n; k++) {
        bool there = q->judgments[k].passage != DATASET_NO_PASSAGE;

        ret->gains[k] = q->judgments[k].grade;
        ret->ranks[k] = there ? score_rank(list, n, (uint32_t)q->judgments[k].passage, NULL, NULL)
                              : RANK_NOT_FOUND;
    }
    if (ret->n > 0)
        return;
    ret->n = 1;
    ret->gains[0] = 1;
    ret->ranks[0] =
        score_rank(list, n, (uint32_t)q->passage, book ? book_copies : NULL, e->dataset);
}

static void rank_set(const struct evaluation *e, const struct set_question *q, const uint32_t *list,
                     size_t n, struct relevant *ret)
{
    ret->n = q->n_documents;
    for (size_t k = 0; k < ret->n; k++) {
        ret->gains[k] = 1;
        ret->ranks[k] =
            score_rank(list, n, (uint32_t)eval_corpus_find(e, q->documents[k]), NULL, NULL);
    }
}

/* Count one ranked list of question i, and keep the rank of its best gold document. */
static void count_list(struct evaluation *e, size_t i, enum run_stage stage, const uint32_t *list,
                       size_t n)
{
    struct outcome *o = &e->run->outcomes[i];
    uint32_t best = RANK_NOT_FOUND;
    struct relevant r;

    if (e->dataset)
        rank_dataset(e, &e->dataset->questions[i], list, n, &r);
    else
        rank_set(e, &e->set->questions[i], list, n, &r);
    for (size_t k = 0; k < r.n; k++) {
        if (r.ranks[k] != RANK_NOT_FOUND && (best == RANK_NOT_FOUND || r.ranks[k] < best))
            best = r.ranks[k];
    }
    stage_quality_add(o->paraphrase ? &e->run->paraphrases[stage] : &e->run->sums[stage], r.ranks,
                      r.gains, r.n);
    e->run->ran[stage] = true;
    o->rank[stage] = best;
}

/* Where the evidence of a question of the set is. */
struct evidence_places {
    struct evidence_place at[EVAL_EVIDENCE_MAX];
    uint32_t document[EVAL_EVIDENCE_MAX];
    size_t n;
};

static enum rag_status find_evidence(const struct evaluation *e, size_t i,
                                     struct evidence_places *ret)
{
    const struct set_question *q = e->set ? &e->set->questions[i] : NULL;
    enum rag_status status = RAG_OK;

    ret->n = q ? q->n_evidence : 0;
    for (size_t k = 0; k < ret->n && status == RAG_OK; k++) {
        ret->document[k] = (uint32_t)eval_corpus_find(e, q->evidence[k].document);
        status = evidence_find(&e->documents[ret->document[k]].evidence, q->evidence[k].text,
                               &ret->at[k]);
    }
    return status;
}

static bool read_bytes(const struct json *entry, size_t *ret_start, size_t *ret_end)
{
    double start = json_number(json_member(entry, "byte_start"));
    double end = json_number(json_member(entry, "byte_end"));

    if (!(start >= 0) || !(end >= start) || end > (double)DOCUMENT_BYTES_MAX * 3)
        return false;
    *ret_start = (size_t)start;
    *ret_end = (size_t)end;
    return true;
}

static bool holds_evidence(const struct evaluation *e, const struct evidence_places *places,
                           const struct json *entry)
{
    uint32_t document = document_number(e, entry);
    size_t start;
    size_t end;

    if (!read_bytes(entry, &start, &end))
        return false;
    for (size_t k = 0; k < places->n; k++)
        if (places->document[k] == document &&
            evidence_held(&e->documents[document].evidence, &places->at[k], start, end))
            return true;
    return false;
}

/* Count the first passage of a list that holds evidence of question i. */
static void count_held(struct evaluation *e, size_t i, enum run_stage stage,
                       const struct evidence_places *places, const struct json *array)
{
    const struct outcome *o = &e->run->outcomes[i];
    uint32_t rank = 1;
    const struct json *r = json_first(array);

    if (places->n == 0)
        return;
    while (r && !holds_evidence(e, places, r)) {
        r = json_next(r);
        rank++;
    }
    rank = r ? rank : RANK_NOT_FOUND;
    stage_quality_add(o->paraphrase ? &e->run->held_paraphrases[stage] : &e->run->held[stage],
                      &rank, NULL, 1);
}

static void count_array(struct evaluation *e, size_t i, enum run_stage stage,
                        const struct evidence_places *places, const struct json *array)
{
    uint32_t list[LIST_MAX];
    size_t n = 0;

    for (const struct json *r = json_first(array); r && n < LIST_MAX; r = json_next(r))
        list[n++] = document_number(e, r);
    count_list(e, i, stage, list, n);
    count_held(e, i, stage, places, array);
}

/* All lists of a reply. */
static enum rag_status count_reply(struct evaluation *e, size_t i, const struct json *reply)
{
    struct evidence_places places;
    enum rag_status status = find_evidence(e, i, &places);

    if (status != RAG_OK)
        return status;
    for (const struct json *s = json_first(json_member(reply, "stages")); s; s = json_next(s)) {
        enum run_stage stage = run_stage_find(json_key(s));

        if (stage < RUN_FINAL && json_is_array(s))
            count_array(e, i, stage, &places, s);
    }
    count_array(e, i, RUN_FINAL, &places, json_member(reply, "results"));
    return RAG_OK;
}

static bool is_gold(const struct evaluation *e, size_t i, uint32_t document)
{
    const struct set_question *q;

    if (e->dataset) {
        const struct dataset_question *asked = &e->dataset->questions[i];

        for (size_t k = 0; k < asked->n_judgments; k++)
            if (asked->judgments[k].passage == document)
                return true;
        return asked->n_judgments == 0 && document == asked->passage;
    }
    q = &e->set->questions[i];
    for (size_t k = 0; k < q->n_documents; k++) {
        if (eval_corpus_find(e, q->documents[k]) == document)
            return true;
    }
    return false;
}

/* The first results, for the report. */
static enum rag_status keep_results(struct evaluation *e, size_t i, const struct json *results,
                                    struct rag_error *reterr)
{
    struct outcome *o = &e->run->outcomes[i];
    enum rag_status status = RAG_OK;

    for (const struct json *r = json_first(results);
         r && o->n_retrieved < RUN_RETRIEVED_MAX && status == RAG_OK; r = json_next(r)) {
        struct retrieved *kept = &o->retrieved[o->n_retrieved++];
        uint32_t document = document_number(e, r);

        kept->gold = o->retrievable && is_gold(e, i, document);
        kept->score = json_number(json_member(r, "score"));
        kept->document = kept->title = kept->text = "";
        if (e->dataset && document != UINT32_MAX) {
            kept->title = e->dataset->passages[document].title;
            kept->text = e->dataset->passages[document].text;
            status = keep(e, json_string(json_member(r, "document")), &kept->document, reterr);
            continue;
        }
        status = keep(e, json_string(json_member(r, "document")), &kept->document, reterr);
        if (status == RAG_OK)
            status = keep(e, json_string(json_member(r, "heading")), &kept->title, reterr);
        if (status == RAG_OK)
            status = keep(e, json_string(json_member(r, "text")), &kept->text, reterr);
    }
    return status;
}

/* ---- times ---- */

/* The stages' times of a reply; "total" becomes the name of the whole request. 'known' (may
 * be NULL) is another reply whose stages are left out. */
static enum rag_status add_times(struct evaluation *e, const struct json *reply,
                                 const struct json *known, const char *whole,
                                 struct rag_error *reterr)
{
    const struct json *stages = json_member(reply, "stages_ms");
    const struct json *others = json_member(known, "stages_ms");
    enum rag_status status = RAG_OK;

    for (const struct json *s = json_first(stages); s && status == RAG_OK; s = json_next(s)) {
        bool total = strcmp(json_key(s), "total") == 0;

        if (!json_is_number(s) || (!total && json_member(others, json_key(s))))
            continue;
        status = run_add_latency(e->run, total ? whole : json_key(s), json_number(s));
        if (status == RAG_ELIMIT) /* a daemon with more stages than the report has room for */
            status = RAG_OK;
    }
    return status == RAG_OK ? RAG_OK : no_memory(reterr);
}

static enum rag_status post(struct evaluation *e, const char *path, const struct buf *body,
                            const char *timed_as, struct json **ret, struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    enum rag_status status = ragctl_client_send(e->client, "POST", path, body, ret, reterr);

    if (status != RAG_OK)
        return status;
    if (run_add_latency(e->run, timed_as, clock_elapsed_ms(since_ns)) == RAG_ENOMEM)
        return no_memory(reterr);
    return RAG_OK;
}

/* ---- search ---- */

/* Of the first reply for which nothing was left out: how searches find. */
static enum rag_status note_retrieval(struct run *run, const struct json *reply)
{
    struct buf text;

    buf_init(&text, RETRIEVAL_BYTES_MAX);
    print_retrieval(&text, reply);
    run->retrieval = arena_strdup(&run->arena, buf_str(&text));
    buf_release(&text);
    return run->retrieval ? RAG_OK : RAG_ENOMEM;
}

/* Which fusion was used, and what was left out. */
static void note_models(struct run *run, const struct json *reply)
{
    const struct json *left_out = json_first(json_member(reply, "degraded"));
    const char *method = json_string(json_member(json_member(reply, "fusion"), "method"));
    const char *stage = json_string(json_member(left_out, "stage"));
    const char *reason = json_string(json_member(left_out, "reason"));

    if (method && run_stage_find(method) < RUN_RERANK)
        run->fused = run_stage_find(method);
    if (left_out && run->n_degraded++ == 0)
        snprintf(run->degraded, sizeof run->degraded, "%s: %s", stage ? stage : "?",
                 reason ? reason : "?");
}

static enum rag_status search_one(struct evaluation *e, size_t i, struct json **ret_reply,
                                  struct rag_error *reterr)
{
    struct outcome *o = &e->run->outcomes[i];
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", e->corpus.name);
    json_put_string(&w, "query", o->question);
    json_put_int(&w, "top_k", (int64_t)e->top_k);
    json_put_bool(&w, "stages", true);
    if (e->eval->mode)
        json_put_string(&w, "mode", e->eval->mode);
    status = ragctl_object_write(&w, "fusion", "--fusion", e->eval->fusion, reterr);
    json_end_object(&w);
    if (status == RAG_OK)
        status = post(e, "/v1/search", &body, "search_round_trip", ret_reply, reterr);
    buf_release(&body);
    if (status != RAG_OK)
        return status;
    note_models(e->run, *ret_reply);
    if (e->run->retrieval[0] == '\0' && json_size(json_member(*ret_reply, "degraded")) == 0 &&
        note_retrieval(e->run, *ret_reply) != RAG_OK)
        return no_memory(reterr);
    if (o->retrievable && count_reply(e, i, *ret_reply) != RAG_OK)
        return no_memory(reterr);
    status = keep_results(e, i, json_member(*ret_reply, "results"), reterr);
    if (status == RAG_OK)
        status = add_times(e, *ret_reply, NULL, "search", reterr);
    return status;
}

/* ---- ask ---- */

struct cited_span {
    const char *text;
    uint32_t document;
    size_t byte_start;
    size_t byte_end;
};

static bool read_span(const struct evaluation *e, const struct json *citation,
                      struct cited_span *ret)
{
    ret->text = json_string(json_member(citation, "text"));
    ret->document = document_number(e, citation);
    return ret->text && read_bytes(citation, &ret->byte_start, &ret->byte_end) &&
           ret->document != UINT32_MAX;
}

static void score_dataset_citation(const struct evaluation *e, size_t i,
                                   const struct json *citations, struct outcome *o)
{
    const struct dataset_question *q = &e->dataset->questions[i];
    struct cited_span span;

    if (!json_first(citations) || !read_span(e, json_first(citations), &span))
        return;
    o->cited = span.document == q->passage &&
               score_citation_overlaps(e->dataset, q, span.byte_start, span.byte_end, span.text,
                                       CITED_SPAN_CHARS_DATASET);
}

/* Is this evidence covered by some cited span that is short enough? */
static enum rag_status score_evidence(const struct evaluation *e, const struct set_evidence *v,
                                      const struct json *citations, bool *ret)
{
    uint32_t document = (uint32_t)eval_corpus_find(e, v->document);
    struct evidence_place place;
    enum rag_status status;

    *ret = false;
    status = evidence_find(&e->documents[document].evidence, v->text, &place);
    if (status != RAG_OK || place.char_start == place.char_end)
        return status;
    for (const struct json *c = json_first(citations); c && !*ret; c = json_next(c)) {
        struct cited_span span;

        if (!read_span(e, c, &span) || span.document != document ||
            utf8_count(span.text, strlen(span.text)) > CITED_SPAN_CHARS_SET)
            continue;
        *ret = evidence_covered(&e->documents[document].evidence, &place, span.byte_start,
                                span.byte_end);
    }
    return RAG_OK;
}

static enum rag_status score_set_citations(const struct evaluation *e, size_t i,
                                           const struct json *citations, struct outcome *o)
{
    const struct set_question *q = &e->set->questions[i];
    enum rag_status status = RAG_OK;
    bool all = q->n_evidence > 0;

    for (size_t k = 0; k < q->n_evidence && status == RAG_OK; k++) {
        bool covered = false;

        status = score_evidence(e, &q->evidence[k], citations, &covered);
        o->cited |= covered;
        all &= covered;
    }
    o->cited_all = all;
    for (size_t k = 0; k < q->n_norms && status == RAG_OK && !o->norm_found; k++)
        status = answer_contains(o->answer, q->norms[k], &o->norm_found);
    return status;
}

static enum rag_status score_reply(struct evaluation *e, size_t i, const struct json *reply,
                                   struct rag_error *reterr)
{
    const struct json *citations = json_member(reply, "citations");
    const char *answer = json_string(json_member(reply, "answer"));
    const char *value = json_string(json_member(reply, "short_answer"));
    struct outcome *o = &e->run->outcomes[i];
    enum rag_status status;
    struct buf plain;

    o->asked = true;
    o->refused = json_true(json_member(reply, "refused"));
    status = keep(e, json_string(json_member(reply, "reason")), &o->reason, reterr);
    if (status != RAG_OK || o->refused || !answer)
        return status;
    buf_init(&plain, (size_t)ANSWER_BYTES_MAX * 4);
    answer_without_marks(answer, strlen(answer), &plain);
    status = keep(e, buf_str(&plain), &o->answer, reterr);
    buf_release(&plain);
    if (status != RAG_OK || !o->answerable)
        return status;
    if (e->set) {
        status = score_set_citations(e, i, citations, o);
    } else {
        score_dataset_citation(e, i, citations, o);
        if (o->scored)
            status = score_answer(&e->dataset->questions[i], value && *value ? value : o->answer,
                                  &o->exact, &o->f1);
    }
    return status == RAG_OK ? RAG_OK : no_memory(reterr);
}

static enum rag_status ask_one(struct evaluation *e, size_t i, const struct json *search_reply,
                               struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", e->corpus.name);
    json_put_string(&w, "question", e->run->outcomes[i].question);
    json_put_bool(&w, "cache", false); /* what is measured is made */
    json_end_object(&w);
    status = post(e, "/v1/ask", &body, "ask_round_trip", &reply, reterr);
    buf_release(&body);
    if (status == RAG_OK)
        status = add_times(e, reply, search_reply, "ask", reterr);
    if (status == RAG_OK)
        status = score_reply(e, i, reply, reterr);
    json_free(reply);
    return status;
}

/* ---- all ---- */

static void describe_dataset_question(const struct evaluation *e, size_t i, struct outcome *o)
{
    const struct dataset_question *q = &e->dataset->questions[i];

    o->id = q->id;
    o->question = q->text;
    o->answerable = q->answerable;
    /* the book asks where the context is, answerable or not */
    o->retrievable = q->answerable || strcmp(e->run->protocol, "book") == 0;
    if (q->passage != DATASET_NO_PASSAGE) {
        o->gold_name = e->dataset->passages[q->passage].title;
        o->gold_text = e->dataset->passages[q->passage].text;
    }
    o->scored = q->answerable && q->n_answers > 0;
    if (q->n_answers > 0) {
        o->gold_answer = q->answers[0].text;
        if (q->answers[0].byte_start != ANSWER_ANYWHERE) {
            o->gold_start = q->answers[0].byte_start;
            o->gold_end = q->answers[0].byte_end;
        }
    }
}

static void describe_set_question(const struct evaluation *e, size_t i, struct outcome *o)
{
    const struct set_question *q = &e->set->questions[i];

    o->id = q->id;
    o->question = q->text;
    o->kind = q->kind;
    o->answerable = o->retrievable = q->answerable;
    o->paraphrase = q->paraphrase;
    o->topic = q->topic;
    o->has_norms = q->n_norms > 0;
    o->gold_answer = q->answer;
    if (q->n_evidence > 0) {
        o->gold_name = q->evidence[0].document;
        o->gold_text = q->evidence[0].text;
    } else if (q->n_documents > 0) {
        o->gold_name = q->documents[0];
    }
}

/* Say which question it was that went wrong. */
static enum rag_status at_question(const struct outcome *o, enum rag_status status,
                                   struct rag_error *reterr)
{
    char what[sizeof reterr->text];

    memcpy(what, reterr->text, sizeof what);
    return rag_fail(reterr, status, "question '%.64s': %s", o->id, what);
}

/* Whose vectors serve, if any do. */
static enum rag_status note_embedder(struct evaluation *e, struct rag_error *reterr)
{
    struct json *found = NULL;
    enum rag_status status;
    struct buf path;

    buf_init(&path, REQUEST_BYTES_MAX);
    ragctl_client_collection_path(&path, e->corpus.name, "", NULL);
    status = ragctl_client_call(e->client, "GET", buf_str(&path), &found, reterr);
    if (status == RAG_OK) {
        const char *name = ragctl_text(json_member(found, "vectors"), "embedder");

        e->run->embedder = arena_strdup(&e->run->arena, name);
        if (!e->run->embedder)
            status = no_memory(reterr);
    }
    json_free(found);
    buf_release(&path);
    return status;
}

enum rag_status eval_ask_all(struct evaluation *e, struct rag_error *reterr)
{
    enum rag_status status = note_embedder(e, reterr);
    struct progress progress;

    progress_init(&progress, stderr, e->options->quiet, "questions", e->run->n_outcomes, 0);
    for (size_t i = 0; i < e->run->n_outcomes && status == RAG_OK; i++) {
        struct outcome *o = &e->run->outcomes[i];
        struct json *reply = NULL;

        if (e->dataset)
            describe_dataset_question(e, i, o);
        else
            describe_set_question(e, i, o);
        status = search_one(e, i, &reply, reterr);
        if (status == RAG_OK && !e->eval->no_answers && !(e->dataset && e->dataset->judged))
            status = ask_one(e, i, reply, reterr);
        json_free(reply);
        if (status != RAG_OK && status != RAG_ECANCELLED)
            status = at_question(o, status, reterr);
        if (status == RAG_OK)
            status = interrupt_check(reterr);
        progress_update(&progress, i + 1, 0);
    }
    progress_finish(&progress);
    return status;
}
