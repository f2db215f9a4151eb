/* base/status.h - the one error type of the project. */
#ifndef RAG_BASE_STATUS_H
#define RAG_BASE_STATUS_H

enum rag_status {
    RAG_OK = 0,
    RAG_EINVAL = -1,      /* the request asks for something undefined or ill-typed */
    RAG_ENOMEM = -2,      /* an allocation failed */
    RAG_EIO = -3,         /* the system refused: open, read, mmap, write, connect */
    RAG_EFORMAT = -4,     /* bytes on disk or wire break their format */
    RAG_ENUMERIC = -5,    /* the result is not a usable number */
    RAG_ENOTFOUND = -6,   /* no such collection, document, record */
    RAG_EDENIED = -7,     /* the principal may not do this */
    RAG_EBUSY = -8,       /* a queue or a pool is full; the same call may work later */
    RAG_ELIMIT = -9,      /* a stated limit (base/bounds.h or configuration) is passed */
    RAG_EEXIST = -10,     /* it is already there, and differs */
    RAG_ECANCELLED = -11, /* the caller said stop, or went away */
    RAG_ETIMEOUT = -12,   /* the deadline passed */
    RAG_ENOSPC = -13,     /* the disk is full or read-only */
    RAG_EINTERNAL = -14,  /* a bug of ours that was noticed */
};

/* A message for the operator. Callers that do not need one pass NULL. */
struct rag_error {
    enum rag_status status;
    char text[512]; /* NUL-terminated UTF-8, one line, no trailing period */
};

/* Fill 'err' (NULL is fine) and return 'status', so a caller can write
 * "return rag_fail(...)". The _errno form appends ": <strerror(errnum)>".
 * Control characters of the formatted text become '?', so a hostile name
 * cannot forge a second log line. A message longer than the field is cut at a
 * UTF-8 boundary. */
enum rag_status rag_fail(struct rag_error *err, enum rag_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum rag_status rag_fail_errno(struct rag_error *err, enum rag_status status, int errnum,
                               const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* What a failed open, write or sync means: RAG_ENOSPC where the file system has no room or takes no
 * file of this size (ENOSPC, EDQUOT, EFBIG, EROFS), else RAG_EIO. */
enum rag_status rag_status_of_write(int errnum);

/* A short stable word for machines: "invalid", "not_found", "busy" ... */
const char *rag_status_code(enum rag_status status);

#endif
