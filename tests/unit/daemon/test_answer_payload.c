/* Goal: an answer comes back from its payload as it was, and a payload that lay in a damaged file
 * is refused with what is wrong, never half read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/answer_payload.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define ARENA_MAX (1u << 20)

static const struct passage passages[] = {
    {.id = 7,
     .document = "hr/leave.md",
     .title = "휴가 규정",
     .heading = "연차",
     .context = "",
     .text = "연차는 15일이다.",
     .text_bytes = sizeof "연차는 15일이다." - 1,
     .byte_start = 40,
     .byte_end = 40 + sizeof "연차는 15일이다." - 1,
     .version_id = 3,
     .score = 0.5f},
    {.id = 9,
     .document = "표.html",
     .title = "",
     .heading = "",
     .context = "이름 | 값",
     .text = "\"따옴표\"\n\\",
     .text_bytes = sizeof "\"따옴표\"\n\\" - 1,
     .byte_start = 0,
     .byte_end = sizeof "\"따옴표\"\n\\" - 1,
     .version_id = 4},
};

static void init(struct pipeline_answer *a)
{
    memset(a, 0, sizeof *a);
    arena_init(&a->retrieval.arena, ARENA_MAX);
    arena_init(&a->retrieval.texts, ARENA_MAX);
    generator_result_init(&a->result);
    buf_init(&a->standalone, 8192);
    a->reason = a->reason_code = "";
}

static void answered(struct pipeline_answer *a, struct passage *room)
{
    init(a);
    memcpy(room, passages, sizeof passages);
    a->retrieval.passages = room;
    a->retrieval.n_passages = a->retrieval.n_fetched = a->n_given = COUNT(passages);
    buf_append_str(&a->result.answer, "연차는 15일이다. [1]");
    a->result.finish_reason = FINISH_STOP;
    a->result.backend = "extractive";
    a->result.confidence = 0.75f;
    a->verdict.pass = true;
    a->verdict.relevance = 0.5f;
    snprintf(a->result.short_answer, sizeof a->result.short_answer, "15일");
    a->result.citations[0] = (struct citation){0, 40, 60, 0, 21};
    a->result.n_citations = 1;
}

/* There and back. */
struct trip {
    struct passage room[COUNT(passages)];
    struct pipeline_answer a;
    struct pipeline_answer b; /* as it came back */
    const char *request_id;
    struct buf payload;
};

static void travel(struct trip *t, const char *request_id)
{
    struct rag_error error = {RAG_OK, ""};

    init(&t->b);
    buf_init(&t->payload, 1u << 20);
    answer_payload_write(&t->a, request_id, &t->payload);
    assert_int_equal(buf_status(&t->payload), RAG_OK);
    if (answer_payload_read(buf_str(&t->payload), t->payload.len, &t->b, &t->request_id, &error) !=
        RAG_OK)
        fail_msg("%s", error.text);
}

static void trip_release(struct trip *t)
{
    buf_release(&t->payload);
    pipeline_answer_release(&t->a);
    pipeline_answer_release(&t->b);
}

static void same_passage(const struct passage *p, size_t i)
{
    assert_int_equal(p->id, passages[i].id);
    assert_int_equal(p->version_id, passages[i].version_id);
    assert_int_equal(p->byte_start, passages[i].byte_start);
    assert_int_equal(p->byte_end, passages[i].byte_end);
    assert_string_equal(p->text, passages[i].text);
    assert_string_equal(p->context, passages[i].context);
    assert_int_equal(p->final_rank, i + 1);
}

static void one_that_cites_nothing_keeps_all_passages(void **state)
{
    struct trip t;

    (void)state;
    answered(&t.a, t.room);
    t.a.result.n_citations = 0;
    travel(&t, "r");
    for (size_t i = 0; i < COUNT(passages); i++)
        same_passage(&t.b.retrieval.passages[i], i);
    trip_release(&t);
}

static void an_answer_comes_back_as_it_was(void **state)
{
    struct trip t;

    (void)state;
    answered(&t.a, t.room);
    travel(&t, "0123");
    assert_string_equal(t.request_id, "0123");
    assert_false(t.b.refused);
    assert_string_equal(buf_str(&t.b.result.answer), buf_str(&t.a.result.answer));
    assert_string_equal(t.b.result.short_answer, "15일");
    assert_string_equal(t.b.result.backend, "extractive");
    assert_true(t.b.result.confidence == 0.75f && t.b.verdict.relevance == 0.5f);
    assert_int_equal(t.b.n_given, COUNT(passages));
    assert_int_equal(t.b.retrieval.passages[1].id, 0); /* not cited: nothing of it is kept */
    assert_string_equal(t.b.retrieval.passages[1].text, "");
    same_passage(&t.b.retrieval.passages[0], 0);
    assert_int_equal(t.b.result.n_citations, 1);
    assert_memory_equal(&t.b.result.citations[0], &t.a.result.citations[0],
                        sizeof(struct citation));
    trip_release(&t);
}

static const struct nearest near = {.chunk = 7,
                                    .version_id = 3,
                                    .document = "hr/leave.md",
                                    .title = "휴가 규정",
                                    .heading = "연차",
                                    .byte_start = 40,
                                    .byte_end = 60,
                                    .snippet = "15일",
                                    .snippet_start = 47,
                                    .snippet_end = 52,
                                    .score = 0.25f,
                                    .by_vectors = true};

static void same_nearest(const struct nearest *a, const struct nearest *b)
{
    assert_int_equal(a->chunk, b->chunk);
    assert_int_equal(a->version_id, b->version_id);
    assert_string_equal(a->document, b->document);
    assert_string_equal(a->title, b->title);
    assert_string_equal(a->heading, b->heading);
    assert_int_equal(a->byte_start, b->byte_start);
    assert_int_equal(a->byte_end, b->byte_end);
    assert_string_equal(a->snippet, b->snippet);
    assert_int_equal(a->snippet_start, b->snippet_start);
    assert_int_equal(a->snippet_end, b->snippet_end);
    assert_true(a->score == b->score);
    assert_int_equal(a->by_vectors, b->by_vectors);
}

static void a_refusal_comes_back_with_its_reason(void **state)
{
    struct trip t;

    (void)state;
    answered(&t.a, t.room);
    t.a.refused = true;
    t.a.reason = "2031년은 문서에 없습니다";
    t.a.reason_code = "missing_constraint";
    t.a.nearest[0] = near;
    t.a.n_nearest = 1;
    travel(&t, "r");
    assert_true(t.b.refused);
    assert_string_equal(t.b.reason, t.a.reason);
    assert_string_equal(t.b.reason_code, t.a.reason_code);
    assert_int_equal(t.b.result.answer.len, 0);
    assert_int_equal(t.b.result.n_citations, 0);
    assert_int_equal(t.b.n_nearest, 1);
    same_nearest(&t.b.nearest[0], &near);
    trip_release(&t);
}

#define HEAD                                                                                       \
    "{\"v\":2,\"request_id\":\"r\",\"refused\":false,\"reason\":\"\",\"reason_code\":\"\","        \
    "\"answer\":\"abc\",\"short_answer\":\"\",\"backend\":\"local\",\"model_fingerprint\":\"\","   \
    "\"cut\":false,\"relevance\":1,\"confidence\":1,\"passages_dropped\":0,"                       \
    "\"sentences_removed\":0,\"standalone\":\"\","
#define PASSAGE(start, text)                                                                       \
    "{\"chunk\":1,\"document\":\"d\",\"version\":1,\"title\":\"\",\"heading\":\"\","               \
    "\"context\":\"\",\"text\":\"" text "\",\"start\":" start ",\"score\":1}"
#define CITATION(passage, start, end, answer_end)                                                  \
    "{\"passage\":" passage ",\"start\":" start ",\"end\":" end                                    \
    ",\"answer_start\":0,\"answer_end\":" answer_end "}"
#define LISTS(p, c) "\"passages\":[" p "],\"citations\":[" c "]}"

#define NEAREST(start, end, cut_start, cut_end, snippet, score)                                    \
    "\"passages\":[],\"citations\":[],\"nearest\":[{\"document\":\"d\",\"chunk\":1,\"version\":1," \
    "\"title\":\"\",\"heading\":\"\",\"byte_start\":" start ",\"byte_end\":" end                   \
    ",\"score\":" score ",\"by\":\"search\",\"snippet\":\"" snippet                                \
    "\",\"snippet_start\":" cut_start ",\"snippet_end\":" cut_end "}]}"
#define EMPTY "{\"document\":\"d\"}"

static void damage_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        enum rag_status want;
    } rows[] = {
        {"whole",                         HEAD LISTS(PASSAGE("5", "abcde"),                               CITATION("0","5", "10", "3")), RAG_OK},
        {"no JSON",                           "{\"v\":2",                                            RAG_EFORMAT                                                                           },
        {"another version","{\"v\":1}",RAG_EFORMAT},
        {"nothing but its version",                    "{\"v\":2}",                                                                                RAG_EFORMAT                                                                                                                                                                        },
        {"a citation of a passage that is not there",
         HEAD LISTS(PASSAGE("5",           "abcde"),                                                                          CITATION("1","5", "10", "3")), RAG_EFORMAT},
        {"a citation before its passage",
         HEAD LISTS(PASSAGE("5",                                              "abcde"),                                                                               CITATION("0","4", "10", "3")), RAG_EFORMAT},
        {"a citation behind its passage",
         HEAD LISTS(PASSAGE("5",                                  "abcde"),                   CITATION("0", "5", "11", "3")), RAG_EFORMAT},
        {"an empty citation",                           HEAD LISTS(PASSAGE("5",                                            "abcde"),                                                                       CITATION("0","7", "7", "3")),
         RAG_EFORMAT},
        {"a citation of more answer than there is",
         HEAD LISTS(PASSAGE("5","abcde"),CITATION("0","5", "10", "4")), RAG_EFORMAT},
        {"a passage that ends past 4 GiB",                          HEAD LISTS(PASSAGE("4294967295",                                     "abcde"),                                                                           ""),
         RAG_EFORMAT},
        {"a number that is a text",                       HEAD LISTS(PASSAGE("\"5\"","abcde"),""),RAG_EFORMAT},
        {"a negative number",                     HEAD LISTS(PASSAGE("-5",                                           "abcde"),                                         ""),RAG_EFORMAT},
        {"a whole snippet",                   HEAD NEAREST("5",                                      "10",                                                                          "6","9", "abc", "-0.5"), RAG_OK},
        {"a snippet before its passage",                               HEAD NEAREST("5",                      "10",    "4","7", "abc", "1"),
         RAG_EFORMAT},
        {"a snippet behind its passage",                     HEAD NEAREST("5",                                           "10",                                                         "8","11", "abc", "1"),
         RAG_EFORMAT},
        {"a snippet of another length",                            HEAD NEAREST("5",                                       "10",                                                                                                                           "6","9", "ab", "1"), RAG_EFORMAT},
        {"a snippet that ends before it begins",                       HEAD NEAREST("5","10","7","6", "", "1"),
         RAG_EFORMAT},
        {"a snippet without score",HEAD NEAREST("5","10","6","9", "abc", "null"), RAG_EFORMAT},
        {"more near passages than a refusal names",
         HEAD "\"passages\":[],\"citations\":[],\"nearest\":[" EMPTY "," EMPTY "," EMPTY "," EMPTY
              "]}",                                        RAG_EFORMAT                                                                             },
        {"a near passage without its members",
         HEAD "\"passages\":[],\"citations\":[],\"nearest\":[" EMPTY "]}",                         RAG_EFORMAT                                                        },
        {"passages that are no objects",                     HEAD LISTS("1,2",                                           ""),                                                    RAG_EFORMAT                                  },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rag_error error = {RAG_OK, ""};
        const char *request_id = NULL;
        struct pipeline_answer a;
        enum rag_status status;

        init(&a);
        status = answer_payload_read(rows[i].text, strlen(rows[i].text), &a, &request_id, &error);
        if (status != rows[i].want)
            fail_msg("%s: %d %s", rows[i].why, status, error.text);
        if (status != RAG_OK) {
            assert_int_equal(a.n_given, 0);
            assert_int_equal(a.result.answer.len, 0);
        }
        pipeline_answer_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_as_it_was),
        cmocka_unit_test(one_that_cites_nothing_keeps_all_passages),
        cmocka_unit_test(a_refusal_comes_back_with_its_reason),
        cmocka_unit_test(damage_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
