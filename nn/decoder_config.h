/* nn/decoder_config.h - what a decoder model's own description says: config.json of a Hugging Face
 * directory or the keys of a GGUF file, as numbers.
 *
 * model_type / general.architecture: llama, exaone (3.x), qwen2, qwen3, gemma3 (text). Keys that
 * would change the result and that this engine does not have (another rope scaling than llama3,
 * linear or none, a mixture of experts, biases where none are known, soft-capping, another
 * activation) are errors naming them; keys about training are not read. Hostile: every number has
 * its limit in base/bounds.h (DECODER_*). */
#ifndef RAG_NN_DECODER_CONFIG_H
#define RAG_NN_DECODER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/gguf.h"

enum decoder_family {
    DECODER_LLAMA,
    DECODER_EXAONE,
    DECODER_QWEN2,
    DECODER_QWEN3,
    DECODER_GEMMA3,
};
const char *decoder_family_name(enum decoder_family family); /* "llama" ... */

#define DECODER_EOS_MAX 8

struct decoder_config {
    enum decoder_family family;
    size_t n_layers;
    size_t hidden;
    size_t n_heads;
    size_t n_kv_heads; /* divides n_heads: query heads j*g .. j*g+g-1 read kv head j */
    size_t head_dim;   /* even; n_heads * head_dim need not be hidden */
    size_t intermediate;
    size_t vocab_size;
    size_t context_max; /* positions that the model was made for */
    float norm_epsilon;
    float norm_offset;     /* added to every norm weight: 1 for Gemma's safetensors, else 0 */
    float embedding_scale; /* sqrt(hidden) for Gemma, else 1 */
    float attention_scale; /* 1 / sqrt(head_dim), or as query_pre_attn_scalar says */
    bool rope_interleaved; /* pairs (2i, 2i+1): q and k of a GGUF "llama"; else (i, i + d/2) */
    float rope_theta;
    float *rope_divisors; /* [head_dim / 2], of the frequencies (llama3, linear); owned; NULL: 1s */
    size_t sliding_window;  /* keys that a local layer sees, its own included; 0: all see all */
    size_t sliding_pattern; /* with a window: layer i is global when (i + 1) % pattern == 0 */
    float rope_theta_local; /* of local layers, without divisors */
    bool qkv_bias;
    bool qk_norm;    /* RMS norm of each head of q and k before the rotation */
    bool post_norms; /* Gemma: norms behind attention and feed-forward too */
    bool gelu;       /* gated by gelu (tanh form); else silu */
    bool tied;       /* the head is the embedding table */
    bool has_bos;
    uint32_t bos_id;
    bool add_bos; /* the model's texts begin with it */
    uint32_t
        eos_ids[DECODER_EOS_MAX]; /* any of them ends an answer; generation_config.json's too */
    size_t n_eos;
};

/* 'path': a GGUF file, or a directory. The g form reads keys of an open file.
 * RAG_ENOTFOUND, RAG_EIO, RAG_ENOMEM, RAG_ELIMIT, RAG_EFORMAT (which key, found, expected). */
enum rag_status decoder_config_open(const char *path, struct decoder_config *ret,
                                    struct rag_error *reterr);
enum rag_status decoder_config_of_gguf(const struct gguf *g, struct decoder_config *ret,
                                       struct rag_error *reterr);
/* n bytes of config.json; 'path' names the model in messages. */
enum rag_status decoder_config_parse(const char *path, const char *text, size_t n,
                                     struct decoder_config *ret, struct rag_error *reterr);
void decoder_config_release(struct decoder_config *c); /* a zeroed one is a no-op */

/* Is 'path' a decoder at all (a .gguf file, or a directory whose config.json names a decoder's
 * architecture, or that holds exactly one .gguf)? No statement about whether it can be loaded. */
bool decoder_config_is_decoder(const char *path);
/* The GGUF file that 'path' means: itself, or the only *.gguf of a directory without *.safetensors;
 * malloc'ed. *ret = NULL and RAG_OK: a Hugging Face directory, which has *.safetensors, or a
 * config.json and no *.gguf. RAG_ENOTFOUND (none of these), RAG_EFORMAT
 * (several *.gguf), RAG_EIO, RAG_ENOMEM. */
enum rag_status decoder_gguf_path(const char *path, char **ret, struct rag_error *reterr);

#endif
