#define _GNU_SOURCE /* memmem */
#include "generate/grounding_support.h"

#include <stdlib.h>
#include <string.h>

#include "generate/grounding_evidence.h"
#include "generate/grounding_phrases.h"
#include "text/entity.h"

const char *support_lack_name(enum support_lack lack)
{
    static const char *const names[] = {[LACK_NOTHING] = "",
                                        [LACK_WORDS] = "words",
                                        [LACK_NUMBER] = "number",
                                        [LACK_NAME] = "name",
                                        [LACK_NEGATION] = "negation"};

    return names[lack];
}

/* ---- opening ---- */

void evidence_close(struct evidence *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_passages; i++) {
        if (e->terms)
            term_list_release(&e->terms[i]);
        if (e->around)
            term_list_release(&e->around[i]);
    }
    unit_list_release(&e->units);
    claim_release(&e->claim);
    free(e->first);
    free(e->terms);
    free(e->around);
    free(e->facts);
    free(e->asked);
    free(e->instructs);
    free(e->in_unit);
    free(e->in_title);
    free(e);
}

const struct unit *evidence_unit(const struct evidence *e, size_t i)
{
    return &e->units.items[i];
}

/* Append the terms of one more text to a list. */
static enum rag_status add_terms(const struct analyzer *analyzer, const char *text,
                                 struct term_list *list)
{
    struct term_list more = {0};
    enum rag_status status = analyzer_passage(analyzer, text, strlen(text), &more);

    if (status == RAG_OK && more.n > 0) {
        struct term *grown = realloc(list->items, (list->n + more.n) * sizeof *grown);

        if (grown) {
            memcpy(grown + list->n, more.items, more.n * sizeof *grown);
            list->items = grown;
            list->n += more.n;
            list->cap = list->n;
        } else {
            status = RAG_ENOMEM;
        }
    }
    term_list_release(&more);
    return status;
}

static enum rag_status add_facts(struct evidence *e, size_t unit)
{
    const struct unit *u = &e->units.items[unit];
    const char *text = e->request->passages[u->passage].text;
    size_t at = u->byte_start;
    struct entity found;

    while (entity_next(text, u->byte_end, &at, &found)) {
        if (e->n_facts == e->cap_facts) {
            size_t cap = e->cap_facts ? e->cap_facts * 2 : 256;
            struct fact *grown = realloc(e->facts, cap * sizeof *grown);

            if (!grown)
                return RAG_ENOMEM;
            e->facts = grown;
            e->cap_facts = cap;
        }
        e->facts[e->n_facts++] = (struct fact){found, unit};
    }
    return RAG_OK;
}

static enum rag_status read_passage(struct evidence *e, size_t i)
{
    const struct generator_passage *p = &e->request->passages[i];
    enum rag_status status = unit_list_read(&e->units, p, i);

    e->first[i + 1] = e->units.n;
    if (status == RAG_OK)
        status = analyzer_passage(e->analyzer, p->text, p->text_bytes, &e->terms[i]);
    if (status == RAG_OK)
        status = add_terms(e->analyzer, p->title, &e->around[i]);
    if (status == RAG_OK)
        status = add_terms(e->analyzer, p->heading, &e->around[i]);
    if (status == RAG_OK)
        status = add_terms(e->analyzer, p->context, &e->around[i]);
    for (size_t u = e->first[i]; u < e->units.n && status == RAG_OK; u++)
        status = add_facts(e, u);
    return status;
}

/* ---- a claim in the passages ---- */

/* Which of the claim's terms stand in which unit. */
static void find_terms(struct evidence *e)
{
    memset(e->in_unit, 0, (e->units.n + 1) * sizeof *e->in_unit);
    memset(e->in_title, 0, (e->n_passages + 1) * sizeof *e->in_title);
    for (size_t i = 0; i < e->n_passages; i++) {
        size_t unit = e->first[i];

        for (size_t k = 0; k < e->terms[i].n; k++) {
            const struct term *t = &e->terms[i].items[k];
            size_t term = claim_find(&e->claim, t->id);

            while (unit < e->first[i + 1] && e->units.items[unit].byte_end <= t->byte_start)
                unit++;
            if (term != CLAIM_NONE && unit < e->first[i + 1] &&
                e->units.items[unit].byte_start <= t->byte_start)
                term_set_add(&e->in_unit[unit], term);
        }
        for (size_t k = 0; k < e->around[i].n; k++) {
            size_t term = claim_find(&e->claim, e->around[i].items[k].id);

            if (term != CLAIM_NONE)
                term_set_add(&e->in_title[i], term);
        }
    }
}

struct term_set evidence_around(const struct evidence *e, size_t unit)
{
    const struct unit *u = &e->units.items[unit];
    struct term_set s = e->in_title[u->passage];

    if (u->header != UNIT_NOWHERE)
        term_set_join(&s, &e->in_unit[u->header]);
    for (size_t above = u->above; above != UNIT_NOWHERE; above = e->units.items[above].above)
        term_set_join(&s, &e->in_unit[above]);
    return s;
}

/* Share of the claim's mass between two bytes of it that the sets have. */
static float share(const struct claim *c, const struct term_set *in, const struct term_set *around,
                   size_t from, size_t to)
{
    float total = 0;
    float found = 0;

    for (size_t i = 0; i < c->terms.n; i++) {
        const struct term *t = &c->terms.items[i];

        if (t->byte_start < from || t->byte_start >= to)
            continue;
        total += c->mass[i];
        if (term_set_has(in, i))
            found += c->mass[i];
        else if (term_set_has(around, i))
            found += SUPPORT_AROUND * c->mass[i];
    }
    return total > 0 ? found / total : 0;
}

static bool is_value(const struct entity *e)
{
    return e->kind == ENTITY_NUMBER || e->kind == ENTITY_DATE;
}

/* ---- the units that it rests on ---- */

/* The claim's terms in the chosen units and around them. */
static void gather(const struct evidence *e, const struct sentence_support *s, struct term_set *in,
                   struct term_set *around)
{
    memset(in, 0, sizeof *in);
    memset(around, 0, sizeof *around);
    for (size_t k = 0; k < s->n_units; k++) {
        struct term_set more = evidence_around(e, s->units[k]);

        term_set_join(in, &e->in_unit[s->units[k]]);
        term_set_join(around, &more);
    }
}

static float coverage_with(const struct evidence *e, const struct sentence_support *s, size_t unit)
{
    struct term_set in;
    struct term_set around;
    struct term_set more = evidence_around(e, unit);

    gather(e, s, &in, &around);
    term_set_join(&in, &e->in_unit[unit]);
    term_set_join(&around, &more);
    return share(&e->claim, &in, &around, 0, SIZE_MAX);
}

/* How many of the claim's values a unit says that the chosen ones do not; 0..1. */
static float new_values(const struct evidence *e, const struct sentence_support *s, size_t unit)
{
    size_t n = 0;
    size_t found = 0;

    for (size_t i = 0; i < e->claim.n_entities; i++) {
        if (!is_value(&e->claim.entities[i].entity))
            continue;
        n++;
        found += !evidence_has_value(e, s, i) && evidence_unit_has_value(e, unit, i);
    }
    return n > 0 ? (float)found / (float)n : 0;
}

static bool may_rest_on(const struct evidence *e, size_t unit, uint64_t passages)
{
    const struct unit *u = &e->units.items[unit];

    return (passages >> u->passage & 1) && u->kind != UNIT_QUESTION && !e->instructs[unit];
}

static bool is_chosen(const struct sentence_support *s, size_t unit)
{
    for (size_t k = 0; k < s->n_units; k++)
        if (s->units[k] == unit)
            return true;
    return false;
}

/* The unit to add; false when none adds enough. */
static bool choose_unit(const struct evidence *e, const struct sentence_support *s,
                        uint64_t passages, size_t *ret)
{
    float best = -1;

    for (size_t u = 0; u < e->units.n; u++) {
        float gain;
        float values;
        float value;

        if (!may_rest_on(e, u, passages) || is_chosen(s, u))
            continue;
        gain = coverage_with(e, s, u) - s->coverage;
        values = gain > 0 || e->claim.total <= 0 || s->n_units == 0 ? new_values(e, s, u) : 0;
        if (gain <= 0 && values <= 0)
            continue;
        if (s->n_units > 0 && gain < (values > 0 ? SUPPORT_GAIN_NUMBER : SUPPORT_GAIN_MIN))
            continue;
        value = gain + SUPPORT_NUMBERS * values + SUPPORT_ASKED * e->asked[u];
        if (value > best) {
            best = value;
            *ret = u;
        }
    }
    return best >= 0;
}

/* ---- negation ---- */

#define CLAUSE_SAME_MIN 0.4f /* of a clause's mass in the one that it comes from */
#define CLAUSE_AGREES_MIN                                                                          \
    0.9f /* of the best clause that says the opposite: one that agrees wins                        \
          */

/* Mass of the claim's terms of a clause that stand between two bytes of a passage. */
static float clause_mass(const struct evidence *e, size_t passage, const struct clause *source,
                         const struct clause *clause)
{
    const struct claim *c = &e->claim;
    struct term_set seen = {{0}};
    float sum = 0;

    for (size_t k = 0; k < e->terms[passage].n; k++) {
        const struct term *t = &e->terms[passage].items[k];
        size_t term;

        if (t->byte_start < source->start || t->byte_start >= source->end)
            continue;
        term = claim_find(c, t->id);
        if (term == CLAIM_NONE || term_set_has(&seen, term) ||
            c->terms.items[term].byte_start < clause->start ||
            c->terms.items[term].byte_start >= clause->end)
            continue;
        term_set_add(&seen, term);
        sum += c->full_mass[term];
    }
    return sum;
}

/* One says no, the other does not: is it about the same? What the one says no to has to be said by
 * the other ("책을 읽지 못하는 어른" says nothing of who is the head). */
static bool denies_same(const struct evidence *e, size_t passage, const struct clause *source,
                        const struct clause *source_said, bool source_negative,
                        const struct clause *clause, const struct clause *clause_said)
{
    if (source_negative)
        return clause_mass(e, passage, source_said, clause) > 0;
    return clause_mass(e, passage, source, clause_said) > 0;
}

/* Does the clause of the passages that a clause of the claim comes from say the opposite? */
static bool contradicts(const struct evidence *e, const struct sentence_support *s,
                        const struct clause *clause)
{
    struct clause said;
    bool negative = clause_negative(e->claim.text, clause, &said);
    float best[2] = {0, 0}; /* of clauses that agree, and of those that do not */
    float total = 0;

    for (size_t i = 0; i < e->claim.terms.n; i++)
        if (e->claim.terms.items[i].byte_start >= clause->start &&
            e->claim.terms.items[i].byte_start < clause->end)
            total += e->claim.full_mass[i];
    for (size_t k = 0; k < s->n_units; k++) {
        const struct unit *u = &e->units.items[s->units[k]];
        const char *text = e->request->passages[u->passage].text;
        struct clause source = {.end = u->byte_start};

        while (clause_next(text, u->byte_end, &source)) {
            float mass = clause_mass(e, u->passage, &source, clause);
            struct clause source_said;
            bool source_negative = clause_negative(text, &source, &source_said);
            int differs =
                source_negative != negative &&
                denies_same(e, u->passage, &source, &source_said, source_negative, clause, &said);

            best[differs] = mass > best[differs] ? mass : best[differs];
        }
    }
    return best[1] >= CLAUSE_SAME_MIN * total && best[0] < CLAUSE_AGREES_MIN * best[1];
}

static bool negation_agrees(const struct evidence *e, const struct sentence_support *s)
{
    struct clause clause = {0};

    while (clause_next(e->claim.text, e->claim.n, &clause))
        if (contradicts(e, s, &clause))
            return false;
    return true;
}

/* ---- the verdict ---- */

static enum support_lack judge(const struct evidence *e, const struct sentence_support *s)
{
    const struct claim *c = &e->claim;

    if (s->n_units == 0)
        return LACK_WORDS;
    if (c->total > 0 ? s->coverage < SUPPORT_COVERAGE_MIN
                     : e->asked[s->units[0]] < SUPPORT_ASKED_MIN)
        return LACK_WORDS;
    for (size_t i = 0; i < c->n_entities; i++)
        if (is_value(&c->entities[i].entity) && !evidence_has_value(e, s, i))
            return LACK_NUMBER;
    for (size_t i = 0; i < c->n_entities; i++)
        if (!is_value(&c->entities[i].entity) && !evidence_has_name(e, s, i))
            return LACK_NAME;
    if (evidence_other_person(e, s))
        return LACK_NAME;
    return negation_agrees(e, s) ? LACK_NOTHING : LACK_NEGATION;
}

enum rag_status evidence_support(struct evidence *e, const char *sentence, size_t n,
                                 uint64_t passages, struct sentence_support *ret)
{
    enum rag_status status = claim_read(&e->claim, e->analyzer, e->request, sentence, n);
    struct sentence_support s = {.coverage = 0};
    size_t unit;

    if (status != RAG_OK)
        return status;
    if (e->claim.n_entities > CLAIM_ENTITIES_MAX) { /* not all of it was read */
        *ret = (struct sentence_support){.lack = LACK_NUMBER};
        return RAG_OK;
    }
    find_terms(e);
    while (s.n_units < GROUNDING_UNITS_MAX && choose_unit(e, &s, passages, &unit)) {
        s.coverage = coverage_with(e, &s, unit);
        s.units[s.n_units++] = unit;
    }
    s.lack = judge(e, &s);
    *ret = s;
    return RAG_OK;
}

enum rag_status evidence_known(struct evidence *e, const char *text, size_t n, float *ret)
{
    enum rag_status status = claim_read(&e->claim, e->analyzer, e->request, text, n);
    struct term_set in = {{0}};
    float total = 0;
    float known = 0;

    if (status != RAG_OK)
        return status;
    find_terms(e);
    for (size_t u = 0; u < e->units.n; u++)
        term_set_join(&in, &e->in_unit[u]);
    for (size_t i = 0; i < e->n_passages; i++)
        term_set_join(&in, &e->in_title[i]);
    for (size_t i = 0; i < e->claim.terms.n; i++) {
        total += e->claim.full_mass[i];
        if (term_set_has(&in, i) || e->claim.known[i])
            known += e->claim.full_mass[i];
    }
    *ret = total > 0 ? known / total : 1;
    return RAG_OK;
}

/* Share of the question in each unit: the question is read as a claim whose words all count. */
static enum rag_status read_question(struct evidence *e)
{
    const struct generator_request *r = e->request;
    const char *question = r->n_messages > 0 ? r->messages[r->n_messages - 1].text : "";
    enum rag_status status = claim_read(&e->claim, e->analyzer, r, question, strlen(question));

    if (status != RAG_OK)
        return status;
    find_terms(e);
    for (size_t u = 0; u < e->units.n; u++) {
        const struct unit *unit = &e->units.items[u];
        struct term_set around = evidence_around(e, u);

        e->instructs[u] = phrase_instructs(r->passages[unit->passage].text + unit->byte_start,
                                           unit->byte_end - unit->byte_start);
        e->asked[u] = share(&e->claim, &e->in_unit[u], &around, 0, SIZE_MAX);
    }
    return RAG_OK;
}

enum rag_status evidence_open(const struct generator_request *request, size_t n_passages,
                              const struct analyzer *analyzer, struct evidence **ret)
{
    struct evidence *e = calloc(1, sizeof *e);
    enum rag_status status = RAG_ENOMEM;

    if (!e)
        return RAG_ENOMEM;
    e->request = request;
    e->analyzer = analyzer;
    e->n_passages = n_passages;
    e->first = calloc(n_passages + 1, sizeof *e->first);
    e->terms = calloc(n_passages + 1, sizeof *e->terms);
    e->around = calloc(n_passages + 1, sizeof *e->around);
    e->in_title = calloc(n_passages + 1, sizeof *e->in_title);
    if (e->first && e->terms && e->around && e->in_title)
        status = claim_question(&e->claim, analyzer, request);
    for (size_t i = 0; i < n_passages && status == RAG_OK; i++)
        status = read_passage(e, i);
    if (status == RAG_OK) {
        e->asked = calloc(e->units.n + 1, sizeof *e->asked);
        e->instructs = calloc(e->units.n + 1, sizeof *e->instructs);
        e->in_unit = calloc(e->units.n + 1, sizeof *e->in_unit);
        status = e->asked && e->instructs && e->in_unit ? read_question(e) : RAG_ENOMEM;
    }
    if (status != RAG_OK) {
        evidence_close(e);
        return status;
    }
    *ret = e; /* the caller owns it from here on */
    return RAG_OK;
}
