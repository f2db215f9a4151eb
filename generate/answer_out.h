/* generate/answer_out.h - a model's text on its way to the reader, for every backend that has one.
 *
 * With a grounding, text leaves in sentences that the passages support; without one as it comes, up
 * to ANSWER_BYTES_MAX. One request, one thread at a time. */
#ifndef RAG_GENERATE_ANSWER_OUT_H
#define RAG_GENERATE_ANSWER_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "generate/generator.h"
#include "generate/grounding.h"

struct answer_out {
    const struct generator_sink *sink; /* borrowed, or NULL */
    struct generator_result *result;   /* borrowed */
    struct grounding *grounding;       /* owned, or NULL */
    struct buf shown;                  /* what went out */
    struct buf piece;                  /* of one call */
    bool gone;                         /* the sink wants no more */
    bool enough;                       /* the grounding does */
    bool full;                         /* ANSWER_BYTES_MAX is reached */
    enum rag_status status;
    struct rag_error error;
};
void answer_out_init(struct answer_out *a, const struct generator_sink *sink,
                     struct generator_result *result);
void answer_out_release(struct answer_out *a);

/* The text is held to the passages of a prompt: 'options' with what the prompt says of them. */
enum rag_status answer_out_ground(struct answer_out *a, struct grounding_options options,
                                  const struct grounded_prompt *prompt, struct rag_error *reterr);

/* More of the model's text, whole characters. false: it need not go on. */
bool answer_out_text(struct answer_out *a, const char *text, size_t n);
/* The model has ended, as result->finish_reason says (FINISH_CANCELLED also when answer_out_text()
 * stopped it): the rest of the text, and the result's answer and citations. RAG_ENOMEM, RAG_ELIMIT.
 */
enum rag_status answer_out_finish(struct answer_out *a, struct rag_error *reterr);

#endif
