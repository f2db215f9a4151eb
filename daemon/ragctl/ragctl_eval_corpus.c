#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "daemon/ragctl/ragctl_charset.h"
#include "daemon/ragctl/ragctl_eval.h"
#include "eval/input.h"

#define INGEST_TIMEOUT_MS 600000
#define CHUNK_CHARS_WHOLE CHUNK_CHARS_MAX /* a context is one passage, as in published figures */
#define DEPTH_WHOLE       20              /* results that are looked at: hit@20 */
#define DEPTH_PIECES      100             /* where a document may have several chunks */

size_t eval_corpus_find(const struct evaluation *e, const char *name)
{
    size_t low = 0;
    size_t high = e->n_documents;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(e->documents[middle].name, name);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return e->n_documents;
}

static enum rag_status make_collection(struct evaluation *e, struct rag_error *reterr)
{
    int64_t chunk_chars = e->eval->chunk_chars;
    enum rag_status status;
    int64_t overlap;

    if (chunk_chars == 0 && e->dataset)
        chunk_chars = CHUNK_CHARS_WHOLE;
    /* a whole context has no neighbour to overlap with; pieces do, as usual */
    overlap = e->eval->chunk_chars == 0                 ? 0
              : chunk_chars > CHUNK_OVERLAP_DEFAULT * 3 ? CHUNK_OVERLAP_DEFAULT
                                                        : chunk_chars / 4;
    status = shadow_open(&e->corpus, e->client, "eval", chunk_chars, overlap, reterr);
    e->corpus.check = interrupt_check;
    e->run->chunk_chars = (size_t)chunk_chars;
    return status;
}

/* ---- the passages of a dataset ---- */

static enum rag_status ingest_passages(struct evaluation *e, struct rag_error *reterr)
{
    const struct dataset *d = e->dataset;
    enum rag_status status = RAG_OK;
    struct progress progress;

    progress_init(&progress, stderr, e->options->quiet, "passages", d->n_passages, 0);
    for (size_t i = 0; i < d->n_passages && status == RAG_OK; i++) {
        const struct dataset_passage *p = &d->passages[i];

        status = shadow_add(&e->corpus, i, SHADOW_NO_GROUP, e->eval->titles ? p->title : "",
                            p->text, p->n_bytes, reterr);
        progress_update(&progress, i + 1, 0);
    }
    if (status == RAG_OK)
        status = shadow_flush(&e->corpus, reterr);
    progress_finish(&progress);
    return status;
}

/* Which depth shows twenty documents: one chunk each, or several. */
static size_t search_depth(const struct evaluation *e)
{
    size_t longest = 0;

    if (!e->dataset)
        return DEPTH_PIECES;
    for (size_t i = 0; i < e->dataset->n_passages; i++) {
        const struct dataset_passage *p = &e->dataset->passages[i];
        size_t n = utf8_count(p->text, p->n_bytes);

        longest = n > longest ? n : longest;
    }
    return longest <= e->run->chunk_chars ? DEPTH_WHOLE : DEPTH_PIECES;
}

/* ---- the documents beside a question set ---- */

/* Read me files and files of records are about the documents, not documents. */
static bool is_document(const struct ragctl_file *file)
{
    const char *slash = strrchr(file->name, '/');
    const char *base = slash ? slash + 1 : file->name;

    return !file->records && strncasecmp(base, "README", 6) != 0 &&
           strcmp(file->content_type, "application/json") != 0;
}

static enum rag_status put_document(struct evaluation *e, const struct ragctl_file *file,
                                    struct rag_error *reterr)
{
    struct http_call request = {
        .method = "PUT",
        .content_type = file->content_type,
        .timeout_ms = INGEST_TIMEOUT_MS,
    };
    struct rag_error inner = {RAG_OK, ""};
    struct input *in = NULL;
    const char *from = NULL;
    enum rag_status status;
    struct buf body;
    struct buf path;

    buf_init(&body, DOCUMENT_BYTES_MAX);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    status = input_open(file->path, &in, reterr);
    if (status == RAG_OK)
        status = input_all(in, &body, reterr);
    input_close(in);
    if (status == RAG_OK && charset_to_utf8(&body, &from, &inner) != RAG_OK)
        status = rag_fail(reterr, inner.status, "file '%s': %s", file->path, inner.text);
    if (status == RAG_OK) {
        ragctl_client_collection_path(&path, e->corpus.name, "/documents/", file->name);
        request.path = buf_str(&path);
        request.body = buf_str(&body);
        request.body_bytes = body.len;
        status = ragctl_client_do(e->client, &request, &inner);
        if (status != RAG_OK)
            rag_fail(reterr, status, "file '%s': %s", file->path, inner.text);
    }
    buf_release(&body);
    buf_release(&path);
    return status == RAG_OK ? interrupt_check(reterr) : status;
}

/* The text that citations point into. */
static enum rag_status index_document(struct evaluation *e, size_t i, struct rag_error *reterr)
{
    static const char *const headers[] = {"Accept: text/plain", NULL};
    struct http_call request = {.method = "GET", .headers = headers};
    struct eval_document *d = &e->documents[i];
    const char *type = ragctl_files_type(d->name);
    enum rag_status status;
    struct buf path;

    if (d->indexed)
        return RAG_OK;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, e->corpus.name, "/documents/", d->name);
    request.path = buf_str(&path);
    status = ragctl_client_do(e->client, &request, reterr);
    buf_release(&path);
    if (status != RAG_OK)
        return status;
    status = evidence_document_init(&d->evidence, buf_str(&e->client->body), e->client->body.len,
                                    type && strcmp(type, "text/html") == 0);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "document '%s': out of memory", d->name);
    d->indexed = true;
    return RAG_OK;
}

/* Every document that a question names has to be there, and its evidence findable. */
static enum rag_status check_questions(struct evaluation *e, struct rag_error *reterr)
{
    for (size_t i = 0; i < e->set->n; i++) {
        const struct set_question *q = &e->set->questions[i];

        for (size_t k = 0; k < q->n_documents + q->n_evidence; k++) {
            const char *name =
                k < q->n_documents ? q->documents[k] : q->evidence[k - q->n_documents].document;
            size_t found = eval_corpus_find(e, name);
            struct evidence_place place;
            enum rag_status status;

            if (found == e->n_documents)
                return rag_fail(reterr, RAG_EFORMAT,
                                "question '%.64s': document '%s' is not beside the questions",
                                q->id, name);
            status = index_document(e, found, reterr);
            if (status == RAG_OK && k >= q->n_documents)
                status = evidence_find(&e->documents[found].evidence,
                                       q->evidence[k - q->n_documents].text, &place);
            if (status != RAG_OK)
                return status;
            if (k >= q->n_documents && place.char_start == place.char_end) {
                e->run->n_evidence_lost++;
                ragctl_note(e->options, "question '%s': its evidence does not occur in '%s'", q->id,
                            name);
            }
        }
    }
    return RAG_OK;
}

static void on_unreadable(void *context, const char *path, const char *why)
{
    const struct ragctl_options *options = context;

    ragctl_note(options, "file '%s': left out: %s", path, why);
}

static enum rag_status list_documents(struct evaluation *e, const char *folder,
                                      struct rag_error *reterr)
{
    struct ragctl_files_options options = {
        .prefix = "",
        .on_unreadable = on_unreadable,
        .context = (void *)(uintptr_t)e->options,
    };
    enum rag_status status = ragctl_files_add(&e->files, folder, &options, reterr);

    if (status == RAG_OK)
        status = ragctl_files_sort(&e->files, reterr);
    if (status != RAG_OK)
        return status;
    e->documents = calloc(e->files.n + 1, sizeof *e->documents);
    if (!e->documents)
        return rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
    return RAG_OK;
}

static enum rag_status ingest_documents(struct evaluation *e, struct rag_error *reterr)
{
    char *folder = strdup(e->eval->path);
    struct progress progress;
    enum rag_status status;

    if (!folder)
        return rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
    status = list_documents(e, dirname(folder), reterr);
    progress_init(&progress, stderr, e->options->quiet, "files", e->files.n, 0);
    for (size_t i = 0; i < e->files.n && status == RAG_OK; i++) {
        if (!is_document(&e->files.items[i]))
            continue;
        status = put_document(e, &e->files.items[i], reterr);
        e->documents[e->n_documents++].name = e->files.items[i].name;
        progress_update(&progress, i + 1, 0);
    }
    progress_finish(&progress);
    if (status == RAG_OK && e->n_documents == 0)
        status = rag_fail(reterr, RAG_ENOTFOUND, "folder '%s': holds no documents beside '%s'",
                          folder, e->eval->path);
    free(folder);
    return status == RAG_OK ? check_questions(e, reterr) : status;
}

static void count_corpus(struct evaluation *e)
{
    struct run *run = e->run;

    run->n_passages = run->n_distinct = e->n_documents;
    if (!e->dataset)
        return;
    run->n_distinct = e->dataset->n_passages;
    for (size_t i = 0; i < e->dataset->n_passages; i++) {
        uint32_t n = e->dataset->passages[i].n_paragraphs;

        run->n_passages += n > 0 ? n : 1;
    }
}

enum rag_status eval_corpus_make(struct evaluation *e, struct rag_error *reterr)
{
    enum rag_status status = make_collection(e, reterr);
    bool off;

    if (status == RAG_OK)
        status = e->dataset ? ingest_passages(e, reterr) : ingest_documents(e, reterr);
    if (status == RAG_OK)
        status = shadow_wait(&e->corpus, &off, reterr); /* the dense stage needs all of them */
    count_corpus(e);
    e->top_k = search_depth(e);
    return status;
}
