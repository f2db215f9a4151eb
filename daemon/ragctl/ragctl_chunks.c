#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_chunks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "base/utf8.h"
#include "daemon/ragctl/progress.h"
#include "eval/permutation.h"
#include "text/sentence.h"

#define PAGE_CHUNKS 500

/* A sentence that asks for something: not a fragment, not half a page. */
#define SENTENCE_CHARS_MIN 15
#define SENTENCE_CHARS_MAX 200
#define SENTENCE_WORDS_MIN 3
#define REST_CHARS_MIN     80 /* of the chunk without it: something has to be left to find */
#define HEADING_CHARS_MIN  6  /* "개요" and "Usage" are headings of everything */
#define HEADING_WORDS_MIN  2

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "chunks: out of memory");
}

/* ---- the sample ---- */

static const char *copy_member(struct arena *arena, const struct json *object, const char *key)
{
    const char *text = json_string(json_member(object, key));

    return arena_strdup(arena, text ? text : "");
}

static enum rag_status take_chunk(struct arena *arena, const struct json *node,
                                  struct chunk_sample *ret, struct rag_error *reterr)
{
    ret->id = (uint64_t)json_number(json_member(node, "chunk"));
    ret->document = copy_member(arena, node, "document");
    ret->title = copy_member(arena, node, "title");
    ret->heading = copy_member(arena, node, "heading");
    ret->text = copy_member(arena, node, "text");
    if (!ret->document || !ret->title || !ret->heading || !ret->text)
        return no_memory(reterr);
    ret->text_bytes = strlen(ret->text);
    return RAG_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct chunk_sample *x = a;
    const struct chunk_sample *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

struct reservoir {
    struct arena *arena;
    struct chunk_sample *chunks;
    size_t max;
    size_t n_seen;
    uint64_t random;
};

/* Algorithm R (Vitter, "Random Sampling with a Reservoir", 1985): chunk i of those seen replaces
 * one of the reservoir with chance max / i. Texts that are replaced stay in the arena. */
static enum rag_status offer(struct reservoir *r, const struct json *node, struct rag_error *reterr)
{
    size_t place = r->n_seen++;

    if (place >= r->max) {
        place = (size_t)(splitmix_next(&r->random) % r->n_seen);
        if (place >= r->max)
            return RAG_OK;
    }
    return take_chunk(r->arena, node, &r->chunks[place], reterr);
}

enum rag_status ragctl_chunks_sample(struct ragctl_client *client,
                                     const struct ragctl_options *options, const char *collection,
                                     size_t n_max, uint64_t seed, struct arena *arena,
                                     struct chunk_sample **ret, size_t *ret_n, size_t *ret_n_total,
                                     struct rag_error *reterr)
{
    struct reservoir r = {.arena = arena, .max = n_max, .random = seed};
    enum rag_status status = RAG_OK;
    struct progress progress;
    uint64_t after = 0;
    bool more = true;
    struct buf path;

    r.chunks = arena_calloc(arena, n_max, sizeof *r.chunks);
    if (!r.chunks)
        return no_memory(reterr);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    progress_init(&progress, stderr, options->quiet, "chunks", 0, 0);
    while (more && status == RAG_OK) {
        struct json *page = NULL;
        const struct json *next;

        buf_reset(&path);
        ragctl_client_collection_path(&path, collection, "/chunks", NULL);
        buf_printf(&path, "?limit=%d&after=%" PRIu64, PAGE_CHUNKS, after);
        status = ragctl_client_call(client, "GET", buf_str(&path), &page, reterr);
        for (const struct json *c = json_first(json_member(page, "chunks")); c && status == RAG_OK;
             c = json_next(c))
            status = offer(&r, c, reterr);
        next = json_member(page, "next");
        more = json_is_number(next);
        if (more)
            after = (uint64_t)json_number(next);
        json_free(page);
        progress_update(&progress, r.n_seen, 0);
    }
    progress_finish(&progress);
    buf_release(&path);
    if (status != RAG_OK)
        return status;
    *ret_n = r.n_seen < n_max ? r.n_seen : n_max;
    qsort(r.chunks, *ret_n, sizeof *r.chunks, by_id);
    *ret = r.chunks;
    *ret_n_total = r.n_seen;
    return RAG_OK;
}

/* ---- questions ---- */

static size_t count_words(const char *text, size_t n)
{
    size_t words = 0;
    bool inside = false;

    for (size_t i = 0; i < n; i++) {
        bool space = text[i] == ' ' || text[i] == '\t' || text[i] == '\n';

        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static bool is_question(const char *text, size_t n)
{
    size_t chars = utf8_count(text, n);

    return chars >= SENTENCE_CHARS_MIN && chars <= SENTENCE_CHARS_MAX &&
           count_words(text, n) >= SENTENCE_WORDS_MIN && n <= QUESTION_BYTES_MAX &&
           text[0] != '#' &&      /* a heading of Markdown */
           !memchr(text, '|', n); /* a row of a table */
}

/* Does the chunk say the same words somewhere else as well? Then taking the sentence out of it
 * would leave the answer in. */
static bool said_twice(const struct chunk_sample *c, struct sentence s)
{
    const char *sentence = c->text + s.byte_start;
    size_t n = s.byte_end - s.byte_start;

    return memmem(c->text, s.byte_end - 1, sentence, n) != NULL ||
           memmem(c->text + s.byte_start + 1, c->text_bytes - s.byte_start - 1, sentence, n);
}

/* A random sentence of the chunk; *ret_made false when it has none that will do. */
static enum rag_status from_sentence(const struct chunk_sample *c, uint64_t *random,
                                     struct arena *arena, struct pseudo_question *q, bool *ret_made,
                                     struct rag_error *reterr)
{
    struct sentence *sentences = NULL;
    enum rag_status status;
    size_t n_fit = 0;
    size_t chosen;
    char *body;
    size_t n = 0;

    *ret_made = false;
    status = sentence_split(c->text, c->text_bytes, &sentences, &n);
    if (status != RAG_OK)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++) {
        struct sentence s = sentences[i];
        size_t left = utf8_count(c->text, c->text_bytes) -
                      utf8_count(c->text + s.byte_start, s.byte_end - s.byte_start);

        if (left >= REST_CHARS_MIN &&
            is_question(c->text + s.byte_start, s.byte_end - s.byte_start) && !said_twice(c, s))
            sentences[n_fit++] = s; /* n_fit <= i */
    }
    if (n_fit == 0)
        goto out;
    chosen = (size_t)(splitmix_next(random) % n_fit);
    q->kind = PSEUDO_SENTENCE;
    q->heading = c->heading;
    q->text = arena_strndup(arena, c->text + sentences[chosen].byte_start,
                            sentences[chosen].byte_end - sentences[chosen].byte_start);
    body = arena_alloc(arena, c->text_bytes + 1);
    if (!q->text || !body) {
        status = no_memory(reterr);
        goto out;
    }
    memcpy(body, c->text, sentences[chosen].byte_start);
    memcpy(body + sentences[chosen].byte_start, c->text + sentences[chosen].byte_end,
           c->text_bytes - sentences[chosen].byte_end);
    body[c->text_bytes - (sentences[chosen].byte_end - sentences[chosen].byte_start)] = '\0';
    q->body = body;
    *ret_made = true;
out:
    free(sentences);
    return status;
}

const char *ragctl_chunks_last_heading(const char *path)
{
    const char *last = path;

    for (const char *p = path; (p = strstr(p, " > ")) != NULL; p += 3)
        last = p + 3;
    return last;
}

/* The text without its lines that hold 'heading' (a chunk begins with its own heading). */
static char *without_lines_of(const char *text, const char *heading, struct arena *arena)
{
    char *out = arena_alloc(arena, strlen(text) + 1);
    size_t n_heading = strlen(heading);
    size_t n = 0;

    for (const char *line = text; out && *line;) {
        size_t n_line = strcspn(line, "\n");

        n_line += line[n_line] == '\n';
        if (!memmem(line, n_line, heading, n_heading)) {
            memcpy(out + n, line, n_line);
            n += n_line;
        }
        line += n_line;
    }
    if (out)
        out[n] = '\0';
    return out;
}

static enum rag_status from_heading(const struct chunk_sample *c, struct arena *arena,
                                    struct pseudo_question *q, bool *ret_made,
                                    struct rag_error *reterr)
{
    const char *last = ragctl_chunks_last_heading(c->heading);
    size_t n = strlen(last);
    size_t above = (size_t)(last - c->heading);

    char *body;

    *ret_made = false;
    if (utf8_count(last, n) < HEADING_CHARS_MIN || count_words(last, n) < HEADING_WORDS_MIN ||
        n > QUESTION_BYTES_MAX)
        return RAG_OK;
    body = without_lines_of(c->text, last, arena);
    if (!body)
        return no_memory(reterr);
    if (utf8_count(body, strlen(body)) < REST_CHARS_MIN)
        return RAG_OK;
    *ret_made = true;
    q->kind = PSEUDO_HEADING;
    q->text = last;
    q->heading = arena_strndup(arena, c->heading, above >= 3 ? above - 3 : 0);
    q->body = body;
    return q->heading ? RAG_OK : no_memory(reterr);
}

/* Whether chunk i is the only one of the sample below its heading. Chunks of one heading are
 * neighbours in order of ids, but for those that an update has brought later. */
static bool heading_is_its_own(const struct chunk_sample *chunks, size_t n, size_t i)
{
    for (size_t k = i >= 8 ? i - 8 : 0; k < n && k <= i + 8; k++) {
        if (k != i && strcmp(chunks[k].heading, chunks[i].heading) == 0 &&
            strcmp(chunks[k].document, chunks[i].document) == 0)
            return false;
    }
    return true;
}

enum rag_status ragctl_chunks_questions(const struct chunk_sample *chunks, size_t n, size_t n_max,
                                        uint64_t seed, struct arena *arena,
                                        struct pseudo_question **ret, size_t *ret_n,
                                        struct rag_error *reterr)
{
    struct pseudo_question *questions = arena_calloc(arena, n_max + 1, sizeof *questions);
    enum rag_status status = RAG_OK;
    uint64_t random = seed + 1;
    uint32_t *order = NULL;
    size_t n_made = 0;

    if (!questions || permutation_make(n, seed, &order) != RAG_OK)
        return no_memory(reterr);
    for (size_t k = 0; k < n && n_made < n_max && status == RAG_OK; k++) {
        const struct chunk_sample *c = &chunks[order[k]];
        struct pseudo_question *q = &questions[n_made];
        bool heading_first = splitmix_next(&random) & 1;
        bool made = false;

        q->chunk = order[k];
        if (heading_first && heading_is_its_own(chunks, n, order[k]))
            status = from_heading(c, arena, q, &made, reterr);
        if (status == RAG_OK && !made)
            status = from_sentence(c, &random, arena, q, &made, reterr);
        n_made += made;
    }
    free(order);
    if (status != RAG_OK)
        return status;
    *ret = questions;
    *ret_n = n_made;
    return RAG_OK;
}
