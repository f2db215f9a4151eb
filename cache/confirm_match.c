/* Words and their counterparts in the other text. */
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm_internal.h"

/* Chosen on sentence pairs of KorSTS train and questions of ParaKQC; docs/CACHE.md. */
#define FOUND_SHARE_MIN   0.5f  /* of a word's mass, for it to be the same word */
#define EXTRA_SHARE_MAX   0.35f /* of the mass of a text, in words that the other one leaves out */
#define EXTRA_SHARE_ASKED 0.30f /* of a question, whose words all restrict what is asked for */

void confirm_match_same(struct confirm_side *a, struct confirm_side *b)
{
    for (size_t i = 0; i < a->n_words; i++)
        for (size_t k = 0; k < b->n_words && !a->words[i].same; k++) {
            struct confirm_word *x = &a->words[i];
            struct confirm_word *y = &b->words[k];

            if (!y->same && x->n == y->n && memcmp(x->s, y->s, x->n) == 0)
                x->same = y->same = true;
        }
}

/* ---- exchanged roles ---- */

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

bool confirm_roles_exchanged(const struct confirm_side *a, const struct confirm_side *b)
{
    bool moved[ROLE_NOT + 1][ROLE_NOT + 1] = {{false}};

    for (size_t i = 0; i < a->n_words; i++) {
        const struct confirm_word *x = &a->words[i];
        const struct confirm_word *y = only_like(b, x);

        if (!y || y->role == x->role || !only_like(a, x))
            continue;
        if (x->role == ROLE_NOT || y->role == ROLE_NOT)
            return true;
        if (x->role == ROLE_NONE || y->role == ROLE_NONE)
            continue;
        if (moved[y->role][x->role])
            return true;
        moved[x->role][y->role] = true;
    }
    return false;
}

/* ---- counterparts by terms ---- */

/* The terms of a side, each with its word. */
static bool read_terms(const struct analyzer *analyzer, struct confirm_side *side)
{
    size_t at = 0;

    if (analyzer_passage(analyzer, side->text, side->n, &side->terms) != RAG_OK ||
        side->terms.n > CONFIRM_TERMS_MAX || side->n_words == 0)
        return false;
    for (size_t i = 0; i < side->terms.n; i++) {
        const struct term *t = &side->terms.items[i];
        const char *start = side->text + t->byte_start;

        /* Terms come in the order of the text, but for the parts of one word. */
        while (at > 0 && side->words[at].s > start)
            at--;
        while (at + 1 < side->n_words && side->words[at + 1].s <= start)
            at++;
        struct confirm_word *w = &side->words[at];
        bool inside = start >= w->s && start < w->s + w->n;
        side->term_word[i] = (uint8_t)(inside ? at : CONFIRM_WORDS_MAX);
        w->mass += inside ? t->weight : 0;
    }
    for (size_t i = 0; i < side->n_words; i++)
        side->words[i].partner = !side->words[i].same;
    return true;
}

/* How much of each word the other text has. */
static void cover(struct confirm_side *side, const struct confirm_side *other)
{
    for (size_t i = 0; i < side->n_words; i++) {
        side->words[i].found = side->words[i].known = 0;
        side->words[i].stem = side->words[i].begun = false;
    }
    for (size_t i = 0; i < side->terms.n; i++) {
        const struct term *t = &side->terms.items[i];
        bool found = false;
        bool known = false;

        if (side->term_word[i] == CONFIRM_WORDS_MAX)
            continue;
        for (size_t k = 0; k < other->terms.n && !found; k++) {
            if (other->terms.items[k].id != t->id || other->term_word[k] == CONFIRM_WORDS_MAX)
                continue;
            known = true;
            found = other->words[other->term_word[k]].partner;
        }
        struct confirm_word *w = &side->words[side->term_word[i]];
        w->found += found ? t->weight : 0;
        w->known += known ? t->weight : 0;
        w->begun = w->begun || (found && side->text + t->byte_start == w->s);
        w->stem = w->stem || (found && t->kind != TERM_BIGRAM);
    }
    for (size_t i = 0; i < side->n_words; i++) {
        struct confirm_word *w = &side->words[i];
        bool most = w->mass > 0 && w->found >= FOUND_SHARE_MIN * w->mass;
        /* Words that only end alike are not the same: 축구봐야지, 야구봐야지. */
        w->matched = w->same || ((w->stem || most) && w->begun);
    }
}

/* First every word that is not the same may be a counterpart, then only one that has a counterpart
 * itself: 인도 stands in 인도네시아, but 인도네시아 does not stand in 인도. Words written together
 * match several: 무선청소기, 무선 청소기. */
static void match_terms(struct confirm_side *a, struct confirm_side *b)
{
    for (int round = 0; round < 2; round++) {
        cover(a, b);
        cover(b, a);
        for (size_t i = 0; i < a->n_words; i++)
            a->words[i].partner = a->words[i].matched && !a->words[i].same;
        for (size_t i = 0; i < b->n_words; i++)
            b->words[i].partner = b->words[i].matched && !b->words[i].same;
    }
}

/* ---- what is left ---- */

static bool left_over(const struct confirm_word *w)
{
    return !w->empty && !w->fact && !w->matched && w->mass > 0;
}

/* Forms of the same verb, or words listed as meaning the same. */
static void match_meanings(struct confirm_side *a, struct confirm_side *b)
{
    for (size_t i = 0; i < a->n_words; i++)
        for (size_t k = 0; k < b->n_words; k++) {
            struct confirm_word *x = &a->words[i];
            struct confirm_word *y = &b->words[k];

            if (left_over(x) && left_over(y) && confirm_words_same(x, y))
                x->matched = y->matched = true;
        }
}

struct extra {
    size_t n;    /* words without a counterpart */
    float share; /* of the mass, in those that the other text has not even elsewhere */
    bool pole;   /* one of those has an opposite */
};

static struct extra extra_words(const struct confirm_side *side)
{
    struct extra e = {0, 0, false};
    float all = 0;

    for (size_t i = 0; i < side->n_words; i++) {
        const struct confirm_word *w = &side->words[i];

        all += w->empty ? 0 : w->mass;
        if (!left_over(w))
            continue;
        e.n++;
        if (w->known >= FOUND_SHARE_MIN * w->mass)
            continue;
        e.share += w->mass;
        e.pole = e.pole || confirm_has_opposite(w);
    }
    e.share = all > 0 ? e.share / all : 0;
    return e;
}

bool confirm_words_agree(const struct analyzer *analyzer, struct confirm_side *a,
                         struct confirm_side *b)
{
    if (!read_terms(analyzer, a) || !read_terms(analyzer, b))
        return false;
    match_terms(a, b);
    match_meanings(a, b);
    struct extra x = extra_words(a);
    struct extra y = extra_words(b);
    /* One word in the place of another is another question; one more may be another way to say
     * it. */
    if (x.n > 0 && y.n > 0)
        return false;
    float share_max = a->asks || b->asks ? EXTRA_SHARE_ASKED : EXTRA_SHARE_MAX;
    return !x.pole && !y.pole && x.share <= share_max && y.share <= share_max;
}
