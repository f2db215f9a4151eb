/* N-grams of a text, hashed.
 *
 * Of each word (letters and digits, folded as injection_fold() does, so that look-alikes and what
 * nobody sees change nothing): the word, the pair with the word before, and runs of 2 to 4 of its
 * characters with its edges marked. Korean words carry particles; the runs see past them. A count
 * tf is damped to 1 + ln tf, and the whole has length 1. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "base/utf8.h"
#include "guard/classifier_internal.h"
#include "guard/injection_fold.h"
#include "text/char_class.h"

#define EDGE 0x110000u /* no code point: before and behind a word */

enum { KIND_WORD = 1, KIND_PAIR, KIND_RUN };

void classifier_features_release(struct classifier_features *f)
{
    free(f->places);
    free(f->values);
    memset(f, 0, sizeof *f);
}

static bool add(struct classifier_features *f, uint64_t hash)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 512;
        uint32_t *places = realloc(f->places, cap * sizeof *places);
        float *values;

        if (!places)
            return false;
        f->places = places;
        values = realloc(f->values, cap * sizeof *values);
        if (!values)
            return false;
        f->values = values;
        f->cap = cap;
    }
    f->places[f->n++] = (uint32_t)(splitmix_next(&hash) >> (64 - CLASSIFIER_HASH_BITS));
    return true;
}

static uint64_t hash_of(unsigned kind, const uint32_t *chars, size_t n)
{
    uint64_t h = kind;

    for (size_t i = 0; i < n; i++)
        h = (h ^ chars[i]) * UINT64_C(0x100000001B3) + (h >> 32); /* FNV's prime */
    return h;
}

/* chars[0, n): a word between two edges. */
static bool add_word(struct classifier_features *f, const uint32_t *chars, size_t n,
                     uint64_t *before)
{
    uint64_t word = hash_of(KIND_WORD, chars + 1, n - 2);
    const uint32_t pair[] = {(uint32_t)*before, (uint32_t)(*before >> 32), (uint32_t)word,
                             (uint32_t)(word >> 32)};

    if (!add(f, word) || (*before != 0 && !add(f, hash_of(KIND_PAIR, pair, 4))))
        return false;
    for (size_t length = 2; length <= 4; length++)
        for (size_t i = 0; i + length <= n; i++)
            if (!add(f, hash_of(KIND_RUN, chars + i, length)))
                return false;
    *before = word;
    return true;
}

static int by_place(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void count(struct classifier_features *f)
{
    double squares = 0;
    size_t n = 0;

    if (f->n > 0)
        qsort(f->places, f->n, sizeof *f->places, by_place);
    for (size_t i = 0; i < f->n;) {
        size_t k = i;
        float value;

        while (k < f->n && f->places[k] == f->places[i])
            k++;
        value = 1 + logf((float)(k - i));
        f->places[n] = f->places[i];
        f->values[n++] = value;
        squares += (double)value * (double)value;
        i = k;
    }
    f->n = n;
    for (size_t i = 0; i < n; i++)
        f->values[i] = (float)((double)f->values[i] / sqrt(squares));
}

enum rag_status classifier_features_of(const char *text, size_t n, struct classifier_features *f)
{
    uint32_t chars[CLASSIFIER_WORD_CHARS_MAX + 2] = {EDGE};
    size_t n_chars = 1;
    uint64_t before = 0;

    f->n = 0;
    for (size_t i = 0, step; i <= n; i += step) {
        uint32_t c = ' ';

        step = 1;
        if (i < n && (step = utf8_sequence_bytes(text + i, n - i)) > 0)
            c = injection_fold(utf8_decode(text + i, NULL));
        else
            step = 1;
        if (c == 0)
            continue;
        if (char_is_word(c) && n_chars <= CLASSIFIER_WORD_CHARS_MAX) {
            chars[n_chars++] = c;
            continue;
        }
        if (n_chars > 1) {
            chars[n_chars] = EDGE;
            if (!add_word(f, chars, n_chars + 1, &before))
                return RAG_ENOMEM;
            n_chars = 1;
            if (char_is_word(c)) /* a longer word goes on as another one */
                chars[n_chars++] = c;
        }
    }
    count(f);
    return RAG_OK;
}
