/* nn/mapped_file.h - a file mapped read-only, that may be truncated while it is in use.
 *
 * Reading a page that a truncated file no longer has raises SIGBUS, which would end the daemon
 * without a word. mapped_file_guard() installs a handler that replaces such a page of a known
 * mapping by zeros and marks the mapping as damaged; whoever computes from it asks
 * mapped_file_intact() afterwards and reports an error. A SIGBUS elsewhere goes to the previous
 * disposition. The table of live mappings is the one mutable global below daemon/: a signal
 * handler has no other place to look; it has MAPPED_FILES_MAX entries and is lock-free to read. */
#ifndef RAG_NN_MAPPED_FILE_H
#define RAG_NN_MAPPED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct mapped_file; /* opaque */

/* From main(), before any thread; a second call changes nothing. RAG_OK or RAG_EIO. */
enum rag_status mapped_file_guard(struct rag_error *reterr);

/* Regular files only. RAG_EIO, RAG_ENOMEM, RAG_ENOTFOUND, RAG_EFORMAT (empty, not regular),
 * RAG_ELIMIT (table full). */
enum rag_status mapped_file_open(const char *path, struct mapped_file **ret,
                                 struct rag_error *reterr);
void mapped_file_close(struct mapped_file *f); /* NULL is a no-op */
const uint8_t *mapped_file_data(const struct mapped_file *f);
size_t mapped_file_size(const struct mapped_file *f);
const char *mapped_file_path(const struct mapped_file *f);
/* Is the file still what was mapped? False once a page was missing, and when size or modification
 * time differ: a file that was cut inside its last page, or written over, raises no signal. */
bool mapped_file_intact(const struct mapped_file *f);
/* n bytes from 'first' on will not be read soon: their pages need not count as this process's
 * memory. They stay mapped and are read from the file again when touched. */
void mapped_file_forget(const struct mapped_file *f, size_t first, size_t n);

#endif
