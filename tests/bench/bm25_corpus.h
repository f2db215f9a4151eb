/* tests/bench/bm25_corpus.h - passages and questions for measuring search engines.
 *
 * With text files (JSON lines with a "text" member, .zst or plain) the passages are runs
 * of consecutive real sentences; each distinct sentence is used once, so no passage has a
 * twin. A question is a run of words of one sentence of its passage, or a sample of the
 * passage's words. Without files the terms are drawn from a Zipf distribution. */
#ifndef RAG_TESTS_BENCH_BM25_CORPUS_H
#define RAG_TESTS_BENCH_BM25_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/bm25.h"

#define CORPUS_TERMS_MAX 4096u /* of one passage */
#define CORPUS_QUERY_MAX 64u   /* terms of one question */

struct corpus;

enum rag_status corpus_open(const char *const *files, size_t n_files, size_t n_passages,
                            struct corpus **ret, struct rag_error *reterr);
void corpus_close(struct corpus *corpus);
size_t corpus_n(const struct corpus *corpus);
bool corpus_is_synthetic(const struct corpus *corpus);

/* Distinct terms of passage i with whole occurrences (tf = 8 times their number). */
enum rag_status corpus_passage(struct corpus *corpus, size_t i,
                               struct bm25_posting ret[CORPUS_TERMS_MAX], size_t *ret_n,
                               uint32_t *ret_length);
/* Distinct terms of question j, all of weight 1, and the passage it was made from. */
enum rag_status corpus_question(struct corpus *corpus, size_t j,
                                struct bm25_query_term ret[CORPUS_QUERY_MAX], size_t *ret_n,
                                size_t *ret_gold);

#endif
