/* daemon/otlp_exporter.h - spans to a collector, behind the requests.
 *
 * Requests put their spans into a bounded queue and go on; one thread sends batches by POST
 * {endpoint}/v1/traces (base/remote.h: repeated with pauses, never redirected, a circuit for a
 * collector that is gone). What does not fit the queue is dropped and counted, what the collector
 * refuses is counted as failed; a request never waits and never fails for it.
 *
 * Source: OpenTelemetry Protocol 1.9, "OTLP/HTTP". Thread-safe. */
#ifndef RAG_DAEMON_OTLP_EXPORTER_H
#define RAG_DAEMON_OTLP_EXPORTER_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "daemon/metrics.h"

struct otlp_exporter; /* opaque */

struct otlp_exporter_options {
    const char *endpoint; /* http(s)://host[:port][/prefix] */
    const char *key_file; /* of a bearer token; or NULL */
    const char *ca_file;  /* or NULL */
    bool allow_private;
    int64_t timeout_ms; /* of one attempt */
    size_t queue_max;   /* spans */
    struct metrics *metrics;
};
/* Statuses of remote_open() and remote_key_read(). All is borrowed for the call, but metrics. */
enum rag_status otlp_exporter_open(const struct otlp_exporter_options *options,
                                   struct otlp_exporter **ret, struct rag_error *reterr);
/* Sends what waits for TRACE_FLUSH_MS at most, then drops it. NULL is a no-op. */
void otlp_exporter_close(struct otlp_exporter *e);

/* Spans of one request as JSON objects with commas between them; the text is taken, 'spans' is left
 * empty. */
void otlp_exporter_put(struct otlp_exporter *e, struct buf *spans, size_t n);
size_t otlp_exporter_waiting(struct otlp_exporter *e); /* spans */

#endif
