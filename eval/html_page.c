#include "eval/html_page.h"

#include <math.h>

#include "eval/html.h"

/* c0..c6: bm25, dense, rrf, convex, rerank, final; c7: what went wrong */
static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5d6778;"
    "--line:#e2e6ec;--c0:#9aa8bd;--c1:#7fb7a4;--c2:#d9b062;--c3:#c08552;--c4:#b57fb0;--c5:#7c9df0;-"
    "-c6:#3453d1;"
    "--c7:#d8574b;"
    "--mark:#ffe9a3;--good:#1f8a5b;--goodbg:#e3f5ec;--badbg:#fdebe9}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1b212b;--ink:#e7ebf2;"
    "--soft:#98a3b5;--line:#2c3542;--c0:#66758c;--c1:#4f9c85;--c2:#b08a3e;--c3:#96663c;"
    "--c4:#8e5f8a;--c5:#6384dd;--c6:#8aa2ff;--c7:#ef7d72;--mark:#6b5714;--good:#6fd3a4;--goodbg:#"
    "173527;--badbg:"
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
    ".grid{stroke:var(--line)}.span{stroke:var(--c5);stroke-width:3;stroke-linecap:round;"
    "opacity:.55}"
    ".c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)"
    "}"
    ".c5{fill:var(--c5)}.c6{fill:var(--c6)}.c7{fill:var(--c7)}"
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
    "color:var(--c7);font-variant-numeric:tabular-nums}"
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

void html_page_begin(struct buf *out, const char *source)
{
    buf_append_str(out, "<!DOCTYPE html>\n<html lang=\"ko\"><head><meta charset=\"utf-8\">"
                        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                        "'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" "
                        "content=\"width=device-width,initial-scale=1\"><meta name=\"referrer\" "
                        "content=\"no-referrer\"><title>ragd 평가 · ");
    html_str(out, source);
    buf_printf(out, "</title>\n<style>%s</style></head>\n<body><main>\n", style);
}

void html_page_end(struct buf *out)
{
    buf_append_str(out, "<footer>ragctl eval · ragd</footer>\n</main></body></html>\n");
}

void html_section(struct buf *out, const char *korean, const char *english)
{
    buf_printf(out, "<section><h2>%s<small>%s</small></h2>\n", korean, english);
}

void html_chip_text(struct buf *out, const char *label, const char *value)
{
    buf_printf(out, "<span>%s <b><bdi>", label);
    html_str(out, value);
    buf_append_str(out, "</bdi></b></span>");
}

void html_chip_number(struct buf *out, const char *label, size_t value)
{
    buf_printf(out, "<span>%s <b>%zu</b></span>", label, value);
}

void html_kpi(struct buf *out, double value, const char *korean, const char *english)
{
    if (isfinite(value))
        buf_printf(out, "<div class=\"kpi\"><strong>%.1f%%</strong><p>%s<br>%s</p></div>\n",
                   value * 100, korean, english);
}
