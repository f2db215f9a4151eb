/* daemon/ragctl/tune_bench.h - what every part of 'ragctl tune' works on: pairs made of the
 * collection's text, and a throw-away collection with the same settings that holds the passages
 * without what the questions were made of.
 *
 * Settings are tried there, through the daemon's own search, so that what is measured is what a
 * reader will get; the collection itself hears of nothing but what is installed. One thread. */
#ifndef RAG_DAEMON_TUNE_BENCH_H
#define RAG_DAEMON_TUNE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/paired.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl_chunks.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_pairs.h"
#include "daemon/ragctl/ragctl_shadow.h"

#define TUNE_PAIRS_MIN 40 /* of each half: fewer show nothing, and teach no adapter */
#define TUNE_DEPTH     10 /* results that are looked at: hit@10, MRR@10 */

struct tune_args {
    int64_t n_pairs;
    int64_t n_passages;
    int64_t n_minutes;
    int64_t seed;
    double false_refusals; /* the share of answered questions that the gate may refuse */
    bool dry_run;
};

/* What a part changes: a member of the collection's settings. */
enum tune_setting {
    SETTING_FUSION,
    SETTING_LEXICAL,
    SETTING_RERANK,
    SETTING_GATE,
    N_TUNE_SETTINGS
};
const char *tune_setting_name(enum tune_setting setting); /* "fusion", ... */

struct tune_bench {
    const struct ragctl_options *options;
    const struct tune_args *args;
    struct ragctl_client client;
    struct arena arena;
    struct chunk_sample *chunks;
    size_t n_chunks;
    size_t n_total; /* chunks of the collection */
    struct pairs pairs;
    struct shadow shadow;
    struct json *settings[N_TUNE_SETTINGS]; /* owned: those in place; {}: the daemon's */
    bool own[N_TUNE_SETTINGS];              /* the collection has set it itself */
    bool offline;                           /* its text must not leave the machine */
    char fingerprint[80];                   /* of its embedder; "" none */
    char *adapter;        /* owned: the body that installs the one in place; NULL: none */
    bool vectors;         /* an embedder serves this collection, */
    char no_vectors[256]; /* else why not, and what to do */
    bool cross;           /* a cross-encoder does, */
    char no_cross[256];
    char reranker[256]; /* its name */
    uint32_t *ranks;    /* [pairs.n], with the settings in place; of pairs that measure: the rank of
                           the first right passage, 0 beyond TUNE_DEPTH; NULL: not asked yet */
};

/* What the collection and the daemon have: settings, adapter, models. Statuses of the client. */
enum rag_status tune_bench_open(struct tune_bench *b, struct rag_error *reterr);
/* Sample, make pairs, fill the throw-away collection. RAG_EINVAL: too few pairs; RAG_ECANCELLED,
 * RAG_ETIMEOUT: interrupt_check(); statuses of the client. */
enum rag_status tune_bench_fill(struct tune_bench *b, struct rag_error *reterr);
void tune_bench_close(struct tune_bench *b); /* a zeroed one is a no-op */

/* ---- asking ---- */

struct tune_ask {
    const char *noun; /* for the progress line */
    const char *mode; /* of the search */
    size_t top_k;
    bool rerank;
    bool explain;
    const char *const *texts; /* [pairs.n]: asked in place of the pairs' own, of which those with
                                 NULL here are not asked; NULL: their own */
    bool leave_out;           /* the group of the document that answers it */
    unsigned kinds;           /* of pairs: bits of enum pair_kind */
    bool learn;               /* that half, */
    bool measure;             /* and that */
    /* Told of each pair; its status ends the asking. */
    enum rag_status (*take)(void *context, const struct pair *q, const struct json *reply,
                            struct rag_error *reterr);
    void *context;
};
#define TUNE_ALL_KINDS ((1u << N_PAIR_KINDS) - 1)
enum rag_status tune_bench_ask(struct tune_bench *b, const struct tune_ask *ask,
                               struct rag_error *reterr);

/* Ranks of the right passages of the pairs that measure; in the arena. */
enum rag_status tune_bench_rank(struct tune_bench *b, const char *mode, const char *noun,
                                uint32_t **ret, struct rag_error *reterr);
/* b->ranks, asked for when they are not known. */
enum rag_status tune_bench_ranks(struct tune_bench *b, struct rag_error *reterr);

struct tune_quality {
    size_t n;
    double hit_at_1;
    double hit_at_10;
    double mrr_at_10;
};
struct tune_quality tune_bench_quality(const struct tune_bench *b, const uint32_t *ranks,
                                       unsigned kinds);
struct tune_gain { /* after - before, of the same pairs */
    struct paired hit_at_1;
    struct paired hit_at_10;
    struct paired mrr_at_10;
};
struct tune_gain tune_bench_gain(const struct tune_bench *b, const uint32_t *before,
                                 const uint32_t *after, unsigned kinds);
size_t tune_bench_count(const struct tune_bench *b, bool measures, unsigned kinds);

/* ---- settings ---- */

/* {"<name>": value}, of the throw-away collection. */
enum rag_status tune_bench_try(struct tune_bench *b, enum tune_setting setting,
                               const struct json *value, struct rag_error *reterr);
/* value is in place from now on: takes it over, writes it to the collection itself unless this is a
 * dry run. ranks: those with it, or NULL. */
enum rag_status tune_bench_keep(struct tune_bench *b, enum tune_setting setting, struct json *value,
                                uint32_t *ranks, struct rag_error *reterr);

/* Install an adapter in a collection; body NULL: take it away, if there is one. */
#define ADAPTER_BODY_MAX (4u << 20) /* ADAPTER_WEIGHTS_MAX of two bytes in base64 */
enum rag_status tune_bench_put_adapter(struct tune_bench *b, const char *collection,
                                       const char *body, struct rag_error *reterr);

#endif
