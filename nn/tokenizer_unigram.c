/* Unigram language model: the segmentation with the largest sum of scores, by Viterbi (Kudo 2018,
 * "Subword Regularization", section 3.1; the reference's encode_optimized). */
#include <stdlib.h>
#include <string.h>

#include "nn/tokenizer_internal.h"

enum rag_status unigram_build(struct tokenizer *t, struct rag_error *reterr)
{
    enum rag_status status = vocab_trie(&t->vocab, &t->model.trie);

    return status == RAG_OK ? RAG_OK : rag_fail(reterr, status, "model: out of memory");
}

static size_t char_bytes(const char *s)
{
    unsigned char c = (unsigned char)*s;

    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Between segmentations of equal sum the last bit decides: sentencepiece compares a sum of doubles
 * with the float that it kept of another one (unigram_model.cc, EncodeOptimized). */
static double kept(const struct model *m, double score)
{
    return m->single ? (double)(float)score : score;
}

static bool better(struct unigram_node *node, double score)
{
    return node->begin == ID_NONE || score > node->score;
}

/* Forward: the best way to reach each byte offset. */
static enum rag_status search(const struct tokenizer *t, const struct token_work *w, const char *s,
                              size_t n, struct unigram_node *nodes)
{
    const struct model *m = &t->model;

    for (size_t i = 0; i <= n; i++)
        nodes[i] = (struct unigram_node){0, ID_NONE, 0};
    for (size_t at = 0; at < n;) {
        size_t step = char_bytes(s + at);
        double here = nodes[at].score;
        uint32_t node = TRIE_ROOT;
        bool single = false; /* is there a token for this one character? */

        for (size_t i = at; i < n; i++) {
            uint32_t id;

            node = trie_next(&m->trie, node, (unsigned char)s[i]);
            if (node == TRIE_NONE)
                break;
            id = m->trie.slots[node].value;
            if (id == TRIE_NONE || id_refused(t, w, id))
                continue;
            if (better(&nodes[i + 1], here + m->scores[id]))
                nodes[i + 1] =
                    (struct unigram_node){kept(m, here + m->scores[id]), (uint32_t)at, id};
            single = single || i + 1 - at == step;
        }
        if (!single && better(&nodes[at + step], here + m->unk_score)) {
            if (m->unk == ID_NONE)
                return RAG_EINVAL;
            nodes[at + step] =
                (struct unigram_node){kept(m, here + m->unk_score), (uint32_t)at, m->unk};
        }
        at += step;
    }
    return RAG_OK;
}

/* A run of unknown characters: the token of exactly this text, or its bytes, or one unknown.
 * Ids are pushed last first. */
static enum rag_status push_unknown(const struct tokenizer *t, const struct token_work *w,
                                    const char *s, size_t n, struct id_list *ids)
{
    const struct model *m = &t->model;
    uint32_t id = trie_find(&m->trie, s, n);
    bool bytes;
    enum rag_status status = RAG_OK;

    if (id != TRIE_NONE && id_refused(t, w, id))
        id = TRIE_NONE;
    bytes = m->byte_fallback && id == TRIE_NONE;
    for (size_t i = 0; bytes && i < n; i++)
        bytes = m->byte_ids[(unsigned char)s[i]] != ID_NONE;
    if (!bytes)
        return id_push(ids, id == TRIE_NONE ? m->unk : id);
    for (size_t i = n; i-- > 0 && status == RAG_OK;)
        status = id_push(ids, m->byte_ids[(unsigned char)s[i]]);
    return status;
}

enum rag_status unigram_encode(const struct tokenizer *t, struct token_work *w, const char *s,
                               size_t n, struct id_list *ids)
{
    const struct model *m = &t->model;
    size_t first = ids->n;
    size_t end = n;
    enum rag_status status = RAG_OK;

    if (!m->trie.slots)
        return m->unk == ID_NONE ? RAG_EINVAL : push_unknown(t, w, s, n, ids);
    if (n + 1 > w->cap_nodes)
        status = grow((void **)&w->nodes, &w->cap_nodes, n + 1, sizeof *w->nodes);
    if (status == RAG_OK)
        status = search(t, w, s, n, w->nodes);
    while (end > 0 && status == RAG_OK) {
        const struct unigram_node *node = &w->nodes[end];
        size_t begin = node->begin;

        if (node->id == m->unk) {
            while (begin > 0 && w->nodes[begin].id == m->unk)
                begin = w->nodes[begin].begin;
            status = push_unknown(t, w, s + begin, end - begin, ids);
        } else {
            status = id_push(ids, node->id);
        }
        end = begin;
    }
    for (size_t i = first, k = ids->n; status == RAG_OK && i + 1 < k; i++) {
        uint32_t id = ids->items[--k];

        ids->items[k] = ids->items[i];
        ids->items[i] = id;
    }
    return status;
}
