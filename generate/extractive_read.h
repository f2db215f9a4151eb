/* generate/extractive_read.h - the passages of one request, read against its question.
 * Internal to generate/.
 *
 * Each unit (sentence, item, row) gets
 *
 *     score = coverage + READ_KIND * fit
 *           + READ_FOCUS * share of the focus noun in the unit, its heading or header
 *           + READ_PASSAGE * passage score
 *           - READ_EMPTY if it says nothing new
 *           - READ_OTHER if it is about another code or year than the one asked for
 *
 * coverage is that of text/overlap.h, where title, heading, table header, the question or lead
 * line above and the neighbour units count as present at a discount; fit in [0, 1] says how well
 * the unit holds the kind of answer asked for. Measured in docs/ANSWERS.md. */
#ifndef RAG_GENERATE_EXTRACTIVE_READ_H
#define RAG_GENERATE_EXTRACTIVE_READ_H

#include <stdbool.h>

#include "generate/extractive_unit.h"
#include "text/analyzer.h"
#include "text/overlap.h"
#include "text/question.h"

#define READ_KIND    0.20f
#define READ_PASSAGE 0.60f
#define READ_EMPTY   0.30f
#define READ_FOCUS   0.10f
#define READ_OTHER   0.30f

struct support {
    float coverage; /* with what is given from around the unit */
    float fit;
    float score;
    uint32_t answer_start; /* the best candidate for a short answer in the passage's text; */
    uint32_t answer_end;   /*   equal: none */
    bool other;            /* about another code or year than the one asked for */
    bool eligible;         /* may be cited */
};

struct reading {
    const struct generator_request *request;
    const char *text; /* the question */
    size_t text_bytes;
    struct question question;
    const struct analyzer *analyzer;
    struct term_list terms; /* owned, as all below */
    float *idf;             /* [terms.n] */
    struct overlap_query query;
    struct overlap_text hits; /* of the passage read last */
    struct unit_list units;
    struct support *supports; /* [units.n] */
    float *covered;           /* [n_passages]: by the whole passage with what belongs to it */
    uint32_t *firm_met;       /* [n_passages]: bit i: constraint i is said there */
    float *word_found;        /* [n_passages * query.n_words]: share of a word's mass there */
    float *around;            /* [terms.n], scratch */
    float *given;             /* [terms.n], scratch */
};

/* Make ready for a request and its question, n bytes of the last message (which may ask
 * several). RAG_OK, RAG_ENOMEM, RAG_ELIMIT.
 * Release in every case. */
enum rag_status reading_init(struct reading *r, const struct generator_request *request,
                             const struct analyzer *analyzer, const char *text, size_t n);
void reading_release(struct reading *r);
/* Read passage i and score its units. */
enum rag_status reading_add(struct reading *r, size_t i);
/* After the last one: what one passage of a document meets, all of its title do. */
void reading_finish(struct reading *r);

#endif
