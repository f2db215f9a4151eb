#include "text/term_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

void term_list_release(struct term_list *list)
{
    free(list->items);
    *list = (struct term_list){0};
}

uint64_t term_id(enum term_class class, const char *bytes, size_t n)
{
    return XXH3_64bits_withSeed(bytes, n, (uint64_t) class);
}

enum rag_status term_list_push(struct term_list *list, const struct term *term)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct term *grown;

        if (cap > SIZE_MAX / sizeof *grown)
            return RAG_ENOMEM;
        grown = realloc(list->items, cap * sizeof *grown);
        if (!grown)
            return RAG_ENOMEM;
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = *term;
    return RAG_OK;
}

struct keyed {
    uint64_t id;
    float weight;
    size_t at;
};

static int by_id(const void *left, const void *right)
{
    const struct keyed *a = left;
    const struct keyed *b = right;

    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int by_weight(const void *left, const void *right)
{
    const struct keyed *a = left;
    const struct keyed *b = right;

    if (a->weight > b->weight || a->weight < b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static struct keyed *keys_of(const struct term_list *list)
{
    struct keyed *keys = malloc(list->n * sizeof *keys);

    for (size_t i = 0; keys && i < list->n; i++)
        keys[i] = (struct keyed){list->items[i].id, list->items[i].weight, i};
    return keys;
}

/* Drop the items whose weight was made negative. */
static void compact(struct term_list *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].weight >= 0)
            list->items[n++] = list->items[i];
    list->n = n;
}

enum rag_status term_list_unique(struct term_list *list)
{
    struct keyed *keys;

    if (list->n < 2)
        return RAG_OK;
    keys = keys_of(list);
    if (!keys)
        return RAG_ENOMEM;
    qsort(keys, list->n, sizeof *keys, by_id);
    for (size_t i = 1, first = 0; i < list->n; i++) {
        struct term *kept = &list->items[keys[first].at];

        if (keys[i].id != keys[first].id) {
            first = i;
            continue;
        }
        if (keys[i].weight > kept->weight)
            kept->weight = keys[i].weight;
        list->items[keys[i].at].weight = -1;
    }
    free(keys);
    compact(list);
    return RAG_OK;
}

enum rag_status term_list_cap(struct term_list *list, size_t n_max)
{
    struct keyed *keys;

    if (list->n <= n_max)
        return RAG_OK;
    keys = keys_of(list);
    if (!keys)
        return RAG_ENOMEM;
    qsort(keys, list->n, sizeof *keys, by_weight);
    for (size_t i = n_max; i < list->n; i++)
        list->items[keys[i].at].weight = -1;
    free(keys);
    compact(list);
    return RAG_OK;
}
