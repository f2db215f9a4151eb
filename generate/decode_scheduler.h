/* generate/decode_scheduler.h - many conversations, one decoder.
 *
 * One thread owns the decoder and its KV cache. Each turn it computes one batch: one token (and a
 * draft found by looking up in the text so far, to be verified) of every request that decodes, and
 * a chunk of the prompt of the one that was admitted longest ago. So a long prompt delays others'
 * tokens by a chunk, not by all of it, and n requests that decode together read the weights once.
 *
 * A request is admitted when the KV budget has room for its prompt and all of its answer, what
 * others use already counted once; until then it waits, in order. (Admitting on the prompt alone
 * would run more at once when answers stay short, but then somebody has to be thrown out in the
 * middle of a sentence and computed again, or wait with memory in hand.)
 *
 * The text of a request does not depend on what else runs, on chunks or on drafts: logits are
 * bit-equal (nn/decoder.h), and a draft's token is taken only where the sampler, whose draws depend
 * on the seed and the position alone, chooses the same one. A request's drafts grow while they are
 * accepted and stop for a while when they are not. */
#ifndef RAG_GENERATE_DECODE_SCHEDULER_H
#define RAG_GENERATE_DECODE_SCHEDULER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "generate/generator.h"
#include "generate/json_schema.h"
#include "nn/decoder.h"
#include "nn/tokenizer.h"

struct decode_scheduler; /* opaque; thread-safe */

/* How the thread shares the machine with others that compute. Called on it; each may be NULL. */
struct decode_turns {
    void (*begin)(void *context);          /* returns when the decoder may compute */
    void (*between_layers)(void *context); /* others may compute now, until it returns */
    void (*end)(void *context);            /* the decoder does not compute any more */
    void *context;
};

struct decode_scheduler_options {
    struct decoder *decoder; /* borrowed, as the tokenizer */
    const struct tokenizer *tokenizer;
    uint64_t kv_budget_bytes;
    size_t n_running_max; /* requests that decode together, 1 .. DECODE_RUNNING_MAX */
    size_t n_waiting_max; /* more than this wait: RAG_EBUSY */
    size_t chunk_tokens;  /* of prompts in one turn, at most */
    double layer_ms_max;  /* chunks become shorter when a layer of one takes longer than this, so
                           * that who waits for between_layers() gets its turn; 0: they do not */
    size_t draft_tokens;  /* verified in one turn, of all requests; 0: no speculation */
    struct decode_turns turns;
};

/* RAG_ENOMEM, RAG_EIO (no thread, no random bytes), RAG_EINVAL (budget below one page). */
enum rag_status decode_scheduler_open(const struct decode_scheduler_options *options,
                                      struct decode_scheduler **ret, struct rag_error *reterr);
/* Requests end with FINISH_CANCELLED; returns when the last one has left. NULL is a no-op. */
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
    /* On the caller's thread, which may take its time: text in whole characters, stop strings held
     * back. false: stop. NULL: nobody reads. */
    bool (*on_text)(void *context, const char *text, size_t n);
    void *context;
};

struct decode_outcome {
    enum finish_reason finish_reason;
    bool stop_string; /* one of them ended it, maybe inside a sentence */
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

/* Wait until it is done, on the caller's thread. RAG_OK with a finish_reason (cancel, deadline and
 * a sink that says stop too: the slot is free within a layer); RAG_EBUSY, RAG_EINVAL, RAG_ELIMIT
 * (prompt and answer beyond context or KV budget: numbers named), RAG_ENOMEM, and the statuses of
 * decoder_run() and of what turns logits into text. */
enum rag_status decode_scheduler_run(struct decode_scheduler *s, const struct decode_request *r,
                                     struct decode_outcome *ret, struct rag_error *reterr);

/* What is known of earlier prompts from and to a file (nn/kv_cache_file.h), while nobody asks:
 * RAG_EBUSY else; their other statuses. *ret_n: tokens. */
enum rag_status decode_scheduler_load(struct decode_scheduler *s, const char *path,
                                      const uint8_t binding[SHA256_BYTES], size_t *ret_n,
                                      struct rag_error *reterr);
enum rag_status decode_scheduler_save(struct decode_scheduler *s, const char *path,
                                      const uint8_t binding[SHA256_BYTES], uint64_t bytes_max,
                                      size_t *ret_n, struct rag_error *reterr);

struct decode_scheduler_stats {
    size_t n_running;
    size_t n_waiting;
    uint64_t n_requests; /* since open, as what follows */
    uint64_t n_prompt_tokens;
    uint64_t n_cached_tokens;
    uint64_t n_output_tokens;
    uint64_t n_drafted;
    uint64_t n_accepted;
    uint64_t n_turns;
    struct kv_cache_stats kv;
};
void decode_scheduler_stats(struct decode_scheduler *s, struct decode_scheduler_stats *ret);

#endif
