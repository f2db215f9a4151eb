#include "text/terms.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "text/question_words.h"

enum weight {
    W_BIGRAM,        /* inside a stem */
    W_STEM,          /* a stem of two syllables or more, beside its bigrams */
    W_SINGLE,        /* a stem of one syllable: its only term */
    W_DOUBT,         /* one syllable + what may be a particle: 회의, 폰이 */
    W_VERB,          /* the key of a verb that showed an ending */
    W_VERB_SINGLE,   /* the same, one syllable */
    W_MAYBE_VERB,    /* the key of a word that may be a verb: 만든, 보낸, and 서울 */
    W_STRADDLE_SURE, /* the bigram over the end of the stem: correlated, but it forgives
                        a wrong cut and words run together */
    W_STRADDLE,      /* the same where the cut is in doubt */
    W_WORD,
    W_PART, /* of a code: AP and 520 in AP-520 */
    W_NUMBER,
    W_UNIT, /* a number with its unit: 3일 */
    W_HAN,
    N_WEIGHTS,
};

/* {in a passage, in a question}, chosen on documentation and sentence pairs (see
 * docs/ANALYZER.md for the measurements); each sits on a plateau, none is sharp. */
static const float weights[N_WEIGHTS][2] = {
    [W_BIGRAM] = {1,    1   },
      [W_STEM] = {0.6f, 0.4f},
    [W_SINGLE] = {1,    0.8f},
      [W_DOUBT] = {0.5f, 0.3f},
    [W_VERB] = {0.6f, 0.4f},
      [W_VERB_SINGLE] = {0.6f, 0.6f},
    [W_MAYBE_VERB] = {0.3f, 0.2f},
      [W_STRADDLE_SURE] = {0.3f, 0.3f},
    [W_STRADDLE] = {0.5f, 0.3f},
      [W_WORD] = {1,    1   },
    [W_PART] = {1,    0.5f},
      [W_NUMBER] = {1,    0.7f},
    [W_UNIT] = {1,    0.7f},
      [W_HAN] = {1,    1   },
};

#define MAYBE_VERB_SYLLABLES_MAX 4  /* longer words without an ending are names */
#define NUMBER_DIGITS_MAX        16 /* a longer one is an identifier: no 만, 억 */

static bool on(const struct term_pass *p, enum feature feature)
{
    return (p->rules->features & (unsigned)feature) != 0;
}

static void push_bytes(struct term_pass *p, size_t from, size_t to, const char *bytes, size_t n,
                       enum term_class class, enum term_kind kind, float weight)
{
    struct term term = {.id = term_id(class, bytes, n),
                        .byte_start = p->w->chars[from].byte_start,
                        .byte_end = p->w->chars[to - 1].byte_end,
                        .position = p->w->position,
                        .weight = p->question ? weight * p->word_weight : weight,
                        .kind = (uint8_t)kind};

    if (p->status == RAG_OK)
        p->status = term_list_push(p->list, &term);
}

static void push(struct term_pass *p, size_t from, size_t to, enum term_class class,
                 enum term_kind kind, float weight)
{
    char bytes[WORD_CHARS_MAX * 4];

    push_bytes(p, from, to, bytes, word_utf8(p->w, from, to, bytes), class, kind, weight);
}

static float weigh(const struct term_pass *p, enum weight weight)
{
    return weights[weight][p->question];
}

static void push_bigram(struct term_pass *p, size_t at, float weight)
{
    push(p, at, at + 2, CLASS_HANGUL, TERM_BIGRAM, weight);
}

static void push_verb(struct term_pass *p, size_t from, const uint32_t *syllables, size_t n,
                      bool sure, float weight)
{
    uint32_t key[WORD_CHARS_MAX];
    char bytes[WORD_CHARS_MAX * 4];
    size_t len = 0;

    if (!korean_verb_key(syllables, n, sure, key))
        return;
    for (size_t i = 0; i < n; i++)
        len += utf8_encode(key[i], bytes + len);
    push_bytes(p, from, from + n, bytes, len, CLASS_VERB, TERM_STEM, weight);
}

/* One syllable and what may or may not be a particle. The whole is a full word when in
 * doubt (결과, 회의), else little more than the syllable (책을). */
static void push_two_syllables(struct term_pass *p, size_t from, enum stem_shape shape)
{
    bool doubt = shape == STEM_AMBIGUOUS;

    push(p, from, from + 1, CLASS_STEM, TERM_STEM, weigh(p, doubt ? W_DOUBT : W_SINGLE));
    if (doubt && on(p, FEATURE_STEMS))
        push(p, from, from + 2, CLASS_STEM, TERM_STEM, weigh(p, W_STEM));
    if (doubt)
        push_bigram(p, from, weigh(p, W_BIGRAM));
    else if (on(p, FEATURE_STRADDLE))
        push_bigram(p, from, weigh(p, W_STRADDLE));
}

/* The terms of the stem itself: as it stands, and by its verb key. */
static void push_whole(struct term_pass *p, size_t from, const uint32_t *syllables,
                       const struct stem *stem)
{
    size_t n = stem->n;

    if (stem->shape == STEM_VERB) {
        push_verb(p, from, syllables, n, true, weigh(p, n == 1 ? W_VERB_SINGLE : W_VERB));
        return;
    }
    if (!on(p, FEATURE_STEMS) && n > 1)
        return;
    push(p, from, from + n, CLASS_STEM, TERM_STEM, weigh(p, n == 1 ? W_SINGLE : W_STEM));
    if (stem->maybe_verb && on(p, FEATURE_VERBS) && n <= MAYBE_VERB_SYLLABLES_MAX)
        push_verb(p, from, syllables, n, stem->shape != STEM_WHOLE, weigh(p, W_MAYBE_VERB));
}

/* The stem of the run [from, to) with all its terms. */
static void push_stem(struct term_pass *p, size_t from, size_t to, const uint32_t *syllables,
                      const struct stem *stem)
{
    size_t n = stem->n;
    float damp = 1;

    if (n == 0)
        return;
    if (n == 1 && to - from == 2 && stem->shape != STEM_VERB) {
        push_two_syllables(p, from, stem->shape);
        return;
    }
    push_whole(p, from, syllables, stem);
    if (p->question && on(p, FEATURE_DAMPING) && n > 2)
        damp = 1 / sqrtf((float)(n - 1)); /* n - 1 bigrams are one thing seen n - 1 times */
    for (size_t i = from; i + 2 <= from + n; i++)
        push_bigram(p, i, weigh(p, W_BIGRAM) * damp);
    if (on(p, FEATURE_STRADDLE) && from + n < to)
        push_bigram(p, from + n - 1,
                    weigh(p, stem->shape == STEM_SURE ? W_STRADDLE_SURE : W_STRADDLE) * damp);
}

/* A quote or bracket that closes: the run behind it belongs to what it closes ('가을'은). */
static bool closes(uint32_t c)
{
    switch (c) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '>':
    case 0x2019: /* single quotation mark */
    case 0x201D: /* double quotation mark */
        return true;
    default:
        return c >= 0x3009 && c <= 0x3011 && c % 2 == 1; /* CJK brackets */
    }
}

static bool stands_after(const struct word *w, size_t from)
{
    if (from == 0)
        return false;
    if (w->chars[from - 1].script != SCRIPT_MARK)
        return true;
    return from > 1 && closes(w->chars[from - 1].c);
}

/* The nouns [from, to) that stand together: the compound and, when it has several
 * morphemes (n_parts > 1, ends in 'ends'), each of them. */
static void push_nouns(struct term_pass *p, size_t from, size_t to, const size_t *ends,
                       size_t n_parts)
{
    uint32_t syllables[WORD_CHARS_MAX];
    struct stem whole = {to - from, STEM_SURE, false};

    for (size_t i = from; i < to; i++)
        syllables[i - from] = p->w->chars[i].c;
    push_stem(p, from, to, syllables, &whole);
    for (size_t i = 0, start = from; n_parts > 1 && i < n_parts; start = ends[i++])
        push(p, start, ends[i], CLASS_STEM, TERM_STEM,
             weigh(p, ends[i] - start == 1 ? W_DOUBT : W_STEM));
}

static void push_verb_morpheme(struct term_pass *p, size_t from, size_t to)
{
    uint32_t syllables[WORD_CHARS_MAX];
    struct stem stem = {to - from, STEM_VERB, false};

    for (size_t i = from; i < to; i++)
        syllables[i - from] = p->w->chars[i].c;
    push_stem(p, from, to, syllables, &stem);
}

/* The run [from, to) by its morphemes. */
static void push_morphemes(struct term_pass *p, size_t from, size_t to)
{
    const struct morpheme_list *list = p->morphemes;
    size_t ends[WORD_CHARS_MAX];
    size_t n_ends = 0;
    size_t noun = from;

    for (size_t at = from, end; at < to; at = end) {
        enum morpheme_kind kind = MORPHEME_OTHER;

        while (p->next_morpheme < list->n &&
               list->items[p->next_morpheme].byte_end <= p->w->chars[at].byte_start)
            p->next_morpheme++;
        end = at + 1;
        if (p->next_morpheme < list->n) {
            kind = (enum morpheme_kind)list->items[p->next_morpheme].kind;
            while (end < to && p->w->chars[end].byte_start < list->items[p->next_morpheme].byte_end)
                end++;
        }
        if (kind == MORPHEME_NOUN) {
            ends[n_ends++] = end;
            continue;
        }
        if (n_ends > 0)
            push_nouns(p, noun, at, ends, n_ends);
        n_ends = 0;
        noun = end;
        if (kind == MORPHEME_VERB)
            push_verb_morpheme(p, at, end);
        else if (kind == MORPHEME_OTHER)
            push_nouns(p, at, end, NULL, 1);
    }
    if (n_ends > 0)
        push_nouns(p, noun, to, ends, n_ends);
}

static void push_hangul(struct term_pass *p, size_t from, size_t to)
{
    const struct term_rules *rules = p->rules;
    uint32_t syllables[WORD_CHARS_MAX];
    bool after = stands_after(p->w, from);
    size_t n = to - from;
    struct stem stem;
    size_t known;

    for (size_t i = 0; i < n; i++)
        syllables[i] = p->w->chars[from + i].c;
    if (p->question && on(p, FEATURE_QUESTION_WORDS) && !after)
        p->word_weight = question_word_weight(syllables, n);
    known = lexicon_prefix(rules->lexicon, syllables, n);
    if (known > 0) {
        struct stem rest = {0, STEM_EMPTY, false};

        if (known < n)
            rest = korean_stem(rules->suffixes, syllables + known, n - known, true,
                               rules->features & (SUFFIX_PARTICLES | SUFFIX_VERBS));
        stem = (struct stem){known, STEM_SURE, false};
        push_stem(p, from, from + known, syllables, &stem);
        stem = rest;
        if (rest.n > 0)
            push_stem(p, from + known, to, syllables + known, &rest);
    } else if (p->morphemes) {
        push_morphemes(p, from, to);
    } else {
        stem = korean_stem(rules->suffixes, syllables, n, after, rules->features);
        push_stem(p, from, to, syllables, &stem);
    }
    p->word_weight = 1;
}

static void push_han(struct term_pass *p, size_t from, size_t to)
{
    if (to - from == 1)
        push(p, from, to, CLASS_HAN, TERM_HANJA, weigh(p, W_HAN));
    for (size_t i = from; i + 2 <= to; i++)
        push(p, i, i + 2, CLASS_HAN, TERM_HANJA, weigh(p, W_HAN));
}

static bool is_digit_at(const struct word *w, size_t i)
{
    return i < w->n && w->chars[i].script == SCRIPT_DIGIT;
}

/* The end of the number at 'from': digits, one decimal point, commas before groups of
 * three (18,500). A second point ends it: 2024.06.11 is three numbers. */
static size_t number_end(const struct word *w, size_t from)
{
    bool point = from >= 2 && w->chars[from - 1].c == '.' && is_digit_at(w, from - 2);
    size_t i = from;

    for (;;) {
        size_t digits = 0;

        while (is_digit_at(w, i))
            i++;
        while (i + 1 < w->n && is_digit_at(w, i + 1 + digits))
            digits++;
        if (digits == 0 || point)
            return i;
        if (w->chars[i].c == '.') {
            if (i + 1 + digits < w->n && w->chars[i + 1 + digits].c == '.')
                return i;
            point = true;
        } else if (w->chars[i].c != ',' || digits != 3) {
            return i;
        }
        i++;
    }
}

/* The number without commas and leading zeros. */
static size_t number_bytes(const struct word *w, size_t from, size_t to, char *ret)
{
    size_t n = 0;

    while (from + 1 < to && w->chars[from].c == '0' && is_digit_at(w, from + 1))
        from++;
    for (size_t i = from; i < to; i++)
        if (w->chars[i].c != ',')
            n += utf8_encode(w->chars[i].c, ret + n);
    return n;
}

/* Zeros that a Korean numeral behind the digits stands for: 3만 is 30000. Not 조, which
 * counts articles of laws far more often than 10^12. */
static size_t numeral_zeros(uint32_t c)
{
    switch (c) {
    case 0xBC31: /* 백 */
        return 2;
    case 0xCC9C: /* 천 */
        return 3;
    case 0xB9CC: /* 만 */
        return 4;
    case 0xC5B5: /* 억 */
        return 8;
    default:
        return 0;
    }
}

/* The unit in the run [from, to) behind a number whose n bytes are in 'bytes'. */
static void push_unit(struct term_pass *p, size_t number, size_t from, size_t to, char *bytes,
                      size_t n)
{
    uint32_t syllables[WORD_CHARS_MAX];
    struct stem stem;

    for (size_t i = from; i < to; i++)
        syllables[i - from] = p->w->chars[i].c;
    stem = korean_stem(p->rules->suffixes, syllables, to - from, true, p->rules->features);
    if (to - from == 1 && syllables[0] == 0xB3C4)
        stem.n = 1; /* 도 behind a number is a degree, not "also" */
    if (stem.n == 0)
        return;
    /* "3일간" is a unit; of a long run only the first syllable is (3회말공격) */
    n += word_utf8(p->w, from, from + (stem.n > 3 ? 1 : stem.n), bytes + n);
    push_bytes(p, number, from + stem.n, bytes, n, CLASS_NUMBER, TERM_NUMBER, weigh(p, W_UNIT));
    for (size_t i = from; i + 2 <= from + stem.n; i++)
        push_bigram(p, i, weigh(p, W_BIGRAM));
}

/* A number and the unit that is written against it. Returns where the rest begins. */
static size_t push_number(struct term_pass *p, size_t from)
{
    char bytes[WORD_CHARS_MAX * 8 + NUMBER_DIGITS_MAX];
    const struct word *w = p->w;
    size_t end = number_end(w, from);
    size_t n = number_bytes(w, from, end, bytes);
    size_t unit = end;
    size_t to = end;

    while (to < w->n && w->chars[to].script == SCRIPT_HANGUL)
        to++;
    if (on(p, FEATURE_UNITS) && to > end && n < NUMBER_DIGITS_MAX && memchr(bytes, '.', n) == NULL)
        for (size_t zeros = numeral_zeros(w->chars[end].c); zeros > 0; zeros--, unit = end + 1)
            bytes[n++] = '0';
    push_bytes(p, from, unit, bytes, n, CLASS_NUMBER, TERM_NUMBER, weigh(p, W_NUMBER));
    if (!on(p, FEATURE_UNITS))
        return end;
    if (to > unit)
        push_unit(p, from, unit, to, bytes, n);
    return to;
}

static bool is_alnum_at(const struct word *w, size_t i)
{
    return i < w->n && (w->chars[i].script == SCRIPT_LETTER || w->chars[i].script == SCRIPT_DIGIT);
}

/* A mark that holds a code together when letters or digits stand on both sides. */
static bool joins(const struct word *w, size_t i)
{
    switch (w->chars[i].c) {
    case '-':
    case '_':
    case '.':
    case '/':
    case ':':
    case '@':
    case '&':
        return is_alnum_at(w, i + 1);
    default:
        return false;
    }
}

/* Harman's S stemmer ("How effective is suffixing?", JASIS 1991): plural -s only. */
static size_t strip_plural(char *bytes, size_t n)
{
    if (n < 4 || bytes[n - 1] != 's' || strchr("sui", bytes[n - 2]) != NULL)
        return n;
    if (n > 4 && bytes[n - 2] == 'e' && bytes[n - 3] == 'i') {
        bytes[n - 3] = 'y';
        return n - 2;
    }
    return n - 1;
}

static void push_part(struct term_pass *p, size_t from, size_t to, bool alone)
{
    char bytes[WORD_CHARS_MAX * 4];
    size_t n;

    if (p->w->chars[from].script == SCRIPT_DIGIT) {
        n = number_bytes(p->w, from, to, bytes);
        push_bytes(p, from, to, bytes, n, CLASS_NUMBER, TERM_NUMBER,
                   weigh(p, alone ? W_NUMBER : W_PART));
        return;
    }
    n = word_utf8(p->w, from, to, bytes);
    if (on(p, FEATURE_ENGLISH))
        n = strip_plural(bytes, n);
    push_bytes(p, from, to, bytes, n, CLASS_WORD, TERM_WORD, weigh(p, alone ? W_WORD : W_PART));
}

/* ++ or # against a name that they are part of: C++, C#. */
static size_t sharp_end(const struct word *w, size_t end)
{
    if (end + 2 <= w->n && w->chars[end].c == '+' && w->chars[end + 1].c == '+')
        return end + 2;
    return end < w->n && w->chars[end].c == '#' ? end + 1 : end;
}

/* Letters and digits up to the first thing that does not hold them together: a word, a
 * number, or a code that is indexed whole (without - and _) and in its parts. */
static size_t push_code(struct term_pass *p, size_t from)
{
    char bytes[WORD_CHARS_MAX * 4];
    const struct word *w = p->w;
    size_t end = from;
    size_t n = 0;
    size_t n_parts = 0;
    bool letters = false;

    while (is_alnum_at(w, end) || (end > from && end < w->n && joins(w, end))) {
        letters = letters || w->chars[end].script == SCRIPT_LETTER;
        if (w->chars[end].script != SCRIPT_MARK &&
            (end == from || w->chars[end].script != w->chars[end - 1].script))
            n_parts++;
        if (w->chars[end].c != '-' && w->chars[end].c != '_')
            n += utf8_encode(w->chars[end].c, bytes + n);
        end++;
    }
    if (!letters)
        return push_number(p, from);
    if (sharp_end(w, end) > end) {
        n += word_utf8(w, end, sharp_end(w, end), bytes + n);
        end = sharp_end(w, end);
        n_parts++;
    }
    if (n_parts > 1 && on(p, FEATURE_CODES))
        push_bytes(p, from, end, bytes, n, CLASS_WORD, TERM_OTHER, weigh(p, W_WORD));
    for (size_t i = from, to; i < end; i = to) {
        to = i + 1;
        if (w->chars[i].script == SCRIPT_MARK)
            continue;
        while (to < end && w->chars[to].script == w->chars[i].script)
            to++;
        push_part(p, i, to, n_parts == 1);
    }
    return end;
}

static size_t push_run(struct term_pass *p, size_t from)
{
    const struct word *w = p->w;
    size_t to = from + 1;

    switch (w->chars[from].script) {
    case SCRIPT_LETTER:
    case SCRIPT_DIGIT:
        return push_code(p, from);
    case SCRIPT_HANGUL:
    case SCRIPT_HAN:
    case SCRIPT_KANA:
        while (to < w->n && w->chars[to].script == w->chars[from].script)
            to++;
        if (w->chars[from].script == SCRIPT_HANGUL)
            push_hangul(p, from, to);
        else
            push_han(p, from, to);
        return to;
    default:
        return to;
    }
}

void terms_of_word(struct term_pass *p)
{
    for (size_t at = 0; at < p->w->n && p->status == RAG_OK;)
        at = push_run(p, at);
}
