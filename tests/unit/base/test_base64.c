/* Goal: base64.h writes what RFC 4648 says and reads it back, and refuses what it is not. Method:
 * the RFC's own vectors (section 10), hostile texts, every length with seeded bytes there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/splitmix.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *plain;
    const char *text;
} vectors[] = {
    {"",       ""        },
    {"f",      "Zg=="    },
    {"fo",     "Zm8="    },
    {"foo",    "Zm9v"    },
    {"foob",   "Zm9vYg=="},
    {"fooba",  "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void check_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint8_t *back = NULL;
        size_t n = 99;
        struct buf out;

        buf_init(&out, 64);
        base64_append(vectors[i].plain, strlen(vectors[i].plain), &out);
        assert_string_equal(buf_str(&out), vectors[i].text);
        assert_int_equal(base64_read(vectors[i].text, "row", 64, &back, &n, NULL), RAG_OK);
        assert_int_equal(n, strlen(vectors[i].plain));
        assert_memory_equal(back, vectors[i].plain, n);
        free(back);
        buf_release(&out);
    }
}

static const struct {
    const char *name;
    const char *text;
    enum rag_status status;
    const char *says;
} hostile[] = {
    {"a lone character",               "Z",            RAG_EFORMAT, "was cut"             },
    {"a lone last character",          "Zm9vY",        RAG_EFORMAT, "was cut"             },
    {"a blank",                        "Zm 9vZ",       RAG_EFORMAT, "byte 2"              },
    {"a line end, its place is named", "Zm9v\nZm",     RAG_EFORMAT, "byte 4 is not base64"},
    {"the other alphabet",             "Zm-_",         RAG_EFORMAT, "byte 2"              },
    {"padding in the middle",          "Zg==Zg==",     RAG_EFORMAT, "byte 2"              },
    {"more than is allowed",           "Zm9vYmFyZm9v", RAG_ELIMIT,  "the limit is 8"      },
};

static void check_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct rag_error error = {RAG_OK, ""};
        uint8_t *back = NULL;
        size_t n = 0;

        if (base64_read(hostile[i].text, "weights", 8, &back, &n, &error) != hostile[i].status ||
            !strstr(error.text, hostile[i].says) || strncmp(error.text, "weights: ", 9) != 0)
            fail_msg("%s: %d \"%s\"", hostile[i].name, error.status, error.text);
    }
}

static void there_and_back(void **state)
{
    uint8_t bytes[300];
    uint64_t seed = 5;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)splitmix_next(&seed);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        uint8_t *back = NULL;
        size_t n_back = 0;
        struct buf out;

        buf_init(&out, 1024);
        base64_append(bytes, n, &out);
        assert_int_equal(out.len, (n + 2) / 3 * 4);
        assert_int_equal(base64_read(buf_str(&out), "row", n, &back, &n_back, NULL), RAG_OK);
        assert_int_equal(n_back, n);
        assert_memory_equal(back, bytes, n);
        free(back);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_vectors),
        cmocka_unit_test(check_hostile),
        cmocka_unit_test(there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
