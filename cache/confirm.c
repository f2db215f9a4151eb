#include "cache/confirm.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm_internal.h"
#include "text/char_class.h"

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

/* Bytes of 'what' when the n bytes at s begin with it, else 0. Some hundred entries of tables are
 * compared for every pair, nearly all of which end at their second byte. */
static size_t starts(const char *s, size_t n, const char *what)
{
    size_t i = 0;
    while (what[i] != '\0' && i < n && lower(s[i]) == lower(what[i]))
        i++;
    return what[i] == '\0' ? i : 0;
}

bool word_begins(const struct confirm_word *w, const char *what)
{
    return starts(w->s, w->n, what) > 0;
}

bool word_ends(const struct confirm_word *w, const char *what)
{
    size_t n = strlen(what);
    return w->n >= n && starts(w->s + w->n - n, n, what) == n;
}

bool word_is(const struct confirm_word *w, const char *what)
{
    return starts(w->s, w->n, what) == w->n;
}

bool word_contains(const struct confirm_word *w, const char *what)
{
    for (size_t i = 0; i < w->n; i++)
        if (lower(w->s[i]) == what[0] && starts(w->s + i, w->n - i, what) > 0)
            return true;
    return false;
}

bool word_is_noun(const struct confirm_word *w, const char *what)
{
    static const char *const particles[] = {
        "에",   "은",   "는",     "이",     "가",   "을", "를",   "의", "로", "으로",
        "에서", "까지", "부터",   "에는",   "에도", "도", "만",   "과", "와", "이나",
        "나",   "인",   "인가요", "입니까", "이면", "면", "에만", "s",  NULL};
    size_t n = starts(w->s, w->n, what);

    if (n == 0 || n == w->n)
        return n > 0;
    for (size_t i = 0; particles[i]; i++)
        if (starts(w->s + n, w->n - n, particles[i]) == w->n - n)
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
    if (side->n > CONFIRM_BYTES_MAX || !split(side) || !confirm_facts_read(side))
        return false;
    question_analyze(text, side->n, &side->question);
    side->korean = side->question.korean;
    side->asked = confirm_asked(side);
    side->asks = side->asked != ANSWER_ANY || strchr(text, '?') != NULL;
    for (size_t i = 0; i < side->n_words; i++) {
        side->words[i].empty = confirm_word_empty(side, &side->words[i]);
        side->words[i].role = (uint8_t)confirm_role(side, i);
    }
    return true;
}

static enum confirm_reason compare(const struct analyzer *analyzer, struct confirm_side *a,
                                   struct confirm_side *b)
{
    enum confirm_reason reason = confirm_facts_compare(a, b);

    if (reason != CONFIRM_YES)
        return reason;
    if (confirm_negations(a) != confirm_negations(b))
        return CONFIRM_NEGATION;
    confirm_match_same(a, b);
    if (confirm_opposite(a, b) || confirm_roles_exchanged(a, b))
        return CONFIRM_OPPOSITE;
    if (confirm_asked_differs(a, b))
        return CONFIRM_ASKED;
    return confirm_words_agree(analyzer, a, b) ? CONFIRM_YES : CONFIRM_WORDS;
}

enum confirm_reason confirm_words(const struct analyzer *analyzer, const char *a, const char *b)
{
    struct confirm_side *sides = NULL;
    enum confirm_reason reason = CONFIRM_WORDS; /* without memory as well: no is the safe answer */

    if (strcmp(a, b) == 0)
        return CONFIRM_YES;
    sides = calloc(2, sizeof *sides);
    if (sides && side_read(&sides[0], a) && side_read(&sides[1], b))
        reason = compare(analyzer, &sides[0], &sides[1]);
    for (size_t i = 0; sides && i < 2; i++)
        term_list_release(&sides[i].terms);
    free(sides);
    return reason;
}
