/* Numbers, dates and names of a claim in the passages.
 *
 * A value counts only where what the claim says beside it stands beside it in the unit, too. The
 * words beside a value reach from the value before it to the one behind it. Where a unit has
 * several values of a kind ("어른 1만 6천 원, 어린이 9천 원"), the claim's must not fit another one
 * better. */
#include "generate/grounding_evidence.h"

#include <string.h>
#include <strings.h>

#include "generate/extractive_fit.h"

#define RIVAL_FACTOR   0.05f /* of the mass that only the rival has beside it */
#define LIST_BYTES_MAX 40    /* between the values of a list: about four words */
#define PERSON_MAYBE   0.5f  /* fit_person_next(): a surname and three syllables */
#define PERSON_BESIDE_MIN                                                                          \
    0.45f /* of what the claim says of a person, in the unit that names one                        \
           */

static bool is_value(const struct entity *e)
{
    return e->kind == ENTITY_NUMBER || e->kind == ENTITY_DATE;
}

/* Do they say the same? "11일" is the day of "6월 11일" too. */
static bool same(const struct claim *c, const struct entity *wanted, const char *text,
                 const struct entity *found)
{
    if (wanted->kind == ENTITY_NUMBER && wanted->unit == UNIT_DAY && found->kind == ENTITY_DATE &&
        found->day > 0)
        return wanted->value >= found->day && wanted->value <= found->day;
    return entity_same(c->text, wanted, text, found);
}

static bool text_says(const struct claim *c, const struct entity *wanted, const char *text)
{
    struct entity found;
    size_t at = 0;
    size_t n = strlen(text);

    while (entity_next(text, n, &at, &found))
        if (same(c, wanted, text, &found))
            return true;
    return false;
}

static size_t first_fact(const struct evidence *e, size_t unit)
{
    size_t low = 0;
    size_t high = e->n_facts;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (e->facts[mid].unit < unit)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const char *text_of(const struct evidence *e, size_t unit)
{
    return e->request->passages[e->units.items[unit].passage].text;
}

/* The fact of a unit that says the value, or n_facts. */
static size_t find_fact(const struct evidence *e, size_t unit, const struct entity *wanted)
{
    for (size_t i = first_fact(e, unit); i < e->n_facts && e->facts[i].unit == unit; i++)
        if (same(&e->claim, wanted, text_of(e, unit), &e->facts[i].entity))
            return i;
    return e->n_facts;
}

static bool unit_says(const struct evidence *e, size_t unit, const struct entity *wanted)
{
    return find_fact(e, unit, wanted) < e->n_facts;
}

/* In title, heading, table header or the lines that govern the unit? */
static bool around_says(const struct evidence *e, size_t unit, const struct entity *wanted)
{
    const struct unit *u = &e->units.items[unit];
    const struct generator_passage *p = &e->request->passages[u->passage];

    if (u->header != UNIT_NOWHERE && unit_says(e, u->header, wanted))
        return true;
    for (size_t above = u->above; above != UNIT_NOWHERE; above = e->units.items[above].above)
        if (unit_says(e, above, wanted))
            return true;
    return text_says(&e->claim, wanted, p->title) || text_says(&e->claim, wanted, p->heading) ||
           text_says(&e->claim, wanted, p->context);
}

static bool passage_says(const struct evidence *e, size_t passage, const struct entity *wanted)
{
    for (size_t u = e->first[passage]; u < e->first[passage + 1]; u++)
        if (unit_says(e, u, wanted) || (u == e->first[passage] && around_says(e, u, wanted)))
            return true;
    return false;
}

/* ---- what stands beside a value ---- */

/* The claim's terms in [from, to) of it, numbers left out; their mass in *ret_mass. */
static struct term_set claim_terms(const struct claim *c, size_t from, size_t to, float *ret_mass)
{
    struct term_set s = {{0}};

    *ret_mass = 0;
    for (size_t i = 0; i < c->terms.n; i++) {
        const struct term *t = &c->terms.items[i];

        if (t->byte_start < from || t->byte_start >= to || t->kind == TERM_NUMBER)
            continue;
        term_set_add(&s, i);
        *ret_mass += c->full_mass[i];
    }
    return s;
}

static float mass_of(const struct claim *c, const struct term_set *in, const struct term_set *of,
                     const struct term_set *without)
{
    float sum = 0;

    for (size_t i = 0; i < c->terms.n; i++)
        if (term_set_has(in, i) && term_set_has(of, i) && !(without && term_set_has(without, i)))
            sum += c->full_mass[i];
    return sum;
}

/* The claim's terms between two bytes of a passage; *ret_any: are there words at all? */
static struct term_set terms_between(const struct evidence *e, size_t passage, size_t from,
                                     size_t to, bool *ret_any)
{
    struct term_set s = {{0}};

    *ret_any = false;
    for (size_t k = 0; k < e->terms[passage].n; k++) {
        const struct term *t = &e->terms[passage].items[k];
        size_t term;

        if (t->byte_start < from || t->byte_start >= to || t->kind == TERM_NUMBER)
            continue;
        *ret_any = true;
        term = claim_find(&e->claim, t->id);
        if (term != CLAIM_NONE)
            term_set_add(&s, term);
    }
    return s;
}

/* Where the words in front of a fact begin: behind the value before it that has words in between
 * ("5,000원에서 4,500원": the words of the first one are those of the second). */
static size_t words_before(const struct evidence *e, size_t fact)
{
    const struct unit *u = &e->units.items[e->facts[fact].unit];
    size_t first = first_fact(e, e->facts[fact].unit);
    bool any = false;

    for (size_t i = fact; i-- > first;) {
        if (!is_value(&e->facts[i].entity))
            continue;
        (void)terms_between(e, u->passage, e->facts[i].entity.byte_end,
                            e->facts[fact].entity.byte_start, &any);
        if (any)
            return e->facts[i].entity.byte_end;
    }
    return u->byte_start;
}

static size_t words_behind(const struct evidence *e, size_t fact)
{
    size_t unit = e->facts[fact].unit;

    for (size_t i = fact + 1; i < e->n_facts && e->facts[i].unit == unit; i++)
        if (is_value(&e->facts[i].entity))
            return e->facts[i].entity.byte_start;
    return e->units.items[unit].byte_end;
}

static bool same_kind(const struct entity *a, const struct entity *b)
{
    return a->kind == b->kind && (a->kind != ENTITY_NUMBER || a->unit == b->unit);
}

/* Are two facts neighbours of a list, with few words in between? */
static bool listed(const struct evidence *e, size_t a, size_t b)
{
    size_t first = a < b ? a : b;
    size_t second = a < b ? b : a;

    for (size_t i = first + 1; i < second; i++)
        if (is_value(&e->facts[i].entity))
            return false;
    return e->facts[second].entity.byte_start - e->facts[first].entity.byte_end <= LIST_BYTES_MAX;
}

/* The claim's terms in the last word in front of a fact; *ret_any: there is one. */
static struct term_set nearest_word(const struct evidence *e, size_t fact, bool *ret_any)
{
    size_t passage = e->units.items[e->facts[fact].unit].passage;
    size_t from = words_before(e, fact);
    const struct term_list *terms = &e->terms[passage];
    struct term_set s = {{0}};
    uint32_t position = 0;

    *ret_any = false;
    for (size_t k = terms->n; k-- > 0;) {
        const struct term *t = &terms->items[k];
        size_t term;

        if (t->byte_start < from || t->byte_end > e->facts[fact].entity.byte_start ||
            t->kind == TERM_NUMBER)
            continue;
        if (*ret_any && t->position != position)
            break;
        *ret_any = true;
        position = t->position;
        term = claim_find(&e->claim, t->id);
        if (term != CLAIM_NONE)
            term_set_add(&s, term);
    }
    return s;
}

/* Has the rival words of the claim beside it, and the fact none that the rival lacks? */
static bool rival_wins(const struct claim *c, const struct term_set *beside,
                       const struct term_set *mine, const struct term_set *other)
{
    float only_other = mass_of(c, beside, other, mine);

    return only_other > 0 && mass_of(c, beside, mine, other) < RIVAL_FACTOR * only_other;
}

/* Does what the claim says beside its value fit another value of the unit better? Whether a text
 * names what a value is of in front of it or behind it is not known: both readings have to say so.
 */
static bool rival_fits(const struct evidence *e, size_t fact, size_t rival,
                       const struct term_set *beside)
{
    const struct claim *c = &e->claim;
    size_t passage = e->units.items[e->facts[fact].unit].passage;
    size_t from = words_before(e, fact);
    size_t rival_from = words_before(e, rival);
    bool any;
    struct term_set mine = terms_between(e, passage, from, words_behind(e, fact), &any);
    struct term_set other = terms_between(e, passage, rival_from, words_behind(e, rival), &any);
    bool any_mine;
    bool any_other;

    if (rival_wins(c, beside, &mine, &other)) {
        mine = terms_between(e, passage, from, e->facts[fact].entity.byte_start, &any_mine);
        other =
            terms_between(e, passage, rival_from, e->facts[rival].entity.byte_start, &any_other);
        if (rival_wins(c, beside, &mine, &other))
            return true;
    }
    if (!listed(e, fact, rival))
        return false;
    mine = nearest_word(e, fact, &any_mine);
    other = nearest_word(e, rival, &any_other);
    return any_mine && any_other && mass_of(c, beside, &mine, NULL) <= 0 &&
           mass_of(c, beside, &other, NULL) > 0;
}

/* Is what the claim says in front of its value missing in the unit, but said of another value of
 * the kind elsewhere in the passage? */
static bool said_elsewhere(const struct evidence *e, size_t fact, const struct term_set *beside)
{
    size_t unit = e->facts[fact].unit;
    size_t passage = e->units.items[unit].passage;
    struct term_set here = evidence_around(e, unit);

    term_set_join(&here, &e->in_unit[unit]);
    for (size_t k = first_fact(e, e->first[passage]);
         k < e->n_facts && e->facts[k].unit < e->first[passage + 1]; k++) {
        struct term_set near;
        bool any;

        if (e->facts[k].unit == unit || !same_kind(&e->facts[k].entity, &e->facts[fact].entity))
            continue;
        near = nearest_word(e, k, &any);
        if (mass_of(&e->claim, beside, &near, &here) > 0)
            return true;
    }
    return false;
}

/* Share of the claim's words, numbers left out, that the unit has. */
static float unit_coverage(const struct evidence *e, size_t unit)
{
    struct term_set around = evidence_around(e, unit);
    struct term_set all;
    float mass;

    all = claim_terms(&e->claim, 0, e->claim.n, &mass);
    return mass > 0 ? (mass_of(&e->claim, &all, &e->in_unit[unit], NULL) +
                       SUPPORT_AROUND * mass_of(&e->claim, &all, &around, &e->in_unit[unit])) /
                          mass
                    : 0;
}

/* Does the unit have value i of the claim, of what the claim says it of? */
static bool value_fits(const struct evidence *e, size_t unit, size_t i, const struct entity *wanted)
{
    const struct claim_entity *value = &e->claim.entities[i];
    struct term_set around = evidence_around(e, unit);
    size_t fact = find_fact(e, unit, wanted);
    struct term_set beside;
    float mass;
    float found;

    if (fact == e->n_facts)
        return false;
    beside = claim_terms(&e->claim, value->from, value->to, &mass);
    if (mass <= 0)
        return true;
    found = mass_of(&e->claim, &beside, &e->in_unit[unit], NULL) +
            SUPPORT_AROUND * mass_of(&e->claim, &beside, &around, &e->in_unit[unit]);
    if (found < SUPPORT_ANCHOR_MIN * mass && unit_coverage(e, unit) < SUPPORT_COVERAGE_MIN)
        return false;
    around = claim_terms(&e->claim, value->from, value->entity.byte_start, &mass);
    if (said_elsewhere(e, fact, mass > 0 ? &around : &beside))
        return false;
    for (size_t k = first_fact(e, unit); k < e->n_facts && e->facts[k].unit == unit; k++)
        if (k != fact && is_value(&e->facts[k].entity) &&
            same_kind(&e->facts[k].entity, &e->facts[fact].entity) &&
            !same(&e->claim, wanted, text_of(e, unit), &e->facts[k].entity) &&
            rival_fits(e, fact, k, &beside))
            return false;
    return true;
}

/* Does the unit say a year, another one than this? */
static bool other_year(const struct evidence *e, size_t unit, uint16_t year)
{
    bool other = false;

    for (size_t i = first_fact(e, unit); i < e->n_facts && e->facts[i].unit == unit; i++) {
        const struct entity *found = &e->facts[i].entity;

        if (found->kind != ENTITY_DATE || found->year == 0)
            continue;
        if (found->year == year)
            return false;
        other = true;
    }
    return other;
}

bool evidence_unit_has_value(const struct evidence *e, size_t unit, size_t i)
{
    struct entity wanted = e->claim.entities[i].entity;

    /* a date's year is often said once, in front or in the heading */
    if (wanted.kind == ENTITY_DATE && wanted.year > 0 && !unit_says(e, unit, &wanted)) {
        struct entity year = {.kind = ENTITY_DATE, .year = wanted.year};

        if (other_year(e, unit, wanted.year) ||
            !passage_says(e, e->units.items[unit].passage, &year))
            return false;
        if (wanted.month == 0)
            return true;
        wanted.year = 0;
    }
    return around_says(e, unit, &wanted) || value_fits(e, unit, i, &wanted);
}

bool evidence_has_value(const struct evidence *e, const struct sentence_support *s, size_t i)
{
    for (size_t k = 0; k < s->n_units; k++)
        if (evidence_unit_has_value(e, s->units[k], i))
            return true;
    return false;
}

/* ---- names ---- */

static bool occurs(const char *s, size_t n, const char *what, size_t n_what)
{
    for (size_t i = 0; i + n_what <= n; i++)
        if (strncasecmp(s + i, what, n_what) == 0)
            return true;
    return false;
}

static bool passage_has(const struct evidence *e, size_t passage, const char *s, size_t n)
{
    const struct generator_passage *p = &e->request->passages[passage];

    return occurs(p->text, p->text_bytes, s, n) || occurs(p->title, strlen(p->title), s, n) ||
           occurs(p->heading, strlen(p->heading), s, n) ||
           occurs(p->context, strlen(p->context), s, n);
}

/* A person has to stand in a unit that also has what the claim says of him or her. */
static bool unit_has_person(const struct evidence *e, size_t unit, const struct entity *person)
{
    const struct unit *u = &e->units.items[unit];
    const char *text = text_of(e, unit);
    struct term_set around = evidence_around(e, unit);
    struct term_set beside;
    struct term_set behind;
    float mass_behind;
    float mass;
    float found;

    if (!occurs(text + u->byte_start, u->byte_end - u->byte_start,
                e->claim.text + person->byte_start, person->byte_end - person->byte_start))
        return false;
    beside = claim_terms(&e->claim, 0, person->byte_start, &mass);
    behind = claim_terms(&e->claim, person->byte_end, e->claim.n, &mass_behind);
    term_set_join(&beside, &behind);
    found = mass_of(&e->claim, &beside, &e->in_unit[unit], NULL) +
            SUPPORT_AROUND * mass_of(&e->claim, &beside, &around, &e->in_unit[unit]);
    return found >= PERSON_BESIDE_MIN * (mass + mass_behind);
}

bool evidence_has_name(const struct evidence *e, const struct sentence_support *s, size_t i)
{
    const struct entity *wanted = &e->claim.entities[i].entity;

    for (size_t k = 0; k < s->n_units; k++) {
        size_t passage = e->units.items[s->units[k]].passage;

        if (wanted->kind == ENTITY_QUOTED
                ? unit_has_person(e, s->units[k], wanted)
                : passage_has(e, passage, e->claim.text + wanted->byte_start,
                              wanted->byte_end - wanted->byte_start))
            return true;
        if (wanted->kind == ENTITY_CODE && passage_says(e, passage, wanted))
            return true;
    }
    return false;
}

/* Does a passage have a person, another one than [name, name + n), in front of the word? */
static bool has_other_before(const struct evidence *e, size_t passage, const char *name, size_t n,
                             const char *word, size_t n_word)
{
    const struct generator_passage *p = &e->request->passages[passage];
    uint32_t at = 0;
    uint32_t start;
    uint32_t end;
    bool other = false;

    while (fit_person_next(p->text, (uint32_t)p->text_bytes, PERSON_MAYBE, &at, &start, &end)) {
        if (end + 1 + n_word > p->text_bytes || p->text[end] != ' ' ||
            memcmp(p->text + end + 1, word, n_word) != 0)
            continue;
        if (end - start == n && memcmp(p->text + start, name, n) == 0)
            return false;
        other = true;
    }
    return other;
}

bool evidence_other_person(const struct evidence *e, const struct sentence_support *s)
{
    const struct claim *c = &e->claim;
    uint32_t at = 0;
    uint32_t start;
    uint32_t end;

    while (fit_person_next(c->text, (uint32_t)c->n, PERSON_MAYBE, &at, &start, &end)) {
        size_t word = end + 1;
        size_t stop = word;

        if (end >= c->n || c->text[end] != ' ')
            continue;
        while (stop < c->n && (unsigned char)c->text[stop] >= 0x80 && stop - word < 6)
            stop++;
        if (stop - word < 6) /* two syllables: a title, not a verb's beginning */
            continue;
        for (size_t k = 0; k < s->n_units; k++)
            if (has_other_before(e, e->units.items[s->units[k]].passage, c->text + start,
                                 end - start, c->text + word, stop - word))
                return true;
    }
    return false;
}
