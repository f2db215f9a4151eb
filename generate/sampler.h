/* generate/sampler.h - logits to the next token, as transformers orders it.
 *
 * Repetition penalty on the raw logits (prompt and answer so far; also when greedy), then the
 * tokens that the grammar allows, then, unless temperature is 0 (greedy: the largest logit, the
 * smallest id of equals): logits / temperature, top-k, top-p, min-p, softmax, one draw. (Order:
 * transformers, generation/utils.py _get_logits_processor and logits_process.py; penalty: Keskar et
 * al. 2019; top-p: Holtzman et al. 2020; min-p: Nguyen et al. 2024)
 *
 * Top-k keeps what ties with the k-th; top-p keeps the fewest tokens, largest first (smallest id of
 * equals first), whose probabilities reach it.
 *
 * The generator of draws is ours (base/splitmix.h), seeded; draw i of a request depends on seed and
 * i alone, so a replay gives the same text, and a token drafted by looking up may be compared with
 * the one that is drawn at its place. */
#ifndef RAG_GENERATE_SAMPLER_H
#define RAG_GENERATE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "generate/generator.h"

struct sampler; /* opaque; one request, one thread at a time */

/* vocab_size: of the logits. RAG_ENOMEM; what sampling_check() says. */
enum rag_status sampler_open(const struct sampling *sampling, size_t vocab_size,
                             struct sampler **ret, struct rag_error *reterr);
void sampler_close(struct sampler *s); /* NULL is a no-op */

/* 0 <= temperature <= SAMPLING_TEMPERATURE_MAX, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1,
 * SAMPLING_PENALTY_MIN <= repetition_penalty <= SAMPLING_PENALTY_MAX, max_new_tokens >= 0, at most
 * SAMPLING_STOPS_MAX stop strings of 1 .. SAMPLING_STOP_BYTES_MAX bytes of UTF-8: RAG_EINVAL naming
 * field, value and range. */
enum rag_status sampling_check(const struct sampling *sampling, struct rag_error *reterr);

/* Count these tokens (the prompt; each accepted token) for the repetition penalty. RAG_EINVAL: an
 * id is not below vocab_size. */
enum rag_status sampler_accept(struct sampler *s, const uint32_t *ids, size_t n,
                               struct rag_error *reterr);
/* The next token; logits [vocab_size] are changed. allowed: bit id set when the grammar lets id
 * through ([ceil(vocab/64)]), or NULL. RAG_ENUMERIC: a NaN, or nothing is allowed. */
enum rag_status sampler_next(struct sampler *s, float *logits, const uint64_t *allowed,
                             uint32_t *ret, struct rag_error *reterr);

#endif
