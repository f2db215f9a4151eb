/* Goal: SentencePiece's tokenizer.model gives the ids of SentencePiece's own encoder, and bytes
 * that are no such file are refused. Method: messages written here, one row for each rule; rows
 * were checked against spm_encode 0.1.97. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "tokenizer_fixture.h"

#define MARK "\xE2\x96\x81"
#define HAN  "\xED\x95\x9C"

/* ---- protobuf ---- */

static void put_varint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_append_char(b, (char)(v | 0x80));
    buf_append_char(b, (char)v);
}

static void put_number(struct buf *b, unsigned field, uint64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(struct buf *b, unsigned field, const void *data, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    buf_append(b, data, n);
}

/* "text:type:score|...": type a digit, score a digit, negative. */
static void put_pieces(struct buf *b, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ":");
        float score = (float)-(list[n + 3] - '0');
        struct buf piece;

        buf_init(&piece, 1000);
        put_bytes(&piece, 1, list, n);
        put_varint(&piece, 2 << 3 | 5);
        buf_append(&piece, &score, sizeof score);
        put_number(&piece, 3, (uint64_t)(list[n + 1] - '0'));
        put_bytes(b, 1, buf_str(&piece), piece.len);
        buf_release(&piece);
        list += n + 4;
        list += *list == '|';
    }
}

struct spec {
    const char *pieces;
    unsigned type;     /* model_type */
    const char *flags; /* p, s, e: prefix, squeeze, escape switched off */
    const char *config;
};

static void put_model(struct buf *b, const struct spec *s)
{
    const char *flags = s->flags ? s->flags : "";
    struct buf message;

    buf_init(&message, 1000);
    put_pieces(b, s->pieces);
    put_number(&message, 3, s->type);
    put_number(&message, 4, 32000);                /* vocab_size: not read */
    put_bytes(&message, 45, "<unk>", 5);           /* nor is unk_piece */
    put_number(&message, 43, 0xFFFFFFFFFFFFFFFFu); /* pad_id -1 */
    put_bytes(b, 2, buf_str(&message), message.len);
    buf_reset(&message);
    put_bytes(&message, 1, "identity", 8);
    if (strchr(flags, 'p'))
        put_number(&message, 3, 0);
    if (strchr(flags, 's'))
        put_number(&message, 4, 0);
    if (strchr(flags, 'e'))
        put_number(&message, 5, 0);
    put_bytes(b, 3, buf_str(&message), message.len);
    buf_release(&message);
}

static enum rag_status open_model(const struct spec *s, struct tokenizer **ret,
                                  struct rag_error *error)
{
    enum rag_status status;
    struct buf b;

    buf_init(&b, 1u << 20);
    put_model(&b, s);
    status = tokenizer_open_sentencepiece((const uint8_t *)buf_str(&b), b.len, s->config,
                                          s->config ? strlen(s->config) : 0, ret, error);
    buf_release(&b);
    return status;
}

/* ---- rows ---- */

#define HEAD  "<unk>:2:0|<s>:3:0|</s>:3:0|"
#define BPE   HEAD MARK ":1:9|a:1:8|b:1:8|ab:1:2|" MARK "a:1:3|" MARK "ab:1:1|<t>:4:0"
#define BYTES BPE "|<0xED>:6:0|<0x95>:6:0|<0x9C>:6:0"

static const struct {
    const char *name;
    struct spec spec;
    bool special;
    bool plain;
    const char *text;
    const char *tokens;
    const char *decoded; /* NULL: the text */
} rows[] = {
    {"BPE: the best score first",
     {BPE, 2, NULL, NULL},
     false,                                                                                    false,
     "ab a",                                                                                                   MARK "ab|" MARK "a",
     NULL                                                                                                                                                 },
    {"spaces at the ends and between go",
     {BPE, 2, NULL, NULL},
     false,                                                                                    false,
     "  ab   a ",                                                                                              MARK "ab|" MARK "a",
     "ab a"                                                                                                                                               },
    {"or stay",
     {BPE, 2, "s", NULL},
     false,                                                                                    false,
     " a  b",                                                                                                  MARK "|" MARK "a|" MARK "|" MARK "|b",
     NULL                                                                                                                                                 },
    {"no space in front",                                    {BPE, 2, "p", NULL},       false, false, "ab a",  "ab|" MARK "a",                        NULL},
    {"nothing has no space in front",                        {BPE, 2, NULL, NULL},      false, false, "",      "",                                    NULL},
    {"white space alone is nothing",                         {BPE, 2, NULL, NULL},      false, false, "   ",   "",                                    ""  },
    {"spaces that are not escaped are no piece",
     {BPE, 2, "e", NULL},
     false,                                                                                    false,
     "a b",                                                                                                    "<unk>|a|<unk>|b",
     "<unk>a<unk>b"                                                                                                                                       },
    {"a run of unknown characters is one token",
     {BPE, 2, "p", NULL},
     false,                                                                                    false,
     "xyb",                                                                                                    "<unk>|b",
     "<unk>b"                                                                                                                                             },
    {"bytes",                                                {BYTES, 2, "p", NULL},     false, false, "a" HAN, "a|<0xED>|<0x95>|<0x9C>",              NULL},
    {"a user-defined piece is found first",
     {BPE, 2, "p", NULL},
     false,                                                                                    false,
     "a<t>b",                                                                                                  "a|<t>|b",
     NULL                                                                                                                                                 },
    {"control pieces are found",                             {BPE, 2, "p", NULL},       false, false, "a</s>", "a|</s>",                              NULL},
    {"not in plain text, where they were never meant to be",
     {BPE, 2, "p", NULL},
     false,                                                                                    true,
     "a</s>",                                                                                                  "a|<unk>",
     "a<unk>"                                                                                                                                             },
    {"the beginning, as LlamaTokenizer has it",
     {BPE, 2, NULL, NULL},
     true,                                                                                     false,
     "a",                                                                                                      "<s>|" MARK "a",
     "<s> a"                                                                                                                                              },
    {"what tokenizer_config.json says",
     {BPE, 2, NULL, "{\"add_bos_token\":false,\"add_eos_token\":true}"},
     true,                                                                                     false,
     "a",                                                                                                      MARK "a|</s>",
     "a</s>"                                                                                                                                              },
    {"Unigram: the best sum",
     {HEAD MARK ":1:2|a:1:3|b:1:3|ab:1:5|" MARK "a:1:3|" MARK "ab:1:9", 1, NULL, NULL},
     false,                                                                                    false,
     "ab",                                                                                                     MARK "a|b",
     NULL                                                                                                                                                 },
    {"Unigram: an unused piece is not taken",
     {HEAD MARK ":1:2|a:1:3|b:1:3|" MARK "ab:5:1", 1, NULL, NULL},
     false,                                                                                    false,
     "ab",                                                                                                     MARK "|a|b",
     NULL                                                                                                                                                 },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tokenize_options options = {.special = rows[i].special, .plain = rows[i].plain};
        const char *decoded = rows[i].decoded ? rows[i].decoded : rows[i].text;
        struct rag_error error = {RAG_OK, ""};
        struct token_list list = {0};
        struct tokenizer *t = NULL;
        struct buf got;

        buf_init(&got, 1000);
        if (open_model(&rows[i].spec, &t, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        fixture_check_tokens(rows[i].name, t, rows[i].text, &options, rows[i].tokens, &list);
        assert_int_equal(tokenizer_decode(t, list.ids, list.n, false, &got, &error), RAG_OK);
        if (strcmp(buf_str(&got), decoded) != 0)
            fail_msg("%s: '%s', not '%s'", rows[i].name, buf_str(&got), decoded);
        buf_release(&got);
        token_list_release(&list);
        tokenizer_close(t);
    }
}

/* ---- files that are wrong ---- */

static const struct {
    const char *name;
    const char *bytes;
    size_t n;
    const char *says;
} broken[] = {
    {"nothing",                               "",                                                 0,  "0 tokens"    },
    {"a text",                                "#version: 0.2\na b",                               17, "not a field" },
    {"a piece longer than the file",
     "\x0A\x7F"
     "abc",                                                                                       5,  "not a field" },
    {"a length of 2^64 - 1",                  "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",     11, "not a field" },
    {"a number without an end",               "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12,
     "not a field"                                                                                                  },
    {"a group, which nobody writes any more", "\x0B\x0C",                                         2,  "not a field" },
    {"a piece that is a number",              "\x08\x01",                                         2,  "wire type 0" },
    {"a piece whose text is a number",        "\x0A\x02\x08\x01",                                 4,  "wire type 0" },
    {"a piece cut off inside",                "\x0A\x02\x0A\x05",                                 4,  "piece: not a"},
    {"a type that nobody knows",
     "\x0A\x05\x0A\x01"
     "a\x18\x09",                                                                                 7,  "type 0"      },
    {"a score of eight bytes",                "\x0A\x0B\x0A\x00\x11\0\0\0\0\0\0\0\0",             13, "wire type 1" },
};

static void test_broken(void **state)
{
    static const struct {
        struct spec spec;
        const char *says;
    } wrong[] = {
        {{BPE, 3, NULL, NULL},                          "model_type 3"            },
        {{"a:1:0|b:1:0", 2, NULL, NULL},                "neither an unknown token"},
        {{HEAD "a:4:0", 1, NULL, NULL},                 "none of them is a normal"},
        {{HEAD "a:1:0|a:1:0", 2, NULL, NULL},           "token 4: 'a' is token 3" },
        {{HEAD "a:6:0", 2, NULL, NULL},                 "'a' is said to be a byte"},
        {{BPE, 2, NULL, "{\"add_bos_token\":\"yes\"}"}, "add_bos_token"           },
    };
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        enum rag_status status = tokenizer_open_sentencepiece((const uint8_t *)broken[i].bytes,
                                                              broken[i].n, NULL, 0, &t, &error);

        if (status != RAG_EFORMAT && status != RAG_ELIMIT)
            fail_msg("%s: status %d", broken[i].name, status);
        if (!strstr(error.text, broken[i].says))
            fail_msg("%s: '%s' does not say '%s'", broken[i].name, error.text, broken[i].says);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(open_model(&wrong[i].spec, &t, &error), RAG_EFORMAT);
        if (!strstr(error.text, wrong[i].says))
            fail_msg("'%s' does not say '%s'", error.text, wrong[i].says);
    }
    assert_null(t);
}

/* Every prefix and many changed bytes of a good file: an error or a tokenizer, never a crash. */
static void test_damaged(void **state)
{
    const struct spec spec = {BYTES, 2, NULL, NULL};
    struct tokenize_options options = {.special = true};
    struct token_list list = {0};
    uint64_t seed = 11;
    struct buf good;
    uint8_t *bad;

    (void)state;
    buf_init(&good, 1u << 16);
    put_model(&good, &spec);
    bad = malloc(good.len);
    assert_non_null(bad);
    for (size_t round = 0; round < good.len + 5000; round++) {
        size_t n = round < good.len ? round : good.len;
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        memcpy(bad, buf_str(&good), good.len);
        for (size_t i = round < good.len ? 0 : 1 + round % 3; i > 0; i--)
            bad[splitmix_next(&seed) % n] = (uint8_t)splitmix_next(&seed);
        if (tokenizer_open_sentencepiece(bad, n, NULL, 0, &t, &error) == RAG_OK)
            (void)tokenizer_encode(t, "ab <t>a" HAN, 10, NULL, 0, &options, &list, &error);
        else
            assert_true(error.text[0] != '\0');
        tokenizer_close(t);
    }
    token_list_release(&list);
    buf_release(&good);
    free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests_name("tokenizer_sentencepiece", tests, NULL, NULL);
}
