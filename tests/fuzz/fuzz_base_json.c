/* The JSON of HTTP bodies: whatever is accepted prints, and reads back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"collection", "question", "top_k", "filter", NULL};
    struct rag_error error;
    struct json *again = NULL;
    struct json *root = NULL;
    const char *text = NULL;
    char *printed = NULL;
    double number = 0;
    int64_t top_k = 1;
    bool flag;

    if (json_parse((const char *)data, size, "body", &root, &error) != RAG_OK)
        return 0;
    (void)json_only(root, keys, &error);
    (void)json_get_string(root, "question", 64, &text, &error);
    (void)json_get_int(root, "top_k", 1, 50, &top_k, &error);
    (void)json_get_double(root, "filter", 0, 1, &number, &error);
    (void)json_get_bool(root, "stream", &flag, &error);
    if (json_print(root, &printed) == RAG_OK) {
        if (json_parse(printed, strlen(printed), "printed", &again, &error) != RAG_OK)
            abort();
        json_free(again);
        free(printed);
    }
    json_free(root);
    return 0;
}
