#include "embed/chunk_labels.h"

#include <string.h>

#include "base/buf.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "text/grapheme.h"

#define SEPARATOR " > "

void heading_stack_push(struct heading_stack *stack, const struct block *heading)
{
    uint8_t level = heading->level;

    if (level < 1)
        level = 1;
    if (level > HEADING_DEPTH_MAX)
        level = HEADING_DEPTH_MAX;
    while (stack->n > 0 && stack->open[stack->n - 1].level >= level)
        stack->n--;
    stack->open[stack->n].start = heading->title_start;
    stack->open[stack->n].end = heading->title_end;
    stack->open[stack->n].level = level;
    stack->n++;
}

/* Keep the last HEADING_PATH_BYTES_MAX bytes: the innermost heading says most. */
static void cut_left(struct buf *path)
{
    size_t cut;

    if (path->len <= HEADING_PATH_BYTES_MAX)
        return;
    cut = path->len - HEADING_PATH_BYTES_MAX;
    while (cut < path->len && !grapheme_boundary(path->data, path->len, cut))
        cut++;
    cut = white_skip(path->data, cut, path->len);
    path->len -= cut;
    memmove(path->data, path->data + cut, path->len + 1);
}

enum rag_status heading_stack_path(const struct heading_stack *stack,
                                   const struct extracted *document, char **ret)
{
    enum rag_status status;
    struct buf path;
    struct buf one;

    buf_init(&path, (size_t)DOCUMENT_BYTES_MAX * 2);
    buf_init(&one, DOCUMENT_BYTES_MAX);
    for (size_t i = 0; i < stack->n; i++) {
        size_t n_bytes = stack->open[i].end - stack->open[i].start;

        /* of a longer title nothing would be left of the others anyway */
        if (n_bytes > HEADING_PATH_BYTES_MAX)
            n_bytes = grapheme_floor(document->text + stack->open[i].start, n_bytes,
                                     HEADING_PATH_BYTES_MAX);
        buf_reset(&one);
        append_one_line(&one, document->text + stack->open[i].start, n_bytes);
        if (one.len == 0 || strcmp(buf_str(&one), document->title ? document->title : "") == 0)
            continue;
        if (path.len > 0)
            buf_append_str(&path, SEPARATOR);
        buf_append(&path, buf_str(&one), one.len);
    }
    status = buf_status(&one) != RAG_OK ? buf_status(&one) : buf_status(&path);
    if (status == RAG_OK) {
        cut_left(&path);
        status = buf_take(&path, ret, NULL);
    }
    buf_release(&one);
    buf_release(&path);
    return status;
}

enum rag_status chunk_context(const struct extracted *document, size_t start, size_t end,
                              char **ret)
{
    enum rag_status status;
    struct buf out;

    buf_init(&out, DOCUMENT_BYTES_MAX);
    if (end - start > CHUNK_CONTEXT_BYTES_MAX)
        end = start + grapheme_floor(document->text + start, end - start, CHUNK_CONTEXT_BYTES_MAX);
    append_one_line(&out, document->text + start, end - start);
    status = buf_take(&out, ret, NULL);
    buf_release(&out);
    return status;
}
