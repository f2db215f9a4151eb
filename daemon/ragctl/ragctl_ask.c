#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/ragctl/ragctl_sse.h"
#include "text/char_class.h"

#define REQUEST_BYTES_MAX (8u << 20)  /* a question and CHAT_TURNS_MAX answers, escaped */
#define EVENT_BYTES_MAX   (64u << 20) /* the passages event: PASSAGES_MAX large chunks */
#define OUTPUT_BYTES_MAX  (16u << 20)
#define ERROR_BYTES_MAX   65536
#define QUOTE_COLUMNS     400 /* of a cited text: five lines; --json has all of it */
#define CHAT_QUOTE_COLUMNS                                                                         \
    140                     /* in a chat: two lines, /sources has more                             \
                             */
#define LACK_COLUMNS    120 /* of why a backend did not answer */
#define GUARD_SHOWN_MAX 5   /* findings of the policy below an answer */
/* What a decoder may take, over the daemon's own deadline of five minutes, which has the better
 * message. */
#define ASK_TIMEOUT_MS  330000

void chat_history_clear(struct chat_history *history)
{
    for (size_t i = 0; i < history->n; i++) {
        free(history->turns[i].question);
        free(history->turns[i].answer);
    }
    history->n = 0;
}

enum rag_status chat_history_add(struct chat_history *history, const char *question,
                                 const char *answer)
{
    struct chat_turn turn = {strdup(question), strdup(answer)};

    if (!turn.question || !turn.answer) {
        free(turn.question);
        free(turn.answer);
        return RAG_ENOMEM;
    }
    if (history->n == CHAT_TURNS_MAX) {
        free(history->turns[0].question);
        free(history->turns[0].answer);
        memmove(&history->turns[0], &history->turns[1],
                (CHAT_TURNS_MAX - 1) * sizeof history->turns[0]);
        history->n--;
    }
    history->turns[history->n++] = turn; /* owns the texts from here on */
    return RAG_OK;
}

/* ---- what is printed ---- */

/* "document (title, heading)" and a new line; a title that begins the heading is said once. */
static void append_place(struct buf *out, const struct json *c)
{
    const char *document = ragctl_text(c, "document");
    const char *title = ragctl_text(c, "title");
    const char *heading = ragctl_text(c, "heading");
    bool both =
        title[0] != '\0' && heading[0] != '\0' && strncmp(heading, title, strlen(title)) != 0;

    print_one_line(out, document, strlen(document), 0);
    if (title[0] == '\0' && heading[0] == '\0') {
        buf_append_char(out, '\n');
        return;
    }
    buf_append_str(out, " (");
    if (both || heading[0] == '\0')
        print_one_line(out, title, strlen(title), 0);
    if (both)
        buf_append_str(out, ", ");
    print_one_line(out, heading, strlen(heading), 0);
    buf_append_str(out, ")\n");
}

void ragctl_ask_sources(const struct json *reply, size_t quote_columns, size_t columns,
                        struct buf *out)
{
    double last_n = -1;

    for (const struct json *c = json_first(json_member(reply, "citations")); c; c = json_next(c)) {
        double n = json_number(json_member(c, "n"));
        const char *text = ragctl_text(c, "text");
        struct buf quote;

        if (n > last_n || n < last_n) {
            buf_printf(out, "[%.0f] ", n);
            append_place(out, c);
        }
        last_n = n;
        buf_init(&quote, ERROR_BYTES_MAX);
        buf_append_char(&quote, '"');
        print_one_line(&quote, text, strlen(text), quote_columns);
        buf_append_char(&quote, '"');
        print_wrapped(out, buf_str(&quote), "    ", columns);
        buf_release(&quote);
    }
}

static void append_dim(struct buf *out, const struct ask_screen *screen, const char *text)
{
    buf_printf(out, screen->terminal ? "\033[2m%s\033[0m\n" : "%s\n", text);
}

/* The question that was asked in place of a follow-up. */
static void append_understood(struct buf *out, const struct ask_screen *screen, const char *text)
{
    struct buf line;

    buf_init(&line, ERROR_BYTES_MAX);
    buf_append_str(&line, "(understood as: ");
    print_one_line(&line, text, strlen(text), 0);
    buf_append_char(&line, ')');
    append_dim(out, screen, buf_str(&line));
    buf_release(&line);
}

static double number_member(const struct json *object, const char *key)
{
    double value = json_number(json_member(object, key));

    return value >= 0 ? value : 0; /* NAN: not there */
}

/* What a question had to do without: "rerank" says it; of "generate", of which another backend did
 * the work, only the reason does. */
static void append_lack(struct buf *line, const struct json *degraded)
{
    const char *stage = ragctl_text(degraded, "stage");
    const char *reason = ragctl_text(degraded, "reason");

    if (strcmp(stage, "generate") == 0 && reason[0] != '\0') {
        print_one_line(line, reason, strlen(reason), LACK_COLUMNS);
        return;
    }
    buf_append_str(line, "without ");
    print_one_line(line, stage, strlen(stage), 40);
}

static void append_degraded(struct buf *line, const struct json *reply)
{
    for (const struct json *d = json_first(json_member(reply, "degraded")); d; d = json_next(d)) {
        buf_append_str(line, "; ");
        append_lack(line, d);
    }
}

/* An answer that was given before says for which question. */
static void append_cached(struct buf *out, const struct ask_screen *screen,
                          const struct json *reply)
{
    const struct json *from = json_member(reply, "cached_from");
    const char *question = ragctl_text(from, "question");
    struct buf line;

    if (!from)
        return;
    buf_init(&line, ERROR_BYTES_MAX);
    buf_printf(&line, "(from the cache, entry %.0f: asked before as \"",
               json_number(json_member(from, "entry")));
    print_one_line(&line, question, strlen(question), LACK_COLUMNS);
    buf_append_str(&line, "\")");
    append_dim(out, screen, buf_str(&line));
    buf_release(&line);
}

void ragctl_ask_guard(const struct json *reply, struct buf *out)
{
    const struct json *findings = json_member(json_member(reply, "guard"), "findings");
    size_t n = 0;

    if (json_size(findings) == 0)
        return;
    buf_append_str(out, "(guard: ");
    for (const struct json *f = json_first(findings); f && n < GUARD_SHOWN_MAX; f = json_next(f)) {
        const char *detail = ragctl_text(f, "detail");

        buf_printf(out, "%s%s ", n++ > 0 ? ", " : "", ragctl_text(f, "action"));
        print_one_line(out, detail, strlen(detail), 40);
        buf_printf(out, " in the %s", ragctl_text(f, "stage"));
    }
    if (json_size(findings) > n)
        buf_printf(out, ", and %zu more", json_size(findings) - n);
    buf_append_char(out, ')');
}

static void append_guard(struct buf *out, const struct ask_screen *screen, const struct json *reply)
{
    struct buf line;

    buf_init(&line, ERROR_BYTES_MAX);
    ragctl_ask_guard(reply, &line);
    if (line.len > 0)
        append_dim(out, screen, buf_str(&line));
    buf_release(&line);
}

/* Who answered, how fast, and what is missing. */
static void append_footer(struct buf *out, const struct ask_screen *screen,
                          const struct json *reply)
{
    const struct json *usage = json_member(reply, "usage");
    double total_ms = number_member(json_member(reply, "stages_ms"), "total");
    double dropped = number_member(reply, "passages_dropped");
    double removed = number_member(reply, "sentences_removed");
    double tokens = number_member(usage, "completion_tokens");
    double decode_ms = number_member(json_member(reply, "timings_ms"), "decode");
    const char *backend = ragctl_text(reply, "backend");
    bool answered = strcmp(backend, "none") != 0; /* the gate refused before any was asked */
    struct buf line;

    buf_init(&line, ERROR_BYTES_MAX);
    buf_append_char(&line, '(');
    if (answered) {
        print_one_line(&line, backend, strlen(backend), 40);
        buf_append_str(&line, ", ");
    }
    buf_printf(&line, total_ms < 100 ? "%.0f ms" : "%.1f s",
               total_ms < 100 ? total_ms : total_ms / 1000);
    if (tokens > 0)
        buf_printf(&line, "; %.0f tokens", tokens);
    if (tokens > 1 && decode_ms > 0)
        buf_printf(&line, ", %.1f a second", (tokens - 1) * 1000 / decode_ms);
    if (removed > 0)
        buf_printf(&line, "; %.0f sentence%s without support left out", removed,
                   removed > 1 ? "s" : "");
    if (dropped > 0)
        buf_printf(&line, "; %.0f passage%s did not fit", dropped, dropped > 1 ? "s" : "");
    append_degraded(&line, reply);
    buf_append_char(&line, ')');
    append_dim(out, screen, buf_str(&line));
    buf_release(&line);
}

/* What came nearest to a question that is refused: where a person may look. */
static void append_nearest(struct buf *out, const struct json *reply, bool korean, size_t columns)
{
    const struct json *nearest = json_member(reply, "nearest");

    if (json_size(nearest) > 0)
        buf_append_str(out, korean ? "\n가장 가까운 단락 (답인지는 모릅니다):\n"
                                   : "\nNearest passages (they may not answer):\n");
    for (const struct json *s = json_first(nearest); s; s = json_next(s)) {
        const char *snippet = ragctl_text(s, "snippet");
        struct buf line;

        buf_init(&line, ERROR_BYTES_MAX);
        if (number_member(s, "snippet_start") > number_member(s, "byte_start"))
            buf_append_str(&line, "…");
        print_one_line(&line, snippet, strlen(snippet), 0);
        if (number_member(s, "snippet_end") < number_member(s, "byte_end"))
            buf_append_str(&line, "…");
        buf_append_str(out, "    ");
        append_place(out, s);
        print_wrapped(out, buf_str(&line), "        ", columns);
        buf_release(&line);
    }
}

static void append_refusal(struct buf *out, const struct json *reply, size_t columns)
{
    const char *reason = ragctl_text(reply, "reason");
    bool korean; /* the language of the question, as the reason */

    if (reason[0] == '\0')
        reason = "the documents do not support one";
    korean = text_has_hangul(reason, strlen(reason));
    buf_append_str(out, korean ? "답 없음: " : "No answer: ");
    print_one_line(out, reason, strlen(reason), 0);
    buf_append_char(out, '\n');
    append_nearest(out, reply, korean, columns);
}

void ragctl_ask_format(const struct json *reply, const struct ask_screen *screen, bool streamed,
                       size_t columns, struct buf *out)
{
    const struct json *citations = json_member(reply, "citations");
    const char *understood = ragctl_text(reply, "standalone_question");
    const char *answer = ragctl_text(reply, "answer");

    if (screen->chat && !screen->stream && understood[0] != '\0')
        append_understood(out, screen, understood);
    if (json_true(json_member(reply, "refused"))) {
        append_refusal(out, reply, columns);
    } else {
        if (!streamed) {
            print_clean(out, answer, strlen(answer));
            buf_append_char(out, '\n');
        }
        if (json_size(citations) > 0)
            buf_append_char(out, '\n');
        ragctl_ask_sources(reply, screen->chat ? CHAT_QUOTE_COLUMNS : QUOTE_COLUMNS, columns, out);
    }
    append_cached(out, screen, reply);
    append_guard(out, screen, reply);
    if (screen->chat)
        append_footer(out, screen, reply);
}

static void print_reply(const struct json *reply, const struct ask_screen *screen, bool streamed)
{
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    ragctl_ask_format(reply, screen, streamed, print_terminal_columns(stdout), &out);
    fputs(buf_str(&out), stdout);
    fflush(stdout);
    buf_release(&out);
}

/* ---- the request ---- */

static enum rag_status make_request(const struct ragctl_client *client, const struct ask *ask,
                                    bool stream, struct buf *ret_body, struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;

    json_writer_init(&w, ret_body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "question", ask->question);
    json_put_bool(&w, "stream", stream);
    if (ask->backend)
        json_put_string(&w, "backend", ask->backend);
    if (ask->no_cache)
        json_put_bool(&w, "cache", false);
    status = ragctl_query_write(&w, client->options->collection, ask->query, reterr);
    if (ask->history && ask->history->n > 0) {
        json_begin_array(&w, "messages");
        for (size_t i = 0; i < ask->history->n * 2; i++) {
            const struct chat_turn *turn = &ask->history->turns[i / 2];

            json_begin_object(&w, NULL);
            json_put_string(&w, "role", i % 2 == 0 ? "user" : "assistant");
            json_put_string(&w, "content", i % 2 == 0 ? turn->question : turn->answer);
            json_end_object(&w);
        }
        json_end_array(&w);
    }
    json_end_object(&w);
    return status;
}

/* ---- streaming ---- */

/* One attempt's stream. An error comes as one JSON object instead of events. */
struct stream {
    const struct ask *ask;
    struct ragctl_sse sse;
    struct buf error_body;
    bool started;
    bool is_error;
    bool printed; /* some of the answer is on the screen */
    bool waiting; /* a line says that it goes on */
    struct json *done;
    struct rag_error failure; /* status RAG_OK: none */
};

/* While a decoder reads there is nothing to see: say so, on a line that goes when there is. */
static void show_waiting(struct stream *s, const struct json *event)
{
    size_t n = json_size(json_member(event, "passages"));

    if (!s->ask->screen.chat || !s->ask->screen.terminal || n == 0)
        return;
    printf("\033[2m(%zu passage%s found ...)\033[0m", n, n > 1 ? "s" : "");
    fflush(stdout);
    s->waiting = true;
}

static void end_waiting(struct stream *s)
{
    if (s->waiting)
        fputs("\r\033[K", stdout);
    s->waiting = false;
}

static void show_understood(const struct stream *s, const struct json *event)
{
    struct buf out;

    if (!s->ask->screen.chat)
        return;
    buf_init(&out, ERROR_BYTES_MAX);
    append_understood(&out, &s->ask->screen, ragctl_text(event, "standalone_question"));
    fputs(buf_str(&out), stdout);
    fflush(stdout);
    buf_release(&out);
}

static void stream_delta(struct stream *s, const struct json *event)
{
    const char *text = ragctl_text(event, "text");
    struct buf clean;

    end_waiting(s);
    buf_init(&clean, OUTPUT_BYTES_MAX);
    print_clean(&clean, text, strlen(text));
    fputs(buf_str(&clean), stdout);
    fflush(stdout);
    s->printed = s->printed || clean.len > 0;
    buf_release(&clean);
}

static bool on_event(void *context, const char *name, const char *data, size_t n_bytes)
{
    struct stream *s = context;
    struct json *event = NULL;

    if (json_parse(data, n_bytes, "event of ragd", &event, &s->failure) != RAG_OK)
        return false;
    s->failure.status = RAG_OK;
    if (strcmp(name, "delta") == 0) {
        stream_delta(s, event);
    } else if (strcmp(name, "question") == 0) {
        show_understood(s, event);
    } else if (strcmp(name, "passages") == 0) {
        show_waiting(s, event);
    } else if (strcmp(name, "done") == 0) {
        json_free(s->done);
        s->done = event;
        event = NULL; /* s owns it from here on */
    } else if (strcmp(name, "error") == 0) {
        rag_fail(&s->failure, RAG_EINTERNAL, "%s",
                 ragctl_text(json_member(event, "error"), "message"));
    }
    json_free(event);
    return s->failure.status == RAG_OK;
}

static bool on_piece(void *context, const char *data, size_t n_bytes)
{
    struct stream *s = context;

    if (!s->started && n_bytes > 0) {
        s->started = true;
        s->is_error = data[0] == '{';
    }
    if (s->is_error) {
        buf_append(&s->error_body, data, n_bytes);
        return buf_status(&s->error_body) == RAG_OK;
    }
    return ragctl_sse_feed(&s->sse, data, n_bytes);
}

static bool go_on(void *context)
{
    const struct stream *s = context;

    return s->ask->go_on();
}

static enum rag_status stream_once(struct ragctl_client *client, struct http_call *request,
                                   struct stream *s, struct rag_error *reterr)
{
    enum rag_status status;

    request->on_piece = on_piece;
    request->go_on = s->ask->go_on ? go_on : NULL;
    request->context = s;
    status = ragctl_client_once(client, request, reterr);
    end_waiting(s);
    if (s->printed)
        putchar('\n');
    if (s->ask->go_on && !s->ask->go_on())
        return rag_fail(reterr, RAG_ECANCELLED, "answer: cancelled");
    if (s->failure.status != RAG_OK) {
        *reterr = s->failure;
        return s->failure.status;
    }
    if (client->code >= 400)
        return ragctl_client_error(client->code, buf_str(&s->error_body), s->error_body.len,
                                   reterr);
    if (status == RAG_ECANCELLED)
        return rag_fail(reterr, RAG_EFORMAT, "ragd: sent an event over the limit of %u bytes",
                        EVENT_BYTES_MAX);
    if (status == RAG_OK && !s->done)
        return rag_fail(reterr, RAG_EIO, "ragd: the stream ended before the answer did");
    return status;
}

static enum rag_status ask_stream(struct ragctl_client *client, const struct ask *ask,
                                  struct http_call *request, struct json **ret_reply,
                                  struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    enum rag_status status;

    do {
        struct stream s = {.ask = ask};

        buf_init(&s.error_body, ERROR_BYTES_MAX);
        ragctl_sse_init(&s.sse, EVENT_BYTES_MAX, on_event, &s);
        status = stream_once(client, request, &s, reterr);
        if (status == RAG_OK) {
            print_reply(s.done, &ask->screen, s.printed);
            *ret_reply = s.done;
            s.done = NULL; /* the caller owns it from here on */
        }
        json_free(s.done);
        ragctl_sse_release(&s.sse);
        buf_release(&s.error_body);
    } while (status == RAG_EBUSY && ragctl_client_busy_again(client, since_ns));
    return status;
}

enum rag_status ragctl_ask_once(struct ragctl_client *client, const struct ask *ask,
                                struct json **ret_reply, struct rag_error *reterr)
{
    bool stream = ask->screen.stream && !client->options->json;
    struct http_call request = {.method = "POST", .path = "/v1/ask"};
    struct stream plain = {.ask = ask};
    enum rag_status status;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    status = make_request(client, ask, stream, &body, reterr);
    request.body = buf_str(&body);
    request.body_bytes = body.len;
    request.timeout_ms = client->options->timeout_ms ? client->options->timeout_ms : ASK_TIMEOUT_MS;
    if (status == RAG_OK && stream) {
        status = ask_stream(client, ask, &request, ret_reply, reterr);
    } else if (status == RAG_OK) {
        request.go_on = ask->go_on ? go_on : NULL;
        request.context = &plain;
        status = ragctl_client_do(client, &request, reterr);
        if (status == RAG_OK)
            status = json_parse(buf_str(&client->body), client->body.len, "response of ragd",
                                ret_reply, reterr);
        if (status == RAG_OK && client->options->json)
            printf("%s\n", buf_str(&client->body));
        else if (status == RAG_OK)
            print_reply(*ret_reply, &ask->screen, false);
    }
    buf_release(&body);
    return status;
}

/* ---- the command ---- */

static enum rag_status read_args(int argc, char **argv, struct ragctl_query *query, struct ask *ask,
                                 struct buf *ret_question, struct rag_error *reterr)
{
    bool stream = false;
    bool no_stream = false;
    const struct ragctl_arg table[] = {
        {.name = "--top-k",       .number = &query->top_k, .min = 1, .max = PASSAGES_MAX},
        {.name = "--filter",    .text = &query->filter                          },
        {.name = "--backend",.text = &ask->backend},
        {.name = "--no-cache",     .flag = &ask->no_cache                                 },
        {.name = "--where",.list = &query->only},
        {.name = "--stream",       .flag = &stream                                           },
        {.name = "--no-stream",  .flag = &no_stream},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return rag_fail(reterr, RAG_ENOMEM, "ask: out of memory");
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               reterr);
    if (status == RAG_OK)
        status = ragctl_query_join(words, n_words, "question", ret_question, reterr);
    ask->screen.stream = stream || (!no_stream && isatty(STDOUT_FILENO) == 1);
    free(words);
    return status;
}

/* A chat has them in its footer. */
static void note_lacks(const struct ragctl_options *options, const struct json *reply)
{
    const char *backend = ragctl_text(reply, "backend");

    for (const struct json *d = json_first(json_member(reply, "degraded")); d; d = json_next(d)) {
        struct buf line;

        buf_init(&line, ERROR_BYTES_MAX);
        append_lack(&line, d);
        if (strcmp(backend, "none") == 0)
            ragctl_note(options, "%s", buf_str(&line));
        else
            ragctl_note(options, "%s; answered by: %s", buf_str(&line), backend);
        buf_release(&line);
    }
}

int ragctl_ask(const struct ragctl_options *options, int argc, char **argv)
{
    struct ragctl_client client = {0};
    struct ragctl_query query = {0};
    struct ask ask = {.query = &query};
    struct json *reply = NULL;
    struct rag_error error = {0};
    int exit_status = RAGCTL_OK;
    struct buf question;

    buf_init(&question, QUESTION_BYTES_MAX + 1);
    if (read_args(argc, argv, &query, &ask, &question, &error) != RAG_OK) {
        exit_status = ragctl_usage("ask", &error);
        goto out;
    }
    ask.question = buf_str(&question);
    if (ragctl_client_open(options, &client, &error) != RAG_OK ||
        ragctl_ask_once(&client, &ask, &reply, &error) != RAG_OK) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (!options->json)
        note_lacks(options, reply);
    if (json_true(json_member(reply, "refused")))
        exit_status = RAGCTL_REFUSED;
out:
    json_free(reply);
    buf_release(&question);
    ragctl_client_close(&client);
    return exit_status;
}
