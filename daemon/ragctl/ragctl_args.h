/* daemon/ragctl/ragctl_args.h - options of one ragctl command, anywhere among its words. */
#ifndef RAG_DAEMON_RAGCTL_ARGS_H
#define RAG_DAEMON_RAGCTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"

/* The values of an option that may be given several times; borrowed from argv. */
struct ragctl_list {
    const char *items[METADATA_KEYS_MAX];
    size_t n;
};

/* One option; exactly one of the four targets is set and says what kind of value it has.
 * Both "--name VALUE" and "--name=VALUE" are read. */
struct ragctl_arg {
    const char *name;  /* "--top-k" */
    bool *flag;        /* takes no value */
    const char **text; /* the last one given wins */
    int64_t *number;   /* an integer within min..max */
    struct ragctl_list *list;
    int64_t min;
    int64_t max;
};

/* Read argv[1..]; what is no option is a word: "-" is one, and so is everything after
 * "--". ret_words: room for argc pointers. Targets keep their value when their option is
 * absent. RAG_EINVAL names the option, its value and what is allowed, and for a misspelt
 * one the nearest that exists. */
enum rag_status ragctl_args_parse(const struct ragctl_arg *args, size_t n_args, int argc,
                                  char **argv, char **ret_words, int *ret_n_words,
                                  struct rag_error *reterr);

/* The same for a command that takes no words: RAG_EINVAL names one that is there. */
enum rag_status ragctl_args_no_words(const char *command, const struct ragctl_arg *args,
                                     size_t n_args, int argc, char **argv,
                                     struct rag_error *reterr);

/* *ret: which of the n verbs words[0] is ("list" of "collection list"); a static text.
 * RAG_EINVAL lists them. */
enum rag_status ragctl_args_verb(const char *const *verbs, size_t n, const char *command,
                                 char **words, int n_words, const char **ret,
                                 struct rag_error *reterr);

/* A command whose options stand beside one of its verbs and no other word: RAG_EINVAL names one
 * that is too much. 'usual' (NULL: none) is the verb where none is given. */
enum rag_status ragctl_args_one_verb(const char *command, const char *const *verbs, size_t n_verbs,
                                     const char *usual, const struct ragctl_arg *args,
                                     size_t n_args, int argc, char **argv, const char **ret_verb,
                                     struct rag_error *reterr);

/* An integer of the whole text within min..max; 'what' names it in the message. */
enum rag_status ragctl_args_number(const char *text, const char *what, int64_t min, int64_t max,
                                   int64_t *ret, struct rag_error *reterr);

/* The candidate nearest to 'word' by edit distance, or NULL when none is near
 * (distance > 2, or more than a third of the word). n candidates, NULL ones skipped. */
const char *ragctl_args_nearest(const char *word, const char *const *candidates, size_t n);

#endif
