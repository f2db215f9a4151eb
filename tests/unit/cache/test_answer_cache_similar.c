/* Goal: another question gets an answer only when it is similar enough, confirmed, within the same
 * partition and true; and reports of people narrow that down. Method: questions with chosen vectors
 * or with the analyzer's terms. */
#include "cache_fixture.h"

#include <math.h>

#include "base/bounds.h"

/* A vector of length 1 at this cosine to (1, 0, 0, 0). */
static void at_cosine(float cosine, float ret[CACHE_DIM])
{
    memset(ret, 0, CACHE_DIM * sizeof *ret);
    ret[0] = cosine;
    ret[1] = sqrtf(1 - cosine * cosine);
}

static const float north[CACHE_DIM] = {1, 0, 0, 0};

static enum cache_verdict find_at(const struct cache_test *t, const struct cache_key *key,
                                  float cosine, const struct confirm_pair *pair,
                                  struct answer_cached *ret)
{
    enum cache_verdict verdict = CACHE_MISS;
    float vector[CACHE_DIM];
    struct cache_meaning meaning = {.vector = vector, .dim = CACHE_DIM};

    at_cosine(cosine, vector);
    assert_int_equal(answer_cache_find_similar(t->cache, key, &meaning, pair, &verdict, ret, NULL),
                     RAG_OK);
    return verdict;
}

static enum cache_verdict look_at(const struct cache_test *t, const struct cache_key *key,
                                  float cosine)
{
    struct answer_cached a = {0};
    enum cache_verdict verdict = find_at(t, key, cosine, NULL, &a);

    answer_cached_release(&a);
    return verdict;
}

/* The words decide nothing here: both questions have the same ones. */
#define ASKED "대한민국의 수도는 어디인가"
#define AGAIN "수도는 대한민국의 어디인가"

static void a_similar_question_gets_the_answer_from_the_threshold_on(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    struct answer_cache_stats stats;
    struct answer_cached a = {0};

    put_ok(&t->f, "x", "abc");
    put_answer(t, &asked, &(struct answer){.documents = "x", .vector = north});
    assert_int_equal(look(t, &again), CACHE_MISS);
    assert_int_equal(look_at(t, &again, 0.79F), CACHE_MISS);
    assert_int_equal(find_at(t, &again, 0.81F, NULL, &a), CACHE_HIT);
    assert_int_equal(a.kind, CACHE_SEMANTIC);
    assert_true(fabsf(a.similarity - 0.81F) < 0.001F);
    assert_true(a.threshold == 0.8);
    assert_string_equal(a.question, ASKED);
    answer_cached_release(&a);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.semantic_hits, 1);
    assert_int_equal(stats.misses, 0); /* one was looked for, and found in the end */
}

static void nothing_similar_crosses_scope_settings_or_collection(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    struct cache_key keys[] = {
        cache_key_of(t->f.collection, 'v', 's', AGAIN),
        cache_key_of(t->f.collection, 'u', 't', AGAIN),
        cache_key_of(t->f.collection, 's', 'u', AGAIN),
        cache_key_of(other, 'u', 's', AGAIN),
    };

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(look_at(t, &keys[i], 1), CACHE_MISS);
    assert_int_equal(look_at(t, &again, 1), CACHE_HIT);
}

static void the_words_have_to_agree(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, "2023년 매출은 얼마인가");
    struct cache_key other_year = key_of(t, "2024년 매출은 얼마인가");
    struct answer_cache_stats stats;

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(look_at(t, &other_year, 0.99F), CACHE_MISS);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.unconfirmed, 1);
    assert_int_equal(stats.n, 1);
}

static enum rag_status score_of(void *context, const char *a, const char *b, float *ret,
                                struct rag_error *reterr)
{
    const float *score = context;

    assert_string_equal(a, AGAIN);
    assert_string_equal(b, ASKED);
    if (*score < 0)
        return rag_fail(reterr, RAG_EBUSY, "no turn");
    *ret = *score;
    return RAG_OK;
}

static void the_model_of_pairs_has_the_last_word(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    struct answer_cached a = {0};
    float score = 0.4F;
    struct confirm_pair pair = {score_of, &score, 0.5F};
    struct cache_meaning meaning = {.vector = north, .dim = CACHE_DIM};
    enum cache_verdict verdict = CACHE_HIT;

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(find_at(t, &again, 1, &pair, &a), CACHE_MISS);
    score = 0.5F;
    assert_int_equal(find_at(t, &again, 1, &pair, &a), CACHE_HIT);
    answer_cached_release(&a);
    score = -1;
    assert_int_equal(
        answer_cache_find_similar(t->cache, &again, &meaning, &pair, &verdict, &a, NULL),
        RAG_EBUSY);
}

static void the_best_one_that_is_true_is_given(void **state)
{
    struct cache_test *t = *state;
    struct cache_key again = key_of(t, AGAIN);
    struct answer_cached a = {0};
    char question[128];
    float vector[CACHE_DIM];

    put_ok(&t->f, "x", "abc");
    put_ok(&t->f, "y", "abc");
    t->options.expiry = CACHE_EXPIRE_TTL;
    cache_reopen(t);
    for (int i = 0; i < 12; i++) {
        struct cache_key key;

        /* the same words in other orders and punctuation, so that all are confirmed */
        snprintf(question, sizeof question, "%s%.*s", ASKED, i, "!!!!!!!!!!!!");
        key = key_of(t, question);
        at_cosine(1 - 0.01F * (float)i, vector);
        put_answer(t, &key, &(struct answer){.documents = i < 3 ? "x" : "y", .vector = vector});
    }
    assert_int_equal(find_at(t, &again, 1, NULL, &a), CACHE_HIT);
    assert_true(a.similarity > 0.999F);
    answer_cached_release(&a);
    put_ok(&t->f, "x", "abd");
    assert_int_equal(find_at(t, &again, 1, NULL, &a), CACHE_HIT);
    assert_true(fabsf(a.similarity - 0.97F) < 0.001F);
    answer_cached_release(&a);
}

static void a_refusal_is_for_its_own_question(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north, .refused = true});
    assert_int_equal(look_at(t, &again, 1), CACHE_MISS);
    assert_int_equal(look(t, &asked), CACHE_HIT);
}

static void a_vector_of_another_size_is_no_match(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    enum cache_verdict verdict = CACHE_HIT;
    struct answer_cached a = {0};
    float large[200] = {1};
    struct cache_meaning meaning = {.vector = large, .dim = COUNT(large)};

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(
        answer_cache_find_similar(t->cache, &again, &meaning, NULL, &verdict, &a, NULL), RAG_OK);
    assert_int_equal(verdict, CACHE_MISS);
}

static void a_vector_without_a_number_is_no_match(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    const float bad[CACHE_DIM] = {NAN, 0, 0, 0};

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = bad});
    assert_int_equal(look_at(t, &again, 1), CACHE_MISS);
}

/* Every row is compared, whatever went and moved. */
static void rows_that_move_are_still_found(void **state)
{
    struct cache_test *t = *state;
    char question[128];
    float vector[CACHE_DIM];

    put_ok(&t->f, "x", "abc");
    put_ok(&t->f, "y", "abc");
    for (int i = 0; i < 40; i++) {
        struct cache_key key;

        snprintf(question, sizeof question, "%s%.*s", ASKED, i,
                 "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!");
        key = key_of(t, question);
        at_cosine(cosf((float)i * 0.05F), vector);
        put_answer(t, &key, &(struct answer){.documents = i % 3 ? "x" : "y", .vector = vector});
    }
    assert_int_equal(answer_cache_document_changed(t->cache, t->f.collection, "x"), 26);
    for (int i = 0; i < 40; i += 3) {
        struct cache_key again = key_of(t, AGAIN);
        struct answer_cached a = {0};

        assert_int_equal(find_at(t, &again, cosf((float)i * 0.05F), NULL, &a), CACHE_HIT);
        assert_int_equal(strlen(a.question), strlen(ASKED) + (size_t)i);
        answer_cached_release(&a);
    }
}

/* ---- terms ---- */

static void put_by_terms(struct cache_test *t, const char *question)
{
    struct cache_key key = key_of(t, question);
    struct term_list terms = {0};
    float idf[QUERY_TERMS_MAX];
    struct cache_meaning meaning = {.terms = &terms, .idf = idf};
    struct cache_put put = {
        .question = question,
        .meaning = &meaning,
        .payload = question,
        .payload_bytes = strlen(question),
    };

    for (size_t i = 0; i < COUNT(idf); i++)
        idf[i] = 2;
    assert_int_equal(analyzer_question(t->analyzer, question, strlen(question), &terms), RAG_OK);
    assert_int_equal(answer_cache_put(t->cache, &key, &put, NULL), RAG_OK);
    term_list_release(&terms);
}

static enum cache_verdict find_by_terms(struct cache_test *t, const char *question,
                                        struct answer_cached *ret)
{
    struct cache_key key = key_of(t, question);
    struct term_list terms = {0};
    float idf[QUERY_TERMS_MAX];
    struct cache_meaning meaning = {.terms = &terms, .idf = idf};
    enum cache_verdict verdict = CACHE_MISS;

    for (size_t i = 0; i < COUNT(idf); i++)
        idf[i] = 2;
    assert_int_equal(analyzer_question(t->analyzer, question, strlen(question), &terms), RAG_OK);
    assert_int_equal(answer_cache_find_similar(t->cache, &key, &meaning, NULL, &verdict, ret, NULL),
                     RAG_OK);
    term_list_release(&terms);
    return verdict;
}

static void without_a_model_terms_are_compared(void **state)
{
    static const char *const questions[] = {
        "대한민국의 수도는 어디인가", "연차 휴가는 며칠인가",      "회의실 예약은 어떻게 하나",
        "출장비 한도는 얼마인가",     "재택 근무는 누가 승인하나", "보안 카드는 어디서 받나",
        "식대 지원은 언제 시작하나",  "교육비 신청은 왜 거절되나",
    };
    struct cache_test *t = *state;
    struct answer_cached a = {0};

    for (size_t i = 0; i < COUNT(questions); i++)
        put_by_terms(t, questions[i]);
    assert_int_equal(find_by_terms(t, "수도는 대한민국의 어디인가", &a), CACHE_HIT);
    assert_string_equal(a.payload, questions[0]);
    answer_cached_release(&a);
    assert_int_equal(find_by_terms(t, "연차 휴가는 며칠인가요", &a), CACHE_HIT);
    assert_string_equal(a.payload, questions[1]);
    answer_cached_release(&a);
    assert_int_equal(find_by_terms(t, "프랑스의 수도는 어디인가", &a), CACHE_MISS);
    assert_int_equal(find_by_terms(t, "?", &a), CACHE_MISS);
}

/* The bound by sketches leaves out nothing that a comparison of all would find. */
static void sketches_lose_nothing(void **state)
{
    struct cache_test *t = *state;
    char question[128];

    t->options.threshold = 0.3;
    t->options.error_bound = 1;
    t->options.entries_max = 2000;
    cache_reopen(t);
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(question, sizeof question, "word%u other%u thing%u", i, i / 2, i / 3);
        put_by_terms(t, question);
    }
    for (unsigned i = 0; i < 1500; i += 97) {
        struct answer_cached a = {0};
        char want[64];

        snprintf(want, sizeof want, "word%u other%u thing%u", i, i / 2, i / 3);
        snprintf(question, sizeof question, "thing%u other%u word%u", i / 3, i / 2, i);
        assert_int_equal(find_by_terms(t, question, &a), CACHE_HIT);
        assert_string_equal(a.question, want);
        answer_cached_release(&a);
    }
}

/* ---- what people report ---- */

static enum rag_status report(struct cache_test *t, const struct cache_hit *hit, bool correct)
{
    return answer_cache_feedback(t->cache, hit, NULL, correct, NULL);
}

static void a_false_answer_of_its_own_question_goes(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct answer_cache_stats stats;
    struct cache_hit hit;

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    asked.request_id = "r-1";
    assert_int_equal(look(t, &asked), CACHE_HIT);
    assert_int_equal(answer_cache_hit(t->cache, 0, "r-1", &hit, NULL), RAG_OK);
    assert_int_equal(hit.kind, CACHE_EXACT);
    assert_int_equal(hit.collection_id, t->f.collection);
    assert_int_equal(report(t, &hit, true), RAG_OK);
    assert_int_equal(look(t, &asked), CACHE_HIT);
    assert_int_equal(report(t, &hit, false), RAG_OK);
    assert_int_equal(look(t, &asked), CACHE_MISS);
    assert_int_equal(report(t, &hit, false), RAG_ENOTFOUND);
    assert_int_equal(answer_cache_hit(t->cache, 0, "r-1", &hit, NULL), RAG_ENOTFOUND);
    answer_cache_stats(t->cache, &stats);
    assert_int_equal(stats.false_hits, 1);
    assert_int_equal(stats.correct_hits, 1);
    assert_true(answer_cache_threshold(t->cache, t->f.collection) == 0.8);
}

static void a_false_answer_of_another_question_is_not_given_to_it_again(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key again = key_of(t, AGAIN);
    struct cache_hit hit;

    t->options.error_bound = 0.5; /* one report changes no collection's threshold */
    cache_reopen(t);
    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    again.request_id = "r-2";
    assert_int_equal(look_at(t, &again, 0.9F), CACHE_HIT);
    assert_int_equal(answer_cache_hit(t->cache, 0, "r-2", &hit, NULL), RAG_OK);
    assert_int_equal(hit.kind, CACHE_SEMANTIC);
    assert_true(fabsf(hit.similarity - 0.9F) < 0.001F);
    assert_int_equal(report(t, &hit, false), RAG_OK);
    assert_int_equal(look_at(t, &again, 0.9F), CACHE_MISS);
    assert_int_equal(look_at(t, &again, 0.85F), CACHE_MISS);
    assert_int_equal(look_at(t, &again, 0.95F), CACHE_HIT);
    assert_int_equal(look(t, &asked), CACHE_HIT);
    /* made anew it is known again */
    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(look_at(t, &again, 0.9F), CACHE_MISS);
    assert_int_equal(look_at(t, &again, 0.95F), CACHE_HIT);
}

static void false_reports_raise_the_collections_threshold(void **state)
{
    struct cache_test *t = *state;
    int64_t other = make_collection(t->f.store, "other");
    struct cache_key asked = key_of(t, ASKED);
    struct cache_hit hit = {.kind = CACHE_SEMANTIC, .similarity = 0.85F};
    struct answer_cached a = {0};
    char question[128];

    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    assert_int_equal(find(t, &asked, &a), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    /* however often the same is said, it is one pair of questions */
    for (int i = 0; i < 40; i++)
        assert_int_equal(report(t, &hit, false), RAG_OK);
    assert_true(answer_cache_threshold(t->cache, t->f.collection) == 0.8);
    for (int i = 0; i < 40; i++) {
        hit.similarity = 0.85F + (float)i * 0.0005F;
        assert_int_equal(report(t, &hit, false), RAG_OK);
    }
    assert_true(answer_cache_threshold(t->cache, t->f.collection) > 0.85);
    assert_true(answer_cache_threshold(t->cache, t->f.collection) < 0.9);
    assert_true(answer_cache_threshold(t->cache, other) == 0.8);
    /* another entry of the collection has it too */
    snprintf(question, sizeof question, "%s!", ASKED);
    asked.question = question;
    put_answer(t, &asked, &(struct answer){.documents = "", .vector = north});
    asked.question = AGAIN;
    assert_int_equal(look_at(t, &asked, 0.84F), CACHE_MISS);
    assert_int_equal(look_at(t, &asked, 0.95F), CACHE_HIT);
}

static void reports_are_for_those_who_may_have_the_answer(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_key other = cache_key_of(t->f.collection, 'v', 's', ASKED);
    struct answer_cached a = {0};
    struct cache_hit hit = {.kind = CACHE_EXACT};

    put_answer(t, &asked, &(struct answer){.documents = ""});
    assert_int_equal(find(t, &asked, &a), CACHE_HIT);
    hit.entry = a.id;
    answer_cached_release(&a);
    assert_int_equal(answer_cache_feedback(t->cache, &hit, other.scope, false, NULL),
                     RAG_ENOTFOUND);
    assert_int_equal(look(t, &asked), CACHE_HIT);
    assert_int_equal(answer_cache_feedback(t->cache, &hit, asked.scope, false, NULL), RAG_OK);
    assert_int_equal(look(t, &asked), CACHE_MISS);
}

static void only_the_latest_requests_are_remembered(void **state)
{
    struct cache_test *t = *state;
    struct cache_key asked = key_of(t, ASKED);
    struct cache_hit hit;
    char request_id[64];

    put_answer(t, &asked, &(struct answer){.documents = ""});
    asked.request_id = request_id;
    for (unsigned i = 0; i <= CACHE_HITS_REMEMBERED; i++) {
        snprintf(request_id, sizeof request_id, "request-%u", i);
        assert_int_equal(look(t, &asked), CACHE_HIT);
    }
    assert_int_equal(answer_cache_hit(t->cache, 0, "request-0", &hit, NULL), RAG_ENOTFOUND);
    assert_int_equal(answer_cache_hit(t->cache, 0, "request-1", &hit, NULL), RAG_OK);
    assert_int_equal(answer_cache_hit(t->cache, hit.entry, NULL, &hit, NULL), RAG_OK);
    assert_int_equal(answer_cache_hit(t->cache, hit.entry + 1, "request-1", &hit, NULL),
                     RAG_ENOTFOUND);
    /* a name that is too long is not mixed up with its beginning */
    memset(request_id, 'r', sizeof request_id - 1);
    request_id[sizeof request_id - 1] = '\0';
    assert_int_equal(look(t, &asked), CACHE_HIT);
    assert_int_equal(answer_cache_hit(t->cache, 0, request_id, &hit, NULL), RAG_ENOTFOUND);
}

static void a_similarity_that_is_none_is_refused(void **state)
{
    static const float bad[] = {-0.1F, 1.1F, NAN, INFINITY};
    struct cache_test *t = *state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cache_hit hit = {.entry = 1, .kind = CACHE_SEMANTIC, .similarity = bad[i]};

        assert_int_equal(report(t, &hit, false), RAG_EINVAL);
    }
}

int main(void)
{
#define WITH_CACHE(f)                                                                              \
    {                                                                                              \
#f, f, cache_setup, cache_teardown, NULL                                                   \
    }
    const struct CMUnitTest tests[] = {
        WITH_CACHE(a_similar_question_gets_the_answer_from_the_threshold_on),
        WITH_CACHE(nothing_similar_crosses_scope_settings_or_collection),
        WITH_CACHE(the_words_have_to_agree),
        WITH_CACHE(the_model_of_pairs_has_the_last_word),
        WITH_CACHE(the_best_one_that_is_true_is_given),
        WITH_CACHE(a_refusal_is_for_its_own_question),
        WITH_CACHE(a_vector_of_another_size_is_no_match),
        WITH_CACHE(a_vector_without_a_number_is_no_match),
        WITH_CACHE(rows_that_move_are_still_found),
        WITH_CACHE(without_a_model_terms_are_compared),
        WITH_CACHE(sketches_lose_nothing),
        WITH_CACHE(a_false_answer_of_its_own_question_goes),
        WITH_CACHE(a_false_answer_of_another_question_is_not_given_to_it_again),
        WITH_CACHE(false_reports_raise_the_collections_threshold),
        WITH_CACHE(reports_are_for_those_who_may_have_the_answer),
        WITH_CACHE(only_the_latest_requests_are_remembered),
        WITH_CACHE(a_similarity_that_is_none_is_refused),
    };

    return cmocka_run_group_tests_name("answer_cache_similar", tests, NULL, NULL);
}
