#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(const void *data, size_t n_bytes, struct buf *out)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < n_bytes; i += 3) {
        size_t n = n_bytes - i < 3 ? n_bytes - i : 3;
        uint32_t group = 0;
        char four[4];

        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < n ? bytes[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= n ? letters[group >> (18 - 6 * k) & 63] : '=';
        buf_append(out, four, sizeof four);
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum rag_status base64_read(const char *text, const char *what, size_t bytes_max, uint8_t **ret,
                            size_t *ret_n, struct rag_error *reterr)
{
    size_t n_text = strlen(text);
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    uint8_t *out;

    while (n_text > 0 && text[n_text - 1] == '=')
        n_text--;
    if (n_text / 4 * 3 > bytes_max)
        return rag_fail(reterr, RAG_ELIMIT, "%s: %zu bytes, the limit is %zu", what, n_text / 4 * 3,
                        bytes_max);
    if (n_text % 4 == 1)
        return rag_fail(reterr, RAG_EFORMAT, "%s: a base64 text of %zu characters was cut", what,
                        n_text);
    out = malloc(n_text + 1);
    if (!out)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", what);
    for (size_t i = 0; i < n_text; i++) {
        int digit = digit_of(text[i]);

        if (digit < 0) {
            free(out);
            return rag_fail(reterr, RAG_EFORMAT, "%s: byte %zu is not base64", what, i);
        }
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    *ret = out;
    *ret_n = n;
    return RAG_OK;
}
