/* guard/pii_number.h - numbers as people write them, and what stands around them (internal to
 * guard/).
 *
 * A number is groups of digits (ASCII, full-width, mathematical) joined by one separator each:
 * any dash, a blank, a point, a closing parenthesis. Zero-width characters between are passed over.
 * Everything is read forward from a place that is told, within fixed bounds, so that a scan of a
 * text is O(n). */
#ifndef RAG_GUARD_PII_NUMBER_H
#define RAG_GUARD_PII_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_GROUPS_MAX 6
#define NUMBER_DIGITS_MAX 20 /* of a group; one more than the longest card */

enum link {
    LINK_NONE,
    LINK_DASH,
    LINK_WIDE, /* a dash with blanks beside it */
    LINK_SPACE,
    LINK_DOT,
    LINK_PAREN, /* a closing parenthesis, and a blank or dash maybe */
    LINK_ZERO,  /* "(0)" of +82 (0)10, with what stands beside it */
    LINK_OTHER, /* a comma, colon: one number, but none of ours */
};

struct digit_group {
    uint8_t digits[NUMBER_DIGITS_MAX];
    uint8_t n;    /* NUMBER_DIGITS_MAX: that many or more */
    uint8_t link; /* enum link to the next group */
    uint32_t start;
    uint32_t end;
};
struct number {
    struct digit_group groups[NUMBER_GROUPS_MAX];
    size_t n;
};

/* Classes of characters that tell where a number may begin or end. */
enum char_kind {
    CHAR_END, /* of the text or line */
    CHAR_DIGIT,
    CHAR_LETTER, /* Latin */
    CHAR_JOINER, /* _ @ * % # & = and currency signs: no number of ours begins or ends here */
    CHAR_DASH,
    CHAR_SPACE,
    CHAR_DOT,
    CHAR_COMMA,
    CHAR_COLON,
    CHAR_OPEN,
    CHAR_CLOSE,
    CHAR_PLUS,
    CHAR_INVISIBLE,
    CHAR_OTHER,
};
/* The character at 'at' (CHAR_END past n), its bytes, and the value of a digit or (upper case) of a
 * letter. */
enum char_kind number_char(const char *text, size_t n, size_t at, size_t *ret_bytes,
                           uint32_t *ret_value);
/* The character before 'at', passing over invisible ones; *ret_start: where it begins. */
enum char_kind number_char_before(const char *text, size_t at, size_t *ret_start,
                                  uint32_t *ret_value);

/* The number whose first group begins at 'at', which is a digit. */
void number_read(const char *text, size_t n, size_t at, struct number *ret);
/* Behind all digits of the group that begins at 'at', however many. */
size_t number_skip(const char *text, size_t n, size_t at);

#endif
