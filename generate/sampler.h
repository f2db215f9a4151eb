/* generate/sampler.h - logits to the next token, as transformers orders it.
 *
 * Repetition penalty on the raw logits (prompt and answer so far; also when greedy), then the
 * tokens that the grammar allows, then, unless temperature is 0 (greedy: the largest logit, the
 * smallest id of equals): logits / temperature, top-k, top-p, min-p, softmax, one draw. (Order:
 * transformers, generation/utils.py _get_logits_processor and logits_process.py; penalty: Keskar et
 * al. 2019; top-p: Holtzman et al. 2020; min-p: Nguyen et al. 2024)
 *
 * The generator of draws is ours (base/splitmix.h), seeded; draw i of a request depends on seed and
 * i alone, so a replay gives the same text. */
#ifndef RAG_GENERATE_SAMPLER_H
#define RAG_GENERATE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "generate/generator.h"
#include "generate/json_schema.h"

struct sampler; /* opaque; one request, one thread at a time */

/* vocab_size: of the logits. Values out of range (sampling_check()) are the caller's bug.
 * RAG_ENOMEM. */
enum rag_status sampler_open(const struct sampling *sampling, size_t vocab_size,
                             struct sampler **ret, struct rag_error *reterr);
void sampler_close(struct sampler *s); /* NULL is a no-op */

/* temperature 0..SAMPLING_TEMPERATURE_MAX, top_k >= 0, 0 < top_p <= 1, 0 <= min_p < 1,
 * repetition_penalty > 0 ...: RAG_EINVAL naming field, value and range. */
enum rag_status sampling_check(const struct sampling *sampling, struct rag_error *reterr);

/* Count these tokens (the prompt; each accepted token) for the repetition penalty. */
enum rag_status sampler_accept(struct sampler *s, const uint32_t *ids, size_t n,
                               struct rag_error *reterr);
/* The next token; logits [vocab_size] are changed. allowed: bit id set when the grammar lets id
 * through ([ceil(vocab/64)]), or NULL. RAG_ENUMERIC: a NaN, or nothing is allowed. */
enum rag_status sampler_next(struct sampler *s, float *logits, const uint64_t *allowed,
                             uint32_t *ret, struct rag_error *reterr);
/* Is the result a function of the logits alone (greedy)? Then drafts may be verified by it. */
bool sampler_is_greedy(const struct sampler *s);

/* ---- drafts by looking up (Saxena 2023, prompt lookup decoding) ---- */

/* The last tokens of ids[0..n-1] searched for earlier in ids: longest ngram of PROMPT_LOOKUP_MAX
 * down to PROMPT_LOOKUP_MIN tokens, latest place first; what followed there, at most n_most tokens.
 * Returns their number, 0: none. */
size_t prompt_lookup(const uint32_t *ids, size_t n, size_t n_most, uint32_t *ret_draft);

/* ---- stop strings ---- */

/* Text that comes in pieces, held back as long as it could become a stop string. */
struct stop_filter; /* opaque */
enum rag_status stop_filter_open(const char *const *stop, struct stop_filter **ret,
                                 struct rag_error *reterr); /* NULL-terminated list; or NULL */
void stop_filter_close(struct stop_filter *f);              /* NULL is a no-op */
/* Append to 'ret' what may be shown now. *ret_stopped: a stop string was found; it and what is
 * behind it are not shown. */
enum rag_status stop_filter_put(struct stop_filter *f, const char *text, size_t n, struct buf *ret,
                                bool *ret_stopped, struct rag_error *reterr);
enum rag_status stop_filter_finish(struct stop_filter *f, struct buf *ret,
                                   struct rag_error *reterr); /* what was held back */

#endif
