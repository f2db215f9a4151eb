/* A GGUF file, any bytes: what is accepted lies inside the file, every key can be asked for as
 * every type, and a configuration that is read is within the limits that memory is sized by. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bounds.h"
#include "nn/decoder_config.h"
#include "nn/gguf_internal.h"
#include "nn/kv_attention.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that may be read: ASan sees what is outside. */
static unsigned touch(const void *data, size_t n)
{
    const uint8_t *p = data;

    return n > 0 ? (unsigned)(p[0] + p[n - 1]) : 0;
}

static unsigned ask_items(const struct gguf *g, const char *name)
{
    struct gguf_array a;
    unsigned sum = 0;

    if (gguf_get_array(g, name, &a, NULL) != RAG_OK)
        return 0;
    for (size_t k = 0; k < 2 && a.n > 0; k++) { /* the first and the last */
        size_t i = k ? a.n - 1 : 0;
        struct gguf_string s;
        int64_t n;
        double f;

        if (gguf_array_string(g, &a, i, &s, NULL) == RAG_OK)
            sum += touch(s.text, s.n_bytes);
        if (gguf_array_int(g, &a, i, &n, NULL) == RAG_OK)
            sum += (unsigned)n;
        if (gguf_array_float(g, &a, i, &f, NULL) == RAG_OK)
            sum += f > 0.0;
    }
    return sum;
}

static unsigned ask_keys(const struct gguf *g)
{
    unsigned sum = 0;

    for (size_t i = 0; i < g->n_keys; i++) {
        char name[GGUF_KEY_BYTES_MAX + 1] = {0};
        struct gguf_string s;
        uint64_t u;
        double f;
        bool b;

        for (size_t k = 0; k < g->keys[i].name.n_bytes; k++)
            name[k] = g->keys[i].name.text[k];
        if (gguf_find_key(g, name) != &g->keys[i])
            abort();
        if (gguf_get_string(g, name, &s, NULL) == RAG_OK)
            sum += touch(s.text, s.n_bytes);
        if (gguf_get_uint(g, name, &u, NULL) == RAG_OK)
            sum += (unsigned)u;
        if (gguf_get_float(g, name, &f, NULL) == RAG_OK)
            sum += f > 0.0;
        if (gguf_get_bool(g, name, &b, NULL) == RAG_OK)
            sum += b;
        sum += ask_items(g, name);
    }
    return sum;
}

static unsigned read_tensors(const struct gguf *g)
{
    unsigned sum = 0;
    float block[256];

    for (size_t i = 0; i < gguf_count(g); i++) {
        const struct gguf_tensor *t = gguf_at(g, i);
        size_t n = block_elements(t->type);

        if (gguf_find(g, t->name) != t || t->n_rows == 0 || t->n_cols < n)
            abort();
        sum += touch(t->data, t->n_rows * t->row_bytes);
        blocks_read_f32(t->type, t->data + t->n_rows * t->row_bytes - block_bytes(t->type), n,
                        block);
        sum += block[n - 1] > 0.0f;
    }
    return sum;
}

static void read_config(const struct gguf *g)
{
    struct decoder_config c = {0};

    if (decoder_config_of_gguf(g, &c, NULL) != RAG_OK)
        return;
    if (c.n_layers == 0 || c.n_layers > DECODER_LAYERS_MAX || c.hidden == 0 ||
        c.hidden > DECODER_HIDDEN_MAX || c.n_kv_heads == 0 || c.n_heads % c.n_kv_heads != 0 ||
        c.head_dim % 2 != 0 || c.head_dim > KV_HEAD_DIM_MAX || c.vocab_size == 0 ||
        c.vocab_size > DECODER_VOCAB_MAX || c.context_max > DECODER_CONTEXT_MAX ||
        !(c.norm_epsilon > 0.0f) || !(c.rope_theta >= 1.0f) || c.n_eos > DECODER_EOS_MAX)
        abort();
    decoder_config_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf g = {.path = "fuzz", .data = data, .n_bytes = size};
    struct rag_error error;

    if (gguf_read(&g, &error) == RAG_OK) {
        volatile unsigned sum = ask_keys(&g) + read_tensors(&g);

        (void)sum;
        read_config(&g);
    }
    gguf_release(&g);
    return 0;
}
