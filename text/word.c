#include "text/word.h"

#include <utf8proc.h>

#include "base/utf8.h"

#define FOLD_MAX 4 /* characters that one may fold to: ㎨ -> m/s2 */

void word_reader_init(struct word_reader *r, const char *text, size_t n)
{
    *r = (struct word_reader){.text = text, .n = n};
}

static enum script classify_ascii(uint32_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return SCRIPT_LETTER;
    if (c >= '0' && c <= '9')
        return SCRIPT_DIGIT;
    return c <= ' ' ? SCRIPT_SPACE : SCRIPT_MARK;
}

static enum script classify(uint32_t c)
{
    if (c < 0x80)
        return classify_ascii(c);
    if (c >= 0xAC00 && c <= 0xD7A3)
        return SCRIPT_HANGUL;
    if ((c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || c >= 0x20000)
        return c < 0x40000 ? SCRIPT_HAN : SCRIPT_MARK;
    if ((c >= 0x3041 && c <= 0x3096) || (c >= 0x30A1 && c <= 0x30FF && c != 0x30FB))
        return SCRIPT_KANA;
    if (c >= 0x3131 && c <= 0x318E)
        return SCRIPT_JAMO;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return SCRIPT_LETTER;
    case UTF8PROC_CATEGORY_ND:
        return SCRIPT_DIGIT;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return SCRIPT_SPACE;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CC:
        return c == 0x85 || c == 0x200B ? SCRIPT_SPACE : SCRIPT_IGNORED;
    default:
        return SCRIPT_MARK;
    }
}

/* Fold one character that is neither ASCII nor a Hangul syllable nor a common Han
 * character. Returns how many characters it becomes. */
static size_t fold_rare(uint32_t c, uint32_t ret[FOLD_MAX])
{
    const utf8proc_option_t options =
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK;
    utf8proc_int32_t points[FOLD_MAX];
    utf8proc_ssize_t n;

    n = utf8proc_decompose_char((utf8proc_int32_t)c, points, FOLD_MAX, options, NULL);
    if (n > FOLD_MAX || n < 0 || (n > 0 && classify((uint32_t)points[0]) == SCRIPT_SPACE)) {
        ret[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        ret[i] = (uint32_t)points[i];
    return (size_t)n;
}

/* Compatibility jamo decompose to conjoining ones and kana to half-voiced pairs: both
 * are kept as they are. */
static bool folds_to_itself(enum script script)
{
    return script == SCRIPT_HANGUL || script == SCRIPT_HAN || script == SCRIPT_KANA ||
           script == SCRIPT_JAMO;
}

static void push(struct word *w, uint32_t c, enum script script, size_t start, size_t end)
{
    if (script == SCRIPT_SPACE || script == SCRIPT_IGNORED || w->n == WORD_CHARS_MAX)
        return;
    w->chars[w->n++] = (struct word_char){.c = c,
                                          .byte_start = (uint32_t)start,
                                          .byte_end = (uint32_t)end,
                                          .script = (uint8_t)script};
}

static void push_folded(struct word *w, uint32_t c, enum script script, size_t start, size_t end)
{
    uint32_t folded[FOLD_MAX];
    size_t n;

    if (c < 0x80) {
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        push(w, c, script, start, end);
        return;
    }
    if (folds_to_itself(script)) {
        push(w, c, script, start, end);
        return;
    }
    n = fold_rare(c, folded);
    for (size_t i = 0; i < n; i++)
        push(w, folded[i], classify(folded[i]), start, end);
}

bool word_next(struct word_reader *r, struct word *ret)
{
    ret->n = 0;
    if (!r->inside)
        ret->position = r->position;
    while (r->at < r->n && ret->n + FOLD_MAX <= WORD_CHARS_MAX) {
        size_t step;
        uint32_t c = utf8_decode(r->text + r->at, &step);
        enum script script = classify(c);

        if (script == SCRIPT_SPACE) {
            r->at += step;
            r->inside = false;
            if (ret->n == 0)
                continue;
            ret->position = r->position++;
            return true;
        }
        push_folded(ret, c, script, r->at, r->at + step);
        r->at += step;
    }
    ret->position = r->position;
    r->inside = r->at < r->n;
    return ret->n > 0;
}

size_t word_utf8(const struct word *w, size_t from, size_t to, char *ret)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        n += utf8_encode(w->chars[i].c, ret + n);
    return n;
}
