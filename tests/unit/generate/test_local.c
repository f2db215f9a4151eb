/* Goal: local.h's backend does what generator.h says, with a decoder behind it: the sink's pieces
 * are the answer, tokens are counted, every way to end is told, and what cannot work is refused
 * with its numbers. Method: a tiny decoder with random weights, whose words mean nothing but are
 * always the same; for prompts with passages a copy of it with a longer context. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "generate/local.h"

#define MODEL      RAG_TEST_DATA "/models/tiny-llama3"
#define FILE_BYTES 1000000

/* ---- a copy with another context ---- */

static char copy_dir[] = "/tmp/test_local.XXXXXX";

static void path_in(const char *dir, const char *name, char ret[256])
{
    assert_true(snprintf(ret, 256, "%s/%s", dir, name) < 256);
}

static size_t read_all(const char *name, char *data)
{
    char path[256];
    FILE *file;
    size_t n;

    path_in(MODEL, name, path);
    file = fopen(path, "rb");
    assert_non_null(file);
    n = fread(data, 1, FILE_BYTES - 1, file);
    fclose(file);
    data[n] = '\0';
    return n;
}

static void write_all(const char *name, const char *data, size_t n)
{
    char path[256];
    FILE *file;

    path_in(copy_dir, name, path);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};

static int make_copy(void **state)
{
    char *data = malloc(FILE_BYTES);

    (void)state;
    assert_non_null(data);
    assert_non_null(mkdtemp(copy_dir));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t n = read_all(files[i], data);
        char *context = i == 0 ? strstr(data, "\"max_position_embeddings\": 512,") : NULL;

        assert_true(i > 0 || context);
        if (context) /* as long: the length of the file stays */
            memcpy(context, "\"max_position_embeddings\":4096,", 31);
        write_all(files[i], data, n);
    }
    free(data);
    return 0;
}

static int remove_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];

        path_in(copy_dir, files[i], path);
        unlink(path);
    }
    rmdir(copy_dir);
    return 0;
}

/* ---- asking ---- */

static struct local_options options_of(const char *path)
{
    return (struct local_options){
        .path = path,
        .chat_template = "chatml",
        .dense_type = BLOCK_Q8_0,
        .kv_budget_bytes = 8u << 20,
        .draft_tokens = 4,
    };
}

static struct generator *open_model(const char *path)
{
    struct local_options options = options_of(path);
    struct rag_error error = {RAG_OK, ""};
    struct generator *g = NULL;

    if (local_open(&options, &g, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return g;
}

struct shown {
    char text[ANSWER_BYTES_MAX + 1];
    size_t n;
    size_t n_pieces;
    size_t n_pieces_max; /* then no more; 0: all */
};

static bool on_piece(void *context, const char *text, size_t n)
{
    struct shown *s = context;

    memcpy(s->text + s->n, text, n);
    s->n += n;
    s->text[s->n] = '\0';
    return ++s->n_pieces != s->n_pieces_max;
}

static struct generator_request request_of(const struct message *messages, size_t n)
{
    return (struct generator_request){
        .messages = messages,
        .n_messages = n,
        .grounding = GROUNDING_NONE,
        .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = 30},
    };
}

static const struct message hello[] = {
    {ROLE_SYSTEM, "Be brief."                               },
    {ROLE_USER,   "문서에는 무엇이 들어 있나요?"},
};

/* ---- tests ---- */

static void a_chat_is_what_its_sink_was_shown(void **state)
{
    struct generator_request request = request_of(hello, 2);
    struct generator *g = open_model(MODEL);
    struct shown *shown = calloc(1, sizeof *shown);
    struct generator_sink sink = {on_piece, shown};
    struct generator_result result;
    struct decode_scheduler_stats stats;
    struct local_info info;

    (void)state;
    for (int i = 0; i < 2; i++) {
        shown->n = 0;
        generator_result_init(&result);
        assert_int_equal(g->generate(g, &request, &sink, &result, NULL), RAG_OK);
        assert_int_equal(result.finish_reason, FINISH_LENGTH);
        assert_int_equal(result.output_tokens, 30);
        assert_true(result.prompt_tokens > 60);
        assert_int_equal(result.cached_tokens, i ? (result.prompt_tokens - 1) / 32 * 32 : 0);
        assert_int_equal(shown->n, result.answer.len);
        assert_memory_equal(shown->text, result.answer.data, shown->n);
        assert_string_equal(result.backend, "local");
        assert_int_equal(strlen(result.model_fingerprint), 64);
        generator_result_release(&result);
    }
    local_info(g, &info);
    assert_string_equal(info.name, "tiny-llama3");
    assert_string_equal(info.chat_template, "chatml");
    assert_string_equal(info.precision, "int8");
    assert_int_equal(info.context_tokens, 512);
    local_stats(g, &stats);
    assert_int_equal(stats.n_requests, 2);
    assert_int_equal(stats.n_output_tokens, 60);
    g->close(g);
    free(shown);
}

static void every_way_to_end_is_told(void **state)
{
    static const struct {
        const char *how;
        bool cancel;
        int64_t deadline_ns;
        size_t n_pieces_max;
        int max_new_tokens;
        enum finish_reason reason;
    } rows[] = {
        {"cancelled before it began",       true,  0, 0, 30,     FINISH_CANCELLED},
        {"too late before it began",        false, 1, 0, 30,     FINISH_DEADLINE },
        {"the sink had enough",             false, 0, 1, 30,     FINISH_CANCELLED},
        {"as much as was asked for",        false, 0, 0, 1,      FINISH_LENGTH   },
        {"as much as the context has room", false, 0, 0, 100000, FINISH_LENGTH   },
    };
    struct generator *g = open_model(MODEL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct generator_request request = request_of(hello, 2);
        struct shown *shown = calloc(1, sizeof *shown);
        struct generator_sink sink = {on_piece, shown};
        struct rag_error error = {RAG_OK, ""};
        struct generator_result result;
        atomic_bool cancel = rows[i].cancel;

        shown->n_pieces_max = rows[i].n_pieces_max;
        request.cancel = &cancel;
        request.deadline_ns = rows[i].deadline_ns;
        request.sampling.max_new_tokens = rows[i].max_new_tokens;
        if (rows[i].max_new_tokens == 100000) /* it would rather end */
            request.sampling.schema = "{\"type\":\"string\",\"minLength\":3000}";
        generator_result_init(&result);
        if (g->generate(g, &request, &sink, &result, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].how, error.text);
        if (result.finish_reason != rows[i].reason)
            fail_msg("%s: %s", rows[i].how, finish_reason_name(result.finish_reason));
        assert_int_equal(result.answer.len, shown->n);
        if (rows[i].max_new_tokens == 100000)
            assert_int_equal(result.prompt_tokens + result.output_tokens, 512);
        generator_result_release(&result);
        free(shown);
    }
    g->close(g);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    static char long_text[2000];
    static const struct message answered[] = {
        {ROLE_USER,      "a"},
        {ROLE_ASSISTANT, "b"}
    };
    static const struct message too_long[] = {
        {ROLE_USER, long_text}
    };
    static const struct {
        const char *what;
        const struct message *messages;
        enum grounding_policy grounding;
        const char *schema;
        float top_p;
        enum rag_status status;
        const char *says;
    } rows[] = {
        {"the last message is not the user's", answered, GROUNDING_NONE,   NULL,           1, RAG_EINVAL,
         "the user's"                                                                                                },
        {"more than the context",              too_long, GROUNDING_NONE,   NULL,           1, RAG_ELIMIT,
         "the context has 512"                                                                                       },
        {"passages and a schema",              hello,    GROUNDING_STRICT, "{}",           1, RAG_EINVAL, "citations"},
        {"a schema that is none",              hello,    GROUNDING_NONE,   "{\"type\":7}", 1, RAG_EINVAL, "type"     },
        {"a setting out of range",             hello,    GROUNDING_NONE,   NULL,           3, RAG_EINVAL, "top_p"    },
        {"no room for a passage",              hello,    GROUNDING_STRICT, NULL,           1, RAG_ELIMIT, "256"      },
    };
    static const struct generator_passage passage = {
        .title = "", .heading = "", .context = "", .text = "연차는 15일이다.", .text_bytes = 22};
    struct generator *g = open_model(MODEL);

    (void)state;
    memset(long_text, 'z', sizeof long_text - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct generator_request request =
            request_of(rows[i].messages, rows[i].messages == too_long ? 1 : 2);
        struct rag_error error = {RAG_OK, ""};
        struct generator_result result;

        request.grounding = rows[i].grounding;
        request.passages = &passage;
        request.n_passages = rows[i].grounding == GROUNDING_STRICT;
        request.sampling.schema = rows[i].schema;
        request.sampling.top_p = rows[i].top_p;
        request.sampling.max_new_tokens = 1000; /* at most half of the context for an answer */
        generator_result_init(&result);
        assert_int_equal(g->generate(g, &request, NULL, &result, &error), rows[i].status);
        if (!strstr(error.text, rows[i].says))
            fail_msg("%s: '%s'", rows[i].what, error.text);
        generator_result_release(&result);
    }
    g->close(g);
}

static void nothing_that_random_weights_say_is_supported(void **state)
{
    static const char text[] = "미사용 연차는 최대 5일까지 다음 해로 이월할 수 있다.";
    static const struct message question[] = {
        {ROLE_USER, "연차는 며칠까지 이월할 수 있나요?"}
    };
    static const struct generator_passage passage = {.title = "휴가 규정",
                                                     .heading = "연차",
                                                     .context = "",
                                                     .text = text,
                                                     .text_bytes = sizeof text - 1,
                                                     .byte_end = sizeof text - 1};
    struct generator_request request = request_of(question, 1);
    struct generator *g = open_model(copy_dir);
    struct shown *shown = calloc(1, sizeof *shown);
    struct generator_sink sink = {on_piece, shown};
    struct rag_error error = {RAG_OK, ""};
    struct generator_result result;

    (void)state;
    request.grounding = GROUNDING_STRICT;
    request.passages = &passage;
    request.n_passages = 1;
    generator_result_init(&result);
    if (g->generate(g, &request, &sink, &result, &error) != RAG_OK)
        fail_msg("%s", error.text);
    assert_int_equal(result.finish_reason, FINISH_REFUSED);
    assert_string_not_equal(result.reason_code, "");
    assert_int_equal(result.n_citations, 0);
    assert_int_equal(shown->n, 0);
    assert_true(result.prompt_tokens > 200);
    assert_true(result.output_tokens > 0);
    generator_result_release(&result);
    free(shown);
    g->close(g);
}

static void what_cannot_be_opened_says_why(void **state)
{
    static const struct {
        const char *what;
        const char *path;
        const char *chat_template;
        size_t context_tokens;
        uint64_t kv_budget_bytes;
        const char *says;
    } rows[] = {
        {"nothing is there",                   "/nonexistent/model",                 "chatml",  0,   0,        "/nonexistent/model"                },
        {"an encoder",                         RAG_TEST_DATA "/models/tiny-bert-ce", "chatml",  0,   0,        "tiny-bert-ce"                      },
        {"no template",                        MODEL,                                NULL,      0,   0,        "chat_template"                     },
        {"a template that there is not",       MODEL,                                "mistral", 0,   0,        "exaone"                            },
        {"a template of other tokens",         MODEL,                                "llama3",  0,   0,        "llama3: the tokenizer has no token"},
        {"less context than an answer needs",  MODEL,                                "chatml",  255, 0,        "255, the least is 256"             },
        {"more context than the model has",    MODEL,                                "chatml",  513, 0,        "513, the model has 512"            },
        {"more context than the budget holds", MODEL,                                "chatml",  512, 1u << 16, "kv_budget_mb"                      },
        {"a budget for no answer at all",      MODEL,                                "chatml",  0,   1u << 14, "kv_budget_mb"                      },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct local_options options = options_of(rows[i].path);
        struct rag_error error = {RAG_OK, ""};
        struct generator *g = NULL;

        options.chat_template = rows[i].chat_template;
        options.context_tokens = rows[i].context_tokens;
        if (rows[i].kv_budget_bytes)
            options.kv_budget_bytes = rows[i].kv_budget_bytes;
        assert_int_not_equal(local_open(&options, &g, &error), RAG_OK);
        assert_null(g);
        if (!strstr(error.text, rows[i].says) || !strstr(error.text, rows[i].path))
            fail_msg("%s: '%s'", rows[i].what, error.text);
    }
}

static void a_fingerprint_tells_precisions_apart(void **state)
{
    char seen[3][65];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct local_options options = options_of(MODEL);
        struct generator *g = NULL;
        struct local_info info;

        options.fp32 = i == 0;
        options.dense_type = i == 1 ? BLOCK_Q8_0 : BLOCK_Q4_1;
        assert_int_equal(local_open(&options, &g, NULL), RAG_OK);
        local_info(g, &info);
        strcpy(seen[i], info.fingerprint);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
        g->close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_is_what_its_sink_was_shown),
        cmocka_unit_test(every_way_to_end_is_told),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test_setup_teardown(nothing_that_random_weights_say_is_supported, make_copy,
                                        remove_copy),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_fingerprint_tells_precisions_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
