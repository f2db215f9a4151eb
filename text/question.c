#include "text/question.h"

#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"
#include "text/entity.h"
#include "text/question_focus.h"

#define QUOTED_CHARS_FIRM 12  /* longer quotations are sentences, told in other words too */
#define WORDS_MAX         256 /* of a question; what it asks stands near its end */

struct word {
    const char *s;
    size_t n;
    bool last; /* a sentence or clause ends behind it */
};

struct words {
    const char *text;
    struct word items[WORDS_MAX]; /* the last ones of the question */
    size_t n;
};

static bool begins(const struct word *w, const char *what)
{
    size_t length = strlen(what);

    return w->n >= length && memcmp(w->s, what, length) == 0;
}

static bool ends(const struct word *w, const char *what)
{
    size_t length = strlen(what);

    return w->n >= length && memcmp(w->s + w->n - length, what, length) == 0;
}

static bool is(const struct word *w, const char *what)
{
    return w->n == strlen(what) && memcmp(w->s, what, w->n) == 0;
}

static bool begins_any(const struct word *w, const char *const *list)
{
    for (; *list; list++)
        if (begins(w, *list))
            return true;
    return false;
}

static void add_word(struct words *words, size_t start, size_t end, bool last)
{
    if (words->n == WORDS_MAX) {
        memmove(words->items, words->items + WORDS_MAX / 2, WORDS_MAX / 2 * sizeof words->items[0]);
        words->n = WORDS_MAX / 2;
    }
    words->items[words->n++] = (struct word){words->text + start, end - start, last};
}

static void split(const char *text, size_t n, struct words *ret)
{
    size_t start = 0;
    bool inside = false;
    size_t step;

    ret->text = text;
    ret->n = 0;
    for (size_t i = 0; i < n; i += step) {
        uint32_t c = utf8_decode(text + i, &step);
        bool part = char_is_word(c) || c == '%' || c == 0xFF05;

        if (part && !inside)
            start = i;
        if (!part && inside)
            add_word(ret, start, i, c != ' ' && c != '-');
        inside = part;
    }
    if (inside)
        add_word(ret, start, n, true);
}

static void set_unit(struct question *q, const char *s, size_t n, bool named)
{
    size_t bytes;

    q->unit_class = (uint8_t)unit_read(s, n, &bytes);
    if (bytes == 0) {
        bytes = focus_stem(s, n);
        q->unit_class = bytes > 0 ? UNIT_OTHER : UNIT_NONE;
    }
    if (bytes >= sizeof q->unit)
        bytes = utf8_floor(s, n, sizeof q->unit - 1);
    memcpy(q->unit, s, bytes);
    q->unit[bytes] = '\0';
    q->unit_named = named && bytes > 0;
}

static void set_focus(struct question *q, const struct words *words, const struct word *w)
{
    q->focus_start = (uint32_t)(w->s - words->text);
    q->focus_end = q->focus_start + (uint32_t)focus_stem(w->s, w->n);
}

/* The kind that a noun with its particle asks for; sets focus and unit. */
static enum answer_kind by_noun(struct question *q, const struct words *words, const struct word *w)
{
    const char *unit;
    enum answer_kind kind = focus_kind(w->s, focus_stem(w->s, w->n), &unit);

    set_focus(q, words, w);
    /* 사람이, 곳은: 이 and 은 may also be the noun's own last syllable. */
    if (kind == ANSWER_ANY)
        kind = focus_kind(w->s, w->n, &unit);
    if (*unit)
        set_unit(q, unit, strlen(unit), false);
    return kind;
}

static bool is_span_word(const struct word *w)
{
    static const char *const list[] = {"동안", "간",   "이나", "만에", "정도", "이상", "이내",
                                       "걸",   "안에", "전",   "치",   "차",   "까지", NULL};

    return begins_any(w, list);
}

/* 공사비, 연체료, 지원금: nouns of money end alike. */
static bool is_cost(const struct word *noun)
{
    static const char *const costs[] = {"비", "료", "금", "값", "액", NULL};

    for (size_t i = 0; costs[i]; i++)
        if (noun->n >= 6 && ends(noun, costs[i]))
            return true;
    return false;
}

/* The noun that the words before i make their subject: the nearest one with 은, 는, 이, 가, else
 * the nearest that is no verb; i when there is none. */
static size_t subject_before(const struct words *words, size_t i)
{
    size_t nearest = i;

    for (size_t back = 1; back <= 4 && back <= i; back++) {
        const struct word *w = &words->items[i - back];
        size_t stem = focus_stem(w->s, w->n);

        if (is_predicate(w->s, w->n))
            continue;
        if (nearest == i)
            nearest = i - back;
        if (w->n - stem == 3 && (ends(w, "은") || ends(w, "는") || ends(w, "이") || ends(w, "가")))
            return i - back;
    }
    return nearest;
}

/* 몇 명, 몇 년, 몇%. 'rest' is what stands behind 몇, in the same word or the next. */
static enum answer_kind by_count(struct question *q, const struct words *words, size_t i)
{
    const struct word *w = &words->items[i];
    struct word rest = {w->s + strlen("몇"), w->n - strlen("몇"), w->last};
    struct word after;
    size_t next = i + 1;
    size_t bytes;

    if (rest.n == 0 && next < words->n)
        rest = words->items[next++];
    if (rest.n == 0)
        return ANSWER_QUANTITY;
    set_unit(q, rest.s, rest.n, true);
    if (subject_before(words, i) < i)
        set_focus(q, words, &words->items[subject_before(words, i)]);
    bytes = strlen(q->unit);
    after = (struct word){rest.s + bytes, rest.n - bytes, true};
    if (after.n == 0 && next < words->n)
        after = words->items[next];
    if (q->unit_class == UNIT_YEAR && !is_span_word(&after))
        return ANSWER_DATE;
    if (begins(&rest, "월")) {
        set_unit(q, "월", strlen("월"), true);
        return ANSWER_DATE;
    }
    return ANSWER_QUANTITY;
}

static enum answer_kind by_days(struct question *q, const struct words *words, size_t i)
{
    const struct word *w = &words->items[i];
    bool month_before = i > 0 && ends(&words->items[i - 1], "월");

    set_unit(q, "일", strlen("일"), true);
    if (subject_before(words, i) < i)
        set_focus(q, words, &words->items[subject_before(words, i)]);
    return month_before || begins(w, "며칠날") || begins(w, "며칠에") ? ANSWER_DATE
                                                                      : ANSWER_QUANTITY;
}

static enum answer_kind by_amount(struct question *q, const struct words *words, size_t i)
{
    enum answer_kind kind = ANSWER_ANY;

    /* The noun with its particle is not always the word before: 소음은 최대 얼마 */
    for (size_t back = 1; back <= 3 && back <= i && kind != ANSWER_QUANTITY; back++)
        kind = by_noun(q, words, &words->items[i - back]);
    if (kind != ANSWER_QUANTITY && subject_before(words, i) < i) {
        const struct word *w = &words->items[subject_before(words, i)];
        struct word noun = {w->s, focus_stem(w->s, w->n), false};

        set_focus(q, words, w);
        if (is_cost(&noun) || is(&words->items[i], "얼마에"))
            set_unit(q, "원", strlen("원"), false);
    }
    return ANSWER_QUANTITY;
}

static enum answer_kind by_what(struct question *q, const struct words *words, size_t i)
{
    static const char *const naming[] = {"무엇이라", "뭐라", "무어라", NULL};
    const struct word *w = &words->items[i];
    enum answer_kind kind;

    if (begins_any(w, naming))
        return ANSWER_NAME;
    if (i == 0)
        return ANSWER_ANY;
    if (ends(&words->items[i - 1], "란")) {
        set_focus(q, words, &words->items[i - 1]);
        return ANSWER_DEFINITION;
    }
    kind = by_noun(q, words, &words->items[i - 1]);
    /* 감독은 무엇 asks for a thing: only names, dates and such are kept. */
    return kind == ANSWER_PERSON ? ANSWER_ANY : kind;
}

/* 어느 나라, 어떤 방법으로, 무슨 요일. */
static enum answer_kind by_which(struct question *q, const struct words *words, size_t i)
{
    if (i + 1 >= words->n)
        return ANSWER_ANY;
    if (begins(&words->items[i + 1], "정도")) {
        set_focus(q, words, &words->items[i > 0 ? i - 1 : i + 1]);
        return ANSWER_QUANTITY;
    }
    return by_noun(q, words, &words->items[i + 1]);
}

/* 신청은 어떻게 하나요; but 가격이 어떻게 되나요 asks for the price. */
static enum answer_kind by_how(struct question *q, const struct words *words, size_t i)
{
    static const char *const amounts[] = {"되", "돼", "됩", NULL};
    static const char *const naming[] = {"부르", "불리", "불렸", NULL};

    if (i + 1 < words->n && begins_any(&words->items[i + 1], naming))
        return ANSWER_NAME;
    if (i > 0 && i + 1 < words->n && begins_any(&words->items[i + 1], amounts)) {
        enum answer_kind kind = by_noun(q, words, &words->items[i - 1]);

        return kind == ANSWER_ANY ? ANSWER_METHOD : kind;
    }
    return ANSWER_METHOD;
}

/* The kind that a question word at i asks for; false when it is none. */
static bool by_question_word(struct question *q, const struct words *words, size_t i)
{
    static const char *const who[] = {"누구", "누가", "누군", "누굴", NULL};
    static const char *const where[] = {"어디", "어딘", "어딜", NULL};
    static const char *const what[] = {"무엇", "뭐", "뭘", "무얼", "뭔", "무어", NULL};
    static const char *const why[] = {"왜", "어째서", NULL};
    static const char *const how[] = {"어떻게", "어떡", "어찌", NULL};
    const struct word *w = &words->items[i];
    enum answer_kind kind;

    if (begins_any(w, who))
        kind = ANSWER_PERSON;
    else if (begins_any(w, where))
        kind = ANSWER_PLACE;
    else if (begins(w, "언제"))
        kind = ANSWER_DATE;
    else if (begins_any(w, why))
        kind = ANSWER_REASON;
    else if (begins(w, "며칠"))
        kind = by_days(q, words, i);
    else if (begins(w, "몇"))
        kind = by_count(q, words, i);
    else if (begins(w, "얼마") || begins(w, "얼만"))
        kind = by_amount(q, words, i);
    else if (begins_any(w, how))
        kind = by_how(q, words, i);
    else if (is(w, "어느") || is(w, "어떤") || is(w, "무슨"))
        kind = by_which(q, words, i);
    else if (begins_any(w, what))
        kind = by_what(q, words, i);
    else
        return false;
    if (q->focus_end == q->focus_start && subject_before(words, i) < i)
        set_focus(q, words, &words->items[subject_before(words, i)]);
    q->kind = kind;
    return true;
}

/* Without a question word: "...의 수도는?", "신청 방법 알려 줘", "...해도 되나요?" */
static void by_last_word(struct question *q, const struct words *words)
{
    static const char *const asking[] = {"알려",   "말해", "설명", "가르쳐", "궁금", "찾아",
                                         "주세요", "줘",   "줄래", "부탁",   NULL};
    size_t i = words->n;
    enum answer_kind kind;

    while (i > 1 && begins_any(&words->items[i - 1], asking))
        i--;
    if (i == 0)
        return;
    kind = by_noun(q, words, &words->items[i - 1]);
    if (kind == ANSWER_ANY && i == words->n &&
        asks_yesno(words->items[i - 1].s, words->items[i - 1].n))
        kind = ANSWER_YESNO;
    q->kind = kind;
}

/* macOS, iPhone, Windows: written with capitals inside or a capital and small letters, a word
 * names a product or a person; PC and pdf are common nouns. */
static bool is_brand(const char *s, size_t n)
{
    bool capital = false;
    bool small = false;

    for (size_t i = 0; i < n; i++) {
        capital = capital || (s[i] >= 'A' && s[i] <= 'Z');
        small = small || (s[i] >= 'a' && s[i] <= 'z');
    }
    return capital && small && n >= 3;
}

/* In a text without Hangul a capital at the beginning of a sentence says nothing: "How", "Who". */
static bool begins_sentence(const char *text, size_t n, const struct entity *e)
{
    size_t before = e->byte_start;
    size_t step;

    for (size_t i = 0; i < n; i += step)
        if (char_is_hangul(utf8_decode(text + i, &step)))
            return false;
    while (before > 0 && text[before - 1] == ' ')
        before--;
    return before == 0 || strchr(".?!:", text[before - 1]);
}

/* An ordinal or identifier says which one; an amount may be said in other ways. */
static bool is_firm(const char *text, size_t n, const struct entity *e)
{
    static const char *const letters_off[] = {"PC", "TV", "IT", "AS", "FAQ", NULL};

    if (e->kind == ENTITY_DATE)
        return e->year > 0 || e->day > 0 || e->month > 0;
    if (e->kind == ENTITY_NUMBER)
        return e->unit == UNIT_GRADE || e->unit == UNIT_FLOOR || e->unit == UNIT_ARTICLE;
    if (e->kind == ENTITY_QUOTED)
        return utf8_count(text + e->byte_start, e->byte_end - e->byte_start) <= QUOTED_CHARS_FIRM;
    if (e->kind == ENTITY_LATIN)
        return is_brand(text + e->byte_start, e->byte_end - e->byte_start) &&
               !begins_sentence(text, n, e);
    if (e->kind != ENTITY_CODE)
        return false;
    for (size_t i = 0; letters_off[i]; i++)
        if (e->byte_end - e->byte_start == strlen(letters_off[i]) &&
            memcmp(text + e->byte_start, letters_off[i], e->byte_end - e->byte_start) == 0)
            return false;
    return true;
}

static void find_constraints(const char *text, size_t n, struct question *q)
{
    static const uint8_t kinds[] = {
        [ENTITY_NUMBER] = CONSTRAINT_NUMBER, [ENTITY_DATE] = CONSTRAINT_NUMBER,
        [ENTITY_CODE] = CONSTRAINT_CODE,     [ENTITY_LATIN] = CONSTRAINT_NAME,
        [ENTITY_QUOTED] = CONSTRAINT_QUOTED,
    };
    struct entity e;
    size_t at = 0;

    while (q->n_constraints < CONSTRAINTS_MAX && entity_next(text, n, &at, &e))
        q->constraints[q->n_constraints++] = (struct constraint){
            .byte_start = e.byte_start,
            .byte_end = e.byte_end,
            .kind = kinds[e.kind],
            .firm = is_firm(text, n, &e),
        };
}

void question_analyze(const char *text, size_t n, struct question *ret)
{
    struct words words;
    bool found = false;

    memset(ret, 0, sizeof *ret);
    ret->korean = text_has_hangul(text, n);
    split(text, n, &words);
    /* Of two question words the first asks, the second is its measure: 언제 몇 명이. */
    for (size_t i = 0; i < words.n && !found; i++)
        found = by_question_word(ret, &words, i);
    if (!found)
        by_last_word(ret, &words);
    find_constraints(text, n, ret);
}

/* The characters of a text without case, width and space; 0 at the end. */
static uint32_t plain_next(const char *s, size_t n, size_t *at)
{
    while (*at < n) {
        size_t step;
        uint32_t c = utf8_decode(s + *at, &step);

        *at += step;
        if (c >= 0xFF01 && c <= 0xFF5E)
            c -= 0xFEE0;
        if (c >= 'A' && c <= 'Z')
            c += 32;
        if (c != ' ' && c != '\n' && c != '\t')
            return c;
    }
    return 0;
}

static bool occurs(const char *what, size_t n_what, const char *text, size_t n)
{
    size_t step;

    for (size_t start = 0; start < n; start += step) {
        size_t i = 0;
        size_t k = start;
        uint32_t c;

        utf8_decode(text + start, &step);
        while ((c = plain_next(what, n_what, &i)) != 0)
            if (plain_next(text, n, &k) != c)
                break;
        if (c == 0)
            return true;
    }
    return n_what == 0;
}

/* A date may be said in parts: the year in a heading or sentence before, then the day. */
static bool date_in_parts(const struct entity *wanted, const char *text, size_t n)
{
    struct entity year = {.kind = ENTITY_DATE, .year = wanted->year};
    struct entity rest = *wanted;
    struct entity found;
    bool has_year = wanted->year == 0;
    bool has_rest = wanted->month == 0;
    size_t at = 0;

    rest.year = 0;
    while (entity_next(text, n, &at, &found)) {
        has_year = has_year || entity_same(text, &year, text, &found);
        has_rest = has_rest || (wanted->month > 0 && entity_same(text, &rest, text, &found));
    }
    return has_year && has_rest;
}

bool constraint_met(const char *question, const struct constraint *constraint, const char *text,
                    size_t n)
{
    struct entity wanted;
    struct entity found;
    size_t at = constraint->byte_start;

    if (constraint->kind == CONSTRAINT_NAME || constraint->kind == CONSTRAINT_QUOTED)
        return occurs(question + constraint->byte_start,
                      constraint->byte_end - constraint->byte_start, text, n);
    if (!entity_next(question, constraint->byte_end, &at, &wanted))
        return true;
    at = 0;
    if (wanted.kind == ENTITY_DATE && (wanted.year > 0 || wanted.month > 0))
        return date_in_parts(&wanted, text, n);
    while (entity_next(text, n, &at, &found))
        if (entity_same(question, &wanted, text, &found))
            return true;
    return false;
}

const char *answer_kind_name(enum answer_kind kind)
{
    static const char *const names[] = {
        [ANSWER_ANY] = "any",           [ANSWER_PERSON] = "person",
        [ANSWER_PLACE] = "place",       [ANSWER_DATE] = "date",
        [ANSWER_QUANTITY] = "quantity", [ANSWER_NAME] = "name",
        [ANSWER_YESNO] = "yesno",       [ANSWER_REASON] = "reason",
        [ANSWER_METHOD] = "method",     [ANSWER_DEFINITION] = "definition",
    };

    return names[kind];
}
