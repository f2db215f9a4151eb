/* daemon/filter.h - the "filter" member of a request -> clauses of store/store.h.
 *
 *     {"team": "법무", "year": {"gte": 2023, "lt": 2025}, "lang": ["ko", "en"]}
 *
 * All members must hold. A text or number: equal; an array: one of them; an object: gt,
 * gte, lt, lte. true and false compare as the texts "true" and "false". */
#ifndef RAG_DAEMON_FILTER_H
#define RAG_DAEMON_FILTER_H

#include "base/arena.h"
#include "base/json.h"
#include "store/store.h"

/* filter: an object, or NULL (no clauses). Texts stay the document's, arrays are the arena's.
 * RAG_OK, RAG_EINVAL (member, what is wrong, what is allowed), RAG_ENOMEM. */
enum rag_status filter_read(const struct json *filter, struct arena *arena,
                            const struct filter_clause **ret, size_t *ret_n,
                            struct rag_error *reterr);

#endif
