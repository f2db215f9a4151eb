#define _POSIX_C_SOURCE 200809L
/* Byte-pair encoding: the characters of a word, then merges, the one of lowest rank first, of equal
 * ones the leftmost (Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword
 * Units"; the reference's Word::merge_all). A heap, so that a word of a megabyte takes n log n.
 *
 * SentencePiece knows no merges: two neighbours merge when their text together is a piece, the one
 * of highest score first ("by scores" here). Its pieces may begin with characters that are none, so
 * what is left over becomes bytes, or one unknown token, only in the end. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define PROBES_MAX 4096 /* a table half empty needs tens; more is a file made to collide */

/* ---- reading ---- */

static size_t pair_slot(const struct model *m, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;

    return (size_t)(h ^ h >> 32) & (m->n_merge_slots - 1);
}

static const struct bpe_merge *find_merge(const struct model *m, uint32_t left, uint32_t right)
{
    size_t slot = pair_slot(m, left, right);

    while (m->merges[slot].left != ID_NONE) {
        if (m->merges[slot].left == left && m->merges[slot].right == right)
            return &m->merges[slot];
        slot = (slot + 1) & (m->n_merge_slots - 1);
    }
    return NULL;
}

/* "a b" or ["a","b"] into its halves. */
static bool merge_halves(const struct json *node, const char **left, size_t *n_left,
                         const char **right)
{
    const char *text = json_string(node);
    const char *space;

    if (text) {
        space = strchr(text, ' ');
        if (!space || strchr(space + 1, ' '))
            return false;
        *left = text;
        *n_left = (size_t)(space - text);
        *right = space + 1;
        return true;
    }
    if (json_size(node) != 2)
        return false;
    *left = json_string(json_first(node));
    *right = json_string(json_next(json_first(node)));
    *n_left = *left ? strlen(*left) : 0;
    return *left && *right;
}

enum rag_status bpe_merge_put(struct tokenizer *t, uint32_t rank, const char *left, size_t n_left,
                              const char *right, size_t n_right, struct buf *joined,
                              struct rag_error *reterr)
{
    struct bpe_merge merge = {.rank = rank};
    size_t n_prefix = t->model.prefix ? strlen(t->model.prefix) : 0;
    size_t slot;

    merge.left = vocab_find(&t->vocab, left, n_left);
    merge.right = vocab_find(&t->vocab, right, n_right);
    buf_reset(joined);
    buf_append(joined, left, n_left);
    if (n_right > n_prefix) /* the right half lost "##" or its like */
        buf_append(joined, right + n_prefix, n_right - n_prefix);
    if (buf_status(joined) == RAG_ENOMEM)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    merge.id = buf_status(joined) == RAG_OK ? vocab_find(&t->vocab, buf_str(joined), joined->len)
                                            : ID_NONE;
    if (merge.left == ID_NONE || merge.right == ID_NONE || merge.id == ID_NONE)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model: merge %u: '%.*s' with '%.*s' is not in the vocabulary", rank,
                        (int)(n_left < 64 ? n_left : 64), left, (int)(n_right < 64 ? n_right : 64),
                        right);
    slot = pair_slot(&t->model, merge.left, merge.right);
    for (size_t probes = 0;
         t->model.merges[slot].left != ID_NONE &&
         (t->model.merges[slot].left != merge.left || t->model.merges[slot].right != merge.right);
         probes++) {
        if (probes == PROBES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "model: the hashes of the merges collide");
        slot = (slot + 1) & (t->model.n_merge_slots - 1);
    }
    t->model.merges[slot] = merge; /* of equal pairs the later counts */
    return RAG_OK;
}

enum rag_status bpe_merges_init(struct model *m, size_t n, struct rag_error *reterr)
{
    m->n_merge_slots = 16;
    while (m->n_merge_slots < n * 2)
        m->n_merge_slots *= 2; /* TOKENIZER_JSON_COMMAS_MAX or TOKENIZER_MERGES_MAX bounds it */
    m->merges = malloc(m->n_merge_slots * sizeof *m->merges);
    if (!m->merges)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    memset(m->merges, 0xFF, m->n_merge_slots * sizeof *m->merges);
    return RAG_OK;
}

static enum rag_status merges_read(const struct json *list, struct tokenizer *t,
                                   struct rag_error *reterr)
{
    enum rag_status status = bpe_merges_init(&t->model, json_size(list), reterr);
    struct buf joined;
    uint32_t rank = 0;

    buf_init(&joined, TOKENIZER_TOKEN_BYTES_MAX);
    for (const struct json *node = json_first(list); node && status == RAG_OK;
         node = json_next(node), rank++) {
        const char *left = NULL;
        const char *right = NULL;
        size_t n_left = 0;

        if (merge_halves(node, &left, &n_left, &right))
            status = bpe_merge_put(t, rank, left, n_left, right, strlen(right), &joined, reterr);
        else
            status = rag_fail(reterr, RAG_EFORMAT, "model: merge %u is not two tokens", rank);
    }
    buf_release(&joined);
    return status;
}

void bpe_small_ids(struct tokenizer *t)
{
    for (uint32_t c = 0; c < 0x400; c++) {
        char text[4];

        t->model.small_ids[c] = vocab_find(&t->vocab, text, utf8_encode(c, text));
    }
}

enum rag_status bpe_read(const struct json *model, struct tokenizer *t, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    struct model *m = &t->model;
    const struct json *merges = NULL;
    const char *prefix = NULL;
    const char *suffix = NULL;
    double dropout = 0;
    enum rag_status status = json_get_array(model, "merges", &merges, &inner);

    m->kind = MODEL_BPE;
    if (status == RAG_OK)
        status = json_get_double(model, "dropout", 0, 0, &dropout, &inner);
    if (status == RAG_OK)
        status = json_get_string(model, "continuing_subword_prefix", TOKENIZER_TOKEN_BYTES_MAX,
                                 &prefix, &inner);
    if (status == RAG_OK)
        status = json_get_string(model, "end_of_word_suffix", TOKENIZER_TOKEN_BYTES_MAX, &suffix,
                                 &inner);
    if (status == RAG_OK)
        status = json_get_bool(model, "fuse_unk", &m->fuse_unk, &inner);
    if (status == RAG_OK)
        status = json_get_bool(model, "byte_fallback", &m->byte_fallback, &inner);
    if (status == RAG_OK)
        status = json_get_bool(model, "ignore_merges", &m->ignore_merges, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status == RAG_EINVAL ? RAG_EFORMAT : status, "model: %s",
                        inner.text);
    m->prefix = prefix && *prefix ? strdup(prefix) : NULL;
    m->suffix = suffix && *suffix ? strdup(suffix) : NULL;
    if ((prefix && *prefix && !m->prefix) || (suffix && *suffix && !m->suffix))
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    bpe_small_ids(t);
    return merges_read(merges, t, reterr);
}

/* ---- encoding ---- */

static enum rag_status add_symbol(struct token_work *w, size_t *n, uint32_t id, size_t n_bytes)
{
    if (*n == w->cap_symbols) {
        enum rag_status status =
            grow((void **)&w->symbols, &w->cap_symbols, *n + 1, sizeof *w->symbols);

        if (status != RAG_OK)
            return status;
    }
    w->symbols[*n] = (struct bpe_symbol){
        .id = id,
        .previous = (int32_t)*n - 1,
        .next = (int32_t)*n + 1,
        .n_bytes = (uint32_t)n_bytes,
    };
    ++*n;
    return RAG_OK;
}

/* The model's own token; added ones are not for it. */
static uint32_t find_token(const struct tokenizer *t, const struct token_work *w, const char *s,
                           size_t n)
{
    uint32_t id = vocab_find(&t->vocab, s, n);

    if (id == ID_NONE || t->vocab.tokens[id].added || t->vocab.tokens[id].reserved)
        return ID_NONE;
    return id_refused(t, w, id) ? ID_NONE : id;
}

/* The token of the character at s[at], with the marks that its place in the word asks for. */
static uint32_t char_id(const struct tokenizer *t, struct token_work *w, const char *s, size_t n,
                        size_t at, size_t *ret_step)
{
    const struct model *m = &t->model;
    uint32_t c = unicode_at(s + at, ret_step);
    bool marked = (m->prefix && at > 0) || (m->suffix && at + *ret_step == n);

    if (!marked && c < 0x400) {
        uint32_t id = m->small_ids[c];

        return id == ID_NONE || id_refused(t, w, id) ? ID_NONE : id;
    }
    if (!marked)
        return find_token(t, w, s + at, *ret_step);
    buf_reset(&w->extra);
    if (m->prefix && at > 0)
        buf_append_str(&w->extra, m->prefix);
    buf_append(&w->extra, s + at, *ret_step);
    if (m->suffix && at + *ret_step == n)
        buf_append_str(&w->extra, m->suffix);
    return find_token(t, w, buf_str(&w->extra), w->extra.len);
}

/* Bytes of a character (as it is looked up, marks included) that has no token of its own. */
static bool has_byte_tokens(const struct model *m, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (m->byte_ids[(unsigned char)s[i]] == ID_NONE)
            return false;
    }
    return m->byte_fallback;
}

static enum rag_status first_symbols(const struct tokenizer *t, struct token_work *w, const char *s,
                                     size_t n, size_t *ret_n)
{
    const struct model *m = &t->model;
    enum rag_status status = RAG_OK;
    size_t unknown = 0; /* bytes of unknown characters not added yet */
    size_t step;

    for (size_t at = 0; at < n && status == RAG_OK; at += step) {
        uint32_t id = char_id(t, w, s, n, at, &step);
        bool marked = (m->prefix && at > 0) || (m->suffix && at + step == n);
        const char *text = marked ? buf_str(&w->extra) : s + at;
        size_t n_text = marked ? w->extra.len : step;

        if (id != ID_NONE) {
            if (unknown > 0)
                status = add_symbol(w, ret_n, m->unk, unknown);
            unknown = 0;
            if (status == RAG_OK)
                status = add_symbol(w, ret_n, id, step);
        } else if (has_byte_tokens(m, text, n_text)) {
            /* as in the reference, unknown characters before it come after it */
            for (size_t i = 0; i < n_text && status == RAG_OK; i++)
                status = add_symbol(w, ret_n, m->byte_ids[(unsigned char)text[i]], 1);
        } else if (m->unk != ID_NONE) {
            if (unknown > 0 && !m->fuse_unk) {
                status = add_symbol(w, ret_n, m->unk, unknown);
                unknown = 0;
            }
            unknown += n_text;
        }
    }
    if (unknown > 0 && status == RAG_OK)
        status = add_symbol(w, ret_n, m->unk, unknown);
    if (*ret_n > 0)
        w->symbols[*ret_n - 1].next = -1;
    return status;
}

static enum rag_status heap_push(struct token_work *w, const struct bpe_merge *merge, size_t at)
{
    struct bpe_candidate c = {(uint64_t)merge->rank << 32 | at, merge->id};
    size_t i = w->n_heap;

    if (w->n_heap == w->cap_heap) {
        enum rag_status status =
            grow((void **)&w->heap, &w->cap_heap, w->n_heap + 1, sizeof *w->heap);

        if (status != RAG_OK)
            return status;
    }
    w->n_heap++;
    while (i > 0 && w->heap[(i - 1) / 2].order > c.order) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = c;
    return RAG_OK;
}

static struct bpe_candidate heap_pop(struct token_work *w)
{
    struct bpe_candidate top = w->heap[0];
    struct bpe_candidate last = w->heap[--w->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= w->n_heap)
            break;
        if (child + 1 < w->n_heap && w->heap[child + 1].order < w->heap[child].order)
            child++;
        if (w->heap[child].order >= last.order)
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/* The merge of the symbol at 'at' with the next one, if there is one. */
static bool pair_merge(const struct tokenizer *t, const struct token_work *w, const char *s,
                       int32_t at, struct bpe_merge *ret)
{
    const struct bpe_symbol *left = at < 0 ? NULL : &w->symbols[at];
    const struct bpe_symbol *right = left && left->next >= 0 ? &w->symbols[left->next] : NULL;
    const struct bpe_merge *merge;

    if (!right)
        return false;
    if (t->model.ranks) {
        size_t n = (size_t)left->n_bytes + right->n_bytes;

        ret->id = n > TOKENIZER_TOKEN_BYTES_MAX ? ID_NONE : find_token(t, w, s + left->begin, n);
        ret->rank = ret->id == ID_NONE ? 0 : t->model.ranks[ret->id];
        return ret->id != ID_NONE;
    }
    merge = find_merge(&t->model, left->id, right->id);
    if (!merge || id_refused(t, w, merge->id))
        return false;
    *ret = *merge;
    return true;
}

/* The pair that begins at symbol 'at' becomes a candidate. */
static enum rag_status offer(const struct tokenizer *t, struct token_work *w, const char *s,
                             int32_t at)
{
    struct bpe_merge merge;

    return pair_merge(t, w, s, at, &merge) ? heap_push(w, &merge, (size_t)at) : RAG_OK;
}

static enum rag_status merge_symbols(const struct tokenizer *t, struct token_work *w, const char *s,
                                     size_t n)
{
    enum rag_status status = RAG_OK;

    w->n_heap = 0;
    for (size_t i = 0; i + 1 < n && status == RAG_OK; i++)
        status = offer(t, w, s, (int32_t)i);
    while (w->n_heap > 0 && status == RAG_OK) {
        struct bpe_candidate top = heap_pop(w);
        int32_t at = (int32_t)(uint32_t)top.order;
        struct bpe_symbol *left = &w->symbols[at];
        struct bpe_symbol *right;
        struct bpe_merge merge;

        if (left->n_bytes == 0 || !pair_merge(t, w, s, at, &merge) || merge.id != top.id)
            continue; /* one of the two has merged with another one meanwhile */
        right = &w->symbols[left->next];
        left->id = top.id;
        left->n_bytes += right->n_bytes;
        left->next = right->next;
        right->n_bytes = 0;
        if (right->next >= 0)
            w->symbols[right->next].previous = at;
        status = offer(t, w, s, left->previous);
        if (status == RAG_OK)
            status = offer(t, w, s, at);
    }
    return status;
}

/* One symbol for each character, whether it is a piece or not. */
static enum rag_status score_symbols(const struct tokenizer *t, struct token_work *w, const char *s,
                                     size_t n, size_t *ret_n)
{
    enum rag_status status = RAG_OK;
    size_t step;

    for (size_t at = 0; at < n && status == RAG_OK; at += step) {
        unicode_at(s + at, &step);
        status = add_symbol(w, ret_n, find_token(t, w, s + at, step), step);
        if (status == RAG_OK)
            w->symbols[*ret_n - 1].begin = (uint32_t)at;
    }
    if (*ret_n > 0)
        w->symbols[*ret_n - 1].next = -1;
    return status;
}

/* What is no piece becomes bytes; where some of those have no token a run becomes one unknown. */
static enum rag_status push_symbols(const struct tokenizer *t, const struct token_work *w,
                                    const char *s, struct id_list *ids)
{
    const struct model *m = &t->model;
    enum rag_status status = RAG_OK;
    bool unknown = false; /* was the last one? */

    for (int32_t i = 0; i >= 0 && status == RAG_OK; i = w->symbols[i].next) {
        const struct bpe_symbol *symbol = &w->symbols[i];
        bool bytes =
            symbol->id == ID_NONE && has_byte_tokens(m, s + symbol->begin, symbol->n_bytes);
        bool was_unknown = unknown;

        unknown = symbol->id == ID_NONE && !bytes;
        if (bytes) {
            for (size_t k = 0; k < symbol->n_bytes && status == RAG_OK; k++)
                status = id_push(ids, m->byte_ids[(unsigned char)s[symbol->begin + k]]);
        } else if (!unknown) {
            status = id_push(ids, symbol->id);
        } else if (!was_unknown && m->unk != ID_NONE) {
            status = id_push(ids, m->unk);
        }
    }
    return status;
}

enum rag_status bpe_encode(const struct tokenizer *t, struct token_work *w, const char *s, size_t n,
                           struct id_list *ids)
{
    const struct model *m = &t->model;
    enum rag_status status;
    size_t n_symbols = 0;

    if (m->ignore_merges) {
        uint32_t id = find_token(t, w, s, n);

        if (id != ID_NONE)
            return id_push(ids, id);
    }
    if (m->ranks)
        status = score_symbols(t, w, s, n, &n_symbols);
    else
        status = first_symbols(t, w, s, n, &n_symbols);
    if (status == RAG_OK && n_symbols > 1)
        status = merge_symbols(t, w, s, n_symbols);
    if (m->ranks)
        return status == RAG_OK && n_symbols > 0 ? push_symbols(t, w, s, ids) : status;
    for (int32_t i = n_symbols > 0 ? 0 : -1; i >= 0 && status == RAG_OK; i = w->symbols[i].next)
        status = id_push(ids, w->symbols[i].id);
    return status;
}
