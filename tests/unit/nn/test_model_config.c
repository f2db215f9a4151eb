/* Goal: config.json of every supported family becomes the numbers that the weights are checked
 * against, and what this engine cannot compute is refused by name. Method: a valid file per family
 * with one thing changed in each row. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/model_config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define SIZES                                                                                      \
    "\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":4,"                        \
    "\"intermediate_size\":96,\"vocab_size\":284,\"max_position_embeddings\":130"
#define DISTIL                                                                                     \
    "\"model_type\":\"distilbert\",\"dim\":48,\"n_layers\":2,\"n_heads\":4,\"hidden_dim\":96,"     \
    "\"vocab_size\":284,\"max_position_embeddings\":130"
#define BERT "\"model_type\":\"bert\"," SIZES

static struct row {
    const char *name;
    const char *text;
    enum rag_status status;
    const char *words; /* of the message */
    struct model_config expected;
} rows[] = {
    {"a BERT with transformers' defaults",
     "{" BERT "}",
     RAG_OK,                                                                                                                       "",
     {.family = FAMILY_BERT,
      .embedding = 48,
      .n_types = 2,
      .max_tokens = 130,
      .layer_norm_epsilon = 1e-12f,
      .activation = LINEAR_GELU,
      .head_activation = LINEAR_TANH}                                                                                                                                             },
    {"a RoBERTa counts from its pad token",
     "{\"model_type\":\"roberta\"," SIZES ",\"type_vocab_size\":1,\"layer_norm_eps\":1e-5,"
     "\"id2label\":{\"0\":\"LABEL_0\"},\"architectures\":[\"RobertaForSequenceClassification\"]}",                    RAG_OK,
     "",                                                                                                                                                                       {.family = FAMILY_ROBERTA,
      .embedding = 48,
      .n_types = 1,
      .max_tokens = 128,
      .counts_from_pad = true,
      .pad_id = 1,
      .layer_norm_epsilon = 1e-5f,
      .activation = LINEAR_GELU,
      .classifies = true,
      .n_labels = 1,
      .head_activation = LINEAR_TANH}                                                                                                                                     },
    {"a CamemBERT is a RoBERTa, an unusual pad token moves its positions",
     "{\"model_type\":\"camembert\"," SIZES ",\"pad_token_id\":5}",
     RAG_OK,                                                                                                                       "",
     {.family = FAMILY_ROBERTA,
      .embedding = 48,
      .n_types = 2,
      .max_tokens = 124,
      .counts_from_pad = true,
      .pad_id = 5,
      .activation = LINEAR_GELU,
      .layer_norm_epsilon = 1e-12f,
      .head_activation = LINEAR_TANH}                                                                                                                                             },
    {"an XLM-RoBERTa with num_labels alone and a tanh GELU",
     "{\"model_type\":\"xlm-roberta\"," SIZES ",\"num_labels\":3,\"pad_token_id\":null,"
     "\"hidden_act\":\"gelu_new\"}",                                                                                  RAG_OK,
     "",                                                                                                                                                                       {.family = FAMILY_XLM_ROBERTA,
      .embedding = 48,
      .n_types = 2,
      .max_tokens = 128,
      .counts_from_pad = true,
      .pad_id = 1,
      .layer_norm_epsilon = 1e-12f,
      .activation = LINEAR_GELU_TANH,
      .n_labels = 3,
      .head_activation = LINEAR_TANH}                                                                                                                                     },
    {"an ELECTRA with embeddings of another width",
     "{\"model_type\":\"electra\"," SIZES ",\"embedding_size\":32,\"summary_activation\":\"tanh\","
     "\"position_embedding_type\":\"absolute\"}",                                                                     RAG_OK,
     "",                                                                                                                                                                       {.family = FAMILY_ELECTRA,
      .embedding = 32,
      .activation = LINEAR_GELU,
      .n_types = 2,
      .max_tokens = 130,
      .layer_norm_epsilon = 1e-12f,
      .head_activation = LINEAR_GELU}                                                                                                                                     },
    {"a DistilBERT by its own keys, without segments",
     "{" DISTIL ",\"activation\":\"relu\",\"sinusoidal_pos_embds\":false}",
     RAG_OK,                                                                                                                       "",
     {.family = FAMILY_DISTILBERT,
      .embedding = 48,
      .n_types = 0,
      .max_tokens = 130,
      .layer_norm_epsilon = 1e-12f,
      .activation = LINEAR_RELU,
      .head_activation = LINEAR_RELU}                                                                                                                                             },
    {"no JSON",                                                            "hello",                                   RAG_EFORMAT, "config.json: JSON: not JSON",              {0}},
    {"an array",                                                           "[]",                                      RAG_EFORMAT, "not a JSON object",                        {0}},
    {"no model_type",                                                      "{" SIZES "}",                             RAG_EFORMAT, "model_type '(none)'",                      {0}},
    {"a decoder's model_type",
     "{\"model_type\":\"llama\"}",                                                                                    RAG_EFORMAT,
     "model_type 'llama' is not supported; bert,",                                                                                                                             {0}},
    {"a model_type that is a number",                                      "{\"model_type\":1}",                      RAG_EFORMAT, "'model_type'",                             {0}},
    {"no hidden_size",
     "{\"model_type\":\"bert\",\"num_hidden_layers\":2}",                                                             RAG_EFORMAT,
     "'hidden_size' is missing",                                                                                                                                               {0}},
    {"BERT's keys in a DistilBERT",
     "{\"model_type\":\"distilbert\"," SIZES "}",
     RAG_EFORMAT,                                                                                                                  "'n_layers' is missing",
     {0}                                                                                                                                                                          },
    {"no layers at all",
     "{\"model_type\":\"bert\",\"num_hidden_layers\":0}",                                                             RAG_EFORMAT,
     "'num_hidden_layers': 0",                                                                                                                                                 {0}},
    {"ten million layers",
     "{\"model_type\":\"bert\",\"num_hidden_layers\":10000000}",                                                      RAG_EFORMAT,
     "from 1 to 128",                                                                                                                                                          {0}},
    {"half a layer",
     "{\"model_type\":\"bert\",\"num_hidden_layers\":1.5}",                                                           RAG_EFORMAT,
     "not an integer",                                                                                                                                                         {0}},
    {"layers as text",
     "{\"model_type\":\"bert\",\"num_hidden_layers\":\"2\"}",                                                         RAG_EFORMAT,
     "expected an integer",                                                                                                                                                    {0}},
    {"a vocabulary of 2^40",
     "{\"model_type\":\"bert\",\"hidden_size\":48,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":1099511627776}",                              RAG_EFORMAT,
     "'vocab_size'",                                                                                                                                                           {0}},
    {"heads that do not divide the width",
     "{\"model_type\":\"bert\",\"hidden_size\":50,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":9,"
     "\"max_position_embeddings\":9}",                                                                                RAG_EFORMAT,
     "'hidden_size' 50 is not a multiple of 'num_attention_heads' 4",                                                                                                          {0}},
    {"a head wider than the kernels take",
     "{\"model_type\":\"bert\",\"hidden_size\":2048,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":9,"
     "\"max_position_embeddings\":9}",                                                                                RAG_EFORMAT,
     "a head of 512, the limit is 256",                                                                                                                                        {0}},
    {"relative positions",
     "{" BERT ",\"position_embedding_type\":\"relative_key\"}",
     RAG_EFORMAT,                                                                                                                  "position_embedding_type 'relative_key'",
     {0}                                                                                                                                                                          },
    {"alibi",
     "{" BERT ",\"position_embedding_type\":\"alibi\"}",
     RAG_EFORMAT,                                                                                                                  "position_embedding_type 'alibi'",
     {0}                                                                                                                                                                          },
    {"an unknown activation",
     "{" BERT ",\"hidden_act\":\"mish\"}",
     RAG_EFORMAT,                                                                                                                  "hidden_act 'mish' is not supported; gelu",
     {0}                                                                                                                                                                          },
    {"an epsilon of zero",                                                 "{" BERT ",\"layer_norm_eps\":0}",         RAG_EFORMAT, "'layer_norm_eps'",                         {0}},
    {"a negative epsilon",
     "{" BERT ",\"layer_norm_eps\":-1}",
     RAG_EFORMAT,                                                                                                                  "'layer_norm_eps'",
     {0}                                                                                                                                                                          },
    {"a pad token outside of the vocabulary",
     "{\"model_type\":\"roberta\"," SIZES ",\"pad_token_id\":284}",
     RAG_EFORMAT,                                                                                                                  "'pad_token_id': 284",
     {0}                                                                                                                                                                          },
    {"a pad token that leaves no position",
     "{\"model_type\":\"roberta\"," SIZES ",\"pad_token_id\":129}",
     RAG_EFORMAT,                                                                                                                  "130 leaves none above 'pad_token_id' 129",
     {0}                                                                                                                                                                          },
    {"a decoder made of BERT",                                             "{" BERT ",\"is_decoder\":true}",          RAG_EFORMAT, "'is_decoder'",                             {0}},
    {"cross attention",
     "{" BERT ",\"add_cross_attention\":true}",
     RAG_EFORMAT,                                                                                                                  "'add_cross_attention'",
     {0}                                                                                                                                                                          },
    {"pruned heads",                                                       "{" BERT ",\"pruned_heads\":{\"0\":[1]}}", RAG_EFORMAT, "'pruned_heads'",                           {0}},
    {"labels as an array",
     "{" BERT ",\"id2label\":[\"a\"]}",
     RAG_EFORMAT,                                                                                                                  "'id2label': expected an object",
     {0}                                                                                                                                                                          },
    {"num_labels below one",                                               "{" BERT ",\"num_labels\":0}",             RAG_EFORMAT, "'num_labels'",                             {0}},
    {"a key twice",                                                        "{" BERT ",\"vocab_size\":285}",           RAG_EFORMAT, "'vocab_size' occurs twice",                {0}},
};

static void check_row(void **state)
{
    const struct row *row = *state;
    const struct model_config *e = &row->expected;
    struct rag_error error = {.text = ""};
    struct model_config c;

    assert_int_equal(model_config_parse("DIR", row->text, strlen(row->text), &c, &error),
                     row->status);
    if (!strstr(error.text, row->words))
        fail_msg("message: %s", error.text);
    if (row->status != RAG_OK) {
        assert_memory_equal(error.text, "model 'DIR': config.json: ", 26);
        return;
    }
    assert_int_equal(c.family, e->family);
    assert_int_equal(c.hidden, 48);
    assert_int_equal(c.n_layers, 2);
    assert_int_equal(c.n_heads, 4);
    assert_int_equal(c.intermediate, 96);
    assert_int_equal(c.vocab_size, 284);
    assert_int_equal(c.n_positions, 130);
    assert_int_equal(c.embedding, e->embedding);
    assert_int_equal(c.n_types, e->n_types);
    assert_int_equal(c.max_tokens, e->max_tokens);
    assert_int_equal(c.counts_from_pad, e->counts_from_pad);
    assert_int_equal(c.pad_id, e->pad_id);
    assert_true(c.layer_norm_epsilon == e->layer_norm_epsilon);
    assert_int_equal(c.activation, e->activation);
    assert_int_equal(c.classifies, e->classifies);
    assert_int_equal(c.n_labels, e->n_labels);
    assert_int_equal(c.head_activation, e->head_activation);
}

static void a_directory_without_the_file(void **state)
{
    struct model_config c;
    struct rag_error error;

    (void)state;
    assert_int_equal(model_config_open("/nonexistent", &c, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "/nonexistent/config.json"));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(a_directory_without_the_file);
    return cmocka_run_group_tests_name("model_config", tests, NULL, NULL);
}
