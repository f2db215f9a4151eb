/* The text is divided into sections, each a heading and what follows up to the next one; a
 * heading without text of its own opens the section of the deeper heading behind it. A
 * section that fits is one chunk, so that a chunk stands under one heading and a citation's
 * path is right; short sections are not put together. A longer section is divided where
 *
 *     cost = |size - target| / chunk_chars + penalty of the break
 *
 * is least, target being what makes the rest of the section equal chunks. Units are read as
 * they are needed: memory is O(chunk), time O(text). */
#include "embed/chunker.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/chunk_labels.h"
#include "embed/chunk_units.h"

/* In parts of a chunk: dividing a sentence is worth a chunk half as long as it could be. */
static const double penalties[N_UNIT_BREAKS] = {
    [BREAK_BLOCK] = 0.0,    [BREAK_ITEM] = 0.08,  [BREAK_LINE] = 0.12,
    [BREAK_SENTENCE] = 0.2, [BREAK_LEAD] = 0.5,   [BREAK_CLAUSE] = 0.55,
    [BREAK_WORD] = 0.65,    [BREAK_LETTER] = 0.8, [BREAK_HEAD] = 2.0,
};

struct chunking {
    const struct extracted *document;
    const struct chunker_options *options;
    struct rag_error *reterr;
    struct chunk_list list; /* owned until handed out */
    size_t cap;
    size_t label_bytes; /* of all headings and contexts */
    struct heading_stack headings;
    struct unit *units; /* of the chunk being made; owned */
    size_t n_units;
    size_t units_cap;
};

void chunk_list_release(struct chunk_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].heading);
        free(list->items[i].context);
    }
    free(list->items);
    memset(list, 0, sizeof *list);
}

static enum rag_status out_of_memory(const struct chunking *c)
{
    return rag_fail(c->reterr, RAG_ENOMEM, "document: out of memory while it was divided");
}

/* ---- chunks ---- */

static enum rag_status grow_list(struct chunking *c)
{
    size_t cap = c->cap ? c->cap * 2 : 16;
    struct chunk *grown;

    if (c->list.n < c->cap)
        return RAG_OK;
    if (c->list.n >= CHUNKS_PER_DOCUMENT_MAX)
        return rag_fail(c->reterr, RAG_ELIMIT, "document: over %u chunks; split the file",
                        CHUNKS_PER_DOCUMENT_MAX);
    grown = realloc(c->list.items, cap * sizeof *grown);
    if (!grown)
        return out_of_memory(c);
    c->list.items = grown;
    c->cap = cap;
    return RAG_OK;
}

/* A chunk of the first n units. */
static enum rag_status emit(struct chunking *c, size_t n)
{
    const struct unit *first = &c->units[0];
    struct chunk chunk = {first->byte_start, c->units[n - 1].byte_end, NULL, NULL};
    size_t context_end = first->context_end;
    enum rag_status status = grow_list(c);

    if (status != RAG_OK)
        return status;
    /* the header may be in the chunk itself */
    if (context_end > chunk.byte_start || context_end <= first->context_start)
        context_end = first->context_start;
    status = heading_stack_path(&c->headings, c->document, &chunk.heading);
    if (status == RAG_OK)
        status = chunk_context(c->document, first->context_start, context_end, &chunk.context);
    if (status != RAG_OK) {
        free(chunk.heading);
        return out_of_memory(c);
    }
    c->list.items[c->list.n++] = chunk; /* the list owns its strings now */
    c->label_bytes += strlen(chunk.heading) + strlen(chunk.context);
    if (c->label_bytes > CHUNK_LABEL_BYTES_MAX)
        return rag_fail(c->reterr, RAG_ELIMIT,
                        "document: headings and table headers of its chunks are over %u bytes; "
                        "shorten them or split the file",
                        CHUNK_LABEL_BYTES_MAX);
    return RAG_OK;
}

/* ---- sections ---- */

/* Units until they are more than a chunk, or the section's end. *ret_all: they are the end. */
static enum rag_status fill(struct chunking *c, struct unit_reader *r, bool *ret_all)
{
    *ret_all = false;
    while (c->n_units == 0 ||
           c->units[c->n_units - 1].char_end - c->units[0].char_start <= c->options->chunk_chars) {
        enum rag_status status;
        bool any;

        if (c->n_units == c->units_cap) {
            size_t cap = c->units_cap ? c->units_cap * 2 : 64;
            struct unit *grown = realloc(c->units, cap * sizeof *grown);

            if (!grown)
                return out_of_memory(c);
            c->units = grown;
            c->units_cap = cap;
        }
        status = unit_reader_next(r, &c->units[c->n_units], &any);
        if (status != RAG_OK)
            return out_of_memory(c);
        if (!any) {
            *ret_all = true;
            return RAG_OK;
        }
        c->n_units++;
    }
    return RAG_OK;
}

/* How many of the units become the chunk. The first n_old of them were in the one before;
 * rest_chars are from the first unit to the section's end. */
static size_t choose_cut(const struct chunking *c, size_t n_old, size_t rest_chars)
{
    const double chunk = (double)c->options->chunk_chars;
    const double overlap = (double)c->options->overlap_chars;
    const double n = ceil(((double)rest_chars - overlap) / (chunk - overlap));
    const double target = ((double)rest_chars + (n - 1) * overlap) / n;
    const uint32_t start = c->units[0].char_start;
    /* a chunk that adds next to nothing to the one before would make time quadratic */
    const uint32_t least_end = (n_old > 0 ? c->units[n_old - 1].char_end : start) +
                               (uint32_t)(c->options->chunk_chars / 8);
    double best = INFINITY;
    size_t chosen = 0;

    for (size_t i = n_old; i < c->n_units; i++) {
        const struct unit *u = &c->units[i];
        double size = (double)(u->char_end - start);
        double cost = fabs(size - target) / chunk + penalties[u->after];

        if (u->char_end - start > c->options->chunk_chars)
            break;
        if (u->char_end < least_end)
            cost += 4; /* only when nothing else fits */
        if (cost <= best) {
            best = cost;
            chosen = i + 1;
        }
    }
    return chosen;
}

/* How many of the last of the n units of a chunk begin the next one. */
static size_t choose_overlap(const struct chunking *c, size_t n)
{
    const struct unit *units = c->units;
    size_t n_overlap = 0;

    if (c->options->overlap_chars == 0)
        return 0;
    /* unit 0 stays out, so that the next chunk starts later than this one */
    for (size_t i = n; i-- > 1 && units[i].whole_sentence;) {
        if (units[n - 1].char_end - units[i].char_start > c->options->overlap_chars)
            break;
        n_overlap = n - i;
    }
    return n_overlap;
}

static enum rag_status chunk_section(struct chunking *c, const struct block *blocks,
                                     size_t n_blocks)
{
    const char *s = c->document->text;
    const size_t start = blocks[0].byte_start;
    const size_t section_chars = utf8_count(s + start, blocks[n_blocks - 1].byte_end - start);
    struct unit_reader reader;
    enum rag_status status;
    size_t n_old = 0;

    unit_reader_init(&reader, c->document, blocks, n_blocks, c->options->chunk_chars);
    c->n_units = 0;
    for (;;) {
        size_t n_cut;
        size_t n_keep;
        bool all;

        status = fill(c, &reader, &all);
        if (status != RAG_OK || c->n_units == n_old)
            break;
        if (all &&
            c->units[c->n_units - 1].char_end - c->units[0].char_start <= c->options->chunk_chars) {
            status = emit(c, c->n_units);
            break;
        }
        n_cut = choose_cut(c, n_old, section_chars - c->units[0].char_start);
        if (n_cut == 0) {
            /* the overlap leaves no room for the next unit: without it there is */
            assert(n_old > 0);
            c->n_units -= n_old;
            memmove(c->units, c->units + n_old, c->n_units * sizeof *c->units);
            n_old = 0;
            continue;
        }
        status = emit(c, n_cut);
        if (status != RAG_OK)
            break;
        n_keep = choose_overlap(c, n_cut);
        n_old = n_keep;
        n_cut -= n_keep;
        c->n_units -= n_cut;
        memmove(c->units, c->units + n_cut, c->n_units * sizeof *c->units);
    }
    unit_reader_release(&reader);
    return status;
}

/* Blocks from i on that are one section; opens its headings. */
static size_t section_blocks(struct chunking *c, const struct unit_blocks *blocks, size_t i)
{
    size_t end = i;

    while (end < blocks->n && blocks->items[end].kind == BLOCK_HEADING) {
        const struct block *b = &blocks->items[end];

        if (end > i && b->level <= b[-1].level)
            return end - i; /* the heading before has neither text nor subsections */
        heading_stack_push(&c->headings, b);
        end++;
    }
    while (end < blocks->n && blocks->items[end].kind != BLOCK_HEADING)
        end++;
    return end - i;
}

enum rag_status chunk_document(const struct extracted *document,
                               const struct chunker_options *options, struct chunk_list *ret,
                               struct rag_error *reterr)
{
    struct chunking c = {.document = document, .options = options, .reterr = reterr};
    struct unit_blocks blocks = {0};
    enum rag_status status;
    size_t n;

    if (options->chunk_chars < CHUNK_CHARS_MIN || options->chunk_chars > CHUNK_CHARS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "chunk_chars %zu: must be %d to %d",
                        options->chunk_chars, CHUNK_CHARS_MIN, CHUNK_CHARS_MAX);
    if (options->overlap_chars >= options->chunk_chars / 2)
        return rag_fail(reterr, RAG_EINVAL,
                        "overlap_chars %zu: must be less than half of chunk_chars (%zu)",
                        options->overlap_chars, options->chunk_chars);
    status = unit_blocks_init(document, &blocks, reterr);
    for (size_t i = 0; i < blocks.n && status == RAG_OK; i += n) {
        n = section_blocks(&c, &blocks, i);
        status = chunk_section(&c, &blocks.items[i], n);
    }
    if (status == RAG_OK) {
        *ret = c.list; /* moves to the caller */
        memset(&c.list, 0, sizeof c.list);
    }
    chunk_list_release(&c.list);
    unit_blocks_release(&blocks);
    free(c.units);
    return status;
}
