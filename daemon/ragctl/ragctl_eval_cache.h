/* daemon/ragctl/ragctl_eval_cache.h - "ragctl eval cache": would the semantic cache answer rightly?
 *
 *   ragctl_eval_cache.c        options, models, reports
 *   ragctl_eval_cache_score.c  similarity and confirmation of pairs; questions put to a full cache
 *
 * Everything runs in this process, with the functions that the daemon's cache uses. One thread, but
 * for the models. */
#ifndef RAG_DAEMON_RAGCTL_EVAL_CACHE_H
#define RAG_DAEMON_RAGCTL_EVAL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "cache/confirm.h"
#include "cache/similarity.h"
#include "daemon/ragctl/ragctl.h"
#include "embed/bi_encoder.h"
#include "eval/cache_report.h"
#include "retrieve/cross_encoder.h"
#include "text/analyzer.h"

struct eval_cache {
    const struct ragctl_options *options;
    struct cache_pairs pairs; /* owned, as all pointers below */
    struct analyzer *analyzer;
    char *embedder_dir; /* "": none */
    char *reranker_dir;
    struct bi_encoder *encoder; /* NULL: TF-IDF */
    struct cross_encoder *reranker;
    struct compute_pool *pool;
    struct sparse_vector *sparse; /* of each text; or */
    float *dense;                 /* [n_texts, dim] */
    size_t dim;
    size_t n_vectors;
    struct confirm_pair pair; /* by the reranker; score NULL: none */
    struct cache_report report;
};

/* A vector for every text. */
enum rag_status eval_cache_vectors(struct eval_cache *e, struct rag_error *reterr);
/* Similarity and confirmation of every pair; of a question set also the pairs of the most similar
 * questions that differ. */
enum rag_status eval_cache_score(struct eval_cache *e, struct rag_error *reterr);
/* Every 'a' cached, every 'b' of the measured half asked: report.traffic. */
enum rag_status eval_cache_ask(struct eval_cache *e, struct rag_error *reterr);

#endif
