/* text/question_focus.h - nouns that say what kind of thing is asked for, and verb endings
 * that ask. Internal to text/. */
#ifndef RAG_TEXT_QUESTION_FOCUS_H
#define RAG_TEXT_QUESTION_FOCUS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/question.h"

/* The kind that a noun asks for by its last part (대통령, 신청 방법, 창립일), and its unit of a
 * quantity or "". ANSWER_ANY when the tables do not know it. */
enum answer_kind focus_kind(const char *noun, size_t n, const char **ret_unit);

/* Bytes of a word without the particle at its end (수도는 -> 수도); n when it has none. */
size_t focus_stem(const char *word, size_t n);

/* Does a word end as a question to be answered by yes or no does (되나요, 있습니까, 인가)? */
bool asks_yesno(const char *word, size_t n);

/* Is the word a verb or adjective by its ending (잃어버리면, 여나요, 만든)? Speakers choose those
 * more freely than nouns. */
bool is_predicate(const char *word, size_t n);

#endif
