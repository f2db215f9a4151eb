#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nn/tokenizer_internal.h"

#define PROBES_MAX 4096 /* a table half empty needs tens; more is a file made to collide */

enum rag_status grow(void **items, size_t *cap, size_t n, size_t item_bytes)
{
    size_t want = *cap ? *cap : 64;
    void *p;

    if (n <= *cap)
        return RAG_OK;
    while (want < n)
        want *= 2;
    if (want > SIZE_MAX / item_bytes)
        return RAG_ENOMEM;
    p = realloc(*items, want * item_bytes);
    if (!p)
        return RAG_ENOMEM;
    *items = p;
    *cap = want;
    return RAG_OK;
}

static uint64_t hash_text(const char *text, size_t n)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ n;

    for (; n >= 8; n -= 8, text += 8) {
        uint64_t x;

        memcpy(&x, text, 8);
        h = (h ^ x) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    if (n > 0) {
        uint64_t x = 0;

        memcpy(&x, text, n);
        h = (h ^ x) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    h *= 0xC4CEB9FE1A85EC53u;
    return h ^ h >> 29;
}

enum rag_status vocab_init(struct vocab *v, size_t n_ids, size_t n_tokens, size_t n_bytes)
{
    size_t size = 16;

    assert(n_ids < ID_NONE && n_bytes <= UINT32_MAX);
    memset(v, 0, sizeof *v);
    while (size < n_tokens * 2)
        size *= 2;
    v->bytes = malloc(n_bytes + 1);
    v->tokens = calloc(n_ids + 1, sizeof *v->tokens); /* pages that no id touches cost nothing */
    v->index = malloc(size * sizeof *v->index);
    if (!v->bytes || !v->tokens || !v->index)
        return RAG_ENOMEM; /* vocab_release() gives back what was taken */
    v->cap_bytes = n_bytes;
    v->cap = (uint32_t)n_ids;
    v->index_size = size;
    memset(v->index, 0xFF, size * sizeof *v->index);
    return RAG_OK;
}

void vocab_release(struct vocab *v)
{
    free(v->bytes);
    free(v->tokens);
    free(v->index);
    memset(v, 0, sizeof *v);
}

static bool same(const struct vocab *v, uint32_t id, const char *text, size_t n)
{
    return v->tokens[id].n == n && memcmp(v->bytes + v->tokens[id].offset, text, n) == 0;
}

enum rag_status vocab_put(struct vocab *v, uint32_t id, const char *text, size_t n, bool may_repeat)
{
    size_t slot = (size_t)hash_text(text, n) & (v->index_size - 1);

    assert(id < v->cap && n <= v->cap_bytes - v->n_bytes);
    if (v->tokens[id].used)
        return RAG_EEXIST;
    for (size_t probes = 0; v->index[slot] != ID_NONE; probes++) {
        if (same(v, v->index[slot], text, n)) {
            if (!may_repeat)
                return RAG_EEXIST;
            break;
        }
        if (probes == PROBES_MAX)
            return RAG_ELIMIT;
        slot = (slot + 1) & (v->index_size - 1);
    }
    memcpy(v->bytes + v->n_bytes, text, n);
    v->tokens[id] =
        (struct vocab_token){.offset = (uint32_t)v->n_bytes, .n = (uint32_t)n, .used = true};
    v->n_bytes += n;
    v->n_used++;
    v->index[slot] = id;
    if (id >= v->n)
        v->n = id + 1;
    return RAG_OK;
}

uint32_t vocab_find(const struct vocab *v, const char *text, size_t n)
{
    size_t slot;

    if (v->index_size == 0)
        return ID_NONE;
    slot = (size_t)hash_text(text, n) & (v->index_size - 1);
    while (v->index[slot] != ID_NONE && !same(v, v->index[slot], text, n))
        slot = (slot + 1) & (v->index_size - 1);
    return v->index[slot];
}

const char *vocab_text(const struct vocab *v, uint32_t id, size_t *ret_n)
{
    if (id >= v->n || !v->tokens[id].used)
        return NULL;
    *ret_n = v->tokens[id].n;
    return v->bytes + v->tokens[id].offset;
}

bool looks_special(const char *text, size_t n)
{
    static const char *const brackets[][2] = {
        {"<|",            "|>"           },
        {"[|",            "|]"           },
        {"<\xEF\xBD\x9C", "\xEF\xBD\x9C>"}, /* U+FF5C, DeepSeek's */
    };

    for (size_t i = 0; i < sizeof brackets / sizeof brackets[0]; i++) {
        size_t n_open = strlen(brackets[i][0]);

        if (n > 2 * n_open && memcmp(text, brackets[i][0], n_open) == 0 &&
            memcmp(text + n - n_open, brackets[i][1], n_open) == 0)
            return true;
    }
    return false;
}

enum rag_status vocab_trie(const struct vocab *v, struct trie *ret)
{
    struct trie_key *keys = calloc((size_t)v->n + 1, sizeof *keys);
    enum rag_status status;
    size_t n = 0;

    if (!keys)
        return RAG_ENOMEM;
    for (uint32_t id = 0; id < v->n; id++) {
        size_t n_text;
        const char *text = vocab_text(v, id, &n_text);

        if (text && !v->tokens[id].reserved)
            keys[n++] = (struct trie_key){text, (uint32_t)n_text, id};
    }
    status = trie_build(keys, n, ret);
    free(keys);
    return status;
}
