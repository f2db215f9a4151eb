/* Goal: every number of a safetensors header is checked before it is used, the right file of a
 * directory is opened, and all three float types are read exactly. Method: one row per way a header
 * can lie, with the words that its message must hold. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "nn/weights.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/rag-weights-XXXXXX";

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    assert_int_equal(system(command), 0);
}

static void write_file(const char *name, const void *data, size_t n)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* header_bytes: what the first 8 bytes say; 0: the truth. */
static void write_tensors(const char *name, const char *header, uint64_t header_bytes,
                          const void *data, size_t n_data)
{
    size_t n = strlen(header);
    char *all = calloc(1, 8 + n + n_data + 1);

    assert_non_null(all);
    if (header_bytes == 0)
        header_bytes = n;
    memcpy(all, &header_bytes, 8);
    memcpy(all + 8, header, n);
    if (n_data && data)
        memcpy(all + 8 + n, data, n_data);
    write_file(name, all, 8 + n + n_data);
    free(all);
}

static struct row {
    const char *name;
    const char *header;
    uint64_t header_bytes; /* 0: the truth */
    size_t n_data;
    enum rag_status status;
    const char *words; /* of the message */
} rows[] = {
    {"one tensor that fills the data",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",                                                                      0,          24, RAG_OK,      ""                                    },
    {"spaces behind the header, metadata, a scalar and an empty tensor",
     "{\"__metadata__\":{\"format\":\"pt\"},"
     "\"s\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]},"
     "\"e\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[2,2]}}   ",                                                                     0,          2,  RAG_OK,      ""                                    },
    {"data out of the header's order",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",                                                                          0,          8,  RAG_OK,      ""                                    },
    {"position ids of type I64 are left out",
     "{\"p\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]},"
     "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[16,20]}}",                                                                       0,          20, RAG_OK,      ""                                    },
    {"no float tensor at all",                                           "{\"p\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
     0,                                                                                                                                                      8,  RAG_EFORMAT, "no tensor of type"                   },
    {"an empty header",                                                  "{}",                                                                   0,          0,  RAG_EFORMAT, "no tensor of type"                   },
    {"a header longer than the file",                                    "{}",                                                                   3,          0,  RAG_EFORMAT, "header of 3 bytes"                   },
    {"a header length of 2^64 - 1",                                      "{}",                                                                   UINT64_MAX, 0,  RAG_EFORMAT, "18446744073709551615"                },
    {"a header length of 2^63",                                          "{}",                                                                   1ull << 63, 8,  RAG_EFORMAT, "9223372036854775808"                 },
    {"a header that is no JSON",                                         "hello world",                                                          0,          0,  RAG_EFORMAT, "not JSON"                            },
    {"a header that is an array",                                        "[1,2,3]",                                                              0,          0,  RAG_EFORMAT, "not a JSON object"                   },
    {"a header cut by its own length",                                   "{\"a\":{}}",                                                           4,          0,  RAG_EFORMAT, "header"                              },
    {"bytes that are not UTF-8",                                         "{\"\xff\":1}",                                                         0,          0,  RAG_EFORMAT, "UTF-8"                               },
    {"one name twice",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",                                                                          0,          8,  RAG_EFORMAT, "'a' occurs twice"                    },
    {"a tensor without a name",                                          "{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     0,                                                                                                                                                      4,  RAG_EFORMAT, "a name of 0 bytes"                   },
    {"a tensor that is a number",                                        "{\"a\":7}",                                                            0,          4,  RAG_EFORMAT, "'a': not an object"                  },
    {"an unknown dtype",                                                 "{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}",     0,          4,
     RAG_EFORMAT,                                                                                                                                                             "'F99' is not known"                  },
    {"no dtype",                                                         "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}",                       0,          4,  RAG_EFORMAT, "(none)"                              },
    {"a dtype that is a number",                                         "{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}",           0,          4,
     RAG_EFORMAT,                                                                                                                                                             "(none)"                              },
    {"no shape",                                                         "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",                   0,          4,  RAG_EFORMAT,
     "shape is not an array"                                                                                                                                                                                        },
    {"a negative dimension",                                             "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",    0,
     4,                                                                                                                                                          RAG_EFORMAT, "dimension 0 is not a whole number"   },
    {"half a dimension",                                                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,0.5],\"data_offsets\":[0,4]}}", 0,
     4,                                                                                                                                                          RAG_EFORMAT, "dimension 1 is not a whole number"   },
    {"a dimension that is text",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],"
     "\"data_offsets\":[0,4]}}",                                                                                                                 0,          4,  RAG_EFORMAT, "dimension 0"                         },
    {"a dimension above 2^53",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1e17],"
     "\"data_offsets\":[0,4]}}",                                                                                                                 0,          4,  RAG_EFORMAT, "dimension 0"                         },
    {"a shape whose product overflows",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",                                                     0,          0,
     RAG_EFORMAT,                                                                                                                                                             "product"                             },
    {"a shape whose bytes overflow to the right number",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,1],\"data_offsets\":[0,0]}}",                                                     0,          0,
     RAG_EFORMAT,                                                                                                                                                             "dimension 0"                         },
    {"elements times width overflow",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4503599627370496,1024],\"data_offsets\":[0,0]}}",                                                     0,          0,
     RAG_EFORMAT,                                                                                                                                                             "need 4611686018427387904 x 4"        },
    {"five dimensions",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],"
     "\"data_offsets\":[0,4]}}",                                                                                                                 0,          4,  RAG_EFORMAT, "5 dimensions"                        },
    {"no offsets",                                                       "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",                            0,          4,  RAG_EFORMAT,
     "not [begin, end]"                                                                                                                                                                                             },
    {"one offset",                                                       "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}",       0,          4,
     RAG_EFORMAT,                                                                                                                                                             "not [begin, end]"                    },
    {"three offsets",                                                    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}",   0,          8,
     RAG_EFORMAT,                                                                                                                                                             "not [begin, end]"                    },
    {"negative offsets",                                                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",    0,          4,
     RAG_EFORMAT,                                                                                                                                                             "not [begin, end]"                    },
    {"offsets the wrong way round",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",                                                                         0,          4,  RAG_EFORMAT,
     "data_offsets [4, 0]"                                                                                                                                                                                          },
    {"offsets past the end: a cut download",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",                                                                         0,          7,  RAG_EFORMAT, "cut?"                                },
    {"offsets that hold less than the shape needs",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",                                                                         0,          4,  RAG_EFORMAT,
     "hold 4 bytes"                                                                                                                                                                                                 },
    {"offsets that hold more than the shape needs",
     "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",                                                                         0,          8,  RAG_EFORMAT,
     "hold 8 bytes"                                                                                                                                                                                                 },
    {"two tensors that overlap",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",                                                                          0,          8,  RAG_EFORMAT, "inside the one"                      },
    {"two tensors at the same place",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",                                                                          0,          8,  RAG_EFORMAT, "inside the one"                      },
    {"a gap between two tensors",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",                                                                         0,          12, RAG_EFORMAT, "but the one before it ends at byte 4"},
    {"a gap before the first",                                           "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     0,                                                                                                                                                      8,  RAG_EFORMAT, "begins at byte 4"                    },
    {"bytes behind the last",                                            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",     0,
     5,                                                                                                                                                          RAG_EFORMAT, "end at byte 4 of 5"                  },
    {"a control character in a name cannot forge a line",
     "{\"a\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,3]}}",                                                                      0,          3,  RAG_EFORMAT,
     "'a?'"                                                                                                                                                                                                         },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct weights *w = NULL;
    struct rag_error error = {.text = ""};

    write_tensors("model.safetensors", row->header, row->header_bytes, NULL, row->n_data);
    assert_int_equal(weights_open(dir, &w, &error), row->status);
    if (!strstr(error.text, row->words))
        fail_msg("message: %s", error.text);
    if (row->status != RAG_OK) {
        assert_null(w);
        assert_non_null(strstr(error.text, dir));
    }
    weights_close(w);
    remove_all();
}

static struct directory {
    const char *name;
    const char *files[4]; /* names; each holds one tensor of the file's name; NULL-terminated */
    const char *index;    /* text of the index, or NULL */
    enum rag_status status;
    const char *words;
} directories[] = {
    {"any single name is accepted",        {"model.fp16.safetensors"}, NULL,                RAG_OK,        ""                 },
    {"model.safetensors wins over others",
     {"other.safetensors", "model.safetensors"},
     NULL,                                                                                  RAG_OK,
     ""                                                                                                                       },
    {"two candidates are named",
     {"b.safetensors", "a.safetensors"},
     NULL,                                                                                  RAG_EFORMAT,
     "a.safetensors, b.safetensors"                                                                                           },
    {"no candidate",                       {"pytorch_model.bin"},      NULL,                RAG_ENOTFOUND, "pytorch_model.bin"},
    {"a hidden file is no candidate",      {".x.safetensors"},         NULL,                RAG_ENOTFOUND, "no *.safetensors" },
    {"shards of an index",
     {"s1.safetensors", "s2.safetensors"},
     "{\"weight_map\":{\"s1.safetensors\":\"s1.safetensors\","
     "\"s2.safetensors\":\"s2.safetensors\"}}",                                             RAG_OK,
     ""                                                                                                                       },
    {"a shard that is not there",
     {"s1.safetensors"},
     "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s9.safetensors\"}}",                RAG_ENOTFOUND,
     "s9.safetensors"                                                                                                         },
    {"a tensor in two shards",
     {"s1.safetensors", "twin.safetensors"},
     "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"twin.safetensors\"}}",              RAG_EFORMAT,
     "in two weight files"                                                                                                    },
    {"a shard outside of the directory",
     {"s1.safetensors"},
     "{\"weight_map\":{\"a\":\"../s1.safetensors\"}}",                                      RAG_EFORMAT,
     "is not the name"                                                                                                        },
    {"a shard by absolute path",
     {"s1.safetensors"},
     "{\"weight_map\":{\"a\":\"/etc/s1.safetensors\"}}",                                    RAG_EFORMAT,
     "is not the name"                                                                                                        },
    {"a shard that is no safetensors",
     {"s1.safetensors"},
     "{\"weight_map\":{\"a\":\"pytorch_model.bin\"}}",                                      RAG_EFORMAT,
     "is not the name"                                                                                                        },
    {"a shard that is a number",
     {"s1.safetensors"},
     "{\"weight_map\":{\"a\":1}}",                                                          RAG_EFORMAT,
     "is not the name"                                                                                                        },
    {"an index without a map",             {"s1.safetensors"},         "{\"metadata\":{}}", RAG_EFORMAT,   "weight_map"       },
    {"an index with an empty map",
     {"s1.safetensors"},
     "{\"weight_map\":{}}",                                                                 RAG_EFORMAT,
     "weight_map"                                                                                                             },
    {"an index that is no JSON",           {"s1.safetensors"},         "{",                 RAG_EFORMAT,   "not JSON"         },
};

static void check_directory(void **state)
{
    const struct directory *row = *state;
    struct rag_error error = {.text = ""};
    struct weights *w = NULL;

    for (size_t i = 0; row->files[i]; i++) {
        char header[256];
        /* the twin holds the same tensor as the first shard */
        const char *tensor =
            strcmp(row->files[i], "twin.safetensors") == 0 ? "s1.safetensors" : row->files[i];

        snprintf(header, sizeof header,
                 "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", tensor);
        write_tensors(row->files[i], header, 0, "abcd", 4);
    }
    if (row->index)
        write_file("model.safetensors.index.json", row->index, strlen(row->index));
    assert_int_equal(weights_open(dir, &w, &error), row->status);
    if (!strstr(error.text, row->words))
        fail_msg("message: %s", error.text);
    if (row->status == RAG_OK) {
        assert_int_equal(weights_count(w), row->index ? 2 : 1);
        assert_non_null(weights_find(w, row->index      ? "s2.safetensors"
                                        : row->files[1] ? "model.safetensors"
                                                        : row->files[0]));
        assert_int_equal(weights_intact(w, &error), RAG_OK);
    }
    weights_close(w);
    snprintf(error.text, sizeof error.text, "rm -f %s/.x.safetensors", dir);
    assert_int_equal(system(error.text), 0);
    remove_all();
}

static void every_half_is_read_exactly(void **state)
{
    size_t n = 65536;
    uint16_t *halves = malloc(2 * n);
    float *read = malloc(4 * n);
    struct weights *w = NULL;

    (void)state;
    for (size_t i = 0; i < n; i++)
        halves[i] = (uint16_t)i;
    write_tensors("h.safetensors",
                  "{\"h\":{\"dtype\":\"F16\",\"shape\":[256,256],"
                  "\"data_offsets\":[0,131072]}}",
                  0, halves, 2 * n);
    assert_int_equal(weights_open(dir, &w, NULL), RAG_OK);
    tensor_read_f32(weights_at(w, 0), 0, n, read);
    for (size_t i = 0; i < n; i++) {
        int exponent = (int)(i >> 10 & 31);
        double fraction = (double)(i & 1023) / 1024;
        double expected = exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);

        if (exponent == 31) {
            assert_true(fraction > 0 ? isnan(read[i]) : isinf(read[i]));
            assert_int_equal(signbit(read[i]) != 0 && fraction == 0, i >> 15 && fraction == 0);
            continue;
        }
        assert_true((double)read[i] == (i >> 15 ? -expected : expected));
        assert_int_equal(signbit(read[i]) != 0, i >> 15);
    }
    weights_close(w);
    remove_all();
    free(halves);
    free(read);
}

static void floats_and_bfloats_are_read_from_any_place(void **state)
{
    static const float f32[4] = {1.5f, -2.25f, 1e-30f, 3e38f};
    static const uint16_t bf16[4] = {0x3F80, 0xC000, 0x7F80, 0x0001};
    uint8_t data[24];
    struct weights *w = NULL;
    size_t shape[2] = {2, 2};
    const struct tensor *t = NULL;
    struct rag_error error;
    float read[4];

    (void)state;
    memcpy(data, f32, 16);
    memcpy(data + 16, bf16, 8);
    /* 1 byte of spaces more or less puts the data on odd addresses */
    write_tensors("w.safetensors",
                  "{\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[16,24]},"
                  "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}} ",
                  0, data, 24);
    assert_int_equal(weights_open(dir, &w, NULL), RAG_OK);
    assert_int_equal(weights_count(w), 2);
    assert_string_equal(weights_at(w, 0)->name, "a");
    tensor_read_f32(weights_at(w, 0), 1, 3, read);
    assert_memory_equal(read, f32 + 1, 12);
    tensor_read_f32(weights_at(w, 1), 0, 4, read);
    assert_true(read[0] == 1.0f && read[1] == -2.0f && isinf(read[2]) && read[3] > 0);

    assert_int_equal(weights_need(w, "a", shape, 2, &t, &error), RAG_OK);
    assert_int_equal(weights_need(w, "c", shape, 2, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "tensor 'c': missing, expected [2, 2]"));
    shape[1] = 3;
    assert_int_equal(weights_need(w, "a", shape, 2, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "shape [2, 2], expected [2, 3]"));
    weights_forget(w, t);
    assert_true(weights_bytes(w) > 24);

    assert_int_equal(weights_intact(w, &error), RAG_OK);
    write_file("w.safetensors", data, 24);
    assert_int_equal(weights_intact(w, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "w.safetensors"));
    weights_close(w);
    weights_close(NULL);
    remove_all();
}

static void a_directory_that_is_none_is_said(void **state)
{
    struct weights *w = NULL;
    struct rag_error error;

    (void)state;
    assert_int_equal(weights_open("/nonexistent", &w, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "model '/nonexistent'"));
    write_file("model.safetensors", "1234567", 7);
    assert_int_equal(weights_open(dir, &w, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "7 bytes"));
    remove_all();
}

static void a_tensor_of_another_type_is_said_when_it_is_needed(void **state)
{
    const size_t shape[] = {4};
    const struct tensor *t = NULL;
    struct weights *w = NULL;
    struct rag_error error = {0};

    (void)state;
    write_tensors("model.safetensors",
                  "{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                  "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                  0, "12345678", 8);
    assert_int_equal(weights_open(dir, &w, NULL), RAG_OK);
    assert_int_equal(weights_count(w), 1);
    assert_int_equal(weights_need(w, "a", shape, 1, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'a': dtype I8, expected F32, F16 or BF16"));
    weights_close(w);
    remove_all();
}

static void int8_is_read_in_packed_files_alone(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"ragd_packed\":\"1\"},"
                                 "\"a\":{\"dtype\":\"I8\",\"shape\":[2,2],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    static const uint8_t data[8] = {1, 0xFF, 127, 0x81};
    const size_t shape[] = {2, 2};
    const size_t one = 1;
    const struct tensor *t = NULL;
    struct weights *w = NULL;
    struct rag_error error = {0};
    float read[3];

    (void)state;
    write_tensors("model.safetensors", header, 0, data, sizeof data);
    assert_int_equal(weights_open(dir, &w, NULL), RAG_OK);
    assert_true(weights_packed(w));
    assert_int_equal(weights_count(w), 2);
    assert_int_equal(weights_need_int8(w, "a", shape, 2, &t, &error), RAG_OK);
    tensor_read_f32(t, 1, 3, read);
    assert_true(read[0] == -1 && read[1] == 127 && read[2] == -127);
    weights_forget(w, t);
    assert_int_equal(weights_need(w, "a", shape, 2, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'a': dtype I8, expected F32, F16 or BF16"));
    assert_int_equal(weights_need_int8(w, "b", &one, 1, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'b': dtype F32, expected I8"));
    assert_int_equal(weights_need_int8(w, "c", &one, 1, &t, &error), RAG_EFORMAT);
    weights_close(w);
    remove_all();
}

/* What 'git clone' leaves of a model on a machine without Git LFS. */
static void a_pointer_of_git_lfs_is_said(void **state)
{
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4"
        "fab128d9db\nsize 90868376\n";
    struct weights *w = NULL;
    struct rag_error error = {0};

    (void)state;
    remove_all();
    write_file("model.safetensors", pointer, sizeof pointer - 1);
    assert_int_equal(weights_open(dir, &w, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "git lfs pull"));
    remove_all();
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + COUNT(directories) + 6];
    size_t n = 0;
    int failed;

    if (!mkdtemp(dir))
        return 1;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    for (size_t i = 0; i < COUNT(directories); i++)
        tests[n++] =
            (struct CMUnitTest){directories[i].name, check_directory, NULL, NULL, &directories[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_half_is_read_exactly);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(floats_and_bfloats_are_read_from_any_place);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_directory_that_is_none_is_said);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test(a_tensor_of_another_type_is_said_when_it_is_needed);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(int8_is_read_in_packed_files_alone);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_pointer_of_git_lfs_is_said);
    failed = cmocka_run_group_tests_name("weights", tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
