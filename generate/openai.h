/* generate/openai.h - the backend "openai": any server with OpenAI's chat completions.
 *
 * POST {base_url}/chat/completions, streaming (server-sent events) or not. Grounded requests get
 * the same instruction, numbered passages, support check and citations as the local decoder
 * (generate/grounding.h), so its text leaves in sentences that the passages support. Control tokens
 * in passages are neutralised by the caller's 'neutralise'. An offline request is RAG_EDENIED
 * before anything is looked up or sent. Source: platform.openai.com/docs/api-reference/chat; SSE:
 * WHATWG HTML, section 9.2. */
#ifndef RAG_GENERATE_OPENAI_H
#define RAG_GENERATE_OPENAI_H

#include <stdint.h>

#include "base/remote.h"
#include "generate/generator.h"
#include "generate/grounding.h"

struct openai_options {
    struct remote *remote; /* borrowed */
    const char *model;     /* name sent; copied */
    bool stream;
    size_t context_tokens; /* of the model, for cutting passages; estimated, see docs/ANSWERS.md */
    size_t new_tokens;
    enum unsupported_policy unsupported;
    double prompt_price; /* per million tokens, in the endpoint's currency */
    double completion_price;
    /* Append text with control tokens made harmless; or NULL. */
    enum rag_status (*neutralise)(const char *text, size_t n, struct buf *out);
};
/* RAG_OK, RAG_EINVAL, RAG_ENOMEM. */
enum rag_status openai_open(const struct openai_options *options, struct generator **ret,
                            struct rag_error *reterr);

#endif
