/* embed/chunk_units.h - the pieces that chunks are made of. Internal to embed/.
 *
 * A unit is a sentence, a table row, a line of code, a heading, or a piece of one of these
 * that is too long. Units are read in order, one section at a time, so that memory does not
 * grow with the document. A unit starts and ends at a grapheme boundary, holds at most half
 * a chunk of characters, and every character that is not white space is in one. */
#ifndef RAG_EMBED_CHUNK_UNITS_H
#define RAG_EMBED_CHUNK_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/extract.h"
#include "text/sentence.h"

/* What a cut behind a unit would divide, best place first. */
enum unit_break {
    BREAK_BLOCK,    /* two paragraphs, or a table and what follows */
    BREAK_ITEM,     /* two items of a list, two rows of a table */
    BREAK_LINE,     /* two lines of code */
    BREAK_SENTENCE, /* two sentences of a paragraph or an item */
    BREAK_LEAD,     /* a paragraph and the list or table that it leads to */
    BREAK_CLAUSE,   /* a long sentence, at a comma */
    BREAK_WORD,     /* a long sentence, at white space */
    BREAK_LETTER,   /* a word longer than a quarter of a chunk */
    BREAK_HEAD,     /* a heading and its text, a table's header and its first row */
};
#define N_UNIT_BREAKS (BREAK_HEAD + 1)

struct unit {
    uint32_t byte_start;
    uint32_t byte_end;
    uint32_t char_start; /* characters from the start of the section */
    uint32_t char_end;
    uint32_t context_start; /* what a chunk that begins here has to repeat: header rows of its */
    uint32_t context_end;   /* table, line that leads to its list; equal when nothing */
    uint8_t after;          /* enum unit_break */
    bool whole_sentence;    /* starts and ends as a sentence of prose does */
};

/* Blocks of one document, with what no block covers made paragraphs. */
struct unit_blocks {
    struct block *items; /* owned */
    size_t n;
};
enum rag_status unit_blocks_init(const struct extracted *document, struct unit_blocks *ret,
                                 struct rag_error *reterr);
void unit_blocks_release(struct unit_blocks *blocks);

struct unit_reader {
    const char *s;
    size_t n;
    const struct block *blocks; /* of the section; borrowed */
    size_t n_blocks;
    size_t piece_chars; /* a sentence longer than two of these is divided */
    size_t i_block;     /* being read ... */
    bool inside;        /* ... from 'at' on; false: not entered yet */
    size_t at;
    size_t piece_end;           /* end of the sentence that is being divided; 0: none is */
    struct sentence *sentences; /* of the block up to split_end; owned */
    size_t n_sentences;
    size_t i_sentence;
    size_t split_end;
    size_t count_at;        /* bytes up to here are counted ... */
    size_t count;           /* ... as so many characters */
    uint32_t context_start; /* of the block being read, as in struct unit */
    uint32_t context_end;
};
/* Read the units of the n_blocks >= 1 blocks of one section, at most chunk_chars / 2 each. */
void unit_reader_init(struct unit_reader *r, const struct extracted *document,
                      const struct block *blocks, size_t n_blocks, size_t chunk_chars);
void unit_reader_release(struct unit_reader *r);
/* RAG_OK and *ret_any = false at the end; RAG_ENOMEM. */
enum rag_status unit_reader_next(struct unit_reader *r, struct unit *ret, bool *ret_any);

#endif
