#include "nn/gguf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nn/gguf_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they are stored");

void gguf_release(struct gguf *g)
{
    for (size_t i = 0; i < g->n_keys; i++)
        free(g->keys[i].pieces);
    free(g->keys);
    free(g->tensors);
    free(g->names);
}

/* Parts of a model in several files; one by itself lacks tensors. */
static enum rag_status refuse_split(const struct gguf *g, struct rag_error *reterr)
{
    uint64_t n = 0;
    enum rag_status status = RAG_OK;

    if (gguf_has(g, "split.count"))
        status = gguf_get_uint(g, "split.count", &n, reterr);
    if (status == RAG_OK && n > 1)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "gguf '%s': one of %llu parts of a split file; join them first "
                          "(llama-gguf-split --merge)",
                          g->path, (unsigned long long)n);
    return status;
}

enum rag_status gguf_open(const char *path, struct gguf **ret, struct rag_error *reterr)
{
    struct gguf *g = calloc(1, sizeof *g);
    enum rag_status status;

    if (!g)
        return rag_fail(reterr, RAG_ENOMEM, "gguf '%s': out of memory", path);
    status = mapped_file_open(path, &g->file, reterr);
    if (status == RAG_OK) {
        g->path = mapped_file_path(g->file);
        g->data = mapped_file_data(g->file);
        g->n_bytes = mapped_file_size(g->file);
        status = gguf_read(g, reterr);
    }
    if (status == RAG_OK)
        status = refuse_split(g, reterr);
    if (status == RAG_OK) /* a page that was not there was read as zeros */
        status = gguf_intact(g, reterr);
    if (status != RAG_OK) {
        gguf_close(g);
        return status;
    }
    *ret = g;
    return RAG_OK;
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    gguf_release(g);
    mapped_file_close(g->file);
    free(g);
}

const char *gguf_path(const struct gguf *g)
{
    return g->path;
}

uint64_t gguf_bytes(const struct gguf *g)
{
    return g->n_bytes;
}

enum rag_status gguf_intact(const struct gguf *g, struct rag_error *reterr)
{
    if (!mapped_file_intact(g->file))
        return rag_fail(reterr, RAG_EIO,
                        "gguf '%s': the file was cut or changed while in use; load the model again",
                        g->path);
    return RAG_OK;
}

static int compare_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct gguf_tensor *)tensor)->name);
}

const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name)
{
    return bsearch(name, g->tensors, g->n_tensors, sizeof *g->tensors, compare_name);
}

size_t gguf_count(const struct gguf *g)
{
    return g->n_tensors;
}

const struct gguf_tensor *gguf_at(const struct gguf *g, size_t i)
{
    assert(i < g->n_tensors);
    return &g->tensors[i];
}

void gguf_forget(const struct gguf *g, const struct gguf_tensor *t)
{
    mapped_file_forget(g->file, (size_t)(t->data - g->data), t->n_rows * t->row_bytes);
}
