/* daemon/pipeline_internal.h - what the files of the pipeline share.
 *
 *   pipeline.c           ask: the steps in their order, verify, record
 *   pipeline_stage.c     names and times of the steps, what they share
 *   pipeline_guard.c     the policy on question, passages and answer
 *   pipeline_cache.c     answers given before
 *   pipeline_condense.c  a follow-up made to stand alone
 *   pipeline_search.c    analyze, filter, bm25 and dense, fuse, fetch
 *   pipeline_rerank.c    the head read again
 *   pipeline_generate.c  backends, and the guard between them and the reader
 *   pipeline_nearest.c   what a refusal names */
#ifndef RAG_DAEMON_PIPELINE_INTERNAL_H
#define RAG_DAEMON_PIPELINE_INTERNAL_H

#include "daemon/pipeline.h"

/* Say what is being done; returns the time. */
int64_t pipeline_stage_begin(const struct pipeline_request *request, enum stage stage);
void pipeline_stage_done(struct retrieval *r, enum stage stage, int64_t begun_ns);
/* RAG_ECANCELLED, RAG_ETIMEOUT or RAG_OK. */
enum rag_status pipeline_still_wanted(const struct pipeline_request *request,
                                      struct rag_error *reterr);
/* Does this failure of a model stage end the search (cancelled, out of time, out of memory), or is
 * the stage left out and noted? Returns the status to go on with. */
enum rag_status pipeline_leave_out(const struct pipeline_request *request, struct retrieval *r,
                                   enum stage stage, enum rag_status status,
                                   const struct rag_error *why, struct rag_error *reterr);
/* It is left out whatever the reason. */
void pipeline_note_degraded(struct retrieval *r, enum stage stage, const struct rag_error *why);
struct lexical_query pipeline_lexical_query(const struct pipeline *p, const struct retrieval *r);

/* ---- the steps ---- */

void retrieval_init(struct retrieval *r);

/* NFC grows a text threefold at worst. */
#define PIPELINE_QUESTION_BYTES_MAX ((size_t)QUESTION_BYTES_MAX * 3)
/* Append a question as it was sent, in NFC. RAG_EINVAL: empty, too long, not UTF-8; RAG_ENOMEM. */
enum rag_status pipeline_read(const char *text, struct buf *out, struct rag_error *reterr);

bool pipeline_is_guarded(const struct pipeline *p, const struct pipeline_request *request,
                         enum guard_stage stage);
/* The text of a user by the policy: masked in place, or *ret_refused and r->guard_reason says why.
 * RAG_ECANCELLED, RAG_ETIMEOUT, RAG_ENOMEM. */
enum rag_status pipeline_guard_question(const struct pipeline *p,
                                        const struct pipeline_request *request, struct retrieval *r,
                                        char *text, bool *ret_refused, struct rag_error *reterr);
/* What may be used of the first passages, n_wanted of them if there are so many, goes to the front,
 * masked where the policy says so; what may not is taken out of r->passages. */
enum rag_status pipeline_guard_passages(const struct pipeline *p,
                                        const struct pipeline_request *request, struct retrieval *r,
                                        size_t n_wanted, struct rag_error *reterr);
/* One passage of r->passages, by the same rules, if those have not read it: *ret_keep false: it may
 * not be shown. */
enum rag_status pipeline_guard_passage(const struct pipeline *p,
                                       const struct pipeline_request *request, struct retrieval *r,
                                       struct passage *s, bool *ret_keep, struct rag_error *reterr);
/* A part of an answer, or the whole of it. *ret_refused: it must not leave. Else masks are made in
 * place. */
enum rag_status pipeline_guard_answer(const struct pipeline *p,
                                      const struct pipeline_request *request, struct retrieval *r,
                                      char *text, size_t n, bool *ret_refused,
                                      struct rag_error *reterr);

/* ---- answers given before (pipeline_cache.c) ---- */

/* What ties the steps of the cache together, for one question. */
struct cache_step {
    bool on;
    struct cache_key key;
    struct buf canonical;           /* of key.question */
    char adapter[ADAPTER_ID_BYTES]; /* of key.settings; "" none */
    uint64_t generation;            /* of the collection, before anything was searched */
    bool embedding;                 /* it was still being embedded then */
    struct cache_meaning meaning;
    float *vector; /* owned, of the meaning; or NULL */
    bool has_meaning;
    enum cache_verdict found;
    struct answer_cached candidate; /* CACHE_RECHECK: to be given when the passages are the same */
};
void cache_step_release(struct cache_step *s); /* a zeroed one is a no-op */
/* The same question: *ret_hit, and the answer is in a. Also makes the key and reads the
 * generation. What fails in the cache costs the hit and is noted as degraded; RAG_ENOMEM. */
enum rag_status pipeline_cache_same(const struct pipeline *p,
                                    const struct pipeline_request *request, struct cache_step *s,
                                    struct pipeline_answer *a, bool *ret_hit,
                                    struct rag_error *reterr);
/* One that means the same, after pipeline_analyze(). */
enum rag_status pipeline_cache_similar(const struct pipeline *p,
                                       const struct pipeline_request *request, struct cache_step *s,
                                       struct pipeline_answer *a, bool *ret_hit,
                                       struct rag_error *reterr);
/* After the search: did a found entry rest on the passages that are given now? */
enum rag_status pipeline_cache_recheck(const struct pipeline *p,
                                       const struct pipeline_request *request, struct cache_step *s,
                                       struct pipeline_answer *a, bool *ret_hit,
                                       struct rag_error *reterr);
/* Keep the answer, where it may be kept. */
void pipeline_cache_keep(const struct pipeline *p, const struct pipeline_request *request,
                         const struct cache_step *s, const struct pipeline_answer *a);

/* Step 1: a->question and a->history, masked, which 'asked' points to from here on; or a->refused.
 * Also RAG_EINVAL of the question. */
enum rag_status pipeline_admit(const struct pipeline *p, struct pipeline_request *asked,
                               struct pipeline_answer *a, struct rag_error *reterr);
void pipeline_answer_init(struct pipeline_answer *a);

/* With earlier turns, a->standalone and a->condenser; that a model failed at it is noted as
 * degraded. RAG_ECANCELLED, RAG_ETIMEOUT (of the request), RAG_ENOMEM. */
enum rag_status pipeline_condense(const struct pipeline *p, const struct pipeline_request *request,
                                  struct pipeline_answer *a, struct rag_error *reterr);

/* Step 2, into r->text, r->terms, r->question. */
enum rag_status pipeline_analyze(const struct pipeline *p, const struct pipeline_request *request,
                                 struct retrieval *r, struct rag_error *reterr);
/* Steps 3 to 6. */
enum rag_status pipeline_find(const struct pipeline *p, const struct pipeline_request *request,
                              struct retrieval *r, struct rag_error *reterr);
/* Step 6: reorder r->passages[0..min(rerank_head, n_passages)). */
enum rag_status pipeline_rerank(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *r, struct rag_error *reterr);

/* Step 7, of the first n_given passages. */
void pipeline_gate(const struct pipeline *p, const struct pipeline_request *request,
                   struct retrieval *r, size_t n_given, struct gate_verdict *ret);

/* Who may answer, in the order in which they are tried: the one that the request names, else those
 * of the collection, else the configured ones; of an offline collection nobody on another machine.
 * Returns their number. */
size_t pipeline_backends(const struct pipeline *p, const struct pipeline_request *request,
                         struct generator *ret[CONFIG_BACKENDS_MAX]);
/* Step 8: a->result by the first backend that has something. */
enum rag_status pipeline_generate(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct pipeline_sink *sink, struct pipeline_answer *a,
                                  struct rag_error *reterr);

/* After a refusal: a->nearest, from what the search found; nothing where the guard refused. At most
 * p->n_nearest, and as many as an answer would have been made from. The refusal stands whatever
 * happens here: what fails ends the list and is noted as degraded. RAG_ECANCELLED alone. */
enum rag_status pipeline_nearest(const struct pipeline *p, const struct pipeline_request *request,
                                 struct pipeline_answer *a, struct rag_error *reterr);

#endif
