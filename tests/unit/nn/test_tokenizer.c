/* Goal: each kind of model, normalizer, pre-tokenizer, added token, template and decoder does what
 * the reference library does with it. Method: tokenizers of a few tokens, one row per rule; rows
 * were checked against the official library (tests/golden/tokenizer_diff.mjs runs them at random).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "tokenizer_fixture.h"

#define WORDPIECE                                                                                  \
    "{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##',"                    \
    "'max_input_chars_per_word':12,'vocab':{'[UNK]':0,'[CLS]':1,'[SEP]':2,'un':3,'##aff':4,"       \
    "'##able':5,'a':6,'##a':7,'!':8,'cafe':9,'caf':10,'\xEA\xB5\xAD':11,'##\xEC\x96\xB4':12,"      \
    "'\xE4\xB8\xAD':13,'C':14,'b':15}}"
#define UNIGRAM                                                                                    \
    "{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0],['\xE2\x96\x81',-2],['\xE2\x96\x81"         \
    "a',-3],['a',-3],['b',-3],['ab',-5.5],['\xE2\x96\x81"                                          \
    "ab',-4],['abc',-9],['zy',-6.5]]}"
#define UNIGRAM_BYTES                                                                              \
    "{'type':'Unigram','unk_id':0,'byte_fallback':true,'vocab':[['<unk>',0],['a',-1],['<0xC3>',"   \
    "-9],['<0xA9>',-9],['\xE2\x96\x81',-2]]}"
#define BPE                                                                                        \
    "{'type':'BPE','vocab':{'a':0,'b':1,'c':2,'ab':3,'bc':4,'abc':5,'\xC4\xA0':6,'\xC3\x83':7,"    \
    "'\xC2\xA9':8,'`':9,'s':10,'`s':11},'merges':['b c','a b','a bc',['`','s']]}"
#define BPE_BYTES                                                                                  \
    "{'type':'BPE','unk_token':'<unk>','fuse_unk':true,'byte_fallback':true,'vocab':{'<unk>':0,"   \
    "'<0xC3>':1,'<0xA9>':2,'a':3,'\xE2\x96\x81':4,'\xE2\x96\x81"                                   \
    "a':5,'<s>':6},'merges':['\xE2\x96\x81 a']}"
#define META "'pre_tokenizer':{'type':'Metaspace','replacement':'\xE2\x96\x81','prepend_scheme':"
#define BERT "'normalizer':{'type':'BertNormalizer'},'pre_tokenizer':{'type':'BertPreTokenizer'}"

static const struct {
    const char *name;
    const char *model;
    const char *parts;
    const char *text;
    const char *tokens;
} rows[] = {
  /* WordPiece */
    {"the longest piece first, then what continues",                                         WORDPIECE,     BERT,                                                             "unaffable",
     "un|##aff|##able"                                                                                                                                                                                                                                           },
    {"one part without a token makes the whole word unknown",                                WORDPIECE,     BERT,                                                             "unaffx",                                                       "[UNK]"            },
    {"a word of more characters than allowed is unknown",                                    WORDPIECE,     BERT,                                                             "aaaaaaaaaaaaa",
     "[UNK]"                                                                                                                                                                                                                                                     },
    {"Hangul is decomposed with the accents",                                                WORDPIECE,     BERT,
     "\xEA\xB5\xAD\xEC\x96\xB4\xEC\x96\xB4\xEC\x96\xB4\xEC\x96\xB4",                                                                                                                                                                          "[UNK]"            }, /* lower case without accents splits Hangul: tokens of jamo, which are not here */
    {"characters are counted, not bytes: cased",                                             WORDPIECE,
     "'normalizer':null,'pre_tokenizer':{'type':'BertPreTokenizer'}",                                                                                                         "\xEA\xB5\xAD\xEC\x96\xB4\xEC\x96\xB4\xEC\x96\xB4\xEC\x96\xB4",
     "\xEA\xB5\xAD|##\xEC\x96\xB4|##\xEC\x96\xB4|##\xEC\x96\xB4|##\xEC\x96\xB4"                                                                                                                                                                                  },
    {"punctuation stands alone",                                                             WORDPIECE,     BERT,                                                             "a!a",                                                          "a|!|a"            },
    {"lower case and no accents",                                                            WORDPIECE,     BERT,                                                             "CAF\xC3\x89",                                                  "cafe"             },
    {"accents stay when the file says so",                                                   WORDPIECE,
     "'normalizer':{'type':'BertNormalizer','strip_accents':false},'pre_tokenizer':"
     "{'type':'BertPreTokenizer'}",                                                                                                                                           "CAF\xC3\x89",                                                  "[UNK]"            },
    {"cased keeps both",                                                                     WORDPIECE,
     "'normalizer':{'type':'BertNormalizer','lowercase':false},'pre_tokenizer':"
     "{'type':'BertPreTokenizer'}",                                                                                                                                           "C",                                                            "C"                },
    {"Chinese characters are words",                                                         WORDPIECE,     BERT,
     "a\xE4\xB8\xAD"
     "a",                                                                                                                                                                                                                                     "a|\xE4\xB8\xAD|a" },
    {"controls vanish, other white space separates",                                         WORDPIECE,     BERT,
     "a\x01\x7F\xE2\x80\x8B"
     "a\xC2\xA0"
     "a",                                                                                                                                                                                                                                     "a|##a|a"          },
    {"an empty text has no tokens",                                                          WORDPIECE,     BERT,                                                             "",                                                             ""                 },
 /* Unigram */
    {"the best sum of scores wins",                                                          UNIGRAM,       META "'always'}",                                                 "ab",
     "\xE2\x96\x81"
     "ab"                                                                                                                                                                                                                                                        },
    {"of equal sums the one found first",                                                    UNIGRAM,       "",                                                               "aab",                                                          "a|ab"             },
    {"scores are rounded as the reference rounds them: 17 digits decide between equal sums",
     "{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0],['a',-10.602535319031425],['aa',"
     "-11.03101175146975],['aaa',-12.365527236978945]]}",                                                   "",                                                               "aaaaaaaa",                                                     "aa|aaa|aaa"       },
    {"neighbouring unknowns are one",                                                        UNIGRAM,       META "'always'}",                                                 "xyz a",
     "\xE2\x96\x81|<unk>|\xE2\x96\x81"
     "a"                                                                                                                                                                                                                                                         },
    {"a prefix already there is not doubled",                                                UNIGRAM,       META "'always'}",
     "\xE2\x96\x81"
     "a",                                                                                                                                                                                                                                     "\xE2\x96\x81"
     "a"                                                                                                                                                                                                                                                },
    {"prefix first: not behind an added token",                                              UNIGRAM,
     META "'first'},"
          "'added_tokens':[{'id':90,'content':'<x>','normalized':false}]",                                                                                                    "a<x>a",
     "\xE2\x96\x81"
     "a|<x>|a"                                                                                                                                                                                                                                                   },
    {"prefix always: behind an added token too",                                             UNIGRAM,
     META "'always'},"
          "'added_tokens':[{'id':90,'content':'<x>','normalized':false}]",                                                                                                    "a<x>a",
     "\xE2\x96\x81"
     "a|<x>|\xE2\x96\x81"
     "a"                                                                                                                                                                                                                                                         },
    {"prefix never",                                                                         UNIGRAM,       META "'never'}",                                                  "a a",
     "a|\xE2\x96\x81"
     "a"                                                                                                                                                                                                                                                         },
    {"unsplit metaspace is one word",                                                        UNIGRAM,       META "'never','split':false}",                                    "a a",
     "a|\xE2\x96\x81"
     "a"                                                                                                                                                                                                                                                         },
    {"unknown characters become bytes",                                                      UNIGRAM_BYTES, "",                                                               "a\xC3\xA9",                                                    "a|<0xC3>|<0xA9>"  },
    {"or one unknown, when a byte has no token",                                             UNIGRAM_BYTES, "",                                                               "a\xC3\xAA",                                                    "a|<unk>"          },
 /* BPE */
    {"the merge of lowest rank first",                                                       BPE,           "",                                                               "abc",                                                          "abc"              },
    {"a rank decides against the left",                                                      BPE,           "",                                                               "abcab",                                                        "abc|ab"           },
    {"without unk_token an unknown character is left out, and its neighbours meet",          BPE,           "",                                                               "axb",
     "ab"                                                                                                                                                                                                                                                        },
    {"bytes of a character as GPT-2 writes them",                                            BPE,
     "'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false}",                                                                                                         "a \xC3\xA9",
     "a|\xC4\xA0|\xC3\x83|\xC2\xA9"                                                                                                                                                                                                                              },
    {"a space in front when the file says so",                                               BPE,
     "'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':true}",                                                                                                          "abc",                                                          "\xC4\xA0|abc"     },
    {"GPT-2's pattern keeps 's together",                                                    BPE,
     "'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false}",                                                                                                         "ab's",                                                         "ab|'s"            },
    {"byte fallback",                                                                        BPE_BYTES,     "",
     "a\xC3\xA9"
     "a",                                                                                                                                                                                                                                     "a|<0xC3>|<0xA9>|a"},
    {"fused unknowns",                                                                       BPE_BYTES,     "",
     "a\xE4\xB8\xAD\xE4\xB8\xAD"
     "a",                                                                                                                                                                                                                                     "a|<unk>|a"        },
    {"ignore_merges takes whole words",
     "{'type':'BPE','ignore_merges':true,'vocab':{'a':0,'b':1,"
     "'ab':2},'merges':[]}",                                                                                "",                                                               "ab",                                                           "ab"               },
    {"continuing prefix and end of word",
     "{'type':'BPE','unk_token':'u','continuing_subword_prefix':"
     "'##','end_of_word_suffix':'</w>','vocab':{'u':0,'a':1,'##b':2,'##b</w>':3,'ab</w>':4},"
     "'merges':['a ##b</w>']}",                                                                             "",                                                               "ab",                                                           "ab</w>"           },
 /* added tokens */
    {"leftmost, and of those the longest",                                                   UNIGRAM,
     "'added_tokens':[{'id':90,'content':'aa'},"
     "{'id':91,'content':'aab'}]",                                                                                                                                            "aaab",                                                         "aa|ab"            },
    {"a single word is not found inside one",                                                UNIGRAM,
     "'added_tokens':[{'id':90,'content':'zz','single_word':true}]",                                                                                                          "bzz zz",                                                       "b|<unk>|zz"       },
    {"lstrip and rstrip take white space along",                                             UNIGRAM,
     "'added_tokens':[{'id':90,'content':'zz','lstrip':true,'rstrip':true,'normalized':false}]",                                                                              "b  zz \nb",                                                    "b|zz|b"           },
    {"normalized ones match the normalized text",                                            UNIGRAM,
     "'normalizer':{'type':'Lowercase'},"
     "'added_tokens':[{'id':90,'content':'ZZ','normalized':true}]",                                                                                                           "bZz",                                                          "b|ZZ"             },
    {"the others match what is written",                                                     UNIGRAM,
     "'normalizer':{'type':'Lowercase'},"
     "'added_tokens':[{'id':90,'content':'ZZ','normalized':false}]",                                                                                                          "bzzZZ",                                                        "b|<unk>|ZZ"       },
    {"Llama 2: <s> is searched with its space",                                              BPE_BYTES,
     "'normalizer':{'type':'Sequence',"
     "'normalizers':[{'type':'Prepend','prepend':'\xE2\x96\x81'},{'type':'Replace','pattern':"
     "{'String':' '},'content':'\xE2\x96\x81'}]},'added_tokens':[{'id':6,'content':'<s>',"
     "'normalized':true,'special':true}]",                                                                                                                                    "a <s>a<s>",
     "\xE2\x96\x81"
     "a|<s>|a|<unk>"                                                                                                                                                                                                                                             },
 /* normalizers */
    {"NFC composes",                                                                         WORDPIECE,     "'normalizer':{'type':'NFC'}",
     "\xE1\x84\x80\xE1\x85\xAE\xE1\x86\xA8",                                                                                                                                                                                                  "\xEA\xB5\xAD"     },
    {"NFKC and strip",                                                                       UNIGRAM,
     "'normalizer':{'type':'Sequence','normalizers':[{'type':'NFKC'},"
     "{'type':'Strip','strip_left':true,'strip_right':true}]}",                                                                                                               " \xEF\xBD\x81 ",                                               "a"                },
    {"NFD, then no accents",                                                                 WORDPIECE,
     "'normalizer':{'type':'Sequence','normalizers':[{'type':'NFD'},"
     "{'type':'StripAccents'},{'type':'Lowercase'}]}",                                                                                                                        "CAF\xC3\x89",                                                  "cafe"             },
    {"replace by an expression",                                                             UNIGRAM,
     "'normalizer':{'type':'Replace','pattern':{'Regex':"
     "' {2,}'},'content':'b'}",                                                                                                                                               "a   a",                                                        "ab|a"             },
 /* pre-tokenizers */
    {"words and the rest",                                                                   WORDPIECE,     "'pre_tokenizer':{'type':'Whitespace'}",                          "a!!a",                                                         "a|[UNK]|a"        },
    {"digits one by one",                                                                    UNIGRAM,       "'pre_tokenizer':{'type':'Digits','individual_digits':true}",
     "a12b",                                                                                                                                                                                                                                  "a|<unk>|<unk>|b"  },
    {"digits together",                                                                      UNIGRAM,       "'pre_tokenizer':{'type':'Digits','individual_digits':false}",
     "a12b",                                                                                                                                                                                                                                  "a|<unk>|b"        },
    {"merged with the next",                                                                 WORDPIECE,
     "'pre_tokenizer':{'type':'Split','pattern':{'String':'!'},"
     "'behavior':'MergedWithNext'}",                                                                                                                                          "a!!a",                                                         "a|!|!|##a"        },
    {"merged with the one before",                                                           WORDPIECE,
     "'pre_tokenizer':{'type':'Split','pattern':{'String':"
     "'!'},'behavior':'MergedWithPrevious'}",                                                                                                                                 "a!!a",                                                         "[UNK]|!|a"        },
    {"removed",                                                                              WORDPIECE,
     "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'!+'},'behavior':"
     "'Removed'}",                                                                                                                                                            "a!!a",                                                         "a|a"              },
    {"inverted: what does not match is removed",                                             WORDPIECE,
     "'pre_tokenizer':{'type':'Split',"
     "'pattern':{'Regex':'\\\\p{L}+'},'behavior':'Removed','invert':true}",                                                                                                   "a!!a",                                                         "a|a"              },
    {"contiguous",                                                                           WORDPIECE,     "'pre_tokenizer':{'type':'Punctuation','behavior':'Contiguous'}",
     "a!a",                                                                                                                                                                                                                                   "a|!|a"            },
};

static void test_rows(void **state)
{
    struct token_list list = {0};
    struct buf tokens;

    (void)state;
    buf_init(&tokens, 1u << 16);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tokenize_options options = {.special = false};
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        if (fixture_open(rows[i].model, rows[i].parts, &t, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        if (tokenizer_encode(t, rows[i].text, strlen(rows[i].text), NULL, 0, &options, &list,
                             &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        fixture_tokens(t, &list, &tokens);
        if (strcmp(buf_str(&tokens), rows[i].tokens) != 0)
            fail_msg("%s: %s, not %s", rows[i].name, buf_str(&tokens), rows[i].tokens);
        tokenizer_close(t);
    }
    buf_release(&tokens);
    token_list_release(&list);
}

/* ---- pairs and truncation ---- */

#define PAIR_TEMPLATE                                                                              \
    "'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'[CLS]',"       \
    "'type_id':0}},{'Sequence':{'id':'A','type_id':0}},{'SpecialToken':{'id':'[SEP]','type_id':0}" \
    "}],'pair':[{'SpecialToken':{'id':'[CLS]','type_id':0}},{'Sequence':{'id':'A','type_id':0}},"  \
    "{'SpecialToken':{'id':'[SEP]','type_id':0}},{'Sequence':{'id':'B','type_id':1}},"             \
    "{'SpecialToken':{'id':'[SEP]','type_id':1}}],'special_tokens':{'[CLS]':{'id':'[CLS]','ids':"  \
    "[1],'tokens':['[CLS]']},'[SEP]':{'id':'[SEP]','ids':[2],'tokens':['[SEP]']}}}"

static const struct {
    const char *name;
    const char *text;
    const char *pair;
    size_t max;
    const char *tokens;
    const char *types;
    size_t n_full;
} pairs[] = {
    {"one text",                                  "a b",     NULL,      0, "[CLS]|a|b|[SEP]",           "0000",   4 },
    {"two texts",                                 "a",       "b a",     0, "[CLS]|a|[SEP]|b|a|[SEP]",   "000111", 6 },
    {"one text, cut at its end",                  "a b a b", NULL,      4, "[CLS]|a|b|[SEP]",           "0000",   6 },
    {"the longer one is cut",                     "a b a b", "b",       6, "[CLS]|a|b|[SEP]|b|[SEP]",   "000011", 8 },
    {"both are cut to the same length",           "a b a b", "b a b a", 7, "[CLS]|a|b|[SEP]|b|a|[SEP]",
     "0000111",                                                                                                   11},
    {"an odd token goes to the second of equals", "a b a",   "b a b",   6, "[CLS]|a|[SEP]|b|a|[SEP]",
     "000111",                                                                                                    9 },
    {"and to the first when that is longer",      "a b a b", "b a b",   6, "[CLS]|a|b|[SEP]|b|[SEP]",
     "000011",                                                                                                    10},
    {"nothing but special tokens",                "a b",     NULL,      2, "[CLS]|[SEP]",               "00",     4 },
    {"an empty pair keeps its separator",         "a",       "",        0, "[CLS]|a|[SEP]|[SEP]",       "0001",   4 },
};

static void test_pairs(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    struct buf tokens;

    (void)state;
    buf_init(&tokens, 1u << 16);
    if (fixture_open(WORDPIECE, BERT "," PAIR_TEMPLATE, &t, &error) != RAG_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct tokenize_options options = {.special = true, .max_tokens = pairs[i].max};
        const char *pair = pairs[i].pair;

        if (tokenizer_encode(t, pairs[i].text, strlen(pairs[i].text), pair, pair ? strlen(pair) : 0,
                             &options, &list, &error) != RAG_OK)
            fail_msg("%s: %s", pairs[i].name, error.text);
        fixture_tokens(t, &list, &tokens);
        if (strcmp(buf_str(&tokens), pairs[i].tokens) != 0 || list.n_full != pairs[i].n_full)
            fail_msg("%s: %s of %zu", pairs[i].name, buf_str(&tokens), list.n_full);
        for (size_t k = 0; k < list.n; k++) {
            if (list.types[k] != pairs[i].types[k] - '0')
                fail_msg("%s: type %d at %zu", pairs[i].name, list.types[k], k);
        }
    }
    assert_int_equal(tokenizer_n_special(t, false), 2);
    assert_int_equal(tokenizer_n_special(t, true), 3);
    buf_release(&tokens);
    token_list_release(&list);
    tokenizer_close(t);
}

static void test_refusals_of_encode(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        size_t max;
        enum rag_status status;
    } refused[] = {
        {"not UTF-8",                      "a\xC3(",       0, RAG_EINVAL},
        {"a surrogate",                    "\xED\xA0\x80", 0, RAG_EINVAL},
        {"no room for the special tokens", "a",            1, RAG_ELIMIT},
    };
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    char *text = malloc(TOKENIZER_TEXT_BYTES_MAX + 1u);

    (void)state;
    assert_non_null(text);
    assert_int_equal(fixture_open(WORDPIECE, BERT "," PAIR_TEMPLATE, &t, &error), RAG_OK);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct tokenize_options options = {.special = true, .max_tokens = refused[i].max};
        enum rag_status status = tokenizer_encode(t, refused[i].text, strlen(refused[i].text), NULL,
                                                  0, &options, &list, &error);

        if (status != refused[i].status || list.n != 0 || error.text[0] == '\0')
            fail_msg("%s: status %d, %zu tokens: %s", refused[i].name, status, list.n, error.text);
    }
    memset(text, 'a', TOKENIZER_TEXT_BYTES_MAX + 1u);
    assert_int_equal(tokenizer_encode(t, text, TOKENIZER_TEXT_BYTES_MAX + 1u, NULL, 0,
                                      &(struct tokenize_options){.special = true}, &list, &error),
                     RAG_ELIMIT);
    free(text);
    token_list_release(&list);
    token_list_release(NULL);
    tokenizer_close(t);
    tokenizer_close(NULL);
}

/* ---- decoders ---- */

static const struct {
    const char *name;
    const char *model;
    const char *parts;
    const char *ids; /* digits 0-9, then a-z for 10 on */
    bool skip_special;
    const char *text;
} decoded[] = {
    {"WordPiece joins pieces and cleans up", WORDPIECE,
     "'decoder':{'type':'WordPiece','prefix':'##','cleanup':true}",                                                                                                 "3458",   false, "unaffable!"                         },
    {"without clean-up the space stays",     WORDPIECE,
     "'decoder':{'type':'WordPiece','prefix':'##','cleanup':false}",                                                                                                "68",     false, "a !"                                },
    {"special tokens are left out",          WORDPIECE,
     "'decoder':{'type':'WordPiece'},'added_tokens':"
     "[{'id':1,'content':'[CLS]','special':true,'normalized':false}]",                                                                                              "16",     true,  "a"                                  },
    {"or kept",                              WORDPIECE,
     "'decoder':{'type':'WordPiece'},'added_tokens':"
     "[{'id':1,'content':'[CLS]','special':true,'normalized':false}]",                                                                                              "16",     false, "[CLS] a"                            },
    {"metaspace",                            UNIGRAM,                                                "'decoder':{'type':'Metaspace','replacement':'\xE2\x96\x81'}", "626",
     false,                                                                                                                                                                          "ab a ab"                            },
    {"metaspace that was never prepended",   UNIGRAM,
     "'decoder':{'type':'Metaspace','replacement':"
     "'\xE2\x96\x81','prepend_scheme':'never'}",                                                                                                                    "2",      false, " a"                                 },
    {"bytes of GPT-2's alphabet",            BPE,                                                    "'decoder':{'type':'ByteLevel'}",                              "5678",   false,
     "abc \xC3\xA9"                                                                                                                                                                                                       },
    {"half a character",                     BPE,                                                    "'decoder':{'type':'ByteLevel'}",                              "070",    false,
     "a\xEF\xBF\xBD"
     "a"                                                                                                                                                                                                                  },
    {"byte tokens",                          BPE_BYTES,
     "'decoder':{'type':'Sequence','decoders':[{'type':'Replace','pattern':"
     "{'String':'\xE2\x96\x81'},'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},"
     "{'type':'Strip','content':' ','start':1,'stop':0}]}",                                                                                                         "512511", false, "a\xC3\xA9 a\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"suffixes of words",                    "{'type':'BPE','vocab':{'a</w>':0,'b':1},'merges':[]}",
     "'decoder':{'type':'BPEDecoder','suffix':'</w>'}",                                                                                                             "010",    false, "a ba"                               },
    {"no decoder: tokens with spaces",       UNIGRAM,                                                "",                                                            "34",     false, "a b"                                },
    {"nothing",                              UNIGRAM,                                                "'decoder':{'type':'BPEDecoder'}",                             "",       false, ""                                   },
};

static void test_decoders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof decoded / sizeof decoded[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;
        uint32_t ids[16];
        size_t n = strlen(decoded[i].ids);
        struct buf text;

        buf_init(&text, 1000);
        for (size_t k = 0; k < n; k++)
            ids[k] = (uint32_t)(decoded[i].ids[k] - '0');
        if (fixture_open(decoded[i].model, decoded[i].parts, &t, &error) != RAG_OK ||
            tokenizer_decode(t, ids, n, decoded[i].skip_special, &text, &error) != RAG_OK)
            fail_msg("%s: %s", decoded[i].name, error.text);
        if (strcmp(buf_str(&text), decoded[i].text) != 0)
            fail_msg("%s: '%s', not '%s'", decoded[i].name, buf_str(&text), decoded[i].text);
        ids[0] = (uint32_t)tokenizer_vocab_size(t);
        assert_int_equal(tokenizer_decode(t, ids, 1, false, &text, &error), RAG_EINVAL);
        buf_release(&text);
        tokenizer_close(t);
    }
}

/* ---- long words ---- */

/* A megabyte without a space takes n log n, not n^2: this would not end otherwise. */
static void test_a_megabyte_without_spaces(void **state)
{
    static const char *const models[] = {WORDPIECE, UNIGRAM, BPE, BPE_BYTES};
    size_t n = 1u << 20;
    char *text = malloc(n);
    struct token_list list = {0};

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = "abc"[i % 7 % 3];
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        assert_int_equal(fixture_open(models[i], "", &t, &error), RAG_OK);
        assert_int_equal(tokenizer_encode(t, text, n, NULL, 0,
                                          &(struct tokenize_options){.special = false}, &list,
                                          &error),
                         RAG_OK);
        assert_true(list.n >= 1);
        tokenizer_close(t);
    }
    /* marks of one letter: sorting them must not be quadratic either */
    for (size_t i = 0; i + 1 < n; i += 2)
        memcpy(text + i, i % 4 ? "\xCC\x81" : "\xCC\xA7", 2);
    for (size_t i = 0; i < 2; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;

        assert_int_equal(
            fixture_open(UNIGRAM, i ? "'normalizer':{'type':'NFD'}" : "'normalizer':{'type':'NFC'}",
                         &t, &error),
            RAG_OK);
        assert_int_equal(tokenizer_encode(t, text, n, NULL, 0,
                                          &(struct tokenize_options){.special = false}, &list,
                                          &error),
                         RAG_OK);
        tokenizer_close(t);
    }
    token_list_release(&list);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_refusals_of_encode),
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_a_megabyte_without_spaces),
    };

    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
