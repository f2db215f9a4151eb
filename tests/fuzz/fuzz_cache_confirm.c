/* Two questions, parted by the first newline: whatever they say, comparing ends with a verdict, and
 * a question asks for the same as itself. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct analyzer *analyzer;
    const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    char *text;

    if (!analyzer && analyzer_open(NULL, &analyzer, NULL) != RAG_OK)
        return 0;
    if (!newline || size > 8192 || memchr(data, '\0', size) ||
        !utf8_valid((const char *)data, size, NULL))
        return 0;
    text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    text[newline - (const char *)data] = '\0';
    const char *other = text + strlen(text) + 1;
    enum confirm_reason reason = confirm_words(analyzer, text, other);
    assert(reason <= CONFIRM_PAIR && confirm_reason_name(reason));
    assert(confirm_words(analyzer, other, text) <= CONFIRM_PAIR);
    assert(confirm_words(analyzer, text, text) == CONFIRM_YES);
    free(text);
    return 0;
}
