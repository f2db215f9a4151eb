/* daemon/chat_request.h - the body of POST /v1/chat/completions (OpenAI's API, "Create chat
 * completion"), read into what the pipeline or a decoder takes. */
#ifndef RAG_DAEMON_CHAT_REQUEST_H
#define RAG_DAEMON_CHAT_REQUEST_H

#include "base/arena.h"
#include "base/json.h"
#include "daemon/app.h"

struct chat_request {
    struct json *body; /* owned */
    struct arena arena;
    char *filter_text;             /* owned, or NULL */
    struct collection *collection; /* a reference; NULL: plain chat */
    const char *model;             /* what the reply calls it */
    struct message *messages;      /* [n_messages], NFC; the last one is the user's */
    size_t n_messages;
    struct generator *generator; /* NULL: the configured ones in order */
    struct sampling sampling;
    struct pipeline_request ask; /* with a collection */
    int64_t deadline_ns;
    bool stream;
    bool include_usage; /* in the stream */
};

/* ret: zeroed. RAG_EINVAL and RAG_EFORMAT name the member, RAG_ENOTFOUND (no such model or
 * collection), RAG_EDENIED, RAG_ELIMIT, RAG_ENOMEM. Release it in any case. */
enum rag_status chat_request_read(struct app *app, const struct http_request *request,
                                  struct chat_request *ret, struct rag_error *reterr);
void chat_request_release(struct app *app, struct chat_request *c);

#endif
