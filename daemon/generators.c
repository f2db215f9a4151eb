#define _GNU_SOURCE
#include "daemon/generators.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/models_configured.h"
#include "generate/extractive.h"
#include "generate/local.h"
#include "generate/openai.h"
#include "guard/injection.h"

/* A statement against a passage, by the cross-encoder; it takes its turn as a question does. */
static enum rag_status score_pair(void *context, const char *statement, size_t n_statement,
                                  const char *passage, size_t n_passage, float *ret,
                                  struct rag_error *reterr)
{
    struct pair_text query = {statement, n_statement};
    struct pair_text text = {passage, n_passage};
    size_t n_scored = 0;

    return models_rerank(context, MODELS_STAY_HERE, query, &text, 1, false, 0, NULL, ret, &n_scored,
                         reterr);
}

/* A request to another server for every sentence would be slow, and an offline collection may send
 * none. */
static bool judges(const struct models *models)
{
    return models_reranker(models) && !models_reranker_is_remote(models);
}

static enum rag_status open_local(const struct config *config, struct models *models,
                                  struct generator **ret, struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    char *path = NULL;
    struct local_options options = {
        .chat_template = config->generate_template,
        .dense_type = config->generate_precision == GENERATE_INT4 ? BLOCK_Q4_1 : BLOCK_Q8_0,
        .fp32 = config->generate_precision == GENERATE_FP32,
        .pool = models_pool(models),
        .kv_budget_bytes = (uint64_t)config->kv_budget_mb << 20,
        .context_tokens = (size_t)config->context_tokens,
        .n_running_max = (size_t)config->generate_running_max,
        .draft_tokens = (size_t)config->draft_tokens,
        .new_tokens = (size_t)config->new_tokens_max,
        .unsupported = (enum unsupported_policy)config->unsupported,
        .pair_score = judges(models) ? score_pair : NULL,
        .pair_score_context = models,
        .turns = models_decode_turns(models),
    };
    enum rag_status status =
        model_configured_dir(config, MODEL_GENERATOR, config->generate_model, &path, &error);

    options.path = path;
    if (status == RAG_OK)
        status = model_path_check(config->generate_model, path, &error);
    if (status == RAG_OK)
        status = local_open(&options, ret, &error);
    free(path);
    return status == RAG_OK ? status : rag_fail(reterr, status, "[generate]: %s", error.text);
}

static enum rag_status open_openai(const struct config *config, struct models *models,
                                   struct remote *remote, struct generator **ret,
                                   struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    struct openai_options options = {
        .remote = remote,
        .model = config->openai_model,
        .stream = config->openai_stream != 0,
        .context_tokens = (size_t)config->openai_context_tokens,
        .new_tokens = (size_t)config->new_tokens_max,
        .unsupported = (enum unsupported_policy)config->unsupported,
        .prompt_price = config->openai_prompt_price,
        .completion_price = config->openai_completion_price,
        .neutralise = injection_neutralise,
        .pair_score = judges(models) ? score_pair : NULL,
        .pair_score_context = models,
    };
    enum rag_status status = openai_open(&options, ret, &error);

    return status == RAG_OK ? status : rag_fail(reterr, status, "[openai]: %s", error.text);
}

struct generator *generators_of(const struct generators *g, enum config_backend backend)
{
    switch (backend) {
    case BACKEND_LOCAL:
        return g->local;
    case BACKEND_OPENAI:
        return g->openai;
    case BACKEND_EXTRACTIVE:
        break;
    }
    return g->extractive;
}

enum rag_status generators_open(const struct config *config, struct models *models,
                                const struct remotes *remotes, struct generators *ret,
                                struct rag_error *reterr)
{
    struct generators g = {
        .sampling = {.temperature = (float)config->temperature,
                     .top_k = (int)config->sampling_top_k,
                     .top_p = (float)config->top_p,
                     .min_p = (float)config->min_p,
                     .repetition_penalty = (float)config->repetition_penalty,
                     .max_new_tokens = (int)config->new_tokens_max},
    };
    enum rag_status status = extractive_open(&g.extractive, reterr);

    if (status == RAG_OK && config->generate_model)
        status = open_local(config, models, &g.local, reterr);
    if (status == RAG_OK && remotes->openai)
        status = open_openai(config, models, remotes->openai, &g.openai, reterr);
    if (status != RAG_OK) {
        generators_close(&g);
        return status;
    }
    *ret = g;
    return RAG_OK;
}

void generators_close(struct generators *g)
{
    if (g->local)
        g->local->close(g->local);
    if (g->openai)
        g->openai->close(g->openai);
    if (g->extractive)
        g->extractive->close(g->extractive);
    memset(g, 0, sizeof *g);
}

struct generator *generators_find(const struct generators *g, const char *name)
{
    for (int i = 0; i < CONFIG_BACKENDS_MAX; i++)
        if (strcmp(name, config_backend_name((enum config_backend)i)) == 0)
            return generators_of(g, (enum config_backend)i);
    return NULL;
}

void generators_count(const struct generators *g, struct metrics *metrics)
{
    struct openai_usage usage;

    if (!g->openai)
        return;
    openai_usage(g->openai, &usage);
    metrics_count_total(metrics, METRICS_BACKEND_TOKENS, "openai", "prompt", usage.prompt_tokens);
    metrics_count_total(metrics, METRICS_BACKEND_TOKENS, "openai", "cached", usage.cached_tokens);
    metrics_count_total(metrics, METRICS_BACKEND_TOKENS, "openai", "output",
                        usage.completion_tokens);
    metrics_count_total(metrics, METRICS_BACKEND_COST, "openai", NULL,
                        (uint64_t)(usage.cost * 1e6));
}

/* malloc'ed; NULL: there is to be no file, and one of an earlier configuration goes. */
static char *kv_path(const struct generators *g, const struct config *config)
{
    char *path = NULL;

    if (asprintf(&path, "%s/kv.cache", config->state_dir) < 0)
        return NULL;
    if (g->local && config->kv_disk_mb > 0)
        return path;
    (void)unlink(path); /* mostly there is none */
    free(path);
    return NULL;
}

void generators_load(const struct generators *g, const struct config *config)
{
    char *path = kv_path(g, config);
    struct rag_error error = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    size_t n = 0;
    enum rag_status status;

    if (!path)
        return;
    status = local_load(g->local, path, &n, &error);
    if (status == RAG_OK)
        log_event(LOG_INFO, NULL, "kv_loaded", "tokens=%zu ms=%.1f", n, clock_elapsed_ms(begun));
    else if (status != RAG_ENOTFOUND) /* the first start with it */
        log_event(LOG_WARN, NULL, "kv_not_loaded", "error=\"%s\"", error.text);
    free(path);
}

void generators_save(const struct generators *g, const struct config *config)
{
    char *path = kv_path(g, config);
    struct rag_error error = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    size_t n = 0;

    if (!path)
        return;
    if (local_save(g->local, path, (uint64_t)config->kv_disk_mb << 20, &n, &error) == RAG_OK)
        log_event(LOG_INFO, NULL, "kv_saved", "tokens=%zu ms=%.1f", n, clock_elapsed_ms(begun));
    else
        log_event(LOG_ERROR, NULL, "kv_not_saved", "error=\"%s\"", error.text);
    free(path);
}

uint64_t memory_available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[128];

    if (!file)
        return 0;
    while (kib == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    fclose(file);
    return kib << 10;
}

void generators_log(const struct generators *g)
{
    uint64_t available = memory_available_bytes();
    struct local_info i;

    if (!g->local)
        return;
    local_info(g->local, &i);
    log_event(LOG_INFO, NULL, "model",
              "role=generator path=\"%s\" family=%s precision=%s kernels=\"%s\" "
              "parameters=%" PRIu64 " file_bytes=%" PRIu64 " bytes=%" PRIu64
              " kv_budget_bytes=%" PRIu64 " kv_bytes_per_token=%" PRIu64
              " context_tokens=%zu chat_template=%s",
              i.path, i.decoder.family, i.precision, i.decoder.kernels, i.decoder.n_parameters,
              i.file_bytes, i.decoder.bytes, i.kv_budget_bytes, i.decoder.kv_bytes_per_token,
              i.context_tokens, i.chat_template);
    if (available > 0 && i.kv_budget_bytes > available)
        log_event(LOG_WARN, NULL, "model_memory",
                  "kv_budget_bytes=%" PRIu64 " available_bytes=%" PRIu64
                  " advice=\"lower kv_budget_mb, or take a smaller model\"",
                  i.kv_budget_bytes, available);
}
