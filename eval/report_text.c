#include "eval/report_text.h"

#include "eval/compare.h"

static void put_share(struct buf *out, const char *label, struct tally t)
{
    if (t.whole == 0)
        return;
    buf_printf(out, "  %-34s %.3f  (%zu of %zu)\n", label, metrics_share(t.part, t.whole), t.part,
               t.whole);
}

static void put_head(const struct run *run, struct buf *out)
{
    buf_printf(out, "%s: %zu questions, %zu %s", run->source, run->n_outcomes, run->n_passages,
               run->question_set ? "documents" : "passages");
    if (run->n_distinct != run->n_passages)
        buf_printf(out, " (%zu distinct)", run->n_distinct);
    if (run->n_distractors > 0)
        buf_printf(out, " with %zu distractors", run->n_distractors);
    if (run->sample > 0)
        buf_printf(out, ", sample %zu seed %llu", run->sample, (unsigned long long)run->seed);
    if (!run->question_set)
        buf_printf(out, ", protocol %s", run->protocol);
    buf_printf(out, ", %.1f s\n", run->seconds);
    if (run->retrieval[0] != '\0')
        buf_printf(out, "%s%s%s\n", run->retrieval, run->embedder[0] ? ", vectors of " : "",
                   run->embedder);
}

static void put_stages(const struct run *run, const char *name,
                       const struct stage_quality sums[N_RUN_STAGES], struct buf *out)
{
    if (sums[RUN_FINAL].n == 0)
        return;
    buf_printf(out, "\n%-12s %8s %8s %8s %8s %8s %8s %8s\n", name, "hit@1", "hit@3", "hit@5",
               "hit@10", "hit@20", "MRR@10", "nDCG@10");
    for (int stage = 0; stage < N_RUN_STAGES; stage++) {
        struct stage_quality q = stage_quality_mean(&sums[stage]);

        if (!run->ran[stage])
            continue;
        buf_printf(out, "%-12s %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f\n",
                   run_stage_name((enum run_stage)stage), q.hit_at_1, q.hit_at_3, q.hit_at_5,
                   q.hit_at_10, q.hit_at_20, q.mrr_at_10, q.ndcg_at_10);
    }
}

/* By passages: does one of the first hold the evidence? */
static void put_held(const struct run *run, const char *name,
                     const struct stage_quality sums[N_RUN_STAGES], struct buf *out)
{
    if (sums[RUN_FINAL].n == 0)
        return;
    buf_printf(out, "\n%-34s %8s %8s %8s\n", name, "hit@1", "hit@3", "hit@10");
    for (int stage = 0; stage < N_RUN_STAGES; stage++) {
        struct stage_quality q = stage_quality_mean(&sums[stage]);

        if (run->ran[stage])
            buf_printf(out, "%-34s %8.4f %8.4f %8.4f\n", run_stage_name((enum run_stage)stage),
                       q.hit_at_1, q.hit_at_3, q.hit_at_10);
    }
}

/* Is what the models add worth having? In plain words when it is not. */
static void put_comparisons(const struct run *run, struct buf *out)
{
    struct compare_row rows[COMPARE_ROWS_MAX];
    size_t n = compare_rows(run, rows);
    struct paired best;
    enum run_stage member;

    if (n > 0)
        buf_append_str(out, "\nMRR@10, paired difference and its interval at 95%\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "  %-6s - %-6s  %+.4f  [%+.4f, %+.4f]\n", run_stage_name(rows[i].a),
                   run_stage_name(rows[i].b), rows[i].result.mean, rows[i].result.low,
                   rows[i].result.high);
    if (compare_fused(run, &member, &best) && best.mean < 0)
        buf_printf(out,
                   "warning: the fused list (%s) is worse than its member %s alone%s;\n"
                   "         'ragctl tune fusion' measures weights on the collection\n",
                   run_stage_name(run->fused), run_stage_name(member),
                   best.high < 0 ? "" : ", though within chance");
    if (compare_reranked(run, &member, &best) && best.high < 0)
        buf_printf(out, "warning: the rerank makes the list worse than it was (%s)\n",
                   run_stage_name(member));
    if (run->n_degraded > 0)
        buf_printf(out, "warning: %zu searches went without a model stage; the first: %s\n",
                   run->n_degraded, run->degraded);
}

static void put_dataset_answers(const struct run_summary *s, struct buf *out)
{
    buf_append_str(out, "\nanswers (a refusal is a miss)\n");
    if (s->n_scored > 0)
        buf_printf(out, "  %-34s %.3f\n  %-34s %.3f\n", "exact match", s->em, "F1 by characters",
                   s->f1);
    put_share(out, "first citation overlaps the gold", s->originals.cited);
}

static void put_group(const char *name, const struct run_group *g, struct buf *out)
{
    if (g->cited.whole == 0)
        return;
    buf_printf(out, "\n%s\n", name);
    put_share(out, "evidence cited", g->cited);
    put_share(out, "all evidence cited", g->cited_all);
    put_share(out, "answer text holds the norm", g->norm_found);
    put_share(out, "refused although answerable", g->refused);
}

static void put_refusals(const struct run_summary *s, struct buf *out)
{
    buf_append_str(out, "\nrefusals\n");
    put_share(out, "precision", s->refusal_precision);
    put_share(out, "recall (unanswerable refused)", s->refusal_recall);
    put_share(out, "  on topic", s->refused_by_topic[TOPIC_ON]);
    put_share(out, "  off topic", s->refused_by_topic[TOPIC_OFF]);
    put_share(out, "answered of the answerable", s->answered);
}

static void put_latencies(const struct run *run, struct buf *out)
{
    buf_printf(out, "\n%-20s %10s %10s %10s\n", "latency, ms", "p50", "p95", "p99");
    for (size_t i = 0; i < run->n_latencies; i++) {
        const struct run_latency *l = &run->latencies[i];

        buf_printf(out, "%-20s %10.3f %10.3f %10.3f\n", l->name, latency_percentile(&l->times, 50),
                   latency_percentile(&l->times, 95), latency_percentile(&l->times, 99));
    }
}

void report_text(const struct run *run, struct buf *out)
{
    struct run_summary s;

    run_summarize(run, &s);
    put_head(run, out);
    put_stages(run, "retrieval", run->sums, out);
    put_stages(run, "paraphrases", run->paraphrases, out);
    put_held(run, "passages with the evidence", run->held, out);
    put_held(run, "the same of the paraphrases", run->held_paraphrases, out);
    put_comparisons(run, out);
    if (s.asked && run->question_set) {
        put_group("answerable questions", &s.originals, out);
        put_group("paraphrases", &s.paraphrases, out);
    } else if (s.asked) {
        put_dataset_answers(&s, out);
    }
    if (s.asked)
        put_refusals(&s, out);
    if (run->n_latencies > 0)
        put_latencies(run, out);
}
