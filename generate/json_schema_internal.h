/* generate/json_schema_internal.h - the compiled schema; included by generate/json_schema*.c and
 * generate/token_bytes.c only.
 *
 * A schema is a graph of nodes; a node says which texts are its values. While an answer is written,
 * a configuration holds one or more threads, each a stack of frames: what is being written at each
 * level, the innermost last. A byte is fed to every thread; those that it cannot follow die. More
 * than one thread lives only where alternatives (anyOf) begin alike. */
#ifndef RAG_GENERATE_JSON_SCHEMA_INTERNAL_H
#define RAG_GENERATE_JSON_SCHEMA_INTERNAL_H

#include "base/bounds.h"
#include "generate/json_schema.h"

enum schema_kind {
    SCHEMA_ANY,      /* any value */
    SCHEMA_OBJECT,   /* the properties, in their order */
    SCHEMA_MAP,      /* any keys, values of 'child' */
    SCHEMA_ARRAY,    /* items of 'child' */
    SCHEMA_STRING,   /* any string of least..most characters */
    SCHEMA_LITERALS, /* one of some texts: enum, const, true, false, null */
    SCHEMA_NUMBER,
    SCHEMA_INTEGER,
    SCHEMA_ANY_OF, /* of children */
};

struct schema_property {
    char *key; /* with its quotes, as JSON writes it; owned */
    size_t n_key;
    uint32_t value; /* node */
    bool required;
};

struct schema_node {
    enum schema_kind kind;
    uint32_t child;                     /* MAP, ARRAY */
    uint64_t least;                     /* ARRAY: items; STRING: characters */
    uint64_t most;                      /* UINT64_MAX: no limit */
    bool not_negative;                  /* NUMBER, INTEGER */
    struct schema_property *properties; /* [n]; owned */
    char **literals;                    /* [n], sorted by bytes; owned */
    uint32_t *children;                 /* [n]; owned */
    size_t n;
};

struct json_schema {
    struct schema_node *nodes; /* [n]; nodes[0] is the root; owned */
    size_t n;
    size_t cap;
};

/* ---- an answer being written ---- */

enum frame_state {
    AT_VALUE,       /* the first byte of a value of 'node' comes */
    AT_VALUE_SPACE, /* the same, behind one space at most */

    IN_STRING, /* count characters were written */
    IN_ESCAPE,
    IN_HEX, /* rest hex digits of \uXXXX to come */
    IN_UTF8,

    IN_LITERAL, /* literals[first, end) begin with what was written: offset bytes */

    NUMBER_SIGN, /* "-" was written */
    NUMBER_ZERO,
    NUMBER_DIGITS,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT,

    OBJECT_OPEN,  /* "{" was written */
    OBJECT_KEY,   /* keys of 'mask' begin with what was written: offset bytes */
    OBJECT_COLON, /* a key was written */
    OBJECT_AFTER, /* a value was written */
    OBJECT_COMMA, /* behind one space at most a key comes */
    OBJECT_COMMA_SPACE,

    ARRAY_OPEN,
    ARRAY_AFTER,
};

struct frame {
    uint8_t state; /* enum frame_state */
    uint8_t rest;  /* IN_HEX, IN_UTF8: bytes to come */
    uint8_t low;   /* IN_UTF8: range of the next one */
    uint8_t high;
    uint32_t node;
    uint32_t first; /* IN_LITERAL; OBJECT_*: the first property that may come */
    uint32_t end;   /* IN_LITERAL */
    uint32_t offset;
    uint64_t count; /* characters, items, digits; OBJECT_KEY: the mask of keys */
};

struct thread {
    struct frame frames[JSON_SCHEMA_DEPTH_MAX];
    uint32_t depth; /* 0: the value is complete */
};

struct configuration {
    struct thread threads[JSON_SCHEMA_THREADS_MAX];
    uint32_t n;
};

struct json_schema_state {
    const struct json_schema *schema;
    struct configuration now;
    struct configuration *steps; /* [TOKEN_BYTES_MAX + 1]: after each byte of a token; owned */
};

void configuration_begin(struct configuration *c);
/* Feed one byte: *next is what can be behind it, next->n == 0: nothing. c and next differ. */
void configuration_step(const struct json_schema *s, const struct configuration *c,
                        unsigned char byte, struct configuration *next);
void configuration_copy(struct configuration *to, const struct configuration *from);
bool configuration_complete(const struct json_schema *s, const struct configuration *c);
/* Does some thread stand in a string that may go on for ever? Then every text of whole characters
 * without quotes, backslashes and control characters can follow. */
bool configuration_takes_text(const struct json_schema *s, const struct configuration *c);

/* ---- tokens by their bytes ---- */

struct token_order {
    uint32_t *ids;    /* sorted by bytes; owned */
    uint16_t *common; /* bytes that token i shares with token i - 1; owned */
    size_t n;
};

struct token_bytes {
    char *bytes;      /* owned */
    uint32_t *begins; /* [n_tokens + 1]; owned */
    size_t n_tokens;
    uint64_t *text;            /* bits: tokens of configuration_takes_text(); owned */
    struct token_order all;    /* tokens that write something */
    struct token_order others; /* those that are not in 'text' */
};

#endif
