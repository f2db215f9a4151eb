/* daemon/trace_pipeline.h - the spans of a question: its stages, the search, the model.
 *
 * Attributes are those of OpenTelemetry's semantic conventions 1.41.0 where they have one (HTTP,
 * and for generative AI the spans "chat" and "retrieval"), else begin with ragd. A stage that runs
 * in several goes (the guard, the cache) is one span from its first go on, as long as all together.
 * The name of an offline collection is left out. */
#ifndef RAG_DAEMON_TRACE_PIPELINE_H
#define RAG_DAEMON_TRACE_PIPELINE_H

#include "daemon/app.h"
#include "daemon/tracer.h"

/* Of a search, or of an answer with all that it took. NULL traces are no-ops. */
void trace_search(struct trace *t, const struct pipeline_request *request,
                  const struct retrieval *r);
void trace_ask(struct trace *t, const struct app *app, const struct pipeline_request *request,
               const struct pipeline_answer *a, enum rag_status status);

#endif
