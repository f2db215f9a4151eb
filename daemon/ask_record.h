/* daemon/ask_record.h - the audit record of one question, of one search. */
#ifndef RAG_DAEMON_ASK_RECORD_H
#define RAG_DAEMON_ASK_RECORD_H

#include "daemon/pipeline.h"

/* Append kind "ask" with who, when, the question, the passages with scores and ranks per
 * stage, settings, answer, citations, verdict, what the guard found, where a cached answer
 * is from, who was asked to answer and what came of it, tokens, cost and per-stage ms; returns when
 * it is durable. failed: why there is no answer ("cancelled", "timeout" ...), or NULL. */
enum rag_status ask_record_append(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct pipeline_answer *a, enum rag_status outcome,
                                  const struct rag_error *failed, struct rag_error *reterr);

/* Append kind "search": the query as it was searched for (NFC, masked where the policy says so),
 * settings, the passages, of which the first n_results were returned, and times. */
enum rag_status ask_record_search(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct retrieval *r, size_t n_results,
                                  enum rag_status outcome, const struct rag_error *failed,
                                  struct rag_error *reterr);

#endif
