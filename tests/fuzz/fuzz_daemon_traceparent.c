/* Any header: it is read within its bounds, and what is taken is what it says. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append_hex(char *out, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), 3, "%02x", bytes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traceparent t;
    char again[64] = "-";
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (traceparent_parse(text, &t)) {
        append_hex(again, t.trace_id, sizeof t.trace_id);
        strcat(again, "-");
        append_hex(again, t.span_id, sizeof t.span_id);
        strcat(again, "-");
        if (strncmp(text + 2, again, strlen(again)) != 0)
            abort();
    }
    free(text);
    return 0;
}
