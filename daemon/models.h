/* daemon/models.h - the models that this daemon has loaded, and the turn-taking before them.
 *
 * One embedder and one reranker, from [models] of ragd.conf; each may be absent ("" in the
 * configuration), and then the stages that need it are left out. Requests of several clients that
 * wait at the same moment are computed in one batch; questions go before documents, and a batch of
 * documents is small enough (EMBED_SLICE_TOKENS) that a question never waits for long.
 * Thread-safe. Used by the pipeline, the background embedder and /v1/embeddings, /v1/rerank. */
#ifndef RAG_DAEMON_MODELS_H
#define RAG_DAEMON_MODELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/bi_encoder.h"
#include "retrieve/cross_encoder.h"

struct models; /* opaque */

struct models_options {
    const char *embedder_dir; /* "" or NULL: none */
    const char *reranker_dir;
    enum precision precision;
    size_t n_threads; /* of the compute pool; 0: the cores */
    size_t embedder_max_tokens; /* 0: the model's */
    size_t embedder_dim;        /* 0: the model's */
    const char *query_prompt;   /* NULL: the model's */
    const char *passage_prompt;
    size_t reranker_max_tokens;
};

enum rag_status models_open(const struct models_options *options, struct models **ret,
                            struct rag_error *reterr);
void models_close(struct models *m); /* NULL is a no-op */

/* NULL when there is none. Borrowed for the life of m. */
const struct bi_encoder *models_embedder(const struct models *m);
const struct cross_encoder *models_reranker(const struct models *m);
struct compute_pool *models_pool(const struct models *m);

enum models_class { MODELS_INTERACTIVE, MODELS_BULK };

/* bi_encoder_embed() of 'b' (the configured embedder, or an older one that still serves), batched
 * with what else waits. RAG_EBUSY when MODELS_QUEUE_MAX requests wait; RAG_ETIMEOUT past
 * deadline_ns (0: none); RAG_ECANCELLED; else its statuses. */
enum rag_status models_embed(struct models *m, const struct bi_encoder *b, enum models_class c,
                             const struct embed_text *texts, size_t n, enum embed_role role,
                             int64_t deadline_ns, const atomic_bool *cancel, float *ret_vectors,
                             uint32_t *ret_tokens, struct rag_error *reterr);
/* cross_encoder_score() of the reranker; budget_ns: give up scoring more after this many ns. */
enum rag_status models_rerank(struct models *m, struct pair_text query,
                              const struct pair_text *passages, size_t n, bool raw,
                              int64_t budget_ns, const atomic_bool *cancel, float *ret_scores,
                              size_t *ret_n_scored, struct rag_error *reterr);

struct models_stats {
    uint64_t n_texts;
    uint64_t n_tokens;
    uint64_t n_batches;
    uint64_t n_pairs;
    size_t n_waiting;
    double busy_ms; /* computing, since start */
};
void models_stats(struct models *m, struct models_stats *ret);

#endif
