/* guard/injection_fold.h - one form for characters that look alike or are not seen at all.
 *
 * Internal to guard/. What is compared with phrases is folded first: lower case, full-width forms,
 * letters of mathematical and enclosed alphabets, Cyrillic and Greek letters with a Latin twin
 * (after Unicode's confusables.txt, UTS #39, the part that concerns a-z), and brackets and quotes
 * of all kinds to those of ASCII. */
#ifndef RAG_GUARD_INJECTION_FOLD_H
#define RAG_GUARD_INJECTION_FOLD_H

#include <stdbool.h>
#include <stdint.h>

/* The folded code point; ' ' for white space (but '\n' stays), 0 for what nobody sees. */
uint32_t injection_fold(uint32_t c);
/* A character of no width that text of people seldom has in rows. */
bool injection_is_zero_width(uint32_t c);
/* A character that turns the order of what is shown, or a tag that is never shown. */
bool injection_is_override(uint32_t c);
bool injection_is_tag(uint32_t c);

#endif
