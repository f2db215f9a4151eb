/* The tensors of a GGUF file, believed only after every number was checked:
 *   1. 1 to 4 dimensions above 0, whose product and whose bytes do not overflow; rows are whole
 *      blocks of a known type;
 *   2. the data begins at the first multiple of the alignment behind the header and inside the
 *      file; each tensor begins at a multiple of it and ends inside the file;
 *   3. sorted by where they begin, none overlaps the next; sorted by name, none occurs twice.
 * Gaps are allowed (padding is one). */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/gguf_internal.h"

#define ALIGNMENT_DEFAULT 32
#define DIMS_MAX          4

/* The numbers that ggml gives its types (enum ggml_type of ggml.h), by name where we read none. */
static const struct {
    const char *name;
    int type; /* enum block_type, or NOT_READ */
} ggml_types[] = {
    [0] = {"F32",     BLOCK_F32    },
    [1] = {"F16",     BLOCK_F16    },
    [2] = {"Q4_0",    BLOCK_Q4_0   },
    [3] = {"Q4_1",    BLOCK_Q4_1   },
    [6] = {"Q5_0",    BLOCK_Q5_0   },
    [7] = {"Q5_1",    BLOCK_Q5_1   },
    [8] = {"Q8_0",    BLOCK_Q8_0   },
    [9] = {"Q8_1",    -1           },
    [10] = {"Q2_K",    BLOCK_Q2_K   },
    [11] = {"Q3_K",    BLOCK_Q3_K   },
    [12] = {"Q4_K",    BLOCK_Q4_K   },
    [13] = {"Q5_K",    BLOCK_Q5_K   },
    [14] = {"Q6_K",    BLOCK_Q6_K   },
    [15] = {"Q8_K",    -1           },
    [16] = {"IQ2_XXS", BLOCK_IQ2_XXS},
    [17] = {"IQ2_XS",  -1           },
    [18] = {"IQ3_XXS", -1           },
    [19] = {"IQ1_S",   -1           },
    [20] = {"IQ4_NL",  BLOCK_IQ4_NL },
    [21] = {"IQ3_S",   -1           },
    [22] = {"IQ2_S",   -1           },
    [23] = {"IQ4_XS",  BLOCK_IQ4_XS },
    [24] = {"I8",      -1           },
    [25] = {"I16",     -1           },
    [26] = {"I32",     -1           },
    [27] = {"I64",     -1           },
    [28] = {"F64",     -1           },
    [29] = {"IQ1_M",   -1           },
    [30] = {"BF16",    BLOCK_BF16   },
    [34] = {"TQ1_0",   -1           },
    [35] = {"TQ2_0",   -1           },
    [39] = {"MXFP4",   -1           },
};

struct span {
    uint64_t begin; /* of the data */
    uint64_t end;
    const char *name;
};

static enum rag_status read_type(struct gguf_cursor *c, const char *name, uint32_t number,
                                 enum block_type *ret, struct rag_error *reterr)
{
    const char *known = NULL;

    if (number < sizeof ggml_types / sizeof ggml_types[0])
        known = ggml_types[number].name;
    if (!known)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': tensor '%s': type %u is not known",
                        c->path, name, number);
    if (ggml_types[number].type < 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': type %s is not supported (F32, F16, BF16, Q4_0 to "
                        "Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS and IQ2_XXS are)",
                        c->path, name, known);
    *ret = (enum block_type)ggml_types[number].type;
    return RAG_OK;
}

static enum rag_status read_dims(struct gguf_cursor *c, struct gguf_tensor *t,
                                 struct rag_error *reterr)
{
    uint64_t n_rows = 1;
    uint32_t n_dims;
    uint64_t dim;

    if (!gguf_take_u32(c, &n_dims))
        goto cut;
    if (n_dims == 0 || n_dims > DIMS_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': %u dimensions, allowed are 1 to %d", c->path,
                        t->name, n_dims, DIMS_MAX);
    for (uint32_t i = 0; i < n_dims; i++) {
        if (!gguf_take_u64(c, &dim))
            goto cut;
        if (dim == 0 || dim > SIZE_MAX)
            return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': tensor '%s': dimension %u is %llu",
                            c->path, t->name, i, (unsigned long long)dim);
        if (i == 0)
            t->n_cols = (size_t)dim;
        else if (__builtin_mul_overflow(n_rows, dim, &n_rows) || n_rows > SIZE_MAX)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': tensor '%s': the shape's product is more than 2^64",
                            c->path, t->name);
    }
    t->n_dims = n_dims;
    t->n_rows = (size_t)n_rows;
    return RAG_OK;
cut:
    return rag_fail(reterr, RAG_EFORMAT,
                    "gguf '%s': tensor '%s': the file ends inside its description (was the "
                    "download cut?)",
                    c->path, t->name);
}

/* The size of a row and of all, which the dimensions and the type say. */
static enum rag_status measure(struct gguf_cursor *c, struct gguf_tensor *t, uint64_t *ret_bytes,
                               struct rag_error *reterr)
{
    size_t n_elements = block_elements(t->type);
    uint64_t row_bytes;
    uint64_t all;

    if (t->n_cols % n_elements != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': rows of %zu are no whole number of %s's blocks of "
                        "%zu",
                        c->path, t->name, t->n_cols, block_type_name(t->type), n_elements);
    if (__builtin_mul_overflow((uint64_t)(t->n_cols / n_elements), (uint64_t)block_bytes(t->type),
                               &row_bytes) ||
        __builtin_mul_overflow(row_bytes, (uint64_t)t->n_rows, &all) ||
        __builtin_mul_overflow((uint64_t)t->n_cols, (uint64_t)t->n_rows, &(uint64_t){0}))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': the shape's product is more than 2^64", c->path,
                        t->name);
    t->row_bytes = (size_t)row_bytes;
    *ret_bytes = all;
    return RAG_OK;
}

/* Leaves begin and end in 'ret', which are compared with the file when its data's start is known.
 * names: room for the name, moved on. */
static enum rag_status read_tensor(struct gguf_cursor *c, uint64_t i, size_t alignment,
                                   char **names, struct gguf_tensor *t, struct span *ret,
                                   struct rag_error *reterr)
{
    struct gguf_string name;
    enum rag_status status =
        gguf_take_string(c, "tensor", i, WEIGHTS_NAME_BYTES_MAX, &name, reterr);
    uint64_t n_bytes = 0;
    uint32_t type;

    if (status == RAG_OK)
        status = gguf_check_name(c, "tensor", i, &name, reterr);
    if (status != RAG_OK)
        return status;
    t->name = memcpy(*names, name.text, name.n_bytes);
    (*names)[name.n_bytes] = '\0';
    *names += name.n_bytes + 1;
    status = read_dims(c, t, reterr);
    if (status != RAG_OK)
        return status;
    if (!gguf_take_u32(c, &type) || !gguf_take_u64(c, &ret->begin))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': the file ends inside its description (was the "
                        "download cut?)",
                        c->path, t->name);
    status = read_type(c, t->name, type, &t->type, reterr);
    if (status == RAG_OK)
        status = measure(c, t, &n_bytes, reterr);
    if (status != RAG_OK)
        return status;
    if (ret->begin % alignment != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': begins at byte %llu of the data, no multiple of "
                        "the alignment %zu",
                        c->path, t->name, (unsigned long long)ret->begin, alignment);
    if (__builtin_add_overflow(ret->begin, n_bytes, &ret->end))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor '%s': begins at byte %llu of the data and has %llu "
                        "bytes: more than 2^64",
                        c->path, t->name, (unsigned long long)ret->begin,
                        (unsigned long long)n_bytes);
    ret->name = t->name;
    return RAG_OK;
}

static enum rag_status read_alignment(const struct gguf *g, size_t *ret, struct rag_error *reterr)
{
    uint64_t alignment = ALIGNMENT_DEFAULT;
    enum rag_status status = RAG_OK;

    if (gguf_has(g, "general.alignment"))
        status = gguf_get_uint(g, "general.alignment", &alignment, reterr);
    if (status != RAG_OK)
        return status;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > GGUF_ALIGNMENT_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key 'general.alignment': %llu, expected a power of two up to "
                        "%u",
                        g->path, (unsigned long long)alignment, GGUF_ALIGNMENT_MAX);
    *ret = (size_t)alignment;
    return RAG_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static enum rag_status check_spans(const struct gguf *g, struct span *spans, size_t n,
                                   uint64_t n_data, struct rag_error *reterr)
{
    qsort(spans, n, sizeof *spans, compare_spans);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].end > n_data)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': tensor '%s': bytes %llu to %llu in a file with %llu bytes "
                            "of data (was the download cut?)",
                            g->path, spans[i].name, (unsigned long long)spans[i].begin,
                            (unsigned long long)spans[i].end, (unsigned long long)n_data);
        if (i > 0 && spans[i].begin < spans[i - 1].end)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': tensor '%s' begins at byte %llu of the data, inside '%s', "
                            "which ends at %llu",
                            g->path, spans[i].name, (unsigned long long)spans[i].begin,
                            spans[i - 1].name, (unsigned long long)spans[i - 1].end);
    }
    return RAG_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct gguf_tensor *x = a;
    const struct gguf_tensor *y = b;

    return strcmp(x->name, y->name);
}

static enum rag_status sort_tensors(struct gguf *g, struct rag_error *reterr)
{
    qsort(g->tensors, g->n_tensors, sizeof *g->tensors, compare_names);
    for (size_t i = 1; i < g->n_tensors; i++) {
        if (strcmp(g->tensors[i - 1].name, g->tensors[i].name) == 0)
            return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': tensor '%s' occurs twice", g->path,
                            g->tensors[i].name);
    }
    return RAG_OK;
}

/* Where the data begins, and each tensor in it. A file without tensors (a vocabulary) needs none.
 */
static enum rag_status place_data(const struct gguf_cursor *c, size_t alignment, struct gguf *g,
                                  struct span *spans, struct rag_error *reterr)
{
    uint64_t start = ((uint64_t)c->at + alignment - 1) & ~((uint64_t)alignment - 1);
    enum rag_status status;

    if (g->n_tensors == 0)
        return RAG_OK;
    if (start > c->n)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': the data would begin at byte %llu of %zu (was the download "
                        "cut?)",
                        g->path, (unsigned long long)start, c->n);
    for (size_t i = 0; i < g->n_tensors; i++) /* not read before check_spans() agrees */
        g->tensors[i].data = spans[i].end <= c->n - start ? c->data + start + spans[i].begin : NULL;
    status = check_spans(g, spans, g->n_tensors, c->n - start, reterr);
    return status == RAG_OK ? sort_tensors(g, reterr) : status;
}

enum rag_status gguf_read_tensors(struct gguf_cursor *c, uint64_t n, struct gguf *g,
                                  struct rag_error *reterr)
{
    size_t names_bytes = (size_t)n * (WEIGHTS_NAME_BYTES_MAX + 1);
    struct span *spans = NULL;
    size_t alignment = 0;
    char *at;
    enum rag_status status = read_alignment(g, &alignment, reterr);

    if (status != RAG_OK)
        return status;
    if (names_bytes > c->n) /* the names are in the file, each with more than a zero byte around */
        names_bytes = c->n;
    g->names = malloc(names_bytes ? names_bytes : 1);
    g->tensors = calloc(n ? (size_t)n : 1, sizeof *g->tensors);
    spans = calloc(n ? (size_t)n : 1, sizeof *spans);
    if (!g->names || !g->tensors || !spans) {
        status = rag_fail(reterr, RAG_ENOMEM, "gguf '%s': out of memory", g->path);
        goto out;
    }
    at = g->names;
    for (; g->n_tensors < n && status == RAG_OK; g->n_tensors++)
        status = read_tensor(c, g->n_tensors, alignment, &at, &g->tensors[g->n_tensors],
                             &spans[g->n_tensors], reterr);
    if (status == RAG_OK)
        status = place_data(c, alignment, g, spans, reterr);
out:
    free(spans);
    return status;
}
