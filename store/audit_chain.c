#include "store/audit_chain.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void put_le64(uint8_t out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

enum rag_status audit_row_hash(const uint8_t previous[SHA256_BYTES], const struct audit_row *row,
                               uint8_t ret[SHA256_BYTES])
{
    uint8_t seq[8];
    uint8_t time[8];
    const struct sha256_part parts[] = {
        {previous,          SHA256_BYTES          },
        {seq,               sizeof seq            },
        {time,              sizeof time           },
        {row->kind,         strlen(row->kind)     },
        {row->principal,    strlen(row->principal)},
        {row->payload_hash, SHA256_BYTES          },
    };

    put_le64(seq, row->seq);
    put_le64(time, (uint64_t)row->time_ms);
    return sha256_lengths(parts, sizeof parts / sizeof parts[0], ret);
}

enum rag_status audit_payload_hash(const uint8_t salt[AUDIT_SALT_BYTES], const char *payload,
                                   size_t n_bytes, uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {salt,    AUDIT_SALT_BYTES},
        {payload, n_bytes         }
    };

    return sha256_lengths(parts, 2, ret);
}

void audit_checkpoint_message(const struct audit_checkpoint *c,
                              uint8_t ret[AUDIT_CHECKPOINT_MESSAGE_BYTES])
{
    memcpy(ret, "ragd audit checkpoint v1", 25); /* with its NUL */
    put_le64(ret + 25, c->seq);
    put_le64(ret + 33, (uint64_t)c->time_ms);
    memcpy(ret + 41, c->hash, SHA256_BYTES);
}

bool audit_checkpoint_signed_by(const struct audit_checkpoint *c,
                                const uint8_t public_key[AUDIT_PUBLIC_BYTES])
{
    uint8_t message[AUDIT_CHECKPOINT_MESSAGE_BYTES];
    EVP_MD_CTX *ctx;
    EVP_PKEY *key;
    bool good;

    if (memcmp(public_key, c->public_key, AUDIT_PUBLIC_BYTES) != 0)
        return false;
    audit_checkpoint_message(c, message);
    key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, AUDIT_PUBLIC_BYTES);
    ctx = EVP_MD_CTX_new();
    good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestVerify(ctx, c->signature, AUDIT_SIGNATURE_BYTES, message, sizeof message) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return good;
}

/* ---- erasures ---- */

static int by_seq(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

uint64_t audit_erasures_unrecorded(struct audit_erasures *e)
{
    struct id_list *recorded = &e->recorded;
    size_t r = 0;

    if (recorded->n > 1)
        qsort(recorded->ids, recorded->n, sizeof *recorded->ids, by_seq);
    for (size_t i = 0; i < e->gone.n; i++) {
        uint64_t seq = e->gone.ids[i];

        while (r < recorded->n && recorded->ids[r] < seq)
            r++;
        if (r == recorded->n || recorded->ids[r] != seq)
            return seq;
    }
    return 0;
}

void audit_erasures_release(struct audit_erasures *e)
{
    id_list_release(&e->gone);
    id_list_release(&e->recorded);
}
