/* A GGUF file, any bytes: its tokenizer is an error, or its ids are inside the vocabulary and
 * decode, those of its own tokens' texts before all. */
#include "nn/gguf_internal.h"
#include "tokenizer_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The texts of some tokens, one after another. */
static void encode_own_tokens(const struct tokenizer *t)
{
    struct buf text;

    buf_init(&text, 4096);
    for (uint32_t id = 0; id < t->vocab.n && id < 64; id++) {
        size_t n = 0;
        const char *token = vocab_text(&t->vocab, id, &n);

        if (token && n < 64 && text.len + n < 4000)
            buf_append(&text, token, n);
    }
    fuzz_check_encode(t, buf_str(&text), text.len);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fixed[] = "Caf\xC3\xA9  \xED\x95\x9C\xEA\xB5\xAD! 123 <s>x</s> \xE2\x96\x81y";
    struct gguf g = {.path = "fuzz", .data = data, .n_bytes = size};
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;

    if (gguf_read(&g, &error) == RAG_OK) {
        enum rag_status status = tokenizer_open_gguf(&g, &t, &error);

        if (status == RAG_OK) {
            encode_own_tokens(t);
            fuzz_check_encode(t, fixed, sizeof fixed - 1);
        } else if ((status != RAG_EFORMAT && status != RAG_ELIMIT) || error.text[0] == '\0') {
            fuzz_fail("open", &error);
        }
    }
    tokenizer_close(t);
    gguf_release(&g);
    return 0;
}
