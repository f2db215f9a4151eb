/* Embedding the lines of a file for bench_vectors. */
#ifndef RAG_BENCH_VECTORS_TEXT_H
#define RAG_BENCH_VECTORS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The first n distinct "text" (or "en") members of a JSONL file (.zst or plain), at least
 * 8 words long, shuffled (seeded), by the model in 'dir'. *ret [*ret_n, *ret_dim], malloc'ed. */
bool vectors_embed_file(const char *path, const char *dir, const char *cache, size_t n,
                        size_t n_threads, float **ret, size_t *ret_n, size_t *ret_dim);

#endif
