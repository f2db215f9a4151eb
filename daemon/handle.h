/* daemon/handle.h - what the request handlers (handle_*.c) share. */
#ifndef RAG_DAEMON_HANDLE_H
#define RAG_DAEMON_HANDLE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/app.h"
#include "daemon/http_server.h"

/* Handlers, named by what they serve. All run on a worker thread. */
void handle_health(struct http_request *request, struct http_response *response, void *app);
void handle_ready(struct http_request *request, struct http_response *response, void *app);
void handle_metrics(struct http_request *request, struct http_response *response, void *app);
void handle_collections_list(struct http_request *request, struct http_response *response,
                             void *app);
void handle_collection_put(struct http_request *request, struct http_response *response, void *app);
void handle_collection_get(struct http_request *request, struct http_response *response, void *app);
void handle_collection_delete(struct http_request *request, struct http_response *response,
                              void *app);
void handle_adapter_put(struct http_request *request, struct http_response *response, void *app);
void handle_adapter_get(struct http_request *request, struct http_response *response, void *app);
void handle_adapter_delete(struct http_request *request, struct http_response *response, void *app);
void handle_collection_check(struct http_request *request, struct http_response *response,
                             void *app);
void handle_documents_post(struct http_request *request, struct http_response *response, void *app);
void handle_documents_list(struct http_request *request, struct http_response *response, void *app);
void handle_document_put(struct http_request *request, struct http_response *response, void *app);
void handle_document_get(struct http_request *request, struct http_response *response, void *app);
void handle_document_delete(struct http_request *request, struct http_response *response,
                            void *app);
void handle_chunks_list(struct http_request *request, struct http_response *response, void *app);
void handle_search(struct http_request *request, struct http_response *response, void *app);
void handle_ask(struct http_request *request, struct http_response *response, void *app);
void handle_chat(struct http_request *request, struct http_response *response, void *app);
void handle_models(struct http_request *request, struct http_response *response, void *app);
void handle_embeddings(struct http_request *request, struct http_response *response, void *app);
void handle_rerank(struct http_request *request, struct http_response *response, void *app);
void handle_audit_list(struct http_request *request, struct http_response *response, void *app);
void handle_audit_export(struct http_request *request, struct http_response *response, void *app);
void handle_audit_get(struct http_request *request, struct http_response *response, void *app);
void handle_audit_verify(struct http_request *request, struct http_response *response, void *app);
void handle_audit_erase(struct http_request *request, struct http_response *response, void *app);
void handle_audit_cut(struct http_request *request, struct http_response *response, void *app);
void handle_requests(struct http_request *request, struct http_response *response, void *app);
void handle_cache_list(struct http_request *request, struct http_response *response, void *app);
void handle_cache_clear(struct http_request *request, struct http_response *response, void *app);
void handle_feedback(struct http_request *request, struct http_response *response, void *app);
void handle_backup(struct http_request *request, struct http_response *response, void *app);

/* ---- helpers ---- */

/* Parse the body as a JSON object (an empty body is {}). RAG_EFORMAT, RAG_EINVAL, RAG_ENOMEM. */
enum rag_status handle_body_object(const struct http_request *request, struct json **ret,
                                   struct rag_error *reterr);
/* A query parameter as an integer; absent keeps *ret. RAG_EINVAL names it. */
enum rag_status handle_query_int(const struct http_request *request, const char *key, int64_t min,
                                 int64_t max, int64_t *ret, struct rag_error *reterr);
/* Finish: the text in 'body' (taken) with the code, or the error when status is not RAG_OK or
 * the buffer failed. */
void handle_finish(const struct http_request *request, struct http_response *response, int code,
                   struct buf *body, enum rag_status status, const struct rag_error *error);
bool handle_is_admin(const struct app *app, const struct http_request *request);
/* RAG_OK or RAG_EDENIED. */
enum rag_status handle_need_admin(const struct app *app, const struct http_request *request,
                                  struct rag_error *reterr);
/* Append an audit row about something that is no document change. */
enum rag_status handle_record(const struct app *app, const struct http_request *request,
                              const char *kind, const char *collection, uint64_t change,
                              struct rag_error *reterr);

/* The request is about this collection: for the log, and for who looks at what is going on. */
void handle_note_collection(struct app *app, struct http_request *request, const char *name);
/* What came of a question or a search, for the log and the trace. */
void handle_note_ask(const struct app *app, struct http_request *request,
                     const struct pipeline_request *asked, const struct pipeline_answer *a,
                     enum rag_status status);
void handle_note_search(struct http_request *request, const struct pipeline_request *asked,
                        const struct retrieval *r, enum rag_status status);

/* Of a search: what ran, for the metrics; what was left out, for the log too. */
void handle_count_stages(struct app *app, const char *request_id, const struct retrieval *r);
/* The same of a question, and how it ended. */
void handle_count_ask(struct app *app, const char *request_id, const struct pipeline_answer *a,
                      enum rag_status status);

#define HANDLE_REPLY_BYTES_MAX (256u << 20) /* TOP_K_MAX passages of the largest chunk, escaped */

#endif
