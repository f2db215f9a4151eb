/* guard/classifier_internal.h - what the files guard/classifier*.c share. */
#ifndef RAG_GUARD_CLASSIFIER_INTERNAL_H
#define RAG_GUARD_CLASSIFIER_INTERNAL_H

#include "base/bounds.h"
#include "guard/classifier.h"

#define CLASSIFIER_PLACES         (1u << CLASSIFIER_HASH_BITS)
#define CLASSIFIER_EMBEDDER_BYTES 72 /* a fingerprint of 64 digits, NUL, zeros up to 8 */

struct classifier {
    size_t dim;     /* 0: n-grams */
    float *weights; /* owned: [dim], or [CLASSIFIER_PLACES] */
    float bias;
    char embedder[CLASSIFIER_EMBEDDER_BYTES]; /* "" for n-grams */
};

/* A text as its n-grams: ascending places and values, of length 1. */
struct classifier_features {
    uint32_t *places; /* owned */
    float *values;    /* owned, [n] */
    size_t n;
    size_t cap;
};
void classifier_features_release(struct classifier_features *f); /* a zeroed one is a no-op */
/* Replaces f by those of the text. RAG_OK, RAG_ENOMEM. */
enum rag_status classifier_features_of(const char *text, size_t n, struct classifier_features *f);

/* The bytes of a file, and back. 'name' is for messages. RAG_EFORMAT, RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status classifier_parse(const void *data, size_t n, const char *name,
                                 struct classifier **ret, struct rag_error *reterr);
enum rag_status classifier_write(const struct classifier *c, const char *path,
                                 struct rag_error *reterr);

#endif
