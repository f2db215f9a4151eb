/* daemon/models.h - the models that this daemon has loaded, and the turn-taking before them.
 *
 * One embedder and one reranker, from [models] of ragd.conf; each may be absent ("" in the
 * configuration), and then the stages that need it are left out. One thread runs the models on the
 * compute pool, a slice at a time: a slice is what takes about MODELS_SLICE_MS at the speed
 * measured so far. Requests that wait at the same moment for the same model and role share a
 * slice; a long request gives way after each of its slices. Questions go before documents, but
 * after MODELS_PREFERRED_MAX slices of questions documents have one. So a question waits for one
 * slice of others, whatever else goes on.
 * A decoder, when there is one, computes on the same pool and gives way between its layers
 * (daemon/compute_turns.h).
 * Either may be another server's instead ([remote] of ragd.conf): then a call waits for that server
 * on the caller's thread and needs no turn, and its texts leave the machine. Each call therefore
 * says whether they may; where they may not, a remote model is RAG_EDENIED and nothing is sent.
 * Thread-safe. Used by the pipeline, the background embedder and /v1/embeddings, /v1/rerank. */
#ifndef RAG_DAEMON_MODELS_H
#define RAG_DAEMON_MODELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "daemon/metrics.h"
#include "embed/bi_encoder.h"
#include "generate/decode_scheduler.h"
#include "retrieve/cross_encoder.h"

struct models; /* opaque */

struct models_options {
    const char *embedder_dir; /* "" or NULL: none */
    const char *reranker_dir;
    enum precision precision;
    size_t n_threads;           /* of the compute pool; 0: the cores */
    size_t embedder_max_tokens; /* 0: the model's */
    size_t embedder_dim;        /* 0: the model's */
    const char *query_prompt;   /* NULL: the model's */
    const char *passage_prompt;
    size_t reranker_max_tokens;
    const struct remote_embedder_options *remote_embedder; /* in place of embedder_dir; or NULL */
    const struct remote_reranker_options *remote_reranker; /* in place of reranker_dir; or NULL */
    bool for_decoder;        /* a pool is needed though neither of them may be there */
    struct metrics *metrics; /* borrowed; NULL: not counted */
};

/* Statuses of bi_encoder_open(), cross_encoder_open() and compute_pool_open(). */
enum rag_status models_open(const struct models_options *options, struct models **ret,
                            struct rag_error *reterr);
void models_close(struct models *m); /* no request may be waiting; NULL is a no-op */

/* NULL when there is none. Borrowed for the life of m. */
const struct bi_encoder *models_embedder(const struct models *m);
const struct cross_encoder *models_reranker(const struct models *m);
/* Is it another server's? false when there is none. */
bool models_embedder_is_remote(const struct models *m);
bool models_reranker_is_remote(const struct models *m);
struct compute_pool *models_pool(const struct models *m);
enum precision models_precision(const struct models *m);
/* How a decoder on this pool takes turns with them. */
struct decode_turns models_decode_turns(struct models *m);

enum models_class { MODELS_INTERACTIVE, MODELS_BULK };
/* May the texts of a call be sent to another server? Never those of an offline collection. */
enum models_reach { MODELS_STAY_HERE, MODELS_MAY_LEAVE };

/* bi_encoder_embed() of 'b' (the configured embedder, or an older one that still serves), batched
 * with what else waits. RAG_EBUSY when MODELS_QUEUE_MAX requests wait; RAG_ETIMEOUT past
 * deadline_ns (0: none); RAG_ECANCELLED; else its statuses. ret_tokens: [n] or NULL. What is
 * returned early leaves ret_* undefined. Of a remote one also the statuses of
 * remote_embedder_embed(); tokens as the server counted, all of them with the first text. */
enum rag_status models_embed(struct models *m, const struct bi_encoder *b, enum models_class c,
                             enum models_reach reach, const struct embed_text *texts, size_t n,
                             enum embed_role role, int64_t deadline_ns, const atomic_bool *cancel,
                             float *ret_vectors, uint32_t *ret_tokens, struct rag_error *reterr);
/* The vector of one question by 'b': that of the last EMBEDDING_CACHE_DEFAULT questions where it is
 * among them, else models_embed() of it. ret_vector: [dim of b]. */
enum rag_status models_embed_question(struct models *m, const struct bi_encoder *b,
                                      enum models_reach reach, const char *text, size_t n_bytes,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_vector, struct rag_error *reterr);
/* cross_encoder_score() of the reranker; budget_ns (0: none), counted from the call: passages are
 * scored in the order given until it is spent, at least one slice of them; *ret_n_scored says how
 * many have a score. RAG_ENOTFOUND without a reranker; else as models_embed(). */
enum rag_status models_rerank(struct models *m, enum models_reach reach, struct pair_text query,
                              const struct pair_text *passages, size_t n, bool raw,
                              int64_t budget_ns, const atomic_bool *cancel, float *ret_scores,
                              size_t *ret_n_scored, struct rag_error *reterr);

struct models_stats {
    uint64_t n_texts; /* embedded */
    uint64_t n_tokens;
    uint64_t n_batches;  /* slices of both models */
    uint64_t n_pairs;    /* reranked */
    size_t n_waiting;    /* requests */
    double busy_ms;      /* computing, since start */
    double tokens_per_s; /* of the embedder, as measured lately; 0: not yet */
};
void models_stats(struct models *m, struct models_stats *ret);

#endif
