/* generate/local.h - backend "local": a decoder in this process.
 *
 * Model, tokenizer, chat template and scheduler of one path (a GGUF file or a Hugging Face
 * directory). With GROUNDING_STRICT the passages are put into the prompt by generate/grounding.h
 * and the answer leaves in whole sentences that its citations support; with GROUNDING_NONE the
 * messages go as they are and text streams as it comes.
 *
 * A call waits on the caller's thread, which is where its sink is called and its sentences are
 * checked; the scheduler's thread computes. */
#ifndef RAG_GENERATE_LOCAL_H
#define RAG_GENERATE_LOCAL_H

#include "generate/decode_scheduler.h"
#include "generate/generator.h"
#include "generate/grounding.h"
#include "nn/compute_pool.h"

struct local_options {
    const char *path;
    const char *chat_template;  /* name, or NULL: the model's own */
    enum block_type dense_type; /* BLOCK_Q8_0 or BLOCK_Q4_1 */
    bool fp32;                  /* the reference path */
    struct compute_pool *pool;  /* borrowed */
    uint64_t kv_budget_bytes;   /* 0: LOCAL_KV_BYTES_DEFAULT */
    size_t context_tokens;      /* of prompt and answer; 0: the model's, at most
                                 * LOCAL_CONTEXT_DEFAULT and what the KV budget holds */
    size_t n_running_max;       /* 0: LOCAL_RUNNING_DEFAULT */
    size_t draft_tokens;
    size_t new_tokens;                   /* of an answer that says no limit; 0:
                                          * LOCAL_NEW_TOKENS_DEFAULT */
    enum unsupported_policy unsupported; /* sentences without support: remove or mark */
    pair_score_fn *pair_score;           /* the cross-encoder; or NULL */
    void *pair_score_context;
    struct decode_turns turns; /* with who else computes */
};

/* The generator's close() frees it all. Statuses of what it opens, RAG_EINVAL (context_tokens above
 * the model's or above what the KV budget holds: numbers named); the message names the path. */
enum rag_status local_open(const struct local_options *options, struct generator **ret,
                           struct rag_error *reterr);

struct local_info {
    struct decoder_info decoder;
    const char *path;
    const char *name; /* of the model, for /v1/models; as all texts here the generator's */
    const char *chat_template;
    const char *fingerprint; /* SHA-256 of its files, its precision and its chat template */
    const char *precision;   /* "fp32", "int8", "int4" of float weights, "quantised" of a file's own
                              * blocks */
    uint64_t file_bytes;
    uint64_t kv_budget_bytes;
    size_t context_tokens;
    size_t new_tokens;
};
/* All of a generator that local_open() made. */
void local_info(const struct generator *g, struct local_info *ret);
void local_stats(const struct generator *g, struct decode_scheduler_stats *ret);
/* What earlier prompts left, from and to a file that belongs to this model, its precision and this
 * machine's kernels: decode_scheduler_load(), decode_scheduler_save(). */
enum rag_status local_load(struct generator *g, const char *path, size_t *ret_n,
                           struct rag_error *reterr);
enum rag_status local_save(struct generator *g, const char *path, uint64_t bytes_max, size_t *ret_n,
                           struct rag_error *reterr);

#endif
