/* Goal: a vector that was put is found under its own question and embedder only, the one used
 * longest ago makes room, and threads that put and get at once see whole vectors. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "cache/embedding_cache.h"

static void put(struct embedding_cache *c, const char *model, const char *text, float value)
{
    const float vector[2] = {value, -value};

    embedding_cache_put(c, model, text, strlen(text), vector, 2);
}

/* 0: not there. */
static float get(struct embedding_cache *c, const char *model, const char *text)
{
    float vector[2] = {0, 0};

    if (!embedding_cache_get(c, model, text, strlen(text), 2, vector))
        return 0;
    assert_true(vector[1] == -vector[0]);
    return vector[0];
}

static struct embedding_cache *open_cache(size_t n)
{
    struct embedding_cache *c = NULL;
    struct rag_error error;

    assert_int_equal(embedding_cache_open(n, &c, &error), RAG_OK);
    return c;
}

static void a_vector_belongs_to_its_question_and_embedder(void **state)
{
    struct embedding_cache *c = open_cache(8);
    float vector[3];

    (void)state;
    put(c, "a", "연차는?", 1);
    assert_true(get(c, "a", "연차는?") == 1);
    assert_true(get(c, "b", "연차는?") == 0);
    assert_true(get(c, "a", "연차는") == 0);
    assert_false(embedding_cache_get(c, "a", "연차는?", strlen("연차는?"), 3, vector));
    put(c, "a", "연차는?", 2);
    assert_true(get(c, "a", "연차는?") == 2);
    embedding_cache_close(c);
}

static void the_one_used_longest_ago_makes_room(void **state)
{
    struct embedding_cache *c = open_cache(3);

    (void)state;
    put(c, "m", "1", 1);
    put(c, "m", "2", 2);
    put(c, "m", "3", 3);
    assert_true(get(c, "m", "1") == 1);
    put(c, "m", "4", 4);
    assert_true(get(c, "m", "2") == 0);
    assert_true(get(c, "m", "1") == 1);
    assert_true(get(c, "m", "3") == 3);
    assert_true(get(c, "m", "4") == 4);
    for (int i = 0; i < 1000; i++) {
        char text[16];

        snprintf(text, sizeof text, "q%d", i);
        put(c, "m", text, (float)i + 1);
        assert_true(get(c, "m", text) == (float)i + 1);
    }
    embedding_cache_close(c);
}

static void sizes_are_checked(void **state)
{
    struct embedding_cache *c = NULL;
    struct rag_error error;

    (void)state;
    assert_int_equal(embedding_cache_open(0, &c, &error), RAG_EINVAL);
    assert_int_equal(embedding_cache_open(EMBEDDING_CACHE_MAX + 1, &c, &error), RAG_EINVAL);
    embedding_cache_close(NULL);
}

static void *use(void *context)
{
    struct embedding_cache *c = context;

    for (int i = 0; i < 20000; i++) {
        char text[16];
        float v;

        snprintf(text, sizeof text, "q%d", i % 37);
        v = get(c, "m", text);
        if (v == 0)
            put(c, "m", text, (float)(i % 37) + 1);
        else
            assert_true(v == (float)(i % 37) + 1);
    }
    return NULL;
}

static void threads_see_whole_vectors(void **state)
{
    struct embedding_cache *c = open_cache(16);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, c), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    embedding_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_belongs_to_its_question_and_embedder),
        cmocka_unit_test(the_one_used_longest_ago_makes_room),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(threads_see_whole_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
