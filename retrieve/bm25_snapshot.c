/* Snapshots: one view in a file. docs/FORMATS.md has the table.
 *
 * The file is little-endian and made of a head, the binding text, one record per segment,
 * the owners, and per segment its image and the docs removed from it. The head and each
 * later part carry an XXH3-64. Loading reads the whole file into memory of its own (a
 * mapping could be cut or changed under a search), checks the sums, then every value. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/atomic_file.h"
#include "retrieve/bm25_index.h"
#include "retrieve/bm25_snapshot.h"

#define MAGIC          "ragbm25"
#define VERSION        1u
#define READ_BYTES_MAX (1u << 30) /* of one read(2): Linux takes no more than 2 GiB */

struct head { /* 64 bytes */
    char magic[8];
    uint32_t version;
    uint32_t n_segments;
    uint64_t change;
    uint64_t file_bytes;
    uint64_t n_owners;
    uint32_t binding_bytes;
    uint32_t zero;
    uint64_t owners_sum;
    uint64_t sum; /* of the head with sum 0, the binding and the records */
};

struct record { /* one segment; 48 bytes */
    uint32_t n_docs;
    uint32_t n_terms;
    uint64_t lists_bytes; /* a multiple of 8, at least BM25_LIST_PAD of them unused */
    uint64_t lists_used;
    uint32_t n_dead;
    uint32_t zero;
    uint64_t image_sum;
    uint64_t dead_sum; /* of u32[n_dead], ascending, padded to 8 bytes */
};

struct owner { /* 16 bytes */
    uint64_t id;
    uint64_t n;
};

_Static_assert(sizeof(struct head) == 64, "head is stored as it is");
_Static_assert(sizeof(struct record) == 48, "records are stored as they are");

static uint64_t round8(uint64_t n)
{
    return (n + 7) & ~(uint64_t)7;
}

/* ---- writing ---- */

struct snapshot {
    struct bm25_view *view;
    struct bm25_owners owners; /* a copy */
    struct owner *sorted;      /* owners by id */
    size_t n_owners;
    struct record *records;
    uint32_t **dead; /* per segment, n_dead docs and padding */
};

static void snapshot_release(struct snapshot *x)
{
    for (size_t i = 0; x->dead && x->view && i < x->view->n_segments; i++)
        free(x->dead[i]);
    free(x->dead);
    free(x->records);
    free(x->sorted);
    free(x->owners.slots);
    bm25_view_unref(x->view);
}

static int by_owner_id(const void *a, const void *b)
{
    uint64_t x = ((const struct owner *)a)->id;
    uint64_t y = ((const struct owner *)b)->id;

    return (x > y) - (x < y);
}

static enum rag_status collect_dead(struct snapshot *x, size_t i)
{
    const struct bm25_segment *s = x->view->segments[i];
    struct record *r = &x->records[i];
    uint32_t n = 0;

    for (uint32_t d = 0; d < s->shape.n_docs; d++)
        r->n_dead += bm25_segment_dead(s, d, x->view->seq);
    x->dead[i] = calloc((size_t)r->n_dead + 2, sizeof *x->dead[i]);
    if (!x->dead[i])
        return RAG_ENOMEM;
    for (uint32_t d = 0; d < s->shape.n_docs; d++)
        if (bm25_segment_dead(s, d, x->view->seq))
            x->dead[i][n++] = d;
    r->n_docs = s->shape.n_docs;
    r->n_terms = s->shape.n_terms;
    r->lists_bytes = s->shape.lists_bytes;
    r->lists_used = s->shape.lists_bytes - BM25_LIST_PAD;
    r->image_sum = XXH3_64bits(s->image, s->image_bytes);
    r->dead_sum = XXH3_64bits(x->dead[i], round8((uint64_t)n * 4));
    return RAG_OK;
}

static enum rag_status snapshot_take(struct bm25 *index, struct snapshot *x)
{
    enum rag_status status;

    memset(x, 0, sizeof *x);
    pthread_mutex_lock(&index->change_lock); /* owners and view of the same moment */
    status = bm25_owners_copy(&index->owners, &x->owners);
    x->view = bm25_view_get(index);
    pthread_mutex_unlock(&index->change_lock);
    if (status != RAG_OK)
        return status;
    x->sorted = calloc(x->owners.n + 1, sizeof *x->sorted);
    x->records = calloc(x->view->n_segments + 1, sizeof *x->records);
    x->dead = calloc(x->view->n_segments + 1, sizeof *x->dead);
    if (!x->sorted || !x->records || !x->dead)
        return RAG_ENOMEM;
    for (size_t i = 0; i < x->owners.cap; i++)
        if (x->owners.slots[i].n)
            x->sorted[x->n_owners++] = (struct owner){x->owners.slots[i].id, x->owners.slots[i].n};
    qsort(x->sorted, x->n_owners, sizeof *x->sorted, by_owner_id);
    for (size_t i = 0; i < x->view->n_segments && status == RAG_OK; i++)
        status = collect_dead(x, i);
    return status;
}

static uint64_t head_sum(const struct head *head, const char *binding, const struct record *records)
{
    struct head blank = *head;
    XXH3_state_t *state = XXH3_createState();
    uint64_t sum;

    if (!state)
        return 0; /* then the file is refused, not believed */
    blank.sum = 0;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, &blank, sizeof blank);
    XXH3_64bits_update(state, binding, head->binding_bytes);
    XXH3_64bits_update(state, records, head->n_segments * sizeof *records);
    sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}

static enum rag_status write_snapshot(struct atomic_file *f, const struct snapshot *x,
                                      const char *binding, struct rag_error *reterr)
{
    static const char zeros[8];
    size_t n = x->view->n_segments;
    size_t owners_bytes = x->n_owners * sizeof *x->sorted;
    struct head head = {
        .magic = MAGIC,
        .version = VERSION,
        .n_segments = (uint32_t)n,
        .change = x->view->change,
        .n_owners = x->n_owners,
        .binding_bytes = (uint32_t)strlen(binding),
        .owners_sum = XXH3_64bits(x->sorted, owners_bytes),
    };
    size_t pad = (size_t)(round8(head.binding_bytes) - head.binding_bytes);
    enum rag_status status;

    head.file_bytes =
        sizeof head + round8(head.binding_bytes) + n * sizeof(struct record) + owners_bytes;
    for (size_t i = 0; i < n; i++)
        head.file_bytes +=
            x->view->segments[i]->image_bytes + round8((uint64_t)x->records[i].n_dead * 4);
    head.sum = head_sum(&head, binding, x->records);
    status = atomic_file_write(f, &head, sizeof head, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(f, binding, head.binding_bytes, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(f, zeros, pad, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(f, x->records, n * sizeof *x->records, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(f, x->sorted, owners_bytes, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        const struct bm25_segment *s = x->view->segments[i];

        status = atomic_file_write(f, s->image, s->image_bytes, reterr);
        if (status == RAG_OK)
            status = atomic_file_write(f, x->dead[i], round8((uint64_t)x->records[i].n_dead * 4),
                                       reterr);
    }
    return status;
}

enum rag_status bm25_save(struct bm25 *index, const char *path, const char *binding,
                          struct rag_error *reterr)
{
    struct snapshot x;
    struct atomic_file f = {0};
    enum rag_status status;

    if (strlen(binding) > BM25_BINDING_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "bm25 snapshot '%s': binding of %zu bytes, limit %u",
                        path, strlen(binding), BM25_BINDING_BYTES_MAX);
    status = snapshot_take(index, &x);
    if (status != RAG_OK)
        (void)rag_fail(reterr, status, "bm25 snapshot '%s': out of memory", path);
    if (status == RAG_OK)
        status = atomic_file_open(&f, "bm25 snapshot", path, 0600, reterr);
    if (status == RAG_OK)
        status = write_snapshot(&f, &x, binding, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&f, reterr);
    atomic_file_close(&f);
    snapshot_release(&x);
    return status;
}

/* ---- reading ---- */

struct reader {
    int fd;
    const char *path; /* in messages */
    uint64_t left;    /* bytes of the file not yet read */
    bool check_sums;
    struct rag_error *reterr;
};

static enum rag_status damaged(const struct reader *r, const char *what)
{
    return rag_fail(r->reterr, RAG_EFORMAT, "bm25 snapshot '%s': %s", r->path, what);
}

static enum rag_status read_all(struct reader *r, void *data, uint64_t n)
{
    uint8_t *at = data;

    if (n > r->left)
        return damaged(r, "cut short");
    r->left -= n;
    while (n > 0) {
        ssize_t got = read(r->fd, at, n < READ_BYTES_MAX ? (size_t)n : READ_BYTES_MAX);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rag_fail_errno(r->reterr, RAG_EIO, errno, "bm25 snapshot '%s': cannot read",
                                  r->path);
        if (got == 0)
            return damaged(r, "cut short");
        at += got;
        n -= (uint64_t)got;
    }
    return RAG_OK;
}

static enum rag_status read_head(struct reader *r, const char *binding, struct head *ret_head,
                                 struct record *ret_records)
{
    uint64_t file_bytes = r->left;
    char text[BM25_BINDING_BYTES_MAX + 8];
    enum rag_status status = read_all(r, ret_head, sizeof *ret_head);

    if (status != RAG_OK)
        return status;
    if (memcmp(ret_head->magic, MAGIC, sizeof ret_head->magic) != 0)
        return damaged(r, "not a snapshot");
    if (ret_head->version != VERSION)
        return rag_fail(r->reterr, RAG_EFORMAT,
                        "bm25 snapshot '%s': version %" PRIu32 ", this program reads %u", r->path,
                        ret_head->version, VERSION);
    if (ret_head->file_bytes != file_bytes || ret_head->zero != 0 ||
        ret_head->binding_bytes > BM25_BINDING_BYTES_MAX ||
        ret_head->n_segments > BM25_SEGMENTS_MAX)
        return damaged(r, "a wrong size, or cut short");
    status = read_all(r, text, round8(ret_head->binding_bytes));
    if (status == RAG_OK)
        status = read_all(r, ret_records, ret_head->n_segments * sizeof *ret_records);
    if (status != RAG_OK)
        return status;
    if (r->check_sums && ret_head->sum != head_sum(ret_head, text, ret_records))
        return damaged(r, "the checksum of its head is wrong");
    if (ret_head->binding_bytes != strlen(binding) ||
        memcmp(text, binding, ret_head->binding_bytes) != 0)
        return damaged(r, "made with another analyzer or chunker");
    return RAG_OK;
}

static enum rag_status read_owners(struct reader *r, const struct head *head,
                                   struct owner **ret_owners)
{
    struct owner *owners;
    enum rag_status status;

    if (head->n_owners > r->left / sizeof *owners)
        return damaged(r, "cut short");
    owners = malloc((size_t)(head->n_owners + 1) * sizeof *owners);
    if (!owners)
        return rag_fail(r->reterr, RAG_ENOMEM, "bm25 snapshot '%s': out of memory", r->path);
    *ret_owners = owners; /* the caller's, also on failure */
    status = read_all(r, owners, head->n_owners * sizeof *owners);
    if (status == RAG_OK && r->check_sums &&
        head->owners_sum != XXH3_64bits(owners, (size_t)head->n_owners * sizeof *owners))
        return damaged(r, "the checksum of its owners is wrong");
    for (uint64_t i = 0; i < head->n_owners && status == RAG_OK; i++)
        if (owners[i].n < 2 || owners[i].n > UINT32_MAX ||
            (i > 0 && owners[i].id <= owners[i - 1].id))
            return damaged(r, "its owners are out of order");
    return status;
}

struct dead_count {
    const struct bm25_segment *s;
    struct bm25_deltas deltas;
    uint64_t seq;
};

static enum rag_status count_dead(void *context, uint32_t i_term, const uint32_t *docs, uint32_t n)
{
    struct dead_count *c = context;
    int64_t n_dead = 0;

    for (uint32_t i = 0; i < n; i++)
        n_dead += bm25_segment_dead(c->s, docs[i], c->seq);
    return n_dead ? bm25_deltas_add(&c->deltas, c->s->terms[i_term], -n_dead) : RAG_OK;
}

static enum rag_status read_dead(struct reader *r, const struct record *record,
                                 struct bm25_segment *s, uint64_t seq)
{
    uint64_t bytes = round8((uint64_t)record->n_dead * 4);
    uint32_t *dead;
    enum rag_status status;

    if (record->n_dead > record->n_docs || bytes > r->left)
        return damaged(r, "more removed passages than passages");
    dead = malloc((size_t)bytes + 8);
    if (!dead || (record->n_dead && bm25_segment_reserve_dead(s) != RAG_OK)) {
        free(dead);
        return rag_fail(r->reterr, RAG_ENOMEM, "bm25 snapshot '%s': out of memory", r->path);
    }
    status = read_all(r, dead, bytes);
    if (status == RAG_OK && r->check_sums && record->dead_sum != XXH3_64bits(dead, (size_t)bytes))
        status = damaged(r, "the checksum of its removals is wrong");
    for (uint32_t i = 0; i < record->n_dead && status == RAG_OK; i++) {
        if (dead[i] >= record->n_docs || (i > 0 && dead[i] <= dead[i - 1]))
            status = damaged(r, "its removals are out of order");
        else
            bm25_segment_mark_dead(s, dead[i], seq);
    }
    free(dead);
    return status;
}

/* Read one segment into the view (which owns it then) and count it there. */
static enum rag_status read_segment(struct reader *r, const struct record *record,
                                    struct bm25_view *view, struct bm25_deltas *gone)
{
    struct bm25_shape shape = {record->n_docs, record->n_terms, record->lists_bytes};
    size_t bytes = bm25_image_bytes(&shape);
    struct dead_count count = {.seq = view->seq};
    struct bm25_segment *s;
    enum rag_status status;

    if (record->zero != 0 || record->n_docs > BM25_PASSAGES_MAX || record->lists_bytes % 8 != 0 ||
        bytes == 0 || bytes > r->left)
        return damaged(r, "a segment larger than the file");
    if (bm25_segment_new(&shape, &s) != RAG_OK)
        return rag_fail(r->reterr, RAG_ENOMEM, "bm25 snapshot '%s': out of memory", r->path);
    view->segments[view->n_segments++] = s; /* the view's from here on */
    status = read_all(r, s->image, bytes);
    if (status == RAG_OK && r->check_sums && record->image_sum != XXH3_64bits(s->image, bytes))
        status = damaged(r, "the checksum of a segment is wrong");
    if (status == RAG_OK)
        status = read_dead(r, record, s, view->seq);
    if (status != RAG_OK)
        return status;
    count.s = s;
    count.deltas = *gone;
    status =
        bm25_segment_check(s, record->lists_used, s->n_dead ? count_dead : NULL, &count, r->reterr);
    *gone = count.deltas;
    view->n_live += s->shape.n_docs - s->n_dead;
    for (uint32_t d = 0; d < s->shape.n_docs && status == RAG_OK; d++)
        if (!bm25_segment_dead(s, d, view->seq))
            view->total_length += s->lengths[d];
    return status;
}

/* An id may be live in one segment only, and what has two owners must be live. */
static enum rag_status check_ids(const struct reader *r, const struct bm25_view *view,
                                 const struct owner *owners, uint64_t n_owners)
{
    struct bm25_walk walk = {{0}};
    uint64_t before = 0;
    uint64_t id;
    bool any = false;
    uint64_t o = 0;

    if (view->n_live > BM25_PASSAGES_MAX)
        return damaged(r, "too many passages");
    while (bm25_walk_next(&walk, view, &id)) {
        if (any && id == before)
            return damaged(r, "a passage is there twice");
        any = true;
        before = id;
        if (o < n_owners && owners[o].id == id)
            o++;
    }
    return o == n_owners ? RAG_OK : damaged(r, "an owner of a passage that is not there");
}

static enum rag_status read_index(struct reader *r, const char *binding,
                                  const struct bm25_options *options, struct bm25 **ret)
{
    struct head head = {.n_segments = 0};
    struct record records[BM25_SEGMENTS_MAX];
    struct owner *owners = NULL;
    struct bm25_deltas gone = {0};
    struct bm25_run *run = NULL;
    struct bm25 *index = NULL;
    struct bm25_view *view;
    enum rag_status status = bm25_new(options, &index);

    if (status != RAG_OK)
        return rag_fail(r->reterr, status, "bm25 snapshot '%s': k1 or b out of range, or no memory",
                        r->path);
    view = index->view;
    view->seq = 1;
    status = read_head(r, binding, &head, records);
    if (status == RAG_OK)
        status = read_owners(r, &head, &owners);
    for (uint32_t i = 0; status == RAG_OK && i < head.n_segments; i++)
        status = read_segment(r, &records[i], view, &gone);
    if (status == RAG_OK && r->left != 0)
        status = damaged(r, "bytes after its end");
    if (status == RAG_OK)
        status = check_ids(r, view, owners, head.n_owners);
    if (status == RAG_OK) {
        view->change = head.change;
        status = bm25_run_new(gone.terms, gone.deltas, gone.n, &run);
        if (status == RAG_OK)
            status = bm25_view_push_run(view, run);
        if (status == RAG_OK)
            status = bm25_owners_reserve(&index->owners, (size_t)head.n_owners);
        for (uint64_t i = 0; i < head.n_owners && status == RAG_OK; i++)
            bm25_owners_set(&index->owners, owners[i].id, (uint32_t)owners[i].n);
        if (status != RAG_OK)
            (void)rag_fail(r->reterr, status, "bm25 snapshot '%s': out of memory", r->path);
    }
    bm25_deltas_release(&gone);
    free(owners);
    if (status != RAG_OK)
        bm25_free(index);
    else
        *ret = index;
    return status;
}

enum rag_status bm25_load_fd(int fd, const char *name, bool check_sums, const char *binding,
                             const struct bm25_options *options, struct bm25 **ret,
                             struct rag_error *reterr)
{
    struct reader r = {.fd = fd, .path = name, .check_sums = check_sums, .reterr = reterr};
    struct stat sb;

    if (fstat(fd, &sb) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "bm25 snapshot '%s': cannot stat", name);
    if (!S_ISREG(sb.st_mode))
        return rag_fail(reterr, RAG_EFORMAT, "bm25 snapshot '%s': not a file", name);
    r.left = (uint64_t)sb.st_size;
    return read_index(&r, binding, options, ret);
}

enum rag_status bm25_load(const char *path, const char *binding, const struct bm25_options *options,
                          struct bm25 **ret, struct rag_error *reterr)
{
    enum rag_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return rag_fail_errno(reterr, errno == ENOENT ? RAG_ENOTFOUND : RAG_EIO, errno,
                              "bm25 snapshot '%s': cannot open", path);
    status = bm25_load_fd(fd, path, true, binding, options, ret, reterr);
    (void)close(fd);
    return status;
}
