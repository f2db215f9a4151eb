/* bench_relevance - how well do the analyzer, BM25 and the lexical rerank find the gold
 * passage? In one process, exact BM25 over every posting, no daemon: the quick tool for
 * studying analysis (ragctl eval measures the same through the daemon).
 *
 *     bench_relevance [--distractors FILE.jsonl] [--off FEATURE,...] [--misses N]
 *                     [--limit N] [--head N] [--mecab DIR] FILE
 *
 * FILE is SQuAD/KorQuAD/KLUE-MRC JSON (every paragraph is a passage with its title) or
 * JSON lines {"query", "positive"} or {"query", "positives": [...]}. Equal texts are one
 * passage. Unanswerable questions are left out. The last line is one JSON object. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "retrieve/fields.h"
#include "retrieve/rerank_lexical.h"
#include "tests/bench/relevance_set.h"
#include "text/analyzer.h"
#include "text/question.h"

#define K1   0.9f
#define B    0.4f
#define TOP  20 /* ranks that the metrics look at */
#define HEAD RERANK_HEAD_DEFAULT

struct triple {
    uint64_t term;
    uint32_t passage;
    uint32_t tf;
};

struct index {
    struct triple *items; /* sorted by term, passage */
    size_t n;
    size_t cap;
    uint32_t *lengths;
    double length_mean;
    size_t n_passages;
    float *scores; /* [n_passages] scratch */
    double analyze_ms;
    uint64_t text_bytes;
};

struct tally {
    size_t n;
    size_t hit[4]; /* at 1, 5, 10, 20 */
    double mrr;
    double ndcg;
};

struct options {
    const char *file;
    const char *distractors;
    size_t misses;
    size_t limit;
    size_t head;
    struct analyzer_options analyzer;
};

static const size_t cutoffs[4] = {1, 5, 10, 20};

static void die(const char *what, const struct rag_error *err)
{
    fprintf(stderr, "bench_relevance: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static int by_term(const void *left, const void *right)
{
    const struct triple *a = left;
    const struct triple *b = right;

    if (a->term != b->term)
        return a->term < b->term ? -1 : 1;
    return a->passage < b->passage ? -1 : a->passage > b->passage;
}

static void index_add(struct index *x, uint32_t passage, const struct bm25_posting *postings,
                      size_t n)
{
    if (x->n + n > x->cap) {
        x->cap = (x->n + n) * 2;
        x->items = realloc(x->items, x->cap * sizeof *x->items);
        if (!x->items)
            die("out of memory", NULL);
    }
    for (size_t i = 0; i < n; i++)
        x->items[x->n++] = (struct triple){postings[i].term, passage, postings[i].tf};
}

static void index_build(struct index *x, const struct analyzer *analyzer,
                        const struct relevance_set *set)
{
    uint64_t sum = 0;
    int64_t start = clock_monotonic_ns();

    x->n_passages = set->n_passages;
    x->lengths = calloc(set->n_passages + 1, sizeof *x->lengths);
    x->scores = calloc(set->n_passages + 1, sizeof *x->scores);
    if (!x->lengths || !x->scores)
        die("out of memory", NULL);
    for (size_t i = 0; i < set->n_passages; i++) {
        const struct relevance_passage *p = &set->passages[i];
        struct passage_fields fields = {
            .title = p->title, .text = p->text, .text_bytes = strlen(p->text)};
        struct bm25_posting *postings;
        size_t n;

        if (passage_postings(analyzer, &fields, &postings, &n, &x->lengths[i]) != RAG_OK)
            die("cannot analyse a passage", NULL);
        index_add(x, (uint32_t)i, postings, n);
        sum += x->lengths[i];
        x->text_bytes += fields.text_bytes;
        free(postings);
    }
    x->analyze_ms = clock_elapsed_ms(start);
    x->length_mean = x->n_passages ? (double)sum / (double)x->n_passages : 1;
    qsort(x->items, x->n, sizeof *x->items, by_term);
}

static const struct triple *postings_of(const struct index *x, uint64_t term, size_t *ret_n)
{
    size_t low = 0;
    size_t high = x->n;
    size_t end;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (x->items[mid].term < term)
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < x->n && x->items[end].term == term; end++)
        ;
    *ret_n = end - low;
    return x->items + low;
}

/* Scores of all passages into x->scores, idf of each term into ret_idf. */
static void index_score(struct index *x, const struct term_list *terms, float *ret_idf)
{
    memset(x->scores, 0, x->n_passages * sizeof *x->scores);
    for (size_t t = 0; t < terms->n; t++) {
        size_t n;
        const struct triple *list = postings_of(x, terms->items[t].id, &n);
        float idf = logf(1.0f + ((float)x->n_passages - (float)n + 0.5f) / ((float)n + 0.5f));

        ret_idf[t] = idf;
        for (size_t i = 0; i < n; i++) {
            float tf = (float)list[i].tf / (float)BM25_TF_ONE;
            float length = (float)x->lengths[list[i].passage] / (float)x->length_mean;

            x->scores[list[i].passage] +=
                terms->items[t].weight * idf * tf / (tf + K1 * (1.0f - B + B * length));
        }
    }
}

/* The best k, equal scores by smaller id. */
static size_t index_top(const struct index *x, size_t k, struct passage *ret,
                        const struct relevance_set *set)
{
    size_t n = 0;

    for (size_t i = 0; i < x->n_passages; i++) {
        size_t at;

        if (x->scores[i] <= 0 || (n == k && x->scores[i] <= ret[n - 1].bm25_score))
            continue;
        at = n < k ? n++ : n - 1;
        for (; at > 0 && ret[at - 1].bm25_score < x->scores[i]; at--)
            ret[at] = ret[at - 1];
        ret[at] = (struct passage){.id = i,
                                   .document = "",
                                   .title = set->passages[i].title ? set->passages[i].title : "",
                                   .heading = "",
                                   .context = "",
                                   .text = set->passages[i].text,
                                   .text_bytes = strlen(set->passages[i].text),
                                   .bm25_score = x->scores[i]};
    }
    for (size_t i = 0; i < n; i++)
        ret[i].bm25_rank = (uint32_t)i + 1;
    return n;
}

static bool is_gold(const struct relevance_question *q, uint64_t id)
{
    for (size_t i = 0; i < q->n_gold; i++)
        if (q->gold[i] == id)
            return true;
    return false;
}

/* Rank of the first gold passage, 0 when it is not among the n. */
static size_t tally_add(struct tally *t, const struct relevance_question *q,
                        const struct passage *ranking, size_t n)
{
    size_t first = 0;
    double gain = 0;
    double ideal = 0;

    for (size_t i = 0; i < n; i++) {
        if (!is_gold(q, ranking[i].id))
            continue;
        if (first == 0)
            first = i + 1;
        if (i < 10)
            gain += 1 / log2((double)i + 2);
    }
    for (size_t i = 0; i < q->n_gold && i < 10; i++)
        ideal += 1 / log2((double)i + 2);
    t->n++;
    for (size_t c = 0; c < 4; c++)
        t->hit[c] += first > 0 && first <= cutoffs[c];
    if (first > 0 && first <= 10)
        t->mrr += 1 / (double)first;
    t->ndcg += ideal > 0 ? gain / ideal : 0;
    return first;
}

static void tally_write(struct json_writer *w, const char *name, const struct tally *t)
{
    static const char *const keys[4] = {"hit_at_1", "hit_at_5", "hit_at_10", "hit_at_20"};
    double n = t->n ? (double)t->n : 1;

    json_begin_object(w, name);
    for (size_t c = 0; c < 4; c++)
        json_put_double(w, keys[c], (double)t->hit[c] / n);
    json_put_double(w, "mrr_at_10", t->mrr / n);
    json_put_double(w, "ndcg_at_10", t->ndcg / n);
    json_end_object(w);
    printf("%-6s hit@1 %.4f  @5 %.4f  @10 %.4f  @20 %.4f  MRR@10 %.4f  nDCG@10 %.4f\n", name,
           (double)t->hit[0] / n, (double)t->hit[1] / n, (double)t->hit[2] / n,
           (double)t->hit[3] / n, t->mrr / n, t->ndcg / n);
}

static void print_terms(const char *text, const struct term_list *terms, const float *idf)
{
    for (size_t i = 0; i < terms->n; i++)
        printf(" %.*s(%.2f*%.1f)", (int)(terms->items[i].byte_end - terms->items[i].byte_start),
               text + terms->items[i].byte_start, (double)terms->items[i].weight, (double)idf[i]);
    printf("\n");
}

static void print_miss(const struct relevance_set *set, const struct relevance_question *q,
                       const struct term_list *terms, const float *idf,
                       const struct passage *ranking, size_t n, size_t bm25_first, size_t first)
{
    printf("\nMISS bm25 %zu final %zu: %s\n  terms:", bm25_first, first, q->text);
    print_terms(q->text, terms, idf);
    printf("  gold: %s | %s\n", set->passages[q->gold[0]].title, set->passages[q->gold[0]].text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || is_gold(q, ranking[i].id))
            printf("  #%zu bm25 %.3f (%u) rerank %.3f%s: %s\n", i + 1,
                   (double)ranking[i].bm25_score, ranking[i].bm25_rank,
                   (double)ranking[i].rerank_score, i ? " GOLD" : "", i ? "" : ranking[i].text);
}

struct run {
    struct tally bm25;
    struct tally final;
    double rerank_ms;
    double rerank_ms_max;
    double search_ms;
    double question_ms;
    size_t misses_left;
};

static void ask(struct run *run, const struct options *options, const struct analyzer *analyzer,
                const struct relevance_set *set, struct index *x,
                const struct relevance_question *q)
{
    float idf[QUERY_TERMS_MAX];
    struct passage head[CANDIDATES_MAX];
    struct term_list terms = {0};
    struct question question;
    struct lexical_query query = {.text = q->text,
                                  .n_bytes = strlen(q->text),
                                  .terms = &terms,
                                  .idf = idf,
                                  .question = &question,
                                  .analyzer = analyzer};
    int64_t start = clock_monotonic_ns();
    size_t first;
    size_t bm25_first;
    double ms;
    size_t n;

    question_analyze(q->text, query.n_bytes, &question);
    if (analyzer_question(analyzer, q->text, query.n_bytes, &terms) != RAG_OK)
        die("cannot analyse a question", NULL);
    run->question_ms += clock_elapsed_ms(start);
    start = clock_monotonic_ns();
    index_score(x, &terms, idf);
    n = index_top(x, options->head, head, set);
    run->search_ms += clock_elapsed_ms(start);
    bm25_first = tally_add(&run->bm25, q, head, n);
    start = clock_monotonic_ns();
    if (rerank_lexical(&query, &LEXICAL_WEIGHTS_DEFAULT, head, n) != RAG_OK)
        die("cannot rerank", NULL);
    ms = clock_elapsed_ms(start);
    run->rerank_ms += ms;
    if (ms > run->rerank_ms_max)
        run->rerank_ms_max = ms;
    first = tally_add(&run->final, q, head, n);
    if (first != 1 && run->misses_left > 0) {
        run->misses_left--;
        print_miss(set, q, &terms, idf, head, n, bm25_first, first);
    }
    term_list_release(&terms);
}

static void report(const struct run *run, const struct relevance_set *set, const struct index *x)
{
    double n = set->n_questions ? (double)set->n_questions : 1;
    struct json_writer w;
    struct buf out;

    buf_init(&out, 1 << 16);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "bench", "relevance");
    json_put_int(&w, "questions", (int64_t)run->bm25.n);
    json_put_int(&w, "passages", (int64_t)set->n_passages);
    tally_write(&w, "bm25", &run->bm25);
    tally_write(&w, "final", &run->final);
    json_put_int(&w, "postings", (int64_t)x->n);
    json_put_double(&w, "analyze_mb_per_s",
                    (double)x->text_bytes / 1e6 / (x->analyze_ms / 1e3 + 1e-9));
    json_put_double(&w, "question_us", run->question_ms * 1e3 / n);
    json_put_double(&w, "rerank_ms", run->rerank_ms / n);
    json_put_double(&w, "rerank_ms_max", run->rerank_ms_max);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void read_arguments(int argc, char **argv, struct options *o)
{
    struct rag_error err;

    *o = (struct options){.limit = SIZE_MAX, .head = HEAD};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (argv[i][0] != '-') {
            o->file = argv[i];
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--distractors") == 0)
            o->distractors = value;
        else if (strcmp(argv[i - 1], "--misses") == 0)
            o->misses = strtoul(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--limit") == 0)
            o->limit = strtoul(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--head") == 0)
            o->head = strtoul(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--mecab") == 0)
            o->analyzer.mecab_dictionary = value;
        else if (strcmp(argv[i - 1], "--off") == 0) {
            if (analyzer_features(value, &o->analyzer.features_off, &err) != RAG_OK)
                die("--off", &err);
        } else
            die(argv[i - 1], NULL);
    }
    if (!o->file || o->head == 0 || o->head > CANDIDATES_MAX)
        die("usage: bench_relevance [--distractors F] [--off A,B] [--misses N] FILE", NULL);
}

int main(int argc, char **argv)
{
    struct relevance_set set = {0};
    struct index x = {0};
    struct run run = {0};
    struct analyzer *analyzer;
    struct rag_error err;
    struct options o;

    read_arguments(argc, argv, &o);
    if (analyzer_open(&o.analyzer, &analyzer, &err) != RAG_OK)
        die("analyzer", &err);
    if (relevance_read(&set, o.file, &err) != RAG_OK)
        die(o.file, &err);
    if (o.distractors && relevance_read_distractors(&set, o.distractors, &err) != RAG_OK)
        die(o.distractors, &err);
    if (set.n_questions > o.limit)
        set.n_questions = o.limit;
    index_build(&x, analyzer, &set);
    run.misses_left = o.misses;
    for (size_t i = 0; i < set.n_questions; i++)
        ask(&run, &o, analyzer, &set, &x, &set.questions[i]);
    report(&run, &set, &x);
    free(x.items);
    free(x.lengths);
    free(x.scores);
    relevance_release(&set);
    analyzer_close(analyzer);
    return 0;
}
