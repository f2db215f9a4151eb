/* Lines of 'ragctl model --file': what is read are valid texts, what is not has a message. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/ragctl/ragctl_model_texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_utf8(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence_bytes(text + i, n - i);

        if (step == 0)
            abort();
        i += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rag_error error = {RAG_OK, ""};
    struct model_texts t = {0};

    if (model_texts_parse((const char *)data, size, "fuzz", &t, &error) != RAG_OK) {
        if (error.text[0] == '\0' || t.items)
            abort();
        return 0;
    }
    for (size_t i = 0; i < t.n; i++) {
        must_be_utf8(t.items[i].text, t.items[i].n_bytes);
        if (t.items[i].pair)
            must_be_utf8(t.items[i].pair, t.items[i].n_pair_bytes);
    }
    model_texts_release(&t);
    return 0;
}
