#define _POSIX_C_SOURCE 200809L /* mkstemp in gguf_keys.h */
/* Goal: a tokenizer out of a GGUF file gives the ids that the same tokenizer gives out of its
 * tokenizer.json, and a file that contradicts itself is refused by a message that says where.
 * Method: small files written by the test; both forms of one model; tests/golden/
 * tokenizer_to_gguf.py and tokenizer_diff.mjs do the same with the large ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "gguf_keys.h"
#include "tokenizer_fixture.h"

#define MARK "\xE2\x96\x81"
#define HAN  "\xED\x95\x9C"

/* ---- SentencePiece's BPE ---- */

/* id:            0    1   2     3      4      5      6    7   8   9    10     11          12   */
#define TOKENS "<unk>|<s>|</s>|<0xED>|<0x95>|<0x9C>|" MARK "|a|b|ab|" MARK "a|" MARK "ab|<tool>"
#define TYPES  "2336661111114"
#define SCORES "0000009989878" /* of tens: 12: 8 */

struct file {
    const char *model;
    const char *pre;
    const char *tokens;
    const char *types;  /* a digit for each; NULL: no key */
    const char *scores; /* likewise */
    const char *merges;
    const char *flags; /* b: add_bos_token, e: add_eos_token, n: no add_space_prefix, s: squeeze */
    uint32_t bos, eos; /* 0: no key */
};

static enum rag_status open_file(const struct file *f, struct tokenizer **ret,
                                 struct rag_error *error)
{
    const char *flags = f->flags ? f->flags : "";
    struct gguf *g = NULL;
    struct gguf_keys k;
    enum rag_status status;

    keys_init(&k);
    if (f->model)
        keys_string(&k, "tokenizer.ggml.model", f->model);
    if (f->pre)
        keys_string(&k, "tokenizer.ggml.pre", f->pre);
    keys_strings(&k, "tokenizer.ggml.tokens", f->tokens);
    if (f->types) {
        keys_array(&k, "tokenizer.ggml.token_type", 5, strlen(f->types));
        for (const char *p = f->types; *p; p++)
            keys_u32(&k.body, (uint32_t)(*p - '0'));
    }
    if (f->scores) {
        keys_array(&k, "tokenizer.ggml.scores", 6, strlen(f->scores));
        for (const char *p = f->scores; *p; p++) {
            float score = *p == 'n' ? __builtin_nanf("") : (float)(*p - '0') * 10;

            buf_append(&k.body, &score, sizeof score);
        }
    }
    keys_strings(&k, "tokenizer.ggml.merges", f->merges);
    if (strchr(flags, 'b'))
        keys_bool(&k, "tokenizer.ggml.add_bos_token", true);
    if (strchr(flags, 'x'))
        keys_bool(&k, "tokenizer.ggml.add_bos_token", false);
    if (strchr(flags, 'e'))
        keys_bool(&k, "tokenizer.ggml.add_eos_token", true);
    if (strchr(flags, 'n'))
        keys_bool(&k, "tokenizer.ggml.add_space_prefix", false);
    if (strchr(flags, 's'))
        keys_bool(&k, "tokenizer.ggml.remove_extra_whitespaces", true);
    if (f->bos)
        keys_uint(&k, "tokenizer.ggml.bos_token_id", f->bos);
    if (f->eos)
        keys_uint(&k, "tokenizer.ggml.eos_token_id", f->eos);
    status = keys_open(&k, &g, error);
    if (status == RAG_OK)
        status = tokenizer_open_gguf(g, ret, error);
    gguf_close(g); /* the tokenizer keeps nothing of it */
    return status;
}

#define LLAMA .model = "llama", .tokens = TOKENS, .types = TYPES, .scores = SCORES
#define BYTES                                                                                      \
    "<x>|\xC4\xA0|a|b|1|2|ab|\xC4\xA0"                                                             \
    "ab|12"
#define GPT2 .model = "gpt2", .tokens = BYTES, .types = "311111111", .merges = "a b|\xC4\xA0 ab|1 2"

static const struct {
    const char *name;
    struct file file;
    bool special;
    bool plain;
    const char *text;
    const char *tokens;
} rows[] = {
    {"a space in front, the best score first",                                 {LLAMA},                 false, false, "ab a",   MARK "ab|" MARK "a"         },
    {"no space in front when the file says so",
     {LLAMA, .flags = "n"},
     false,                                                                                                    false,
     "ab a",                                                                                                                    "ab|" MARK "a"              },
    {"the beginning token by default",                                         {LLAMA},                 true,  false, "a",      "<s>|" MARK "a"             },
    {"or not",                                                                 {LLAMA, .flags = "x"},   true,  false, "a",      MARK "a"                    },
    {"the end token when the file says so",
     {LLAMA, .flags = "e"},
     true,                                                                                                     false,
     "a",                                                                                                                       "<s>|" MARK "a|</s>"        },
    {"ids of both as the file says",
     {LLAMA, .flags = "be", .bos = 2, .eos = 1},
     true,                                                                                                     false,
     "a",                                                                                                                       "</s>|" MARK "a|<s>"        },
    {"bytes of a character without a piece",
     {LLAMA},
     false,                                                                                                    false,
     HAN,                                                                                                                       MARK "|<0xED>|<0x95>|<0x9C>"},
    {"without tokens for its bytes it is unknown, and its neighbours with it",
     {LLAMA},
     false,                                                                                                    false,
     "\xEF\xBF\xBD\xEF\xBF\xBC",                                                                                                MARK "|<unk>"               },
    {"control tokens are recognised",                                          {LLAMA},                 false, false, "a</s>b", MARK "a|</s>|" MARK "|b"    },
    {"but not in plain text",                                                  {LLAMA, .flags = "n"},   false, true,  "a</s>b", "a|<unk>|b"                 },
    {"user-defined tokens are, there too",
     {LLAMA, .flags = "n"},
     false,                                                                                                    true,
     "a<tool>b",                                                                                                                "a|<tool>|b"                },
    {"no text becomes a byte token",                                           {LLAMA, .flags = "n"},   false, false, "<0xED>", "<unk>"                     },
    {"extra spaces go when the file says so",
     {LLAMA, .flags = "s"},
     false,                                                                                                    false,
     "  ab   a ",                                                                                                               MARK "ab|" MARK "a"         },
    {"an empty text has no space in front",                                    {LLAMA},                 false, false, "",       ""                          },
    {"user-defined spaces of the converter are marks",
     {.model = "llama",
      .tokens = "<unk>|" MARK "|a|  ",
      .types = "2114",
      .scores = "0000",
      .flags = "nx"},
     false,                                                                                                    false,
     "a  a",                                                                                                                    "a|" MARK MARK "|a"         },
    {"an unused piece is never taken",
     {.model = "llama", .tokens = "<unk>|a|b|ab", .types = "2115", .scores = "0001", .flags = "nx"},
     false,                                                                                                    false,
     "ab",                                                                                                                      "a|b"                       },
    {"of equal scores the leftmost",
     {.model = "llama", .tokens = "<unk>|a|aa", .types = "211", .scores = "000", .flags = "nx"},
     false,                                                                                                    false,
     "aaa",                                                                                                                     "aa|a"                      },
    {"merges of byte-level BPE",
     {GPT2, .pre = "gpt-2"},
     false,                                                                                                    false,
     "ab ab",                                                                                                                   "ab|\xC4\xA0"
     "ab"                                                                                                                                      },
    {"digits together as GPT-2",                                               {GPT2, .pre = "gpt-2"},  false, false, "12",     "12"                        },
    {"digits apart as EXAONE",                                                 {GPT2, .pre = "exaone"}, false, false, "12",     "1|2"                       },
    {"digits apart as Qwen",                                                   {GPT2, .pre = "qwen2"},  false, false, "12",     "1|2"                       },
    {"three digits as Llama 3, which takes whole words first",
     {GPT2, .pre = "llama-bpe", .bos = 1},
     false,                                                                                                    false,
     "12",                                                                                                                      "12"                        },
    {"a file without the key is cut as llama.cpp cuts it",                     {GPT2},                  false, false, "ab12",   "ab|12"                     },
    {"Llama 3 has a beginning token by default",
     {GPT2, .pre = "llama3", .bos = 2},
     true,                                                                                                     false,
     "b",                                                                                                                       "a|b"                       },
    {"control tokens",                                                         {GPT2, .pre = "gpt-2"},  false, false, "a<x>",   "a|<x>"                     },
    {"none in plain text",                                                     {GPT2, .pre = "gpt-2"},  false, true,  "a<x>b",  "a|b"                       },
    {"without types all tokens are normal ones",
     {.model = "gpt2", .tokens = "a|b|ab", .merges = "a b", .pre = "gpt-2"},
     false,                                                                                                    false,
     "abb",                                                                                                                     "ab|b"                      },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tokenize_options options = {.special = rows[i].special, .plain = rows[i].plain};
        struct rag_error error = {RAG_OK, ""};
        struct token_list list = {0};
        struct tokenizer *t = NULL;

        if (open_file(&rows[i].file, &t, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        fixture_check_tokens(rows[i].name, t, rows[i].text, &options, rows[i].tokens, &list);
        token_list_release(&list);
        tokenizer_close(t);
    }
}

/* ---- files that are wrong ---- */

static const struct {
    const char *name;
    struct file file;
    const char *says;
} refused[] = {
    {"no model",                               {.tokens = "a"},                                      "tokenizer.ggml.model is missing" },
    {"a model that is none of ours",           {.model = "t5", .tokens = "a"},                       "'t5'"                            },
    {"no tokens",                              {.model = "gpt2"},                                    "tokenizer.ggml.tokens is missing"},
    {"a rule for words that is none of ours",  {GPT2, .pre = "kimi-k2"},                             "'kimi-k2'"                       },
    {"a rule of two names",                    {GPT2, .pre = "gpt-2 phi-2"},                         "'gpt-2 phi-2'"                   },
    {"an empty rule",                          {GPT2, .pre = ""},                                    "''"                              },
    {"fewer types than tokens",
     {.model = "gpt2", .tokens = "a|b", .types = "1", .merges = "a b"},
     "1 elements, but 2 tokens"                                                                                                        },
    {"more scores than tokens",
     {.model = "llama", .tokens = "a|b", .scores = "111"},
     "3 elements, but 2 tokens"                                                                                                        },
    {"a type that nobody knows",
     {.model = "gpt2", .tokens = "a", .types = "7", .merges = "a b"},
     "type 7"                                                                                                                          },
    {"a type below all",
     {.model = "gpt2", .tokens = "a", .types = "/", .merges = "a b"},
     "type -1"                                                                                                                         },
    {"no merges",                              {.model = "gpt2", .tokens = "a", .pre = "gpt-2"},     "merges is missing"               },
    {"a merge of one token",
     {.model = "gpt2", .tokens = "a|aa", .merges = "a a|aa"},
     "merge 1 is not two"                                                                                                              },
    {"a merge of nothing",                     {.model = "gpt2", .tokens = "a|aa", .merges = ""},    "merge 0 is not two"              },
    {"a merge with nothing",
     {.model = "gpt2", .tokens = "a|aa", .merges = "a "},
     "merge 0 is not two"                                                                                                              },
    {"a merge into no token",
     {.model = "gpt2", .tokens = "a|b", .merges = "a b"},
     "merge 0: 'a' with 'b'"                                                                                                           },
    {"a merge of no token",
     {.model = "gpt2", .tokens = "a|b", .merges = "a c"},
     "merge 0: 'a' with 'c'"                                                                                                           },
    {"a token twice",
     {.model = "gpt2", .tokens = "a|b|a", .merges = "a b"},
     "token 2: 'a' is token 0 already"                                                                                                 },
    {"a token that is no text",
     {.model = "gpt2", .tokens = "a|\xED\x95", .merges = "a b"},
     "token 1: not UTF-8"                                                                                                              },
    {"no scores",                              {.model = "llama", .tokens = TOKENS, .types = TYPES}, "scores is missing"               },
    {"a score that is no number",
     {.model = "llama", .tokens = "<unk>|a", .types = "21", .scores = "0n"},
     "token"                                                                                                                           },
    {"a byte below zero",
     {.model = "llama", .tokens = "<unk>|<0x-1>", .types = "26", .scores = "00"},
     "'<0x-1>'"                                                                                                                        },
    {"a byte beyond 255",
     {.model = "llama", .tokens = "<unk>|<0x100>", .types = "26", .scores = "00"},
     "'<0x100>'"                                                                                                                       },
    {"a byte in small letters",
     {.model = "llama", .tokens = "<unk>|<0xff>", .types = "26", .scores = "00"},
     "'<0xff>'"                                                                                                                        },
    {"a beginning that is no token",           {LLAMA, .bos = 99},                                   "bos_token_id: 99"                },
    {"a beginning that is wanted and missing",
     {GPT2, .pre = "gpt-2", .flags = "b"},
     "add_bos_token is true"                                                                                                           },
    {"an end that is wanted and missing",
     {GPT2, .pre = "gpt-2", .flags = "e"},
     "add_eos_token is true"                                                                                                           },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        if (open_file(&refused[i].file, &t, &error) != RAG_EFORMAT)
            fail_msg("%s: not refused: %s", refused[i].name, error.text);
        assert_null(t);
        if (!strstr(error.text, refused[i].says))
            fail_msg("%s: '%s' does not say '%s'", refused[i].name, error.text, refused[i].says);
    }
}

/* An empty text in the list is an id without a token: it decodes to nothing. */
static void test_ids_without_token(void **state)
{
    const struct file file = {.model = "gpt2", .tokens = "a||b||", .merges = "a b", .pre = "gpt-2"};
    struct rag_error error = {RAG_OK, ""};
    uint32_t ids[] = {0, 1, 2, 3, 4};
    struct tokenizer *t = NULL;
    struct buf text;

    (void)state;
    buf_init(&text, 100);
    assert_int_equal(open_file(&file, &t, &error), RAG_EFORMAT); /* no token "ab" */
    assert_int_equal(
        open_file(&(struct file){.model = "gpt2", .tokens = "a||b||ab|", .merges = "a b"}, &t,
                  &error),
        RAG_OK);
    assert_int_equal(tokenizer_vocab_size(t), 6);
    assert_int_equal(tokenizer_decode(t, ids, 5, false, &text, &error), RAG_OK);
    assert_string_equal(buf_str(&text), "abab");
    tokenizer_close(t);
    buf_release(&text);
}

/* ---- both forms of one model ---- */

static void test_equal_to_json(void **state)
{
    static const char *const parts[] = {"a",  "b",   " ",  "  ",  "12", "1",
                                        "ab", "<x>", "\n", "b's", HAN,  "<"};
    const struct file file = {GPT2, .pre = "qwen2"};
    struct rag_error error = {RAG_OK, ""};
    struct token_list lists[2] = {{0}, {0}};
    struct tokenizer *t[2] = {NULL, NULL};
    uint64_t seed = 3;

    (void)state;
    assert_int_equal(open_file(&file, &t[0], &error), RAG_OK);
    if (fixture_open(
            "{'type':'BPE','vocab':{'\xC4\xA0':1,'a':2,'b':3,'1':4,'2':5,'ab':6,'\xC4\xA0"
            "ab':7,'12':8},'merges':['a b','\xC4\xA0 ab','1 2']}",
            "'normalizer':{'type':'NFC'},'pre_tokenizer':{'type':'Sequence',"
            "'pretokenizers':[{'type':'Split','behavior':'Isolated','pattern':{'Regex':'"
            "(?i:`s|`t|`re|`ve|`m|`ll|`d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}|"
            " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+'}}"
            ","
            "{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}]},"
            "'decoder':{'type':'ByteLevel'},'added_tokens':[{'id':0,'content':'<x>',"
            "'special':true,'normalized':false}]",
            &t[1], &error) != RAG_OK)
        fail_msg("%s", error.text);
    for (size_t round = 0; round < 4000; round++) {
        struct tokenize_options options = {.plain = round % 2};
        char text[128] = "";

        for (size_t i = splitmix_next(&seed) % 12; i > 0; i--)
            strcat(text, parts[splitmix_next(&seed) % (sizeof parts / sizeof parts[0])]);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(
                tokenizer_encode(t[i], text, strlen(text), NULL, 0, &options, &lists[i], &error),
                RAG_OK);
        assert_int_equal(lists[0].n, lists[1].n);
        if (lists[0].n > 0)
            assert_memory_equal(lists[0].ids, lists[1].ids, lists[0].n * sizeof *lists[0].ids);
    }
    for (size_t i = 0; i < 2; i++) {
        token_list_release(&lists[i]);
        tokenizer_close(t[i]);
    }
}

/* ---- size ---- */

static void test_a_million_tokens(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    struct gguf *g = NULL;
    struct gguf_keys k;
    enum rag_status status;
    size_t n = 1000000;

    (void)state;
    for (size_t turn = 0; turn < 2; turn++) {
        keys_init(&k);
        keys_string(&k, "tokenizer.ggml.model", "gpt2");
        keys_array(&k, "tokenizer.ggml.tokens", 8, n);
        for (size_t i = 0; i < n; i++) {
            char text[32];

            keys_text(&k.body, text, (size_t)snprintf(text, sizeof text, "t%zu", i));
        }
        keys_array(&k, "tokenizer.ggml.token_type", 5, n);
        for (size_t i = 0; i < n; i++)
            keys_u32(&k.body, turn == 0 ? 1 : 3); /* all of them control tokens */
        keys_strings(&k, "tokenizer.ggml.merges", "t1 0");
        status = keys_open(&k, &g, &error);
        assert_int_equal(status, RAG_OK);
        status = tokenizer_open_gguf(g, &t, &error);
        gguf_close(g);
        assert_int_equal(status, turn == 0 ? RAG_EFORMAT : RAG_ELIMIT); /* "0" is no token */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ids_without_token),
        cmocka_unit_test(test_equal_to_json),
        cmocka_unit_test(test_a_million_tokens),
    };

    return cmocka_run_group_tests_name("tokenizer_gguf", tests, NULL, NULL);
}
