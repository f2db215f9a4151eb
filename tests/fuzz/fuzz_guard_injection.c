/* Any text: findings lie inside it, in order, and neutralised text has no control token of ASCII.
 */
#include <stdlib.h>
#include <string.h>

#include "guard/injection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
    size_t n;
    uint32_t last;
};

static bool on_finding(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    struct seen *s = context;

    if (!detail || start >= end || end > s->n || start < s->last || !(score > 0 && score <= 1))
        abort();
    s->last = start;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct seen seen = {.n = n};
    const struct finding_sink sink = {on_finding, &seen};
    size_t half = n / 2;
    char *prompt = malloc(half + 1);
    struct buf out;

    if (!prompt)
        return 0;
    injection_find((const char *)data, n, &sink);
    buf_init(&out, 4 * n + 1);
    if (injection_neutralise((const char *)data, n, &out) == RAG_ELIMIT)
        abort();
    buf_release(&out);
    if (half > 0)
        memcpy(prompt, data, half);
    prompt[half] = '\0';
    seen = (struct seen){.n = n - half};
    leak_find((const char *)data + half, n - half, NULL, prompt, &sink);
    free(prompt);
    return 0;
}
