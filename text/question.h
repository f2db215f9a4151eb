/* text/question.h - what a question asks for, without a model.
 *
 * Used by the rerank stage (does the passage hold the kind of answer asked for?),
 * by the extractive answerer (which span is it?) and by the refusal gate (is
 * something that the question insists on nowhere in the passages?). */
#ifndef RAG_TEXT_QUESTION_H
#define RAG_TEXT_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum answer_kind {
    ANSWER_ANY,        /* nothing recognised: 무엇, 어떤 것 */
    ANSWER_PERSON,     /* 누구, ...한 사람/인물/감독은 */
    ANSWER_PLACE,      /* 어디, 어느 나라/도시/지역 */
    ANSWER_DATE,       /* 언제, 몇 년, 며칠(날짜) */
    ANSWER_QUANTITY,   /* 몇 + unit, 얼마, 얼마나 */
    ANSWER_NAME,       /* 이름은, 무엇이라고 하는가, 제목은 */
    ANSWER_YESNO,      /* ...되나요? ...인가요? without a question word */
    ANSWER_REASON,     /* 왜, 이유, 원인 */
    ANSWER_METHOD,     /* 어떻게, 방법 */
    ANSWER_DEFINITION, /* ...란/이란 무엇 */
};

/* Something that must occur in the evidence for the question to be answerable
 * from it: "2022년", "AP-700", "'열매' 등급", "E2". */
struct constraint {
    uint32_t byte_start; /* in the question */
    uint32_t byte_end;
    uint8_t kind; /* enum constraint_kind */
    bool firm;    /* a year, a date, a code, an ordinal: evidence without it is about
                     something else. Not firm: amounts ("5만 원짜리를 받아도 되나요")
                     and Latin words, which a text may well say otherwise */
};
enum constraint_kind {
    CONSTRAINT_NUMBER, /* a number with its unit, a year, a date */
    CONSTRAINT_CODE,   /* a model, version, error code, identifier */
    CONSTRAINT_QUOTED, /* in quotation marks */
    CONSTRAINT_NAME,   /* a Latin or proper name */
};
#define CONSTRAINTS_MAX 32

struct question {
    bool korean; /* some of it is written in Hangul: what is said about it is too */
    enum answer_kind kind;
    char unit[32];        /* of ANSWER_QUANTITY / DATE: "명", "kg", "년", "원" ... or "" */
    uint8_t unit_class;   /* enum unit_class (text/entity.h) of the unit; 0: none known */
    bool unit_named;      /* the question itself says the unit (몇 명), it is not inferred */
    uint32_t focus_start; /* bytes of the noun that is asked for ("수도" of 수도는 어디), */
    uint32_t focus_end;   /*   equal when there is none */
    struct constraint constraints[CONSTRAINTS_MAX];
    size_t n_constraints;
};

/* Analyse n bytes of NFC text; cannot fail. Thread-safe, allocates nothing. */
void question_analyze(const char *text, size_t n, struct question *ret);

/* Does a text say what the constraint asks for, in any form of it (2024년: 2024-06-11,
 * AP-700: AP700)? Latin words and quotations are looked for as they are, without case. */
bool constraint_met(const char *question, const struct constraint *constraint, const char *text,
                    size_t n);

const char *answer_kind_name(enum answer_kind kind); /* "person", "date", ... */

#endif
