/* generate/decode_scheduler.h - many conversations, one decoder.
 *
 * One thread owns the decoder and its KV cache. Each turn it computes one batch: one token (and,
 * for greedy requests, a draft found by looking up in the prompt, to be verified) of every running
 * request, and a chunk of the prompt of the one that was admitted longest ago. So a long prompt
 * delays others' tokens by a chunk, not by all of it, and n requests that decode together read the
 * weights once. A request is admitted when the KV budget has room for its prompt and answer;
 * until then it waits in order. Between layers the thread calls between_layers(), where embedding
 * and reranking may compute first. Cancel, deadline and a sink that says stop free the slot at the
 * next layer.
 *
 * The text of a request does not depend on what else runs: logits are bit-equal (nn/decoder.h),
 * drafts are accepted only where greedy would have chosen the same token. */
#ifndef RAG_GENERATE_DECODE_SCHEDULER_H
#define RAG_GENERATE_DECODE_SCHEDULER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "generate/generator.h"
#include "generate/json_schema.h"
#include "nn/decoder.h"
#include "nn/tokenizer.h"

struct decode_scheduler; /* opaque; thread-safe */

struct decode_scheduler_options {
    struct decoder *decoder; /* borrowed, as the tokenizer */
    const struct tokenizer *tokenizer;
    uint64_t kv_budget_bytes;
    size_t n_running_max;                  /* requests that decode together */
    size_t n_waiting_max;                  /* more than this wait: RAG_EBUSY */
    size_t chunk_tokens;                   /* of a prompt in one turn */
    size_t draft_tokens;                   /* looked up and verified at once; 0: no speculation */
    void (*between_layers)(void *context); /* or NULL */
    void *context;
};

enum rag_status decode_scheduler_open(const struct decode_scheduler_options *options,
                                      struct decode_scheduler **ret, struct rag_error *reterr);
/* Running requests end with FINISH_CANCELLED. NULL is a no-op. */
void decode_scheduler_close(struct decode_scheduler *s);

struct decode_request {
    const uint32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    const struct sampling *sampling;
    const struct json_schema *schema; /* or NULL */
    size_t n_new_max;                 /* >= 1 */
    const uint32_t *ends;             /* tokens that end it, not part of the text */
    size_t n_ends;
    int64_t deadline_ns; /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel;
    /* On the scheduler's thread: text in whole characters, stop strings held back. Must not block;
     * false: stop. */
    bool (*on_text)(void *context, const char *text, size_t n);
    void *context;
};

struct decode_outcome {
    enum finish_reason finish_reason;
    size_t n_prompt;
    size_t n_cached; /* of the prompt, from known pages */
    size_t n_output;
    size_t n_drafted;
    size_t n_accepted;
    int64_t queued_ns;
    int64_t prefill_ns; /* from admission to the first token */
    int64_t decode_ns;
    uint32_t *ids; /* [n_output]; malloc'ed */
};

/* Wait until it is done, on the caller's thread. RAG_OK with a finish_reason; RAG_EBUSY,
 * RAG_EINVAL, RAG_ELIMIT (prompt and answer beyond context or KV budget: numbers named),
 * RAG_ENOMEM, and the statuses of decoder_run(). */
enum rag_status decode_scheduler_run(struct decode_scheduler *s, const struct decode_request *r,
                                     struct decode_outcome *ret, struct rag_error *reterr);

struct decode_scheduler_stats {
    size_t n_running;
    size_t n_waiting;
    uint64_t n_requests;
    uint64_t n_prompt_tokens;
    uint64_t n_cached_tokens;
    uint64_t n_output_tokens;
    uint64_t n_drafted;
    uint64_t n_accepted;
    struct kv_cache_stats kv;
};
void decode_scheduler_stats(struct decode_scheduler *s, struct decode_scheduler_stats *ret);

#endif
