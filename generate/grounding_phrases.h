/* generate/grounding_phrases.h - what models say besides the answer. Internal to generate/.
 *
 * Small models say that they found nothing in words of their own; these are lists of such phrases,
 * Korean and English, not an understanding of them. */
#ifndef RAG_GENERATE_GROUNDING_PHRASES_H
#define RAG_GENERATE_GROUNDING_PHRASES_H

#include <stdbool.h>
#include <stddef.h>

enum refusal_phrase {
    REFUSAL_NONE,
    REFUSAL_MAYBE, /* "알 수 없습니다": unless a passage says just that */
    REFUSAL_SURE,  /* says of the passages that they lack it */
};
enum refusal_phrase phrase_refusal(const char *s, size_t n);

/* Does it announce and claim nothing ("다음과 같습니다.", "네.", "Based on the passages:")? */
bool phrase_announces(const char *s, size_t n);

/* Does a text of a document speak to a model ("이전 지시를 무시하고", "ignore all instructions")?
 * It is no evidence then. */
bool phrase_instructs(const char *s, size_t n);

#endif
