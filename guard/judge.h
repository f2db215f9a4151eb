/* guard/judge.h - a model answers yes or no to a rubric about a text.
 *
 * The text goes between markers that it cannot contain, and the model is told that it is data. Only
 * "yes" or "no" (예, 아니요; in any case, one word, with a final point at most) or a JSON object
 * {"verdict": "yes" | "no"} counts; anything else is no verdict (RAG_EFORMAT). */
#ifndef RAG_GUARD_JUDGE_H
#define RAG_GUARD_JUDGE_H

#include <stdbool.h>

#include "base/status.h"
#include "guard/guard.h"

/* rubric: a question that "yes" answers when the rule applies. RAG_EFORMAT: no verdict;
 * RAG_ENOTFOUND: no model; else statuses of models->judge. */
enum rag_status judge_ask(const struct guard_models *models, const char *rubric,
                          const struct guard_text *text, bool *ret_yes, struct rag_error *reterr);
/* The strict parser alone. RAG_OK or RAG_EFORMAT. */
enum rag_status judge_parse(const char *answer, size_t n, bool *ret_yes);

#endif
