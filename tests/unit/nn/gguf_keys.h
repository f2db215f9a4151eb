/* tests/unit/nn/gguf_keys.h - GGUF files without tensors, written key by key. */
#ifndef RAG_TESTS_GGUF_KEYS_H
#define RAG_TESTS_GGUF_KEYS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "nn/gguf.h"

struct gguf_keys {
    struct buf body;
    uint64_t n;
};

static inline void keys_u32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof v); /* the tests run on little-endian machines, as GGUF does */
}

static inline void keys_u64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof v);
}

static inline void keys_text(struct buf *b, const char *text, size_t n)
{
    keys_u64(b, n);
    buf_append(b, text, n);
}

static inline void keys_init(struct gguf_keys *k)
{
    buf_init(&k->body, 1u << 28);
    k->n = 0;
}

static inline void keys_begin(struct gguf_keys *k, const char *key, uint32_t type)
{
    keys_text(&k->body, key, strlen(key));
    keys_u32(&k->body, type);
    k->n++;
}

static inline void keys_string(struct gguf_keys *k, const char *key, const char *text)
{
    keys_begin(k, key, 8);
    keys_text(&k->body, text, strlen(text));
}

static inline void keys_uint(struct gguf_keys *k, const char *key, uint32_t v)
{
    keys_begin(k, key, 4);
    keys_u32(&k->body, v);
}

static inline void keys_bool(struct gguf_keys *k, const char *key, bool v)
{
    keys_begin(k, key, 7);
    buf_append_char(&k->body, v ? 1 : 0);
}

/* The head of an array; its elements are appended to body. */
static inline void keys_array(struct gguf_keys *k, const char *key, uint32_t type, uint64_t n)
{
    keys_begin(k, key, 9);
    keys_u32(&k->body, type);
    keys_u64(&k->body, n);
}

/* Strings separated by '|' ("" is one empty string; NULL: no key). Returns their number. */
static inline size_t keys_strings(struct gguf_keys *k, const char *key, const char *list)
{
    size_t n = 1;

    if (!list)
        return 0;
    for (const char *p = list; *p; p++)
        n += *p == '|';
    keys_array(k, key, 8, n);
    for (const char *p = list;; p++) {
        size_t n_text = strcspn(p, "|");

        keys_text(&k->body, p, n_text);
        p += n_text;
        if (*p == '\0')
            return n;
    }
}

/* Opens what was written, and releases it. */
static inline enum rag_status keys_open(struct gguf_keys *k, struct gguf **ret,
                                        struct rag_error *error)
{
    char path[] = "/tmp/gguf-keys-XXXXXX";
    static const char padding[32];
    enum rag_status status = RAG_EIO;
    struct buf head;
    int fd = mkstemp(path);

    buf_init(&head, 1u << 28);
    buf_append_str(&head, "GGUF");
    keys_u32(&head, 3);
    keys_u64(&head, 0);
    keys_u64(&head, k->n);
    buf_append(&head, buf_str(&k->body), k->body.len);
    buf_append(&head, padding, (32 - head.len % 32) % 32);
    if (fd >= 0 && buf_status(&head) == RAG_OK &&
        write(fd, buf_str(&head), head.len) == (ssize_t)head.len)
        status = gguf_open(path, ret, error);
    if (fd >= 0)
        close(fd);
    unlink(path);
    buf_release(&head);
    buf_release(&k->body);
    return status;
}

#endif
