#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/utf8.h"
#include "eval/dataset.h"
#include "text/nfc.h"

struct reader {
    struct dataset *dataset;
    const char *file;   /* for messages */
    struct buf context; /* of the paragraph being read, NFC */
    struct buf scratch;
    const char *raw_context; /* as in the file */
    const char *title;       /* NFC, in the arena */
    size_t passage;
    char place[96]; /* "data[3].paragraphs[0].qas[2]" */
};

/* Put the file and the place before the message that is already in *reterr. */
static enum rag_status at_place(const struct reader *r, enum rag_status status,
                                struct rag_error *reterr)
{
    char what[sizeof reterr->text];

    if (!reterr)
        return status;
    memcpy(what, reterr->text, sizeof what);
    return rag_fail(reterr, status, "file '%s': %s: %s", r->file, r->place, what);
}

static enum rag_status wrong(const struct reader *r, const char *what, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT, "file '%s': %s: %s", r->file, r->place, what);
}

static enum rag_status no_memory(const struct reader *r, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory, or over %zu bytes of text",
                    r->file, (size_t)EVAL_TEXT_BYTES_MAX);
}

static enum rag_status to_nfc(const struct reader *r, const char *text, size_t n, struct buf *out,
                              struct rag_error *reterr)
{
    enum rag_status status;

    buf_reset(out);
    status = nfc_append(text, n, out, reterr);
    return status == RAG_OK ? RAG_OK : at_place(r, status, reterr);
}

static bool blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

/* A member that must be a text with something in it. */
static enum rag_status need_text(const struct reader *r, const struct json *object, const char *key,
                                 size_t bytes_max, const char **ret, struct rag_error *reterr)
{
    const char *text = NULL;
    enum rag_status status = json_get_string(object, key, bytes_max, &text, reterr);

    if (status != RAG_OK)
        return at_place(r, status, reterr);
    if (!text || blank(text))
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': %s: '%s' is %s", r->file, r->place, key,
                        text ? "empty" : "missing");
    *ret = text;
    return RAG_OK;
}

/* Where the answer is in the NFC context: where the file says, if the text there is the
 * answer; ANSWER_ANYWHERE otherwise. */
static enum rag_status locate(struct reader *r, int64_t start, struct dataset_answer *a,
                              struct rag_error *reterr)
{
    size_t n_raw = strlen(r->raw_context);
    size_t n_answer = strlen(a->text);
    enum rag_status status;
    size_t at;

    a->byte_start = a->byte_end = ANSWER_ANYWHERE;
    if (start < 0)
        return RAG_OK;
    at = utf8_advance(r->raw_context, n_raw, 0, (size_t)start);
    status = to_nfc(r, r->raw_context, at, &r->scratch, reterr);
    if (status != RAG_OK)
        return status;
    at = r->scratch.len;
    if (at > r->context.len || n_answer > r->context.len - at ||
        memcmp(r->context.data + at, a->text, n_answer) != 0)
        return RAG_OK;
    a->byte_start = (uint32_t)at;
    a->byte_end = (uint32_t)(at + n_answer);
    return RAG_OK;
}

static enum rag_status read_answer(struct reader *r, const struct json *node,
                                   struct dataset_answer *ret, bool *ret_empty,
                                   struct rag_error *reterr)
{
    const char *text = NULL;
    int64_t start = -1;
    enum rag_status status;

    if (!json_is_object(node))
        return wrong(r, "an answer is not an object", reterr);
    status = json_get_string(node, "text", EVAL_ANSWER_BYTES_MAX, &text, reterr);
    if (status == RAG_OK)
        status = json_get_int(node, "answer_start", -1, DOCUMENT_BYTES_MAX, &start, reterr);
    if (status != RAG_OK)
        return at_place(r, status, reterr);
    *ret_empty = !text || blank(text);
    if (*ret_empty)
        return RAG_OK;
    status = to_nfc(r, text, strlen(text), &r->scratch, reterr);
    if (status != RAG_OK)
        return status;
    ret->text = arena_strndup(&r->dataset->arena, buf_str(&r->scratch), r->scratch.len);
    if (!ret->text)
        return no_memory(r, reterr);
    return locate(r, start, ret, reterr);
}

static enum rag_status read_answers(struct reader *r, const struct json *qa,
                                    struct dataset_question *q, struct rag_error *reterr)
{
    const struct json *list = NULL;
    struct dataset_answer *answers;
    enum rag_status status;
    size_t n = 0;

    status = json_get_array(qa, "answers", &list, reterr);
    if (status != RAG_OK)
        return at_place(r, status, reterr);
    if (json_size(list) > EVAL_ANSWERS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': %s: %zu answers, the limit is %d", r->file,
                        r->place, json_size(list), EVAL_ANSWERS_MAX);
    answers = arena_calloc(&r->dataset->arena, json_size(list) + 1, sizeof *answers);
    if (!answers)
        return no_memory(r, reterr);
    for (const struct json *a = json_first(list); a; a = json_next(a)) {
        bool empty = false;

        status = read_answer(r, a, &answers[n], &empty, reterr);
        if (status != RAG_OK)
            return status;
        n += empty ? 0 : 1;
    }
    q->answers = answers;
    q->n_answers = n;
    return RAG_OK;
}

static enum rag_status keep_question(struct reader *r, const struct dataset_question *q,
                                     struct rag_error *reterr)
{
    struct dataset *d = r->dataset;

    if (d->n_questions >= EVAL_QUESTIONS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': more than %d questions", r->file,
                        EVAL_QUESTIONS_MAX);
    if (d->n_questions == d->questions_cap) {
        size_t cap = d->questions_cap ? d->questions_cap * 2 : 1024;
        struct dataset_question *grown = realloc(d->questions, cap * sizeof *grown);

        if (!grown)
            return no_memory(r, reterr);
        d->questions = grown;
        d->questions_cap = cap;
    }
    d->questions[d->n_questions++] = *q;
    return RAG_OK;
}

static enum rag_status read_question(struct reader *r, const struct json *qa,
                                     struct rag_error *reterr)
{
    struct dataset_question q = {.passage = r->passage};
    const char *text = NULL;
    const char *id = NULL;
    bool impossible = false;
    enum rag_status status;

    if (!json_is_object(qa))
        return wrong(r, "a question is not an object", reterr);
    status = need_text(r, qa, "question", QUESTION_BYTES_MAX, &text, reterr);
    if (status != RAG_OK)
        return status;
    status = json_get_string(qa, "guid", DOCUMENT_NAME_BYTES_MAX, &id, reterr);
    if (status == RAG_OK)
        status = json_get_string(qa, "id", DOCUMENT_NAME_BYTES_MAX, &id, reterr);
    if (status == RAG_OK)
        status = json_get_bool(qa, "is_impossible", &impossible, reterr);
    if (status != RAG_OK)
        return at_place(r, status, reterr);
    q.answerable = !impossible;
    status = to_nfc(r, text, strlen(text), &r->scratch, reterr);
    if (status != RAG_OK)
        return status;
    q.text = arena_strndup(&r->dataset->arena, buf_str(&r->scratch), r->scratch.len);
    q.id = arena_strdup(&r->dataset->arena, id ? id : r->place);
    if (!q.text || !q.id)
        return no_memory(r, reterr);
    if (q.answerable)
        status = read_answers(r, qa, &q, reterr);
    return status == RAG_OK ? keep_question(r, &q, reterr) : status;
}

static enum rag_status read_paragraph(struct reader *r, const struct json *paragraph,
                                      struct rag_error *reterr)
{
    size_t n_place = strlen(r->place);
    const struct json *qas = NULL;
    enum rag_status status;
    size_t i = 0;

    if (!json_is_object(paragraph))
        return wrong(r, "not an object", reterr);
    status = json_get_array(paragraph, "qas", &qas, reterr);
    if (status != RAG_OK)
        return at_place(r, status, reterr);
    if (json_size(qas) == 0 && blank(json_string(json_member(paragraph, "context"))
                                         ? json_string(json_member(paragraph, "context"))
                                         : ""))
        return RAG_OK; /* nothing to find and nobody asks */
    status = need_text(r, paragraph, "context", DOCUMENT_BYTES_MAX, &r->raw_context, reterr);
    if (status != RAG_OK)
        return status;
    status = to_nfc(r, r->raw_context, strlen(r->raw_context), &r->context, reterr);
    if (status == RAG_OK)
        status = dataset_add_passage(r->dataset, buf_str(&r->context), r->context.len, r->title,
                                     &r->passage, NULL, reterr);
    if (status != RAG_OK)
        return status;
    r->dataset->passages[r->passage].n_paragraphs++;
    r->dataset->n_paragraphs++;
    for (const struct json *qa = json_first(qas); qa && status == RAG_OK; qa = json_next(qa)) {
        snprintf(r->place + n_place, sizeof r->place - n_place, ".qas[%zu]", i++);
        status = read_question(r, qa, reterr);
    }
    r->place[n_place] = '\0';
    return status;
}

static enum rag_status read_article(struct reader *r, const struct json *article,
                                    struct rag_error *reterr)
{
    size_t n_place = strlen(r->place);
    const struct json *paragraphs = NULL;
    const char *title = NULL;
    enum rag_status status;
    size_t i = 0;

    if (!json_is_object(article))
        return wrong(r, "not an object", reterr);
    status = json_get_string(article, "title", DOCUMENT_BYTES_MAX, &title, reterr);
    if (status == RAG_OK)
        status = json_get_array(article, "paragraphs", &paragraphs, reterr);
    if (status != RAG_OK)
        return at_place(r, status, reterr);
    if (!paragraphs)
        return wrong(r, "'paragraphs' is missing", reterr);
    status = to_nfc(r, title ? title : "", title ? strlen(title) : 0, &r->scratch, reterr);
    if (status != RAG_OK)
        return status;
    r->title = arena_strndup(&r->dataset->arena, buf_str(&r->scratch), r->scratch.len);
    if (!r->title)
        return no_memory(r, reterr);
    for (const struct json *p = json_first(paragraphs); p && status == RAG_OK; p = json_next(p)) {
        snprintf(r->place + n_place, sizeof r->place - n_place, ".paragraphs[%zu]", i++);
        status = read_paragraph(r, p, reterr);
    }
    r->place[n_place] = '\0';
    return status;
}

static enum rag_status read_root(struct reader *r, const struct json *root,
                                 struct rag_error *reterr)
{
    const struct json *data = json_member(root, "data");
    const char *version = json_string(json_member(root, "version"));
    enum rag_status status = RAG_OK;
    size_t i = 0;

    if (!json_is_array(data))
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s': no KLUE-MRC, SQuAD or KorQuAD file: there is no array 'data'",
                        r->file);
    r->dataset->version = arena_strdup(&r->dataset->arena, version ? version : "");
    if (!r->dataset->version)
        return no_memory(r, reterr);
    for (const struct json *a = json_first(data); a && status == RAG_OK; a = json_next(a)) {
        snprintf(r->place, sizeof r->place, "data[%zu]", i++);
        status = read_article(r, a, reterr);
    }
    if (status == RAG_OK && r->dataset->n_questions == 0)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': holds no questions", r->file);
    return status;
}

enum rag_status dataset_read_squad(struct dataset *d, struct input *in, struct rag_error *reterr)
{
    struct reader r = {.dataset = d, .file = input_name(in)};
    struct json *root = NULL;
    enum rag_status status;
    char what[256];
    struct buf text;

    buf_init(&text, EVAL_FILE_BYTES_MAX);
    buf_init(&r.context, (size_t)DOCUMENT_BYTES_MAX * 3); /* NFC grows a text threefold at worst */
    buf_init(&r.scratch, (size_t)DOCUMENT_BYTES_MAX * 3);
    status = input_all(in, &text, reterr);
    snprintf(what, sizeof what, "file '%.200s' as JSON", r.file);
    if (status == RAG_OK) {
        const char *from = buf_str(&text);
        size_t n = text.len;

        if (n >= 3 && memcmp(from, "\xEF\xBB\xBF", 3) == 0) {
            from += 3; /* a byte-order mark, which JSON does not know */
            n -= 3;
        }
        status = json_parse(from, n, what, &root, reterr);
    }
    buf_release(&text);
    if (status == RAG_OK)
        status = read_root(&r, root, reterr);
    json_free(root);
    buf_release(&r.context);
    buf_release(&r.scratch);
    return status;
}
