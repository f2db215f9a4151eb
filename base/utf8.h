/* base/utf8.h - UTF-8 (RFC 3629): well-formedness and code points. Thread-safe. */
#ifndef RAG_BASE_UTF8_H
#define RAG_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes (1-4) of the well-formed sequence that starts at s, or 0 when there is
 * none within n bytes (n >= 1). No overlong forms, surrogates or > U+10FFFF. */
size_t utf8_sequence_bytes(const char *s, size_t n);
/* Bytes of the longest prefix of s[0, n) that some character begins with (at least 1), and whether
 * it is a whole character: what one U+FFFD stands for else (the Unicode Standard, section 3.9,
 * "U+FFFD substitution of maximal subparts"; Rust's from_utf8_lossy). 0: s ends before that is
 * known. n >= 1. */
size_t utf8_lossy_step(const char *s, size_t n, bool *ret_valid);

/* Is all of s well-formed? Else *ret_bad (may be NULL) is the offset of the first bad byte. */
bool utf8_valid(const char *s, size_t n, size_t *ret_bad);

/* Decode the sequence at s, which must be well-formed; *ret_bytes (may be NULL) is its length. */
uint32_t utf8_decode(const char *s, size_t *ret_bytes);
/* Encode a scalar value; returns the number of bytes written (1-4). */
size_t utf8_encode(uint32_t code_point, char ret[4]);

/* Code points of well-formed text: the unit "characters" of chunk sizes. */
size_t utf8_count(const char *s, size_t n);
/* Byte offset of the character that is n_chars after 'start' (capped at n). */
size_t utf8_advance(const char *s, size_t n, size_t start, size_t n_chars);
/* Largest offset <= at that starts a character (at <= n). */
size_t utf8_floor(const char *s, size_t n, size_t at);

#endif
