#include "eval/question_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "text/nfc.h"

struct reader {
    struct question_set *set;
    char where[320]; /* "file 'x' line 3" */
    struct buf scratch;
};

void question_set_release(struct question_set *set)
{
    if (!set)
        return;
    free(set->questions);
    arena_release(&set->arena);
    memset(set, 0, sizeof *set);
}

static enum rag_status no_memory(const struct reader *r, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", r->where);
}

static enum rag_status keep_text(struct reader *r, const char *text, const char **ret,
                                 struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status;

    buf_reset(&r->scratch);
    status = nfc_append(text, strlen(text), &r->scratch, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    *ret = arena_strndup(&r->set->arena, buf_str(&r->scratch), r->scratch.len);
    return *ret ? RAG_OK : no_memory(r, reterr);
}

/* An optional text; "" when absent. */
static enum rag_status read_text(struct reader *r, const struct json *object, const char *key,
                                 const char **ret, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *text = "";
    enum rag_status status = json_get_string(object, key, QUESTION_BYTES_MAX, &text, &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    return keep_text(r, text, ret, reterr);
}

static enum rag_status need_text(struct reader *r, const struct json *object, const char *key,
                                 const char **ret, struct rag_error *reterr)
{
    enum rag_status status = read_text(r, object, key, ret, reterr);

    if (status == RAG_OK && (*ret)[strspn(*ret, " \t\n")] == '\0')
        return rag_fail(reterr, RAG_EFORMAT, "%s: '%s' is missing or empty", r->where, key);
    return status;
}

static enum rag_status need_array(struct reader *r, const struct json *object, const char *key,
                                  const struct json **ret, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status = json_get_array(object, key, ret, &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    if (json_size(*ret) > EVAL_EVIDENCE_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%s: '%s' has %zu elements, the limit is %d", r->where,
                        key, json_size(*ret), EVAL_EVIDENCE_MAX);
    return RAG_OK;
}

static enum rag_status read_texts(struct reader *r, const struct json *object, const char *key,
                                  const char *const **ret, size_t *ret_n, struct rag_error *reterr)
{
    const struct json *list = NULL;
    enum rag_status status = need_array(r, object, key, &list, reterr);
    const char **texts;
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    texts = arena_calloc(&r->set->arena, json_size(list) + 1, sizeof *texts);
    if (!texts)
        return no_memory(r, reterr);
    for (const struct json *e = json_first(list); e; e = json_next(e)) {
        if (!json_is_string(e))
            return rag_fail(reterr, RAG_EFORMAT, "%s: element %zu of '%s' is not a string",
                            r->where, n + 1, key);
        status = keep_text(r, json_string(e), &texts[n++], reterr);
        if (status != RAG_OK)
            return status;
    }
    *ret = texts;
    *ret_n = n;
    return RAG_OK;
}

static enum rag_status read_evidence(struct reader *r, const struct json *object,
                                     struct set_question *q, struct rag_error *reterr)
{
    const struct json *list = NULL;
    enum rag_status status = need_array(r, object, "evidence", &list, reterr);
    struct set_evidence *evidence;
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    evidence = arena_calloc(&r->set->arena, json_size(list) + 1, sizeof *evidence);
    if (!evidence)
        return no_memory(r, reterr);
    for (const struct json *e = json_first(list); e; e = json_next(e), n++) {
        if (!json_is_object(e))
            return rag_fail(reterr, RAG_EFORMAT, "%s: element %zu of 'evidence' is not an object",
                            r->where, n + 1);
        status = need_text(r, e, "doc", &evidence[n].document, reterr);
        if (status == RAG_OK)
            status = need_text(r, e, "text", &evidence[n].text, reterr);
        if (status != RAG_OK)
            return status;
    }
    q->evidence = evidence;
    q->n_evidence = n;
    return RAG_OK;
}

/* The distinct documents of the evidence, where 'doc' does not name them. */
static enum rag_status documents_of_evidence(struct reader *r, struct set_question *q,
                                             struct rag_error *reterr)
{
    const char **names = arena_calloc(&r->set->arena, q->n_evidence + 1, sizeof *names);
    size_t n = 0;

    if (!names)
        return no_memory(r, reterr);
    for (size_t i = 0; i < q->n_evidence; i++) {
        size_t k = 0;

        while (k < n && strcmp(names[k], q->evidence[i].document) != 0)
            k++;
        if (k == n)
            names[n++] = q->evidence[i].document;
    }
    q->documents = names;
    q->n_documents = n;
    return RAG_OK;
}

static enum rag_status read_topic(struct reader *r, const struct json *object,
                                  struct set_question *q, struct rag_error *reterr)
{
    const char *topic = "";
    enum rag_status status = read_text(r, object, "topic", &topic, reterr);

    if (status != RAG_OK)
        return status;
    if (strcmp(topic, "on") == 0)
        q->topic = TOPIC_ON;
    else if (strcmp(topic, "off") == 0)
        q->topic = TOPIC_OFF;
    else if (topic[0] != '\0')
        return rag_fail(reterr, RAG_EFORMAT, "%s: 'topic': '%.32s' is neither 'on' nor 'off'",
                        r->where, topic);
    return RAG_OK;
}

static enum rag_status read_question(struct reader *r, const struct json *object,
                                     struct set_question *q, struct rag_error *reterr)
{
    const char *of = "";
    enum rag_status status = need_text(r, object, "id", &q->id, reterr);

    if (status == RAG_OK)
        status = need_text(r, object, "question", &q->text, reterr);
    if (status == RAG_OK)
        status = read_text(r, object, "kind", &q->kind, reterr);
    if (status == RAG_OK)
        status = read_text(r, object, "answer", &q->answer, reterr);
    if (status == RAG_OK)
        status = read_text(r, object, "of", &of, reterr);
    if (status == RAG_OK)
        status = read_topic(r, object, q, reterr);
    if (status == RAG_OK)
        status = read_texts(r, object, "doc", &q->documents, &q->n_documents, reterr);
    if (status == RAG_OK)
        status = read_texts(r, object, "answer_norms", &q->norms, &q->n_norms, reterr);
    if (status == RAG_OK)
        status = read_evidence(r, object, q, reterr);
    if (status == RAG_OK && q->n_documents == 0)
        status = documents_of_evidence(r, q, reterr);
    q->answerable = q->n_documents > 0;
    q->paraphrase = status == RAG_OK && (of[0] != '\0' || strcmp(q->kind, "paraphrase") == 0);
    return status;
}

static enum rag_status read_line(struct reader *r, const struct buf *line, struct rag_error *reterr)
{
    struct question_set *set = r->set;
    struct set_question q = {0};
    struct json *root = NULL;
    enum rag_status status;

    status = json_parse(buf_str(line), line->len, r->where, &root, reterr);
    if (status != RAG_OK)
        return status;
    if (!json_is_object(root))
        status = rag_fail(reterr, RAG_EFORMAT, "%s: not an object", r->where);
    else
        status = read_question(r, root, &q, reterr);
    json_free(root);
    if (status != RAG_OK)
        return status;
    if (set->n >= EVAL_QUESTIONS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%s: more than %d questions", r->where,
                        EVAL_QUESTIONS_MAX);
    if (set->n == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 64;
        struct set_question *grown = realloc(set->questions, cap * sizeof *grown);

        if (!grown)
            return no_memory(r, reterr);
        set->questions = grown;
        set->cap = cap;
    }
    set->questions[set->n++] = q;
    return RAG_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum rag_status check_ids(const struct question_set *set, const char *file,
                                 struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    const char **ids;

    if (set->n == 0)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': holds no questions", file);
    ids = malloc(set->n * sizeof *ids);
    if (!ids)
        return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", file);
    for (size_t i = 0; i < set->n; i++)
        ids[i] = set->questions[i].id;
    qsort(ids, set->n, sizeof *ids, compare_ids);
    for (size_t i = 1; i < set->n && status == RAG_OK; i++) {
        if (strcmp(ids[i - 1], ids[i]) == 0)
            status = rag_fail(reterr, RAG_EFORMAT, "file '%s': the id '%.100s' occurs twice", file,
                              ids[i]);
    }
    free(ids);
    return status;
}

enum rag_status question_set_read(struct input *in, struct question_set *ret,
                                  struct rag_error *reterr)
{
    struct reader r = {.set = ret};
    enum rag_status status;
    struct buf line;
    bool end = false;

    memset(ret, 0, sizeof *ret);
    arena_init(&ret->arena, EVAL_TEXT_BYTES_MAX);
    buf_init(&line, EVAL_LINE_BYTES_MAX);
    buf_init(&r.scratch, (size_t)DOCUMENT_BYTES_MAX * 3);
    for (;;) {
        status = input_line(in, &line, &end, reterr);
        if (status != RAG_OK || end)
            break;
        if (buf_str(&line)[strspn(buf_str(&line), " \t")] == '\0')
            continue;
        snprintf(r.where, sizeof r.where, "file '%.256s' line %zu", input_name(in),
                 input_line_number(in));
        status = read_line(&r, &line, reterr);
        if (status != RAG_OK)
            break;
    }
    if (status == RAG_OK)
        status = check_ids(ret, input_name(in), reterr);
    buf_release(&line);
    buf_release(&r.scratch);
    return status;
}

/* Index of the question whose id is these n bytes, or set->n. */
static size_t find_id(const struct question_set *set, const char *id, size_t n)
{
    size_t i = 0;

    while (i < set->n &&
           (strlen(set->questions[i].id) != n || memcmp(set->questions[i].id, id, n) != 0))
        i++;
    return i;
}

/* Mark one item of the list: an id, or two with ".." between them. */
static enum rag_status mark_item(struct question_set *set, const char *item, size_t n,
                                 struct rag_error *reterr)
{
    size_t first = find_id(set, item, n);
    size_t last = first;

    for (size_t i = 1; first == set->n && i + 2 < n; i++) {
        if (item[i] != '.' || item[i + 1] != '.')
            continue;
        first = find_id(set, item, i);
        last = find_id(set, item + i + 2, n - i - 2);
        break;
    }
    if (first == set->n || last == set->n || last < first)
        return rag_fail(reterr, RAG_EINVAL, "off-topic list: '%.*s' is no question of the set",
                        (int)(n < 100 ? n : 100), item);
    for (size_t i = first; i <= last; i++)
        set->questions[i].topic = TOPIC_OFF;
    return RAG_OK;
}

enum rag_status question_set_mark_off_topic(struct question_set *set, const char *ids,
                                            struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < set->n; i++)
        set->questions[i].topic = TOPIC_ON;
    while (*ids && status == RAG_OK) {
        size_t n = strcspn(ids, ", ");

        if (n > 0)
            status = mark_item(set, ids, n, reterr);
        ids += n;
        ids += strspn(ids, ", ");
    }
    return status;
}
