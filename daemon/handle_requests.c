/* daemon/handle_requests.c - GET /v1/requests: what is going on right now. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/handle.h"

static const char *stage_text(int stage)
{
    if (stage == LIVE_QUEUED)
        return "queued";
    return stage >= 0 && stage < N_STAGES ? stage_name((enum stage)stage) : "working";
}

static void write_one(struct json_writer *w, const struct live_view *v)
{
    char begun[CLOCK_TEXT_BYTES];

    clock_format(v->begun_ms, begun);
    json_begin_object(w, NULL);
    json_put_string(w, "id", v->id);
    json_put_string(w, "principal", v->principal);
    json_put_string(w, "method", v->method);
    json_put_string(w, "route", v->route);
    json_put_string(w, "collection", v->collection);
    json_put_string(w, "stage", stage_text(v->stage));
    json_put_string(w, "begun", begun);
    json_put_double(w, "age_ms", v->age_ms);
    json_put_int(w, "answer_bytes", (int64_t)v->answer_bytes);
    json_end_object(w);
}

void handle_requests(struct http_request *request, struct http_response *response, void *context)
{
    const struct app *app = context;
    const char *principal = handle_is_admin(app, request) ? NULL : request->principal;
    struct live_view *views = calloc(LIVE_LIST_MAX, sizeof *views);
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = RAG_OK;
    struct json_writer w;
    struct buf body;
    size_t n_all = 0;
    size_t n = 0;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    if (views)
        n = live_requests_list(app->live, principal, views, LIVE_LIST_MAX, &n_all);
    else
        status = rag_fail(&error, RAG_ENOMEM, "requests: out of memory");
    json_begin_object(&w, NULL);
    json_begin_array(&w, "requests");
    for (size_t i = 0; i < n; i++)
        if (strcmp(views[i].id, request->id) != 0)
            write_one(&w, &views[i]);
    json_end_array(&w);
    if (!principal) /* how busy others are is the administrators' to know */
        json_put_int(&w, "n", (int64_t)n_all - (n_all > 0));
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
    free(views);
}
