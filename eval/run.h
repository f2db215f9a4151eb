/* eval/run.h - what one evaluation found, question by question, and its totals.
 *
 * The evaluator fills outcomes; summary and reports are computed from them. Texts are
 * borrowed from the dataset or question set, or live in the run's arena. Not thread-safe. */
#ifndef RAG_EVAL_RUN_H
#define RAG_EVAL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "eval/latency.h"
#include "eval/metrics.h"
#include "eval/question_set.h"

/* Ranked lists, in the order in which they come to be. */
enum run_stage {
    RUN_BM25,
    RUN_DENSE,
    RUN_RRF,    /* both fused by reciprocal rank ... */
    RUN_CONVEX, /* ... by a convex combination, ... */
    RUN_SCALED, /* ... and by scores of their own size; run.fused says which of them searches use */
    RUN_RERANK,
    RUN_FINAL,
    N_RUN_STAGES,
};
const char *run_stage_name(enum run_stage stage); /* "bm25", ... the names in the JSON */
/* Of a name that the daemon uses; N_RUN_STAGES when it is none of them. */
enum run_stage run_stage_find(const char *name);

#define RUN_RETRIEVED_MAX 5  /* results kept for the report */
#define RUN_LATENCIES_MAX 32 /* stages that are timed */
#define RUN_WORST_MAX     50 /* questions in the report */

/* Limits that the citation figures have (characters of a cited span). */
#define CITED_SPAN_CHARS_DATASET 200
#define CITED_SPAN_CHARS_SET     300

struct retrieved {
    const char *document; /* its name */
    const char *title;    /* or "" */
    const char *text;     /* of the passage */
    double score;
    bool gold;
};

struct outcome {
    const char *id;
    const char *question;
    const char *kind;        /* or "" */
    const char *gold_name;   /* of the document, or "" */
    const char *gold_text;   /* the passage or the evidence, or "" */
    const char *gold_answer; /* the first alternative, or "" */
    uint32_t gold_start;     /* bytes of the answer in gold_text; equal to gold_end: unknown */
    uint32_t gold_end;
    bool answerable;  /* by its file */
    bool retrievable; /* it has a gold document, and counts in the stages' figures */
    bool paraphrase;
    enum topic topic;

    uint32_t rank[N_RUN_STAGES]; /* of the best gold document, or RANK_NOT_FOUND */
    struct retrieved retrieved[RUN_RETRIEVED_MAX];
    size_t n_retrieved;

    bool asked;
    bool refused;
    const char *answer; /* without marks; "" when refused */
    const char *reason; /* of the refusal, or "" */
    bool scored;        /* exact and f1 hold: it is answerable and gold answers are known */
    double exact;
    double f1;
    bool cited;     /* dataset: the first cited span overlaps a gold answer; set: some cited
                       span covers an evidence text */
    bool cited_all; /* set: every evidence text is covered */
    bool has_norms;
    bool norm_found;
};

struct run_latency {
    char name[32];
    struct latency times; /* owned */
};

struct run {
    struct arena arena;
    bool question_set;          /* else a dataset */
    const char *source;         /* the file, as given */
    const char *version;        /* of the dataset, or "" */
    const char *protocol;       /* "standard" or "book" */
    const char *distractors;    /* file, or "" */
    const char *daemon_version; /* or "" */
    const char *embedder;       /* that vectors served, or "" */
    const char *retrieval;      /* how the searches found: mode, fusion, reranker; or "" */
    int64_t wall_ms;            /* when it began */
    double seconds;             /* how long it took */
    size_t sample;              /* 0: all questions */
    uint64_t seed;
    size_t chunk_chars;
    bool titles;
    size_t n_passages; /* of the corpus, equal ones and distractors included; documents of a set */
    size_t n_distinct; /* texts among them */
    size_t n_distractors;
    size_t n_evidence_lost; /* evidence texts that do not occur in the stored documents */

    struct stage_quality sums[N_RUN_STAGES];        /* of questions as they were asked first */
    struct stage_quality paraphrases[N_RUN_STAGES]; /* and of their paraphrases, apart */
    /* The same of passages instead of documents, for questions with evidence: the one relevant
     * entry is the first passage that holds some evidence text. */
    struct stage_quality held[N_RUN_STAGES];
    struct stage_quality held_paraphrases[N_RUN_STAGES];
    bool ran[N_RUN_STAGES];
    enum run_stage fused;     /* the fusion that the daemon used: RUN_RRF, ...; N_RUN_STAGES:
                                 none */
    size_t n_degraded;        /* searches in which a model stage was left out */
    char degraded[256];       /* why, of the first one */
    struct outcome *outcomes; /* owned */
    size_t n_outcomes;
    struct run_latency latencies[RUN_LATENCIES_MAX];
    size_t n_latencies;
};

/* A run with room for n outcomes, all zero. RAG_OK or RAG_ENOMEM. */
enum rag_status run_init(struct run *run, size_t n_outcomes);
void run_release(struct run *run); /* a zeroed one is a no-op */

/* Add a time to the stage of that name, which appears with its first time. RAG_ENOMEM;
 * RAG_ELIMIT past RUN_LATENCIES_MAX names. */
enum rag_status run_add_latency(struct run *run, const char *name, double ms);
/* To be called once after the last time was added: sorts them. */
void run_finish(struct run *run);

/* A part of a whole; metrics_share() makes a figure of it. */
struct tally {
    size_t part;
    size_t whole;
};

struct run_group {
    struct tally cited;      /* of the answerable ones asked */
    struct tally cited_all;  /* of those with more than nothing marked */
    struct tally refused;    /* false refusals: answerable and refused */
    struct tally norm_found; /* of those with norms */
};

struct run_summary {
    size_t n_answerable;
    size_t n_unanswerable;
    size_t n_scored;
    double em; /* means over n_scored; 0 when it is 0 */
    double f1;
    struct tally refusal_precision; /* refused and unanswerable, of refused */
    struct tally refusal_recall;    /* refused and unanswerable, of unanswerable */
    struct tally answered;          /* answerable and not refused, of answerable */
    struct run_group originals;     /* answerable, no paraphrase */
    struct run_group paraphrases;
    struct tally refused_by_topic[3]; /* by enum topic, of unanswerable */
    bool asked;                       /* at least one question was asked */
};
void run_summarize(const struct run *run, struct run_summary *ret);

/* Indexes of the worst outcomes into ret[RUN_WORST_MAX], worst first: the gold passage not
 * found or far down, then refused or wrong answers. Questions in order are left out.
 * Returns how many. RAG's own order, deterministic. */
size_t run_worst(const struct run *run, size_t ret[RUN_WORST_MAX]);

#endif
