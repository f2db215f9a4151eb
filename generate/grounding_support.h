/* generate/grounding_support.h - does a passage support a sentence of an answer? Internal to
 * generate/.
 *
 * A sentence rests on at most GROUNDING_UNITS_MAX units (sentences, items, rows) of the passages:
 * first the one of the largest
 *
 *     coverage + SUPPORT_ASKED * share of the question in it + SUPPORT_NUMBERS * share of the
 * numbers
 *
 * then others that add to the coverage, which is the share of the sentence's mass (analyzer weight
 * times idf; what the question says itself counts half, because it is no news; numbers count
 * apart) in those units; title, heading, table header and the lines that govern a unit count
 * SUPPORT_AROUND. It is supported when
 *
 *     words     coverage >= SUPPORT_COVERAGE_MIN
 *     numbers   each one stands in a unit that also has what the sentence says beside it
 *     names     each code and Latin name, and each person with a title, stands in the passages
 *     negation  no clause says yes where the clause that it comes from says no, or the reverse
 *
 * The thresholds are measured in docs/ANSWERS.md. */
#ifndef RAG_GENERATE_GROUNDING_SUPPORT_H
#define RAG_GENERATE_GROUNDING_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"
#include "generate/extractive_unit.h"
#include "generate/generator.h"
#include "text/analyzer.h"

#define SUPPORT_COVERAGE_MIN 0.55f
#define SUPPORT_AROUND       0.80f
#define SUPPORT_ASKED        0.20f
#define SUPPORT_NUMBERS      0.15f
#define SUPPORT_GAIN_MIN     0.10f /* of a further unit */
#define SUPPORT_GAIN_NUMBER  0.04f /* of one that brings a number that is still missing */
#define SUPPORT_ANCHOR_MIN   0.35f /* of what stands beside a number */
#define SUPPORT_ASKED_MIN    0.20f /* of the question, for a sentence that is a value alone */
#define SUPPORT_KNOWN        0.50f /* weight of what the question says itself */

enum support_lack { LACK_NOTHING, LACK_WORDS, LACK_NUMBER, LACK_NAME, LACK_NEGATION };
const char *support_lack_name(enum support_lack lack); /* "words", ... */

struct sentence_support {
    enum support_lack lack; /* LACK_NOTHING: supported */
    float coverage;
    size_t units[GROUNDING_UNITS_MAX]; /* it rests on, best first */
    size_t n_units;
};

struct evidence; /* opaque: the passages of one request, cut and analysed; one thread */

/* The first n_passages of the request; borrowed, as the analyzer. RAG_OK, RAG_ENOMEM, RAG_ELIMIT.
 */
enum rag_status evidence_open(const struct generator_request *request, size_t n_passages,
                              const struct analyzer *analyzer, struct evidence **ret);
void evidence_close(struct evidence *e); /* NULL is a no-op */
const struct unit *evidence_unit(const struct evidence *e, size_t i);

/* The best support of a sentence in the passages of a set (bit i: passage i). RAG_OK, RAG_ENOMEM,
 * RAG_ELIMIT. */
enum rag_status evidence_support(struct evidence *e, const char *sentence, size_t n,
                                 uint64_t passages, struct sentence_support *ret);
/* Share of a text's words that the passages or the question know: for lines that announce and state
 * nothing. */
enum rag_status evidence_known(struct evidence *e, const char *text, size_t n, float *ret);

#endif
