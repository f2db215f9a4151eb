/* Any bytes as tokenizer.json (they begin with '{'), as tokenizer.model (they begin with a piece's
 * key, 0x0A) or as vocab.txt and, behind a NUL byte (tokenizer.model: behind the four bytes
 * "\nEND"), any text: an error, or ids inside the vocabulary that decode. */
#include "tokenizer_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t file_bytes(const char *file, size_t size, size_t *ret_text)
{
    static const char mark[] = "\nEND";
    const char *end = memchr(file, '\0', size);

    if (size > 0 && file[0] == '\n') {
        for (size_t i = 0; i + 4 <= size; i++) {
            if (memcmp(file + i, mark, 4) == 0) {
                *ret_text = i + 4;
                return i;
            }
        }
        *ret_text = size;
        return size;
    }
    *ret_text = end ? (size_t)(end - file) + 1 : size;
    return end ? (size_t)(end - file) : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *file = (const char *)data;
    size_t begin;
    size_t n = file_bytes(file, size, &begin);
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    enum rag_status status;

    if (n > 0 && file[0] == '{')
        status = tokenizer_open_json(file, n, &t, &error);
    else if (n > 0 && file[0] == '\n')
        status = tokenizer_open_sentencepiece(data, n, NULL, 0, &t, &error);
    else
        status = tokenizer_open_vocab_txt(file, n, NULL, 0, &t, &error);
    if (status != RAG_OK) {
        if ((status != RAG_EFORMAT && status != RAG_ELIMIT) || error.text[0] == '\0')
            fuzz_fail("open", &error);
        return 0;
    }
    if (size - begin > 0 && size - begin < 4096) /* longer texts only cost time */
        fuzz_check_encode(t, file + begin, size - begin);
    fuzz_check_encode(t, "Caf\xC3\xA9 \xED\x95\x9C\xEA\xB5\xAD! <s>x", 17);
    tokenizer_close(t);
    return 0;
}
