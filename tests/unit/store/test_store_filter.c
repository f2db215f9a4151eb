/* Goal: a filter keeps exactly the chunks of the documents that match every clause.
 * Method: four documents, one chunk each (their own letter); a row is a filter and the letters. */
#include "store_fixture.h"

#include "base/bounds.h"

static const struct {
    const char *name;
    const char *text;
    const char *metadata;
} documents[] = {
    {"a.txt", "a", "{\"year\":2023,\"tags\":[\"법\",\"세금\"],\"draft\":false,\"rate\":0.5}"  },
    {"b.txt", "b", "{\"year\":2024,\"tags\":[\"법\",\"법\"],\"draft\":true,\"title\":\"mine\"}"},
    {"c.txt", "c", "{\"year\":\"2024\",\"note\":null,\"nested\":{\"x\":1}}"                      },
    {"d.txt", "d", "{\"year\":-1e9,\"tags\":[],\"lang\":\"ko\",\"empty\":\"\"}"                  },
};

struct clause {
    const char *key;
    enum filter_op op;
    struct filter_value values[3];
    size_t n_values;
};
struct row {
    const char *name;
    struct clause clauses[3];
    size_t n;
    const char *want;
};

#define T(s)                                                                                       \
    {                                                                                              \
        s, 0                                                                                       \
    }
#define N(v)                                                                                       \
    {                                                                                              \
        NULL, v                                                                                    \
    }
#define ONE(k, o, v)                                                                               \
    {                                                                                              \
        k, o, {v}, 1                                                                               \
    }

static struct row rows[] = {
    {"no clause keeps everything",             {{0}},                                                0, "abcd"},
    {"a text equals",                          {ONE("lang", FILTER_EQ, T("ko"))},                    1, "d"   },
    {"a number equals, and is not its text",   {ONE("year", FILTER_EQ, N(2024))},                    1, "b"   },
    {"a text is not the number it spells",     {ONE("year", FILTER_EQ, T("2024"))},                  1, "c"   },
    {"an element of an array equals",          {ONE("tags", FILTER_EQ, T("세금"))},                1, "a"   },
    {"an element that is twice keeps once",    {ONE("tags", FILTER_EQ, T("법"))},                   1, "ab"  },
    {"true is a text",                         {ONE("draft", FILTER_EQ, T("true"))},                 1, "b"   },
    {"the empty text equals itself",           {ONE("empty", FILTER_EQ, T(""))},                     1, "d"   },
    {"null cannot be asked for",               {ONE("note", FILTER_EQ, T(""))},                      1, ""    },
    {"what is nested cannot be asked for",     {ONE("x", FILTER_EQ, N(1))},                          1, ""    },
    {"an unknown key keeps nothing",           {ONE("no", FILTER_EQ, T("x"))},                       1, ""    },
    {"greater leaves texts out",               {ONE("year", FILTER_GT, N(2023))},                    1, "b"   },
    {"greater or equal",                       {ONE("year", FILTER_GTE, N(2023))},                   1, "ab"  },
    {"less",                                   {ONE("year", FILTER_LT, N(2023))},                    1, "d"   },
    {"less or equal",                          {ONE("year", FILTER_LTE, N(2023))},                   1, "ad"  },
    {"a text range leaves numbers out",        {ONE("year", FILTER_GTE, T("2"))},                    1, "c"   },
    {"a text below leaves numbers out",        {ONE("year", FILTER_LTE, T("3"))},                    1, "c"   },
    {"one of several",                         {{"year", FILTER_IN, {N(2023), N(2024), T("x")}, 3}}, 1, "ab"  },
    {"one of none",                            {{"year", FILTER_IN, {N(0)}, 0}},                     1, ""    },
    {"both ends of a range",
     {ONE("year", FILTER_GT, N(2000)), ONE("year", FILTER_LT, N(2024))},
     2,                                                                                                 "a"   },
    {"all clauses must hold",
     {ONE("tags", FILTER_EQ, T("법")), ONE("draft", FILTER_EQ, T("false"))},
     2,                                                                                                 "a"   },
    {"clauses that no document joins",
     {ONE("lang", FILTER_EQ, T("ko")), ONE("draft", FILTER_EQ, T("false"))},
     2,                                                                                                 ""    },
    {"the document's name is a key",           {ONE("document", FILTER_EQ, T("c.txt"))},             1, "c"   },
    {"names are a range",                      {ONE("document", FILTER_GTE, T("c"))},                1, "cd"  },
    {"the title wins over a key of that name", {ONE("title", FILTER_EQ, T("mine"))},                 1, ""    },
    {"the title is a key",                     {ONE("title", FILTER_EQ, T("title"))},                1, "abcd"},
    {"a quote in a value is only text",        {ONE("lang", FILTER_EQ, T("ko' OR '1'='1"))},         1, ""    },
};

static struct fixture *shared;
static uint64_t ids[COUNT(documents)];

static void check_row(void **state)
{
    const struct row *row = *state;
    struct filter_clause clauses[3];
    struct rag_error error = {RAG_OK, ""};
    struct id_set set;
    char got[8] = "";

    for (size_t i = 0; i < row->n; i++)
        clauses[i] = (struct filter_clause){row->clauses[i].key, row->clauses[i].op,
                                            row->clauses[i].values, row->clauses[i].n_values};
    if (store_filter(shared->store, shared->collection, clauses, row->n, &set, &error) != RAG_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < COUNT(documents); i++)
        if (id_set_has(&set, ids[i]))
            strcat(got, documents[i].text);
    assert_string_equal(got, row->want);
    assert_int_equal(set.n, strlen(row->want));
    id_set_release(&set);
}

static void only_what_is_visible_is_kept(void **state)
{
    struct filter_clause lang = {"lang", FILTER_EQ, &(struct filter_value)T("ko"), 1};
    struct id_set set;

    (void)state;
    assert_int_equal(put_text(shared->store, shared->collection, "d.txt", "d", "{\"lang\":\"en\"}",
                              NULL, NULL, NULL),
                     RAG_OK);
    assert_int_equal(store_filter(shared->store, shared->collection, &lang, 1, &set, NULL), RAG_OK);
    assert_int_equal(set.n, 0);
    id_set_release(&set);
    delete_ok(shared, "d.txt");
    assert_int_equal(store_filter(shared->store, shared->collection, NULL, 0, &set, NULL), RAG_OK);
    assert_int_equal(set.n, 3);
    id_set_release(&set);
}

static void too_much_is_refused_with_the_limit(void **state)
{
    struct filter_value values[FILTER_VALUES_MAX + 1] = {
        {NULL, 0}
    };
    struct filter_clause clauses[FILTER_CLAUSES_MAX + 1];
    struct rag_error error;
    struct id_set set;

    (void)state;
    for (size_t i = 0; i < COUNT(clauses); i++)
        clauses[i] = (struct filter_clause){"year", FILTER_IN, values, FILTER_VALUES_MAX};
    assert_int_equal(
        store_filter(shared->store, shared->collection, clauses, FILTER_CLAUSES_MAX, &set, &error),
        RAG_OK); /* what the limits allow works */
    id_set_release(&set);
    assert_int_equal(
        store_filter(shared->store, shared->collection, clauses, COUNT(clauses), &set, &error),
        RAG_ELIMIT);
    clauses[0].n_values = COUNT(values);
    assert_int_equal(store_filter(shared->store, shared->collection, clauses, 1, &set, &error),
                     RAG_ELIMIT);
    assert_non_null(strstr(error.text, "257"));
}

static void metadata_must_be_an_object(void **state)
{
    struct rag_error error;

    (void)state;
    assert_int_equal(
        put_text(shared->store, shared->collection, "x", "x", "[1]", NULL, NULL, &error),
        RAG_EINVAL);
    assert_int_equal(put_text(shared->store, shared->collection, "x", "x", "{", NULL, NULL, &error),
                     RAG_EFORMAT);
}

static int setup(void **state)
{
    void *fixture = NULL;

    (void)state;
    fixture_setup(&fixture);
    shared = fixture;
    for (size_t i = 0; i < COUNT(documents); i++)
        assert_int_equal(put_text(shared->store, shared->collection, documents[i].name,
                                  documents[i].text, documents[i].metadata, &ids[i], NULL, NULL),
                         RAG_OK);
    return 0;
}

static int teardown(void **state)
{
    void *fixture = shared;

    (void)state;
    return fixture_teardown(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 3];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(too_much_is_refused_with_the_limit);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(metadata_must_be_an_object);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(only_what_is_visible_is_kept);
    return _cmocka_run_group_tests("store_filter", tests, n, setup, teardown);
}
