#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/ragctl/ragctl_eval_cache.h"

/* ---- vectors ---- */

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "eval cache: out of memory");
}

static enum rag_status embed(struct eval_cache *e, struct rag_error *reterr)
{
    size_t n = e->pairs.n_texts;
    struct embed_text *texts = calloc(n, sizeof *texts);
    struct bi_encoder_info info;
    enum rag_status status;

    bi_encoder_info(e->encoder, &info);
    e->dim = info.dim;
    e->dense = calloc(n, info.dim * sizeof *e->dense);
    if (!texts || !e->dense) {
        free(texts);
        return no_memory(reterr);
    }
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct embed_text){e->pairs.texts[i].text, e->pairs.texts[i].n_bytes};
    int64_t since_ns = clock_monotonic_ns();
    status = bi_encoder_embed(e->encoder, texts, n, EMBED_QUERY, NULL, e->dense, NULL, reterr);
    e->report.traffic.embed_ms = clock_elapsed_ms(since_ns) / (double)n;
    free(texts);
    return status;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* In how many texts a term occurs: how often it stands in the sorted list of all of them. */
static size_t frequency(const uint64_t *ids, size_t n, uint64_t id)
{
    size_t low = 0;
    size_t high = n;
    size_t end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < n && ids[end] == id; end++)
        ;
    return end - low;
}

/* idf of a list of terms, as BM25 has it: ln(1 + (N - n + .5) / (n + .5)). */
static void idf_of(const struct term_list *terms, const uint64_t *ids, size_t n_ids, size_t n_texts,
                   float *ret)
{
    for (size_t i = 0; i < terms->n; i++) {
        double df = (double)frequency(ids, n_ids, terms->items[i].id);
        ret[i] = (float)log(1 + ((double)n_texts - df + 0.5) / (df + 0.5));
    }
}

/* TF-IDF with the texts of the file as the collection. */
static enum rag_status weigh(struct eval_cache *e, struct rag_error *reterr)
{
    size_t n = e->pairs.n_texts;
    struct term_list *terms = calloc(n, sizeof *terms);
    float idf[QUERY_TERMS_MAX];
    uint64_t *ids = NULL;
    size_t n_ids = 0;
    enum rag_status status = RAG_ENOMEM;

    e->sparse = calloc(n, sizeof *e->sparse);
    if (!terms || !e->sparse)
        goto out;
    status = RAG_OK;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = analyzer_question(e->analyzer, e->pairs.texts[i].text, e->pairs.texts[i].n_bytes,
                                   &terms[i]);
        n_ids += terms[i].n;
    }
    ids = calloc(n_ids + 1, sizeof *ids);
    if (!ids)
        status = RAG_ENOMEM;
    if (status != RAG_OK)
        goto out;
    n_ids = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < terms[i].n; k++)
            ids[n_ids++] = terms[i].items[k].id;
    qsort(ids, n_ids, sizeof *ids, by_id);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        idf_of(&terms[i], ids, n_ids, n, idf);
        status = sparse_vector_make(&terms[i], idf, &e->sparse[i]);
    }
out:
    for (size_t i = 0; terms && i < n; i++)
        term_list_release(&terms[i]);
    free(terms);
    free(ids);
    return status == RAG_OK ? RAG_OK : no_memory(reterr);
}

enum rag_status eval_cache_vectors(struct eval_cache *e, struct rag_error *reterr)
{
    e->n_vectors = e->pairs.n_texts;
    return e->encoder ? embed(e, reterr) : weigh(e, reterr);
}

static float similarity(const struct eval_cache *e, uint32_t a, uint32_t b)
{
    double dot = 0;

    if (!e->dense)
        return sparse_vector_cosine(&e->sparse[a], &e->sparse[b]);
    for (size_t i = 0; i < e->dim; i++)
        dot += (double)e->dense[a * e->dim + i] * (double)e->dense[b * e->dim + i];
    return (float)dot;
}

/* ---- pairs ---- */

static enum rag_status confirm(struct eval_cache *e, uint32_t a, uint32_t b,
                               enum confirm_reason *ret, struct rag_error *reterr)
{
    const char *x = e->pairs.texts[a].text;
    const char *y = e->pairs.texts[b].text;
    float score = 0;

    *ret = confirm_words(e->analyzer, x, y);
    if (*ret != CONFIRM_YES || !e->pair.score)
        return RAG_OK;
    enum rag_status status = e->pair.score(e->pair.context, x, y, &score, reterr);
    if (status == RAG_OK && score < e->pair.score_min)
        *ret = CONFIRM_PAIR;
    return status;
}

/* Of a question set: each question with the one most like it that does not mean the same. */
static enum rag_status add_nearest(struct eval_cache *e, struct rag_error *reterr)
{
    const struct cache_text *texts = e->pairs.texts;
    size_t n = e->pairs.n_texts;

    for (uint32_t i = 0; i < n; i++) {
        struct cache_pair pair = {.b = i, .label = CACHE_DIFFERENT, .kind = "nearest"};
        float best = -1;

        for (uint32_t k = 0; k < n; k++) {
            float s = texts[k].same == texts[i].same ? -1 : similarity(e, k, i);
            if (s <= best)
                continue;
            best = s;
            pair.a = k;
        }
        if (best < 0)
            continue;
        if (cache_pairs_add(&e->pairs, &pair) != RAG_OK)
            return no_memory(reterr);
    }
    return RAG_OK;
}

enum rag_status eval_cache_score(struct eval_cache *e, struct rag_error *reterr)
{
    enum rag_status status = e->pairs.questions ? add_nearest(e, reterr) : RAG_OK;

    for (size_t i = 0; i < e->pairs.n && status == RAG_OK; i++) {
        struct cache_pair *pair = &e->pairs.pairs[i];
        enum confirm_reason reason = CONFIRM_WORDS;

        pair->similarity = similarity(e, pair->a, pair->b);
        status = confirm(e, pair->a, pair->b, &reason, reterr);
        pair->reason = (uint8_t)reason;
        pair->confirmed = reason == CONFIRM_YES;
    }
    return status;
}

/* ---- questions put to a full cache ---- */

struct candidate {
    uint32_t text;
    float similarity;
};

struct asking {
    uint32_t *cached; /* owned, as below */
    size_t n_cached;
    uint32_t *asked;
    size_t n_asked;
    bool *is_cached; /* [n_texts] */
    bool *is_asked;
};

static enum rag_status gather(const struct eval_cache *e, struct asking *q)
{
    struct cache_view view = {.pairs = &e->pairs, .seed = e->report.seed, .half = CACHE_MEASURE};
    size_t n = e->pairs.n_texts;

    q->cached = calloc(n, sizeof *q->cached);
    q->asked = calloc(n, sizeof *q->asked);
    q->is_cached = calloc(n, sizeof *q->is_cached);
    q->is_asked = calloc(n, sizeof *q->is_asked);
    if (!q->cached || !q->asked || !q->is_cached || !q->is_asked)
        return RAG_ENOMEM;
    for (size_t i = 0; i < e->pairs.n; i++) {
        uint32_t a = e->pairs.pairs[i].a;
        if (!q->is_cached[a])
            q->cached[q->n_cached++] = a;
        q->is_cached[a] = true;
    }
    for (size_t i = 0; i < e->pairs.n && q->n_asked < EVAL_CACHE_ASKED_MAX; i++) {
        const struct cache_pair *pair = &e->pairs.pairs[i];

        /* What is cached itself would be an exact hit. */
        if (q->is_cached[pair->b] || q->is_asked[pair->b] ||
            (!e->report.threshold_given && cache_half_of(&view, pair) != CACHE_MEASURE))
            continue;
        q->asked[q->n_asked++] = pair->b;
        q->is_asked[pair->b] = true;
    }
    return RAG_OK;
}

/* The most similar ones at or above a threshold, best first. */
static size_t nearest(const struct eval_cache *e, const struct asking *q, uint32_t b,
                      double threshold, struct candidate ret[CACHE_CANDIDATES_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < q->n_cached; i++) {
        struct candidate c = {q->cached[i], similarity(e, q->cached[i], b)};
        size_t at = n;

        if ((double)c.similarity < threshold)
            continue;
        while (at > 0 && ret[at - 1].similarity < c.similarity)
            at--;
        if (at == CACHE_CANDIDATES_MAX)
            continue;
        size_t last = n < CACHE_CANDIDATES_MAX ? n++ : n - 1;
        memmove(&ret[at + 1], &ret[at], (last - at) * sizeof *ret);
        ret[at] = c;
    }
    return n;
}

static bool known_different(const struct cache_pairs *p, uint32_t a, uint32_t b)
{
    /* In a question set every question is another one unless it rewords it. */
    if (p->questions)
        return true;
    for (size_t i = 0; i < p->n; i++)
        if (p->pairs[i].label == CACHE_DIFFERENT && ((p->pairs[i].a == a && p->pairs[i].b == b) ||
                                                     (p->pairs[i].a == b && p->pairs[i].b == a)))
            return true;
    return false;
}

static void tally(const struct cache_pairs *p, uint32_t a, uint32_t b, struct cache_tally *t)
{
    if (p->texts[a].same == p->texts[b].same)
        t->right++;
    else if (known_different(p, a, b))
        t->wrong++;
    else
        t->unknown++;
}

static enum rag_status ask_one(struct eval_cache *e, const struct asking *q, uint32_t b,
                               struct rag_error *reterr)
{
    struct cache_traffic *t = &e->report.traffic;
    struct candidate found[CACHE_CANDIDATES_MAX];
    size_t n = nearest(e, q, b, t->confirmed.threshold, found);

    for (size_t i = 0; i < n; i++) {
        enum confirm_reason reason = CONFIRM_WORDS;
        enum rag_status status = confirm(e, found[i].text, b, &reason, reterr);

        if (status != RAG_OK)
            return status;
        if (reason != CONFIRM_YES)
            continue;
        tally(&e->pairs, found[i].text, b, &t->confirmed);
        break;
    }
    return RAG_OK;
}

enum rag_status eval_cache_ask(struct eval_cache *e, struct rag_error *reterr)
{
    struct cache_traffic *t = &e->report.traffic;
    struct candidate found[CACHE_CANDIDATES_MAX];
    struct asking q = {0};
    enum rag_status status = gather(e, &q);

    if (status != RAG_OK)
        no_memory(reterr);
    t->n_cached = q.n_cached;
    t->n_asked = q.n_asked;
    t->confirmed.threshold = e->report.chosen.threshold;
    t->plain.threshold = e->report.plain_chosen.threshold;
    int64_t since_ns = clock_monotonic_ns();
    for (size_t i = 0; i < q.n_asked && status == RAG_OK; i++)
        status = ask_one(e, &q, q.asked[i], reterr);
    t->lookup_ms = q.n_asked > 0 ? clock_elapsed_ms(since_ns) / (double)q.n_asked : 0;
    for (size_t i = 0; i < q.n_asked && status == RAG_OK; i++) {
        uint32_t b = q.asked[i];
        bool answerable = false;

        for (size_t k = 0; k < q.n_cached && !answerable; k++)
            answerable = e->pairs.texts[q.cached[k]].same == e->pairs.texts[b].same;
        t->n_answerable += answerable ? 1 : 0;
        if (nearest(e, &q, b, t->plain.threshold, found) > 0)
            tally(&e->pairs, found[0].text, b, &t->plain);
    }
    if (q.n_asked > 0)
        t->saved_ms = (double)t->confirmed.right / (double)q.n_asked * t->answer_ms - t->lookup_ms -
                      t->embed_ms;
    free(q.cached);
    free(q.asked);
    free(q.is_cached);
    free(q.is_asked);
    return status;
}
