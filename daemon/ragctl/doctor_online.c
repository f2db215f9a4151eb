/* daemon/ragctl/doctor_online.c - does who the daemon would ask answer? Only with --online. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/remote.h"
#include "daemon/ragctl/doctor.h"

#define ONLINE_REPLY_BYTES (4u << 20) /* an error of a server may be a page */

struct server {
    const char *name;
    const char *url; /* NULL: not configured */
    const char *key_file;
    const char *key_env;
    const char *ca_file;
    int64_t allow_private;
    const char *path;
    const char *body; /* that asks for next to nothing */
};

/* One request, as the daemon would send it. A refusal of the tiny body (RAG_EINVAL) shows that the
 * server is there and takes the key. */
static void check_one(struct doctor *d, const struct server *s)
{
    struct remote_options options = {
        .name = s->name,
        .base_url = s->url,
        .ca_file = s->ca_file,
        .allow_private = s->allow_private != 0,
        .timeout_ms = DOCTOR_TIMEOUT_MS,
    };
    struct remote_call call = {
        .path = s->path,
        .body = s->body,
        .body_bytes = strlen(s->body),
        .deadline_ns = clock_monotonic_ns() + DOCTOR_TIMEOUT_MS * 1000000LL,
        .response_bytes_max = ONLINE_REPLY_BYTES,
    };
    struct rag_error error = {RAG_OK, ""};
    struct remote_outcome outcome = {0};
    struct remote *remote = NULL;
    enum rag_status status;
    struct buf reply;
    char *key = NULL;

    buf_init(&reply, ONLINE_REPLY_BYTES);
    status = remote_key_read(s->key_file, s->key_env, &key, &error);
    options.key = key;
    if (status == RAG_OK)
        status = remote_open(&options, &remote, &error);
    if (status == RAG_OK)
        status = remote_do(remote, &call, &reply, &outcome, &error);
    if (status == RAG_OK || (status == RAG_EINVAL && outcome.code >= 400))
        doctor_finding(d, FINDING_OK, "online", "%s '%s': answers %ld in %.0f ms", s->name, s->url,
                       outcome.code, outcome.ms);
    else
        doctor_finding(d, FINDING_FAIL, "online", "%s '%s': %s", s->name, s->url, error.text);
    remote_close(remote);
    remote_key_free(key);
    buf_release(&reply);
}

void doctor_check_online(struct doctor *d)
{
    const struct config *c = d->config;
    const struct server servers[] = {
        {"openai", c ? c->openai_url : NULL,     c ? c->openai_key_file : NULL,
         c ? c->openai_key_env : NULL,                                                c ? c->openai_ca_file : NULL,
         c ? c->openai_allow_private : 0,                                                                                                           "/chat/completions", "{}"},
        {"trace",  c ? c->trace_endpoint : NULL, c ? c->trace_key_file : NULL,  NULL,
         c ? c->trace_ca_file : NULL,                                                                               c ? c->trace_allow_private : 0, "/v1/traces",
         "{\"resourceSpans\":[]}"                                                                                                                                            },
    };

    if (!d->online)
        return;
    if (!c) {
        doctor_finding(d, FINDING_WARN, "online", "not checked: --online needs --config");
        return;
    }
    if (http_client_global() != RAG_OK)
        return;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
        if (servers[i].url)
            check_one(d, &servers[i]);
}
