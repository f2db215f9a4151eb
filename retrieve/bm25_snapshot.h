/* retrieve/bm25_snapshot.h - loading from a descriptor, for tests and fuzzers. */
#ifndef RAG_RETRIEVE_BM25_SNAPSHOT_H
#define RAG_RETRIEVE_BM25_SNAPSHOT_H

#include <stdbool.h>

#include "retrieve/bm25.h"

/* As bm25_load(), from an open regular file at its start ('name' stands in messages).
 * Without check_sums the checksums are not compared: everything else is, so what a
 * fuzzer changes is still seen by the checks behind them. */
enum rag_status bm25_load_fd(int fd, const char *name, bool check_sums, const char *binding,
                             const struct bm25_options *options, struct bm25 **ret,
                             struct rag_error *reterr);

#endif
