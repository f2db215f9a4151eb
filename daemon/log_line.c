#include "daemon/log_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json_writer.h"
#include "base/utf8.h"

#define PAIRS_MAX 32
#define END_BYTES 32 /* of a JSON line: "truncated":true and what closes it */

/* Ends each value of a JSON line before it is cut up again; it is in no UTF-8. */
#define MARK '\xFF'

/* ---- text ---- */

/* Control characters and what is not UTF-8 become \xNN. */
static void append_escaped(struct buf *line, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        unsigned char c = (unsigned char)*text;
        size_t n = utf8_sequence_bytes(text, left);

        if (n == 0 || c < 0x20 || c == 0x7F) {
            buf_printf(line, "\\x%02x", c);
            n = 1;
        } else {
            buf_append(line, text, n);
        }
        text += n;
        left -= n;
    }
}

enum rag_status log_line_text(const struct log_head *head, const char *fmt, va_list ap,
                              struct buf *line)
{
    char values[LOG_LINE_BYTES_MAX];

    vsnprintf(values, sizeof values, fmt, ap);
    buf_printf(line, "%s %s ", head->time, head->level);
    if (head->request_id)
        buf_printf(line, "req=%s ", head->request_id);
    buf_printf(line, "event=%s ", head->event);
    append_escaped(line, values);
    if (buf_status(line) == RAG_OK)
        line->len = utf8_floor(buf_str(line), line->len, LOG_LINE_BYTES_MAX - 1);
    return buf_status(line);
}

/* ---- JSON ---- */

/* A "key=value" of a format. */
struct pair {
    const char *key; /* NULL: a text without one */
    size_t n_key;
    bool number; /* its value is one conversion of a number */
};

static bool is_number_format(const char *text, size_t n)
{
    size_t i = 1;

    if (n < 2 || text[0] != '%')
        return false;
    while (i < n && strchr("0123456789.lzj", text[i]))
        i++;
    return i + 1 == n && strchr("diufg", text[i]);
}

/* Cut fmt into pairs and make of it a format of their values alone, each ended by MARK. Returns the
 * number of pairs. */
static size_t split_format(const char *fmt, struct pair pairs[PAIRS_MAX], struct buf *values)
{
    size_t n = 0;

    for (fmt += strspn(fmt, " "); *fmt != '\0' && n < PAIRS_MAX; fmt += strspn(fmt, " ")) {
        struct pair *p = &pairs[n++];
        bool quoted = false;
        size_t length = 0;
        size_t key = strcspn(fmt, "= ");

        while (fmt[length] != '\0' && (quoted || fmt[length] != ' '))
            quoted ^= fmt[length++] == '"';
        *p = (struct pair){0};
        if (key > 0 && key < length && fmt[key] == '=' && !memchr(fmt, '%', key)) {
            p->key = fmt;
            p->n_key = key;
            fmt += key + 1;
            length -= key + 1;
        }
        p->number = is_number_format(fmt, length);
        if (length >= 2 && fmt[0] == '"' && fmt[length - 1] == '"')
            buf_append(values, fmt + 1, length - 2);
        else
            buf_append(values, fmt, length);
        buf_append_char(values, MARK);
        fmt += length;
    }
    return n;
}

/* RFC 8259: no leading zeros, no inf, no nan. */
static bool is_json_number(const char *text)
{
    size_t digits;

    text += *text == '-';
    digits = strspn(text, "0123456789");
    if (digits == 0 || (digits > 1 && text[0] == '0'))
        return false;
    text += digits;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    if (*text == 'e') {
        text++;
        text += *text == '+' || *text == '-';
        digits = strspn(text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    return *text == '\0';
}

/* Write one member when the line has room for it, cut to what there is. false: it was cut. */
static bool put_value(struct json_writer *w, const struct pair *p, const char *value)
{
    size_t room = LOG_LINE_BYTES_MAX - 1 - END_BYTES;
    struct json_writer before = *w;
    size_t len = w->out->len;
    size_t n = strlen(value);
    bool whole = true;
    char key[64];

    snprintf(key, sizeof key, "%.*s", p->key ? (int)p->n_key : 4, p->key ? p->key : "text");
    if (p->number && is_json_number(value))
        json_put_raw(w, key, value);
    else
        json_put_string(w, key, value);
    while (w->out->len > room) {
        size_t over = w->out->len - room;

        whole = false;
        w->out->len = len;
        *w = before;
        if (n == 0)
            break; /* not even its key fits */
        /* a byte takes one to six: cut what surely is too much, and look again */
        n = (over + 5) / 6 < n ? utf8_floor(value, n, n - (over + 5) / 6) : 0;
        json_put_string_n(w, key, value, n);
    }
    return whole;
}

static bool put_values(struct json_writer *w, const struct pair *pairs, size_t n, char *values)
{
    bool whole = true;

    for (size_t i = 0; i < n; i++) {
        char *end = strchr(values, MARK);

        if (end)
            *end = '\0';
        whole = put_value(w, &pairs[i], values) && end && whole;
        if (!end)
            break;
        values = end + 1;
    }
    return whole;
}

enum rag_status log_line_json(const struct log_head *head, const char *fmt, va_list ap,
                              struct buf *line)
{
    struct pair pairs[PAIRS_MAX];
    char values[LOG_LINE_BYTES_MAX];
    struct json_writer w;
    struct buf format;
    size_t n;

    buf_init(&format, LOG_LINE_BYTES_MAX);
    n = split_format(fmt, pairs, &format);
    if (buf_status(&format) != RAG_OK) {
        buf_release(&format);
        return RAG_ENOMEM;
    }
    vsnprintf(values, sizeof values, buf_str(&format), ap);
    buf_release(&format);
    json_writer_init(&w, line);
    json_begin_object(&w, NULL);
    json_put_string(&w, "time", head->time);
    json_put_string(&w, "level", head->level);
    if (head->request_id)
        json_put_string(&w, "req", head->request_id);
    json_put_string(&w, "event", head->event);
    if (!put_values(&w, pairs, n, values))
        json_put_bool(&w, "truncated", true);
    json_end_object(&w);
    return buf_status(line);
}
