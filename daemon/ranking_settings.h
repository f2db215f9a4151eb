/* daemon/ranking_settings.h - what a collection may set of the rerank by words, of their share
 * beside a cross-encoder and of the refusal gate, as JSON.
 *
 *     "lexical": {"bm25":1,"sentence":0.5,"window":0.1,"proximity":0.3,"kind":0.1}
 *     "rerank":  {"words":0.3}
 *     "gate":    {"relevance_min":0.22}
 *
 * What is absent keeps its value. */
#ifndef RAG_DAEMON_RANKING_SETTINGS_H
#define RAG_DAEMON_RANKING_SETTINGS_H

#include "base/json.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "retrieve/rerank_lexical.h"

/* Change what is pointed to by an object; on failure it is as it was. RAG_EINVAL names the member,
 * its value and what is allowed. */
enum rag_status lexical_settings_read(const struct json *object, struct lexical_weights *weights,
                                      struct rag_error *reterr);
enum rag_status rerank_settings_read(const struct json *object, float *words,
                                     struct rag_error *reterr);
enum rag_status gate_settings_read(const struct json *object, float *relevance_min,
                                   struct rag_error *reterr);

/* The members of an open object. */
void lexical_settings_write(struct json_writer *w, const struct lexical_weights *weights);
void rerank_settings_write(struct json_writer *w, float words);
void gate_settings_write(struct json_writer *w, float relevance_min);

#endif
