/* nn/model_tensors.h - the matrices of a decoder under one set of names, from either format.
 *
 * Names are those of Hugging Face's Llama: "model.embed_tokens.weight",
 * "model.layers.3.self_attn.q_proj.weight" (.bias), "...k_proj", "...v_proj", "...o_proj",
 * "...self_attn.q_norm.weight", "...mlp.gate_proj.weight", "...up_proj", "...down_proj",
 * "...input_layernorm.weight", "...post_attention_layernorm.weight",
 * "...pre_feedforward_layernorm.weight", "...post_feedforward_layernorm.weight",
 * "model.norm.weight", "lm_head.weight". EXAONE's own names (transformer.h.3.attn.attention.q_proj
 * ...) and those of GGUF (blk.3.attn_q ...) are translated; Gemma's norms in GGUF keep their
 * meaning, not their place in the alphabet. */
#ifndef RAG_NN_MODEL_TENSORS_H
#define RAG_NN_MODEL_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "nn/compute_pool.h"
#include "nn/decoder_config.h"
#include "nn/quant_blocks.h"

struct model_tensors; /* opaque; immutable after open */

/* A matrix [n_rows, n_cols] (a vector: one row), as its file has it. */
struct matrix {
    const char *name; /* as the file names it; owned by the tensors, as data */
    enum block_type type;
    size_t n_rows;
    size_t n_cols;
    size_t row_bytes;
    const uint8_t *data; /* row i at data + i * row_bytes; maybe unaligned */
};

/* A GGUF file or a Hugging Face directory, with its configuration. Statuses of gguf_open(),
 * weights_open() and decoder_config_open(). */
enum rag_status model_tensors_open(const char *path, struct model_tensors **ret,
                                   struct rag_error *reterr);
void model_tensors_close(struct model_tensors *t); /* NULL is a no-op */
const struct decoder_config *model_tensors_config(const struct model_tensors *t);
/* NULL: a directory. For the tokenizer and the chat template. */
const struct gguf *model_tensors_gguf(const struct model_tensors *t);
const char *model_tensors_path(const struct model_tensors *t);

bool model_tensors_has(const struct model_tensors *t, const char *name);
/* RAG_EFORMAT: missing, or another shape than [n_rows, n_cols] (a vector: n_rows 1); names both. */
enum rag_status model_tensors_need(const struct model_tensors *t, const char *name, size_t n_rows,
                                   size_t n_cols, struct matrix *ret, struct rag_error *reterr);
/* Every tensor of the files, known by its file's own name, ascending; rows of all dimensions but
 * the last. i < model_tensors_count(). */
size_t model_tensors_count(const struct model_tensors *t);
void model_tensors_at(const struct model_tensors *t, size_t i, struct matrix *ret);
/* Row i as float32 [n_cols]. */
void matrix_read_row(const struct matrix *m, size_t i, float *ret);
void model_tensors_forget(const struct model_tensors *t, const struct matrix *m);
enum rag_status model_tensors_intact(const struct model_tensors *t, struct rag_error *reterr);
uint64_t model_tensors_bytes(const struct model_tensors *t); /* of all files */

/* What the files are: model_file_digest() of a GGUF file; of a directory SHA-256 over
 * model_digest() and the same of what only decoders have (generation_config.json, tokenizer.model,
 * chat_template.jinja; zeros for one that is not there). pool may be NULL. RAG_EIO, RAG_ENOMEM,
 * RAG_ELIMIT, RAG_ENOTFOUND (gone meanwhile). */
enum rag_status model_tensors_digest(const struct model_tensors *t, struct compute_pool *pool,
                                     uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr);

#endif
