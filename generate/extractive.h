/* generate/extractive.h - the generator that needs no model: it chooses the
 * sentences of the passages that answer the question and cites them. */
#ifndef RAG_GENERATE_EXTRACTIVE_H
#define RAG_GENERATE_EXTRACTIVE_H

#include "generate/generator.h"

/* Free with generator->close(generator). RAG_OK or RAG_ENOMEM. */
enum rag_status extractive_open(struct generator **ret, struct rag_error *reterr);

#endif
