/* Goal: what a GGUF file says is believed only after it was checked. Method: one row per way a
 * header can lie (the known bugs of other loaders among them), each a file in memory of exactly its
 * size, so that a byte too far is seen by AddressSanitizer; a right file cut at every byte and with
 * every byte changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "gguf_builder.h"
#include "nn/gguf_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GIB      (1ull << 30)

static const uint64_t dims_8[] = {8};

/* ---- files that lie ---- */

static void counts(struct gguf_builder *b, uint64_t n_tensors, uint64_t n_keys)
{
    gguf_begin(b);
    key_u32(b, "a", 1);
    b->n_tensors = n_tensors;
    b->n_keys = n_keys;
    gguf_finish(b);
}

static void too_many_tensors(struct gguf_builder *b)
{
    counts(b, UINT64_MAX, 1);
}

static void tensors_whose_memory_wraps(struct gguf_builder *b)
{
    counts(b, 1ull << 58, 1);
}

static void too_many_keys(struct gguf_builder *b)
{
    counts(b, 0, UINT64_MAX);
}

static void one_key_too_many(struct gguf_builder *b)
{
    counts(b, 0, 2);
}

static void one_tensor_too_many(struct gguf_builder *b)
{
    gguf_begin(b);
    tensor_f32(b, "t", 0, 8);
    b->n_tensors = 2;
    gguf_finish_with_data(b);
}

static void key_length(struct gguf_builder *b, uint64_t n)
{
    gguf_begin(b);
    put_u64(b, n);
    put(b, "abcd", 4);
    put_u32(b, T_U32);
    put_u32(b, 1);
    b->n_keys = 1;
    gguf_finish(b);
}

static void key_of_2_64(struct gguf_builder *b)
{
    key_length(b, UINT64_MAX);
}

static void key_of_2_63(struct gguf_builder *b)
{
    key_length(b, 1ull << 63);
}

static void key_to_just_behind_the_end(struct gguf_builder *b)
{
    key_length(b, 13);
}

static void empty_key(struct gguf_builder *b)
{
    gguf_begin(b);
    key_u32(b, "", 1);
    gguf_finish(b);
}

static void long_key(struct gguf_builder *b)
{
    char name[GGUF_KEY_BYTES_MAX + 2];

    memset(name, 'k', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    gguf_begin(b);
    key_u32(b, name, 1);
    gguf_finish(b);
}

static void key_with_a_zero_byte(struct gguf_builder *b)
{
    gguf_begin(b);
    put_u64(b, 3);
    put(b, "a\0b", 3);
    put_u32(b, T_U32);
    put_u32(b, 1);
    b->n_keys = 1;
    gguf_finish(b);
}

static void key_that_is_not_utf8(struct gguf_builder *b)
{
    gguf_begin(b);
    key_u32(b, "a\xFF", 1);
    gguf_finish(b);
}

static void key_twice(struct gguf_builder *b)
{
    gguf_begin(b);
    key_u32(b, "general.x", 1);
    key_text(b, "other", "");
    key_text(b, "general.x", "2");
    gguf_finish(b);
}

static void value_of_unknown_type(struct gguf_builder *b)
{
    gguf_begin(b);
    put_key(b, "k", 13);
    put_u64(b, 0);
    gguf_finish(b);
}

static void value_of_type_2_32(struct gguf_builder *b)
{
    gguf_begin(b);
    put_key(b, "k", UINT32_MAX);
    put_u64(b, 0);
    gguf_finish(b);
}

static void text_of_a_gigabyte(struct gguf_builder *b)
{
    gguf_begin(b);
    put_key(b, "k", T_STRING);
    put_u64(b, GIB);
    put_zeros(b, 1000);
    gguf_finish(b);
}

static void text_of_2_64(struct gguf_builder *b)
{
    gguf_begin(b);
    put_key(b, "k", T_STRING);
    put_u64(b, UINT64_MAX);
    put_zeros(b, 1000);
    gguf_finish(b);
}

static void array(struct gguf_builder *b, uint32_t type, uint64_t n)
{
    gguf_begin(b);
    key_array(b, "k", type, n);
    put_zeros(b, 1000);
    gguf_finish(b);
}

static void array_of_a_gigabyte(struct gguf_builder *b)
{
    array(b, T_U8, GIB);
}

static void array_whose_bytes_wrap(struct gguf_builder *b)
{
    array(b, T_U64, (1ull << 61) + 1);
}

static void array_of_strings_that_wraps(struct gguf_builder *b)
{
    array(b, T_STRING, 1ull << 60);
}

static void array_of_one_string_too_many(struct gguf_builder *b)
{
    array(b, T_STRING, 126);
}

static void array_of_arrays(struct gguf_builder *b)
{
    array(b, T_ARRAY, 1);
}

static void array_of_unknown_type(struct gguf_builder *b)
{
    array(b, 77, 1);
}

static void array_without_a_count(struct gguf_builder *b)
{
    gguf_begin(b);
    put_key(b, "k", T_ARRAY);
    put_u32(b, T_U8);
    gguf_finish(b);
}

static void string_in_an_array_of_a_gigabyte(struct gguf_builder *b)
{
    gguf_begin(b);
    key_array(b, "tokens", T_STRING, 2);
    put_text(b, "a");
    put_u64(b, GIB);
    put_zeros(b, 100);
    gguf_finish(b);
}

/* ---- tensors that lie ---- */

static void tensor(struct gguf_builder *b, const char *name, uint32_t n_dims, const uint64_t *dims,
                   uint32_t type, uint64_t offset, size_t n_data)
{
    gguf_begin(b);
    put_tensor(b, name, n_dims, dims, type, offset);
    gguf_finish(b);
    put_padding(b, 32);
    put_zeros(b, n_data);
}

static void no_dimension(struct gguf_builder *b)
{
    tensor(b, "t", 0, dims_8, G_F32, 0, 64);
}

static void five_dimensions(struct gguf_builder *b)
{
    static const uint64_t dims[] = {1, 1, 1, 1, 1};

    tensor(b, "t", 5, dims, G_F32, 0, 64);
}

static void four_billion_dimensions(struct gguf_builder *b)
{
    tensor(b, "t", UINT32_MAX, (const uint64_t[8]){1, 1, 1, 1, 1, 1, 1, 1}, G_F32, 0, 64);
}

static void dimension_of_zero(struct gguf_builder *b)
{
    tensor(b, "t", 2, (const uint64_t[]){8, 0}, G_F32, 0, 64);
}

static void inner_dimension_of_zero(struct gguf_builder *b)
{
    tensor(b, "t", 2, (const uint64_t[]){0, 8}, G_F32, 0, 64);
}

static void product_that_wraps_to_zero(struct gguf_builder *b)
{
    tensor(b, "t", 2, (const uint64_t[]){1ull << 32, 1ull << 32}, G_F32, 0, 64);
}

static void product_that_wraps_to_what_is_there(struct gguf_builder *b)
{
    tensor(b, "t", 3, (const uint64_t[]){16, 1ull << 60, 1ull << 4}, G_F32, 0, 64);
}

static void rows_that_wrap(struct gguf_builder *b)
{
    tensor(b, "t", 4, (const uint64_t[]){1, 1ull << 32, 1ull << 31, 2}, G_F32, 0, 64);
}

static void bytes_that_wrap(struct gguf_builder *b)
{
    tensor(b, "t", 1, (const uint64_t[]){1ull << 62}, G_F32, 0, 64);
}

static void row_of_half_a_block(struct gguf_builder *b)
{
    tensor(b, "t", 2, (const uint64_t[]){48, 2}, G_Q8_0, 0, 4096);
}

static void type_that_was_removed(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, 4, 0, 64);
}

static void type_of_2_31(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, 1u << 31, 0, 64);
}

static void type_that_is_not_read(struct gguf_builder *b)
{
    tensor(b, "t", 1, (const uint64_t[]){256}, 17, 0, 4096);
}

static void offset_behind_the_end(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, G_F32, 64, 64);
}

static void offset_that_wraps(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, G_F32, UINT64_MAX - 31, 64);
}

static void offset_between_alignments(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, G_F32, 4, 64);
}

static void data_one_byte_short(struct gguf_builder *b)
{
    tensor(b, "t", 1, dims_8, G_F32, 0, 31);
}

static void no_data_at_all(struct gguf_builder *b)
{
    gguf_begin(b);
    put_tensor(b, "tensor", 1, dims_8, G_F32, 0);
    gguf_finish(b);
}

static void name_empty(struct gguf_builder *b)
{
    tensor(b, "", 1, dims_8, G_F32, 0, 64);
}

static void name_too_long(struct gguf_builder *b)
{
    char name[WEIGHTS_NAME_BYTES_MAX + 2];

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    tensor(b, name, 1, dims_8, G_F32, 0, 64);
}

static void name_with_a_line(struct gguf_builder *b)
{
    tensor(b, "a\nb", 1, dims_8, G_F32, 4, 64);
}

static void name_twice(struct gguf_builder *b)
{
    gguf_begin(b);
    tensor_f32(b, "t", 0, 8);
    tensor_f32(b, "u", 0, 8);
    tensor_f32(b, "t", 0, 8);
    gguf_finish_with_data(b);
}

static void two_at_one_place(struct gguf_builder *b)
{
    gguf_begin(b);
    put_tensor(b, "t", 1, dims_8, G_F32, 0);
    put_tensor(b, "u", 1, dims_8, G_F32, 0);
    gguf_finish(b);
    put_padding(b, 32);
    put_zeros(b, 64);
}

static void one_inside_another(struct gguf_builder *b)
{
    gguf_begin(b);
    put_tensor(b, "large", 1, (const uint64_t[]){32}, G_F32, 0);
    put_tensor(b, "small", 1, dims_8, G_F32, 32);
    gguf_finish(b);
    put_padding(b, 32);
    put_zeros(b, 128);
}

/* ---- alignment ---- */

static void alignment(struct gguf_builder *b, uint32_t value)
{
    gguf_begin(b);
    key_u32(b, "general.alignment", value);
    put_tensor(b, "t", 1, dims_8, G_F32, 0);
    gguf_finish(b);
    put_padding(b, 64);
    put_zeros(b, 64);
}

static void alignment_0(struct gguf_builder *b)
{
    alignment(b, 0);
}

static void alignment_33(struct gguf_builder *b)
{
    alignment(b, 33);
}

static void alignment_2_31(struct gguf_builder *b)
{
    alignment(b, 1u << 31);
}

static void alignment_behind_the_end(struct gguf_builder *b)
{
    alignment(b, 65536);
}

static void alignment_negative(struct gguf_builder *b)
{
    gguf_begin(b);
    key_i32(b, "general.alignment", -32);
    gguf_finish(b);
}

static void alignment_as_text(struct gguf_builder *b)
{
    gguf_begin(b);
    key_text(b, "general.alignment", "32");
    gguf_finish(b);
}

/* ---- other files ---- */

static void version(struct gguf_builder *b, uint32_t value)
{
    gguf_begin(b);
    memcpy(b->bytes + 4, &value, 4);
}

static void version_0(struct gguf_builder *b)
{
    version(b, 0);
}

static void version_1(struct gguf_builder *b)
{
    version(b, 1);
}

static void version_4(struct gguf_builder *b)
{
    version(b, 4);
}

static void big_endian(struct gguf_builder *b)
{
    version(b, 3u << 24);
}

static void not_a_gguf_file(struct gguf_builder *b)
{
    gguf_begin(b);
    memcpy(b->bytes, "PK\3\4", 4);
}

static void before_gguf(struct gguf_builder *b)
{
    gguf_begin(b);
    memcpy(b->bytes, "tjgg", 4);
}

static void pointer_of_lfs(struct gguf_builder *b)
{
    memset(b, 0, sizeof *b);
    put(b, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", 63);
}

static void four_bytes(struct gguf_builder *b)
{
    memset(b, 0, sizeof *b);
    put(b, "GGUF", 4);
}

static const struct row {
    const char *name;
    void (*build)(struct gguf_builder *b);
    enum rag_status status;
    const char *words; /* of the message */
} rows[] = {
    {"2^64 - 1 tensors",                            too_many_tensors,                    RAG_EFORMAT, "18446744073709551615 tensors"      },
    {"tensors whose memory would wrap",             tensors_whose_memory_wraps,          RAG_EFORMAT,
     "tensors in a file of"                                                                                                               },
    {"2^64 - 1 keys",                               too_many_keys,                       RAG_EFORMAT, "18446744073709551615 keys"         },
    {"one key more than there is",                  one_key_too_many,                    RAG_EFORMAT, "2 keys in a file of"               },
    {"one tensor more than there is",               one_tensor_too_many,                 RAG_EFORMAT, "name is empty"                     },
    {"a key of 2^64 - 1 bytes",                     key_of_2_64,                         RAG_EFORMAT, "18446744073709551615 bytes of text"},
    {"a key of 2^63 bytes",                         key_of_2_63,                         RAG_EFORMAT, "9223372036854775808 bytes"         },
    {"a key that ends behind the file",             key_to_just_behind_the_end,          RAG_EFORMAT,
     "13 bytes of text, 12 are left"                                                                                                      },
    {"an empty key",                                empty_key,                           RAG_EFORMAT, "key 0: the name is empty"          },
    {"a key longer than the limit",                 long_key,                            RAG_ELIMIT,  "key 0: 1025 bytes"                 },
    {"a key with a zero byte",                      key_with_a_zero_byte,                RAG_EFORMAT, "zero byte"                         },
    {"a key that is not UTF-8",                     key_that_is_not_utf8,                RAG_EFORMAT, "not UTF-8"                         },
    {"a key that occurs twice",                     key_twice,                           RAG_EFORMAT, "'general.x' occurs twice"          },
    {"a value of an unknown type",                  value_of_unknown_type,               RAG_EFORMAT, "type 13 is not known"              },
    {"a value of type 2^32 - 1",                    value_of_type_2_32,                  RAG_EFORMAT, "type 4294967295"                   },
    {"a text of 1 GiB in a file of 1 KB",           text_of_a_gigabyte,                  RAG_EFORMAT,
     "1073741824 bytes of text"                                                                                                           },
    {"a text of 2^64 - 1 bytes",                    text_of_2_64,                        RAG_EFORMAT, "18446744073709551615 bytes of text"},
    {"an array of 1 GiB in a file of 1 KB",         array_of_a_gigabyte,                 RAG_EFORMAT, "1073741824 items"                  },
    {"an array whose bytes wrap to 8",              array_whose_bytes_wrap,              RAG_EFORMAT,
     "2305843009213693953 items"                                                                                                          },
    {"an array of strings whose memory would wrap", array_of_strings_that_wraps,         RAG_EFORMAT,
     "1152921504606846976 items"                                                                                                          },
    {"an array of one string more than there is",   array_of_one_string_too_many,        RAG_EFORMAT,
     "126 items"                                                                                                                          },
    {"an array of arrays",                          array_of_arrays,                     RAG_EFORMAT, "array of arrays"                   },
    {"an array of an unknown type",                 array_of_unknown_type,               RAG_EFORMAT, "array of type 77"                  },
    {"an array without a count",                    array_without_a_count,               RAG_EFORMAT, "ends inside"                       },
    {"a string of 1 GiB within an array",           string_in_an_array_of_a_gigabyte,    RAG_EFORMAT,
     "string 1: 1073741824 bytes"                                                                                                         },
    {"a tensor of no dimension",                    no_dimension,                        RAG_EFORMAT, "0 dimensions"                      },
    {"a tensor of five dimensions",                 five_dimensions,                     RAG_EFORMAT,
     "5 dimensions, allowed are 1 to 4"                                                                                                   },
    {"a tensor of 2^32 - 1 dimensions",             four_billion_dimensions,             RAG_EFORMAT,
     "4294967295 dimensions"                                                                                                              },
    {"a dimension of zero",                         dimension_of_zero,                   RAG_EFORMAT, "dimension 1 is 0"                  },
    {"an innermost dimension of zero",              inner_dimension_of_zero,             RAG_EFORMAT, "dimension 0 is 0"                  },
    {"a product that wraps to zero",                product_that_wraps_to_zero,          RAG_EFORMAT, "more than 2^64"                    },
    {"a product that wraps to what is there",       product_that_wraps_to_what_is_there, RAG_EFORMAT,
     "more than 2^64"                                                                                                                     },
    {"rows whose number wraps",                     rows_that_wrap,                      RAG_EFORMAT, "more than 2^64"                    },
    {"bytes that wrap",                             bytes_that_wrap,                     RAG_EFORMAT, "more than 2^64"                    },
    {"a row of one and a half blocks",              row_of_half_a_block,                 RAG_EFORMAT, "rows of 48"                        },
    {"a type that was removed from the format",     type_that_was_removed,               RAG_EFORMAT,
     "type 4 is not known"                                                                                                                },
    {"a type of 2^31",                              type_of_2_31,                        RAG_EFORMAT, "type 2147483648"                   },
    {"a type that is not read",                     type_that_is_not_read,               RAG_EFORMAT, "type IQ2_XS is not supported"      },
    {"an offset behind the end",                    offset_behind_the_end,               RAG_EFORMAT,
     "bytes 64 to 96 in a file with 64"                                                                                                   },
    {"an offset whose end wraps",                   offset_that_wraps,                   RAG_EFORMAT, "more than 2^64"                    },
    {"an offset between two alignments",            offset_between_alignments,           RAG_EFORMAT,
     "no multiple of the alignment 32"                                                                                                    },
    {"data one byte short",                         data_one_byte_short,                 RAG_EFORMAT, "bytes 0 to 32 in a file with 31"   },
    {"a file that ends behind its header",          no_data_at_all,                      RAG_EFORMAT, "data would begin at byte"          },
    {"a tensor without a name",                     name_empty,                          RAG_EFORMAT, "tensor 0: the name is empty"       },
    {"a name longer than the limit",                name_too_long,                       RAG_ELIMIT,  "tensor 0: 257 bytes"               },
    {"a name cannot forge a line of a log",         name_with_a_line,                    RAG_EFORMAT, "'a?b'"                             },
    {"a tensor that occurs twice",                  name_twice,                          RAG_EFORMAT, "'t' occurs twice"                  },
    {"two tensors at one place",                    two_at_one_place,                    RAG_EFORMAT, "inside"                            },
    {"a tensor inside another",                     one_inside_another,                  RAG_EFORMAT, "'small' begins at byte 32"         },
    {"an alignment of 0",                           alignment_0,                         RAG_EFORMAT, "0, expected a power of two"        },
    {"an alignment of 33",                          alignment_33,                        RAG_EFORMAT, "33, expected a power of two"       },
    {"an alignment of 2^31",                        alignment_2_31,                      RAG_EFORMAT, "2147483648, expected"              },
    {"an alignment beyond the file",                alignment_behind_the_end,            RAG_EFORMAT,
     "data would begin at byte 65536"                                                                                                     },
    {"a negative alignment",                        alignment_negative,                  RAG_EFORMAT, "-32, expected 0 or more"           },
    {"an alignment that is text",                   alignment_as_text,                   RAG_EFORMAT, "type string, expected"             },
    {"version 0",                                   version_0,                           RAG_EFORMAT, "version 0, 2 and 3 are read"       },
    {"version 1, whose counts are shorter",         version_1,                           RAG_EFORMAT, "version 1"                         },
    {"version 4",                                   version_4,                           RAG_EFORMAT, "version 4"                         },
    {"a big-endian file",                           big_endian,                          RAG_EFORMAT, "big-endian"                        },
    {"another format",                              not_a_gguf_file,                     RAG_EFORMAT, "does not begin with"               },
    {"a format of before GGUF",                     before_gguf,                         RAG_EFORMAT, "before GGUF"                       },
    {"a pointer of Git LFS",                        pointer_of_lfs,                      RAG_EFORMAT, "Git LFS"                           },
    {"four bytes",                                  four_bytes,                          RAG_EFORMAT, "4 bytes, shorter than"             },
};

/* Read from memory of exactly n bytes. */
static enum rag_status read_copy(const uint8_t *bytes, size_t n, struct rag_error *error)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct gguf g = {.path = "FILE", .data = copy, .n_bytes = n};
    volatile uint8_t sum = 0;
    enum rag_status status;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    status = gguf_read(&g, error);
    for (size_t i = 0; status == RAG_OK && i < g.n_tensors; i++) { /* all of it is there */
        const struct gguf_tensor *t = &g.tensors[i];

        sum = (uint8_t)(sum + t->data[0] + t->data[t->n_rows * t->row_bytes - 1]);
    }
    gguf_release(&g);
    free(copy);
    return status;
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {.text = ""};
    struct gguf_builder b;

    row->build(&b);
    assert_int_equal(read_copy(b.bytes, b.n, &error), row->status);
    if (!strstr(error.text, row->words) || !strstr(error.text, "gguf 'FILE'"))
        fail_msg("message: %s", error.text);
    gguf_drop(&b);
}

/* ---- a right file ---- */

static void cut_at_every_byte(void **state)
{
    struct gguf_builder right;

    (void)state;
    gguf_build_right(&right);
    for (size_t n = 0; n < right.n; n++) {
        struct rag_error error = {.text = ""};

        if (read_copy(right.bytes, n, &error) != RAG_EFORMAT)
            fail_msg("cut to %zu of %zu bytes: %s", n, right.n, error.text);
        assert_true(strlen(error.text) > 0);
    }
    assert_int_equal(read_copy(right.bytes, right.n, NULL), RAG_OK);
    gguf_drop(&right);
}

/* Whatever it then says, it is read within its bounds or refused. */
static void every_byte_changed(void **state)
{
    static const uint8_t masks[] = {0x01, 0x02, 0x08, 0x10, 0x80, 0xFF};
    struct gguf_builder right;
    size_t n_refused = 0;

    (void)state;
    gguf_build_right(&right);
    for (size_t i = 0; i < right.n; i++) {
        for (size_t m = 0; m < COUNT(masks); m++) {
            right.bytes[i] ^= masks[m];
            n_refused += read_copy(right.bytes, right.n, NULL) != RAG_OK;
            right.bytes[i] ^= masks[m];
        }
    }
    assert_true(n_refused > 500);
    gguf_drop(&right);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 2];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = check_row,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(cut_at_every_byte);
    tests[COUNT(rows) + 1] = (struct CMUnitTest)cmocka_unit_test(every_byte_changed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
