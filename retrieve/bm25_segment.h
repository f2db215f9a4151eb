/* retrieve/bm25_segment.h - one immutable part of the index, in one block of memory.
 *
 * Invariants: ids ascend strictly and a passage's number in the segment ("doc") is
 * its place among them, so equal scores within a segment rank by doc. terms ascend
 * strictly. Only 'dead' and what the writer owns change after a segment was made. */
#ifndef RAG_RETRIEVE_BM25_SEGMENT_H
#define RAG_RETRIEVE_BM25_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/bm25_codec.h"

#define BM25_NO_DOC     UINT32_MAX
#define BM25_LENGTH_MAX ((uint32_t)INT32_MAX) /* SSE2 and AVX2 convert signed integers only */
#define BM25_VALUE_ONE  (1ull << 63)          /* dictionary value: the posting itself */

struct bm25_shape {
    uint32_t n_docs;
    uint32_t n_terms;
    uint64_t lists_bytes; /* with BM25_LIST_PAD; a multiple of 8 */
};

struct bm25_segment {
    atomic_size_t refs;
    struct bm25_shape shape;
    uint64_t n_postings;
    uint8_t *image; /* owned: ids, lengths, terms, values, lists, each at a multiple of 8 */
    size_t image_bytes;
    const uint64_t *ids;
    const uint32_t *lengths;
    const uint64_t *terms;
    const uint64_t *values; /* BM25_VALUE_ONE | tf << 32 | doc, or a byte offset into lists */
    const uint8_t *lists;
    /* The number of the apply that removed each doc, 0 = live; allocated on the first
     * removal. A view numbered s takes docs with 1 <= dead <= s for removed, so a removal
     * costs O(1) and views of before it do not see it. */
    _Atomic(_Atomic uint64_t *) dead;
    uint32_t n_dead; /* writer's lock */
    bool merging;    /* writer's lock: a merge reads it; no second one may */
};

/* Bytes of an image, or 0 when they do not fit size_t. */
size_t bm25_image_bytes(const struct bm25_shape *shape);
/* An image of zeros to be filled by the caller through the pointers. RAG_OK, RAG_ENOMEM. */
enum rag_status bm25_segment_new(const struct bm25_shape *shape, struct bm25_segment **ret);
void bm25_segment_ref(struct bm25_segment *s);
void bm25_segment_unref(struct bm25_segment *s); /* NULL is a no-op */

/* The doc of an id, dead or not; BM25_NO_DOC when the segment never held it. */
uint32_t bm25_segment_find(const struct bm25_segment *s, uint64_t id);
/* First doc >= from whose id is >= id (n_docs if none). */
uint32_t bm25_segment_seek(const struct bm25_segment *s, uint32_t from, uint64_t id);
/* Was the doc removed by apply number 'seq' or an earlier one? */
bool bm25_segment_dead(const struct bm25_segment *s, uint32_t doc, uint64_t seq);
/* Make room for marks. RAG_OK or RAG_ENOMEM. */
enum rag_status bm25_segment_reserve_dead(struct bm25_segment *s);
void bm25_segment_mark_dead(struct bm25_segment *s, uint32_t doc, uint64_t seq);

/* The list of dictionary entry i. */
void bm25_segment_list(const struct bm25_segment *s, uint32_t i, struct bm25_list *ret);
/* Dictionary entry of a term; false when there is none. */
bool bm25_segment_term(const struct bm25_segment *s, uint64_t term, uint32_t *ret_i);

/* Check every offset, count, order and width of a filled image and count its postings:
 * after RAG_OK no search can leave it. RAG_EFORMAT otherwise. 'visit' (or NULL) gets each
 * decoded block: the dictionary entry, docs and their number. */
enum rag_status bm25_segment_check(struct bm25_segment *s, uint64_t lists_bytes_used,
                                   enum rag_status (*visit)(void *context, uint32_t i_term,
                                                            const uint32_t *docs, uint32_t n),
                                   void *context, struct rag_error *reterr);

/* ---- building: terms ascending, each with its whole list ---- */
struct bm25_writer {
    const uint32_t *lengths; /* borrowed: length of each doc */
    float mean_length;
    uint64_t *terms;
    uint64_t *values;
    uint8_t *lists;
    size_t n_terms;
    size_t terms_cap;
    size_t lists_bytes;
    size_t lists_cap;
    uint64_t n_postings;
};

void bm25_writer_init(struct bm25_writer *w, const uint32_t *lengths, uint32_t n_docs);
void bm25_writer_release(struct bm25_writer *w);
/* docs ascending, n >= 1. RAG_OK, RAG_ENOMEM. */
enum rag_status bm25_writer_add(struct bm25_writer *w, uint64_t term, const uint32_t *docs,
                                const uint16_t *tfs, uint32_t n);
/* The segment of what was added; ids and the lengths given at init are copied. */
enum rag_status bm25_writer_finish(struct bm25_writer *w, const uint64_t *ids, uint32_t n_docs,
                                   struct bm25_segment **ret);

#endif
