/* guard/pii.h - personal data of Korea in a text, with the checks that its numbers carry.
 *
 *   resident_number    YYMMDD-SXXXXXX, S of the century and sex; a date that exists; with the check
 *                      digit, or, as issued since October 2020, without one
 *   foreigner_number   the same with S 5..8
 *   business_number    XXX-XX-XXXXX with its check digit
 *   card               13 to 19 digits, Luhn (ISO/IEC 7812-1), a known first digit
 *   phone              mobile, area and 15xx numbers, +82
 *   passport           M12345678 and M123A4567
 *   driver_licence     two digits or a region's name, 2-6-2
 *   bank_account       digits in a bank's grouping, near a bank's name or the word
 *   email
 * docs/GUARD.md has each form, its source and what is not recognised. Thread-safe, pure. */
#ifndef RAG_GUARD_PII_H
#define RAG_GUARD_PII_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "guard/finding.h"

enum pii_kind {
    PII_RESIDENT_NUMBER = 1 << 0,
    PII_FOREIGNER_NUMBER = 1 << 1,
    PII_BUSINESS_NUMBER = 1 << 2,
    PII_CARD = 1 << 3,
    PII_PHONE = 1 << 4,
    PII_PASSPORT = 1 << 5,
    PII_DRIVER_LICENCE = 1 << 6,
    PII_BANK_ACCOUNT = 1 << 7,
    PII_EMAIL = 1 << 8,
};
#define PII_ALL 0x1ffu

/* The bit of a name, 0: none has it. */
unsigned pii_kind_parse(const char *name);

/* Findings in n bytes of NFC text, in order, none inside another; the score is 1 where a check
 * digit agrees, less where only the form does. O(n). */
void pii_find(const char *text, size_t n, unsigned kinds, const struct finding_sink *sink);

#endif
