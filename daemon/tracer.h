/* daemon/tracer.h - the trace of a request: which are sampled, and their spans until they leave.
 *
 * A request with a valid traceparent follows its flag (the caller decided for the whole trace), one
 * without begins a trace of its own, kept by sample_ratio. The server's span is the parent of all
 * others. Spans hold no text of a question, passage or answer, no document's name and no principal;
 * docs/OPERATIONS.md lists what they hold.
 *
 * A struct trace belongs to one thread at a time; every function takes NULL as a no-op, so that a
 * request that is not sampled costs a comparison. */
#ifndef RAG_DAEMON_TRACER_H
#define RAG_DAEMON_TRACER_H

#include <stdint.h>

#include "base/json_writer.h"
#include "daemon/otlp_exporter.h"
#include "daemon/otlp_span.h"
#include "daemon/request_log.h"

struct tracer; /* opaque */
struct trace;  /* opaque: of one request */

/* sample_ratio 0..1 of the traces that begin here. RAG_OK, RAG_ENOMEM. */
enum rag_status tracer_new(struct otlp_exporter *exporter, double sample_ratio, struct tracer **ret,
                           struct rag_error *reterr);
void tracer_free(struct tracer *t); /* NULL is a no-op */

/* traceparent: the header of the request; NULL: none, or several. begun_ns: monotonic, when the
 * request was complete. NULL: not sampled (or no memory). */
struct trace *trace_begin(struct tracer *t, const char *traceparent, int64_t begun_ns);

/* A span below the server's (parent NULL) or below another one of this trace. Times are
 * monotonic. Attributes go into *ret_w until trace_span_end(); false: no room, and no span. */
struct trace_span {
    struct otlp_span span;
    struct json_writer w;
};
bool trace_span_begin(struct trace *t, const uint8_t *parent_id, const char *name,
                      enum otlp_kind kind, int64_t begun_ns, int64_t ended_ns,
                      struct trace_span *ret);
void trace_span_end(struct trace *t, struct trace_span *s);

/* Attributes of the server's span, noted as they become known; texts are copied. */
struct json_writer *trace_attributes(struct trace *t); /* NULL for NULL */

/* Everything is known: the server's span is made, and all leave. Frees t. */
void trace_end(struct tracer *tracer, struct trace *t, const struct request_line *line);

#endif
