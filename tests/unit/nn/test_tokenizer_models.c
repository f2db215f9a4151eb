/* Goal: whole model directories tokenize as the reference does: single texts, pairs, types and
 * truncation. Method: the token ids recorded beside the small models of tests/data/models, which
 * the official library made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "nn/tokenizer.h"

static char *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    long n;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    rewind(f);
    data = malloc((size_t)n + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    data[n] = '\0';
    fclose(f);
    *ret_n = (size_t)n;
    return data;
}

static void check_numbers(const char *what, const struct json *want, size_t i, double got,
                          size_t line)
{
    const struct json *node = json_first(want);

    while (i-- > 0)
        node = json_next(node);
    if (json_number(node) != got)
        fail_msg("line %zu: %s: %g, not %g", line, what, got, json_number(node));
}

static void check_record(const struct tokenizer *t, const struct json *r, struct token_list *list,
                         size_t line)
{
    const struct json *ids = json_member(r, "token_ids");
    const struct json *types = json_member(r, "type_ids");
    const char *text = json_string(json_member(r, "text"));
    const char *pair = json_string(json_member(r, "pair"));
    struct tokenize_options options = {.special = true};
    struct rag_error error = {RAG_OK, ""};
    int64_t max = 0;

    assert_int_equal(json_get_int(r, "max_length", 0, 100000, &max, &error), RAG_OK);
    options.max_tokens = (size_t)max;
    if (tokenizer_encode(t, text, strlen(text), pair, pair ? strlen(pair) : 0, &options, list,
                         &error) != RAG_OK)
        fail_msg("line %zu: %s", line, error.text);
    if (list->n != json_size(ids))
        fail_msg("line %zu: %zu tokens, not %zu", line, list->n, json_size(ids));
    for (size_t i = 0; i < list->n; i++) {
        check_numbers("id", ids, i, list->ids[i], line);
        if (types)
            check_numbers("type", types, i, list->types[i], line);
    }
}

static void check_model(const char *name)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    char path[512];
    size_t n;
    size_t line = 0;
    char *text;

    snprintf(path, sizeof path, "%s/models/%s", RAG_TEST_DATA, name);
    if (tokenizer_open(path, &t, &error) != RAG_OK)
        fail_msg("%s", error.text);
    snprintf(path, sizeof path, "%s/models/%s.jsonl", RAG_TEST_DATA, name);
    text = read_file(path, &n);
    for (char *p = text; p < text + n;) {
        char *end = memchr(p, '\n', (size_t)(text + n - p));
        struct json *record = NULL;

        assert_non_null(end);
        line++;
        assert_int_equal(json_parse(p, (size_t)(end - p), path, &record, &error), RAG_OK);
        check_record(t, record, &list, line);
        json_free(record);
        p = end + 1;
    }
    assert_true(line >= 8);
    token_list_release(&list);
    tokenizer_close(t);
    free(text);
}

static void test_wordpiece(void **state)
{
    (void)state;
    check_model("tiny-bert-ce");
}

static void test_byte_level_bpe(void **state)
{
    (void)state;
    check_model("tiny-roberta-ce");
}

static void test_unigram_with_charsmap(void **state)
{
    (void)state;
    check_model("tiny-xlmr-ce");
}

static void test_unigram_with_nfkc(void **state)
{
    (void)state;
    check_model("tiny-xlmr-embed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wordpiece),
        cmocka_unit_test(test_byte_level_bpe),
        cmocka_unit_test(test_unigram_with_charsmap),
        cmocka_unit_test(test_unigram_with_nfkc),
    };

    return cmocka_run_group_tests_name("tokenizer models", tests, NULL, NULL);
}
