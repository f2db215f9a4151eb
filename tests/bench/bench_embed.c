/* How fast documents become chunks, one thread: MB of source per second of CPU time for each
 * format, reading and chunking apart, and the seconds that texts made to be slow take.
 *
 *     bench_embed [FILE...]    files of one's own instead of the composed documents
 *
 * The last line is JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "embed/chunker.h"

#define COMPOSED_BYTES (16u << 20)
#define HOSTILE_BYTES  (8u << 20)

struct rates {
    double extract_mb_s;
    double chunk_mb_s;
    double both_mb_s;
    double seconds;
    size_t n_chunks;
};

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* RAG_OK, or the status with its message printed. */
static enum rag_status measure(enum document_format format, const char *body, size_t n_bytes,
                               struct rates *ret)
{
    const struct chunker_options options = {CHUNK_CHARS_DEFAULT, CHUNK_OVERLAP_DEFAULT};
    double start = cpu_s();
    struct chunk_list chunks = {0};
    struct extracted e = {0};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = extract_document(format, body, n_bytes, &e, &error);
    double extract_s = cpu_s() - start;
    double chunk_s;
    double mb = (double)n_bytes / 1e6;

    start = cpu_s();
    if (status == RAG_OK)
        status = chunk_document(&e, &options, &chunks, &error);
    chunk_s = cpu_s() - start;
    ret->seconds = extract_s + chunk_s;
    ret->extract_mb_s = mb / extract_s;
    ret->chunk_mb_s = mb / chunk_s;
    ret->both_mb_s = mb / ret->seconds;
    ret->n_chunks = chunks.n;
    if (status != RAG_OK)
        printf("  %s\n", error.text);
    chunk_list_release(&chunks);
    extracted_release(&e);
    return status;
}

/* ---- ordinary documents ---- */

static void compose(struct buf *out, const char *const *pieces, size_t n_bytes)
{
    size_t n_pieces = 0;

    while (pieces[n_pieces])
        n_pieces++;
    for (size_t i = 0; out->len < n_bytes; i++) {
        buf_append_str(out, pieces[i % n_pieces]);
        if (i % n_pieces == 0)
            buf_printf(out, " %zu", i);
    }
}

static const char *const text_pieces[] = {
    "\n\n■ 시간별 경과",
    "\n이 규정은 회사의 업무에 쓰이는 말과 절차를 정한다. 담당자는 매달 한 번 기록을 확인하고, "
    "다른 점이 있으면 이틀 안에 알린다. 알리지 않은 일은 없었던 것으로 본다.\n",
    "\n- 신청은 시작하기 3일 전까지 한다.\n- 급한 때에는 전화로 알린다.\n\n",
    "2024년 3월 1일부터 적용하며, 값은 3.14배를 넘을 수 없다. 자세한 것은 담당 부서에 묻는다. "
    "신청서와 증빙은 함께 낸다. 늦게 낸 신청은 다음 달에 처리한다.\n",
    NULL};

static const char *const markdown_pieces[] = {
    "\n\n## 제3조 신청과 **승인**",
    "\n\n이 규정은 `portal`에서 쓰이는 말과 [절차](https://example.kr/a)를 정한다. 담당자는 매달 "
    "한 번 *기록*을 확인하고, 다른 점이 있으면 이틀 안에 알린다.\n\n",
    "- 신청은 시작하기 3일 전까지 한다.\n- 급한 때에는 전화로 알린다.\n\n",
    "| 사유 | 일수 | 금액 |\n|---|---|---|\n| 본인 결혼 | 5일 | 50만 원 |\n"
    "| 자녀 결혼 | 1일 | 30만 원 |\n\n",
    "```sh\nragctl ingest --collection c docs\nragctl ask 질문\n```\n",
    NULL};

static const char *const html_pieces[] = {
    "</section><section class=\"article body\"><h2 id=\"a\">신청과 승인</h2>",
    "<p>이 규정은 <code>portal</code>에서 쓰이는 말과 <a href=\"/a?b=c&amp;d=e\">절차</a>를 "
    "정한다. 담당자는 매달 한 번 <em>기록</em>을 확인하고, 다른 점이 있으면 이틀 안에 "
    "알린다.</p>\n",
    "<ul>\n<li>신청은 시작하기 3일 전까지 한다.</li>\n<li>급한 때에는 전화로 알린다.</li>\n</ul>\n",
    "<table class=\"t\">\n<tr><th>사유</th><th>일수</th></tr>\n<tr><td>본인 결혼</td><td>5일</td>"
    "</tr>\n<tr><td>자녀 결혼</td><td>1일</td></tr>\n</table>\n",
    NULL};

static const struct {
    const char *name;
    enum document_format format;
    const char *const *pieces;
} composed[] = {
    {"text",     FORMAT_TEXT,     text_pieces    },
    {"markdown", FORMAT_MARKDOWN, markdown_pieces},
    {"html",     FORMAT_HTML,     html_pieces    },
};
#define N_COMPOSED (sizeof composed / sizeof composed[0])

static enum rag_status run_composed(struct rates *ret)
{
    for (size_t i = 0; i < N_COMPOSED; i++) {
        enum rag_status status = RAG_OK;
        struct buf body;

        buf_init(&body, BODY_BYTES_MAX_DEFAULT);
        compose(&body, composed[i].pieces, COMPOSED_BYTES);
        memset(&ret[i], 0, sizeof ret[i]);
        for (int round = 0; round < 3 && status == RAG_OK; round++) {
            struct rates one;

            status = measure(composed[i].format, buf_str(&body), body.len, &one);
            if (one.both_mb_s > ret[i].both_mb_s)
                ret[i] = one;
        }
        printf("%-9s %5.1f MB  read %6.1f MB/s  chunk %6.1f MB/s  both %6.1f MB/s  %zu chunks\n",
               composed[i].name, (double)body.len / 1e6, ret[i].extract_mb_s, ret[i].chunk_mb_s,
               ret[i].both_mb_s, ret[i].n_chunks);
        buf_release(&body);
        if (status != RAG_OK)
            return status;
    }
    return RAG_OK;
}

/* ---- documents made to be slow ---- */

static const struct {
    const char *name;
    enum document_format format;
    const char *piece; /* repeated */
} hostile[] = {
    {"one word",                   FORMAT_TEXT,     "가"                         },
    {"words without a stop",       FORMAT_TEXT,     "낱말 "                     },
    {"stops alone",                FORMAT_TEXT,     ". "                          },
    {"numbered stops",             FORMAT_TEXT,     "1. "                         },
    {"quotes",                     FORMAT_TEXT,     "\".\" "                      },
    {"blank lines",                FORMAT_TEXT,     "가\n\n"                     },
    {"spaces",                     FORMAT_TEXT,     "        "                    },
    {"combining marks",            FORMAT_TEXT,     "\xCC\x81"                    },
    {"joined emoji",               FORMAT_TEXT,     "👨\xE2\x80\x8D"            },
    {"flags",                      FORMAT_TEXT,     "🇰"                        },
    {"headings",                   FORMAT_TEXT,     "■ 가\n나\n"              },
    {"list items",                 FORMAT_TEXT,     "- 가\n"                     },
    {"Markdown quotes",            FORMAT_MARKDOWN, ">"                           },
    {"Markdown quotes, lines",     FORMAT_MARKDOWN, "> > > > > > > > a\n"         },
    {"Markdown lists, one line",   FORMAT_MARKDOWN, "- "                          },
    {"Markdown emphasis",          FORMAT_MARKDOWN, "*a_ "                        },
    {"Markdown open brackets",     FORMAT_MARKDOWN, "["                           },
    {"Markdown links",             FORMAT_MARKDOWN, "[a]("                        },
    {"Markdown images",            FORMAT_MARKDOWN, "![[]()"                      },
    {"Markdown backticks",         FORMAT_MARKDOWN, "`a``"                        },
    {"Markdown link definitions",  FORMAT_MARKDOWN, "[a]: b\n\n"                  },
    {"Markdown lazy lines",        FORMAT_MARKDOWN, "> - > - > a\nb\nc\n"         },
    {"Markdown cells",             FORMAT_MARKDOWN, "a|a|a\n---|---|---\n|\n|\n\n"},
    {"Markdown references",        FORMAT_MARKDOWN, "[a][b]\n"                    },
    {"Markdown entities",          FORMAT_MARKDOWN, "&"                           },
    {"Markdown HTML",              FORMAT_MARKDOWN, "a <!A "                      },
    {"Markdown comments",          FORMAT_MARKDOWN, "a <!-- "                     },
    {"Markdown instructions",      FORMAT_MARKDOWN, "a <?"                        },
    {"Markdown CDATA",             FORMAT_MARKDOWN, "a <![CDATA["                 },
    {"Markdown headings",          FORMAT_MARKDOWN, "# a\n"                       },
    {"Markdown code fences",       FORMAT_MARKDOWN, "```\n"                       },
    {"Markdown table of one line", FORMAT_MARKDOWN, "a|"                          },
    {"HTML elements in elements",  FORMAT_HTML,     "<div>"                       },
    {"HTML formatting",            FORMAT_HTML,     "<b><p>a"                     },
    {"HTML formatting of classes", FORMAT_HTML,     "<font><a><p>a"               },
    {"HTML paragraphs",            FORMAT_HTML,     "<p>a"                        },
    {"HTML items",                 FORMAT_HTML,     "<li>a"                       },
    {"HTML cells",                 FORMAT_HTML,     "<table><td>a"                },
    {"HTML attributes",            FORMAT_HTML,     "<a b"                        },
    {"HTML ends",                  FORMAT_HTML,     "</p>"                        },
    {"HTML comments",              FORMAT_HTML,     "<!--"                        },
    {"HTML entities",              FORMAT_HTML,     "&amp"                        },
};

static enum rag_status run_hostile(double *ret_slowest)
{
    *ret_slowest = 0;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct rates one = {0};
        struct buf body;

        buf_init(&body, BODY_BYTES_MAX_DEFAULT);
        while (body.len < HOSTILE_BYTES)
            buf_append_str(&body, hostile[i].piece);
        measure(hostile[i].format, buf_str(&body), body.len, &one);
        printf("%-28s %6.2f s for %.1f MB, %zu chunks\n", hostile[i].name, one.seconds,
               (double)body.len / 1e6, one.n_chunks);
        fflush(stdout);
        buf_release(&body);
        if (one.seconds > *ret_slowest)
            *ret_slowest = one.seconds;
    }
    return RAG_OK;
}

/* ---- files ---- */

static int run_file(const char *path)
{
    struct rag_error error = {RAG_OK, ""};
    enum document_format format;
    struct rates one;
    struct buf body;
    int failed = 1;
    FILE *f = fopen(path, "rb");
    char *into;
    size_t n;

    buf_init(&body, BODY_BYTES_MAX_DEFAULT);
    if (!f || document_format_of(NULL, path, &format, &error) != RAG_OK) {
        printf("%s: %s\n", path, f ? error.text : "cannot be read");
        goto out;
    }
    while ((into = buf_reserve(&body, 65536)) != NULL && (n = fread(into, 1, 65536, f)) > 0)
        buf_commit(&body, n);
    if (measure(format, buf_str(&body), body.len, &one) != RAG_OK)
        goto out;
    printf("%s: %.1f MB/s, %zu chunks\n", path, one.both_mb_s, one.n_chunks);
    failed = 0;
out:
    if (f)
        fclose(f);
    buf_release(&body);
    return failed;
}

int main(int argc, char **argv)
{
    struct rates rates[N_COMPOSED];
    double slowest = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= run_file(argv[i]);
    if (argc > 1)
        return failed;
    if (run_composed(rates) != RAG_OK || run_hostile(&slowest) != RAG_OK)
        return 1;
    printf("{\"bench\":\"embed\",\"text_mb_per_s\":%.1f,\"markdown_mb_per_s\":%.1f,"
           "\"html_mb_per_s\":%.1f,\"slowest_hostile_s\":%.2f}\n",
           rates[0].both_mb_s, rates[1].both_mb_s, rates[2].both_mb_s, slowest);
    return 0;
}
