/* eval/dataset.h - questions with gold passages, as published question-answering sets have them.
 *
 * Formats, told apart by what a file holds, not by its name:
 *   SQuAD 1.x/2.0, KorQuAD 1.0   data[].paragraphs[].{context, qas[].{id, question,
 *                                answers[].{text, answer_start}, is_impossible?}}
 *   KLUE-MRC v1.1                the same with guid instead of id, question_type,
 *                                plausible_answers, news_category (null for Wikipedia), source
 *   TREC (Cranfield ...)         three files: <doc> with docno, title, text; <top> with num and
 *                                title; lines "topic iteration docno grade"
 * Members that are not listed are ignored. Paragraphs may have no questions, and an
 * answer_start may be -1 (place unknown) or point elsewhere: then every occurrence of the
 * answer in its context counts as its place.
 *
 * Contexts are kept in NFC, as ragd stores them, and once: paragraphs with the same text are
 * one passage, and a question's gold is the passage that holds its context. All text lives
 * in the dataset's arena. Not thread-safe while being built; read-only after. */
#ifndef RAG_EVAL_DATASET_H
#define RAG_EVAL_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "eval/input.h"

struct dataset_passage {
    const char *text;  /* NFC, not empty */
    const char *title; /* NFC, or "": of the first article that has it */
    size_t n_bytes;
    uint32_t n_paragraphs; /* of the file with this text; 0: a distractor */
};

/* answer_start when the place is not known */
#define ANSWER_ANYWHERE UINT32_MAX

struct dataset_answer {
    const char *text;    /* NFC, not empty */
    uint32_t byte_start; /* in the passage, or ANSWER_ANYWHERE */
    uint32_t byte_end;
};

/* a document that is judged relevant and is not in the collection, or has no text */
#define DATASET_NO_PASSAGE SIZE_MAX

struct dataset_judgment {
    size_t passage; /* or DATASET_NO_PASSAGE */
    float grade;    /* > 0 */
};

struct dataset_question {
    const char *id; /* as in the file, or "data[0].paragraphs[3].qas[1]" */
    const char *text;
    size_t passage; /* index of the gold passage; of the first relevant one when judged */
    const struct dataset_judgment *judgments; /* the relevant ones; none: 'passage' alone */
    size_t n_judgments;
    bool answerable;
    const struct dataset_answer *answers; /* alternatives; empty when unanswerable */
    size_t n_answers;
};

struct dataset {
    struct arena arena;
    struct dataset_passage *passages; /* gold ones first, in file order */
    size_t n_passages;
    size_t passages_cap;
    struct dataset_question *questions; /* in file order */
    size_t n_questions;
    size_t questions_cap;
    size_t n_paragraphs; /* of the file, before equal ones became one */
    uint32_t *slots;     /* of a hash table over passage texts: index + 1, 0: free */
    size_t n_slots;      /* a power of two */
    const char *version; /* as the file says, or "" */
    bool judged;         /* relevance judgments instead of answers: there is nothing to ask */
};

void dataset_init(struct dataset *d);
void dataset_release(struct dataset *d); /* a zeroed one is a no-op */

/* Read a SQuAD-shaped file. RAG_EFORMAT and RAG_EINVAL name the file and the place
 * ("data[3].paragraphs[0].qas[2]: 'question': expected a string, not null"); RAG_ELIMIT
 * past the limits of bounds.h; RAG_EIO; RAG_ENOMEM. */
enum rag_status dataset_read_squad(struct dataset *d, struct input *in, struct rag_error *reterr);

/* Read a collection in TREC's form. A judgment's topic is the <num> of a topic, or (when some one
 * is the <num> of none) its place in the file from 1, as in Cranfield. Grades above 0 are
 * relevant; topics without a relevant document are left out, as by trec_eval; documents without
 * text are no passages. White space is squeezed, blank lines part paragraphs. Errors as above. */
enum rag_status dataset_read_trec(struct dataset *d, struct input *documents, struct input *topics,
                                  struct input *judgments, struct rag_error *reterr);

/* Which of the three files begins like this? */
enum trec_kind { TREC_NONE, TREC_DOCUMENTS, TREC_TOPICS, TREC_JUDGMENTS };
enum trec_kind dataset_trec_kind(const char *text, size_t n);

/* Add the passages of a JSONL file ({"text": "...", "title"?: "..."} per line). Lines whose
 * text is already there are left out: they would be a second gold. *ret_n: how many came in.
 * Errors as above, with the line. */
enum rag_status dataset_read_distractors(struct dataset *d, struct input *in, size_t *ret_n,
                                         struct rag_error *reterr);

/* Keep the questions order[0..n_sample), in that order, where order is
 * permutation_make(n_questions, seed). RAG_EINVAL when n_sample is 0 or more than there are. */
enum rag_status dataset_sample(struct dataset *d, size_t n_sample, uint64_t seed,
                               struct rag_error *reterr);

/* How the published KLUE-MRC experiment makes its corpus: the contexts of the questions that
 * are there, and nothing else (add distractors after). n_paragraphs of a passage becomes the
 * number of questions that have it: there the corpus holds a context once per row. */
enum rag_status dataset_book_corpus(struct dataset *d, struct rag_error *reterr);

/* Add (or find) a passage of NFC text; used by the readers. *ret_added (may be NULL). */
enum rag_status dataset_add_passage(struct dataset *d, const char *text, size_t n_bytes,
                                    const char *title, size_t *ret_index, bool *ret_added,
                                    struct rag_error *reterr);

#endif
