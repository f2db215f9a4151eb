/* guard/injection.h - text that talks to the model instead of to the reader.
 *
 * Passages are data. injection_find() reports what looks like an instruction to a model: control
 * tokens and role markers of chat templates (all families of generate/chat_template.h), "ignore the
 * above" and its Korean and English kin, "you are now", requests to reveal the prompt, to answer in
 * a fixed way, to cite or recommend regardless, hidden text (zero-width, bidirectional and tag
 * characters), encoded payloads that decode to such. docs/GUARD.md says how; the score says how
 * sure the rule is, 1 for marks and .6 to .9 for words. leak_find() reports where an answer repeats
 * the system prompt: a run of words that only it has. Pure, thread-safe, O(n). */
#ifndef RAG_GUARD_INJECTION_H
#define RAG_GUARD_INJECTION_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "guard/finding.h"

/* details: "control_token", "instruction", "role", "reveal", "hidden", "encoded", "forced_answer".
 */
void injection_find(const char *text, size_t n, const struct finding_sink *sink);
/* detail "system_prompt": at least LEAK_RUN_WEIGHT in common with the first LEAK_PROMPT_CHARS_MAX
 * letters of the prompt (a syllable counts 2), which is the instructions alone, without passages.
 * What the question holds too is none. question, system_prompt: or NULL. */
void leak_find(const char *answer, size_t n, const char *question, const char *system_prompt,
               const struct finding_sink *sink);
/* Append the text with control tokens made harmless (their brackets become full-width ones of three
 * bytes each, so this one changes lengths: for prompts to remote models, never for what is stored).
 */
enum rag_status injection_neutralise(const char *text, size_t n, struct buf *out);

#endif
