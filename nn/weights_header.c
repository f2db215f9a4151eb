/* The header of one safetensors file, believed only after every number in it was checked:
 *   1. 8 <= 8 + header length <= file size, the header is one JSON object;
 *   2. each tensor: known dtype, product of the shape times its width does not overflow and equals
 *      end - begin, which lies inside the data;
 *   3. sorted by begin, the tensors cover the data without a gap or an overlap.
 * The JSON is parsed from a copy: the file could be written over between two looks at a byte. */
#define _GNU_SOURCE
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "nn/weights_internal.h"

#define PREFIX_BYTES 8

struct dtype {
    const char *name;
    size_t n_bytes; /* of one element */
    int type;       /* enum tensor_type, or NOT_READ: validated and left out */
};

#define NOT_READ (-1)

static const struct dtype dtypes[] = {
    {"F32",     4, TENSOR_F32 },
    {"F16",     2, TENSOR_F16 },
    {"BF16",    2, TENSOR_BF16},
    {"F64",     8, NOT_READ   },
    {"I64",     8, NOT_READ   },
    {"I32",     4, NOT_READ   },
    {"I16",     2, NOT_READ   },
    {"I8",      1, TENSOR_I8  }, /* in packed files alone */
    {"U64",     8, NOT_READ   },
    {"U32",     4, NOT_READ   },
    {"U16",     2, NOT_READ   },
    {"U8",      1, NOT_READ   },
    {"BOOL",    1, NOT_READ   },
    {"F8_E4M3", 1, NOT_READ   },
    {"F8_E5M2", 1, NOT_READ   },
};

struct span {
    uint64_t begin; /* of the data */
    uint64_t end;
    const char *name; /* of the JSON document */
};

void tensor_list_release(struct tensor_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free((char *)(uintptr_t)list->items[i].name);
    for (size_t i = 0; i < list->n_unread; i++)
        free(list->unread[i].name);
    free(list->items);
    free(list->unread);
    memset(list, 0, sizeof *list);
}

/* A whole number that a double holds exactly. */
static bool whole(const struct json *node, uint64_t *ret)
{
    double v = json_number(node);

    if (!(v >= 0 && v <= 9007199254740992.0) || v != floor(v))
        return false;
    *ret = (uint64_t)v;
    return true;
}

static enum rag_status read_dtype(const char *path, const struct json *node,
                                  const struct dtype **ret, struct rag_error *reterr)
{
    const char *name = json_string(json_member(node, "dtype"));

    for (size_t i = 0; name && i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *ret = &dtypes[i];
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "weights '%s': tensor '%s': dtype '%.32s' is not known (F32, F16 and BF16 are "
                    "read)",
                    path, json_key(node), name ? name : "(none)");
}

/* The elements of a shape: dimensions of a tensor that is left out are only multiplied. */
static enum rag_status read_shape(const char *path, const struct json *node, bool is_read,
                                  struct tensor *t, struct rag_error *reterr)
{
    const struct json *shape = json_member(node, "shape");
    uint64_t n_elements = 1;
    size_t n_dims = 0;

    if (!json_is_array(shape))
        return rag_fail(reterr, RAG_EFORMAT, "weights '%s': tensor '%s': shape is not an array",
                        path, json_key(node));
    for (const struct json *d = json_first(shape); d; d = json_next(d), n_dims++) {
        uint64_t dim;

        if (!whole(d, &dim))
            return rag_fail(reterr, RAG_EFORMAT,
                            "weights '%s': tensor '%s': dimension %zu is not a whole number", path,
                            json_key(node), n_dims);
        if (__builtin_mul_overflow(n_elements, dim, &n_elements) || dim > SIZE_MAX)
            return rag_fail(reterr, RAG_EFORMAT,
                            "weights '%s': tensor '%s': the shape's product is more than 2^64",
                            path, json_key(node));
        if (n_dims < WEIGHTS_DIMS_MAX)
            t->shape[n_dims] = (size_t)dim;
        else if (is_read)
            return rag_fail(reterr, RAG_EFORMAT,
                            "weights '%s': tensor '%s': %zu dimensions, the limit is %d", path,
                            json_key(node), json_size(shape), WEIGHTS_DIMS_MAX);
    }
    t->n_dims = n_dims;
    t->n_elements = (size_t)n_elements;
    return RAG_OK;
}

/* Where the tensor lies, which its dtype and shape must explain to the byte. */
static enum rag_status read_span(const char *path, const struct json *node, uint64_t n_elements,
                                 size_t width, uint64_t n_data, struct span *ret,
                                 struct rag_error *reterr)
{
    const struct json *offsets = json_member(node, "data_offsets");
    const struct json *first = json_first(offsets);
    uint64_t n_bytes;

    if (!json_is_array(offsets) || json_size(offsets) != 2 || !whole(first, &ret->begin) ||
        !whole(json_next(first), &ret->end))
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': tensor '%s': data_offsets is not [begin, end]", path,
                        json_key(node));
    if (ret->begin > ret->end || ret->end > n_data)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': tensor '%s': data_offsets [%llu, %llu] in a file with %llu "
                        "bytes of data (was the download cut?)",
                        path, json_key(node), (unsigned long long)ret->begin,
                        (unsigned long long)ret->end, (unsigned long long)n_data);
    if (__builtin_mul_overflow(n_elements, (uint64_t)width, &n_bytes) ||
        n_bytes != ret->end - ret->begin)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': tensor '%s': data_offsets hold %llu bytes, dtype and shape "
                        "need %llu x %zu",
                        path, json_key(node), (unsigned long long)(ret->end - ret->begin),
                        (unsigned long long)n_elements, width);
    ret->name = json_key(node);
    return RAG_OK;
}

static enum rag_status append(struct tensor_list *list, const struct tensor *t, const char *path,
                              struct rag_error *reterr)
{
    struct tensor copy = *t;

    if (list->n >= WEIGHTS_TENSORS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "weights '%s': more than %d tensors", path,
                        WEIGHTS_TENSORS_MAX);
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 256;
        struct tensor *grown = reallocarray(list->items, cap, sizeof *grown);

        if (!grown)
            return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
        list->items = grown;
        list->cap = cap;
    }
    copy.name = strdup(t->name);
    if (!copy.name)
        return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
    list->items[list->n++] = copy;
    return RAG_OK;
}

/* Remembered by its name, so that whoever needs it learns why it is missing. */
static enum rag_status append_unread(struct tensor_list *list, const char *name, const char *dtype,
                                     const char *path, struct rag_error *reterr)
{
    char *copy;

    if (list->n_unread >= WEIGHTS_TENSORS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "weights '%s': more than %d tensors", path,
                        WEIGHTS_TENSORS_MAX);
    if (list->n_unread == list->cap_unread) {
        size_t cap = list->cap_unread ? 2 * list->cap_unread : 16;
        struct unread_tensor *grown = reallocarray(list->unread, cap, sizeof *grown);

        if (!grown)
            return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
        list->unread = grown;
        list->cap_unread = cap;
    }
    copy = strdup(name);
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
    list->unread[list->n_unread++] = (struct unread_tensor){copy, dtype};
    return RAG_OK;
}

static enum rag_status read_tensor(const char *path, const struct json *node, const uint8_t *data,
                                   uint64_t n_data, struct span *ret_span, struct tensor_list *list,
                                   struct rag_error *reterr)
{
    const struct dtype *dtype = NULL;
    struct tensor t = {.name = json_key(node)};
    size_t n_name = strlen(t.name);
    enum rag_status status;
    bool is_read;

    if (n_name == 0 || n_name > WEIGHTS_NAME_BYTES_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': tensor '%.64s': a name of %zu bytes, allowed are 1 to %d",
                        path, t.name, n_name, WEIGHTS_NAME_BYTES_MAX);
    if (!json_is_object(node))
        return rag_fail(reterr, RAG_EFORMAT, "weights '%s': tensor '%s': not an object", path,
                        t.name);
    status = read_dtype(path, node, &dtype, reterr);
    if (status != RAG_OK)
        return status;
    is_read = dtype->type != NOT_READ && (dtype->type != TENSOR_I8 || list->packed);
    status = read_shape(path, node, is_read, &t, reterr);
    if (status == RAG_OK)
        status = read_span(path, node, t.n_elements, dtype->n_bytes, n_data, ret_span, reterr);
    if (status != RAG_OK)
        return status;
    if (!is_read)
        return append_unread(list, t.name, dtype->name, path, reterr);
    t.type = (enum tensor_type)dtype->type;
    t.data = data + ret_span->begin;
    return append(list, &t, path, reterr);
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static enum rag_status check_cover(const char *path, struct span *spans, size_t n, uint64_t n_data,
                                   struct rag_error *reterr)
{
    uint64_t at = 0;

    qsort(spans, n, sizeof *spans, compare_spans);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != at)
            return rag_fail(reterr, RAG_EFORMAT,
                            "weights '%s': tensor '%s' begins at byte %llu of the data, %s byte "
                            "%llu",
                            path, spans[i].name, (unsigned long long)spans[i].begin,
                            spans[i].begin < at ? "inside the one that ends at"
                                                : "but the one before it ends at",
                            (unsigned long long)at);
        at = spans[i].end;
    }
    if (at != n_data)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': the tensors end at byte %llu of %llu bytes of data", path,
                        (unsigned long long)at, (unsigned long long)n_data);
    return RAG_OK;
}

/* Is it a packed file, and of the version that is read here? */
static enum rag_status read_metadata(const char *path, const struct json *root,
                                     struct tensor_list *list, struct rag_error *reterr)
{
    const struct json *mark = json_member(json_member(root, "__metadata__"), WEIGHTS_PACKED_KEY);
    const char *version = json_string(mark);

    if (!mark)
        return RAG_OK;
    if (!version || strcmp(version, WEIGHTS_PACKED_VERSION) != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': __metadata__: '" WEIGHTS_PACKED_KEY
                        "' is '%.32s', expected '" WEIGHTS_PACKED_VERSION
                        "': pack the model again with this ragctl, or use a newer ragd",
                        path, version ? version : "(no text)");
    list->packed = true;
    return RAG_OK;
}

static enum rag_status read_tensors(const char *path, const struct json *root, const uint8_t *data,
                                    uint64_t n_data, struct tensor_list *list,
                                    struct rag_error *reterr)
{
    size_t n = json_size(root);
    struct span *spans = NULL;
    enum rag_status status = RAG_OK;
    size_t n_spans = 0;

    if (!json_is_object(root))
        return rag_fail(reterr, RAG_EFORMAT, "weights '%s': the header is not a JSON object", path);
    if (n > WEIGHTS_TENSORS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "weights '%s': %zu tensors, the limit is %d", path, n,
                        WEIGHTS_TENSORS_MAX);
    status = read_metadata(path, root, list, reterr);
    if (status != RAG_OK)
        return status;
    spans = calloc(n ? n : 1, sizeof *spans);
    if (!spans)
        return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
    for (const struct json *m = json_first(root); m && status == RAG_OK; m = json_next(m)) {
        if (strcmp(json_key(m), "__metadata__") != 0)
            status = read_tensor(path, m, data, n_data, &spans[n_spans++], list, reterr);
    }
    if (status == RAG_OK)
        status = check_cover(path, spans, n_spans, n_data, reterr);
    free(spans);
    return status;
}

enum rag_status weights_read_header(const char *path, const uint8_t *data, size_t n,
                                    struct tensor_list *list, struct rag_error *reterr)
{
    static const char lfs[] = "version https://git-lfs"; /* what a clone without LFS leaves */
    struct json *root = NULL;
    struct rag_error why;
    uint64_t n_header = 0;
    enum rag_status status;
    char *copy;

    if (n < PREFIX_BYTES)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': %zu bytes, shorter than a safetensors file's first 8", path,
                        n);
    if (n >= sizeof lfs - 1 && memcmp(data, lfs, sizeof lfs - 1) == 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "weights '%s': only the pointer of a file that Git LFS keeps elsewhere; "
                        "fetch the file itself ('git lfs pull', or ragctl model pull)",
                        path);
    for (int i = PREFIX_BYTES - 1; i >= 0; i--)
        n_header = n_header << 8 | data[i];
    if (n_header > n - PREFIX_BYTES)
        return rag_fail(
            reterr, RAG_EFORMAT,
            "weights '%s': a header of %llu bytes in a file of %zu (not safetensors, or "
            "cut)",
            path, (unsigned long long)n_header, n);
    if (n_header > WEIGHTS_HEADER_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "weights '%s': a header of %llu bytes, the limit is %u",
                        path, (unsigned long long)n_header, WEIGHTS_HEADER_BYTES_MAX);
    copy = malloc((size_t)n_header + 1);
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "weights '%s': out of memory", path);
    memcpy(copy, data + PREFIX_BYTES, (size_t)n_header);
    status = json_parse(copy, (size_t)n_header, "header", &root, &why);
    free(copy);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "weights '%s': %s", path, why.text);
    status = read_tensors(path, root, data + PREFIX_BYTES + n_header,
                          (uint64_t)n - PREFIX_BYTES - n_header, list, reterr);
    json_free(root);
    return status;
}
