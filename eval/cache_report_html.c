#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "eval/cache_report.h"
#include "eval/html.h"
#include "eval/html_page.h"
#include "eval/metrics.h"

#define EXAMPLES_SHOWN 20 /* false hits, and equivalent pairs that were missed, of each */

/* The chart: units of the SVG's viewBox. */
#define WIDTH   920.0
#define HEIGHT  360.0
#define LEFT    56.0
#define RIGHT   20.0
#define TOP     16.0
#define BOTTOM  316.0
#define X_MAX   0.05 /* false-hit rates that are shown */
#define N_STEPS 400  /* thresholds of a line */

struct axes {
    double y_max;
};

static double x_of(double false_hits)
{
    double share = false_hits < X_MAX ? false_hits / X_MAX : 1;
    return LEFT + (WIDTH - LEFT - RIGHT) * share;
}

static double y_of(const struct axes *axes, double hits)
{
    double share = hits < axes->y_max ? hits / axes->y_max : 1;
    return BOTTOM - (BOTTOM - TOP) * share;
}

static double or_zero(double v)
{
    return isnan(v) ? 0 : v;
}

/* The line of one view, from the highest threshold on until X_MAX is passed; also finds the
 * highest hit rate when out is NULL. */
static double put_curve(const struct cache_view *view, const struct axes *axes, const char *color,
                        struct buf *out)
{
    double highest = 0;

    if (out)
        buf_append_str(out, "<polyline fill=\"none\" stroke-width=\"2.5\" style=\"stroke:");
    if (out)
        buf_printf(out, "var(--%s)\" points=\"", color);
    for (int i = N_STEPS; i >= 0; i--) {
        struct cache_point p;

        cache_measure(view, (double)i / N_STEPS, &p);
        double false_hits = or_zero(cache_false_hit_rate(&p));
        if (false_hits > X_MAX)
            break;
        double hits = or_zero(cache_hit_rate(&p));
        highest = hits > highest ? hits : highest;
        if (out)
            buf_printf(out, "%.1f,%.1f ", x_of(false_hits), y_of(axes, hits));
    }
    if (out)
        buf_append_str(out, "\"/>");
    return highest;
}

static void put_axes(const struct axes *axes, struct buf *out)
{
    for (int i = 0; i <= 5; i++) {
        double x = x_of(X_MAX * i / 5);

        buf_printf(out,
                   "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                   "<text x=\"%.1f\" y=\"%.1f\" class=\"mid\">%d%%</text>",
                   x, TOP, x, BOTTOM, x, BOTTOM + 18, i);
    }
    for (int i = 0; i <= 5; i++) {
        double y = y_of(axes, axes->y_max * i / 5);

        buf_printf(out,
                   "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                   "<text x=\"%.1f\" y=\"%.1f\" class=\"end\">%.0f%%</text>",
                   LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4, axes->y_max * i / 5 * 100);
    }
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"mid\">틀린 적중률 · false-hit rate</text>",
               (LEFT + WIDTH - RIGHT) / 2, BOTTOM + 38);
}

static void put_dot(const struct axes *axes, const struct cache_point *p, const char *class,
                    struct buf *out)
{
    double x = x_of(or_zero(cache_false_hit_rate(p)));
    double y = y_of(axes, or_zero(cache_hit_rate(p)));

    buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" class=\"%s\"/>", x, y, class);
}

static void put_chart(const struct cache_report *r, struct buf *out)
{
    struct cache_view view = {.pairs = r->pairs, .seed = r->seed, .half = CACHE_ALL};
    struct cache_view plain = view;
    struct axes axes;

    plain.plain = true;
    double highest = fmax(put_curve(&view, NULL, "", NULL), put_curve(&plain, NULL, "", NULL));
    axes.y_max = fmin(1, fmax(0.1, ceil(highest * 10 + 0.5) / 10));
    html_section(out, "적중률과 틀린 적중률", "hit rate by false-hit rate, all pairs");
    buf_printf(out,
               "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Hit rate by "
               "false-hit rate\">",
               WIDTH, HEIGHT);
    put_axes(&axes, out);
    put_curve(&plain, &axes, "c0", out);
    put_curve(&view, &axes, "c6", out);
    put_dot(&axes, &r->plain_same_error, "c0", out);
    put_dot(&axes, &r->chosen, "c6", out);
    buf_append_str(out, "</svg><p class=\"legend\"><span><i style=\"background:var(--c6)\"></i>"
                        "확인한 뒤 재사용 · confirmed</span><span><i "
                        "style=\"background:var(--c0)\"></i>유사도만 · similarity "
                        "alone</span></p><p class=\"note\">점: 절반에서 고른 문턱값을 나머지 "
                        "절반에서 잰 값, 그리고 같은 오류에서 가장 좋은 고정 문턱값. Dots: the "
                        "threshold chosen on one half, measured on the other, and the best fixed "
                        "threshold at the same error.</p></section>\n");
}

/* ---- tables ---- */

static void put_row(struct buf *out, const char *name, const struct cache_point *p, bool total)
{
    buf_printf(out,
               "<tr%s><td>%s</td><td>%.2f</td><td>%.2f%%</td><td>%zu / %zu</td><td>%.2f%%</td>"
               "<td>%zu / %zu</td><td>%.2f%%</td></tr>\n",
               total ? " class=\"total\"" : "", name, p->threshold,
               or_zero(cache_hit_rate(p)) * 100, p->hits, p->n_equivalent,
               or_zero(cache_false_hit_rate(p)) * 100, p->false_hits, p->n_different,
               or_zero(cache_wrong_share(p)) * 100);
}

static void put_points(const struct cache_report *r, struct buf *out)
{
    html_section(out, "고른 문턱값",
                 r->threshold_given ? "the threshold that was given"
                                    : "chosen on one half, measured on the "
                                      "other");
    buf_append_str(out, "<table><tr><th></th><th>threshold</th><th>hit rate</th><th>hits</th>"
                        "<th>false-hit rate</th><th>false hits</th><th>wrong of hits</th></tr>\n");
    put_row(out, "확인함 · confirmed", &r->chosen, true);
    put_row(out, "같은 오류의 고정값 · fixed, same error", &r->plain_same_error, false);
    put_row(out, "같은 방법의 고정값 · fixed, chosen likewise", &r->plain_chosen, false);
    if (r->strict.n_different != r->chosen.n_different) {
        put_row(out, "애매한 짝을 다르다고 셈 · between as different", &r->strict, false);
        put_row(out, "그 오류의 고정값 · fixed, that error", &r->strict_plain, false);
    }
    buf_append_str(out, "</table></section>\n");
}

static void put_kinds(const struct cache_report *r, struct buf *out)
{
    if (r->n_kinds == 0)
        return;
    html_section(out, "무엇이 달랐나", "false hits by what differs, measured half");
    buf_append_str(out, "<table><tr><th></th><th>pairs</th><th>confirmed</th>"
                        "<th>fixed threshold</th></tr>\n");
    for (size_t i = 0; i < r->n_kinds; i++) {
        buf_append_str(out, "<tr><td>");
        html_str(out, r->kinds[i].kind[0] ? r->kinds[i].kind : "사람이 판단 · judged by people");
        buf_printf(out, "</td><td>%zu</td><td>%zu</td><td>%zu</td></tr>\n", r->kinds[i].n,
                   r->kinds[i].hits, r->kinds[i].plain_hits);
    }
    buf_append_str(out, "</table></section>\n");
}

static void put_traffic_row(struct buf *out, const char *name, const struct cache_tally *t,
                            const struct cache_traffic *traffic)
{
    buf_printf(out,
               "<tr><td>%s</td><td>%.2f</td><td>%zu</td><td>%.2f%%</td><td>%zu</td><td>%zu</td>"
               "</tr>\n",
               name, t->threshold, t->right,
               or_zero(metrics_share(t->right, traffic->n_answerable)) * 100, t->wrong, t->unknown);
}

static void put_traffic(const struct cache_report *r, struct buf *out)
{
    const struct cache_traffic *t = &r->traffic;

    html_section(out, "하나씩 물었을 때", "asked one by one against a full cache");
    buf_printf(out,
               "<p class=\"note\">%zu cached, %zu asked, %zu of them with the same meaning "
               "cached; a look takes %.3f ms, an embedding %.3f ms",
               t->n_cached, t->n_asked, t->n_answerable, t->lookup_ms, t->embed_ms);
    if (t->answer_ms > 0)
        buf_printf(out, "; with %.0f ms an answer a question saves %.1f ms on average",
                   t->answer_ms, t->saved_ms);
    buf_append_str(out, ".</p><table><tr><th></th><th>threshold</th><th>right</th><th>of "
                        "answerable</th><th>wrong</th><th>not judged</th></tr>\n");
    put_traffic_row(out, "확인함 · confirmed", &t->confirmed, t);
    put_traffic_row(out, "고정값 · fixed threshold", &t->plain, t);
    buf_append_str(out, "</table></section>\n");
}

/* ---- examples ---- */

static void put_example(const struct cache_report *r, const struct cache_pair *pair,
                        struct buf *out)
{
    const struct cache_text *a = &r->pairs->texts[pair->a];
    const struct cache_text *b = &r->pairs->texts[pair->b];

    buf_printf(out, "<li><small>%.3f</small> <bdi>", (double)pair->similarity);
    html_excerpt(out, a->text, a->n_bytes, 0, 0, 160);
    buf_append_str(out, "</bdi><br><bdi>");
    html_excerpt(out, b->text, b->n_bytes, 0, 0, 160);
    buf_append_str(out, "</bdi></li>\n");
}

static void put_examples(const struct cache_report *r, bool wrong, struct buf *out)
{
    size_t n = 0;

    html_section(out, wrong ? "틀린 적중" : "놓친 짝",
                 wrong ? "false hits at the threshold, all pairs"
                       : "equivalent and similar, but not confirmed");
    buf_append_str(out, "<ol>");
    for (size_t i = 0; i < r->pairs->n && n < EXAMPLES_SHOWN; i++) {
        const struct cache_pair *pair = &r->pairs->pairs[i];
        enum cache_label label = wrong ? CACHE_DIFFERENT : CACHE_EQUIVALENT;

        if (pair->label != label || (double)pair->similarity < r->chosen.threshold ||
            pair->confirmed != wrong)
            continue;
        put_example(r, pair, out);
        n++;
    }
    buf_append_str(out, n > 0 ? "</ol></section>\n"
                              : "</ol><p class=\"note\">없음 · none</p></section>\n");
}

void cache_report_html(const struct cache_report *r, struct buf *out)
{
    const char *slash = strrchr(r->source, '/');
    char when[CLOCK_TEXT_BYTES];

    clock_format(r->wall_ms, when);
    html_page_begin(out, slash ? slash + 1 : r->source);
    buf_append_str(out, "<h1>의미 캐시 평가<small>Semantic cache</small></h1>\n<p class=\"sub\">"
                        "<bdi>");
    html_str(out, r->source);
    buf_printf(out, "</bdi> · %.10s %.5s UTC · %.1f s</p>\n<div class=\"chips\">", when, when + 11,
               r->seconds);
    html_chip_number(out, "짝 pairs", r->pairs->n);
    html_chip_text(out, "유사도 similarity", r->encoder);
    if (r->reranker[0])
        html_chip_text(out, "재순위 모델 reranker", r->reranker);
    html_chip_number(out, "seed", (size_t)r->seed);
    buf_append_str(out, "</div>\n<div class=\"kpis\">\n");
    html_kpi(out, cache_hit_rate(&r->chosen), "같은 뜻의 질문에 답함", "hit rate, confirmed");
    html_kpi(out, cache_false_hit_rate(&r->chosen), "다른 질문에 답함",
             "false-hit rate, confirmed");
    html_kpi(out, cache_hit_rate(&r->plain_same_error), "유사도만으로, 같은 오류에서",
             "hit rate, fixed threshold");
    html_kpi(out, cache_wrong_share(&r->chosen), "적중 가운데 틀린 것", "wrong share of hits");
    buf_append_str(out, "</div>\n");
    put_chart(r, out);
    put_points(r, out);
    put_kinds(r, out);
    put_traffic(r, out);
    put_examples(r, true, out);
    put_examples(r, false, out);
    html_page_end(out);
}
