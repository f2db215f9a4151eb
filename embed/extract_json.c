/* JSON records: one document in an object, with its text in any of the other formats.
 *
 * "text" is the document; "id" or "name" its name; "title", "metadata" and "format" ("text",
 * "markdown", "html"; default "text") are what they say. Every other field goes into the
 * metadata unless "metadata" has that key, so that a dataset's own columns (url, date,
 * category) can be filtered by; null is left out, an object in it is an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "text/nfc.h"

static bool is_record_key(const char *key)
{
    static const char *const keys[] = {"id", "name", "text", "title", "metadata", "format"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static char *copy_string(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = malloc(n);

    if (copy)
        memcpy(copy, s, n);
    return copy;
}

/* A number as an id is its text: "id": 17. */
static enum rag_status read_name(const struct json *record, char **ret, struct rag_error *reterr)
{
    const struct json *id = json_member(record, "id");
    const struct json *node = id && !json_is_null(id) ? id : json_member(record, "name");
    const char *key = node ? json_key(node) : "id";
    char *name = NULL;

    if (!node || json_is_null(node)) {
        *ret = NULL;
        return RAG_OK;
    }
    if (json_is_string(node)) {
        const char *s = json_string(node);

        if (strlen(s) > DOCUMENT_NAME_BYTES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "record '%s': %zu bytes; the limit is %d", key,
                            strlen(s), DOCUMENT_NAME_BYTES_MAX);
        name = copy_string(s);
    } else if (json_is_number(node)) {
        if (json_print(node, &name) != RAG_OK)
            name = NULL;
    } else {
        return rag_fail(reterr, RAG_EINVAL, "record '%s': must be a text or a number", key);
    }
    if (!name)
        return rag_fail(reterr, RAG_ENOMEM, "record: out of memory");
    *ret = name;
    return RAG_OK;
}

static enum rag_status read_format(const struct json *record, enum document_format *ret,
                                   struct rag_error *reterr)
{
    static const struct {
        const char *word;
        enum document_format format;
    } words[] = {
        {"text",     FORMAT_TEXT    },
        {"markdown", FORMAT_MARKDOWN},
        {"html",     FORMAT_HTML    }
    };
    const char *word = "text";
    enum rag_status status = json_get_string(record, "format", 64, &word, reterr);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i].word) == 0) {
            *ret = words[i].format;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EINVAL, "record 'format': \"%s\"; must be text, markdown or html",
                    word);
}

/* ---- metadata ---- */

static bool is_scalar(const struct json *node)
{
    return json_is_string(node) || json_is_number(node) || json_is_bool(node);
}

static enum rag_status check_value(const struct json *node, struct rag_error *reterr)
{
    const char *key = json_key(node);
    const char *s = json_string(node);

    if (s && strlen(s) > METADATA_VALUE_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "metadata '%.64s': %zu bytes; the limit is %d", key,
                        strlen(s), METADATA_VALUE_BYTES_MAX);
    if (is_scalar(node))
        return RAG_OK;
    if (json_is_array(node)) {
        for (const struct json *item = json_first(node); item; item = json_next(item)) {
            s = json_string(item);
            if (!is_scalar(item))
                break;
            if (s && strlen(s) > METADATA_VALUE_BYTES_MAX)
                return rag_fail(reterr, RAG_ELIMIT,
                                "metadata '%.64s': an element of %zu bytes; the limit is %d", key,
                                strlen(s), METADATA_VALUE_BYTES_MAX);
            if (!json_next(item))
                return RAG_OK;
        }
        if (json_size(node) == 0)
            return RAG_OK;
    }
    return rag_fail(reterr, RAG_EINVAL,
                    "metadata '%.64s': must be a text, a number, true or false, or an array of "
                    "these",
                    key);
}

static enum rag_status put_members(struct json_writer *w, const struct json *object,
                                   const struct json *but, bool is_record, size_t *n_keys,
                                   struct rag_error *reterr)
{
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        enum rag_status status;
        char *text = NULL;

        if (json_is_null(m) || (is_record && is_record_key(json_key(m))) ||
            (but && json_member(but, json_key(m))))
            continue;
        status = check_value(m, reterr);
        if (status != RAG_OK)
            return status;
        if (++*n_keys > METADATA_KEYS_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "metadata: over %d keys", METADATA_KEYS_MAX);
        if (json_print(m, &text) != RAG_OK)
            return rag_fail(reterr, RAG_ENOMEM, "record: out of memory");
        json_put_raw(w, json_key(m), text);
        free(text);
    }
    return RAG_OK;
}

/* *ret: the object's text, or NULL when there is no metadata. */
static enum rag_status read_metadata(const struct json *record, char **ret,
                                     struct rag_error *reterr)
{
    const struct json *given = NULL;
    enum rag_status status = json_get_object(record, "metadata", &given, reterr);
    size_t n_keys = 0;
    struct json_writer w;
    struct buf out;

    if (status != RAG_OK)
        return status;
    buf_init(&out, METADATA_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    if (given)
        status = put_members(&w, given, NULL, false, &n_keys, reterr);
    if (status == RAG_OK)
        status = put_members(&w, record, given, true, &n_keys, reterr);
    json_end_object(&w);
    if (status == RAG_OK && buf_status(&out) != RAG_OK)
        status = buf_status(&out) == RAG_ELIMIT
                     ? rag_fail(reterr, RAG_ELIMIT, "metadata: over %d bytes", METADATA_BYTES_MAX)
                     : rag_fail(reterr, RAG_ENOMEM, "record: out of memory");
    if (status == RAG_OK && n_keys > 0)
        status = buf_take(&out, ret, NULL);
    buf_release(&out);
    return status;
}

/* ---- a record ---- */

/* The record's own title counts before the one found in the text. */
static enum rag_status override_title(const char *title, struct extracted *e,
                                      struct rag_error *reterr)
{
    struct extraction holder;
    enum rag_status status;
    struct buf nfc;

    extraction_init(&holder);
    buf_init(&nfc, (size_t)TITLE_BYTES_MAX * 64);
    status = nfc_append(title, strlen(title), &nfc, reterr);
    if (status == RAG_OK)
        status = extraction_title(&holder, buf_str(&nfc), nfc.len, reterr);
    if (status == RAG_OK && holder.title.len > 0) {
        free(e->title);
        e->title = NULL;
        status = buf_take(&holder.title, &e->title, NULL);
    }
    extraction_release(&holder);
    buf_release(&nfc);
    return status;
}

static enum rag_status read_record(const struct json *record, struct extracted *ret,
                                   struct rag_error *reterr)
{
    enum document_format format = FORMAT_TEXT;
    const char *title = NULL;
    const char *text = NULL;
    enum rag_status status;

    if (!json_is_object(record))
        return rag_fail(reterr, RAG_EINVAL, "record: must be a JSON object with \"text\"%s",
                        json_is_array(record) ? "; send an array as NDJSON, an object a line" : "");
    status = json_get_string(record, "text", (size_t)DOCUMENT_BYTES_MAX * 3, &text, reterr);
    if (status == RAG_OK && !text)
        status = rag_fail(reterr, RAG_EINVAL, "record: has no \"text\"");
    if (status == RAG_OK)
        status = json_get_string(record, "title", (size_t)TITLE_BYTES_MAX * 16, &title, reterr);
    if (status == RAG_OK)
        status = read_format(record, &format, reterr);
    if (status == RAG_OK)
        status = extract_body(format, text, strlen(text), ret, reterr);
    if (status == RAG_OK)
        status = read_name(record, &ret->name, reterr);
    if (status == RAG_OK)
        status = read_metadata(record, &ret->metadata, reterr);
    if (status == RAG_OK && title)
        status = override_title(title, ret, reterr);
    return status;
}

enum rag_status extract_record(const char *record, size_t n_bytes, struct extracted *ret,
                               struct rag_error *reterr)
{
    struct extracted e = {0};
    struct json *root = NULL;
    enum rag_status status;

    if (n_bytes >= 3 && memcmp(record, "\xEF\xBB\xBF", 3) == 0) {
        record += 3;
        n_bytes -= 3;
    }
    status = json_parse(record, n_bytes, "record", &root, reterr);
    if (status == RAG_OK)
        status = read_record(root, &e, reterr);
    json_free(root);
    if (status == RAG_OK)
        *ret = e;
    else
        extracted_release(&e);
    return status;
}

/* ---- NDJSON ---- */

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

enum rag_status extract_records(const char *body, size_t n_bytes, const struct record_sink *sink,
                                struct rag_error *reterr)
{
    size_t n_lines = 0;
    struct text_line line;

    for (size_t at = 0; text_line_at(body, n_bytes, at, &line); at = line.next) {
        struct extracted record = {0};
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status;

        n_lines++;
        while (line.end > line.start && is_json_space(body[line.end - 1]))
            line.end--;
        while (line.start < line.end && is_json_space(body[line.start]))
            line.start++;
        if (line.start == line.end)
            continue;
        status = extract_record(body + line.start, line.end - line.start, &record, &error);
        if (status == RAG_OK) {
            status = sink->on_record(sink->context, n_lines, &record, reterr);
            extracted_release(&record);
            if (status != RAG_OK)
                return status;
            continue;
        }
        if (status == RAG_ENOMEM || !sink->on_bad ||
            !sink->on_bad(sink->context, n_lines, error.text))
            return rag_fail(reterr, status, "line %zu: %s", n_lines, error.text);
    }
    return RAG_OK;
}
