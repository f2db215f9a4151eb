/* daemon/pipeline_internal.h - what the files of the pipeline share.
 *
 *   pipeline.c         ask: gate, generate, verify, record
 *   pipeline_condense.c  a follow-up made to stand alone
 *   pipeline_search.c  analyze, filter, bm25 and dense, fuse, fetch
 *   pipeline_rerank.c  the head read again */
#ifndef RAG_DAEMON_PIPELINE_INTERNAL_H
#define RAG_DAEMON_PIPELINE_INTERNAL_H

#include "daemon/pipeline.h"
#include "retrieve/rerank_lexical.h"

void pipeline_stage_done(struct retrieval *r, enum stage stage, int64_t begun_ns);
/* RAG_ECANCELLED, RAG_ETIMEOUT or RAG_OK. */
enum rag_status pipeline_still_wanted(const struct pipeline_request *request,
                                      struct rag_error *reterr);
/* Does this failure of a model stage end the search (cancelled, out of time, out of memory), or is
 * the stage left out and noted? Returns the status to go on with. */
enum rag_status pipeline_leave_out(const struct pipeline_request *request, struct retrieval *r,
                                   enum stage stage, enum rag_status status,
                                   const struct rag_error *why, struct rag_error *reterr);
struct lexical_query pipeline_lexical_query(const struct pipeline *p, const struct retrieval *r);

/* Before step 2: with earlier turns, a->standalone, a->condenser and a->condense_ms; what a model
 * could not do in a->condense_failed. RAG_ECANCELLED, RAG_ETIMEOUT (of the request), RAG_ENOMEM. */
enum rag_status pipeline_condense(const struct pipeline *p, const struct pipeline_request *request,
                                  struct pipeline_answer *a, struct rag_error *reterr);

/* Step 6: reorder r->passages[0..min(rerank_head, n_passages)). */
enum rag_status pipeline_rerank(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *r, struct rag_error *reterr);

#endif
