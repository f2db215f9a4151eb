/* daemon/traceparent.h - the header that says which trace a request belongs to.
 *
 *     traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *                  version, trace id, span id of the caller, flags (bit 0: sampled)
 *
 * Source: W3C Trace Context, Recommendation of 23 November 2021, sections 3.2 and 4.3. Pure. */
#ifndef RAG_DAEMON_TRACEPARENT_H
#define RAG_DAEMON_TRACEPARENT_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES  8

struct traceparent {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    bool sampled;
};

/* false: not one, so a trace of its own begins. Lower-case digits only; ids of zeros, version ff
 * and, of version 00, anything behind the flags are invalid; of a later version what is known of it
 * is taken. */
bool traceparent_parse(const char *text, struct traceparent *ret);

#endif
