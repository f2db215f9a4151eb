/* nn/decoder.h - autoregressive transformers: Llama, EXAONE 3.x, Qwen2, Qwen3, Gemma 3.
 *
 *     h = x + W_o attention(rope(W_q n), rope(W_k n), W_v n),  n = rms_norm(x)
 *     y = h + W_down (act(W_gate m) * W_up m),                 m = rms_norm(h)
 *     logits = W_head rms_norm(y_last)
 *
 * (Gemma norms behind both halves too; nn/decoder_config.h has the differences.) One call computes
 * a ragged batch: some new tokens of each of several sequences; prefill in chunks, decoding of many
 * sequences and verification of drafts are all the same call. A token's logits do not depend on any
 * of it, to the last bit, for each instruction set.
 *
 * DECODER_BLOCKS: weights in blocks (nn/block_linear.h), activations in int8 blocks, KV in f16.
 * DECODER_FP32: everything in float32 from the dequantised weights, KV in f32: the reference. */
#ifndef RAG_NN_DECODER_H
#define RAG_NN_DECODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/compute_pool.h"
#include "nn/decoder_config.h"
#include "nn/kv_cache.h"
#include "nn/model_tensors.h"

enum decoder_precision { DECODER_BLOCKS, DECODER_FP32 };

struct decoder; /* opaque; immutable after open, but for the memory of the call in progress */

struct decoder_options {
    enum decoder_precision precision;
    enum block_type dense_type; /* what F32/F16/BF16 weights become: BLOCK_Q8_0 or BLOCK_Q4_1 */
    struct compute_pool *pool;  /* borrowed; NULL: the caller's thread */
};

struct decoder_info {
    const char *family;
    const char *kernels;
    uint64_t n_parameters;
    uint64_t bytes; /* of memory held, mapped files not counted */
    uint64_t kv_bytes_per_token;
    size_t context_max;
    size_t vocab_size;
};

/* t: borrowed for the decoder's life (the embedding table is read from it). RAG_ENOMEM, RAG_ELIMIT,
 * RAG_ENUMERIC, RAG_EFORMAT, RAG_EIO (truncated while read). */
enum rag_status decoder_open(const struct model_tensors *t, const struct decoder_options *options,
                             struct decoder **ret, struct rag_error *reterr);
void decoder_close(struct decoder *d); /* NULL is a no-op */
void decoder_info(const struct decoder *d, struct decoder_info *ret);
const struct decoder_config *decoder_config(const struct decoder *d);
/* For a cache of this decoder; set budget_bytes and hash_key. */
struct kv_cache_options decoder_kv_options(const struct decoder *d);

struct decoder_input {
    struct kv_sequence *sequence;
    const uint32_t *ids; /* appended to the sequence */
    size_t n;            /* 1 .. DECODER_RUN_TOKENS_MAX over all inputs */
    size_t n_logits;     /* of the last n_logits of these tokens logits are wanted; 0: none */
    float *ret_logits;   /* [n_logits, vocab_size] */
};

struct decoder_run_options {
    /* Both are looked at on the caller's thread about every 10 ms: after some layers, or, where a
     * layer takes longer, after each of its ten steps. */
    const atomic_bool *cancel;             /* or NULL */
    void (*between_layers)(void *context); /* others may compute now; or NULL */
    void *context;
};

/* Reserves room in each sequence, computes, commits. On failure no sequence is longer than before.
 * One call at a time per decoder. RAG_EINVAL (an id out of range, a sequence beyond context_max),
 * RAG_EBUSY and RAG_ELIMIT of kv_sequence_reserve(), RAG_ENOMEM, RAG_EIO (weights gone),
 * RAG_ENUMERIC (logits not finite), RAG_ECANCELLED. */
enum rag_status decoder_run(struct decoder *d, const struct decoder_input *inputs, size_t n,
                            const struct decoder_run_options *options, struct rag_error *reterr);

#endif
