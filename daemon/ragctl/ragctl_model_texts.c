#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_model_texts.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/utf8.h"

#define READ_BYTES 65536

void model_texts_release(struct model_texts *t)
{
    for (size_t i = 0; i < t->n_pool; i++)
        free(t->pool[i]);
    free(t->pool);
    free(t->items);
    memset(t, 0, sizeof *t);
}

/* Room for one more item and the two texts that it may own. */
static bool grow(struct model_texts *t)
{
    size_t cap = t->cap > 0 ? 2 * t->cap : 64;
    struct model_text *items;
    char **pool;

    if (t->n < t->cap)
        return true;
    items = realloc(t->items, cap * sizeof *items);
    if (!items)
        return false;
    t->items = items;
    pool = realloc(t->pool, 2 * cap * sizeof *pool);
    if (!pool)
        return false;
    t->pool = pool;
    t->cap = cap;
    return true;
}

enum rag_status model_texts_words(char *const *words, size_t n, const char *pair,
                                  struct model_texts *ret, struct rag_error *reterr)
{
    struct model_texts t = {0};

    for (size_t i = 0; i < n; i++) {
        if (!grow(&t)) {
            model_texts_release(&t);
            return rag_fail(reterr, RAG_ENOMEM, "texts: out of memory");
        }
        t.items[t.n++] =
            (struct model_text){words[i], strlen(words[i]), pair, pair ? strlen(pair) : 0};
    }
    *ret = t;
    return RAG_OK;
}

/* ---- one line of JSON ---- */

struct reader {
    const char *p;
    const char *end;
    const char *what;
    size_t line;
    int depth;
    struct rag_error *reterr;
};

static enum rag_status bad(struct reader *r, const char *why)
{
    return rag_fail(r->reterr, RAG_EFORMAT, "%s, line %zu: %s", r->what, r->line, why);
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool hex4(struct reader *r, unsigned *ret)
{
    unsigned v = 0;

    if (r->end - r->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        unsigned digit =
            c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c | 0x20) - 'a' + 10;

        if (digit > 15 || (c > '9' && (c | 0x20) < 'a'))
            return false;
        v = v << 4 | digit;
    }
    *ret = v;
    return true;
}

static void append_utf8(struct buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_append_char(out, (char)c);
        return;
    }
    if (c >= 0x10000) {
        buf_append_char(out, (char)(0xF0 | c >> 18));
        buf_append_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
    } else if (c >= 0x800) {
        buf_append_char(out, (char)(0xE0 | c >> 12));
    }
    if (c >= 0x800)
        buf_append_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
    else
        buf_append_char(out, (char)(0xC0 | c >> 6));
    buf_append_char(out, (char)(0x80 | (c & 0x3F)));
}

/* Behind a backslash. */
static enum rag_status read_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    char c = r->p < r->end ? *r->p++ : '\0';
    const char *found = c ? strchr(from, c) : NULL;
    unsigned low = 0;
    unsigned unit = 0;

    if (found) {
        buf_append_char(out, to[found - from]);
        return RAG_OK;
    }
    if (c != 'u' || !hex4(r, &unit))
        return bad(r, "an escape that is none");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
            return bad(r, "a lone surrogate");
        r->p += 2;
        if (!hex4(r, &low) || low < 0xDC00 || low > 0xDFFF)
            return bad(r, "a lone surrogate");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return bad(r, "a lone surrogate");
    }
    append_utf8(out, unit);
    return RAG_OK;
}

/* A string at r->p, quotes included, appended to out. */
static enum rag_status read_string(struct reader *r, struct buf *out)
{
    if (!take(r, '"'))
        return bad(r, "a string is expected");
    while (r->p < r->end && *r->p != '"') {
        size_t step = utf8_sequence_bytes(r->p, (size_t)(r->end - r->p));
        enum rag_status status;

        if (step == 0)
            return bad(r, "not UTF-8");
        if ((unsigned char)*r->p < 0x20)
            return bad(r, "a control character in a string");
        if (*r->p != '\\') {
            buf_append(out, r->p, step);
            r->p += step;
            continue;
        }
        r->p++;
        status = read_escape(r, out);
        if (status != RAG_OK)
            return status;
    }
    if (r->p == r->end)
        return bad(r, "a string without its end");
    r->p++;
    return buf_status(out) == RAG_OK ? RAG_OK
                                     : rag_fail(r->reterr, buf_status(out),
                                                "%s, line %zu: out of memory", r->what, r->line);
}

static enum rag_status skip_value(struct reader *r, struct buf *scratch);

/* Behind '[' or '{'. */
static enum rag_status skip_members(struct reader *r, char close, struct buf *scratch)
{
    enum rag_status status = RAG_OK;

    if (++r->depth > JSON_DEPTH_MAX)
        return bad(r, "nested too deep");
    if (take(r, close)) {
        r->depth--;
        return RAG_OK;
    }
    do {
        if (close == '}') {
            status = read_string(r, scratch);
            if (status == RAG_OK && !take(r, ':'))
                status = bad(r, "':' is expected");
        }
        if (status == RAG_OK)
            status = skip_value(r, scratch);
    } while (status == RAG_OK && take(r, ','));
    if (status == RAG_OK && !take(r, close))
        status = bad(r, "an array or object without its end");
    r->depth--;
    return status;
}

/* Any value. Numbers and literals are not looked into: they are ignored. */
static enum rag_status skip_value(struct reader *r, struct buf *scratch)
{
    const char *begin;

    skip_blanks(r);
    buf_reset(scratch);
    if (r->p < r->end && *r->p == '"')
        return read_string(r, scratch);
    if (take(r, '['))
        return skip_members(r, ']', scratch);
    if (take(r, '{'))
        return skip_members(r, '}', scratch);
    begin = r->p;
    while (r->p < r->end && (strchr("+-.", *r->p) || (*r->p >= '0' && *r->p <= '9') ||
                             (*r->p >= 'a' && *r->p <= 'z') || *r->p == 'E'))
        r->p++;
    return r->p > begin ? RAG_OK : bad(r, "a value is expected");
}

/* Take the text out of 'value' into the item. */
static enum rag_status keep(struct reader *r, struct model_texts *t, struct buf *value,
                            const char **ret_text, size_t *ret_n)
{
    char *text = NULL;

    if (*ret_text)
        return bad(r, "\"text\" or \"pair\" stands there twice");
    if (buf_take(value, &text, ret_n) != RAG_OK)
        return rag_fail(r->reterr, RAG_ENOMEM, "%s, line %zu: out of memory", r->what, r->line);
    t->pool[t->n_pool++] = text; /* ownership moves */
    *ret_text = text;
    return RAG_OK;
}

static enum rag_status read_object(struct reader *r, struct model_texts *t, struct buf *key,
                                   struct buf *value)
{
    struct model_text item = {0};
    enum rag_status status = RAG_OK;

    if (!grow(t))
        return rag_fail(r->reterr, RAG_ENOMEM, "%s, line %zu: out of memory", r->what, r->line);
    if (!take(r, '{'))
        return bad(r, "an object is expected");
    do {
        bool text;
        bool pair;

        buf_reset(key);
        buf_reset(value);
        status = read_string(r, key);
        if (status == RAG_OK && !take(r, ':'))
            status = bad(r, "':' is expected");
        if (status != RAG_OK)
            return status;
        text = strcmp(buf_str(key), "text") == 0;
        pair = strcmp(buf_str(key), "pair") == 0;
        skip_blanks(r);
        if ((text || pair) && r->p < r->end && *r->p == '"') {
            status = read_string(r, value);
            if (status == RAG_OK)
                status = text ? keep(r, t, value, &item.text, &item.n_bytes)
                              : keep(r, t, value, &item.pair, &item.n_pair_bytes);
        } else {
            status = skip_value(r, value);
        }
    } while (status == RAG_OK && take(r, ','));
    if (status == RAG_OK && !take(r, '}'))
        status = bad(r, "an object without its end");
    skip_blanks(r);
    if (status == RAG_OK && r->p != r->end)
        status = bad(r, "something behind the object");
    if (status == RAG_OK && !item.text)
        status = bad(r, "no \"text\"");
    if (status == RAG_OK)
        t->items[t->n++] = item;
    return status;
}

enum rag_status model_texts_parse(const char *data, size_t n_bytes, const char *what,
                                  struct model_texts *ret, struct rag_error *reterr)
{
    struct reader r = {.p = data, .what = what, .reterr = reterr};
    const char *end = data + n_bytes;
    enum rag_status status = RAG_OK;
    struct model_texts t = {0};
    struct buf key;
    struct buf value;

    buf_init(&key, EVAL_LINE_BYTES_MAX);
    buf_init(&value, EVAL_LINE_BYTES_MAX);
    while (status == RAG_OK && r.p < end) {
        const char *lf = memchr(r.p, '\n', (size_t)(end - r.p));

        r.end = lf ? lf : end;
        r.line++;
        skip_blanks(&r);
        if (r.p < r.end)
            status = read_object(&r, &t, &key, &value);
        r.p = lf ? lf + 1 : end;
    }
    buf_release(&key);
    buf_release(&value);
    if (status != RAG_OK) {
        model_texts_release(&t);
        return status;
    }
    *ret = t;
    return RAG_OK;
}

enum rag_status model_texts_file(const char *path, struct model_texts *ret,
                                 struct rag_error *reterr)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "re");
    enum rag_status status = RAG_OK;
    struct buf data;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", path);
    buf_init(&data, EVAL_FILE_BYTES_MAX);
    while (buf_status(&data) == RAG_OK) {
        char *room = buf_reserve(&data, READ_BYTES);
        size_t n = room ? fread(room, 1, READ_BYTES, f) : 0;

        if (n == 0)
            break;
        buf_commit(&data, n);
    }
    if (buf_status(&data) != RAG_OK)
        status = rag_fail(reterr, buf_status(&data), "file '%s': over %u bytes, or out of memory",
                          path, EVAL_FILE_BYTES_MAX);
    else if (ferror(f))
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot read", path);
    else
        status = model_texts_parse(buf_str(&data), data.len, standard ? "standard input" : path,
                                   ret, reterr);
    buf_release(&data);
    if (!standard)
        fclose(f);
    return status;
}
