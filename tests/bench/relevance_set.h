/* tests/bench/relevance_set.h - questions with their gold passages, read from files. */
#ifndef RAG_TESTS_BENCH_RELEVANCE_SET_H
#define RAG_TESTS_BENCH_RELEVANCE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct relevance_passage {
    char *title; /* owned; "" when there is none */
    char *text;  /* owned, NFC */
};
struct relevance_question {
    char *text;   /* owned, NFC */
    size_t *gold; /* owned: passages that answer it */
    size_t n_gold;
};
struct relevance_set {
    struct relevance_passage *passages;
    size_t n_passages;
    size_t cap_passages;
    struct relevance_question *questions;
    size_t n_questions;
    size_t cap_questions;
    size_t *slots; /* hash of passage texts, so that equal ones are one */
    size_t n_slots;
};

enum rag_status relevance_read(struct relevance_set *set, const char *path,
                               struct rag_error *reterr);
/* JSON lines with "text": passages that answer nothing. */
enum rag_status relevance_read_distractors(struct relevance_set *set, const char *path,
                                           struct rag_error *reterr);
void relevance_release(struct relevance_set *set);

#endif
