/* text/entity.h - numbers with units, dates, codes, Latin names and quoted titles in a text.
 *
 * What answers "몇 명", "언제" or "어느 모델" is of a form that can be recognised without a
 * dictionary. The forms are read to values, so that 2,024, ２０２４ and 2024 or "6월 11일",
 * 6/11 and 2024-06-11 compare as what they mean. Thread-safe, allocates nothing. */
#ifndef RAG_TEXT_ENTITY_H
#define RAG_TEXT_ENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum entity_kind {
    ENTITY_NUMBER, /* 30명, 4.5 kg, 20만 원, 네 번, 이틀, 09:30 */
    ENTITY_DATE,   /* a year, month or day of a calendar, or a weekday */
    ENTITY_CODE,   /* letters with digits: AP-700, E2, 3D, v1.2 */
    ENTITY_LATIN,  /* a word of Latin letters */
    ENTITY_QUOTED, /* what stands between quotation marks, without them */
};

/* Units that name the same kind of count; UNIT_NONE for a bare number. */
enum unit_class {
    UNIT_NONE,
    UNIT_OTHER, /* a word that the table does not know */
    UNIT_PERSON,
    UNIT_AGE,
    UNIT_MONEY,
    UNIT_PERCENT,
    UNIT_TIMES,
    UNIT_PIECES,
    UNIT_YEAR, /* durations from here ... */
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_DAY,
    UNIT_HOUR,
    UNIT_MINUTE,
    UNIT_SECOND, /* ... to here */
    UNIT_CLOCK,
    UNIT_LENGTH,
    UNIT_AREA,
    UNIT_VOLUME,
    UNIT_WEIGHT,
    UNIT_SPEED,
    UNIT_TEMPERATURE,
    UNIT_POWER,
    UNIT_BYTES,
    UNIT_SOUND,
    UNIT_GRADE, /* 급, 등급, 위, 호: which one, not how many */
    UNIT_FLOOR,
    UNIT_ARTICLE,
};

struct entity {
    uint32_t byte_start;
    uint32_t byte_end;   /* with the unit */
    uint32_t unit_start; /* of a number, equal to unit_end when there is none */
    uint32_t unit_end;
    uint8_t kind;  /* enum entity_kind */
    uint8_t unit;  /* enum unit_class of a number */
    double value;  /* of a number, scaled by 만, 억 ... */
    uint16_t year; /* of a date; 0: not said */
    uint8_t month;
    uint8_t day;
};

/* The next entity that starts at or after *at, which moves past its start; entities may nest
 * (a date in quotation marks). false at the end of the text. */
bool entity_next(const char *text, size_t n, size_t *at, struct entity *ret);

/* The unit that a text begins with: its class, and its bytes in *ret_bytes (0: none known). */
enum unit_class unit_read(const char *text, size_t n, size_t *ret_bytes);

/* May a value in unit b answer a question for unit a? The same class, or both durations. */
bool unit_fits(enum unit_class asked, enum unit_class found);

/* Do two entities say the same: equal values in compatible units, dates of which neither
 * contradicts the other and all that 'wanted' says is said, equal codes, ignoring case, full
 * width and hyphens? */
bool entity_same(const char *wanted_text, const struct entity *wanted, const char *text,
                 const struct entity *found);

#endif
