/* generate/openai_request.h - the body of a chat completion. Pure, thread-safe.
 * Source: platform.openai.com/docs/api-reference/chat/create. */
#ifndef RAG_GENERATE_OPENAI_REQUEST_H
#define RAG_GENERATE_OPENAI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "generate/generator.h"

struct openai_request {
    const char *model;
    const struct message *messages;
    size_t n_messages;
    const struct sampling *sampling; /* top_k, min_p and repetition_penalty have no place there */
    size_t n_new;                    /* tokens of the answer */
    bool stream;
    bool completion_tokens; /* say max_completion_tokens: the newest models know nothing else */
};
/* Append the JSON; check buf_status(). */
void openai_request_write(const struct openai_request *r, struct buf *out);

/* Tokens of a text or of messages, in tenths and whole, when only the server has the tokenizer:
 * three tenths for a letter of ASCII, five for a digit or mark, a whole one for each character of
 * other scripts, which is somewhat more than the usual vocabularies need for prose. */
uint64_t openai_tenths(const char *text, size_t n);
size_t openai_tokens_estimate(const struct message *messages, size_t n);

#endif
