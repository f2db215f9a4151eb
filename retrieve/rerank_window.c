#include "retrieve/rerank_window.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "text/sentence.h"

static bool is_space(uint32_t c)
{
    return c <= ' ' || c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200B);
}

/* Hundredths of a token. */
static uint32_t char_cost(uint32_t c)
{
    if (is_space(c))
        return 0;
    if (c < 0x80) {
        uint32_t lower = c | 0x20;

        return c >= '0' && c <= '9' ? 50 : lower >= 'a' && lower <= 'z' ? 25 : 100;
    }
    /* punctuation and symbols; kana, CJK and what is as wide */
    if ((c >= 0x2000 && c <= 0x2BFF) || (c >= 0x2E80 && c <= 0x9FFF) ||
        (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFFEF) || c >= 0x10000)
        return 100;
    return 50;
}

uint64_t rerank_window_cost(const char *text, size_t n)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < n;) {
        size_t step;

        cost += char_cost(utf8_decode(text + i, &step));
        i += step;
    }
    return cost;
}

static uint64_t span_cost(const char *text, struct byte_span s)
{
    return rerank_window_cost(text + s.start, s.end - s.start);
}

/* The largest end of a span [from, ..) within s that costs no more than 'budget': after a word, or
 * inside the first one where no whole word fits; one character at least. */
static uint32_t reach_forward(const char *text, struct byte_span s, uint32_t from, uint64_t budget)
{
    uint32_t word_end = from;
    uint64_t cost = 0;
    bool in_word = false;
    uint32_t at = from;

    while (at < s.end) {
        size_t step;
        uint32_t c = utf8_decode(text + at, &step);

        if (in_word && is_space(c))
            word_end = at;
        in_word = !is_space(c);
        cost += char_cost(c);
        if (cost > budget && at > from)
            return word_end > from ? word_end : at;
        at += (uint32_t)step;
    }
    return s.end;
}

/* The same backwards: the smallest start of a span [.., to) within s, at a word's first character;
 * maybe nothing. */
static uint32_t reach_back(const char *text, struct byte_span s, uint32_t to, uint64_t budget)
{
    uint32_t word_start = s.end; /* none yet */
    uint64_t cost = 0;
    bool in_word = true; /* 'to' may be at one */
    uint32_t at = to;

    while (at > s.start) {
        uint32_t before = (uint32_t)utf8_floor(text, at, at - 1);
        uint32_t c = utf8_decode(text + before, NULL);

        if (in_word && is_space(c))
            word_start = at;
        in_word = !is_space(c);
        cost += char_cost(c);
        if (cost > budget)
            return word_start < s.end ? word_start : at;
        at = before;
    }
    return s.start;
}

/* Of a sentence that is too long: the words in the middle, as far as there is room; where it ends
 * before the room does, more of what stands before them. */
static struct byte_span cut_sentence(const char *text, struct byte_span sentence,
                                     struct byte_span words, uint64_t budget)
{
    struct byte_span middle = {words.start > sentence.start ? words.start : sentence.start,
                               words.end < sentence.end ? words.end : sentence.end};
    struct byte_span ret;
    uint64_t cost;

    if (middle.start >= middle.end) /* no words in it: its beginning */
        middle = (struct byte_span){sentence.start, sentence.start};
    cost = span_cost(text, middle);
    ret.start = cost < budget ? reach_back(text, sentence, middle.start, (budget - cost) / 2)
                              : middle.start;
    ret.end = reach_forward(text, sentence, ret.start, budget);
    if (ret.end == sentence.end) {
        uint32_t more = reach_back(text, sentence, ret.end, budget);

        ret.start = more < ret.start ? more : ret.start;
    }
    return ret;
}

/* Whole sentences around the best one, after it and before it in turn. */
static struct byte_span grow(const char *text, const struct sentence *sentences, size_t n,
                             size_t best, uint64_t budget)
{
    size_t from = best;
    size_t to = best;
    bool open[2] = {true, true}; /* after, before */

    for (int side = 0; open[0] || open[1]; side = !side) {
        size_t next = side == 0 ? to + 1 : from - 1; /* before the first: beyond n */
        uint64_t cost;

        if (!open[side])
            continue;
        open[side] = false;
        if (next >= n)
            continue;
        cost = rerank_window_cost(text + sentences[next].byte_start,
                                  sentences[next].byte_end - sentences[next].byte_start);
        if (cost > budget)
            continue;
        budget -= cost;
        open[side] = true;
        if (side == 0)
            to = next;
        else
            from = next;
    }
    return (struct byte_span){sentences[from].byte_start, sentences[to].byte_end};
}

enum rag_status rerank_window(const char *text, size_t n, struct byte_span words, size_t tokens_max,
                              struct byte_span *ret)
{
    uint64_t budget = (uint64_t)tokens_max * 100;
    struct sentence *sentences = NULL;
    enum rag_status status;
    size_t n_sentences = 0;
    size_t best = 0;
    struct byte_span one;
    uint64_t cost;

    if (n > UINT32_MAX)
        return RAG_ELIMIT;
    *ret = (struct byte_span){0, (uint32_t)n};
    if (tokens_max == 0 || rerank_window_cost(text, n) <= budget)
        return RAG_OK;
    status = sentence_split(text, n, &sentences, &n_sentences);
    if (status != RAG_OK || n_sentences == 0)
        return status;
    while (words.start < words.end && best + 1 < n_sentences &&
           sentences[best].byte_end <= words.start)
        best++;
    one = (struct byte_span){sentences[best].byte_start, sentences[best].byte_end};
    cost = span_cost(text, one);
    *ret = cost > budget ? cut_sentence(text, one, words, budget)
                         : grow(text, sentences, n_sentences, best, budget - cost);
    free(sentences);
    return RAG_OK;
}
