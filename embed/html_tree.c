#define _GNU_SOURCE
#include "embed/html_tree.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/bounds.h"

/* Allocations between two looks at the clock. */
#define CLOCK_EVERY 1024u

struct html_memory {
    struct arena arena;
    jmp_buf out; /* where an allocation goes that must not be */
    enum rag_status why;
    unsigned n_until_clock;
    int64_t cpu_end_ms;
};

static int64_t thread_cpu_ms(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *allocate(void *userdata, size_t n)
{
    struct html_memory *m = userdata;
    void *p;

    if (--m->n_until_clock == 0) {
        m->n_until_clock = CLOCK_EVERY;
        if (thread_cpu_ms() > m->cpu_end_ms) {
            m->why = RAG_ETIMEOUT;
            longjmp(m->out, 1);
        }
    }
    p = arena_alloc(&m->arena, n);
    if (!p) {
        m->why = m->arena.n_bytes + n > HTML_TREE_BYTES_MAX ? RAG_ELIMIT : RAG_ENOMEM;
        longjmp(m->out, 1);
    }
    return p;
}

static void deallocate(void *userdata, void *p)
{
    (void)userdata;
    (void)p; /* all at once, at the end */
}

/* ---- walking ---- */

const GumboVector *html_children(const GumboNode *node)
{
    if (node->type == GUMBO_NODE_DOCUMENT)
        return &node->v.document.children;
    if (node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE)
        return &node->v.element.children;
    return NULL;
}

const GumboNode *html_next(const GumboNode *node, bool down)
{
    const GumboVector *children = down ? html_children(node) : NULL;

    if (children && children->length > 0)
        return children->data[0];
    while (node->parent) {
        const GumboVector *siblings = html_children(node->parent);

        if (node->index_within_parent + 1 < siblings->length)
            return siblings->data[node->index_within_parent + 1];
        node = node->parent;
    }
    return NULL;
}

bool html_is_element(const GumboNode *node)
{
    return node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE;
}

GumboTag html_tag(const GumboNode *node)
{
    if (!html_is_element(node) || node->v.element.tag_namespace != GUMBO_NAMESPACE_HTML)
        return GUMBO_TAG_LAST;
    return node->v.element.tag;
}

const char *html_attribute(const GumboNode *node, const char *name)
{
    const GumboAttribute *a;

    if (!html_is_element(node))
        return NULL;
    a = gumbo_get_attribute(&node->v.element.attributes, name);
    return a ? a->value : NULL;
}

/* ---- depth, and tables of data ---- */

/* Does this element make the table around it one of layout? A row of data has cells that
 * read as one line each. */
static bool is_layout_sign(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_H5:
    case GUMBO_TAG_H6:
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_SECTION:
        return true;
    default:
        return false;
    }
}

struct survey {
    struct html_tree *tree;
    size_t cap;
    uint32_t open[HTML_DEPTH_MAX + 1]; /* tables that are open, outermost first */
    size_t n_open;
};

static enum rag_status enter_element(struct survey *s, GumboTag tag)
{
    struct html_tree *t = s->tree;

    /* a table is of layout with all those around it, so only the innermost needs a mark
     * that is not there yet */
    if (is_layout_sign(tag))
        for (size_t i = s->n_open; i-- > 0 && t->tables[s->open[i]];)
            t->tables[s->open[i]] = 0;
    if (tag != GUMBO_TAG_TABLE)
        return RAG_OK;
    if (t->n_tables == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        uint8_t *grown = realloc(t->tables, cap);

        if (!grown)
            return RAG_ENOMEM;
        t->tables = grown;
        s->cap = cap;
    }
    s->open[s->n_open++] = (uint32_t)t->n_tables;
    t->tables[t->n_tables++] = 1;
    return RAG_OK;
}

static enum rag_status survey_tree(struct html_tree *tree, struct rag_error *reterr)
{
    struct survey s = {.tree = tree};
    const GumboNode *node = tree->root;
    size_t depth = 0;

    while (node) {
        const GumboNode *next = html_next(node, true);
        const GumboNode *up = node;

        if (html_is_element(node) && enter_element(&s, html_tag(node)) != RAG_OK)
            return rag_fail(reterr, RAG_ENOMEM, "document: out of memory in the HTML reader");
        if (next && next->parent == node) {
            if (++depth > HTML_DEPTH_MAX)
                return rag_fail(reterr, RAG_ELIMIT,
                                "document: HTML elements nested deeper than the limit of %d",
                                HTML_DEPTH_MAX);
        } else {
            for (;; depth--) { /* leave what ends here */
                s.n_open -= html_tag(up) == GUMBO_TAG_TABLE;
                if (!next || up->parent == next->parent)
                    break;
                up = up->parent;
            }
        }
        node = next;
    }
    return RAG_OK;
}

/* ---- parsing ---- */

/* Returns false when an allocation left by longjmp. Nothing of ours is changed between
 * setjmp and longjmp but what is behind m. */
static bool run_gumbo(struct html_memory *m, const char *s, size_t n_bytes, struct html_tree *tree)
{
    GumboOptions options = kGumboDefaultOptions;
    GumboOutput *output;

    options.allocator = allocate;
    options.deallocator = deallocate;
    options.userdata = m;
    options.max_errors = 0;
    if (setjmp(m->out) != 0)
        return false;
    output = gumbo_parse_with_options(&options, s, n_bytes);
    tree->root = output->document;
    return true;
}

enum rag_status html_tree_parse(const char *s, size_t n_bytes, struct html_tree *ret,
                                struct rag_error *reterr)
{
    const int64_t cpu_ms =
        HTML_CPU_MS_BASE + (int64_t)(n_bytes >> 20) * (int64_t)HTML_CPU_MS_PER_MIB;
    struct html_tree tree = {0};
    enum rag_status status;

    tree.memory = calloc(1, sizeof *tree.memory);
    if (!tree.memory)
        return rag_fail(reterr, RAG_ENOMEM, "document: out of memory in the HTML reader");
    arena_init(&tree.memory->arena, HTML_TREE_BYTES_MAX);
    tree.memory->n_until_clock = CLOCK_EVERY;
    tree.memory->cpu_end_ms = thread_cpu_ms() + cpu_ms;
    if (run_gumbo(tree.memory, s, n_bytes, &tree)) {
        status = survey_tree(&tree, reterr);
    } else if (tree.memory->why == RAG_ETIMEOUT) {
        status = rag_fail(reterr, RAG_ELIMIT,
                          "document: reading %zu bytes of HTML takes over %lld ms; are its "
                          "elements closed?",
                          n_bytes, (long long)cpu_ms);
    } else {
        status = rag_fail(reterr, tree.memory->why,
                          "document: the tree of %zu bytes of HTML needs over %u bytes; split the "
                          "file",
                          n_bytes, HTML_TREE_BYTES_MAX);
    }
    if (status != RAG_OK) {
        html_tree_release(&tree);
        return status;
    }
    *ret = tree;
    return RAG_OK;
}

void html_tree_release(struct html_tree *tree)
{
    if (tree->memory)
        arena_release(&tree->memory->arena);
    free(tree->memory);
    free(tree->tables);
    memset(tree, 0, sizeof *tree);
}
