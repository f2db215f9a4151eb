#define _GNU_SOURCE
#include "eval/answer_score.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"

#define NORMAL_BYTES_MAX ((size_t)ANSWER_BYTES_MAX * 16) /* of an answer or a gold text */

struct range {
    uint32_t first;
    uint32_t last;
};

static bool in_ranges(const struct range *ranges, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

/* White_Space of Unicode, which is what Python's str.split() splits at, with the four
 * separators U+001C-1F. */
static bool is_space(uint32_t c)
{
    static const struct range spaces[] = {
        {0x09,   0x0D  },
        {0x1C,   0x20  },
        {0x85,   0x85  },
        {0xA0,   0xA0  },
        {0x1680, 0x1680},
        {0x2000, 0x200A},
        {0x2028, 0x2029},
        {0x202F, 0x202F},
        {0x205F, 0x205F},
        {0x3000, 0x3000},
    };

    return in_ranges(spaces, sizeof spaces / sizeof spaces[0], c);
}

/* Letters beyond ASCII, by taking away what is certainly none: punctuation, symbols,
 * spaces, private use. */
static bool is_foreign_letter(uint32_t c)
{
    static const struct range others[] = {
        {0x80,    0xA9   },
        {0xAB,    0xB4   },
        {0xB6,    0xB9   },
        {0xBB,    0xBF   },
        {0xD7,    0xD7   },
        {0xF7,    0xF7   },
        {0x2000,  0x206F },
        {0x20A0,  0x20CF },
        {0x2100,  0x2101 },
        {0x2103,  0x2106 },
        {0x2108,  0x2109 },
        {0x2116,  0x2118 },
        {0x2190,  0x245F },
        {0x249C,  0x24E9 },
        {0x2500,  0x2BFF },
        {0x2E00,  0x2E7F },
        {0x3000,  0x3004 },
        {0x3008,  0x3020 },
        {0x3030,  0x3030 },
        {0x303D,  0x303F },
        {0x30FB,  0x30FB },
        {0x3200,  0x321E },
        {0x3260,  0x327F },
        {0x3300,  0x33FF },
        {0xE000,  0xF8FF },
        {0xFE00,  0xFE6F },
        {0xFF00,  0xFF0F },
        {0xFF1A,  0xFF20 },
        {0xFF3B,  0xFF40 },
        {0xFF5B,  0xFF65 },
        {0xFFE0,  0xFFFF },
        {0x1F000, 0x1FAFF},
    };

    return c >= 0x80 && !in_ranges(others, sizeof others / sizeof others[0], c);
}

static uint32_t lower(uint32_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    if (c < 0xC0)
        return c;
    if ((c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F) ||
        (c >= 0xFF21 && c <= 0xFF3A))
        return c + 32;
    if (c >= 0x400 && c <= 0x40F)
        return c + 80;
    /* Latin Extended-A is pairs of an upper and a lower letter, at even or at odd places */
    if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14A && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
        return c + (c & 1);
    return c;
}

static bool becomes_space(uint32_t c)
{
    static const uint32_t marks[] = {'\'',   '"',    0x300A, 0x300B, '<',    '>',
                                     0x3008, 0x3009, '(',    ')',    0x2018, 0x2019};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (c == marks[i])
            return true;
    }
    return is_space(c);
}

static bool is_ascii_punctuation(uint32_t c)
{
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
           (c >= 0x7B && c <= 0x7E);
}

static void append_char(struct buf *out, uint32_t c)
{
    char bytes[4];

    buf_append(out, bytes, utf8_encode(c, bytes));
}

void answer_normalize(const char *text, size_t n_bytes, struct buf *out)
{
    bool pending = false; /* a space, if something follows */
    bool any = false;

    for (size_t i = 0; i < n_bytes;) {
        size_t step = utf8_sequence_bytes(text + i, n_bytes - i);
        uint32_t c;

        if (step == 0) {
            i++;
            continue;
        }
        c = lower(utf8_decode(text + i, NULL));
        i += step;
        if (becomes_space(c)) {
            pending = true;
        } else if (!is_ascii_punctuation(c)) {
            if (pending && any)
                buf_append_char(out, ' ');
            append_char(out, c);
            pending = false;
            any = true;
        }
    }
}

static int compare_chars(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The characters of normalised text without its spaces, sorted; malloc'ed. */
static uint32_t *sorted_chars(const struct buf *text, size_t *ret_n)
{
    uint32_t *chars = malloc((text->len + 1) * sizeof *chars);
    size_t n = 0;

    if (!chars)
        return NULL;
    for (size_t i = 0; i < text->len;) {
        size_t step;
        uint32_t c = utf8_decode(text->data + i, &step);

        i += step;
        if (c != ' ')
            chars[n++] = c;
    }
    qsort(chars, n, sizeof *chars, compare_chars);
    *ret_n = n;
    return chars;
}

static double f1_of(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    size_t same = 0;
    double precision;
    double recall;

    for (size_t i = 0, k = 0; i < n_a && k < n_b;) {
        if (a[i] == b[k]) {
            same++;
            i++;
            k++;
        } else if (a[i] < b[k]) {
            i++;
        } else {
            k++;
        }
    }
    if (same == 0)
        return 0.0;
    precision = (double)same / (double)n_a;
    recall = (double)same / (double)n_b;
    return 2.0 * precision * recall / (precision + recall);
}

enum rag_status answer_score(const char *prediction, const char *gold, double *ret_exact,
                             double *ret_f1)
{
    enum rag_status status = RAG_ENOMEM;
    uint32_t *chars_a = NULL;
    uint32_t *chars_b = NULL;
    struct buf a;
    struct buf b;
    size_t n_a = 0;
    size_t n_b = 0;

    buf_init(&a, NORMAL_BYTES_MAX);
    buf_init(&b, NORMAL_BYTES_MAX);
    answer_normalize(prediction, strlen(prediction), &a);
    answer_normalize(gold, strlen(gold), &b);
    if (buf_status(&a) != RAG_OK || buf_status(&b) != RAG_OK)
        goto out;
    chars_a = sorted_chars(&a, &n_a);
    chars_b = sorted_chars(&b, &n_b);
    if (!chars_a || !chars_b)
        goto out;
    *ret_exact = strcmp(buf_str(&a), buf_str(&b)) == 0 ? 1.0 : 0.0;
    *ret_f1 = f1_of(chars_a, n_a, chars_b, n_b);
    status = RAG_OK;
out:
    free(chars_a);
    free(chars_b);
    buf_release(&a);
    buf_release(&b);
    return status;
}

/* Length of a citation mark "[12]" at s, or 0. */
static size_t mark_bytes(const char *s, size_t n)
{
    size_t i = 1;

    if (n < 3 || s[0] != '[')
        return 0;
    while (i < n && i < 6 && s[i] >= '0' && s[i] <= '9')
        i++;
    return i > 1 && i < n && s[i] == ']' ? i + 1 : 0;
}

void answer_without_marks(const char *text, size_t n_bytes, struct buf *out)
{
    size_t plain = 0; /* start of the run that stays */

    for (size_t i = 0; i < n_bytes;) {
        size_t n = mark_bytes(text + i, n_bytes - i);
        size_t end = i;

        if (n == 0) {
            i++;
            continue;
        }
        if (end > plain && text[end - 1] == ' ')
            end--;
        buf_append(out, text + plain, end - plain);
        i += n;
        plain = i;
    }
    buf_append(out, text + plain, n_bytes - plain);
}

static void keep_letters(const char *text, struct buf *out)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence_bytes(text + i, n - i);
        uint32_t c;

        if (step == 0) {
            i++;
            continue;
        }
        c = lower(utf8_decode(text + i, NULL));
        i += step;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '%' || is_foreign_letter(c))
            append_char(out, c);
    }
}

enum rag_status answer_contains(const char *answer, const char *norm, bool *ret)
{
    enum rag_status status;
    struct buf a;
    struct buf b;

    buf_init(&a, NORMAL_BYTES_MAX);
    buf_init(&b, NORMAL_BYTES_MAX);
    keep_letters(answer, &a);
    keep_letters(norm, &b);
    status = buf_status(&a) != RAG_OK ? buf_status(&a) : buf_status(&b);
    if (status == RAG_OK)
        *ret = b.len > 0 && strstr(buf_str(&a), buf_str(&b)) != NULL;
    buf_release(&a);
    buf_release(&b);
    return status;
}
