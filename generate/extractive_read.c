#include "generate/extractive_read.h"

#include <stdlib.h>
#include <string.h>

#include "generate/extractive_fit.h"
#include "text/entity.h"

/* How much of a question word's mass counts as present when it stands not in the unit but in
 * what belongs to it. A FAQ question or table header speaks for its answer; a heading for all
 * below it; a neighbour sentence often names the subject that the next one leaves out. */
#define GIVEN_QUESTION  0.90f
#define GIVEN_HEADER    0.70f
#define GIVEN_ABOVE     0.75f
#define GIVEN_TITLE     0.50f
#define GIVEN_NEIGHBOUR 0.35f
#define GIVEN_DATE      0.70f /* a year or day that the passage as a whole meets */
#define GIVEN_CODE      0.30f /* a code likewise */

void reading_release(struct reading *r)
{
    term_list_release(&r->terms);
    overlap_query_release(&r->query);
    overlap_text_release(&r->hits);
    unit_list_release(&r->units);
    free(r->idf);
    free(r->supports);
    free(r->covered);
    free(r->firm_met);
    free(r->word_found);
    free(r->around);
    free(r->given);
    memset(r, 0, sizeof *r);
}

static enum rag_status read_idf(struct reading *r)
{
    uint64_t *ids = malloc((r->terms.n + 1) * sizeof *ids);

    if (!ids)
        return RAG_ENOMEM;
    for (size_t i = 0; i < r->terms.n; i++) {
        ids[i] = r->terms.items[i].id;
        r->idf[i] = 1;
    }
    if (r->request->idf_fn)
        r->request->idf_fn(r->request->idf_context, ids, r->terms.n, r->idf);
    free(ids);
    return RAG_OK;
}

enum rag_status reading_init(struct reading *r, const struct generator_request *request,
                             const struct analyzer *analyzer, const char *text, size_t text_bytes)
{
    enum rag_status status;
    size_t n = request->n_passages;

    memset(r, 0, sizeof *r);
    r->request = request;
    r->analyzer = analyzer;
    r->text = text;
    r->text_bytes = text_bytes;
    question_analyze(r->text, r->text_bytes, &r->question);
    status = analyzer_question(analyzer, r->text, r->text_bytes, &r->terms);
    if (status != RAG_OK)
        return status;
    r->idf = calloc(r->terms.n + 1, sizeof *r->idf);
    r->around = calloc(r->terms.n + 1, sizeof *r->around);
    r->given = calloc(r->terms.n + 1, sizeof *r->given);
    r->covered = calloc(n + 1, sizeof *r->covered);
    r->firm_met = calloc(n + 1, sizeof *r->firm_met);
    if (!r->idf || !r->around || !r->given || !r->covered || !r->firm_met)
        return RAG_ENOMEM;
    status = read_idf(r);
    if (status == RAG_OK)
        status = overlap_query_init(&r->terms, r->idf, &r->query);
    if (status != RAG_OK)
        return status;
    r->word_found = calloc(n * r->query.n_words + 1, sizeof *r->word_found);
    return r->word_found ? RAG_OK : RAG_ENOMEM;
}

static void raise_span(float *given, const struct overlap_text *t, size_t from, size_t to,
                       float factor)
{
    for (size_t i = from; i < to; i++)
        if (given[t->hits[i].term] < factor)
            given[t->hits[i].term] = factor;
}

static void raise_unit(struct reading *r, size_t unit, float factor)
{
    const struct unit *u = &r->units.items[unit];

    raise_span(r->given, &r->hits, overlap_find(&r->hits, u->byte_start),
               overlap_find(&r->hits, u->byte_end), factor);
}

/* What title, heading and table header say, into r->around. */
static enum rag_status read_around(struct reading *r, const struct generator_passage *p)
{
    const struct {
        const char *text;
        float factor;
    } fields[] = {
        {p->title,   GIVEN_TITLE },
        {p->heading, GIVEN_ABOVE },
        {p->context, GIVEN_HEADER}
    };
    enum rag_status status = RAG_OK;

    memset(r->around, 0, r->query.n * sizeof *r->around);
    for (size_t f = 0; f < 3 && status == RAG_OK; f++) {
        if (!fields[f].text || fields[f].text[0] == '\0')
            continue;
        status =
            overlap_read(&r->query, r->analyzer, fields[f].text, strlen(fields[f].text), &r->hits);
        if (status == RAG_OK)
            raise_span(r->around, &r->hits, 0, r->hits.n, fields[f].factor);
    }
    return status;
}

static uint32_t firm_bits(const struct reading *r, const struct generator_passage *p)
{
    const char *const fields[] = {p->title, p->heading, p->context};
    uint32_t bits = 0;

    for (size_t i = 0; i < r->question.n_constraints; i++) {
        const struct constraint *c = &r->question.constraints[i];
        bool met = constraint_met(r->text, c, p->text, p->text_bytes);

        for (size_t f = 0; f < 3 && !met; f++)
            met = fields[f] && constraint_met(r->text, c, fields[f], strlen(fields[f]));
        if (met)
            bits |= 1u << i;
    }
    return bits;
}

/* Words of the unit that the question does not have. */
static size_t new_words(const struct reading *r, const struct unit *u)
{
    const struct term_list *terms = &r->hits.terms;
    uint32_t last = UINT32_MAX;
    size_t n = 0;
    size_t h = overlap_find(&r->hits, u->byte_start);

    for (size_t i = 0; i < terms->n; i++) {
        const struct term *t = &terms->items[i];
        bool hit = false;

        if (t->byte_start < u->byte_start || t->byte_start >= u->byte_end || t->position == last)
            continue;
        last = t->position;
        while (h < r->hits.n && r->hits.hits[h].position < t->position)
            h++;
        hit = h < r->hits.n && r->hits.hits[h].position == t->position;
        n += !hit;
    }
    return n;
}

/* Timetables write 수 for 수요일: the first cell of a row says the day asked for. */
static void raise_weekday(struct reading *r, const struct unit *u, const char *text)
{
    for (size_t i = 0; i < r->terms.n; i++) {
        const struct term *t = &r->terms.items[i];
        const char *word = r->text + t->byte_start;

        if (r->text_bytes - t->byte_start >= strlen("수요일") &&
            memcmp(word + 3, "요일", strlen("요일")) == 0 &&
            memcmp(text + u->byte_start, word, 3) == 0 && u->byte_end - u->byte_start > 4 &&
            strchr(" |", text[u->byte_start + 3]))
            for (size_t k = 0; k < r->terms.n; k++)
                if (r->terms.items[k].position == t->position)
                    r->given[k] = 1;
    }
}

/* Whatever a unit takes from its surroundings, into r->given. */
static void gather(struct reading *r, size_t first, size_t unit)
{
    const struct unit *u = &r->units.items[unit];

    memcpy(r->given, r->around, r->query.n * sizeof *r->given);
    if (unit > first && r->units.items[unit - 1].kind <= UNIT_ROW)
        raise_unit(r, unit - 1, GIVEN_NEIGHBOUR);
    if (unit + 1 < r->units.n && r->units.items[unit + 1].kind <= UNIT_ITEM &&
        u->kind == UNIT_SENTENCE)
        raise_unit(r, unit + 1, GIVEN_NEIGHBOUR);
    if (u->header != UNIT_NOWHERE)
        raise_unit(r, u->header, GIVEN_HEADER);
    if (u->kind == UNIT_ROW)
        raise_weekday(r, u, r->request->passages[u->passage].text);
    for (size_t above = u->above; above != UNIT_NOWHERE; above = r->units.items[above].above) {
        bool asks = r->units.items[above].kind == UNIT_QUESTION;

        raise_unit(r, above, asks ? GIVEN_QUESTION : GIVEN_ABOVE);
    }
}

/* A year or day that the passage is known to meet need not stand in each sentence; a code
 * mostly does where it matters. */
static void gather_firm(struct reading *r, size_t passage)
{
    for (size_t c = 0; c < r->question.n_constraints; c++) {
        const struct constraint *k = &r->question.constraints[c];
        float factor = k->kind == CONSTRAINT_CODE ? GIVEN_CODE : GIVEN_DATE;

        if (!k->firm || !(r->firm_met[passage] & 1u << c))
            continue;
        for (size_t i = 0; i < r->terms.n; i++)
            if (r->terms.items[i].byte_start >= k->byte_start &&
                r->terms.items[i].byte_end <= k->byte_end && r->given[i] < factor)
                r->given[i] = factor;
    }
}

/* Does the unit speak of other years only than the one asked for? */
static bool other_year(const struct reading *r, const struct unit *u, const char *text)
{
    for (size_t c = 0; c < r->question.n_constraints; c++) {
        const struct constraint *k = &r->question.constraints[c];
        struct entity wanted;
        struct entity e;
        size_t at = k->byte_start;
        bool other = false;
        bool same = false;

        if (!k->firm || !entity_next(r->text, k->byte_end, &at, &wanted) || wanted.year == 0 ||
            wanted.kind != ENTITY_DATE)
            continue;
        at = u->byte_start;
        while (entity_next(text, u->byte_end, &at, &e)) {
            other = other || (e.kind == ENTITY_DATE && e.year != 0 && e.year != wanted.year);
            same = same || (e.kind == ENTITY_DATE && e.year == wanted.year);
        }
        if (other && !same)
            return true;
    }
    return false;
}

/* Is the unit about another code than the one asked for (E1 for E3)? */
static bool other_code(const struct reading *r, const struct unit *u, const char *text)
{
    for (size_t c = 0; c < r->question.n_constraints; c++) {
        const struct constraint *k = &r->question.constraints[c];
        struct entity e;
        size_t at = u->byte_start;
        bool other = false;

        if (k->kind != CONSTRAINT_CODE || !k->firm)
            continue;
        while (entity_next(text, u->byte_end, &at, &e))
            other = other || e.kind == ENTITY_CODE;
        if (other && !constraint_met(r->text, k, text + u->byte_start, u->byte_end - u->byte_start))
            return true;
    }
    return false;
}

/* Share of the focus noun's mass that the unit or what names it has: r->given must hold what
 * stands around the unit; a title or neighbour is no name of it. */
static float focus_share(const struct reading *r, size_t from, size_t to)
{
    float mass = 0;
    float found = 0;

    for (size_t k = 0; k < r->terms.n; k++) {
        uint32_t at = r->terms.items[k].byte_start;
        bool here = r->given[k] >= GIVEN_HEADER;

        if (at < r->question.focus_start || at >= r->question.focus_end)
            continue;
        for (size_t i = from; i < to && !here; i++)
            here = r->hits.hits[i].term == k;
        mass += r->query.mass[k];
        found += here ? r->query.mass[k] : 0;
    }
    return mass > 0 ? found / mass : 0;
}

static bool named_so(const struct reading *r, const struct unit *u,
                     const struct generator_passage *p)
{
    if (p->heading && fit_named(r->question.kind, p->heading, strlen(p->heading)))
        return true;
    for (size_t above = u->above; above != UNIT_NOWHERE; above = r->units.items[above].above) {
        const struct unit *a = &r->units.items[above];

        if (fit_named(r->question.kind, p->text + a->byte_start, a->byte_end - a->byte_start))
            return true;
    }
    return false;
}

static void score_unit(struct reading *r, size_t first, size_t i, const struct generator_passage *p)
{
    struct unit *u = &r->units.items[i];
    struct support *s = &r->supports[i];
    size_t from = overlap_find(&r->hits, u->byte_start);
    size_t to = overlap_find(&r->hits, u->byte_end);
    struct fit fit;
    float focus;

    gather(r, first, i);
    focus = focus_share(r, from, to);
    gather_firm(r, u->passage);
    fit = fit_find(r, p->text, u->byte_start, u->byte_end, from, to);
    if (fit.value < 1 && named_so(r, u, p))
        fit.value = 1;
    *s = (struct support){
        .coverage = overlap_score(&r->query, &r->hits, from, to, r->given).coverage,
        .fit = fit.value,
        .answer_start = fit.start,
        .answer_end = fit.end,
        .eligible = u->kind <= UNIT_ROW,
    };
    s->score = s->coverage + READ_KIND * s->fit + READ_FOCUS * focus + READ_PASSAGE * p->score;
    if (new_words(r, u) == 0)
        s->score -= READ_EMPTY;
    s->other = other_code(r, u, p->text) || other_year(r, u, p->text);
    if (s->other)
        s->score -= READ_OTHER;
}

/* What the passage as a whole has of the question. */
static void read_whole(struct reading *r, size_t i)
{
    float *words = r->word_found + i * r->query.n_words;
    float sum = 0;

    for (size_t k = 0; k < r->query.n; k++)
        r->given[k] = r->around[k] > 0 ? 1 : 0;
    raise_span(r->given, &r->hits, 0, r->hits.n, 1);
    for (size_t k = 0; k < r->query.n; k++) {
        float mass = r->query.mass[k] * r->given[k];
        float of = r->query.word_mass[r->query.word[k]];

        sum += mass;
        if (of > 0)
            words[r->query.word[k]] += mass / of;
    }
    r->covered[i] = r->query.total > 0 ? sum / r->query.total : 0;
}

enum rag_status reading_add(struct reading *r, size_t i)
{
    const struct generator_passage *p = &r->request->passages[i];
    size_t first = r->units.n;
    struct support *grown;
    enum rag_status status = read_around(r, p);

    if (status == RAG_OK)
        status = overlap_read(&r->query, r->analyzer, p->text, p->text_bytes, &r->hits);
    if (status == RAG_OK)
        status = unit_list_read(&r->units, p, i);
    if (status != RAG_OK)
        return status;
    grown = realloc(r->supports, (r->units.n + 1) * sizeof *grown);
    if (!grown)
        return RAG_ENOMEM;
    r->supports = grown;
    r->firm_met[i] = firm_bits(r, p);
    read_whole(r, i);
    for (size_t u = first; u < r->units.n; u++)
        score_unit(r, first, u, p);
    return RAG_OK;
}

void reading_finish(struct reading *r)
{
    const struct generator_passage *p = r->request->passages;

    for (size_t i = 0; i < r->request->n_passages; i++)
        for (size_t k = 0; k < i; k++) {
            uint32_t both = r->firm_met[i] | r->firm_met[k];

            if (p[i].title && p[k].title && p[i].title[0] && strcmp(p[i].title, p[k].title) == 0)
                r->firm_met[i] = r->firm_met[k] = both;
        }
}
