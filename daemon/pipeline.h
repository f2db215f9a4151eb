/* daemon/pipeline.h - the life of one question.
 *
 *   1. admit     the caller (daemon/handle_ask.c) holds the collection by its reader list
 *      guard     the question and earlier turns by the policy: passed, masked or refused
 *      cache     the same question, asked before: its answer, if nothing that it cites has changed
 *      condense  a follow-up of earlier turns becomes a question that stands alone
 *   2. analyze   NFC, terms, kind of answer asked for
 *      cache     a question that means the same, confirmed
 *   3. filter    metadata clauses -> the ids that may be found (inside the search)
 *   4. bm25      top candidates; side by side with
 *      dense     the nearest vectors, where vectors serve (daemon/collection_vectors.h)
 *      fuse      one ranking of both, with the collection's weights (retrieve/fusion.h)
 *   5. fetch     their texts, from one snapshot of the store
 *   6. rerank    the head: by the cross-encoder within its budget, else by its words
 *      guard     passages: flagged, masked or left out
 *   7. gate      too weak, or something asked for is nowhere: refuse, generate nothing
 *      nearest   a refusal, whoever made it but the guard, names what came nearest
 *   8. generate  the configured backends in order, until one has released a piece; the guard reads
 *                each piece before it leaves
 *   9. verify    every citation lies inside the passage that it names
 *  10. audit     the record is durable before the reply ends
 *      cache     the answer is kept for the next one who asks
 *
 * A model stage that fails (busy, too slow, weights gone) is left out and said in 'degraded': the
 * search goes on with what it has, down to BM25 alone, unless dense results were all that was asked
 * for. So is a backend that fails before its first piece, when there is another one. Thread-safe: a
 * pipeline is immutable after start. */
#ifndef RAG_DAEMON_PIPELINE_H
#define RAG_DAEMON_PIPELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bounds.h"
#include "base/status.h"
#include "cache/answer_cache.h"
#include "daemon/collections.h"
#include "daemon/models.h"
#include "daemon/side_work.h"
#include "generate/generator.h"
#include "guard/guard.h"
#include "retrieve/fusion.h"
#include "retrieve/gate.h"
#include "retrieve/passage.h"
#include "retrieve/rerank_lexical.h"
#include "store/audit.h"
#include "store/store.h"
#include "text/analyzer.h"
#include "text/question.h"

enum stage {
    STAGE_GUARD, /* question, passages and answer together */
    STAGE_CACHE, /* both look-ups; the embedding for it included */
    STAGE_CONDENSE,
    STAGE_ANALYZE,
    STAGE_FILTER,
    STAGE_BM25,
    STAGE_DENSE,
    STAGE_FUSE,
    STAGE_FETCH,
    STAGE_RERANK,
    STAGE_GATE,
    STAGE_GENERATE,
    STAGE_AUDIT,
    STAGE_TOTAL,
    N_STAGES,
};
const char *stage_name(enum stage stage); /* "bm25", ... */

/* How a cross-encoder reads the head. With n_pairs and words at 0 it reads all of it in the order
 * in which it was found, and its score alone counts; else the words order the head first
 * (retrieve/rerank_blend.h). */
struct rerank_options {
    size_t n_pairs;       /* passages that it reads; 0: the head */
    size_t window_tokens; /* of a passage's text (retrieve/rerank_window.h); 0: all of it */
    float words;          /* share of the words, of collections that have none of their own */
};

struct pipeline {
    struct store *store; /* borrowed, as all here */
    struct audit *audit;
    const struct analyzer *analyzer;
    struct generator *backends[CONFIG_BACKENDS_MAX]; /* by enum config_backend; NULL: not there */
    enum config_backend order[CONFIG_BACKENDS_MAX];  /* unless the collection has its own */
    size_t n_order;
    struct generator *local;      /* a decoder, in that order or not; NULL: none */
    struct sampling sampling;     /* of requests that have none of their own */
    struct models *models;        /* NULL: no cross-encoder; vectors have their own */
    struct side_work *side;       /* NULL: one after the other */
    size_t n_candidates;          /* of bm25 */
    size_t n_dense;               /* of the vector search */
    struct fusion_options fusion; /* of collections that have no settings of their own */
    int64_t embed_budget_ns;      /* for a question's vector, unless only that was asked for */
    int64_t rerank_budget_ns;     /* for the cross-encoder; 0: none */
    size_t rerank_head;
    struct rerank_options rerank;
    size_t n_passages; /* given to a generator, unless the request says top_k */
    size_t n_nearest;  /* that a refusal names, at most NEAREST_MAX; 0: none */
    struct gate_options gate;
    float rerank_pass_min;     /* 0: never; see pipeline_ask() */
    const struct guard *guard; /* NULL: nothing is validated */
    /* [GUARD_CLEAN_PLACES], owned: ids of chunks, each at its place modulo the number, in which the
     * policy has found nothing. An id stands for one text for ever, and the policy for the daemon's
     * life, so such a passage need not be read again. */
    atomic_uint_least64_t *guard_clean;
    struct answer_cache *cache; /* NULL: every question is answered anew */
    bool cache_semantic;        /* questions that mean the same too */
    bool cache_shared;          /* among the readers of a collection, else each principal's own */
    float cache_pair_min;       /* of the cross-encoder, for calling two questions the same */
    uint8_t settings[SHA256_BYTES]; /* of all that an answer depends on and no request can change */
};

enum search_mode {
    SEARCH_AUTO, /* hybrid where vectors serve, else bm25 */
    SEARCH_BM25,
    SEARCH_DENSE,  /* nothing else: what fails then fails the search */
    SEARCH_HYBRID, /* as auto, but says when vectors do not serve */
};
const char *search_mode_name(enum search_mode mode); /* "auto", ... */
enum rag_status search_mode_parse(const char *name, enum search_mode *ret);

struct pipeline_request {
    struct collection *collection; /* of a search, an ask */
    const char *question;          /* as sent; UTF-8 */
    const struct message *history; /* earlier turns, oldest first */
    size_t n_history;
    size_t top_k;                       /* results of a search, passages of an ask; 0: default */
    const struct filter_clause *filter; /* all must hold */
    size_t n_filter;
    enum search_mode mode;
    const struct fusion_options *fusion; /* NULL: the collection's */
    bool no_rerank;
    bool no_adapter;                 /* the question's vector as the embedder made it */
    bool explain;                    /* of a search: also what the gate of an ask would say */
    bool rankings;                   /* keep each stage's own list, both fusions included */
    bool nearest;                    /* also fetch the first of the vectors, for a refusal */
    struct generator *generator;     /* this one and no other; NULL: the configured ones */
    const struct sampling *sampling; /* NULL: the pipeline's */
    const char *filter_text;         /* the filter as JSON, for the audit record; or NULL */
    int64_t deadline_ns;             /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel;
    const char *principal;
    const char *request_id;
    bool no_cache;             /* neither looked up nor kept */
    const char *system_prompt; /* of a chat: what its answer must not repeat; NULL: the rules of
                                  grounded answers */
    atomic_int *stage_now;     /* enum stage, for who watches; NULL: nobody does */
};

/* What the guard found, in the order of the life of a question. */
struct guard_note {
    enum guard_stage stage;
    size_t passage; /* from 1, of a passage: its rank before any was left out; else 0 */
    uint64_t chunk; /* of a passage; else 0 */
    bool beside;    /* not in the passage's text but in its title, headings or table header */
    struct guard_finding finding;
};
struct guard_notes {
    struct guard_note *items; /* owned */
    size_t n;                 /* at most GUARD_NOTES_MAX; then 'truncated' */
    bool truncated;
    enum guard_action verdict; /* the severest */
};
void guard_notes_release(struct guard_notes *notes); /* a zeroed one is a no-op */

/* The list of one stage, for who compares stages. */
struct ranking {
    const char *stage; /* "bm25", "dense", "rrf", "convex", "scaled" */
    struct ranked *items;
    size_t n;
};
#define RANKINGS_MAX 5

/* A stage that was left out. */
struct degraded {
    enum stage stage; /* STAGE_DENSE, STAGE_RERANK; STAGE_GENERATE: the next backend answered;
                         STAGE_CONDENSE: the words completed the question, not the decoder;
                         STAGE_CACHE: it was not asked; STAGE_GUARD: it did not read all that a
                         refusal would have named */
    struct rag_error why;
};
#define DEGRADED_MAX (6 + CONFIG_BACKENDS_MAX) /* the cache is asked twice */

/* What a search found. Everything lives in its arenas. */
/* Grows whenever the same question over the same settings may find its passages in another order:
 * what the cache has of before counts no longer, and the audit says by which one it was. */
#define RETRIEVAL_VERSION 2

struct retrieval {
    struct arena arena;
    struct arena texts; /* of the passages */
    struct buf text;    /* the question, NFC */
    struct term_list terms;
    float *idf; /* [terms.n] */
    struct question question;
    struct passage *passages; /* final order; at most max(rerank head, top_k) */
    size_t n_passages;
    size_t n_guarded;               /* of passages[]: checked by the policy already */
    size_t n_fetched;               /* passages[n_passages..n_fetched): of 'rankings' or 'nearest',
                                       and not among the results */
    size_t n_candidates;            /* distinct ones that bm25 and dense returned */
    enum search_mode mode;          /* what ran: bm25, dense or hybrid */
    struct fusion_options fusion;   /* hybrid: what it was fused with */
    struct lexical_weights lexical; /* of the order by words, where there is one */
    float rerank_words;             /* its share beside a cross-encoder */
    float doubt;                    /* of the words when they were fused again; 0: none, or not */
    struct gate_verdict gate;       /* of a search that explains itself */
    char adapter[ADAPTER_ID_BYTES]; /* that mapped the question's vector; "" none */
    const char *reranker;           /* "lexical", the name of a cross-encoder, or "none" */
    struct ranking rankings[RANKINGS_MAX];
    size_t n_rankings;
    struct degraded degraded[DEGRADED_MAX];
    size_t n_degraded;
    double stages_ms[N_STAGES]; /* bm25 and dense overlap: total is less than the sum */
    int64_t begun_ns[N_STAGES]; /* clock_monotonic_ns(), of its first run */
    bool ran[N_STAGES];
    struct guard_notes guard;
    char guard_reason[256]; /* of a refusal, for the person */
};
void retrieval_release(struct retrieval *r); /* a zeroed one is a no-op */

/* Steps 2-6, for a search that nobody answers from. RAG_OK (nothing found is n_passages 0);
 * RAG_EINVAL (question empty, too long, not UTF-8; bad filter or fusion); RAG_EDENIED (the guard
 * refuses the question); RAG_ECANCELLED; RAG_ETIMEOUT; RAG_ENOMEM; RAG_EIO. In mode dense also
 * RAG_ENOTFOUND (no vectors serve) and RAG_EBUSY. */
enum rag_status pipeline_search(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *ret, struct rag_error *reterr);

/* Told as things happen, on the caller's thread; each may be NULL. on_piece returns false
 * to stop. */
struct pipeline_sink {
    void (*on_question)(void *context, const char *standalone); /* a follow-up was completed */
    void (*on_passages)(void *context, const struct retrieval *r, size_t n_given);
    bool (*on_piece)(void *context, const char *text, size_t n_bytes);
    void *context;
};

/* Where an answer of the cache comes from; entry 0: from nowhere, it was made now. */
struct cache_use {
    uint64_t entry;
    enum cache_kind kind;
    float similarity;
    double threshold;
    const char *question;   /* as it was asked first; of the retrieval's arena, as all here */
    const char *request_id; /* that it was made for */
    int64_t created_ms;
};

/* What a refusal names, so that a person may look: a passage that the search found, as the policy
 * lets it be shown. */
struct nearest {
    uint64_t chunk;
    uint64_t version_id;
    const char *document; /* of the retrieval's arenas, as all texts here */
    const char *title;
    const char *heading;
    uint32_t byte_start; /* of the passage */
    uint32_t byte_end;
    const char *snippet;    /* of its text (retrieve/snippet.h), NUL-terminated */
    uint32_t snippet_start; /* bytes of the document, as byte_start */
    uint32_t snippet_end;
    float score;
    bool by_vectors; /* it is here for its vector, and score is the cosine; else as found */
};

struct pipeline_answer {
    struct retrieval retrieval;
    struct cache_use cache;
    bool cache_asked;        /* it was looked for; else it was not to be */
    struct buf question;     /* NFC, with what the guard masked: what is recorded */
    struct message *history; /* likewise, of the retrieval's arena; [n_history] is the question */
    size_t n_history;
    struct gate_verdict verdict;
    struct generator_result result; /* of the backend that answered */
    bool refused;
    const char *reason; /* for the person; "" when not refused. Points into this struct */
    const char *reason_code;
    struct nearest nearest[NEAREST_MAX]; /* of a refusal */
    size_t n_nearest;
    size_t n_given; /* passages that the generator got: retrieval.passages[0..n_given); it may have
                       dropped the last ones, result.passages_dropped */
    struct buf standalone; /* the question that was asked in place of a follow-up; "" when it was
                              asked as it stands */
    const char *condenser; /* who wrote that: the name of a backend, "words", or "" */
};
void pipeline_answer_release(struct pipeline_answer *a);

/* The whole life. Also records asks that end in an error or a cancel.
 * The gate goes by words alone: a cross-encoder's scores are not calibrated, and an untested one
 * must not talk the daemon into answering what is off topic. Who has measured theirs may set
 * rerank_pass_min: a given passage that reaches it overrules "low_relevance" (never a missing
 * constraint). */
enum rag_status pipeline_ask(const struct pipeline *p, const struct pipeline_request *request,
                             const struct pipeline_sink *sink, struct pipeline_answer *ret,
                             struct rag_error *reterr);

/* A conversation without passages: guard, request->generator, guard. 'history' holds all messages
 * but the last, system ones too; there is no collection. Text reaches the sink in whole sentences
 * where the policy reads answers, else as it comes. The caller records it, from a->question,
 * a->history and a->result. Statuses of the generator; RAG_EINVAL. */
enum rag_status pipeline_chat(const struct pipeline *p, const struct pipeline_request *request,
                              const struct pipeline_sink *sink, struct pipeline_answer *ret,
                              struct rag_error *reterr);

#endif
