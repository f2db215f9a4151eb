/* daemon/sampling_settings.h - how an answer is drawn, as requests say it: members of /v1/ask's
 * "sampling" and of /v1/chat/completions itself.
 *
 *     {"max_completion_tokens":256,"temperature":0.7,"top_p":0.9,"top_k":40,"min_p":0,
 *      "repetition_penalty":1.1,"seed":7,"stop":["\n\n"]}
 *
 * "max_tokens" is the same as "max_completion_tokens"; "stop" may be one text. */
#ifndef RAG_DAEMON_SAMPLING_SETTINGS_H
#define RAG_DAEMON_SAMPLING_SETTINGS_H

#include "base/arena.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "generate/generator.h"

/* The members, for json_only(); NULL-terminated. */
extern const char *const sampling_keys[];

/* Change *sampling by the members of an object; the list of stop strings is in the arena, their
 * texts are the object's. Without a seed a draw has one by chance, so that it can be repeated from
 * the audit record. RAG_EINVAL names the member, its value and what is allowed; RAG_ENOMEM,
 * RAG_EIO. On failure it may be partly changed. */
enum rag_status sampling_read(const struct json *object, struct arena *arena,
                              struct sampling *sampling, struct rag_error *reterr);
/* "sampling": an object of those members, as they were used. */
void sampling_write(struct json_writer *w, const struct sampling *sampling);

#endif
