/* The tensors are listed first, each with where its bytes come from; then they are sorted, so that
 * wide numbers lie at multiples of their width, the header is written, and the bytes of one after
 * another. What is not quantised is copied as it is. */
#define _GNU_SOURCE
#include "nn/encoder_pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/bounds.h"
#include "base/json_writer.h"
#include "nn/encoder_internal.h"
#include "nn/linear_packed.h"

#define PART_NAMES_MAX 3 /* tensors of a product that is kept: query, key and value */

enum source {
    SOURCE_TENSOR,        /* 'tensor' as it is */
    SOURCE_FLOATS,        /* 'floats' */
    SOURCE_LINEAR,        /* rows of 'linear' */
    SOURCE_LINEAR_SCALES, /* their scales */
    SOURCE_WORDS,         /* rows of the word embeddings */
    SOURCE_WORD_SCALES,
};

struct out_tensor {
    char *name; /* owned */
    enum tensor_type type;
    size_t n_dims;
    size_t shape[WEIGHTS_DIMS_MAX];
    enum source source;
    const struct tensor *tensor; /* borrowed from the encoder, as the next two */
    const float *floats;
    const struct linear *linear;
};

struct pack {
    const struct encoder *e;
    struct out_tensor *items; /* owned */
    size_t n;
    size_t cap;
    struct atomic_file file;
    struct buf header;
    int8_t *row;   /* [the widest], owned */
    float *floats; /* [the widest], owned */
};

static enum rag_status out_of_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "model pack: out of memory");
}

/* ---- which tensors ---- */

static enum rag_status add(struct pack *p, const char *name, const char *suffix,
                           const struct out_tensor *t, struct rag_error *reterr)
{
    struct out_tensor copy = *t;

    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        struct out_tensor *grown = reallocarray(p->items, cap, sizeof *grown);

        if (!grown)
            return out_of_memory(reterr);
        p->items = grown;
        p->cap = cap;
    }
    if (asprintf(&copy.name, "%s%s", name, suffix) < 0)
        return out_of_memory(reterr);
    p->items[p->n++] = copy;
    return RAG_OK;
}

/* NAME.weight, NAME.bias and what norms of old are called, those of them that there are. */
static enum rag_status add_copies(struct pack *p, const char *name, struct rag_error *reterr)
{
    static const char *const suffixes[] = {".weight", ".bias", ".gamma", ".beta"};
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && status == RAG_OK; i++) {
        char full[TENSOR_NAME_BYTES + 16];
        const struct tensor *t;
        struct out_tensor out = {.source = SOURCE_TENSOR};

        snprintf(full, sizeof full, "%s%s", name, suffixes[i]);
        t = weights_find(p->e->weights, full);
        if (!t)
            continue;
        out.type = t->type;
        out.n_dims = t->n_dims;
        memcpy(out.shape, t->shape, sizeof out.shape);
        out.tensor = t;
        status = add(p, name, suffixes[i], &out, reterr);
    }
    return status;
}

/* 'linear' or the word embeddings (NULL) as int8 with their scales. */
static enum rag_status add_int8(struct pack *p, const char *name, const struct linear *linear,
                                size_t n_rows, size_t n_cols, struct rag_error *reterr)
{
    struct out_tensor values = {
        .type = TENSOR_I8,
        .n_dims = 2,
        .shape = {n_rows, n_cols},
        .source = linear ? SOURCE_LINEAR : SOURCE_WORDS,
        .linear = linear,
    };
    struct out_tensor scales = {
        .type = TENSOR_F32,
        .n_dims = 1,
        .shape = {n_rows},
        .source = linear ? SOURCE_LINEAR_SCALES : SOURCE_WORD_SCALES,
        .linear = linear,
    };
    enum rag_status status = add(p, name, ".weight", &values, reterr);

    return status == RAG_OK ? add(p, name, PACKED_SCALE, &scales, reterr) : status;
}

static enum rag_status add_floats(struct pack *p, const char *name, const char *suffix,
                                  const float *floats, size_t n, struct rag_error *reterr)
{
    struct out_tensor t = {
        .type = TENSOR_F32, .n_dims = 1, .shape = {n}, .source = SOURCE_FLOATS, .floats = floats};

    return add(p, name, suffix, &t, reterr);
}

/* A product that stays in fp32: the tensors that it is made of. */
static enum rag_status add_kept(struct pack *p, size_t layer, enum layer_linear which,
                                struct rag_error *reterr)
{
    static const struct {
        enum layer_part parts[PART_NAMES_MAX];
        size_t n;
    } kept[LAYER_LINEARS] = {
        [LINEAR_QKV] = {{PART_QUERY, PART_KEY, PART_VALUE}, 3},
        [LINEAR_OUT] = {{PART_OUT},                         1},
        [LINEAR_UP] = {{PART_UP},                          1},
        [LINEAR_DOWN] = {{PART_DOWN},                        1},
    };
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < kept[which].n && status == RAG_OK; i++) {
        char name[TENSOR_NAME_BYTES];

        encoder_layer_name(p->e, layer, kept[which].parts[i], name);
        status = add_copies(p, name, reterr);
    }
    return status;
}

static enum rag_status add_layer(struct pack *p, size_t layer, struct rag_error *reterr)
{
    const struct encoder_layer *l = &p->e->layers[layer];
    char name[TENSOR_NAME_BYTES];
    enum rag_status status = RAG_OK;

    for (size_t k = 0; k < LAYER_LINEARS && status == RAG_OK; k++) {
        const struct linear *linear = l->linears[k];
        size_t n_out = linear_n_out(linear);
        size_t n_in = linear_n_in(linear);

        if (!linear_is_int8(linear)) {
            status = add_kept(p, layer, (enum layer_linear)k, reterr);
            continue;
        }
        encoder_product_name(p->e, layer, (enum layer_linear)k, name);
        status = add_int8(p, name, linear, n_out, n_in, reterr);
        if (status == RAG_OK)
            status = add_floats(p, name, ".bias", linear_bias(linear), n_out, reterr);
        if (status == RAG_OK)
            status = add_floats(p, name, PACKED_INPUT_SCALE, l->columns[k], n_in, reterr);
    }
    for (int part = PART_NORM_1; part <= PART_NORM_2 && status == RAG_OK; part++) {
        encoder_layer_name(p->e, layer, (enum layer_part)part, name);
        status = add_copies(p, name, reterr);
    }
    return status;
}

static enum rag_status add_all(struct pack *p, struct rag_error *reterr)
{
    static const char *const others[] = {"embeddings.position_embeddings",
                                         "embeddings.token_type_embeddings", "embeddings.LayerNorm",
                                         "embeddings_project"};
    const struct model_config *c = &p->e->config;
    struct head_names head;
    char name[TENSOR_NAME_BYTES];
    enum rag_status status;

    snprintf(name, sizeof name, "%sembeddings.word_embeddings", p->e->prefix);
    status = add_int8(p, name, NULL, c->vocab_size, c->embedding, reterr);
    for (size_t i = 0; i < sizeof others / sizeof others[0] && status == RAG_OK; i++) {
        snprintf(name, sizeof name, "%s%s", p->e->prefix, others[i]);
        status = add_copies(p, name, reterr);
    }
    for (size_t i = 0; i < c->n_layers && status == RAG_OK; i++)
        status = add_layer(p, i, reterr);
    if (status != RAG_OK || !p->e->head_dense)
        return status;
    encoder_head_names(p->e, &head);
    status = add_copies(p, head.dense, reterr);
    return status == RAG_OK ? add_copies(p, head.out, reterr) : status;
}

/* ---- the file ---- */

static int widest_first(const void *a, const void *b)
{
    const struct out_tensor *x = a;
    const struct out_tensor *y = b;
    size_t width_x = tensor_type_bytes(x->type);
    size_t width_y = tensor_type_bytes(y->type);

    if (width_x != width_y)
        return width_x > width_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static uint64_t tensor_bytes(const struct out_tensor *t)
{
    uint64_t n = tensor_type_bytes(t->type);

    for (size_t i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

/* The length and the header, padded with blanks to a multiple of 8. */
static enum rag_status write_header(struct pack *p, uint64_t *ret_data, struct rag_error *reterr)
{
    static const char *const types[] = {
        [TENSOR_F32] = "F32", [TENSOR_F16] = "F16", [TENSOR_BF16] = "BF16", [TENSOR_I8] = "I8"};
    struct json_writer w;
    uint64_t at = 0;
    uint64_t n_header;
    uint8_t length[8];
    enum rag_status status;

    json_writer_init(&w, &p->header);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "__metadata__");
    json_put_string(&w, WEIGHTS_PACKED_KEY, WEIGHTS_PACKED_VERSION);
    json_end_object(&w);
    for (size_t i = 0; i < p->n; i++) {
        const struct out_tensor *t = &p->items[i];

        json_begin_object(&w, t->name);
        json_put_string(&w, "dtype", types[t->type]);
        json_begin_array(&w, "shape");
        for (size_t d = 0; d < t->n_dims; d++)
            json_put_int(&w, NULL, (int64_t)t->shape[d]);
        json_end_array(&w);
        json_begin_array(&w, "data_offsets");
        json_put_int(&w, NULL, (int64_t)at);
        at += tensor_bytes(t);
        json_put_int(&w, NULL, (int64_t)at);
        json_end_array(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
    while (p->header.len % 8 != 0 && buf_status(&p->header) == RAG_OK)
        buf_append_char(&p->header, ' ');
    status = buf_status(&p->header);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "model pack: a header over %u bytes, or out of memory",
                        WEIGHTS_HEADER_BYTES_MAX);
    n_header = p->header.len;
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)(n_header >> (8 * i));
    status = atomic_file_write(&p->file, length, sizeof length, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(&p->file, buf_str(&p->header), n_header, reterr);
    *ret_data = at;
    return status;
}

/* A scale that stands in the file: rows of zeros have one too, so that a 0 is always damage. */
static float stored_scale(float scale)
{
    return scale > 0 ? scale : 1;
}

static enum rag_status quantize_word(struct pack *p, size_t id, float *ret_scale,
                                     struct rag_error *reterr)
{
    size_t n = p->e->config.embedding;

    tensor_read_f32(p->e->word, id * n, n, p->floats);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p->floats[i]))
            return rag_fail(reterr, RAG_ENUMERIC,
                            "model '%s': tensor '%s': element %zu is not a finite number",
                            weights_dir(p->e->weights), p->e->word->name, id * n + i);
    }
    *ret_scale = stored_scale(linear_quantize_row(p->floats, n, p->row));
    return RAG_OK;
}

/* What is not in memory as it is to be written: the rows, or the scales of them all. */
static enum rag_status write_rows(struct pack *p, const struct out_tensor *t,
                                  struct rag_error *reterr)
{
    bool scales = t->source == SOURCE_LINEAR_SCALES || t->source == SOURCE_WORD_SCALES;
    float *all = calloc(t->shape[0], sizeof *all);
    enum rag_status status = all ? RAG_OK : out_of_memory(reterr);

    for (size_t i = 0; i < t->shape[0] && status == RAG_OK; i++) {
        if (t->linear)
            all[i] = stored_scale(linear_int8_row(t->linear, i, p->row));
        else
            status = quantize_word(p, i, &all[i], reterr);
        if (status == RAG_OK && !scales)
            status = atomic_file_write(&p->file, p->row, t->shape[1], reterr);
    }
    if (status == RAG_OK && scales)
        status = atomic_file_write(&p->file, all, tensor_bytes(t), reterr);
    free(all);
    return status;
}

static enum rag_status write_tensor(struct pack *p, const struct out_tensor *t,
                                    struct rag_error *reterr)
{
    if (t->source == SOURCE_TENSOR)
        return atomic_file_write(&p->file, t->tensor->data, tensor_bytes(t), reterr);
    if (t->source == SOURCE_FLOATS)
        return atomic_file_write(&p->file, t->floats, tensor_bytes(t), reterr);
    return write_rows(p, t, reterr);
}

static enum rag_status write_file(struct pack *p, struct encoder_pack_info *info,
                                  struct rag_error *reterr)
{
    uint64_t n_data = 0;
    enum rag_status status;

    qsort(p->items, p->n, sizeof *p->items, widest_first);
    status = write_header(p, &n_data, reterr);
    for (size_t i = 0; i < p->n && status == RAG_OK; i++)
        status = write_tensor(p, &p->items[i], reterr);
    if (status == RAG_OK) /* pages that were missing were read as zeros */
        status = weights_intact(p->e->weights, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&p->file, reterr);
    info->n_bytes = 8 + p->header.len + n_data;
    return status;
}

static enum rag_status pack_open(struct pack *p, const struct encoder *e, const char *path,
                                 struct rag_error *reterr)
{
    const struct model_config *c = &e->config;
    size_t widest = c->intermediate > c->hidden ? c->intermediate : c->hidden;

    p->e = e;
    if (c->embedding > widest)
        widest = c->embedding;
    p->row = malloc(widest);
    p->floats = malloc(widest * sizeof *p->floats);
    if (!p->row || !p->floats)
        return out_of_memory(reterr);
    return atomic_file_open(&p->file, "packed model", path, 0666, reterr);
}

static void pack_release(struct pack *p)
{
    atomic_file_close(&p->file);
    buf_release(&p->header);
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].name);
    free(p->items);
    free(p->row);
    free(p->floats);
}

static enum rag_status pack_encoder(const struct encoder *e, const char *path,
                                    struct encoder_pack_info *info, struct rag_error *reterr)
{
    struct pack p = {0};
    enum rag_status status;

    buf_init(&p.header, WEIGHTS_HEADER_BYTES_MAX);
    status = pack_open(&p, e, path, reterr);
    if (status == RAG_OK)
        status = add_all(&p, reterr);
    if (status == RAG_OK)
        status = write_file(&p, info, reterr);
    pack_release(&p);
    return status;
}

enum rag_status encoder_pack(const char *dir, struct compute_pool *pool, const char *path,
                             struct encoder_pack_info *ret, struct rag_error *reterr)
{
    const struct encoder_options options = {.precision = PRECISION_INT8, .pool = pool};
    struct encoder_pack_info info = {0};
    struct encoder *e = NULL;
    enum rag_status status = encoder_open(dir, &options, &e, reterr);

    if (status != RAG_OK)
        return status;
    info.n_linears = LAYER_LINEARS * e->config.n_layers;
    info.n_source_bytes = weights_bytes(e->weights);
    for (size_t i = 0; i < info.n_linears; i++)
        info.n_fp32_linears += e->checks[i].fp32;
    if (weights_packed(e->weights))
        status = rag_fail(reterr, RAG_EINVAL, "model '%s': is packed already", dir);
    else
        status = pack_encoder(e, path, &info, reterr);
    encoder_close(e);
    if (status == RAG_OK)
        *ret = info;
    return status;
}
