/* daemon/reply.h - JSON parts that replies, events and audit records share. */
#ifndef RAG_DAEMON_REPLY_H
#define RAG_DAEMON_REPLY_H

#include "base/json_writer.h"
#include "daemon/pipeline.h"

/* Members of an open object: "answer", "refused", "reason", "reason_code", of a
 * refusal reply_write_nearest(), "citations", "short_answer", "relevance", "confidence", "backend",
 * "standalone_question", "cache" ("none", "exact", "semantic") and, of a cached one, "cached_from";
 * reply_write_guard(); of a backend that ran "finish_reason", "passages_given", "passages_dropped",
 * "sentences_removed"; of a decoder reply_write_usage() and "model_fingerprint". */
void reply_write_answer(struct json_writer *w, const struct pipeline_answer *a);
/* "guard": {verdict, findings: [{stage, rule, detail, action, passage, start, end, score}],
 * truncated}; nothing where nothing was found. Spans, never the text in them. */
void reply_write_guard(struct json_writer *w, const struct guard_notes *notes);
/* The array "messages": role and content of each. */
void reply_write_messages(struct json_writer *w, const struct message *messages, size_t n);
/* "usage": {prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details:
 * {cached_tokens}}; "timings_ms": {prefill, decode}. */
void reply_write_usage(struct json_writer *w, const struct generator_result *r);
/* One citation as an object: n, document, chunk, byte_start, byte_end, text, title, heading. */
void reply_write_citation(struct json_writer *w, const char *key, const struct pipeline_answer *a,
                          size_t i);
/* The array "nearest" of a refusal: document, chunk, version, title, heading, byte_start, byte_end,
 * score, by ("vectors", "search"), snippet, snippet_start, snippet_end of each. */
void reply_write_nearest(struct json_writer *w, const struct pipeline_answer *a);
/* "results": passages[0..n) with rank, scores and text. */
void reply_write_results(struct json_writer *w, const char *key, const struct retrieval *r,
                         size_t n);
/* Members of an open object: rank and score of each stage that ran, null where it did not return
 * the passage. exact: scores that round trip. */
void reply_write_ranks(struct json_writer *w, const struct retrieval *r, const struct passage *s,
                       bool exact);
/* "stages": the ranking of each stage as [{document, chunk, score}], at most n long. */
void reply_write_rankings(struct json_writer *w, const struct retrieval *r, size_t n);
/* "explanation": {words: [what the rerank by words read in each of passages[0..n), in their order,
 * null where it did not], lexical: its weights, gate: {pass, relevance, reason_code}}. */
void reply_write_explanation(struct json_writer *w, const struct retrieval *r, size_t n);
/* "mode", "fusion", "adapter", "reranker", "degraded": what ran and what was left out. */
void reply_write_retrieval(struct json_writer *w, const struct retrieval *r);
/* "degraded": [{stage, reason}], empty when nothing was left out. */
void reply_write_degraded(struct json_writer *w, const struct retrieval *r);
/* "stages_ms": {stage: ms} of the stages that ran. */
void reply_write_stages(struct json_writer *w, const struct retrieval *r);

#endif
