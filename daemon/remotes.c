#define _GNU_SOURCE
#include "daemon/remotes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_client.h"
#include "daemon/log.h"

struct place {
    const char *section; /* of ragd.conf, for messages */
    const char *key_file;
    const char *key_env;
    struct remote_options options;
};

static enum rag_status open_one(const struct config *config, bool with_state, struct place *p,
                                struct remote **ret, struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    char *state_path = NULL;
    char *key = NULL;
    enum rag_status status;

    if (!p->options.base_url)
        return RAG_OK;
    if (with_state && asprintf(&state_path, "%s/budget.%s", config->state_dir, p->options.name) < 0)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", p->section);
    status = remote_key_read(p->key_file, p->key_env, &key, &error);
    p->options.key = key;
    p->options.state_path = state_path;
    if (status == RAG_OK)
        status = remote_open(&p->options, ret, &error);
    remote_key_free(key);
    free(state_path);
    return status == RAG_OK ? status : rag_fail(reterr, status, "[%s]: %s", p->section, error.text);
}

enum rag_status remotes_open(const struct config *c, bool with_state, struct remotes *ret,
                             struct rag_error *reterr)
{
    struct remote_options both = {
        .ca_file = c->remote_ca_file,
        .allow_private = c->remote_allow_private != 0,
        .connect_timeout_ms = c->remote_connect_timeout_ms,
        .timeout_ms = c->remote_timeout_ms,
        .tries_max = (int)c->remote_tries_max,
        .calls_per_day = c->remote_calls_per_day,
    };
    struct place openai = {
        .section = "openai",
        .key_file = c->openai_key_file,
        .key_env = c->openai_key_env,
        .options =
            {
                      .name = "openai",
                      .base_url = c->openai_url,
                      .ca_file = c->openai_ca_file,
                      .allow_private = c->openai_allow_private != 0,
                      .connect_timeout_ms = c->openai_connect_timeout_ms,
                      .timeout_ms = c->openai_timeout_ms,
                      /* a whole answer comes at its end: until then nothing does */
                .stall_ms = c->openai_stream ? c->openai_stall_ms : 0,
                      .tries_max = (int)c->openai_tries_max,
                      .calls_per_day = c->openai_calls_per_day,
                      },
    };
    struct place embed = {"remote", c->embed_key_file, c->embed_key_env, both};
    struct place rerank = {"remote", c->rerank_key_file, c->rerank_key_env, both};
    struct remotes r = {NULL, NULL, NULL};
    enum rag_status status = RAG_OK;

    embed.options.name = "embed";
    embed.options.base_url = c->embed_url;
    rerank.options.name = "rerank";
    rerank.options.base_url = c->rerank_url;
    if ((c->openai_url || c->embed_url || c->rerank_url) && http_client_global() != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "remote servers: libcurl cannot start");
    if (status == RAG_OK)
        status = open_one(c, with_state, &openai, &r.openai, reterr);
    if (status == RAG_OK)
        status = open_one(c, with_state, &embed, &r.embed, reterr);
    if (status == RAG_OK)
        status = open_one(c, with_state, &rerank, &r.rerank, reterr);
    if (status != RAG_OK) {
        remotes_close(&r);
        return status;
    }
    *ret = r;
    return RAG_OK;
}

void remotes_close(struct remotes *r)
{
    remote_close(r->openai);
    remote_close(r->embed);
    remote_close(r->rerank);
    memset(r, 0, sizeof *r);
}

static void log_one(const struct remote *r, const char *name, const char *model)
{
    if (r)
        log_event(LOG_INFO, NULL, "remote", "service=%s url=\"%s\" model=\"%s\"", name,
                  remote_base_url(r), model ? model : "");
}

void remotes_log(const struct remotes *r, const struct config *config)
{
    log_one(r->openai, "openai", config->openai_model);
    log_one(r->embed, "embed", config->embed_model);
    log_one(r->rerank, "rerank", config->rerank_model);
}

static void count_one(struct remote *r, struct metrics *m, const char *name, enum metric open)
{
    struct remote_stats s;

    if (!r)
        return;
    remote_stats(r, &s);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "ok", s.successes);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "failed", s.failures);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "refused_offline", s.refused_offline);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "refused_open", s.refused_open);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "refused_budget", s.refused_budget);
    metrics_count_total(m, METRICS_REMOTE_CALLS, name, "other", s.cancelled);
    metrics_count_total(m, METRICS_REMOTE_TRIES, name, NULL, s.tries);
    metrics_count_total(m, METRICS_REMOTE_BYTES, name, "sent", s.bytes_sent);
    metrics_count_total(m, METRICS_REMOTE_BYTES, name, "received", s.bytes_received);
    metrics_set(m, open, s.circuit_open ? 1 : 0);
}

void remotes_count(const struct remotes *r, struct metrics *metrics)
{
    count_one(r->openai, metrics, "openai", METRIC_REMOTE_OPENAI_OPEN);
    count_one(r->embed, metrics, "embed", METRIC_REMOTE_EMBED_OPEN);
    count_one(r->rerank, metrics, "rerank", METRIC_REMOTE_RERANK_OPEN);
}
