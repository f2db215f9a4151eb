/* Any bytes as Markdown: an error, or a document and chunks that keep every invariant. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/embed/chunk_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct chunker_options options = {CHUNK_CHARS_MIN, CHUNK_CHARS_MIN / 4};
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};
    enum rag_status status =
        extract_document(FORMAT_MARKDOWN, (const char *)data, size, &e, &error);

    if (status == RAG_OK) {
        const char *wrong = check_document(&e, &options);

        if (wrong) {
            fprintf(stderr, "%s\n", wrong);
            abort();
        }
        extracted_release(&e);
    } else if ((status != RAG_EFORMAT && status != RAG_ELIMIT) || error.text[0] == '\0') {
        fprintf(stderr, "status %d: %s\n", status, error.text);
        abort();
    }
    return 0;
}
