/* The first bytes of a GGUF file and the words that its parts are made of. Nothing is copied before
 * its length was compared with what is left of the file, so a claim costs nothing. */
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/gguf_internal.h"

/* magic, version, tensors, keys */
#define HEADER_BYTES     24
/* The fewest bytes that a key (length, one byte, type, value) and a tensor (length, one byte,
 * number of dimensions, one, type, offset) can have: what a count may claim of the rest of the
 * file. */
#define KEY_BYTES_MIN    14
#define TENSOR_BYTES_MIN 33

static const struct {
    const char *name;
    size_t n_bytes;
} types[GGUF_TYPES] = {
    [GGUF_U8] = {"u8",     1},
      [GGUF_I8] = {"i8",     1},
      [GGUF_U16] = {"u16",    2},
    [GGUF_I16] = {"i16",    2},
      [GGUF_U32] = {"u32",    4},
      [GGUF_I32] = {"i32",    4},
    [GGUF_F32] = {"f32",    4},
      [GGUF_BOOL] = {"bool",   1},
      [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array",  0},
      [GGUF_U64] = {"u64",    8},
      [GGUF_I64] = {"i64",    8},
    [GGUF_F64] = {"f64",    8},
};

size_t gguf_type_bytes(enum gguf_type type)
{
    return types[type].n_bytes;
}

const char *gguf_type_name(enum gguf_type type)
{
    return types[type].name;
}

const uint8_t *gguf_take(struct gguf_cursor *c, uint64_t n)
{
    const uint8_t *p = c->data + c->at;

    if (n > c->n - c->at)
        return NULL;
    c->at += (size_t)n;
    return p;
}

bool gguf_take_u32(struct gguf_cursor *c, uint32_t *ret)
{
    const uint8_t *p = gguf_take(c, sizeof *ret);

    if (p)
        memcpy(ret, p, sizeof *ret);
    return p != NULL;
}

bool gguf_take_u64(struct gguf_cursor *c, uint64_t *ret)
{
    const uint8_t *p = gguf_take(c, sizeof *ret);

    if (p)
        memcpy(ret, p, sizeof *ret);
    return p != NULL;
}

enum rag_status gguf_take_string(struct gguf_cursor *c, const char *what, uint64_t i,
                                 size_t bytes_max, struct gguf_string *ret,
                                 struct rag_error *reterr)
{
    const uint8_t *text;
    uint64_t n;

    if (!gguf_take_u64(c, &n))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': %s %llu: the file ends before it (was the download cut?)",
                        c->path, what, (unsigned long long)i);
    if (n > c->n - c->at)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': %s %llu: %llu bytes of text, %zu are left of the file (was "
                        "the download cut?)",
                        c->path, what, (unsigned long long)i, (unsigned long long)n, c->n - c->at);
    if (n > bytes_max)
        return rag_fail(reterr, RAG_ELIMIT, "gguf '%s': %s %llu: %llu bytes, the limit is %zu",
                        c->path, what, (unsigned long long)i, (unsigned long long)n, bytes_max);
    text = gguf_take(c, n);
    *ret = (struct gguf_string){(const char *)text, (size_t)n};
    return RAG_OK;
}

enum rag_status gguf_check_name(const struct gguf_cursor *c, const char *what, uint64_t i,
                                const struct gguf_string *name, struct rag_error *reterr)
{
    size_t bad = 0;

    if (name->n_bytes == 0)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': %s %llu: the name is empty", c->path, what,
                        (unsigned long long)i);
    if (!utf8_valid(name->text, name->n_bytes, &bad))
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': %s %llu: the name is not UTF-8", c->path,
                        what, (unsigned long long)i);
    if (memchr(name->text, '\0', name->n_bytes))
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': %s %llu: the name holds a zero byte",
                        c->path, what, (unsigned long long)i);
    return RAG_OK;
}

/* What else is met under this name, said in words that help. */
static enum rag_status read_magic(struct gguf_cursor *c, struct rag_error *reterr)
{
    static const char lfs[] = "version https://git-lfs"; /* what a clone without LFS leaves */
    static const char *const older[] = {"lmgg", "fmgg", "tjgg", "algg"};
    const uint8_t *magic = c->data;
    uint32_t version;

    if (c->n >= sizeof lfs - 1 && memcmp(c->data, lfs, sizeof lfs - 1) == 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': only the pointer of a file that Git LFS keeps elsewhere; fetch "
                        "the file itself ('git lfs pull', or ragctl model pull)",
                        c->path);
    if (c->n < HEADER_BYTES)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': %zu bytes, shorter than a GGUF file's first %d", c->path, c->n,
                        HEADER_BYTES);
    for (size_t i = 0; i < sizeof older / sizeof older[0]; i++) {
        if (memcmp(magic, older[i], 4) == 0)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': a file from before GGUF; convert it with llama.cpp's "
                            "convert_llama_ggml_to_gguf.py",
                            c->path);
    }
    if (memcmp(magic, "GGUF", 4) != 0)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': does not begin with \"GGUF\"", c->path);
    c->at = 4;
    if (!gguf_take_u32(c, &version))
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': no version", c->path);
    if (version == 2u << 24 || version == 3u << 24)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': big-endian, only little-endian files are read", c->path);
    if (version != 2 && version != 3)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': version %u, 2 and 3 are read", c->path,
                        version);
    return RAG_OK;
}

static enum rag_status check_count(const struct gguf_cursor *c, const char *what, uint64_t n,
                                   uint64_t max, size_t each_bytes, struct rag_error *reterr)
{
    if (n > (c->n - c->at) / each_bytes)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': %llu %s in a file of %zu bytes (not GGUF, or cut)", c->path,
                        (unsigned long long)n, what, c->n);
    if (n > max)
        return rag_fail(reterr, RAG_ELIMIT, "gguf '%s': %llu %s, the limit is %llu", c->path,
                        (unsigned long long)n, what, (unsigned long long)max);
    return RAG_OK;
}

enum rag_status gguf_read(struct gguf *g, struct rag_error *reterr)
{
    struct gguf_cursor c = {.path = g->path, .data = g->data, .n = g->n_bytes};
    uint64_t n_tensors = 0;
    uint64_t n_keys = 0;
    enum rag_status status = read_magic(&c, reterr);

    if (status != RAG_OK)
        return status;
    if (!gguf_take_u64(&c, &n_tensors) || !gguf_take_u64(&c, &n_keys))
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': no counts", c.path);
    status = check_count(&c, "tensors", n_tensors, WEIGHTS_TENSORS_MAX, TENSOR_BYTES_MIN, reterr);
    if (status == RAG_OK)
        status = check_count(&c, "keys", n_keys, GGUF_KEYS_MAX, KEY_BYTES_MIN, reterr);
    if (status == RAG_OK)
        status = gguf_read_keys(&c, n_keys, g, reterr);
    if (status == RAG_OK)
        status = gguf_read_tensors(&c, n_tensors, g, reterr);
    return status;
}
