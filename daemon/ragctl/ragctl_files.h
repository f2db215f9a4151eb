/* daemon/ragctl/ragctl_files.h - which files an ingest reads, and what their documents are called.
 *
 * A document's name does not depend on where the command was started: for a folder it is
 * the path below that folder ("policies/leave.md"), for a file its base name, both after
 * the prefix, in NFC. So running the same ingest again finds the same documents. */
#ifndef RAG_DAEMON_RAGCTL_FILES_H
#define RAG_DAEMON_RAGCTL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct ragctl_file {
    char *path;               /* as opened; owned; NULL: standard input */
    char *name;               /* of the document; owned */
    const char *content_type; /* static, or the caller's */
    uint64_t n_bytes;         /* when it was listed */
    bool records;             /* NDJSON: its lines name their own documents */
};

struct ragctl_files {
    struct ragctl_file *items; /* owned */
    size_t n;
    size_t cap;
    size_t n_hidden;      /* files and folders whose name begins with a dot */
    size_t n_unsupported; /* no suffix that ragd has a parser for; links to folders, devices */
    size_t n_unreadable;  /* folders and files that could not be listed */
    uint64_t n_bytes;
    bool folders; /* at least one argument was a folder */
    bool singles; /* at least one was a file */
};

struct ragctl_files_options {
    const char *prefix;       /* "" or what goes before each name */
    const char *name;         /* of the one file given, or NULL */
    const char *content_type; /* for files given by themselves, or NULL: by suffix */
    /* Told of each folder or file that could not be read; the rest goes on. */
    void (*on_unreadable)(void *context, const char *path, const char *why);
    void *context;
};

/* The Content-Type that a file's suffix stands for (in any case of letters), or NULL. */
const char *ragctl_files_type(const char *name);

void ragctl_files_release(struct ragctl_files *files); /* a zeroed one is a no-op */
/* Add a file, a folder with everything below it, or "-". RAG_EIO: it is not there or
 * cannot be read; RAG_EINVAL: a file without a suffix that says what it is, or a name
 * that is no document name (not UTF-8, too long); RAG_ENOMEM. Links to files are
 * followed, links to folders only when they are the argument itself. */
enum rag_status ragctl_files_add(struct ragctl_files *files, const char *path,
                                 const struct ragctl_files_options *options,
                                 struct rag_error *reterr);
/* Sort by name. RAG_EEXIST when two files would be the same document (both are named). */
enum rag_status ragctl_files_sort(struct ragctl_files *files, struct rag_error *reterr);

#endif
