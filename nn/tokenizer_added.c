/* Added tokens: found in the text before any model sees it, always the leftmost and of those the
 * longest (the reference's AddedVocabulary::find_matches). */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

const struct added_token *added_find(const struct tokenizer *t, uint32_t id)
{
    size_t low = 0;
    size_t high = t->n_added;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->added[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->n_added && t->added[low].id == id ? &t->added[low] : NULL;
}

static uint32_t flags_before(const struct tokenizer *t, const char *s, size_t n, size_t at)
{
    size_t step;

    return unicode_flags(&t->unicode, unicode_at(s + utf8_floor(s, n, at - 1), &step));
}

static bool is_single_word(const struct tokenizer *t, const char *s, size_t n, size_t begin,
                           size_t end)
{
    size_t step;

    if (begin > 0 && (flags_before(t, s, n, begin) & UNICODE_WORD))
        return false;
    return end == n || !(unicode_flags(&t->unicode, unicode_at(s + end, &step)) & UNICODE_WORD);
}

enum rag_status added_split(const struct tokenizer *t, const struct token_work *w,
                            const struct trie *trie, const char *s, size_t n,
                            enum rag_status (*part)(void *context, size_t begin, size_t end,
                                                    const struct added_token *token),
                            void *context)
{
    size_t done = 0; /* everything before this has been handed on */
    size_t at = 0;
    enum rag_status status = RAG_OK;

    while (trie->slots && at < n && status == RAG_OK) {
        size_t n_found = 0;
        uint32_t which = trie_longest(trie, s + at, n - at, &n_found);
        const struct added_token *token;
        size_t begin = at;
        size_t end;
        size_t step;

        if (which == TRIE_NONE) {
            at++;
            continue;
        }
        token = &t->added[which];
        end = at + n_found;
        at = end; /* a match that is refused is passed over all the same */
        if (id_refused(t, w, token->id))
            continue;
        if (token->single_word && !is_single_word(t, s, n, begin, end))
            continue;
        while (token->lstrip && begin > 0 && (flags_before(t, s, n, begin) & UNICODE_SPACE))
            begin = utf8_floor(s, n, begin - 1);
        if (begin < done)
            begin = done;
        while (token->rstrip && end < n &&
               (unicode_flags(&t->unicode, unicode_at(s + end, &step)) & UNICODE_SPACE))
            end += step;
        if (done < begin)
            status = part(context, done, begin, NULL);
        if (status == RAG_OK)
            status = part(context, begin, end, token);
        done = end;
    }
    if (status == RAG_OK && done < n)
        status = part(context, done, n, NULL);
    return status;
}
