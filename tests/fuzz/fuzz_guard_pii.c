/* Any text: personal data is found in order and never twice, words and both on the boundaries of
 * characters. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "guard/keywords.h"
#include "guard/pii.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct check {
    char *text;
    size_t n;
    uint32_t end;
    bool ordered;
};

static bool is_boundary(const struct check *c, uint32_t at)
{
    return at == c->n || ((unsigned char)c->text[at] & 0xC0) != 0x80;
}

static bool on_finding(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    struct check *c = context;

    if (start >= end || end > c->n || !is_boundary(c, start) || !is_boundary(c, end))
        abort();
    if (c->ordered && (start < c->end || detail[0] == '\0' || score <= 0 || score > 1))
        abort();
    c->end = end;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"비밀", "내부 기밀", "secret", "a"};
    struct check c = {.text = malloc(size + 1), .n = size, .ordered = true};
    const struct finding_sink sink = {on_finding, &c};
    struct keywords *k = NULL;

    if (!c.text)
        return 0;
    memcpy(c.text, data, size);
    if (utf8_valid(c.text, size, NULL)) {
        pii_find(c.text, size, PII_ALL, &sink);
        c.ordered = false;
        for (int whole = 0; whole < 2; whole++) {
            if (keywords_new(whole, &k, NULL) != RAG_OK)
                break;
            for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                if (keywords_add(k, words[i], strlen(words[i]), NULL) != RAG_OK)
                    abort();
            if (keywords_build(k, NULL) == RAG_OK)
                keywords_find(k, c.text, size, &sink);
            keywords_free(k);
        }
    }
    free(c.text);
    return 0;
}
