#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "daemon/ragctl_ask.h"

struct chat {
    struct ragctl_client client;
    struct ragctl_query query;
    struct chat_history history;
    bool stream;
    bool prompt; /* a person is typing */
    bool failed; /* at least one question got an error */
};

/* Ask one line; a failure is reported and the conversation goes on. */
static void ask_line(struct chat *chat, const char *line)
{
    struct ask ask = {
        .query = &chat->query, .question = line, .history = &chat->history, .stream = chat->stream};
    struct rag_error error = {0};
    struct json *reply = NULL;

    if (strlen(line) > QUESTION_BYTES_MAX) {
        rag_fail(&error, RAG_EINVAL, "question: %zu bytes, the limit is %d", strlen(line),
                 QUESTION_BYTES_MAX);
        ragctl_fail(chat->client.options, &error);
        chat->failed = true;
        return;
    }
    if (ragctl_ask_once(&chat->client, &ask, &reply, &error) != RAG_OK) {
        ragctl_fail(chat->client.options, &error);
        chat->failed = true;
    } else {
        const char *answer = json_string(json_member(reply, "answer"));

        /* Without memory for it the next question merely lacks this turn. */
        (void)chat_history_add(&chat->history, line, answer ? answer : "");
    }
    json_free(reply);
    if (!chat->client.options->json)
        putchar('\n');
}

/* false: the person is done. */
static bool read_line(struct chat *chat, char *line)
{
    size_t n = strcspn(line, "\r\n");

    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    line[n] = '\0';
    line += strspn(line, " \t");
    if (line[0] == '\0')
        return true;
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        return false;
    if (strcmp(line, "/forget") == 0)
        chat_history_clear(&chat->history);
    else if (line[0] == '/')
        fprintf(stderr, "ragctl: '%s': the commands are /forget and /quit\n", line);
    else
        ask_line(chat, line);
    return true;
}

static void converse(struct chat *chat)
{
    char *line = NULL;
    size_t cap = 0;
    bool more = true;

    if (chat->prompt)
        ragctl_note(chat->client.options,
                    "collection '%s'; /forget starts afresh, /quit or Ctrl-D ends",
                    chat->client.options->collection);
    while (more) {
        if (chat->prompt) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        if (getline(&line, &cap, stdin) < 0)
            break;
        more = read_line(chat, line);
    }
    if (chat->prompt && more)
        putchar('\n');
    free(line);
}

int ragctl_chat(const struct ragctl_options *options, int argc, char **argv)
{
    struct chat chat = {.stream = isatty(STDOUT_FILENO) == 1};
    struct rag_error error = {RAG_ENOMEM, "chat: out of memory"};
    bool no_stream = false;
    const struct ragctl_arg table[] = {
        {.name = "--top-k",           .number = &chat.query.top_k, .min = 1, .max = PASSAGES_MAX},
        {.name = "--filter",        .text = &chat.query.filter                                  },
        {.name = "--where",.list = &chat.query.only},
        {.name = "--no-stream",          .flag = &no_stream                                                  },
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return ragctl_fail(options, &error);
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               &error);
    if (status == RAG_OK && n_words > 0)
        status = rag_fail(&error, RAG_EINVAL,
                          "chat: reads its questions from standard input, not '%s'", words[0]);
    free(words);
    if (status != RAG_OK)
        return ragctl_usage("chat", &error);
    chat.stream = chat.stream && !no_stream;
    chat.prompt = isatty(STDIN_FILENO) == 1 && !options->json;
    status = ragctl_client_open(options, &chat.client, &error);
    if (status == RAG_OK)
        converse(&chat);
    chat_history_clear(&chat.history);
    ragctl_client_close(&chat.client);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    return chat.failed ? RAGCTL_FAILED : RAGCTL_OK;
}
