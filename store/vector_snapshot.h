/* store/vector_snapshot.h - loading a snapshot from a descriptor, for vector_index_load and the
 * fuzzer. docs/FORMATS.md has the table. */
#ifndef RAG_STORE_VECTOR_SNAPSHOT_H
#define RAG_STORE_VECTOR_SNAPSHOT_H

#include <stdbool.h>

#include "store/vector_index.h"

/* As vector_index_load, of the regular file 'fd' from its offset on; 'name' for messages.
 * check_sums false: believe the checksums (the fuzzer), so that the checks behind them are reached.
 */
enum rag_status vector_load_fd(int fd, const char *name, bool check_sums, const char *binding,
                               const struct vector_index_options *options,
                               struct vector_index **ret, uint64_t *ret_change,
                               struct rag_error *reterr);

#endif
