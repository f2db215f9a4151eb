/* A file of pairs: read whole or refused; what was read is within its own bounds. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/cache_curve.h"
#include "eval/cache_pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cache_pairs pairs = {0};
    struct cache_point point;
    struct rag_error error;
    struct input *in = NULL;

    if (size > 65536 || input_memory(data, size, "fuzz", &in, &error) != RAG_OK)
        return 0;
    if (cache_pairs_read(in, &pairs, &error) == RAG_OK) {
        assert(pairs.n > 0);
        for (size_t i = 0; i < pairs.n; i++)
            assert(pairs.pairs[i].a < pairs.n_texts && pairs.pairs[i].b < pairs.n_texts &&
                   pairs.pairs[i].label <= CACHE_EQUIVALENT && pairs.pairs[i].kind);
        for (size_t i = 0; i < pairs.n_texts; i++)
            assert(pairs.texts[i].same < pairs.n_texts);
        struct cache_view view = {.pairs = &pairs, .half = CACHE_ALL, .plain = true};
        cache_measure(&view, cache_choose(&view, 0.01), &point);
        assert(point.hits <= point.n_equivalent && point.false_hits <= point.n_different);
    }
    cache_pairs_release(&pairs);
    input_close(in);
    return 0;
}
