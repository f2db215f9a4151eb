#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/splitmix.h"
#include "generate/json_schema_internal.h"
#include "nn/tokenizer.h"

/* ---- which texts are values ---- */

static bool accepts(const struct json_schema *s, const char *text)
{
    static struct configuration configurations[2];
    size_t n = strlen(text);

    configuration_begin(&configurations[0]);
    for (size_t i = 0; i < n; i++)
        configuration_step(s, &configurations[i % 2], (unsigned char)text[i],
                           &configurations[(i + 1) % 2]);
    return configuration_complete(s, &configurations[n % 2]);
}

static void test_values(void **state)
{
    static const struct {
        const char *schema;
        const char *good[8];
        const char *bad[10];
    } rows[] = {
        {"{}",
         {"1", "-0.5e+10", "\"가\\u00e9\\n\"", "[]", "[1, {\"a\": null},true]", "{\"a\":[[]]}"},
         {"", "01", "1.", "-", "[1,]", "{\"a\"}", "\"\\ud800\"", "\"\\u0000\"", "{ }"}                                                                                                                        },
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
         {"\"가나\"", "\"abc\"", "\"a\\u0041\"", "\"\\\"\\\\\""},
         {"\"a\"", "\"가나다라\"", "\"ab", "ab", "\"a\nb\""}                                                                                                                                              },
        {"{\"type\":\"string\",\"minLength\":1}",                                               {"\"a\"", "\"abcdefgh\""},                                                       {"\"\""}                     },
        {"{\"type\":\"integer\"}",
         {"0", "-12", "999999999999999"},
         {"1.0", "1e3", "-", "00", "12345678901234567"}                                                                                                                                                       },
        {"{\"type\":\"integer\",\"minimum\":0}",                                                {"0", "7"},                                                                      {"-1"}                       },
        {"{\"type\":\"integer\",\"minimum\":-1,\"maximum\":12}",
         {"-1", "0", "1", "10", "12"},
         {"-2", "13", "01", "120"}                                                                                                                                                                            },
        {"{\"type\":\"number\"}",                                                               {"1.5", "1E-9", "-0.0"},                                                         {".5", "1.e", "1e", "1e123"} },
        {"{\"type\":\"boolean\"}",                                                              {"true", "false"},                                                               {"True", "tru", "truex", "1"}},
        {"{\"type\":[\"string\",\"null\"]}",                                                    {"\"\"", "null"},                                                                {"1", "nul"}                 },
        {"{\"enum\":[\"가\",\"가나\",1,12,null,{\"a\":[1]}]}",
         {"\"가\"", "\"가나\"", "1", "12", "null", "{\"a\":[1]}"},
         {"\"나\"", "2", "123", "{}"}                                                                                                                                                                        },
        {"{\"const\":\"x\"}",                                                                   {"\"x\""},                                                                       {"\"y\"", "x"}               },
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
         {"[1]", "[1,2]", "[1, 2, 3]"},
         {"[]", "[1,2,3,4]", "[1,]", "[\"1\"]", "[1 ,2]", "[1,  2]"}                                                                                                                                          },
        {"{\"type\":\"array\",\"maxItems\":0}",                                                 {"[]"},                                                                          {"[1]"}                      },
        {"{\"type\":\"array\",\"minItems\":2}",                                                 {"[1,2]", "[[],{},3]"},                                                          {"[1]", "[]"}                },
        {"{\"type\":\"object\",\"properties\":{\"이름\":{\"type\":\"string\"},\"n\":{\"type\":"
         "\"integer\"},\"nn\":{\"type\":\"integer\"}},\"required\":[\"이름\",\"nn\"],"
         "\"additionalProperties\":false}",                                            {"{\"이름\":\"가\",\"nn\":1}", "{\"이름\": \"가\", \"n\": 2, \"nn\": 1}"},
         {"{}", "{\"이름\":\"가\"}", "{\"nn\":1,\"이름\":\"가\"}", "{\"이름\":\"가\",\"n\":1}",
          "{\"이름\":\"가\",\"nn\":1,}", "{\"이름\":\"가\",\"nn\":1,\"x\":1}",
          "{\"이름\":\"가\",\"n\":1,\"n\":1,\"nn\":1}"}                                                                                                                                                    },
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}}}",
         {"{}", "{\"a\":1}", "{\"b\":[]}", "{\"a\":1,\"b\":2}"},
         {"{\"b\":1,\"a\":2}", "{\"c\":1}", "{,\"a\":1}"}                                                                                                                                                     },
        {"{\"type\":\"object\",\"properties\":{}, \"additionalProperties\":false}",
         {"{}"},
         {"{\"a\":1}"}                                                                                                                                                                                        },
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"a\":1,\"나\":2}"},
         {"{\"a\":\"1\"}", "{1:1}"}                                                                                                                                                                           },
        {"{\"type\":\"object\"}",                                                               {"{}", "{\"a\":{\"b\":[1,2]}}"},                                                 {"[]", "{\"a\"}"}            },
        {"{\"properties\":{\"q\\\"\":{\"type\":\"null\"}}}",
         {"{\"q\\\"\":null}"},
         {"{\"q\":null}"}                                                                                                                                                                                     },
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"number\"},{\"type\":\"string\"}]}",
         {"1", "1.5", "\"a\""},
         {"true", "1.5.5"}                                                                                                                                                                                    },
        {"{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1},\"a\":{\"type\":"
         "\"string\"}},\"required\":[\"k\",\"a\"]},{\"type\":\"object\",\"properties\":{\"k\":{"
         "\"const\":2},\"b\":{\"type\":\"integer\"}},\"required\":[\"k\",\"b\"]}]}",   {"{\"k\":1,\"a\":\"x\"}", "{\"k\":2,\"b\":3}"},
         {"{\"k\":1,\"b\":3}", "{\"k\":2,\"a\":\"x\"}", "{\"k\":3}"}                                                                                                                                          },
        {"{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{"
         "\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/tree\"},{\"type\":"
         "\"null\"}]}},\"required\":[\"v\",\"next\"]}}}",                              {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
         {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}                                                                                                                                                               },
        {"{\"title\":\"t\",\"description\":\"d\",\"type\":\"string\",\"format\":\"date\"}",
         {"\"x\""},
         {"1"}                                                                                                                                                                                                },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct json_schema *s = NULL;

        if (json_schema_compile(rows[i].schema, strlen(rows[i].schema), &s, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].schema, error.text);
        for (size_t k = 0; k < 8 && rows[i].good[k]; k++) {
            struct json *parsed = NULL;

            if (!accepts(s, rows[i].good[k]))
                fail_msg("%s refuses %s", rows[i].schema, rows[i].good[k]);
            assert_int_equal(
                json_parse(rows[i].good[k], strlen(rows[i].good[k]), "value", &parsed, NULL),
                RAG_OK);
            json_free(parsed);
        }
        for (size_t k = 0; k < 10 && rows[i].bad[k]; k++)
            if (accepts(s, rows[i].bad[k]))
                fail_msg("%s takes %s", rows[i].schema, rows[i].bad[k]);
        json_schema_free(s);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *schema;
        enum rag_status status;
        const char *message;
    } rows[] = {
        {"{",                                                            RAG_EINVAL, "schema"                          },
        {"[]",                                                           RAG_EINVAL, "neither an object nor true"      },
        {"{\"type\":\"text\"}",                                          RAG_EINVAL, "type 'text'"                     },
        {"{\"type\":\"string\",\"pattern\":\"a+\"}",                     RAG_EINVAL, "keyword 'pattern'"               },
        {"{\"oneOf\":[{}]}",                                             RAG_EINVAL, "keyword 'oneOf'"                 },
        {"{\"type\":\"number\",\"minimum\":5}",                          RAG_EINVAL, "of bounds only"                  },
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000}",     RAG_EINVAL, "integers from 1"                 },
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":1}",           RAG_EINVAL, "integers from 3 to 1"            },
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}",        RAG_EINVAL, "at least 3"                      },
        {"{\"type\":\"string\",\"maxLength\":-1}",                       RAG_EINVAL, "maxLength"                       },
        {"{\"type\":\"object\",\"properties\":{},\"required\":[\"a\"]}", RAG_EINVAL, "'required'"                      },
        {"{\"enum\":[]}",                                                RAG_EINVAL, "0 values of an enum"             },
        {"{\"anyOf\":[]}",                                               RAG_EINVAL, "'anyOf'"                         },
        {"{\"type\":[]}",                                                RAG_EINVAL, "'type' is an empty list"         },
        {"{\"$ref\":\"#\"}",                                             RAG_EINVAL, "that is itself"                  },
        {"{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/anyOf/1\"}]}",   RAG_EINVAL, "no such place"                   },
        {"{\"$ref\":\"http://example.com/a\"}",                          RAG_EINVAL, "only places of the schema itself"},
        {"{\"$ref\":\"#/$defs/none\"}",                                  RAG_EINVAL, "no such place"                   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct json_schema *s = NULL;
        enum rag_status status =
            json_schema_compile(rows[i].schema, strlen(rows[i].schema), &s, &error);

        if (status != rows[i].status || !strstr(error.text, rows[i].message))
            fail_msg("%s: status %d, '%s'", rows[i].schema, status, error.text);
        assert_null(s);
    }
}

/* Alternatives that begin alike are followed at the same time, so there is a limit; one that
 * begins otherwise, or constants of one enum, do not count. */
static void test_many_alternatives(void **state)
{
    static const struct {
        const char *what;
        const char *each; /* %zu: its number */
        const char *more; /* behind them */
        size_t n;
        enum rag_status status;
    } rows[] = {
        {"as many objects as there may be", "{\"properties\":{\"k%zu\":{}}}",        "{}",                    15, RAG_OK    },
        {"one object more",                 "{\"properties\":{\"k%zu\":{}}}",        "{}",                    16, RAG_ELIMIT},
        {"a number beside them",            "{\"properties\":{\"k%zu\":{}}}",        "{\"type\":\"number\"}", 16,
         RAG_OK                                                                                                             },
        {"constants that begin alike",      "{\"const\":\"%zu\"}",                   "{\"type\":\"null\"}",   17,
         RAG_ELIMIT                                                                                                         },
        {"constants that do not",           "{\"const\":%zu}",                       "{\"type\":\"null\"}",   17, RAG_OK    },
        {"alternatives of an alternative",
         "{\"anyOf\":[{\"type\":\"array\",\"maxItems\":%zu},{\"type\":\"array\"}]}", "{\"type\":\"null\"}",   9,  RAG_ELIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct json_schema *s = NULL;
        enum rag_status status;
        struct buf text;

        buf_init(&text, 65536);
        buf_append_str(&text, "{\"anyOf\":[");
        for (size_t k = 0; k < rows[i].n; k++) {
            const char *at = strstr(rows[i].each, "%zu");

            buf_append(&text, rows[i].each, (size_t)(at - rows[i].each));
            buf_printf(&text, "%zu%s,", k, at + 3);
        }
        buf_append_str(&text, rows[i].more);
        buf_append_str(&text, "]}");
        status = json_schema_compile(buf_str(&text), text.len, &s, &error);
        if (status != rows[i].status)
            fail_msg("%s: status %d, '%s'", rows[i].what, status, error.text);
        json_schema_free(s);
        buf_release(&text);
    }
}

/* ---- tokens ---- */

static struct token_bytes *tokens;

static int open_tokens(void **state)
{
    struct tokenizer *t;

    (void)state;
    if (tokenizer_open(RAG_TEST_DATA "/models/tiny-roberta-ce", &t, NULL) != RAG_OK ||
        token_bytes_of(t, &tokens, NULL) != RAG_OK)
        return -1;
    tokenizer_close(t);
    return 0;
}

static int close_tokens(void **state)
{
    (void)state;
    token_bytes_free(tokens);
    return 0;
}

/* Random answers of a schema: at each step the mask equals what each token by itself would say, one
 * of the allowed tokens is taken, and what comes out in the end is JSON that the schema takes. */
static void test_masks(void **state)
{
    static const char *const schemas[] = {
        "{}",
        "{\"type\":\"string\",\"maxLength\":4}",
        "{\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"string\"},\"sure\":{\"type\":"
        "\"boolean\"},\"list\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":0},"
        "\"maxItems\":2}},\"required\":[\"answer\",\"list\"]}",
        "{\"enum\":[\"one\",\"only\",1,10,100]}",
    };
    static struct configuration steps[2]; /* json_schema_put() needs no more */
    uint64_t seed = 11;

    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct json_schema *s;
        size_t n_ended = 0;

        assert_int_equal(json_schema_compile(schemas[i], strlen(schemas[i]), &s, NULL), RAG_OK);
        for (int round = 0; round < 8; round++) {
            size_t n_words = (tokens->n_tokens + 63) / 64;
            uint64_t *allowed = calloc(n_words, sizeof *allowed);
            struct json_schema_state *st;
            char text[4096] = "";
            uint32_t end = 2;
            size_t length = 0;

            assert_int_equal(json_schema_begin(s, &st, NULL), RAG_OK);
            for (int step = 0; step < 40; step++) {
                uint32_t choice = UINT32_MAX;
                uint64_t seen = 0;

                assert_int_equal(
                    json_schema_allowed(st, tokens, &end, 1, allowed, tokens->n_tokens, NULL),
                    RAG_OK);
                for (uint32_t id = 0; id < tokens->n_tokens; id++) {
                    bool bit = allowed[id / 64] >> id % 64 & 1;
                    size_t n = tokens->begins[id + 1] - tokens->begins[id];
                    struct json_schema_state copy = *st;
                    bool can;

                    copy.steps = steps;
                    can = n > 0 && json_schema_put(&copy, tokens, id, NULL) == RAG_OK;
                    if (id == end)
                        can = json_schema_complete(st);
                    if (bit != can)
                        fail_msg("%s: after '%s' token %u: mask %d, alone %d", schemas[i], text, id,
                                 bit, can);
                    /* the end more often than others, so that values end */
                    if (bit && splitmix_next(&seed) % ++seen == 0 && choice != end)
                        choice = id;
                    if (bit && id == end && splitmix_next(&seed) % 2 == 0)
                        choice = end;
                }
                if (choice == UINT32_MAX || choice == end)
                    break;
                assert_int_equal(json_schema_put(st, tokens, choice, NULL), RAG_OK);
                length +=
                    (size_t)snprintf(text + length, sizeof text - length, "%.*s",
                                     (int)(tokens->begins[choice + 1] - tokens->begins[choice]),
                                     tokens->bytes + tokens->begins[choice]);
            }
            if (json_schema_complete(st)) {
                struct json *parsed = NULL;

                n_ended++;
                assert_true(accepts(s, text));
                assert_int_equal(json_parse(text, strlen(text), "answer", &parsed, NULL), RAG_OK);
                json_free(parsed);
            }
            json_schema_end(st);
            free(allowed);
        }
        if (i != 2)
            assert_true(n_ended > 0);
        json_schema_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_alternatives),
        cmocka_unit_test_setup_teardown(test_masks, open_tokens, close_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
