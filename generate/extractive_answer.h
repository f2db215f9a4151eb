/* generate/extractive_answer.h - the words of an answer from a cited span. Internal to
 * generate/. */
#ifndef RAG_GENERATE_EXTRACTIVE_ANSWER_H
#define RAG_GENERATE_EXTRACTIVE_ANSWER_H

#include "generate/extractive_choose.h"

/* Append what a person reads: Markdown marks and doubled white space left out, a table row as
 * "header: cell, header: cell". The buf keeps an error. */
void answer_append(const struct reading *r, const struct choice *choice, struct buf *out);

/* "네. " or "아니요. " where the question asks for yes or no and the chosen sentence is plainly
 * one of them, else "". */
const char *answer_polarity(const struct reading *r, const struct choice *choice);

#endif
