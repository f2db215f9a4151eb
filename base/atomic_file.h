/* base/atomic_file.h - a file that appears whole or not at all.
 *
 * It is written to 'path'.tmp, synced, renamed to 'path', and the folder synced: after a crash the
 * old file or the new one is there. 'noun' names the thing in messages ("bm25 snapshot"). */
#ifndef RAG_BASE_ATOMIC_FILE_H
#define RAG_BASE_ATOMIC_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

struct atomic_file {
    const char *noun; /* borrowed, as path */
    const char *path;
    char *temporary;
    int fd;
};

/* Zero bytes in 'path'.tmp with that mode (less the umask). RAG_OK, RAG_ENOMEM, RAG_ENOSPC (full,
 * read-only), RAG_EIO. Whoever opened it closes it, after a failure of the other functions too. */
enum rag_status atomic_file_open(struct atomic_file *f, const char *noun, const char *path,
                                 mode_t mode, struct rag_error *reterr);
enum rag_status atomic_file_write(struct atomic_file *f, const void *data, uint64_t n_bytes,
                                  struct rag_error *reterr);
/* From here on 'path' is the new file, and durable when RAG_OK is returned. */
enum rag_status atomic_file_commit(struct atomic_file *f, struct rag_error *reterr);
/* Without a commit nothing is left but the old file. A zeroed one is a no-op. */
void atomic_file_close(struct atomic_file *f);

#endif
