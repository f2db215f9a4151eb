/* daemon/handle_note.c - what handlers tell the log, the trace and the registry of live requests.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/handle.h"
#include "daemon/trace_pipeline.h"

void handle_note_collection(struct app *app, struct http_request *request, const char *name)
{
    request_note_collection(&request->note, name);
    live_request_collection(app->live, request->live, name);
}

void handle_note_search(struct http_request *request, const struct pipeline_request *asked,
                        const struct retrieval *r, enum rag_status status)
{
    request->note.outcome = status == RAG_OK ? "found" : rag_status_code(status);
    request->note.guard = guard_action_name(r->guard.verdict);
    trace_search(request->trace, asked, r);
}

void handle_note_ask(const struct app *app, struct http_request *request,
                     const struct pipeline_request *asked, const struct pipeline_answer *a,
                     enum rag_status status)
{
    struct request_note *note = &request->note;

    note->outcome = status != RAG_OK ? rag_status_code(status)
                    : a->refused     ? "refused"
                                     : "answered";
    if (a->result.backend)
        snprintf(note->backend, sizeof note->backend, "%s", a->result.backend);
    if (a->cache.entry != 0)
        snprintf(note->cache, sizeof note->cache, "%s", cache_kind_name(a->cache.kind));
    note->prompt_tokens = a->result.prompt_tokens;
    note->cached_tokens = a->result.cached_tokens;
    note->output_tokens = a->result.output_tokens;
    note->guard = guard_action_name(a->retrieval.guard.verdict);
    trace_ask(request->trace, app, asked, a, status);
}
