/* store/state_lock.h - one process at a time works on a state directory (internal).
 *
 * A file in the directory is flock()ed for as long as the state is open; it holds the owner's pid
 * as a line, and is emptied by a clean close. So a lock file that is free but not empty means that
 * its last owner did not get to close. */
#ifndef RAG_STORE_STATE_LOCK_H
#define RAG_STORE_STATE_LOCK_H

#include <stdbool.h>

#include "base/status.h"

/* RAG_EEXIST with the owner's pid when it is held; RAG_ENOSPC on a read-only or full disk. */
enum rag_status state_lock(const char *state_dir, const char *name, int *ret_fd,
                           bool *ret_was_unclean, struct rag_error *reterr);
void state_unlock(int fd, bool clean); /* -1 is a no-op */

#endif
