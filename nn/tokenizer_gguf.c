/* The tokenizer of a GGUF file. Keys (ggml-org/ggml, docs/gguf.md):
 *
 *     tokenizer.ggml.model        gpt2: byte-level BPE; llama: SentencePiece's BPE
 *     tokenizer.ggml.tokens       texts by id; type of each in .token_type, score in .scores
 *     tokenizer.ggml.merges       "left right" by rank (gpt2)
 *     tokenizer.ggml.pre          which expressions cut a text into words (gpt2): the table below
 *     tokenizer.ggml.add_bos_token, .add_eos_token, .bos_token_id, .eos_token_id,
 *     .unknown_token_id, .add_space_prefix, .remove_extra_whitespaces
 *
 * A name of "pre" stands for the pre-tokenizer of the model's own tokenizer.json, whose expressions
 * these are; llama.cpp's (src/llama-vocab.cpp) say the same in other words. "default", which is
 * also what a file without the key has, is llama.cpp's own. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/tokenizer_pieces.h"

/* ---- words ---- */

#define GPT2   "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" TAIL
#define QWEN2  SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" TAIL
#define QWEN35                                                                                     \
    SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"                                         \
           "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER     "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define WORD_1    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+"
#define WORD_2    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*"
#define TAIL_O200 " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define O200K     WORD_1 SUFFIX "?|" WORD_2 SUFFIX "?|\\p{N}{1,3}|" TAIL_O200
#define TEKKEN    WORD_1 "|" WORD_2 "|\\p{N}|" TAIL_O200
#define DEEPSEEK3                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}"    \
    "\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define PATTERNS_MAX 4

struct word_rule {
    const char *names;                  /* of "pre", with a space around each */
    const char *patterns[PATTERNS_MAX]; /* one after another; NULL: no more */
    bool nfc;
    bool ignore_merges;
    bool add_bos; /* unless the file says otherwise */
};

static const struct word_rule rules[] = {
    {" gpt-2 phi-2 olmo jais mpt trillion gigachat exaone4 a.x-4.0 ",   {GPT2},                     false, false, false},
    {" exaone smollm starcoder refact command-r codeshell minerva-7b ",
     {"\\p{N}", GPT2},
     false,                                                                                                false,
     false                                                                                                             },
    {" llama-bpe llama3 llama-v3 falcon3 lfm2 midm-2.0 ",               {LLAMA3},                   false, true,  true },
    {" dbrx smaug-bpe glm4 chatglm-bpe ",                               {LLAMA3},                   false, false, false},
    {" qwen2 deepseek-r1-qwen ",                                        {QWEN2},                    true,  false, false},
    {" megrez hunyuan ",                                                {QWEN2},                    false, false, false},
    {" qwen35 ",                                                        {QWEN35},                   true,  false, false},
    {" gpt-4o llama4 kanana2 ",                                         {O200K},                    false, false, false},
    {" tekken ",                                                        {TEKKEN},                   false, true,  true },
    {" deepseek-v3 ",
     {"\\p{N}{1,3}",
      "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+", DEEPSEEK3},
     false,                                                                                                false,
     false                                                                                                             },
    {" default ",
     {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"},
     false,                                                                                                false,
     false                                                                                                             },
};

static bool has_name(const char *names, const struct gguf_string *name)
{
    const char *p = names;

    while ((p = strchr(p, ' ')) && p[1] != '\0') {
        p++;
        if (strncmp(p, name->text, name->n_bytes) == 0 && p[name->n_bytes] == ' ')
            return true;
    }
    return false;
}

static enum rag_status find_rule(const struct gguf *g, const struct word_rule **ret,
                                 struct rag_error *reterr)
{
    struct gguf_string name = {"default", 7};
    enum rag_status status = gguf_get_string(g, "tokenizer.ggml.pre", &name, reterr);

    if (status != RAG_OK && status != RAG_ENOTFOUND)
        return status;
    /* a space would match the end of one name and the next one */
    for (size_t i = 0;
         i < sizeof rules / sizeof rules[0] && name.n_bytes > 0 &&
         !memchr(name.text, ' ', name.n_bytes) && !memchr(name.text, '\0', name.n_bytes);
         i++) {
        if (has_name(rules[i].names, &name)) {
            *ret = &rules[i];
            return RAG_OK;
        }
    }
    return rag_fail(
        reterr, RAG_EFORMAT,
        "tokenizer.ggml.pre: '%.*s' is not supported; docs/MODELS.md lists what is. The "
        "model's folder with tokenizer.json may be",
        (int)(name.n_bytes < 64 ? name.n_bytes : 64), name.text);
}

/* ---- tokens ---- */

/* An array that has to be as long as the tokens; *ret_has false: not there. */
static enum rag_status parallel_array(const struct gguf *g, const char *key, size_t n,
                                      struct gguf_array *ret, bool *ret_has,
                                      struct rag_error *reterr)
{
    enum rag_status status;

    *ret_has = gguf_has(g, key);
    if (!*ret_has)
        return RAG_OK;
    status = gguf_get_array(g, key, ret, reterr);
    if (status == RAG_OK && ret->n != n)
        return rag_fail(reterr, RAG_EFORMAT, "%s: %zu elements, but %zu tokens", key, ret->n, n);
    return status;
}

static enum rag_status read_piece(const struct gguf *g, const struct gguf_array arrays[3],
                                  const bool has[3], size_t i, struct vocab_piece *ret,
                                  struct rag_error *reterr)
{
    struct gguf_string text;
    int64_t type = PIECE_NORMAL;
    double score = 0;
    enum rag_status status = gguf_array_string(g, &arrays[0], i, &text, reterr);

    if (status == RAG_OK && has[1])
        status = gguf_array_int(g, &arrays[1], i, &type, reterr);
    if (status == RAG_OK && has[2])
        status = gguf_array_float(g, &arrays[2], i, &score, reterr);
    if (status != RAG_OK)
        return status;
    if (type < 0 || type > PIECE_BYTE)
        return rag_fail(reterr, RAG_EFORMAT,
                        "tokenizer.ggml.token_type: token %zu has type %lld, known are 0 to 6", i,
                        (long long)type);
    if (type == 0) /* "undefined" */
        type = PIECE_NORMAL;
    *ret = (struct vocab_piece){text.text, text.n_bytes, (float)score, (enum piece_type)type};
    return RAG_OK;
}

static enum rag_status read_pieces(const struct gguf *g, struct vocab_piece **ret, size_t *ret_n,
                                   bool *ret_scores, struct rag_error *reterr)
{
    struct gguf_array arrays[3];
    bool has[3] = {true, false, false};
    struct vocab_piece *pieces;
    enum rag_status status = gguf_get_array(g, "tokenizer.ggml.tokens", &arrays[0], reterr);
    size_t n = status == RAG_OK ? arrays[0].n : 0;

    if (status == RAG_OK && (n == 0 || n > TOKENIZER_IDS_MAX))
        return rag_fail(reterr, RAG_ELIMIT,
                        "tokenizer.ggml.tokens: %zu tokens, allowed are 1 to %u", n,
                        TOKENIZER_IDS_MAX);
    if (status == RAG_OK)
        status = parallel_array(g, "tokenizer.ggml.token_type", n, &arrays[1], &has[1], reterr);
    if (status == RAG_OK)
        status = parallel_array(g, "tokenizer.ggml.scores", n, &arrays[2], &has[2], reterr);
    if (status != RAG_OK)
        return status == RAG_ENOTFOUND
                   ? rag_fail(reterr, RAG_EFORMAT, "tokenizer.ggml.tokens is missing")
                   : status;
    pieces = malloc(n * sizeof *pieces);
    if (!pieces)
        return rag_fail(reterr, RAG_ENOMEM, "tokenizer.ggml.tokens: out of memory");
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        status = read_piece(g, arrays, has, i, &pieces[i], reterr);
    if (status != RAG_OK) {
        free(pieces);
        return status;
    }
    *ret = pieces;
    *ret_n = n;
    *ret_scores = has[2];
    return RAG_OK;
}

/* ---- keys of one value ---- */

static enum rag_status get_flag(const struct gguf *g, const char *key, bool *ret,
                                struct rag_error *reterr)
{
    enum rag_status status = gguf_get_bool(g, key, ret, reterr);

    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

/* *ret keeps its value when the key is missing. */
static enum rag_status get_id(const struct gguf *g, const char *key, size_t n, uint32_t *ret,
                              struct rag_error *reterr)
{
    uint64_t id = 0;
    enum rag_status status = gguf_get_uint(g, key, &id, reterr);

    if (status == RAG_ENOTFOUND)
        return RAG_OK;
    if (status == RAG_OK && id >= n)
        return rag_fail(reterr, RAG_EFORMAT, "%s: %llu, but there are %zu tokens", key,
                        (unsigned long long)id, n);
    if (status == RAG_OK)
        *ret = (uint32_t)id;
    return status;
}

static enum rag_status read_template(const struct gguf *g, struct tokenizer *t, bool add_bos,
                                     uint32_t bos, uint32_t eos, struct rag_error *reterr)
{
    bool add_eos = false;
    size_t n = t->vocab.n;
    enum rag_status status = get_flag(g, "tokenizer.ggml.add_bos_token", &add_bos, reterr);

    if (status == RAG_OK)
        status = get_flag(g, "tokenizer.ggml.add_eos_token", &add_eos, reterr);
    if (status == RAG_OK)
        status = get_id(g, "tokenizer.ggml.bos_token_id", n, &bos, reterr);
    if (status == RAG_OK)
        status = get_id(g, "tokenizer.ggml.eos_token_id", n, &eos, reterr);
    if (status == RAG_OK && ((add_bos && bos == ID_NONE) || (add_eos && eos == ID_NONE)))
        status = rag_fail(reterr, RAG_EFORMAT,
                          "tokenizer.ggml.add_%s_token is true, but its %s_token_id is missing",
                          add_bos && bos == ID_NONE ? "bos" : "eos",
                          add_bos && bos == ID_NONE ? "bos" : "eos");
    if (status == RAG_OK)
        pieces_template(t, add_bos ? bos : ID_NONE, add_eos ? eos : ID_NONE);
    return status;
}

/* ---- models ---- */

static enum rag_status read_merges(const struct gguf *g, struct tokenizer *t,
                                   struct rag_error *reterr)
{
    struct gguf_array merges = {.n = 0};
    struct buf joined;
    enum rag_status status = gguf_get_array(g, "tokenizer.ggml.merges", &merges, reterr);

    if (status == RAG_ENOTFOUND)
        return rag_fail(reterr, RAG_EFORMAT, "tokenizer.ggml.merges is missing");
    if (status == RAG_OK && merges.n > TOKENIZER_MERGES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "tokenizer.ggml.merges: %zu, the limit is %u", merges.n,
                        TOKENIZER_MERGES_MAX);
    if (status == RAG_OK)
        status = bpe_merges_init(&t->model, merges.n, reterr);
    buf_init(&joined, TOKENIZER_TOKEN_BYTES_MAX);
    for (size_t i = 0; i < merges.n && status == RAG_OK; i++) {
        struct gguf_string s;
        const char *space;
        size_t n_left;

        status = gguf_array_string(g, &merges, i, &s, reterr);
        if (status != RAG_OK)
            break;
        space = s.n_bytes > 1 ? memchr(s.text + 1, ' ', s.n_bytes - 1) : NULL;
        n_left = space ? (size_t)(space - s.text) : 0;
        if (!space || n_left + 1 == s.n_bytes)
            status = rag_fail(reterr, RAG_EFORMAT,
                              "tokenizer.ggml.merges: merge %zu is not two tokens", i);
        else
            status = bpe_merge_put(t, (uint32_t)i, s.text, n_left, space + 1,
                                   s.n_bytes - n_left - 1, &joined, reterr);
    }
    buf_release(&joined);
    return status;
}

static enum rag_status read_gpt2(const struct gguf *g, struct tokenizer *t,
                                 const struct vocab_piece *pieces, size_t n,
                                 struct rag_error *reterr)
{
    const struct word_rule *rule = NULL;
    enum rag_status status = find_rule(g, &rule, reterr);
    size_t n_patterns = 0;

    if (status == RAG_OK)
        status = pieces_vocab(t, pieces, n, reterr);
    if (status != RAG_OK)
        return status;
    t->model.kind = MODEL_BPE;
    t->model.unk = ID_NONE;
    t->model.ignore_merges = rule->ignore_merges;
    bpe_small_ids(t);
    status = read_merges(g, t, reterr);
    while (n_patterns < PATTERNS_MAX && rule->patterns[n_patterns])
        n_patterns++;
    if (status == RAG_OK)
        status = pieces_byte_level(t, rule->patterns, n_patterns, rule->nfc, reterr);
    if (status == RAG_OK)
        status = read_template(g, t, rule->add_bos, ID_NONE, ID_NONE, reterr);
    return status;
}

/* llama.cpp's converter writes user-defined tokens with spaces, where the model has marks. The
 * texts of such pieces move to 'marked'. */
static enum rag_status mark_spaces(struct vocab_piece *pieces, size_t n, struct buf *marked,
                                   struct rag_error *reterr)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        const struct vocab_piece *p = &pieces[i];

        if (p->type != PIECE_USER_DEFINED || p->n == 0 || !memchr(p->text, ' ', p->n))
            continue;
        for (size_t k = 0; k < p->n; k++) {
            if (p->text[k] == ' ')
                buf_append_str(marked, META_MARK);
            else
                buf_append_char(marked, p->text[k]);
        }
        pieces[i].text = NULL; /* below, when the buffer stays where it is */
        pieces[i].n = marked->len - at;
        at = marked->len;
    }
    if (buf_status(marked) != RAG_OK)
        return rag_fail(reterr, buf_status(marked),
                        "tokenizer.ggml.tokens: user-defined tokens have more than %u bytes",
                        TOKENIZER_VOCAB_BYTES_MAX);
    at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!pieces[i].text) {
            pieces[i].text = buf_str(marked) + at;
            at += pieces[i].n;
        }
    }
    return RAG_OK;
}

static enum rag_status read_llama(const struct gguf *g, struct tokenizer *t,
                                  const struct vocab_piece *pieces, size_t n,
                                  struct rag_error *reterr)
{
    struct piece_spaces spaces = {.squeeze = false, .prefix = true, .escape = true};
    uint32_t unk = n > 0 ? 0 : ID_NONE;
    enum rag_status status = get_flag(g, "tokenizer.ggml.add_space_prefix", &spaces.prefix, reterr);

    if (status == RAG_OK)
        status = get_flag(g, "tokenizer.ggml.remove_extra_whitespaces", &spaces.squeeze, reterr);
    if (status == RAG_OK && gguf_has(g, "tokenizer.ggml.precompiled_charsmap"))
        status =
            rag_fail(reterr, RAG_EFORMAT, "tokenizer.ggml.precompiled_charsmap is not supported");
    if (status == RAG_OK)
        status = pieces_vocab(t, pieces, n, reterr);
    if (status == RAG_OK && t->model.unk == ID_NONE) {
        status = get_id(g, "tokenizer.ggml.unknown_token_id", n, &unk, reterr);
        t->model.unk = unk;
    }
    if (status == RAG_OK)
        status = pieces_bpe(t, pieces, n, reterr);
    if (status == RAG_OK)
        status = pieces_spaces(t, &spaces, reterr);
    if (status == RAG_OK) /* llama.cpp's defaults */
        status = read_template(g, t, true, n > 1 ? 1 : ID_NONE, n > 2 ? 2 : ID_NONE, reterr);
    return status;
}

static bool is(const struct gguf_string *s, const char *word)
{
    return s->n_bytes == strlen(word) && memcmp(s->text, word, s->n_bytes) == 0;
}

enum rag_status tokenizer_read_gguf(const struct gguf *g, struct tokenizer *t,
                                    struct rag_error *reterr)
{
    struct vocab_piece *pieces = NULL;
    struct gguf_string model;
    struct buf marked;
    bool has_scores = false;
    size_t n = 0;
    enum rag_status status = gguf_get_string(g, "tokenizer.ggml.model", &model, reterr);

    if (status == RAG_ENOTFOUND)
        return rag_fail(reterr, RAG_EFORMAT, "tokenizer.ggml.model is missing");
    if (status != RAG_OK)
        return status;
    if (!is(&model, "gpt2") && !is(&model, "llama"))
        return rag_fail(reterr, RAG_EFORMAT,
                        "tokenizer.ggml.model: '%.*s' is not supported; known are gpt2 and llama",
                        (int)(model.n_bytes < 64 ? model.n_bytes : 64), model.text);
    status = read_pieces(g, &pieces, &n, &has_scores, reterr);
    if (status != RAG_OK)
        return status;
    buf_init(&marked, TOKENIZER_VOCAB_BYTES_MAX);
    if (is(&model, "llama")) {
        if (!has_scores)
            status = rag_fail(reterr, RAG_EFORMAT, "tokenizer.ggml.scores is missing");
        if (status == RAG_OK)
            status = mark_spaces(pieces, n, &marked, reterr);
        if (status == RAG_OK)
            status = read_llama(g, t, pieces, n, reterr);
    } else {
        status = read_gpt2(g, t, pieces, n, reterr);
    }
    buf_release(&marked);
    free(pieces);
    return status;
}
