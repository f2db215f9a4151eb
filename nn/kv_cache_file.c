/* Little-endian, as all machines that this runs on. A head, then pages: each a record of its place
 * and its tokens, the memory, and the SHA-256 of both. A page's parent stands before it. */
#define _GNU_SOURCE
#include "nn/kv_cache_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "nn/kv_cache_internal.h"

#define NOUN      "KV file"
#define VERSION   1u
#define READ_MAX  (1u << 30) /* of one read(2): Linux takes no more than 2 GiB */
#define NO_RECORD UINT32_MAX

struct head { /* 120 bytes */
    char magic[8];
    uint32_t version;
    uint32_t page_tokens;
    uint64_t n_layers;
    uint64_t layer_page_bytes;
    uint64_t n_pages;
    uint8_t binding[SHA256_BYTES];
    uint8_t sum[SHA256_BYTES]; /* of the head with a sum of zeros */
    uint64_t zero[2];
};
_Static_assert(sizeof(struct head) == 120, "the head is stored as it is");

struct record {
    uint32_t parent; /* record before this one, NO_RECORD: none */
    uint32_t ids[KV_PAGE_TOKENS];
};
_Static_assert(sizeof(struct record) == 4 + 4 * KV_PAGE_TOKENS, "records are stored as they are");

static const char magic[8] = "ragkv\0\0";

static enum rag_status no_memory(const char *path, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, NOUN " '%s': out of memory", path);
}

static enum rag_status head_sum(const struct head *h, uint8_t ret[SHA256_BYTES])
{
    struct head blank = *h;

    memset(blank.sum, 0, sizeof blank.sum);
    return sha256(&blank, sizeof blank, ret);
}

static enum rag_status page_sum(const struct kv_cache *c, const struct record *r,
                                const unsigned char *memory, uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {r,      sizeof *r    },
        {memory, c->page_bytes}
    };

    return sha256_parts(parts, 2, ret);
}

/* ---- writing ---- */

struct place {
    uint64_t serial;
    uint32_t record;
};

static int by_serial(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;

    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static uint32_t record_of(const struct place *places, size_t n, uint64_t serial)
{
    const struct place key = {.serial = serial};
    const struct place *found = bsearch(&key, places, n, sizeof key, by_serial);

    return found ? found->record : NO_RECORD;
}

static enum rag_status write_head(const struct kv_cache *c, const uint8_t binding[SHA256_BYTES],
                                  size_t n, struct atomic_file *f, struct rag_error *reterr)
{
    struct head h = {
        .version = VERSION,
        .page_tokens = KV_PAGE_TOKENS,
        .n_layers = c->n_layers,
        .layer_page_bytes = c->layer_page_bytes,
        .n_pages = n,
    };

    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.binding, binding, sizeof h.binding);
    if (head_sum(&h, h.sum) != RAG_OK)
        return no_memory(f->path, reterr);
    return atomic_file_write(f, &h, sizeof h, reterr);
}

static enum rag_status write_page(const struct kv_cache *c, const struct kv_page *p,
                                  uint32_t parent, struct atomic_file *f, struct rag_error *reterr)
{
    struct record r = {.parent = parent};
    uint8_t sum[SHA256_BYTES];
    enum rag_status status;

    memcpy(r.ids, p->ids, sizeof r.ids);
    if (page_sum(c, &r, p->memory, sum) != RAG_OK)
        return no_memory(f->path, reterr);
    status = atomic_file_write(f, &r, sizeof r, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(f, p->memory, c->page_bytes, reterr);
    return status == RAG_OK ? atomic_file_write(f, sum, sizeof sum, reterr) : status;
}

enum rag_status kv_cache_save(const struct kv_cache *c, const char *path,
                              const uint8_t binding[SHA256_BYTES], uint64_t bytes_max,
                              size_t *ret_n, struct rag_error *reterr)
{
    size_t n_most =
        bytes_max / c->page_bytes < c->n_idle ? (size_t)(bytes_max / c->page_bytes) : c->n_idle;
    struct place *places = calloc(n_most ? n_most : 1, sizeof *places);
    const struct kv_page *p = c->newest;
    struct atomic_file f = {0};
    enum rag_status status;

    assert(c->n_sequences == 0);
    if (!places)
        return no_memory(path, reterr);
    /* parents were let go of after their children, so they are newer and come first */
    for (size_t i = 0; i < n_most; i++, p = p->older)
        places[i] = (struct place){p->serial, (uint32_t)i};
    qsort(places, n_most, sizeof *places, by_serial);
    status = atomic_file_open(&f, NOUN, path, 0600, reterr);
    if (status == RAG_OK)
        status = write_head(c, binding, n_most, &f, reterr);
    p = c->newest;
    for (size_t i = 0; i < n_most && status == RAG_OK; i++, p = p->older)
        status = write_page(c, p, record_of(places, n_most, p->parent), &f, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&f, reterr);
    atomic_file_close(&f);
    free(places);
    if (status == RAG_OK)
        *ret_n = n_most;
    return status;
}

/* ---- reading ---- */

static enum rag_status read_all(int fd, const char *path, void *to, size_t n,
                                struct rag_error *reterr)
{
    unsigned char *at = to;

    while (n > 0) {
        ssize_t done = read(fd, at, n < READ_MAX ? n : READ_MAX);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return rag_fail_errno(reterr, RAG_EIO, errno, NOUN " '%s': cannot read", path);
        if (done == 0)
            return rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': it ends %zu bytes early", path, n);
        at += done;
        n -= (size_t)done;
    }
    return RAG_OK;
}

static enum rag_status read_head(const struct kv_cache *c, int fd, const char *path,
                                 const uint8_t binding[SHA256_BYTES], size_t *ret_n,
                                 struct rag_error *reterr)
{
    uint8_t sum[SHA256_BYTES];
    struct head h;
    enum rag_status status = read_all(fd, path, &h, sizeof h, reterr);

    if (status != RAG_OK)
        return status;
    if (head_sum(&h, sum) != RAG_OK)
        return no_memory(path, reterr);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || memcmp(h.sum, sum, sizeof sum) != 0)
        return rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': its head is damaged", path);
    if (h.version != VERSION)
        return rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': version %u, expected %u", path, h.version,
                        VERSION);
    if (memcmp(h.binding, binding, SHA256_BYTES) != 0 || h.page_tokens != KV_PAGE_TOKENS ||
        h.n_layers != c->n_layers || h.layer_page_bytes != c->layer_page_bytes)
        return rag_fail(reterr, RAG_EFORMAT,
                        NOUN " '%s': of another model, precision or instruction set", path);
    if (h.n_pages >= NO_RECORD)
        return rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': %llu pages", path,
                        (unsigned long long)h.n_pages);
    *ret_n = (size_t)h.n_pages;
    return RAG_OK;
}

/* Record i into a page of the cache, known behind its parent; pages[0..i-1] were read. NULL in
 * *ret: its parent is not there, or the same page is. */
static enum rag_status read_page(struct kv_cache *c, int fd, const char *path, size_t i,
                                 struct kv_page *const *pages, struct kv_page **ret,
                                 struct rag_error *reterr)
{
    struct kv_page *p = kv_new_page(c);
    uint64_t parent = KV_NO_PARENT;
    uint8_t stored[SHA256_BYTES];
    uint8_t sum[SHA256_BYTES];
    enum rag_status status;
    struct record r;

    if (!p)
        return no_memory(path, reterr);
    status = read_all(fd, path, &r, sizeof r, reterr);
    if (status == RAG_OK)
        status = read_all(fd, path, p->memory, c->page_bytes, reterr);
    if (status == RAG_OK)
        status = read_all(fd, path, stored, sizeof stored, reterr);
    if (status == RAG_OK && page_sum(c, &r, p->memory, sum) != RAG_OK)
        status = no_memory(path, reterr);
    if (status == RAG_OK &&
        (memcmp(stored, sum, sizeof sum) != 0 || (r.parent != NO_RECORD && r.parent >= i)))
        status = rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': page %zu is damaged", path, i);
    if (status == RAG_OK) {
        memcpy(p->ids, r.ids, sizeof p->ids);
        if (r.parent != NO_RECORD)
            parent = pages[r.parent]->serial;
        if (kv_find_known(c, parent, p->ids))
            status = rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': page %zu is there twice", path, i);
    }
    if (status != RAG_OK) {
        kv_free_page(c, p);
        return status;
    }
    kv_make_known(c, p, parent);
    *ret = p;
    return RAG_OK;
}

enum rag_status kv_cache_load(struct kv_cache *c, const char *path,
                              const uint8_t binding[SHA256_BYTES], size_t *ret_n,
                              struct rag_error *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct kv_page **pages = NULL;
    enum rag_status status;
    struct stat st;
    size_t n = 0;
    size_t done = 0;

    assert(c->n_held == 0);
    if (fd < 0)
        return rag_fail_errno(reterr, errno == ENOENT ? RAG_ENOTFOUND : RAG_EIO, errno,
                              NOUN " '%s': cannot open", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = rag_fail(reterr, RAG_EFORMAT, NOUN " '%s': not a regular file", path);
    else
        status = read_head(c, fd, path, binding, &n, reterr);
    if (status == RAG_OK) {
        n = n < c->n_pages_max ? n : c->n_pages_max;
        pages = calloc(n ? n : 1, sizeof(struct kv_page *));
        if (!pages)
            status = no_memory(path, reterr);
    }
    while (status == RAG_OK && done < n) {
        status = read_page(c, fd, path, done, pages, &pages[done], reterr);
        done += status == RAG_OK;
    }
    for (size_t i = done; i-- > 0;) /* the first is the newest */
        kv_enter_idle(c, pages[i]);
    if (status != RAG_OK)
        kv_forget_idle(c);
    else
        *ret_n = done;
    free(pages);
    close(fd);
    return status;
}
