/* daemon/answer_payload.h - an answer as the cache keeps it: all that a reply says of it, as JSON.
 *
 * What is read back was written here, but lay in a file meanwhile: a payload that is not whole (a
 * span outside its passage, a number out of range) is RAG_EFORMAT. */
#ifndef RAG_DAEMON_ANSWER_PAYLOAD_H
#define RAG_DAEMON_ANSWER_PAYLOAD_H

#include "base/buf.h"
#include "daemon/pipeline.h"

/* Of the form: one of the settings that an entry of the cache is found by, so that no other form is
 * met but in a damaged file. */
#define ANSWER_PAYLOAD_VERSION 2

/* Append; of the passages that were given those with their texts that it cites (all when it cites
 * none), of the others only that they were there; what a refusal names as it names it.
 * buf_status(out) says if it fits. */
void answer_payload_write(const struct pipeline_answer *a, const char *request_id, struct buf *out);
/* Fill in a->result, verdict, refused, reason, nearest, n_given, and a->retrieval's passages; texts
 * go to its arena. *ret_request_id likewise: of the question that it was made for. RAG_EFORMAT,
 * RAG_ENOMEM; then a is as it was. */
enum rag_status answer_payload_read(const char *text, size_t n, struct pipeline_answer *a,
                                    const char **ret_request_id, struct rag_error *reterr);

#endif
