/* guard/examples.h - is a text near to one of the given examples (denied questions, say)?
 *
 * With an embedder: the largest cosine of the text's vector and an example's. Without: the TF-IDF
 * cosine over the analyzer's terms, idf from the examples themselves and a built-in floor for other
 * terms. The file has one example a line, or JSONL with "text". */
#ifndef RAG_GUARD_EXAMPLES_H
#define RAG_GUARD_EXAMPLES_H

#include <stddef.h>

#include "base/status.h"
#include "guard/guard.h"

struct examples; /* opaque; immutable after open */

enum rag_status examples_open(const char *path, const struct analyzer *analyzer,
                              const struct guard_models *models, struct examples **ret,
                              struct rag_error *reterr);
void examples_close(struct examples *e); /* NULL is a no-op */
/* The largest similarity, 0..1, and the example (owned by e). Statuses of embed. */
enum rag_status examples_nearest(const struct examples *e, const struct guard_models *models,
                                 const char *text, size_t n, float *ret_similarity,
                                 const char **ret_example, struct rag_error *reterr);

#endif
