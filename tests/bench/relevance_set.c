#include "tests/bench/relevance_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/buf.h"
#include "base/json.h"
#include "text/nfc.h"

#define FILE_BYTES_MAX (2ul << 30)

static enum rag_status read_file(const char *path, struct buf *out, struct rag_error *reterr)
{
    FILE *f = fopen(path, "rb");
    char *room;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s'", path);
    while ((room = buf_reserve(out, 1 << 20)) != NULL) {
        size_t got = fread(room, 1, 1 << 20, f);

        if (got == 0)
            break;
        buf_commit(out, got);
    }
    fclose(f);
    return buf_status(out);
}

static char *nfc_copy(const char *text)
{
    struct buf out;
    char *data = NULL;

    buf_init(&out, FILE_BYTES_MAX);
    if (nfc_append(text, strlen(text), &out, NULL) != RAG_OK ||
        buf_take(&out, &data, NULL) != RAG_OK)
        data = NULL;
    buf_release(&out);
    return data;
}

static void rehash(struct relevance_set *set)
{
    free(set->slots);
    set->n_slots = set->n_slots ? set->n_slots * 2 : 4096;
    set->slots = calloc(set->n_slots, sizeof *set->slots);
    for (size_t i = 0; set->slots && i < set->n_passages; i++) {
        size_t h = XXH3_64bits(set->passages[i].text, strlen(set->passages[i].text));

        while (set->slots[h % set->n_slots] != 0)
            h++;
        set->slots[h % set->n_slots] = i + 1;
    }
}

/* Index of the passage with this text, added if it is new; SIZE_MAX: out of memory. */
static size_t add_passage(struct relevance_set *set, const char *title, const char *text)
{
    struct relevance_passage p = {nfc_copy(title), nfc_copy(text)};
    size_t h;

    if (!p.title || !p.text)
        return SIZE_MAX;
    if (set->n_passages * 2 >= set->n_slots)
        rehash(set);
    if (!set->slots)
        return SIZE_MAX;
    for (h = XXH3_64bits(p.text, strlen(p.text)); set->slots[h % set->n_slots] != 0; h++) {
        size_t i = set->slots[h % set->n_slots] - 1;

        if (strcmp(set->passages[i].text, p.text) == 0) {
            free(p.title);
            free(p.text);
            return i;
        }
    }
    if (set->n_passages == set->cap_passages) {
        struct relevance_passage *grown;

        set->cap_passages = set->cap_passages ? set->cap_passages * 2 : 1024;
        grown = realloc(set->passages, set->cap_passages * sizeof *grown);
        if (!grown)
            return SIZE_MAX;
        set->passages = grown;
    }
    set->slots[h % set->n_slots] = set->n_passages + 1;
    set->passages[set->n_passages] = p;
    return set->n_passages++;
}

static enum rag_status add_question(struct relevance_set *set, const char *text, const size_t *gold,
                                    size_t n_gold)
{
    struct relevance_question q = {nfc_copy(text), malloc(n_gold * sizeof *gold), n_gold};

    if (set->n_questions == set->cap_questions) {
        struct relevance_question *grown;

        set->cap_questions = set->cap_questions ? set->cap_questions * 2 : 1024;
        grown = realloc(set->questions, set->cap_questions * sizeof *grown);
        if (!grown)
            return RAG_ENOMEM;
        set->questions = grown;
    }
    if (!q.text || !q.gold)
        return RAG_ENOMEM;
    memcpy(q.gold, gold, n_gold * sizeof *gold);
    set->questions[set->n_questions++] = q;
    return RAG_OK;
}

static enum rag_status read_paragraph(struct relevance_set *set, const char *title,
                                      const struct json *paragraph)
{
    const char *text = json_string(json_member(paragraph, "context"));
    const struct json *qas = json_member(paragraph, "qas");
    enum rag_status status = RAG_OK;
    size_t passage;

    if (!text)
        return RAG_EFORMAT;
    passage = add_passage(set, title, text);
    if (passage == SIZE_MAX)
        return RAG_ENOMEM;
    for (const struct json *q = json_first(qas); q && status == RAG_OK; q = json_next(q)) {
        const char *question = json_string(json_member(q, "question"));

        if (question && !json_true(json_member(q, "is_impossible")))
            status = add_question(set, question, &passage, 1);
    }
    return status;
}

static enum rag_status read_squad(struct relevance_set *set, const struct json *root)
{
    enum rag_status status = RAG_OK;

    for (const struct json *a = json_first(json_member(root, "data")); a; a = json_next(a)) {
        const char *title = json_string(json_member(a, "title"));
        const struct json *list = json_member(a, "paragraphs");

        for (const struct json *p = json_first(list); p && status == RAG_OK; p = json_next(p))
            status = read_paragraph(set, title ? title : "", p);
    }
    return status;
}

static enum rag_status read_pair(struct relevance_set *set, const struct json *row)
{
    const char *query = json_string(json_member(row, "query"));
    const char *one = json_string(json_member(row, "positive"));
    const struct json *many = json_member(row, "positives");
    size_t n = one ? 1 : json_size(many);
    size_t *gold = malloc((n + 1) * sizeof *gold);
    enum rag_status status = gold ? RAG_OK : RAG_ENOMEM;
    size_t i = 0;

    if (one && gold)
        gold[i++] = add_passage(set, "", one);
    for (const struct json *p = json_first(many); p && gold && i < n; p = json_next(p))
        gold[i++] = add_passage(set, "", json_string(p));
    for (size_t k = 0; k < i; k++)
        if (gold[k] == SIZE_MAX)
            status = RAG_ENOMEM;
    if (status == RAG_OK && query && i > 0)
        status = add_question(set, query, gold, i);
    free(gold);
    return status;
}

static enum rag_status read_lines(struct relevance_set *set, const char *text, bool distractors,
                                  struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_line = 0;

    for (const char *end; *text && status == RAG_OK; text = *end ? end + 1 : end) {
        struct json *row = NULL;
        char what[32];

        end = strchr(text, '\n');
        if (!end)
            end = text + strlen(text);
        snprintf(what, sizeof what, "line %zu", ++n_line);
        if (end == text)
            continue;
        status = json_parse(text, (size_t)(end - text), what, &row, reterr);
        if (status == RAG_OK && distractors) {
            const char *passage = json_string(json_member(row, "text"));

            if (passage && add_passage(set, "", passage) == SIZE_MAX)
                status = RAG_ENOMEM;
        } else if (status == RAG_OK) {
            status = read_pair(set, row);
        }
        json_free(row);
    }
    return status;
}

enum rag_status relevance_read(struct relevance_set *set, const char *path,
                               struct rag_error *reterr)
{
    struct json *root = NULL;
    struct buf file;
    enum rag_status status;

    buf_init(&file, FILE_BYTES_MAX);
    status = read_file(path, &file, reterr);
    if (status == RAG_OK && strstr(path, ".jsonl"))
        status = read_lines(set, buf_str(&file), false, reterr);
    else if (status == RAG_OK) {
        status = json_parse(file.data, file.len, path, &root, reterr);
        if (status == RAG_OK)
            status = read_squad(set, root);
    }
    json_free(root);
    buf_release(&file);
    return status;
}

enum rag_status relevance_read_distractors(struct relevance_set *set, const char *path,
                                           struct rag_error *reterr)
{
    struct buf file;
    enum rag_status status;

    buf_init(&file, FILE_BYTES_MAX);
    status = read_file(path, &file, reterr);
    if (status == RAG_OK)
        status = read_lines(set, buf_str(&file), true, reterr);
    buf_release(&file);
    return status;
}

void relevance_release(struct relevance_set *set)
{
    for (size_t i = 0; i < set->n_passages; i++) {
        free(set->passages[i].title);
        free(set->passages[i].text);
    }
    for (size_t i = 0; i < set->n_questions; i++) {
        free(set->questions[i].text);
        free(set->questions[i].gold);
    }
    free(set->passages);
    free(set->questions);
    free(set->slots);
    *set = (struct relevance_set){0};
}
