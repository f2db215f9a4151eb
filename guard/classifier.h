/* guard/classifier.h - logistic regression over hashed n-grams of a text, or over its embedding.
 *
 *     p = 1 / (1 + exp(-(w . x + b)))
 *
 * x: words, pairs of words, and runs of 2 to 4 characters of a word, hashed into 2^18 places,
 * counts damped by 1 + ln(tf), length 1; or an embedding of length 1. Trained by AdaGrad on the log
 * loss with L2 (Duchi, Hazan, Singer, JMLR 12, 2011), seeded, classes weighted; a fifth is held out
 * for the figures. The file: docs/FORMATS.md; hostile when read. */
#ifndef RAG_GUARD_CLASSIFIER_H
#define RAG_GUARD_CLASSIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct classifier; /* opaque; immutable */

/* RAG_EIO, RAG_EFORMAT, RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status classifier_load(const char *path, struct classifier **ret,
                                struct rag_error *reterr);
void classifier_free(struct classifier *c); /* NULL is a no-op */
/* 0: over n-grams; else the embedder's dimensions, and its fingerprint. */
size_t classifier_dim(const struct classifier *c);
const char *classifier_embedder(const struct classifier *c);
/* Probability that the text is of the class that was trained for (0..1). vector: [dim], NULL for
 * n-grams. A text of more than CLASSIFIER_PART_BYTES is as probable as its most probable part, by
 * n-grams; what an embedder cuts off is not seen. RAG_OK, RAG_ENOMEM. */
enum rag_status classifier_score(const struct classifier *c, const char *text, size_t n,
                                 const float *vector, float *ret, struct rag_error *reterr);

struct classifier_example {
    const char *text;    /* NFC; may be NULL where there is a vector */
    const float *vector; /* [dim], or NULL */
    bool positive;
};
struct classifier_training {
    uint64_t seed;
    size_t dim;           /* 0: n-grams */
    const char *embedder; /* of vectors */
    int epochs;           /* 0: chosen */
    double l2;            /* 0: chosen */
};
struct classifier_report {
    size_t n_train, n_held;                                /* held out: a fifth of each class */
    double held_precision, held_recall, held_f1, held_auc; /* at threshold .5 */
    double train_ms;                                       /* both trainings, without the file */
};
/* Train on all examples after measuring on the held out fifth, and write the file. RAG_EINVAL:
 * fewer than CLASSIFIER_EXAMPLES_MIN of a class; RAG_ELIMIT, RAG_ENOMEM, statuses of writing. */
enum rag_status classifier_train(const struct classifier_example *examples, size_t n,
                                 const struct classifier_training *training, const char *path,
                                 struct classifier_report *ret, struct rag_error *reterr);

#endif
