/* daemon/ragctl/ragctl_doctor.c - 'ragctl doctor': what is wrong, and what to do about it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "daemon/ragctl/exposition.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/version.h"
#include "nn/kernels.h"

#define OUTPUT_BYTES_MAX  (1u << 20)
#define TIMEOUT_MS        5000    /* of a check: a daemon that is well answers in milliseconds */
#define SLOW_TIMEOUT_MS   3600000 /* of those that read everything */
#define FREE_BYTES_FAIL   (256ull << 20) /* an ingest of a few documents would fill it */
#define FREE_BYTES_WARN   (2ull << 30)
#define SCRATCH_BYTES_MAX 8192

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

/* One run; checks append a line or an object each. */
struct doctor {
    const struct ragctl_options *options;
    struct ragctl_client client;
    const char *state_dir; /* --state, or NULL */
    const char *config;    /* --config, or NULL */
    struct buf out;
    struct json_writer w;
    unsigned n[3]; /* findings by kind */
};

static void finding(struct doctor *d, enum finding kind, const char *check, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void finding(struct doctor *d, enum finding kind, const char *check, const char *fmt, ...)
{
    static const char *const names[] = {"ok", "warn", "FAIL"};
    static const char *const json_names[] = {"ok", "warn", "fail"};
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    d->n[kind]++;
    if (d->options->json) {
        json_begin_object(&d->w, NULL);
        json_put_string(&d->w, "check", check);
        json_put_string(&d->w, "result", json_names[kind]);
        json_put_string(&d->w, "message", text);
        json_end_object(&d->w);
    } else {
        buf_printf(&d->out, "%-4s  %-10s  ", names[kind], check);
        print_one_line(&d->out, text, (size_t)n, 0);
        buf_append_char(&d->out, '\n');
    }
    free(text);
}

/* ---- the checks ---- */

static void check_socket(struct doctor *d)
{
    const char *path = d->options->socket_path;
    struct stat sb;

    if (d->options->url)
        return;
    if (stat(path, &sb) != 0) {
        finding(d, FINDING_FAIL, "socket",
                "'%s': %s; is ragd running, and is --socket (or $RAGD_SOCKET) the one it has?",
                path, strerror(errno));
        return;
    }
    if (!S_ISSOCK(sb.st_mode))
        finding(d, FINDING_FAIL, "socket", "'%s': is there but is no socket", path);
    else if (access(path, W_OK) != 0)
        finding(d, FINDING_FAIL, "socket",
                "'%s': mode %04o of uid %lu gid %lu lets you not in; join that group or set "
                "socket_mode",
                path, (unsigned)(sb.st_mode & 07777), (unsigned long)sb.st_uid,
                (unsigned long)sb.st_gid);
    else if (sb.st_mode & S_IWOTH)
        finding(d, FINDING_WARN, "socket",
                "'%s': mode %04o lets every local user in; the collections' readers and writers "
                "are the only lock",
                path, (unsigned)(sb.st_mode & 07777));
    else
        finding(d, FINDING_OK, "socket", "'%s', mode %04o", path, (unsigned)(sb.st_mode & 07777));
}

/* Is anybody there? The other checks need that. */
static bool check_daemon(struct doctor *d)
{
    struct http_call request = {.method = "GET", .path = "/healthz", .timeout_ms = TIMEOUT_MS};
    struct json *reply = NULL;
    struct rag_error error;
    const char *version;

    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        json_parse(buf_str(&d->client.body), d->client.body.len, "/healthz", &reply, &error) !=
            RAG_OK) {
        finding(d, FINDING_FAIL, "daemon", "%s", error.text);
        return false;
    }
    version = json_string(json_member(reply, "version"));
    if (version && strcmp(version, RAGD_VERSION) == 0)
        finding(d, FINDING_OK, "daemon", "answers, version %s", version);
    else
        finding(d, FINDING_WARN, "daemon", "is version %s and this ragctl %s; restart ragd",
                version ? version : "unknown", RAGD_VERSION);
    json_free(reply);
    return true;
}

static void check_ready(struct doctor *d)
{
    struct http_call request = {.method = "GET", .path = "/readyz", .timeout_ms = TIMEOUT_MS};
    struct rag_error error;

    d->client.busy_wait_ms = 0;
    if (ragctl_client_do(&d->client, &request, &error) == RAG_OK)
        finding(d, FINDING_OK, "ready", "takes requests");
    else if (d->client.code == 503)
        finding(d, FINDING_WARN, "ready", "not yet or no more: it is starting or shutting down");
    else
        finding(d, FINDING_FAIL, "ready", "%s", error.text);
}

static void check_one_index(struct doctor *d, const char *name)
{
    struct http_call request = {.method = "POST", .timeout_ms = SLOW_TIMEOUT_MS};
    struct json *reply = NULL;
    struct rag_error error;
    struct buf path;

    buf_init(&path, SCRATCH_BYTES_MAX);
    ragctl_client_collection_path(&path, name, "/check", NULL);
    request.path = buf_str(&path);
    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        json_parse(buf_str(&d->client.body), d->client.body.len, "check", &reply, &error) != RAG_OK)
        finding(d, FINDING_WARN, "index", "collection '%s': not checked: %s", name, error.text);
    else if (json_true(json_member(reply, "in_step")))
        finding(d, FINDING_OK, "index", "collection '%s': %.0f passages, in step with the store",
                name, json_number(json_member(reply, "passages")));
    else
        finding(d, FINDING_FAIL, "index",
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
        finding(d, FINDING_FAIL, "vectors",
                "collection '%s': %.0f chunks are found by their words only: %s", name, n_pending,
                error);
    else if (n_pending > 0 && serving)
        finding(d, FINDING_OK, "vectors",
                "collection '%s': %.0f chunks are still to be embedded anew, '%s' serves", name,
                n_pending, serving);
    else if (n_pending > 0)
        finding(d, FINDING_OK, "vectors", "collection '%s': %.0f vectors, %.0f chunks wait", name,
                n, n_pending);
    else if (n_failed > 0)
        finding(d, FINDING_WARN, "vectors",
                "collection '%s': %.0f vectors; %.0f chunks were refused by the model, see "
                "event=chunk_not_embedded of the log",
                name, n, n_failed);
    else
        finding(d, FINDING_OK, "vectors", "collection '%s': %.0f vectors", name, n);
}

/* The decoder's memory: its weights are there, its conversations' may still have to come. */
static void check_generator(struct doctor *d, const struct json *m, const char *id)
{
    double available = json_number(json_member(m, "memory_available_bytes"));
    double to_come = json_number(json_member(m, "kv_budget_bytes")) -
                     json_number(json_member(m, "kv_held_bytes"));
    struct buf text;

    buf_init(&text, SCRATCH_BYTES_MAX);
    buf_printf(&text, "generator '%s': %s on %s, chat template %s, %.0f tokens of context, ", id,
               json_string(json_member(m, "precision")), json_string(json_member(m, "kernels")),
               json_string(json_member(m, "chat_template")),
               json_number(json_member(m, "context_tokens")));
    progress_append_bytes(&text, (uint64_t)json_number(json_member(m, "bytes")));
    buf_append_str(&text, " of weights");
    finding(d, FINDING_OK, "models", "%s", buf_str(&text));
    buf_reset(&text);
    progress_append_bytes(&text, (uint64_t)(to_come > 0 ? to_come : 0));
    buf_append_str(&text, " may still be taken by conversations, ");
    progress_append_bytes(&text, (uint64_t)available);
    buf_append_str(&text, " are free");
    if (available > 0 && to_come > available)
        finding(d, FINDING_WARN, "memory", "%s; lower kv_budget_mb, or take a smaller model",
                buf_str(&text));
    else
        finding(d, FINDING_OK, "memory", "%s", buf_str(&text));
    buf_release(&text);
}

/* What is loaded, and what it computes with. */
static void check_models(struct doctor *d)
{
    struct json *reply = NULL;
    struct rag_error error;
    enum rag_status status = ragctl_client_call(&d->client, "GET", "/v1/models", &reply, &error);
    const struct json *list = json_member(reply, "data");

    if (status == RAG_ENOTFOUND)
        return; /* a ragd of before there were models */
    if (status != RAG_OK)
        finding(d, FINDING_FAIL, "models", "%s", error.text);
    else if (json_size(list) == 0)
        finding(d, FINDING_OK, "models", "none: search by words only ([models] of ragd.conf)");
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
            finding(d, FINDING_OK, "models", "%s '%s': %s on %s, %.0f layers kept in fp32", kind,
                    id, precision, kernels, n_fp32);
        else
            finding(d, FINDING_OK, "models", "%s '%s': %s on %s", kind, id, precision, kernels);
    }
    json_free(reply);
}

static void check_indexes(struct doctor *d)
{
    const struct json *list;
    struct json *reply = NULL;
    struct rag_error error;

    if (ragctl_client_call(&d->client, "GET", "/v1/collections", &reply, &error) != RAG_OK) {
        finding(d, FINDING_FAIL, "index", "%s", error.text);
        return;
    }
    list = json_member(reply, "collections");
    if (json_size(list) == 0)
        finding(d, FINDING_OK, "index", "no collections that you may read");
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        const char *name = json_string(json_member(c, "name"));

        if (!name)
            continue;
        check_one_index(d, name);
        check_vectors(d, name, json_member(c, "vectors"));
    }
    json_free(reply);
}

static void check_audit(struct doctor *d)
{
    struct http_call request = {.method = "POST",
                                .path = "/v1/audit/verify",
                                .body = "{}",
                                .body_bytes = 2,
                                .timeout_ms = SLOW_TIMEOUT_MS};
    struct json *reply = NULL;
    enum rag_status status;
    struct rag_error error;
    const char *problem;

    status = ragctl_client_do(&d->client, &request, &error);
    if (status == RAG_OK)
        status = json_parse(buf_str(&d->client.body), d->client.body.len, "verify", &reply, &error);
    problem = json_string(json_member(reply, "problem"));
    if (status == RAG_EDENIED)
        finding(d, FINDING_WARN, "audit", "not verified: only an administrator may");
    else if (status != RAG_OK)
        finding(d, FINDING_FAIL, "audit", "%s", error.text);
    else if (json_true(json_member(reply, "whole")))
        finding(d, FINDING_OK, "audit", "%.0f rows, the chain is whole",
                json_number(json_member(reply, "rows")));
    else
        finding(d, FINDING_FAIL, "audit",
                "%s; keep the state folder as it is and compare it with a backup",
                problem ? problem : "the chain is broken");
    json_free(reply);
}

static void check_queue(struct doctor *d)
{
    struct http_call request = {.method = "GET", .path = "/metrics", .timeout_ms = TIMEOUT_MS};
    struct exposition metrics = {0};
    struct rag_error error;
    double queued;

    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        exposition_parse(buf_str(&d->client.body), &metrics, &error) != RAG_OK) {
        finding(d, FINDING_FAIL, "metrics", "%s", error.text);
        return;
    }
    queued = exposition_sum(&metrics, "ragd_store_queue_length", NULL, NULL);
    exposition_release(&metrics);
    if (queued > 0)
        finding(d, FINDING_OK, "metrics", "%.0f writes are queued right now", queued);
    else
        finding(d, FINDING_OK, "metrics", "answers, no writes are queued");
}

static void check_state(struct doctor *d)
{
    struct statvfs fs;
    uint64_t n_free;
    struct stat sb;
    struct buf text;

    if (!d->state_dir)
        return;
    if (stat(d->state_dir, &sb) != 0 || statvfs(d->state_dir, &fs) != 0) {
        finding(d, FINDING_FAIL, "state", "'%s': %s", d->state_dir, strerror(errno));
        return;
    }
    if (sb.st_mode & 0077)
        finding(d, FINDING_WARN, "state",
                "'%s': mode %04o lets others read the documents; chmod 700 it", d->state_dir,
                (unsigned)(sb.st_mode & 07777));
    n_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    buf_init(&text, SCRATCH_BYTES_MAX);
    progress_append_bytes(&text, n_free);
    finding(d,
            n_free < FREE_BYTES_FAIL   ? FINDING_FAIL
            : n_free < FREE_BYTES_WARN ? FINDING_WARN
                                       : FINDING_OK,
            "disk", "'%s': %s free", d->state_dir, buf_str(&text));
    buf_release(&text);
}

/* ragd knows its configuration best: "ragd -n -f FILE", the one beside this ragctl. */
static void check_config(struct doctor *d)
{
    const char *slash = strrchr(d->options->program, '/');
    char ragd[SCRATCH_BYTES_MAX];
    char said[SCRATCH_BYTES_MAX];
    int ends[2];
    size_t n = 0;
    pid_t pid;
    int status = -1;

    if (!d->config)
        return;
    if (slash)
        snprintf(ragd, sizeof ragd, "%.*s/ragd", (int)(slash - d->options->program),
                 d->options->program);
    else
        snprintf(ragd, sizeof ragd, "ragd");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        finding(d, FINDING_WARN, "config", "not checked: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execlp(ragd, ragd, "-n", "-f", d->config, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while (n < sizeof said - 1) {
        ssize_t got = read(ends[0], said + n, sizeof said - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(ends[0]);
    said[n] = '\0';
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0)
        finding(d, FINDING_OK, "config", "'%s' is fine", d->config);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        finding(d, FINDING_WARN, "config", "not checked: '%s' cannot be run", ragd);
    else
        finding(d, FINDING_FAIL, "config", "%s", said);
}

/* What models would be computed with on this machine. ragd mends what OpenBLAS takes the CPU for
 * (daemon/reexec.h), unless a person asks for a core. */
static void check_compute(struct doctor *d)
{
    const struct kernels *kernels = NULL;
    const char *better = NULL;
    const char *core = kernels_blas_core(&better);
    const char *asked = getenv("OPENBLAS_CORETYPE");
    struct rag_error error = {RAG_OK, ""};

    if (kernels_choose(&kernels, &error) != RAG_OK)
        finding(d, FINDING_FAIL, "compute", "%s", error.text);
    else if (better && asked && *asked)
        finding(d, FINDING_WARN, "compute",
                "kernels %s; OPENBLAS_CORETYPE=%s makes fp32 models slower than '%s' would",
                kernels_name(kernels), asked, better);
    else
        finding(d, FINDING_OK, "compute", "kernels %s; OpenBLAS for %s", kernels_name(kernels),
                better ? better : core);
}

static int print_findings(struct doctor *d)
{
    if (d->options->json) {
        json_end_array(&d->w);
        json_put_int(&d->w, "warnings", d->n[FINDING_WARN]);
        json_put_int(&d->w, "failures", d->n[FINDING_FAIL]);
        json_end_object(&d->w);
        buf_append_char(&d->out, '\n');
    } else {
        buf_printf(&d->out, "%u ok, %u warning%s, %u failure%s\n", d->n[FINDING_OK],
                   d->n[FINDING_WARN], d->n[FINDING_WARN] == 1 ? "" : "s", d->n[FINDING_FAIL],
                   d->n[FINDING_FAIL] == 1 ? "" : "s");
    }
    fputs(buf_str(&d->out), stdout);
    return d->n[FINDING_FAIL] > 0 ? RAGCTL_FAILED : RAGCTL_OK;
}

int ragctl_doctor(const struct ragctl_options *options, int argc, char **argv)
{
    struct doctor d = {.options = options};
    const struct ragctl_arg table[] = {
        {.name = "--state",  .text = &d.state_dir},
        {.name = "--config", .text = &d.config   },
    };
    struct rag_error error = {0};
    int exit_status;

    if (ragctl_args_no_words("doctor", table, sizeof table / sizeof table[0], argc, argv, &error) !=
        RAG_OK)
        return ragctl_usage("doctor", &error);
    buf_init(&d.out, OUTPUT_BYTES_MAX);
    json_writer_init(&d.w, &d.out);
    if (ragctl_client_open(options, &d.client, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    if (options->json) {
        json_begin_object(&d.w, NULL);
        json_begin_array(&d.w, "checks");
    }
    check_config(&d);
    check_compute(&d);
    check_state(&d);
    check_socket(&d);
    if (check_daemon(&d)) {
        check_ready(&d);
        check_queue(&d);
        check_models(&d);
        check_indexes(&d);
        check_audit(&d);
    }
    exit_status = print_findings(&d);
    ragctl_client_close(&d.client);
    buf_release(&d.out);
    return exit_status;
}
