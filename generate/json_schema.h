/* generate/json_schema.h - answers that are JSON of a given schema, token by token.
 *
 * A schema is compiled to an automaton over bytes with a stack; a token is allowed when all its
 * bytes can follow. Supported: type (one or a list), properties, required, additionalProperties,
 * items, minItems, maxItems, minLength, maxLength, enum, const, anyOf, $ref into the schema itself,
 * "minimum": 0, integers from minimum to maximum. Annotations (title, description, format ...) say
 * nothing about what is valid and are skipped; any other keyword is an error that names it.
 *
 * What can be written is a part of what the schema allows: members come in the order of
 * 'properties', and no others where there are any; no white space but one space behind ',' and ':',
 * so that a model cannot spin; numbers have at most JSON_SCHEMA_DIGITS_MAX digits, \u escapes are
 * no surrogates and no NUL. Schemas come from clients: their size and depth are limited
 * (base/bounds.h). (JSON Schema, draft 2020-12; RFC 8259)
 *
 * A compiled schema is immutable and may be shared; a state belongs to one request. */
#ifndef RAG_GENERATE_JSON_SCHEMA_H
#define RAG_GENERATE_JSON_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/tokenizer.h"

struct json_schema;       /* opaque */
struct json_schema_state; /* opaque */
struct token_bytes;       /* opaque: what each token of a vocabulary writes, as a trie */

/* text: the schema as JSON. RAG_EINVAL (which keyword, where), RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status json_schema_compile(const char *text, size_t n, struct json_schema **ret,
                                    struct rag_error *reterr);
void json_schema_free(struct json_schema *s); /* NULL is a no-op */

/* Built once per model. Special tokens write nothing and are never allowed. */
enum rag_status token_bytes_of(const struct tokenizer *t, struct token_bytes **ret,
                               struct rag_error *reterr);
void token_bytes_free(struct token_bytes *b); /* NULL is a no-op */

enum rag_status json_schema_begin(const struct json_schema *s, struct json_schema_state **ret,
                                  struct rag_error *reterr);
void json_schema_end(struct json_schema_state *st); /* NULL is a no-op */
/* Bits of the tokens that may follow, [ceil(n_tokens / 64)]; ends (n_ends ids) are allowed when the
 * value is complete. */
enum rag_status json_schema_allowed(struct json_schema_state *st, const struct token_bytes *b,
                                    const uint32_t *ends, size_t n_ends, uint64_t *ret_allowed,
                                    size_t n_tokens, struct rag_error *reterr);
/* The bytes of a token that was chosen. RAG_EINVAL: they cannot follow. */
enum rag_status json_schema_put(struct json_schema_state *st, const struct token_bytes *b,
                                uint32_t id, struct rag_error *reterr);
bool json_schema_complete(const struct json_schema_state *st);

#endif
