/* tests/unit/nn/gguf_builder.h - GGUF files made in memory, right ones and wrong ones: what is put
 * is written as it is, whatever it claims. */
#ifndef RAG_TESTS_GGUF_BUILDER_H
#define RAG_TESTS_GGUF_BUILDER_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* numbers of the format, by hand: a test of ours should not take them from the code */
enum {
    T_U8,
    T_I8,
    T_U16,
    T_I16,
    T_U32,
    T_I32,
    T_F32,
    T_BOOL,
    T_STRING,
    T_ARRAY,
    T_U64,
    T_I64,
    T_F64
};
enum { G_F32 = 0, G_F16 = 1, G_Q8_0 = 8, G_Q4_K = 12 };

struct gguf_builder {
    uint8_t *bytes; /* owned */
    size_t n;
    size_t cap;
    uint64_t n_tensors;
    uint64_t n_keys;
    uint64_t offset; /* where the next tensor's data goes */
};

static inline void put(struct gguf_builder *b, const void *data, size_t n)
{
    if (n > b->cap - b->n) {
        b->cap = 2 * (b->cap + n);
        b->bytes = realloc(b->bytes, b->cap);
        if (!b->bytes)
            abort();
    }
    if (n > 0)
        memcpy(b->bytes + b->n, data, n);
    b->n += n;
}

static inline void put_u32(struct gguf_builder *b, uint32_t value)
{
    put(b, &value, sizeof value);
}

static inline void put_u64(struct gguf_builder *b, uint64_t value)
{
    put(b, &value, sizeof value);
}

static inline void put_text(struct gguf_builder *b, const char *text)
{
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}

/* magic, version 3 and counts that gguf_finish() fills in */
static inline void gguf_begin(struct gguf_builder *b)
{
    memset(b, 0, sizeof *b);
    put(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, 0);
    put_u64(b, 0);
}

static inline void put_key(struct gguf_builder *b, const char *key, uint32_t type)
{
    put_text(b, key);
    put_u32(b, type);
    b->n_keys++;
}

static inline void key_u32(struct gguf_builder *b, const char *key, uint32_t value)
{
    put_key(b, key, T_U32);
    put_u32(b, value);
}

static inline void key_i32(struct gguf_builder *b, const char *key, int32_t value)
{
    put_key(b, key, T_I32);
    put(b, &value, sizeof value);
}

static inline void key_f32(struct gguf_builder *b, const char *key, float value)
{
    put_key(b, key, T_F32);
    put(b, &value, sizeof value);
}

static inline void key_bool(struct gguf_builder *b, const char *key, uint8_t value)
{
    put_key(b, key, T_BOOL);
    put(b, &value, 1);
}

static inline void key_text(struct gguf_builder *b, const char *key, const char *value)
{
    put_key(b, key, T_STRING);
    put_text(b, value);
}

/* An array's head: its items follow. */
static inline void key_array(struct gguf_builder *b, const char *key, uint32_t type, uint64_t n)
{
    put_key(b, key, T_ARRAY);
    put_u32(b, type);
    put_u64(b, n);
}

/* A tensor's description, as it is claimed. */
static inline void put_tensor(struct gguf_builder *b, const char *name, uint32_t n_dims,
                              const uint64_t *dims, uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims && i < 8; i++)
        put_u64(b, dims[i]);
    put_u32(b, type);
    put_u64(b, offset);
    b->n_tensors++;
}

/* A float32 tensor [n_rows, n_cols] at the next free place; n_rows 0: a vector. */
static inline void tensor_f32(struct gguf_builder *b, const char *name, uint64_t n_rows,
                              uint64_t n_cols)
{
    uint64_t dims[2] = {n_cols, n_rows};

    put_tensor(b, name, n_rows ? 2 : 1, dims, G_F32, b->offset);
    b->offset += (4 * (n_rows ? n_rows : 1) * n_cols + 31) / 32 * 32;
}

static inline void put_padding(struct gguf_builder *b, size_t alignment)
{
    while (b->n % alignment != 0)
        put(b, "", 1);
}

static inline void put_zeros(struct gguf_builder *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(b, "", 1);
}

/* The counts of what was put. */
static inline void gguf_finish(struct gguf_builder *b)
{
    memcpy(b->bytes + 8, &b->n_tensors, 8);
    memcpy(b->bytes + 16, &b->n_keys, 8);
}

/* The counts, the padding and zeros for all of tensor_f32(). */
static inline void gguf_finish_with_data(struct gguf_builder *b)
{
    gguf_finish(b);
    put_padding(b, 32);
    put_zeros(b, (size_t)b->offset);
}

static inline void gguf_save(const struct gguf_builder *b, const char *path)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(b->bytes, 1, b->n, f) != b->n || fclose(f) != 0)
        abort();
}

static inline void gguf_drop(struct gguf_builder *b)
{
    free(b->bytes);
    memset(b, 0, sizeof *b);
}

/* A value of every type, arrays, three tensors that are not in the order of their data. */
static inline void gguf_build_right(struct gguf_builder *b)
{
    static const int16_t numbers[] = {-3, 0, 32767};
    static const float floats[] = {0.5f, -2.0f};
    uint64_t large = UINT64_MAX;
    int64_t small = INT64_MIN;
    double real = 1e300;
    float bad = NAN;

    gguf_begin(b);
    key_text(b, "general.architecture", "llama");
    key_u32(b, "a.u32", 4000000000u);
    key_i32(b, "a.i32", -7);
    key_f32(b, "a.f32", 0.25f);
    key_bool(b, "a.bool", 1);
    key_bool(b, "a.bool2", 2);
    put_key(b, "a.u64", T_U64);
    put_u64(b, large);
    put_key(b, "a.i64", T_I64);
    put(b, &small, 8);
    put_key(b, "a.f64", T_F64);
    put(b, &real, 8);
    put_key(b, "a.nan", T_F32);
    put(b, &bad, 4);
    put_key(b, "a.u8", T_U8);
    put(b, "\xFF", 1);
    put_key(b, "a.i8", T_I8);
    put(b, "\x80", 1);
    key_text(b, "a.empty", "");
    key_array(b, "a.numbers", T_I16, 3);
    put(b, numbers, sizeof numbers);
    key_array(b, "a.floats", T_F32, 2);
    put(b, floats, sizeof floats);
    key_array(b, "a.none", T_STRING, 0);
    key_array(b, "a.wide", T_I64, 1);
    put(b, &small, 8);
    key_array(b, "a.words", T_STRING, 3);
    put_text(b, "first");
    put_text(b, "");
    put_text(b, "\xFFthird");
    put_tensor(b, "z", 2, (const uint64_t[]){3, 2}, G_F32, 64);
    put_tensor(b, "a", 1, (const uint64_t[]){8}, G_F32, 0);
    put_tensor(b, "m", 4, (const uint64_t[]){32, 1, 2, 1}, G_Q8_0, 96);
    gguf_finish(b);
    put_padding(b, 32);
    for (int i = 0; i < 8; i++) {
        float value = (float)i;

        put(b, &value, 4);
    }
    put_zeros(b, 32);
    for (int i = 0; i < 6; i++) {
        float value = (float)(i + 10);

        put(b, &value, 4);
    }
    put_padding(b, 32);
    put_zeros(b, 68);
}

#endif
