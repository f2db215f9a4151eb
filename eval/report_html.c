#include "eval/report_html.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "eval/compare.h"
#include "eval/html.h"
#include "eval/html_page.h"

#define GOLD_CHARS      420 /* of the gold passage around its answer */
#define RETRIEVED_CHARS 220

static void kpi_tally(struct buf *out, struct tally t, const char *korean, const char *english)
{
    html_kpi(out, metrics_share(t.part, t.whole), korean, english);
}

static void put_head(const struct run *run, struct buf *out)
{
    const char *slash = strrchr(run->source, '/');
    char when[CLOCK_TEXT_BYTES];

    clock_format(run->wall_ms, when);
    html_page_begin(out, slash ? slash + 1 : run->source);
    buf_append_str(out, "<h1>ragd 평가 보고서<small>Evaluation report</small></h1>\n<p class="
                        "\"sub\"><bdi>");
    html_str(out, run->source);
    buf_printf(out, "</bdi> · %.10s %.5s UTC · %.1f s</p>\n<div class=\"chips\">", when, when + 11,
               run->seconds);
    html_chip_number(out, "질문 questions", run->n_outcomes);
    html_chip_number(out, run->question_set ? "문서 documents" : "지문 passages", run->n_passages);
    if (run->n_distinct != run->n_passages)
        html_chip_number(out, "서로 다른 지문 distinct", run->n_distinct);
    if (run->n_distractors > 0)
        html_chip_number(out, "방해 지문 distractors", run->n_distractors);
    if (run->version[0] != '\0')
        html_chip_text(out, "자료 dataset", run->version);
    if (!run->question_set)
        html_chip_text(out, "방식 protocol", run->protocol);
    if (run->sample > 0)
        buf_printf(out, "<span>표본 sample <b>%zu</b>, seed <b>%llu</b></span>", run->sample,
                   (unsigned long long)run->seed);
    if (run->chunk_chars > 0)
        html_chip_number(out, "조각 chunk_chars", run->chunk_chars);
    if (run->titles)
        html_chip_text(out, "제목 titles", "색인함 indexed");
    if (run->embedder[0] != '\0')
        html_chip_text(out, "임베더 embedder", run->embedder);
    if (run->retrieval[0] != '\0')
        html_chip_text(out, "검색 retrieval", run->retrieval);
    if (run->daemon_version[0] != '\0')
        html_chip_text(out, "ragd", run->daemon_version);
    buf_append_str(out, "</div>\n");
}

static void put_held_kpi(const struct run *run, struct buf *out)
{
    struct stage_quality q = stage_quality_mean(&run->held_paraphrases[RUN_FINAL]);

    if (q.n > 0)
        html_kpi(out, q.hit_at_3, "바꿔 말한 질문의 근거가 3위 안에",
                 "paraphrases: evidence hit@3, final");
}

static void put_kpis(const struct run *run, const struct run_summary *s, struct buf *out)
{
    struct stage_quality q = stage_quality_mean(&run->sums[RUN_FINAL]);

    buf_append_str(out, "<div class=\"kpis\">\n");
    if (q.n > 0) {
        html_kpi(out, q.hit_at_1, "첫 결과가 정답 지문", "hit@1, final");
        html_kpi(out, q.hit_at_10, "10위 안에 정답 지문", "hit@10, final");
        html_kpi(out, q.mrr_at_10, "역순위 평균", "MRR@10, final");
    }
    if (s->n_scored > 0) {
        html_kpi(out, s->em, "답이 정확히 같음", "exact match");
        html_kpi(out, s->f1, "답의 글자 F1", "character F1");
    }
    kpi_tally(out, s->originals.cited,
              run->question_set ? "근거를 인용함" : "첫 인용이 정답과 겹침",
              run->question_set ? "evidence cited" : "citation overlaps gold");
    kpi_tally(out, s->paraphrases.cited, "바꿔 말한 질문의 근거 인용",
              "paraphrases: evidence cited");
    put_held_kpi(run, out);
    kpi_tally(out, s->refusal_precision, "거절의 정밀도", "refusal precision");
    kpi_tally(out, s->refusal_recall, "답 없는 질문을 거절", "refusal recall");
    kpi_tally(out, s->answered, "답 있는 질문에 답함", "answered rate");
    buf_append_str(out, "</div>\n");
}

static void stage_table(const struct run *run, const struct stage_quality sums[N_RUN_STAGES],
                        const char *label, struct buf *out)
{
    buf_printf(out,
               "<table><tr><th>%s</th><th>hit@1</th><th>hit@3</th><th>hit@5</th><th>hit@10</th>"
               "<th>hit@20</th><th>MRR@10</th><th>nDCG@10</th></tr>\n",
               label);
    for (int s = 0; s < N_RUN_STAGES; s++) {
        struct stage_quality q = stage_quality_mean(&sums[s]);

        if (!run->ran[s])
            continue;
        buf_printf(out,
                   "<tr%s><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>%.4f</td>"
                   "<td>%.4f</td><td>%.4f</td><td>%.4f</td></tr>\n",
                   s == RUN_FINAL ? " class=\"total\"" : "", run_stage_name((enum run_stage)s),
                   q.hit_at_1, q.hit_at_3, q.hit_at_5, q.hit_at_10, q.hit_at_20, q.mrr_at_10,
                   q.ndcg_at_10);
    }
    buf_append_str(out, "</table>");
}

static void held_table(const struct run *run, const struct stage_quality sums[N_RUN_STAGES],
                       const char *label, struct buf *out)
{
    if (sums[RUN_FINAL].n == 0)
        return;
    buf_printf(out, "<table><tr><th>%s</th><th>hit@1</th><th>hit@3</th><th>hit@10</th></tr>\n",
               label);
    for (int s = 0; s < N_RUN_STAGES; s++) {
        struct stage_quality q = stage_quality_mean(&sums[s]);

        if (run->ran[s])
            buf_printf(out, "<tr%s><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td></tr>\n",
                       s == RUN_FINAL ? " class=\"total\"" : "", run_stage_name((enum run_stage)s),
                       q.hit_at_1, q.hit_at_3, q.hit_at_10);
    }
    buf_append_str(out, "</table>");
}

static void put_held(const struct run *run, struct buf *out)
{
    if (run->held[RUN_FINAL].n == 0 && run->held_paraphrases[RUN_FINAL].n == 0)
        return;
    held_table(run, run->held, "근거가 있는 지문 passages with the evidence", out);
    held_table(run, run->held_paraphrases, "바꿔 말한 질문 the same of the paraphrases", out);
    buf_append_str(out,
                   "<p class=\"note\">앞의 k개 지문 가운데 하나에 근거의 60% 이상이 있는 질문의 "
                   "비율. · Share of questions of which one of the first k passages holds at "
                   "least 60% of an evidence text.</p>\n");
}

static void put_warnings(const struct run *run, struct buf *out)
{
    struct paired best;
    enum run_stage member;

    if (compare_fused(run, &member, &best) && best.mean < 0)
        buf_printf(out,
                   "<p class=\"note\"><span class=\"tag\">주의 warning</span> 합친 순위(%s)가 "
                   "%s 하나만 쓴 것보다 나쁘다%s. · The fused list is worse than its member "
                   "alone%s.</p>\n",
                   run_stage_name(run->fused), run_stage_name(member),
                   best.high < 0 ? "" : " (우연의 범위 안)",
                   best.high < 0 ? "" : ", though within chance");
    if (compare_reranked(run, &member, &best) && best.high < 0)
        buf_printf(out,
                   "<p class=\"note\"><span class=\"tag\">주의 warning</span> 재정렬이 순위(%s)를 "
                   "나쁘게 만든다. · The rerank makes the list worse than it was.</p>\n",
                   run_stage_name(member));
    if (run->n_degraded > 0) {
        buf_printf(out,
                   "<p class=\"note\"><span class=\"tag\">주의 warning</span> 모델 단계 없이 한 "
                   "검색 %zu번 · searches without a model stage: <bdi>",
                   run->n_degraded);
        html_str(out, run->degraded);
        buf_append_str(out, "</bdi></p>\n");
    }
}

static void put_comparisons(const struct run *run, struct buf *out)
{
    struct compare_row rows[COMPARE_ROWS_MAX];
    size_t n = compare_rows(run, rows);

    put_warnings(run, out);
    if (n == 0)
        return;
    buf_append_str(out, "<table><tr><th>비교 comparison</th><th>MRR@10 차이 difference</th>"
                        "<th>95% 구간 interval</th></tr>\n");
    for (size_t i = 0; i < n; i++) {
        const struct paired *c = &rows[i].result;

        buf_printf(out, "<tr><td>%s − %s</td><td>%+.4f</td><td>%+.4f … %+.4f</td></tr>\n",
                   run_stage_name(rows[i].a), run_stage_name(rows[i].b), c->mean, c->low, c->high);
    }
    buf_append_str(out, "</table><p class=\"note\">같은 질문끼리 뺀 차이. · Paired differences; an "
                        "interval that holds 0 may be chance.</p>\n");
}

static void put_retrieval(const struct run *run, struct buf *out)
{
    if (run->sums[RUN_FINAL].n == 0)
        return;
    html_section(out, "검색 품질", "Retrieval quality by stage");
    chart_stages(run, out);
    stage_table(run, run->sums, "단계 stage", out);
    buf_printf(out,
               "<p class=\"note\">정답 지문이 있는 질문 %zu개의 평균. 같은 문서의 조각은 한 번만 "
               "센다. · Means over the %zu questions that have a gold passage; chunks of one "
               "document count once.</p>\n",
               run->sums[RUN_FINAL].n, run->sums[RUN_FINAL].n);
    if (run->paraphrases[RUN_FINAL].n > 0)
        stage_table(run, run->paraphrases, "바꿔 말한 질문 paraphrases", out);
    put_held(run, out);
    put_comparisons(run, out);
    buf_append_str(out, "</section>\n");
    html_section(out, "정답 지문의 순위", "Rank of the gold passage in the final list");
    chart_ranks(run, out);
    buf_append_str(out, "</section>\n");
}

static void share_row(struct buf *out, const char *korean, const char *english, struct tally t)
{
    if (t.whole > 0)
        buf_printf(out, "<tr><td>%s · %s</td><td>%.3f</td><td>%zu / %zu</td></tr>\n", korean,
                   english, metrics_share(t.part, t.whole), t.part, t.whole);
}

static void group_rows(struct buf *out, const struct run_group *g)
{
    share_row(out, "근거 인용", "evidence cited", g->cited);
    share_row(out, "모든 근거 인용", "all evidence cited", g->cited_all);
    share_row(out, "답에 정답 표현이 있음", "answer text holds the norm", g->norm_found);
    share_row(out, "잘못된 거절", "refused although answerable", g->refused);
}

static void head_row(struct buf *out, const char *korean, const char *english)
{
    buf_printf(out, "<tr><th>%s · %s</th><th>비율 share</th><th>질문 questions</th></tr>\n", korean,
               english);
}

static void put_answers(const struct run *run, const struct run_summary *s, struct buf *out)
{
    if (!s->asked)
        return;
    html_section(out, "답과 거절", "Answers and refusals");
    buf_append_str(out, "<table>");
    if (run->question_set) {
        head_row(out, "답이 있는 질문", "answerable");
        group_rows(out, &s->originals);
        if (s->paraphrases.cited.whole > 0) {
            head_row(out, "바꿔 말한 질문", "paraphrases");
            group_rows(out, &s->paraphrases);
        }
    } else {
        head_row(out, "답이 있는 질문", "answerable");
        share_row(out, "첫 인용이 정답과 겹침", "first citation overlaps the gold answer",
                  s->originals.cited);
        if (s->n_scored > 0)
            buf_printf(out,
                       "<tr><td>정확히 같음 · exact match</td><td>%.3f</td><td>%zu</td></tr>\n"
                       "<tr><td>글자 F1 · character F1</td><td>%.3f</td><td>%zu</td></tr>\n",
                       s->em, s->n_scored, s->f1, s->n_scored);
    }
    head_row(out, "거절", "refusals");
    share_row(out, "정밀도", "precision", s->refusal_precision);
    share_row(out, "재현율", "recall: unanswerable questions refused", s->refusal_recall);
    share_row(out, "문서 주제의 질문", "on topic", s->refused_by_topic[TOPIC_ON]);
    share_row(out, "문서 밖의 질문", "off topic", s->refused_by_topic[TOPIC_OFF]);
    share_row(out, "답 있는 질문에 답함", "answered rate", s->answered);
    buf_append_str(out, "</table><p class=\"note\">거절은 맞은 답이 아니다. · A refusal is never a "
                        "hit.</p></section>\n");
}

static const struct run_latency *find_latency(const struct run *run, const char *name)
{
    for (size_t i = 0; i < run->n_latencies; i++) {
        if (strcmp(run->latencies[i].name, name) == 0)
            return &run->latencies[i];
    }
    return NULL;
}

static void put_latencies(const struct run *run, struct buf *out)
{
    const struct run_latency *whole = find_latency(run, "ask_round_trip");

    if (run->n_latencies == 0)
        return;
    html_section(out, "지연 시간", "Latency by stage");
    chart_latencies(run, out);
    buf_append_str(out, "<div class=\"legend\"><span><i style=\"background:var(--c6)\"></i>p50"
                        "</span><span><i style=\"background:var(--c5)\"></i>p95</span><span><i "
                        "style=\"background:var(--c7)\"></i>p99</span></div>\n<table><tr><th>단계 "
                        "stage</th><th>p50 ms</th><th>p95 ms</th><th>p99 ms</th><th>n</th></tr>\n");
    for (size_t i = 0; i < run->n_latencies; i++) {
        const struct run_latency *l = &run->latencies[i];

        buf_append_str(out, "<tr><td>");
        html_str(out, l->name);
        buf_printf(out, "</td><td>%.3f</td><td>%.3f</td><td>%.3f</td><td>%zu</td></tr>\n",
                   latency_percentile(&l->times, 50), latency_percentile(&l->times, 95),
                   latency_percentile(&l->times, 99), l->times.n);
    }
    buf_append_str(out, "</table></section>\n");
    if (!whole)
        whole = find_latency(run, "search_round_trip");
    if (!whole)
        return;
    html_section(out, "지연 시간의 분포", "Latency distribution, up to p99");
    buf_append_str(out, "<p class=\"note\">");
    html_str(out, whole->name);
    buf_append_str(out, "</p>");
    chart_histogram(whole, out);
    buf_append_str(out, "</section>\n");
}

/* ---- the worst questions ---- */

static void put_tag(struct buf *out, const char *class, const char *label)
{
    buf_printf(out, "<span class=\"tag %s\">%s</span>", class, label);
}

static void put_summary(const struct outcome *o, struct buf *out)
{
    char label[48];

    buf_append_str(out, "<summary>");
    if (o->retrievable && o->rank[RUN_FINAL] == RANK_NOT_FOUND) {
        put_tag(out, "", "못 찾음 not found");
    } else if (o->retrievable) {
        snprintf(label, sizeof label, "%u위 rank %u", o->rank[RUN_FINAL], o->rank[RUN_FINAL]);
        put_tag(out, o->rank[RUN_FINAL] == 1 ? "ok" : "", label);
    } else {
        put_tag(out, "plain", "답 없음 unanswerable");
    }
    buf_append_str(out, "<bdi>");
    html_str(out, o->question);
    buf_append_str(out, "</bdi>");
    if (o->asked && o->refused)
        put_tag(out, o->answerable ? "" : "ok", "거절 refused");
    else if (o->asked && !o->answerable)
        put_tag(out, "", "답함 answered");
    buf_append_str(out, "<span class=\"tag plain\"><bdi>");
    html_str(out, o->id);
    buf_append_str(out, "</bdi></span></summary>\n");
}

static void put_gold(const struct outcome *o, struct buf *out)
{
    if (o->gold_text[0] == '\0')
        return;
    buf_append_str(out, "<div><h3>정답 지문 · Gold");
    if (o->gold_name[0] != '\0') {
        buf_append_str(out, " · <bdi>");
        html_str(out, o->gold_name);
        buf_append_str(out, "</bdi>");
    }
    buf_append_str(out, "</h3><p><bdi>");
    html_excerpt(out, o->gold_text, strlen(o->gold_text), o->gold_start, o->gold_end, GOLD_CHARS);
    buf_append_str(out, "</bdi></p>");
    if (o->gold_answer[0] != '\0') {
        buf_append_str(out, "<p class=\"note\">정답 answer: <b><bdi>");
        html_str(out, o->gold_answer);
        buf_append_str(out, "</bdi></b></p>");
    }
    buf_append_str(out, "</div>\n");
}

static void put_given(const struct outcome *o, struct buf *out)
{
    if (!o->asked)
        return;
    buf_append_str(out, o->refused ? "<div><h3>거절 이유 · Refused because</h3><p><bdi>"
                                   : "<div><h3>ragd의 답 · Answer given</h3><p><bdi>");
    html_excerpt(out, o->refused ? o->reason : o->answer,
                 strlen(o->refused ? o->reason : o->answer), 0, 0, GOLD_CHARS);
    buf_append_str(out, "</bdi></p>");
    if (o->scored && !o->refused)
        buf_printf(out, "<p class=\"note\">F1 %.2f · %s</p>", o->f1,
                   o->cited ? "인용이 정답과 겹침 cited" : "인용이 빗나감 not cited");
    buf_append_str(out, "</div>\n");
}

static void put_retrieved(const struct outcome *o, struct buf *out)
{
    if (o->n_retrieved == 0) {
        buf_append_str(out, "<div><h3>찾은 지문 없음 · Nothing retrieved</h3></div>\n");
        return;
    }
    buf_append_str(out, "<div><h3>찾은 지문 · Retrieved</h3><ol>");
    for (size_t i = 0; i < o->n_retrieved; i++) {
        const struct retrieved *r = &o->retrieved[i];

        buf_append_str(out, r->gold ? "<li class=\"gold\"><bdi>" : "<li><bdi>");
        html_excerpt(out, r->text, strlen(r->text), 0, 0, RETRIEVED_CHARS);
        buf_append_str(out, "</bdi><br><small><bdi>");
        html_str(out, r->document);
        if (r->title[0] != '\0') {
            buf_append_str(out, " · ");
            html_str(out, r->title);
        }
        buf_printf(out, "</bdi> · %.3f%s</small></li>", r->score, r->gold ? " · 정답 gold" : "");
    }
    buf_append_str(out, "</ol></div>\n");
}

static void put_worst(const struct run *run, struct buf *out)
{
    size_t worst[RUN_WORST_MAX];
    size_t n = run_worst(run, worst);

    if (n == 0)
        return;
    buf_printf(out,
               "<section><h2>가장 나쁜 질문 %zu개<small>The worst %zu questions and what was "
               "retrieved</small></h2>\n",
               n, n);
    for (size_t i = 0; i < n; i++) {
        const struct outcome *o = &run->outcomes[worst[i]];

        buf_append_str(out, i < 3 ? "<details open>" : "<details>");
        put_summary(o, out);
        buf_append_str(out, "<div class=\"body\">");
        put_gold(o, out);
        put_given(o, out);
        put_retrieved(o, out);
        buf_append_str(out, "</div></details>\n");
    }
    buf_append_str(out, "</section>\n");
}

void report_html(const struct run *run, struct buf *out)
{
    struct run_summary s;

    run_summarize(run, &s);
    put_head(run, out);
    put_kpis(run, &s, out);
    put_retrieval(run, out);
    put_answers(run, &s, out);
    put_latencies(run, out);
    put_worst(run, out);
    html_page_end(out);
}
