#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_chunks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "daemon/ragctl/progress.h"

#define PAGE_CHUNKS 500

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "chunks: out of memory");
}

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

static int by_document(const void *a, const void *b)
{
    const struct chunk_sample *x = a;
    const struct chunk_sample *y = b;
    int order = strcmp(x->document, y->document);

    return order ? order : (x->id > y->id) - (x->id < y->id);
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
    qsort(r.chunks, *ret_n, sizeof *r.chunks, by_document);
    *ret = r.chunks;
    *ret_n_total = r.n_seen;
    return RAG_OK;
}
