/* bench_answers - are the cited spans right, and are refusals?
 *
 *     bench_answers FOLDER            md, txt and html documents with a questions.jsonl
 *     bench_answers FILE.json         SQuAD/KorQuAD 1.0: every context is a passage
 *         [--dump] [--passages N] [--limit N] [--relevance X] [--off-topic IDS]
 *
 * One process: chunker, BM25, lexical rerank, gate and extractive generator as the daemon
 * composes them. A folder is scored by evidence spans (eval/evidence.h), KorQuAD by whether
 * the first cited span of at most 200 characters overlaps the gold answer in its passage.
 * --dump prints each question with its verdict. The last line is one JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "eval/answer_score.h"
#include "eval/dataset.h"
#include "eval/evidence.h"
#include "eval/question_set.h"
#include "eval/score.h"
#include "generate/extractive.h"
#include "retrieve/gate.h"
#include "tests/bench/bench_answers_corpus.h"
#include "text/nfc.h"

#define SPAN_CHARS_MAX 300 /* of a cited span, for evidence */
#define GOLD_CHARS_MAX 200 /* the same for gold answers */

struct options {
    const char *path;
    const char *off_topic;
    size_t n_passages;
    size_t limit;
    float relevance_min;
    bool dump;
};

struct answer {
    struct passage head[RERANK_HEAD_DEFAULT];
    size_t n_head;
    size_t n_given;
    struct gate_verdict verdict;
    struct generator_result result;
    bool refused;
    const char *code;
    const char *reason;
    double generate_ms;
    enum answer_kind kind;
};

struct group {
    size_t n;
    size_t refused;
    size_t hit;
    size_t all; /* every evidence covered */
    size_t norm;
};

static void corpus_idf(void *context, const uint64_t *terms, size_t n, float *ret_idf)
{
    bm25_idf(context, terms, n, ret_idf);
}

static void retrieve(struct corpus *c, const struct lexical_query *query, float *idf,
                     struct answer *a)
{
    struct bm25_query_term terms[QUERY_TERMS_MAX];
    uint64_t ids[QUERY_TERMS_MAX];
    struct bm25_hit hits[RERANK_HEAD_DEFAULT];
    struct rag_error err;

    for (size_t i = 0; i < query->terms->n; i++) {
        ids[i] = query->terms->items[i].id;
        terms[i] = (struct bm25_query_term){ids[i], query->terms->items[i].weight};
    }
    bm25_idf(c->index, ids, query->terms->n, idf);
    if (query->terms->n > 0 && bm25_search(c->index, terms, query->terms->n, NULL,
                                           RERANK_HEAD_DEFAULT, hits, &a->n_head, &err) != RAG_OK)
        die("search", &err);
    for (size_t i = 0; i < a->n_head; i++) {
        a->head[i] = c->passages[hits[i].passage_id];
        a->head[i].bm25_score = hits[i].score;
        a->head[i].bm25_rank = (uint32_t)i + 1;
    }
    if (a->n_head > 0 &&
        rerank_lexical(query, &LEXICAL_WEIGHTS_DEFAULT, a->head, a->n_head) != RAG_OK)
        die("out of memory", NULL);
}

static void generate(struct corpus *c, struct generator *generator, const char *text,
                     struct answer *a)
{
    struct generator_passage given[PASSAGES_MAX];
    struct message message = {ROLE_USER, text};
    struct generator_request request = {.messages = &message,
                                        .n_messages = 1,
                                        .passages = given,
                                        .n_passages = a->n_given,
                                        .idf_fn = corpus_idf,
                                        .idf_context = c->index,
                                        .analyzer = c->analyzer};
    struct rag_error err;
    int64_t start;

    for (size_t i = 0; i < a->n_given; i++) {
        const struct passage *p = &a->head[i];

        given[i] = (struct generator_passage){p->id,         p->title,    p->heading,
                                              p->context,    p->text,     p->text_bytes,
                                              p->byte_start, p->byte_end, p->rerank_score};
    }
    start = clock_monotonic_ns();
    if (generator->generate(generator, &request, NULL, &a->result, &err) != RAG_OK)
        die("generate", &err);
    a->generate_ms = clock_elapsed_ms(start);
}

static void ask(struct corpus *c, struct generator *generator, const struct options *o,
                const char *text, struct answer *a)
{
    float idf[QUERY_TERMS_MAX];
    struct term_list terms = {0};
    struct question question;
    struct lexical_query query = {text, strlen(text), &terms, idf, &question, c->analyzer};
    struct gate_options gate = {.relevance_min = o->relevance_min};

    memset(a, 0, sizeof *a);
    generator_result_init(&a->result);
    question_analyze(text, query.n_bytes, &question);
    a->kind = question.kind;
    if (analyzer_question(c->analyzer, text, query.n_bytes, &terms) != RAG_OK)
        die("out of memory", NULL);
    retrieve(c, &query, idf, a);
    a->n_given = a->n_head < o->n_passages ? a->n_head : o->n_passages;
    gate_decide(&query, a->head, a->n_given, &gate, &a->verdict);
    a->code = a->verdict.code;
    a->reason = a->verdict.reason;
    a->refused = !a->verdict.pass;
    if (a->verdict.pass) {
        generate(c, generator, text, a);
        a->refused = a->result.finish_reason == FINISH_REFUSED;
        a->code = a->result.reason_code;
        a->reason = a->result.reason;
    }
    term_list_release(&terms);
}

static void dump(const char *tag, const char *text, const struct answer *a)
{
    printf("%s [%s] rel %.2f conf %.2f: %s\n", tag, answer_kind_name(a->kind),
           (double)a->verdict.relevance, (double)a->result.confidence, text);
    if (a->refused)
        printf("    refused %s: %s\n", a->code, a->reason);
    else
        printf("    %s\n    short: %s\n", buf_str(&a->result.answer), a->result.short_answer);
}

/* ---- a folder with marked evidence ---- */

static const struct corpus_document *document_named(const struct corpus *c, const char *name)
{
    for (size_t i = 0; i < c->n_documents; i++)
        if (strcmp(c->documents[i].name, name) == 0)
            return &c->documents[i];
    die(name, NULL);
}

static bool covered(const struct corpus *c, const struct set_evidence *evidence,
                    const struct answer *a)
{
    const struct corpus_document *d = document_named(c, evidence->document);
    struct evidence_document indexed;
    struct evidence_place place;
    bool hit = false;

    if (evidence_document_init(&indexed, d->extracted.text, d->extracted.n_bytes, d->html) !=
            RAG_OK ||
        evidence_find(&indexed, evidence->text, &place) != RAG_OK)
        die("out of memory", NULL);
    if (place.char_end == place.char_start)
        die(evidence->text, NULL);
    for (size_t i = 0; i < a->result.n_citations && !hit; i++) {
        const struct citation *k = &a->result.citations[i];

        hit = strcmp(a->head[k->passage].document, evidence->document) == 0 &&
              utf8_count(d->extracted.text + k->byte_start, k->byte_end - k->byte_start) <=
                  SPAN_CHARS_MAX &&
              evidence_covered(&indexed, &place, k->byte_start, k->byte_end);
    }
    evidence_document_release(&indexed);
    return hit;
}

static bool norm_in(const struct set_question *q, const struct answer *a)
{
    for (size_t i = 0; i < q->n_norms; i++) {
        bool found = false;

        if (answer_contains(buf_str(&a->result.answer), q->norms[i], &found) != RAG_OK)
            die("out of memory", NULL);
        if (found)
            return true;
    }
    return false;
}

static void score_question(const struct corpus *c, const struct set_question *q,
                           const struct answer *a, struct group *g, const struct options *o)
{
    size_t hits = 0;
    const char *tag = "ok     ";

    g->n++;
    g->refused += a->refused;
    if (!q->answerable) {
        tag = a->refused ? "ok     " : "ANSWERS";
    } else if (a->refused) {
        tag = "REFUSES";
    } else {
        for (size_t i = 0; i < q->n_evidence; i++)
            hits += covered(c, &q->evidence[i], a);
        g->hit += hits > 0;
        g->all += hits == q->n_evidence;
        g->norm += norm_in(q, a);
        if (hits == 0)
            tag = "MISSES ";
    }
    if (o->dump) {
        printf("%s %s %s ", tag, q->id, q->kind);
        dump("", q->text, a);
    }
}

static double share(size_t a, size_t n)
{
    return n ? (double)a / (double)n : 0;
}

static void print_group(struct json_writer *w, const char *name, const struct group *g,
                        bool answerable)
{
    json_begin_object(w, name);
    json_put_int(w, "n", (int64_t)g->n);
    json_put_double(w, "refused", share(g->refused, g->n));
    if (answerable) {
        json_put_double(w, "cited_evidence", share(g->hit, g->n));
        json_put_double(w, "cited_all", share(g->all, g->n));
        json_put_double(w, "answer_text", share(g->norm, g->n));
    }
    json_end_object(w);
    printf("%-12s n %3zu  refused %.3f", name, g->n, share(g->refused, g->n));
    if (answerable)
        printf("  cited %.3f  all %.3f  text %.3f", share(g->hit, g->n), share(g->all, g->n),
               share(g->norm, g->n));
    printf("\n");
}

static void run_folder(const struct options *o, struct corpus *c, struct generator *generator,
                       struct buf *out)
{
    struct group originals = {0};
    struct group paraphrases = {0};
    struct group on = {0};
    struct group off = {0};
    struct question_set set;
    struct json_writer w;
    struct rag_error err;
    struct input *in;
    char path[4096];

    corpus_read_folder(c, o->path, CHUNK_CHARS_DEFAULT);
    corpus_index(c);
    snprintf(path, sizeof path, "%s/questions.jsonl", o->path);
    if (input_open(path, &in, &err) != RAG_OK || question_set_read(in, &set, &err) != RAG_OK ||
        (o->off_topic && question_set_mark_off_topic(&set, o->off_topic, &err) != RAG_OK))
        die("questions", &err);
    input_close(in);
    for (size_t i = 0; i < set.n; i++) {
        const struct set_question *q = &set.questions[i];
        struct answer a;

        ask(c, generator, o, q->text, &a);
        score_question(c, q, &a,
                       q->answerable           ? q->paraphrase ? &paraphrases : &originals
                       : q->topic == TOPIC_OFF ? &off
                                               : &on,
                       o);
        generator_result_release(&a.result);
    }
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "passages", (int64_t)c->n_passages);
    print_group(&w, "original", &originals, true);
    print_group(&w, "paraphrase", &paraphrases, true);
    print_group(&w, "on_topic", &on, false);
    print_group(&w, "off_topic", &off, false);
    json_end_object(&w);
    question_set_release(&set);
}

/* ---- KorQuAD ---- */

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return a < b ? -1 : a > b;
}

struct tally {
    size_t n;
    size_t gold_first;
    size_t answered;
    size_t hit;
    double em;
    double f1;
    double short_em;
    double short_f1;
};

static void score_gold(const struct dataset *d, const struct dataset_question *q,
                       const struct answer *a, struct tally *t, const struct options *o)
{
    const struct citation *k = &a->result.citations[0];
    const char *tag = "REFUSES";
    struct buf plain;
    double em = 0;
    double f1 = 0;

    t->n++;
    t->gold_first += a->n_head > 0 && a->head[0].id == q->passage;
    if (!a->refused) {
        const struct passage *p = &a->head[k->passage];
        size_t n = k->byte_end - k->byte_start;
        char *cited = malloc(n + 1);
        bool hit;

        if (!cited)
            die("out of memory", NULL);
        memcpy(cited, p->text + k->byte_start, n);
        cited[n] = '\0';
        hit = p->id == q->passage &&
              score_citation_overlaps(d, q, k->byte_start, k->byte_end, cited, GOLD_CHARS_MAX);
        free(cited);
        tag = hit ? "ok     " : p->id == q->passage ? "MISSES " : "ELSE   ";
        t->answered++;
        t->hit += hit;
        buf_init(&plain, ANSWER_BYTES_MAX);
        answer_without_marks(buf_str(&a->result.answer), a->result.answer.len, &plain);
        score_answer(q, buf_str(&plain), &em, &f1);
        t->em += em;
        t->f1 += f1;
        score_answer(q, a->result.short_answer[0] ? a->result.short_answer : buf_str(&plain), &em,
                     &f1);
        t->short_em += em;
        t->short_f1 += f1;
        buf_release(&plain);
    }
    if (o->dump) {
        printf("%s gold '%s' ", tag, q->answers[0].text);
        dump("", q->text, a);
    }
}

static void run_korquad(const struct options *o, struct corpus *c, struct generator *generator,
                        struct buf *out)
{
    struct tally t = {0};
    struct json_writer w;
    struct rag_error err;
    struct dataset d;
    struct input *in;
    double *ms;

    dataset_init(&d);
    if (input_open(o->path, &in, &err) != RAG_OK || dataset_read_squad(&d, in, &err) != RAG_OK)
        die("questions", &err);
    input_close(in);
    corpus_reserve(c, d.n_passages);
    for (size_t i = 0; i < d.n_passages; i++)
        c->passages[i] = (struct passage){.id = i,
                                          .document = "",
                                          .title = d.passages[i].title,
                                          .heading = "",
                                          .context = "",
                                          .text = d.passages[i].text,
                                          .text_bytes = d.passages[i].n_bytes,
                                          .byte_end = (uint32_t)d.passages[i].n_bytes};
    corpus_index(c);
    ms = calloc(d.n_questions + 1, sizeof *ms);
    if (!ms)
        die("out of memory", NULL);
    for (size_t i = 0; i < d.n_questions && t.n < o->limit; i++) {
        struct answer a;

        if (!d.questions[i].answerable)
            continue;
        ask(c, generator, o, d.questions[i].text, &a);
        ms[t.n] = a.generate_ms;
        score_gold(&d, &d.questions[i], &a, &t, o);
        generator_result_release(&a.result);
    }
    qsort(ms, t.n, sizeof *ms, by_value);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "questions", (int64_t)t.n);
    json_put_double(&w, "gold_first", share(t.gold_first, t.n));
    json_put_double(&w, "answered_rate", share(t.answered, t.n));
    json_put_double(&w, "citation_overlaps_gold", share(t.hit, t.n));
    json_put_double(&w, "em", t.n ? t.em / (double)t.n : 0);
    json_put_double(&w, "f1", t.n ? t.f1 / (double)t.n : 0);
    json_put_double(&w, "short_em", t.n ? t.short_em / (double)t.n : 0);
    json_put_double(&w, "short_f1", t.n ? t.short_f1 / (double)t.n : 0);
    json_put_double(&w, "generate_ms_p50", t.n ? ms[t.n / 2] : 0);
    json_put_double(&w, "generate_ms_p99", t.n ? ms[t.n * 99 / 100] : 0);
    json_end_object(&w);
    free(ms);
    dataset_release(&d);
}

static void parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--dump") == 0) {
            o->dump = true;
            continue;
        }
        if (argv[i][0] != '-') {
            o->path = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--passages") == 0)
            o->n_passages = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--limit") == 0)
            o->limit = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--relevance") == 0)
            o->relevance_min = strtof(value, NULL);
        else if (strcmp(argv[i], "--off-topic") == 0)
            o->off_topic = value;
        else
            die(argv[i], NULL);
        i++;
    }
    if (!o->path || o->n_passages == 0 || o->n_passages > RERANK_HEAD_DEFAULT)
        die("usage: bench_answers FOLDER|FILE.json [--dump] [--passages N] ...", NULL);
}

int main(int argc, char **argv)
{
    struct options o = {.n_passages = TOP_K_DEFAULT,
                        .limit = SIZE_MAX,
                        .relevance_min = GATE_RELEVANCE_MIN_DEFAULT};
    struct analyzer_options analyzer = {0};
    struct generator *generator;
    struct corpus c = {0};
    struct rag_error err;
    struct buf out;
    size_t n;

    parse(argc, argv, &o);
    if (analyzer_open(&analyzer, &c.analyzer, &err) != RAG_OK ||
        extractive_open(&generator, &err) != RAG_OK)
        die("open", &err);
    buf_init(&out, 65536);
    n = strlen(o.path);
    if (n > 5 && strcmp(o.path + n - 5, ".json") == 0)
        run_korquad(&o, &c, generator, &out);
    else
        run_folder(&o, &c, generator, &out);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
    generator->close(generator);
    corpus_release(&c);
    return 0;
}
