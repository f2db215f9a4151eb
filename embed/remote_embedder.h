/* embed/remote_embedder.h - text to unit vector, by another server.
 *
 * POST {base_url}/embeddings (OpenAI's, which many serve) or {base_url}/embed (Hugging Face's text
 * embeddings inference). What comes back is not trusted: the number of vectors, their length and
 * every number are checked, and each vector is brought to length 1. Thread-safe.
 * Source: platform.openai.com/docs/api-reference/embeddings; TEI's OpenAPI description. */
#ifndef RAG_EMBED_REMOTE_EMBEDDER_H
#define RAG_EMBED_REMOTE_EMBEDDER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/remote.h"

struct embed_text;      /* embed/bi_encoder.h */
struct remote_embedder; /* opaque */

enum remote_embed_api { REMOTE_EMBED_OPENAI, REMOTE_EMBED_TEI };

struct remote_embedder_options {
    struct remote *remote; /* borrowed */
    enum remote_embed_api api;
    const char *model;        /* its name there; NULL: the server has one only */
    size_t dim;               /* numbers of a vector there */
    size_t batch;             /* texts of one request; 0: REMOTE_BATCH_DEFAULT */
    const char *query_prompt; /* before questions; NULL: nothing */
    const char *passage_prompt;
};
/* Texts are copied. RAG_OK, RAG_EINVAL naming the option, RAG_ENOMEM. */
enum rag_status remote_embedder_open(const struct remote_embedder_options *options,
                                     struct remote_embedder **ret, struct rag_error *reterr);
void remote_embedder_close(struct remote_embedder *e); /* NULL is a no-op */

struct remote_embedder_info {
    const char *url;
    const char *name; /* of the model; "remote" when it has none */
    size_t dim;
    const char *query_prompt;
    const char *passage_prompt;
    char fingerprint[65]; /* SHA-256 of URL, API, model, dim and prompts */
};
void remote_embedder_info(const struct remote_embedder *e, struct remote_embedder_info *ret);

/* 'prompt' (or NULL) before each text; ret_vectors [n, dim], of use only on RAG_OK. *ret_tokens:
 * as the server counted, 0 when it does not. Statuses of remote_do(); RAG_EFORMAT (another shape,
 * number or length); RAG_ENUMERIC (a vector that is zero or no number). */
enum rag_status remote_embedder_embed(const struct remote_embedder *e,
                                      const struct embed_text *texts, size_t n, const char *prompt,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_vectors, uint64_t *ret_tokens,
                                      struct rag_error *reterr);

#endif
