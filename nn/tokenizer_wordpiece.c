/* WordPiece: from the left, always the longest token that matches (Wu et al. 2016,
 * "Google's Neural Machine Translation System", section 4.1; as in BERT). */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

enum rag_status wordpiece_build(struct tokenizer *t, const char *prefix, struct rag_error *reterr)
{
    struct model *m = &t->model;
    enum rag_status status = vocab_trie(&t->vocab, &m->trie);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "model: out of memory");
    m->continuing = m->trie.slots ? TRIE_ROOT : TRIE_NONE;
    for (; *prefix && m->continuing != TRIE_NONE; prefix++)
        m->continuing = trie_next(&m->trie, m->continuing, (unsigned char)*prefix);
    return RAG_OK;
}

/* A word without a token for some part of it, or too long, is one unknown token. */
static enum rag_status unknown(const struct tokenizer *t, struct id_list *ids, size_t n_before)
{
    ids->n = n_before;
    return id_push(ids, t->model.unk);
}

enum rag_status wordpiece_encode(const struct tokenizer *t, const struct token_work *w,
                                 const char *s, size_t n, struct id_list *ids)
{
    const struct model *m = &t->model;
    size_t n_before = ids->n;
    uint32_t root = TRIE_ROOT;
    size_t at = 0;

    if (n > m->word_chars_max && utf8_count(s, n) > m->word_chars_max)
        return unknown(t, ids, n_before);
    while (at < n) {
        uint32_t node = root;
        uint32_t id = ID_NONE;
        size_t end = at;
        enum rag_status status;

        for (size_t i = at; i < n && node != TRIE_NONE; i++) {
            node = trie_next(&m->trie, node, (unsigned char)s[i]);
            if (node != TRIE_NONE && m->trie.slots[node].value != TRIE_NONE &&
                !id_refused(t, w, m->trie.slots[node].value)) {
                id = m->trie.slots[node].value;
                end = i + 1;
            }
        }
        if (id == ID_NONE)
            return unknown(t, ids, n_before);
        status = id_push(ids, id);
        if (status != RAG_OK)
            return status;
        at = end;
        root = m->continuing;
        if (root == TRIE_NONE && at < n)
            return unknown(t, ids, n_before);
    }
    return RAG_OK;
}
