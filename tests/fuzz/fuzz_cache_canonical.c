/* tests/fuzz/fuzz_cache_canonical.c - canonical questions: well-formed, no longer than needed, and
 * canonical already. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "cache/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once;
    struct buf twice;

    if (!utf8_valid((const char *)data, size, NULL))
        return 0;
    buf_init(&once, 4 * size + 16);
    buf_init(&twice, 4 * size + 16);
    assert(question_canonical((const char *)data, size, &once) == RAG_OK);
    assert(utf8_valid(buf_str(&once), once.len, NULL));
    assert(question_canonical(buf_str(&once), once.len, &twice) == RAG_OK);
    assert(once.len == twice.len && memcmp(buf_str(&once), buf_str(&twice), once.len) == 0);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
