/* Goal: a command line is read or refused with the option, its value and what is allowed.
 * Method: one row per command line; the targets are compared after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *argv[8]; /* after the command's own name */
    enum rag_status want;
    const char *message; /* part of it, when want is not RAG_OK */
    const char *words;   /* joined by '|' */
    const char *text;
    int64_t number;
    bool flag;
    size_t n_list;
};

/* clang-format off */
static struct row rows[] = {
    {"nothing given keeps the defaults", {NULL}, RAG_OK, NULL, "", "-", 7, false, 0},
    {"words alone", {"a", "b"}, RAG_OK, NULL, "a|b", "-", 7, false, 0},
    {"options among words", {"a", "--number", "3", "b", "--flag"}, RAG_OK, NULL, "a|b", "-", 3,
     true, 0},
    {"a value after an equals sign", {"--text=x=y", "--number=0"}, RAG_OK, NULL, "", "x=y", 0,
     false, 0},
    {"an empty value is a value", {"--text", ""}, RAG_OK, NULL, "", "", 7, false, 0},
    {"the last of two wins", {"--text", "a", "--text", "b"}, RAG_OK, NULL, "", "b", 7, false, 0},
    {"a repeated option collects", {"--item", "a", "--item=b"}, RAG_OK, NULL, "", "-", 7, false,
     2},
    {"a dash alone is a word", {"-"}, RAG_OK, NULL, "-", "-", 7, false, 0},
    {"dashes without a letter behind them are words", {"- item", "-5", "-----", "---x"}, RAG_OK, NULL,
     "- item|-5|-----|---x", "-", 7, false, 0},
    {"after two dashes all is words", {"--", "--flag", "-x"}, RAG_OK, NULL, "--flag|-x", "-", 7,
     false, 0},
    {"only the first two dashes are special", {"--", "--"}, RAG_OK, NULL, "--", "-", 7, false, 0},

    {"a misspelt option names the nearest", {"--numbr", "3"}, RAG_EINVAL,
     "did you mean '--number'", NULL, NULL, 0, false, 0},
    {"a shared option is near as well", {"--sokcet", "3"}, RAG_EINVAL, "did you mean '--socket'",
     NULL, NULL, 0, false, 0},
    {"an option like no other", {"--zzzzzzzz"}, RAG_EINVAL, "'--zzzzzzzz': unknown", NULL, NULL, 0,
     false, 0},
    {"a value that is missing", {"a", "--text"}, RAG_EINVAL, "'--text': needs a value", NULL, NULL,
     0, false, 0},
    {"a value that is not wanted", {"--flag=yes"}, RAG_EINVAL, "'--flag': takes no value", NULL,
     NULL, 0, false, 0},
    {"no number", {"--number", "3x"}, RAG_EINVAL, "--number '3x': not a number", NULL, NULL, 0,
     false, 0},
    {"an empty number", {"--number="}, RAG_EINVAL, "not a number", NULL, NULL, 0, false, 0},
    {"a number over the limit", {"--number", "11"}, RAG_EINVAL,
     "'11': must be a number from 0 to 10", NULL, NULL, 0, false, 0},
    {"a number below the limit", {"--number", "-1"}, RAG_EINVAL, "from 0 to 10", NULL, NULL, 0,
     false, 0},
    {"a number that overflows", {"--number", "99999999999999999999"}, RAG_EINVAL, "from 0 to 10",
     NULL, NULL, 0, false, 0},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {0};
    struct ragctl_list list = {0};
    const char *text = "-";
    int64_t number = 7;
    bool flag = false;
    const struct ragctl_arg args[] = {
        {.name = "--number", .number = &number, .min = 0, .max = 10},
        {.name = "--text",         .text = &text                         },
        {.name = "--flag",.flag = &flag},
        {.name = "--item",         .list = &list                                     },
    };
    char *argv[10] = {(char *)(uintptr_t) "command"};
    char *words[10];
    char joined[128] = "";
    int argc = 1;
    int n_words = -1;

    for (size_t i = 0; i < COUNT(row->argv) && row->argv[i]; i++)
        argv[argc++] = (char *)(uintptr_t)row->argv[i];
    assert_int_equal(ragctl_args_parse(args, COUNT(args), argc, argv, words, &n_words, &error),
                     row->want);
    if (row->want != RAG_OK) {
        assert_non_null(strstr(error.text, row->message));
        assert_int_equal(n_words, -1);
        return;
    }
    for (int i = 0; i < n_words; i++) {
        strcat(joined, i > 0 ? "|" : "");
        strcat(joined, words[i]);
    }
    assert_string_equal(joined, row->words);
    assert_string_equal(text, row->text);
    assert_int_equal(number, row->number);
    assert_int_equal(flag, row->flag);
    assert_int_equal(list.n, row->n_list);
}

static void repeats_are_bounded(void **state)
{
    struct rag_error error = {0};
    struct ragctl_list list = {0};
    const struct ragctl_arg args[] = {
        {.name = "--item", .list = &list}
    };
    char *argv[METADATA_KEYS_MAX + 2];
    char *words[METADATA_KEYS_MAX + 2];
    int n_words = 0;

    (void)state;
    argv[0] = (char *)(uintptr_t) "command";
    for (size_t i = 1; i < COUNT(argv); i++)
        argv[i] = (char *)(uintptr_t) "--item=x";
    assert_int_equal(
        ragctl_args_parse(args, 1, METADATA_KEYS_MAX + 1, argv, words, &n_words, &error), RAG_OK);
    list.n = 0;
    assert_int_equal(
        ragctl_args_parse(args, 1, METADATA_KEYS_MAX + 2, argv, words, &n_words, &error),
        RAG_EINVAL);
    assert_non_null(strstr(error.text, "more than 64 times"));
}

static void shared_options_are_taken_out(void **state)
{
    const char *line[] = {"ragctl", "ask",     "--json", "-s",          "/s", "hello", "-c",
                          "kb",     "--top-k", "3",      "--timeout=9", "--", "--json"};
    char *argv[COUNT(line) + 1] = {0};
    struct ragctl_options options;
    struct rag_error error = {0};
    int argc = COUNT(line);
    bool help = true;

    (void)state;
    for (size_t i = 0; i < COUNT(line); i++)
        argv[i] = (char *)(uintptr_t)line[i];
    assert_int_equal(ragctl_options_take(&argc, argv, &options, &help, &error), RAG_OK);
    assert_int_equal(argc, 7);
    assert_string_equal(argv[1], "ask");
    assert_string_equal(argv[2], "hello");
    assert_string_equal(argv[3], "--top-k");
    assert_string_equal(argv[5], "--");
    assert_string_equal(argv[6], "--json");
    assert_true(options.json);
    assert_true(options.socket_given);
    assert_false(help);
    assert_string_equal(options.socket_path, "/s");
    assert_string_equal(options.collection, "kb");
    assert_int_equal(options.timeout_ms, 9000);
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    for (const struct ragctl_command *c = ragctl_command_table(); c->name; c++) {
        assert_int_equal(strncmp(c->usage, c->name, strlen(c->name)), 0);
        assert_true(strlen(c->summary) > 5);
        assert_ptr_equal(ragctl_command_find(c->name), c);
        for (const char *line = c->help; *line; line = strchr(line, '\n') + 1)
            assert_true(strcspn(line, "\n") < 80);
    }
    assert_null(ragctl_command_find("nothing"));
}

static void a_verb_is_found_or_all_are_named(void **state)
{
    static const char *const verbs[] = {"list", "show"};
    char *words[] = {(char *)(uintptr_t) "show"};
    char *bad[] = {(char *)(uintptr_t) "shew"};
    struct rag_error error = {0};
    const char *verb = NULL;

    (void)state;
    assert_int_equal(ragctl_args_verb(verbs, 2, "audit", words, 1, &verb, &error), RAG_OK);
    assert_string_equal(verb, "show");
    assert_int_equal(ragctl_args_verb(verbs, 2, "audit", bad, 1, &verb, &error), RAG_EINVAL);
    assert_string_equal(error.text, "audit 'shew': not one of list, show");
    assert_int_equal(ragctl_args_verb(verbs, 2, "audit", NULL, 0, &verb, &error), RAG_EINVAL);
    assert_string_equal(error.text, "audit: needs one of list, show");
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 4] = {
        cmocka_unit_test(repeats_are_bounded),
        cmocka_unit_test(shared_options_are_taken_out),
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(a_verb_is_found_or_all_are_named),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 4] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_args", tests, NULL, NULL);
}
