/* Goal: what the sentence-transformers files of a folder say is what is done: pooling, dense
 * layers, lengths, prompts; and what is not known is refused by its name. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "embed/sentence_transformers.h"
#include "tests/lib/temp_model.h"

#define MODULES(more)                                                                              \
    "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":"                                           \
    "\"sentence_transformers.models.Transformer\"},"                                               \
    "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":"                                   \
    "\"sentence_transformers.models.Pooling\"}" more "]"
#define MODULE(type, path)                                                                         \
    ",{\"idx\":2,\"name\":\"2\",\"path\":\"" path                                                  \
    "\",\"type\":\"sentence_transformers.models." type "\"}"
#define MEAN "{\"word_embedding_dimension\":4,\"pooling_mode_mean_tokens\":true}"

struct file {
    const char *name;
    const char *text;
};

struct settings_case {
    const char *name;
    struct file files[4];
    enum rag_status status;
    const char *message; /* part of it, when it fails */
    enum pooling pooling;
    size_t max_tokens;
    bool lower_case;
    const char *plain;
    const char *query;
    const char *passage;
};

/* clang-format off */
static const struct settings_case cases[] = {
    {"nothing there: mean pooling and no prompts", {{0}}, RAG_OK, NULL, POOLING_MEAN, 0, false, "", "", ""},
    {"mean, as most models",
     {{"modules.json", MODULES(MODULE("Normalize", "2_Normalize"))}, {"1_Pooling/config.json", MEAN}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "", ""},
    {"cls, as bge",
     {{"modules.json", MODULES("")},
      {"1_Pooling/config.json", "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false,"
       "\"pooling_mode_max_tokens\":false,\"pooling_mode_mean_sqrt_len_tokens\":false}"}},
     RAG_OK, NULL, POOLING_CLS, 0, false, "", "", ""},
    {"max",
     {{"modules.json", MODULES("")},
      {"1_Pooling/config.json", "{\"pooling_mode_max_tokens\":true,\"pooling_mode_mean_tokens\":false}"}},
     RAG_OK, NULL, POOLING_MAX, 0, false, "", "", ""},
    {"every pooling is off",
     {{"modules.json", MODULES("")},
      {"1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":false,\"pooling_mode_cls_token\":false}"}},
     RAG_EFORMAT, "0 pooling modes", 0, 0, false, "", "", ""},
    {"the newer spelling of a pooling",
     {{"modules.json", MODULES("")}, {"1_Pooling/config.json", "{\"pooling_mode\":\"cls\"}"}},
     RAG_OK, NULL, POOLING_CLS, 0, false, "", "", ""},
    {"a pooling folder without a list of modules",
     {{"1_Pooling/config.json", "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}"}},
     RAG_OK, NULL, POOLING_CLS, 0, false, "", "", ""},
    {"a limit of tokens and lower case",
     {{"sentence_bert_config.json", "{\"max_seq_length\":256,\"do_lower_case\":true}"}},
     RAG_OK, NULL, POOLING_MEAN, 256, true, "", "", ""},
    {"a limit that is null is none",
     {{"sentence_bert_config.json", "{\"max_seq_length\":null,\"do_lower_case\":false}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "", ""},
    {"prompts by the names that people use",
     {{"config_sentence_transformers.json",
       "{\"prompts\":{\"query\":\"Q: \",\"document\":\"D: \"},\"default_prompt_name\":null}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "Q: ", "D: "},
    {"a default prompt stands in for the ones that are not there",
     {{"config_sentence_transformers.json",
       "{\"prompts\":{\"query\":\"Q: \",\"all\":\"A: \"},\"default_prompt_name\":\"all\"}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "A: ", "Q: ", "A: "},
    {"an e5 model without prompts of its own has e5's",
     {{"config.json", "{\"_name_or_path\":\"intfloat/multilingual-e5-small\"}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "query: ", "passage: "},
    {"an e5 model with prompts of its own keeps them",
     {{"config.json", "{\"_name_or_path\":\"e5_base\"}"},
      {"config_sentence_transformers.json", "{\"prompts\":{\"query\":\"q \"}}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "q ", ""},
    {"empty prompts are none, so e5's are used",
     {{"config.json", "{\"_name_or_path\":\"e5-base\"}"},
      {"config_sentence_transformers.json", "{\"prompts\":{\"query\":\"\",\"document\":\"\"}}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "query: ", "passage: "},
    {"an e5 whose name begins a word with a capital",
     {{"config.json", "{\"_name_or_path\":\"nlpai-lab/KoE5\"}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "query: ", "passage: "},
    {"a name that only contains e5 is no e5",
     {{"config.json", "{\"_name_or_path\":\"org/bee55-base\"}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "", ""},
    {"an instruct e5 has prompts of another kind",
     {{"config.json", "{\"_name_or_path\":\"intfloat/multilingual-e5-large-instruct\"}"}},
     RAG_OK, NULL, POOLING_MEAN, 0, false, "", "", ""},
    {"modules.json is no JSON", {{"modules.json", "[{"}}, RAG_EFORMAT, "modules.json", 0, 0, false, "", "", ""},
    {"a module that is not known",
     {{"modules.json", MODULES(MODULE("LayerNorm", "2_LayerNorm"))}, {"1_Pooling/config.json", MEAN}},
     RAG_EFORMAT, "LayerNorm", 0, 0, false, "", "", ""},
    {"a folder above the model",
     {{"modules.json", "[{\"type\":\"a.Transformer\",\"path\":\"\"},"
                       "{\"type\":\"a.Pooling\",\"path\":\"../1_Pooling\"}]"}},
     RAG_EFORMAT, "../1_Pooling", 0, 0, false, "", "", ""},
    {"an absolute folder",
     {{"modules.json", "[{\"type\":\"a.Transformer\",\"path\":\"/etc\"}]"}},
     RAG_EFORMAT, "/etc", 0, 0, false, "", "", ""},
    {"a folder above the model in the middle",
     {{"modules.json", "[{\"type\":\"a.Transformer\",\"path\":\"x/../../y\"}]"}},
     RAG_EFORMAT, "x/../../y", 0, 0, false, "", "", ""},
    {"a module without a path",
     {{"modules.json", "[{\"type\":\"a.Transformer\"}]"}}, RAG_EFORMAT, "path", 0, 0, false, "", "", ""},
    {"no pooling among the modules",
     {{"modules.json", "[{\"type\":\"a.Transformer\",\"path\":\"\"}]"}},
     RAG_EFORMAT, "Pooling", 0, 0, false, "", "", ""},
    {"pooling before the transformer",
     {{"modules.json", "[{\"type\":\"a.Pooling\",\"path\":\"1_Pooling\"}]"}, {"1_Pooling/config.json", MEAN}},
     RAG_EFORMAT, "Pooling", 0, 0, false, "", "", ""},
    {"the pooling's own file is missing",
     {{"modules.json", MODULES("")}}, RAG_ENOTFOUND, "1_Pooling/config.json", 0, 0, false, "", "", ""},
    {"two poolings side by side",
     {{"1_Pooling/config.json", "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}"}},
     RAG_EFORMAT, "2 pooling modes", 0, 0, false, "", "", ""},
    {"a pooling that is not supported",
     {{"1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":false,\"pooling_mode_lasttoken\":true}"}},
     RAG_EFORMAT, "pooling_mode_lasttoken", 0, 0, false, "", "", ""},
    {"pooling that leaves the prompt out",
     {{"1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":true,\"include_prompt\":false}"}},
     RAG_EFORMAT, "include_prompt", 0, 0, false, "", "", ""},
    {"a limit that is no number",
     {{"sentence_bert_config.json", "{\"max_seq_length\":\"long\"}"}},
     RAG_EFORMAT, "max_seq_length", 0, 0, false, "", "", ""},
    {"a prompt that is no text",
     {{"config_sentence_transformers.json", "{\"prompts\":{\"query\":5}}"}},
     RAG_EFORMAT, "prompt 'query'", 0, 0, false, "", "", ""},
    {"a dense layer without weights",
     {{"modules.json", MODULES(MODULE("Dense", "2_Dense"))}, {"1_Pooling/config.json", MEAN},
      {"2_Dense/config.json", "{\"in_features\":2,\"out_features\":3,\"bias\":true,"
       "\"activation_function\":\"torch.nn.modules.activation.Tanh\"}"}},
     RAG_ENOTFOUND, "2_Dense", 0, 0, false, "", "", ""},
    {"an activation that is not known",
     {{"modules.json", MODULES(MODULE("Dense", "2_Dense"))}, {"1_Pooling/config.json", MEAN},
      {"2_Dense/config.json", "{\"in_features\":2,\"out_features\":3,"
       "\"activation_function\":\"torch.nn.modules.activation.Mish\"}"}},
     RAG_EFORMAT, "Mish", 0, 0, false, "", "", ""},
    {"a dense layer of no width",
     {{"modules.json", MODULES(MODULE("Dense", "2_Dense"))}, {"1_Pooling/config.json", MEAN},
      {"2_Dense/config.json", "{\"in_features\":0,\"out_features\":3}"}},
     RAG_EFORMAT, "in_features", 0, 0, false, "", "", ""},
};
/* clang-format on */

static void check_case(const struct settings_case *c, const struct sentence_settings *s)
{
    if (s->pooling != c->pooling)
        fail_msg("%s: pooling %s", c->name, pooling_name(s->pooling));
    if (s->max_tokens != c->max_tokens || s->lower_case != c->lower_case)
        fail_msg("%s: %zu tokens, lower case %d", c->name, s->max_tokens, s->lower_case);
    if (strcmp(s->plain_prompt, c->plain) != 0 || strcmp(s->query_prompt, c->query) != 0 ||
        strcmp(s->passage_prompt, c->passage) != 0)
        fail_msg("%s: prompts '%s' '%s' '%s'", c->name, s->plain_prompt, s->query_prompt,
                 s->passage_prompt);
}

static void what_the_files_say_is_what_is_done(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct settings_case *c = &cases[i];
        struct sentence_settings s = {0};
        struct rag_error error = {0};
        struct temp_model m;
        enum rag_status status;

        temp_model_make(&m);
        for (size_t f = 0; f < 4 && c->files[f].name; f++)
            temp_model_text(&m, c->files[f].name, c->files[f].text);
        status = sentence_settings_read(m.dir, &s, &error);
        if (status != c->status)
            fail_msg("%s: status %d, %s", c->name, status, error.text);
        if (status == RAG_OK)
            check_case(c, &s);
        else if (!strstr(error.text, c->message))
            fail_msg("%s: message '%s'", c->name, error.text);
        sentence_settings_release(&s);
        temp_model_remove(&m);
    }
}

static void the_transformer_may_have_a_folder_of_its_own(void **state)
{
    struct sentence_settings s = {0};
    struct temp_model m;
    char want[TEMP_PATH_BYTES];

    (void)state;
    temp_model_make(&m);
    temp_model_text(&m, "modules.json",
                    "[{\"type\":\"a.Transformer\",\"path\":\"0_Transformer/\"},"
                    "{\"type\":\"a.Pooling\",\"path\":\"1_Pooling\"}]");
    temp_model_text(&m, "1_Pooling/config.json", MEAN);
    temp_model_text(&m, "0_Transformer/sentence_bert_config.json", "{\"max_seq_length\":77}");
    temp_model_path(&m, "0_Transformer", want);
    assert_int_equal(sentence_settings_read(m.dir, &s, NULL), RAG_OK);
    assert_string_equal(s.transformer_dir, want);
    assert_int_equal(s.max_tokens, 77);
    sentence_settings_release(&s);
    temp_model_remove(&m);
}

/* As huggingface_hub leaves it: the folder's own name is a commit. */
static void a_snapshot_in_the_cache_has_the_name_of_its_repository(void **state)
{
    struct sentence_settings s = {0};
    struct temp_model m;
    char dir[TEMP_PATH_BYTES];

    (void)state;
    temp_model_make(&m);
    temp_model_text(&m, "models--intfloat--multilingual-e5-small/snapshots/0123abcd/config.json",
                    "{}");
    temp_model_path(&m, "models--intfloat--multilingual-e5-small/snapshots/0123abcd/", dir);
    assert_int_equal(sentence_settings_read(dir, &s, NULL), RAG_OK);
    assert_string_equal(s.query_prompt, "query: ");
    sentence_settings_release(&s);
    temp_model_remove(&m);
}

static void a_dense_layer_is_read_and_applied(void **state)
{
    static const struct {
        const char *name;
        double want[2]; /* of W x + b = (0.5, -2) */
    } rows[] = {
        {"linear.Identity",    {0.5, -2.0}              },
        {"activation.Tanh",    {0.46211716, -0.96402758}},
        {"activation.ReLU",    {0.5, 0.0}               },
        {"activation.GELU",    {0.34573123, -0.04550026}},
        {"activation.Sigmoid", {0.62245933, 0.11920292} },
    };
    static const float weight[] = {1, 2, -1, 0, -1, 1}; /* [2, 3] */
    static const float bias[] = {0.5f, -4.0f};
    static const float x[] = {1, 1, 3}; /* W x = (0, 2) */

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct temp_tensor tensors[] = {
            {"linear.bias",   0, 2, bias  },
            {"linear.weight", 2, 3, weight},
        };
        struct sentence_settings s = {0};
        struct rag_error error = {0};
        struct temp_model m;
        char config[256];
        float y[2];

        temp_model_make(&m);
        temp_model_text(&m, "modules.json",
                        MODULES(MODULE("Normalize", "") MODULE("Dense", "2_Dense")));
        temp_model_text(&m, "1_Pooling/config.json", MEAN);
        snprintf(config, sizeof config,
                 "{\"in_features\":3,\"out_features\":2,\"bias\":true,"
                 "\"activation_function\":\"torch.nn.modules.%s\"}",
                 rows[i].name);
        temp_model_text(&m, "2_Dense/config.json", config);
        temp_model_tensors(&m, "2_Dense/model.safetensors", tensors, 2);
        if (sentence_settings_read(m.dir, &s, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        assert_int_equal(s.n_dense, 1);
        assert_true(s.dense[0].normalise_first);
        dense_apply(&s.dense[0], x, y);
        for (size_t d = 0; d < 2; d++) {
            if (!(fabs((double)y[d] - rows[i].want[d]) < 1e-6))
                fail_msg("%s: [%zu] is %.8f", rows[i].name, d, (double)y[d]);
        }
        sentence_settings_release(&s);
        temp_model_remove(&m);
    }
}

static void lower_case_is_by_character(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(sentence_lower_case("AbC ÄÉ Ω 가나", strlen("AbC ÄÉ Ω 가나"), &out), RAG_OK);
    assert_string_equal(buf_str(&out), "abc äé ω 가나");
    buf_reset(&out);
    assert_int_equal(sentence_lower_case("a\xff", 2, &out), RAG_EINVAL);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_files_say_is_what_is_done),
        cmocka_unit_test(the_transformer_may_have_a_folder_of_its_own),
        cmocka_unit_test(a_snapshot_in_the_cache_has_the_name_of_its_repository),
        cmocka_unit_test(a_dense_layer_is_read_and_applied),
        cmocka_unit_test(lower_case_is_by_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
