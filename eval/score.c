#define _GNU_SOURCE
#include "eval/score.h"

#include <string.h>

#include "base/utf8.h"
#include "eval/answer_score.h"
#include "eval/metrics.h"

uint32_t score_rank(const uint32_t *list, size_t n, uint32_t wanted,
                    uint32_t (*copies)(const void *context, uint32_t value), const void *context)
{
    uint32_t rank = 1;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        if (list[i] == wanted)
            return rank;
        while (list[k] != list[i])
            k++;
        if (k == i)
            rank += copies ? copies(context, list[i]) : 1;
    }
    return RANK_NOT_FOUND;
}

static bool overlap(size_t a_start, size_t a_end, size_t b_start, size_t b_end)
{
    return a_start < b_end && b_start < a_end;
}

/* Does the span share a byte with some occurrence of the answer? */
static bool overlaps_anywhere(const struct dataset_passage *p, const char *answer, size_t start,
                              size_t end)
{
    size_t n = strlen(answer);
    const char *at = p->text;

    while ((at = memmem(at, p->n_bytes - (size_t)(at - p->text), answer, n)) != NULL) {
        size_t offset = (size_t)(at - p->text);

        if (offset >= end)
            return false;
        if (overlap(start, end, offset, offset + n))
            return true;
        at++;
    }
    return false;
}

bool score_citation_overlaps(const struct dataset *d, const struct dataset_question *q,
                             size_t byte_start, size_t byte_end, const char *cited,
                             size_t chars_max)
{
    const struct dataset_passage *p = &d->passages[q->passage];
    size_t n_cited = strlen(cited);

    if (n_cited == 0 || utf8_count(cited, n_cited) > chars_max)
        return false;
    if (byte_end < byte_start || byte_end - byte_start != n_cited || byte_end > p->n_bytes ||
        memcmp(p->text + byte_start, cited, n_cited) != 0) {
        const char *found = memmem(p->text, p->n_bytes, cited, n_cited);

        if (!found)
            return false;
        byte_start = (size_t)(found - p->text);
        byte_end = byte_start + n_cited;
    }
    for (size_t i = 0; i < q->n_answers; i++) {
        const struct dataset_answer *a = &q->answers[i];

        if (a->byte_start == ANSWER_ANYWHERE
                ? overlaps_anywhere(p, a->text, byte_start, byte_end)
                : overlap(byte_start, byte_end, a->byte_start, a->byte_end))
            return true;
    }
    return false;
}

enum rag_status score_answer(const struct dataset_question *q, const char *prediction,
                             double *ret_exact, double *ret_f1)
{
    double best_exact = 0.0;
    double best_f1 = 0.0;

    for (size_t i = 0; i < q->n_answers; i++) {
        double exact = 0.0;
        double f1 = 0.0;
        enum rag_status status = answer_score(prediction, q->answers[i].text, &exact, &f1);

        if (status != RAG_OK)
            return status;
        best_exact = exact > best_exact ? exact : best_exact;
        best_f1 = f1 > best_f1 ? f1 : best_f1;
    }
    *ret_exact = best_exact;
    *ret_f1 = best_f1;
    return RAG_OK;
}
