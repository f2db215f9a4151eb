#include "eval/report_html.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "eval/compare.h"
#include "eval/html.h"

#define GOLD_CHARS      420 /* of the gold passage around its answer */
#define RETRIEVED_CHARS 220

/* c0..c5: bm25, dense, rrf, convex, rerank, final; c6: what went wrong */
static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5d6778;"
    "--line:#e2e6ec;--c0:#9aa8bd;--c1:#7fb7a4;--c2:#d9b062;--c3:#c08552;--c4:#7c9df0;--c5:#3453d1;"
    "--c6:#d8574b;"
    "--mark:#ffe9a3;--good:#1f8a5b;--goodbg:#e3f5ec;--badbg:#fdebe9}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1b212b;--ink:#e7ebf2;"
    "--soft:#98a3b5;--line:#2c3542;--c0:#66758c;--c1:#4f9c85;--c2:#b08a3e;--c3:#96663c;"
    "--c4:#6384dd;--c5:#8aa2ff;--c6:#ef7d72;--mark:#6b5714;--good:#6fd3a4;--goodbg:#173527;--badbg:"
    "#3d2220}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--ink);line-height:1.6;font-size:15px;"
    "font-family:system-ui,-apple-system,'Segoe UI','Apple SD Gothic Neo','Malgun Gothic',"
    "'Noto Sans KR','Noto Sans CJK KR',sans-serif;word-break:keep-all;overflow-wrap:anywhere}"
    "main{max-width:1000px;margin:0 auto;padding:36px 20px 80px}"
    "h1{font-size:27px;margin:0 0 4px;letter-spacing:-.02em}"
    "h2{font-size:18px;margin:0 0 14px}h2 small,h1 small{color:var(--soft);font-weight:400;"
    "font-size:.68em;margin-left:.5em;letter-spacing:0}"
    ".sub{color:var(--soft);margin:0 0 14px}"
    ".chips{display:flex;flex-wrap:wrap;gap:8px;margin-bottom:22px}"
    ".chips span{background:var(--card);border:1px solid var(--line);border-radius:99px;"
    "padding:2px 12px;font-size:13px;color:var(--soft)}.chips b{color:var(--ink);font-weight:600}"
    ".kpis{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;"
    "margin-bottom:18px}"
    ".kpi,section{background:var(--card);border:1px solid var(--line);border-radius:14px}"
    ".kpi{padding:14px 16px}.kpi p{margin:0;color:var(--soft);font-size:12.5px;line-height:1.4}"
    ".kpi strong{display:block;font-size:27px;line-height:1.25;letter-spacing:-.02em;"
    "font-variant-numeric:tabular-nums}"
    "section{padding:22px 24px;margin-bottom:18px}"
    "svg{width:100%;height:auto;display:block;margin-top:4px}"
    "svg text{fill:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}"
    "svg .label{fill:var(--ink)}svg .value{font-size:12px;fill:var(--ink)}"
    "svg .mid{text-anchor:middle}svg .end{text-anchor:end}"
    ".grid{stroke:var(--line)}.span{stroke:var(--c4);stroke-width:3;stroke-linecap:round;"
    "opacity:.55}"
    ".c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}"
    ".c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin-top:12px}"
    "th,td{padding:7px 10px;text-align:right;border-bottom:1px solid var(--line);font-size:14px}"
    "th{color:var(--soft);font-weight:500;font-size:13px}"
    "th:first-child,td:first-child{text-align:left}tr:last-child td{border-bottom:0}"
    "tr.total td{font-weight:600}"
    ".note{color:var(--soft);font-size:13px;margin:12px 0 0}"
    "details{border-top:1px solid var(--line);padding:10px 0}"
    "summary{cursor:pointer;display:flex;gap:10px;align-items:baseline}"
    "summary bdi{flex:1;font-weight:600}summary::marker{content:''}"
    ".tag{flex:none;border-radius:99px;padding:1px 10px;font-size:12px;background:var(--badbg);"
    "color:var(--c6);font-variant-numeric:tabular-nums}"
    ".tag.ok{background:var(--goodbg);color:var(--good)}"
    ".tag.plain{background:var(--bg);color:var(--soft)}"
    ".body{padding:8px 0 6px;display:grid;gap:12px}"
    ".body h3{margin:0 0 3px;font-size:12.5px;font-weight:600;color:var(--soft)}"
    ".body p{margin:0}mark{background:var(--mark);color:inherit;border-radius:3px;padding:0 2px}"
    "ol{margin:0;padding-left:22px}li{margin-bottom:7px;font-size:14px}"
    "li.gold::marker{color:var(--good);font-weight:700}li small{color:var(--soft)}"
    ".legend{display:flex;gap:18px;color:var(--soft);font-size:13px;margin-top:10px}"
    ".legend i{display:inline-block;width:11px;height:11px;border-radius:50%;margin-right:6px}"
    "footer{color:var(--soft);font-size:13px;text-align:center;margin-top:26px}"
    "@media(max-width:760px){.kpis{grid-template-columns:repeat(2,1fr)}}@media "
    "print{body{background:#fff}section,.kpi{break-inside:avoid}}";

/* ---- parts ---- */

static void section(struct buf *out, const char *korean, const char *english)
{
    buf_printf(out, "<section><h2>%s<small>%s</small></h2>\n", korean, english);
}

static void chip_text(struct buf *out, const char *label, const char *value)
{
    buf_printf(out, "<span>%s <b><bdi>", label);
    html_str(out, value);
    buf_append_str(out, "</bdi></b></span>");
}

static void chip_number(struct buf *out, const char *label, size_t value)
{
    buf_printf(out, "<span>%s <b>%zu</b></span>", label, value);
}

static void kpi(struct buf *out, double value, const char *korean, const char *english)
{
    if (isfinite(value))
        buf_printf(out, "<div class=\"kpi\"><strong>%.1f%%</strong><p>%s<br>%s</p></div>\n",
                   value * 100, korean, english);
}

static void kpi_tally(struct buf *out, struct tally t, const char *korean, const char *english)
{
    kpi(out, metrics_share(t.part, t.whole), korean, english);
}

static void put_head(const struct run *run, struct buf *out)
{
    const char *slash = strrchr(run->source, '/');
    char when[CLOCK_TEXT_BYTES];

    clock_format(run->wall_ms, when);
    buf_append_str(out, "<!DOCTYPE html>\n<html lang=\"ko\"><head><meta charset=\"utf-8\">"
                        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                        "'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" "
                        "content=\"width=device-width,initial-scale=1\"><meta name=\"referrer\" "
                        "content=\"no-referrer\"><title>ragd 평가 · ");
    html_str(out, slash ? slash + 1 : run->source);
    buf_printf(out, "</title>\n<style>%s</style></head>\n<body><main>\n", style);
    buf_append_str(out, "<h1>ragd 평가 보고서<small>Evaluation report</small></h1>\n<p class="
                        "\"sub\"><bdi>");
    html_str(out, run->source);
    buf_printf(out, "</bdi> · %.10s %.5s UTC · %.1f s</p>\n<div class=\"chips\">", when, when + 11,
               run->seconds);
    chip_number(out, "질문 questions", run->n_outcomes);
    chip_number(out, run->question_set ? "문서 documents" : "지문 passages", run->n_passages);
    if (run->n_distinct != run->n_passages)
        chip_number(out, "서로 다른 지문 distinct", run->n_distinct);
    if (run->n_distractors > 0)
        chip_number(out, "방해 지문 distractors", run->n_distractors);
    if (run->version[0] != '\0')
        chip_text(out, "자료 dataset", run->version);
    if (!run->question_set)
        chip_text(out, "방식 protocol", run->protocol);
    if (run->sample > 0)
        buf_printf(out, "<span>표본 sample <b>%zu</b>, seed <b>%llu</b></span>", run->sample,
                   (unsigned long long)run->seed);
    if (run->chunk_chars > 0)
        chip_number(out, "조각 chunk_chars", run->chunk_chars);
    if (run->titles)
        chip_text(out, "제목 titles", "색인함 indexed");
    if (run->daemon_version[0] != '\0')
        chip_text(out, "ragd", run->daemon_version);
    buf_append_str(out, "</div>\n");
}

static void put_kpis(const struct run *run, const struct run_summary *s, struct buf *out)
{
    struct stage_quality q = stage_quality_mean(&run->sums[RUN_FINAL]);

    buf_append_str(out, "<div class=\"kpis\">\n");
    if (q.n > 0) {
        kpi(out, q.hit_at_1, "첫 결과가 정답 지문", "hit@1, final");
        kpi(out, q.hit_at_10, "10위 안에 정답 지문", "hit@10, final");
        kpi(out, q.mrr_at_10, "역순위 평균", "MRR@10, final");
    }
    if (s->n_scored > 0) {
        kpi(out, s->em, "답이 정확히 같음", "exact match");
        kpi(out, s->f1, "답의 글자 F1", "character F1");
    }
    kpi_tally(out, s->originals.cited,
              run->question_set ? "근거를 인용함" : "첫 인용이 정답과 겹침",
              run->question_set ? "evidence cited" : "citation overlaps gold");
    kpi_tally(out, s->paraphrases.cited, "바꿔 말한 질문의 근거 인용",
              "paraphrases: evidence cited");
    kpi_tally(out, s->refusal_precision, "거절의 정밀도", "refusal precision");
    kpi_tally(out, s->refusal_recall, "답 없는 질문을 거절", "refusal recall");
    kpi_tally(out, s->answered, "답 있는 질문에 답함", "answered rate");
    buf_append_str(out, "</div>\n");
}

static void stage_table(const struct run *run, const struct stage_quality sums[N_RUN_STAGES],
                        const char *label, struct buf *out)
{
    buf_printf(out,
               "<table><tr><th>%s</th><th>hit@1</th><th>hit@5</th><th>hit@10</th>"
               "<th>hit@20</th><th>MRR@10</th><th>nDCG@10</th></tr>\n",
               label);
    for (int s = 0; s < N_RUN_STAGES; s++) {
        struct stage_quality q = stage_quality_mean(&sums[s]);

        if (!run->ran[s])
            continue;
        buf_printf(out,
                   "<tr%s><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>%.4f</td>"
                   "<td>%.4f</td><td>%.4f</td></tr>\n",
                   s == RUN_FINAL ? " class=\"total\"" : "", run_stage_name((enum run_stage)s),
                   q.hit_at_1, q.hit_at_5, q.hit_at_10, q.hit_at_20, q.mrr_at_10, q.ndcg_at_10);
    }
    buf_append_str(out, "</table>");
}

static void put_warnings(const struct run *run, struct buf *out)
{
    struct comparison best;
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
        const struct comparison *c = &rows[i].result;

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
    section(out, "검색 품질", "Retrieval quality by stage");
    chart_stages(run, out);
    stage_table(run, run->sums, "단계 stage", out);
    buf_printf(out,
               "<p class=\"note\">정답 지문이 있는 질문 %zu개의 평균. 같은 문서의 조각은 한 번만 "
               "센다. · Means over the %zu questions that have a gold passage; chunks of one "
               "document count once.</p>\n",
               run->sums[RUN_FINAL].n, run->sums[RUN_FINAL].n);
    if (run->paraphrases[RUN_FINAL].n > 0)
        stage_table(run, run->paraphrases, "바꿔 말한 질문 paraphrases", out);
    put_comparisons(run, out);
    buf_append_str(out, "</section>\n");
    section(out, "정답 지문의 순위", "Rank of the gold passage in the final list");
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
    section(out, "답과 거절", "Answers and refusals");
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
    section(out, "지연 시간", "Latency by stage");
    chart_latencies(run, out);
    buf_append_str(out, "<div class=\"legend\"><span><i style=\"background:var(--c5)\"></i>p50"
                        "</span><span><i style=\"background:var(--c4)\"></i>p95</span><span><i "
                        "style=\"background:var(--c6)\"></i>p99</span></div>\n<table><tr><th>단계 "
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
    section(out, "지연 시간의 분포", "Latency distribution, up to p99");
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
    buf_append_str(out, "<footer>ragctl eval · ragd</footer>\n</main></body></html>\n");
}
