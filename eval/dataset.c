/* Invariants: passages[0..n_passages) have distinct texts; slots[] finds each of them by
 * linear probing and is at most half full. */
#include "eval/dataset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "eval/permutation.h"

#define SLOTS_FIRST 1024

void dataset_init(struct dataset *d)
{
    memset(d, 0, sizeof *d);
    arena_init(&d->arena, EVAL_TEXT_BYTES_MAX);
    d->version = "";
}

void dataset_release(struct dataset *d)
{
    if (!d)
        return;
    free(d->passages);
    free(d->questions);
    free(d->slots);
    arena_release(&d->arena);
    memset(d, 0, sizeof *d);
}

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "evaluation data: out of memory, or over %zu bytes of text",
                    (size_t)EVAL_TEXT_BYTES_MAX);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text, size_t n)
{
    uint64_t h = 14695981039346656037ull;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211ull;
    return h ^ h >> 32;
}

static size_t find_slot(const struct dataset *d, const char *text, size_t n)
{
    size_t i = (size_t)hash_text(text, n) & (d->n_slots - 1);

    while (d->slots[i] != 0) {
        const struct dataset_passage *p = &d->passages[d->slots[i] - 1];

        if (p->n_bytes == n && memcmp(p->text, text, n) == 0)
            break;
        i = (i + 1) & (d->n_slots - 1);
    }
    return i;
}

static enum rag_status rehash(struct dataset *d, size_t n_slots)
{
    uint32_t *slots = calloc(n_slots, sizeof *slots);

    if (!slots)
        return RAG_ENOMEM;
    free(d->slots);
    d->slots = slots;
    d->n_slots = n_slots;
    for (size_t i = 0; i < d->n_passages; i++)
        slots[find_slot(d, d->passages[i].text, d->passages[i].n_bytes)] = (uint32_t)i + 1;
    return RAG_OK;
}

enum rag_status dataset_add_passage(struct dataset *d, const char *text, size_t n_bytes,
                                    const char *title, size_t *ret_index, bool *ret_added,
                                    struct rag_error *reterr)
{
    struct dataset_passage *p;
    size_t slot;

    if (d->n_passages >= EVAL_PASSAGES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "evaluation data: more than %d passages",
                        EVAL_PASSAGES_MAX);
    if ((d->n_passages + 1) * 2 > d->n_slots &&
        rehash(d, d->n_slots ? d->n_slots * 2 : SLOTS_FIRST) != RAG_OK)
        return no_memory(reterr);
    slot = find_slot(d, text, n_bytes);
    if (ret_added)
        *ret_added = d->slots[slot] == 0;
    if (d->slots[slot] != 0) {
        *ret_index = d->slots[slot] - 1;
        return RAG_OK;
    }
    if (d->n_passages == d->passages_cap) {
        size_t cap = d->passages_cap ? d->passages_cap * 2 : SLOTS_FIRST;
        struct dataset_passage *grown = realloc(d->passages, cap * sizeof *grown);

        if (!grown)
            return no_memory(reterr);
        d->passages = grown;
        d->passages_cap = cap;
    }
    p = &d->passages[d->n_passages];
    p->text = arena_strndup(&d->arena, text, n_bytes);
    p->title = arena_strdup(&d->arena, title);
    p->n_bytes = n_bytes;
    p->n_paragraphs = 0;
    if (!p->text || !p->title)
        return no_memory(reterr);
    *ret_index = d->n_passages++;
    d->slots[slot] = (uint32_t)d->n_passages;
    return RAG_OK;
}

enum rag_status dataset_sample(struct dataset *d, size_t n_sample, uint64_t seed,
                               struct rag_error *reterr)
{
    struct dataset_question *chosen;
    uint32_t *order = NULL;

    if (n_sample == 0 || n_sample > d->n_questions)
        return rag_fail(reterr, RAG_EINVAL,
                        "sample '%zu': must be from 1 to %zu, the questions of "
                        "the file",
                        n_sample, d->n_questions);
    chosen = malloc(n_sample * sizeof *chosen);
    if (!chosen || permutation_make(d->n_questions, seed, &order) != RAG_OK) {
        free(chosen);
        return no_memory(reterr);
    }
    for (size_t i = 0; i < n_sample; i++)
        chosen[i] = d->questions[order[i]];
    free(order);
    free(d->questions);
    d->questions = chosen;
    d->n_questions = d->questions_cap = n_sample;
    return RAG_OK;
}

enum rag_status dataset_book_corpus(struct dataset *d, struct rag_error *reterr)
{
    size_t *moved = calloc(d->n_passages + 1, sizeof *moved); /* old index -> new */
    uint32_t *rows = calloc(d->n_passages + 1, sizeof *rows);
    size_t n = 0;

    assert(!d->judged);
    if (!moved || !rows) {
        free(moved);
        free(rows);
        return no_memory(reterr);
    }
    for (size_t i = 0; i < d->n_questions; i++)
        rows[d->questions[i].passage]++;
    for (size_t i = 0; i < d->n_passages; i++) {
        bool distractor = d->passages[i].n_paragraphs == 0;

        if (rows[i] == 0 && !distractor)
            continue;
        moved[i] = n;
        d->passages[n] = d->passages[i];
        d->passages[n++].n_paragraphs = rows[i];
    }
    d->n_passages = n;
    for (size_t i = 0; i < d->n_questions; i++)
        d->questions[i].passage = moved[d->questions[i].passage];
    free(moved);
    free(rows);
    memset(d->slots, 0, d->n_slots * sizeof *d->slots);
    for (size_t i = 0; i < n; i++)
        d->slots[find_slot(d, d->passages[i].text, d->passages[i].n_bytes)] = (uint32_t)i + 1;
    return RAG_OK;
}
