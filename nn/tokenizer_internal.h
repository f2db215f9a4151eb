/* nn/tokenizer_internal.h - what the files nn/tokenizer_*.c share; nobody else includes it.
 *
 * A text becomes ids in this order (the reference's TokenizerImpl::encode):
 *
 *     added tokens that are not normalized are cut out of the text      tokenizer_added.c
 *     each rest is normalized                                           tokenizer_normalize.c
 *     added tokens that are normalized are cut out of that              tokenizer_added.c
 *     each rest is cut into words                                       tokenizer_split.c
 *     each word becomes ids                                             tokenizer_wordpiece.c,
 *                                                        tokenizer_unigram.c, tokenizer_bpe.c
 *     both sequences are truncated, special tokens put in              tokenizer_post.c
 */
#ifndef RAG_NN_TOKENIZER_INTERNAL_H
#define RAG_NN_TOKENIZER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "nn/tokenizer.h"
#include "nn/tokenizer_trie.h"
#include "nn/tokenizer_unicode.h"

#define ID_NONE UINT32_MAX

/* ---- vocabulary (tokenizer_vocab.c) ---- */

struct vocab_token {
    uint32_t offset; /* into bytes */
    uint32_t n;
    bool used;     /* does a token have this id? */
    bool added;    /* only an added token: the model does not know it */
    bool special;  /* or an added one that looks like it: not in plain text */
    bool reserved; /* of a list of pieces: no piece of a text is looked up as this one */
};

/* Tokens by id and by text. Sized once, for what the file says. */
struct vocab {
    char *bytes;
    size_t n_bytes;
    size_t cap_bytes;
    struct vocab_token *tokens; /* [n] */
    uint32_t n;                 /* largest id + 1 */
    uint32_t cap;
    uint32_t n_used;   /* ids that have a token */
    uint32_t *index;   /* open addressing, ID_NONE: empty; by hash of the text */
    size_t index_size; /* a power of two, or 0 */
};

/* Room for ids below n_ids, n_tokens texts of n_bytes together. */
enum rag_status vocab_init(struct vocab *v, size_t n_ids, size_t n_tokens, size_t n_bytes);
void vocab_release(struct vocab *v);
/* RAG_EEXIST: the id has a text already, or (unless may_repeat: then the later id counts) the text
 * has an id. RAG_ELIMIT: texts crowd in the hash table. */
enum rag_status vocab_put(struct vocab *v, uint32_t id, const char *text, size_t n,
                          bool may_repeat);
uint32_t vocab_find(const struct vocab *v, const char *text, size_t n);    /* ID_NONE */
const char *vocab_text(const struct vocab *v, uint32_t id, size_t *ret_n); /* NULL: no such id */
/* Is it written as control tokens are: <|x|>, [|x|], or with U+FF5C? Files do not always flag them.
 */
bool looks_special(const char *text, size_t n);
enum rag_status vocab_trie(const struct vocab *v, struct trie *ret); /* text to id */

/* ---- regular expressions (tokenizer_pattern.c) ---- */

struct pattern; /* opaque, immutable */

/* RAG_EFORMAT names what of the expression is not supported. */
enum rag_status pattern_compile(const char *source, const struct unicode_table *u,
                                struct pattern **ret, struct rag_error *reterr);
/* A literal string. */
enum rag_status pattern_literal(const char *text, struct pattern **ret, struct rag_error *reterr);
void pattern_free(struct pattern *p); /* NULL is a no-op */
/* The first match at or after 'from' in s[0, n). RAG_ENOTFOUND: none. RAG_ELIMIT: too many steps;
 * *steps counts down over all calls for one text. */
enum rag_status pattern_next(const struct pattern *p, const struct unicode_table *u, const char *s,
                             size_t n, size_t from, size_t *ret_begin, size_t *ret_end,
                             size_t *steps);

/* ---- normalizers ---- */

struct charsmap {
    uint32_t *units; /* double-array trie of the compiled map; owned */
    size_t n_units;
    char *strings;     /* NUL-terminated replacements; owned */
    size_t n_strings;  /* bytes */
    uint32_t ascii[4]; /* bit c: some key starts with this ASCII character */
    bool longest;      /* as sentencepiece's own code has it: of several keys the longest */
};
/* From the base64 text of "precompiled_charsmap" (sentencepiece normalizer.cc: trie size in bytes,
 * trie, strings). */
enum rag_status charsmap_read(const char *base64, struct charsmap *ret, struct rag_error *reterr);
/* The same without base64. */
enum rag_status charsmap_read_bytes(const uint8_t *data, size_t n, struct charsmap *ret,
                                    struct rag_error *reterr);
void charsmap_release(struct charsmap *m);
void charsmap_apply(const struct charsmap *m, const char *s, size_t n, struct buf *b);

enum normalizer_kind {
    NORMALIZER_BERT,
    NORMALIZER_FORM, /* NFC ... */
    NORMALIZER_LOWERCASE,
    NORMALIZER_STRIP_ACCENTS,
    NORMALIZER_STRIP,
    NORMALIZER_REPLACE,
    NORMALIZER_PREPEND,
    NORMALIZER_CHARSMAP,
    NORMALIZER_BYTE_LEVEL,
    NORMALIZER_NMT,
    NORMALIZER_SQUEEZE, /* spaces: none at both ends, one between others */
};

struct normalizer {
    enum normalizer_kind kind;
    enum unicode_form form;
    bool clean_text, chinese, strip_accents, lowercase; /* BERT */
    bool left, right;                                   /* Strip */
    struct pattern *pattern;                            /* Replace; owned */
    char *text;                                         /* Replace, Prepend; owned */
    size_t n_text;
    struct charsmap map;
};

/* ---- pre-tokenizers ---- */

enum splitter_kind {
    SPLIT_BERT,
    SPLIT_WHITESPACE_WORDS, /* \w+|[^\w\s]+ */
    SPLIT_WHITESPACE,
    SPLIT_METASPACE,
    SPLIT_BYTE_LEVEL,
    SPLIT_PATTERN,
    SPLIT_PUNCTUATION,
    SPLIT_DIGITS,
};
enum split_behavior {
    SPLIT_ISOLATED,
    SPLIT_REMOVED,
    SPLIT_CONTIGUOUS,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
};
enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct splitter {
    enum splitter_kind kind;
    enum split_behavior behavior;
    bool invert;
    struct pattern *pattern; /* owned; BYTE_LEVEL: NULL = no regular expression */
    bool add_prefix_space;   /* BYTE_LEVEL */
    bool individual_digits;
    char replacement[5]; /* METASPACE: one character, NUL-terminated */
    size_t n_replacement;
    enum prepend_scheme prepend;
    bool split;
};

/* ---- models ---- */

enum model_kind { MODEL_WORDPIECE, MODEL_UNIGRAM, MODEL_BPE };

struct bpe_merge {
    uint32_t left, right; /* ID_NONE: empty slot */
    uint32_t rank;
    uint32_t id;
};

struct model {
    enum model_kind kind;
    uint32_t unk;              /* ID_NONE: none */
    struct trie trie;          /* WordPiece, Unigram: text to id */
    uint32_t continuing;       /* WordPiece: trie node behind "##", or TRIE_NONE */
    size_t word_chars_max;     /* WordPiece */
    double *scores;            /* Unigram: [vocab.n]; owned */
    double unk_score;          /* Unigram */
    bool single;               /* Unigram: sums are kept as float, as sentencepiece has them */
    bool byte_fallback;        /* Unigram, BPE */
    uint32_t byte_ids[256];    /* of <0x00>..<0xFF>; ID_NONE: not in the vocabulary */
    bool fuse_unk;             /* BPE */
    bool ignore_merges;        /* BPE */
    char *prefix, *suffix;     /* BPE: of characters that continue or end a word; owned or NULL */
    struct bpe_merge *merges;  /* BPE: open addressing by pair; owned */
    size_t n_merge_slots;      /* a power of two */
    uint32_t *ranks;           /* BPE by scores, instead of merges: [vocab.n] of pieces; owned */
    uint32_t small_ids[0x400]; /* BPE: ids of one-character tokens below U+0400 */
};

/* ---- added tokens ---- */

struct added_token {
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    char *decoded; /* normalized text, where it differs: what the decoders see; owned or NULL */
};

/* ---- post-processors ---- */

enum template_kind { TEMPLATE_SPECIAL, TEMPLATE_FIRST, TEMPLATE_SECOND };
struct template_item {
    enum template_kind kind;
    uint32_t id; /* of a special token */
    uint8_t type;
};
#define TEMPLATE_ITEMS_MAX 64
struct template
{
    struct template_item items[TEMPLATE_ITEMS_MAX];
    size_t n;
    size_t n_special;
};

/* ---- decoders ---- */

enum decoder_kind {
    DECODER_BYTE_LEVEL,
    DECODER_WORDPIECE,
    DECODER_METASPACE,
    DECODER_BPE,
    DECODER_REPLACE,
    DECODER_BYTE_FALLBACK,
    DECODER_FUSE,
    DECODER_STRIP,
};
struct decoder {
    enum decoder_kind kind;
    struct pattern *pattern; /* Replace; owned */
    char *text;              /* prefix, suffix, content, replacement; owned */
    size_t n_text;
    bool cleanup;
    enum prepend_scheme prepend;
    size_t start, stop; /* Strip */
};

#define TOKENIZER_STEPS_MAX 32 /* normalizers, splitters or decoders of one file */

struct tokenizer {
    struct unicode_table unicode;
    struct vocab vocab; /* the model's and the added tokens */
    struct model model;
    struct normalizer normalizers[TOKENIZER_STEPS_MAX];
    size_t n_normalizers;
    struct splitter splitters[TOKENIZER_STEPS_MAX];
    size_t n_splitters;
    bool needs_lead; /* does a splitter prepend to the first piece only? */
    struct decoder decoders[TOKENIZER_STEPS_MAX];
    size_t n_decoders;
    bool has_decoder;
    struct template single, pair;
    struct added_token *added; /* ascending by id; owned */
    size_t n_added;
    struct trie added_raw;        /* text to index into added: not normalized */
    struct trie added_normalized; /* the others, by their normalized text */
};

/* ---- memory of one encoding ---- */

struct piece {
    uint32_t begin;
    uint32_t n;
    uint32_t lead; /* bytes at its beginning that come from the first character of the whole
                    * original text: the reference prepends to such a piece ("first") */
};
struct piece_list {
    struct piece *items; /* owned */
    size_t n;
    size_t cap;
};
struct id_list {
    uint32_t *items; /* owned */
    size_t n;
    size_t cap;
    size_t stop; /* ids at the end of the word that reached the limit of truncation; see
                  * truncation_lengths() */
};

struct unigram_node {
    double score;
    uint32_t begin;
    uint32_t id;
};
struct bpe_symbol {
    uint32_t id; /* BPE by scores: ID_NONE, no piece */
    int32_t previous, next;
    uint32_t begin;   /* BPE by scores: of its text in the word */
    uint32_t n_bytes; /* 0: merged into its left neighbour */
};
struct bpe_candidate {
    uint64_t order; /* rank, then position */
    uint32_t id;
};

struct token_work {
    struct buf text[2];  /* normalized text, and the other one while it changes */
    struct buf extra;    /* between passes of one normalizer */
    struct buf front;    /* what a normalizer makes of the first character */
    struct buf split[2]; /* text of words, while splitters change it */
    struct piece_list pieces[2];
    struct id_list ids[2]; /* of the first and the second sequence */
    struct unigram_node *nodes;
    size_t cap_nodes;
    struct bpe_symbol *symbols;
    struct bpe_candidate *heap;
    size_t cap_symbols;
    size_t n_heap;
    size_t cap_heap;
    size_t steps;            /* that patterns may still take */
    bool plain;              /* special ids and these do not come from the text */
    const uint32_t *refused; /* [n_refused]; borrowed for one call */
    size_t n_refused;
};

struct token_work *token_work_new(void);    /* NULL: no memory */
void token_work_free(struct token_work *w); /* NULL is a no-op */

/* Grow *items so that n fit; *cap counts items. RAG_OK or RAG_ENOMEM. */
enum rag_status grow(void **items, size_t *cap, size_t n, size_t item_bytes);

/* Must this id not come from the text of this call? */
static inline bool id_refused(const struct tokenizer *t, const struct token_work *w, uint32_t id)
{
    if (!w->plain)
        return false;
    for (size_t i = 0; i < w->n_refused; i++) {
        if (w->refused[i] == id)
            return true;
    }
    return t->vocab.tokens[id].special;
}

static inline enum rag_status id_push(struct id_list *list, uint32_t id)
{
    if (list->n == list->cap) {
        enum rag_status status =
            grow((void **)&list->items, &list->cap, list->n + 1, sizeof *list->items);

        if (status != RAG_OK)
            return status;
    }
    list->items[list->n++] = id;
    return RAG_OK;
}

static inline enum rag_status piece_push(struct piece_list *list, size_t begin, size_t n,
                                         size_t lead)
{
    if (n == 0)
        return RAG_OK; /* the reference drops empty pieces */
    if (list->n == list->cap) {
        enum rag_status status =
            grow((void **)&list->items, &list->cap, list->n + 1, sizeof *list->items);

        if (status != RAG_OK)
            return status;
    }
    list->items[list->n++] = (struct piece){(uint32_t)begin, (uint32_t)n, (uint32_t)lead};
    return RAG_OK;
}

/* ---- stages ---- */

/* s[0, n) through all normalizers; the result is s itself or a buffer of w. *lead: the bytes at
 * the beginning that come from the first character of the whole text, before and after.
 * RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status normalize(const struct tokenizer *t, struct token_work *w, const char *s, size_t n,
                          const char **ret, size_t *ret_n, size_t *lead);

/* s[0, n) into words: pieces of **ret_text, which is s or a buffer of w. */
enum rag_status split_words(const struct tokenizer *t, struct token_work *w, const char *s,
                            size_t n, size_t lead, const char **ret_text,
                            const struct piece_list **ret);

/* Ids of one word, n >= 1 bytes. */
enum rag_status wordpiece_encode(const struct tokenizer *t, const struct token_work *w,
                                 const char *s, size_t n, struct id_list *ids);
enum rag_status unigram_encode(const struct tokenizer *t, struct token_work *w, const char *s,
                               size_t n, struct id_list *ids);
enum rag_status bpe_encode(const struct tokenizer *t, struct token_work *w, const char *s, size_t n,
                           struct id_list *ids);

/* Calls back for each part of s[0, n) in order: an added token (token not NULL), or what lies
 * between, tokens that are refused with it (token NULL). Stops at the first status that is not
 * RAG_OK. */
enum rag_status added_split(const struct tokenizer *t, const struct token_work *w,
                            const struct trie *trie, const char *s, size_t n,
                            enum rag_status (*part)(void *context, size_t begin, size_t end,
                                                    const struct added_token *token),
                            void *context);
const struct added_token *added_find(const struct tokenizer *t, uint32_t id); /* NULL: none */

/* How many tokens of each sequence stay, for a budget without special tokens; stop_* as the
 * reference counts them (see tokenizer_post.c). */
void truncation_lengths(size_t n_first, size_t n_second, size_t stop_first, size_t stop_second,
                        bool pair, size_t budget, size_t *ret_first, size_t *ret_second);
enum rag_status template_apply(const struct template *tp, const struct id_list ids[2],
                               const size_t keep[2], bool special, struct token_list *ret);

/* The UTF-8 of the character that byte-level BPE writes for a byte (GPT-2's table): 1 or 2 bytes.
 * Returns their number. */
size_t byte_level_char(unsigned char byte, char ret[2]);
/* The byte of such a character, or -1. */
int byte_level_byte(uint32_t c);
/* The bytes that a token's text stands for; the text itself when a character of it is outside the
 * alphabet. */
void byte_level_append(const char *s, size_t n, struct buf *ret);
/* The byte of a token "<0x41>" of BPE with byte fallback, or -1. */
int token_fallback_byte(const char *s, size_t n);

/* ---- reading (tokenizer_json*.c, tokenizer_vocab_txt.c) ---- */

enum rag_status tokenizer_read_json(const char *text, size_t n, struct tokenizer *t,
                                    struct rag_error *reterr);
/* added: the list of added tokens or NULL; only for the room that they will need. */
enum rag_status model_read(const struct json *model, const struct json *added, struct tokenizer *t,
                           struct rag_error *reterr);
enum rag_status bpe_read(const struct json *model, struct tokenizer *t, struct rag_error *reterr);
/* Room for n merges, then one after another by rank: neither half is terminated. */
enum rag_status bpe_merges_init(struct model *m, size_t n, struct rag_error *reterr);
enum rag_status bpe_merge_put(struct tokenizer *t, uint32_t rank, const char *left, size_t n_left,
                              const char *right, size_t n_right, struct buf *joined,
                              struct rag_error *reterr);
void bpe_small_ids(struct tokenizer *t); /* when the model's tokens are there */
enum rag_status added_read(const struct json *list, struct tokenizer *t, struct rag_error *reterr);
enum rag_status normalizers_read(const struct json *node, struct tokenizer *t,
                                 struct rag_error *reterr);
enum rag_status splitters_read(const struct json *node, struct tokenizer *t,
                               struct rag_error *reterr);
enum rag_status post_read(const struct json *node, struct tokenizer *t, struct rag_error *reterr);
enum rag_status decoders_read(const struct json *node, struct tokenizer *t,
                              struct rag_error *reterr);
/* vocab.txt, and tokenizer_config.json (NULL: there is none). */
enum rag_status tokenizer_read_vocab_txt(const char *text, size_t n, const struct json *config,
                                         struct tokenizer *t, struct rag_error *reterr);
/* Tries of the words of a model whose vocabulary is complete. */
enum rag_status wordpiece_build(struct tokenizer *t, const char *prefix, struct rag_error *reterr);
enum rag_status unigram_build(struct tokenizer *t, struct rag_error *reterr);

/* SentencePiece's tokenizer.model, and tokenizer_config.json (NULL: there is none). */
enum rag_status tokenizer_read_sentencepiece(const uint8_t *data, size_t n,
                                             const struct json *config, struct tokenizer *t,
                                             struct rag_error *reterr);
enum rag_status tokenizer_read_gguf(const struct gguf *g, struct tokenizer *t,
                                    struct rag_error *reterr);

/* Tests and fuzzers: tokenizer_open() of a tokenizer.json in memory. */
enum rag_status tokenizer_open_json(const char *text, size_t n, struct tokenizer **ret,
                                    struct rag_error *reterr);
/* The same of a tokenizer.model. */
enum rag_status tokenizer_open_sentencepiece(const uint8_t *data, size_t n, const char *config,
                                             size_t n_config, struct tokenizer **ret,
                                             struct rag_error *reterr);
/* The same of a vocab.txt and a tokenizer_config.json (NULL: none). */
enum rag_status tokenizer_open_vocab_txt(const char *text, size_t n, const char *config,
                                         size_t n_config, struct tokenizer **ret,
                                         struct rag_error *reterr);

#endif
