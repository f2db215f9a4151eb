/* Goal: every wrong or unsupported tokenizer file is an error that says what is wrong, and nothing
 * else happens. Method: one file a row; the message must contain the words given. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "tokenizer_fixture.h"

#define MODEL                  "{'type':'WordPiece','unk_token':'u','vocab':{'u':0,'a':1}}"
#define BPE_OF(merges)         "{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':" merges "}"
#define UNIGRAM_OF(vocab, unk) "{'type':'Unigram','unk_id':" unk ",'vocab':" vocab "}"

/* clang-format off */
static const struct {
    const char *name;
    const char *model;
    const char *parts;
    enum rag_status status;
    const char *words;
} rows[] = {
    {"no model", "null", "", RAG_EFORMAT, "model: missing"},
    {"a model of another kind", "{'type':'WordLevel','vocab':{}}", "", RAG_EFORMAT, "WordLevel"},
    {"a key that nobody knows", MODEL, "'modle':1", RAG_EFORMAT, "modle"},
    {"an empty vocabulary", "{'type':'BPE','vocab':{},'merges':[]}", "", RAG_EFORMAT, "empty"},
    {"a vocabulary that is a list", "{'type':'BPE','vocab':[],'merges':[]}", "", RAG_EFORMAT,
     "vocabulary"},
    {"a negative id", "{'type':'BPE','vocab':{'a':-1},'merges':[]}", "", RAG_EFORMAT, "id -1"},
    {"half an id", "{'type':'BPE','vocab':{'a':0.5},'merges':[]}", "", RAG_EFORMAT, "id 0.5"},
    {"an id beyond all memory", "{'type':'BPE','vocab':{'a':4294967296},'merges':[]}", "",
     RAG_EFORMAT, "'a'"},
    {"an id that is text", "{'type':'BPE','vocab':{'a':'0'},'merges':[]}", "", RAG_EFORMAT, "'a'"},
    {"two tokens of one id", "{'type':'BPE','vocab':{'a':0,'b':0},'merges':[]}", "", RAG_EFORMAT,
     "occurs twice"},
    {"one token twice", "{'type':'BPE','vocab':{'a':0,'a':1},'merges':[]}", "", RAG_EFORMAT,
     "twice"},
    {"an unknown token that is unknown", "{'type':'WordPiece','unk_token':'x','vocab':{'u':0}}", "",
     RAG_EFORMAT, "unk_token 'x'"},
    {"WordPiece without one", "{'type':'WordPiece','vocab':{'u':0}}", "", RAG_EFORMAT, "unk_token"},
    {"a merge of unknown tokens", BPE_OF("['a x']"), "", RAG_EFORMAT, "merge 0"},
    {"a merge to an unknown token", BPE_OF("['a b','b a']"), "", RAG_EFORMAT, "merge 1"},
    {"a merge of three", BPE_OF("['a b c']"), "", RAG_EFORMAT, "two tokens"},
    {"a merge that is a number", BPE_OF("[7]"), "", RAG_EFORMAT, "two tokens"},
    {"a merge of numbers", BPE_OF("[[1,2]]"), "", RAG_EFORMAT, "two tokens"},
    {"dropout", "{'type':'BPE','dropout':0.1,'vocab':{'a':0},'merges':[]}", "", RAG_EFORMAT,
     "dropout"},
    {"a Unigram token without score", UNIGRAM_OF("[['a']]", "0"), "", RAG_EFORMAT, "score"},
    {"a score that is text", UNIGRAM_OF("[['a','x']]", "0"), "", RAG_EFORMAT, "score"},
    {"a score too large", UNIGRAM_OF("[['a',1e999]]", "0"), "", RAG_EFORMAT, "too large"},
    {"a token that is a number", UNIGRAM_OF("[[7,0]]", "0"), "", RAG_EFORMAT, "no string"},
    {"unk_id past the end", UNIGRAM_OF("[['a',0]]", "1"), "", RAG_EFORMAT, "unk_id 1"},
    {"an added token with another id", MODEL, "'added_tokens':[{'id':5,'content':'a'}]",
     RAG_EFORMAT, "'a': id 5"},
    {"an added token on another one's id", MODEL, "'added_tokens':[{'id':1,'content':'x'}]",
     RAG_EFORMAT, "occurs twice"},
    {"an added token twice", MODEL,
     "'added_tokens':[{'id':5,'content':'x'},{'id':5,'content':'x'}]", RAG_EFORMAT, "twice"},
    {"an added token without content", MODEL, "'added_tokens':[{'id':5}]", RAG_EFORMAT, "string"},
    {"an empty added token", MODEL, "'added_tokens':[{'id':5,'content':''}]", RAG_EFORMAT, "empty"},
    {"an added token without id", MODEL, "'added_tokens':[{'content':'x'}]", RAG_EFORMAT, "id nan"},
    {"a normalizer of unknown type", MODEL, "'normalizer':{'type':'Rot13'}", RAG_EFORMAT, "Rot13"},
    {"a normalizer without type", MODEL, "'normalizer':{}", RAG_EFORMAT, "'type'"},
    {"a sequence without members", MODEL, "'normalizer':{'type':'Sequence'}", RAG_EFORMAT,
     "normalizers"},
    {"an expression that is not supported", MODEL,
     "'normalizer':{'type':'Replace','pattern':{'Regex':'(a+)+'},'content':''}", RAG_EFORMAT,
     "repeated group"},
    {"an unknown property", MODEL,
     "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'\\\\p{Han}'},'behavior':'Isolated'}", RAG_EFORMAT, "property"},
    {"a set without end", MODEL,
     "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'[a'},'behavior':'Isolated'}", RAG_EFORMAT,
     "set without end"},
    {"a group without end", MODEL,
     "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a'},'behavior':'Isolated'}", RAG_EFORMAT,
     "group without end"},
    {"a parenthesis too many", MODEL,
     "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'a)'},'behavior':'Isolated'}", RAG_EFORMAT,
     "')'"},
    {"no pattern at all", MODEL, "'pre_tokenizer':{'type':'Split','behavior':'Isolated'}",
     RAG_EFORMAT, "pattern"},
    {"an unknown behavior", MODEL,
     "'pre_tokenizer':{'type':'Split','pattern':{'String':'a'},'behavior':'Dance'}", RAG_EFORMAT,
     "behavior"},
    {"a metaspace of two characters", MODEL,
     "'pre_tokenizer':{'type':'Metaspace','replacement':'ab'}", RAG_EFORMAT, "replacement"},
    {"an unknown prepend scheme", MODEL,
     "'pre_tokenizer':{'type':'Metaspace','prepend_scheme':'often'}", RAG_EFORMAT,
     "prepend_scheme"},
    {"an unknown pre-tokenizer", MODEL, "'pre_tokenizer':{'type':'UnicodeScripts'}", RAG_EFORMAT,
     "UnicodeScripts"},
    {"a charsmap that is not base64", MODEL,
     "'normalizer':{'type':'Precompiled','precompiled_charsmap':'!!!!'}", RAG_EFORMAT, "base64"},
    {"an empty charsmap", MODEL, "'normalizer':{'type':'Precompiled','precompiled_charsmap':''}",
     RAG_EFORMAT, "trie of 0 bytes"},
    {"a charsmap whose trie is longer than it", MODEL,
     "'normalizer':{'type':'Precompiled','precompiled_charsmap':'/////w=='}", RAG_EFORMAT,
     "in 4 bytes"},
    {"a charsmap of half units", MODEL,
     "'normalizer':{'type':'Precompiled','precompiled_charsmap':'AwAAAAAAAAA='}", RAG_EFORMAT,
     "trie of 3 bytes"},
    {"a template of an undefined token", MODEL,
     "'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'x','type_id':"
     "0}}],'pair':[],'special_tokens':{}}", RAG_EFORMAT, "'x' is not defined"},
    {"a template without the text", MODEL,
     "'post_processor':{'type':'TemplateProcessing','single':[],'pair':[],'special_tokens':{}}", RAG_EFORMAT, "sequence"},
    {"a template with a type id of 300", MODEL,
     "'post_processor':{'type':'TemplateProcessing','single':[{'Sequence':{'id':'A','type_id':300}"
     "}],'pair':[],'special_tokens':{}}", RAG_EFORMAT, "template"},
    {"an empty separator", MODEL, "'post_processor':{'type':'BertProcessing','sep':[],'cls':['a',0]}", RAG_EFORMAT, "token id"},
    {"a separator of three", MODEL, "'post_processor':{'type':'RobertaProcessing','sep':['b',1,1],'cls':['a',0]}", RAG_EFORMAT, "token id"},
    {"a separator of no id", MODEL,
     "'post_processor':{'type':'BertProcessing','sep':['b',-5],'cls':['a',0]}", RAG_EFORMAT,
     "token id"},
    {"an unknown post-processor", MODEL, "'post_processor':{'type':'Magic'}", RAG_EFORMAT, "Magic"},
    {"an unknown decoder", MODEL, "'decoder':{'type':'CTC'}", RAG_EFORMAT, "CTC"},
    {"a decoder that strips two characters", MODEL, "'decoder':{'type':'Strip','content':'ab'}",
     RAG_EFORMAT, "one character"},
};
/* clang-format on */

static void test_wrong_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct tokenizer *t = NULL;
        enum rag_status status = fixture_open(rows[i].model, rows[i].parts, &t, &error);

        if (status != rows[i].status || !strstr(error.text, rows[i].words) || t)
            fail_msg("%s: status %d: %s", rows[i].name, status, error.text);
    }
}

static void test_cut_anywhere(void **state)
{
    static const char *const models[] = {MODEL, BPE_OF("['a b']"), UNIGRAM_OF("[['a',-1.5]]", "0")};

    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct buf b = fixture_json(models[m], "'normalizer':{'type':'NFC'},'added_tokens':"
                                               "[{'id':3,'content':'x','lstrip':true}]");

        for (size_t n = 0; n < b.len; n++) {
            struct rag_error error = {RAG_OK, ""};
            struct tokenizer *t = NULL;
            char *exact = malloc(n + 1); /* ASan sees a read past the end */

            assert_non_null(exact);
            memcpy(exact, buf_str(&b), n);
            assert_int_equal(tokenizer_open_json(exact, n, &t, &error), RAG_EFORMAT);
            assert_null(t);
            free(exact);
        }
        buf_release(&b);
    }
}

/* A pattern that backtracks n^3 stops at its budget instead. */
static void test_slow_pattern(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    char text[20000];

    (void)state;
    memset(text, ' ', sizeof text);
    assert_int_equal(fixture_open(MODEL,
                                  "'pre_tokenizer':{'type':'Split','pattern':{'Regex':"
                                  "'\\\\s*\\\\s*\\\\s*x'},'behavior':'Isolated'}",
                                  &t, &error),
                     RAG_OK);
    assert_int_equal(tokenizer_encode(t, text, sizeof text, NULL, 0,
                                      &(struct tokenize_options){.special = false}, &list, &error),
                     RAG_ELIMIT);
    token_list_release(&list);
    tokenizer_close(t);
}

/* A replacement that makes each byte a thousand. */
static void test_growing_text(void **state)
{
    char parts[4200];
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    size_t n = 1u << 20;
    char *text = malloc(n);
    int head;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', n);
    head = snprintf(parts, sizeof parts,
                    "'normalizer':{'type':'Replace','pattern':{'String':'a'},'content':'");
    memset(parts + head, 'b', 4000);
    strcpy(parts + head + 4000, "'}");
    assert_int_equal(fixture_open(MODEL, parts, &t, &error), RAG_OK);
    assert_int_equal(tokenizer_encode(t, text, n, NULL, 0,
                                      &(struct tokenize_options){.special = false}, &list, &error),
                     RAG_ELIMIT);
    token_list_release(&list);
    tokenizer_close(t);
    free(text);
}

/* ---- directories ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void remove_file(const char *dir, const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void test_directories(void **state)
{
    char dir[] = "/tmp/test_tokenizer_XXXXXX";
    struct rag_error error = {RAG_OK, ""};
    struct token_list list = {0};
    struct tokenizer *t = NULL;
    char pipe[64];
    uint32_t id = 0;

    (void)state;
    assert_int_equal(tokenizer_open("/tmp/test_tokenizer_misspelt", &t, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "'/tmp/test_tokenizer_misspelt': No such file"));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "neither tokenizer.json, tokenizer.model nor vocab.txt"));

    write_file(dir, "vocab.txt", "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\nA\na\n##b");
    snprintf(pipe, sizeof pipe, "%s/vocab.txt", dir);
    assert_int_equal(tokenizer_open(pipe, &t, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, "is a file; give the folder"));
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_OK);
    assert_int_equal(tokenizer_encode(t, "AB [PAD]", 8, NULL, 0,
                                      &(struct tokenize_options){.special = true}, &list, &error),
                     RAG_OK);
    assert_int_equal(list.n, 5); /* [CLS] a ##b [PAD] [SEP] */
    assert_int_equal(list.ids[1], 5);
    assert_int_equal(list.ids[3], 0);
    assert_int_equal(tokenizer_vocab_size(t), 7);
    assert_int_equal(tokenizer_id(t, "##b", &id), RAG_OK);
    assert_int_equal(id, 6);
    assert_int_equal(tokenizer_id(t, "c", &id), RAG_ENOTFOUND);
    tokenizer_close(t);

    write_file(dir, "tokenizer_config.json",
               "{\"do_lower_case\":false,\"cls_token\":{\"content\":\"[CLS]\"},\"x\":1}");
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_OK);
    assert_int_equal(tokenizer_encode(t, "A", 1, NULL, 0,
                                      &(struct tokenize_options){.special = false}, &list, &error),
                     RAG_OK);
    assert_int_equal(list.ids[0], 4);
    tokenizer_close(t);
    t = NULL;

    write_file(dir, "tokenizer_config.json", "{\"do_lower_case\":7}");
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "do_lower_case"));
    write_file(dir, "tokenizer_config.json", "{\"sep_token\":\"<sep>\"}");
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "<sep>"));
    write_file(dir, "vocab.txt", "");
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_ELIMIT);
    write_file(dir, "tokenizer.json", "{}");
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "tokenizer.json"));
    assert_null(t);

    /* a pipe that nobody writes to must not be waited for */
    remove_file(dir, "tokenizer.json");
    snprintf(pipe, sizeof pipe, "%s/tokenizer.json", dir);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(tokenizer_open(dir, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "not a regular file"));

    remove_file(dir, "vocab.txt");
    remove_file(dir, "tokenizer.json");
    remove_file(dir, "tokenizer_config.json");
    rmdir(dir);
    token_list_release(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_files),  cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_slow_pattern), cmocka_unit_test(test_growing_text),
        cmocka_unit_test(test_directories),
    };

    return cmocka_run_group_tests_name("hostile tokenizers", tests, NULL, NULL);
}
