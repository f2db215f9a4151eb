#define _GNU_SOURCE
#include "daemon/ragctl/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define DRAW_EVERY_NS    100000000 /* ten times a second: smooth, and nothing to a terminal */
#define COLUMNS_DEFAULT  80
#define LINE_BYTES_MAX   1024
#define BAR_COLUMNS      20
#define BAR_LINE_COLUMNS 76 /* a narrower terminal gets the line without the bar */

void progress_append_duration(struct buf *out, double seconds)
{
    uint64_t s = seconds > 0 && seconds < 1e9 ? (uint64_t)llround(seconds) : 0;

    if (s >= 3600)
        buf_printf(out, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60),
                   (unsigned)(s % 60));
    else
        buf_printf(out, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

void progress_append_bytes(struct buf *out, uint64_t n_bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double v = (double)n_bytes / 1000.0;
    size_t unit = 0;

    if (n_bytes < 1000) {
        buf_printf(out, "%" PRIu64 " B", n_bytes);
        return;
    }
    while (v >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        v /= 1000.0;
        unit++;
    }
    buf_printf(out, "%.1f %s", v, units[unit]);
}

/* The part of the work that is done, 0..1; negative when the total is unknown. */
static double fraction_done(const struct progress *p)
{
    double f = -1.0;

    if (p->total_bytes > 0)
        f = (double)p->done_bytes / (double)p->total_bytes;
    else if (p->total > 0)
        f = (double)p->done / (double)p->total;
    return f > 1.0 ? 1.0 : f;
}

void progress_format(const struct progress *p, double elapsed_s, unsigned columns, struct buf *out)
{
    double f = fraction_done(p);

    if (f >= 0 && columns >= BAR_LINE_COLUMNS) {
        unsigned filled = (unsigned)(f * BAR_COLUMNS);

        buf_append_char(out, '[');
        for (unsigned i = 0; i < BAR_COLUMNS; i++)
            buf_append_char(out, i < filled ? '#' : '.');
        buf_append_str(out, "] ");
    }
    if (f >= 0)
        buf_printf(out, "%3u%%  ", (unsigned)(f * 100.0));
    buf_printf(out, "%" PRIu64, p->done);
    if (p->total > 0)
        buf_printf(out, "/%" PRIu64, p->total);
    buf_printf(out, " %s", p->noun);
    if (p->done_bytes > 0) {
        buf_append_str(out, "  ");
        progress_append_bytes(out, p->done_bytes);
    }
    if (elapsed_s >= 1.0 && p->done > 0) {
        double rate = (double)p->done / elapsed_s;

        buf_printf(out, "  %.*f %s/s", rate < 100 ? 1 : 0, rate, p->noun);
        if (f > 0) {
            buf_append_str(out, "  ETA ");
            progress_append_duration(out, elapsed_s * (1.0 - f) / f);
        }
    }
    /* The line is ASCII but for a caller's noun; a line that wraps would not be cleared. */
    if (columns > 1 && out->len >= columns) {
        out->len = columns - 1;
        out->data[out->len] = '\0';
    }
}

static unsigned terminal_columns(FILE *out)
{
    struct winsize size = {0};

    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return COLUMNS_DEFAULT;
}

static void clear_line(struct progress *p)
{
    if (!p->on_screen)
        return;
    fputs("\r\033[K", p->out);
    p->on_screen = false;
}

static void draw(struct progress *p)
{
    struct buf line;

    buf_init(&line, LINE_BYTES_MAX);
    progress_format(p, clock_elapsed_ms(p->start_ns) / 1000.0, terminal_columns(p->out), &line);
    clear_line(p);
    fputs(buf_str(&line), p->out);
    fflush(p->out);
    p->on_screen = true;
    p->drawn_ns = clock_monotonic_ns();
    buf_release(&line);
}

void progress_init(struct progress *p, FILE *out, bool quiet, const char *noun, uint64_t total,
                   uint64_t total_bytes)
{
    memset(p, 0, sizeof *p);
    p->out = out;
    p->noun = noun;
    p->total = total;
    p->total_bytes = total_bytes;
    p->start_ns = clock_monotonic_ns();
    p->visible = !quiet && isatty(fileno(out)) == 1;
}

void progress_update(struct progress *p, uint64_t done, uint64_t done_bytes)
{
    p->done = done;
    p->done_bytes = done_bytes;
    if (p->visible && clock_monotonic_ns() - p->drawn_ns >= DRAW_EVERY_NS)
        draw(p);
}

void progress_note(struct progress *p, const char *fmt, ...)
{
    bool redraw = p->on_screen;
    va_list ap;

    clear_line(p);
    va_start(ap, fmt);
    vfprintf(p->out, fmt, ap);
    va_end(ap);
    fputc('\n', p->out);
    if (redraw)
        draw(p);
}

void progress_finish(struct progress *p)
{
    clear_line(p);
    fflush(p->out);
    p->visible = false;
}
