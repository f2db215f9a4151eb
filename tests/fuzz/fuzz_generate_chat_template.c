/* A model's Jinja text, any bytes, and behind a NUL byte messages (a role's letter s, u or a, text,
 * a NUL byte): an error, or ids that say what the text form says, with no more control tokens than
 * the same conversation has with harmless messages. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "generate/chat_template_internal.h"
#include "nn/tokenizer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES_MAX 6

static const char *const controls[] = {
    "[|system|]",
    "[|user|]",
    "[|assistant|]",
    "[|endofturn|]",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<s>",
    "</s>",
    "<think>",
    "</think>",
};
#define N_CONTROLS (sizeof controls / sizeof controls[0])

static void fail(const char *what, const struct rag_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->text);
    abort();
}

/* All bytes, and the control tokens, which the file does not call special. */
static struct tokenizer *new_tokenizer(void)
{
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    struct buf b;

    buf_init(&b, 1u << 16);
    buf_append_str(&b, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\\\"\":34,"
                       "\"\\\\\":92");
    for (unsigned i = 0; i < 256; i++) {
        char text[2];
        size_t n = byte_level_char((unsigned char)i, text);

        if (text[0] != '"' && text[0] != '\\')
            buf_printf(&b, ",\"%.*s\":%u", (int)n, text, i);
    }
    buf_append_str(&b, "}},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
                       "\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":[");
    for (size_t i = 0; i < N_CONTROLS; i++)
        buf_printf(&b, "%s{\"id\":%zu,\"content\":\"%s\",\"special\":false,\"normalized\":false}",
                   i ? "," : "", 256 + i, controls[i]);
    buf_append_str(&b, "]}");
    if (tokenizer_open_json(buf_str(&b), b.len, &t, &error) != RAG_OK)
        fail("tokenizer", &error);
    buf_release(&b);
    return t;
}

/* Tokens that no message of the format may bring. */
static size_t count(const struct token_list *list, const struct chat_template *c)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        for (size_t k = 0; k < c->n_refused; k++)
            n += list->ids[i] == c->refused[k];
    }
    return n;
}

static void check(const struct tokenizer *t, const struct chat_template *c,
                  const struct message *messages, size_t n, bool open)
{
    const struct chat_render_options options = {.open_answer = open};
    struct message harmless[MESSAGES_MAX];
    struct rag_error error = {RAG_OK, ""};
    struct token_list ids = {0};
    struct token_list few = {0};
    struct buf text;
    struct buf decoded;
    bool thoughts = false;
    enum rag_status status;

    buf_init(&text, 1u << 20);
    buf_init(&decoded, 1u << 20);
    for (size_t i = 0; i < n; i++) {
        harmless[i] = (struct message){messages[i].role, "x"};
        thoughts = thoughts || strstr(messages[i].text, "</think>") != NULL;
    }
    status = chat_template_render(c, messages, n, &options, &ids, &error);
    if (status == RAG_OK) {
        if (chat_template_text(c, messages, n, &options, &text, &error) != RAG_OK ||
            chat_template_render(c, harmless, n, &options, &few, &error) != RAG_OK ||
            tokenizer_decode(t, ids.ids, ids.n, false, &decoded, &error) != RAG_OK)
            fail("one form of two", &error);
        if (decoded.len != text.len || memcmp(buf_str(&decoded), buf_str(&text), text.len) != 0)
            fail("ids and text differ", &error);
        if (!thoughts && count(&ids, c) != count(&few, c))
            fail("a message wrote a control token", &error);
    } else if (status != RAG_EINVAL || error.text[0] == '\0') {
        fail("render", &error);
    }
    token_list_release(&ids);
    token_list_release(&few);
    buf_release(&text);
    buf_release(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    char *copy = malloc(size + 1);
    struct message messages[MESSAGES_MAX];
    struct chat_template_source source = {.name = NULL};
    struct rag_error error = {RAG_OK, ""};
    struct chat_template *c = NULL;
    enum rag_status status;
    size_t n = 0;

    if (!t)
        t = new_tokenizer();
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    source.text = copy;
    source.n_bytes = strlen(copy);
    for (char *p = copy + source.n_bytes + 1; p < copy + size && n < MESSAGES_MAX;
         p += strlen(p) + 1) {
        messages[n].role = *p == 's' ? ROLE_SYSTEM : *p == 'u' ? ROLE_USER : ROLE_ASSISTANT;
        messages[n++].text = *p ? p + 1 : p;
    }
    status = chat_template_open(&source, t, &c, &error);
    if (status == RAG_OK) {
        check(t, c, messages, n, true);
        check(t, c, messages, n, false);
    } else if (status != RAG_EFORMAT || error.text[0] == '\0') {
        fail("open", &error);
    }
    chat_template_close(c);
    free(copy);
    return 0;
}
