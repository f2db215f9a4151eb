/* eval/cache_report.h - what 'ragctl eval cache' found, for scripts, terminals and browsers. Pure.
 *
 * Everything that is chosen is chosen on one half of the pairs and measured on the other, but for
 * the curve, which shows all pairs. */
#ifndef RAG_EVAL_CACHE_REPORT_H
#define RAG_EVAL_CACHE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "eval/cache_curve.h"
#include "eval/cache_pairs.h"

#define CACHE_CURVE_POINTS 15 /* thresholds .30, .35 ... 1 */
#define CACHE_REASONS_MAX  16

/* Different pairs of one kind, on the half that is measured. */
struct cache_kind_tally {
    const char *kind;
    size_t n;
    size_t hits;       /* at the chosen threshold */
    size_t plain_hits; /* at that of the fixed-threshold cache */
};

/* Every 'a' is in the cache, and the 'b' of the measured half are asked. */
struct cache_tally {
    double threshold;
    size_t right;   /* given the answer of a question that is known to mean the same */
    size_t wrong;   /* of one that is known to differ */
    size_t unknown; /* of one that nobody compared with it */
};
struct cache_traffic {
    size_t n_cached;
    size_t n_asked;
    size_t n_answerable; /* of those: a question that means the same is in the cache */
    struct cache_tally confirmed;
    struct cache_tally plain;
    double lookup_ms; /* mean, without the embedding */
    double embed_ms;  /* mean of one question; 0 without an encoder */
    double answer_ms; /* what making an answer takes: given by the person */
    double saved_ms;  /* right hits * answer_ms - all lookups; of a mean question */
};

struct cache_report {
    const struct cache_pairs *pairs;
    const char *source;
    const char *encoder;  /* its name, or "tf-idf" */
    const char *reranker; /* or "" */
    uint64_t seed;
    double error;         /* false-hit rate that the threshold was chosen for */
    bool threshold_given; /* by the person: nothing was chosen, all pairs are measured */
    struct cache_point curve[CACHE_CURVE_POINTS];
    struct cache_point plain_curve[CACHE_CURVE_POINTS];
    struct cache_point chosen;
    struct cache_point plain_same_error; /* the best fixed threshold at the error of 'chosen' */
    struct cache_point plain_chosen;     /* chosen as 'chosen' was, without confirmation */
    struct cache_point strict;           /* 'chosen' with pairs between counted as different, */
    struct cache_point strict_plain;     /* and the fixed threshold at that error */
    struct cache_kind_tally kinds[EVAL_CACHE_KINDS_MAX];
    size_t n_kinds;
    struct {
        const char *name;
        size_t equivalent; /* pairs at or above the threshold that were not confirmed for it */
        size_t different;
    } reasons[CACHE_REASONS_MAX];
    size_t n_reasons;
    struct cache_traffic traffic;
    int64_t wall_ms;
    double seconds;
};

/* Curve, points, kinds: all that follows from pairs whose similarity and confirmation are known.
 * 'threshold' < 0: choose it for report->error. Needs pairs, seed and error. */
void cache_report_fill(struct cache_report *report, double threshold);

/* Append to out: check buf_status(). */
void cache_report_json(const struct cache_report *report, struct buf *out);
void cache_report_text(const struct cache_report *report, struct buf *out);
void cache_report_html(const struct cache_report *report, struct buf *out);

#endif
