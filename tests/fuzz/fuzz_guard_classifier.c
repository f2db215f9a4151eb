/* The file of a classifier: any bytes, and any bytes with a good checksum behind them. */
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "guard/classifier_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void parse(const uint8_t *data, size_t n)
{
    struct classifier *c = NULL;
    float p = 0;

    if (classifier_parse(data, n, "input", &c, NULL) != RAG_OK)
        return;
    if (classifier_dim(c) == 0 && classifier_score(c, "연봉", 6, NULL, &p, NULL) == RAG_OK &&
        !(p >= 0 && p <= 1))
        abort();
    classifier_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy;

    parse(data, n);
    copy = malloc(n + SHA256_BYTES);
    if (!copy)
        return 0;
    if (n > 0)
        memcpy(copy, data, n);
    if (sha256(copy, n, copy + n) == RAG_OK)
        parse(copy, n + SHA256_BYTES);
    free(copy);
    return 0;
}
