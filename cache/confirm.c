#include "cache/confirm.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm_internal.h"
#include "text/char_class.h"

/* Chosen on sentence pairs of KorSTS train and questions of ParaKQC; docs/CACHE.md. */
#define FOUND_SHARE_MIN  0.5f  /* of a word's mass, for it to be the same word */
#define EXTRA_SHARE_MAX  0.35f /* of the mass of a text, in words that the other one leaves out */
#define CONTENT_MASS_MIN 0.25f /* less: a word that the analyzer itself counts as empty */

const char *confirm_reason_name(enum confirm_reason reason)
{
    static const char *const names[] = {
        [CONFIRM_YES] = "yes",     [CONFIRM_NUMBER] = "number",     [CONFIRM_DATE] = "date",
        [CONFIRM_NAME] = "name",   [CONFIRM_NEGATION] = "negation", [CONFIRM_OPPOSITE] = "opposite",
        [CONFIRM_ASKED] = "asked", [CONFIRM_WORDS] = "words",       [CONFIRM_PAIR] = "pair",
    };
    return names[reason];
}

/* ---- words ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_bytes(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool word_begins(const struct confirm_word *w, const char *what)
{
    size_t n = strlen(what);
    return w->n >= n && same_bytes(w->s, what, n);
}

bool word_ends(const struct confirm_word *w, const char *what)
{
    size_t n = strlen(what);
    return w->n >= n && same_bytes(w->s + w->n - n, what, n);
}

bool word_is(const struct confirm_word *w, const char *what)
{
    return w->n == strlen(what) && same_bytes(w->s, what, w->n);
}

bool word_contains(const struct confirm_word *w, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= w->n; i++)
        if (same_bytes(w->s + i, what, n))
            return true;
    return false;
}

bool word_is_noun(const struct confirm_word *w, const char *what)
{
    static const char *const particles[] = {
        "",     "에",   "은",   "는",     "이",     "가",   "을", "를",   "의", "로",
        "으로", "에서", "까지", "부터",   "에는",   "에도", "도", "만",   "과", "와",
        "이나", "나",   "인",   "인가요", "입니까", "이면", "면", "에만", "s",  NULL};
    size_t n = strlen(what);

    if (!word_begins(w, what))
        return false;
    for (size_t i = 0; particles[i]; i++)
        if (w->n - n == strlen(particles[i]) && memcmp(w->s + n, particles[i], w->n - n) == 0)
            return true;
    return false;
}

/* Letters, digits, and apostrophes inside a word. false: more than CONFIRM_WORDS_MAX. */
static bool split(struct confirm_side *side)
{
    size_t start = 0;
    bool inside = false;
    size_t step;

    for (size_t i = 0; i <= side->n; i += step) {
        uint32_t c = i < side->n ? utf8_decode(side->text + i, &step) : 0;
        bool part = c != 0 && (char_is_word(c) || (inside && (c == '\'' || c == 0x2019)));

        if (i == side->n)
            step = 1;
        if (part && !inside)
            start = i;
        if (!part && inside) {
            if (side->n_words == CONFIRM_WORDS_MAX)
                return false;
            side->words[side->n_words++] =
                (struct confirm_word){.s = side->text + start, .n = i - start};
        }
        inside = part;
    }
    return true;
}

static bool side_read(struct confirm_side *side, const char *text)
{
    side->text = text;
    side->n = strlen(text);
    side->n_words = 0;
    side->n_facts = 0;
    if (side->n > CONFIRM_BYTES_MAX || !split(side) || !confirm_facts_read(side))
        return false;
    question_analyze(text, side->n, &side->question);
    side->korean = side->question.korean;
    side->asked = confirm_asked(side);
    for (size_t i = 0; i < side->n_words; i++) {
        side->words[i].empty = confirm_word_empty(side, &side->words[i]);
        side->words[i].role = (uint8_t)confirm_role(side, i);
    }
    return true;
}

/* ---- words and their counterparts ---- */

static struct confirm_word *word_at(struct confirm_side *side, uint32_t byte)
{
    const char *at = side->text + byte;
    for (size_t i = 0; i < side->n_words; i++)
        if (at >= side->words[i].s && at < side->words[i].s + side->words[i].n)
            return &side->words[i];
    return NULL;
}

static bool has_term(const struct term_list *terms, uint64_t id)
{
    for (size_t i = 0; i < terms->n; i++)
        if (terms->items[i].id == id)
            return true;
    return false;
}

static void weigh_words(struct confirm_side *side, const struct term_list *terms,
                        const struct term_list *others)
{
    for (size_t i = 0; i < terms->n; i++) {
        const struct term *t = &terms->items[i];
        struct confirm_word *w = word_at(side, t->byte_start);

        if (!w)
            continue;
        w->mass += t->weight;
        if (!has_term(others, t->id))
            continue;
        w->found += t->weight;
        w->stem = w->stem || t->kind != TERM_BIGRAM;
    }
    for (size_t i = 0; i < side->n_words; i++) {
        struct confirm_word *w = &side->words[i];

        w->empty = w->empty || w->mass < CONTENT_MASS_MIN;
        w->matched = w->stem || w->found >= FOUND_SHARE_MIN * w->mass;
    }
}

static bool open_word(const struct confirm_word *w)
{
    return !w->empty && !w->fact && !w->matched;
}

/* Words in other forms of the same verb, or listed as meaning the same. */
static void match_meanings(struct confirm_side *a, struct confirm_side *b)
{
    for (size_t i = 0; i < a->n_words; i++)
        for (size_t k = 0; k < b->n_words; k++) {
            if (!open_word(&a->words[i]) && !open_word(&b->words[k]))
                continue;
            if (!confirm_words_same(&a->words[i], &b->words[k]))
                continue;
            a->words[i].matched = true;
            b->words[k].matched = true;
        }
}

/* How many words of content the other text has no like of; their share of the mass. */
static size_t extra_words(const struct confirm_side *side, float *ret_share)
{
    float all = 0;
    float extra = 0;
    size_t n = 0;

    for (size_t i = 0; i < side->n_words; i++) {
        const struct confirm_word *w = &side->words[i];

        if (w->empty)
            continue;
        all += w->mass;
        if (!open_word(w))
            continue;
        extra += w->mass;
        n++;
    }
    *ret_share = all > 0 ? extra / all : 0;
    return n;
}

/* The word of 'side' that stands for the same noun as w, if there is exactly one: one that begins
 * with the same two syllables, which a particle does not touch. */
static const struct confirm_word *only_like(const struct confirm_side *side,
                                            const struct confirm_word *w)
{
    const struct confirm_word *found = NULL;
    size_t n = side->korean ? utf8_advance(w->s, w->n, 0, 2) : w->n;

    for (size_t i = 0; i < side->n_words; i++) {
        const struct confirm_word *v = &side->words[i];
        if (v->n < n || memcmp(v->s, w->s, n) != 0)
            continue;
        if (found)
            return NULL;
        found = v;
    }
    return found;
}

/* Have two nouns exchanged their roles: 서울에서 부산으로, 부산에서 서울로? */
static bool roles_exchanged(const struct confirm_side *a, const struct confirm_side *b)
{
    size_t n_moved = 0;

    for (size_t i = 0; i < a->n_words; i++) {
        const struct confirm_word *x = &a->words[i];
        const struct confirm_word *y = x->role == ROLE_NONE ? NULL : only_like(b, x);

        if (y && only_like(a, x) && y->role != ROLE_NONE && y->role != x->role)
            n_moved++;
    }
    return n_moved >= 2;
}

static bool words_agree(struct confirm_side *a, struct confirm_side *b)
{
    float share_a;
    float share_b;

    match_meanings(a, b);
    size_t extra_a = extra_words(a, &share_a);
    size_t extra_b = extra_words(b, &share_b);
    /* One word in the place of another is another question; one more may be another way to say it.
     */
    if (extra_a > 0 && extra_b > 0)
        return false;
    return share_a <= EXTRA_SHARE_MAX && share_b <= EXTRA_SHARE_MAX;
}

static enum confirm_reason compare(const struct analyzer *analyzer, struct confirm_side *a,
                                   struct confirm_side *b)
{
    struct term_list terms_a = {0};
    struct term_list terms_b = {0};
    enum confirm_reason reason = confirm_facts_compare(a, b);

    if (reason != CONFIRM_YES)
        return reason;
    if (confirm_negations(a) != confirm_negations(b))
        return CONFIRM_NEGATION;
    if (confirm_opposite(a, b) || roles_exchanged(a, b))
        return CONFIRM_OPPOSITE;
    if (confirm_asked_differs(a, b))
        return CONFIRM_ASKED;
    reason = CONFIRM_WORDS; /* without memory as well: no is the safe answer */
    if (analyzer_question(analyzer, a->text, a->n, &terms_a) == RAG_OK &&
        analyzer_question(analyzer, b->text, b->n, &terms_b) == RAG_OK) {
        weigh_words(a, &terms_a, &terms_b);
        weigh_words(b, &terms_b, &terms_a);
        if (words_agree(a, b))
            reason = CONFIRM_YES;
    }
    term_list_release(&terms_a);
    term_list_release(&terms_b);
    return reason;
}

enum confirm_reason confirm_words(const struct analyzer *analyzer, const char *a, const char *b)
{
    struct confirm_side *sides = malloc(2 * sizeof *sides);
    enum confirm_reason reason = CONFIRM_WORDS;

    if (strcmp(a, b) == 0)
        reason = CONFIRM_YES;
    else if (sides && side_read(&sides[0], a) && side_read(&sides[1], b))
        reason = compare(analyzer, &sides[0], &sides[1]);
    free(sides);
    return reason;
}
