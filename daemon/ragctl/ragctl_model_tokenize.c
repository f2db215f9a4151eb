#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model_run.h"
#include "daemon/ragctl/ragctl_print.h"
#include "nn/decoder_config.h"
#include "nn/gguf.h"
#include "nn/tokenizer.h"

#define OUTPUT_BYTES_MAX (4ull << 30)

/* What the verb prints, text by text: three arrays, since "ids" must be one of its own. */
struct output {
    struct buf ids;
    struct buf types;
    struct buf tokens;
    struct json_writer ids_json;
    struct json_writer types_json;
    struct json_writer tokens_json;
};

static void output_init(struct output *o)
{
    buf_init(&o->ids, OUTPUT_BYTES_MAX);
    buf_init(&o->types, OUTPUT_BYTES_MAX);
    buf_init(&o->tokens, OUTPUT_BYTES_MAX);
    json_writer_init(&o->ids_json, &o->ids);
    json_writer_init(&o->types_json, &o->types);
    json_writer_init(&o->tokens_json, &o->tokens);
    json_begin_array(&o->ids_json, NULL);
    json_begin_array(&o->types_json, NULL);
    json_begin_array(&o->tokens_json, NULL);
}

static void output_release(struct output *o)
{
    buf_release(&o->ids);
    buf_release(&o->types);
    buf_release(&o->tokens);
}

/* The text of one token; of a part of a character its bytes, as <0xEA>, for U+FFFD would be the
 * same for all of them. false: it has none. */
static bool put_token(const struct tokenizer *t, uint32_t id, struct buf *ret)
{
    struct buf bytes;
    bool part;

    buf_init(&bytes, OUTPUT_BYTES_MAX);
    part = tokenizer_token_bytes(t, id, &bytes, NULL) == RAG_OK &&
           !utf8_valid(buf_str(&bytes), bytes.len, NULL);
    for (size_t i = 0; part && i < bytes.len; i++)
        buf_printf(ret, "<0x%02X>", (unsigned char)bytes.data[i]);
    buf_release(&bytes);
    return part || tokenizer_decode(t, &id, 1, false, ret, NULL) == RAG_OK;
}

static void put_list(struct output *o, const struct tokenizer *t, const struct token_list *list)
{
    struct buf token;

    buf_init(&token, OUTPUT_BYTES_MAX);
    json_begin_array(&o->ids_json, NULL);
    json_begin_array(&o->types_json, NULL);
    json_begin_array(&o->tokens_json, NULL);
    for (size_t i = 0; i < list->n; i++) {
        json_put_int(&o->ids_json, NULL, list->ids[i]);
        json_put_int(&o->types_json, NULL, list->types[i]);
        buf_reset(&token);
        if (put_token(t, list->ids[i], &token))
            json_put_string_n(&o->tokens_json, NULL, buf_str(&token), token.len);
        else
            json_put_null(&o->tokens_json, NULL);
    }
    json_end_array(&o->ids_json);
    json_end_array(&o->types_json);
    json_end_array(&o->tokens_json);
    buf_release(&token);
}

/* For people: each token beside its id. */
static void print_list(const struct tokenizer *t, const struct token_list *list)
{
    struct buf line;
    struct buf token;

    buf_init(&line, OUTPUT_BYTES_MAX);
    buf_init(&token, OUTPUT_BYTES_MAX);
    buf_printf(&line, "%zu tokens", list->n);
    if (list->n_full > list->n)
        buf_printf(&line, " of %zu", list->n_full);
    buf_append_char(&line, ':');
    for (size_t i = 0; i < list->n; i++) {
        buf_reset(&token);
        buf_printf(&line, " %u=", list->ids[i]);
        if (put_token(t, list->ids[i], &token))
            print_one_line(&line, buf_str(&token), token.len, 0);
    }
    printf("%s\n", buf_str(&line));
    buf_release(&line);
    buf_release(&token);
}

static enum rag_status print_json(struct output *o, bool pairs, struct rag_error *reterr)
{
    json_end_array(&o->ids_json);
    json_end_array(&o->types_json);
    json_end_array(&o->tokens_json);
    if (buf_status(&o->ids) != RAG_OK || buf_status(&o->types) != RAG_OK ||
        buf_status(&o->tokens) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model tokenize: out of memory");
    printf("{\"ids\":%s%s%s,\"tokens\":%s}\n", buf_str(&o->ids), pairs ? ",\"types\":" : "",
           pairs ? buf_str(&o->types) : "", buf_str(&o->tokens));
    return RAG_OK;
}

/* Of a folder, or of a GGUF file (the only one of a folder without config.json, too). */
static enum rag_status open_tokenizer(const char *path, struct tokenizer **ret,
                                      struct rag_error *reterr)
{
    enum rag_status status;
    struct gguf *g = NULL;
    char *file = NULL;
    size_t n;

    if (decoder_gguf_path(path, &file, NULL) != RAG_OK)
        file = NULL;
    n = file ? strlen(file) : 0;
    if (n < 5 || strcmp(file + n - 5, ".gguf") != 0) {
        status = tokenizer_open(path, ret, reterr);
    } else {
        status = gguf_open(file, &g, reterr);
        if (status == RAG_OK)
            status = tokenizer_open_gguf(g, ret, reterr);
    }
    gguf_close(g);
    free(file);
    return status;
}

static enum rag_status tokenize_texts(struct model_run *run, bool special, struct rag_error *reterr)
{
    const struct tokenize_options options = {.special = special,
                                             .max_tokens = (size_t)run->max_length};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    struct output output;
    bool pairs = false;
    enum rag_status status = open_tokenizer(run->dir, &t, reterr);

    output_init(&output);
    for (size_t i = 0; status == RAG_OK && i < run->texts.n; i++) {
        const struct model_text *text = &run->texts.items[i];
        struct rag_error why = {0};

        status = tokenizer_encode(t, text->text, text->n_bytes, text->pair, text->n_pair_bytes,
                                  &options, &list, &why);
        pairs = pairs || text->pair;
        if (status != RAG_OK)
            rag_fail(reterr, status, "text %zu: %s", i + 1, why.text);
        else if (run->options->json)
            put_list(&output, t, &list);
        else
            print_list(t, &list);
    }
    if (status == RAG_OK && run->options->json)
        status = print_json(&output, pairs, reterr);
    output_release(&output);
    token_list_release(&list);
    tokenizer_close(t);
    return status;
}

int ragctl_model_tokenize(const struct ragctl_options *options, int argc, char **argv)
{
    struct model_run run = {0};
    struct rag_error error = {0};
    const char *pair = NULL;
    bool no_special = false;
    enum rag_status status;
    const struct ragctl_arg table[] = {
        {.name = "--no-special", .flag = &no_special},
        {.name = "--pair",       .text = &pair      },
    };

    status =
        model_run_begin(&run, options, argc, argv, table, sizeof table / sizeof table[0], &error);
    if (status == RAG_OK)
        status = model_run_texts(&run, pair, &error);
    if (status == RAG_OK) {
        run.usage = false;
        status = tokenize_texts(&run, !no_special, &error);
    }
    return model_run_end(&run, status, &error);
}
