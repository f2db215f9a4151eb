#include "daemon/ragctl/tune_report.h"

#include "base/json_writer.h"

/* ---- for people ---- */

static void put_line(struct buf *out, const char *part, const char *figure, double before,
                     double after, const struct paired *d)
{
    buf_printf(out, "%-8s  %-22s  %.4f  %.4f", part, figure, before, after);
    if (d->n > 0)
        buf_printf(out, "  %+.4f [%+.4f, %+.4f]", d->mean, d->low, d->high);
    buf_append_char(out, '\n');
}

static void put_figures(struct buf *out, const char *part, const struct tune_outcome *o)
{
    if (o->skipped)
        return;
    if (o->is_gate) {
        put_line(out, part, "refused, no answer", o->gate.before.refused_without,
                 o->gate.after.refused_without, &o->gate.without);
        put_line(out, "", "refused, mixed words", o->gate.before.refused_mixed,
                 o->gate.after.refused_mixed, &o->gate.mixed);
        put_line(out, "", "refused falsely", o->gate.before.refused_with,
                 o->gate.after.refused_with, &o->gate.with);
        return;
    }
    if (o->has_dense) {
        put_line(out, part, "MRR@10, vectors alone", o->dense_before.mrr_at_10,
                 o->dense_after.mrr_at_10, &o->dense_gain.mrr_at_10);
        part = "";
    }
    put_line(out, part, "hit@1", o->before.hit_at_1, o->after.hit_at_1, &o->gain.hit_at_1);
    put_line(out, "", "hit@10", o->before.hit_at_10, o->after.hit_at_10, &o->gain.hit_at_10);
    put_line(out, "", "MRR@10", o->before.mrr_at_10, o->after.mrr_at_10, &o->gain.mrr_at_10);
    if (o->has_words)
        put_line(out, "", "MRR@10, words | model", o->words_alone.mrr_at_10,
                 o->with_model.mrr_at_10, &o->words_gain.mrr_at_10);
}

static const char *what_became(const struct tune_bench *b, const struct tune_outcome *o)
{
    if (o->skipped)
        return "nothing to learn";
    if (!o->better)
        return "not installed";
    return b->args->dry_run ? "would be installed" : "installed";
}

void tune_report_text(const struct tune_bench *b, const struct tune_row *rows, size_t n,
                      struct buf *out)
{
    const struct pairs *p = &b->pairs;

    buf_printf(out, "%zu questions made of %zu of %zu chunks, seed %lld:", p->n, b->n_chunks,
               b->n_total, (long long)b->args->seed);
    for (int k = 0; k < N_PAIR_KINDS; k++)
        buf_printf(out, "%s %zu %s", k ? "," : "", p->n_of[k], pair_kind_name((enum pair_kind)k));
    buf_printf(out,
               "\nlearned from %zu, measured on %zu of other documents\n\n%-8s  %-22s  %-6s  %-6s  "
               "difference and its 95%% interval\n",
               p->n_learn, p->n_measure, "part", "", "before", "after");
    for (size_t i = 0; i < n; i++)
        put_figures(out, rows[i].part, &rows[i].outcome);
    buf_append_char(out, '\n');
    for (size_t i = 0; i < n; i++) {
        const struct tune_outcome *o = &rows[i].outcome;

        buf_printf(out, "%s: %s: %s\n", rows[i].part, what_became(b, o), o->verdict);
        if (o->better && o->found)
            buf_printf(out, "  %s\n", o->found);
        for (size_t k = 0; k < o->n_notes; k++)
            buf_printf(out, "  %s\n", o->notes[k]);
    }
}

/* ---- for programs ---- */

static void put_quality(struct json_writer *w, const char *key, const struct tune_quality *q)
{
    json_begin_object(w, key);
    json_put_double(w, "hit_at_1", q->hit_at_1);
    json_put_double(w, "hit_at_10", q->hit_at_10);
    json_put_double(w, "mrr_at_10", q->mrr_at_10);
    json_end_object(w);
}

static void put_paired(struct json_writer *w, const char *key, const struct paired *d)
{
    json_begin_object(w, key);
    json_put_double(w, "mean", d->mean);
    json_put_double(w, "low", d->low);
    json_put_double(w, "high", d->high);
    json_end_object(w);
}

static void put_shares(struct json_writer *w, const char *key, const struct gate_shares *s)
{
    json_begin_object(w, key);
    json_put_double(w, "refused_without_answer", s->refused_without);
    json_put_double(w, "refused_mixed", s->refused_mixed);
    json_put_double(w, "refused_falsely", s->refused_with);
    json_end_object(w);
}

static void put_gain(struct json_writer *w, const struct tune_gain *g)
{
    json_begin_object(w, "difference");
    put_paired(w, "hit_at_1", &g->hit_at_1);
    put_paired(w, "hit_at_10", &g->hit_at_10);
    put_paired(w, "mrr_at_10", &g->mrr_at_10);
    json_end_object(w);
}

static void put_figures_json(struct json_writer *w, const struct tune_outcome *o)
{
    if (o->is_gate) {
        json_put_int(w, "questions", (int64_t)o->gate_n);
        put_shares(w, "before", &o->gate.before);
        put_shares(w, "after", &o->gate.after);
        json_begin_object(w, "difference");
        put_paired(w, "refused_without_answer", &o->gate.without);
        put_paired(w, "refused_mixed", &o->gate.mixed);
        put_paired(w, "refused_falsely", &o->gate.with);
        json_end_object(w);
        return;
    }
    json_put_int(w, "questions", (int64_t)o->before.n);
    put_quality(w, "before", &o->before);
    put_quality(w, "after", &o->after);
    put_gain(w, &o->gain);
    if (o->has_dense) {
        json_begin_object(w, "vectors_alone");
        put_quality(w, "before", &o->dense_before);
        put_quality(w, "after", &o->dense_after);
        put_gain(w, &o->dense_gain);
        json_end_object(w);
    }
    if (o->has_words) {
        json_begin_object(w, "model");
        put_quality(w, "words_alone", &o->words_alone);
        put_quality(w, "with_model", &o->with_model);
        put_gain(w, &o->words_gain);
        json_put_bool(w, "helps", o->words_gain.mrr_at_10.low > 0);
        json_end_object(w);
    }
}

static void put_outcome(struct json_writer *w, const struct tune_bench *b,
                        const struct tune_row *row)
{
    const struct tune_outcome *o = &row->outcome;

    json_begin_object(w, NULL);
    json_put_string(w, "part", row->part);
    json_put_bool(w, "skipped", o->skipped);
    if (!o->skipped)
        put_figures_json(w, o);
    if (o->found)
        json_put_raw(w, "found", o->found);
    json_put_bool(w, "better", o->better);
    json_put_bool(w, "installed", o->better && !b->args->dry_run);
    json_put_string(w, "verdict", o->verdict);
    json_begin_array(w, "notes");
    for (size_t k = 0; k < o->n_notes; k++)
        json_put_string(w, NULL, o->notes[k]);
    json_end_array(w);
    json_end_object(w);
}

void tune_report_json(const struct tune_bench *b, const char *verb, const struct tune_row *rows,
                      size_t n, struct buf *out)
{
    const struct pairs *p = &b->pairs;
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "tune", verb);
    json_put_string(&w, "collection", b->options->collection);
    json_put_int(&w, "seed", b->args->seed);
    json_put_int(&w, "chunks", (int64_t)b->n_total);
    json_put_int(&w, "passages", (int64_t)b->n_chunks);
    json_begin_object(&w, "questions");
    for (int k = 0; k < N_PAIR_KINDS; k++)
        json_put_int(&w, pair_kind_name((enum pair_kind)k), (int64_t)p->n_of[k]);
    json_put_int(&w, "learning", (int64_t)p->n_learn);
    json_put_int(&w, "measuring", (int64_t)p->n_measure);
    json_end_object(&w);
    json_put_bool(&w, "dry_run", b->args->dry_run);
    json_begin_array(&w, "parts");
    for (size_t i = 0; i < n; i++)
        put_outcome(&w, b, &rows[i]);
    json_end_array(&w);
    json_end_object(&w);
}
