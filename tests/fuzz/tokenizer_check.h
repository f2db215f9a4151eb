/* tests/fuzz/tokenizer_check.h - what holds for every tokenizer that was opened, whatever its file.
 */
#ifndef RAG_FUZZ_TOKENIZER_CHECK_H
#define RAG_FUZZ_TOKENIZER_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

static inline void fuzz_fail(const char *what, const struct rag_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->text);
    abort();
}

/* Ids decode (or one of them has no token, which is said); what a stream shows is UTF-8 at every
 * step, and together the same text. */
static inline void fuzz_check_decode(const struct tokenizer *t, const struct token_list *list,
                                     bool skip_special)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_stream stream;
    struct buf text;
    struct buf shown;

    buf_init(&text, 1u << 24);
    buf_init(&shown, 1u << 24);
    token_stream_init(&stream, t, skip_special);
    if (tokenizer_decode(t, list->ids, list->n, skip_special, &text, &error) == RAG_OK) {
        for (size_t i = 0; i < list->n; i++) {
            size_t before = shown.len;

            if (token_stream_put(&stream, list->ids[i], &shown, &error) != RAG_OK)
                fuzz_fail("stream", &error);
            if (!utf8_valid(buf_str(&shown) + before, shown.len - before, NULL))
                fuzz_fail("half a character was shown", &error);
            if (shown.len > text.len || memcmp(buf_str(&shown), buf_str(&text), shown.len) != 0)
                fuzz_fail("something else was shown", &error);
        }
        if (token_stream_finish(&stream, &shown, &error) != RAG_OK)
            fuzz_fail("the end of a stream", &error);
        if (shown.len != text.len || memcmp(buf_str(&shown), buf_str(&text), text.len) != 0)
            fuzz_fail("a stream ends otherwise", &error);
    } else if (error.text[0] == '\0') {
        fuzz_fail("decode", &error);
    }
    token_stream_release(&stream);
    buf_release(&text);
    buf_release(&shown);
}

static inline void fuzz_check_ids(const struct tokenizer *t, const struct token_list *list,
                                  const struct tokenize_options *options)
{
    struct rag_error error = {RAG_OK, ""};

    if (options->max_tokens > 0 && list->n > options->max_tokens)
        fuzz_fail("more tokens than asked for", &error);
    if (list->n > list->n_full)
        fuzz_fail("more tokens than there are", &error);
    for (size_t i = 0; i < list->n; i++) {
        uint32_t id = list->ids[i];

        /* a template may name an id without token; decoding then says so */
        if (id >= TOKENIZER_IDS_MAX)
            fuzz_fail("an id out of range", &error);
        if (options->plain && !options->special && id < t->vocab.n && id != t->model.unk &&
            t->vocab.tokens[id].special)
            fuzz_fail("a special token of plain text", &error);
    }
    fuzz_check_decode(t, list, options->plain);
}

static inline void fuzz_check_encode(const struct tokenizer *t, const char *text, size_t n)
{
    static const struct tokenize_options all[] = {
        {.special = true },
        {.special = false, .max_tokens = 3},
        {.special = true,                .max_tokens = 8},
        {.plain = true},
    };
    struct token_list list = {0};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status = tokenizer_encode(t, text, n, NULL, 0, &all[i], &list, &error);

        if (status == RAG_OK)
            fuzz_check_ids(t, &list, &all[i]);
        else if ((status != RAG_EINVAL && status != RAG_ELIMIT) || error.text[0] == '\0')
            fuzz_fail("encode", &error);
        status = tokenizer_encode(t, text, n, text, n / 2, &all[i], &list, &error);
        if (status == RAG_OK)
            fuzz_check_ids(t, &list, &all[i]);
    }
    token_list_release(&list);
}

#endif
