#define _GNU_SOURCE /* memmem */
#include "embed/chunk_units.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/embed_white.h"

/* Prose is split into sentences in windows, so that the sentences of a paragraph as long as
 * the document are never all in memory. */
#define WINDOW_BYTES 65536u

/* A longer line before a list says more than what the list is of. */
#define LEAD_BYTES_MAX 240u

/* ---- blocks ---- */

static enum rag_status push_block(struct unit_blocks *to, size_t *cap, const struct block *block)
{
    if (to->n == *cap) {
        size_t grown_cap = *cap * 2;
        struct block *grown = realloc(to->items, grown_cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        to->items = grown;
        *cap = grown_cap;
    }
    to->items[to->n++] = *block;
    return RAG_OK;
}

/* A paragraph of what is between two blocks, if anything is. */
static enum rag_status push_gap(struct unit_blocks *to, size_t *cap,
                                const struct extracted *document, size_t start, size_t end)
{
    const char *s = document->text;
    struct block b = {.kind = BLOCK_PARAGRAPH};
    size_t first = white_skip(s, start, end);

    if (first == end)
        return RAG_OK;
    b.byte_start = (uint32_t)cut_before(s, document->n_bytes, first, start);
    b.byte_end = (uint32_t)cut_after(s, document->n_bytes, white_trim(s, first, end), end);
    return push_block(to, cap, &b);
}

enum rag_status unit_blocks_init(const struct extracted *document, struct unit_blocks *ret,
                                 struct rag_error *reterr)
{
    const char *s = document->text;
    size_t n = document->n_bytes;
    struct unit_blocks to = {0};
    size_t cap = document->n_blocks + 16;
    enum rag_status status = RAG_OK;
    size_t at = 0;

    to.items = calloc(cap, sizeof *to.items);
    if (!to.items)
        return rag_fail(reterr, RAG_ENOMEM, "document: out of memory");
    for (size_t i = 0; i < document->n_blocks && status == RAG_OK; i++) {
        struct block b = document->blocks[i];

        assert(b.byte_start <= b.byte_end && b.byte_end <= n);
        /* a mark that joins the character before it must not start a block */
        b.byte_start = (uint32_t)cut_before(s, n, b.byte_start, at);
        if (b.byte_end <= b.byte_start)
            continue;
        b.byte_end = (uint32_t)cut_before(s, n, b.byte_end, b.byte_start);
        if (b.byte_end <= b.byte_start)
            continue;
        status = push_gap(&to, &cap, document, at, b.byte_start);
        if (white_skip(s, b.byte_start, b.byte_end) < b.byte_end && status == RAG_OK)
            status = push_block(&to, &cap, &b);
        at = b.byte_end;
    }
    if (status == RAG_OK)
        status = push_gap(&to, &cap, document, at, n);
    if (status != RAG_OK) {
        free(to.items);
        return rag_fail(reterr, status, "document: out of memory");
    }
    *ret = to;
    return RAG_OK;
}

void unit_blocks_release(struct unit_blocks *blocks)
{
    free(blocks->items);
    memset(blocks, 0, sizeof *blocks);
}

/* ---- where sentences, rows and lines end ---- */

void unit_reader_init(struct unit_reader *r, const struct extracted *document,
                      const struct block *blocks, size_t n_blocks, size_t chunk_chars)
{
    assert(n_blocks > 0);
    memset(r, 0, sizeof *r);
    r->s = document->text;
    r->n = document->n_bytes;
    r->blocks = blocks;
    r->n_blocks = n_blocks;
    r->piece_chars = chunk_chars / 4;
    r->at = r->count_at = r->split_end = blocks[0].byte_start;
}

void unit_reader_release(struct unit_reader *r)
{
    free(r->sentences);
    r->sentences = NULL;
}

static bool is_prose(const struct block *b)
{
    return b->kind == BLOCK_PARAGRAPH || b->kind == BLOCK_LIST_ITEM || b->kind == BLOCK_QUOTE;
}

/* Find the sentences of the next window of the block, which ends at block_end. */
static enum rag_status split_window(struct unit_reader *r, size_t block_end)
{
    size_t start = r->split_end;
    size_t end = block_end;
    enum rag_status status;

    free(r->sentences);
    r->sentences = NULL;
    r->n_sentences = r->i_sentence = 0;
    if (end - start > WINDOW_BYTES)
        end = utf8_floor(r->s, r->n, start + WINDOW_BYTES);
    status = sentence_split(r->s + start, end - start, &r->sentences, &r->n_sentences);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < r->n_sentences; i++) {
        r->sentences[i].byte_start += (uint32_t)start;
        r->sentences[i].byte_end += (uint32_t)start;
    }
    r->split_end = end;
    /* the window may have cut its last sentence: read that one again from its start */
    if (end < block_end && r->n_sentences > 1)
        r->split_end = r->sentences[--r->n_sentences].byte_start;
    return RAG_OK;
}

/* The next line of code that is not blank, indentation included. */
static void next_line(const struct unit_reader *r, size_t block_end, size_t *ret_start,
                      size_t *ret_end)
{
    size_t start = r->at;

    while (start < block_end) {
        const char *lf = memchr(r->s + start, '\n', block_end - start);
        size_t end = lf ? (size_t)(lf - r->s) : block_end;

        *ret_start = start;
        *ret_end = white_trim(r->s, start, end);
        if (*ret_end > start)
            return;
        start = lf ? end + 1 : block_end;
    }
    *ret_start = *ret_end = block_end;
}

/* The end of the first sentence that reaches beyond 'start'; *ret_end keeps its value when
 * there is none in the rest of the block. A character that joins the end of a sentence may
 * be all of the next one, or what is no white space to text/sentence.h. */
static enum rag_status end_of_sentence(struct unit_reader *r, size_t block_end, size_t start,
                                       size_t *ret_end)
{
    for (;;) {
        while (r->i_sentence < r->n_sentences) {
            size_t end = r->sentences[r->i_sentence++].byte_end;

            if (end > start) {
                *ret_end = end;
                return RAG_OK;
            }
        }
        if (r->split_end >= block_end)
            return RAG_OK;
        if (split_window(r, block_end) != RAG_OK)
            return RAG_ENOMEM;
    }
}

/* The next sentence of the block, or its next line of code, or what is left of a heading or
 * a row: [*ret_start, *ret_end) on grapheme boundaries; empty when the block is at its end. */
static enum rag_status next_sentence(struct unit_reader *r, const struct block *b,
                                     size_t *ret_start, size_t *ret_end)
{
    size_t start = white_skip(r->s, r->at, b->byte_end);
    size_t end = white_trim(r->s, start, b->byte_end);
    enum rag_status status = RAG_OK;

    if (b->kind == BLOCK_CODE)
        next_line(r, b->byte_end, &start, &end);
    else if (is_prose(b) && start < end)
        status = end_of_sentence(r, b->byte_end, start, &end);
    *ret_start = cut_before(r->s, r->n, start, r->at);
    *ret_end = end > *ret_start ? cut_after(r->s, r->n, end, b->byte_end) : *ret_start;
    return status;
}

/* ---- long sentences ---- */

static bool is_clause_end(char c)
{
    return c == ',' || c == ';' || c == ':' || c == '|';
}

/* Where to divide [start, end) that holds more than piece_chars characters: behind the last
 * comma of the second half of a piece, else the last word, else the last grapheme cluster. */
static size_t divide(const struct unit_reader *r, size_t start, size_t end,
                     enum unit_break *ret_break)
{
    const char *s = r->s;
    size_t limit = utf8_advance(s, end, start, r->piece_chars);
    size_t word = 0;
    size_t at = limit;

    *ret_break = BREAK_WORD;
    while (at > start) {
        size_t before = utf8_floor(s, end, at - 1);

        if (white_char(utf8_decode(s + at, NULL)) && !white_char(utf8_decode(s + before, NULL))) {
            size_t next = white_skip(s, at, end);

            if (cut_here(s, r->n, at) && (next == end || cut_here(s, r->n, next))) {
                if (at - start > (limit - start) / 2 && is_clause_end(s[before])) {
                    *ret_break = BREAK_CLAUSE;
                    return at;
                }
                if (word == 0)
                    word = at;
                if (at - start <= (limit - start) / 2)
                    break;
            }
        }
        at = before;
    }
    if (word > start)
        return word;
    *ret_break = BREAK_LETTER;
    at = cut_before(s, r->n, limit, start);
    /* a cluster longer than a piece is no character of a language: cut it */
    return at > start ? at : limit;
}

/* ---- units ---- */

static enum unit_break break_after_block(const struct unit_reader *r)
{
    const struct block *b = &r->blocks[r->i_block];
    const struct block *next = r->i_block + 1 < r->n_blocks ? b + 1 : NULL;

    if (b->kind == BLOCK_HEADING || b->kind == BLOCK_TABLE_HEADER)
        return BREAK_HEAD;
    if (!next)
        return BREAK_BLOCK;
    if (b->kind == BLOCK_PARAGRAPH && next->kind != BLOCK_PARAGRAPH && next->kind != BLOCK_QUOTE)
        return BREAK_LEAD;
    if ((b->kind == BLOCK_LIST_ITEM && next->kind == BLOCK_LIST_ITEM) ||
        (b->kind == BLOCK_TABLE_ROW && next->kind == BLOCK_TABLE_ROW))
        return BREAK_ITEM;
    return BREAK_BLOCK;
}

/* Does the paragraph's last line announce the list behind it ("필요한 것:", "다음과 같다.")?
 * *ret_start: where that line begins. */
static bool leads_to_list(const struct unit_reader *r, const struct block *b, size_t *ret_start)
{
    static const char *const signs[] = {"다음", "아래", "following"};
    size_t end = white_trim(r->s, b->byte_start, b->byte_end);
    size_t start = end;

    while (start > b->byte_start && r->s[start - 1] != '\n' && end - start <= LEAD_BYTES_MAX)
        start--;
    if (end - start > LEAD_BYTES_MAX || end == start)
        return false;
    *ret_start = start;
    if (r->s[end - 1] == ':' || (end - start >= 3 && memcmp(r->s + end - 3, "：", 3) == 0))
        return true;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (memmem(r->s + start, end - start, signs[i], strlen(signs[i])))
            return true;
    return false;
}

/* Enter the block: remember what a chunk that begins in it would have to repeat. */
static void enter_block(struct unit_reader *r)
{
    const struct block *b = &r->blocks[r->i_block];
    enum block_kind before = r->i_block > 0 ? (enum block_kind)b[-1].kind : BLOCK_CODE;
    size_t lead = 0;

    r->inside = true;
    r->at = r->split_end = b->byte_start;
    r->n_sentences = r->i_sentence = 0;
    if (b->kind == BLOCK_TABLE_HEADER) {
        if (before != BLOCK_TABLE_HEADER)
            r->context_start = b->byte_start;
        /* the title of a header is the row without what only marks it */
        r->context_end = b->title_end > b->byte_start && b->title_end <= b->byte_end ? b->title_end
                                                                                     : b->byte_end;
    } else if (b->kind == BLOCK_LIST_ITEM && before == BLOCK_PARAGRAPH &&
               leads_to_list(r, b - 1, &lead)) {
        r->context_start = (uint32_t)lead;
        r->context_end = b[-1].byte_end;
    } else if (!(b->kind == BLOCK_TABLE_ROW &&
                 (before == BLOCK_TABLE_ROW || before == BLOCK_TABLE_HEADER)) &&
               !(b->kind == BLOCK_LIST_ITEM && before == BLOCK_LIST_ITEM)) {
        r->context_start = r->context_end = 0;
    }
}

static size_t count_to(struct unit_reader *r, size_t at)
{
    assert(at >= r->count_at);
    r->count += utf8_count(r->s + r->count_at, at - r->count_at);
    r->count_at = at;
    return r->count;
}

/* Make a unit of [start, end), or of its beginning when that is too long. */
static void make_unit(struct unit_reader *r, size_t start, size_t end, bool divided,
                      struct unit *ret)
{
    const struct block *b = &r->blocks[r->i_block];
    enum unit_break after = b->kind == BLOCK_CODE ? BREAK_LINE : BREAK_SENTENCE;

    r->piece_end = 0;
    if (utf8_advance(r->s, end, start, (divided ? 1 : 2) * r->piece_chars) < end) {
        r->piece_end = end;
        end = divide(r, start, end, &after);
    } else if (white_skip(r->s, end, b->byte_end) == b->byte_end) {
        after = break_after_block(r);
    }
    ret->byte_start = (uint32_t)start;
    ret->byte_end = (uint32_t)end;
    ret->char_start = (uint32_t)count_to(r, start);
    ret->char_end = (uint32_t)count_to(r, end);
    ret->context_start = r->context_start;
    ret->context_end = r->context_end;
    ret->after = (uint8_t)after;
    ret->whole_sentence = is_prose(b) && !divided && r->piece_end == 0;
    r->at = end;
}

enum rag_status unit_reader_next(struct unit_reader *r, struct unit *ret, bool *ret_any)
{
    *ret_any = false;
    while (r->i_block < r->n_blocks) {
        bool divided = r->piece_end > 0;
        size_t start;
        size_t end;

        if (!r->inside)
            enter_block(r);
        if (divided) {
            end = r->piece_end;
            start = white_skip(r->s, r->at, end);
            if (start == end) {
                r->piece_end = 0;
                continue;
            }
            if (start > r->at)
                start = cut_before(r->s, r->n, start, r->at);
        } else {
            enum rag_status status = next_sentence(r, &r->blocks[r->i_block], &start, &end);

            if (status != RAG_OK)
                return status;
            if (start == end) {
                r->i_block++;
                r->inside = false;
                continue;
            }
        }
        make_unit(r, start, end, divided, ret);
        *ret_any = true;
        return RAG_OK;
    }
    return RAG_OK;
}
