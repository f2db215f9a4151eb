/* generate/decode_job.h - one request of the scheduler: its tokens, its text and where it stands.
 * Internal to generate/decode_scheduler.c.
 *
 * Invariants, once the prompt is computed: ids[0..n_ids) are prompt and answer, and the sequence
 * holds all of them but the last one, which is the next to be computed. A draft lies behind them in
 * the same array, ids[n_ids..n_ids + n_draft), so that one run takes the last token and the draft.
 *
 * Who touches what: the fields of the first block are set by the caller before it queues the job;
 * those of the second belong to the scheduler's thread while it runs; those of the third are
 * guarded by the scheduler's mutex. */
#ifndef RAG_GENERATE_DECODE_JOB_H
#define RAG_GENERATE_DECODE_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "generate/decode_scheduler.h"
#include "generate/prompt_lookup.h"
#include "generate/sampler.h"
#include "generate/stop_filter.h"
#include "nn/kv_cache.h"

struct decode_job {
    const struct decode_request *request;
    const struct token_bytes *token_bytes; /* with a schema; borrowed */
    size_t vocab_size;                     /* of the logits */
    int64_t begun_ns;
    atomic_bool stopped; /* the sink wants no more */

    struct sampler *sampler; /* owned, as all that follows */
    struct stop_filter *stop;
    struct json_schema_state *schema; /* or NULL */
    struct token_stream stream;
    uint64_t *allowed; /* bits, with a schema */
    uint32_t *ids;     /* [n_prompt + n_new_max] */
    size_t n_ids;
    size_t n_draft;
    size_t draft_max;             /* tokens of the next draft, after how the last ones fared */
    unsigned n_misses;            /* drafts in a row of which nothing was taken */
    unsigned n_turns_plain;       /* to come without a draft */
    size_t n_shown;               /* bytes of text */
    struct buf piece;             /* text that a token let out */
    struct buf fresh;             /* text of this turn */
    struct kv_sequence *sequence; /* or NULL: nothing is computed */
    size_t n_pages_max;           /* that it may come to hold */
    size_t n_turn_tokens;         /* of it in this turn */
    int64_t admitted_ns;
    int64_t first_ns; /* the first token was there; 0: not yet */
    bool ended;       /* finish_reason says how */
    struct decode_outcome outcome;

    struct buf text; /* for the sink */
    bool running;
    bool finished;
    enum rag_status status;
    struct rag_error error;
    pthread_cond_t wake;
    struct decode_job *next; /* in the queue */
};

/* RAG_ENOMEM, RAG_EINVAL and what its parts say. On failure nothing is held. n_prompt and n_new_max
 * are within the context. */
enum rag_status decode_job_init(struct decode_job *job, const struct decode_request *request,
                                const struct tokenizer *tokenizer,
                                const struct token_bytes *token_bytes, size_t vocab_size,
                                size_t draft_tokens, struct rag_error *reterr);
/* Everything but outcome.ids. The sequence is closed already. */
void decode_job_release(struct decode_job *job);

bool decode_job_prefilled(const struct decode_job *job);
/* Why it must not go on, or that it may: *ret. */
bool decode_job_unwanted(const struct decode_job *job, int64_t now_ns, enum finish_reason *ret);

/* A draft of at most n_most tokens behind ids; sets n_draft. */
void decode_job_draft(struct decode_job *job, size_t n_most);
/* Logits of the last token and of each token of the draft, [1 + n_draft, vocab_size] (changed):
 * choose tokens as long as the draft goes with them, and one more. Text collects in 'fresh'; sets
 * 'ended' and the outcome's reason when it is complete. */
enum rag_status decode_job_advance(struct decode_job *job, float *logits, size_t draft_tokens,
                                   struct rag_error *reterr);

#endif
