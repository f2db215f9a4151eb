/* text/term_list.h - growing a term list; internal to text/. */
#ifndef RAG_TEXT_TERM_LIST_H
#define RAG_TEXT_TERM_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/analyzer.h"

/* The id of a normalised term: XXH3-64 of its bytes, seeded by its class. A Hangul
 * bigram and a two-syllable stem are one class: 수도 finds 수도 in 수도권. */
enum term_class { CLASS_HANGUL = 1, CLASS_STEM, CLASS_VERB, CLASS_WORD, CLASS_NUMBER, CLASS_HAN };
uint64_t term_id(enum term_class class, const char *bytes, size_t n);

/* RAG_OK or RAG_ENOMEM (the list is as before). */
enum rag_status term_list_push(struct term_list *list, const struct term *term);

/* Keep the heaviest occurrence of each id, in text order of the first one. */
enum rag_status term_list_unique(struct term_list *list);
/* Keep the n_max heaviest, in their order. */
enum rag_status term_list_cap(struct term_list *list, size_t n_max);

#endif
