/* daemon/otlp_span.h - spans as OTLP has them in JSON.
 *
 *     otlp_span_begin(&w, &span);
 *     otlp_put_string(&w, "http.route", "/v1/ask"); ...
 *     otlp_span_end(&w, &span);
 *
 * ids are lower-case hex, 64-bit integers are strings, enumerations are numbers. Source:
 * OpenTelemetry Protocol 1.9, "JSON Protobuf Encoding"; opentelemetry-proto 1.9, trace.proto. */
#ifndef RAG_DAEMON_OTLP_SPAN_H
#define RAG_DAEMON_OTLP_SPAN_H

#include <stddef.h>

#include "base/json_writer.h"
#include "daemon/traceparent.h"

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER = 2, OTLP_CLIENT = 3 };

struct otlp_span {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    uint8_t parent_id[SPAN_ID_BYTES]; /* of zeros: none */
    const char *name;
    enum otlp_kind kind;
    int64_t begun_ns; /* since 1970 */
    int64_t ended_ns;
    const char *error; /* a short word for "error.type" and status 2; NULL: none */
};

void otlp_span_begin(struct json_writer *w, const struct otlp_span *span);
/* Attributes, between the two. */
void otlp_put_string(struct json_writer *w, const char *key, const char *value);
void otlp_put_strings(struct json_writer *w, const char *key, const char *const *values, size_t n);
void otlp_put_int(struct json_writer *w, const char *key, int64_t value);
void otlp_put_double(struct json_writer *w, const char *key, double value); /* finite */
void otlp_put_bool(struct json_writer *w, const char *key, bool value);
void otlp_span_end(struct json_writer *w, const struct otlp_span *span);

#endif
