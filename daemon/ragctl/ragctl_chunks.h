/* daemon/ragctl/ragctl_chunks.h - a random sample of a collection's chunks, and questions made of
 * them.
 *
 * What 'ragctl tune' and 'ragctl export pairs' work with: nobody has to write questions for his
 * own documents. Two kinds are made of a chunk:
 *
 *   sentence  one of its sentences, to be answered by the chunk without that sentence (the inverse
 *             cloze task: Lee, Chang and Toutanova, "Latent Retrieval for Weakly Supervised Open
 *             Domain Question Answering", ACL 2019, section 5)
 *   heading   the last part of its heading path, to be answered by the chunk without that heading;
 *             only where no other chunk of the sample has the same path
 *
 * One thread. */
#ifndef RAG_DAEMON_RAGCTL_CHUNKS_H
#define RAG_DAEMON_RAGCTL_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_client.h"

#define CHUNK_SAMPLE_MAX 100000 /* chunks held in memory at once: about 200 MB of text */

struct chunk_sample {
    uint64_t id;
    const char *document; /* texts live in the arena that was given */
    const char *title;
    const char *heading; /* path "A > B", or "" */
    const char *text;
    size_t text_bytes;
};

/* n_max chunks (1 .. CHUNK_SAMPLE_MAX) of the collection, each with the same chance, in order of
 * their ids; all when there are no more. Deterministic for a seed and a collection. *ret lives in
 * the arena; *ret_n_total: chunks there are. Statuses of ragctl_client_call(); RAG_ENOMEM. */
enum rag_status ragctl_chunks_sample(struct ragctl_client *client,
                                     const struct ragctl_options *options, const char *collection,
                                     size_t n_max, uint64_t seed, struct arena *arena,
                                     struct chunk_sample **ret, size_t *ret_n, size_t *ret_n_total,
                                     struct rag_error *reterr);

/* "B" of the path "A > B"; the path itself when it has one part. */
const char *ragctl_chunks_last_heading(const char *path);

enum pseudo_kind { PSEUDO_SENTENCE, PSEUDO_HEADING };
struct pseudo_question {
    enum pseudo_kind kind;
    size_t chunk;        /* index in the sample */
    const char *text;    /* NUL-terminated; lives in the arena */
    const char *heading; /* of the chunk without what the question was made of, */
    const char *body;    /* and its text, NUL-terminated: what has to be found */
};

/* At most one question a chunk and n_max together, in random order; chunks that give none (too
 * short, a table) are passed over. A chunk that could give both kinds gives either with the same
 * chance. RAG_OK, RAG_ENOMEM. */
enum rag_status ragctl_chunks_questions(const struct chunk_sample *chunks, size_t n, size_t n_max,
                                        uint64_t seed, struct arena *arena,
                                        struct pseudo_question **ret, size_t *ret_n,
                                        struct rag_error *reterr);

#endif
