#include "generate/extractive_choose.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/entity.h"
#include "text/particle.h"

#define WORD_BYTES_MAX 90 /* of the question in a reason */

/* Least share of the question's mass that the chosen unit with its surroundings must have. */
#define SUPPORT_MIN      0.22f
/* A second choice: this much of the first one's score, and it adds this much of the mass. */
#define SECOND_SCORE_MIN 0.70f
#define SECOND_GAIN_MIN  0.12f
#define SECOND_TIE       0.93f

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

/* Does the question ask for more than one thing? */
static bool several_parts(const struct reading *r)
{
    static const char *const cues[] = {"각각",  "그리고", " 및 ", "모두", "둘 다", "하고 ", "이고 ",
                                       "이며 ", "고, ",   "와 ",  "과 ",  "차이",  "비교"};

    for (size_t i = 0; i < sizeof cues / sizeof cues[0]; i++)
        if (strstr(r->text, cues[i]))
            return true;
    return false;
}

static bool chosen(const struct choices *c, size_t unit)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].unit == unit)
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

            if (!may_cite(r, i, parts ? 0 : firm) || chosen(c, i) || s->coverage < SUPPORT_MIN)
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
        snprintf(c->reason, sizeof c->reason, "'%.*s'%s 함께 나오는 내용을 찾지 못했습니다.",
                 (int)bytes, word, particle_after(PARTICLE_SUBJECT, word, bytes));
        return;
    }
}

static void refuse_support(const struct reading *r, struct choices *c)
{
    (void)r;
    refuse(c, "no_support");
    snprintf(c->reason, sizeof c->reason, "질문에 답하는 문장을 문서에서 찾지 못했습니다.");
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
    set_span(r, best, &ret->items[ret->n++]);
    add_further(r, ret, firm);
    ret->confidence = r->supports[best].coverage > 1 ? 1 : r->supports[best].coverage;
}
