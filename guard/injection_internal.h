/* guard/injection_internal.h - what the files guard/injection*.c share. */
#ifndef RAG_GUARD_INJECTION_INTERNAL_H
#define RAG_GUARD_INJECTION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "guard/finding.h"

enum {
    WINDOW_LINE = 1,    /* first character of a line */
    WINDOW_QUOTED = 2,  /* between quotes */
    WINDOW_COMMENT = 4, /* inside <!-- --> */
};

/* A sentence in folded form, or INJECTION_WINDOW_CHARS of a longer one. */
struct injection_window {
    size_t n;
    uint32_t chars[INJECTION_WINDOW_CHARS + 1]; /* 0 at n */
    uint32_t at[INJECTION_WINDOW_CHARS + 1];    /* byte offset of each; of what follows at n */
    uint8_t flags[INJECTION_WINDOW_CHARS];
    bool spaced;  /* letters stood apart, so where words end is not known */
    bool mention; /* text before it said that examples follow */
};

/* Phrases by their first character. Made for each text: there is no state between texts. */
#define INJECTION_PHRASE_BUCKETS 256
struct injection_phrase {
    uint16_t at; /* in the concept's text */
    uint8_t concept;
};
struct injection_index {
    uint16_t first[INJECTION_PHRASE_BUCKETS + 1]; /* items of b: first[b] .. first[b + 1] */
    struct injection_phrase items[INJECTION_PHRASES_MAX];
};
void injection_index_phrases(struct injection_index *index);

struct injection_hit {
    uint8_t concept;
    bool quoted;
    bool reported; /* "to ignore": who orders stands elsewhere */
    uint16_t start, end;
};

struct injection_found {
    const char *detail;
    uint32_t start, end; /* bytes */
    float score;
};

enum injection_scope {
    INJECTION_ALL,
    INJECTION_PLAIN,  /* nothing encoded: what was decoded is not decoded again */
    INJECTION_TOKENS, /* control tokens alone */
};
/* index: NULL for control tokens alone. */
void injection_scan(const char *text, size_t n, enum injection_scope scope,
                    const struct injection_index *index, const struct finding_sink *sink);

/* What the rules find in a window, at most ret_max. *ret_mentions: the sentence speaks about
 * attacks or examples. */
size_t injection_window_rules(const struct injection_window *w, const struct injection_index *index,
                              struct injection_found *ret, size_t ret_max, bool *ret_mentions);

/* The next run of encoded text at or after 'from' that decodes to an instruction or to control
 * tokens. */
bool injection_encoded_next(const char *text, size_t n, size_t from,
                            const struct injection_index *index, struct injection_found *ret);

/* The end of the control token or role marker at window character i (0: none) and its detail. */
size_t injection_token(const struct injection_window *w, size_t i, const char **ret_detail);

#endif
