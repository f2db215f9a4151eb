/* daemon/ragctl/doctor_daemon.c - is the daemon there, well, and within its limits? */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ragctl/doctor.h"
#include "daemon/ragctl/exposition.h"
#include "daemon/version.h"

#define DESCRIPTORS_BESIDE 128 /* databases, indexes, models, log */

void doctor_check_socket(struct doctor *d)
{
    const char *path = d->options->socket_path;
    struct stat sb;

    if (d->options->url)
        return;
    if (stat(path, &sb) != 0) {
        doctor_finding(
            d, FINDING_FAIL, "socket",
            "'%s': %s; is ragd running, and is --socket (or $RAGD_SOCKET) the one it has?", path,
            strerror(errno));
        return;
    }
    if (!S_ISSOCK(sb.st_mode))
        doctor_finding(d, FINDING_FAIL, "socket", "'%s': is there but is no socket", path);
    else if (access(path, W_OK) != 0)
        doctor_finding(d, FINDING_FAIL, "socket",
                       "'%s': mode %04o of uid %lu gid %lu lets you not in; join that group or set "
                       "socket_mode",
                       path, (unsigned)(sb.st_mode & 07777), (unsigned long)sb.st_uid,
                       (unsigned long)sb.st_gid);
    else if (sb.st_mode & S_IWOTH)
        doctor_finding(
            d, FINDING_WARN, "socket",
            "'%s': mode %04o lets every local user in; the collections' readers and writers "
            "are the only lock",
            path, (unsigned)(sb.st_mode & 07777));
    else
        doctor_finding(d, FINDING_OK, "socket", "'%s', mode %04o", path,
                       (unsigned)(sb.st_mode & 07777));
}

/* Is anybody there? The other checks need that. */
bool doctor_check_daemon(struct doctor *d)
{
    struct http_call request = {
        .method = "GET", .path = "/healthz", .timeout_ms = DOCTOR_TIMEOUT_MS};
    struct json *reply = NULL;
    struct rag_error error;
    const char *version;

    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        json_parse(buf_str(&d->client.body), d->client.body.len, "/healthz", &reply, &error) !=
            RAG_OK) {
        doctor_finding(d, FINDING_FAIL, "daemon", "%s", error.text);
        return false;
    }
    version = json_string(json_member(reply, "version"));
    if (version && strcmp(version, RAGD_VERSION) == 0)
        doctor_finding(d, FINDING_OK, "daemon", "answers, version %s", version);
    else
        doctor_finding(d, FINDING_WARN, "daemon", "is version %s and this ragctl %s; restart ragd",
                       version ? version : "unknown", RAGD_VERSION);
    json_free(reply);
    return true;
}

void doctor_check_ready(struct doctor *d)
{
    struct http_call request = {
        .method = "GET", .path = "/readyz", .timeout_ms = DOCTOR_TIMEOUT_MS};
    struct rag_error error;

    d->client.busy_wait_ms = 0;
    if (ragctl_client_do(&d->client, &request, &error) == RAG_OK)
        doctor_finding(d, FINDING_OK, "ready", "takes requests");
    else if (d->client.code == 503)
        doctor_finding(d, FINDING_WARN, "ready",
                       "not yet or no more: it is starting or shutting down");
    else
        doctor_finding(d, FINDING_FAIL, "ready", "%s", error.text);
}

void doctor_check_audit(struct doctor *d)
{
    struct http_call request = {.method = "POST",
                                .path = "/v1/audit/verify",
                                .body = "{}",
                                .body_bytes = 2,
                                .timeout_ms = DOCTOR_SLOW_MS};
    struct json *reply = NULL;
    enum rag_status status;
    struct rag_error error;
    const char *problem;

    status = ragctl_client_do(&d->client, &request, &error);
    if (status == RAG_OK)
        status = json_parse(buf_str(&d->client.body), d->client.body.len, "verify", &reply, &error);
    problem = json_string(json_member(reply, "problem"));
    if (status == RAG_EDENIED)
        doctor_finding(d, FINDING_WARN, "audit", "not verified: only an administrator may");
    else if (status != RAG_OK)
        doctor_finding(d, FINDING_FAIL, "audit", "%s", error.text);
    else if (json_true(json_member(reply, "whole")))
        doctor_finding(d, FINDING_OK, "audit", "%.0f rows, the chain is whole",
                       json_number(json_member(reply, "rows")));
    else
        doctor_finding(d, FINDING_FAIL, "audit",
                       "%s; keep the state folder as it is and compare it with a backup",
                       problem ? problem : "the chain is broken");
    json_free(reply);
}

/* A clock that was set back makes records that seem older than those before them. */
void doctor_check_audit_time(struct doctor *d)
{
    struct json *reply = NULL;
    char now[CLOCK_TEXT_BYTES];
    struct rag_error error;
    const char *time;

    if (ragctl_client_call(&d->client, "GET", "/v1/audit?limit=1", &reply, &error) != RAG_OK)
        return; /* doctor_check_audit() says what is wrong */
    clock_format(clock_wall_ms(), now);
    time = json_string(json_member(json_first(json_member(reply, "entries")), "time"));
    if (time && strcmp(time, now) > 0) /* RFC 3339 in UTC: as text they are in order */
        doctor_finding(d, FINDING_WARN, "clock",
                       "the last audit record is of %s, but it is %s now; set the clock", time,
                       now);
    json_free(reply);
}

/* ---- limits and counters ---- */

static double metric(const struct exposition *m, const char *name)
{
    return exposition_sum(m, name, NULL, NULL);
}

static void check_descriptors(struct doctor *d, const struct exposition *m)
{
    double open = metric(m, "process_open_fds");
    double max = metric(m, "process_max_fds");
    double wanted = d->config ? (double)d->config->connections_max + DESCRIPTORS_BESIDE : 0;

    if (isnan(max))
        return;
    if (open > .8 * max)
        doctor_finding(d, FINDING_FAIL, "limits",
                       "%.0f of %.0f file descriptors are open; raise LimitNOFILE= of the unit",
                       open, max);
    else if (max < wanted)
        doctor_finding(d, FINDING_WARN, "limits",
                       "%.0f file descriptors, but connections_max alone wants %.0f; raise "
                       "LimitNOFILE= of the unit",
                       max, wanted);
    else
        doctor_finding(d, FINDING_OK, "limits", "%.0f of %.0f file descriptors are open", open,
                       max);
}

/* What the daemon had to turn away since its start. */
static void check_refusals(struct doctor *d, const struct exposition *m)
{
    static const struct {
        const char *name;
        const char *what;
    } rows[] = {
        {"ragd_http_busy_total",        "requests found a queue full; more threads, or longer queues"},
        {"ragd_http_turned_away_total", "connections were too many; raise connections_max"           },
        {"ragd_documents_failed_total", "documents failed"                                           },
        {"ragd_vectors_failed",
         "chunks were refused by the embedder; see event=chunk_not_embedded"                         },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (metric(m, rows[i].name) > 0)
            doctor_finding(d, FINDING_WARN, "limits", "%.0f %s", metric(m, rows[i].name),
                           rows[i].what);
}

static void check_cache(struct doctor *d, const struct exposition *m)
{
    double n = metric(m, "ragd_cache_entries");
    double n_false = exposition_sum(m, "ragd_cache_feedback_total", "verdict", "false");

    if (n > 0)
        doctor_finding(
            d, n_false > 0 ? FINDING_WARN : FINDING_OK, "cache", "%.0f answers kept%s", n,
            n_false > 0 ? "; people reported some as false: see 'ragctl cache stats'" : "");
}

static void check_servers_asked(struct doctor *d, const struct exposition *m)
{
    static const char *const services[] = {"openai", "embed", "rerank"};

    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (exposition_sum(m, "ragd_remote_circuit_open", "service", services[i]) > 0)
            doctor_finding(d, FINDING_WARN, "remote",
                           "%s: failed so often that nothing is sent for a while; see the log",
                           services[i]);
    if (exposition_sum(m, "ragd_trace_spans_total", "outcome", "failed") > 0 ||
        exposition_sum(m, "ragd_trace_spans_total", "outcome", "dropped") > 0)
        doctor_finding(d, FINDING_WARN, "remote",
                       "traces: spans were dropped or not taken; see event=traces_not_taken");
}

void doctor_check_limits(struct doctor *d)
{
    struct http_call request = {
        .method = "GET", .path = "/metrics", .timeout_ms = DOCTOR_TIMEOUT_MS};
    struct exposition m = {0};
    struct rag_error error;

    if (ragctl_client_do(&d->client, &request, &error) != RAG_OK ||
        exposition_parse(buf_str(&d->client.body), &m, &error) != RAG_OK) {
        doctor_finding(d, FINDING_FAIL, "metrics", "%s", error.text);
        return;
    }
    doctor_finding(d, FINDING_OK, "metrics", "answers; %.0f writes wait, %.0f requests in flight",
                   metric(&m, "ragd_store_queue_length"), metric(&m, "ragd_requests_live"));
    check_descriptors(d, &m);
    check_refusals(d, &m);
    check_cache(d, &m);
    check_servers_asked(d, &m);
    exposition_release(&m);
}
