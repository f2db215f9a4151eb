/* Snapshots: one view in a file. docs/FORMATS.md has the table.
 *
 * Little-endian. The head and everything behind it carry an XXH3-64. Loading reads the file
 * into memory of its own (a mapping could be cut or changed under a search) and believes nothing:
 * neither the search nor FAISS checks a row number again, and a NaN would win every comparison. */
#define _GNU_SOURCE
#include "store/vector_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/atomic_file.h"
#include "store/vector_view.h"

#define MAGIC             "ragvec"
#define VERSION           1u
#define READ_BYTES_MAX    (1u << 30) /* of one read(2): Linux takes no more than 2 GiB */
#define NOUN              "vector snapshot"
/* A stored vector's length: what was added, and what rounding to the storage made of it. */
#define STORED_LENGTH_TOL (VECTOR_LENGTH_TOL + 1e-2)

struct head { /* 96 bytes */
    char magic[8];
    uint32_t version;
    uint32_t storage;
    uint32_t dim;
    uint32_t m;
    uint64_t change;
    uint64_t file_bytes;
    uint64_t n_rows;
    uint64_t n_graph; /* rows that the graph covers; 0: no graph */
    uint64_t n_links;
    int32_t entry_point;
    int32_t max_level;
    uint32_t binding_bytes;
    uint32_t zero;
    uint64_t body_sum; /* of everything behind the binding text */
    uint64_t sum;      /* of the head with sum 0, and the binding text with its padding */
};

_Static_assert(sizeof(struct head) == 96, "the head is stored as it is");

static uint64_t round8(uint64_t n)
{
    return (n + 7) & ~(uint64_t)7;
}

static uint64_t n_dead_words(uint64_t n_rows)
{
    return (n_rows + 63) / 64;
}

/* Of everything behind the binding. No overflow: the counts are at most VECTORS_MAX rows with at
 * most VECTOR_M_MAX * (VECTOR_LEVELS_MAX + 1) links each. */
static uint64_t body_bytes(const struct head *h, const struct vector_rows *rows)
{
    uint64_t row = 8 + rows->code_bytes;

    if (rows->storage == VECTOR_INT8)
        row += rows->padded;
    return h->n_rows * row + n_dead_words(h->n_rows) * 8 +
           (rows->storage == VECTOR_INT8 ? round8(h->n_rows * 4) : 0) + round8(h->n_graph) +
           round8(h->n_links * 4);
}

static uint64_t head_sum(const struct head *head, const char *binding)
{
    struct head blank = *head;
    XXH3_state_t *state = XXH3_createState();
    uint64_t sum;

    if (!state)
        return 0; /* then the file is refused, not believed */
    blank.sum = 0;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, &blank, sizeof blank);
    XXH3_64bits_update(state, binding, (size_t)round8(head->binding_bytes));
    sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}

/* ---- parts of the body, in the order of the file ---- */

/* What a part is done with: hashed, written, read. */
struct sink {
    enum rag_status (*put)(struct sink *sink, void *data, uint64_t n);
    XXH3_state_t *hash;
    struct atomic_file *file; /* writing */
    int fd;                   /* reading, as the next ones */
    uint64_t left;            /* bytes of the file not yet read */
    const char *name;
    struct rag_error *reterr;
};

static enum rag_status put_hash(struct sink *sink, void *data, uint64_t n)
{
    (void)XXH3_64bits_update(sink->hash, data, (size_t)n);
    return RAG_OK;
}

static enum rag_status put_write(struct sink *sink, void *data, uint64_t n)
{
    return atomic_file_write(sink->file, data, n, sink->reterr);
}

static enum rag_status pad(struct sink *sink, uint64_t n)
{
    uint64_t zeros = 0;

    return n % 8 ? sink->put(sink, &zeros, 8 - n % 8) : RAG_OK;
}

/* How many rows of block i are below n. */
static size_t rows_of_block(uint64_t n, size_t i)
{
    uint64_t left = n - (uint64_t)i * VECTOR_BLOCK;

    return left < VECTOR_BLOCK ? (size_t)left : VECTOR_BLOCK;
}

static size_t n_blocks(uint64_t n)
{
    return (size_t)((n + VECTOR_BLOCK - 1) / VECTOR_BLOCK);
}

/* ids, dead rows, codes, low bytes, scales */
static enum rag_status put_rows(struct sink *sink, const struct vector_rows *rows, uint64_t n,
                                uint64_t *dead, float *scales)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < n_blocks(n) && status == RAG_OK; i++)
        status = sink->put(sink, rows->blocks[i]->ids, rows_of_block(n, i) * 8);
    if (status == RAG_OK)
        status = sink->put(sink, dead, n_dead_words(n) * 8);
    for (size_t i = 0; i < n_blocks(n) && status == RAG_OK; i++)
        status = sink->put(sink, rows->blocks[i]->codes, rows_of_block(n, i) * rows->code_bytes);
    if (rows->storage != VECTOR_INT8)
        return status;
    for (size_t i = 0; i < n_blocks(n) && status == RAG_OK; i++)
        status = sink->put(sink, rows->blocks[i]->low, rows_of_block(n, i) * rows->padded);
    if (status == RAG_OK)
        status = sink->put(sink, scales, n * 4);
    return status == RAG_OK ? pad(sink, n * 4) : status;
}

/* ---- writing ---- */

struct snapshot {
    struct vector_view *view;
    uint64_t *dead;
    float *scales;
    uint8_t *levels;
};

static void snapshot_release(struct snapshot *x)
{
    free(x->dead);
    free(x->scales);
    free(x->levels);
    vector_view_unref(x->view);
}

static enum rag_status snapshot_take(struct vector_index *ix, struct snapshot *x)
{
    size_t n_graph;

    memset(x, 0, sizeof *x);
    x->view = vector_view_get(ix);
    n_graph = vector_view_n_graph(x->view);
    x->dead = calloc((size_t)n_dead_words(x->view->n_rows) + 1, sizeof *x->dead);
    x->scales = calloc(x->view->n_rows + 1, sizeof *x->scales);
    x->levels = calloc((size_t)round8(n_graph) + 1, sizeof *x->levels);
    if (!x->dead || !x->scales || !x->levels)
        return RAG_ENOMEM;
    for (size_t r = 0; r < x->view->n_rows; r++) {
        if (vector_rows_dead(x->view->rows, (uint32_t)r, x->view->seq))
            x->dead[r / 64] |= 1ull << (r % 64);
        if (x->view->rows->storage == VECTOR_INT8)
            x->scales[r] = vector_rows_scale(x->view->rows, (uint32_t)r);
    }
    for (size_t r = 0; r < n_graph; r++)
        x->levels[r] = (uint8_t)x->view->graph->links.levels[r];
    return RAG_OK;
}

static enum rag_status put_body(struct sink *sink, struct snapshot *x)
{
    const struct vector_links *links = x->view->graph ? &x->view->graph->links : NULL;
    enum rag_status status = put_rows(sink, x->view->rows, x->view->n_rows, x->dead, x->scales);
    uint64_t n_links;

    if (status != RAG_OK || !links)
        return status;
    n_links = links->offsets[links->n];
    status = sink->put(sink, x->levels, round8(links->n));
    if (status == RAG_OK)
        status = sink->put(sink, links->neighbors, n_links * 4);
    return status == RAG_OK ? pad(sink, n_links * 4) : status;
}

static struct head head_of(const struct vector_index *ix, const struct vector_view *view,
                           size_t binding_bytes, uint64_t change)
{
    const struct vector_links *links = view->graph ? &view->graph->links : NULL;
    struct head head = {
        .magic = MAGIC,
        .version = VERSION,
        .storage = (uint32_t)ix->options.storage,
        .dim = (uint32_t)ix->options.dim,
        .m = (uint32_t)ix->options.m,
        .change = change,
        .n_rows = view->n_rows,
        .n_graph = vector_view_n_graph(view),
        .n_links = links ? links->offsets[links->n] : 0,
        .entry_point = links ? links->entry_point : -1,
        .max_level = links ? links->max_level : -1,
        .binding_bytes = (uint32_t)binding_bytes,
    };

    head.file_bytes = sizeof head + round8(binding_bytes) + body_bytes(&head, view->rows);
    return head;
}

static enum rag_status write_snapshot(struct atomic_file *f, struct snapshot *x, struct head *head,
                                      const char *binding, struct rag_error *reterr)
{
    char text[VECTOR_BINDING_BYTES_MAX + 8] = {0};
    struct sink sink = {.put = put_hash, .file = f, .reterr = reterr};
    enum rag_status status;

    memcpy(text, binding, head->binding_bytes);
    sink.hash = XXH3_createState();
    if (!sink.hash)
        return rag_fail(reterr, RAG_ENOMEM, NOUN " '%s': out of memory", f->path);
    XXH3_64bits_reset(sink.hash);
    (void)put_body(&sink, x); /* hashing cannot fail */
    head->body_sum = XXH3_64bits_digest(sink.hash);
    XXH3_freeState(sink.hash);
    head->sum = head_sum(head, text);
    sink.put = put_write;
    status = put_write(&sink, head, sizeof *head);
    if (status == RAG_OK)
        status = put_write(&sink, text, round8(head->binding_bytes));
    return status == RAG_OK ? put_body(&sink, x) : status;
}

enum rag_status vector_index_save(struct vector_index *ix, const char *path, const char *binding,
                                  uint64_t change, struct rag_error *reterr)
{
    struct snapshot x;
    struct atomic_file f = {0};
    size_t n = strlen(binding);
    enum rag_status status;

    if (n > VECTOR_BINDING_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, NOUN " '%s': binding of %zu bytes, limit %u", path, n,
                        VECTOR_BINDING_BYTES_MAX);
    status = snapshot_take(ix, &x);
    if (status != RAG_OK)
        (void)rag_fail(reterr, status, NOUN " '%s': out of memory", path);
    if (status == RAG_OK)
        status = atomic_file_open(&f, NOUN, path, 0600, reterr);
    if (status == RAG_OK) {
        struct head head = head_of(ix, x.view, n, change);

        status = write_snapshot(&f, &x, &head, binding, reterr);
    }
    if (status == RAG_OK)
        status = atomic_file_commit(&f, reterr);
    atomic_file_close(&f);
    snapshot_release(&x);
    return status;
}

/* ---- reading ---- */

static enum rag_status damaged(const struct sink *r, const char *what)
{
    return rag_fail(r->reterr, RAG_EFORMAT, NOUN " '%s': %s", r->name, what);
}

static enum rag_status no_memory(const struct sink *r)
{
    return rag_fail(r->reterr, RAG_ENOMEM, NOUN " '%s': out of memory", r->name);
}

static enum rag_status put_read(struct sink *r, void *data, uint64_t n)
{
    uint8_t *at = data;
    uint64_t left = n;

    if (n > r->left)
        return damaged(r, "cut short");
    r->left -= n;
    while (left > 0) {
        ssize_t got = read(r->fd, at, left < READ_BYTES_MAX ? (size_t)left : READ_BYTES_MAX);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rag_fail_errno(r->reterr, RAG_EIO, errno, NOUN " '%s': cannot read", r->name);
        if (got == 0)
            return damaged(r, "cut short");
        at += got;
        left -= (uint64_t)got;
    }
    (void)XXH3_64bits_update(r->hash, data, (size_t)n);
    return RAG_OK;
}

static enum rag_status read_head(struct sink *r, bool check_sums, const char *binding,
                                 const struct vector_index *ix, struct head *ret)
{
    const struct vector_index_options *o = &ix->options;
    char text[VECTOR_BINDING_BYTES_MAX + 8];
    uint64_t file_bytes = r->left;
    enum rag_status status = put_read(r, ret, sizeof *ret);

    if (status != RAG_OK)
        return status;
    if (memcmp(ret->magic, MAGIC, sizeof MAGIC) != 0 || ret->magic[7] != 0)
        return damaged(r, "not a snapshot");
    if (ret->version != VERSION)
        return rag_fail(r->reterr, RAG_EFORMAT,
                        NOUN " '%s': version %" PRIu32 ", this program reads %u", r->name,
                        ret->version, VERSION);
    if (ret->binding_bytes > VECTOR_BINDING_BYTES_MAX || ret->zero != 0 ||
        ret->file_bytes != file_bytes)
        return damaged(r, "a wrong size, or cut short");
    status = put_read(r, text, round8(ret->binding_bytes));
    if (status != RAG_OK)
        return status;
    if (check_sums && ret->sum != head_sum(ret, text))
        return damaged(r, "the checksum of its head is wrong");
    if (ret->binding_bytes != strlen(binding) || memcmp(text, binding, ret->binding_bytes) != 0)
        return damaged(r, "made for another model or collection");
    if (ret->dim != o->dim || ret->storage != (uint32_t)o->storage)
        return rag_fail(r->reterr, RAG_EFORMAT,
                        NOUN " '%s': %" PRIu32 " dimensions in storage %" PRIu32
                             ", expected %zu in storage %d",
                        r->name, ret->dim, ret->storage, o->dim, (int)o->storage);
    if (ret->n_graph && (ret->m != o->m || !o->hnsw_min))
        return rag_fail(r->reterr, RAG_EFORMAT,
                        NOUN " '%s': a graph of m %" PRIu32 ", the configuration says m %zu%s",
                        r->name, ret->m, o->m, o->hnsw_min ? "" : " and no graph");
    return RAG_OK;
}

/* The counts against the file, before memory is asked for. */
static enum rag_status check_sizes(const struct sink *r, const struct head *h,
                                   const struct vector_rows *rows)
{
    uint64_t links_max = (uint64_t)VECTOR_M_MAX * (VECTOR_LEVELS_MAX + 1);

    if (h->n_rows > VECTORS_MAX || h->n_graph > h->n_rows || h->n_links > h->n_graph * links_max)
        return damaged(r, "its counts are impossible");
    if (body_bytes(h, rows) != r->left)
        return damaged(r, "a wrong size, or cut short");
    return RAG_OK;
}

static enum rag_status read_rows(struct sink *r, const struct head *h, struct vector_rows *rows,
                                 uint64_t **ret_dead)
{
    uint64_t *dead = calloc((size_t)n_dead_words(h->n_rows) + 1, sizeof *dead);
    float *scales = calloc((size_t)h->n_rows + 2, sizeof *scales);
    enum rag_status status = RAG_ENOMEM;

    if (dead && scales)
        status = vector_rows_reserve(rows, (size_t)h->n_rows);
    if (status != RAG_OK)
        status = no_memory(r);
    else
        status = put_rows(r, rows, h->n_rows, dead, scales);
    for (uint32_t i = 0; i < h->n_rows && status == RAG_OK && h->storage == VECTOR_INT8; i++)
        vector_rows_set_scale(rows, i, scales[i]);
    free(scales);
    if (status != RAG_OK) {
        free(dead);
        return status;
    }
    *ret_dead = dead;
    return RAG_OK;
}

/* Levels, then links, into a graph of FAISS's. */
static enum rag_status read_graph(struct sink *r, const struct head *h, struct vector_faiss *faiss,
                                  struct vector_links *ret)
{
    uint8_t *bytes = malloc((size_t)round8(h->n_graph));
    int *levels = malloc((size_t)h->n_graph * sizeof *levels);
    uint64_t n_links = 0;
    enum rag_status status = bytes && levels ? RAG_OK : no_memory(r);

    vector_faiss_links(faiss, ret);
    if (status == RAG_OK)
        status = put_read(r, bytes, round8(h->n_graph));
    for (uint64_t i = 0; i < h->n_graph && status == RAG_OK; i++) {
        levels[i] = bytes[i];
        if (bytes[i] > ret->n_levels)
            status = damaged(r, "a row with too many levels");
        else
            n_links += ret->cumulative[bytes[i]];
    }
    if (status == RAG_OK && n_links != h->n_links)
        status = damaged(r, "its levels and links do not match");
    if (status == RAG_OK &&
        vector_faiss_set_size(faiss, NULL, levels, (size_t)h->n_graph) != RAG_OK)
        status = no_memory(r);
    if (status == RAG_OK) {
        vector_faiss_set_entry(faiss, h->entry_point, h->max_level);
        vector_faiss_links(faiss, ret);
        status = put_read(r, ret->neighbors, n_links * 4);
    }
    if (status == RAG_OK) {
        uint64_t zeros = 0;

        status = n_links % 2 ? put_read(r, &zeros, 4) : RAG_OK;
    }
    free(levels);
    free(bytes);
    return status;
}

/* ---- checking what was read ---- */

/* Every stored vector finite, of length 1, with zeros behind it. */
static enum rag_status check_vectors(const struct sink *r, const struct head *h,
                                     const struct vector_rows *rows)
{
    float *vector = malloc(rows->dim * sizeof *vector);
    enum rag_status status = vector ? RAG_OK : no_memory(r);

    for (uint32_t i = 0; i < h->n_rows && status == RAG_OK; i++) {
        double length;

        vector_rows_get(rows, i, vector);
        (void)vector_is_unit(vector, rows->dim, &length);
        if (!(fabs(length - 1.0) <= STORED_LENGTH_TOL) || !vector_rows_padded(rows, i) ||
            (rows->storage == VECTOR_INT8 && !(vector_rows_scale(rows, i) > 0.0f)))
            status =
                rag_fail(r->reterr, RAG_EFORMAT, NOUN " '%s': vector %" PRIu64 " is no unit vector",
                         r->name, vector_rows_id(rows, i));
    }
    free(vector);
    return status;
}

/* The links of one row and level: rows that have the level, then -1. */
static bool links_are_good(const struct vector_links *l, size_t row, int level)
{
    const int32_t *at = l->neighbors + l->offsets[row] + l->cumulative[level];
    const int32_t *end = l->neighbors + l->offsets[row] + l->cumulative[level + 1];

    while (at < end && *at >= 0 && (size_t)*at < l->n && l->levels[*at] > level)
        at++;
    while (at < end && *at == -1)
        at++;
    return at == end;
}

static enum rag_status check_graph(const struct sink *r, const struct vector_links *l,
                                   const uint64_t *dead)
{
    bool none = l->entry_point == -1 && l->max_level == -1;

    if (!none && (l->entry_point < 0 || (size_t)l->entry_point >= l->n || l->max_level < 0 ||
                  l->levels[l->entry_point] != l->max_level + 1))
        return damaged(r, "its entry point is no row of the graph");
    for (size_t i = 0; i < l->n; i++) {
        if (l->levels[i] > l->max_level + 1)
            return damaged(r, "a row above the entry point");
        if (l->levels[i] == 0 && !(dead[i / 64] >> (i % 64) & 1))
            return damaged(r, "a live row that is not in the graph");
        for (int level = 0; level < l->levels[i]; level++)
            if (!links_are_good(l, i, level))
                return damaged(r, "a link to no row");
    }
    return RAG_OK;
}

/* Mark what is dead, and enter what lives into the table. */
static enum rag_status enter_rows(const struct sink *r, struct vector_index *ix,
                                  const uint64_t *dead)
{
    struct vector_view *view = ix->view;

    for (uint32_t i = 0; i < view->n_rows; i++) {
        if (dead[i / 64] >> (i % 64) & 1) {
            vector_rows_kill(view->rows, i, view->seq);
            continue;
        }
        vector_rows_kill(view->rows, i, 0);
        if (vector_table_reserve(&ix->table, view->rows, 1) != RAG_OK)
            return no_memory(r);
        if (vector_table_find(&ix->table, view->rows, vector_rows_id(view->rows, i)) !=
            VECTOR_NO_ROW)
            return damaged(r, "an id that is there twice");
        vector_table_insert(&ix->table, view->rows, i);
    }
    view->n_live = ix->table.n;
    return RAG_OK;
}

static enum rag_status check_body(const struct sink *r, const struct head *h, bool check_sums,
                                  struct vector_index *ix, const struct vector_links *links,
                                  const uint64_t *dead)
{
    enum rag_status status = RAG_OK;

    if (check_sums && h->body_sum != XXH3_64bits_digest(r->hash))
        return damaged(r, "the checksum of its vectors is wrong");
    if (links)
        status = check_graph(r, links, dead);
    if (status == RAG_OK)
        status = check_vectors(r, h, ix->view->rows);
    if (status == RAG_OK)
        status = enter_rows(r, ix, dead);
    return status;
}

/* Into an empty index. */
static enum rag_status read_index(struct sink *r, bool check_sums, const char *binding,
                                  struct vector_index *ix, uint64_t *ret_change)
{
    struct vector_view *view = ix->view;
    struct vector_faiss *faiss = NULL;
    struct vector_links links;
    uint64_t *dead = NULL;
    struct head head;
    enum rag_status status = read_head(r, check_sums, binding, ix, &head);

    if (status == RAG_OK)
        status = check_sizes(r, &head, view->rows);
    if (status != RAG_OK)
        return status;
    XXH3_64bits_reset(r->hash); /* the body's from here on */
    status = read_rows(r, &head, view->rows, &dead);
    if (status == RAG_OK && head.n_graph) {
        status = vector_faiss_new(ix->options.m, ix->options.ef_construction, &faiss);
        status = status == RAG_OK ? read_graph(r, &head, faiss, &links) : no_memory(r);
    }
    if (status == RAG_OK) {
        view->n_rows = (size_t)head.n_rows;
        view->seq = 1;
        status = check_body(r, &head, check_sums, ix, faiss ? &links : NULL, dead);
    }
    if (status == RAG_OK && faiss) {
        if (vector_graph_wrap(view->rows, faiss, &view->graph) != RAG_OK)
            status = no_memory(r);
        faiss = NULL; /* taken over */
    }
    if (status == RAG_OK)
        *ret_change = head.change;
    vector_faiss_free(faiss);
    free(dead);
    return status;
}

enum rag_status vector_load_fd(int fd, const char *name, bool check_sums, const char *binding,
                               const struct vector_index_options *options,
                               struct vector_index **ret, uint64_t *ret_change,
                               struct rag_error *reterr)
{
    struct sink r = {.put = put_read, .fd = fd, .name = name, .reterr = reterr};
    struct vector_index *ix = NULL;
    struct stat sb;
    enum rag_status status;

    if (fstat(fd, &sb) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, NOUN " '%s': cannot stat", name);
    if (!S_ISREG(sb.st_mode))
        return damaged(&r, "not a file");
    r.left = (uint64_t)sb.st_size;
    status = vector_index_new(options, &ix, reterr);
    if (status != RAG_OK)
        return status;
    r.hash = XXH3_createState();
    if (r.hash) {
        XXH3_64bits_reset(r.hash);
        status = read_index(&r, check_sums, binding, ix, ret_change);
    } else {
        status = no_memory(&r);
    }
    XXH3_freeState(r.hash);
    if (status != RAG_OK) {
        vector_index_free(ix);
        return status;
    }
    pthread_mutex_lock(&ix->change_lock);
    vector_build_wanted(ix);
    pthread_mutex_unlock(&ix->change_lock);
    *ret = ix;
    return RAG_OK;
}

enum rag_status vector_index_load(const char *path, const char *binding,
                                  const struct vector_index_options *options,
                                  struct vector_index **ret, uint64_t *ret_change,
                                  struct rag_error *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum rag_status status;

    if (fd < 0)
        return rag_fail_errno(reterr, errno == ENOENT ? RAG_ENOTFOUND : RAG_EIO, errno,
                              NOUN " '%s': cannot open", path);
    status = vector_load_fd(fd, path, true, binding, options, ret, ret_change, reterr);
    (void)close(fd);
    return status;
}
