/* text/korean.h - where the stem of a Korean word ends. Used in text/ and by guard/keywords.c.
 *
 * A word of running Korean is a stem with particles (조사: 은/는, 을/를, 에서 ...), with
 * a light verb (하다, 되다) or with verb endings. Without a dictionary the end is found by
 * closed tables, longest first, kept honest by two facts: many particles come in pairs
 * that depend on the final consonant before them (은 after one, 는 after none), and a
 * stem has a least length. Where a table alone would cut common nouns (결과, 회의,
 * 고양이), the nouns' own endings are listed.
 * Source: the particle and ending paradigms of any reference grammar, e.g. Sohn, "The
 * Korean Language", 1999, chapters 8 and 9. */
#ifndef RAG_TEXT_KOREAN_H
#define RAG_TEXT_KOREAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANGUL_FIRST 0xAC00u
#define HANGUL_LAST  0xD7A3u

/* Final consonant of a syllable: 0 none, 4 ㄴ, 8 ㄹ, 16 ㅁ, 17 ㅂ, 20 ㅆ, 21 ㅇ ... */
static inline uint32_t hangul_final(uint32_t c)
{
    return (c - HANGUL_FIRST) % 28;
}

enum stem_shape {
    STEM_WHOLE,     /* nothing was taken off */
    STEM_SURE,      /* what was taken off is no part of a noun (에서, 를, 했다) */
    STEM_AMBIGUOUS, /* it may be (고양이, 제주도): keep the whole word as evidence too */
    STEM_VERB,      /* a verb or adjective without its endings */
    STEM_EMPTY,     /* the word is a particle or an empty verb form alone */
};

struct stem {
    size_t n; /* syllables of the word that are the stem */
    enum stem_shape shape;
    bool maybe_verb; /* the stem may be a verb's: nothing taken off, or 는, 은, 을 */
};

struct suffix_tables;                          /* opaque, immutable, built once per analyzer */
struct suffix_tables *suffix_tables_new(void); /* NULL: out of memory */
void suffix_tables_free(struct suffix_tables *t);

enum {
    SUFFIX_PARTICLES = 1, /* which tables to use; all of them but in measurements */
    SUFFIX_VERBS = 2,
    SUFFIX_NOUN_ENDS = 4,
};

/* One key for the forms of a verb whose surface stem is s[0..n): 만들, 만든, 만드 -> 만드;
 * 불리, 불린, 불렸, 불려 -> 불리; 부르, 불렀 -> 부르. Writes n syllables to ret and returns
 * true; false when the last syllable shows no sign of an ending. 'sure': an ending was
 * seen behind it, so the bare stem is a form too. */
bool korean_verb_key(const uint32_t *s, size_t n, bool sure, uint32_t *ret);

/* The stem of the n >= 1 syllables. 'after' is true when the run follows Latin letters,
 * digits or Han inside one word (SQLite를): then the run may be a particle entirely.
 * Cannot fail; thread-safe. */
struct stem korean_stem(const struct suffix_tables *t, const uint32_t *syllables, size_t n,
                        bool after, unsigned tables);

#endif
