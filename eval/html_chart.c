#include <math.h>
#include <stdio.h>

#include "eval/html.h"

/* All sizes are units of the SVG's viewBox; the page scales it to its width. */
#define WIDTH       920.0
/* Stages have the colors of their numbers; behind them the one of what went wrong. */
#define COLOR_WRONG N_RUN_STAGES

static const char *const figure_names[6] = {"hit@1",  "hit@5",  "hit@10",
                                            "hit@20", "MRR@10", "nDCG@10"};

static double figure(const struct stage_quality *q, int i)
{
    const double values[6] = {q->hit_at_1,  q->hit_at_5,  q->hit_at_10,
                              q->hit_at_20, q->mrr_at_10, q->ndcg_at_10};

    return values[i];
}

static void begin(struct buf *out, double height, const char *label)
{
    buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">", WIDTH, height,
               label);
}

static void text(struct buf *out, double x, double y, const char *class, const char *s)
{
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    html_str(out, s);
    buf_append_str(out, "</text>");
}

static void grid_line(struct buf *out, double x1, double y1, double x2, double y2)
{
    buf_printf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>", x1,
               y1, x2, y2);
}

static void bar(struct buf *out, double x, double y, double width, double height, int color)
{
    buf_printf(out,
               "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\" "
               "class=\"c%d\"/>",
               x, y, width, height > 0.5 ? height : 0.5, color);
}

void chart_stages(const struct run *run, struct buf *out)
{
    const double top = 34, bottom = 250, left = 44, group = (WIDTH - 44) / 6;
    double legend_x = left;
    int n_stages = 0;
    double width;

    for (int s = 0; s < N_RUN_STAGES; s++)
        n_stages += run->ran[s] ? 1 : 0;
    if (n_stages == 0)
        return;
    width = (group - 22) / n_stages;
    begin(out, 285, "Retrieval quality by stage");
    for (int i = 0; i <= 4; i++) {
        double y = bottom - (bottom - top) * i / 4;
        char label[16];

        snprintf(label, sizeof label, "%.2f", i / 4.0);
        grid_line(out, left, y, WIDTH, y);
        text(out, left - 8, y + 4, "tick end", label);
    }
    for (int i = 0; i < 6; i++) {
        double x = left + group * i + 11;

        for (int s = 0; s < N_RUN_STAGES; s++) {
            struct stage_quality q = stage_quality_mean(&run->sums[s]);
            double height = (bottom - top) * figure(&q, i);
            char label[16];

            if (!run->ran[s])
                continue;
            snprintf(label, sizeof label, n_stages > 3 ? "%.2f" : "%.3f", figure(&q, i));
            bar(out, x, bottom - height, width - 4, height, s);
            /* numbers on six bars run into each other; the table below has them all */
            if (n_stages <= 5 || s == RUN_FINAL)
                text(out, x + width / 2 - 2, bottom - height - 5, "value mid", label);
            else if (s == RUN_BM25)
                text(out, x + width - 5, bottom - height - 5, "value end", label);
            x += width;
        }
        text(out, left + group * i + group / 2, bottom + 20, "label mid", figure_names[i]);
    }
    for (int s = 0; s < N_RUN_STAGES; s++) {
        if (!run->ran[s])
            continue;
        bar(out, legend_x, 4, 12, 12, s);
        text(out, legend_x + 18, 14, "label", run_stage_name((enum run_stage)s));
        legend_x += 92;
    }
    buf_append_str(out, "</svg>");
}

#define N_RANK_BINS 7

static int rank_bin(uint32_t rank)
{
    static const uint32_t last[N_RANK_BINS - 1] = {1, 2, 3, 5, 10, 20};
    int bin = 0;

    if (rank == RANK_NOT_FOUND)
        return N_RANK_BINS - 1;
    while (bin < N_RANK_BINS - 1 && rank > last[bin])
        bin++;
    return bin;
}

void chart_ranks(const struct run *run, struct buf *out)
{
    static const char *const names[N_RANK_BINS] = {"1", "2", "3", "4–5", "6–10", "11–20", "> 20"};
    const double left = 70, row = 30, room = WIDTH - 70 - 150;
    size_t counts[N_RANK_BINS] = {0};
    size_t total = 0;

    for (size_t i = 0; i < run->n_outcomes; i++) {
        if (!run->outcomes[i].retrievable)
            continue;
        counts[rank_bin(run->outcomes[i].rank[RUN_FINAL])]++;
        total++;
    }
    if (total == 0)
        return;
    begin(out, row * N_RANK_BINS + 6, "Rank of the gold passage");
    for (int i = 0; i < N_RANK_BINS; i++) {
        double share = (double)counts[i] / (double)total;
        double y = row * i + 6;
        char label[64];

        snprintf(label, sizeof label, "%zu (%.1f%%)", counts[i], share * 100);
        text(out, left - 12, y + 15, "label end", names[i]);
        bar(out, left, y, room * share > 1 ? room * share : 1, row - 10,
            i == 0  ? RUN_FINAL
            : i < 5 ? RUN_RERANK
                    : COLOR_WRONG);
        text(out, left + room * share + 10, y + 15, "value", label);
    }
    buf_append_str(out, "</svg>");
}

/* Position of a time on the logarithmic axis from 10^low to 10^high. */
static double log_x(double ms, double low, double high, double left, double width)
{
    double v = log10(ms > 0 ? ms : 1e-9);

    if (v < low)
        v = low;
    return left + width * (v - low) / (high - low);
}

/* The decades that hold all p50..p99. */
static void decades(const struct run *run, double *ret_low, double *ret_high)
{
    double low = 1e9;
    double high = -1e9;

    for (size_t i = 0; i < run->n_latencies; i++) {
        double p50 = latency_percentile(&run->latencies[i].times, 50);
        double p99 = latency_percentile(&run->latencies[i].times, 99);

        low = fmin(low, floor(log10(fmax(p50, 1e-3))));
        high = fmax(high, ceil(log10(fmax(p99, 1e-3))));
    }
    *ret_low = low;
    *ret_high = high > low ? high : low + 1;
}

void chart_latencies(const struct run *run, struct buf *out)
{
    const double left = 170, width = WIDTH - 170 - 80, row = 26;
    double bottom = row * (double)run->n_latencies + 12;
    double low, high;

    if (run->n_latencies == 0)
        return;
    decades(run, &low, &high);
    begin(out, bottom + 28, "Latency by stage");
    for (double d = low; d <= high + 0.5; d += 1) {
        double x = left + width * (d - low) / (high - low);
        char label[32];

        snprintf(label, sizeof label, "%g ms", pow(10, d));
        grid_line(out, x, 4, x, bottom);
        text(out, x, bottom + 18, "tick mid", label);
    }
    for (size_t i = 0; i < run->n_latencies; i++) {
        const struct run_latency *l = &run->latencies[i];
        static const double points[3] = {50, 95, 99};
        double y = row * (double)i + 18;
        double x[3];

        for (int k = 0; k < 3; k++)
            x[k] = log_x(latency_percentile(&l->times, points[k]), low, high, left, width);
        text(out, left - 14, y + 4, "label end", l->name);
        buf_printf(out,
                   "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"span\"/>"
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" class=\"c6\"/>"
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"c5\"/>"
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" class=\"c7\"/>",
                   x[0], y, x[2], y, x[0], y, x[1], y, x[2], y);
    }
    buf_append_str(out, "</svg>");
}

#define N_BINS 46

void chart_histogram(const struct run_latency *l, struct buf *out)
{
    const double left = 20, top = 8, bottom = 120, width = (WIDTH - 20 - 20) / N_BINS;
    double end = latency_percentile(&l->times, 99);
    size_t counts[N_BINS] = {0};
    size_t most = 1;

    if (l->times.n == 0 || end <= 0)
        return;
    for (size_t i = 0; i < l->times.n; i++) {
        double at = l->times.ms[i] / end * N_BINS;

        if (l->times.ms[i] > end)
            break; /* they are sorted */
        counts[at < N_BINS ? (size_t)at : N_BINS - 1]++;
    }
    for (size_t i = 0; i < N_BINS; i++)
        most = counts[i] > most ? counts[i] : most;
    begin(out, 148, "Latency distribution");
    for (size_t i = 0; i < N_BINS; i++) {
        double height = (bottom - top) * (double)counts[i] / (double)most;

        if (counts[i] > 0)
            bar(out, left + width * (double)i, bottom - height, width - 2, height, RUN_FINAL);
    }
    grid_line(out, left, bottom, WIDTH - 20, bottom);
    for (int i = 0; i <= 4; i++) {
        char label[32];

        snprintf(label, sizeof label, "%.3g ms", end * i / 4);
        text(out, left + width * N_BINS * i / 4, bottom + 20,
             i == 0   ? "tick"
             : i == 4 ? "tick end"
                      : "tick mid",
             label);
    }
    buf_append_str(out, "</svg>");
}
