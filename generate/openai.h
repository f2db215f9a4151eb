/* generate/openai.h - the backend "openai": any server with OpenAI's chat completions.
 *
 * POST {base_url}/chat/completions, streaming (server-sent events) or not. Grounded requests get
 * the same instruction, numbered passages, support check and citations as the local decoder
 * (generate/grounding.h), so its text leaves in sentences that the passages support. Control tokens
 * in passages are neutralised by the caller's 'neutralise'. An offline request is RAG_EDENIED
 * before anything is looked up or sent. A call keeps up to a tenth of its deadline for the backend
 * that comes after it. Source: platform.openai.com/docs/api-reference/chat; SSE: WHATWG HTML,
 * section 9.2. */
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
    size_t context_tokens; /* of the model, for cutting passages; what they take is estimated */
    size_t new_tokens;
    enum unsupported_policy unsupported;
    double prompt_price; /* per million tokens, in the endpoint's currency */
    double completion_price;
    pair_score_fn *pair_score; /* as the local decoder has it; or NULL */
    void *pair_score_context;
    /* Append text with control tokens made harmless; or NULL. */
    enum rag_status (*neutralise)(const char *text, size_t n, struct buf *out);
};
/* generate() returns RAG_OK with a result as generate/generator.h says; else the statuses of
 * remote_do(), with RAG_EIO for all that is between us and the server: what it speaks is not this
 * API or too long, it refuses our key, it filtered its answer, or the model refused by the API's
 * own means; RAG_EDENIED: offline. openai_open() itself: RAG_OK, RAG_EINVAL, RAG_ENOMEM. */
enum rag_status openai_open(const struct openai_options *options, struct generator **ret,
                            struct rag_error *reterr);

/* What it used since it was opened; thread-safe. */
struct openai_usage {
    uint64_t prompt_tokens;
    uint64_t cached_tokens;
    uint64_t completion_tokens;
    uint64_t n_estimated; /* answers without counts of the server */
    double cost;
};
void openai_usage(struct generator *g, struct openai_usage *ret);
const char *openai_model(const struct generator *g);
size_t openai_context_tokens(const struct generator *g);

#endif
