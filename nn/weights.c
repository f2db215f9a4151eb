#define _GNU_SOURCE
#include "nn/weights.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/f16.h"
#include "base/json.h"
#include "nn/mapped_file.h"
#include "nn/weights_internal.h"

#define SUFFIX      ".safetensors"
#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE  "model.safetensors.index.json"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they are stored");

struct weights {
    char *dir; /* owned */
    struct mapped_file *files[WEIGHTS_SHARDS_MAX];
    size_t n_files;
    struct tensor_list tensors; /* by name, ascending, no name twice */
};

/* ---- which files ---- */

static enum rag_status join(const char *dir, const char *name, char *ret, size_t size,
                            struct rag_error *reterr)
{
    int n = snprintf(ret, size, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= size)
        return rag_fail(reterr, RAG_ELIMIT, "model '%.128s': the path of '%.64s' is over %zu bytes",
                        dir, name, size - 1);
    return RAG_OK;
}

static enum rag_status add_file(struct weights *w, const char *name, struct rag_error *reterr)
{
    char path[MODEL_PATH_BYTES_MAX];
    struct mapped_file *f = NULL;
    enum rag_status status = join(w->dir, name, path, sizeof path, reterr);

    if (status == RAG_OK && w->n_files == WEIGHTS_SHARDS_MAX)
        status = rag_fail(reterr, RAG_ELIMIT, "model '%s': more than %d weight files", w->dir,
                          WEIGHTS_SHARDS_MAX);
    if (status == RAG_OK)
        status = mapped_file_open(path, &f, reterr);
    if (status != RAG_OK)
        return status;
    w->files[w->n_files++] = f; /* ownership to w */
    status =
        weights_read_header(path, mapped_file_data(f), mapped_file_size(f), &w->tensors, reterr);
    if (status == RAG_OK && !mapped_file_intact(f))
        status = rag_fail(reterr, RAG_EIO, "file '%s': changed while it was read", path);
    return status;
}

static bool has_suffix(const char *name)
{
    size_t n = strlen(name);

    return n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum rag_status too_many(const char *dir, char **names, size_t n, struct rag_error *reterr)
{
    struct buf list;
    enum rag_status status;

    buf_init(&list, 256);
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    status = rag_fail(reterr, RAG_EFORMAT,
                      "model '%s': %zu *.safetensors files and none is " SINGLE_FILE
                      ": %s; keep one, or name it so",
                      dir, n, buf_str(&list));
    buf_release(&list);
    return status;
}

/* The *.safetensors of the directory; *ret_name is malloc'ed. */
static enum rag_status only_candidate(const char *dir, char **ret_name, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char *names[WEIGHTS_SHARDS_MAX];
    size_t n_looked = 0;
    size_t n = 0;
    struct dirent *entry;
    DIR *d = opendir(dir);

    if (!d)
        return rag_fail_errno(reterr, errno == ENOENT || errno == ENOTDIR ? RAG_ENOTFOUND : RAG_EIO,
                              errno, "model '%s'", dir);
    while (n < WEIGHTS_SHARDS_MAX && n_looked++ < MODEL_DIR_ENTRIES_MAX &&
           (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.' || !has_suffix(entry->d_name))
            continue;
        names[n] = strdup(entry->d_name);
        if (!names[n]) {
            status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
            goto out;
        }
        n++;
    }
    if (n == 0) {
        status = rag_fail(reterr, RAG_ENOTFOUND,
                          "model '%s': no *.safetensors file (pytorch_model.bin and ONNX files are "
                          "not read: save the model with safe_serialization)",
                          dir);
    } else if (n > 1) {
        status = too_many(dir, names, n, reterr);
    } else {
        *ret_name = names[--n]; /* ownership to the caller */
    }
out:
    while (n > 0)
        free(names[--n]);
    closedir(d);
    return status;
}

/* ---- the index of shards ---- */

/* A shard is a file beside the index: no path may lead out of the model's directory. */
static bool shard_name_ok(const char *name)
{
    return name && name[0] != '.' && !strchr(name, '/') && has_suffix(name) &&
           strlen(name) <= NAME_MAX;
}

static enum rag_status add_shard_once(struct weights *w, const char **names, const char *name,
                                      struct rag_error *reterr)
{
    for (size_t i = 0; i < w->n_files; i++) {
        if (strcmp(names[i], name) == 0)
            return RAG_OK;
    }
    if (w->n_files < WEIGHTS_SHARDS_MAX)
        names[w->n_files] = name;
    return add_file(w, name, reterr);
}

static enum rag_status add_shards(struct weights *w, const struct json *root,
                                  struct rag_error *reterr)
{
    const struct json *map = json_member(root, "weight_map");
    const char *names[WEIGHTS_SHARDS_MAX];
    enum rag_status status = RAG_OK;

    if (!json_is_object(map) || json_size(map) == 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': " INDEX_FILE ": 'weight_map' is no object with tensors",
                        w->dir);
    if (json_size(map) > WEIGHTS_TENSORS_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "model '%s': " INDEX_FILE ": %zu tensors, the limit is "
                        "%d",
                        w->dir, json_size(map), WEIGHTS_TENSORS_MAX);
    for (const struct json *m = json_first(map); m && status == RAG_OK; m = json_next(m)) {
        if (!shard_name_ok(json_string(m)))
            return rag_fail(reterr, RAG_EFORMAT,
                            "model '%s': " INDEX_FILE ": tensor '%.64s': '%.64s' is not the name "
                            "of a *.safetensors file",
                            w->dir, json_key(m), json_string(m) ? json_string(m) : "(no text)");
        status = add_shard_once(w, names, json_string(m), reterr);
    }
    return status;
}

static enum rag_status open_index(struct weights *w, const struct mapped_file *index,
                                  struct rag_error *reterr)
{
    struct json *root = NULL;
    struct rag_error why;
    enum rag_status status;
    char *copy;

    if (mapped_file_size(index) > WEIGHTS_INDEX_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': %zu bytes, the limit is %u",
                        mapped_file_path(index), mapped_file_size(index), WEIGHTS_INDEX_BYTES_MAX);
    copy = malloc(mapped_file_size(index));
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", w->dir);
    memcpy(copy, mapped_file_data(index), mapped_file_size(index)); /* as weights_header.c does */
    status = json_parse(copy, mapped_file_size(index), INDEX_FILE, &root, &why);
    free(copy);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "model '%s': %s", w->dir, why.text);
    status = add_shards(w, root, reterr);
    json_free(root);
    return status;
}

static enum rag_status open_files(struct weights *w, struct rag_error *reterr)
{
    struct mapped_file *index = NULL;
    char path[MODEL_PATH_BYTES_MAX];
    enum rag_status status = add_file(w, SINGLE_FILE, reterr);
    char *name = NULL;

    if (status != RAG_ENOTFOUND)
        return status;
    status = join(w->dir, INDEX_FILE, path, sizeof path, reterr);
    if (status == RAG_OK)
        status = mapped_file_open(path, &index, reterr);
    if (status == RAG_OK) {
        status = open_index(w, index, reterr);
        mapped_file_close(index);
        return status;
    }
    if (status != RAG_ENOTFOUND)
        return status;
    status = only_candidate(w->dir, &name, reterr);
    if (status == RAG_OK)
        status = add_file(w, name, reterr);
    free(name);
    return status;
}

/* ---- tensors ---- */

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static enum rag_status sort_tensors(struct weights *w, struct rag_error *reterr)
{
    struct tensor_list *list = &w->tensors;

    if (list->n == 0)
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': no tensor of type F32, F16 or BF16",
                        w->dir);
    qsort(list->items, list->n, sizeof *list->items, compare_tensors);
    for (size_t i = 1; i < list->n; i++) {
        if (strcmp(list->items[i - 1].name, list->items[i].name) == 0)
            return rag_fail(reterr, RAG_EFORMAT, "model '%s': tensor '%s': in two weight files",
                            w->dir, list->items[i].name);
    }
    return RAG_OK;
}

enum rag_status weights_open(const char *dir, struct weights **ret, struct rag_error *reterr)
{
    struct weights *w = calloc(1, sizeof *w);
    enum rag_status status = RAG_OK;

    if (!w)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    w->dir = strdup(dir);
    if (!w->dir)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    if (status == RAG_OK)
        status = open_files(w, reterr);
    if (status == RAG_OK)
        status = sort_tensors(w, reterr);
    if (status != RAG_OK) {
        weights_close(w);
        return status;
    }
    *ret = w;
    return RAG_OK;
}

void weights_close(struct weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_files; i++)
        mapped_file_close(w->files[i]);
    tensor_list_release(&w->tensors);
    free(w->dir);
    free(w);
}

const struct tensor *weights_find(const struct weights *w, const char *name)
{
    struct tensor key = {.name = name};

    return bsearch(&key, w->tensors.items, w->tensors.n, sizeof key, compare_tensors);
}

size_t weights_count(const struct weights *w)
{
    return w->tensors.n;
}

const struct tensor *weights_at(const struct weights *w, size_t i)
{
    assert(i < w->tensors.n);
    return &w->tensors.items[i];
}

static const char *shape_text(const size_t *shape, size_t n_dims, char *text, size_t size)
{
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n_dims && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%zu", i ? ", " : "", shape[i]);
    return text;
}

/* The type of a tensor that was left out because of it, or NULL. */
static const char *unread_type(const struct weights *w, const char *name)
{
    for (size_t i = 0; i < w->tensors.n_unread; i++) {
        if (strcmp(w->tensors.unread[i].name, name) == 0)
            return w->tensors.unread[i].dtype;
    }
    return NULL;
}

static const char *type_name(enum tensor_type type)
{
    static const char *const names[] = {
        [TENSOR_F32] = "F32", [TENSOR_F16] = "F16", [TENSOR_BF16] = "BF16", [TENSOR_I8] = "I8"};

    return names[type];
}

static enum rag_status need(const struct weights *w, const char *name, bool int8,
                            const size_t *shape, size_t n_dims, const struct tensor **ret,
                            struct rag_error *reterr)
{
    const struct tensor *t = weights_find(w, name);
    const char *type = t ? type_name(t->type) : unread_type(w, name);
    char found[96];
    char expected[96];

    if (type && (!t || (t->type == TENSOR_I8) != int8))
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': tensor '%s': dtype %s, expected %s",
                        w->dir, name, type, int8 ? "I8" : "F32, F16 or BF16");
    if (!t)
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': tensor '%s': missing, expected [%s]",
                        w->dir, name, shape_text(shape, n_dims, expected, sizeof expected));
    if (t->n_dims != n_dims || memcmp(t->shape, shape, n_dims * sizeof *shape) != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': tensor '%s': shape [%s], expected [%s] by config.json", w->dir,
                        name, shape_text(t->shape, t->n_dims, found, sizeof found),
                        shape_text(shape, n_dims, expected, sizeof expected));
    *ret = t;
    return RAG_OK;
}

enum rag_status weights_need(const struct weights *w, const char *name, const size_t *shape,
                             size_t n_dims, const struct tensor **ret, struct rag_error *reterr)
{
    return need(w, name, false, shape, n_dims, ret, reterr);
}

enum rag_status weights_need_int8(const struct weights *w, const char *name, const size_t *shape,
                                  size_t n_dims, const struct tensor **ret,
                                  struct rag_error *reterr)
{
    return need(w, name, true, shape, n_dims, ret, reterr);
}

bool weights_packed(const struct weights *w)
{
    return w->tensors.packed;
}

size_t tensor_type_bytes(enum tensor_type type)
{
    return type == TENSOR_F32 ? 4 : type == TENSOR_I8 ? 1 : 2;
}

static inline uint16_t read_u16(const uint8_t *p)
{
    uint16_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

void tensor_read_f32(const struct tensor *t, size_t first, size_t n, float *ret)
{
    const uint8_t *data = t->data;

    assert(first <= t->n_elements && n <= t->n_elements - first);
    if (t->type == TENSOR_F32) {
        memcpy(ret, data + 4 * first, 4 * n);
        return;
    }
    if (t->type == TENSOR_I8) {
        const int8_t *values = (const int8_t *)data + first;

        for (size_t i = 0; i < n; i++)
            ret[i] = values[i];
        return;
    }
    data += 2 * first;
    if (t->type == TENSOR_F16) {
        for (size_t i = 0; i < n; i++)
            ret[i] = f16_to_f32(read_u16(data + 2 * i));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)read_u16(data + 2 * i) << 16;

        memcpy(&ret[i], &bits, sizeof bits);
    }
}

void weights_forget(const struct weights *w, const struct tensor *t)
{
    const uint8_t *at = t->data;
    size_t n_bytes = t->n_elements * tensor_type_bytes(t->type);

    for (size_t i = 0; i < w->n_files; i++) {
        const uint8_t *data = mapped_file_data(w->files[i]);

        if (at >= data && at < data + mapped_file_size(w->files[i]))
            mapped_file_forget(w->files[i], (size_t)(at - data), n_bytes);
    }
}

enum rag_status weights_intact(const struct weights *w, struct rag_error *reterr)
{
    for (size_t i = 0; i < w->n_files; i++) {
        if (!mapped_file_intact(w->files[i]))
            return rag_fail(reterr, RAG_EIO,
                            "weights '%s': the file was cut or changed while in use; load the "
                            "model again",
                            mapped_file_path(w->files[i]));
    }
    return RAG_OK;
}

uint64_t weights_bytes(const struct weights *w)
{
    uint64_t n = 0;

    for (size_t i = 0; i < w->n_files; i++)
        n += mapped_file_size(w->files[i]);
    return n;
}

const char *weights_dir(const struct weights *w)
{
    return w->dir;
}
