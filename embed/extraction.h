/* embed/extraction.h - a document while a reader builds it. Internal to embed/.
 *
 * Invariants: blocks are in order, do not overlap and lie inside text; text is NFC and
 * at most DOCUMENT_BYTES_MAX bytes, so that every offset fits 32 bits; title is "" or one
 * line of at most TITLE_BYTES_MAX bytes. */
#ifndef RAG_EMBED_EXTRACTION_H
#define RAG_EMBED_EXTRACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "embed/extract.h"

struct extraction {
    struct buf text;
    struct buf title;
    struct block *blocks; /* owned */
    size_t n_blocks;
    size_t cap;
};

void extraction_init(struct extraction *e);
void extraction_release(struct extraction *e);

/* Append a block. RAG_OK, RAG_ENOMEM, or RAG_ELIMIT over BLOCKS_PER_DOCUMENT_MAX. */
enum rag_status extraction_push(struct extraction *e, const struct block *block,
                                struct rag_error *reterr);
/* Set the title from n bytes of NFC text, white space made single spaces, cut at its
 * limit; nothing when it is white space alone. RAG_OK or RAG_ENOMEM. */
enum rag_status extraction_title(struct extraction *e, const char *s, size_t n,
                                 struct rag_error *reterr);
/* Append the NFC form of a body to the text: the whole of a text or Markdown document.
 * Messages name the byte that is not UTF-8, or the size and its limit. */
enum rag_status extraction_source(struct extraction *e, const char *body, size_t n_bytes,
                                  struct rag_error *reterr);

/* Append to 'out' n bytes with every run of white space made one space, none at the ends. */
void append_one_line(struct buf *out, const char *s, size_t n);

/* A line of a text: [start, end) without its LF, and where the next one begins. */
struct text_line {
    size_t start;
    size_t end;
    size_t next;
};
/* The line at 'at'; false at the end of the n bytes. */
bool text_line_at(const char *s, size_t n, size_t at, struct text_line *ret);

/* The readers of the formats: body -> e. Each returns what extract_document() states. */
enum rag_status extract_text(const char *body, size_t n_bytes, struct extraction *e,
                             struct rag_error *reterr);
enum rag_status extract_markdown(const char *body, size_t n_bytes, struct extraction *e,
                                 struct rag_error *reterr);
enum rag_status extract_html(const char *body, size_t n_bytes, struct extraction *e,
                             struct rag_error *reterr);
/* One JSON record of n_bytes: fills *ret whole (text, name, metadata). */
enum rag_status extract_record(const char *record, size_t n_bytes, struct extracted *ret,
                               struct rag_error *reterr);
/* The format readers by 'format' (text, Markdown or HTML), finished into *ret. */
enum rag_status extract_body(enum document_format format, const char *body, size_t n_bytes,
                             struct extracted *ret, struct rag_error *reterr);

#endif
