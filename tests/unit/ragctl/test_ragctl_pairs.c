/* Pairs made of a sample: what is asked, what is taken out, who learns and who measures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/pair_text.h"
#include "daemon/ragctl/ragctl_pairs.h"

#define DOCUMENTS 60
#define PER_DOC   4
#define CHUNKS    (DOCUMENTS * PER_DOC)

static struct chunk_sample chunks[CHUNKS];
static char texts[CHUNKS][512];
static char headings[CHUNKS][96];
static char names[DOCUMENTS][16];
static char titles[DOCUMENTS][64];

static const char *const sections[PER_DOC] = {"개요", "정기 점검 순서", "고장 신고와 처리", ""};

static void make(void)
{
    for (size_t d = 0; d < DOCUMENTS; d++) {
        snprintf(names[d], sizeof names[d], "d%02zu.md", d);
        snprintf(titles[d], sizeof titles[d], "펌프 %zu호기 운전 지침", d);
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        size_t d = i / PER_DOC;
        const char *section = sections[i % PER_DOC];

        /* the second and third section of each document have names of their own */
        snprintf(headings[i], sizeof headings[i], "%s%s%s%s", titles[d], section[0] ? " > " : "",
                 section, i % PER_DOC == 1 || i % PER_DOC == 2 ? titles[d] + strlen("펌프") : "");
        snprintf(texts[i], sizeof texts[i],
                 "%s\n%zu번 절에서는 밸브와 배관의 상태를 순서대로 확인한다. 압력은 %zu기압을 넘지 "
                 "않아야 하고 온도는 매시간 기록한다. 이상이 있으면 %zu번 담당자에게 바로 알리고 "
                 "운전을 멈춘다. 점검표는 다섯 해 동안 보관한다.",
                 i % PER_DOC == 0 ? titles[d] : "", i, i + 100, i + 1000);
        chunks[i] = (struct chunk_sample){.id = i + 1,
                                          .document = names[d],
                                          .title = titles[d],
                                          .heading = headings[i],
                                          .text = texts[i],
                                          .text_bytes = strlen(texts[i])};
    }
}

static void test_what_is_asked_is_taken_out(void **state)
{
    struct arena arena;
    struct pairs p;
    size_t n_prefixed = 0;

    (void)state;
    make();
    arena_init(&arena, 64u << 20);
    assert_int_equal(ragctl_pairs_make(chunks, CHUNKS, 1000, 42, &arena, &p, NULL), RAG_OK);
    assert_true(p.n > 100 && p.n_documents == DOCUMENTS);
    for (int k = 0; k < N_PAIR_KINDS; k++)
        assert_true(p.n_of[k] > 5);
    for (size_t i = 0; i < p.n; i++) {
        const struct pair *q = &p.items[i];
        struct pair_passage passage;

        assert_int_equal(ragctl_pairs_passage(&p, q->chunk, &passage, NULL), RAG_OK);
        assert_false(pair_text_says(passage.text, q->cut));
        assert_false(pair_text_says(passage.heading, q->cut));
        assert_false(pair_text_says(passage.title, q->cut));
        assert_true(strlen(passage.text) > 80);
        assert_true(q->gold_first <= q->chunk && q->chunk <= q->gold_last);
        assert_true(q->gold_first / PER_DOC == q->document);
        assert_true(q->gold_last / PER_DOC == q->document);
        if (q->kind == PAIR_TITLE)
            assert_true(q->gold_last - q->gold_first == PER_DOC - 1);
        if (q->kind == PAIR_HEADING && strcmp(q->cut, "개요") == 0) {
            n_prefixed++;
            assert_non_null(strstr(q->text, titles[q->document]));
            assert_non_null(strstr(passage.title, titles[q->document]));
        }
        for (size_t k = 0; k < i; k++)
            if (strcmp(p.items[k].text, q->text) == 0)
                fail_msg("asked twice: %s", q->text);
    }
    assert_true(n_prefixed > 0);
    arena_release(&arena);
}

static void test_whole_documents_learn_or_measure(void **state)
{
    bool measures[DOCUMENTS];
    bool seen[DOCUMENTS] = {false};
    struct arena arena;
    struct pairs p;

    (void)state;
    make();
    arena_init(&arena, 64u << 20);
    assert_int_equal(ragctl_pairs_make(chunks, CHUNKS, 1000, 7, &arena, &p, NULL), RAG_OK);
    assert_int_equal(p.n_learn + p.n_measure, p.n);
    assert_in_range(p.n_measure, p.n * 4 / 10, p.n * 6 / 10);
    for (size_t i = 0; i < p.n; i++) {
        const struct pair *q = &p.items[i];

        if (seen[q->document])
            assert_int_equal(measures[q->document], q->measures);
        seen[q->document] = true;
        measures[q->document] = q->measures;
    }
    arena_release(&arena);
}

static void test_a_seed_gives_the_same_pairs(void **state)
{
    struct arena arena;
    struct pairs a;
    struct pairs b;
    struct pairs c;
    size_t n_other = 0;

    (void)state;
    make();
    arena_init(&arena, 64u << 20);
    assert_int_equal(ragctl_pairs_make(chunks, CHUNKS, 50, 1, &arena, &a, NULL), RAG_OK);
    assert_int_equal(ragctl_pairs_make(chunks, CHUNKS, 50, 1, &arena, &b, NULL), RAG_OK);
    assert_int_equal(ragctl_pairs_make(chunks, CHUNKS, 50, 2, &arena, &c, NULL), RAG_OK);
    assert_true(a.n == 50 && b.n == 50 && c.n == 50);
    for (size_t i = 0; i < a.n; i++) {
        assert_string_equal(a.items[i].text, b.items[i].text);
        assert_int_equal(a.items[i].measures, b.items[i].measures);
        n_other += strcmp(a.items[i].text, c.items[i].text) != 0;
    }
    assert_true(n_other > 25);
    arena_release(&arena);
}

static void test_of_nothing_nothing_is_made(void **state)
{
    struct chunk_sample poor[2] = {
        {.id = 1, .document = "a", .title = "",  .heading = "",  .text = "",        .text_bytes = 0},
        {.id = 2, .document = "b", .title = "x", .heading = "y", .text = "짧다.", .text_bytes = 7},
    };
    struct arena arena;
    struct pairs p;

    (void)state;
    arena_init(&arena, 1u << 20);
    assert_int_equal(ragctl_pairs_make(poor, 2, 100, 1, &arena, &p, NULL), RAG_OK);
    assert_int_equal(p.n, 0);
    assert_int_equal(ragctl_pairs_make(poor, 0, 100, 1, &arena, &p, NULL), RAG_OK);
    assert_int_equal(p.n, 0);
    arena_release(&arena);
}

static void test_last_heading(void **state)
{
    (void)state;
    assert_string_equal(ragctl_pairs_last_heading("A > B > C"), "C");
    assert_string_equal(ragctl_pairs_last_heading("A"), "A");
    assert_string_equal(ragctl_pairs_last_heading(""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_is_taken_out),
        cmocka_unit_test(test_whole_documents_learn_or_measure),
        cmocka_unit_test(test_a_seed_gives_the_same_pairs),
        cmocka_unit_test(test_of_nothing_nothing_is_made),
        cmocka_unit_test(test_last_heading),
    };

    return cmocka_run_group_tests_name("ragctl_pairs", tests, NULL, NULL);
}
