/* ragctl chat: questions line by line, with what was said before.
 *
 * On a terminal Ctrl-C ends the answer that is being written, not the chat: the connection closes,
 * and ragd frees what it held. A second one at the prompt ends the chat, as Ctrl-D does. Lines are
 * edited by the terminal itself, which is told that they are UTF-8. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/bounds.h"
#include "daemon/ragctl/ragctl_ask.h"
#include "daemon/ragctl/ragctl_print.h"

#define SOURCES_BYTES_MAX (16u << 20)
#define SOURCES_COLUMNS   2000 /* of a quotation after /sources: all of a long paragraph */

static const char help[] = "/new      forget what was said so far\n"
                           "/sources  the sources of the last answer, at length\n"
                           "/help     this list\n"
                           "/quit     end, as Ctrl-D does\n"
                           "Ctrl-C    end the answer that is being written; twice: end the chat\n";

struct chat {
    struct ragctl_client client;
    struct ragctl_query query;
    struct chat_history history;
    struct ask_screen screen;
    struct json *last;   /* owned: the last answer, or NULL */
    const char *backend; /* or NULL: as the daemon has it */
    bool prompt;         /* a person is typing */
    bool failed;         /* at least one question got an error */
    unsigned interrupts; /* since the last line */
};

/* The signal handler can reach nothing else: the flag, and a pipe that wakes who waits for a line,
 * so that no Ctrl-C is lost between a look at the flag and the waiting. */
static volatile sig_atomic_t interrupted;
static int wake[2] = {-1, -1};

static void on_interrupt(int number)
{
    int before = errno;

    (void)number;
    interrupted = 1;
    (void)!write(wake[1], "", 1); /* full: it wakes all the same */
    errno = before;
}

static bool not_interrupted(void)
{
    return !interrupted;
}

/* ---- one question ---- */

static void remember(struct chat *chat, const char *line, struct json *reply)
{
    const char *answer = json_string(json_member(reply, "answer"));
    const char *understood = json_string(json_member(reply, "standalone_question"));

    /* What it was understood as is what the next one may point back at. Without memory for it the
     * next question merely lacks this turn. */
    (void)chat_history_add(&chat->history, understood && *understood ? understood : line,
                           answer ? answer : "");
    json_free(chat->last);
    chat->last = reply; /* owned from here on */
}

/* Ask one line; a failure is reported and the conversation goes on. */
static void ask_line(struct chat *chat, const char *line)
{
    struct ask ask = {.query = &chat->query,
                      .question = line,
                      .history = &chat->history,
                      .backend = chat->backend,
                      .screen = chat->screen,
                      .go_on = chat->prompt ? not_interrupted : NULL};
    struct rag_error error = {0};
    struct json *reply = NULL;
    enum rag_status status;

    if (strlen(line) > QUESTION_BYTES_MAX) {
        rag_fail(&error, RAG_EINVAL, "question: %zu bytes, the limit is %d", strlen(line),
                 QUESTION_BYTES_MAX);
        ragctl_fail(chat->client.options, &error);
        chat->failed = true;
        return;
    }
    interrupted = 0;
    status = ragctl_ask_once(&chat->client, &ask, &reply, &error);
    if (status == RAG_OK) {
        remember(chat, line, reply);
    } else if (interrupted) {
        ragctl_note(chat->client.options, "cancelled");
        chat->interrupts = 1;
    } else {
        ragctl_fail(chat->client.options, &error);
        chat->failed = true;
    }
    interrupted = 0;
    if (!chat->client.options->json)
        putchar('\n');
}

/* ---- commands ---- */

static void show_sources(const struct chat *chat)
{
    struct buf out;

    if (json_size(json_member(chat->last, "citations")) == 0) {
        ragctl_note(chat->client.options, "there is no answer with sources yet");
        return;
    }
    buf_init(&out, SOURCES_BYTES_MAX);
    ragctl_ask_sources(chat->last, SOURCES_COLUMNS, print_terminal_columns(stdout), &out);
    fputs(buf_str(&out), stdout);
    putchar('\n');
    buf_release(&out);
}

static void forget(struct chat *chat)
{
    chat_history_clear(&chat->history);
    json_free(chat->last);
    chat->last = NULL;
    ragctl_note(chat->client.options, "a new conversation begins");
}

/* false: the person is done. */
static bool command(struct chat *chat, const char *line)
{
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        return false;
    if (strcmp(line, "/new") == 0 || strcmp(line, "/forget") == 0)
        forget(chat);
    else if (strcmp(line, "/sources") == 0)
        show_sources(chat);
    else if (strcmp(line, "/help") == 0)
        fputs(help, stdout);
    else
        fprintf(stderr, "ragctl: '%s': the commands are /new, /sources, /help and /quit\n", line);
    return true;
}

static bool take_line(struct chat *chat, char *line)
{
    size_t n = strcspn(line, "\r\n");

    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    line[n] = '\0';
    line += strspn(line, " \t");
    if (line[0] == '\0')
        return true;
    if (line[0] == '/')
        return command(chat, line);
    ask_line(chat, line);
    return true;
}

/* ---- lines ---- */

/* Ctrl-C at the prompt only clears the line. false: it was the second one. */
static bool goes_on(struct chat *chat)
{
    interrupted = 0;
    tcflush(STDIN_FILENO, TCIFLUSH);
    putchar('\n');
    if (++chat->interrupts >= 2)
        return false;
    ragctl_note(chat->client.options, "Ctrl-C once more, Ctrl-D or /quit ends");
    return true;
}

enum typed { TYPED_LINE, TYPED_INTERRUPT, TYPED_END };

/* Read a line from the person. A Ctrl-C that empties the line can make poll() say that there is
 * input; the flag is set by then. */
static enum typed type_line(char **line, size_t *cap)
{
    struct pollfd input[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = wake[0],      .events = POLLIN}
    };
    char byte;

    while (read(wake[0], &byte, 1) > 0)
        continue; /* of a Ctrl-C that is dealt with */
    fputs("> ", stdout);
    fflush(stdout);
    while (!interrupted && input[0].revents == 0 && input[1].revents == 0)
        if (poll(input, 2, -1) < 0 && errno != EINTR)
            return TYPED_END;
    if (!interrupted && getline(line, cap, stdin) >= 0)
        return TYPED_LINE;
    if (!interrupted || feof(stdin))
        return TYPED_END;
    clearerr(stdin);
    return TYPED_INTERRUPT;
}

static enum typed next_line(const struct chat *chat, char **line, size_t *cap)
{
    if (chat->prompt)
        return type_line(line, cap);
    return getline(line, cap, stdin) >= 0 ? TYPED_LINE : TYPED_END;
}

static void converse(struct chat *chat)
{
    enum typed typed = TYPED_LINE;
    char *line = NULL;
    size_t cap = 0;
    bool more = true;

    while (more && typed != TYPED_END) {
        typed = next_line(chat, &line, &cap);
        if (typed == TYPED_INTERRUPT) {
            more = goes_on(chat);
        } else if (typed == TYPED_LINE) {
            chat->interrupts = 0;
            more = take_line(chat, line);
            fflush(stdout);
        }
    }
    if (chat->prompt && typed == TYPED_END)
        putchar('\n');
    free(line);
}

/* One erase takes one character, not one byte; and Ctrl-C does not throw away what is on its way to
 * the screen, which may be our answer to it (the typed line is dropped by ourselves). *ret_old:
 * what to restore. */
static bool set_terminal(struct termios *ret_old)
{
    struct termios now;

    if (tcgetattr(STDIN_FILENO, ret_old) != 0)
        return false;
    now = *ret_old;
    now.c_iflag |= IUTF8;
    now.c_lflag |= NOFLSH;
    return tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

static void converse_at_terminal(struct chat *chat)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt}; /* no SA_RESTART: reading ends */
    struct sigaction before;
    struct termios old;
    bool restore = set_terminal(&old);
    bool handled = pipe2(wake, O_CLOEXEC | O_NONBLOCK) == 0; /* else Ctrl-C ends the chat */

    sigemptyset(&interrupt.sa_mask);
    if (handled)
        sigaction(SIGINT, &interrupt, &before);
    ragctl_note(chat->client.options, "collection '%s'; /help lists the commands, Ctrl-D ends",
                chat->client.options->collection);
    converse(chat);
    if (handled) {
        sigaction(SIGINT, &before, NULL);
        close(wake[0]);
        close(wake[1]);
    }
    if (restore)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
}

/* Does stdout show escape sequences, and does the person want them (no-color.org)? */
static bool shows_escapes(void)
{
    const char *terminal = getenv("TERM");
    const char *plain = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) == 1 && !(plain && *plain) && terminal && *terminal &&
           strcmp(terminal, "dumb") != 0;
}

int ragctl_chat(const struct ragctl_options *options, int argc, char **argv)
{
    struct chat chat = {
        .screen = {.stream = isatty(STDOUT_FILENO) == 1,
                   .chat = !options->quiet,
                   .terminal = shows_escapes()}
    };
    struct rag_error error = {RAG_ENOMEM, "chat: out of memory"};
    bool no_stream = false;
    const struct ragctl_arg table[] = {
        {.name = "--top-k",           .number = &chat.query.top_k, .min = 1, .max = PASSAGES_MAX},
        {.name = "--filter",        .text = &chat.query.filter                                  },
        {.name = "--where",.list = &chat.query.only},
        {.name = "--backend",          .text = &chat.backend                                                  },
        {.name = "--no-stream",.flag = &no_stream},
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
    chat.screen.stream = chat.screen.stream && !no_stream;
    chat.prompt = isatty(STDIN_FILENO) == 1 && !options->json;
    status = ragctl_client_open(options, &chat.client, &error);
    if (status == RAG_OK && chat.prompt)
        converse_at_terminal(&chat);
    else if (status == RAG_OK)
        converse(&chat);
    chat_history_clear(&chat.history);
    json_free(chat.last);
    ragctl_client_close(&chat.client);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    return chat.failed ? RAGCTL_FAILED : RAGCTL_OK;
}
