/* tests/unit/nn/tokenizer_fixture.h - tokenizers small enough to stand in a table row. */
#ifndef RAG_TESTS_TOKENIZER_FIXTURE_H
#define RAG_TESTS_TOKENIZER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/tokenizer_internal.h"

/* {"model":MODEL,PARTS}; quotes are written as ' (and \' as a real one) to keep rows readable. */
static inline struct buf fixture_json(const char *model, const char *parts)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    buf_printf(&b, "{'model':%s%s%s}", model, *parts ? "," : "", parts);
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] == '\'')
            b.data[i] = '"';
        else if (b.data[i] == '`')
            b.data[i] = '\'';
    }
    return b;
}

static inline enum rag_status fixture_open(const char *model, const char *parts,
                                           struct tokenizer **ret, struct rag_error *error)
{
    struct buf b = fixture_json(model, parts);
    enum rag_status status = tokenizer_open_json(buf_str(&b), b.len, ret, error);

    buf_release(&b);
    return status;
}

/* The tokens of the ids, as the vocabulary writes them, joined by '|'. */
static inline void fixture_tokens(const struct tokenizer *t, const struct token_list *list,
                                  struct buf *ret)
{
    buf_reset(ret);
    for (size_t i = 0; i < list->n; i++) {
        size_t n = 0;
        const char *text = vocab_text(&t->vocab, list->ids[i], &n);

        if (i > 0)
            buf_append_char(ret, '|');
        buf_append(ret, text ? text : "?", text ? n : 1);
    }
}

/* A row of a table: the text becomes these tokens. ret: their ids, the caller's to release. */
static inline void fixture_check_tokens(const char *row, const struct tokenizer *t,
                                        const char *text, const struct tokenize_options *options,
                                        const char *tokens, struct token_list *ret)
{
    struct rag_error error = {RAG_OK, ""};
    struct buf got;

    buf_init(&got, 1000);
    if (tokenizer_encode(t, text, strlen(text), NULL, 0, options, ret, &error) != RAG_OK)
        fail_msg("%s: %s", row, error.text);
    fixture_tokens(t, ret, &got);
    if (strcmp(buf_str(&got), tokens) != 0)
        fail_msg("%s: %s, not %s", row, buf_str(&got), tokens);
    buf_release(&got);
}

#endif
