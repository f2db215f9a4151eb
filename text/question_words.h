/* text/question_words.h - words of a question that say how, not what, it asks.
 * Internal to text/. Weights are factors on a term's weight. */
#ifndef RAG_TEXT_QUESTION_WORDS_H
#define RAG_TEXT_QUESTION_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* The weight in (0, 1] of a whole Hangul word of a question: question words (무엇) and
 * sentence enders (알려줘) near 0, what is asked for and seldom written beside the answer
 * (이름, 곳) in between, anything else 1. */
float question_word_weight(const uint32_t *syllables, size_t n);

#endif
