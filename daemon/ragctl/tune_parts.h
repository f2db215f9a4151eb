/* daemon/ragctl/tune_parts.h - the parts of 'ragctl tune': each learns something from the pairs of
 * one half, has it measured on the other, and installs it when it is better beyond chance. */
#ifndef RAG_DAEMON_TUNE_PARTS_H
#define RAG_DAEMON_TUNE_PARTS_H

#include <stdbool.h>

#include "base/json_writer.h"
#include "base/status.h"
#include "daemon/ragctl/tune_bench.h"
#include "retrieve/gate_tune.h"

#define TUNE_NOTES_MAX 4

struct tune_outcome {
    bool skipped;   /* there was nothing to learn; 'verdict' says why */
    bool changed;   /* something else than what is in place was found, and measured */
    bool better;    /* it is better beyond chance, and in place */
    unsigned kinds; /* of the pairs that measured it */
    struct tune_quality before;
    struct tune_quality after;
    struct tune_gain gain;
    bool has_dense; /* the adapter: then also of vectors alone, which decide */
    struct tune_quality dense_before;
    struct tune_quality dense_after;
    struct tune_gain dense_gain;
    bool has_words; /* the share beside a cross-encoder: then also what the model adds to words */
    struct tune_quality words_alone;
    struct tune_quality with_model; /* what is in place in the end */
    struct tune_gain words_gain;
    bool is_gate; /* then this holds in place of the figures above */
    struct gate_choice gate;
    float gate_before;
    double gate_bound;
    size_t gate_n;
    char *found; /* the setting as JSON; malloc'ed */
    char verdict[320];
    char notes[TUNE_NOTES_MAX][240]; /* what the learning half said; lines for people */
    size_t n_notes;
};
void tune_outcome_release(struct tune_outcome *o); /* a zeroed one is a no-op */
void tune_outcome_note(struct tune_outcome *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Statuses of the bench. On failure nothing of the part is installed. */
enum rag_status tune_adapter(struct tune_bench *b, struct tune_outcome *o,
                             struct rag_error *reterr);
enum rag_status tune_fusion(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr);
enum rag_status tune_lexical(struct tune_bench *b, struct tune_outcome *o,
                             struct rag_error *reterr);
enum rag_status tune_rerank(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr);
enum rag_status tune_gate(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr);

/* Are there n_min questions of titles and headings in each half? Else the verdict says so. They are
 * all that may ask where the words of a passage are weighed: one from which its sentence was taken
 * would teach that they do not count. */
#define TUNE_TITLE_KINDS (1u << PAIR_TITLE | 1u << PAIR_HEADING)
bool tune_has_titles(const struct tune_bench *b, size_t n_min, struct tune_outcome *o);

/* A member that is a number, else 0. */
double tune_number(const struct json *object, const char *key);

/* A setting's members, written into an object, as that object. */
enum rag_status tune_as_json(void (*write)(struct json_writer *w, const void *value),
                             const void *value, struct json **ret, struct rag_error *reterr);

/* Measure a setting that was found (taken over) against the one in place by the pairs of 'kinds',
 * and keep it when MRR@10 is better beyond chance. */
enum rag_status tune_measure(struct tune_bench *b, enum tune_setting setting, struct json *found,
                             unsigned kinds, struct tune_outcome *o, struct rag_error *reterr);

#endif
