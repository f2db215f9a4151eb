/* nn/model_config.h - config.json of an encoder, as Hugging Face's transformers writes it.
 *
 * Families (model_type): bert, roberta, camembert (a RoBERTa), xlm-roberta, distilbert (its own
 * key names), electra. Keys that would change the result and that this engine does not have
 * (position_embedding_type other than "absolute", a decoder, cross attention, pruned heads ...) are
 * errors naming them; keys about training (dropout, initializer_range) are not read. The file is
 * hostile: every number has its limit in base/bounds.h. */
#ifndef RAG_NN_MODEL_CONFIG_H
#define RAG_NN_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/linear.h"

enum model_family {
    FAMILY_BERT,
    FAMILY_ROBERTA,
    FAMILY_XLM_ROBERTA,
    FAMILY_DISTILBERT,
    FAMILY_ELECTRA,
};

struct model_config {
    enum model_family family;
    size_t n_layers;
    size_t hidden;    /* a multiple of n_heads */
    size_t embedding; /* width of the embedding tables; differs from hidden in ELECTRA alone */
    size_t n_heads;
    size_t intermediate;
    size_t vocab_size;
    size_t n_positions; /* rows of the position table */
    size_t n_types;     /* rows of the segment table; 0: there is none (DistilBERT) */
    float layer_norm_epsilon;
    enum linear_activation activation;
    /* RoBERTa: a token's position is pad_id + the count of tokens other than pad_id up to and with
     * it; a pad token's is pad_id. Others: 0, 1, 2 ... */
    bool counts_from_pad;
    uint32_t pad_id;
    size_t max_tokens;                      /* that n_positions is enough for */
    bool classifies;                        /* "architectures" names a sequence classifier */
    size_t n_labels;                        /* of id2label or num_labels; 0: neither is there */
    enum linear_activation head_activation; /* ELECTRA's summary: gelu; others: tanh, relu */
};

/* dir/config.json. RAG_ENOTFOUND, RAG_EIO, RAG_ENOMEM, RAG_ELIMIT, RAG_EFORMAT (which key, what was
 * found, what is expected). */
enum rag_status model_config_open(const char *dir, struct model_config *ret,
                                  struct rag_error *reterr);

/* n bytes of JSON text; 'dir' names the model in messages. As model_config_open(). */
enum rag_status model_config_parse(const char *dir, const char *text, size_t n,
                                   struct model_config *ret, struct rag_error *reterr);

/* "bert", "roberta", "xlm-roberta", "distilbert", "electra" */
const char *model_family_name(enum model_family family);

#endif
