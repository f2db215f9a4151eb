#include "generate/openai_reply.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

/* A byte that belongs to no character travels through the JSON parser as the code point
 * BYTE_BASE + byte (the end of plane 16, private use). */
#define BYTE_BASE   0x10FF00u
#define REPLACEMENT 0xFFFDu
#define TOKENS_MAX  1e15

void openai_reply_init(struct openai_reply *r, size_t text_bytes_max)
{
    *r = (struct openai_reply){.finish = OPENAI_RUNNING};
    buf_init(&r->text, text_bytes_max);
}

void openai_reply_release(struct openai_reply *r)
{
    buf_release(&r->text);
}

/* ---- JSON that a parser takes ---- */

static void append_code(struct buf *out, uint32_t code)
{
    char utf8[4];

    buf_append(out, utf8, utf8_encode(code, utf8));
}

/* Bytes of the hexadecimal digits at s as a number; false: there are not four. */
static bool hex4(const char *s, size_t n, uint32_t *ret)
{
    uint32_t value = 0;

    if (n < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)s[i];
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10u
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10u
                                                : 16u;

        if (digit == 16u)
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

static bool is_high(uint32_t code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

static bool is_low(uint32_t code)
{
    return code >= 0xDC00 && code <= 0xDFFF;
}

/* A half of a surrogate pair as three bytes that are no UTF-8 (CESU-8's), so that it takes the same
 * way as other halves of characters. */
static void append_half(struct buf *out, uint32_t half)
{
    append_code(out, BYTE_BASE + (0xE0 | half >> 12));
    append_code(out, BYTE_BASE + (0x80 | (half >> 6 & 0x3F)));
    append_code(out, BYTE_BASE + (0x80 | (half & 0x3F)));
}

/* The escape at s[0] == '\\'; returns its bytes. */
static size_t clean_escape(const char *s, size_t n, struct buf *out, bool *ret_bytes)
{
    uint32_t code;
    uint32_t next;

    if (n < 2 || s[1] != 'u' || !hex4(s + 2, n - 2, &code)) {
        buf_append(out, s, n < 2 ? n : 2);
        return n < 2 ? n : 2;
    }
    if (is_high(code) && n >= 12 && s[6] == '\\' && s[7] == 'u' && hex4(s + 8, n - 8, &next) &&
        is_low(next)) {
        buf_append(out, s, 12);
        return 12;
    }
    if (is_high(code) || is_low(code)) {
        append_half(out, code);
        *ret_bytes = true;
    } else if (code == 0) {
        append_code(out, REPLACEMENT);
    } else {
        buf_append(out, s, 6);
    }
    return 6;
}

/* Append the text so that json_parse() takes its strings; *ret_bytes: bytes travel in it. */
static void clean(const char *s, size_t n, struct buf *out, bool *ret_bytes)
{
    *ret_bytes = false;
    for (size_t i = 0; i < n && buf_status(out) == RAG_OK;) {
        size_t step = utf8_sequence_bytes(s + i, n - i);

        if (s[i] == '\\') {
            i += clean_escape(s + i, n - i, out, ret_bytes);
        } else if (step == 0) {
            append_code(out, BYTE_BASE + (unsigned char)s[i]);
            *ret_bytes = true;
            i++;
        } else if (step == 4 && utf8_decode(s + i, NULL) >= BYTE_BASE + 0x80) {
            append_code(out, REPLACEMENT); /* or it would be taken for a byte */
            i += step;
        } else {
            buf_append(out, s + i, step);
            i += step;
        }
    }
}

/* ---- text ---- */

/* The half of a pair that three bytes stand for, or 0. */
static uint32_t half_of(const char *s, size_t n)
{
    const unsigned char *b = (const unsigned char *)s;

    if (n < 3 || b[0] != 0xED || b[1] < 0xA0 || b[1] > 0xBF || (b[2] & 0xC0) != 0x80)
        return 0;
    return 0xD000u | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3Fu);
}

static void drop_surrogate(struct openai_reply *r)
{
    if (r->surrogate != 0)
        append_code(&r->text, REPLACEMENT);
    r->surrogate = 0;
}

static void put_half(struct openai_reply *r, uint32_t half)
{
    if (is_low(half) && r->surrogate != 0) {
        append_code(&r->text, 0x10000 + ((r->surrogate - 0xD800) << 10) + (half - 0xDC00));
        r->surrogate = 0;
        return;
    }
    drop_surrogate(r);
    if (is_high(half))
        r->surrogate = half;
    else
        append_code(&r->text, REPLACEMENT);
}

/* Append bytes as characters; what ends in the middle of one waits. s is whole. */
static void put_bytes(struct openai_reply *r, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t half = half_of(s + i, n - i);
        bool valid = false;
        size_t step;

        if (half != 0) {
            put_half(r, half);
            i += 3;
            continue;
        }
        step = utf8_lossy_step(s + i, n - i, &valid);
        if (step == 0) {
            r->n_partial = n - i; /* at most 3 */
            memcpy(r->partial, s + i, r->n_partial);
            return;
        }
        drop_surrogate(r);
        if (valid)
            buf_append(&r->text, s + i, step);
        else
            append_code(&r->text, REPLACEMENT);
        i += step;
    }
}

static void put_text(struct openai_reply *r, const char *s, bool bytes)
{
    struct buf whole;

    if (s[0] == '\0')
        return;
    buf_init(&whole, r->text.max);
    buf_append(&whole, r->partial, r->n_partial);
    r->n_partial = 0;
    for (size_t i = 0; s[i] != '\0';) {
        size_t step;
        uint32_t code = utf8_decode(s + i, &step);

        if (bytes && code >= BYTE_BASE + 0x80)
            buf_append_char(&whole, (char)(code - BYTE_BASE));
        else
            buf_append(&whole, s + i, step);
        i += step;
    }
    if (buf_status(&whole) == RAG_OK)
        put_bytes(r, buf_str(&whole), whole.len);
    else
        r->text.failed = buf_status(&whole);
    buf_release(&whole);
}

void openai_reply_finish(struct openai_reply *r)
{
    drop_surrogate(r);
    if (r->n_partial > 0)
        append_code(&r->text, REPLACEMENT);
    r->n_partial = 0;
}

/* ---- the shape ---- */

static enum rag_status put_content(struct openai_reply *r, const struct json *content, bool bytes,
                                   struct rag_error *reterr)
{
    if (!content || json_is_null(content))
        return RAG_OK;
    if (json_is_string(content)) {
        put_text(r, json_string(content), bytes);
        return RAG_OK;
    }
    if (!json_is_array(content))
        return rag_fail(reterr, RAG_EFORMAT, "response: 'content' is neither text nor null");
    for (const struct json *part = json_first(content); part; part = json_next(part)) {
        const char *text = json_string(json_member(part, "text"));

        if (text)
            put_text(r, text, bytes);
    }
    return RAG_OK;
}

static enum openai_finish finish_of(const char *name)
{
    static const struct {
        const char *name;
        enum openai_finish finish;
    } names[] = {
        {"length",         OPENAI_LENGTH  },
        {"max_tokens",     OPENAI_LENGTH  },
        {"model_length",   OPENAI_LENGTH  },
        {"content_filter", OPENAI_FILTERED},
        {"tool_calls",     OPENAI_TOOL    },
        {"function_call",  OPENAI_TOOL    },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].finish;
    return OPENAI_STOP; /* "stop", and what servers call it else: "eos", "end_turn" */
}

static enum rag_status put_choice(struct openai_reply *r, const struct json *choice, bool bytes,
                                  struct rag_error *reterr)
{
    const struct json *delta = json_member(choice, "delta");
    const struct json *message = delta ? delta : json_member(choice, "message");
    const char *refusal = json_string(json_member(message, "refusal"));
    const char *finish = json_string(json_member(choice, "finish_reason"));
    double index = json_number(json_member(choice, "index"));
    enum rag_status status;

    if (!json_is_object(choice))
        return rag_fail(reterr, RAG_EFORMAT, "response: an element of 'choices' is no object");
    if (index > 0)
        return RAG_OK; /* one was asked for */
    if (message && !json_is_object(message) && !json_is_null(message))
        return rag_fail(reterr, RAG_EFORMAT, "response: '%s' is no object",
                        delta ? "delta" : "message");
    if (!message && !finish)
        return rag_fail(reterr, RAG_EFORMAT,
                        "response: a choice without 'delta', 'message' and 'finish_reason'");
    if (refusal && refusal[0] != '\0')
        return rag_fail(reterr, RAG_EDENIED, "the model refused to answer");
    status = put_content(r, json_member(message, "content"), bytes, reterr);
    if (status == RAG_OK && finish && finish[0] != '\0')
        r->finish = finish_of(finish);
    return status;
}

static uint64_t tokens_of(const struct json *object, const char *key)
{
    double n = json_number(json_member(object, key));

    return !isnan(n) && n > 0 && n < TOKENS_MAX ? (uint64_t)n : 0;
}

static void put_usage(struct openai_reply *r, const struct json *usage)
{
    if (!json_is_object(usage))
        return;
    r->has_usage = true;
    r->prompt_tokens = tokens_of(usage, "prompt_tokens");
    r->completion_tokens = tokens_of(usage, "completion_tokens");
    r->cached_tokens = tokens_of(json_member(usage, "prompt_tokens_details"), "cached_tokens");
}

static enum rag_status put_root(struct openai_reply *r, const struct json *root, bool bytes,
                                struct rag_error *reterr)
{
    const struct json *error = json_member(root, "error");
    const struct json *choices = json_member(root, "choices");
    const char *text = json_string(json_member(error, "message"));
    enum rag_status status = RAG_OK;

    if (!json_is_object(root))
        return rag_fail(reterr, RAG_EFORMAT, "response: is no object");
    if (error && !json_is_null(error)) {
        if (!text)
            text = json_string(error);
        return rag_fail(reterr, RAG_EIO, "%.240s", text ? text : "an error without a message");
    }
    put_usage(r, json_member(root, "usage"));
    if (!json_is_array(choices)) {
        if (r->has_usage && !choices)
            return RAG_OK; /* some send the usage alone */
        return rag_fail(reterr, RAG_EFORMAT, "response: has no 'choices'");
    }
    for (const struct json *c = json_first(choices); c && status == RAG_OK; c = json_next(c))
        status = put_choice(r, c, bytes, reterr);
    if (status == RAG_OK && buf_status(&r->text) != RAG_OK)
        status =
            rag_fail(reterr, buf_status(&r->text), "response: text of over %zu bytes", r->text.max);
    return status;
}

enum rag_status openai_reply_put(struct openai_reply *r, const char *json, size_t n,
                                 struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status;
    struct buf cleaned;
    bool bytes;

    buf_init(&cleaned, 4 * n + 4); /* a byte becomes four, an escape of six twelve */
    clean(json, n, &cleaned, &bytes);
    status = buf_status(&cleaned);
    if (status != RAG_OK)
        rag_fail(reterr, status, "response: out of memory");
    if (status == RAG_OK)
        status = json_parse(buf_str(&cleaned), cleaned.len, "response", &root, reterr);
    if (status == RAG_OK)
        status = put_root(r, root, bytes, reterr);
    json_free(root);
    buf_release(&cleaned);
    return status;
}
