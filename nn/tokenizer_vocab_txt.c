#define _POSIX_C_SOURCE 200809L
/* A bare vocab.txt: BERT's WordPiece, one token a line, the id is the line's number. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

static enum rag_status read_lines(const char *text, size_t n, struct tokenizer *t,
                                  struct rag_error *reterr)
{
    const char *end = text + n;
    size_t n_lines = 0;
    uint32_t id = 0;
    enum rag_status status;

    for (const char *p = text; p < end; n_lines++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        p = newline ? newline + 1 : end;
    }
    if (n_lines == 0 || n_lines > TOKENIZER_IDS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu lines, allowed are 1 to %u", n_lines,
                        TOKENIZER_IDS_MAX);
    if (vocab_init(&t->vocab, n_lines, n_lines, n) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    for (const char *p = text; p < end; id++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n_token = (size_t)((newline ? newline : end) - p);

        if (n_token > 0 && p[n_token - 1] == '\r')
            n_token--;
        if (n_token > TOKENIZER_TOKEN_BYTES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "line %u: %zu bytes, the limit is %d", id + 1,
                            n_token, TOKENIZER_TOKEN_BYTES_MAX);
        /* transformers' load_vocab(): the later of equal lines counts */
        status = vocab_put(&t->vocab, id, p, n_token, true);
        if (status != RAG_OK)
            return rag_fail(reterr, status, "line %u: the vocabulary's hashes collide", id + 1);
        p = newline ? newline + 1 : end;
    }
    return RAG_OK;
}

/* A string, or the "content" of an added token's object. */
static const char *token_name(const struct json *config, const char *key, const char *otherwise)
{
    const struct json *node = json_member(config, key);
    const char *text = json_string(node);

    if (!text)
        text = json_string(json_member(node, "content"));
    return text ? text : otherwise;
}

static enum rag_status add_special(struct tokenizer *t, const char *name, uint32_t *ret_id,
                                   struct rag_error *reterr)
{
    uint32_t id = vocab_find(&t->vocab, name, strlen(name));

    if (id == ID_NONE)
        return rag_fail(reterr, RAG_EFORMAT, "token '%.64s' is not in the vocabulary", name);
    *ret_id = id;
    for (size_t i = 0; i < t->n_added; i++) {
        if (t->added[i].id == id)
            return RAG_OK;
    }
    t->vocab.tokens[id].special = true;
    t->added[t->n_added++] = (struct added_token){.id = id, .special = true};
    return RAG_OK;
}

static int compare_added(const void *a, const void *b)
{
    const struct added_token *x = a;
    const struct added_token *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static enum rag_status index_added(struct tokenizer *t, struct rag_error *reterr)
{
    struct trie_key keys[8];
    size_t n = t->n_added;

    qsort(t->added, n, sizeof *t->added, compare_added);
    for (size_t i = 0; i < n; i++) {
        size_t n_text;
        const char *text = vocab_text(&t->vocab, t->added[i].id, &n_text);

        keys[i] = (struct trie_key){text, (uint32_t)n_text, (uint32_t)i};
    }
    if (trie_build(keys, n, &t->added_raw) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    return RAG_OK;
}

static enum rag_status read_config(const struct json *config, struct tokenizer *t,
                                   struct rag_error *reterr)
{
    struct normalizer *z = &t->normalizers[0];
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status;

    *z = (struct normalizer){.kind = NORMALIZER_BERT, .clean_text = true, .chinese = true};
    t->n_normalizers = 1;
    z->lowercase = true;
    status = json_get_bool(config, "do_lower_case", &z->lowercase, &inner);
    z->strip_accents = z->lowercase;
    if (status == RAG_OK)
        status = json_get_bool(config, "strip_accents", &z->strip_accents, &inner);
    if (status == RAG_OK)
        status = json_get_bool(config, "tokenize_chinese_chars", &z->chinese, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, RAG_EFORMAT, "tokenizer_config.json: %s", inner.text);
    return RAG_OK;
}

enum rag_status tokenizer_read_vocab_txt(const char *text, size_t n, const struct json *config,
                                         struct tokenizer *t, struct rag_error *reterr)
{
    static const char prefix[] = "##";
    uint32_t pad;
    uint32_t mask;
    uint32_t cls = 0;
    uint32_t sep = 0;
    enum rag_status status;
    size_t bad;

    if (!utf8_valid(text, n, &bad))
        return rag_fail(reterr, RAG_EFORMAT, "not UTF-8 at byte %zu", bad);
    status = read_lines(text, n, t, reterr);
    if (status != RAG_OK)
        return status;
    status = read_config(config, t, reterr);
    if (status != RAG_OK)
        return status;
    t->added = calloc(8, sizeof *t->added);
    if (!t->added)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    t->model.kind = MODEL_WORDPIECE;
    t->model.word_chars_max = 100;
    status = add_special(t, token_name(config, "unk_token", "[UNK]"), &t->model.unk, reterr);
    if (status == RAG_OK)
        status = add_special(t, token_name(config, "cls_token", "[CLS]"), &cls, reterr);
    if (status == RAG_OK)
        status = add_special(t, token_name(config, "sep_token", "[SEP]"), &sep, reterr);
    if (status != RAG_OK)
        return status;
    /* Not every vocabulary has these two. */
    (void)add_special(t, token_name(config, "pad_token", "[PAD]"), &pad, NULL);
    (void)add_special(t, token_name(config, "mask_token", "[MASK]"), &mask, NULL);
    status = index_added(t, reterr);
    if (status != RAG_OK)
        return status;
    t->splitters[0] = (struct splitter){.kind = SPLIT_BERT};
    t->n_splitters = 1;
    t->single = (struct template){
        .items = {{TEMPLATE_SPECIAL, cls, 0}, {TEMPLATE_FIRST, 0, 0}, {TEMPLATE_SPECIAL, sep, 0}},
        .n = 3,
        .n_special = 2
    };
    t->pair = t->single;
    t->pair.items[3] = (struct template_item){TEMPLATE_SECOND, 0, 1};
    t->pair.items[4] = (struct template_item){TEMPLATE_SPECIAL, sep, 1};
    t->pair.n = 5;
    t->pair.n_special = 3;
    t->decoders[0] = (struct decoder){.kind = DECODER_WORDPIECE, .cleanup = true};
    t->decoders[0].text = strdup(prefix);
    t->decoders[0].n_text = sizeof prefix - 1;
    t->n_decoders = 1;
    t->has_decoder = true;
    if (!t->decoders[0].text)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    return wordpiece_build(t, prefix, reterr);
}
