/* retrieve/rerank_lexical.h - reorder the head of a ranking by reading it.
 *
 * The rerank stage wherever no cross-encoder is configured: best sentence or
 * window, coverage of the question's idf mass, proximity and order of its terms,
 * presence of the kind of answer that is asked for. */
#ifndef RAG_RETRIEVE_RERANK_LEXICAL_H
#define RAG_RETRIEVE_RERANK_LEXICAL_H

#include <stddef.h>

#include "base/status.h"
#include "retrieve/passage.h"
#include "text/analyzer.h"
#include "text/question.h"

/* A question ready for the stages that read passages. Borrows everything. */
struct lexical_query {
    const char *text; /* NFC */
    size_t n_bytes;
    const struct term_list *terms; /* analyzer_question() */
    const float *idf;              /* [terms->n], bm25_idf() */
    const struct question *question;
    const struct analyzer *analyzer;
};

/* Score and sort passages[0..n) (they arrive in bm25 order, bm25_score and bm25_rank
 * filled): sets rerank_score and final_rank, best first; equal scores keep the earlier
 * order. RAG_OK or RAG_ENOMEM (passages unchanged). Thread-safe. */
enum rag_status rerank_lexical(const struct lexical_query *query, struct passage *passages,
                               size_t n);

#endif
