/* tests/unit/embed/chunk_check.h - what must hold of every document and its chunks, whatever
 * was read. Used by the unit tests and by the fuzzers. Returns NULL, or what is wrong. */
#ifndef RAG_TESTS_CHUNK_CHECK_H
#define RAG_TESTS_CHUNK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/chunker.h"
#include "embed/embed_white.h"
#include "text/grapheme.h"

static inline const char *check_extracted(const struct extracted *e)
{
    size_t at = 0;

    if (!e->text || !e->title || e->text[e->n_bytes] != '\0')
        return "text or title is missing";
    if (e->n_bytes > DOCUMENT_BYTES_MAX || !utf8_valid(e->text, e->n_bytes, NULL))
        return "text is too long or not UTF-8";
    if (strlen(e->title) > TITLE_BYTES_MAX || !utf8_valid(e->title, strlen(e->title), NULL) ||
        strpbrk(e->title, "\n\t"))
        return "title is not one line within its limit";
    for (size_t i = 0; i < e->n_blocks; i++) {
        const struct block *b = &e->blocks[i];

        if (b->byte_start < at || b->byte_end <= b->byte_start || b->byte_end > e->n_bytes)
            return "blocks overlap, are empty or leave the text";
        if (utf8_floor(e->text, e->n_bytes, b->byte_start) != b->byte_start ||
            utf8_floor(e->text, e->n_bytes, b->byte_end) != b->byte_end)
            return "a block cuts a character";
        if (b->kind == BLOCK_HEADING &&
            (b->level < 1 || b->level > HEADING_DEPTH_MAX || b->title_start < b->byte_start ||
             b->title_end > b->byte_end || b->title_start > b->title_end))
            return "a heading's level or title is wrong";
        if (b->kind != BLOCK_HEADING && b->level != 0)
            return "a level without a heading";
        at = b->byte_end;
    }
    return NULL;
}

/* A cut inside a cluster is allowed only where no boundary is near. */
static inline bool is_cut_allowed(const char *s, size_t n, size_t at)
{
    size_t back = at;

    if (grapheme_boundary(s, n, at))
        return true;
    for (size_t i = 0; i < CHUNK_CHARS_MIN / 4 - 1; i++) {
        if (back == 0)
            return false;
        back = utf8_floor(s, n, back - 1);
        if (grapheme_boundary(s, n, back))
            return false;
    }
    return true;
}

static inline const char *check_chunks(const struct extracted *e, const struct chunker_options *o,
                                       const struct chunk_list *list)
{
    const char *s = e->text;
    size_t n = e->n_bytes;
    size_t covered = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct chunk *c = &list->items[i];
        size_t overlap;

        if (c->byte_start >= c->byte_end || c->byte_end > n)
            return "a chunk is empty or leaves the text";
        if (i > 0 && (c->byte_start <= list->items[i - 1].byte_start ||
                      c->byte_end <= list->items[i - 1].byte_end))
            return "chunks are out of order";
        if (!is_cut_allowed(s, n, c->byte_start) || !is_cut_allowed(s, n, c->byte_end))
            return "a chunk cuts a grapheme cluster";
        if (utf8_count(s + c->byte_start, c->byte_end - c->byte_start) > o->chunk_chars)
            return "a chunk is too long";
        if (c->byte_start > covered && white_skip(s, covered, c->byte_start) != c->byte_start)
            return "text between two chunks is lost";
        overlap = c->byte_start < covered ? covered - c->byte_start : 0;
        if (utf8_count(s + c->byte_start, overlap) > o->overlap_chars)
            return "the overlap is too long";
        if (!c->heading || !c->context || strlen(c->heading) > HEADING_PATH_BYTES_MAX ||
            strlen(c->context) > CHUNK_CONTEXT_BYTES_MAX)
            return "a heading or context is missing or too long";
        if (!utf8_valid(c->heading, strlen(c->heading), NULL) ||
            !utf8_valid(c->context, strlen(c->context), NULL))
            return "a heading or context is not UTF-8";
        covered = c->byte_end;
    }
    return white_skip(s, covered, n) == n ? NULL : "text after the last chunk is lost";
}

/* Chunk the document and check both; also that a second time gives the same. */
static inline const char *check_document(const struct extracted *e, const struct chunker_options *o)
{
    struct chunk_list a = {0};
    struct chunk_list b = {0};
    struct rag_error error;
    const char *wrong = check_extracted(e);

    if (wrong)
        return wrong;
    if (chunk_document(e, o, &a, &error) != RAG_OK || chunk_document(e, o, &b, &error) != RAG_OK) {
        chunk_list_release(&a);
        return "chunking failed";
    }
    wrong = check_chunks(e, o, &a);
    if (a.n != b.n)
        wrong = "a second time gives other chunks";
    for (size_t i = 0; !wrong && i < a.n; i++)
        if (a.items[i].byte_start != b.items[i].byte_start ||
            a.items[i].byte_end != b.items[i].byte_end ||
            strcmp(a.items[i].heading, b.items[i].heading) != 0)
            wrong = "a second time gives other chunks";
    chunk_list_release(&a);
    chunk_list_release(&b);
    return wrong;
}

#endif
