/* guard/pii_context.h - what the words beside a number say that it is (internal to guard/). */
#ifndef RAG_GUARD_PII_CONTEXT_H
#define RAG_GUARD_PII_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#define PII_CONTEXT_NONE  0u
#define PII_CONTEXT_OTHER (1u << 31) /* an order, a serial number, an amount ... */

/* Bits of enum pii_kind that the nearest telling word gives: the last one in the line before
 * 'start', within PII_CONTEXT_BEFORE bytes; where none is, the first one behind 'end' within
 * PII_CONTEXT_AFTER. PII_CONTEXT_OTHER: a word for some other number. */
#define PII_CONTEXT_BEFORE 96 /* some 30 syllables: a clause */
#define PII_CONTEXT_AFTER  40
/* The words, found by their first three bytes: a text of many numbers looks often. */
#define PII_WORDS_MAX      200
#define PII_WORDS_BUCKETS  512
struct pii_words {
    uint8_t heads[PII_WORDS_BUCKETS]; /* of a chain: index + 1; 0: none */
    uint8_t next[PII_WORDS_MAX];
};
void pii_words_init(struct pii_words *ret);
uint32_t pii_context(const struct pii_words *index, const char *text, size_t n, uint32_t start,
                     uint32_t end);

/* Bytes of the name of a region whose police issue licences that ends at 'end', with what joins it
 * to the number; 0: none. */
size_t pii_context_region(const char *text, uint32_t end);

#endif
