/* The tokens of a vocabulary by what they write, in the order of their bytes: tokens that begin
 * alike stand together, so that what cannot follow is found out once for all of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "generate/json_schema_internal.h"

#define VOCABULARY_BYTES_MAX (64u << 20) /* of all tokens; 262,000 tokens have some 2 MiB */

struct sort_key {
    const char *bytes;
    size_t n;
    uint32_t id;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *x = a;
    const struct sort_key *y = b;
    int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);

    if (order != 0)
        return order;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Whole characters, none of them ends or escapes a JSON string. */
static bool is_text(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7F)
            return false;
    return utf8_valid(s, n, NULL);
}

static enum rag_status order_alloc(struct token_order *o, size_t n)
{
    o->ids = malloc((n ? n : 1) * sizeof *o->ids);
    o->common = malloc((n ? n : 1) * sizeof *o->common);
    return o->ids && o->common ? RAG_OK : RAG_ENOMEM;
}

static void order_add(struct token_order *o, const struct token_bytes *b, uint32_t id)
{
    const char *s = b->bytes + b->begins[id];
    size_t n = b->begins[id + 1] - b->begins[id];
    size_t common = 0;

    if (o->n > 0) {
        uint32_t last = o->ids[o->n - 1];
        size_t n_last = b->begins[last + 1] - b->begins[last];

        while (common < n && common < n_last && b->bytes[b->begins[last] + common] == s[common])
            common++;
    }
    o->ids[o->n] = id;
    o->common[o->n++] = (uint16_t)common;
}

static enum rag_status sort_tokens(struct token_bytes *b, struct rag_error *reterr)
{
    struct sort_key *keys = malloc((b->n_tokens ? b->n_tokens : 1) * sizeof *keys);
    size_t n_texts = 0;
    size_t n = 0;

    if (!keys)
        return rag_fail(reterr, RAG_ENOMEM, "tokens by their bytes: out of memory");
    for (size_t id = 0; id < b->n_tokens; id++) {
        size_t n_bytes = b->begins[id + 1] - b->begins[id];
        const char *s = b->bytes + b->begins[id];

        if (n_bytes == 0 || n_bytes > TOKEN_BYTES_MAX)
            continue;
        keys[n++] = (struct sort_key){s, n_bytes, (uint32_t)id};
        if (is_text(s, n_bytes)) {
            b->text[id / 64] |= (uint64_t)1 << id % 64;
            n_texts++;
        }
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    if (order_alloc(&b->all, n) != RAG_OK || order_alloc(&b->others, n - n_texts) != RAG_OK) {
        free(keys);
        return rag_fail(reterr, RAG_ENOMEM, "tokens by their bytes: out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t id = keys[i].id;

        order_add(&b->all, b, id);
        if (!(b->text[id / 64] >> id % 64 & 1))
            order_add(&b->others, b, id);
    }
    free(keys);
    return RAG_OK;
}

enum rag_status token_bytes_of(const struct tokenizer *t, struct token_bytes **ret,
                               struct rag_error *reterr)
{
    struct token_bytes *b = calloc(1, sizeof *b);
    enum rag_status status = RAG_OK;
    struct buf text;
    size_t n;

    buf_init(&text, VOCABULARY_BYTES_MAX);
    if (!b)
        return rag_fail(reterr, RAG_ENOMEM, "tokens by their bytes: out of memory");
    b->n_tokens = tokenizer_vocab_size(t);
    b->begins = calloc(b->n_tokens + 1, sizeof *b->begins);
    b->text = calloc((b->n_tokens + 63) / 64 + 1, sizeof *b->text);
    if (!b->begins || !b->text)
        status = rag_fail(reterr, RAG_ENOMEM, "tokens by their bytes: out of memory");
    for (size_t id = 0; id < b->n_tokens && status == RAG_OK; id++) {
        status = tokenizer_token_bytes(t, (uint32_t)id, &text, reterr);
        b->begins[id + 1] = (uint32_t)text.len;
    }
    if (status == RAG_OK && buf_take(&text, &b->bytes, &n) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "tokens by their bytes: out of memory");
    if (status == RAG_OK)
        status = sort_tokens(b, reterr);
    buf_release(&text);
    if (status != RAG_OK) {
        token_bytes_free(b);
        return status;
    }
    *ret = b;
    return RAG_OK;
}

void token_bytes_free(struct token_bytes *b)
{
    if (!b)
        return;
    free(b->bytes);
    free(b->begins);
    free(b->text);
    free(b->all.ids);
    free(b->all.common);
    free(b->others.ids);
    free(b->others.common);
    free(b);
}
