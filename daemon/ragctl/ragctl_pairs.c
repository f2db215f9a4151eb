#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "base/utf8.h"
#include "daemon/ragctl/pair_text.h"
#include "eval/permutation.h"
#include "text/sentence.h"

#define REST_CHARS_MIN 80 /* of the chunk without it: something has to be left to find */

enum document_use {
    TITLE_ASKED = 1,  /* a question was made of it, so passages must not say it */
    TITLE_NEEDED = 2, /* a question begins with it, so they must */
};

/* A heading or title, and a document that has it. */
struct name_use {
    uint64_t hash;
    uint32_t document;
};

struct pair_maker {
    struct pairs *pairs;
    uint64_t random;
    uint8_t *use;           /* [n_documents], of enum document_use */
    struct name_use *names; /* each once, in order: headings and titles */
    size_t n_names;
    uint64_t *asked; /* hashes of questions: an open table of n_asked places, 0 empty */
    size_t n_asked;
};

const char *pair_kind_name(enum pair_kind kind)
{
    static const char *const names[N_PAIR_KINDS] = {
        [PAIR_TITLE] = "title",
        [PAIR_HEADING] = "heading",
        [PAIR_SENTENCE] = "sentence",
        [PAIR_WORDS] = "words",
    };

    return names[kind];
}

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "pairs: out of memory");
}

const char *ragctl_pairs_last_heading(const char *path)
{
    const char *last = path;

    for (const char *p = path; (p = strstr(p, " > ")) != NULL; p += 3)
        last = p + 3;
    return last;
}

/* ---- what is where ---- */

static enum rag_status find_documents(struct pairs *p, struct rag_error *reterr)
{
    p->document_of = arena_calloc(p->arena, p->n_chunks + 1, sizeof *p->document_of);
    p->first_of = arena_calloc(p->arena, p->n_chunks + 1, sizeof *p->first_of);
    p->of = arena_calloc(p->arena, p->n_chunks + 1, sizeof *p->of);
    p->below = arena_calloc(p->arena, p->n_chunks + 1, sizeof *p->below);
    p->title = arena_calloc(p->arena, p->n_chunks + 1, sizeof *p->title);
    if (!p->document_of || !p->first_of || !p->of || !p->below || !p->title)
        return no_memory(reterr);
    for (size_t i = 0; i < p->n_chunks; i++) {
        if (i == 0 || strcmp(p->chunks[i].document, p->chunks[i - 1].document) != 0)
            p->first_of[p->n_documents++] = i;
        p->document_of[i] = (uint32_t)(p->n_documents - 1);
    }
    p->first_of[p->n_documents] = p->n_chunks;
    return RAG_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct name_use *x = a;
    const struct name_use *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->document > y->document) - (x->document < y->document);
}

static enum rag_status read_names(struct pair_maker *m, struct rag_error *reterr)
{
    const struct pairs *p = m->pairs;
    size_t n = 0;

    m->names = calloc(p->n_chunks + p->n_documents + 1, sizeof *m->names);
    if (!m->names)
        return no_memory(reterr);
    for (size_t i = 0; i < p->n_chunks; i++)
        m->names[n++] = (struct name_use){
            pair_text_hash(ragctl_pairs_last_heading(p->chunks[i].heading)), p->document_of[i]};
    for (size_t d = 0; d < p->n_documents; d++)
        m->names[n++] =
            (struct name_use){pair_text_hash(p->chunks[p->first_of[d]].title), (uint32_t)d};
    qsort(m->names, n, sizeof *m->names, by_name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_name(&m->names[i], &m->names[i - 1]) != 0)
            m->names[m->n_names++] = m->names[i];
    return RAG_OK;
}

/* Do two documents have it? Then it does not say which one is meant. */
static bool is_shared(const struct pair_maker *m, const char *name)
{
    uint64_t hash = pair_text_hash(name);
    size_t low = 0;
    size_t high = m->n_names;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (m->names[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low + 1 < m->n_names && m->names[low + 1].hash == hash;
}

static bool was_asked(struct pair_maker *m, const char *question)
{
    uint64_t hash = pair_text_hash(question) | 1; /* 0 is an empty place */
    size_t at = (size_t)hash % m->n_asked;

    while (m->asked[at] != 0 && m->asked[at] != hash)
        at = (at + 1) % m->n_asked;
    if (m->asked[at] == hash)
        return true;
    m->asked[at] = hash;
    return false;
}

/* The chunks below the heading of chunk i; false where it heads several places of the document, or
 * too many. */
static bool find_section(const struct pairs *p, size_t i, size_t *ret_first, size_t *ret_last)
{
    size_t document = p->document_of[i];
    size_t first = SIZE_MAX;
    size_t last = 0;
    size_t n = 0;

    for (size_t k = p->first_of[document]; k < p->first_of[document + 1]; k++) {
        if (strcmp(p->chunks[k].heading, p->chunks[i].heading) != 0)
            continue;
        first = first == SIZE_MAX ? k : first;
        last = k;
        n++;
    }
    *ret_first = first;
    *ret_last = last;
    return n == last - first + 1 && n <= PAIR_SECTION_MAX;
}

/* ---- passages ---- */

static size_t first_neighbour(const struct pairs *p, size_t i)
{
    size_t begin = p->first_of[p->document_of[i]];

    return i - begin > PAIR_NEIGHBOURS ? i - PAIR_NEIGHBOURS : begin;
}

static size_t last_neighbour(const struct pairs *p, size_t i)
{
    size_t end = p->first_of[p->document_of[i] + 1];

    return end - i > PAIR_NEIGHBOURS ? i + PAIR_NEIGHBOURS : end - 1;
}

enum rag_status ragctl_pairs_passage(const struct pairs *p, size_t i, struct pair_passage *ret,
                                     struct rag_error *reterr)
{
    const struct chunk_sample *c = &p->chunks[i];
    const struct pair *title = p->title[p->document_of[i]];
    char *heading = arena_strdup(p->arena, c->heading);
    char *text = arena_strdup(p->arena, c->text);

    if (!heading || !text)
        return no_memory(reterr);
    if (p->below[i]) {
        const char *last = ragctl_pairs_last_heading(heading);

        heading[last == heading ? 0 : last - heading - 3] = '\0';
        pair_text_cut_name(text, p->below[i]->cut);
    }
    if (title) {
        pair_text_cut_part(heading, title->cut);
        pair_text_cut_name(text, title->cut);
    }
    for (size_t k = first_neighbour(p, i); k <= last_neighbour(p, i); k++)
        if (p->of[k])
            pair_text_cut(text, p->of[k]->cut);
    *ret = (struct pair_passage){title ? "" : c->title, heading,
                                 text[strspn(text, " \n\t")] ? text : ""};
    return RAG_OK;
}

/* Is enough left of chunk i without what pair q cut out of it, and is it not said there still? */
static enum rag_status is_fit(struct pairs *p, const struct pair *q, bool *ret,
                              struct rag_error *reterr)
{
    const struct pair **slot = q->kind == PAIR_TITLE     ? &p->title[q->document]
                               : q->kind == PAIR_HEADING ? &p->below[q->chunk]
                                                         : &p->of[q->chunk];
    const struct pair *before = *slot;
    struct pair_passage passage = {"", "", ""};
    enum rag_status status;

    *slot = q;
    status = ragctl_pairs_passage(p, q->chunk, &passage, reterr);
    *slot = before;
    *ret = utf8_count(passage.text, strlen(passage.text)) >= REST_CHARS_MIN &&
           !pair_text_says(passage.text, q->cut) && !pair_text_says(passage.heading, q->cut);
    return status;
}

/* ---- the kinds ---- */

static enum rag_status from_title(struct pair_maker *m, struct pair *q, bool *ret_made,
                                  struct rag_error *reterr)
{
    struct pairs *p = m->pairs;
    const char *title = p->chunks[q->chunk].title;

    if (m->use[q->document] != 0 || !pair_text_is_name(title) || is_shared(m, title) ||
        p->first_of[q->document + 1] - p->first_of[q->document] > PAIR_DOCUMENT_MAX)
        return RAG_OK;
    q->kind = PAIR_TITLE;
    q->text = q->cut = title;
    q->chunk = q->gold_first = p->first_of[q->document];
    q->gold_last = p->first_of[q->document + 1] - 1;
    return is_fit(p, q, ret_made, reterr);
}

static enum rag_status from_heading(struct pair_maker *m, struct pair *q, bool *ret_made,
                                    struct rag_error *reterr)
{
    struct pairs *p = m->pairs;
    const struct chunk_sample *c = &p->chunks[q->chunk];
    const char *last = ragctl_pairs_last_heading(c->heading);

    if (p->below[q->chunk] || last[0] == '\0' ||
        !find_section(p, q->chunk, &q->gold_first, &q->gold_last) ||
        strlen(last) > QUESTION_BYTES_MAX / 2 || pair_text_says(c->title, last))
        return RAG_OK; /* what the title says stays beside the passage */
    q->kind = PAIR_HEADING;
    q->chunk = q->gold_first;
    q->text = q->cut = last;
    if (!pair_text_is_name(last) || pair_text_is_generic(last) || is_shared(m, last)) {
        size_t n = strlen(c->title) + strlen(last) + 2;
        char *text;

        if (c->title[0] == '\0' || n > QUESTION_BYTES_MAX || m->use[q->document] & TITLE_ASKED)
            return RAG_OK; /* nothing to stand behind */
        text = arena_alloc(p->arena, n);
        if (!text)
            return no_memory(reterr);
        memcpy(text, c->title, strlen(c->title));
        text[strlen(c->title)] = ' ';
        memcpy(text + strlen(c->title) + 1, last, strlen(last) + 1);
        q->text = text;
    }
    return is_fit(p, q, ret_made, reterr);
}

/* A random sentence of the chunk, or words of it. */
static enum rag_status from_sentence(struct pair_maker *m, struct pair *q, bool *ret_made,
                                     struct rag_error *reterr)
{
    struct pairs *p = m->pairs;
    const struct chunk_sample *c = &p->chunks[q->chunk];
    struct sentence *sentences = NULL;
    enum rag_status status = RAG_OK;
    size_t n_fit = 0;
    size_t n = 0;
    char *text;

    if (p->of[q->chunk])
        return RAG_OK;
    if (sentence_split(c->text, c->text_bytes, &sentences, &n) != RAG_OK)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        if (pair_text_is_sentence(c->text + sentences[i].byte_start,
                                  sentences[i].byte_end - sentences[i].byte_start))
            sentences[n_fit++] = sentences[i]; /* n_fit <= i */
    if (n_fit == 0)
        goto out;
    sentences[0] = sentences[splitmix_next(&m->random) % n_fit];
    n = sentences[0].byte_end - sentences[0].byte_start;
    text = arena_strndup(p->arena, c->text + sentences[0].byte_start, n);
    if (!text) {
        status = no_memory(reterr);
        goto out;
    }
    q->kind = PAIR_SENTENCE;
    q->text = q->cut = text;
    if (splitmix_next(&m->random) & 1) {
        char *words = arena_strdup(p->arena, text);

        if (!words)
            status = no_memory(reterr);
        else if (pair_text_reduce(words, &m->random)) {
            q->kind = PAIR_WORDS;
            q->text = words;
        }
    }
    if (status == RAG_OK)
        status = is_fit(p, q, ret_made, reterr);
out:
    free(sentences);
    return status;
}

/* ---- all of them ---- */

static void take(struct pair_maker *m, struct pair *q)
{
    struct pairs *p = m->pairs;

    if (q->kind == PAIR_TITLE) {
        p->title[q->document] = q;
        m->use[q->document] |= TITLE_ASKED;
    } else if (q->kind == PAIR_HEADING) {
        for (size_t i = q->gold_first; i <= q->gold_last; i++)
            p->below[i] = q;
        q->gold_first = first_neighbour(p, q->gold_first);
        q->gold_last = last_neighbour(p, q->gold_last);
        if (q->text != q->cut)
            m->use[q->document] |= TITLE_NEEDED;
    } else {
        p->of[q->chunk] = q;
        q->gold_first = first_neighbour(p, q->chunk);
        q->gold_last = last_neighbour(p, q->chunk);
    }
    p->n_of[q->kind]++;
    p->n++;
}

/* A chunk gives each of the three kinds with the same chance, where it can. */
static enum rag_status make_one(struct pair_maker *m, size_t chunk, struct rag_error *reterr)
{
    typedef enum rag_status (*make_fn)(struct pair_maker *, struct pair *, bool *,
                                       struct rag_error *);
    static const make_fn kinds[] = {from_title, from_heading, from_sentence};
    struct pairs *p = m->pairs;
    struct pair *q = &p->items[p->n];
    enum rag_status status = RAG_OK;
    bool made = false;

    for (size_t k = splitmix_next(&m->random) % 3; k < 3 && status == RAG_OK && !made; k++) {
        *q = (struct pair){.chunk = chunk, .document = p->document_of[chunk]};
        status = kinds[k](m, q, &made, reterr);
        if (made && was_asked(m, q->text))
            made = false;
    }
    if (status == RAG_OK && made)
        take(m, q);
    return status;
}

/* Whole documents go to one half, in random order to the one that has fewer pairs. */
static enum rag_status split(struct pairs *p, uint64_t seed, struct rag_error *reterr)
{
    size_t *n_of = calloc(p->n_documents + 1, sizeof *n_of);
    bool *measures = calloc(p->n_documents + 1, sizeof *measures);
    enum rag_status status = RAG_OK;
    uint32_t *order = NULL;

    if (!n_of || !measures || permutation_make(p->n_documents, seed, &order) != RAG_OK)
        status = no_memory(reterr);
    for (size_t i = 0; status == RAG_OK && i < p->n; i++)
        n_of[p->items[i].document]++;
    for (size_t k = 0; status == RAG_OK && k < p->n_documents; k++) {
        measures[order[k]] = p->n_measure < p->n_learn;
        *(measures[order[k]] ? &p->n_measure : &p->n_learn) += n_of[order[k]];
    }
    for (size_t i = 0; status == RAG_OK && i < p->n; i++)
        p->items[i].measures = measures[p->items[i].document];
    free(n_of);
    free(measures);
    free(order);
    return status;
}

enum rag_status ragctl_pairs_make(const struct chunk_sample *chunks, size_t n, size_t n_max,
                                  uint64_t seed, struct arena *arena, struct pairs *ret,
                                  struct rag_error *reterr)
{
    struct pairs p = {.arena = arena, .chunks = chunks, .n_chunks = n};
    struct pair_maker m = {.pairs = &p, .random = seed + 1, .n_asked = 4 * n + 16};
    enum rag_status status = find_documents(&p, reterr);
    uint32_t *order = NULL;

    if (status == RAG_OK)
        status = read_names(&m, reterr);
    m.use = calloc(p.n_documents + 1, sizeof *m.use);
    m.asked = calloc(m.n_asked, sizeof *m.asked);
    p.items = arena_calloc(arena, n_max + 1, sizeof *p.items);
    if (status == RAG_OK &&
        (!m.use || !m.asked || !p.items || permutation_make(n, seed, &order) != RAG_OK))
        status = no_memory(reterr);
    for (size_t k = 0; k < n && p.n < n_max && status == RAG_OK; k++)
        status = make_one(&m, order[k], reterr);
    if (status == RAG_OK)
        status = split(&p, seed, reterr);
    free(order);
    free(m.use);
    free(m.asked);
    free(m.names);
    if (status == RAG_OK)
        *ret = p;
    return status;
}
