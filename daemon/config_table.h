/* daemon/config_table.h - every key of the configuration: type, place, range, default, help.
 *
 * A new key is one row in config_table.c and one member of struct config; etc/ragd.conf and
 * etc/man/ragd.conf.5 carry the same texts (tests compare them). */
#ifndef RAG_DAEMON_CONFIG_TABLE_H
#define RAG_DAEMON_CONFIG_TABLE_H

#include "daemon/config.h"

enum key_type {
    KEY_TEXT,
    KEY_PATH,   /* NULL when empty */
    KEY_MODEL,  /* NULL when empty or "none" (daemon/builtin_models.h) */
    KEY_PROMPT, /* the same; quotes around it keep its blanks, and "" is an empty one */
    KEY_INT,
    KEY_OCTAL,
    KEY_DOUBLE,
    KEY_LIST,
    KEY_BACKENDS, /* NULL when empty; names */
    KEY_LEVEL,    /* from here on one word of some: config_words() */
    KEY_PRECISION,
    KEY_STORAGE,
    KEY_FUSION,
    KEY_WEIGHTS,
    KEY_UNSUPPORTED,
    KEY_LOG_FORMAT,
    KEY_CACHE_EXPIRY,
    KEY_CACHE_SHARE,
    KEY_EMBED_API,
    KEY_RERANK_API,
};

struct config_row {
    struct config_key key;
    enum key_type type;
    size_t offset; /* in struct config */
    double min;
    double max;
};

#define CONFIG_KEYS_MAX 256 /* rows of the table */
extern const struct config_row config_rows[];
extern const size_t config_n_rows;

/* The words of a type from KEY_LEVEL on, in the order of its enum, ended by NULL, and what messages
 * call them. */
const char *const *config_words(enum key_type type, const char **ret_allowed);

#endif
