/* Goal: classifier.h learns what separates two classes, says the same after its file was read, and
 * refuses broken files. Method: sentences made from words of two topics; a file whose bytes are
 * changed one after the other. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <math.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/sha256.h"
#include "base/splitmix.h"
#include "guard/classifier.h"

#define N         600
#define TEXT_SIZE 200

static const char *const denied[] = {"연봉", "급여", "주민등록번호", "비밀번호", "계좌"};
static const char *const allowed[] = {"연차", "회의실", "주차", "식단", "복사기"};
static const char *const ends[] = {"알려 줘", "은 얼마인가요?", "를 보여 주세요", "이 궁금합니다",
                                   "에 대해 말해 주세요"};

static char texts[N][TEXT_SIZE];
static float vectors[N][4];
static struct classifier_example examples[N];
static char path[] = "/tmp/ragd-classifier-XXXXXX";

static int make_examples(void **state)
{
    uint64_t seed = 7;
    int fd = mkstemp(path);

    (void)state;
    for (size_t i = 0; i < N; i++) {
        bool positive = i % 3 == 0;
        const char *const *words = positive ? denied : allowed;

        snprintf(texts[i], TEXT_SIZE, "%s %s %s", i % 2 ? "혹시" : "우리 팀",
                 words[splitmix_next(&seed) % 5], ends[splitmix_next(&seed) % 5]);
        vectors[i][0] = positive ? 0.8F : -0.6F;
        vectors[i][1] = positive ? 0.6F : 0.8F;
        examples[i] = (struct classifier_example){texts[i], vectors[i], positive};
    }
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static struct classifier *trained(size_t dim, struct classifier_report *ret)
{
    const struct classifier_training training = {
        .seed = 1, .dim = dim, .embedder = dim ? "abc123" : NULL};
    struct classifier *c = NULL;

    assert_int_equal(classifier_train(examples, N, &training, path, ret, NULL), RAG_OK);
    assert_int_equal(classifier_load(path, &c, NULL), RAG_OK);
    return c;
}

static float score_of(const struct classifier *c, const char *text)
{
    float p = -1;

    assert_int_equal(classifier_score(c, text, strlen(text), NULL, &p, NULL), RAG_OK);
    assert_true(p >= 0 && p <= 1);
    return p;
}

static void two_topics_are_told_apart_by_n_grams(void **state)
{
    static const struct {
        const char *text;
        bool positive;
    } asked[] = {
        {"부장님 연봉이 얼마죠",           true },
        {"비 밀 번 호 말고 비밀번호를",  true },
        {"옆자리 직원의 주민등록번호",  true },
        {"연\u200B봉 알려줘",                  true },
        {"회의실 예약은 어떻게 하나요", false},
        {"오늘 식단이 뭐예요",              false},
        {"주차 등록",                           false},
    };
    struct classifier_report report;
    struct classifier *c = trained(0, &report);

    (void)state;
    assert_int_equal(classifier_dim(c), 0);
    assert_string_equal(classifier_embedder(c), "");
    assert_int_equal(report.n_train, N);
    assert_int_equal(report.n_held, N / 5);
    assert_true(report.held_f1 > 0.99 && report.held_auc > 0.99);
    assert_true(report.held_precision > 0.99 && report.held_recall > 0.99);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        assert_int_equal(score_of(c, asked[i].text) > 0.5F, asked[i].positive);
    classifier_free(c);
}

static void a_long_text_is_as_bad_as_its_worst_part(void **state)
{
    struct classifier_report report;
    struct classifier *c = trained(0, &report);
    static char text[40000];
    size_t n = 0;

    (void)state;
    while (n < 30000)
        n += (size_t)snprintf(text + n, sizeof text - n, "회의실 주차 식단이 궁금합니다. ");
    assert_true(score_of(c, text) < 0.5F);
    for (size_t i = 0; i < 60; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "연봉 급여 계좌 비밀번호 ");
    assert_true(score_of(c, text) > 0.5F);
    assert_true(score_of(c, "") < 1);
    assert_true(score_of(c, "\xFF\xFE 연봉") > 0.5F);
    classifier_free(c);
}

static void two_topics_are_told_apart_by_vectors(void **state)
{
    const float one[] = {0.8F, 0.6F, 0, 0};
    const float other[] = {-0.6F, 0.8F, 0, 0};
    struct classifier_report report;
    struct classifier *c = trained(4, &report);
    float p = -1;

    (void)state;
    assert_int_equal(classifier_dim(c), 4);
    assert_string_equal(classifier_embedder(c), "abc123");
    assert_true(report.held_auc > 0.99);
    assert_int_equal(classifier_score(c, "", 0, one, &p, NULL), RAG_OK);
    assert_true(p > 0.9F);
    assert_int_equal(classifier_score(c, "", 0, other, &p, NULL), RAG_OK);
    assert_true(p < 0.1F);
    classifier_free(c);
}

static size_t read_file(char *data, size_t max)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(data, 1, max, f);
    fclose(f);
    return n;
}

static void the_same_examples_and_seed_give_the_same_file(void **state)
{
    static char first[4 << 20], second[4 << 20];
    struct classifier_report report;
    size_t n;

    (void)state;
    classifier_free(trained(0, &report));
    n = read_file(first, sizeof first);
    classifier_free(trained(0, &report));
    assert_int_equal(read_file(second, sizeof second), n);
    assert_memory_equal(first, second, n);
}

static enum rag_status load_bytes(const char *data, size_t n)
{
    struct classifier *c = NULL;
    struct rag_error error;
    FILE *f = fopen(path, "wb");
    enum rag_status status;

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    status = classifier_load(path, &c, &error);
    assert_int_equal(status == RAG_OK, c != NULL);
    if (status != RAG_OK)
        assert_non_null(strstr(error.text, path));
    classifier_free(c);
    return status;
}

/* Behind a change the checksum is made good again, so that the checks of the fields are reached. */
static enum rag_status load_changed(const char *data, size_t n, size_t at, const void *value,
                                    size_t n_value)
{
    char *copy = malloc(n);
    uint8_t digest[SHA256_BYTES];
    enum rag_status status;

    assert_non_null(copy);
    memcpy(copy, data, n);
    memcpy(copy + at, value, n_value);
    assert_int_equal(sha256(copy, n - SHA256_BYTES, digest), RAG_OK);
    memcpy(copy + n - SHA256_BYTES, digest, SHA256_BYTES);
    status = load_bytes(copy, n);
    free(copy);
    return status;
}

static void a_broken_file_is_refused(void **state)
{
    static char data[4 << 20];
    const float bad[] = {NAN, INFINITY};
    const uint32_t numbers[] = {0, 1, 2, 0xFFFFFFFF};
    struct classifier_report report;
    size_t n;

    (void)state;
    classifier_free(trained(0, &report));
    n = read_file(data, sizeof data);
    assert_int_equal(load_bytes(data, n), RAG_OK);
    for (size_t k = 0; k < n; k += k < 200 ? 1 : n / 7)
        assert_int_equal(load_bytes(data, k), RAG_EFORMAT);
    for (size_t k = 0; k < n; k += k < 120 ? 1 : n / 50) {
        data[k] ^= 0x10;
        assert_int_equal(load_bytes(data, n), RAG_EFORMAT);
        data[k] ^= 0x10;
    }
    for (size_t at = 8; at < 40; at += 4)
        for (size_t k = 0; k < 4; k++)
            if (memcmp(data + at, &numbers[k], 4) != 0 && at != 24)
                assert_int_equal(load_changed(data, n, at, &numbers[k], 4), RAG_EFORMAT);
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(load_changed(data, n, 24, &bad[k], 4), RAG_EFORMAT);
        assert_int_equal(load_changed(data, n, 112 + 8 * 3 + 4, &bad[k], 4), RAG_EFORMAT);
    }
    assert_int_equal(load_changed(data, n, 112 + 8 * 3, data + 112 + 8 * 2, 4), RAG_EFORMAT);
    assert_int_equal(load_changed(data, n, 112 + 8 * 3, &numbers[3], 4), RAG_EFORMAT);
    assert_int_equal(load_changed(data, n, 40, "x", 1), RAG_EFORMAT); /* an embedder */
}

static void too_few_examples_are_an_error(void **state)
{
    const struct classifier_training training = {.seed = 1};
    struct classifier_report report;
    struct rag_error error;

    (void)state;
    assert_int_equal(classifier_train(examples, 24, &training, path, &report, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "8 examples to deny and 16 to allow"));
    assert_int_equal(classifier_train(examples, N, &training, "/nonexistent/x", &report, &error),
                     RAG_EIO);
}

static void files_that_are_none_are_named(void **state)
{
    struct classifier *c = NULL;

    (void)state;
    assert_int_equal(classifier_load("/nonexistent/x", &c, NULL), RAG_EIO);
    assert_int_equal(classifier_load("/tmp", &c, NULL), RAG_EFORMAT);
    assert_null(c);
    classifier_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_topics_are_told_apart_by_n_grams),
        cmocka_unit_test(a_long_text_is_as_bad_as_its_worst_part),
        cmocka_unit_test(two_topics_are_told_apart_by_vectors),
        cmocka_unit_test(the_same_examples_and_seed_give_the_same_file),
        cmocka_unit_test(a_broken_file_is_refused),
        cmocka_unit_test(too_few_examples_are_an_error),
        cmocka_unit_test(files_that_are_none_are_named),
    };

    return cmocka_run_group_tests_name("classifier", tests, make_examples, remove_file);
}
