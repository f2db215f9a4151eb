/* generate/grounding_sentence.h - a model's text, as it comes, cut into sentences and their
 * citations. Internal to generate/.
 *
 * A sentence is given out when what follows can no longer change where it ends: SENTENCE_AHEAD
 * bytes of the next one, or a line feed and its beginning, have come. Marks behind the full stop
 * belong to the sentence before them, marks at the beginning of a line to the one that follows.
 * "[1]에 따르면" and "(출처: [1])" go with their mark. What a model thinks aloud between <think>
 * and
 * </think> is no answer and is left out. */
#ifndef RAG_GENERATE_GROUNDING_SENTENCE_H
#define RAG_GENERATE_GROUNDING_SENTENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define SENTENCE_AHEAD 24 /* bytes: eight syllables, "(출처: [1" among them */

struct answer_sentence {
    const char *text; /* without marks; until the next call */
    size_t n;
    uint64_t cited;  /* bit i: passage i */
    bool marked;     /* it had a mark, be it of no passage */
    bool whole;      /* it has an end: a stop, a line feed; false: the text broke off */
    unsigned breaks; /* line feeds between it and the one before: 0, 1 or 2 */
};

struct sentence_cutter {
    struct buf pending; /* owned: text not given out yet */
    struct buf clean;   /* owned: the same without marks */
    uint32_t *origin;   /* owned: byte of 'pending' for each byte of 'clean' */
    size_t cap_origin;
    struct mark_place *marks; /* owned */
    size_t n_marks;
    size_t cap_marks;
    size_t n_passages;
    unsigned breaks; /* in front of pending */
    bool begun;      /* some text that is no thought has come */
    bool thinking;
};
void sentence_cutter_init(struct sentence_cutter *c, size_t n_passages);
void sentence_cutter_release(struct sentence_cutter *c);

/* Add text: bytes that are no UTF-8 become U+FFFD, control characters spaces. RAG_OK, RAG_ENOMEM,
 * RAG_ELIMIT (nobody took sentences out). */
enum rag_status sentence_cutter_put(struct sentence_cutter *c, const char *text, size_t n);
/* The next sentence; *ret_found false: none yet. final: no more text will come. */
enum rag_status sentence_cutter_next(struct sentence_cutter *c, bool final,
                                     struct answer_sentence *ret, bool *ret_found);

#endif
