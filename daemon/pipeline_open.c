#include "daemon/pipeline_open.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/answer_payload.h"
#include "daemon/version.h"
#include "generate/local.h"

struct fusion_options fusion_configured(const struct config *config)
{
    return (struct fusion_options){
        .method = (enum fusion_method)config->fusion_method,
        .weights = {[LIST_BM25] = (float)(1 - config->fusion_weight_dense),
                    [LIST_DENSE] = (float)config->fusion_weight_dense},
        .rrf_k = (float)config->rrf_k,
        .depth = (size_t)config->fusion_depth,
    };
}

/* Everything that an answer depends on and no request can change: the configuration of what makes
 * answers, and what the files that it names really hold. */
static enum rag_status hash_settings(const struct app *app, uint8_t ret[SHA256_BYTES],
                                     struct rag_error *reterr)
{
    static const char *const sections[] = {"ask",      "retrieve", "index",  "analyzer", "models",
                                           "generate", "guard",    "openai", "remote",   NULL};
    struct cross_encoder_info reranker = {.fingerprint = ""};
    struct bi_encoder_info embedder = {.fingerprint = ""};
    struct local_info local = {.fingerprint = ""};
    const char *guard = app->pipeline.guard ? guard_fingerprint(app->pipeline.guard) : "";
    const char *analyzer = analyzer_fingerprint(app->analyzer);
    const uint8_t versions[] = {ANSWER_PAYLOAD_VERSION, RETRIEVAL_VERSION};
    uint8_t configured[SHA256_BYTES];
    enum rag_status status = config_sections_hash(app->config, sections, configured);

    if (models_embedder(app->models))
        bi_encoder_info(models_embedder(app->models), &embedder);
    if (models_reranker(app->models))
        cross_encoder_info(models_reranker(app->models), &reranker);
    if (app->generators.local)
        local_info(app->generators.local, &local);
    if (status == RAG_OK) {
        const struct sha256_part parts[] = {
            {RAGD_VERSION,         strlen(RAGD_VERSION)        },
            {versions,             sizeof versions             },
            {configured,           sizeof configured           },
            {analyzer,             strlen(analyzer)            },
            {embedder.fingerprint, strlen(embedder.fingerprint)},
            {reranker.fingerprint, strlen(reranker.fingerprint)},
            {local.fingerprint,    strlen(local.fingerprint)   },
            {guard,                strlen(guard)               },
        };

        status = sha256_lengths(parts, sizeof parts / sizeof parts[0], ret);
    }
    return status == RAG_OK ? status : rag_fail(reterr, status, "start: out of memory");
}

enum rag_status pipeline_open(struct app *app, size_t n_side, struct rag_error *reterr)
{
    struct pipeline *p = &app->pipeline;
    const struct config *config = app->config;
    const struct generators *g = &app->generators;
    enum rag_status status;

    *p = (struct pipeline){
        .store = app->store,
        .audit = app->audit,
        .analyzer = app->analyzer,
        .models = app->models,
        .n_candidates = (size_t)config->retrieve_candidates,
        .n_dense = (size_t)config->dense_candidates,
        .fusion = fusion_configured(config),
        .embed_budget_ns = config->embed_budget_ms * 1000000,
        .rerank_budget_ns = config->rerank_budget_ms * 1000000,
        .rerank_head = (size_t)config->rerank_head,
        .rerank.n_pairs = (size_t)config->rerank_pairs,
        .rerank.window_tokens = (size_t)config->rerank_window,
        .rerank.words = (float)config->rerank_words,
        .n_passages = (size_t)config->retrieve_top_k,
        .n_nearest = (size_t)config->ask_nearest,
        .gate = {.relevance_min = (float)config->gate_relevance_min},
        .rerank_pass_min = (float)config->rerank_pass_min,
        .local = g->local,
        .sampling = g->sampling,
        .guard = app->guard,
        .cache = app->cache,
        .cache_semantic = config->cache_semantic != 0,
        .cache_shared = config->cache_share == CACHE_SHARE_READERS,
        .cache_pair_min = (float)config->cache_pair_min,
    };
    p->n_order = config_backends(config, p->order);
    for (int i = 0; i < CONFIG_BACKENDS_MAX; i++)
        p->backends[i] = generators_of(g, (enum config_backend)i);
    p->guard_clean = calloc(GUARD_CLEAN_PLACES, sizeof *p->guard_clean);
    if (!p->guard_clean)
        return rag_fail(reterr, RAG_ENOMEM, "start: out of memory");
    status = hash_settings(app, p->settings, reterr);
    return status == RAG_OK ? side_work_start(n_side, &p->side, reterr) : status;
}

void pipeline_close(struct app *app)
{
    side_work_stop(app->pipeline.side);
    free(app->pipeline.guard_clean);
    memset(&app->pipeline, 0, sizeof app->pipeline);
}
