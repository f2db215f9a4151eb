#include "retrieve/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"

struct weighted {
    uint64_t term;
    float weight;
};

struct weighted_list {
    struct weighted *items; /* owned */
    size_t n;
    size_t cap;
    float length; /* of the fields that count for it */
};

static enum rag_status add_field(const struct analyzer *analyzer, const char *text, size_t n,
                                 float field_weight, bool counts, struct term_list *terms,
                                 struct weighted_list *list)
{
    enum rag_status status = analyzer_passage(analyzer, text, n, terms);
    struct weighted *grown;

    if (status != RAG_OK || terms->n == 0)
        return status;
    if (list->n + terms->n > list->cap) {
        size_t cap = list->n + terms->n;

        if (cap > SIZE_MAX / sizeof *grown || !(grown = realloc(list->items, cap * sizeof *grown)))
            return RAG_ENOMEM;
        list->items = grown;
        list->cap = cap;
    }
    for (size_t i = 0; i < terms->n; i++) {
        list->items[list->n++] =
            (struct weighted){terms->items[i].id, terms->items[i].weight * field_weight};
        if (counts)
            list->length += terms->items[i].weight;
    }
    return RAG_OK;
}

/* Equal terms by weight too: a float sum depends on its order, and the order must not
 * depend on the sort. */
static int by_term(const void *left, const void *right)
{
    const struct weighted *a = left;
    const struct weighted *b = right;

    if (a->term != b->term)
        return a->term < b->term ? -1 : 1;
    return a->weight < b->weight ? -1 : a->weight > b->weight;
}

static uint32_t fixed_point(float weight, uint32_t max)
{
    float scaled = weight * (float)BM25_TF_ONE + 0.5f;

    if (scaled < 1)
        return 1;
    return scaled >= (float)max ? max : (uint32_t)scaled;
}

static enum rag_status collect(struct weighted_list *list, struct bm25_posting **ret_postings,
                               size_t *ret_n)
{
    struct bm25_posting *postings;
    size_t n = 0;

    *ret_postings = NULL;
    *ret_n = 0;
    if (list->n == 0)
        return RAG_OK;
    postings = malloc(list->n * sizeof *postings);
    if (!postings)
        return RAG_ENOMEM;
    qsort(list->items, list->n, sizeof *list->items, by_term);
    for (size_t i = 0, next; i < list->n; i = next) {
        float sum = 0;

        for (next = i; next < list->n && list->items[next].term == list->items[i].term; next++)
            sum += list->items[next].weight;
        postings[n++] =
            (struct bm25_posting){.term = list->items[i].term, .tf = fixed_point(sum, BM25_TF_MAX)};
    }
    *ret_postings = postings;
    *ret_n = n;
    return RAG_OK;
}

enum rag_status passage_postings(const struct analyzer *analyzer,
                                 const struct passage_fields *fields,
                                 struct bm25_posting **ret_postings, size_t *ret_n,
                                 uint32_t *ret_length)
{
    const struct {
        const char *text;
        size_t n;
        float weight;
        bool counts;
    } parts[] = {
        {fields->text,    fields->text_bytes,                            1,                    true },
        {fields->context, fields->context ? strlen(fields->context) : 0, 1,                    true },
        {fields->title,   fields->title ? strlen(fields->title) : 0,     FIELD_TITLE_WEIGHT,   false},
        {fields->heading, fields->heading ? strlen(fields->heading) : 0, FIELD_HEADING_WEIGHT,
         false                                                                                      },
    };
    struct weighted_list list = {0};
    struct term_list terms = {0};
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == RAG_OK; i++)
        if (parts[i].n > 0)
            status = add_field(analyzer, parts[i].text, parts[i].n, parts[i].weight,
                               parts[i].counts, &terms, &list);
    if (status == RAG_OK)
        status = collect(&list, ret_postings, ret_n);
    if (status == RAG_OK)
        *ret_length = fixed_point(list.length, UINT32_MAX / 2);
    term_list_release(&terms);
    free(list.items);
    return status;
}
