#define _GNU_SOURCE /* memmem */
#include "generate/extractive_choose.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"
#include "text/entity.h"
#include "text/particle.h"

#define WORD_BYTES_MAX 90 /* of the question in a reason */

/* Least share of the question's mass that the chosen unit with its surroundings must have. */
#define SUPPORT_MIN        0.20f
/* The thing asked for ("전화번호") is not in the passage: then the rest must cover this much
 * to be taken for the same thing in other words. */
#define FOCUS_COVERAGE_MIN 0.50f
/* "...한 나라는", "어느 회사": the noun says of what class the answer is, and a text that gives
 * the answer seldom says its class. */
#define CLASS_COVERAGE_MIN 0.32f
#define FOCUS_FOUND_MIN    0.34f
#define FOCUS_WEIGHT_MIN                                                                           \
    0.5f /* 사람, 곳, 이름 weigh less: they are seldom written beside the answer */
/* No value of the kind asked for (몇 명, 얼마, 언제) near the choice: as above. */
#define KIND_COVERAGE_MIN 0.70f
#define KIND_FIT_MIN      0.40f
#define KIND_SCORE        0.80f /* of the best unit's: as near as that a value still counts */
/* A neighbour sentence this close in score is cited with the choice while there is room: the
 * one often names what the other tells. */
#define NEIGHBOUR_MARGIN  0.25f
/* A second choice: this much of the first one's score, and it adds this much of the mass. */
#define SECOND_SCORE_MIN  0.70f
#define SECOND_GAIN_MIN   0.12f
#define SECOND_TIE        0.93f

static void refuse(struct choices *c, const char *code)
{
    c->n = 0;
    snprintf(c->code, sizeof c->code, "%s", code);
}

static size_t cut(const char *s, size_t n)
{
    return n > WORD_BYTES_MAX ? utf8_floor(s, n, WORD_BYTES_MAX) : n;
}

/* Bits of the firm constraints that some passage says. */
static uint32_t firm_wanted(const struct reading *r)
{
    uint32_t somewhere = 0;
    uint32_t firm = 0;

    for (size_t i = 0; i < r->question.n_constraints; i++)
        if (r->question.constraints[i].firm)
            firm |= 1u << i;
    for (size_t i = 0; i < r->request->n_passages; i++)
        somewhere |= r->firm_met[i];
    return firm & somewhere;
}

static bool may_cite(const struct reading *r, size_t unit, uint32_t firm)
{
    return r->supports[unit].eligible && (r->firm_met[r->units.items[unit].passage] & firm) == firm;
}

static size_t best_unit(const struct reading *r, uint32_t firm)
{
    size_t best = UNIT_NOWHERE;

    for (size_t i = 0; i < r->units.n; i++)
        if (may_cite(r, i, firm) &&
            (best == UNIT_NOWHERE || r->supports[i].score > r->supports[best].score))
            best = i;
    return best;
}

/* A place in [start, end) to begin or end a citation at: behind a clause's mark if there is
 * one near, else a space. */
static uint32_t clause_floor(const char *s, uint32_t start, uint32_t at)
{
    uint32_t space = at;

    for (uint32_t i = at; i > start; i--) {
        if (s[i - 1] == ',' || s[i - 1] == ';')
            return i;
        if (s[i - 1] == ' ' && space == at)
            space = i;
        if (at - i > 90)
            break;
    }
    return space;
}

/* At most CITATION_CHARS_MAX characters of the unit around its best candidate. */
static void set_span(const struct reading *r, size_t unit, struct choice *c)
{
    const struct unit *u = &r->units.items[unit];
    const struct support *s = &r->supports[unit];
    const char *text = r->request->passages[u->passage].text;
    uint32_t middle = s->answer_end > s->answer_start ? s->answer_start : u->byte_start;
    uint32_t start = u->byte_start;
    size_t before;

    *c = (struct choice){u->passage, unit, u->byte_start, u->byte_end};
    if (utf8_count(text + u->byte_start, u->byte_end - u->byte_start) <= CITATION_CHARS_MAX)
        return;
    before = utf8_count(text + u->byte_start, middle - u->byte_start);
    if (before > CITATION_CHARS_MAX / 2) {
        size_t skip = before - CITATION_CHARS_MAX / 2;

        start = (uint32_t)utf8_advance(text, u->byte_end, u->byte_start, skip);
        start = clause_floor(text, u->byte_start, start);
        while (start < u->byte_end && text[start] == ' ')
            start++;
    }
    c->byte_start = start;
    c->byte_end = (uint32_t)utf8_advance(text, u->byte_end, start, CITATION_CHARS_MAX);
    if (c->byte_end < u->byte_end) {
        uint32_t end = clause_floor(text, start, c->byte_end);

        c->byte_end = end > start && end > middle ? end : c->byte_end;
    }
    while (c->byte_end > c->byte_start && text[c->byte_end - 1] == ' ')
        c->byte_end--;
}

/* May unit b be joined to the choice, in the same paragraph and within the limit? */
static bool may_join(const struct reading *r, size_t a, size_t b, const struct choice *c)
{
    const struct unit *u = &r->units.items[a];
    const struct unit *v = &r->units.items[b];
    const char *text = r->request->passages[c->passage].text;
    uint32_t start = v->byte_start < c->byte_start ? v->byte_start : c->byte_start;
    uint32_t end = v->byte_end > c->byte_end ? v->byte_end : c->byte_end;

    return v->passage == u->passage && v->line == u->line && v->kind == UNIT_SENTENCE &&
           r->supports[b].score >= r->supports[a].score - NEIGHBOUR_MARGIN &&
           utf8_count(text + start, end - start) <= CITATION_CHARS_MAX;
}

static void join_neighbour(const struct reading *r, struct choice *c)
{
    size_t best = UNIT_NOWHERE;
    size_t u = c->unit;

    if (r->units.items[u].kind != UNIT_SENTENCE ||
        c->byte_end - c->byte_start < r->units.items[u].byte_end - r->units.items[u].byte_start)
        return;
    if (u + 1 < r->units.n && may_join(r, u, u + 1, c))
        best = u + 1;
    if (u > 0 && may_join(r, u, u - 1, c) &&
        (best == UNIT_NOWHERE || r->supports[u - 1].score > r->supports[best].score))
        best = u - 1;
    if (best == UNIT_NOWHERE)
        return;
    if (r->units.items[best].byte_start < c->byte_start)
        c->byte_start = r->units.items[best].byte_start;
    else
        c->byte_end = r->units.items[best].byte_end;
}

/* Does the question ask for more than one thing? */
static bool several_parts(const struct reading *r)
{
    static const char *const cues[] = {"각각",  "그리고", " 및 ", "모두", "둘 다", "하고 ", "이고 ",
                                       "이며 ", "고, ",   "와 ",  "과 ",  "차이",  "비교"};

    for (size_t i = 0; i < sizeof cues / sizeof cues[0]; i++)
        if (memmem(r->text, r->text_bytes, cues[i], strlen(cues[i])))
            return true;
    return false;
}

/* Is the unit, or a part of it, cited already? */
static bool chosen(const struct reading *r, const struct choices *c, size_t unit)
{
    const struct unit *u = &r->units.items[unit];

    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].passage == u->passage && c->items[i].byte_start < u->byte_end &&
            c->items[i].byte_end > u->byte_start)
            return true;
    return false;
}

/* Mass of question words that the passage of unit has and those of the choices lack. */
static float gain(const struct reading *r, const struct choices *c, size_t unit)
{
    size_t n_words = r->query.n_words;
    const float *words = r->word_found + r->units.items[unit].passage * n_words;
    float sum = 0;

    for (size_t w = 0; w < n_words; w++) {
        float best = 0;

        for (size_t i = 0; i < c->n; i++) {
            float found = r->word_found[c->items[i].passage * n_words + w];

            best = found > best ? found : best;
        }
        if (words[w] > best)
            sum += (words[w] - best) * r->query.word_mass[w];
    }
    return r->query.total > 0 ? sum / r->query.total : 0;
}

static void add_further(const struct reading *r, struct choices *c, uint32_t firm)
{
    bool parts = several_parts(r);
    float first = r->supports[c->items[0].unit].score;

    while (c->n < CHOICES_MAX) {
        size_t best = UNIT_NOWHERE;
        float best_value = 0;

        for (size_t i = 0; i < r->units.n; i++) {
            const struct support *s = &r->supports[i];
            float gained = parts ? gain(r, c, i) : 0;
            bool tie = s->score >= SECOND_TIE * first;

            if (!may_cite(r, i, parts ? 0 : firm) || chosen(r, c, i) || s->coverage < SUPPORT_MIN)
                continue;
            if (!tie && !(gained >= SECOND_GAIN_MIN && s->score >= SECOND_SCORE_MIN * first))
                continue;
            if (best == UNIT_NOWHERE || s->score + gained > best_value) {
                best = i;
                best_value = s->score + gained;
            }
        }
        if (best == UNIT_NOWHERE)
            return;
        set_span(r, best, &c->items[c->n++]);
    }
}

static void refuse_constraint(const struct reading *r, struct choices *c, uint32_t met)
{
    for (size_t i = 0; i < r->question.n_constraints; i++) {
        const struct constraint *k = &r->question.constraints[i];
        const char *word = r->text + k->byte_start;
        size_t bytes = cut(word, k->byte_end - k->byte_start);

        if (!k->firm || (met & 1u << i))
            continue;
        refuse(c, "missing_constraint");
        if (r->question.korean)
            snprintf(c->reason, sizeof c->reason, "'%.*s'%s 함께 나오는 내용을 찾지 못했습니다.",
                     (int)bytes, word, particle_after(PARTICLE_SUBJECT, word, bytes));
        else
            snprintf(c->reason, sizeof c->reason, "Nothing was found together with '%.*s'.",
                     (int)bytes, word);
        return;
    }
}

static void refuse_support(const struct reading *r, struct choices *c)
{
    refuse(c, "no_support");
    snprintf(c->reason, sizeof c->reason, "%s",
             r->question.korean ? "질문에 답하는 문장을 문서에서 찾지 못했습니다."
                                : "No sentence of the documents answers the question.");
}

/* Share of the focus noun that the passage has; 1 when the question has none. */
static float focus_found(const struct reading *r, size_t passage)
{
    const struct question *q = &r->question;
    float mass = 0;
    float found = 0;
    const float *words = r->word_found + passage * r->query.n_words;

    for (size_t i = 0; i < r->terms.n; i++) {
        const struct term *t = &r->terms.items[i];

        if (t->byte_start < q->focus_start || t->byte_start >= q->focus_end ||
            t->weight < FOCUS_WEIGHT_MIN)
            continue;
        mass += r->query.mass[i];
        found += r->query.mass[i] * words[r->query.word[i]];
    }
    return mass > 0 ? found / mass : 1;
}

/* Is the focus a class that a clause or 어느, 어떤 narrows down (X를 만든 사람), rather than a
 * property of a thing (X의 무게)? The word before it then ends as an adnominal form does. */
static bool focus_is_class(const struct reading *r)
{
    uint32_t end = r->question.focus_start;
    uint32_t start;
    uint32_t c;

    while (end > 0 && r->text[end - 1] == ' ')
        end--;
    if (end == 0)
        return true;
    start = (uint32_t)utf8_floor(r->text, end, end - 1);
    c = utf8_decode(r->text + start, NULL);
    if (end - start == 3 &&
        (memcmp(r->text + start, "느", 3) == 0 || memcmp(r->text + start, "떤", 3) == 0 ||
         memcmp(r->text + start, "슨", 3) == 0))
        return true;
    return char_final(c) == 4 || char_final(c) == 8; /* ㄴ, ㄹ */
}

/* Is a value of the kind asked for in the best unit or one that is nearly as good? */
static bool kind_found(const struct reading *r, size_t best, uint32_t firm)
{
    for (size_t i = 0; i < r->units.n; i++)
        if (may_cite(r, i, firm) && r->supports[i].fit >= KIND_FIT_MIN &&
            r->supports[i].score >= KIND_SCORE * r->supports[best].score)
            return true;
    return false;
}

static bool asks_value(const struct question *q)
{
    return q->kind == ANSWER_DATE || (q->kind == ANSWER_QUANTITY && q->unit_class != UNIT_NONE);
}

/* Is what the question asks for missing, though its subject is there? Fills the refusal. */
static bool attribute_missing(const struct reading *r, size_t best, uint32_t firm,
                              struct choices *c)
{
    const struct question *q = &r->question;
    const struct support *s = &r->supports[best];
    const char *focus = r->text + q->focus_start;
    size_t bytes = cut(focus, q->focus_end - q->focus_start);
    bool value = asks_value(q);
    bool found = value && kind_found(r, best, firm);

    if (value && !found && s->coverage < KIND_COVERAGE_MIN) {
        refuse(c, "kind_absent");
        if (q->korean)
            snprintf(c->reason, sizeof c->reason, "질문이 묻는 %s 문서에서 찾지 못했습니다.",
                     q->kind == ANSWER_DATE ? "때를" : "수량을");
        else
            snprintf(c->reason, sizeof c->reason, "The documents do not say %s.",
                     q->kind == ANSWER_DATE ? "when" : "how many or how much");
        return true;
    }
    if (found || q->kind == ANSWER_YESNO || q->kind == ANSWER_REASON || q->kind == ANSWER_METHOD ||
        s->coverage >= (focus_is_class(r) ? CLASS_COVERAGE_MIN : FOCUS_COVERAGE_MIN) ||
        focus_found(r, r->units.items[best].passage) >= FOCUS_FOUND_MIN)
        return false;
    refuse(c, "no_support");
    snprintf(c->reason, sizeof c->reason,
             q->korean ? "'%.*s'에 관한 내용을 문서에서 찾지 못했습니다."
                       : "The documents have nothing about '%.*s'.",
             (int)bytes, focus);
    return true;
}

void choose(const struct reading *r, struct choices *ret)
{
    uint32_t firm = firm_wanted(r);
    size_t best = best_unit(r, firm);

    *ret = (struct choices){0};
    if (best == UNIT_NOWHERE && firm != 0) {
        /* Each is said somewhere, but never together. */
        size_t near = best_unit(r, 0);

        if (near != UNIT_NOWHERE)
            refuse_constraint(r, ret, r->firm_met[r->units.items[near].passage]);
        else
            refuse_support(r, ret);
        return;
    }
    if (best == UNIT_NOWHERE || r->supports[best].coverage < SUPPORT_MIN) {
        refuse_support(r, ret);
        return;
    }
    if (r->supports[best].other) {
        refuse_constraint(r, ret, 0);
        return;
    }
    if (attribute_missing(r, best, firm, ret))
        return;
    set_span(r, best, &ret->items[ret->n++]);
    join_neighbour(r, &ret->items[0]);
    add_further(r, ret, firm);
    ret->confidence = r->supports[best].coverage > 1 ? 1 : r->supports[best].coverage;
}
