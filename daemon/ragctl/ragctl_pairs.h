/* daemon/ragctl/ragctl_pairs.h - questions made of a collection's own text, each with the passages
 * that answer it: what 'ragctl tune' learns from and 'ragctl export pairs' writes. Nobody has to
 * write questions for his own documents.
 *
 *   title     the title of a document -> any of its chunks, all of them without it
 *   heading   the last part of a heading path -> the chunks below it, all of them without it;
 *             behind the title where it says nothing by itself ("개요", "Usage", what two documents
 *             have)
 *   sentence  one of a chunk's sentences -> the chunk without it (the inverse cloze task: Lee,
 *             Chang and Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question
 *             Answering", ACL 2019, section 5)
 *   words     a sentence likewise, of which only some of the content words are asked, as people
 *             who search do
 *
 * What still says its question word for word is left out, and so is a question that was made
 * before. One half of the documents learns, the other measures. Deterministic for a sample and a
 * seed. One thread. */
#ifndef RAG_DAEMON_RAGCTL_PAIRS_H
#define RAG_DAEMON_RAGCTL_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl_chunks.h"

/* Chunks before and after the one that a question was made of, in the same document, answer it as
 * well: they overlap with it and go on about the same thing. */
#define PAIR_NEIGHBOURS   2
#define PAIR_DOCUMENT_MAX 32 /* chunks of a document whose title is asked */
#define PAIR_SECTION_MAX  8  /* chunks below one heading: of a longer section it says too little */

enum pair_kind { PAIR_TITLE, PAIR_HEADING, PAIR_SENTENCE, PAIR_WORDS, N_PAIR_KINDS };
const char *pair_kind_name(enum pair_kind kind); /* "title", ... */

struct pair {
    enum pair_kind kind;
    const char *text;  /* the question, NUL-terminated */
    const char *cut;   /* what its passages must not say: the title, the heading, the sentence */
    size_t chunk;      /* index in the sample; of a title the document's first */
    size_t gold_first; /* chunks gold_first .. gold_last answer it */
    size_t gold_last;
    uint32_t document; /* from 0, in the order of the sample */
    bool measures;     /* else it learns */
};

struct pairs {
    struct arena *arena;               /* borrowed, as the chunks; all texts live there */
    const struct chunk_sample *chunks; /* by document */
    size_t n_chunks;
    struct pair *items;
    size_t n;
    size_t n_of[N_PAIR_KINDS];
    size_t n_learn;
    size_t n_measure;
    uint32_t *document_of;     /* [n_chunks] */
    size_t *first_of;          /* [n_documents + 1]: first chunk of each, and n_chunks */
    size_t n_documents;        /* of the sample */
    const struct pair **of;    /* [n_chunks]: the pair of one of the chunk's sentences, or NULL */
    const struct pair **below; /* [n_chunks]: the pair of the heading that it stands below */
    const struct pair **title; /* [n_documents]: likewise of the document's title */
};

/* At most n_max pairs in random order, one of a chunk, a heading and a title each. RAG_OK, also
 * when there are none; RAG_ENOMEM. */
enum rag_status ragctl_pairs_make(const struct chunk_sample *chunks, size_t n, size_t n_max,
                                  uint64_t seed, struct arena *arena, struct pairs *ret,
                                  struct rag_error *reterr);

/* Chunk i as a passage that has to be found: without what questions were made of. Texts are in the
 * arena; "" where nothing is left. RAG_OK, RAG_ENOMEM. */
struct pair_passage {
    const char *title;
    const char *heading;
    const char *text;
};
enum rag_status ragctl_pairs_passage(const struct pairs *pairs, size_t i, struct pair_passage *ret,
                                     struct rag_error *reterr);

/* "B" of the path "A > B"; the path itself when it has one part. */
const char *ragctl_pairs_last_heading(const char *path);

#endif
