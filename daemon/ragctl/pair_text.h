/* daemon/ragctl/pair_text.h - what a text needs to become a question, and how it is taken out of
 * the passage that is to answer it. Texts are NUL-terminated UTF-8 and compare without regard to
 * white space and the case of ASCII letters. Pure. */
#ifndef RAG_DAEMON_PAIR_TEXT_H
#define RAG_DAEMON_PAIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Could a title or heading be asked for by itself: two words, six characters. */
bool pair_text_is_name(const char *text);
/* A heading that every document may have: "개요", "See also". */
bool pair_text_is_generic(const char *heading);
/* A sentence that asks for something: not a fragment, not half a page, no row of a table. */
bool pair_text_is_sentence(const char *text, size_t n_bytes);

/* Take every occurrence out, in place. */
void pair_text_cut(char *text, const char *what);
/* Take the lines out that are nothing else (a heading's marks aside), and it from the beginning. */
void pair_text_cut_name(char *text, const char *name);
/* Take the parts out of a path "A > B > C" that are it. */
void pair_text_cut_part(char *path, const char *part);
bool pair_text_says(const char *text, const char *what);

/* Leave some of a sentence's content words, in their order: function words go, then each other one
 * with a chance of a third, then what is beyond PAIR_WORDS_MAX. false, and the text is of no use,
 * when fewer than PAIR_WORDS_MIN are left. */
#define PAIR_WORDS_MIN 3
#define PAIR_WORDS_MAX 8
bool pair_text_reduce(char *text, uint64_t *random);

uint64_t pair_text_hash(const char *text);

#endif
