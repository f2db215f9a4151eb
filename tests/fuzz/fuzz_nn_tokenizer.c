/* Any bytes as tokenizer.json (or, when they do not begin with '{', as vocab.txt) and, behind a NUL
 * byte, any text: an error, or ids inside the vocabulary that decode. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/tokenizer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const struct rag_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->text);
    abort();
}

static void check_ids(const struct tokenizer *t, const struct token_list *list, size_t max)
{
    struct rag_error error = {RAG_OK, ""};
    struct buf text;

    if (max > 0 && list->n > max)
        fail("more tokens than asked for", &error);
    if (list->n > list->n_full)
        fail("more tokens than there are", &error);
    buf_init(&text, 1u << 24);
    for (size_t i = 0; i < list->n; i++) {
        /* a template may name an id without token; decoding then says so */
        if (list->ids[i] >= TOKENIZER_IDS_MAX)
            fail("an id out of range", &error);
    }
    if (tokenizer_decode(t, list->ids, list->n, (max & 1) != 0, &text, &error) == RAG_OK &&
        memchr(buf_str(&text), '\0', text.len) == NULL && strlen(buf_str(&text)) != text.len)
        fail("a text without end", &error);
    buf_release(&text);
}

static void encode(const struct tokenizer *t, const char *text, size_t n)
{
    static const size_t limits[] = {0, 3, 8};
    struct token_list list = {0};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct tokenize_options options = {.special = i != 1, .max_tokens = limits[i]};
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status = tokenizer_encode(t, text, n, NULL, 0, &options, &list, &error);

        if (status == RAG_OK)
            check_ids(t, &list, limits[i]);
        else if ((status != RAG_EINVAL && status != RAG_ELIMIT) || error.text[0] == '\0')
            fail("encode", &error);
        status = tokenizer_encode(t, text, n, text, n / 2, &options, &list, &error);
        if (status == RAG_OK)
            check_ids(t, &list, limits[i]);
    }
    token_list_release(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *file = (const char *)data;
    const char *end = memchr(data, '\0', size);
    size_t n = end ? (size_t)(end - file) : size;
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    enum rag_status status;

    if (n > 0 && file[0] == '{')
        status = tokenizer_open_json(file, n, &t, &error);
    else
        status = tokenizer_open_vocab_txt(file, n, NULL, 0, &t, &error);
    if (status != RAG_OK) {
        if ((status != RAG_EFORMAT && status != RAG_ELIMIT) || error.text[0] == '\0')
            fail("open", &error);
        return 0;
    }
    if (end && size - n - 1 < 4096) /* longer texts only cost time */
        encode(t, end + 1, size - n - 1);
    encode(t, "Caf\xC3\xA9 \xED\x95\x9C\xEA\xB5\xAD! <s>x", 17);
    tokenizer_close(t);
    return 0;
}
