/* Collections in TREC's form. The three files are markup in name only: tags are upper or lower
 * case, fields may be closed or just end where the next tag begins, so they are read by looking
 * for tags and not by an XML parser. */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "eval/dataset.h"
#include "text/nfc.h"

/* A stretch of the file. */
struct span {
    const char *at;
    const char *end;
};

struct named_passage {
    const char *docno; /* in the arena */
    size_t passage;
};

struct reader {
    struct dataset *dataset;
    const char *file; /* for messages */
    struct buf plain; /* without markup */
    struct buf nfc;
    struct named_passage *documents; /* by docno; owned */
    size_t n_documents;
    size_t cap;
};

static enum rag_status no_memory(const struct reader *r, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory, or over %zu bytes of text",
                    r->file, (size_t)EVAL_TEXT_BYTES_MAX);
}

/* ---- markup ---- */

/* The first tag 'name' ("doc", "/doc"), any case, attributes allowed. *ret spans "<" to ">". */
static bool find_tag(struct span in, const char *name, struct span *ret)
{
    size_t n = strlen(name);

    for (const char *p = in.at; p < in.end; p++) {
        const char *close;

        p = memchr(p, '<', (size_t)(in.end - p));
        if (!p)
            return false;
        if ((size_t)(in.end - p) < n + 2 || strncasecmp(p + 1, name, n) != 0 ||
            (p[n + 1] != '>' && !isspace((unsigned char)p[n + 1])))
            continue;
        close = memchr(p, '>', (size_t)(in.end - p));
        if (!close)
            return false;
        *ret = (struct span){p, close + 1};
        return true;
    }
    return false;
}

/* What stands behind <name> up to </name>, else up to the next tag; *in moves behind it. */
static bool take_field(struct span *in, const char *name, struct span *ret)
{
    char closing[32];
    struct span open;
    struct span close;

    if (!find_tag(*in, name, &open))
        return false;
    snprintf(closing, sizeof closing, "/%s", name);
    ret->at = open.end;
    if (find_tag((struct span){open.end, in->end}, closing, &close)) {
        ret->end = close.at;
    } else {
        const char *next = memchr(open.end, '<', (size_t)(in->end - open.end));

        ret->end = next ? next : in->end;
    }
    in->at = ret->end;
    return true;
}

/* One character of "&amp;" and its like; 0 when it is none of the five or a number. */
static uint32_t entity(const char *p, const char *end, size_t *ret_bytes)
{
    static const struct {
        const char *text;
        uint32_t c;
    } names[] = {
        {"&amp;",  '&' },
        {"&lt;",   '<' },
        {"&gt;",   '>' },
        {"&quot;", '"' },
        {"&apos;", '\''}
    };
    size_t room = (size_t)(end - p);
    char digits[12] = "";
    char *stop = NULL;
    unsigned long c;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *ret_bytes = strlen(names[i].text);
        if (room >= *ret_bytes && memcmp(p, names[i].text, *ret_bytes) == 0)
            return names[i].c;
    }
    if (room < 4 || p[1] != '#')
        return 0;
    snprintf(digits, sizeof digits, "%.*s", (int)(room - 2 < 9 ? room - 2 : 9), p + 2);
    c = digits[0] == 'x' ? strtoul(digits + 1, &stop, 16) : strtoul(digits, &stop, 10);
    if (*stop != ';' || c < 0x20 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *ret_bytes = (size_t)(stop - digits) + 3;
    return (uint32_t)c;
}

/* The text of a span: tags gone, entities resolved, white space squeezed (a blank line stays one,
 * for paragraphs). Appended. */
static void append_plain(struct span in, struct buf *out)
{
    size_t start = out->len;
    size_t n_lines = 0;
    bool space = false;

    for (const char *p = in.at; p < in.end;) {
        const char *close = *p == '<' ? memchr(p, '>', (size_t)(in.end - p)) : NULL;
        size_t bytes = 1;
        uint32_t c = *p == '&' ? entity(p, in.end, &bytes) : 0;
        char encoded[4];

        if (close) {
            p = close + 1;
            space = true;
            continue;
        }
        if (c == 0)
            bytes = 1;
        if (c == 0 && isspace((unsigned char)*p)) {
            n_lines += *p == '\n';
            space = true;
        } else {
            if (space && out->len > start)
                buf_append_str(out, n_lines > 1 ? "\n\n" : " ");
            if (c != 0)
                buf_append(out, encoded, utf8_encode(c, encoded));
            else
                buf_append_char(out, *p);
            space = false;
            n_lines = 0;
        }
        p += bytes;
    }
}

/* r->plain brought to NFC in r->nfc; 'what' names the place. */
static enum rag_status to_nfc(struct reader *r, const char *what, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status = buf_status(&r->plain);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "file '%s': %s: over %zu bytes or out of memory", r->file,
                        what, r->plain.max);
    buf_reset(&r->nfc);
    status = nfc_append(buf_str(&r->plain), r->plain.len, &r->nfc, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "file '%s': %s: %s", r->file, what, inner.text);
    return RAG_OK;
}

/* The fields 'name' of a record, put together with blank lines between them, in r->nfc. */
static enum rag_status read_fields(struct reader *r, struct span record, const char *name,
                                   const char *what, struct rag_error *reterr)
{
    struct span field;

    buf_reset(&r->plain);
    while (take_field(&record, name, &field)) {
        if (r->plain.len > 0)
            buf_append_str(&r->plain, "\n\n");
        append_plain(field, &r->plain);
    }
    return to_nfc(r, what, reterr);
}

/* The next <name>..</name> of a file; records are always closed. */
static bool take_record(struct span *in, const char *name, struct span *ret)
{
    char closing[32];
    struct span open;
    struct span close;

    snprintf(closing, sizeof closing, "/%s", name);
    if (!find_tag(*in, name, &open) || !find_tag((struct span){open.end, in->end}, closing, &close))
        return false;
    *ret = (struct span){open.end, close.at};
    in->at = close.end;
    return true;
}

static enum rag_status read_all(struct reader *r, struct input *in, struct buf *out,
                                struct span *ret, struct rag_error *reterr)
{
    enum rag_status status = input_all(in, out, reterr);

    r->file = input_name(in);
    *ret = (struct span){buf_str(out), buf_str(out) + out->len};
    return status;
}

/* ---- documents ---- */

static int by_docno(const void *a, const void *b)
{
    const struct named_passage *x = a;
    const struct named_passage *y = b;

    return strcmp(x->docno, y->docno);
}

static enum rag_status keep_docno(struct reader *r, const char *docno, size_t passage,
                                  struct rag_error *reterr)
{
    if (r->n_documents == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        struct named_passage *grown = realloc(r->documents, cap * sizeof *grown);

        if (!grown)
            return no_memory(r, reterr);
        r->documents = grown;
        r->cap = cap;
    }
    r->documents[r->n_documents] =
        (struct named_passage){arena_strdup(&r->dataset->arena, docno), passage};
    return r->documents[r->n_documents++].docno ? RAG_OK : no_memory(r, reterr);
}

static enum rag_status read_document(struct reader *r, struct span record, size_t number,
                                     struct rag_error *reterr)
{
    char docno[128];
    char what[192];
    char *title = NULL;
    enum rag_status status;
    size_t passage;

    snprintf(what, sizeof what, "<doc> %zu", number);
    status = read_fields(r, record, "docno", what, reterr);
    if (status != RAG_OK)
        return status;
    if (r->nfc.len == 0 || r->nfc.len >= sizeof docno)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': %s: needs a <docno> of 1 to %zu bytes",
                        r->file, what, sizeof docno - 1);
    memcpy(docno, buf_str(&r->nfc), r->nfc.len + 1);
    snprintf(what, sizeof what, "<doc> '%s'", docno);
    status = read_fields(r, record, "title", what, reterr);
    if (status == RAG_OK && !(title = strdup(buf_str(&r->nfc))))
        status = no_memory(r, reterr);
    if (status == RAG_OK)
        status = read_fields(r, record, "text", what, reterr);
    /* A document without text cannot be found; what judges it relevant counts as missed. */
    if (status == RAG_OK && r->nfc.len > 0)
        status = dataset_add_passage(r->dataset, buf_str(&r->nfc), r->nfc.len, title, &passage,
                                     NULL, reterr);
    if (status == RAG_OK && r->nfc.len > 0) {
        r->dataset->passages[passage].n_paragraphs++;
        r->dataset->n_paragraphs++;
        status = keep_docno(r, docno, passage, reterr);
    }
    free(title);
    return status;
}

static enum rag_status read_documents(struct reader *r, struct span all, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct span record;
    size_t number = 0;

    while (status == RAG_OK && take_record(&all, "doc", &record))
        status = read_document(r, record, ++number, reterr);
    if (status == RAG_OK && r->n_documents == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "file '%s': no <doc> with a <text>", r->file);
    if (status != RAG_OK)
        return status;
    qsort(r->documents, r->n_documents, sizeof *r->documents, by_docno);
    for (size_t i = 1; i < r->n_documents; i++)
        if (strcmp(r->documents[i - 1].docno, r->documents[i].docno) == 0)
            return rag_fail(reterr, RAG_EFORMAT, "file '%s': <docno> '%s' occurs twice", r->file,
                            r->documents[i].docno);
    return RAG_OK;
}

static size_t find_document(const struct reader *r, const char *docno)
{
    struct named_passage wanted = {docno, 0};
    const struct named_passage *found =
        r->n_documents == 0
            ? NULL
            : bsearch(&wanted, r->documents, r->n_documents, sizeof wanted, by_docno);

    return found ? found->passage : DATASET_NO_PASSAGE;
}

/* ---- topics ---- */

static enum rag_status add_question(struct reader *r, const char *id, struct rag_error *reterr)
{
    struct dataset *d = r->dataset;
    struct dataset_question *q;

    if (d->n_questions == EVAL_QUESTIONS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': more than %d topics", r->file,
                        EVAL_QUESTIONS_MAX);
    if (d->n_questions == d->questions_cap) {
        size_t cap = d->questions_cap ? d->questions_cap * 2 : 256;
        struct dataset_question *grown = realloc(d->questions, cap * sizeof *grown);

        if (!grown)
            return no_memory(r, reterr);
        d->questions = grown;
        d->questions_cap = cap;
    }
    q = &d->questions[d->n_questions];
    *q = (struct dataset_question){
        .id = arena_strdup(&d->arena, id),
        .text = arena_strndup(&d->arena, buf_str(&r->nfc), r->nfc.len),
        .passage = DATASET_NO_PASSAGE,
        .answerable = true,
    };
    if (!q->id || !q->text)
        return no_memory(r, reterr);
    d->n_questions++;
    return RAG_OK;
}

/* <num> may say "Number: 301". */
static enum rag_status read_topics(struct reader *r, struct span all, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct span record;
    size_t number = 0;

    while (status == RAG_OK && take_record(&all, "top", &record)) {
        const char *num;
        char what[64];
        char id[64];

        snprintf(what, sizeof what, "<top> %zu", ++number);
        status = read_fields(r, record, "num", what, reterr);
        if (status != RAG_OK)
            break;
        num = buf_str(&r->nfc);
        if (strncasecmp(num, "Number:", 7) == 0)
            num += 7 + strspn(num + 7, " ");
        if (num[0] == '\0' || strlen(num) >= sizeof id)
            return rag_fail(reterr, RAG_EFORMAT, "file '%s': %s: needs a <num> of 1 to %zu bytes",
                            r->file, what, sizeof id - 1);
        memcpy(id, num, strlen(num) + 1);
        status = read_fields(r, record, "title", what, reterr);
        if (status == RAG_OK && (r->nfc.len == 0 || r->nfc.len > QUESTION_BYTES_MAX))
            status =
                rag_fail(reterr, RAG_EFORMAT, "file '%s': %s: needs a <title> of 1 to %d bytes",
                         r->file, what, QUESTION_BYTES_MAX);
        if (status == RAG_OK)
            status = add_question(r, id, reterr);
    }
    if (status == RAG_OK && r->dataset->n_questions == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "file '%s': no <top>", r->file);
    return status;
}

/* ---- judgments ---- */

struct judgment {
    char topic[64];
    char docno[128];
    double grade;
    size_t question; /* SIZE_MAX: of no topic */
};

struct judgments {
    struct judgment *items; /* owned */
    size_t n;
    size_t cap;
};

static enum rag_status read_judgment(const struct reader *r, const char *line, size_t number,
                                     struct judgments *all, struct rag_error *reterr)
{
    struct judgment *j;
    int end = 0;

    if (all->n == EVAL_JUDGMENTS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': more than %d judgments", r->file,
                        EVAL_JUDGMENTS_MAX);
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 4096;
        struct judgment *grown = realloc(all->items, cap * sizeof *grown);

        if (!grown)
            return no_memory(r, reterr);
        all->items = grown;
        all->cap = cap;
    }
    j = &all->items[all->n];
    if (sscanf(line, " %63s %*s %127s %lf %n", j->topic, j->docno, &j->grade, &end) != 3 ||
        end == 0 || line[end] != '\0' || !(j->grade >= -100 && j->grade <= 100))
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s' line %zu: is not \"TOPIC ITERATION DOCNO GRADE\" with a grade "
                        "from -100 to 100",
                        r->file, number);
    j->question = SIZE_MAX;
    all->n++;
    return RAG_OK;
}

static enum rag_status read_lines(struct reader *r, struct input *in, struct judgments *all,
                                  struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf line;
    bool end = false;

    r->file = input_name(in);
    buf_init(&line, EVAL_LINE_BYTES_MAX);
    while (status == RAG_OK) {
        status = input_line(in, &line, &end, reterr);
        if (status != RAG_OK || end)
            break;
        if (buf_str(&line)[strspn(buf_str(&line), " \t\r")] != '\0')
            status = read_judgment(r, buf_str(&line), input_line_number(in), all, reterr);
    }
    buf_release(&line);
    return status;
}

struct topic_name {
    const char *id;
    size_t question;
};

static int by_id(const void *a, const void *b)
{
    const struct topic_name *x = a;
    const struct topic_name *y = b;

    return strcmp(x->id, y->id);
}

static size_t find_topic(const struct topic_name *names, size_t n, const char *id)
{
    struct topic_name wanted = {id, 0};
    const struct topic_name *found = bsearch(&wanted, names, n, sizeof wanted, by_id);

    return found ? found->question : SIZE_MAX;
}

/* Give each judgment its question: by <num> when every one has it, else by the topic's place in
 * its file (as the judgments of Cranfield have it). */
static enum rag_status match_topics(const struct reader *r, struct judgments *all,
                                    struct rag_error *reterr)
{
    const struct dataset *d = r->dataset;
    struct topic_name *names = calloc(d->n_questions + 1, sizeof *names);
    const char *unknown = NULL;

    if (!names)
        return no_memory(r, reterr);
    for (size_t i = 0; i < d->n_questions; i++)
        names[i] = (struct topic_name){d->questions[i].id, i};
    qsort(names, d->n_questions, sizeof *names, by_id);
    for (size_t i = 0; i < all->n; i++) {
        all->items[i].question = find_topic(names, d->n_questions, all->items[i].topic);
        if (all->items[i].question == SIZE_MAX)
            unknown = all->items[i].topic;
    }
    free(names);
    for (size_t i = 0; unknown && i < all->n; i++) {
        char *end = NULL;
        unsigned long long v = strtoull(all->items[i].topic, &end, 10);

        if (*end != '\0' || v < 1 || v > d->n_questions)
            return rag_fail(reterr, RAG_EFORMAT,
                            "file '%s': topic '%s' is neither the <num> of a topic nor a place "
                            "from 1 to %zu",
                            r->file, unknown, d->n_questions);
        all->items[i].question = (size_t)v - 1;
    }
    return RAG_OK;
}

static int by_question(const void *a, const void *b)
{
    const struct judgment *x = a;
    const struct judgment *y = b;
    int order = strcmp(x->docno, y->docno);

    if (x->question != y->question)
        return x->question < y->question ? -1 : 1;
    return order;
}

/* Relevant ones into the questions; a question without any is left out, as trec_eval does. */
static enum rag_status attach(struct reader *r, const struct judgments *all,
                              struct rag_error *reterr)
{
    struct dataset *d = r->dataset;
    size_t n_kept = 0;
    size_t at = 0;

    for (size_t i = 0; i < d->n_questions; i++) {
        struct dataset_question q = d->questions[i];
        size_t first = at;
        struct dataset_judgment *list;

        while (at < all->n && all->items[at].question == i)
            at++;
        list = arena_calloc(&d->arena, at - first + 1, sizeof *list);
        if (!list)
            return no_memory(r, reterr);
        for (size_t k = first; k < at; k++) {
            const struct judgment *j = &all->items[k];

            if (k > first && strcmp(j->docno, all->items[k - 1].docno) == 0)
                return rag_fail(reterr, RAG_EFORMAT, "file '%s': topic '%s' judges '%s' twice",
                                r->file, j->topic, j->docno);
            if (j->grade <= 0)
                continue;
            list[q.n_judgments++] =
                (struct dataset_judgment){find_document(r, j->docno), (float)j->grade};
            if (q.passage == DATASET_NO_PASSAGE)
                q.passage = list[q.n_judgments - 1].passage;
        }
        if (q.n_judgments > EVAL_RELEVANT_MAX)
            return rag_fail(reterr, RAG_ELIMIT,
                            "file '%s': topic '%s' has %zu relevant documents, the limit is %d",
                            r->file, q.id, q.n_judgments, EVAL_RELEVANT_MAX);
        q.judgments = list;
        if (q.n_judgments > 0)
            d->questions[n_kept++] = q;
    }
    d->n_questions = n_kept;
    if (n_kept == 0)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': judges no document relevant", r->file);
    return RAG_OK;
}

/* ---- all ---- */

enum rag_status dataset_read_trec(struct dataset *d, struct input *documents, struct input *topics,
                                  struct input *judgments, struct rag_error *reterr)
{
    struct reader r = {.dataset = d};
    struct judgments all = {0};
    enum rag_status status;
    struct span span;
    struct buf text;

    buf_init(&r.plain, DOCUMENT_BYTES_MAX);
    buf_init(&r.nfc, (size_t)DOCUMENT_BYTES_MAX * 3);
    buf_init(&text, EVAL_FILE_BYTES_MAX);
    status = read_all(&r, documents, &text, &span, reterr);
    if (status == RAG_OK)
        status = read_documents(&r, span, reterr);
    buf_reset(&text);
    if (status == RAG_OK)
        status = read_all(&r, topics, &text, &span, reterr);
    if (status == RAG_OK)
        status = read_topics(&r, span, reterr);
    if (status == RAG_OK)
        status = read_lines(&r, judgments, &all, reterr);
    if (status == RAG_OK)
        status = match_topics(&r, &all, reterr);
    if (status == RAG_OK && all.n > 0)
        qsort(all.items, all.n, sizeof *all.items, by_question);
    if (status == RAG_OK)
        status = attach(&r, &all, reterr);
    d->judged = status == RAG_OK;
    free(all.items);
    free(r.documents);
    buf_release(&text);
    buf_release(&r.plain);
    buf_release(&r.nfc);
    return status;
}

enum trec_kind dataset_trec_kind(const char *text, size_t n)
{
    struct span all = {text, text + n};
    const char *line_end = memchr(text, '\n', n);
    char line[256];
    char grade[16];
    struct span tag;
    int end = 0;

    if (find_tag(all, "doc", &tag))
        return TREC_DOCUMENTS;
    if (find_tag(all, "top", &tag))
        return TREC_TOPICS;
    snprintf(line, sizeof line, "%.*s",
             (int)(line_end && line_end - text < 255 ? line_end - text
                   : n < 255                         ? (long)n
                                                     : 255),
             text);
    if (sscanf(line, " %*63s %*63s %*127s %15s %n", grade, &end) == 1 && end > 0 &&
        line[end] == '\0' && grade[strspn(grade, "-0123456789.")] == '\0')
        return TREC_JUDGMENTS;
    return TREC_NONE;
}
