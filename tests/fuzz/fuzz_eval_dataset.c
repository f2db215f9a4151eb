/* The readers of evaluation files on any bytes: the first one says which reader.
 *   0 SQuAD/KLUE, sampled and made a book corpus   1 distractors   2 a question set
 *   T a TREC collection: three parts with a byte 0x01 between them */
#include <stdint.h>
#include <string.h>

#include "eval/dataset.h"
#include "eval/evidence.h"
#include "eval/question_set.h"
#include "eval/score.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_dataset(struct input *in, bool distractors)
{
    struct rag_error error;
    struct dataset d;
    size_t n = 0;

    dataset_init(&d);
    if (distractors) {
        dataset_read_distractors(&d, in, &n, &error);
    } else if (dataset_read_squad(&d, in, &error) == RAG_OK) {
        for (size_t i = 0; i < d.n_questions; i++) {
            const struct dataset_question *q = &d.questions[i];

            score_citation_overlaps(&d, q, 0, d.passages[q->passage].n_bytes,
                                    d.passages[q->passage].text, 200);
        }
        dataset_sample(&d, (d.n_questions + 1) / 2, 42, &error);
        dataset_book_corpus(&d, &error);
    }
    dataset_release(&d);
}

static void read_trec(const char *data, size_t size)
{
    const char *end = data + size;
    struct input *in[3] = {NULL, NULL, NULL};
    struct rag_error error;
    struct dataset d;

    dataset_init(&d);
    for (int i = 0; i < 3; i++) {
        const char *stop = i < 2 ? memchr(data, 1, (size_t)(end - data)) : end;
        const char *part = data;

        stop = stop ? stop : end;
        data = stop < end ? stop + 1 : end;
        dataset_trec_kind(part, (size_t)(stop - part));
        if (input_memory(part, (size_t)(stop - part), "fuzz", &in[i], NULL) != RAG_OK)
            goto out;
    }
    if (dataset_read_trec(&d, in[0], in[1], in[2], &error) == RAG_OK)
        dataset_sample(&d, (d.n_questions + 1) / 2, 42, &error);
out:
    for (int i = 0; i < 3; i++)
        input_close(in[i]);
    dataset_release(&d);
}

static void read_set(struct input *in)
{
    struct question_set set;
    struct rag_error error;

    if (question_set_read(in, &set, &error) == RAG_OK) {
        for (size_t i = 0; i < set.n; i++) {
            const struct set_question *q = &set.questions[i];
            struct evidence_document d;
            struct evidence_place place;

            if (evidence_document_init(&d, q->text, strlen(q->text), i % 2 == 1) != RAG_OK)
                continue;
            for (size_t k = 0; k < q->n_evidence; k++) {
                if (evidence_find(&d, q->evidence[k].text, &place) == RAG_OK)
                    evidence_covered(&d, &place, 0, strlen(q->text));
            }
            evidence_document_release(&d);
        }
        question_set_mark_off_topic(&set, set.questions[0].id, &error);
    }
    question_set_release(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input *in = NULL;

    if (size > 0 && data[0] == 'T') {
        read_trec((const char *)data + 1, size - 1);
        return 0;
    }
    if (size < 1 || input_memory(data + 1, size - 1, "fuzz", &in, NULL) != RAG_OK)
        return 0;
    if (data[0] % 3 == 2)
        read_set(in);
    else
        read_dataset(in, data[0] % 3 == 1);
    input_close(in);
    return 0;
}
