#include "daemon/tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/sha256.h"

struct tracer {
    struct otlp_exporter *exporter; /* borrowed */
    uint64_t sampled_below;         /* of the last 7 bytes of a trace id */
    double ratio;
};

struct trace {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];              /* of the server's span */
    uint8_t parent_id[SPAN_ID_BYTES];            /* of the caller's; zeros: there is none */
    int64_t begun_ns;                            /* monotonic */
    int64_t offset_ns;                           /* from the monotonic clock to that of the wall */
    uint8_t ids[TRACE_SPANS_MAX][SPAN_ID_BYTES]; /* random, taken one by one */
    size_t n;                                    /* spans, the server's not counted */
    struct buf spans;                            /* JSON objects with commas between them */
    struct buf attributes;                       /* of the server's span, likewise */
    struct json_writer w;
};

enum rag_status tracer_new(struct otlp_exporter *exporter, double sample_ratio, struct tracer **ret,
                           struct rag_error *reterr)
{
    struct tracer *t = calloc(1, sizeof *t);

    if (!t)
        return rag_fail(reterr, RAG_ENOMEM, "traces: out of memory");
    t->exporter = exporter;
    t->ratio = sample_ratio;
    t->sampled_below = (uint64_t)(sample_ratio * (double)(1ull << 56));
    *ret = t;
    return RAG_OK;
}

void tracer_free(struct tracer *t)
{
    free(t);
}

/* By the trace's id, so that all who see it decide alike (Trace Context, level 2: its last 7 bytes
 * are random). */
static bool is_sampled(const struct tracer *t, const uint8_t id[TRACE_ID_BYTES])
{
    uint64_t random = 0;

    for (size_t i = TRACE_ID_BYTES - 7; i < TRACE_ID_BYTES; i++)
        random = random << 8 | id[i];
    return random < t->sampled_below;
}

static void trace_free(struct trace *t)
{
    buf_release(&t->spans);
    buf_release(&t->attributes);
    free(t);
}

struct trace *trace_begin(struct tracer *tracer, const char *traceparent, int64_t begun_ns)
{
    struct traceparent parent;
    bool given = tracer && traceparent && traceparent_parse(traceparent, &parent);
    uint8_t own[TRACE_ID_BYTES];
    struct trace *t;

    if (!tracer || (given && !parent.sampled) || (!given && tracer->ratio <= 0))
        return NULL;
    if (!given && (random_bytes(own, sizeof own) != RAG_OK || !is_sampled(tracer, own)))
        return NULL;
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    if (random_bytes(t->span_id, SPAN_ID_BYTES) != RAG_OK ||
        random_bytes(t->ids, sizeof t->ids) != RAG_OK) {
        free(t);
        return NULL;
    }
    memcpy(t->trace_id, given ? parent.trace_id : own, TRACE_ID_BYTES);
    if (given)
        memcpy(t->parent_id, parent.span_id, SPAN_ID_BYTES);
    t->begun_ns = begun_ns;
    t->offset_ns = clock_wall_ms() * 1000000 - clock_monotonic_ns();
    buf_init(&t->spans, TRACE_BYTES_MAX);
    buf_init(&t->attributes, TRACE_BYTES_MAX / 4);
    json_writer_init(&t->w, &t->attributes);
    return t;
}

struct json_writer *trace_attributes(struct trace *t)
{
    return t ? &t->w : NULL;
}

bool trace_span_begin(struct trace *t, const uint8_t *parent_id, const char *name,
                      enum otlp_kind kind, int64_t begun_ns, int64_t ended_ns,
                      struct trace_span *ret)
{
    if (!t || t->n == TRACE_SPANS_MAX)
        return false;
    ret->span = (struct otlp_span){
        .name = name,
        .kind = kind,
        .begun_ns = begun_ns + t->offset_ns,
        .ended_ns = (ended_ns < begun_ns ? begun_ns : ended_ns) + t->offset_ns,
    };
    memcpy(ret->span.trace_id, t->trace_id, TRACE_ID_BYTES);
    memcpy(ret->span.span_id, t->ids[t->n], SPAN_ID_BYTES);
    memcpy(ret->span.parent_id, parent_id ? parent_id : t->span_id, SPAN_ID_BYTES);
    json_writer_init(&ret->w, &t->spans);
    ret->w.comma = t->n > 0;
    otlp_span_begin(&ret->w, &ret->span);
    return true;
}

void trace_span_end(struct trace *t, struct trace_span *s)
{
    otlp_span_end(&s->w, &s->span);
    t->n++;
}

/* The server's span, by the conventions for HTTP servers (semantic conventions 1.41.0). url.path is
 * left out where it may hold a document's name. */
static void put_server_span(struct trace *t, const struct request_line *line)
{
    const char *route = line->route ? line->route : "";
    const char *const id[] = {line->id};
    char name[128];
    char code[8];
    struct otlp_span span = {
        .name = name,
        .kind = OTLP_SERVER,
        .begun_ns = t->begun_ns + t->offset_ns,
        .ended_ns = clock_monotonic_ns() + t->offset_ns,
        .error = line->code >= 500 ? code : NULL,
    };
    struct json_writer w;

    snprintf(name, sizeof name, "%s %s", line->method, route);
    snprintf(code, sizeof code, "%d", line->code);
    memcpy(span.trace_id, t->trace_id, TRACE_ID_BYTES);
    memcpy(span.span_id, t->span_id, SPAN_ID_BYTES);
    memcpy(span.parent_id, t->parent_id, SPAN_ID_BYTES);
    json_writer_init(&w, &t->spans);
    w.comma = t->n > 0;
    otlp_span_begin(&w, &span);
    otlp_put_string(&w, "http.request.method", line->method);
    otlp_put_string(&w, "http.route", route);
    if (!strchr(route, '{'))
        otlp_put_string(&w, "url.path", route);
    otlp_put_string(&w, "url.scheme", "http");
    otlp_put_string(&w, "network.transport",
                    strncmp(line->principal, "uid:", 4) == 0 ? "unix" : "tcp");
    otlp_put_int(&w, "http.response.status_code", line->code);
    otlp_put_int(&w, "http.request.body.size", (int64_t)line->body_bytes);
    otlp_put_strings(&w, "http.response.header.x-request-id", id, 1);
    if (line->note->outcome)
        otlp_put_string(&w, "ragd.outcome", line->note->outcome);
    if (t->attributes.len > 0)
        json_put_raw(&w, NULL, buf_str(&t->attributes));
    otlp_span_end(&w, &span);
    t->n++;
}

void trace_end(struct tracer *tracer, struct trace *t, const struct request_line *line)
{
    if (!t)
        return;
    put_server_span(t, line);
    /* what did not fit or found no memory is not worth half a trace */
    if (buf_status(&t->spans) == RAG_OK && buf_status(&t->attributes) == RAG_OK)
        otlp_exporter_put(tracer->exporter, &t->spans, t->n);
    trace_free(t);
}
