/* An answer under a schema, token by token. */
#include <stdlib.h>
#include <string.h>

#include "generate/json_schema_internal.h"

enum rag_status json_schema_begin(const struct json_schema *s, struct json_schema_state **ret,
                                  struct rag_error *reterr)
{
    struct json_schema_state *st = malloc(sizeof *st);

    if (st)
        st->steps = malloc((TOKEN_BYTES_MAX + 1) * sizeof *st->steps);
    if (!st || !st->steps) {
        free(st);
        return rag_fail(reterr, RAG_ENOMEM, "schema: out of memory");
    }
    st->schema = s;
    configuration_begin(&st->now);
    *ret = st;
    return RAG_OK;
}

void json_schema_end(struct json_schema_state *st)
{
    if (!st)
        return;
    free(st->steps);
    free(st);
}

/* Bits of those tokens in the order that can follow. steps[k]: what is behind the first k bytes of
 * the token before; a token goes on from where they part, and when its byte k cannot follow neither
 * can that of the tokens after it which share k + 1 bytes with it. */
static void allow(struct json_schema_state *st, const struct token_bytes *b,
                  const struct token_order *o, uint64_t *ret_allowed, size_t n_tokens)
{
    size_t dead = SIZE_MAX; /* tokens that share more bytes than this with the last one are dead */

    configuration_copy(&st->steps[0], &st->now);
    for (size_t i = 0; i < o->n; i++) {
        uint32_t id = o->ids[i];
        const char *s = b->bytes + b->begins[id];
        size_t n = b->begins[id + 1] - b->begins[id];
        size_t k = o->common[i];

        if (k > dead)
            continue;
        dead = SIZE_MAX;
        while (k < n && dead == SIZE_MAX) {
            configuration_step(st->schema, &st->steps[k], (unsigned char)s[k], &st->steps[k + 1]);
            if (st->steps[k + 1].n == 0)
                dead = k;
            else
                k++;
        }
        if (dead == SIZE_MAX && id < n_tokens)
            ret_allowed[id / 64] |= (uint64_t)1 << id % 64;
    }
}

enum rag_status json_schema_allowed(struct json_schema_state *st, const struct token_bytes *b,
                                    const uint32_t *ends, size_t n_ends, uint64_t *ret_allowed,
                                    size_t n_tokens, struct rag_error *reterr)
{
    size_t n_words = (n_tokens + 63) / 64;
    bool free_text = configuration_takes_text(st->schema, &st->now);

    (void)reterr;
    memset(ret_allowed, 0, n_words * sizeof *ret_allowed);
    if (free_text)
        for (size_t i = 0; i < n_words && i < (b->n_tokens + 63) / 64; i++)
            ret_allowed[i] = b->text[i];
    allow(st, b, free_text ? &b->others : &b->all, ret_allowed, n_tokens);
    for (size_t i = 0; i < n_ends; i++) {
        uint64_t mask = (uint64_t)1 << ends[i] % 64;

        if (ends[i] >= n_tokens)
            continue;
        if (json_schema_complete(st))
            ret_allowed[ends[i] / 64] |= mask;
        else
            ret_allowed[ends[i] / 64] &= ~mask;
    }
    return RAG_OK;
}

enum rag_status json_schema_put(struct json_schema_state *st, const struct token_bytes *b,
                                uint32_t id, struct rag_error *reterr)
{
    const char *s;
    size_t n;

    if (id >= b->n_tokens)
        return rag_fail(reterr, RAG_EINVAL, "token %u: the vocabulary has %zu", id, b->n_tokens);
    s = b->bytes + b->begins[id];
    n = b->begins[id + 1] - b->begins[id];
    configuration_copy(&st->steps[0], &st->now);
    for (size_t k = 0; k < n; k++) {
        struct configuration *to = &st->steps[(k + 1) % 2];

        configuration_step(st->schema, &st->steps[k % 2], (unsigned char)s[k], to);
        if (to->n == 0)
            return rag_fail(reterr, RAG_EINVAL, "token %u: its byte %zu breaks the schema", id, k);
    }
    configuration_copy(&st->now, &st->steps[n % 2]);
    return RAG_OK;
}

bool json_schema_complete(const struct json_schema_state *st)
{
    return configuration_complete(st->schema, &st->now);
}
