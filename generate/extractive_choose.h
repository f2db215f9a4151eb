/* generate/extractive_choose.h - which units answer, or why none does. Internal to generate/.
 *
 * The first choice is the unit of the highest score among the passages that say what the
 * question insists on. A further one joins when the question has several parts or nearly as
 * good support stands elsewhere, at most CHOICES_MAX in all. */
#ifndef RAG_GENERATE_EXTRACTIVE_CHOOSE_H
#define RAG_GENERATE_EXTRACTIVE_CHOOSE_H

#include "generate/extractive_read.h"

#define CHOICES_MAX        3
#define CITATION_CHARS_MAX 200 /* what a reader checks at a glance */

struct choice {
    size_t passage;
    size_t unit;
    uint32_t byte_start; /* of the cited span in the passage's text */
    uint32_t byte_end;
};

struct choices {
    struct choice items[CHOICES_MAX];
    size_t n; /* 0: refused, reason and code say why */
    char reason[256];
    char code[32];
    float confidence; /* 0..1 */
};

void choose(const struct reading *r, struct choices *ret);

#endif
