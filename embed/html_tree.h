/* embed/html_tree.h - an HTML5 parse tree by gumbo, within limits. Internal to embed/.
 *
 * Gumbo checks no allocation, frees its tree by recursion, walks its stack of open elements
 * for each tag and can copy unclosed formatting elements into every paragraph. So its memory
 * comes from slabs that are dropped whole, and an allocation past the limit of
 * memory or of CPU time leaves the parser by longjmp. Afterwards the tree is walked once,
 * without recursion, for its depth and its tables. */
#ifndef RAG_EMBED_HTML_TREE_H
#define RAG_EMBED_HTML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gumbo.h>

#include "base/status.h"

struct html_memory; /* opaque */

struct html_tree {
    struct html_memory *memory; /* owns every node */
    const GumboNode *root;      /* the document node */
    uint8_t *tables;            /* per <table> in document order: is it one of data?; owned */
    size_t n_tables;
};

/* Parse n_bytes of well-formed UTF-8 without NUL; 's' is borrowed until release.
 * RAG_OK; RAG_ELIMIT (depth, memory or time, with value and limit); RAG_ENOMEM. */
enum rag_status html_tree_parse(const char *s, size_t n_bytes, struct html_tree *ret,
                                struct rag_error *reterr);
void html_tree_release(struct html_tree *tree); /* a zeroed one is a no-op */

/* The next node in document order: the first child if 'down', else the next sibling of the
 * node or of its nearest ancestor that has one; NULL after the last. */
const GumboNode *html_next(const GumboNode *node, bool down);
/* Children of a document or an element; NULL for other nodes. */
const GumboVector *html_children(const GumboNode *node);
bool html_is_element(const GumboNode *node);
/* The tag of an HTML element; GUMBO_TAG_LAST for anything else (text, SVG, MathML). */
GumboTag html_tag(const GumboNode *node);
const char *html_attribute(const GumboNode *node, const char *name); /* NULL: it has none */

#endif
