#include "daemon/ragctl/ragctl_model_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl_print.h"
#include "generate/chat_template.h"
#include "nn/decoder.h"
#include "nn/tokenizer.h"

#define OUTPUT_BYTES_MAX (1u << 20)

struct decoder_check {
    const char *path;
    struct model_tensors *tensors; /* owned, as all below */
    struct tokenizer *tokenizer;
    struct chat_template *chat; /* NULL: see 'problem' */
    struct decoder *decoder;
    struct rag_error problem; /* of the chat template */
    struct decoder_info info;
    struct decoder_facts facts;
    char fingerprint[SHA256_HEX_BYTES];
};

/* ---- loading ---- */

static enum rag_status open_chat(struct decoder_check *c, struct rag_error *reterr)
{
    const struct gguf *g = model_tensors_gguf(c->tensors);
    struct chat_template_source source = {
        .family = decoder_family_name(model_tensors_config(c->tensors)->family)};
    char *text = NULL;
    enum rag_status status = g ? chat_template_text_of_gguf(g, &text, &source.n_bytes, reterr)
                               : chat_template_text_of_dir(c->path, &text, &source.n_bytes, reterr);

    source.text = text;
    if (status == RAG_OK)
        status = chat_template_open(&source, c->tokenizer, &c->chat, reterr);
    free(text);
    return status;
}

static enum rag_status load(struct decoder_check *c, struct compute_pool *pool,
                            struct rag_error *reterr)
{
    const struct decoder_options options = {
        .precision = DECODER_BLOCKS, .dense_type = BLOCK_Q8_0, .pool = pool};
    uint8_t digest[SHA256_BYTES];
    const struct gguf *g;
    enum rag_status status = model_tensors_open(c->path, &c->tensors, reterr);

    if (status != RAG_OK)
        return status;
    decoder_facts(c->tensors, &c->facts);
    g = model_tensors_gguf(c->tensors);
    status = g ? tokenizer_open_gguf(g, &c->tokenizer, reterr)
               : tokenizer_open(c->path, &c->tokenizer, reterr);
    if (status == RAG_OK && open_chat(c, &c->problem) == RAG_ENOMEM)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", c->path);
    if (status == RAG_OK)
        status = model_tensors_digest(c->tensors, pool, digest, reterr);
    if (status == RAG_OK)
        status = decoder_open(c->tensors, &options, &c->decoder, reterr);
    if (status != RAG_OK)
        return status;
    sha256_hex(digest, c->fingerprint);
    decoder_info(c->decoder, &c->info);
    return RAG_OK;
}

static void check_release(struct decoder_check *c)
{
    decoder_close(c->decoder);
    chat_template_close(c->chat);
    tokenizer_close(c->tokenizer);
    model_tensors_close(c->tensors);
}

/* ---- output ---- */

static void put_json(const struct decoder_check *c, struct buf *out)
{
    const struct decoder_config *m = model_tensors_config(c->tensors);
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "path", c->path);
    json_put_string(&w, "kind", "decoder");
    json_put_string(&w, "format", model_tensors_gguf(c->tensors) ? "gguf" : "safetensors");
    json_put_string(&w, "family", c->info.family);
    json_put_int(&w, "parameters", (int64_t)c->facts.n_parameters);
    json_put_int(&w, "layers_count", (int64_t)m->n_layers);
    json_put_int(&w, "hidden", (int64_t)m->hidden);
    json_put_int(&w, "heads", (int64_t)m->n_heads);
    json_put_int(&w, "kv_heads", (int64_t)m->n_kv_heads);
    json_put_int(&w, "head_dim", (int64_t)m->head_dim);
    json_put_int(&w, "intermediate", (int64_t)m->intermediate);
    json_put_int(&w, "vocab_size", (int64_t)m->vocab_size);
    json_put_int(&w, "tokenizer_tokens", (int64_t)tokenizer_vocab_size(c->tokenizer));
    json_put_int(&w, "context_max", (int64_t)m->context_max);
    json_put_bool(&w, "tied", m->tied);
    json_put_string(&w, "chat_template", c->chat ? chat_template_name(c->chat) : NULL);
    json_put_string(&w, "problem", c->chat ? NULL : c->problem.text);
    json_put_int(&w, "file_bytes", (int64_t)model_tensors_bytes(c->tensors));
    json_put_int(&w, "memory_bytes", (int64_t)c->info.bytes);
    json_put_int(&w, "kv_bytes_per_token", (int64_t)c->info.kv_bytes_per_token);
    json_put_string(&w, "kernels", c->info.kernels);
    json_put_string(&w, "fingerprint", c->fingerprint);
    json_begin_array(&w, "eos_ids");
    for (size_t i = 0; i < m->n_eos; i++)
        json_put_int(&w, NULL, m->eos_ids[i]);
    json_end_array(&w);
    json_begin_array(&w, "types");
    for (size_t i = 0; i < BLOCK_TYPES; i++) {
        if (c->facts.types[i].n_tensors == 0)
            continue;
        json_begin_object(&w, NULL);
        json_put_string(&w, "type", block_type_name((enum block_type)i));
        json_put_int(&w, "tensors", (int64_t)c->facts.types[i].n_tensors);
        json_put_int(&w, "bytes", (int64_t)c->facts.types[i].n_bytes);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

static void put_types(const struct decoder_check *c, struct buf *out)
{
    struct print_table table;

    print_table_init(&table, "lrr");
    print_table_cell(&table, "TYPE");
    print_table_cell(&table, "TENSORS");
    print_table_cell(&table, "SIZE");
    for (size_t i = 0; i < BLOCK_TYPES; i++) {
        struct buf size;

        if (c->facts.types[i].n_tensors == 0)
            continue;
        buf_init(&size, 64);
        progress_append_bytes(&size, c->facts.types[i].n_bytes);
        print_table_cell(&table, "%s", block_type_name((enum block_type)i));
        print_table_cell(&table, "%llu", (unsigned long long)c->facts.types[i].n_tensors);
        print_table_cell(&table, "%s", buf_str(&size));
        buf_release(&size);
    }
    print_table_append(&table, out);
    print_table_release(&table);
}

static void put_text(const struct decoder_check *c, struct buf *out)
{
    const struct decoder_config *m = model_tensors_config(c->tensors);

    buf_printf(out, "%s: decoder, %s, %zu layers of %zu, %.1f million parameters, %s\n", c->path,
               c->info.family, m->n_layers, m->hidden, (double)c->facts.n_parameters / 1e6,
               c->info.kernels);
    buf_printf(out, "fingerprint %s\n\n", c->fingerprint);
    buf_printf(out, "attention     %zu heads of %zu, %zu of keys and values\n", m->n_heads,
               m->head_dim, m->n_kv_heads);
    buf_printf(out, "feed-forward  %zu\n", m->intermediate);
    buf_printf(out, "vocabulary    %zu tokens, %zu in the tokenizer; the head %s\n", m->vocab_size,
               tokenizer_vocab_size(c->tokenizer),
               m->tied ? "is the embedding table" : "is a matrix of its own");
    buf_printf(out, "context       %zu tokens, keys and values of one take ", m->context_max);
    progress_append_bytes(out, c->info.kv_bytes_per_token);
    buf_append_str(out, "\nfile          ");
    progress_append_bytes(out, model_tensors_bytes(c->tensors));
    buf_append_str(out, "\nmemory        ");
    progress_append_bytes(out, c->info.bytes);
    buf_printf(out, " when loaded\nchat template %s\n\n",
               c->chat ? chat_template_name(c->chat) : "none");
    put_types(c, out);
    if (c->chat)
        buf_append_str(out, "\nverdict: it can be loaded and chatted with\n");
    else
        buf_printf(out, "\nverdict: it can be loaded; to chat, its template must be named: %s\n",
                   c->problem.text);
}

int ragctl_model_check_decoder(const struct ragctl_options *options, const char *path,
                               struct compute_pool *pool)
{
    struct decoder_check c = {.path = path};
    struct rag_error error = {0};
    enum rag_status status = load(&c, pool, &error);
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (status == RAG_OK) {
        if (options->json)
            put_json(&c, &out);
        else
            put_text(&c, &out);
        status = buf_status(&out);
        if (status == RAG_OK)
            fputs(buf_str(&out), stdout);
        else
            rag_fail(&error, status, "model check: out of memory");
    }
    buf_release(&out);
    check_release(&c);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
