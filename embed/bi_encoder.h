/* embed/bi_encoder.h - text to unit vector, as sentence-transformers would.
 *
 * Of the model directory are honoured: modules.json (Transformer, Pooling, Normalize, Dense with
 * its activation), 1_Pooling/config.json (mean, cls, max; several concatenated are an error),
 * sentence_bert_config.json (max_seq_length, do_lower_case), config_sentence_transformers.json
 * (prompts "query" / "passage" or "document"; default_prompt_name). Without these: mean pooling,
 * the model's max tokens (and tokenizer_config.json's model_max_length, if smaller), and for e5
 * models (by name in config.json's _name_or_path or the directory's name) "query: " and
 * "passage: ". The result is always of length 1.
 *
 *     v = dense(pool(encoder(tokens(prompt + text))));  v = v[0..dim) / |v[0..dim)|_2
 *
 * Source: Reimers and Gurevych, "Sentence-BERT", 2019; Kusupati et al., "Matryoshka Representation
 * Learning", 2022 (dim smaller than the model's). */
#ifndef RAG_EMBED_BI_ENCODER_H
#define RAG_EMBED_BI_ENCODER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/remote_embedder.h"
#include "nn/encoder.h"
#include "nn/tokenizer.h"

#define EMBEDDER_FINGERPRINT_BYTES 65 /* hex SHA-256 and its NUL */

struct bi_encoder; /* opaque; immutable after open, thread-safe */

/* Which prompt goes before the text. Plain: that of default_prompt_name, normally none. */
enum embed_role { EMBED_PLAIN, EMBED_QUERY, EMBED_PASSAGE };

struct bi_encoder_options {
    enum precision precision;
    struct compute_pool *pool;  /* borrowed; NULL: the caller's thread */
    size_t max_tokens;          /* 0: the model's; never more than its positions reach */
    size_t dim;                 /* Matryoshka truncation; 0: all */
    const char *pooling;        /* "mean", "cls", "max"; NULL: the model's, else mean */
    const char *query_prompt;   /* NULL: the model's; borrowed for the call of open only */
    const char *passage_prompt; /* NULL: the model's */
};

struct bi_encoder_info {
    const char *name; /* model_dir_name() */
    const char *dir;
    size_t dim;
    size_t max_tokens;
    const char *pooling; /* "mean", "cls", "max" */
    const char *query_prompt;
    const char *passage_prompt;
    /* SHA-256 of the contents of weights and tokenizer (nn/model_files.h), and of pooling, dense
     * layers, prompts, max tokens, dim: vectors of two different fingerprints must never be
     * compared. Precision is not part of it: int8 is within .99. */
    char fingerprint[EMBEDDER_FINGERPRINT_BYTES];
    struct encoder_info encoder;
};

/* Statuses of encoder_open(), tokenizer_open() and sentence_settings_read(); RAG_EINVAL: options
 * (a dim larger than the model's, a pooling that is not known, a prompt that is too long). */
enum rag_status bi_encoder_open(const char *dir, const struct bi_encoder_options *options,
                                struct bi_encoder **ret, struct rag_error *reterr);
/* The same of another server (embed/remote_embedder.h): info names its URL as 'dir', max_tokens is
 * 0, the encoder's info is empty but for the family "remote", and there is no tokenizer and no
 * encoder. Such a one is never computed with here: bi_encoder_remote() is asked. */
enum rag_status bi_encoder_open_remote(const struct remote_embedder_options *options,
                                       struct bi_encoder **ret, struct rag_error *reterr);
const struct remote_embedder *bi_encoder_remote(const struct bi_encoder *b); /* NULL: it is local */
void bi_encoder_close(struct bi_encoder *b);                                 /* NULL is a no-op */
void bi_encoder_info(const struct bi_encoder *b, struct bi_encoder_info *ret);

struct embed_text {
    const char *text; /* UTF-8, NFC */
    size_t n_bytes;
};

/* ret_vectors [n, dim], row i for texts[i]; of use only on RAG_OK. Sorted by length and cut into
 * batches inside. Longer texts are truncated to max_tokens; ret_tokens ([n] or NULL): tokens that
 * were used. RAG_EINVAL (not UTF-8), RAG_EFORMAT (a token that the model has not), RAG_ECANCELLED,
 * RAG_ENOMEM, RAG_EIO, RAG_ENUMERIC. */
enum rag_status bi_encoder_embed(const struct bi_encoder *b, const struct embed_text *texts,
                                 size_t n, enum embed_role role, const atomic_bool *cancel,
                                 float *ret_vectors, uint32_t *ret_tokens,
                                 struct rag_error *reterr);

const struct tokenizer *bi_encoder_tokenizer(const struct bi_encoder *b);
const struct encoder *bi_encoder_encoder(const struct bi_encoder *b);

#endif
