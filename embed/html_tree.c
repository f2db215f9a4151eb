#define _GNU_SOURCE
#include "embed/html_tree.h"

#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"

/* ---- memory ---- */

/* Allocations between two looks at the clock. */
#define CLOCK_EVERY 1024u
#define SLAB_BYTES  (1u << 20)
/* Sizes: multiples of 16 to 512 bytes, then powers of two. */
#define SMALL_STEP  16u
#define N_SMALL     32u
#define SMALL_MAX   (SMALL_STEP * N_SMALL)
#define N_BINS      (N_SMALL + 24u) /* the last one is 2^33 bytes, past the limit */
#define BIN_LAST    (N_BINS - 1)

struct slab {
    struct slab *next;
    size_t size;
    uint64_t data[];
};

/* Before each allocation: the index of its size while in use, the next free one
 * afterwards. Gumbo's nodes need the alignment of a pointer, no more. For the address
 * sanitizer only the bytes that were asked for are there. */
union cell {
    uint64_t bin;
    union cell *next;
};

struct html_memory {
    struct slab *slabs; /* newest first; the first one is being filled */
    size_t used;        /* bytes of it */
    size_t n_bytes;     /* of all slabs, at most HTML_TREE_BYTES_MAX */
    union cell *free_cells[N_BINS];
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

static size_t bin_of(size_t n, size_t *ret_size)
{
    size_t bin = N_SMALL;
    size_t size = SMALL_MAX;

    if (n <= SMALL_MAX) {
        bin = n == 0 ? 0 : (n - 1) / SMALL_STEP;
        *ret_size = (bin + 1) * SMALL_STEP;
        return bin;
    }
    for (; size < n && bin < BIN_LAST; bin++)
        size *= 2;
    *ret_size = size;
    return bin;
}

/* Bytes of a cell of that size, with what is before them. */
static inline size_t bin_bytes(uint64_t bin)
{
    return sizeof(union cell) +
           (bin < N_SMALL ? (size_t)(bin + 1) * SMALL_STEP : SMALL_MAX << (bin - N_SMALL));
}

/* A new slab with room for 'size' bytes. Does not return when there is none. */
static void add_slab(struct html_memory *m, size_t size)
{
    struct slab *slab = NULL;

    if (size < SLAB_BYTES)
        size = SLAB_BYTES;
    m->why = RAG_ELIMIT;
    if (size <= HTML_TREE_BYTES_MAX - m->n_bytes) {
        slab = malloc(sizeof *slab + size);
        m->why = RAG_ENOMEM;
    }
    if (!slab)
        longjmp(m->out, 1);
    ASAN_POISON_MEMORY_REGION(slab->data, size);
    slab->size = size;
    slab->next = m->slabs;
    m->slabs = slab;
    m->used = 0;
    m->n_bytes += size;
}

static void *allocate(void *userdata, size_t n)
{
    struct html_memory *m = userdata;
    union cell *cell;
    size_t size;
    size_t bin;

    if (--m->n_until_clock == 0) {
        m->n_until_clock = CLOCK_EVERY;
        if (thread_cpu_ms() > m->cpu_end_ms) {
            m->why = RAG_ETIMEOUT;
            longjmp(m->out, 1);
        }
    }
    if (n > HTML_TREE_BYTES_MAX) {
        m->why = RAG_ELIMIT;
        longjmp(m->out, 1);
    }
    bin = bin_of(n, &size);
    cell = m->free_cells[bin];
    if (cell) {
        ASAN_UNPOISON_MEMORY_REGION(cell, sizeof *cell);
        m->free_cells[bin] = cell->next;
    } else {
        size += sizeof *cell;
        if (!m->slabs || size > m->slabs->size - m->used)
            add_slab(m, size);
        cell = (union cell *)(void *)((unsigned char *)m->slabs->data + m->used);
        m->used += size;
        ASAN_UNPOISON_MEMORY_REGION(cell, sizeof *cell);
    }
    cell->bin = bin;
    ASAN_POISON_MEMORY_REGION(cell, sizeof *cell);
    ASAN_UNPOISON_MEMORY_REGION(cell + 1, n);
    return cell + 1;
}

static void deallocate(void *userdata, void *p)
{
    struct html_memory *m = userdata;
    union cell *cell;
    uint64_t bin;

    if (!p)
        return;
    cell = (union cell *)p - 1;
    ASAN_UNPOISON_MEMORY_REGION(cell, sizeof *cell);
    bin = cell->bin;
    cell->next = m->free_cells[bin];
    m->free_cells[bin] = cell;
    ASAN_POISON_MEMORY_REGION(cell, bin_bytes(bin));
}

static void memory_free(struct html_memory *m)
{
    struct slab *slab = m ? m->slabs : NULL;

    while (slab) {
        struct slab *next = slab->next;

        ASAN_UNPOISON_MEMORY_REGION(slab->data, slab->size);
        free(slab);
        slab = next;
    }
    free(m);
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
    memory_free(tree->memory);
    free(tree->tables);
    memset(tree, 0, sizeof *tree);
}
