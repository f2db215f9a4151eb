/* guard/pii_check.h - what the digits of a number say about it (internal to guard/). Pure.
 *
 * Digits are values 0 to 9, not characters. */
#ifndef RAG_GUARD_PII_CHECK_H
#define RAG_GUARD_PII_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Do the first seven of a resident's or foreigner's number name a day that was, until 'today'
 * (yyyymmdd)? The seventh gives the century: 9 0 the 19th, 1 2 5 6 the 20th, 3 4 7 8 the 21st. */
bool pii_check_birth(const uint8_t digits[7], uint32_t today);
/* The 13th digit: with weights 2 3 4 5 6 7 8 9 2 3 4 5, (11 - sum mod 11) mod 10 of a resident's
 * (enforcement rules of the Resident Registration Act), (13 - sum mod 11) mod 10 of a foreigner's.
 */
bool pii_check_resident(const uint8_t digits[13]);
/* The 10th digit: weights 1 3 7 1 3 7 1 3 5, to which the tens of the last product are added;
 * (10 - sum mod 10) mod 10. */
bool pii_check_business(const uint8_t digits[10]);
/* ISO/IEC 7812-1, annex B. */
bool pii_check_luhn(const uint8_t *digits, size_t n);
/* Does some issuer's range have these first digits and this length? */
bool pii_check_issuer(const uint8_t *digits, size_t n);
/* yyyymmdd in Korea (UTC+9) at that time. */
uint32_t pii_check_today(int64_t wall_ms);

#endif
