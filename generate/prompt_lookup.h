/* generate/prompt_lookup.h - drafts of the next tokens, by looking up what stood there before.
 *
 * An answer from documents copies names, numbers and phrases of its prompt. When the last tokens
 * occurred before, what followed them is a good guess, and verifying several tokens at once costs a
 * decoder little more than computing one. (Saxena 2023, prompt lookup decoding) */
#ifndef RAG_GENERATE_PROMPT_LOOKUP_H
#define RAG_GENERATE_PROMPT_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

/* The last PROMPT_LOOKUP_MAX .. PROMPT_LOOKUP_MIN tokens (base/bounds.h) of ids[0..n-1] looked for
 * earlier in ids, the longest first and of equally long ones the latest. What followed there, at
 * most n_most tokens, goes to ret_draft. Returns their number, 0: none. O(n). */
size_t prompt_lookup(const uint32_t *ids, size_t n, size_t n_most, uint32_t *ret_draft);

#endif
