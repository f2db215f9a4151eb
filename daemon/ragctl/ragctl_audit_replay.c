/* daemon/ragctl/ragctl_audit_replay.c - 'audit replay': a recorded question asked again, and what
 * has changed. Both sides are audit rows: that of then, and the one that asking again has just
 * left. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_audit.h"
#include "daemon/ragctl/ragctl_print.h"

#define REQUEST_BYTES_MAX (8u << 20)
#define OUTPUT_BYTES_MAX  (64u << 20)
#define ASK_TIMEOUT_MS    330000 /* over the daemon's own deadline, which has the better message */
#define SENTENCES_MAX     512    /* of an answer that are compared one by one */
#define QUOTE_COLUMNS     100

struct replay {
    struct ragctl_client *client;
    struct json *then_row;   /* owned */
    struct json *now_row;    /* owned */
    const struct json *then; /* their payloads */
    const struct json *now;
    const char *collection;
};

/* ---- asking again ---- */

static enum rag_status fetch_row(struct ragctl_client *client, const char *id, struct json **ret,
                                 struct rag_error *reterr)
{
    char path[128];

    snprintf(path, sizeof path, "/v1/audit/%s", id);
    return ragctl_client_call(client, "GET", path, ret, reterr);
}

static enum rag_status check_row(const struct replay *r, const char *id, struct rag_error *reterr)
{
    const char *kind = ragctl_text(r->then_row, "kind");

    if (json_true(json_member(r->then_row, "erased")))
        return rag_fail(reterr, RAG_EINVAL,
                        "audit row %s: its payload was erased; there is no question to ask again",
                        id);
    if (strcmp(kind, "ask") != 0 || !json_is_string(json_member(r->then, "question")))
        return rag_fail(reterr, RAG_EINVAL,
                        "audit row %s: is of kind '%s'; only questions ('ask') can be replayed", id,
                        kind);
    return RAG_OK;
}

static enum rag_status copy(struct json_writer *w, const struct json *from, const char *key,
                            struct rag_error *reterr)
{
    const struct json *member = json_member(from, key);
    char *text = NULL;

    if (!member || json_is_null(member) || (json_is_array(member) && json_size(member) == 0))
        return RAG_OK;
    if (json_print(member, &text) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "replay: out of memory");
    json_put_raw(w, key, text);
    free(text);
    return RAG_OK;
}

/* The recorded question, conversation, filter and top_k; everything else as the daemon has it now.
 */
static enum rag_status ask_again(const struct replay *r, char ret_id[64], struct rag_error *reterr)
{
    struct http_call request = {.method = "POST", .path = "/v1/ask"};
    const struct json *settings = json_member(r->then, "settings");
    struct ragctl_client *client = r->client;
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", r->collection);
    json_put_string(&w, "question", ragctl_text(r->then, "question"));
    json_put_bool(&w, "cache", false);
    status = copy(&w, r->then, "messages", reterr);
    if (status == RAG_OK)
        status = copy(&w, settings, "top_k", reterr);
    if (status == RAG_OK)
        status = copy(&w, settings, "filter", reterr);
    json_end_object(&w);
    request.body = buf_str(&body);
    request.body_bytes = body.len;
    request.timeout_ms = client->options->timeout_ms ? client->options->timeout_ms : ASK_TIMEOUT_MS;
    if (status == RAG_OK && buf_status(&body) != RAG_OK)
        status = rag_fail(reterr, RAG_ELIMIT, "replay: the conversation is too long");
    if (status == RAG_OK)
        status = ragctl_client_do(client, &request, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&client->body), client->body.len, "response of ragd", &reply,
                            reterr);
    if (status == RAG_OK)
        snprintf(ret_id, 64, "%.63s", ragctl_text(reply, "request_id"));
    json_free(reply);
    buf_release(&body);
    return status;
}

/* ---- passages ---- */

static double chunk_of(const struct json *passage)
{
    return json_number(json_member(passage, "chunk"));
}

/* Its place in the list of passages, from 1; 0: it is not there. */
static int rank_of(const struct json *payload, double chunk)
{
    int rank = 1;

    for (const struct json *p = json_first(json_member(payload, "passages")); p;
         p = json_next(p), rank++)
        if (fabs(chunk_of(p) - chunk) < .5)
            return rank;
    return 0;
}

static const struct json *next_given(const struct json *p)
{
    while (p && !json_true(json_member(p, "given")))
        p = json_next(p);
    return p;
}

static bool same_passages(const struct replay *r)
{
    const struct json *a = next_given(json_first(json_member(r->then, "passages")));
    const struct json *b = next_given(json_first(json_member(r->now, "passages")));

    while (a && b && fabs(chunk_of(a) - chunk_of(b)) < .5) {
        a = next_given(json_next(a));
        b = next_given(json_next(b));
    }
    return !a && !b;
}

static void put_rank(struct json_writer *w, const char *key, int rank)
{
    if (rank > 0)
        json_put_int(w, key, rank);
    else
        json_put_null(w, key);
}

static void write_passage(struct json_writer *w, const struct replay *r, const struct json *p)
{
    json_begin_object(w, NULL);
    json_put_string(w, "document", ragctl_text(p, "document"));
    json_put_int(w, "chunk", (int64_t)chunk_of(p));
    put_rank(w, "rank_before", rank_of(r->then, chunk_of(p)));
    put_rank(w, "rank_after", rank_of(r->now, chunk_of(p)));
    json_end_object(w);
}

/* Those given then, in their order, and those that only now are. */
static void write_passages(struct json_writer *w, const struct replay *r)
{
    const struct json *p = next_given(json_first(json_member(r->then, "passages")));

    json_begin_array(w, "passages");
    for (; p; p = next_given(json_next(p)))
        write_passage(w, r, p);
    p = next_given(json_first(json_member(r->now, "passages")));
    for (; p; p = next_given(json_next(p))) {
        const struct json *q = next_given(json_first(json_member(r->then, "passages")));

        while (q && fabs(chunk_of(q) - chunk_of(p)) >= .5)
            q = next_given(json_next(q));
        if (!q)
            write_passage(w, r, p);
    }
    json_end_array(w);
}

/* ---- citations ---- */

/* What is cited is a text of a document: its place may move when something before it changes. */
static bool cites(const struct json *payload, const struct json *citation)
{
    for (const struct json *c = json_first(json_member(payload, "citations")); c; c = json_next(c))
        if (strcmp(ragctl_text(c, "document"), ragctl_text(citation, "document")) == 0 &&
            strcmp(ragctl_text(c, "text"), ragctl_text(citation, "text")) == 0)
            return true;
    return false;
}

/* Citations of 'from' that 'other' has not; how many. */
static size_t write_lacking(struct json_writer *w, const char *key, const struct json *from,
                            const struct json *other)
{
    size_t n = 0;

    json_begin_array(w, key);
    for (const struct json *c = json_first(json_member(from, "citations")); c; c = json_next(c)) {
        if (cites(other, c))
            continue;
        json_begin_object(w, NULL);
        json_put_string(w, "document", ragctl_text(c, "document"));
        json_put_int(w, "byte_start", (int64_t)json_number(json_member(c, "byte_start")));
        json_put_int(w, "byte_end", (int64_t)json_number(json_member(c, "byte_end")));
        json_put_string(w, "text", ragctl_text(c, "text"));
        json_end_object(w);
        n++;
    }
    json_end_array(w);
    return n;
}

/* ---- documents ---- */

static double version_in(const struct json *payload, const char *document)
{
    for (const struct json *p = json_first(json_member(payload, "passages")); p; p = json_next(p))
        if (strcmp(ragctl_text(p, "document"), document) == 0)
            return json_number(json_member(p, "version"));
    return NAN;
}

/* The version that is stored now; NAN: there is none. */
static enum rag_status version_now(const struct replay *r, const char *document, double *ret,
                                   struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status;
    struct buf path;

    *ret = version_in(r->now, document);
    if (!isnan(*ret))
        return RAG_OK;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, r->collection, "/documents/", document);
    status = ragctl_client_call(r->client, "GET", buf_str(&path), &reply, reterr);
    if (status == RAG_OK)
        *ret = json_number(json_member(reply, "version"));
    json_free(reply);
    buf_release(&path);
    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

static bool named_before(const struct json *list, const struct json *passage)
{
    for (const struct json *p = next_given(json_first(list)); p != passage;
         p = next_given(json_next(p)))
        if (strcmp(ragctl_text(p, "document"), ragctl_text(passage, "document")) == 0)
            return true;
    return false;
}

/* What became of each document that the answer was made from. */
static enum rag_status write_documents(struct json_writer *w, const struct replay *r,
                                       struct rag_error *reterr)
{
    const struct json *list = json_member(r->then, "passages");
    enum rag_status status = RAG_OK;

    json_begin_array(w, "documents");
    for (const struct json *p = next_given(json_first(list)); p && status == RAG_OK;
         p = next_given(json_next(p))) {
        const char *document = ragctl_text(p, "document");
        double before = json_number(json_member(p, "version"));
        double after = NAN;

        if (named_before(list, p))
            continue;
        status = version_now(r, document, &after, reterr);
        json_begin_object(w, NULL);
        json_put_string(w, "document", document);
        json_put_int(w, "version_before", (int64_t)before);
        if (isnan(after))
            json_put_null(w, "version_after");
        else
            json_put_int(w, "version_after", (int64_t)after);
        json_put_string(w, "state",
                        isnan(after)                ? "gone"
                        : fabs(after - before) < .5 ? "same"
                                                    : "changed");
        json_end_object(w);
    }
    json_end_array(w);
    return status;
}

/* ---- the whole ---- */

static void write_texts(struct json_writer *w, const char *key, const char *before,
                        const char *after)
{
    json_begin_object(w, key);
    json_put_string(w, "before", before);
    json_put_string(w, "after", after);
    json_end_object(w);
}

static void write_text_pairs(struct json_writer *w, const struct replay *r)
{
    static const char *const keys[] = {"answer",  "outcome",           "reason_code", "reason",
                                       "backend", "model_fingerprint", NULL};
    static const char *const retrieval[] = {"mode", "embedder", "adapter", "cross_encoder", NULL};

    for (size_t i = 0; keys[i]; i++)
        write_texts(w, keys[i], ragctl_text(r->then, keys[i]), ragctl_text(r->now, keys[i]));
    write_texts(w, "analyzer", ragctl_text(json_member(r->then, "settings"), "analyzer"),
                ragctl_text(json_member(r->now, "settings"), "analyzer"));
    for (size_t i = 0; retrieval[i]; i++)
        write_texts(w, retrieval[i], ragctl_text(json_member(r->then, "retrieval"), retrieval[i]),
                    ragctl_text(json_member(r->now, "retrieval"), retrieval[i]));
}

static enum rag_status compare(const struct replay *r, struct buf *out, struct rag_error *reterr)
{
    bool refused_then = json_true(json_member(r->then, "refused"));
    bool refused_now = json_true(json_member(r->now, "refused"));
    enum rag_status status;
    struct json_writer w;
    size_t n;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)json_number(json_member(r->then_row, "seq")));
    json_put_string(&w, "request_id", ragctl_text(r->then, "request_id"));
    json_put_string(&w, "time", ragctl_text(r->then_row, "time"));
    json_put_string(&w, "principal", ragctl_text(r->then_row, "principal"));
    json_put_int(&w, "replayed_seq", (int64_t)json_number(json_member(r->now_row, "seq")));
    json_put_string(&w, "replayed_request_id", ragctl_text(r->now, "request_id"));
    json_put_string(&w, "collection", r->collection);
    json_put_string(&w, "question", ragctl_text(r->then, "question"));
    json_put_bool(&w, "same_answer",
                  strcmp(ragctl_text(r->then, "answer"), ragctl_text(r->now, "answer")) == 0 &&
                      refused_then == refused_now);
    json_put_bool(&w, "same_refusal",
                  refused_then == refused_now && strcmp(ragctl_text(r->then, "reason_code"),
                                                        ragctl_text(r->now, "reason_code")) == 0);
    json_put_bool(&w, "same_passages", same_passages(r));
    json_put_bool(&w, "same_backend",
                  strcmp(ragctl_text(r->then, "backend"), ragctl_text(r->now, "backend")) == 0 &&
                      strcmp(ragctl_text(r->then, "model_fingerprint"),
                             ragctl_text(r->now, "model_fingerprint")) == 0);
    json_begin_object(&w, "citations");
    n = write_lacking(&w, "added", r->now, r->then);
    n += write_lacking(&w, "gone", r->then, r->now);
    json_end_object(&w);
    json_put_bool(&w, "same_citations", n == 0);
    write_text_pairs(&w, r);
    write_passages(&w, r);
    status = write_documents(&w, r, reterr);
    json_end_object(&w);
    if (status == RAG_OK && buf_status(out) != RAG_OK)
        status = rag_fail(reterr, buf_status(out), "replay: too long or out of memory");
    return status;
}

/* ---- for people ---- */

struct sentence {
    const char *text;
    size_t n;
};

/* Cut behind . ? ! and a blank, and at line ends. */
static size_t cut_sentences(const char *text, struct sentence *ret)
{
    size_t n = 0;

    while (*text != '\0' && n < SENTENCES_MAX) {
        const char *end = text;

        while (*end != '\0' && *end != '\n' && !(strchr(".?!", *end) && end[1] == ' '))
            end++;
        if (*end != '\0' && *end != '\n')
            end++;
        if (n + 1 == SENTENCES_MAX)
            end = text + strlen(text); /* the rest is one */
        if (end > text)
            ret[n++] = (struct sentence){text, (size_t)(end - text)};
        text = end + strspn(end, " \n");
    }
    return n;
}

static bool same_sentence(const struct sentence *a, const struct sentence *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

static void print_sentence(struct buf *out, const char *mark, const struct sentence *s)
{
    buf_printf(out, "  %s ", mark);
    print_one_line(out, s->text, s->n, 0);
    buf_append_char(out, '\n');
}

/* The longest common subsequence of sentences stays, the rest is gone (-) or new (+). */
static void print_diff(struct buf *out, const char *before, const char *after)
{
    struct sentence *a = calloc(2 * SENTENCES_MAX, sizeof *a);
    uint16_t *length = calloc((SENTENCES_MAX + 1) * (SENTENCES_MAX + 1), sizeof *length);
    struct sentence *b = a ? a + SENTENCES_MAX : NULL;
    size_t n_a = a ? cut_sentences(before, a) : 0;
    size_t n_b = a ? cut_sentences(after, b) : 0;
    size_t i = 0;
    size_t j = 0;

#define LENGTH(x, y) length[(x) * (SENTENCES_MAX + 1) + (y)]
    for (size_t x = length ? n_a : 0; x-- > 0;)
        for (size_t y = n_b; y-- > 0;)
            LENGTH(x, y) = same_sentence(&a[x], &b[y]) ? (uint16_t)(LENGTH(x + 1, y + 1) + 1)
                           : LENGTH(x + 1, y) > LENGTH(x, y + 1) ? LENGTH(x + 1, y)
                                                                 : LENGTH(x, y + 1);
    while (length && (i < n_a || j < n_b)) {
        if (i < n_a && j < n_b && same_sentence(&a[i], &b[j])) {
            print_sentence(out, " ", &a[i++]);
            j++;
        } else if (j == n_b || (i < n_a && LENGTH(i + 1, j) >= LENGTH(i, j + 1))) {
            print_sentence(out, "-", &a[i++]);
        } else {
            print_sentence(out, "+", &b[j++]);
        }
    }
#undef LENGTH
    free(length);
    free(a);
}

static void print_citations(struct buf *out, const struct json *list, const char *mark)
{
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        buf_printf(out, "  %s ", mark);
        print_one_line(out, ragctl_text(c, "document"), strlen(ragctl_text(c, "document")), 0);
        buf_append_str(out, ": \"");
        print_one_line(out, ragctl_text(c, "text"), strlen(ragctl_text(c, "text")), QUOTE_COLUMNS);
        buf_append_str(out, "\"\n");
    }
}

static void print_pair(struct buf *out, const struct json *o, const char *key)
{
    const char *before = ragctl_text(json_member(o, key), "before");
    const char *after = ragctl_text(json_member(o, key), "after");

    if (strcmp(before, after) != 0)
        buf_printf(out, "%-17s %.40s -> %.40s\n", key, *before ? before : "none",
                   *after ? after : "none");
}

static void print_ranks(struct buf *out, const struct json *o)
{
    struct print_table table;

    print_table_init(&table, "rrl");
    print_table_cell(&table, "then");
    print_table_cell(&table, "now");
    print_table_cell(&table, "passage");
    for (const struct json *p = json_first(json_member(o, "passages")); p; p = json_next(p)) {
        double before = json_number(json_member(p, "rank_before"));
        double after = json_number(json_member(p, "rank_after"));
        struct buf name;

        buf_init(&name, 8192);
        print_one_line(&name, ragctl_text(p, "document"), strlen(ragctl_text(p, "document")), 0);
        print_table_cell(&table, isnan(before) ? "-" : "%.0f", before);
        print_table_cell(&table, isnan(after) ? "-" : "%.0f", after);
        print_table_cell(&table, "%s #%.0f", buf_str(&name), chunk_of(p));
        buf_release(&name);
    }
    print_table_append(&table, out);
    print_table_release(&table);
}

static void print_comparison(const struct json *o)
{
    static const char *const pairs[] = {"outcome",           "reason_code", "backend",
                                        "model_fingerprint", "analyzer",    "mode",
                                        "embedder",          "adapter",     "cross_encoder"};
    const struct json *citations = json_member(o, "citations");
    const char *answer = ragctl_text(json_member(o, "answer"), "after");
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    buf_printf(&out,
               "row %.0f of %s, asked again as row %.0f: ", json_number(json_member(o, "seq")),
               ragctl_text(o, "time"), json_number(json_member(o, "replayed_seq")));
    print_one_line(&out, ragctl_text(o, "question"), strlen(ragctl_text(o, "question")), 0);
    buf_printf(&out, "\nanswer: %s\n",
               json_true(json_member(o, "same_answer")) ? "the same" : "another");
    if (!json_true(json_member(o, "same_answer")))
        print_diff(&out, ragctl_text(json_member(o, "answer"), "before"), answer);
    else if (*answer)
        print_diff(&out, answer, answer);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        print_pair(&out, o, pairs[i]);
    buf_printf(&out, "citations: %s\n",
               json_true(json_member(o, "same_citations")) ? "the same" : "others");
    print_citations(&out, json_member(citations, "gone"), "-");
    print_citations(&out, json_member(citations, "added"), "+");
    buf_printf(&out, "passages: %s\n",
               json_true(json_member(o, "same_passages")) ? "the same" : "others");
    if (!json_true(json_member(o, "same_passages")))
        print_ranks(&out, o);
    for (const struct json *d = json_first(json_member(o, "documents")); d; d = json_next(d)) {
        if (strcmp(ragctl_text(d, "state"), "same") == 0)
            continue;
        buf_printf(&out, "document %s since then: ", ragctl_text(d, "state"));
        print_one_line(&out, ragctl_text(d, "document"), strlen(ragctl_text(d, "document")), 0);
        buf_append_char(&out, '\n');
    }
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

enum rag_status ragctl_audit_replay(struct ragctl_client *client, const char *id,
                                    struct rag_error *reterr)
{
    struct replay r = {.client = client};
    struct json *comparison = NULL;
    char now_id[64] = "";
    enum rag_status status;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    status = fetch_row(client, id, &r.then_row, reterr);
    r.then = json_member(r.then_row, "payload");
    r.collection = ragctl_text(r.then, "collection");
    if (status == RAG_OK)
        status = check_row(&r, id, reterr);
    if (status == RAG_OK)
        status = ask_again(&r, now_id, reterr);
    if (status == RAG_OK)
        status = fetch_row(client, now_id, &r.now_row, reterr);
    r.now = json_member(r.now_row, "payload");
    if (status == RAG_OK)
        status = compare(&r, &out, reterr);
    if (status == RAG_OK && client->options->json)
        printf("%s\n", buf_str(&out));
    else if (status == RAG_OK)
        status = json_parse(buf_str(&out), out.len, "comparison", &comparison, reterr);
    if (comparison)
        print_comparison(comparison);
    json_free(comparison);
    json_free(r.then_row);
    json_free(r.now_row);
    buf_release(&out);
    return status;
}
