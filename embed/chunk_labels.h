/* embed/chunk_labels.h - what a chunk carries besides its text: the path of headings it
 * stands under, and a table's header. Internal to embed/. */
#ifndef RAG_EMBED_CHUNK_LABELS_H
#define RAG_EMBED_CHUNK_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"
#include "embed/extract.h"

/* The headings that are open, outermost first. Levels ascend strictly. */
struct heading_stack {
    struct {
        uint32_t start; /* the heading's title in the text */
        uint32_t end;
        uint8_t level;
    } open[HEADING_DEPTH_MAX];
    size_t n;
};

/* A heading closes those of its own and of deeper levels. */
void heading_stack_push(struct heading_stack *stack, const struct block *heading);

/* "A > B", white space made single spaces, the document's title left out, cut from the left
 * at HEADING_PATH_BYTES_MAX; malloc'ed. RAG_OK or RAG_ENOMEM. */
enum rag_status heading_stack_path(const struct heading_stack *stack,
                                   const struct extracted *document, char **ret);

/* [start, end) of the text as one line, cut at CHUNK_CONTEXT_BYTES_MAX; malloc'ed.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status chunk_context(const struct extracted *document, size_t start, size_t end,
                              char **ret);

#endif
