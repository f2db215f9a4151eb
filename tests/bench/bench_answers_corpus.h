/* bench_answers_corpus - documents in memory, chunked and indexed as the daemon does it. */
#ifndef RAG_BENCH_ANSWERS_CORPUS_H
#define RAG_BENCH_ANSWERS_CORPUS_H

#include "embed/chunker.h"
#include "embed/extract.h"
#include "retrieve/bm25.h"
#include "retrieve/passage.h"
#include "text/analyzer.h"

struct corpus_document {
    char *name; /* owned */
    struct extracted extracted;
    struct chunk_list chunks;
    bool html;
};

struct corpus {
    struct analyzer *analyzer;
    struct bm25 *index;
    struct corpus_document *documents;
    size_t n_documents;
    struct passage *passages; /* ids are their places */
    size_t n_passages;
    bool own_texts; /* of the passages */
};

void die(const char *what, const struct rag_error *err) __attribute__((noreturn));
/* The md, txt and html files of a folder, in name order; README.md is left out. */
void corpus_read_folder(struct corpus *c, const char *path, size_t chunk_chars);
/* Room for n passages of other origin; fill c->passages[0..n) and call corpus_index(). */
void corpus_reserve(struct corpus *c, size_t n);
void corpus_index(struct corpus *c);
void corpus_release(struct corpus *c);

#endif
