#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "eval/dataset.h"
#include "text/nfc.h"

struct line_texts {
    struct buf text;
    struct buf title;
};

static enum rag_status read_member(const struct json *object, const char *key, const char *where,
                                   struct buf *out, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *value = "";
    enum rag_status status = json_get_string(object, key, DOCUMENT_BYTES_MAX, &value, &inner);

    buf_reset(out);
    if (status == RAG_OK)
        status = nfc_append(value, strlen(value), out, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", where, inner.text);
    return RAG_OK;
}

static enum rag_status read_line(struct dataset *d, const struct buf *line, const char *where,
                                 struct line_texts *texts, size_t *n_added,
                                 struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status;
    bool added = false;
    size_t index;

    status = json_parse(buf_str(line), line->len, where, &root, reterr);
    if (status != RAG_OK)
        return status;
    if (!json_is_object(root))
        status = rag_fail(reterr, RAG_EFORMAT, "%s: not an object", where);
    if (status == RAG_OK)
        status = read_member(root, "text", where, &texts->text, reterr);
    if (status == RAG_OK)
        status = read_member(root, "title", where, &texts->title, reterr);
    json_free(root);
    if (status != RAG_OK)
        return status;
    if (buf_str(&texts->text)[strspn(buf_str(&texts->text), " \t\n")] == '\0')
        return rag_fail(reterr, RAG_EFORMAT, "%s: 'text' is missing or empty", where);
    status = dataset_add_passage(d, buf_str(&texts->text), texts->text.len, buf_str(&texts->title),
                                 &index, &added, reterr);
    *n_added += status == RAG_OK && added ? 1 : 0;
    return status;
}

enum rag_status dataset_read_distractors(struct dataset *d, struct input *in, size_t *ret_n,
                                         struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct line_texts texts;
    size_t n_added = 0;
    struct buf line;
    bool end = false;

    buf_init(&line, EVAL_LINE_BYTES_MAX);
    buf_init(&texts.text, (size_t)DOCUMENT_BYTES_MAX * 3);
    buf_init(&texts.title, (size_t)DOCUMENT_BYTES_MAX * 3);
    for (;;) {
        char where[320];

        status = input_line(in, &line, &end, reterr);
        if (status != RAG_OK || end)
            break;
        if (buf_str(&line)[strspn(buf_str(&line), " \t")] == '\0')
            continue;
        snprintf(where, sizeof where, "file '%.256s' line %zu", input_name(in),
                 input_line_number(in));
        status = read_line(d, &line, where, &texts, &n_added, reterr);
        if (status != RAG_OK)
            break;
    }
    buf_release(&line);
    buf_release(&texts.text);
    buf_release(&texts.title);
    if (status == RAG_OK)
        *ret_n = n_added;
    return status;
}
