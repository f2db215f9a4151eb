#include "daemon/models_configured.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"

enum rag_status model_configured_dir(const struct config *config, enum model_role role,
                                     const char *name, char **ret, struct rag_error *reterr)
{
    char *models_dir = NULL;
    char *path = NULL;
    /* the name of the folder itself is empty */
    enum rag_status status = config_model_dir(config, "", &models_dir, reterr);

    if (status == RAG_OK)
        status = model_word_resolve(name, role, models_dir, &path, reterr);
    if (status == RAG_OK && !path)
        status = config_model_dir(config, name, &path, reterr);
    free(models_dir);
    if (status == RAG_OK)
        *ret = path; /* ownership to the caller */
    return status;
}

enum rag_status model_path_check(const char *name, const char *path, struct rag_error *reterr)
{
    size_t n_path = strlen(path);
    size_t n_name = name ? strlen(name) : 0;
    bool of_hub = name && strchr(name, '/') && !strstr(name, ".gguf");
    int n_dir;

    /* whatever else is wrong with it, who opens it says */
    if (!name || !*path || access(path, F_OK) == 0 || errno != ENOENT)
        return RAG_OK;
    if (n_name >= n_path) /* a path, taken as it is */
        return rag_fail(reterr, RAG_ENOTFOUND, "model '%s': no such file or folder", path);
    n_dir = (int)(n_path - n_name - 1);
    return rag_fail(reterr, RAG_ENOTFOUND,
                    "model '%s': is not in '%.*s'; 'ragctl model %s%s --models-dir %.*s' %s", name,
                    n_dir, path, of_hub ? "pull " : "list", of_hub ? name : "", n_dir, path,
                    of_hub ? "fetches it" : "shows what is there");
}

/* Where a configured model is; it has to be there. */
static enum rag_status open_path(const struct config *config, enum model_role role,
                                 const char *name, char **ret, struct rag_error *reterr)
{
    char *path = NULL;
    enum rag_status status = model_configured_dir(config, role, name, &path, reterr);

    if (status == RAG_OK)
        status = model_path_check(name, path, reterr);
    if (status == RAG_OK)
        *ret = path; /* ownership to the caller */
    else
        free(path);
    return status;
}

enum rag_status models_open_configured(const struct config *config, const struct remotes *remotes,
                                       struct metrics *metrics, struct models **ret,
                                       struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    char *embedder = NULL;
    char *reranker = NULL;
    struct remote_embedder_options remote_embedder = {
        .remote = remotes->embed,
        .api = (enum remote_embed_api)config->embed_api,
        .model = config->embed_model,
        .dim = (size_t)config->embed_dim,
        .batch = (size_t)config->embed_batch,
        .query_prompt = config->query_prompt,
        .passage_prompt = config->passage_prompt,
    };
    struct remote_reranker_options remote_reranker = {
        .remote = remotes->rerank,
        .api = (enum remote_rerank_api)config->rerank_api,
        .model = config->rerank_model,
    };
    struct models_options options = {
        .remote_embedder = remotes->embed ? &remote_embedder : NULL,
        .remote_reranker = remotes->rerank ? &remote_reranker : NULL,
        .precision = (enum precision)config->models_precision,
        .n_threads = (size_t)config->compute_threads,
        .embedder_max_tokens = (size_t)config->embedder_max_tokens,
        .embedder_dim = (size_t)config->embedder_dim,
        .query_prompt = config->query_prompt,
        .passage_prompt = config->passage_prompt,
        .reranker_max_tokens = (size_t)config->reranker_max_tokens,
        .for_decoder = config->generate_model != NULL,
        .metrics = metrics,
    };
    /* a server takes the place of the default */
    enum rag_status status = open_path(
        config, MODEL_EMBEDDER, remotes->embed ? NULL : config->models_embedder, &embedder, &error);

    if (status == RAG_OK)
        status = open_path(config, MODEL_RERANKER, remotes->rerank ? NULL : config->models_reranker,
                           &reranker, &error);
    options.embedder_dir = embedder;
    options.reranker_dir = reranker;
    if (status == RAG_OK)
        status = models_open(&options, ret, &error);
    if (status != RAG_OK)
        rag_fail(reterr, status, "[models]: %s", error.text);
    free(embedder);
    free(reranker);
    return status;
}

static const char *precision_name(const struct models *m)
{
    return models_precision(m) == PRECISION_INT8 ? "int8" : "fp32";
}

void models_log(const struct models *m)
{
    const struct bi_encoder *embedder = models_embedder(m);
    const struct cross_encoder *reranker = models_reranker(m);

    if (embedder && !models_embedder_is_remote(m)) {
        struct bi_encoder_info i;

        bi_encoder_info(embedder, &i);
        log_event(
            LOG_INFO, NULL, "model",
            "role=embedder dir=\"%s\" family=%s dim=%zu max_tokens=%zu pooling=%s "
            "precision=%s fp32_layers=%zu kernels=\"%s\" parameters=%" PRIu64 " bytes=%" PRIu64,
            i.dir, i.encoder.family, i.dim, i.max_tokens, i.pooling, precision_name(m),
            i.encoder.n_fp32_layers, i.encoder.kernels, i.encoder.n_parameters, i.encoder.bytes);
    }
    if (reranker && !models_reranker_is_remote(m)) {
        struct cross_encoder_info i;

        cross_encoder_info(reranker, &i);
        log_event(LOG_INFO, NULL, "model",
                  "role=reranker dir=\"%s\" family=%s max_tokens=%zu precision=%s fp32_layers=%zu "
                  "kernels=\"%s\" parameters=%" PRIu64 " bytes=%" PRIu64,
                  i.dir, i.encoder.family, i.max_tokens, precision_name(m), i.encoder.n_fp32_layers,
                  i.encoder.kernels, i.encoder.n_parameters, i.encoder.bytes);
    }
}

size_t models_missing(const struct config *config, struct model_missing ret[MODELS_MISSING_MAX])
{
    const struct {
        const char *role, *effect, *name, *url;
        enum model_role model_role;
    } rows[MODELS_MISSING_MAX] = {
        {"embedder", "searches go by words alone", config->models_embedder, config->embed_url,
         MODEL_EMBEDDER                                                                                       },
        {"reranker", "words rerank",               config->models_reranker, config->rerank_url, MODEL_RERANKER},
    };
    char *models_dir = NULL;
    size_t n = 0;

    if (config_model_dir(config, "", &models_dir, NULL) != RAG_OK)
        return 0;
    for (size_t i = 0; i < MODELS_MISSING_MAX; i++) {
        ret[n] = (struct model_missing){
            rows[i].role, rows[i].effect, {RAG_OK, ""}
        };
        if (!rows[i].url && model_default_check(rows[i].name, rows[i].model_role, models_dir,
                                                &ret[n].why) == RAG_ENOTFOUND)
            n++;
    }
    free(models_dir);
    return n;
}

void models_log_missing(const struct config *config)
{
    struct model_missing missing[MODELS_MISSING_MAX];
    size_t n = models_missing(config, missing);

    for (size_t i = 0; i < n; i++)
        log_event(LOG_WARN, NULL, "model_missing",
                  "role=%s error=\"%s\" effect=\"%s; '%s = none' says that it is meant\"",
                  missing[i].role, missing[i].why.text, missing[i].effect, missing[i].role);
}

struct vector_index_options vector_options_configured(const struct config *config)
{
    return (struct vector_index_options){
        .storage = (enum vector_storage)config->vector_storage,
        .hnsw_min = (size_t)config->hnsw_min,
        .m = (size_t)config->hnsw_m,
        .ef_construction = (size_t)config->hnsw_ef_construction,
        .ef_search = (size_t)config->hnsw_ef_search,
    };
}
