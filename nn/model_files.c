#define _GNU_SOURCE
#include "nn/model_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"

#define DIGEST_BLOCK_BYTES (1u << 20)
#define PATH_BYTES_MAX     4096

static enum rag_status path_of(const char *dir, const char *name, char ret[PATH_BYTES_MAX],
                               struct rag_error *reterr)
{
    int n = snprintf(ret, PATH_BYTES_MAX, "%s/%s", dir, name);

    if (n < 0 || n >= PATH_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "model '%.200s': path over %d bytes", dir,
                        PATH_BYTES_MAX);
    return RAG_OK;
}

/* A regular file, open for reading, with its size. */
static enum rag_status open_regular(const char *path, int *ret_fd, uint64_t *ret_size,
                                    struct rag_error *reterr)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return rag_fail(reterr, RAG_ENOTFOUND, "file '%s': not there", path);
    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': not a regular file", path);
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return RAG_OK;
}

/* Fill data from the file at 'offset'. False: read error (errno) or the file ends early (0). */
static bool read_exactly(int fd, char *data, size_t n, uint64_t offset)
{
    while (n > 0) {
        ssize_t got = pread(fd, data, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? 0 : errno;
            return false;
        }
        data += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

static enum rag_status read_failed(const char *path, int errnum, struct rag_error *reterr)
{
    if (errnum == 0)
        return rag_fail(reterr, RAG_EIO, "file '%s': became shorter while it was read", path);
    return rag_fail_errno(reterr, RAG_EIO, errnum, "file '%s': cannot read", path);
}

enum rag_status model_json(const char *dir, const char *name, struct json **ret,
                           struct rag_error *reterr)
{
    char path[PATH_BYTES_MAX];
    enum rag_status status;
    uint64_t size = 0;
    char *text = NULL;
    int fd = -1;

    status = path_of(dir, name, path, reterr);
    if (status == RAG_OK)
        status = open_regular(path, &fd, &size, reterr);
    if (status != RAG_OK)
        return status;
    if (size > MODEL_JSON_BYTES_MAX) {
        status = rag_fail(reterr, RAG_ELIMIT, "file '%s': %llu bytes, the limit is %u", path,
                          (unsigned long long)size, MODEL_JSON_BYTES_MAX);
        goto out;
    }
    text = malloc(size + 1);
    if (!text) {
        status = rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        goto out;
    }
    if (!read_exactly(fd, text, size, 0)) {
        status = read_failed(path, errno, reterr);
        goto out;
    }
    status = json_parse(text, size, path, ret, reterr);
out:
    free(text);
    close(fd);
    return status;
}

/* ---- names ---- */

bool model_file_ends(const char *name, const char *ending)
{
    size_t n = strlen(name);
    size_t n_ending = strlen(ending);

    return n > n_ending && strcmp(name + n - n_ending, ending) == 0;
}

struct part {
    const char *begin;
    size_t n;
};

/* The last part of path[0, *n), which is then cut before it. Empty when none is left. */
static struct part cut_last_part(const char *path, size_t *n)
{
    size_t end = *n;
    size_t begin;

    while (end > 0 && path[end - 1] == '/')
        end--;
    begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *n = begin;
    return (struct part){path + begin, end - begin};
}

static bool part_is(struct part p, const char *text)
{
    return p.n == strlen(text) && memcmp(p.begin, text, p.n) == 0;
}

/* "models--org--name" as "org/name". */
static char *repository_name(struct part p)
{
    static const char prefix[] = "models--";
    size_t n_prefix = sizeof prefix - 1;
    char *name;
    char *dashes;

    if (p.n <= n_prefix || memcmp(p.begin, prefix, n_prefix) != 0)
        return NULL;
    name = strndup(p.begin + n_prefix, p.n - n_prefix);
    dashes = name ? strstr(name, "--") : NULL;
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return name;
}

char *model_dir_name(const char *dir)
{
    size_t n = strlen(dir);
    struct part last = cut_last_part(dir, &n);
    char *name = NULL;

    if (part_is(last, ".") || part_is(last, "..")) {
        char *whole = realpath(dir, NULL);

        if (whole && strcmp(whole, "/") != 0) /* a real path does not end in "." */
            name = model_dir_name(whole);
        free(whole);
    } else if (part_is(cut_last_part(dir, &n), "snapshots")) {
        name = repository_name(cut_last_part(dir, &n));
    }
    if (name)
        return name;
    return last.n > 0 ? strndup(last.begin, last.n) : strdup(dir);
}

/* ---- limits ---- */

enum rag_status model_max_length(const char *dir, size_t *ret, struct rag_error *reterr)
{
    struct json *config = NULL;
    enum rag_status status = model_json(dir, "tokenizer_config.json", &config, reterr);
    double value;

    if (status == RAG_ENOTFOUND) {
        *ret = 0;
        return RAG_OK;
    }
    if (status != RAG_OK)
        return status;
    value = json_number(json_member(config, "model_max_length"));
    /* NaN, nonsense and transformers' int(1e30) alike say nothing about the model */
    *ret = value >= 1.0 && value <= (double)(1u << 30) ? (size_t)value : 0;
    json_free(config);
    return RAG_OK;
}

/* ---- digest ---- */

struct file_list {
    char *names[MODEL_FILES_MAX]; /* owned */
    size_t n;
};

static void file_list_release(struct file_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    list->n = 0;
}

static bool is_part_of_a_model(const char *name)
{
    static const char *const exact[] = {
        "config.json",     "tokenizer.json", "tokenizer_config.json",
        "tokenizer.model", "vocab.txt",      "model.safetensors.index.json"};
    static const char *const endings[] = {".safetensors", ".gguf"};

    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        if (strcmp(name, exact[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (name[0] != '.' && model_file_ends(name, endings[i]))
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum rag_status list_files(const char *dir, struct file_list *ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    DIR *d = opendir(dir);

    if (!d)
        return rag_fail_errno(reterr, errno == ENOENT ? RAG_ENOTFOUND : RAG_EIO, errno,
                              "model '%s': cannot list", dir);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!is_part_of_a_model(e->d_name))
            continue;
        if (ret->n == MODEL_FILES_MAX) {
            status = rag_fail(reterr, RAG_ELIMIT, "model '%s': more than %d files", dir,
                              MODEL_FILES_MAX);
            break;
        }
        ret->names[ret->n] = strdup(e->d_name);
        if (!ret->names[ret->n]) {
            status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
            break;
        }
        ret->n++;
    }
    closedir(d);
    qsort(ret->names, ret->n, sizeof ret->names[0], by_name);
    return status;
}

struct block_job {
    int fd;
    uint64_t size;
    uint8_t *digests;  /* [n_blocks, SHA256_BYTES] */
    atomic_int failed; /* enum rag_status of the first failure, or RAG_OK */
    atomic_int errnum; /* of it */
};

static void digest_block(void *context, size_t item, size_t thread)
{
    struct block_job *job = context;
    uint64_t offset = (uint64_t)item * DIGEST_BLOCK_BYTES;
    uint64_t left = job->size - offset;
    size_t n = left < DIGEST_BLOCK_BYTES ? (size_t)left : DIGEST_BLOCK_BYTES;
    enum rag_status status = RAG_ENOMEM;
    char *data = NULL;

    (void)thread;
    if (atomic_load_explicit(&job->failed, memory_order_relaxed) != RAG_OK)
        return;
    data = malloc(n);
    if (data && !read_exactly(job->fd, data, n, offset)) {
        atomic_store(&job->errnum, errno);
        status = RAG_EIO;
    } else if (data) {
        status = sha256(data, n, job->digests + item * SHA256_BYTES);
    }
    if (status != RAG_OK)
        atomic_store(&job->failed, (int)status);
    free(data);
}

enum rag_status model_file_digest(const char *path, struct compute_pool *pool,
                                  uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr)
{
    struct block_job job = {.fd = -1};
    struct sha256_part parts[2];
    uint8_t size_le[8]; /* one fingerprint on every machine */
    enum rag_status status;
    size_t n_blocks;

    status = open_regular(path, &job.fd, &job.size, reterr);
    if (status != RAG_OK)
        return status;
    n_blocks = (size_t)((job.size + DIGEST_BLOCK_BYTES - 1) / DIGEST_BLOCK_BYTES);
    job.digests = calloc(n_blocks + 1, SHA256_BYTES);
    if (!job.digests) {
        status = rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        goto out;
    }
    if (n_blocks < 2) { /* not worth waking anybody */
        for (size_t i = 0; i < n_blocks; i++)
            digest_block(&job, i, 0);
    } else {
        compute_pool_run(pool, n_blocks, digest_block, &job);
    }
    status = (enum rag_status)atomic_load(&job.failed);
    if (status == RAG_EIO) {
        read_failed(path, atomic_load(&job.errnum), reterr);
        goto out;
    }
    for (size_t i = 0; i < sizeof size_le; i++)
        size_le[i] = (uint8_t)(job.size >> (8 * i));
    parts[0] = (struct sha256_part){size_le, sizeof size_le};
    parts[1] = (struct sha256_part){job.digests, n_blocks * SHA256_BYTES};
    if (status == RAG_OK)
        status = sha256_parts(parts, 2, ret_digest);
    if (status != RAG_OK)
        rag_fail(reterr, status, "file '%s': out of memory while hashing", path);
out:
    free(job.digests);
    close(job.fd);
    return status;
}

enum rag_status model_digest(const char *dir, struct compute_pool *pool,
                             uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr)
{
    uint8_t digests[MODEL_FILES_MAX][SHA256_BYTES];
    struct sha256_part parts[2 * MODEL_FILES_MAX];
    struct file_list files = {0};
    char path[PATH_BYTES_MAX];
    enum rag_status status = list_files(dir, &files, reterr);

    for (size_t i = 0; status == RAG_OK && i < files.n; i++) {
        status = path_of(dir, files.names[i], path, reterr);
        if (status == RAG_OK)
            status = model_file_digest(path, pool, digests[i], reterr);
        parts[2 * i] = (struct sha256_part){files.names[i], strlen(files.names[i])};
        parts[2 * i + 1] = (struct sha256_part){digests[i], SHA256_BYTES};
    }
    if (status == RAG_OK && sha256_lengths(parts, 2 * files.n, ret_digest) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory while hashing", dir);
    file_list_release(&files);
    return status;
}
