/* eval/cache_pairs.h - pairs of questions of which it is known whether one answer fits both.
 *
 * One JSON object per line, of either kind:
 *
 *     {"a", "b", "equivalent": true | false, "kind"}
 *     {"a", "b", "score0_5": 0..5, "kind"}      a score of sentence similarity, as STS has them
 *     {"id", "question", "of"}                  a question set: "of" is the id that it rewords
 *
 * "kind" (optional) names what makes the two different: "number", "negation"; rates are told for
 * each. A score >= 4 is equivalent ("mostly equivalent, some unimportant details differ", Agirre et
 * al., "SemEval-2012 Task 6", table 1), < 3 different ("some important information differs" ends
 * at 3); between the two people did not agree, and those pairs are counted apart. A question set
 * gives each rewording with its original as equivalent; each original with the most similar
 * question that does not reword it is added as different by cache_pairs_add() once similarities
 * are known. Other members are ignored. Read-only after reading; all text lives in the arena. */
#ifndef RAG_EVAL_CACHE_PAIRS_H
#define RAG_EVAL_CACHE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "eval/input.h"

#define CACHE_SCORE_EQUIVALENT 4.0 /* of 5, and above */
#define CACHE_SCORE_DIFFERENT  3.0 /* below */

enum cache_label { CACHE_DIFFERENT, CACHE_BETWEEN, CACHE_EQUIVALENT };

struct cache_pair {
    uint32_t a; /* of 'texts': what was asked before, */
    uint32_t b; /* and what is asked now */
    uint8_t label;
    bool confirmed;   /* the rules and models say: the same. Filled by the caller, */
    uint8_t reason;   /* as this (enum confirm_reason), and this */
    float similarity; /* one */
    const char *kind; /* "" */
};

struct cache_text {
    const char *text; /* NFC, NUL-terminated */
    size_t n_bytes;
    uint32_t same; /* texts with equal numbers are known to mean the same */
};

struct cache_pairs {
    struct arena arena;
    struct cache_text *texts; /* owned; each once */
    size_t n_texts;
    size_t cap_texts;
    uint32_t *slots; /* owned hash table of text numbers + 1 */
    size_t n_slots;
    struct cache_pair *pairs; /* owned */
    size_t n;
    size_t cap;
    bool questions; /* read from a question set */
};

void cache_pairs_release(struct cache_pairs *p); /* a zeroed one is a no-op */
/* Overwrites *ret. RAG_EFORMAT, RAG_EINVAL, RAG_ELIMIT name the file and the line; RAG_EIO,
 * RAG_ENOMEM. A file without a pair is RAG_EFORMAT. */
enum rag_status cache_pairs_read(struct input *in, struct cache_pairs *ret,
                                 struct rag_error *reterr);
/* One more pair of known texts; kind lives as long as p. RAG_OK, RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status cache_pairs_add(struct cache_pairs *p, const struct cache_pair *pair);

#endif
