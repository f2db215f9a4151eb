/* Goal: every mistake in a configuration is named with its file, line, key, value and what is
 * allowed; etc/ragd.conf documents exactly the keys of the table, with their defaults. Method:
 * one row per text; the shipped file is read line by line, and once with every key uncommented. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"

#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define FILE_BYTES_MAX 65536

struct row {
    const char *name;
    const char *text;
    enum rag_status want;
    const char *message; /* part of it; NULL: do not look */
};

static struct row rows[] = {
    {"an empty file changes nothing",             "",                                                        RAG_OK,     NULL                                                      },
    {"comments and blank lines",                  "# a\n\n; b\n[ragd]\n",                                    RAG_OK,     NULL                                                      },
    {"a key in its section",                      "[http]\nthreads = 3\n",                                   RAG_OK,     NULL                                                      },
    {"the same name in two sections",             "[http]\nthreads=3\n[workers]\nthreads=5\n",               RAG_OK,     NULL                                                      },
    {"a section may come twice",                  "[http]\nthreads=3\n[ask]\ntop_k=3\n[http]\ntcp_port=1\n", RAG_OK,
     NULL                                                                                                                                                                          },
    {"the last line needs no end",                "[http]\nthreads = 3",                                     RAG_OK,     NULL                                                      },
    {"lines of another system",                   "[http]\r\nthreads = 3\r\n",                               RAG_OK,     NULL                                                      },
    {"Korean paths",                              "[ragd]\nstate_dir = /데이터/ragd\n",                   RAG_OK,     NULL                                                      },

    {"a typo is met with the nearest key",        "[http]\nthread = 3\n",                                    RAG_EINVAL,
     "'F' line 2: [http] thread: no such key; did you mean [http] threads?"                                                                                                        },
    {"a key in another section",                  "[ask]\n\n\nsocket_mode = 0600\n",                         RAG_EINVAL,
     "line 4: [ask] socket_mode: no such key; did you mean [http] socket_mode?"                                                                                                    },
    {"a key before any section",                  "log_level = info\n",                                      RAG_EINVAL,
     "did you mean [ragd] log_level?"                                                                                                                                              },
    {"a key given twice",                         "[http]\nthreads = 3\nthreads = 3\n",                      RAG_EINVAL,
     "line 3: [http] threads: given twice"                                                                                                                                         },
    {"a line that is nothing",                    "[http]\nthreads\n",                                       RAG_EINVAL, "line 2: neither"                                         },
    {"a section that does not end",               "[http\n",                                                 RAG_EINVAL, "line 1: neither"                                         },
    {"the first of two mistakes is told",         "[http]\nthreads = no\nthis is none\n[ask]\nx = 1\n",
     RAG_EINVAL,                                                                                                         "line 2: http.threads: 'no'"                              },
    {"a bad line before a bad value",             "[http]\nnone\nthreads = no\n",                            RAG_EINVAL,
     "line 2: neither"                                                                                                                                                             },
    {"good lines after a mistake do not hide it", "[http]\nthreads = 0\ntcp_port = 80\n",
     RAG_EINVAL,                                                                                                         "line 2: http.threads: '0' is not an integer from 1 to 64"},
    {"a number that is none",                     "[http]\ntcp_port = 80a\n",                                RAG_EINVAL,
     "'80a' is not an integer from 0 to 65535"                                                                                                                                     },
    {"a number past every range",                 "[http]\ntcp_port = 99999999999999999999\n",               RAG_EINVAL,
     "from 0 to 65535"                                                                                                                                                             },
    {"nothing where a number belongs",            "[http]\ntcp_port =\n",                                    RAG_EINVAL, "''"                                                      },
    {"a mode is octal",                           "[http]\nsocket_mode = 0689\n",                            RAG_EINVAL, "octal"                                                   },
    {"a mode has no more than nine bits",         "[http]\nsocket_mode = 1777\n",                            RAG_EINVAL, "0777"                                                    },
    {"a share above one",                         "[ask]\nrelevance_min = 1.5\n",                            RAG_EINVAL, "a number from 0 to 1"                                    },
    {"no number at all",                          "[ask]\nrelevance_min = nan\n",                            RAG_EINVAL, "a number from 0 to 1"                                    },
    {"a level that there is not",                 "[ragd]\nlog_level = verbose\n",                           RAG_EINVAL,
     "debug, info, warn or error"                                                                                                                                                  },
    {"a precision that there is not",             "[models]\nprecision = int4\n",                            RAG_EINVAL, "int8 or fp32"                                            },
    {"a storage that there is not",               "[models]\nvector_storage = fp16\n",                       RAG_EINVAL,
     "f32, f16 or int8"                                                                                                                                                            },
    {"weights that there are not",                "[generate]\nprecision = int3\n",                          RAG_EINVAL,
     "int8, int4 or fp32"                                                                                                                                                          },
    {"a policy that there is not",                "[generate]\nunsupported = keep\n",                        RAG_EINVAL,
     "remove or mark"                                                                                                                                                              },
    {"a backend that there is not",               "[generate]\nbackends = remote\n",                         RAG_EINVAL,
     "a list of local, openai, extractive"                                                                                                                                         },
    {"a backend that is there twice",             "[generate]\nbackends = local, local\n",                   RAG_EINVAL,
     "a list of local, openai, extractive"                                                                                                                                         },
    {"a temperature that is noise",               "[generate]\ntemperature = 2.1\n",                         RAG_EINVAL,
     "a number from 0 to 2"                                                                                                                                                        },
    {"an answer without tokens",                  "[generate]\nmax_new_tokens = 0\n",                        RAG_EINVAL,
     "an integer from 1 to "                                                                                                                                                       },
    {"a principal without its kind",              "[ragd]\nadmins = root\n",                                 RAG_EINVAL, "uid:N or token:NAME"                                     },
    {"a user number that is none",                "[ragd]\nadmins = uid:0, uid:1x\n",                        RAG_EINVAL, "'uid:1x'"                                                },
    {"a user number past 32 bits",                "[ragd]\nadmins = uid:4294967296\n",                       RAG_EINVAL, "uid:N"                                                   },
    {"bytes that are no text",                    "[ragd]\nstate_dir = /\xFF\n",                             RAG_EINVAL, "line 2: not UTF-8"                                       },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {RAG_OK, ""};
    struct config *config = NULL;
    enum rag_status status;

    assert_int_equal(config_new(&config, &error), RAG_OK);
    status = config_parse(config, row->text, "F", &error);
    if (status != row->want || (row->message && !strstr(error.text, row->message)))
        fail_msg("status %d, message: %s", status, error.text);
    config_free(config);
}

static void values_reach_their_place(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;

    (void)state;
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_string_equal(c->state_dir, "/var/lib/ragd");
    assert_int_equal(c->socket_mode, 0660);
    assert_null(c->analyzer_synonyms);
    assert_int_equal(config_check(c, &error), RAG_OK);
    assert_int_equal(config_parse(c,
                                  "[ragd]\nadmins = uid:0, token:alice  uid:1000\nlog_level=warn\n"
                                  "[http]\nsocket_mode = 0600\nthreads = 7\n"
                                  "[workers]\nthreads = 9\n[index]\nbm25_b = .5\n"
                                  "[analyzer]\nsynonyms = /a b/c ; why\n",
                                  "F", &error),
                     RAG_OK);
    assert_int_equal(c->n_admins, 3);
    assert_string_equal(c->admins[1], "token:alice");
    assert_int_equal(c->log_level, LOG_WARN);
    assert_int_equal(c->socket_mode, 0600);
    assert_int_equal(c->http_threads, 7);
    assert_int_equal(c->workers, 9);
    assert_true(c->bm25_b == .5);
    assert_string_equal(c->analyzer_synonyms, "/a b/c");
    assert_int_equal(config_set(c, "analyzer.synonyms", "", &error), RAG_OK);
    assert_null(c->analyzer_synonyms);
    assert_int_equal(config_set(c, "tcp_port", "1", &error), RAG_OK);
    assert_int_equal(c->tcp_port, 1);
    assert_int_equal(config_set(c, "threads", "1", &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "http.threads or workers.threads"));
    assert_int_equal(config_set(c, "ragd.sate_dir", "1", &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "[ragd] state_dir"));
    config_free(c);
}

static void prompts_keep_their_blanks_in_quotes(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;

    (void)state;
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_null(c->query_prompt);
    assert_int_equal(config_parse(c,
                                  "[models]\nquery_prompt = \"query: \"\npassage_prompt = \"\"\n"
                                  "precision = fp32\nvector_storage = int8\n",
                                  "F", &error),
                     RAG_OK);
    assert_string_equal(c->query_prompt, "query: ");
    assert_string_equal(c->passage_prompt, ""); /* none, whatever the model says */
    assert_int_equal(c->models_precision, 0);
    assert_int_equal(c->vector_storage, 2);
    assert_int_equal(config_set(c, "query_prompt", "Frage:", &error), RAG_OK);
    assert_string_equal(c->query_prompt, "Frage:");
    assert_int_equal(config_set(c, "query_prompt", "", &error), RAG_OK);
    assert_null(c->query_prompt);
    config_free(c);
}

static void backends_are_tried_as_configured(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        enum config_backend first;
    } cases[] = {
        {"[generate]\n",                                                          1, BACKEND_EXTRACTIVE},
        {"[generate]\nmodel = m\n",                                               2, BACKEND_LOCAL     },
        {"[generate]\nmodel = m\nbackends = extractive\n",                        1, BACKEND_EXTRACTIVE},
        {"[generate]\nmodel = m\nbackends = extractive , local\n",                2, BACKEND_EXTRACTIVE},
        {"[generate]\nmodel = m\nbackends =\n",                                   2, BACKEND_LOCAL     },
        {"[openai]\nbase_url = https://h/v1\nmodel = m\n",                        2, BACKEND_OPENAI    },
        {"[generate]\nmodel = l\n[openai]\nbase_url = https://h/v1\nmodel = m\n", 3, BACKEND_LOCAL     },
        {"[generate]\nbackends = extractive, openai\n[openai]\nbase_url = https://h/v1\nmodel = "
         "m\n",                                                          2, BACKEND_EXTRACTIVE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum config_backend backends[CONFIG_BACKENDS_MAX];
        struct rag_error error = {RAG_OK, ""};
        struct config *c = NULL;

        assert_int_equal(config_new(&c, &error), RAG_OK);
        assert_int_equal(config_parse(c, cases[i].text, "F", &error), RAG_OK);
        assert_int_equal(config_check(c, &error), RAG_OK);
        assert_int_equal(config_backends(c, backends), cases[i].n);
        assert_int_equal(backends[0], cases[i].first);
        config_free(c);
    }
}

static void models_are_found_by_path_or_name(void **state)
{
    static const struct {
        const char *models_dir;
        const char *name;
        const char *dir;
    } cases[] = {
        {"",        NULL,         ""                      },
        {"",        "e5-small",   "/state/models/e5-small"},
        {"/models", "e5-small",   "/models/e5-small"      },
        {"/models", "/data/kure", "/data/kure"            },
        {"/models", "./kure",     "./kure"                },
        {"/models", "../kure",    "../kure"               },
        {"",        "org/kure",   "/state/models/org/kure"},
        {"/models", "org/x.gguf", "/models/org/x.gguf"    },
    };
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;

    (void)state;
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_int_equal(config_set(c, "state_dir", "/state", &error), RAG_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *dir = NULL;

        assert_int_equal(config_set(c, "models_dir", cases[i].models_dir, &error), RAG_OK);
        assert_int_equal(config_model_dir(c, cases[i].name, &dir, &error), RAG_OK);
        assert_string_equal(dir, cases[i].dir);
        free(dir);
    }
    config_free(c);
}

static void keys_that_do_not_fit_each_other_are_refused(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"[ragd]\nstate_dir =\n",                                                       "state_dir: empty"      },
        {"[http]\nsocket_path =\n",                                                     "socket_path: empty"    },
        {"[http]\ntcp_address = 0.0.0.0\ntoken_file = /t\n",                            "not a loopback address"},
        {"[http]\ntcp_address = 127.0.0.1\n",                                           "needs token_file"      },
        {"[http]\nbody_bytes_max = 2000\nbodies_bytes_max = 1999\n",                    "1999 is below"         },
        {"[generate]\nbackends = local\n",                                              "local needs model"     },
        {"[generate]\nbackends = openai\n",                                             "openai needs base_url" },
        {"[openai]\nbase_url = https://h/v1\n",                                         "needs model"           },
        {"[remote]\nembed_url = https://h/v1\n",                                        "needs embed_dim"       },
        {"[models]\nembedder = e\n[remote]\nembed_url = https://h/v1\nembed_dim = 8\n",
         "choose one"                                                                                           },
        {"[models]\nreranker = r\n[remote]\nrerank_url = https://h/v1\n",               "choose one"            },
        {"[index]\nchunk_chars = 200\nchunk_overlap = 100\n",                           "chunk_overlap: 100"    },
        {"[http]\nsocket_path = "
         "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaa"
         "aaaaaaaaaaaaaaaa\n",                                                 "at most 107"           },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rag_error error = {RAG_OK, ""};
        struct config *c = NULL;

        assert_int_equal(config_new(&c, &error), RAG_OK);
        assert_int_equal(config_parse(c, cases[i].text, "F", &error), RAG_OK);
        assert_int_equal(config_check(c, &error), RAG_EINVAL);
        if (!strstr(error.text, cases[i].message))
            fail_msg("expected '%s', got: %s", cases[i].message, error.text);
        config_free(c);
    }
}

static void load(const char *bytes, size_t n, enum rag_status want, const char *message)
{
    char path[] = "/tmp/test_config.XXXXXX";
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_int_equal(config_load(c, path, &error), want);
    if (!strstr(error.text, message))
        fail_msg("expected '%s', got: %s", message, error.text);
    config_free(c);
    unlink(path);
}

static void files_that_are_no_configuration_are_refused(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct config *c = NULL;
    char *big = malloc(CONFIG_BYTES_MAX + 2);

    (void)state;
    assert_non_null(big);
    memset(big, '\n', CONFIG_BYTES_MAX + 2);
    load(big, CONFIG_BYTES_MAX + 2, RAG_ELIMIT, "over 1048576 bytes");
    load(big, CONFIG_BYTES_MAX, RAG_OK, "");
    memset(big, '#', 1000);
    load(big, 1000, RAG_EINVAL, "line 1: 1000 bytes, the limit of a line is ");
    load("[ragd]\0\n", 8, RAG_EINVAL, "NUL");
    assert_int_equal(config_new(&c, &error), RAG_OK);
    assert_int_equal(config_load(c, "/nonexistent/ragd.conf", &error), RAG_EIO);
    assert_non_null(strstr(error.text, "'/nonexistent/ragd.conf': cannot open: "));
    assert_int_equal(config_load(c, "/tmp", &error), RAG_EIO);
    config_free(c);
    free(big);
}

/* ---- the shipped file ---- */

static void read_shipped(char text[FILE_BYTES_MAX])
{
    FILE *file = fopen(RAG_TEST_DATA "/../../etc/ragd.conf", "r");
    size_t n;

    assert_non_null(file);
    n = fread(text, 1, FILE_BYTES_MAX - 1, file);
    fclose(file);
    assert_true(n > 1000 && n < FILE_BYTES_MAX - 1);
    text[n] = '\0';
}

/* The comment lines as one text, each without its "# ". */
static void add_comment(char comment[4096], const char *line)
{
    size_t n = strlen(comment);

    snprintf(comment + n, 4096 - n, "%s%s", n > 0 ? " " : "", line + (line[1] == ' ' ? 2 : 1));
}

static void check_key(const struct config_key *key, const char *section, const char *line,
                      const char *comment)
{
    char want[512];

    snprintf(want, sizeof want, "#%s =%s%s", key->name, key->fallback[0] ? " " : "", key->fallback);
    assert_string_equal(section, key->section);
    assert_string_equal(line, want);
    assert_string_equal(comment, key->help);
}

static void the_shipped_file_documents_every_key_with_its_default(void **state)
{
    char text[FILE_BYTES_MAX];
    char comment[4096] = "";
    char section[64] = "";
    const struct config_key *keys;
    size_t n_keys;
    size_t n = 0;
    char *save = NULL;

    (void)state;
    keys = config_keys(&n_keys);
    read_shipped(text);
    for (char *line = text; line; line = save) {
        save = strchr(line, '\n');
        if (save)
            *save++ = '\0';
        if (line[0] == '[') {
            sscanf(line, "[%63[^]]", section);
        } else if (line[0] == '#' && line[1] != ' ' && line[1] != '\0') {
            assert_true(n < n_keys);
            check_key(&keys[n++], section, line, comment);
            comment[0] = '\0';
        } else if (line[0] == '#') {
            add_comment(comment, line);
        } else {
            assert_string_equal(line, ""); /* nothing is set */
            comment[0] = '\0';
        }
    }
    assert_int_equal(n, n_keys);
}

static void the_shipped_file_can_be_read_with_every_key_set(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    char text[FILE_BYTES_MAX];
    struct config *c = NULL;

    (void)state;
    read_shipped(text);
    assert_int_equal(config_new(&c, &error), RAG_OK);
    if (config_parse(c, text, "ragd.conf", &error) != RAG_OK)
        fail_msg("%s", error.text);
    for (char *p = text; (p = strstr(p, "\n#")) != NULL; p++)
        if (p[2] >= 'a' && p[2] <= 'z')
            p[1] = ' ';
    for (char *p = text; (p = strstr(p, "\n ")) != NULL; p++)
        memmove(p + 1, p + 2, strlen(p + 2) + 1);
    if (config_parse(c, text, "ragd.conf", &error) != RAG_OK || config_check(c, &error) != RAG_OK)
        fail_msg("%s", error.text);
    config_free(c);
}

int main(void)
{
    static const struct CMUnitTest singles[] = {
        cmocka_unit_test(values_reach_their_place),
        cmocka_unit_test(prompts_keep_their_blanks_in_quotes),
        cmocka_unit_test(backends_are_tried_as_configured),
        cmocka_unit_test(models_are_found_by_path_or_name),
        cmocka_unit_test(keys_that_do_not_fit_each_other_are_refused),
        cmocka_unit_test(files_that_are_no_configuration_are_refused),
        cmocka_unit_test(the_shipped_file_documents_every_key_with_its_default),
        cmocka_unit_test(the_shipped_file_can_be_read_with_every_key_set),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
