/* A schema on the first line, then bytes of an answer. Each byte goes in as it is or, when it
 * cannot follow, as the next one that can: so answers get deep. What is complete has to be JSON. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "generate/json_schema_internal.h"

#define ANSWER_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const char *answer, size_t n)
{
    struct rag_error error = {RAG_OK, ""};
    struct json *root = NULL;
    enum rag_status status = json_parse(answer, n, "answer", &root, &error);

    /* a map may get a key twice, which RFC 8259 allows and our reader does not */
    assert(status == RAG_OK || strstr(error.text, "twice"));
    json_free(root);
}

static void write_answer(const struct json_schema *s, const uint8_t *bytes, size_t n)
{
    static struct configuration configurations[2];
    char answer[ANSWER_MAX];
    size_t complete = 0; /* bytes of the longest answer that may end */
    size_t length = 0;

    configuration_begin(&configurations[0]);
    for (size_t i = 0; i < n && length < ANSWER_MAX; i++) {
        const struct configuration *now = &configurations[length % 2];
        struct configuration *next = &configurations[(length + 1) % 2];
        unsigned tried = 0;

        for (; tried < 256; tried++) {
            configuration_step(s, now, (unsigned char)(bytes[i] + tried), next);
            if (next->n > 0)
                break;
        }
        if (tried == 256)
            break; /* complete, or as deep as values may get */
        answer[length++] = (char)(bytes[i] + tried);
        (void)configuration_takes_text(s, next);
        if (configuration_complete(s, next))
            complete = length;
    }
    if (complete > 0)
        check_answer(answer, complete);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = newline ? (size_t)(newline - data) : size;
    struct json_schema *s = NULL;

    if (json_schema_compile((const char *)data, n, &s, NULL) != RAG_OK)
        return 0;
    if (newline)
        write_answer(s, newline + 1, size - n - 1);
    json_schema_free(s);
    return 0;
}
