/* Any text as a configuration: it is read or refused with a message of one line, and what was
 * read is freed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rag_error error = {RAG_OK, ""};
    struct config *config = NULL;
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (config_new(&config, &error) != RAG_OK)
        abort();
    if (config_parse(config, text, "fuzz", &error) != RAG_OK) {
        if (error.text[0] == '\0' || strchr(error.text, '\n'))
            abort();
    } else {
        (void)config_check(config, &error);
    }
    config_free(config);
    free(text);
    return 0;
}
