/* Goal: a word for a model means the folder that daemon/builtin_models.h says, in its order, and
 * what is not there is said with the places. Method: folders of a test's own, named by the
 * environment and as the caller's. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/models_configured.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char root[] = "/tmp/builtin-test.XXXXXX";

/* root/name, made; a ring, so that some of them may be in use. */
static const char *folder(const char *name)
{
    static char paths[8][256];
    static size_t at;
    char *path = paths[at++ % COUNT(paths)];

    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    return path;
}

/* What is below root in each row: shipped/{both,shipped,ragd-ko-embed}, own/{both,own}. */
static const struct {
    const char *word;
    enum model_role role;
    const char *below; /* the folder below root, "" for none, NULL: not a word of ours */
} words[] = {
    {NULL,              MODEL_EMBEDDER,  ""                     },
    {"",                MODEL_EMBEDDER,  ""                     },
    {"none",            MODEL_RERANKER,  ""                     },
    {"default",         MODEL_EMBEDDER,  "shipped/ragd-ko-embed"},
    {"default",         MODEL_RERANKER,  ""                     }, /* is not installed */
    {"default",         MODEL_GENERATOR, NULL                   }, /* a name as any other */
    {"builtin:shipped", MODEL_RERANKER,  "shipped/shipped"      },
    {"builtin:own",     MODEL_EMBEDDER,  "own/own"              },
    {"builtin:both",    MODEL_EMBEDDER,  "shipped/both"         }, /* the environment's */
    {"shipped",         MODEL_EMBEDDER,  NULL                   },
    {"/none",           MODEL_EMBEDDER,  NULL                   },
};

static void words_name_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        struct rag_error error = {RAG_OK, ""};
        char expected[512];
        char *path = NULL;

        if (model_word_resolve(words[i].word, words[i].role, folder("own"), &path, &error) !=
            RAG_OK)
            fail_msg("%s: %s", words[i].word, error.text);
        if (!words[i].below) {
            assert_null(path);
            continue;
        }
        snprintf(expected, sizeof expected, "%s%s%s", *words[i].below ? root : "",
                 *words[i].below ? "/" : "", words[i].below);
        assert_string_equal(path, expected);
        free(path);
    }
}

static void what_is_not_there_is_said_with_the_places(void **state)
{
    static const struct {
        const char *word;
        enum rag_status status;
        const char *words;
    } rows[] = {
        {"builtin:nowhere",  RAG_ENOTFOUND, "model 'builtin:nowhere': is in none of '/tmp/builtin"},
        {"builtin:nowhere",  RAG_ENOTFOUND, "/own'"                                               },
        {"builtin:",         RAG_EINVAL,    "not a name of 1 to 96 bytes"                         },
        {"builtin:../own",   RAG_EINVAL,    "not a name"                                          },
        {"builtin:.hidden",  RAG_EINVAL,    "not a name"                                          },
        {"builtin:own/deep", RAG_EINVAL,    "not a name"                                          },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rag_error error = {RAG_OK, ""};
        char *path = NULL;

        assert_int_equal(
            model_word_resolve(rows[i].word, MODEL_EMBEDDER, folder("own"), &path, &error),
            rows[i].status);
        assert_null(path);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].words);
    }
}

static void without_the_environment_the_program_s_own_places_come_last(void **state)
{
    struct builtin_places p = {.n = 0};
    char own[300];

    (void)state;
    snprintf(own, sizeof own, "%s//", folder("own"));
    assert_int_equal(unsetenv(BUILTIN_MODELS_ENV), 0);
    assert_int_equal(builtin_places(own, &p, NULL), RAG_OK);
    assert_true(p.n >= 3 && p.n <= BUILTIN_PLACES_MAX);
    assert_string_equal(p.dirs[0], folder("own"));
    for (size_t i = 1; i < p.n; i++)
        assert_non_null(strstr(p.dirs[i], "/share/ragd/models"));
    builtin_places_release(&p);
    assert_int_equal(builtin_places("", &p, NULL), RAG_OK);
    assert_non_null(strstr(p.dirs[0], "/share/ragd/models"));
    builtin_places_release(&p);
    assert_int_equal(setenv(BUILTIN_MODELS_ENV, folder("shipped"), 1), 0);
    assert_int_equal(builtin_places(NULL, &p, NULL), RAG_OK);
    assert_int_equal(p.n, 1);
    assert_string_equal(p.dirs[0], folder("shipped"));
    builtin_places_release(&p);
}

static void only_a_certain_model_is_insisted_on(void **state)
{
    (void)state;
    assert_false(model_word_insists(NULL));
    assert_false(model_word_insists(""));
    assert_false(model_word_insists("none"));
    assert_false(model_word_insists("default"));
    assert_true(model_word_insists("builtin:ragd-ko-embed"));
    assert_true(model_word_insists("e5"));
}

static void a_configuration_names_models_so(void **state)
{
    static const struct {
        const char *word;
        const char *below;
    } rows[] = {
        {"none",        ""                     },
        {"default",     "shipped/ragd-ko-embed"},
        {"builtin:own", "own/own"              },
        {"own",         "own/own"              },
        {"org/name",    "own/org/name"         },
    };
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;

    (void)state;
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_int_equal(config_set(c, "models_dir", folder("own"), &error), RAG_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char expected[512];
        char *path = NULL;

        assert_int_equal(config_set(c, "models.embedder", rows[i].word, &error), RAG_OK);
        assert_int_equal(c->models_embedder == NULL, i == 0);
        assert_int_equal(model_configured_dir(c, MODEL_EMBEDDER, c->models_embedder, &path, &error),
                         RAG_OK);
        snprintf(expected, sizeof expected, "%s%s%s", *rows[i].below ? root : "",
                 *rows[i].below ? "/" : "", rows[i].below);
        assert_string_equal(path, expected);
        free(path);
    }
    /* a server takes the place of the default one, and of no other */
    assert_int_equal(config_set(c, "models.embedder", "default", &error), RAG_OK);
    assert_int_equal(config_set(c, "embed_url", "https://h/v1", &error), RAG_OK);
    assert_int_equal(config_set(c, "embed_dim", "8", &error), RAG_OK);
    assert_int_equal(config_check(c, &error), RAG_OK);
    assert_int_equal(config_set(c, "models.embedder", "builtin:own", &error), RAG_OK);
    assert_int_equal(config_check(c, &error), RAG_EINVAL);
    config_free(c);
}

int main(void)
{
    static const char *const folders[] = {"shipped/both", "shipped/shipped",
                                          "shipped/ragd-ko-embed", "own/both", "own/own"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_name_models),
        cmocka_unit_test(what_is_not_there_is_said_with_the_places),
        cmocka_unit_test(without_the_environment_the_program_s_own_places_come_last),
        cmocka_unit_test(only_a_certain_model_is_insisted_on),
        cmocka_unit_test(a_configuration_names_models_so),
    };
    char command[64];
    int failed;

    if (!mkdtemp(root))
        return 1;
    for (size_t i = 0; i < COUNT(folders); i++)
        folder(folders[i]);
    if (setenv(BUILTIN_MODELS_ENV, folder("shipped"), 1) != 0)
        return 1;
    failed = cmocka_run_group_tests_name("builtin_models", tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) != 0 || failed;
}
