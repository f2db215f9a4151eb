/* embed/sentence_transformers.h - what the sentence-transformers files of a model directory say.
 *
 *     modules.json                        which modules, in order, and in which folders
 *     1_Pooling/config.json               mean, cls or max
 *     N_Dense/config.json, *.safetensors  y = activation(W x + b) behind the pooling
 *     sentence_bert_config.json           max_seq_length, do_lower_case
 *     config_sentence_transformers.json   prompts, default_prompt_name
 *
 * Each file may be absent. A module, pooling or activation that is not known is an error that
 * names it, since an embedding computed without it would be another model's. The files are
 * hostile: module folders stay below the directory, sizes are checked.
 * Source: huggingface/sentence-transformers, models/{Transformer,Pooling,Dense,Normalize}.py. */
#ifndef RAG_EMBED_SENTENCE_TRANSFORMERS_H
#define RAG_EMBED_SENTENCE_TRANSFORMERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bounds.h"
#include "base/status.h"
#include "embed/pooling.h"

enum dense_activation { DENSE_IDENTITY, DENSE_TANH, DENSE_RELU, DENSE_GELU, DENSE_SIGMOID };

struct dense_layer {
    size_t n_in;
    size_t n_out;
    bool normalise_first; /* a Normalize module stands before this one */
    enum dense_activation activation;
    float *weight; /* [n_out, n_in], owned */
    float *bias;   /* [n_out], owned; NULL: none */
};

struct sentence_settings {
    char *transformer_dir; /* where config.json and the weights are; owned */
    enum pooling pooling;
    size_t max_tokens; /* max_seq_length; 0: not said */
    bool lower_case;   /* the text, before the tokenizer sees it */
    struct dense_layer dense[MODEL_DENSE_MAX];
    size_t n_dense;
    char *plain_prompt;   /* of default_prompt_name; owned, "" when there is none */
    char *query_prompt;   /* "query", else the default one */
    char *passage_prompt; /* "passage" or "document", else the default one */
};

/* RAG_OK (also when no file is there: mean pooling, no prompts but e5's, see bi_encoder.h),
 * RAG_EFORMAT naming file, key, what was found and what is known; RAG_ELIMIT, RAG_EIO, RAG_ENOMEM.
 * *ret is then empty. */
enum rag_status sentence_settings_read(const char *dir, struct sentence_settings *ret,
                                       struct rag_error *reterr);
void sentence_settings_release(struct sentence_settings *s); /* a zeroed one is a no-op */

/* y [n_out] from x [n_in]. */
void dense_apply(const struct dense_layer *layer, const float *x, float *ret_y);

/* Lower case of each character, appended (Unicode simple mapping; a text that is not UTF-8 is
 * RAG_EINVAL). */
struct buf;
enum rag_status sentence_lower_case(const char *text, size_t n_bytes, struct buf *ret);

#endif
