#include "text/overlap.h"

#include <stdlib.h>
#include <string.h>

void overlap_query_release(struct overlap_query *q)
{
    free(q->ids);
    free(q->slots);
    free(q->mass);
    free(q->word);
    free(q->word_mass);
    *q = (struct overlap_query){0};
}

static size_t slot_of(const struct overlap_query *q, uint64_t id)
{
    size_t at = (size_t)id & (q->n_slots - 1);

    while (q->slots[at] != 0 && q->ids[at] != id)
        at = (at + 1) & (q->n_slots - 1);
    return at;
}

/* Terms are in text order, so the words are numbered by rising position. A synonym can
 * stand for the word that was asked but is not asked for itself: no share of the total. */
static void fill(struct overlap_query *q, const struct term_list *terms, const float *idf)
{
    for (size_t i = 0; i < terms->n; i++) {
        size_t at = slot_of(q, terms->items[i].id);

        if (i > 0 && terms->items[i].position != terms->items[i - 1].position)
            q->n_words++;
        q->ids[at] = terms->items[i].id;
        q->slots[at] = (uint16_t)(i + 1);
        q->mass[i] = terms->items[i].weight * idf[i];
        q->word[i] = (uint16_t)q->n_words;
        q->word_mass[q->n_words] += q->mass[i];
        if (terms->items[i].kind != TERM_SYNONYM)
            q->total += q->mass[i];
    }
    q->n_words += terms->n > 0;
    q->n = terms->n;
}

enum rag_status overlap_query_init(const struct term_list *terms, const float *idf,
                                   struct overlap_query *ret)
{
    struct overlap_query q = {.n_slots = 64};

    if (terms->n >= UINT16_MAX)
        return RAG_ELIMIT;
    while (q.n_slots < terms->n * 2)
        q.n_slots *= 2;
    q.ids = calloc(q.n_slots, sizeof *q.ids);
    q.slots = calloc(q.n_slots, sizeof *q.slots);
    q.mass = calloc(terms->n + 1, sizeof *q.mass);
    q.word = calloc(terms->n + 1, sizeof *q.word);
    q.word_mass = calloc(terms->n + 1, sizeof *q.word_mass);
    if (!q.ids || !q.slots || !q.mass || !q.word || !q.word_mass) {
        overlap_query_release(&q);
        return RAG_ENOMEM;
    }
    fill(&q, terms, idf);
    *ret = q;
    return RAG_OK;
}

void overlap_text_release(struct overlap_text *t)
{
    term_list_release(&t->terms);
    free(t->hits);
    free(t->stamp);
    free(t->credit);
    *t = (struct overlap_text){0};
}

/* Scratch for the terms of q; a term is marked when its stamp equals t->now. */
static enum rag_status make_room(const struct overlap_query *q, struct overlap_text *t)
{
    if (t->n_stamp < q->n + 1) {
        free(t->stamp);
        free(t->credit);
        t->n_stamp = 0;
        t->stamp = calloc(q->n + 1, sizeof *t->stamp);
        t->credit = calloc(q->n + 1, sizeof *t->credit);
        if (!t->stamp || !t->credit)
            return RAG_ENOMEM;
        t->n_stamp = q->n + 1;
        t->now = 0;
    }
    if (t->cap < t->terms.n) {
        struct overlap_hit *grown = realloc(t->hits, t->terms.n * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        t->hits = grown;
        t->cap = t->terms.n;
    }
    return RAG_OK;
}

enum rag_status overlap_read(const struct overlap_query *q, const struct analyzer *analyzer,
                             const char *text, size_t n, struct overlap_text *ret)
{
    enum rag_status status = analyzer_passage(analyzer, text, n, &ret->terms);

    ret->n = 0;
    if (status == RAG_OK)
        status = make_room(q, ret);
    for (size_t i = 0; status == RAG_OK && i < ret->terms.n; i++) {
        const struct term *term = &ret->terms.items[i];
        uint16_t slot = q->slots[slot_of(q, term->id)];

        if (slot != 0)
            ret->hits[ret->n++] = (struct overlap_hit){.byte_start = term->byte_start,
                                                       .byte_end = term->byte_end,
                                                       .position = term->position,
                                                       .term = (uint16_t)(slot - 1)};
    }
    return status;
}

size_t overlap_find(const struct overlap_text *t, uint32_t byte_start)
{
    size_t low = 0;
    size_t high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->hits[mid].byte_start < byte_start)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* What the word of 'hit' earns by standing behind the one of 'before'. */
static float pair_credit(const struct overlap_query *q, const struct overlap_hit *before,
                         const struct overlap_hit *hit)
{
    uint16_t v = q->word[before->term];
    uint16_t w = q->word[hit->term];
    uint32_t distance = hit->position - before->position;
    float mass = q->word_mass[v] < q->word_mass[w] ? q->word_mass[v] : q->word_mass[w];
    float order = w == v + 1 ? 1.0f : w > v ? 0.5f : 0.25f;

    if (distance > OVERLAP_DISTANCE_MAX)
        return 0;
    return mass * order / (float)(distance > 1 ? distance : 1);
}

struct overlap overlap_score(const struct overlap_query *q, struct overlap_text *t, size_t from,
                             size_t to, const float *given)
{
    const struct overlap_hit *before = NULL;
    struct overlap sum = {0, 0};

    if (q->total <= 0)
        return sum;
    t->now++;
    memset(t->credit, 0, q->n_words * sizeof *t->credit);
    for (size_t i = 0; given && i < q->n; i++)
        sum.coverage += q->mass[i] * given[i];
    for (size_t i = from; i < to; i++) {
        const struct overlap_hit *hit = &t->hits[i];

        if (t->stamp[hit->term] != t->now) {
            t->stamp[hit->term] = t->now;
            sum.coverage += q->mass[hit->term] * (given ? 1.0f - given[hit->term] : 1.0f);
        }
        if (before && q->word[before->term] != q->word[hit->term]) {
            float credit = pair_credit(q, before, hit);
            float *best = &t->credit[q->word[hit->term]];

            sum.proximity += credit > *best ? credit - *best : 0;
            *best = credit > *best ? credit : *best;
        }
        before = hit;
    }
    sum.coverage = sum.coverage < q->total ? sum.coverage / q->total : 1;
    sum.proximity = sum.proximity < q->total ? sum.proximity / q->total : 1;
    return sum;
}
