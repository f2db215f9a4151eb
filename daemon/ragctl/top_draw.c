/* daemon/ragctl/top_draw.c - the screen of 'ragctl top'. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/ragctl/top_figures.h"

#define SCREEN_BYTES_MAX (4u << 20)
#define CELL_BYTES_MAX   4096

/* A number in a few columns; "-" where there is none. */
static const char *number(double v, char ret[32])
{
    if (isnan(v))
        return "-";
    snprintf(ret, 32, v >= 100 || v == floor(v) ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v);
    return ret;
}

static void append_bytes(struct buf *out, double n)
{
    if (isnan(n))
        buf_append_char(out, '-');
    else
        progress_append_bytes(out, (uint64_t)n);
}

static void append_pair(struct buf *out, const char *name, double v)
{
    char text[32];

    buf_printf(out, "  %s %s", name, number(v, text));
}

static void draw_head(const struct top_figures *f, const char *where, struct buf *out)
{
    char text[32];

    buf_printf(out, "ragd at %s  up ", where);
    progress_append_duration(out, isnan(f->uptime_s) || f->uptime_s < 0 ? 0 : f->uptime_s);
    buf_append_str(out, "  memory ");
    append_bytes(out, f->resident_bytes);
    append_pair(out, "cpu", f->cpu);
    append_pair(out, "fds", f->open_fds);
    buf_printf(out, " of %s\nper second:", number(f->max_fds, text));
    append_pair(out, "requests", f->requests_per_s);
    append_pair(out, "errors", f->errors_per_s);
    append_pair(out, "answered", f->answered_per_s);
    append_pair(out, "refused", f->refused_per_s);
    append_pair(out, "failed", f->failed_per_s);
    append_pair(out, "guard", f->guard_per_s);
    buf_append_str(out, "\ncache:");
    append_pair(out, "hit %", 100 * f->cache_hit_rate);
    append_pair(out, "exact/s", f->cache_exact_per_s);
    append_pair(out, "semantic/s", f->cache_semantic_per_s);
    append_pair(out, "miss/s", f->cache_miss_per_s);
    append_pair(out, "entries", f->cache_entries);
    buf_append_str(out, "\nqueues:");
    append_pair(out, "busy workers", f->workers_busy);
    append_pair(out, "interactive", f->queued_interactive);
    append_pair(out, "answer", f->queued_answer);
    append_pair(out, "bulk", f->queued_bulk);
    append_pair(out, "writes", f->queued_writes);
    append_pair(out, "models", f->models_waiting);
    if (f->kv_budget_bytes > 0) {
        buf_append_str(out, "\ndecoder:");
        append_pair(out, "running", f->decoder_running);
        append_pair(out, "waiting", f->decoder_waiting);
        append_pair(out, "tokens/s", f->output_tokens_per_s);
        buf_append_str(out, "  kv ");
        append_bytes(out, f->kv_used_bytes);
        buf_append_str(out, " of ");
        append_bytes(out, f->kv_budget_bytes);
    }
    buf_append_str(out, "\n\n");
}

static void draw_stages(const struct top_figures *f, struct buf *out)
{
    struct print_table t;
    char text[32];

    print_table_init(&t, "lrrr");
    print_table_cell(&t, "STAGE");
    print_table_cell(&t, "per s");
    print_table_cell(&t, "p50 ms");
    print_table_cell(&t, "p95 ms");
    for (size_t i = 0; i < f->n_stages; i++) {
        if (!(f->stages[i].per_s > 0))
            continue;
        print_table_cell(&t, "%s", f->stages[i].name);
        print_table_cell(&t, "%s", number(f->stages[i].per_s, text));
        print_table_cell(&t, "%s", number(f->stages[i].p50_ms, text));
        print_table_cell(&t, "%s", number(f->stages[i].p95_ms, text));
    }
    print_table_append(&t, out);
    print_table_release(&t);
    buf_append_char(out, '\n');
}

static void put_text(struct print_table *t, const struct json *object, const char *key)
{
    const char *text = json_string(json_member(object, key));
    struct buf clean;

    buf_init(&clean, CELL_BYTES_MAX);
    print_one_line(&clean, text ? text : "", text ? strlen(text) : 0, 0);
    print_table_cell(t, "%s", clean.len > 0 ? buf_str(&clean) : "-");
    buf_release(&clean);
}

static void draw_requests(const struct json *requests, struct buf *out)
{
    const struct json *list = json_member(requests, "requests");
    struct print_table t;
    char text[32];

    print_table_init(&t, "rlrlllll");
    print_table_cell(&t, "AGE s");
    print_table_cell(&t, "STAGE");
    print_table_cell(&t, "BYTES");
    print_table_cell(&t, "METHOD");
    print_table_cell(&t, "ROUTE");
    print_table_cell(&t, "COLLECTION");
    print_table_cell(&t, "PRINCIPAL");
    print_table_cell(&t, "REQUEST");
    for (const struct json *r = json_first(list); r; r = json_next(r)) {
        print_table_cell(&t, "%s", number(json_number(json_member(r, "age_ms")) / 1000, text));
        put_text(&t, r, "stage");
        print_table_cell(&t, "%.0f", json_number(json_member(r, "answer_bytes")));
        put_text(&t, r, "method");
        put_text(&t, r, "route");
        put_text(&t, r, "collection");
        put_text(&t, r, "principal");
        put_text(&t, r, "id");
    }
    print_table_append(&t, out);
    print_table_release(&t);
}

void top_draw(const struct top_figures *f, const struct json *requests, const char *where,
              size_t rows, size_t columns, struct buf *out)
{
    struct buf screen;
    size_t n = 0;

    buf_init(&screen, SCREEN_BYTES_MAX);
    draw_head(f, where, &screen);
    draw_stages(f, &screen);
    draw_requests(requests, &screen);
    for (const char *line = buf_str(&screen); *line && n < rows; n++) {
        size_t length = strcspn(line, "\n");

        /* a byte has at most one column, so no line is too wide */
        buf_append(out, line, utf8_floor(line, length, columns));
        buf_append_char(out, '\n');
        line += length + (line[length] == '\n');
    }
    buf_release(&screen);
}
