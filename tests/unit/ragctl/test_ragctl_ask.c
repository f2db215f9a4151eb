/* Goal: a person sees the answer and what each [n] stands for, or why there is none; the
 * request holds what was asked. Method: answers as ragd sends them, printed into a buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "daemon/ragctl/ragctl_ask.h"
#include "daemon/ragctl/ragctl_client.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *reply;
    bool streamed;
    const char *want;
    struct ask_screen screen;
};

/* clang-format off */
static struct row rows[] = {
    {"an answer with its citation",
     "{\"answer\":\"15일이다 [1].\",\"refused\":false,\"citations\":[{\"n\":1,\"document\":\"휴가.md\","
     "\"heading\":\"2장 > 연차\",\"text\":\"연차는  15일\\n이다.\"}]}",
     false, "15일이다 [1].\n\n[1] 휴가.md (2장 > 연차)\n    \"연차는 15일 이다.\"\n", {.chat = false}},
    {"a streamed answer is not printed twice",
     "{\"answer\":\"A [1].\",\"refused\":false,\"citations\":[{\"n\":1,\"document\":\"d\","
     "\"heading\":\"\",\"text\":\"t\"}]}",
     true, "\n[1] d\n    \"t\"\n", {.chat = false}},
    {"two spans of one passage share its line",
     "{\"answer\":\"A\",\"refused\":false,\"citations\":[{\"n\":2,\"document\":\"d\",\"text\":\"x\"},"
     "{\"n\":2,\"document\":\"d\",\"text\":\"y\"}]}",
     false, "A\n\n[2] d\n    \"x\"\n    \"y\"\n", {.chat = false}},
    {"a refusal says why",
     "{\"answer\":\"\",\"refused\":true,\"reason\":\"문서에 없습니다.\",\"citations\":[]}", false,
     "답 없음: 문서에 없습니다.\n", {.chat = false}},
    {"a refusal in English says so in English",
     "{\"answer\":\"\",\"refused\":true,\"reason\":\"The documents have nothing about 'x'.\"}", false,
     "No answer: The documents have nothing about 'x'.\n", {.chat = false}},
    {"a refusal names what came nearest",
     "{\"answer\":\"\",\"refused\":true,\"reason\":\"문서에 없습니다.\",\"nearest\":["
     "{\"document\":\"휴가.md\",\"title\":\"규정\",\"heading\":\"규정 > 연차\",\"byte_start\":5,\"byte_end\":90,"
     "\"snippet\":\"연차는\\n15일\",\"snippet_start\":10,\"snippet_end\":25},"
     "{\"document\":\"d\",\"title\":\"\",\"heading\":\"\",\"byte_start\":0,\"byte_end\":1,"
     "\"snippet\":\"x\",\"snippet_start\":0,\"snippet_end\":1}]}", false,
     "답 없음: 문서에 없습니다.\n\n가장 가까운 단락 (답인지는 모릅니다):\n    휴가.md (규정 > 연차)\n"
     "        …연차는 15일…\n    d\n        x\n", {.chat = false}},
    {"and in a chat, in the language of the question",
     "{\"answer\":\"\",\"refused\":true,\"reason\":\"None.\",\"backend\":\"none\",\"stages_ms\":{\"total\":5},"
     "\"nearest\":[{\"document\":\"d\\u001b\",\"snippet\":\"\\u001b[2J\"}]}", true,
     "No answer: None.\n\nNearest passages (they may not answer):\n    d\xEF\xBF\xBD\n"
     "        \xEF\xBF\xBD[2J\n(5 ms)\n", {.chat = true}},
    {"a refusal that names nothing", "{\"answer\":\"\",\"refused\":true,\"reason\":\"No.\",\"nearest\":[]}", false,
     "No answer: No.\n", {.chat = false}},
    {"a refusal without reason", "{\"answer\":\"\",\"refused\":true}", false,
     "No answer: the documents do not support one\n", {.chat = false}},
    {"a title goes before the heading",
     "{\"answer\":\"A\",\"refused\":false,\"citations\":[{\"n\":1,\"document\":\"d\",\"title\":\"규정\","
     "\"heading\":\"연차\",\"text\":\"x\"}]}",
     false, "A\n\n[1] d (규정, 연차)\n    \"x\"\n", {.chat = false}},
    {"a title that begins the heading is said once",
     "{\"answer\":\"A\",\"refused\":false,\"citations\":[{\"n\":1,\"document\":\"d\",\"title\":\"규정\","
     "\"heading\":\"규정 > 연차\",\"text\":\"x\"}]}",
     false, "A\n\n[1] d (규정 > 연차)\n    \"x\"\n", {.chat = false}},
    {"a chat says who answered, and what it understood",
     "{\"answer\":\"A\",\"refused\":false,\"citations\":[],\"standalone_question\":\"연차는\\u001b?\","
     "\"backend\":\"local\",\"passages_dropped\":2,\"sentences_removed\":1,\"stages_ms\":{\"total\":4321},"
     "\"usage\":{\"completion_tokens\":41},\"timings_ms\":{\"decode\":4000},\"degraded\":[{\"stage\":\"rerank\"}]}",
     false, "(understood as: 연차는\xEF\xBF\xBD?)\nA\n(local, 4.3 s; 41 tokens, 10.0 a second; 1 sentence "
     "without support left out; 2 passages did not fit; without rerank)\n", {.chat = true}},
    {"a chat says why another backend answered",
     "{\"answer\":\"A\",\"refused\":false,\"citations\":[],\"backend\":\"extractive\","
     "\"stages_ms\":{\"total\":5},\"degraded\":[{\"stage\":\"generate\",\"reason\":\"local: busy\"}]}",
     false, "A\n(extractive, 5 ms; local: busy)\n", {.chat = true}},
    {"a chat on a terminal dims what is no answer",
     "{\"answer\":\"\",\"refused\":true,\"reason\":\"없습니다.\",\"backend\":\"none\","
     "\"stages_ms\":{\"total\":5}}",
     false, "답 없음: 없습니다.\n\033[2m(5 ms)\033[0m\n", {.chat = true, .terminal = true}},
    {"escape sequences of a document stay inert",
     "{\"answer\":\"a\\u001b[2Jb\",\"refused\":false,\"citations\":[]}", false,
     "a\xEF\xBF\xBD[2Jb\n", {.chat = false}},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    struct json *reply = NULL;
    struct buf out;

    buf_init(&out, 65536);
    assert_int_equal(json_parse(row->reply, strlen(row->reply), "reply", &reply, NULL), RAG_OK);
    ragctl_ask_format(reply, &row->screen, row->streamed, 80, &out);
    assert_string_equal(buf_str(&out), row->want);
    json_free(reply);
    buf_release(&out);
}

static void the_oldest_turn_is_forgotten(void **state)
{
    struct chat_history history = {0};

    (void)state;
    for (int i = 0; i < CHAT_TURNS_MAX + 1; i++) {
        char question[16] = {(char)('a' + i), '\0'};

        assert_int_equal(chat_history_add(&history, question, "answer"), RAG_OK);
    }
    assert_int_equal(history.n, CHAT_TURNS_MAX);
    assert_string_equal(history.turns[0].question, "b");
    chat_history_clear(&history);
    chat_history_clear(&history);
    assert_int_equal(history.n, 0);
}

static void filters_become_members(void **state)
{
    static const struct {
        const char *filter;
        const char *where;
        enum rag_status want;
        const char *text;
    } cases[] = {
        {NULL,                  NULL,              RAG_OK,      "{\"collection\":\"c\",\"top_k\":3}"},
        {"{\"y\":{\"gte\":1}}", NULL,              RAG_OK,
         "{\"collection\":\"c\",\"top_k\":3,\"filter\":{\"y\":{\"gte\":1}}}"                        },
        {NULL,                  "dept=인사=팀", RAG_OK,
         "{\"collection\":\"c\",\"top_k\":3,\"filter\":{\"dept\":\"인사=팀\"}}"                  },
        {"{\"a\":1}",           "b=2",             RAG_OK,
         "{\"collection\":\"c\",\"top_k\":3,\"filter\":{\"a\":1,\"b\":\"2\"}}"                      },
        {"[1]",                 NULL,              RAG_EINVAL,  NULL                                },
        {"{",                   NULL,              RAG_EFORMAT, NULL                                },
        {NULL,                  "dept",            RAG_EINVAL,  NULL                                },
        {NULL,                  "=x",              RAG_EINVAL,  NULL                                },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ragctl_query query = {.filter = cases[i].filter, .top_k = 3};
        struct rag_error error = {0};
        struct json_writer w;
        struct buf out;

        if (cases[i].where)
            query.only.items[query.only.n++] = cases[i].where;
        buf_init(&out, 4096);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        assert_int_equal(ragctl_query_write(&w, "c", &query, &error), cases[i].want);
        json_end_object(&w);
        if (cases[i].text)
            assert_string_equal(buf_str(&out), cases[i].text);
        buf_release(&out);
    }
}

static void questions_need_no_quotes(void **state)
{
    char *words[] = {(char *)(uintptr_t) "연차는", (char *)(uintptr_t) "며칠?"};
    char too_long[QUESTION_BYTES_MAX + 2];
    char *long_words[] = {too_long};
    struct rag_error error = {0};
    struct buf out;

    (void)state;
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    buf_init(&out, 2 * QUESTION_BYTES_MAX);
    assert_int_equal(ragctl_query_join(words, 2, "question", &out, &error), RAG_OK);
    assert_string_equal(buf_str(&out), "연차는 며칠?");
    buf_reset(&out);
    assert_int_equal(ragctl_query_join(words, 0, "question", &out, &error), RAG_EINVAL);
    assert_string_equal(error.text, "question: none given");
    assert_int_equal(ragctl_query_join(long_words, 1, "question", &out, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "limit of 8192 bytes"));
    buf_release(&out);
}

static void errors_keep_the_daemons_words(void **state)
{
    static const struct {
        long code;
        const char *body;
        enum rag_status want;
        const char *text;
    } cases[] = {
        {404, "{\"error\":{\"message\":\"collection 'x': none\"}}", RAG_ENOTFOUND,
         "collection 'x': none"                                                                                                        },
        {403, "{\"error\":{\"message\":\"no\"}}",                   RAG_EDENIED,   "no"                                                },
        {503, "{\"error\":{\"message\":\"busy\"}}",                 RAG_EBUSY,     "busy"                                              },
        {507, "{\"error\":{\"message\":\"full\"}}",                 RAG_ENOSPC,    "full"                                              },
        {400, "not json",                                           RAG_EINVAL,    "ragd: answered with HTTP status 400 and no message"},
        {500, "",                                                   RAG_EINTERNAL, "ragd: answered with HTTP status 500 and no message"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rag_error error = {0};

        assert_int_equal(
            ragctl_client_error(cases[i].code, cases[i].body, strlen(cases[i].body), &error),
            cases[i].want);
        assert_string_equal(error.text, cases[i].text);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 4] = {
        cmocka_unit_test(the_oldest_turn_is_forgotten),
        cmocka_unit_test(filters_become_members),
        cmocka_unit_test(questions_need_no_quotes),
        cmocka_unit_test(errors_keep_the_daemons_words),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 4] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_ask", tests, NULL, NULL);
}
