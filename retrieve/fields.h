/* retrieve/fields.h - one chunk's fields -> its postings in the BM25 index.
 *
 * The title and the heading path say what a chunk is about, often in words that its
 * text does not repeat, so they are indexed as text of the chunk (BM25F with one
 * shared length, Robertson, Zaragoza and Taylor, CIKM 2004):
 *
 *     tf(t)  = round(BM25_TF_ONE * (sum of term weights in text and context
 *              + FIELD_TITLE_WEIGHT * those in the title
 *              + FIELD_HEADING_WEIGHT * those in the heading)), at least 1
 *     length = the sum of the term weights of text and context in the same unit, so
 *              that a long title does not make its chunks long.
 *
 * Everything that fills an index uses this function, so ingest, rebuild and the
 * measuring tools cannot differ. */
#ifndef RAG_RETRIEVE_FIELDS_H
#define RAG_RETRIEVE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/bm25.h"
#include "text/analyzer.h"

#define FIELD_TITLE_WEIGHT   0.5f
#define FIELD_HEADING_WEIGHT 0.5f

struct passage_fields {
    const char *title;   /* NUL-terminated; "" or NULL: none. All NFC, borrowed. */
    const char *heading; /* path "A > B" */
    const char *context; /* repeated table header */
    const char *text;    /* text_bytes long */
    size_t text_bytes;
};

/* *ret_postings is malloc'ed (free() it; NULL when *ret_n is 0), distinct terms in
 * ascending id order; *ret_length is what bm25_batch_add() takes. RAG_OK, RAG_ENOMEM,
 * RAG_ELIMIT (text past UINT32_MAX bytes). Thread-safe. */
enum rag_status passage_postings(const struct analyzer *analyzer,
                                 const struct passage_fields *fields,
                                 struct bm25_posting **ret_postings, size_t *ret_n,
                                 uint32_t *ret_length);

#endif
