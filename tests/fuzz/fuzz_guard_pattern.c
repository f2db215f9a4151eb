/* A pattern (the first line) on a text (the rest): it compiles or is named wrong, and ends within
 * its limits: ten times the time that it may take is a failure. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "guard/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_text;

static bool on_finding(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    (void)context;
    (void)detail;
    (void)score;
    if (start >= end || end > n_text)
        abort();
    return true;
}

static int64_t cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct finding_sink sink = {on_finding, NULL};
    const uint8_t *end = memchr(data, '\n', size);
    struct rag_error error = {RAG_OK, ""};
    struct guard_pattern *pattern = NULL;
    char *copy = malloc(size + 1);
    char *text;
    int64_t begun;

    if (!copy || !end || !utf8_valid((const char *)data, size, NULL) || memchr(data, 0, size)) {
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    copy[size] = '\0';
    text = copy + (end - data);
    *text++ = '\0';
    n_text = (size_t)(copy + size - text);
    if (guard_pattern_compile(copy, size % 2, &pattern, &error) == RAG_OK) {
        begun = cpu_ms();
        (void)guard_pattern_find(pattern, text, n_text, NULL, &sink, &error);
        if (cpu_ms() - begun > 10 * GUARD_PATTERN_CPU_MS + 200) /* sanitizers are slow */
            abort();
    } else if (error.text[0] == '\0') {
        abort();
    }
    guard_pattern_free(pattern);
    free(copy);
    return 0;
}
