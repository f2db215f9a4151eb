/* store/backup.h - a consistent copy of a running daemon's state, and its way back. */
#ifndef RAG_STORE_BACKUP_H
#define RAG_STORE_BACKUP_H

#include "base/status.h"
#include "store/audit.h"
#include "store/store.h"

/* Write ragd.db, audit.db, audit.head and manifest.json (SHA-256 and size of each file,
 * change number, audit head, versions) into 'dir', which must not exist or be empty.
 * Online: readers and writers go on. Files are fsynced and the manifest comes last, so
 * a backup with a manifest is whole. */
enum rag_status backup_create(struct store *store, struct audit *audit, const char *dir,
                              struct rag_error *reterr);
/* Check every file against the manifest, then copy into state_dir, which must hold no
 * state. Nothing is left there on failure. The daemon must not run on state_dir. */
enum rag_status backup_restore(const char *dir, const char *state_dir, struct rag_error *reterr);
/* Only the check. */
enum rag_status backup_check(const char *dir, struct rag_error *reterr);

#endif
