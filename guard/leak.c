/* Where an answer repeats the system prompt.
 *
 * Both are folded (injection_fold.h) and reduced to letters and digits, so that other spacing,
 * case, marks and invisible characters between change nothing. All runs of LEAK_GRAM characters of
 * the prompt are in a hash table; a run that the answer has as well is followed as far as it goes.
 * What the question holds too is the person's own, and no leak. */
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "guard/injection.h"
#include "guard/injection_fold.h"
#include "text/char_class.h"

#define LEAK_GRAM  8 /* characters of a run that is followed */
#define LEAK_SLOTS (2 * LEAK_PROMPT_CHARS_MAX)

struct prompt {
    uint32_t chars[LEAK_PROMPT_CHARS_MAX];
    size_t n;
    uint16_t slots[LEAK_SLOTS]; /* place + 1 of a gram */
};

/* The next letter or digit at or after *at, folded; 0 at the end. *ret_end: behind it. */
static uint32_t next_letter(const char *s, size_t n, size_t *at, size_t *ret_end)
{
    while (*at < n) {
        size_t step = utf8_sequence_bytes(s + *at, n - *at);
        uint32_t c = step > 0 ? injection_fold(utf8_decode(s + *at, NULL)) : 0;

        if (char_is_word(c)) {
            *ret_end = *at + step;
            return c;
        }
        *at += step > 0 ? step : 1;
    }
    return 0;
}

static size_t slot_of(const uint32_t *chars)
{
    uint64_t h = 0;

    for (size_t i = 0; i < LEAK_GRAM; i++)
        h = (h ^ chars[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h >> 40) % LEAK_SLOTS;
}

static bool same(const uint32_t *a, const uint32_t *b)
{
    return memcmp(a, b, LEAK_GRAM * sizeof *a) == 0;
}

static void read_prompt(const char *text, struct prompt *p)
{
    size_t n = strlen(text);
    size_t at = 0;
    size_t end;
    uint32_t c;

    p->n = 0;
    memset(p->slots, 0, sizeof p->slots);
    while (p->n < LEAK_PROMPT_CHARS_MAX && (c = next_letter(text, n, &at, &end)) != 0) {
        p->chars[p->n++] = c;
        at = end;
    }
    for (size_t i = 0; i + LEAK_GRAM <= p->n; i++) {
        size_t slot = slot_of(p->chars + i);

        while (p->slots[slot] != 0 && !same(p->chars + p->slots[slot] - 1, p->chars + i))
            slot = (slot + 1) % LEAK_SLOTS;
        if (p->slots[slot] == 0) /* of equal grams the first one counts */
            p->slots[slot] = (uint16_t)(i + 1);
    }
}

/* The place in the prompt of a gram, or p->n. */
static size_t place_of(const struct prompt *p, const uint32_t gram[LEAK_GRAM])
{
    for (size_t slot = slot_of(gram); p->slots[slot] != 0; slot = (slot + 1) % LEAK_SLOTS)
        if (same(p->chars + p->slots[slot] - 1, gram))
            return p->slots[slot] - 1u;
    return p->n;
}

static unsigned weight_of(uint32_t c)
{
    return char_is_hangul(c) || char_is_han(c) ? 2 : 1;
}

/* Does the text hold chars[0, n), other characters between them or not? */
static bool holds(const char *text, const uint32_t *chars, size_t n)
{
    size_t bytes = text ? strlen(text) : 0;
    size_t end;

    for (size_t from = 0; next_letter(text, bytes, &from, &end) != 0; from = end) {
        size_t at = from;
        size_t behind;
        size_t i = 0;

        while (i < n && next_letter(text, bytes, &at, &behind) == chars[i]) {
            at = behind;
            i++;
        }
        if (i == n)
            return true;
    }
    return false;
}

/* The last letters of the answer, and where they begin. */
struct tail {
    uint32_t chars[LEAK_GRAM];
    uint32_t starts[LEAK_GRAM];
    size_t n;
};

static void tail_push(struct tail *t, uint32_t c, size_t start)
{
    if (t->n == LEAK_GRAM) {
        memmove(t->chars, t->chars + 1, (LEAK_GRAM - 1) * sizeof t->chars[0]);
        memmove(t->starts, t->starts + 1, (LEAK_GRAM - 1) * sizeof t->starts[0]);
        t->n--;
    }
    t->chars[t->n] = c;
    t->starts[t->n++] = (uint32_t)start;
}

void leak_find(const char *answer, size_t n, const char *question, const char *system_prompt,
               const struct finding_sink *sink)
{
    struct prompt p;
    struct tail tail = {.n = 0};
    size_t at = 0;
    size_t end = 0;
    uint32_t c;

    if (!system_prompt || n > UINT32_MAX)
        return;
    read_prompt(system_prompt, &p);
    while ((c = next_letter(answer, n, &at, &end)) != 0) {
        size_t place;
        size_t length = LEAK_GRAM;
        unsigned weight = 0;

        tail_push(&tail, c, at);
        at = end;
        if (tail.n < LEAK_GRAM || (place = place_of(&p, tail.chars)) == p.n)
            continue;
        for (size_t next = at, behind; place + length < p.n; length++) {
            if (next_letter(answer, n, &next, &behind) != p.chars[place + length])
                break;
            at = next = end = behind;
        }
        for (size_t i = 0; i < length; i++)
            weight += weight_of(p.chars[place + i]);
        tail.n = 0;
        if (weight >= LEAK_RUN_WEIGHT && !holds(question, p.chars + place, length) &&
            !sink->on_finding(sink->context, "system_prompt", tail.starts[0], (uint32_t)end, 1.0F))
            return;
    }
}
