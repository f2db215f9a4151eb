#include "text/sparse_vector.h"

#include <math.h>
#include <stdlib.h>

struct weighted {
    uint64_t id;
    double value;
};

static int by_id(const void *a, const void *b)
{
    const struct weighted *x = a;
    const struct weighted *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Sort, add up what has the same id, drop what weighs nothing. Returns how many are left. */
static size_t merge(struct weighted *items, size_t n)
{
    qsort(items, n, sizeof *items, by_id);
    size_t n_out = 0;
    for (size_t i = 0; i < n;) {
        struct weighted sum = items[i++];
        while (i < n && items[i].id == sum.id)
            sum.value += items[i++].value;
        if (sum.value > 0)
            items[n_out++] = sum;
    }
    return n_out;
}

enum rag_status sparse_vector_make(const struct term_list *terms, const float *idf,
                                   struct sparse_vector *ret)
{
    enum rag_status status = RAG_ENOMEM;
    struct sparse_vector v = {0};
    /* One more than needed: nothing has to be asked about a size of 0. */
    struct weighted *items = malloc((terms->n + 1) * sizeof *items);
    if (items == NULL)
        goto out;
    size_t n = 0;
    for (size_t i = 0; i < terms->n; i++) {
        double value = (double)terms->items[i].weight * (double)idf[i];
        /* An idf of an empty index or a damaged one must not make the length infinite. */
        if (isfinite(value) && value > 0)
            items[n++] = (struct weighted){terms->items[i].id, value};
    }
    n = merge(items, n);
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += items[i].value * items[i].value;
    v.ids = malloc((n + 1) * sizeof *v.ids);
    v.values = malloc((n + 1) * sizeof *v.values);
    if (v.ids == NULL || v.values == NULL)
        goto out;
    double length = sqrt(squares);
    for (size_t i = 0; i < n; i++) {
        v.ids[i] = items[i].id;
        v.values[i] = (float)(items[i].value / length);
    }
    v.n = n;
    *ret = v;
    v = (struct sparse_vector){0}; /* the caller's now */
    status = RAG_OK;
out:
    sparse_vector_release(&v);
    free(items);
    return status;
}

void sparse_vector_release(struct sparse_vector *v)
{
    free(v->ids);
    free(v->values);
    *v = (struct sparse_vector){0};
}

float sparse_vector_cosine(const struct sparse_vector *a, const struct sparse_vector *b)
{
    double dot = 0;
    size_t i = 0;
    size_t j = 0;
    while (i < a->n && j < b->n) {
        if (a->ids[i] == b->ids[j])
            dot += (double)a->values[i++] * (double)b->values[j++];
        else if (a->ids[i] < b->ids[j])
            i++;
        else
            j++;
    }
    return dot > 1 ? 1.0f : (float)dot;
}
