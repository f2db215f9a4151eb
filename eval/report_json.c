#include "eval/report_json.h"

#include "base/json_writer.h"
#include "eval/compare.h"

static void put_share(struct json_writer *w, const char *key, struct tally t)
{
    json_put_double(w, key, metrics_share(t.part, t.whole));
}

/* The passage that holds the evidence; null where no question has any. */
static void put_held(struct json_writer *w, const struct stage_quality *sum)
{
    struct stage_quality q = stage_quality_mean(sum);
    double none = metrics_share(0, 0);

    json_put_double(w, "evidence_hit_at_1", q.n > 0 ? q.hit_at_1 : none);
    json_put_double(w, "evidence_hit_at_3", q.n > 0 ? q.hit_at_3 : none);
    json_put_double(w, "evidence_hit_at_10", q.n > 0 ? q.hit_at_10 : none);
}

/* held: the same questions by the passage that holds the evidence. */
static void put_stages(struct json_writer *w, const struct run *run,
                       const struct stage_quality sums[N_RUN_STAGES],
                       const struct stage_quality held[N_RUN_STAGES])
{
    json_begin_object(w, "stages");
    for (int stage = 0; stage < N_RUN_STAGES; stage++) {
        struct stage_quality q = stage_quality_mean(&sums[stage]);

        if (!run->ran[stage] && stage != RUN_FINAL)
            continue;
        json_begin_object(w, run_stage_name((enum run_stage)stage));
        json_put_double(w, "hit_at_1", q.hit_at_1);
        json_put_double(w, "hit_at_3", q.hit_at_3);
        json_put_double(w, "hit_at_5", q.hit_at_5);
        json_put_double(w, "hit_at_10", q.hit_at_10);
        json_put_double(w, "hit_at_20", q.hit_at_20);
        json_put_double(w, "mrr_at_10", q.mrr_at_10);
        json_put_double(w, "ndcg_at_10", q.ndcg_at_10);
        if (run->question_set)
            put_held(w, &held[stage]);
        json_end_object(w);
    }
    json_end_object(w);
}

static void put_group(struct json_writer *w, const char *key, const struct run *run,
                      const struct run_group *g, const struct stage_quality sums[N_RUN_STAGES],
                      const struct stage_quality held[N_RUN_STAGES])
{
    json_begin_object(w, key);
    json_put_int(w, "questions", (int64_t)g->cited.whole);
    put_share(w, "cited", g->cited);
    put_share(w, "all_cited", g->cited_all);
    put_share(w, "false_refusals", g->refused);
    put_share(w, "answer_text", g->norm_found);
    put_stages(w, run, sums, held);
    json_end_object(w);
}

static void put_evidence(struct json_writer *w, const struct run *run, const struct run_summary *s)
{
    json_begin_object(w, "evidence");
    put_group(w, "originals", run, &s->originals, run->sums, run->held);
    put_group(w, "paraphrases", run, &s->paraphrases, run->paraphrases, run->held_paraphrases);
    json_begin_object(w, "refused");
    put_share(w, "on_topic", s->refused_by_topic[TOPIC_ON]);
    put_share(w, "off_topic", s->refused_by_topic[TOPIC_OFF]);
    put_share(w, "unmarked", s->refused_by_topic[TOPIC_UNKNOWN]);
    json_end_object(w);
    json_end_object(w);
}

static void put_latencies(struct json_writer *w, const struct run *run)
{
    json_begin_object(w, "latency_ms");
    for (size_t i = 0; i < run->n_latencies; i++) {
        const struct run_latency *l = &run->latencies[i];

        json_begin_object(w, l->name);
        json_put_double(w, "p50", latency_percentile(&l->times, 50));
        json_put_double(w, "p95", latency_percentile(&l->times, 95));
        json_put_double(w, "p99", latency_percentile(&l->times, 99));
        json_end_object(w);
    }
    json_end_object(w);
}

static void put_fusion(struct json_writer *w, const struct run *run)
{
    struct compare_row rows[COMPARE_ROWS_MAX];
    size_t n = compare_rows(run, rows);
    struct paired best;
    enum run_stage member;

    if (!compare_fused(run, &member, &best))
        return;
    json_begin_object(w, "fusion");
    json_put_string(w, "method", run_stage_name(run->fused));
    json_put_string(w, "best_member", run_stage_name(member));
    json_put_bool(w, "worse_than_best_member", best.mean < 0);
    json_begin_array(w, "comparisons");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "a", run_stage_name(rows[i].a));
        json_put_string(w, "b", run_stage_name(rows[i].b));
        json_begin_object(w, "mrr_at_10");
        json_put_double(w, "difference", rows[i].result.mean);
        json_put_double(w, "low", rows[i].result.low);
        json_put_double(w, "high", rows[i].result.high);
        json_end_object(w);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void put_degraded(struct json_writer *w, const struct run *run)
{
    if (run->n_degraded == 0)
        return;
    json_begin_object(w, "degraded");
    json_put_int(w, "searches", (int64_t)run->n_degraded);
    json_put_string(w, "first", run->degraded);
    json_end_object(w);
}

void report_json(const struct run *run, struct buf *out)
{
    struct run_summary s;
    struct json_writer w;

    run_summarize(run, &s);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "questions", (int64_t)run->n_outcomes);
    json_put_int(&w, "passages", (int64_t)run->n_passages);
    if (run->embedder[0] != '\0') {
        json_put_string(&w, "embedder", run->embedder);
        json_put_string(&w, "retrieval", run->retrieval);
    }
    put_stages(&w, run, run->sums, run->held);
    json_begin_object(&w, "answers");
    json_put_double(&w, "em", s.n_scored > 0 ? s.em : metrics_share(0, 0));
    json_put_double(&w, "f1", s.n_scored > 0 ? s.f1 : metrics_share(0, 0));
    put_share(&w, "citation_overlaps_gold", s.originals.cited);
    json_end_object(&w);
    json_begin_object(&w, "refusal");
    put_share(&w, "precision", s.refusal_precision);
    put_share(&w, "recall", s.refusal_recall);
    put_share(&w, "answered_rate", s.answered);
    json_end_object(&w);
    if (run->question_set)
        put_evidence(&w, run, &s);
    put_fusion(&w, run);
    put_degraded(&w, run);
    put_latencies(&w, run);
    json_end_object(&w);
}
