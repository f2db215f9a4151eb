/* Goal: small files are read with their limits and named when they are wrong; a digest sees every
 * byte and every name, and the threads that share its work do not change it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/model_files.h"
#include "tests/lib/temp_model.h"

#define BIG (3 * 1024 * 1024 + 17) /* more than three blocks of a digest */

static void small_files_are_read_or_named(void **state)
{
    static const struct {
        const char *name;
        const char *text; /* NULL: a folder of that name */
        enum rag_status want;
    } rows[] = {
        {"an object",    "{\"a\":1}", RAG_OK     },
        {"an array",     "[]",        RAG_OK     },
        {"no JSON",      "{",         RAG_EFORMAT},
        {"an empty one", "",          RAG_EFORMAT},
        {"not UTF-8",    "\"\xff\"",  RAG_EFORMAT},
        {"a folder",     NULL,        RAG_EFORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {0};
        char path[TEMP_PATH_BYTES];
        struct json *root = NULL;
        struct temp_model m;
        enum rag_status status;

        temp_model_make(&m);
        temp_model_path(&m, "x.json", path);
        if (rows[i].text)
            temp_model_text(&m, "x.json", rows[i].text);
        else
            assert_int_equal(mkdir(path, 0700), 0);
        status = model_json(m.dir, "x.json", &root, &error);
        if (status != rows[i].want || (status != RAG_OK && !strstr(error.text, path)))
            fail_msg("%s: status %d, '%s'", rows[i].name, status, error.text);
        json_free(root);
        assert_int_equal(model_json(m.dir, "y.json", &root, &error), RAG_ENOTFOUND);
        temp_model_remove(&m);
    }
}

static void a_limit_of_tokens_is_a_sensible_number_or_none(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {
        {"{\"model_max_length\":512}",                             512},
        {"{\"model_max_length\":1000000000000000019884624838656}", 0  },
        {"{\"model_max_length\":1e30}",                            0  },
        {"{\"model_max_length\":-1}",                              0  },
        {"{\"model_max_length\":null}",                            0  },
        {"{\"model_max_length\":\"512\"}",                         0  },
        {"{}",                                                     0  },
        {"[]",                                                     0  },
    };
    struct temp_model m;
    size_t n = 7;

    (void)state;
    temp_model_make(&m);
    assert_int_equal(model_max_length(m.dir, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temp_model_text(&m, "tokenizer_config.json", rows[i].text);
        assert_int_equal(model_max_length(m.dir, &n, NULL), RAG_OK);
        assert_int_equal(n, rows[i].want);
    }
    temp_model_text(&m, "tokenizer_config.json", "{");
    assert_int_equal(model_max_length(m.dir, &n, NULL), RAG_EFORMAT);
    temp_model_remove(&m);
}

static void a_folder_is_called_as_people_call_the_model(void **state)
{
    static const struct {
        const char *dir;
        const char *want;
    } rows[] = {
        {"/a/b/e5",                              "e5"         },
        {"/a/b/e5//",                            "e5"         },
        {"e5",                                   "e5"         },
        {"/",                                    "/"          },
        {"",                                     ""           },
        {"/c/models--org--a-name/snapshots/0f/", "org/a-name" },
        {"models--name/snapshots/0f",            "name"       },
        {"/c/models--/snapshots/0f",             "0f"         },
        {"/c/snapshots/0f",                      "0f"         },
        {"snapshots/0f",                         "0f"         },
        {"/c/models--org--a--b--c/snapshots/0f", "org/a--b--c"},
        {"/usr/.",                               "usr"        },
        {"/.",                                   "."          },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *name = model_dir_name(rows[i].dir);

        assert_non_null(name);
        assert_string_equal(name, rows[i].want);
        free(name);
    }
}

static void a_file_alone_has_a_digest_too(void **state)
{
    uint8_t before[SHA256_BYTES];
    uint8_t after[SHA256_BYTES];
    char path[TEMP_PATH_BYTES];
    struct temp_model m;

    (void)state;
    temp_model_make(&m);
    temp_model_path(&m, "a.gguf", path);
    assert_int_equal(model_file_digest(path, NULL, before, NULL), RAG_ENOTFOUND);
    temp_model_text(&m, "a.gguf", "GGUF");
    assert_int_equal(model_file_digest(path, NULL, before, NULL), RAG_OK);
    temp_model_text(&m, "a.gguf", "GGUG");
    assert_int_equal(model_file_digest(path, NULL, after, NULL), RAG_OK);
    assert_memory_not_equal(before, after, SHA256_BYTES);
    assert_int_equal(model_file_digest(m.dir, NULL, after, NULL), RAG_EFORMAT);
    temp_model_remove(&m);
}

static void digest(const struct temp_model *m, struct compute_pool *pool, uint8_t ret[SHA256_BYTES])
{
    assert_int_equal(model_digest(m->dir, pool, ret, NULL), RAG_OK);
}

static void a_digest_sees_every_byte_and_every_name(void **state)
{
    struct compute_pool *pool = NULL;
    uint8_t *data = calloc(1, BIG);
    uint8_t before[SHA256_BYTES];
    uint8_t after[SHA256_BYTES];
    char from[TEMP_PATH_BYTES];
    char to[TEMP_PATH_BYTES];
    struct temp_model m;

    (void)state;
    assert_non_null(data);
    assert_int_equal(compute_pool_open(3, &pool, NULL), RAG_OK);
    temp_model_make(&m);
    temp_model_text(&m, "config.json", "{}");
    temp_model_write(&m, "a.safetensors", data, BIG);
    digest(&m, NULL, before);
    digest(&m, pool, after);
    assert_memory_equal(before, after, SHA256_BYTES);
    for (size_t at = 0; at < BIG; at += BIG / 5) {
        data[at] ^= 1;
        temp_model_write(&m, "a.safetensors", data, BIG);
        digest(&m, pool, after);
        assert_memory_not_equal(before, after, SHA256_BYTES);
        data[at] ^= 1;
    }
    temp_model_write(&m, "a.safetensors", data, BIG - 1);
    digest(&m, pool, after);
    assert_memory_not_equal(before, after, SHA256_BYTES);
    temp_model_write(&m, "a.safetensors", data, BIG);
    temp_model_path(&m, "a.safetensors", from);
    temp_model_path(&m, "b.safetensors", to);
    assert_int_equal(rename(from, to), 0);
    digest(&m, pool, after);
    assert_memory_not_equal(before, after, SHA256_BYTES);
    assert_int_equal(rename(to, from), 0);
    temp_model_text(&m, "README.md", "not part of it");
    temp_model_text(&m, ".safetensors", "hidden");
    digest(&m, pool, after);
    assert_memory_equal(before, after, SHA256_BYTES);
    temp_model_text(&m, "vocab.txt", "");
    digest(&m, pool, after);
    assert_memory_not_equal(before, after, SHA256_BYTES);
    temp_model_text(&m, "a.gguf", "GGUF");
    digest(&m, pool, before);
    assert_memory_not_equal(before, after, SHA256_BYTES);
    temp_model_remove(&m);
    assert_int_equal(model_digest(m.dir, pool, after, NULL), RAG_ENOTFOUND);
    compute_pool_close(pool);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_files_are_read_or_named),
        cmocka_unit_test(a_limit_of_tokens_is_a_sensible_number_or_none),
        cmocka_unit_test(a_folder_is_called_as_people_call_the_model),
        cmocka_unit_test(a_digest_sees_every_byte_and_every_name),
        cmocka_unit_test(a_file_alone_has_a_digest_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
