/* nn/encoder.h - transformer encoders: BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA.
 *
 * From config.json and safetensors of a Hugging Face directory to hidden states and logits.
 *
 *     x_0     = LN(word[id] + position[p] + type[t])             (ELECTRA: projected to hidden)
 *     a       = softmax(q k^T / sqrt(d_head)) v per head;  x = LN(x + W_o a + b_o)
 *     x_{l+1} = LN(x + W_2 act(W_1 x + b_1) + b_2)
 *
 * Sequences of one call are packed: rows of all tokens one after another, no padding, attention
 * within each sequence. The result of a sequence does not depend on what else is in the call
 * (bit-equal alone and in any batch, on the same machine and thread count or not).
 *
 * FP32: exact reference path on OpenBLAS. INT8: weights per output channel, symmetric, |w| <= 127;
 * activations per token, dynamic, around the token's middle, columns made alike beforehand
 * (nn/q8_rows.h, nn/encoder_columns.c); int32 sums, the same integers on every CPU; layers whose
 * check failed stay fp32 (encoder_check). Files that hold all that: nn/encoder_pack.h. */
#ifndef RAG_NN_ENCODER_H
#define RAG_NN_ENCODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/compute_pool.h"

enum precision { PRECISION_FP32, PRECISION_INT8 };

struct encoder; /* opaque; immutable after open: calls from any threads, side by side */

struct encoder_options {
    enum precision precision;
    struct compute_pool *pool; /* borrowed for the encoder's life; NULL: the caller's thread */
};

struct encoder_info {
    const char *family; /* "bert", "roberta", "xlm-roberta", "distilbert", "electra" */
    size_t n_layers;
    size_t hidden; /* width of a state */
    size_t n_heads;
    size_t intermediate;
    size_t vocab_size;
    size_t max_tokens; /* that positions reach, special tokens included: 512, RoBERTa's 514 - 2 */
    size_t n_types;    /* segments known: types must be smaller */
    size_t n_labels;   /* of the classification head; 0: none */
    uint64_t n_parameters;
    uint64_t bytes; /* of memory held, mapped files not counted */
    const char
        *kernels; /* "amx-int8", "avx512-vnni", "avx2", "portable", "openblas SkylakeX" ... */
    size_t n_fp32_layers; /* of an int8 encoder: linear layers kept in fp32 */
};

/* RAG_ENOTFOUND, RAG_EIO, RAG_ENOMEM, RAG_ELIMIT, RAG_EFORMAT (which file, tensor or key of
 * config.json, what was found, what was expected; an architecture not in the list above). */
enum rag_status encoder_open(const char *dir, const struct encoder_options *options,
                             struct encoder **ret, struct rag_error *reterr);
void encoder_close(struct encoder *e); /* NULL is a no-op */
void encoder_info(const struct encoder *e, struct encoder_info *ret);

struct encoder_input {
    const uint32_t *ids;  /* [n_tokens], each < vocab_size */
    const uint8_t *types; /* [n_tokens], or NULL: all 0 */
    size_t n_tokens;      /* 1 .. max_tokens */
};

enum encoder_rows {
    ENCODER_ALL_TOKENS,  /* ret [sum of n_tokens, hidden] */
    ENCODER_FIRST_TOKEN, /* ret [n, hidden]: state of the first token of each input (CLS); the last
                          * layer then computes no others */
};

/* Last hidden states of n inputs. cancel (may be NULL) is looked at between layers.
 * RAG_OK; RAG_EINVAL (input i: too long, an id or type out of range); RAG_ENOMEM; RAG_EIO (weights
 * truncated on disk meanwhile); RAG_ENUMERIC (a state is not finite); RAG_ECANCELLED. */
enum rag_status encoder_run(const struct encoder *e, const struct encoder_input *inputs, size_t n,
                            enum encoder_rows rows, const atomic_bool *cancel, float *ret_states,
                            struct rag_error *reterr);

/* Logits [n, n_labels] of the classification head (BERT: pooler dense + tanh + classifier;
 * RoBERTa: dense + tanh + out_proj on <s>; ELECTRA: dense + gelu + out_proj; DistilBERT:
 * pre_classifier + relu + classifier). RAG_EINVAL when there is no head, else as encoder_run(). */
enum rag_status encoder_classify(const struct encoder *e, const struct encoder_input *inputs,
                                 size_t n, const atomic_bool *cancel, float *ret_logits,
                                 struct rag_error *reterr);

/* ---- which layers bear int8 (ragctl model check) ----
 *
 * encoder_open() with PRECISION_INT8 tries each linear layer with token ids drawn at random and
 * keeps those in fp32 that do not bear it. A model directory needs nothing beside the model for
 * that. */

struct layer_check {
    const char *name;  /* "encoder.layer.3.output.dense"; owned by the encoder */
    double cosine_min; /* between int8 and fp32 output rows of this linear layer, over all tokens */
    bool fp32;         /* kept (or to be kept) in fp32: cosine_min < .99 (NaN: packed so) */
};
/* Run the inputs in fp32 and compare each linear layer's int8 output for the same input rows with
 * its fp32 output. *ret is malloc'ed. Only for an encoder opened with PRECISION_INT8. */
enum rag_status encoder_check(const struct encoder *e, const struct encoder_input *inputs, size_t n,
                              struct layer_check **ret, size_t *ret_n, struct rag_error *reterr);

#endif
