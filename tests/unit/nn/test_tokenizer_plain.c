/* Goal: with "plain" nothing that stands in a text becomes a special token, by whatever way a model
 * could make one; without it the reference's ids stay. Method: one row for each way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "tokenizer_fixture.h"

#define BPE                                                                                        \
    "{'type':'BPE','vocab':{'<':0,'s':1,'>':2,'/':3,'</':4,'s>':5,'</s>':6,'<s':7,'a':8},"         \
    "'merges':['< /','s >','</ s>','< s']}"
#define WORDS                                                                                      \
    "{'type':'BPE','ignore_merges':true,'vocab':{'<':0,'s':1,'>':2,'<s>':3,'a':4},'merges':[]}"
#define LETTERS "{'type':'BPE','unk_token':'u','vocab':{'u':0,'a':1,'b':2},'merges':[]}"
#define WORDPIECE                                                                                  \
    "{'type':'WordPiece','unk_token':'[UNK]','vocab':{'[UNK]':0,'[CLS]':1,'[':2,'##C':3,'##L':4,"  \
    "'##S':5,'##]':6,'a':7}}"
#define UNIGRAM                                                                                    \
    "{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0],['<s>',-1],['<',-3],['s',-3],['>',-3],"     \
    "['a',-3],['u',-3],['n',-3],['k',-3]]}"
#define SPECIAL(id, text) "{'id':" #id ",'content':'" text "','special':true,'normalized':false}"
#define ADDED(id, text)   "{'id':" #id ",'content':'" text "','special':false,'normalized':false}"

static const struct {
    const char *name;
    const char *model;
    const char *parts;
    const char *text;
    const char *tokens;  /* as the reference has them */
    const char *plain;   /* and when plain */
    const char *refused; /* tokens of the caller's list, when plain; or NULL */
} rows[] = {
    {"a special token that the model does not know", BPE,                   "'added_tokens':[" SPECIAL(20,                                          "<s>") "]",
     "a<s>a",                                                                                                                                                                                                                                                                                                                                                          "a|<s>|a","a|<|s>|a",                                                                                                                                                                               NULL},
    {"two in a row",                                              BPE,                                                      "'added_tokens':[" SPECIAL(20,                                                                            "<s>") "]",                                                                     "<s><s>",                                                                                                                    "<s>|<s>",
     "<|s>|<|s>",NULL},
    {"one that merges lead to",                                          BPE,                                                               "'added_tokens':[" SPECIAL(6,                                                                                                             "</s>") "]",                                                                                                                                            "a</s>",                                                                                                                                                                                      "a|</s>",
     "a|</|s>",  NULL},
    {"one that merges lead to inside a word, where the reference does not look for it",                                      BPE,
     "'added_tokens':[{'id':6,'content':'</s>','special':true,'normalized':false,"
     "'single_word':true}]",                                                                                                                             "a</s>a",                                                                                                                        "a|</s>|a",                                                                                                                                                                                                                    "a|</|s>|a",NULL},
    {"one that is a whole word of the vocabulary",                                   WORDS,                                                    "'added_tokens':[" SPECIAL(3,                                                                                                                          "<s>") "]",
     "<s>",                                    "<s>","<|s|>",NULL},
    {"one that is a single letter becomes unknown",                                         LETTERS,                                                       "'added_tokens':[" SPECIAL(1,                                                                                                                         "a") "]",
     "ab",                                                                                                                                                                                                                                                         "a|b","u|b",                                                                                         NULL},
    {"the unknown token stands for unknown characters still",                                           LETTERS,
     "'added_tokens':[" SPECIAL(0,                                                                                                                            "u") "]",                                                                                                                                                                                                   "xb",                                                                               "u|b","u|b",NULL},
    {"WordPiece",                                      WORDPIECE,                                                       "'added_tokens':[" SPECIAL(1,"[CLS]") "]","[CLS]","[CLS]",
     "[|##C|##L|##S|##]",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           NULL},
    {"Unigram",                  UNIGRAM,"'added_tokens':[" SPECIAL(1,                                        "<s>") "]",                                                                                                                                                                                                                                            "a<s>",                                                                                                                                                                                                                                                                                                                                              "a|<s>","a|<|s|>",
     NULL},
    {"Unigram: the unknown token's own text",                      UNIGRAM,                                           "'added_tokens':[" SPECIAL(0,                                                                "<unk>") "]",
     "<unk>","<unk>","<|u|n|k|>",NULL},
    {"one that is found in normalized text",        BPE,
     "'normalizer':{'type':'Lowercase'},'added_tokens':[{'id':20,'content':'<S>',"
     "'special':true,'normalized':true}]", "a<S>", "a|<S>",                                                                                                                                                                                                                                                                                                                                                          "a|<|s>", NULL                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      },
    {"one that swallows white space leaves it",                                              BPE,
     "'added_tokens':[{'id':20,'content':'<s>','special':true,'normalized':false,"
     "'lstrip':true,'rstrip':true}]",                                                                                          "a <s> a",                                                                                                                                                                                       "a|<s>|a",                                                                                                                                                                                                                                                                                                                     "a|<|s>|a",NULL},
    {"an added token that is not special is recognised",                                              BPE,
     "'added_tokens':[" ADDED(20,                                                 "<s>") "]",                                                                                                                                                                                            "a<s>",                                                                                                                                                                                                                              "a|<s>","a|<s>",NULL},
    {"but not one that looks special",                                              BPE,                  "'added_tokens':[" ADDED(20,                                        "[|s|]") "]",                                                                                                                                                                                                "[|s|]",
     "[|s|]","s",NULL},
    {"but not one that the caller refuses",                                          BPE,                                                               "'added_tokens':[" ADDED(20,                                                                                                      "<s>") "]",                                                                                                                                 "a<s>",
     "a|<s>","a|<|s>",                                                                                                                                                                                                                                                                "<s>"},
    {"nor a token of the model that the caller refuses",                                           BPE,                                                            "",                                                                                                                                  "a</s>",                                                                                                                                                                         "a|</s>",                                                                                                                                                                                                                                                                 "a|</|s>",
     "</s>"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     },
};

static void check(const struct tokenizer *t, const char *name, const char *text,
                  const struct tokenize_options *options, const char *want)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct buf got;

    buf_init(&got, 1000);
    if (tokenizer_encode(t, text, strlen(text), NULL, 0, options, &list, &error) != RAG_OK)
        fail_msg("%s: %s", name, error.text);
    fixture_tokens(t, &list, &got);
    if (strcmp(buf_str(&got), want) != 0)
        fail_msg("%s: %s, not %s", name, buf_str(&got), want);
    buf_release(&got);
    token_list_release(&list);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tokenize_options options = {.plain = false};
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;
        uint32_t refused = 0;

        if (fixture_open(rows[i].model, rows[i].parts, &t, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        check(t, rows[i].name, rows[i].text, &options, rows[i].tokens);
        options.plain = true;
        if (rows[i].refused) {
            assert_int_equal(tokenizer_id(t, rows[i].refused, &refused), RAG_OK);
            options.refused = &refused;
            options.n_refused = 1;
        }
        check(t, rows[i].name, rows[i].text, &options, rows[i].plain);
        tokenizer_close(t);
    }
}

/* Whatever the text: no special id. */
static void test_random_texts(void **state)
{
    static const char *const parts[] = {"<", "s", ">", "/", "</s>", "<s>", "a", " ", "</", "[CLS]"};
    static const struct {
        const char *model;
        const char *added;
    } models[] = {
        {BPE,     "'added_tokens':[" SPECIAL(6, "</s>") "," SPECIAL(20, "<s>") "]" },
        {WORDS,   "'added_tokens':[" SPECIAL(3, "<s>") "," SPECIAL(20,  "</s>") "]"},
        {UNIGRAM, "'added_tokens':[" SPECIAL(1, "<s>") "," SPECIAL(20,  "</s>") "]"},
    };
    uint64_t seed = 7;

    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct tokenize_options options = {.plain = true};
        struct rag_error error = {RAG_OK, ""};
        struct token_list list = {0};
        struct tokenizer *t = NULL;

        assert_int_equal(fixture_open(models[m].model, models[m].added, &t, &error), RAG_OK);
        for (size_t k = 0; k < 2000; k++) {
            char text[128] = "";

            for (size_t i = splitmix_next(&seed) % 12; i > 0; i--)
                strcat(text, parts[splitmix_next(&seed) % (sizeof parts / sizeof parts[0])]);
            assert_int_equal(
                tokenizer_encode(t, text, strlen(text), NULL, 0, &options, &list, &error), RAG_OK);
            for (size_t i = 0; i < list.n; i++)
                assert_false(t->vocab.tokens[list.ids[i]].special && list.ids[i] != t->model.unk);
        }
        token_list_release(&list);
        tokenizer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_random_texts),
    };

    return cmocka_run_group_tests_name("tokenizer_plain", tests, NULL, NULL);
}
