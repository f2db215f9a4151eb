/* The file of a classifier: docs/FORMATS.md has the table. Little-endian, as every machine that
 * ragd runs on. Reading believes nothing: a weight that is no number would let every text pass. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "guard/classifier_internal.h"

#define MAGIC   "ragclas"
#define VERSION 1u
#define NOUN    "classifier"

struct head { /* 112 bytes */
    char magic[8];
    uint32_t version;
    uint32_t dim;       /* 0: n-grams */
    uint32_t hash_bits; /* of n-grams; else 0 */
    uint32_t n_weights;
    float bias;
    uint32_t zero;
    uint64_t file_bytes;
    char embedder[CLASSIFIER_EMBEDDER_BYTES];
};
_Static_assert(sizeof(struct head) == 112, "the head is stored as it is");

struct weight {
    uint32_t place;
    float value;
};
_Static_assert(sizeof(struct weight) == 8, "a weight is stored as it is");

static enum rag_status broken(const char *name, const char *what, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT, "classifier '%.300s': %s; train it again", name, what);
}

static enum rag_status check_head(const struct head *h, size_t n, const char *name,
                                  struct rag_error *reterr)
{
    size_t n_embedder = strnlen(h->embedder, sizeof h->embedder);
    uint64_t each = h->dim == 0 ? sizeof(struct weight) : sizeof(float);

    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "classifier '%.300s': not a file of 'ragctl guard train'", name);
    if (h->version != VERSION)
        return rag_fail(reterr, RAG_EFORMAT, "classifier '%.300s': version %u, this program has %u",
                        name, h->version, VERSION);
    if (h->dim > EMBEDDING_DIM_MAX || h->n_weights > CLASSIFIER_PLACES ||
        (h->dim != 0 && h->n_weights != h->dim) ||
        h->hash_bits != (h->dim == 0 ? CLASSIFIER_HASH_BITS : 0) || h->zero != 0 ||
        n_embedder >= sizeof h->embedder || (h->dim == 0) != (n_embedder == 0))
        return broken(name, "its head has values out of range", reterr);
    if (h->file_bytes != n || n != sizeof *h + each * h->n_weights + SHA256_BYTES)
        return broken(name, "its length is not what its head says", reterr);
    if (!isfinite(h->bias))
        return broken(name, "its bias is no number", reterr);
    return RAG_OK;
}

static enum rag_status read_places(struct classifier *c, const uint8_t *data, size_t n,
                                   const char *name, struct rag_error *reterr)
{
    uint32_t last = 0;

    for (size_t i = 0; i < n; i++) {
        struct weight w;

        memcpy(&w, data + i * sizeof w, sizeof w);
        if (w.place >= CLASSIFIER_PLACES || (i > 0 && w.place <= last) || !isfinite(w.value))
            return broken(name, "a weight is out of order or no number", reterr);
        c->weights[w.place] = w.value;
        last = w.place;
    }
    return RAG_OK;
}

enum rag_status classifier_parse(const void *data, size_t n, const char *name,
                                 struct classifier **ret, struct rag_error *reterr)
{
    const uint8_t *bytes = data;
    uint8_t digest[SHA256_BYTES];
    struct head h;
    struct classifier *c;
    enum rag_status status;

    if (n < sizeof h + SHA256_BYTES)
        return broken(name, "shorter than its head", reterr);
    memcpy(&h, bytes, sizeof h);
    status = check_head(&h, n, name, reterr);
    if (status != RAG_OK)
        return status;
    if (sha256(bytes, n - SHA256_BYTES, digest) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "classifier: out of memory");
    if (memcmp(digest, bytes + n - SHA256_BYTES, SHA256_BYTES) != 0)
        return broken(name, "damaged, its checksum differs", reterr);
    c = calloc(1, sizeof *c);
    if (c)
        c->weights = calloc(h.dim == 0 ? CLASSIFIER_PLACES : h.dim, sizeof *c->weights);
    if (!c || !c->weights) {
        classifier_free(c);
        return rag_fail(reterr, RAG_ENOMEM, "classifier: out of memory");
    }
    c->dim = h.dim;
    c->bias = h.bias;
    memcpy(c->embedder, h.embedder, sizeof c->embedder);
    if (h.dim == 0)
        status = read_places(c, bytes + sizeof h, h.n_weights, name, reterr);
    else
        memcpy(c->weights, bytes + sizeof h, h.dim * sizeof *c->weights);
    for (size_t i = 0; i < c->dim && status == RAG_OK; i++)
        if (!isfinite(c->weights[i]))
            status = broken(name, "a weight is no number", reterr);
    if (status != RAG_OK) {
        classifier_free(c);
        return status;
    }
    *ret = c;
    return RAG_OK;
}

static enum rag_status read_bytes(int fd, const char *path, void *data, size_t n,
                                  struct rag_error *reterr)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = read(fd, (char *)data + done, n - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rag_fail_errno(reterr, RAG_EIO, errno, "classifier '%.300s'", path);
        if (got == 0)
            return broken(path, "cut off while it was read", reterr);
        done += (size_t)got;
    }
    return RAG_OK;
}

enum rag_status classifier_load(const char *path, struct classifier **ret, struct rag_error *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum rag_status status = RAG_OK;
    void *data = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        status = rag_fail_errno(reterr, RAG_EIO, errno, "classifier '%.300s'", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
        status = broken(path, "empty, or no file", reterr);
        goto out;
    }
    if ((uint64_t)st.st_size > CLASSIFIER_FILE_BYTES_MAX) {
        status = rag_fail(reterr, RAG_ELIMIT, "classifier '%.300s': %lld bytes, the limit is %u",
                          path, (long long)st.st_size, CLASSIFIER_FILE_BYTES_MAX);
        goto out;
    }
    data = malloc((size_t)st.st_size);
    if (!data) {
        status = rag_fail(reterr, RAG_ENOMEM, "classifier: out of memory");
        goto out;
    }
    status = read_bytes(fd, path, data, (size_t)st.st_size, reterr);
    if (status == RAG_OK)
        status = classifier_parse(data, (size_t)st.st_size, path, ret, reterr);
out:
    free(data);
    if (fd >= 0)
        close(fd);
    return status;
}

enum rag_status classifier_write(const struct classifier *c, const char *path,
                                 struct rag_error *reterr)
{
    struct head h = {.magic = MAGIC,
                     .version = VERSION,
                     .dim = (uint32_t)c->dim,
                     .hash_bits = c->dim == 0 ? CLASSIFIER_HASH_BITS : 0,
                     .bias = c->bias};
    struct atomic_file file = {0};
    uint8_t digest[SHA256_BYTES];
    enum rag_status status;
    struct buf body;

    buf_init(&body, CLASSIFIER_FILE_BYTES_MAX);
    for (uint32_t i = 0; c->dim == 0 && i < CLASSIFIER_PLACES; i++) {
        const struct weight w = {i, c->weights[i]};

        if (fpclassify(w.value) == FP_ZERO)
            continue;
        buf_append(&body, &w, sizeof w);
        h.n_weights++;
    }
    if (c->dim != 0) {
        buf_append(&body, c->weights, c->dim * sizeof *c->weights);
        h.n_weights = (uint32_t)c->dim;
    }
    memcpy(h.embedder, c->embedder, sizeof h.embedder);
    h.file_bytes = sizeof h + body.len + SHA256_BYTES;
    status = buf_status(&body);
    if (status == RAG_OK)
        status = sha256_parts(
            (const struct sha256_part[]){
                {&h,             sizeof h},
                {buf_str(&body), body.len}
        },
            2, digest);
    if (status != RAG_OK) {
        rag_fail(reterr, status, "classifier: out of memory");
        goto out;
    }
    status = atomic_file_open(&file, NOUN, path, 0644, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(&file, &h, sizeof h, reterr);
    if (status == RAG_OK && body.len > 0)
        status = atomic_file_write(&file, buf_str(&body), body.len, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(&file, digest, sizeof digest, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&file, reterr);
    atomic_file_close(&file);
out:
    buf_release(&body);
    return status;
}
