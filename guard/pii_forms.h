/* guard/pii_forms.h - the forms of the kinds of numbers (internal to guard/). */
#ifndef RAG_GUARD_PII_FORMS_H
#define RAG_GUARD_PII_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guard/pii.h"
#include "guard/pii_context.h"
#include "guard/pii_number.h"

/* A place where a number may begin. */
struct pii_place {
    const char *text;
    size_t n;
    uint32_t today;   /* yyyymmdd */
    enum link joined; /* to the digits before it; LINK_NONE: to none */
    size_t n_joined;  /* digits of the group before */
    const struct number *number;
    const struct pii_words *words;
};
struct pii_match {
    uint32_t kind; /* enum pii_kind; 0: none */
    uint32_t start;
    uint32_t end;
    float score;
};

/* What begins with the first group of the number, by what it says most surely. */
struct pii_match pii_forms_match(const struct pii_place *place);
/* The same of a phone number alone (guard/pii_phone.c). */
struct pii_match pii_forms_phone(const struct pii_place *place);
/* May a number stand between these bytes: nothing continues it on either side? 'spaces': it has
 * blanks inside, so a group behind a blank may belong to it. */
bool pii_forms_free(const struct pii_place *place, uint32_t start, size_t last_group);

#define PII_SURE   1.0f /* a check digit agrees */
#define PII_FORM   0.7f /* the form alone */
#define PII_NEARBY 0.5f /* a form that needs the word beside it */

#endif
