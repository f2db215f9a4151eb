#include "text/grapheme.h"

#include <utf8proc.h>

#include "base/bounds.h"
#include "base/utf8.h"

/* Characters between which there is always a boundary, whatever stands around them:
 * they neither extend, prepend, pair nor join. */
static bool plain(uint32_t c)
{
    return (c >= 0x20 && c < 0x7F) || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x4E00 && c <= 0x9FFF);
}

bool grapheme_boundary(const char *s, size_t n, size_t at)
{
    utf8proc_int32_t state = 0;
    uint32_t before;
    size_t start = at;
    size_t step;
    bool cut = true;

    if (at == 0 || at >= n)
        return true;
    if (((unsigned char)s[at] & 0xC0) == 0x80)
        return false;
    /* flags and joined emoji depend on what came before: go back to sure ground */
    for (size_t i = 0; i < GRAPHEME_LOOKBACK_MAX && start > 0; i++) {
        uint32_t here = utf8_decode(s + start, NULL);

        start = utf8_floor(s, n, start - 1);
        if (plain(here) && plain(utf8_decode(s + start, NULL)))
            break;
    }
    before = utf8_decode(s + start, &step);
    for (size_t i = start + step; i <= at; i += step) {
        uint32_t here = utf8_decode(s + i, &step);

        cut = utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)here,
                                               &state);
        before = here;
    }
    return cut;
}

size_t grapheme_floor(const char *s, size_t n, size_t at)
{
    if (at >= n)
        return n;
    at = utf8_floor(s, n, at);
    for (size_t i = 0; i < GRAPHEME_LOOKBACK_MAX && !grapheme_boundary(s, n, at); i++)
        at = utf8_floor(s, n, at - 1);
    return at;
}
