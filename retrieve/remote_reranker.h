/* retrieve/remote_reranker.h - how well a passage answers a query, by another server.
 *
 * POST {base_url}/rerank, in Cohere's form (Jina, vLLM and others have it) or that of Hugging
 * Face's text embeddings inference. What comes back is not trusted: each passage must have exactly
 * one score, a number. Scores of a call that are not all within 0..1 are logits, and are brought
 * there by 1 / (1 + e^-x), which keeps their order. Thread-safe.
 * Source: docs.cohere.com/reference/rerank; TEI's OpenAPI description. */
#ifndef RAG_RETRIEVE_REMOTE_RERANKER_H
#define RAG_RETRIEVE_REMOTE_RERANKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/remote.h"

struct pair_text;       /* retrieve/cross_encoder.h */
struct remote_reranker; /* opaque */

enum remote_rerank_api { REMOTE_RERANK_COHERE, REMOTE_RERANK_TEI };

struct remote_reranker_options {
    struct remote *remote; /* borrowed */
    enum remote_rerank_api api;
    const char *model; /* its name there; NULL: the server has one only */
};
/* The name is copied. RAG_OK, RAG_EINVAL, RAG_ENOMEM. */
enum rag_status remote_reranker_open(const struct remote_reranker_options *options,
                                     struct remote_reranker **ret, struct rag_error *reterr);
void remote_reranker_close(struct remote_reranker *r); /* NULL is a no-op */

struct remote_reranker_info {
    const char *url;
    const char *name;     /* of the model; "remote" when it has none */
    char fingerprint[65]; /* SHA-256 of URL, API and model */
};
void remote_reranker_info(const struct remote_reranker *r, struct remote_reranker_info *ret);

/* Scores of the first *ret_n_scored passages (all of them, unless the deadline passed behind some).
 * raw: logits, which only TEI gives. Statuses of remote_do(); RAG_EFORMAT; RAG_EINVAL: no raw
 * scores there. */
enum rag_status remote_reranker_score(const struct remote_reranker *r, struct pair_text query,
                                      const struct pair_text *passages, size_t n, bool raw,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_scores, size_t *ret_n_scored,
                                      struct rag_error *reterr);

#endif
