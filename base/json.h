/* base/json.h - reading JSON from peers and files (RFC 8259), by cJSON.
 *
 * json_parse() refuses what cJSON would let through: invalid UTF-8, "\u0000"
 * (it would end a C string early), lone surrogates, nesting deeper than
 * JSON_DEPTH_MAX, anything after the value, and a key that occurs twice in one
 * object. A 'const struct json *' is a node inside the document that owns it and
 * lives until json_free() of that document. Not thread-safe while being built;
 * a parsed document may be read by any number of threads. */
#ifndef RAG_BASE_JSON_H
#define RAG_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct json; /* a node; the root node owns the document */

/* Parse n_bytes of text ('what' names it in messages: "body", "line 3").
 * RAG_OK, RAG_EFORMAT with the byte offset in the message, or RAG_ENOMEM. */
enum rag_status json_parse(const char *text, size_t n_bytes, const char *what,
                           struct json **ret_root, struct rag_error *reterr);
void json_free(struct json *root); /* NULL is a no-op */

bool json_is_object(const struct json *node);
bool json_is_array(const struct json *node);
bool json_is_string(const struct json *node);
bool json_is_number(const struct json *node);
bool json_is_bool(const struct json *node);
bool json_is_null(const struct json *node); /* the JSON null; false for NULL */

size_t json_size(const struct json *node); /* elements of an array or object, else 0 */
const struct json *json_member(const struct json *object, const char *key); /* NULL: not there */
const struct json *
json_first(const struct json *node); /* iterate: for (n = json_first(a); n; n = json_next(n)) */
const struct json *json_next(const struct json *node);
const char *json_key(const struct json *node);    /* of a member of an object, else "" */
const char *json_string(const struct json *node); /* its text, or NULL if it is no string */
double json_number(const struct json *node);      /* its value, or NAN if it is no number */
bool json_true(const struct json *node);          /* is it the literal true? */

/* Typed members. When the member is absent or null, RAG_OK and *ret keeps its
 * value (so set the default first). A wrong type or range is RAG_EINVAL and the
 * message names the key, what was found and what is allowed. */
enum rag_status json_get_string(const struct json *object, const char *key, size_t bytes_max,
                                const char **ret, struct rag_error *reterr);
enum rag_status json_get_int(const struct json *object, const char *key, int64_t min, int64_t max,
                             int64_t *ret, struct rag_error *reterr);
enum rag_status json_get_double(const struct json *object, const char *key, double min, double max,
                                double *ret, struct rag_error *reterr);
enum rag_status json_get_bool(const struct json *object, const char *key, bool *ret,
                              struct rag_error *reterr);
/* *ret = the array or object node, or NULL when absent or null. */
enum rag_status json_get_array(const struct json *object, const char *key, const struct json **ret,
                               struct rag_error *reterr);
enum rag_status json_get_object(const struct json *object, const char *key, const struct json **ret,
                                struct rag_error *reterr);
/* RAG_EINVAL naming the first member of 'object' that is not in 'keys'
 * (NULL-terminated): a misspelt setting is an error, not a default. */
enum rag_status json_only(const struct json *object, const char *const *keys,
                          struct rag_error *reterr);

/* Compact text of a node, malloc'ed. RAG_OK or RAG_ENOMEM. */
enum rag_status json_print(const struct json *node, char **ret_text);

#endif
