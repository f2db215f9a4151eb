/* generate/word_list.h - is a word one of a list's? Lists end in NULL. Thread-safe. */
#ifndef RAG_GENERATE_WORD_LIST_H
#define RAG_GENERATE_WORD_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Is it one of them? ASCII letters in either case. */
bool word_list_has(const char *word, size_t n, const char *const *list);
/* Bytes of the first of them that s[0, n) begins with; 0: none. */
size_t word_list_begins(const char *s, size_t n, const char *const *list);
/* Bytes of the first of them that s[0, n) ends in; 0: none. */
size_t word_list_ends(const char *s, size_t n, const char *const *list);
/* Does the word begin with one of them in Hangul (particles and endings follow), or is it one of
 * those in ASCII? */
bool word_list_has_stem(const char *word, size_t n, const char *const *list);

#endif
