/* retrieve/passage.h - a candidate on its way through the stages of a search. */
#ifndef RAG_RETRIEVE_PASSAGE_H
#define RAG_RETRIEVE_PASSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANK_NONE 0u /* ranks count from 1; 0: the stage did not return it */

/* What the rerank by words read in one passage; shares of the question's idf mass, 0..1. */
struct lexical_evidence {
    float bm25;      /* bm25_score / the question's mass; a heavy title can push it past one */
    float sentence;  /* coverage of the best sentence, the title's terms given in part */
    float window;    /* coverage of the best two sentences in a row */
    float proximity; /* in the best sentence */
    uint32_t start;  /* bytes of the passage's text, from the first to the last of the question's */
    uint32_t end;    /* words in the best sentence; equal: it has none */
    bool read;       /* false: the rerank stage did not come to it, and the rest is 0 */
    bool form;       /* the question asks for a date or a quantity, */
    bool kind;       /* and the best sentence has what could be it */
};

struct passage {
    uint64_t id;
    const char *document; /* name or URI that it was ingested under; borrowed, as all texts */
    const char *title;    /* "" when there is none */
    const char *heading;  /* path "A > B", or "" */
    const char
        *context;     /* repeated table header, or "": belongs to the chunk, is not in its span */
    const char *text; /* NUL-terminated, text_bytes long: the span of the stored text */
    size_t text_bytes;
    uint32_t byte_start; /* of text in the stored NFC text of the document */
    uint32_t byte_end;
    uint64_t version_id; /* of the document */
    float bm25_score;
    uint32_t bm25_rank;
    float dense_score; /* cosine of the question's and the passage's vectors */
    uint32_t dense_rank;
    float fused_score;
    uint32_t fused_rank;
    struct lexical_evidence words;
    float lexical_score; /* 0..1, of 'words' by the default weights whatever the collection's are,
                          * comparable between questions: generators read it; 0 where not read */
    float cross_score;   /* 0..1, of the cross-encoder; 0 where it did not read it */
    bool cross_read;
    float rerank_score; /* 0..1; by which the rerank ordered it: of the cross-encoder, of words, or
                         * of both */
    uint32_t rerank_rank;
    float score; /* of the last stage that ranked it */
    uint32_t final_rank;
};

/* Sort by rerank_score, best first; equal ones keep their order. An insertion sort: heads are
 * short. Ranks are the caller's to number. */
void passages_by_rerank(struct passage *passages, size_t n);

/* For qsort() of pointers to passages: by dense_rank. */
int passages_compare_dense(const void *a, const void *b);

#endif
