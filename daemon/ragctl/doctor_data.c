/* daemon/ragctl/doctor_data.c - models, indexes and vectors of the running daemon. */
#include <stdio.h>
#include <string.h>

#include "daemon/ragctl/doctor.h"
#include "daemon/ragctl/progress.h"

/* The decoder's memory: its weights are there, its conversations' may still have to come. */
static void check_generator(struct doctor *d, const struct json *m, const char *id)
{
    double available = json_number(json_member(m, "memory_available_bytes"));
    double to_come = json_number(json_member(m, "kv_budget_bytes")) -
                     json_number(json_member(m, "kv_held_bytes"));
    struct buf text;

    buf_init(&text, DOCTOR_TEXT_BYTES_MAX);
    buf_printf(&text, "generator '%s': %s on %s, chat template %s, %.0f tokens of context, ", id,
               json_string(json_member(m, "precision")), json_string(json_member(m, "kernels")),
               json_string(json_member(m, "chat_template")),
               json_number(json_member(m, "context_tokens")));
    progress_append_bytes(&text, (uint64_t)json_number(json_member(m, "bytes")));
    buf_append_str(&text, " of weights");
    doctor_finding(d, FINDING_OK, "models", "%s", buf_str(&text));
    buf_reset(&text);
    progress_append_bytes(&text, (uint64_t)(to_come > 0 ? to_come : 0));
    buf_append_str(&text, " may still be taken by conversations, ");
    progress_append_bytes(&text, (uint64_t)available);
    buf_append_str(&text, " are free");
    if (available > 0 && to_come > available)
        doctor_finding(d, FINDING_WARN, "memory", "%s; lower kv_budget_mb, or take a smaller model",
                       buf_str(&text));
    else
        doctor_finding(d, FINDING_OK, "memory", "%s", buf_str(&text));
    buf_release(&text);
}

void doctor_warn_missing_model(struct doctor *d, const char *role, const char *why)
{
    doctor_finding(d, FINDING_WARN, "model",
                   "[models] %s 'default': %s. Install share/ragd/models with the program, or say "
                   "'none' if none is meant",
                   role, why);
}

/* What is loaded, and what it computes with. */
void doctor_check_models(struct doctor *d)
{
    struct json *reply = NULL;
    struct rag_error error;
    enum rag_status status = ragctl_client_call(&d->client, "GET", "/v1/models", &reply, &error);
    const struct json *list = json_member(reply, "data");
    const struct json *list_missing;

    if (status == RAG_ENOTFOUND)
        return; /* a ragd of before there were models */
    if (status != RAG_OK)
        doctor_finding(d, FINDING_FAIL, "models", "%s", error.text);
    else if (json_size(list) == 0)
        doctor_finding(d, FINDING_OK, "models",
                       "none: search by words only ([models] of ragd.conf)");
    list_missing = json_member(reply, "missing");
    if (!d->config) /* else its file has told */
        for (const struct json *m = json_first(list_missing); m; m = json_next(m))
            doctor_warn_missing_model(d, ragctl_text(m, "role"), ragctl_text(m, "error"));
    for (const struct json *m = json_first(list); m; m = json_next(m)) {
        const char *id = json_string(json_member(m, "id"));
        const char *kind = json_string(json_member(m, "kind"));
        const char *precision = json_string(json_member(m, "precision"));
        const char *kernels = json_string(json_member(m, "kernels"));
        double n_fp32 = json_number(json_member(m, "fp32_layers"));

        if (!id || !kind || !precision || !kernels)
            continue;
        if (strcmp(kind, "generator") == 0) {
            check_generator(d, m, id);
            continue;
        }
        if (n_fp32 > 0)
            doctor_finding(d, FINDING_OK, "models", "%s '%s': %s on %s, %.0f layers kept in fp32",
                           kind, id, precision, kernels, n_fp32);
        else
            doctor_finding(d, FINDING_OK, "models", "%s '%s': %s on %s", kind, id, precision,
                           kernels);
    }
    json_free(reply);
}

static void check_one_index(struct doctor *d, const char *name)
{
    struct http_call request = {.method = "POST", .timeout_ms = DOCTOR_SLOW_MS};
    struct json *reply = NULL;
    struct rag_error error;
    struct buf path;

    buf_init(&path, DOCTOR_TEXT_BYTES_MAX);
    ragctl_client_collection_path(&path, name, "/check", NULL);
    request.path = buf_str(&path);
    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        json_parse(buf_str(&d->client.body), d->client.body.len, "check", &reply, &error) != RAG_OK)
        doctor_finding(d, FINDING_WARN, "index", "collection '%s': not checked: %s", name,
                       error.text);
    else if (json_true(json_member(reply, "in_step")))
        doctor_finding(d, FINDING_OK, "index",
                       "collection '%s': %.0f passages, in step with the store", name,
                       json_number(json_member(reply, "passages")));
    else
        doctor_finding(
            d, FINDING_FAIL, "index",
            "collection '%s': %.0f passages and %.0f vectors differ from the store (or it is "
            "changing right now); stop ragd, remove its files under index/ in the state "
            "folder, start: they are rebuilt",
            name, json_number(json_member(reply, "differences")),
            json_number(json_member(reply, "vector_differences")));
    json_free(reply);
    buf_release(&path);
}

/* "vectors" of a collection's own description. */
static void check_vectors(struct doctor *d, const char *name, const struct json *vectors)
{
    const char *state = json_string(json_member(vectors, "state"));
    const char *error = json_string(json_member(vectors, "error"));
    const char *serving = json_string(json_member(vectors, "serving_embedder"));
    double n = json_number(json_member(vectors, "n"));
    double n_pending = json_number(json_member(vectors, "pending"));
    double n_failed = json_number(json_member(vectors, "failed"));

    if (!state || strcmp(state, "off") == 0)
        return;
    if (error)
        doctor_finding(d, FINDING_FAIL, "vectors",
                       "collection '%s': %.0f chunks are found by their words only: %s", name,
                       n_pending, error);
    else if (n_pending > 0 && serving)
        doctor_finding(d, FINDING_OK, "vectors",
                       "collection '%s': %.0f chunks are still to be embedded anew, '%s' serves",
                       name, n_pending, serving);
    else if (n_pending > 0)
        doctor_finding(d, FINDING_OK, "vectors", "collection '%s': %.0f vectors, %.0f chunks wait",
                       name, n, n_pending);
    else if (n_failed > 0)
        doctor_finding(d, FINDING_WARN, "vectors",
                       "collection '%s': %.0f vectors; %.0f chunks were refused by the model, see "
                       "event=chunk_not_embedded of the log",
                       name, n, n_failed);
    else
        doctor_finding(d, FINDING_OK, "vectors", "collection '%s': %.0f vectors", name, n);
}

/* Weights that were measured with one embedder say nothing of another. */
static void check_tuning(struct doctor *d, const char *name, const struct json *c)
{
    const char *tuned = json_string(json_member(c, "fusion_tuned_with"));
    const char *now = json_string(json_member(json_member(c, "vectors"), "fingerprint"));
    const struct json *adapter = json_member(c, "adapter");

    if (adapter && !json_true(json_member(adapter, "active")))
        doctor_finding(
            d, FINDING_WARN, "tuning",
            "collection '%s': its adapter was learned with an embedder that does not "
            "serve (%.12s) and is not applied; run 'ragctl tune adapter --collection %s'",
            name, ragctl_text(adapter, "fingerprint"), name);
    if (!tuned)
        return;
    if (now && strcmp(tuned, now) == 0)
        doctor_finding(d, FINDING_OK, "tuning", "collection '%s': tuned with this embedder", name);
    else
        doctor_finding(d, FINDING_WARN, "tuning",
                       "collection '%s': its fusion was measured with another embedder (%.12s); "
                       "run 'ragctl tune fusion --collection %s'",
                       name, tuned, name);
}

void doctor_check_indexes(struct doctor *d)
{
    const struct json *list;
    struct json *reply = NULL;
    struct rag_error error;

    if (ragctl_client_call(&d->client, "GET", "/v1/collections", &reply, &error) != RAG_OK) {
        doctor_finding(d, FINDING_FAIL, "index", "%s", error.text);
        return;
    }
    list = json_member(reply, "collections");
    if (json_size(list) == 0)
        doctor_finding(d, FINDING_OK, "index", "no collections that you may read");
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        const char *name = json_string(json_member(c, "name"));

        if (!name)
            continue;
        check_one_index(d, name);
        check_vectors(d, name, json_member(c, "vectors"));
        check_tuning(d, name, c);
    }
    json_free(reply);
}
