/* Phrases in a sentence, and the rules that they fulfil together. */
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "guard/injection_internal.h"
#include "guard/injection_phrases.h"
#include "text/char_class.h"

#define BIT(c) (UINT64_C(1) << (c))

static bool is_latin(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(uint32_t c)
{
    return is_latin(c) || char_is_hangul(c) || (c >= '0' && c <= '9');
}

/* Does a character of the text pass for a letter of a phrase? */
static bool passes(uint32_t text, uint32_t wanted)
{
    if (text == wanted)
        return true;
    switch (text) {
    case '0':
        return wanted == 'o';
    case '1':
    case '!':
        return wanted == 'i' || wanted == 'l';
    case '3':
        return wanted == 'e';
    case '4':
    case '@':
        return wanted == 'a';
    case '5':
    case '$':
        return wanted == 's';
    case '7':
        return wanted == 't';
    default:
        return false;
    }
}

/* What may stand between two syllables of a phrase: Korean is spaced as one likes. */
static size_t skip_marks(const struct injection_window *w, size_t i)
{
    size_t end = i + INJECTION_MARKS_MAX;

    while (i < w->n && i < end && w->chars[i] < 0x80 && !is_letter(w->chars[i]) &&
           !strchr("<>[](){}|:;,?!", (int)w->chars[i]))
        i++;
    return i < w->n && w->chars[i] == 0xB7 ? i + 1 : i;
}

static size_t match_ending(const struct injection_window *w, size_t at, const char *const *endings)
{
    for (; *endings; endings++) {
        size_t i = at;
        size_t step;
        const char *e = *endings;
        size_t end = 0;

        for (; *e && *e != '.'; e += step) {
            uint32_t c = utf8_decode(e, &step);

            i = skip_marks(w, i);
            if (w->chars[i] != c)
                break;
            end = ++i;
        }
        if (*e == '\0' || (*e == '.' && !char_is_hangul(w->chars[i])))
            return end;
    }
    return 0;
}

/* The end of the phrase at window character 'at'; 0: it is not there. */
static size_t match_phrase(const struct injection_window *w, size_t at, const char *phrase)
{
    size_t i = at;
    size_t step = 1;
    uint32_t before = at > 0 ? w->chars[at - 1] : ' ';
    uint32_t last = 0;

    if (*phrase == '^') {
        if (char_is_hangul(before))
            return 0;
        phrase++;
    }
    if (!w->spaced && is_latin((unsigned char)*phrase) && is_latin(before))
        return 0;
    for (; *phrase && *phrase != '|'; phrase += step) {
        uint32_t c = utf8_decode(phrase, &step);

        if (c == '!' || c == '&' || c == '%' || c == '#')
            return match_ending(w, i,
                                c == '!'   ? injection_endings_any
                                : c == '&' ? injection_endings_order
                                : c == '%' ? injection_endings_plain
                                           : injection_endings_sure);
        if (c == '*')
            return i;
        if (c == ' ') {
            size_t from = i;

            while (i < w->n && i - from < INJECTION_MARKS_MAX && !is_letter(w->chars[i]))
                i++;
            if (i == from && !w->spaced && is_latin(last) && is_latin((unsigned char)phrase[1]))
                return 0;
        } else {
            if (char_is_hangul(c) && last)
                i = skip_marks(w, i);
            if (i >= w->n || !passes(w->chars[i], c))
                return 0;
            i++;
        }
        last = c;
    }
    if (!w->spaced && is_latin(last) && is_latin(w->chars[i]))
        return 0;
    return i;
}

/* ---- by their first character ---- */

#define BUCKETS INJECTION_PHRASE_BUCKETS

static unsigned bucket_of(uint32_t c)
{
    return (c ^ c >> 6) % BUCKETS;
}

/* The phrase behind this one, or NULL. */
static const char *next_phrase(const char *phrase)
{
    while (*phrase && *phrase != '|')
        phrase++;
    return *phrase ? phrase + 1 : NULL;
}

static unsigned bucket_of_phrase(const char *s)
{
    return bucket_of(utf8_decode(*s == '^' ? s + 1 : s, NULL));
}

void injection_index_phrases(struct injection_index *index)
{
    uint16_t at[BUCKETS];

    memset(index->first, 0, sizeof index->first);
    for (size_t c = 0; c < CONCEPTS; c++)
        for (const char *s = injection_phrases[c]; s; s = next_phrase(s))
            index->first[bucket_of_phrase(s) + 1]++;
    for (size_t b = 0; b < BUCKETS; b++)
        index->first[b + 1] = (uint16_t)(index->first[b + 1] + index->first[b]);
    assert(index->first[BUCKETS] <= INJECTION_PHRASES_MAX);
    memcpy(at, index->first, sizeof at);
    for (size_t c = 0; c < CONCEPTS; c++)
        for (const char *s = injection_phrases[c]; s; s = next_phrase(s))
            index->items[at[bucket_of_phrase(s)]++] =
                (struct injection_phrase){(uint16_t)(s - injection_phrases[c]), (uint8_t)c};
}

/* ---- hits ---- */

struct hits {
    struct injection_hit items[INJECTION_HITS_MAX];
    size_t n;
    uint64_t seen;    /* concepts of them */
    uint64_t context; /* and of those between quotes that are dropped */
};

/* The Latin word that ends before 'at', as up to 15 letters; returns where it begins. */
static size_t word_before(const struct injection_window *w, size_t at, char ret[16])
{
    size_t end = at;
    size_t n = 0;
    size_t begin;

    while (end > 0 && at - end < 3 && (w->chars[end - 1] == ' ' || w->chars[end - 1] == '"'))
        end--;
    begin = end;
    while (begin > 0 && end - begin < 15 &&
           (is_latin(w->chars[begin - 1]) || w->chars[begin - 1] == '\''))
        begin--;
    for (size_t i = begin; i < end; i++)
        ret[n++] = (char)w->chars[i];
    ret[n] = '\0';
    return begin;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* Is the English verb at 'at' an order? Not behind "can", "they", "the" or "not"; behind "to" it
 * is reported, unless it is you who has to. */
static bool is_order(const struct injection_window *w, size_t at, bool *ret_reported)
{
    static const char *const others[] = {
        "not",   "never", "cannot", "can",   "could", "may",     "might",  "will", "would",
        "they",  "he",    "she",    "who",   "which", "it",      "the",    "a",    "an",
        "this",  "that",  "these",  "no",    "of",    "your",    "does",   "did",  "its",
        "their", "an",    "don't",  "won't", "can't", "doesn't", "didn't", "dont", NULL};
    static const char *const obliged[] = {"you",  "need",       "have",  "required", "instructed",
                                          "told", "obliged",    "is",    "are",      "ordered",
                                          "want", "programmed", "going", NULL};
    char word[16];
    size_t begin = word_before(w, at, word);

    *ret_reported = false;
    if (is_one_of(word, others))
        return false;
    if (strcmp(word, "to") == 0) {
        word_before(w, begin, word);
        *ret_reported = !is_one_of(word, obliged);
    }
    return true;
}

static bool is_verb(uint8_t concept)
{
    return concept == CONCEPT_IGNORE || concept == CONCEPT_REVEAL || concept == CONCEPT_ANSWER ||
           concept == CONCEPT_SEND || concept == CONCEPT_TELL || concept == CONCEPT_BECOME;
}

static void add_hit(const struct injection_window *w, struct hits *hits, size_t start, size_t end,
                    uint8_t concept)
{
    struct injection_hit hit = {.concept = concept,
                                .quoted = (w->flags[start] & WINDOW_QUOTED) != 0,
                                .start = (uint16_t)start,
                                .end = (uint16_t)end};

    if (hits->n == INJECTION_HITS_MAX)
        return;
    if (is_verb(concept) && is_latin(w->chars[start]) && !is_order(w, start, &hit.reported))
        return;
    hits->items[hits->n++] = hit;
}

static void find_from(const struct injection_window *w, const struct injection_index *index,
                      uint32_t first, size_t at, struct hits *hits)
{
    unsigned b = bucket_of(first);

    for (size_t k = index->first[b]; k < index->first[b + 1]; k++) {
        const struct injection_phrase *p = &index->items[k];
        size_t end = match_phrase(w, at, injection_phrases[p->concept] + p->at);

        if (end > at)
            add_hit(w, hits, at, end, p->concept);
    }
}

static void find_hits(const struct injection_window *w, const struct injection_index *index,
                      struct hits *hits)
{
    hits->n = 0;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t c = w->chars[i];

        if (c < 0x80 && !is_letter(c) && c != '@' && c != '$' && c != '!')
            continue;
        find_from(w, index, c, i, hits);
        if (c < 0x80 && !is_latin(c) && is_latin(w->chars[i + 1]))
            for (const char *l = "oilease t"; *l; l++)
                if (*l != ' ' && passes(c, (unsigned char)*l))
                    find_from(w, index, (unsigned char)*l, i, hits);
    }
}

/* Without what a CONCEPT_NONE covers, and without what a sentence about attacks quotes. */
static void drop_hits(const struct injection_window *w, struct hits *hits)
{
    bool mention = w->mention;
    bool attacker = false;
    size_t kept = 0;

    for (size_t i = 0; i < hits->n; i++) {
        mention |= hits->items[i].concept == CONCEPT_MENTION && !hits->items[i].quoted;
        attacker |= hits->items[i].concept == CONCEPT_ATTACKER && !hits->items[i].quoted;
    }
    hits->seen = hits->context = 0;
    for (size_t i = 0; i < hits->n; i++) {
        struct injection_hit hit = hits->items[i];
        bool covered = false;

        for (size_t k = 0; k < hits->n && hits->items[k].start <= hit.start; k++)
        covered |= hits->items[k].concept == CONCEPT_NONE && hits->items[k].end >= hit.end;
        if (covered)
            continue;
        hits->context |= BIT(hit.concept);
        if ((hit.quoted && mention) || (hit.reported && attacker))
            continue;
        hits->seen |= BIT(hit.concept);
        hits->items[kept++] = hit;
    }
    hits->n = kept;
}

/* ---- rules ---- */

/* The least end of the hits of a set of concepts. */
static uint32_t end_of(const uint32_t ends[CONCEPTS], uint64_t set)
{
    uint32_t end = UINT32_MAX;

    for (; set != 0; set &= set - 1) {
        uint32_t e = ends[__builtin_ctzll(set)];

        end = e < end ? e : end;
    }
    return end;
}

/* The last place where all needs stand within the span: hits are walked from the right, so that
 * ends[c] is the nearest end of concept c. */
static bool find_rule(const struct injection_rule *rule, const struct hits *hits, uint64_t given,
                      size_t *ret_start, size_t *ret_end)
{
    uint32_t ends[CONCEPTS];
    bool found = false;

    for (size_t k = 0; k < INJECTION_RULE_NEEDS; k++)
        if (rule->needs[k] != 0 && (rule->needs[k] & (hits->seen | given)) == 0)
            return false;
    memset(ends, 0xFF, sizeof ends);
    for (size_t i = hits->n; i-- > 0;) {
        uint32_t end = 0;

        if (hits->items[i].end < ends[hits->items[i].concept])
            ends[hits->items[i].concept] = hits->items[i].end;
        for (size_t k = 0; k < INJECTION_RULE_NEEDS && end != UINT32_MAX; k++) {
            uint32_t e = rule->needs[k] & given ? hits->items[i].end : end_of(ends, rule->needs[k]);

            if (rule->needs[k] != 0)
                end = e > end ? e : end;
        }
        if (end != UINT32_MAX && (rule->span == 0 || end - hits->items[i].start <= rule->span)) {
            *ret_start = hits->items[i].start;
            *ret_end = end;
            found = true;
        }
    }
    return found;
}

size_t injection_window_rules(const struct injection_window *w, const struct injection_index *index,
                              struct injection_found *ret, size_t ret_max, bool *ret_mentions)
{
    struct hits hits;
    uint64_t given = w->flags[0] & WINDOW_COMMENT ? BIT(CONCEPT_COMMENT) : 0;
    size_t n = 0;

    find_hits(w, index, &hits);
    drop_hits(w, &hits);
    *ret_mentions = (hits.context & BIT(CONCEPT_MENTION)) != 0;
    for (size_t i = 0; i < injection_n_rules && n < ret_max; i++) {
        const struct injection_rule *rule = &injection_rules[i];
        size_t start;
        size_t end;

        if ((rule->without & hits.context) != 0 || !find_rule(rule, &hits, given, &start, &end))
            continue;
        ret[n++] = (struct injection_found){rule->detail, w->at[start], w->at[end], rule->score};
    }
    return n;
}
