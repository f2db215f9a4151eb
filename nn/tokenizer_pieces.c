#define _GNU_SOURCE /* memmem */
#include "nn/tokenizer_pieces.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"

/* ---- vocabulary ---- */

static enum rag_status measure(const struct vocab_piece *pieces, size_t n, size_t *ret_bytes,
                               struct rag_error *reterr)
{
    size_t n_bytes = 0;

    if (n == 0 || n > TOKENIZER_IDS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu tokens, allowed are 1 to %u", n,
                        TOKENIZER_IDS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t bad;

        if (pieces[i].n > TOKENIZER_TOKEN_BYTES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "token %zu: %zu bytes, the limit is %d", i,
                            pieces[i].n, TOKENIZER_TOKEN_BYTES_MAX);
        if (!utf8_valid(pieces[i].text, pieces[i].n, &bad))
            return rag_fail(reterr, RAG_EFORMAT, "token %zu: not UTF-8 at its byte %zu", i, bad);
        if (pieces[i].type < PIECE_NORMAL || pieces[i].type > PIECE_BYTE)
            return rag_fail(reterr, RAG_EFORMAT, "token %zu: type %d, known are 1 to 6", i,
                            (int)pieces[i].type);
        n_bytes += pieces[i].n;
        if (n_bytes > TOKENIZER_VOCAB_BYTES_MAX)
            return rag_fail(reterr, RAG_ELIMIT,
                            "the first %zu tokens have %zu bytes, the limit is %u", i + 1, n_bytes,
                            TOKENIZER_VOCAB_BYTES_MAX);
    }
    *ret_bytes = n_bytes;
    return RAG_OK;
}

/* The byte of "<0x41>", written just so, or -1. */
static int byte_of(const struct vocab_piece *p)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *high;
    const char *low;

    if (p->n != 6 || memcmp(p->text, "<0x", 3) != 0 || p->text[5] != '>' || !p->text[3] ||
        !p->text[4])
        return -1;
    high = strchr(digits, p->text[3]);
    low = strchr(digits, p->text[4]);
    return high && low ? (int)((high - digits) << 4 | (low - digits)) : -1;
}

static enum rag_status put_piece(struct tokenizer *t, uint32_t id, const struct vocab_piece *p,
                                 struct rag_error *reterr)
{
    enum rag_status status;
    struct vocab_token *token = &t->vocab.tokens[id];
    int byte;

    if (p->n == 0)
        return RAG_OK;
    status = vocab_put(&t->vocab, id, p->text, p->n, false);
    if (status == RAG_EEXIST)
        return rag_fail(reterr, RAG_EFORMAT, "token %u: '%.*s' is token %u already", id,
                        (int)(p->n < 64 ? p->n : 64), p->text,
                        vocab_find(&t->vocab, p->text, p->n));
    if (status != RAG_OK)
        return rag_fail(reterr, status, "token %u: the vocabulary's hashes collide", id);
    token->reserved = p->type == PIECE_CONTROL || p->type == PIECE_UNKNOWN ||
                      p->type == PIECE_UNUSED || p->type == PIECE_BYTE;
    token->special = p->type == PIECE_CONTROL || p->type == PIECE_UNKNOWN ||
                     (p->type == PIECE_USER_DEFINED && looks_special(p->text, p->n));
    if (p->type == PIECE_UNKNOWN && t->model.unk == ID_NONE)
        t->model.unk = id;
    if (p->type == PIECE_BYTE) {
        byte = byte_of(p);
        if (byte < 0)
            return rag_fail(
                reterr, RAG_EFORMAT,
                "token %u: '%.*s' is said to be a byte, which would be <0x00> to <0xFF>", id,
                (int)(p->n < 64 ? p->n : 64), p->text);
        t->model.byte_ids[byte] = id;
    }
    return RAG_OK;
}

/* ---- added tokens ---- */

static bool is_added(const struct vocab_piece *p)
{
    return p->n > 0 &&
           (p->type == PIECE_CONTROL || p->type == PIECE_UNKNOWN || p->type == PIECE_USER_DEFINED);
}

static bool has_mark(const struct vocab_piece *p)
{
    return memmem(p->text, p->n, META_MARK, sizeof META_MARK - 1) != NULL;
}

/* A user-defined token with marks is looked for where spaces have become marks. */
static enum rag_status added_pieces(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                                    size_t n_added, struct rag_error *reterr)
{
    struct trie_key *keys = calloc(n_added * 2 + 1, sizeof *keys);
    struct trie_key *marked = keys ? keys + n_added : NULL;
    enum rag_status status = RAG_OK;
    size_t n_keys = 0;
    size_t n_marked = 0;

    t->added = calloc(n_added + 1, sizeof *t->added);
    if (!keys || !t->added) {
        status = rag_fail(reterr, RAG_ENOMEM, "added tokens: out of memory");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        const struct vocab_piece *p = &pieces[i];
        struct trie_key key = {p->text, (uint32_t)p->n, (uint32_t)t->n_added};
        struct added_token a = {.id = (uint32_t)i, .special = p->type != PIECE_USER_DEFINED};

        if (!is_added(p))
            continue;
        a.normalized = p->type == PIECE_USER_DEFINED && has_mark(p);
        if (a.normalized)
            marked[n_marked++] = key;
        else
            keys[n_keys++] = key;
        t->added[t->n_added++] = a;
    }
    status = trie_build(keys, n_keys, &t->added_raw);
    if (status == RAG_OK)
        status = trie_build(marked, n_marked, &t->added_normalized);
    if (status != RAG_OK)
        status = rag_fail(reterr, status, "added tokens: cannot be indexed");
out:
    free(keys);
    return status;
}

enum rag_status pieces_vocab(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                             struct rag_error *reterr)
{
    size_t n_bytes = 0;
    size_t n_added = 0;
    enum rag_status status = measure(pieces, n, &n_bytes, reterr);

    if (status != RAG_OK)
        return status;
    if (vocab_init(&t->vocab, n, n, n_bytes) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "vocabulary: out of memory");
    t->model.unk = ID_NONE;
    for (size_t b = 0; b < 256; b++)
        t->model.byte_ids[b] = ID_NONE;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = put_piece(t, (uint32_t)i, &pieces[i], reterr);
        n_added += is_added(&pieces[i]);
    }
    if (status != RAG_OK)
        return status;
    t->vocab.n = (uint32_t)n; /* the last ids may have no token */
    if (n_added > TOKENIZER_ADDED_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu control and user-defined tokens, the limit is %d",
                        n_added, TOKENIZER_ADDED_MAX);
    return added_pieces(t, pieces, n, n_added, reterr);
}

/* ---- models ---- */

static enum rag_status check_scores(const struct tokenizer *t, const struct vocab_piece *pieces,
                                    size_t n, struct rag_error *reterr)
{
    bool has_bytes = true;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(pieces[i].score))
            return rag_fail(reterr, RAG_EFORMAT, "token %zu: its score is not a number", i);
    }
    for (size_t b = 0; b < 256; b++)
        has_bytes = has_bytes && t->model.byte_ids[b] != ID_NONE;
    if (t->model.unk == ID_NONE && !has_bytes)
        return rag_fail(reterr, RAG_EFORMAT,
                        "tokens: neither an unknown token nor one for each byte");
    return RAG_OK;
}

struct scored {
    float score;
    uint32_t id;
};

static int compare_scored(const void *a, const void *b)
{
    const struct scored *x = a;
    const struct scored *y = b;

    return (x->score < y->score) - (x->score > y->score); /* the highest first */
}

enum rag_status pieces_bpe(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                           struct rag_error *reterr)
{
    struct model *m = &t->model;
    enum rag_status status = check_scores(t, pieces, n, reterr);
    struct scored *order;
    uint32_t rank = 0;

    if (status != RAG_OK)
        return status;
    m->kind = MODEL_BPE;
    m->fuse_unk = true;
    m->byte_fallback = true;
    order = malloc(n * sizeof *order);
    m->ranks = malloc(n * sizeof *m->ranks);
    if (!order || !m->ranks) {
        free(order);
        return rag_fail(reterr, RAG_ENOMEM, "scores: out of memory");
    }
    for (size_t i = 0; i < n; i++)
        order[i] = (struct scored){pieces[i].score, (uint32_t)i};
    qsort(order, n, sizeof *order, compare_scored);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && order[i].score < order[i - 1].score)
            rank++; /* equal scores have one rank: then the place decides */
        m->ranks[order[i].id] = rank;
    }
    free(order);
    return RAG_OK;
}

enum rag_status pieces_unigram(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                               struct rag_error *reterr)
{
    struct model *m = &t->model;
    enum rag_status status = check_scores(t, pieces, n, reterr);
    double lowest = INFINITY;
    double highest = -INFINITY;

    if (status != RAG_OK)
        return status;
    if (m->unk == ID_NONE)
        return rag_fail(reterr, RAG_EFORMAT, "tokens: Unigram without an unknown token");
    m->kind = MODEL_UNIGRAM;
    m->byte_fallback = true;
    m->scores = calloc(n + 1, sizeof *m->scores);
    if (!m->scores)
        return rag_fail(reterr, RAG_ENOMEM, "scores: out of memory");
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].type != PIECE_NORMAL)
            continue;
        lowest = fmin(lowest, pieces[i].score);
        highest = fmax(highest, pieces[i].score);
    }
    if (lowest > highest)
        return rag_fail(reterr, RAG_EFORMAT, "tokens: none of them is a normal one");
    for (size_t i = 0; i < n; i++) /* a user-defined piece always wins (unigram_model.cc) */
        m->scores[i] = pieces[i].type == PIECE_USER_DEFINED ? (double)pieces[i].n * highest - 0.1
                                                            : (double)pieces[i].score;
    m->unk_score = (double)(float)(lowest - 10); /* kUnkPenalty */
    m->single = true;
    return unigram_build(t, reterr);
}

/* ---- steps around a model ---- */

static struct normalizer *next_normalizer(struct tokenizer *t, enum normalizer_kind kind)
{
    struct normalizer *z = &t->normalizers[t->n_normalizers];

    assert(t->n_normalizers < TOKENIZER_STEPS_MAX);
    t->n_normalizers++; /* zeroed; tokenizer_close() frees what it gets */
    z->kind = kind;
    return z;
}

static struct decoder *next_decoder(struct tokenizer *t, enum decoder_kind kind)
{
    struct decoder *d = &t->decoders[t->n_decoders];

    assert(t->n_decoders < TOKENIZER_STEPS_MAX);
    t->n_decoders++;
    t->has_decoder = true;
    d->kind = kind;
    return d;
}

static enum rag_status set_text(char **text, size_t *n, const char *what, struct rag_error *reterr)
{
    *text = strdup(what);
    *n = strlen(what);
    return *text ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "tokenizer: out of memory");
}

enum rag_status pieces_spaces(struct tokenizer *t, const struct piece_spaces *spaces,
                              struct rag_error *reterr)
{
    const char *space = spaces->escape ? META_MARK : " ";
    enum rag_status status = RAG_OK;
    struct normalizer *z;
    struct decoder *d;

    if (spaces->squeeze)
        next_normalizer(t, NORMALIZER_SQUEEZE);
    if (spaces->prefix) {
        z = next_normalizer(t, NORMALIZER_PREPEND);
        status = set_text(&z->text, &z->n_text, space, reterr);
    }
    if (spaces->escape && status == RAG_OK) {
        z = next_normalizer(t, NORMALIZER_REPLACE);
        status = set_text(&z->text, &z->n_text, META_MARK, reterr);
        if (status == RAG_OK)
            status = pattern_literal(" ", &z->pattern, reterr);
        d = next_decoder(t, DECODER_REPLACE);
        if (status == RAG_OK)
            status = set_text(&d->text, &d->n_text, " ", reterr);
        if (status == RAG_OK)
            status = pattern_literal(META_MARK, &d->pattern, reterr);
    }
    next_decoder(t, DECODER_BYTE_FALLBACK);
    next_decoder(t, DECODER_FUSE);
    if (spaces->prefix && status == RAG_OK) {
        d = next_decoder(t, DECODER_STRIP);
        status = set_text(&d->text, &d->n_text, " ", reterr);
        d->start = 1;
    }
    return status;
}

void pieces_template(struct tokenizer *t, uint32_t bos, uint32_t eos)
{
    struct template *single = &t->single;
    struct template *pair = &t->pair;

    *single = (struct template){.n = 0};
    if (bos != ID_NONE)
        single->items[single->n++] = (struct template_item){TEMPLATE_SPECIAL, bos, 0};
    single->items[single->n++] = (struct template_item){TEMPLATE_FIRST, 0, 0};
    if (eos != ID_NONE)
        single->items[single->n++] = (struct template_item){TEMPLATE_SPECIAL, eos, 0};
    single->n_special = single->n - 1;
    *pair = *single;
    if (bos != ID_NONE)
        pair->items[pair->n++] = (struct template_item){TEMPLATE_SPECIAL, bos, 1};
    pair->items[pair->n++] = (struct template_item){TEMPLATE_SECOND, 0, 1};
    if (eos != ID_NONE)
        pair->items[pair->n++] = (struct template_item){TEMPLATE_SPECIAL, eos, 1};
    pair->n_special = pair->n - 2;
}

enum rag_status pieces_byte_level(struct tokenizer *t, const char *const *patterns, size_t n,
                                  bool nfc, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    assert(t->n_splitters + n < TOKENIZER_STEPS_MAX);
    if (nfc)
        next_normalizer(t, NORMALIZER_FORM)->form = UNICODE_NFC;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        struct splitter *sp = &t->splitters[t->n_splitters++];

        sp->kind = SPLIT_PATTERN;
        sp->behavior = SPLIT_ISOLATED;
        status = pattern_compile(patterns[i], &t->unicode, &sp->pattern, reterr);
    }
    t->splitters[t->n_splitters++].kind = SPLIT_BYTE_LEVEL; /* without an expression of its own */
    next_decoder(t, DECODER_BYTE_LEVEL);
    return status;
}
