/* generate/grounding.h - prompts that ask for cited answers, and answers held to their citations.
 *
 * The instruction (Korean or English, after the question's language) numbers the passages [1]..[k],
 * asks for [n] after each claim and for one refusal sentence when they do not answer. An answer is
 * cut into sentences; each has to be supported by the passages that it cites: its content terms
 * (idf-weighted overlap), every number, and names are found there, and the cross-encoder agrees
 * when there is one. A sentence that cites nothing is tried with every passage and, when one
 * supports it, gets that citation. What no passage supports is removed or marked. */
#ifndef RAG_GENERATE_GROUNDING_H
#define RAG_GENERATE_GROUNDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "generate/generator.h"
#include "text/analyzer.h"

enum unsupported_policy {
    UNSUPPORTED_REMOVE, /* leave the sentence out; nothing left: refuse */
    UNSUPPORTED_MARK,   /* keep it, with "(근거 없음)" / "(unsupported)" behind it */
};

/* Score of a statement against a passage, 0..1 (a calibrated cross-encoder). */
typedef enum rag_status pair_score_fn(void *context, const char *statement, size_t n_statement,
                                      const char *passage, size_t n_passage, float *ret,
                                      struct rag_error *reterr);

/* ---- the prompt ---- */

struct grounded_prompt {
    struct arena arena;
    struct message *messages;
    size_t n_messages;
    size_t n_passages; /* that fit: a prefix of those given */
    size_t n_dropped;  /* from the tail */
    bool korean;
    const char *refusal; /* the sentence that the model is asked for */
};

/* Tokens of a list of messages in the model's template. */
typedef enum rag_status count_tokens_fn(void *context, const struct message *messages, size_t n,
                                        size_t *ret, struct rag_error *reterr);

/* System instruction, passages, earlier turns (the oldest are dropped first), question; whole
 * passages are dropped from the tail until count() <= n_tokens_max. Leading parts are the same
 * bytes for the same passages, so that their KV can be used again. RAG_ELIMIT: the question with
 * the first passage is too long (numbers named). A passage's text is data: what looks like an
 * instruction in it stays inside its marks. */
enum rag_status grounded_prompt_make(const struct generator_request *request, size_t n_tokens_max,
                                     count_tokens_fn *count, void *count_context,
                                     struct grounded_prompt *ret, struct rag_error *reterr);
void grounded_prompt_release(struct grounded_prompt *p); /* a zeroed one is a no-op */

/* What the system text of every such prompt begins with: an answer must not repeat it. Static. */
const char *grounding_rules(bool korean);

/* ---- follow-up questions ---- */

/* Turns: earlier messages and, last, the follow-up. Does the follow-up need them? */
enum condense_need {
    CONDENSE_NOT,   /* no earlier question, or it says itself what it is about */
    CONDENSE_MAYBE, /* it is short: a model may know */
    CONDENSE_YES, /* it points back (그건, 거기, it, that), goes on ("AP-700은요?", what about) or
                     has no content word */
};
enum rag_status condense_need(const struct message *messages, size_t n,
                              const struct analyzer *analyzer, enum condense_need *ret);

/* The messages that ask for a standalone question from earlier turns and a follow-up. RAG_EINVAL:
 * no follow-up of earlier turns; RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status condense_prompt_make(const struct message *messages, size_t n,
                                     struct grounded_prompt *ret, struct rag_error *reterr);
/* The question that a model wrote: one line, without quotation marks or a label in front. *ret is
 * replaced. RAG_EFORMAT when it is no question of these turns: empty, too long, without a content
 * word of theirs, with a number or name that none of them has, or without one that the follow-up
 * has. RAG_ENOMEM. */
enum rag_status condensed_question(const struct message *messages, size_t n,
                                   const struct analyzer *analyzer, const char *answer,
                                   size_t n_answer, struct buf *ret, struct rag_error *reterr);
/* The same without a model: what the follow-up leaves out is taken from the question before it
 * (itself made standalone): what it was about in place of 그건, its whole text with the new name in
 * place of the old one for "AP-700은요?". A follow-up that is not CONDENSE_YES is copied. *ret is
 * replaced. RAG_OK, RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status condense_by_words(const struct message *messages, size_t n,
                                  const struct analyzer *analyzer, struct buf *ret);

/* ---- the answer ---- */

struct grounding; /* opaque: one answer as it comes */

struct grounding_options {
    const struct generator_request *request;
    size_t n_passages; /* of the prompt */
    bool korean;
    const char *refusal;
    enum unsupported_policy unsupported;
    pair_score_fn *pair_score; /* or NULL */
    void *pair_score_context;
};
enum rag_status grounding_open(const struct grounding_options *options, struct grounding **ret,
                               struct rag_error *reterr);
void grounding_close(struct grounding *g); /* NULL is a no-op */
/* Model text as it comes. Sentences that are complete and passed are appended to 'ret', with marks
 * [n] as checked; citations collect in the grounding. */
enum rag_status grounding_put(struct grounding *g, const char *text, size_t n, struct buf *ret,
                              struct rag_error *reterr);
/* Nothing that the model may still write can change the answer: it refused, repeats itself, or a
 * limit is reached. Who feeds may stop the model. */
bool grounding_done(const struct grounding *g);
/* The rest; result->finish_reason says how the model ended (a sentence that was cut off is left
 * out). Then the result's answer, citations (spans of the supporting sentence in the document,
 * bytes of the sentence in the answer), confidence, sentences_removed, and a refusal with its
 * reason are filled in. */
enum rag_status grounding_finish(struct grounding *g, struct buf *ret,
                                 struct generator_result *result, struct rag_error *reterr);

#endif
