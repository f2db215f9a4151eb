/* retrieve/cross_encoder.h - how well a passage answers a query, read together.
 *
 *     logit = head(encoder([CLS] query [SEP] passage [SEP]));   score = 1 / (1 + e^-logit)
 *
 * With two labels the score is softmax's second, which is the same with logit = l_1 - l_0.
 * Source: Nogueira and Cho, "Passage Re-ranking with BERT", 2019. */
#ifndef RAG_RETRIEVE_CROSS_ENCODER_H
#define RAG_RETRIEVE_CROSS_ENCODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/encoder.h"
#include "nn/tokenizer.h"
#include "retrieve/remote_reranker.h"

struct cross_encoder; /* opaque; immutable after open, thread-safe */

struct cross_encoder_options {
    enum precision precision;
    struct compute_pool *pool; /* borrowed; NULL: the caller's thread */
    size_t max_tokens;         /* of a pair, never more than positions reach; 0: the model's (and
                                * tokenizer_config.json's), CROSS_TOKENS_MAX_DEFAULT at most */
};

struct cross_encoder_info {
    const char *name;
    const char *dir;
    size_t max_tokens;
    char fingerprint[65]; /* hex SHA-256 of weights, tokenizer (nn/model_files.h), max tokens */
    struct encoder_info encoder;
};

/* RAG_EFORMAT when the model has no classification head, or one of more than 2 labels. */
enum rag_status cross_encoder_open(const char *dir, const struct cross_encoder_options *options,
                                   struct cross_encoder **ret, struct rag_error *reterr);
/* The same of another server (retrieve/remote_reranker.h): info names its URL as
 * 'dir' and the family "remote", and there is no tokenizer and no encoder. Such a one is never
 * computed with here: cross_encoder_remote() is asked. */
enum rag_status cross_encoder_open_remote(const struct remote_reranker_options *options,
                                          struct cross_encoder **ret, struct rag_error *reterr);
const struct remote_reranker *cross_encoder_remote(const struct cross_encoder *x); /* or NULL */
void cross_encoder_close(struct cross_encoder *x); /* NULL is a no-op */
void cross_encoder_info(const struct cross_encoder *x, struct cross_encoder_info *ret);

struct pair_text {
    const char *text; /* UTF-8, NFC */
    size_t n_bytes;
};

/* Scores of n passages for one query: 0..1, or logits when raw. Longest-first truncation to
 * max_tokens. deadline_ns (clock_monotonic_ns(), 0: none): passages are scored in the order given,
 * in groups, until it has passed; *ret_n_scored says how many have a score (at least one group,
 * which is small). The groups after it are as large as the speed seen so far lets end in time.
 * RAG_EINVAL, RAG_EFORMAT (a token that the model has not), RAG_ECANCELLED, RAG_ENOMEM, RAG_EIO,
 * RAG_ENUMERIC: nothing is scored then. */
enum rag_status cross_encoder_score(const struct cross_encoder *x, struct pair_text query,
                                    const struct pair_text *passages, size_t n, bool raw,
                                    int64_t deadline_ns, const atomic_bool *cancel,
                                    float *ret_scores, size_t *ret_n_scored,
                                    struct rag_error *reterr);

const struct tokenizer *cross_encoder_tokenizer(const struct cross_encoder *x);
const struct encoder *cross_encoder_encoder(const struct cross_encoder *x);

#endif
