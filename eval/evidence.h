/* eval/evidence.h - does a cited span, or a passage, cover a text that was marked as evidence?
 *
 * A cited span counts when it overlaps the evidence by at least 60% of the characters of the
 * shorter of the two, a passage when it has at least 60% of those of the evidence. Characters are
 * those of the document's stored text; where the evidence does not occur there as it is written (a
 * table row whose cells were joined differently, emphasis marks that a parser dropped) both are
 * compared with white space left out, and then with the marks of Markdown left out too. HTML is
 * always compared without white space. */
#ifndef RAG_EVAL_EVIDENCE_H
#define RAG_EVAL_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define EVIDENCE_OVERLAP_MIN 0.6

/* What is left out of the characters that are compared. */
enum evidence_view { VIEW_ALL, VIEW_NO_SPACE, VIEW_NO_MARKS, N_VIEWS };

struct evidence_index {
    char *text; /* the characters kept; owned */
    size_t n_bytes;
    uint32_t *text_at;   /* [n_chars]: byte of each character in text */
    uint32_t *source_at; /* [n_chars]: and in the document */
    size_t n_chars;
};

struct evidence_document {
    struct evidence_index views[N_VIEWS];
    enum evidence_view first_view; /* VIEW_NO_SPACE for HTML */
};

/* Index n bytes (<= UINT32_MAX) of well-formed UTF-8. RAG_OK or RAG_ENOMEM. */
enum rag_status evidence_document_init(struct evidence_document *d, const char *text,
                                       size_t n_bytes, bool html);
void evidence_document_release(struct evidence_document *d); /* a zeroed one is a no-op */

struct evidence_place {
    enum evidence_view view;
    size_t char_start; /* in that view; equal to char_end: not found */
    size_t char_end;
};

/* Where the evidence is; RAG_OK (found or not) or RAG_ENOMEM. */
enum rag_status evidence_find(const struct evidence_document *d, const char *evidence,
                              struct evidence_place *ret);
/* Does the cited span of the document's bytes count for the evidence at 'place'? */
bool evidence_covered(const struct evidence_document *d, const struct evidence_place *place,
                      size_t byte_start, size_t byte_end);
/* Does a passage at these bytes hold the evidence? A shorter one than the evidence, which would
 * count as a cited span, does not. */
bool evidence_held(const struct evidence_document *d, const struct evidence_place *place,
                   size_t byte_start, size_t byte_end);

#endif
