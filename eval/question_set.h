/* eval/question_set.h - questions about a folder of documents, with marked evidence.
 *
 * One JSON object per line:
 *   id           text, unique                        question      text
 *   doc          [name of a document needed, ...]    evidence      [{doc, text}, ...]
 *   answer_norms [short text, ...]                   answer        text or null
 *   kind         text, e.g. "factoid"                of            id of the question that
 *   topic        "on" | "off": an unanswerable                     this one rewords
 *                question about the documents'
 *                own subjects, or about anything else
 * A question without evidence and without doc is unanswerable; one with "of", or of kind
 * "paraphrase", is a paraphrase. Members that are not listed are ignored. All text lives in
 * the set's arena. Read-only after reading. */
#ifndef RAG_EVAL_QUESTION_SET_H
#define RAG_EVAL_QUESTION_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "eval/input.h"

enum topic { TOPIC_UNKNOWN, TOPIC_ON, TOPIC_OFF };

struct set_evidence {
    const char *document; /* NFC */
    const char *text;     /* NFC */
};

struct set_question {
    const char *id;
    const char *text;   /* NFC */
    const char *kind;   /* "" when absent */
    const char *answer; /* "" when absent */
    bool answerable;
    bool paraphrase;
    enum topic topic;             /* of unanswerable ones */
    const char *const *documents; /* NFC, distinct; those of the evidence when 'doc' is absent */
    size_t n_documents;
    const char *const *norms;
    size_t n_norms;
    const struct set_evidence *evidence;
    size_t n_evidence;
};

struct question_set {
    struct arena arena;
    struct set_question *questions; /* owned */
    size_t n;
    size_t cap;
};

void question_set_release(struct question_set *set); /* a zeroed one is a no-op */
/* Overwrites *ret. RAG_EFORMAT, RAG_EINVAL, RAG_ELIMIT name the file and the line; RAG_EIO,
 * RAG_ENOMEM. An id that occurs twice and an empty file are RAG_EFORMAT. */
enum rag_status question_set_read(struct input *in, struct question_set *ret,
                                  struct rag_error *reterr);

/* Mark unanswerable questions as off topic, and all other unanswerable ones as on topic:
 * 'ids' is a list such as "demo-55..demo-64,demo-70"; a range covers the questions from the
 * first to the second in file order. RAG_EINVAL names an id that is not there. */
enum rag_status question_set_mark_off_topic(struct question_set *set, const char *ids,
                                            struct rag_error *reterr);

#endif
