/* tests/fuzz/fuzz_cache_row.c - hostile rows of cache.db, behind their checksum.
 *
 * What is decoded is a whole entry, and encodes to the very bytes that it came from. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cache/answer_cache_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float *vector = malloc(EMBEDDING_DIM_MAX * sizeof *vector);
    struct entry *e = NULL;
    size_t dim = 0;
    struct buf out;

    if (!vector)
        return 0;
    if (entry_decode(data, size, 1, &e, vector, &dim) == RAG_OK) {
        buf_init(&out, CACHE_ROW_BYTES_MAX);
        entry_encode(e, dim > 0 ? vector : NULL, dim, &out);
        assert(buf_status(&out) == RAG_OK && out.len == size);
        assert(memcmp(out.data, data, size) == 0);
        buf_release(&out);
        for (size_t i = 0; i < e->n_documents; i++)
            assert(strlen(e->documents[i].name) < size);
        entry_unref(e);
    }
    free(vector);
    return 0;
}
