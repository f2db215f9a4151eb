/* daemon/ragctl/ragctl_top.c - 'ragctl top': what the daemon does right now.
 *
 * Reads /metrics and /v1/requests every interval and draws the differences. On a terminal the
 * screen is the alternate one, redrawn in place; elsewhere frames follow each other. */
#define _GNU_SOURCE
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/ragctl/top_figures.h"

#define FRAME_BYTES_MAX (16u << 20) /* /v1/requests lists 1000 at most */
#define INTERVAL_S_MAX  3600

/* Alternate screen and no cursor; and back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"

struct top {
    const struct ragctl_options *options;
    struct ragctl_client client;
    int64_t interval_s; /* 0 with --once: since the daemon's start */
    bool once;
    bool on_terminal; /* the screen was entered, and the keys are ours */
    struct termios keys;
    struct exposition before; /* of the last frame; empty: none */
    int64_t before_ns;
};

static volatile sig_atomic_t stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

/* ---- the terminal ---- */

static void enter_screen(struct top *t)
{
    struct termios keys;

    if (t->once || t->options->json || !isatty(STDOUT_FILENO))
        return;
    if (tcgetattr(STDIN_FILENO, &t->keys) == 0) {
        keys = t->keys;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    t->on_terminal = true;
    fputs(SCREEN_ENTER, stdout);
    fflush(stdout);
}

static void leave_screen(struct top *t)
{
    if (!t->on_terminal)
        return;
    fputs(SCREEN_LEAVE, stdout);
    fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &t->keys);
}

/* Wait for the next frame; false: the person has enough (q, Ctrl-C). */
static bool wait_interval(struct top *t, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns() + ms * 1000000;

    while (!stop_wanted) {
        struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left_ms = (until_ns - clock_monotonic_ns()) / 1000000;
        char c = 0;

        if (left_ms <= 0)
            return true;
        if (poll(&key, t->on_terminal ? 1 : 0, (int)left_ms) <= 0)
            continue;
        if (read(STDIN_FILENO, &c, 1) <= 0)
            key.fd = -1;
        if (key.fd < 0 || c == 'q' || c == 'Q')
            return false;
    }
    return false;
}

/* Draw a frame over the last one. */
static void show(const struct top *t, const struct buf *frame)
{
    if (!t->on_terminal) {
        fputs(buf_str(frame), stdout);
    } else {
        fputs("\033[H", stdout);
        for (const char *line = buf_str(frame); *line;) {
            size_t n = strcspn(line, "\n");

            fprintf(stdout, "%.*s\033[K\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
        fputs("\033[J", stdout);
    }
    fflush(stdout);
}

static size_t terminal_rows(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1)
        return size.ws_row - 1u;
    return 24;
}

/* ---- a frame ---- */

static enum rag_status read_metrics(struct top *t, struct exposition *ret, struct rag_error *reterr)
{
    enum rag_status status = ragctl_client_call(&t->client, "GET", "/metrics", NULL, reterr);

    return status == RAG_OK ? exposition_parse(buf_str(&t->client.body), ret, reterr) : status;
}

static void put_frame(const struct top *t, const struct top_figures *f, const struct json *requests,
                      struct buf *out)
{
    const char *where = t->options->url ? t->options->url : t->options->socket_path;
    const struct json *list = json_member(requests, "requests");
    struct json_writer w;
    char *text = NULL;

    if (!t->options->json) {
        bool cut = t->on_terminal;

        top_draw(f, requests, where, cut ? terminal_rows() : (size_t)-1,
                 cut ? print_terminal_columns(stdout) : (size_t)-1, out);
        if (!cut && !t->once)
            buf_append_char(out, '\n');
        return;
    }
    if (list && json_print(list, &text) != RAG_OK)
        return;
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    top_write(f, text ? text : "[]", &w);
    json_end_object(&w);
    buf_append_char(out, '\n');
    free(text);
}

static enum rag_status make_frame(struct top *t, struct buf *out, struct rag_error *reterr)
{
    struct exposition now = {0};
    struct json *requests = NULL;
    struct top_figures figures;
    int64_t now_ns = clock_monotonic_ns();
    enum rag_status status = read_metrics(t, &now, reterr);
    double now_s = (double)clock_wall_ms() / 1000;
    double seconds;

    if (status == RAG_OK)
        status = ragctl_client_call(&t->client, "GET", "/v1/requests", &requests, reterr);
    if (status != RAG_OK) {
        exposition_release(&now);
        return status;
    }
    seconds = t->before.n > 0
                  ? (double)(now_ns - t->before_ns) / 1e9
                  : now_s - exposition_sum(&now, "process_start_time_seconds", NULL, NULL);
    top_figures_compute(&now, &t->before, seconds > .001 || isnan(seconds) ? seconds : .001, now_s,
                        &figures);
    put_frame(t, &figures, requests, out);
    json_free(requests);
    exposition_release(&t->before);
    t->before = now;
    t->before_ns = now_ns;
    return RAG_OK;
}

/* What there is to compare the first frame with. */
static enum rag_status read_first(struct top *t, struct rag_error *reterr)
{
    enum rag_status status;

    if (t->interval_s == 0 || !t->once)
        return RAG_OK;
    t->before_ns = clock_monotonic_ns();
    status = read_metrics(t, &t->before, reterr);
    if (status == RAG_OK && !wait_interval(t, t->interval_s * 1000))
        status = rag_fail(reterr, RAG_ECANCELLED, "top: interrupted");
    return status;
}

static enum rag_status watch(struct top *t, struct rag_error *reterr)
{
    enum rag_status status = read_first(t, reterr);
    bool shown = false;

    while (status == RAG_OK && !stop_wanted) {
        struct rag_error error = {RAG_OK, ""};
        enum rag_status made;
        struct buf frame;

        buf_init(&frame, FRAME_BYTES_MAX);
        made = make_frame(t, &frame, &error);
        if (made != RAG_OK && (t->once || !shown)) {
            buf_release(&frame);
            return rag_fail(reterr, made, "%s", error.text);
        }
        if (made != RAG_OK) /* it may be starting anew */
            buf_printf(&frame, "%s\n", error.text);
        if (!shown)
            enter_screen(t);
        shown = true;
        show(t, &frame);
        buf_release(&frame);
        if (t->once || !wait_interval(t, t->interval_s * 1000))
            break;
    }
    return status;
}

int ragctl_top(const struct ragctl_options *options, int argc, char **argv)
{
    struct top t = {.options = options, .interval_s = -1};
    const struct ragctl_arg table[] = {
        {.name = "--once", .flag = &t.once},
        { .name = "--interval", .number = &t.interval_s,  .min = 0, .max = INTERVAL_S_MAX},
    };
    struct rag_error error = {RAG_OK, ""};
    struct sigaction action = {.sa_handler = on_signal};
    enum rag_status status;

    if (ragctl_args_no_words("top", table, sizeof table / sizeof table[0], argc, argv, &error) !=
        RAG_OK)
        return ragctl_usage("top", &error);
    if (t.interval_s == 0 && !t.once) {
        rag_fail(&error, RAG_EINVAL, "top: --interval 0 needs --once");
        return ragctl_usage("top", &error);
    }
    if (t.interval_s < 0)
        t.interval_s = t.once ? 1 : 2;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    status = ragctl_client_open(options, &t.client, &error);
    t.client.busy_wait_ms = 0;
    if (status == RAG_OK)
        status = watch(&t, &error);
    leave_screen(&t);
    exposition_release(&t.before);
    ragctl_client_close(&t.client);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
