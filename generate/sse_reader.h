/* generate/sse_reader.h - server-sent events, however the bytes are cut.
 *
 * Lines end in CR LF, LF or CR; "data" lines of one event are joined by LF; comments and other
 * fields are skipped; an event is told at its empty line. Source: WHATWG HTML, section 9.2.6. One
 * stream, one thread at a time. */
#ifndef RAG_GENERATE_SSE_READER_H
#define RAG_GENERATE_SSE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct sse_reader {
    struct buf line;
    struct buf data;
    bool has_data; /* of the event that is being read */
    bool after_cr; /* a LF that comes next belongs to it */
    bool begun;    /* a byte order mark cannot come any more */
    bool stopped;
    /* false: no more. */
    bool (*on_event)(void *context, const char *data, size_t n);
    void *context;
};
/* bytes_max: of a line, and of the data of one event. */
void sse_reader_init(struct sse_reader *r, size_t bytes_max,
                     bool (*on_event)(void *context, const char *data, size_t n), void *context);
void sse_reader_release(struct sse_reader *r);

/* RAG_OK (also after on_event said no: see r->stopped), RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status sse_reader_put(struct sse_reader *r, const char *data, size_t n);
/* The stream has ended. What it ended in the middle of is told all the same: servers forget the
 * last empty line. */
enum rag_status sse_reader_finish(struct sse_reader *r);

#endif
