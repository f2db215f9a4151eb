/* daemon/ragctl/ragctl_ask.h - one question and its answer, for ask and chat. */
#ifndef RAG_DAEMON_RAGCTL_ASK_H
#define RAG_DAEMON_RAGCTL_ASK_H

#include <stdbool.h>

#include "base/json.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_filter.h"

#define CHAT_TURNS_MAX 10 /* earlier questions sent along: what a person still refers to */

struct chat_turn {
    char *question; /* owned */
    char *answer;   /* owned; "" for a refusal */
};
struct chat_history {
    struct chat_turn turns[CHAT_TURNS_MAX];
    size_t n;
};
void chat_history_clear(struct chat_history *history);
/* Remember a turn, forgetting the oldest when there are CHAT_TURNS_MAX. */
enum rag_status chat_history_add(struct chat_history *history, const char *question,
                                 const char *answer);

/* How an answer comes onto the screen; of a chat more than of a single ask. */
struct ask_screen {
    bool stream;   /* print sentences as they come, then the sources */
    bool chat;     /* say what was understood and who answered; short quotations */
    bool terminal; /* stdout shows escape sequences: dim what is no answer, say that it goes on */
};

struct ask {
    const struct ragctl_query *query;
    const char *question;
    const struct chat_history *history; /* or NULL */
    const char *backend;                /* "local", "extractive"; NULL: as the daemon has it */
    bool no_cache;                      /* answer it anew */
    struct ask_screen screen;
    bool (*go_on)(void); /* false: give it up with RAG_ECANCELLED; or NULL */
};
/* Ask and, without --json, print. *ret_reply: the answer object ("answer", "refused", ...);
 * json_free() it. With --json the object itself is printed. */
enum rag_status ragctl_ask_once(struct ragctl_client *client, const struct ask *ask,
                                struct json **ret_reply, struct rag_error *reterr);

/* What a person sees of an answer object: the answer (unless it was streamed), then each
 * citation with the text it quotes, or why there is no answer and what came nearest. Appended to
 * out. */
void ragctl_ask_format(const struct json *reply, const struct ask_screen *screen, bool streamed,
                       size_t columns, struct buf *out);
/* What the policy did, an action and a kind each, in brackets; nothing where it did nothing. */
void ragctl_ask_guard(const struct json *reply, struct buf *out);
/* Its sources alone; quotations are cut at quote_columns. */
void ragctl_ask_sources(const struct json *reply, size_t quote_columns, size_t columns,
                        struct buf *out);

#endif
