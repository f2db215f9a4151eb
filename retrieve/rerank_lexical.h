/* retrieve/rerank_lexical.h - reorder the head of a ranking by reading it.
 *
 * The rerank stage wherever no cross-encoder is configured: best sentence or
 * window, coverage of the question's idf mass, proximity and order of its terms,
 * presence of the kind of answer that is asked for. */
#ifndef RAG_RETRIEVE_RERANK_LEXICAL_H
#define RAG_RETRIEVE_RERANK_LEXICAL_H

#include <stddef.h>

#include "base/status.h"
#include "retrieve/fusion.h"
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

/* Shares of the score, each 0 or more and not all of the first four 0:
 *
 *     score = (w_bm25 * min(1, bm25) + w_sentence * sentence + w_window * window
 *              + w_proximity * proximity + w_kind * kind) / (sum of the w that apply)
 *
 * where kind, and its weight, apply only to questions for a date or a quantity. */
struct lexical_weights {
    float bm25;
    float sentence;
    float window;
    float proximity;
    float kind;
};
/* bm25 keeps what the whole passage says, the best sentence and the proximity inside it say whether
 * it is said in one place. Chosen on pairs of documentation headings and sections, where everything
 * between half and twice these values is within .005 of MRR@10. */
#define LEXICAL_WEIGHTS_DEFAULT ((struct lexical_weights){1.0f, 0.5f, 0.1f, 0.3f, 0.1f})

/* The formula above, 0..1; 0 where no weight applies. */
float lexical_score(const struct lexical_weights *weights, const struct lexical_evidence *e);

/* Score and sort passages[0..n) (they arrive in bm25 order, bm25_score and bm25_rank
 * filled): sets words, lexical_score, rerank_score (by 'weights') and final_rank, best first;
 * equal scores keep the earlier order. RAG_OK or RAG_ENOMEM (passages unchanged). Thread-safe. */
enum rag_status rerank_lexical(const struct lexical_query *query,
                               const struct lexical_weights *weights, struct passage *passages,
                               size_t n);

/* A question of which two sentences in a row hold that share is served by words; the fewer of its
 * words the best ones hold, the more is left to vectors (fusion.h, doubt). Chosen on documentation
 * queries and Cranfield, docs/EVALUATION.md. */
#define FUSION_HELD         0.4f
/* Whatever the doubt, passage i by words is not below place i times that: the only word that is
 * known may be a name, and a list of names must not hide what is said of it. */
#define FUSION_WORDS_PLACES 3

/* After a fusion an order by words alone would undo what the vectors found, so it takes the place
 * of bm25 in the same fusion, of 'scaled' with the doubt as above; where 'scaled' then ranks
 * passage i by words below place i * FUSION_WORDS_PLACES, it is lifted there and takes over that
 * place's score. by_words: the head as rerank_lexical() left it. ret: room for 2 * n; what only a
 * list of weight 0 knows is not in it. ret_doubt: 0 of the other methods; may be NULL. Statuses of
 * fusion_rank(). */
enum rag_status rerank_fuse(const struct fusion_options *fusion, const struct passage *by_words,
                            size_t n, struct fused *ret, size_t *ret_n, float *ret_doubt,
                            struct rag_error *reterr);

#endif
