#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_files.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "text/nfc.h"

struct suffix {
    const char *suffix;
    const char *content_type;
};

static const struct suffix suffixes[] = {
    {".txt",      "text/plain"          },
    {".text",     "text/plain"          },
    {".md",       "text/markdown"       },
    {".markdown", "text/markdown"       },
    {".html",     "text/html"           },
    {".htm",      "text/html"           },
    {".json",     "application/json"    },
    {".ndjson",   "application/x-ndjson"},
    {".jsonl",    "application/x-ndjson"},
};

const char *ragctl_files_type(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t suffix_bytes = strlen(suffixes[i].suffix);

        if (n > suffix_bytes && strcasecmp(name + n - suffix_bytes, suffixes[i].suffix) == 0)
            return suffixes[i].content_type;
    }
    return NULL;
}

void ragctl_files_release(struct ragctl_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->items[i].path);
        free(files->items[i].name);
    }
    free(files->items);
    memset(files, 0, sizeof *files);
}

/* prefix + name in NFC, malloc'ed. macOS hands out decomposed names. */
static enum rag_status document_name(const char *path, const char *prefix, const char *name,
                                     char **ret, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf out;

    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return rag_fail(reterr, RAG_EINVAL,
                            "file '%s': its name holds a control character; rename it", path);
    }
    buf_init(&out, DOCUMENT_NAME_BYTES_MAX);
    status = nfc_append(prefix, strlen(prefix), &out, NULL);
    if (status == RAG_OK)
        status = nfc_append(name, strlen(name), &out, NULL);
    if (status == RAG_OK)
        status = buf_take(&out, ret, NULL);
    buf_release(&out);
    if (status == RAG_EFORMAT)
        return rag_fail(reterr, RAG_EINVAL, "file '%s': its name is not UTF-8; rename it", path);
    if (status == RAG_ELIMIT)
        return rag_fail(reterr, RAG_EINVAL,
                        "file '%s': the document name would be over the limit of %d bytes", path,
                        DOCUMENT_NAME_BYTES_MAX);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "file '%s': out of memory", path);
    return RAG_OK;
}

static enum rag_status append(struct ragctl_files *files, const char *path, const char *prefix,
                              const char *name, const char *content_type, uint64_t n_bytes,
                              struct rag_error *reterr)
{
    struct ragctl_file file = {.content_type = content_type, .n_bytes = n_bytes};
    enum rag_status status;

    if (files->n == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 64;
        struct ragctl_file *grown = reallocarray(files->items, cap, sizeof *grown);

        if (!grown)
            return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        files->items = grown;
        files->cap = cap;
    }
    file.records = strcmp(content_type, "application/x-ndjson") == 0;
    status = document_name(path, prefix, name, &file.name, reterr);
    if (status != RAG_OK)
        return status;
    if (strcmp(path, "-") != 0) {
        file.path = strdup(path);
        if (!file.path) {
            free(file.name);
            return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        }
    }
    files->items[files->n++] = file; /* owns path and name from here on */
    files->n_bytes += n_bytes;
    return RAG_OK;
}

static void unreadable(struct ragctl_files *files, const struct ragctl_files_options *options,
                       const char *path, const char *why)
{
    files->n_unreadable++;
    options->on_unreadable(options->context, path, why);
}

static enum rag_status take_entry(struct ragctl_files *files, FTS *fts, FTSENT *entry,
                                  const char *below, const struct ragctl_files_options *options,
                                  struct rag_error *reterr)
{
    struct rag_error error = {0};
    enum rag_status status;
    const char *type;
    struct stat sb;

    if (entry->fts_level > 0 && entry->fts_name[0] == '.' && entry->fts_info != FTS_DP) {
        files->n_hidden++;
        fts_set(fts, entry, FTS_SKIP);
        return RAG_OK;
    }
    switch (entry->fts_info) {
    case FTS_D:
    case FTS_DP:
        return RAG_OK;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        unreadable(files, options, entry->fts_path, strerror(entry->fts_errno));
        return RAG_OK;
    case FTS_SLNONE:
        unreadable(files, options, entry->fts_path, "link to nothing");
        return RAG_OK;
    default:
        break;
    }
    type = ragctl_files_type(entry->fts_name);
    if (!type || stat(entry->fts_accpath, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        files->n_unsupported++;
        return RAG_OK;
    }
    status =
        append(files, entry->fts_path, options->prefix, below, type, (uint64_t)sb.st_size, &error);
    /* A name that no document can have is this file's fault alone. */
    if (status == RAG_EINVAL) {
        unreadable(files, options, entry->fts_path, error.text);
        return RAG_OK;
    }
    return status == RAG_OK ? RAG_OK : rag_fail(reterr, status, "%s", error.text);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum rag_status add_folder(struct ragctl_files *files, const char *path,
                                  const struct ragctl_files_options *options,
                                  struct rag_error *reterr)
{
    char *root = strdup(path);
    char *paths[2] = {root, NULL};
    enum rag_status status = RAG_OK;
    size_t root_bytes;
    FTSENT *entry;
    FTS *fts;

    if (!root)
        return rag_fail(reterr, RAG_ENOMEM, "folder '%s': out of memory", path);
    root_bytes = strlen(root);
    while (root_bytes > 1 && root[root_bytes - 1] == '/')
        root[--root_bytes] = '\0';
    fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!fts) {
        status = rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': cannot be read", path);
        goto out;
    }
    while (status == RAG_OK && (entry = fts_read(fts)) != NULL) {
        const char *below = entry->fts_path + root_bytes;

        while (*below == '/')
            below++;
        status = take_entry(files, fts, entry, below, options, reterr);
    }
    fts_close(fts);
out:
    free(root);
    return status;
}

static enum rag_status add_file(struct ragctl_files *files, const char *path, uint64_t n_bytes,
                                const struct ragctl_files_options *options,
                                struct rag_error *reterr)
{
    const char *slash = strrchr(path, '/');
    const char *name = options->name ? options->name : slash ? slash + 1 : path;
    const char *type = options->content_type;

    if (!type)
        type = ragctl_files_type(path);
    if (!type)
        type = ragctl_files_type(name);
    if (!type)
        return rag_fail(reterr, RAG_EINVAL,
                        "file '%s': its suffix is none of .txt .md .html .json .ndjson; "
                        "--type says what it is",
                        path);
    files->singles = true;
    return append(files, path, options->prefix, name, type, n_bytes, reterr);
}

enum rag_status ragctl_files_add(struct ragctl_files *files, const char *path,
                                 const struct ragctl_files_options *options,
                                 struct rag_error *reterr)
{
    struct stat sb;

    if (strcmp(path, "-") == 0)
        return add_file(files, path, 0, options, reterr);
    if (stat(path, &sb) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be read", path);
    if (S_ISDIR(sb.st_mode)) {
        if (options->name)
            return rag_fail(reterr, RAG_EINVAL,
                            "folder '%s': --name is for one file; --prefix is for folders", path);
        files->folders = true;
        return add_folder(files, path, options, reterr);
    }
    if (!S_ISREG(sb.st_mode) && !S_ISFIFO(sb.st_mode))
        return rag_fail(reterr, RAG_EINVAL, "file '%s': neither a file nor a folder", path);
    return add_file(files, path, (uint64_t)sb.st_size, options, reterr);
}

static int by_document(const void *a, const void *b)
{
    const struct ragctl_file *x = a;
    const struct ragctl_file *y = b;

    return strcmp(x->name, y->name);
}

enum rag_status ragctl_files_sort(struct ragctl_files *files, struct rag_error *reterr)
{
    if (files->n > 1)
        qsort(files->items, files->n, sizeof files->items[0], by_document);
    for (size_t i = 1; i < files->n; i++) {
        const struct ragctl_file *a = &files->items[i - 1];
        const struct ragctl_file *b = &files->items[i];

        /* The name of a record file is not the name of any document. */
        if (!a->records && !b->records && strcmp(a->name, b->name) == 0)
            return rag_fail(reterr, RAG_EEXIST,
                            "document '%s': both '%s' and '%s' would be it; ingest them apart, "
                            "with --prefix",
                            a->name, a->path ? a->path : "-", b->path ? b->path : "-");
    }
    return RAG_OK;
}
