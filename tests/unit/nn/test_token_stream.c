/* Goal: a stream of ids shows text as early as it is certain, never half a character, and all of it
 * is what decoding all ids at once gives. Method: rows with the piece that each token brings; then
 * random ids through every kind of decoder: what was shown after k tokens begins the text of every
 * longer list of ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "base/utf8.h"
#include "tokenizer_fixture.h"

/* 0-2: the bytes of U+D55C (han), as GPT-2's alphabet writes them; then a, a space, a stray byte */
#define BYTES                                                                                      \
    "{'type':'BPE','vocab':{'\xC3\xAD':0,'\xC4\xB7':1,'\xC4\xBE':2,'a':3,'\xC4\xA0':4,"            \
    "'\xC3\xBF':5,'\xED\x95\x9C':6,'\xC3\xAD\xC4\xB7':7},'merges':[]}"
/* The same as SentencePiece's byte tokens; 4 begins a word, 5 is a stray byte. */
#define FALLBACK                                                                                   \
    "{'type':'BPE','byte_fallback':true,'unk_token':'u','vocab':{'<0xED>':0,'<0x95>':1,"           \
    "'<0x9C>':2,'a':3,'\xE2\x96\x81"                                                               \
    "a':4,'<0xFF>':5,'\xE2\x96\x81':6,'u':7},'merges':[]}"
#define LLAMA                                                                                      \
    "'decoder':{'type':'Sequence','decoders':[{'type':'Replace','pattern':"                        \
    "{'String':'\xE2\x96\x81'},'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},"            \
    "{'type':'Strip','content':' ','start':1,'stop':0}]}"
#define GEMMA                                                                                      \
    "'decoder':{'type':'Sequence','decoders':[{'type':'Replace','pattern':"                        \
    "{'String':'\xE2\x96\x81'},'content':' '},{'type':'ByteFallback'},{'type':'Fuse'}]}"
#define BYTE_LEVEL "'decoder':{'type':'ByteLevel'}"
#define WORDS      "{'type':'BPE','vocab':{'a</w>':0,'b':1,'##c':2,'.':3},'merges':[]}"
#define HAN        "\xED\x95\x9C"
#define LOST       "\xEF\xBF\xBD"

static const struct {
    const char *name;
    const char *model;
    const char *decoder;
    const char *ids;    /* digits */
    const char *pieces; /* one for each token, each ended by |; then the rest */
} rows[] = {
    {"a syllable of three tokens appears with the third",          BYTES,    BYTE_LEVEL,                                     "3012",
     "a|||" HAN "|"                                                                                                                                   },
    {"one of two tokens",                                          BYTES,    BYTE_LEVEL,                                     "724",   "|" HAN "| |"   },
    {"half a syllable at the end is lost",                         BYTES,    BYTE_LEVEL,                                     "301",   "a|||" LOST     },
    {"half a syllable is lost when something else follows",        BYTES,    BYTE_LEVEL,                                     "013",
     "||" LOST "a|"                                                                                                                                   },
    {"a stray byte is lost at once",                               BYTES,    BYTE_LEVEL,                                     "53",    LOST "|a|"      },
    {"a stray byte within a syllable",                             BYTES,    BYTE_LEVEL,                                     "0512",
     "|" LOST LOST "|" LOST "|" LOST "|"                                                                                                              },
    {"a token outside the alphabet is itself",                     BYTES,    BYTE_LEVEL,                                     "63",    HAN "|a|"       },
    {"byte tokens appear when their run ends",                     FALLBACK, LLAMA,                                          "40123", "a||||" HAN "a|"},
    {"or at the end",                                              FALLBACK, LLAMA,                                          "012",   "|||" HAN       },
    {"a wrong byte spoils its whole run, as the reference has it", FALLBACK, LLAMA,                                          "01253",
     "||||" LOST LOST LOST LOST "a|"                                                                                                                  },
    {"the first space is stripped, and no other",                  FALLBACK, LLAMA,                                          "6644",  "| | a| a|"     },
    {"Gemma keeps it",                                             FALLBACK, GEMMA,                                          "43",    " a|a|"         },
    {"the last token loses its suffix, so one is held",            WORDS,
     "'decoder':{'type':'BPEDecoder','suffix':'</w>'}",                                                                      "010",   "|a |b|a"       },
    {"WordPiece knows at once",                                    WORDS,    "'decoder':{'type':'WordPiece','prefix':'##'}", "123",
     "b|c|.|"                                                                                                                                         },
    {"without a decoder tokens have spaces between them",          WORDS,    "",                                             "13",    "b| .|"         },
    {"what strips the end waits for it",                           FALLBACK,
     "'decoder':{'type':'Sequence','decoders':[{'type':'Fuse'},{'type':'Strip','content':'a',"
     "'start':1,'stop':1}]}",                                                                                                "3333",  "||||aa"        },
    {"decoders of a whole text wait, too",                         BYTES,
     "'decoder':{'type':'Sequence','decoders':[{'type':'ByteLevel'},{'type':'Replace','pattern':"
     "{'String':'aa'},'content':'b'}]}",                                                                                     "333",   "|||ba"         },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;
        struct token_stream stream;
        struct buf got;

        buf_init(&got, 1000);
        if (fixture_open(rows[i].model, rows[i].decoder, &t, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        token_stream_init(&stream, t, false);
        for (size_t turn = 0; turn < 2; turn++) { /* it can be used again */
            buf_reset(&got);
            for (const char *p = rows[i].ids; *p; p++) {
                assert_int_equal(token_stream_put(&stream, (uint32_t)(*p - '0'), &got, &error),
                                 RAG_OK);
                buf_append_char(&got, '|');
            }
            assert_int_equal(token_stream_finish(&stream, &got, &error), RAG_OK);
            if (strcmp(buf_str(&got), rows[i].pieces) != 0)
                fail_msg("%s: '%s', not '%s'", rows[i].name, buf_str(&got), rows[i].pieces);
        }
        token_stream_release(&stream);
        buf_release(&got);
        tokenizer_close(t);
    }
}

#define N_IDS 40

/* shown[k]: bytes shown after k tokens. */
static void check_prefixes(const struct tokenizer *t, const char *name, const uint32_t *ids,
                           bool skip_special)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_stream stream;
    size_t shown[N_IDS + 1] = {0};
    struct buf text;
    struct buf whole;

    buf_init(&text, 1u << 20);
    buf_init(&whole, 1u << 20);
    token_stream_init(&stream, t, skip_special);
    for (size_t k = 0; k < N_IDS; k++) {
        assert_int_equal(token_stream_put(&stream, ids[k], &text, &error), RAG_OK);
        shown[k + 1] = text.len;
        if (!utf8_valid(buf_str(&text) + shown[k], text.len - shown[k], NULL))
            fail_msg("%s: half a character after %zu tokens", name, k + 1);
    }
    assert_int_equal(token_stream_finish(&stream, &text, &error), RAG_OK);
    for (size_t n = 0; n <= N_IDS; n++) {
        buf_reset(&whole);
        assert_int_equal(tokenizer_decode(t, ids, n, skip_special, &whole, &error), RAG_OK);
        if (whole.len < shown[n] || memcmp(buf_str(&whole), buf_str(&text), shown[n]) != 0)
            fail_msg("%s: what was shown after %zu tokens does not begin their text", name, n);
    }
    assert_int_equal(whole.len, text.len);
    assert_memory_equal(buf_str(&whole), buf_str(&text), text.len);
    token_stream_release(&stream);
    buf_release(&text);
    buf_release(&whole);
}

static void check_random(const struct tokenizer *t, const char *name, size_t rounds)
{
    uint64_t seed = 20;

    for (size_t round = 0; round < rounds; round++) {
        uint32_t ids[N_IDS];
        uint32_t near = (uint32_t)(splitmix_next(&seed) % tokenizer_vocab_size(t));

        for (size_t k = 0; k < N_IDS; k++) {
            ids[k] = (uint32_t)(splitmix_next(&seed) % tokenizer_vocab_size(t));
            if (round % 2 && near + 8 < tokenizer_vocab_size(t)) /* bytes stand side by side */
                ids[k] = near + ids[k] % 8;
        }
        check_prefixes(t, name, ids, round % 4 < 2);
    }
}

static void test_random_ids(void **state)
{
    static const char *const models[] = {"tiny-bert-ce", "tiny-roberta-ce", "tiny-xlmr-ce"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        assert_int_equal(fixture_open(rows[i].model, rows[i].decoder, &t, &error), RAG_OK);
        check_random(t, rows[i].name, 100);
        tokenizer_close(t);
    }
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;
        char path[512];

        snprintf(path, sizeof path, "%s/models/%s", RAG_TEST_DATA, models[i]);
        assert_int_equal(tokenizer_open(path, &t, &error), RAG_OK);
        check_random(t, models[i], 100);
        tokenizer_close(t);
    }
}

static void test_refusals(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    struct token_stream stream = {.state = NULL};
    struct buf text;

    (void)state;
    buf_init(&text, 3);
    token_stream_release(&stream);
    assert_int_equal(fixture_open(BYTES, BYTE_LEVEL, &t, &error), RAG_OK);
    token_stream_init(&stream, t, false);
    assert_int_equal(token_stream_put(&stream, 3, &text, &error), RAG_OK);
    assert_int_equal(token_stream_put(&stream, 90, &text, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "90"));
    assert_int_equal(token_stream_put(&stream, 3, &text, &error), RAG_OK);
    assert_string_equal(buf_str(&text), "aa");
    assert_int_equal(token_stream_put(&stream, 6, &text, &error), RAG_ELIMIT);
    assert_string_equal(buf_str(&text), "aa"); /* nothing of it */
    token_stream_release(&stream);
    buf_release(&text);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_random_ids),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("token_stream", tests, NULL, NULL);
}
