#include "eval/cache_report.h"

#include <math.h>
#include <string.h>

#include "base/json_writer.h"
#include "eval/metrics.h"

/* ---- what follows from the pairs ---- */

static struct cache_kind_tally *kind_of(struct cache_report *report, const char *kind)
{
    for (size_t i = 0; i < report->n_kinds; i++)
        if (strcmp(report->kinds[i].kind, kind) == 0)
            return &report->kinds[i];
    /* Kinds beyond the limit share the last place. */
    if (report->n_kinds == EVAL_CACHE_KINDS_MAX)
        return &report->kinds[EVAL_CACHE_KINDS_MAX - 1];
    report->kinds[report->n_kinds] = (struct cache_kind_tally){.kind = kind};
    return &report->kinds[report->n_kinds++];
}

static void fill_kinds(struct cache_report *report, const struct cache_view *view)
{
    for (size_t i = 0; i < report->pairs->n; i++) {
        const struct cache_pair *pair = &report->pairs->pairs[i];
        double similarity = (double)pair->similarity;

        if (pair->label != CACHE_DIFFERENT ||
            (view->half != CACHE_ALL && cache_half_of(view, pair) != view->half))
            continue;
        struct cache_kind_tally *kind = kind_of(report, pair->kind);
        kind->n++;
        kind->hits += similarity >= report->chosen.threshold && pair->confirmed ? 1 : 0;
        kind->plain_hits += similarity >= report->plain_chosen.threshold ? 1 : 0;
    }
}

void cache_report_fill(struct cache_report *report, double threshold)
{
    struct cache_view view = {.pairs = report->pairs, .seed = report->seed, .half = CACHE_ALL};
    struct cache_view plain = view;

    plain.plain = true;
    for (int i = 0; i < CACHE_CURVE_POINTS; i++) {
        double t = 0.30 + 0.05 * i;

        cache_measure(&view, t, &report->curve[i]);
        cache_measure(&plain, t, &report->plain_curve[i]);
    }
    report->threshold_given = threshold >= 0;
    if (!report->threshold_given)
        view.half = plain.half = CACHE_CHOOSE;
    double chosen = report->threshold_given ? threshold : cache_choose(&view, report->error);
    double fixed = cache_choose(&plain, report->error);
    if (!report->threshold_given)
        view.half = plain.half = CACHE_MEASURE;
    cache_measure(&view, chosen, &report->chosen);
    cache_measure(&plain, fixed, &report->plain_chosen);
    double error = cache_false_hit_rate(&report->chosen);
    cache_best(&plain, isnan(error) ? 0 : error, &report->plain_same_error);
    fill_kinds(report, &view);

    view.between = plain.between = BETWEEN_DIFFERENT;
    cache_measure(&view, chosen, &report->strict);
    error = cache_false_hit_rate(&report->strict);
    cache_best(&plain, isnan(error) ? 0 : error, &report->strict_plain);
}

/* ---- JSON ---- */

static void put_rates(struct json_writer *w, const struct cache_point *p)
{
    json_put_double(w, "threshold", p->threshold);
    json_put_double(w, "hit_rate", cache_hit_rate(p));
    json_put_double(w, "false_hit_rate", cache_false_hit_rate(p));
}

static void put_point(struct json_writer *w, const char *key, const struct cache_point *p)
{
    json_begin_object(w, key);
    put_rates(w, p);
    json_put_double(w, "wrong_share_of_hits", cache_wrong_share(p));
    json_put_int(w, "equivalent", (int64_t)p->n_equivalent);
    json_put_int(w, "hits", (int64_t)p->hits);
    json_put_int(w, "different", (int64_t)p->n_different);
    json_put_int(w, "false_hits", (int64_t)p->false_hits);
    json_end_object(w);
}

static void put_tally(struct json_writer *w, const char *key, const struct cache_tally *t)
{
    json_begin_object(w, key);
    json_put_double(w, "threshold", t->threshold);
    json_put_int(w, "right", (int64_t)t->right);
    json_put_int(w, "wrong", (int64_t)t->wrong);
    json_put_int(w, "unknown", (int64_t)t->unknown);
    json_end_object(w);
}

static void put_traffic(struct json_writer *w, const struct cache_traffic *t)
{
    json_begin_object(w, "traffic");
    json_put_int(w, "cached", (int64_t)t->n_cached);
    json_put_int(w, "asked", (int64_t)t->n_asked);
    json_put_int(w, "answerable", (int64_t)t->n_answerable);
    json_put_double(w, "hit_rate", metrics_share(t->confirmed.right, t->n_answerable));
    json_put_double(w, "wrong_share_of_asked", metrics_share(t->confirmed.wrong, t->n_asked));
    put_tally(w, "confirmed", &t->confirmed);
    put_tally(w, "plain", &t->plain);
    json_put_double(w, "lookup_ms", t->lookup_ms);
    json_put_double(w, "embed_ms", t->embed_ms);
    json_put_double(w, "answer_ms", t->answer_ms);
    json_end_object(w);
}

static size_t count(const struct cache_pairs *pairs, enum cache_label label)
{
    size_t n = 0;
    for (size_t i = 0; i < pairs->n; i++)
        n += pairs->pairs[i].label == label ? 1 : 0;
    return n;
}

static size_t count_generated(const struct cache_pairs *pairs)
{
    size_t n = 0;
    for (size_t i = 0; i < pairs->n; i++)
        n += pairs->pairs[i].label == CACHE_DIFFERENT && pairs->pairs[i].kind[0] ? 1 : 0;
    return n;
}

static void put_kinds(struct json_writer *w, const struct cache_report *r)
{
    json_begin_array(w, "kinds");
    for (size_t i = 0; i < r->n_kinds; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "kind", r->kinds[i].kind[0] ? r->kinds[i].kind : "judged");
        json_put_int(w, "different", (int64_t)r->kinds[i].n);
        json_put_int(w, "false_hits", (int64_t)r->kinds[i].hits);
        json_put_int(w, "fixed_threshold_false_hits", (int64_t)r->kinds[i].plain_hits);
        json_end_object(w);
    }
    json_end_array(w);
    json_begin_object(w, "unconfirmed");
    for (size_t i = 0; i < r->n_reasons; i++) {
        json_begin_object(w, r->reasons[i].name);
        json_put_int(w, "equivalent", (int64_t)r->reasons[i].equivalent);
        json_put_int(w, "different", (int64_t)r->reasons[i].different);
        json_end_object(w);
    }
    json_end_object(w);
}

void cache_report_json(const struct cache_report *r, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "pairs", (int64_t)r->pairs->n);
    json_begin_array(&w, "thresholds");
    for (int i = 0; i < CACHE_CURVE_POINTS; i++) {
        json_begin_object(&w, NULL);
        put_rates(&w, &r->curve[i]);
        json_put_double(&w, "plain_hit_rate", cache_hit_rate(&r->plain_curve[i]));
        json_put_double(&w, "plain_false_hit_rate", cache_false_hit_rate(&r->plain_curve[i]));
        json_end_object(&w);
    }
    json_end_array(&w);
    put_point(&w, "chosen", &r->chosen);
    json_put_double(&w, "fixed_threshold_hit_rate_at_same_error",
                    cache_hit_rate(&r->plain_same_error));
    put_point(&w, "fixed_threshold_at_same_error", &r->plain_same_error);
    put_point(&w, "fixed_threshold_chosen", &r->plain_chosen);
    json_begin_object(&w, "between_as_different");
    put_point(&w, "chosen", &r->strict);
    put_point(&w, "fixed_threshold_at_same_error", &r->strict_plain);
    json_end_object(&w);
    json_put_int(&w, "n_equivalent", (int64_t)count(r->pairs, CACHE_EQUIVALENT));
    json_put_int(&w, "n_different", (int64_t)count(r->pairs, CACHE_DIFFERENT));
    json_put_int(&w, "n_between", (int64_t)count(r->pairs, CACHE_BETWEEN));
    json_put_int(&w, "n_near_duplicates", (int64_t)count_generated(r->pairs));
    put_kinds(&w, r);
    put_traffic(&w, &r->traffic);
    json_put_double(&w, "saved_ms", r->traffic.saved_ms);
    json_put_string(&w, "encoder", r->encoder);
    json_put_string(&w, "reranker", r->reranker);
    json_put_double(&w, "error", r->error);
    json_put_int(&w, "seed", (int64_t)r->seed);
    json_end_object(&w);
}

/* ---- text ---- */

static double percent(double share)
{
    return isnan(share) ? 0 : share * 100;
}

static void put_line(struct buf *out, const char *what, const struct cache_point *p)
{
    buf_printf(out, "  %-34s %5.2f  %6.2f%% (%zu of %zu)  %6.2f%% (%zu of %zu)\n", what,
               p->threshold, percent(cache_hit_rate(p)), p->hits, p->n_equivalent,
               percent(cache_false_hit_rate(p)), p->false_hits, p->n_different);
}

static void put_text_tally(struct buf *out, const char *what, const struct cache_tally *t,
                           const struct cache_traffic *traffic)
{
    buf_printf(out, "  %-22s at %.2f: %zu of %zu right (%.2f%%), %zu wrong, %zu nobody judged\n",
               what, t->threshold, t->right, traffic->n_answerable,
               percent(metrics_share(t->right, traffic->n_answerable)), t->wrong, t->unknown);
}

static void put_text_traffic(struct buf *out, const struct cache_traffic *t)
{
    buf_printf(out,
               "\nAsked one by one: %zu questions cached, %zu asked, %zu of them with the same "
               "meaning cached\n",
               t->n_cached, t->n_asked, t->n_answerable);
    put_text_tally(out, "confirmed", &t->confirmed, t);
    put_text_tally(out, "fixed threshold", &t->plain, t);
    buf_printf(out, "  a look takes %.3f ms, an embedding %.3f ms", t->lookup_ms, t->embed_ms);
    if (t->answer_ms > 0)
        buf_printf(out, "; with %.0f ms an answer each question saves %.1f ms", t->answer_ms,
                   t->saved_ms);
    buf_append_str(out, "\n");
}

void cache_report_text(const struct cache_report *r, struct buf *out)
{
    buf_printf(out, "%s: %zu pairs: %zu equivalent, %zu different (%zu generated), %zu between\n",
               r->source, r->pairs->n, count(r->pairs, CACHE_EQUIVALENT),
               count(r->pairs, CACHE_DIFFERENT), count_generated(r->pairs),
               count(r->pairs, CACHE_BETWEEN));
    buf_printf(out, "similarity: %s; confirmed by rules%s%s\n\n", r->encoder,
               r->reranker[0] ? " and " : "", r->reranker);
    buf_append_str(out, "                  confirmed                  similarity alone\n"
                        "  threshold   hit rate   false hits     hit rate   false hits\n");
    for (int i = 0; i < CACHE_CURVE_POINTS; i++)
        buf_printf(out, "     %4.2f     %7.2f%%    %7.2f%%     %7.2f%%    %7.2f%%\n",
                   r->curve[i].threshold, percent(cache_hit_rate(&r->curve[i])),
                   percent(cache_false_hit_rate(&r->curve[i])),
                   percent(cache_hit_rate(&r->plain_curve[i])),
                   percent(cache_false_hit_rate(&r->plain_curve[i])));
    if (r->threshold_given)
        buf_append_str(out, "\nThe threshold that was given, on all pairs\n");
    else
        buf_printf(out,
                   "\nChosen on one half for at most %.2f%% false hits, measured on the other\n",
                   r->error * 100);
    put_line(out, "confirmed", &r->chosen);
    put_line(out, "fixed threshold at the same error", &r->plain_same_error);
    put_line(out, "fixed threshold, chosen likewise", &r->plain_chosen);
    if (count(r->pairs, CACHE_BETWEEN) > 0) {
        put_line(out, "confirmed, between: different", &r->strict);
        put_line(out, "fixed threshold at that error", &r->strict_plain);
    }
    buf_printf(out, "  wrong share of hits %.2f%%\n", percent(cache_wrong_share(&r->chosen)));
    if (r->n_kinds > 1)
        buf_append_str(out, "\nFalse hits by what differs: confirmed, fixed threshold\n");
    for (size_t i = 0; i < r->n_kinds && r->n_kinds > 1; i++)
        buf_printf(out, "  %-20s %4zu, %4zu of %zu\n",
                   r->kinds[i].kind[0] ? r->kinds[i].kind : "judged by people", r->kinds[i].hits,
                   r->kinds[i].plain_hits, r->kinds[i].n);
    if (r->n_reasons > 0)
        buf_append_str(out, "\nSimilar enough, not confirmed for: equivalent, different pairs\n");
    for (size_t i = 0; i < r->n_reasons; i++)
        buf_printf(out, "  %-20s %4zu, %4zu\n", r->reasons[i].name, r->reasons[i].equivalent,
                   r->reasons[i].different);
    put_text_traffic(out, &r->traffic);
}
