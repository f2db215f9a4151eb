#include "daemon/audit_export.h"

#include <math.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/json_writer.h"

static void put_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * AUDIT_SIGNATURE_BYTES + 1];

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
    json_put_string(w, key, hex);
}

/* ---- JSONL ---- */

/* A payload of settings as a client sent them may hold line ends between its tokens: then it goes
 * as a text, for its bytes are what was hashed. */
static void put_payload(struct json_writer *w, const char *payload)
{
    if (!payload)
        json_put_null(w, "payload");
    else if (strpbrk(payload, "\r\n"))
        json_put_string(w, "payload_text", payload);
    else
        json_put_raw(w, "payload", payload);
}

void audit_export_json(const struct audit_export_row *r, struct buf *out)
{
    char time[CLOCK_TEXT_BYTES];
    struct json_writer w;

    clock_format(r->row.time_ms, time);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)r->row.seq);
    json_put_string(&w, "time", time);
    json_put_int(&w, "time_ms", r->row.time_ms);
    json_put_string(&w, "kind", r->row.kind);
    json_put_string(&w, "principal", r->row.principal);
    json_put_bool(&w, "erased", r->payload == NULL);
    put_hex(&w, "previous", r->previous, SHA256_BYTES);
    put_hex(&w, "hash", r->hash, SHA256_BYTES);
    put_hex(&w, "payload_hash", r->row.payload_hash, SHA256_BYTES);
    if (r->salt)
        put_hex(&w, "salt", r->salt, AUDIT_SALT_BYTES);
    put_payload(&w, r->payload);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

void audit_export_end(const struct audit_export_end *end, struct buf *out)
{
    const struct audit_checkpoint *c = &end->checkpoint;
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "end");
    json_put_int(&w, "rows", (int64_t)end->n_rows);
    json_put_int(&w, "after", (int64_t)end->after);
    json_put_bool(&w, "filtered", end->filtered);
    json_put_bool(&w, "limited", end->limited);
    json_begin_object(&w, "head");
    json_put_int(&w, "n", (int64_t)end->head.n);
    put_hex(&w, "hash", end->head.hash, SHA256_BYTES);
    json_end_object(&w);
    if (c->seq == 0) {
        json_put_null(&w, "checkpoint");
    } else {
        json_begin_object(&w, "checkpoint");
        json_put_int(&w, "seq", (int64_t)c->seq);
        json_put_int(&w, "time_ms", c->time_ms);
        put_hex(&w, "hash", c->hash, SHA256_BYTES);
        put_hex(&w, "signature", c->signature, AUDIT_SIGNATURE_BYTES);
        put_hex(&w, "public_key", c->public_key, AUDIT_PUBLIC_BYTES);
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

/* ---- CSV ---- */

/* What Excel, LibreOffice and Google Sheets take for the beginning of a formula; the full-width
 * forms become these in East Asian versions. Source: OWASP, "CSV Injection". */
static bool begins_formula(const char *text)
{
    static const char *const wide[] = {"＝", "＋", "－", "＠"};

    if (*text != '\0' && strchr("=+-@|%", *text))
        return true;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (strncmp(text, wide[i], strlen(wide[i])) == 0)
            return true;
    return false;
}

/* One text as a cell, in quotes always. */
static void put_text(struct buf *out, const char *text)
{
    const char *first = text + strspn(text, " \t\r\n");

    buf_append_char(out, '"');
    if (begins_formula(first))
        buf_append_char(out, '\'');
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            buf_append_char(out, '"');
        buf_append_char(out, (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c);
    }
    buf_append_char(out, '"');
}

static void put_number(struct buf *out, double value)
{
    if (isfinite(value))
        buf_printf(out, "%.15g", value);
}

/* What a text cell may say of a payload; NULL: nothing. */
static const char *text_of(const struct json *payload, const char *key)
{
    return json_string(json_member(payload, key));
}

static const char *question_of(const struct json *payload)
{
    const struct json *messages = json_member(payload, "messages");
    const char *text = text_of(payload, "question");

    if (!text)
        text = text_of(payload, "query");
    if (text || text_of(payload, "collection"))
        return text;
    for (const struct json *m = json_first(messages); m; m = json_next(m))
        text = text_of(m, "content"); /* of a chat: the last one */
    return text;
}

/* Names, each once, in the order of their first place; "; " between. */
static void put_names(struct buf *out, const struct json *list, const char *key)
{
    struct buf names;

    buf_init(&names, out->max);
    for (const struct json *a = json_first(list); a; a = json_next(a)) {
        const char *name = text_of(a, key);
        bool known = !name;

        for (const struct json *b = json_first(list); b != a && !known; b = json_next(b))
            known = text_of(b, key) && strcmp(text_of(b, key), name) == 0;
        if (known)
            continue;
        buf_append_str(&names, names.len > 0 ? "; " : "");
        buf_append_str(&names, name);
    }
    put_text(out, buf_str(&names));
    buf_release(&names);
}

static void put_documents(struct buf *out, const struct json *payload)
{
    if (text_of(payload, "document"))
        put_text(out, text_of(payload, "document"));
    else if (json_size(json_member(payload, "citations")) > 0)
        put_names(out, json_member(payload, "citations"), "document");
    else
        put_names(out, NULL, "document");
}

static const char header[] =
    "seq,time,kind,principal,request_id,collection,question,outcome,reason_code,backend,cache,"
    "model_fingerprint,prompt_tokens,completion_tokens,cost,guard_verdict,guard_rules,documents,"
    "total_ms,hash,erased\r\n";

void audit_export_header(struct buf *out)
{
    buf_append_str(out, header);
}

static void put_texts(struct buf *out, const struct json *payload, const char *const *keys)
{
    for (; *keys; keys++) {
        const char *text = text_of(payload, *keys);

        buf_append_char(out, ',');
        put_text(out, text ? text : "");
    }
}

void audit_export_csv(const struct audit_export_row *r, struct buf *out)
{
    static const char *const before[] = {"request_id", "collection", NULL};
    static const char *const after[] = {"outcome", "reason_code",       "backend",
                                        "cache",   "model_fingerprint", NULL};
    const char *text = r->payload ? r->payload : "{}";
    struct json *payload = NULL;
    char hex[SHA256_HEX_BYTES];
    char time[CLOCK_TEXT_BYTES];
    const struct json *usage;
    const struct json *guard;

    /* a payload that is no JSON leaves its cells empty: JSONL has it */
    if (json_parse(text, strlen(text), "payload", &payload, NULL) != RAG_OK)
        payload = NULL;
    usage = json_member(payload, "usage");
    guard = json_member(payload, "guard");
    clock_format(r->row.time_ms, time);
    sha256_hex(r->hash, hex);
    buf_printf(out, "%llu,%s,", (unsigned long long)r->row.seq, time);
    put_text(out, r->row.kind);
    buf_append_char(out, ',');
    put_text(out, r->row.principal);
    put_texts(out, payload, before);
    buf_append_char(out, ',');
    put_text(out, question_of(payload) ? question_of(payload) : "");
    put_texts(out, payload, after);
    buf_append_char(out, ',');
    put_number(out, json_number(json_member(usage, "prompt_tokens")));
    buf_append_char(out, ',');
    put_number(out, json_number(json_member(usage, "completion_tokens")));
    buf_append_char(out, ',');
    put_number(out, json_number(json_member(payload, "cost")));
    buf_append_char(out, ',');
    put_text(out, text_of(guard, "verdict") ? text_of(guard, "verdict") : "");
    buf_append_char(out, ',');
    put_names(out, json_member(guard, "findings"), "rule");
    buf_append_char(out, ',');
    put_documents(out, payload);
    buf_append_char(out, ',');
    put_number(out, json_number(json_member(json_member(payload, "stages_ms"), "total")));
    buf_printf(out, ",%s,%s\r\n", hex, r->payload ? "false" : "true");
    json_free(payload);
}
