#define _GNU_SOURCE
#include "base/sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static enum rag_status digest_parts(const struct sha256_part *parts, size_t n_parts, bool lengths,
                                    uint8_t ret_digest[SHA256_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < n_parts; i++) {
        uint8_t le[8];

        for (int k = 0; k < 8; k++)
            le[k] = (uint8_t)((uint64_t)parts[i].n_bytes >> (8 * k));
        if (lengths)
            ok = EVP_DigestUpdate(ctx, le, sizeof le) == 1;
        if (ok && parts[i].n_bytes > 0)
            ok = EVP_DigestUpdate(ctx, parts[i].data, parts[i].n_bytes) == 1;
    }
    if (ok)
        ok = EVP_DigestFinal_ex(ctx, ret_digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? RAG_OK : RAG_ENOMEM;
}

enum rag_status sha256_parts(const struct sha256_part *parts, size_t n_parts,
                             uint8_t ret_digest[SHA256_BYTES])
{
    return digest_parts(parts, n_parts, false, ret_digest);
}

enum rag_status sha256_lengths(const struct sha256_part *parts, size_t n_parts,
                               uint8_t ret_digest[SHA256_BYTES])
{
    return digest_parts(parts, n_parts, true, ret_digest);
}

enum rag_status sha256(const void *data, size_t n_bytes, uint8_t ret_digest[SHA256_BYTES])
{
    struct sha256_part part = {data, n_bytes};

    return sha256_parts(&part, 1, ret_digest);
}

enum rag_status sha256_file(const char *path, uint8_t ret_digest[SHA256_BYTES],
                            struct rag_error *reterr)
{
    enum rag_status status = RAG_ENOMEM;
    EVP_MD_CTX *ctx = NULL;
    uint8_t block[65536];
    size_t n;
    FILE *f;

    f = fopen(path, "rbe");
    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", path);
    ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        goto out;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        if (EVP_DigestUpdate(ctx, block, n) != 1)
            goto out;
    if (ferror(f)) {
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot read", path);
        goto out;
    }
    if (EVP_DigestFinal_ex(ctx, ret_digest, NULL) == 1)
        status = RAG_OK;
out:
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "file '%s': out of memory while hashing", path);
    EVP_MD_CTX_free(ctx);
    fclose(f);
    return status;
}

void sha256_hex(const uint8_t digest[SHA256_BYTES], char ret_hex[SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SHA256_BYTES; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[2 * SHA256_BYTES] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum rag_status sha256_from_hex(const char *hex, uint8_t ret_digest[SHA256_BYTES])
{
    uint8_t digest[SHA256_BYTES];

    if (strlen(hex) != 2 * (size_t)SHA256_BYTES)
        return RAG_EFORMAT;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        int high = hex_value(hex[2 * i]);
        int low = hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return RAG_EFORMAT;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_digest, digest, sizeof digest);
    return RAG_OK;
}

enum rag_status random_bytes(void *ret_data, size_t n)
{
    if (n > INT32_MAX || RAND_bytes(ret_data, (int)n) != 1)
        return RAG_EIO;
    return RAG_OK;
}
