/* Snapshots of the vector index: what is saved comes back equal, and whatever is wrong with a file
 * is found, by the checksums and by the checks behind them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/vector_index.h"
#include "store/vector_snapshot.h"

#define DIM     24
#define N       1700
#define BINDING "model 17"

static char folder[] = "/tmp/ragd-vectors-XXXXXX";
static char path[sizeof folder + 32];
static float vectors[N * DIM];

static int set_up(void **state)
{
    uint64_t seed = 3;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/index.vectors", folder);
    for (size_t r = 0; r < N; r++) {
        double sum = 0;

        for (size_t i = 0; i < DIM; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            vectors[r * DIM + i] = (float)(seed >> 40) * 0x1p-24f - 0.5f;
            sum += (double)vectors[r * DIM + i] * (double)vectors[r * DIM + i];
        }
        for (size_t i = 0; i < DIM; i++)
            vectors[r * DIM + i] /= (float)sqrt(sum);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static struct vector_index_options options_of(enum vector_storage storage)
{
    return (struct vector_index_options){.dim = DIM, .storage = storage, .hnsw_min = 1000, .m = 8};
}

/* n vectors, some replaced and some removed after the graph was built. */
static struct vector_index *make_index(enum vector_storage storage, size_t n)
{
    struct vector_index_options o = options_of(storage);
    struct vector_index *ix = NULL;
    uint64_t ids[N];

    for (size_t i = 0; i < n; i++)
        ids[i] = 3 * (n - i);
    assert_int_equal(vector_index_new(&o, &ix, NULL), RAG_OK);
    assert_int_equal(vector_index_add(ix, ids, vectors, n, NULL), RAG_OK);
    vector_index_settle(ix);
    assert_int_equal(vector_index_add(ix, ids + n / 2, vectors, n / 10, NULL), RAG_OK);
    assert_int_equal(vector_index_remove(ix, ids + n / 4, n / 10, NULL), RAG_OK);
    return ix;
}

static void assert_same(struct vector_index *a, struct vector_index *b)
{
    struct vector_index_stats x, y;

    vector_index_stats(a, &x);
    vector_index_stats(b, &y);
    assert_int_equal(x.n, y.n);
    assert_int_equal(x.n_graph, y.n_graph);
    assert_int_equal(x.n_delta, y.n_delta);
    assert_int_equal(x.n_tombstones, y.n_tombstones);
    assert_string_equal(x.kind, y.kind);
    for (size_t q = 0; q < 60; q++) {
        struct vector_search_options narrow = {.ef_search = 12, .exact = q % 2};
        struct vector_hit hits_a[10], hits_b[10];
        size_t n_a = 0, n_b = 0;

        assert_int_equal(
            vector_index_search(a, vectors + q * DIM, NULL, 10, &narrow, hits_a, &n_a, NULL),
            RAG_OK);
        assert_int_equal(
            vector_index_search(b, vectors + q * DIM, NULL, 10, &narrow, hits_b, &n_b, NULL),
            RAG_OK);
        assert_int_equal(n_a, n_b);
        for (size_t i = 0; i < n_a; i++)
            assert_true(hits_a[i].id == hits_b[i].id && hits_a[i].score == hits_b[i].score);
    }
}

static void what_is_saved_comes_back(void **state)
{
    static const struct {
        const char *name;
        enum vector_storage storage;
        size_t n;
    } rows[] = {
        {"nothing",       VECTOR_F16,  0 },
        {"a few",         VECTOR_INT8, 30},
        {"f32, a graph",  VECTOR_F32,  N },
        {"f16, a graph",  VECTOR_F16,  N },
        {"int8, a graph", VECTOR_INT8, N },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vector_index_options o = options_of(rows[i].storage);
        struct vector_index *ix = make_index(rows[i].storage, rows[i].n);
        struct vector_index *loaded = NULL;
        struct rag_error error = {0};
        uint64_t change = 0;

        assert_int_equal(vector_index_save(ix, path, BINDING, 1000 + i, NULL), RAG_OK);
        if (vector_index_load(path, BINDING, &o, &loaded, &change, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        assert_int_equal(change, 1000 + i);
        assert_same(ix, loaded);
        /* it goes on */
        if (rows[i].n) {
            uint64_t id = 3;

            assert_int_equal(vector_index_add(loaded, &id, vectors, 1, NULL), RAG_OK);
            assert_int_equal(vector_index_remove(loaded, &id, 1, NULL), RAG_OK);
            assert_false(vector_index_has(loaded, 3));
        }
        vector_index_free(loaded);
        vector_index_free(ix);
    }
}

/* ---- the file's bytes ---- */

static uint8_t *read_file(size_t *ret_n)
{
    struct stat sb;
    uint8_t *data;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(stat(path, &sb), 0);
    data = malloc((size_t)sb.st_size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)sb.st_size, f), sb.st_size);
    fclose(f);
    *ret_n = (size_t)sb.st_size;
    return data;
}

static enum rag_status load_bytes(const uint8_t *data, size_t n, bool check_sums,
                                  enum vector_storage storage, struct rag_error *reterr)
{
    struct vector_index_options o = options_of(storage);
    struct vector_index *ix = NULL;
    uint64_t change;
    enum rag_status status;
    int fd = memfd_create("snapshot", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    (void)lseek(fd, 0, SEEK_SET);
    status = vector_load_fd(fd, "bytes", check_sums, BINDING, &o, &ix, &change, reterr);
    close(fd);
    vector_index_free(ix);
    return status;
}

static void every_changed_byte_is_found(void **state)
{
    struct vector_index *ix = make_index(VECTOR_INT8, N);
    struct rag_error error;
    uint8_t *data;
    size_t n;

    (void)state;
    assert_int_equal(vector_index_save(ix, path, BINDING, 5, NULL), RAG_OK);
    vector_index_free(ix);
    data = read_file(&n);
    assert_int_equal(load_bytes(data, n, true, VECTOR_INT8, &error), RAG_OK);
    for (size_t i = 0; i < n; i += i < 120 ? 1 : 1 + n / 150) {
        data[i] ^= 0x10;
        if (load_bytes(data, n, true, VECTOR_INT8, &error) != RAG_EFORMAT)
            fail_msg("byte %zu changed: not found", i);
        data[i] ^= 0x10;
    }
    for (size_t i = 0; i < n; i += i < 120 ? 7 : 1 + n / 40)
        assert_int_equal(load_bytes(data, i, true, VECTOR_INT8, &error), RAG_EFORMAT);
    free(data);
}

static void put32(uint8_t *data, size_t at, uint32_t value)
{
    memcpy(data + at, &value, 4);
}

#define HEAD   96
#define BODY   (HEAD + 8) /* the binding has 8 bytes */
#define N_ROWS (N + N / 10)
#define PADDED 64
#define DEAD   (BODY + 8 * N_ROWS)
#define CODES  (DEAD + 8 * ((N_ROWS + 63) / 64))
#define LEVELS (CODES + 2 * PADDED * N_ROWS) /* of f16 */

static void wrong_values_behind_the_checksums_are_found(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        uint32_t value;
        const char *says;
    } rows[] = {
        {"more rows than the file has",         40,                       N_ROWS + 1,      "wrong size"     },
        {"more rows than are possible",         44,                       1,               "impossible"     },
        {"a graph of more rows than there are", 48,                       N_ROWS + 1,      "impossible"     },
        {"more links than are possible",        60,                       0x7FFFFFFF,      "impossible"     },
        {"an entry point behind the end",       64,                       N,               "entry point"    },
        {"an entry point without the level",    68,                       30,              "entry point"    },
        {"no entry point and a level",          64,                       0xFFFFFFFF,      "entry point"    },
        {"an id twice",                         BODY + 8 * N,             3 * N - 3 * 600, "twice"          },
        {"a vector that is not a number",       CODES,                    0x7E007E00,      "no unit vector" },
        {"a vector of infinite elements",       CODES + 4,                0xFC00FC00,      "no unit vector" },
        {"a vector that is too long",           CODES + 8,                0x44004400,      "no unit vector" },
        {"elements behind the last one",        CODES + 2 * DIM,          0x3C003C00,      "no unit vector" },
        {"more levels than there can be",       LEVELS,                   0x01010121,      "too many levels"},
        {"levels that need other links",        LEVELS,                   0x01010209,      "do not match"   },
        {"a link behind the end",               LEVELS + (N + 7) / 8 * 8, N,               "link to no row" },
        {"a link before the beginning",         LEVELS + (N + 7) / 8 * 8, 0xFFFFFFFE,      "link to no row" },
        {"a link behind the last one",          LEVELS + (N + 7) / 8 * 8, 0xFFFFFFFF,      "link to no row" },
    };
    struct vector_index *ix = make_index(VECTOR_F16, N);
    uint8_t *data;
    size_t n;

    (void)state;
    assert_int_equal(vector_index_save(ix, path, BINDING, 5, NULL), RAG_OK);
    vector_index_free(ix);
    data = read_file(&n);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {0};
        uint32_t before;

        memcpy(&before, data + rows[i].at, 4);
        put32(data, rows[i].at, rows[i].value);
        if (load_bytes(data, n, false, VECTOR_F16, &error) != RAG_EFORMAT)
            fail_msg("%s: not found", rows[i].name);
        if (!strstr(error.text, rows[i].says))
            fail_msg("%s: %s", rows[i].name, error.text);
        put32(data, rows[i].at, before);
    }
    assert_int_equal(load_bytes(data, n, false, VECTOR_F16, NULL), RAG_OK);
    free(data);
}

static void another_binding_or_shape_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *binding;
        struct vector_index_options options;
        const char *says;
    } rows[] = {
        {"another model",
         "model 18",                              {.dim = DIM, .storage = VECTOR_F16, .hnsw_min = 1, .m = 8},
         "another model"                                                                                            },
        {"a binding that begins alike",
         "model 1",                               {.dim = DIM, .storage = VECTOR_F16, .hnsw_min = 1, .m = 8},
         "another model"                                                                                            },
        {"another dimension",
         BINDING,                                 {.dim = 32, .storage = VECTOR_F16, .hnsw_min = 1, .m = 8},
         "24 dimensions"                                                                                            },
        {"another storage",
         BINDING,                                 {.dim = DIM, .storage = VECTOR_INT8, .hnsw_min = 1, .m = 8},
         "storage 1"                                                                                                },
        {"another m",                    BINDING, {.dim = DIM, .storage = VECTOR_F16, .hnsw_min = 1, .m = 9},  "m 9"},
        {"a graph where none is wanted",
         BINDING,                                 {.dim = DIM, .storage = VECTOR_F16, .m = 8},
         "no graph"                                                                                                 },
    };
    struct vector_index *ix = make_index(VECTOR_F16, N);

    (void)state;
    assert_int_equal(vector_index_save(ix, path, BINDING, 5, NULL), RAG_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vector_index *loaded = NULL;
        struct rag_error error = {0};
        uint64_t change = 77;

        assert_int_equal(
            vector_index_load(path, rows[i].binding, &rows[i].options, &loaded, &change, &error),
            RAG_EFORMAT);
        if (!strstr(error.text, rows[i].says))
            fail_msg("%s: %s", rows[i].name, error.text);
        assert_null(loaded);
        assert_int_equal(change, 77);
    }
    vector_index_free(ix);
}

static void failures_of_files_are_told(void **state)
{
    struct vector_index_options o = options_of(VECTOR_F16);
    struct vector_index *ix = make_index(VECTOR_F16, 10);
    struct vector_index *loaded = NULL;
    char *binding = calloc(1, 4098);
    uint64_t change;

    (void)state;
    assert_non_null(binding);
    memset(binding, 'x', 4097);
    assert_int_equal(vector_index_load("/nowhere/x", BINDING, &o, &loaded, &change, NULL),
                     RAG_ENOTFOUND);
    assert_int_equal(vector_index_load(folder, BINDING, &o, &loaded, &change, NULL), RAG_EFORMAT);
    assert_int_equal(vector_index_save(ix, "/nowhere/x", BINDING, 1, NULL), RAG_EIO);
    assert_int_equal(vector_index_save(ix, path, binding, 1, NULL), RAG_EINVAL);
    free(binding);
    vector_index_free(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(wrong_values_behind_the_checksums_are_found),
        cmocka_unit_test(another_binding_or_shape_is_refused),
        cmocka_unit_test(failures_of_files_are_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
