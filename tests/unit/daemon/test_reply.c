/* What a search says of its stages, and how the settings of a fusion are read and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/fusion_settings.h"
#include "daemon/reply.h"

static const struct {
    const char *name;
    const char *json;
    const char *want; /* of the settings after, or part of the message */
    enum rag_status status;
} fusion_rows[] = {
    {"nothing changes nothing",                      "{}",
     "{\"method\":\"convex\",\"weight_bm25\":0.7,\"weight_dense\":0.3,\"rrf_k\":60,\"depth\":100}",                                                                                     RAG_OK    },
    {"all of it",
     "{\"method\":\"rrf\",\"weight_bm25\":2,\"weight_dense\":1.5,\"rrf_k\":10,\"depth\":0}",    "{\"method\":\"rrf\",\"weight_bm25\":2,\"weight_dense\":1.5,\"rrf_k\":10,\"depth\":0}",
     RAG_OK                                                                                                                                                                                       },
    {"one weight leaves the rest of 1 to the other", "{\"weight_dense\":0.25}",
     "{\"method\":\"convex\",\"weight_bm25\":0.75,\"weight_dense\":0.25,\"rrf_k\":60,\"depth\":"
     "100}",                                                                                                                                                                            RAG_OK    },
    {"and the other way round",                      "{\"weight_bm25\":0}",
     "{\"method\":\"convex\",\"weight_bm25\":0,\"weight_dense\":1,\"rrf_k\":60,\"depth\":100}",                                                                                         RAG_OK    },
    {"null is absent",                               "{\"method\":null,\"depth\":null}",
     "{\"method\":\"convex\",\"weight_bm25\":0.7,\"weight_dense\":0.3,\"rrf_k\":60,\"depth\":100}",                                                                                     RAG_OK    },
    {"one weight above 1",                           "{\"weight_dense\":2}",                    "give 'weight_bm25' too",                                                               RAG_EINVAL},
    {"no weight at all",                             "{\"weight_bm25\":0,\"weight_dense\":0}",  "both are 0",                                                                           RAG_EINVAL},
    {"a negative weight",                            "{\"weight_bm25\":-1,\"weight_dense\":1}", "weight_bm25",                                                                          RAG_EINVAL},
    {"another method",                               "{\"method\":\"sum\"}",                    "none of 'rrf', 'convex' and 'scaled'",                                                 RAG_EINVAL},
    {"a k of 0",                                     "{\"rrf_k\":0}",                           "rrf_k",                                                                                RAG_EINVAL},
    {"a depth past the limit",                       "{\"depth\":1001}",                        "depth",                                                                                RAG_EINVAL},
    {"a member that is misspelt",                    "{\"weigth_dense\":1}",                    "weigth_dense",                                                                         RAG_EINVAL},
};

static void test_fusion_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fusion_rows / sizeof fusion_rows[0]; i++) {
        struct fusion_options options = {
            .method = FUSION_CONVEX, .weights = {0.7f, 0.3f},
                 .rrf_k = 60, .depth = 100
        };
        struct rag_error error = {RAG_OK, ""};
        struct json *root = NULL;
        enum rag_status status;
        struct json_writer w;
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(
            json_parse(fusion_rows[i].json, strlen(fusion_rows[i].json), "row", &root, NULL),
            RAG_OK);
        status = fusion_settings_read(root, &options, &error);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        fusion_settings_write(&w, &options);
        json_end_object(&w);
        if (status != fusion_rows[i].status ||
            (status == RAG_OK ? strcmp(buf_str(&out), fusion_rows[i].want) != 0
                              : !strstr(error.text, fusion_rows[i].want)))
            fail_msg("%s: %d '%s' %s", fusion_rows[i].name, status, error.text, buf_str(&out));
        json_free(root);
        buf_release(&out);
    }
}

/* Three passages: found by both lists, by the vectors only, and (for the rankings) by BM25 only. */
static void fill(struct retrieval *r, struct passage passages[3], struct ranked lists[2][2])
{
    static const struct passage like = {
        .document = "d", .title = "t", .heading = "", .context = "", .text = "x", .text_bytes = 1};

    for (size_t i = 0; i < 3; i++) {
        passages[i] = like;
        passages[i].id = i + 1;
    }
    passages[0].bm25_rank = 1;
    passages[0].bm25_score = 2.5f;
    passages[0].dense_rank = 2;
    passages[0].dense_score = 0.5f;
    passages[0].fused_rank = 1;
    passages[0].fused_score = 0.75f;
    passages[0].rerank_rank = 1;
    passages[0].rerank_score = passages[0].score = 0.875f;
    passages[1].dense_rank = 1;
    passages[1].dense_score = 0.625f;
    passages[1].fused_rank = 2;
    passages[1].fused_score = 0.25f;
    passages[2].bm25_rank = 2;
    passages[2].bm25_score = 1.5f;
    lists[0][0] = (struct ranked){1, 2.5f};
    lists[0][1] = (struct ranked){3, 1.5f};
    lists[1][0] = (struct ranked){2, 0.625f};
    lists[1][1] = (struct ranked){9, 0.5f}; /* deleted meanwhile */
    *r = (struct retrieval){
        .passages = passages,
        .n_passages = 2,
        .n_fetched = 3,
        .mode = SEARCH_HYBRID,
        .fusion = {.method = FUSION_CONVEX, .weights = {0.75f, 0.25f}, .rrf_k = 60, .depth = 100},
        .reranker = "tiny",
        .rankings = {{"bm25", lists[0], 2},           {"dense", lists[1], 2}                                   },
        .n_rankings = 2,
        .ran[STAGE_RERANK] = true,
    };
}

static const char *written(struct buf *out, const struct retrieval *r,
                           void (*write)(struct json_writer *, const struct retrieval *))
{
    struct json_writer w;

    buf_reset(out);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    write(&w, r);
    json_end_object(&w);
    return buf_str(out);
}

static void write_results(struct json_writer *w, const struct retrieval *r)
{
    reply_write_results(w, "results", r, 10);
}

static void write_rankings(struct json_writer *w, const struct retrieval *r)
{
    reply_write_rankings(w, r, 10);
}

#define HEAD(rank, id, score)                                                                      \
    "{\"rank\":" rank ",\"document\":\"d\",\"chunk\":" id ",\"score\":" score                      \
    ",\"title\":\"t\",\"heading\":\"\",\"text\":\"x\",\"byte_start\":0,\"byte_end\":0,"            \
    "\"version\":0,"

#define SPAN "\"byte_start\":0,\"byte_end\":0,"

static void test_each_result_tells_its_stages(void **state)
{
    struct ranked lists[2][2];
    struct passage passages[3];
    struct retrieval r;
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    fill(&r, passages, lists);
    assert_string_equal(
        written(&out, &r, write_results),
        "{\"results\":[" HEAD(
            "1", "1",
            "0.875") "\"bm25_rank\":1,\"bm25_score\":2.5,"
                     "\"dense_rank\":2,\"dense_score\":0.5,\"fused_rank\":1,\"fused_score\":0.75,"
                     "\"rerank_rank\":1,\"rerank_score\":0.875}," HEAD(
                         "2", "2", "0") "\"bm25_rank\":null,\"bm25_score\":null,\"dense_rank\":1,"
                                        "\"dense_score\":0.625,"
                                        "\"fused_rank\":2,\"fused_score\":0.25,\"rerank_rank\":"
                                        "null,\"rerank_score\":null}]}");
    assert_string_equal(written(&out, &r, write_rankings),
                        "{\"stages\":{\"bm25\":[{\"document\":\"d\",\"chunk\":1," SPAN
                        "\"score\":2.5},"
                        "{\"document\":\"d\",\"chunk\":3," SPAN "\"score\":1.5}],"
                        "\"dense\":[{\"document\":\"d\",\"chunk\":2," SPAN "\"score\":0.625}],"
                        "\"rerank\":[{\"document\":\"d\",\"chunk\":1," SPAN "\"score\":0.875},"
                        "{\"document\":\"d\",\"chunk\":2," SPAN "\"score\":0}]}}");
    /* stages that did not run are not there */
    r.mode = SEARCH_BM25;
    r.ran[STAGE_RERANK] = false;
    r.n_passages = 1;
    assert_string_equal(
        written(&out, &r, write_results),
        "{\"results\":[" HEAD("1", "1", "0.875") "\"bm25_rank\":1,\"bm25_score\":2.5}]}");
    buf_release(&out);
}

static void test_what_ran_and_what_was_left_out(void **state)
{
    struct ranked lists[2][2];
    struct passage passages[3];
    struct retrieval r;
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    fill(&r, passages, lists);
    assert_string_equal(
        written(&out, &r, reply_write_retrieval),
        "{\"mode\":\"hybrid\",\"fusion\":{\"method\":\"convex\",\"weight_bm25\":0.75,"
        "\"weight_dense\":0.25,\"rrf_k\":60,\"depth\":100},\"reranker\":\"tiny\","
        "\"degraded\":[]}");
    r.mode = SEARCH_BM25;
    r.reranker = "lexical";
    r.degraded[0] = (struct degraded){
        STAGE_DENSE, {RAG_EBUSY, "embedder: 64 wait"}
    };
    r.n_degraded = 1;
    assert_string_equal(written(&out, &r, reply_write_retrieval),
                        "{\"mode\":\"bm25\",\"reranker\":\"lexical\",\"degraded\":"
                        "[{\"stage\":\"dense\",\"reason\":\"embedder: 64 wait\"}]}");
    buf_release(&out);
}

static void test_modes_have_names(void **state)
{
    static const char *const names[] = {"auto", "bm25", "dense", "hybrid"};
    enum search_mode mode = SEARCH_AUTO;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(search_mode_parse(names[i], &mode), RAG_OK);
        assert_string_equal(search_mode_name(mode), names[i]);
    }
    assert_int_equal(search_mode_parse("sparse", &mode), RAG_EINVAL);
}

static void test_only_a_refusal_names_what_came_nearest(void **state)
{
    static const struct nearest near = {.chunk = 7,
                                        .version_id = 3,
                                        .document = "d",
                                        .title = "t",
                                        .heading = "h > i",
                                        .byte_start = 40,
                                        .byte_end = 60,
                                        .snippet = "\"15일\"\n",
                                        .snippet_start = 45,
                                        .snippet_end = 53,
                                        .score = 0.25f,
                                        .by_vectors = true};
    static const char want[] =
        "\"nearest\":[{\"document\":\"d\",\"chunk\":7,\"version\":3,\"title\":\"t\","
        "\"heading\":\"h > i\",\"byte_start\":40,\"byte_end\":60,\"score\":0.25,"
        "\"by\":\"vectors\",\"snippet\":\"\\\"15일\\\"\\n\",\"snippet_start\":45,"
        "\"snippet_end\":53}]";
    struct pipeline_answer a = {.reason = "", .reason_code = "", .refused = true};
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 100000);
    for (int i = 0; i < 3; i++) { /* a refusal, one with nothing to name, an answer */
        a.nearest[0] = near;
        a.n_nearest = i == 0;
        a.refused = i < 2;
        buf_reset(&out);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        reply_write_answer(&w, &a);
        json_end_object(&w);
        assert_int_equal(strstr(buf_str(&out), want) != NULL, i == 0);
        assert_int_equal(strstr(buf_str(&out), "\"nearest\":[]") != NULL, i == 1);
        assert_int_equal(strstr(buf_str(&out), "\"nearest\"") != NULL, i < 2);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_refusal_names_what_came_nearest),
        cmocka_unit_test(test_fusion_settings),
        cmocka_unit_test(test_each_result_tells_its_stages),
        cmocka_unit_test(test_what_ran_and_what_was_left_out),
        cmocka_unit_test(test_modes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
