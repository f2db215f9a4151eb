/* base/json_writer.h - write JSON straight into a buf, comma and escape handled.
 *
 *     struct json_writer w;
 *     json_writer_init(&w, &out);
 *     json_begin_object(&w, NULL);
 *     json_put_string(&w, "answer", text);
 *     json_begin_array(&w, "citations");  ...  json_end_array(&w);
 *     json_end_object(&w);
 *
 * 'key' is NULL inside an array and at the top. Text that is not valid UTF-8 has
 * each bad byte written as U+FFFD, so the output is always valid JSON. NaN and
 * infinity become null. Errors stick to the buf: check buf_status() once. */
#ifndef RAG_BASE_JSON_WRITER_H
#define RAG_BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json_writer {
    struct buf *out; /* borrowed */
    bool comma;      /* a value was written at this level */
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_object(struct json_writer *w, const char *key);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w, const char *key);
void json_end_array(struct json_writer *w);
void json_put_string(struct json_writer *w, const char *key, const char *s); /* NULL -> null */
void json_put_string_n(struct json_writer *w, const char *key, const char *s, size_t n_bytes);
void json_put_int(struct json_writer *w, const char *key, int64_t v);
void json_put_double(struct json_writer *w, const char *key, double v); /* shortest of %.6g */
void json_put_single(struct json_writer *w, const char *key, float v);  /* %.9g, round trips */
void json_put_exact(struct json_writer *w, const char *key, double v);  /* %.17g, round trips */
void json_put_bool(struct json_writer *w, const char *key, bool v);
void json_put_null(struct json_writer *w, const char *key);
void json_put_raw(struct json_writer *w, const char *key, const char *json); /* already JSON */

#endif
