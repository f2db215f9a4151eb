/* nn/gguf_internal.h - what gguf.c (a file), gguf_header.c (its first bytes), gguf_keys.c and
 * gguf_tensors.c share. */
#ifndef RAG_NN_GGUF_INTERNAL_H
#define RAG_NN_GGUF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/gguf.h"
#include "nn/mapped_file.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES /* their number */
};

/* Where each string of an array lies, as it was when the file was opened: the file may be written
 * over, and a length is believed once. */
struct gguf_piece {
    uint64_t at;      /* of the file */
    uint32_t n_bytes; /* at most GGUF_STRING_BYTES_MAX */
};

struct gguf_key {
    struct gguf_string name;
    enum gguf_type type;
    enum gguf_type item_type;  /* of an array */
    const uint8_t *value;      /* number, text, or the first item of an array */
    size_t n;                  /* bytes of a string, items of an array */
    struct gguf_piece *pieces; /* [n] of an array of strings; owned */
};

struct gguf {
    struct mapped_file *file; /* NULL in a fuzzer */
    const char *path;         /* borrowed from the file */
    const uint8_t *data;
    size_t n_bytes;
    struct gguf_key *keys; /* by name, ascending; owned */
    size_t n_keys;
    struct gguf_tensor *tensors; /* by name, ascending; owned */
    size_t n_tensors;
    char *names; /* of the tensors; owned */
};

/* Reads on from 'at', never behind the end. */
struct gguf_cursor {
    const char *path;
    const uint8_t *data;
    size_t n;
    size_t at;
};

size_t gguf_type_bytes(enum gguf_type type); /* of a plain value; 0: string, array */
const char *gguf_type_name(enum gguf_type type);

/* n bytes, as the place where they begin; NULL: fewer are left. */
const uint8_t *gguf_take(struct gguf_cursor *c, uint64_t n);
/* Little-endian; false: the file ends. */
bool gguf_take_u32(struct gguf_cursor *c, uint32_t *ret);
bool gguf_take_u64(struct gguf_cursor *c, uint64_t *ret);
/* A length and so many bytes. RAG_EFORMAT (the file ends), RAG_ELIMIT (over bytes_max). 'what' of
 * number 'i' begins the message. */
enum rag_status gguf_take_string(struct gguf_cursor *c, const char *what, uint64_t i,
                                 size_t bytes_max, struct gguf_string *ret,
                                 struct rag_error *reterr);
/* Text that may name something: not empty, UTF-8, without NUL. RAG_EFORMAT. */
enum rag_status gguf_check_name(const struct gguf_cursor *c, const char *what, uint64_t i,
                                const struct gguf_string *name, struct rag_error *reterr);

/* The keys, sorted; the cursor is left behind them. */
enum rag_status gguf_read_keys(struct gguf_cursor *c, uint64_t n, struct gguf *g,
                               struct rag_error *reterr);
/* Behind the keys: the tensors and where their data lies, sorted. */
enum rag_status gguf_read_tensors(struct gguf_cursor *c, uint64_t n, struct gguf *g,
                                  struct rag_error *reterr);
/* All of a file of n bytes that g's path and data name. On failure gguf_release() it still. */
enum rag_status gguf_read(struct gguf *g, struct rag_error *reterr);
void gguf_release(struct gguf *g); /* what gguf_read() made */

/* NULL: there is no such key. */
const struct gguf_key *gguf_find_key(const struct gguf *g, const char *key);

#endif
