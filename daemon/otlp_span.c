#include "daemon/otlp_span.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define STATUS_ERROR 2

static void put_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * TRACE_ID_BYTES + 1];

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
    json_put_string(w, key, hex);
}

static void put_int64(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    json_put_string(w, key, text);
}

void otlp_span_begin(struct json_writer *w, const struct otlp_span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    json_begin_object(w, NULL);
    put_hex(w, "traceId", span->trace_id, TRACE_ID_BYTES);
    put_hex(w, "spanId", span->span_id, SPAN_ID_BYTES);
    if (memcmp(span->parent_id, none, sizeof none) != 0)
        put_hex(w, "parentSpanId", span->parent_id, SPAN_ID_BYTES);
    json_put_string(w, "name", span->name);
    json_put_int(w, "kind", span->kind);
    put_int64(w, "startTimeUnixNano", span->begun_ns);
    put_int64(w, "endTimeUnixNano", span->ended_ns);
    json_begin_array(w, "attributes");
}

static void begin_attribute(struct json_writer *w, const char *key)
{
    json_begin_object(w, NULL);
    json_put_string(w, "key", key);
    json_begin_object(w, "value");
}

static void end_attribute(struct json_writer *w)
{
    json_end_object(w);
    json_end_object(w);
}

void otlp_put_string(struct json_writer *w, const char *key, const char *value)
{
    begin_attribute(w, key);
    json_put_string(w, "stringValue", value);
    end_attribute(w);
}

void otlp_put_strings(struct json_writer *w, const char *key, const char *const *values, size_t n)
{
    begin_attribute(w, key);
    json_begin_object(w, "arrayValue");
    json_begin_array(w, "values");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "stringValue", values[i]);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
    end_attribute(w);
}

void otlp_put_int(struct json_writer *w, const char *key, int64_t value)
{
    begin_attribute(w, key);
    put_int64(w, "intValue", value);
    end_attribute(w);
}

void otlp_put_double(struct json_writer *w, const char *key, double value)
{
    begin_attribute(w, key);
    json_put_double(w, "doubleValue", isfinite(value) ? value : 0);
    end_attribute(w);
}

void otlp_put_bool(struct json_writer *w, const char *key, bool value)
{
    begin_attribute(w, key);
    json_put_bool(w, "boolValue", value);
    end_attribute(w);
}

void otlp_span_end(struct json_writer *w, const struct otlp_span *span)
{
    if (span->error)
        otlp_put_string(w, "error.type", span->error);
    json_end_array(w);
    if (span->error) {
        json_begin_object(w, "status");
        json_put_int(w, "code", STATUS_ERROR);
        json_end_object(w);
    }
    json_end_object(w);
}
