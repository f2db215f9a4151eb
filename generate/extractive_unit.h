/* generate/extractive_unit.h - a passage cut into what can be cited: sentences, list items,
 * table rows. Internal to generate/. */
#ifndef RAG_GENERATE_EXTRACTIVE_UNIT_H
#define RAG_GENERATE_EXTRACTIVE_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "generate/generator.h"

enum unit_kind {
    UNIT_SENTENCE,
    UNIT_ITEM,     /* of a list, or a "key: value" line */
    UNIT_ROW,      /* of a table */
    UNIT_HEADER,   /* of a table: names the cells of the rows below */
    UNIT_HEADING,  /* names what stands below */
    UNIT_QUESTION, /* of a FAQ: what stands below answers it */
};

#define UNIT_NOWHERE SIZE_MAX

struct unit {
    uint32_t byte_start; /* in the passage's text, without list marks and table bars */
    uint32_t byte_end;
    uint32_t line;  /* of the passage, from 0 */
    uint8_t kind;   /* enum unit_kind */
    size_t passage; /* index into the request's passages */
    size_t above;   /* unit that governs it: heading, FAQ question, lead line; or UNIT_NOWHERE */
    size_t header;  /* of a row, when it is in the same text; or UNIT_NOWHERE */
};

struct unit_list {
    struct unit *items; /* owned */
    size_t n;
    size_t cap;
};
void unit_list_release(struct unit_list *list);

/* Append the units of passages[i] in text order. RAG_OK, RAG_ENOMEM. */
enum rag_status unit_list_read(struct unit_list *list, const struct generator_passage *passage,
                               size_t i);

#endif
