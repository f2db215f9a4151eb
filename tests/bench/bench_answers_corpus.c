#define _GNU_SOURCE /* scandir */
#include "tests/bench/bench_answers_corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "retrieve/fields.h"

#define NAME_BYTES_MAX 4096

void die(const char *what, const struct rag_error *err)
{
    fprintf(stderr, "bench_answers: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static char *copy(const char *s, size_t n)
{
    char *c = malloc(n + 1);

    if (!c)
        die("out of memory", NULL);
    memcpy(c, s, n);
    c[n] = '\0';
    return c;
}

static void read_file(const char *path, struct buf *out)
{
    char block[65536];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        die(path, NULL);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_append(out, block, n);
    fclose(f);
    if (buf_status(out) != RAG_OK)
        die("file too large", NULL);
}

static int is_document(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    if (!dot || strcmp(entry->d_name, "README.md") == 0)
        return 0;
    return strcmp(dot, ".md") == 0 || strcmp(dot, ".txt") == 0 || strcmp(dot, ".html") == 0;
}

static void read_document(struct corpus_document *d, const char *folder, const char *name,
                          size_t chunk_chars)
{
    struct chunker_options options = {chunk_chars, CHUNK_OVERLAP_DEFAULT};
    char path[NAME_BYTES_MAX];
    enum document_format format;
    struct rag_error err;
    struct buf body;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        die("path too long", NULL);
    buf_init(&body, DOCUMENT_BYTES_MAX);
    read_file(path, &body);
    if (document_format_of(NULL, name, &format, &err) != RAG_OK ||
        extract_document(format, buf_str(&body), body.len, &d->extracted, &err) != RAG_OK ||
        chunk_document(&d->extracted, &options, &d->chunks, &err) != RAG_OK)
        die(name, &err);
    buf_release(&body);
    d->html = format == FORMAT_HTML;
    d->name = copy(name, strlen(name));
}

void corpus_reserve(struct corpus *c, size_t n)
{
    c->passages = calloc(n + 1, sizeof *c->passages);
    c->n_passages = n;
    if (!c->passages)
        die("out of memory", NULL);
}

void corpus_read_folder(struct corpus *c, const char *path, size_t chunk_chars)
{
    struct dirent **names;
    int n = scandir(path, &names, is_document, alphasort);
    size_t total = 0;

    if (n <= 0)
        die("no documents in the folder", NULL);
    c->documents = calloc((size_t)n, sizeof *c->documents);
    if (!c->documents)
        die("out of memory", NULL);
    for (int i = 0; i < n; i++) {
        read_document(&c->documents[i], path, names[i]->d_name, chunk_chars);
        total += c->documents[i].chunks.n;
        free(names[i]);
    }
    free(names);
    c->n_documents = (size_t)n;
    corpus_reserve(c, total);
    c->own_texts = true;
    total = 0;
    for (size_t i = 0; i < c->n_documents; i++)
        for (size_t k = 0; k < c->documents[i].chunks.n; k++) {
            const struct corpus_document *d = &c->documents[i];
            const struct chunk *chunk = &d->chunks.items[k];
            size_t bytes = chunk->byte_end - chunk->byte_start;

            c->passages[total] = (struct passage){
                .id = total,
                .document = d->name,
                .title = d->extracted.title,
                .heading = chunk->heading,
                .context = chunk->context,
                .text = copy(d->extracted.text + chunk->byte_start, bytes),
                .text_bytes = bytes,
                .byte_start = chunk->byte_start,
                .byte_end = chunk->byte_end,
                .version_id = i,
            };
            total++;
        }
}

void corpus_index(struct corpus *c)
{
    struct bm25_options options = {BM25_K1_DEFAULT, BM25_B_DEFAULT};
    struct bm25_batch *batch;
    struct rag_error err;

    if (bm25_new(&options, &c->index) != RAG_OK || bm25_batch_new(&batch) != RAG_OK)
        die("out of memory", NULL);
    for (size_t i = 0; i < c->n_passages; i++) {
        const struct passage *p = &c->passages[i];
        struct passage_fields fields = {p->title, p->heading, p->context, p->text, p->text_bytes};
        struct bm25_posting *postings;
        uint32_t length;
        size_t n;

        if (passage_postings(c->analyzer, &fields, &postings, &n, &length) != RAG_OK ||
            bm25_batch_add(batch, i, postings, n, length) != RAG_OK)
            die("cannot index a passage", NULL);
        free(postings);
    }
    if (bm25_apply(c->index, batch, 1, &err) != RAG_OK)
        die("index", &err);
    bm25_batch_free(batch);
}

void corpus_release(struct corpus *c)
{
    for (size_t i = 0; i < c->n_documents; i++) {
        free(c->documents[i].name);
        extracted_release(&c->documents[i].extracted);
        chunk_list_release(&c->documents[i].chunks);
    }
    for (size_t i = 0; c->own_texts && i < c->n_passages; i++)
        free((void *)(uintptr_t)c->passages[i].text);
    free(c->documents);
    free(c->passages);
    bm25_free(c->index);
    analyzer_close(c->analyzer);
}
