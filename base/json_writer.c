#include "base/json_writer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"

void json_writer_init(struct json_writer *w, struct buf *out)
{
    w->out = out;
    w->comma = false;
}

static void put_escaped(struct buf *out, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t plain = 0; /* start of the run that needs no escape */

    buf_append_char(out, '"');
    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence_bytes(text + i, n - i);

        if (step > 1 || (step == 1 && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')) {
            i += step;
            continue;
        }
        buf_append(out, text + plain, i - plain);
        if (step == 0)
            buf_append_str(out, "\\ufffd");
        else if (s[i] == '"' || s[i] == '\\')
            buf_printf(out, "\\%c", s[i]);
        else if (s[i] == '\n')
            buf_append_str(out, "\\n");
        else
            buf_printf(out, "\\u%04x", s[i]);
        i++;
        plain = i;
    }
    buf_append(out, text + plain, n - plain);
    buf_append_char(out, '"');
}

static void before_value(struct json_writer *w, const char *key)
{
    if (w->comma)
        buf_append_char(w->out, ',');
    w->comma = true;
    if (key) {
        put_escaped(w->out, key, strlen(key));
        buf_append_char(w->out, ':');
    }
}

static void begin(struct json_writer *w, const char *key, char c)
{
    before_value(w, key);
    buf_append_char(w->out, c);
    w->comma = false;
}

static void end(struct json_writer *w, char c)
{
    buf_append_char(w->out, c);
    w->comma = true;
}

void json_begin_object(struct json_writer *w, const char *key)
{
    begin(w, key, '{');
}

void json_end_object(struct json_writer *w)
{
    end(w, '}');
}

void json_begin_array(struct json_writer *w, const char *key)
{
    begin(w, key, '[');
}

void json_end_array(struct json_writer *w)
{
    end(w, ']');
}

void json_put_string(struct json_writer *w, const char *key, const char *s)
{
    if (!s) {
        json_put_null(w, key);
        return;
    }
    json_put_string_n(w, key, s, strlen(s));
}

void json_put_string_n(struct json_writer *w, const char *key, const char *s, size_t n_bytes)
{
    before_value(w, key);
    put_escaped(w->out, s, n_bytes);
}

void json_put_int(struct json_writer *w, const char *key, int64_t v)
{
    before_value(w, key);
    buf_printf(w->out, "%" PRId64, v);
}

void json_put_double(struct json_writer *w, const char *key, double v)
{
    before_value(w, key);
    if (isfinite(v))
        buf_printf(w->out, "%.6g", v);
    else
        buf_append_str(w->out, "null");
}

void json_put_single(struct json_writer *w, const char *key, float v)
{
    before_value(w, key);
    if (isfinite(v))
        buf_printf(w->out, "%.9g", (double)v);
    else
        buf_append_str(w->out, "null");
}

void json_put_exact(struct json_writer *w, const char *key, double v)
{
    before_value(w, key);
    if (isfinite(v))
        buf_printf(w->out, "%.17g", v);
    else
        buf_append_str(w->out, "null");
}

void json_put_bool(struct json_writer *w, const char *key, bool v)
{
    before_value(w, key);
    buf_append_str(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    before_value(w, key);
    buf_append_str(w->out, "null");
}

void json_put_raw(struct json_writer *w, const char *key, const char *json)
{
    before_value(w, key);
    buf_append_str(w->out, json);
}
