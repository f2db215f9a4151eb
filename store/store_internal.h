/* store/store_internal.h - what the files of the store share (internal). */
#ifndef RAG_STORE_INTERNAL_H
#define RAG_STORE_INTERNAL_H

#include <pthread.h>

#include "store/database.h"
#include "store/store.h"
#include "store/writer.h"

#define READERS_MAX 64

/* Of the documents 'd' of a statement only those whose collection is not deleted. */
#define VISIBLE " JOIN collections k ON k.id=d.collection_id AND k.deleted=0"

/* Is chunk 'c' of a statement held by a document that can be seen? */
#define VISIBLE_CHUNK                                                                              \
    " EXISTS(SELECT 1 FROM version_chunks o JOIN documents d ON d.version_id=o.version_id" VISIBLE \
    " WHERE o.chunk_id=c.id)"

/* versions.state */
enum version_state { VERSION_STAGED, VERSION_PUBLISHED, VERSION_RETIRED };

struct store {
    char *path;       /* of ragd.db; owned */
    int lock_fd;      /* state_dir/lock, see state_lock.h */
    bool was_unclean; /* the last owner of the state did not close it */
    struct database writer_db;
    struct writer *writer;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t freed;  /* a reader came back */
    struct database readers[READERS_MAX];
    bool reader_busy[READERS_MAX];
    size_t n_readers;
    uint64_t last_change; /* committed */
};

extern const char *const store_schema[];
extern const size_t store_schema_n;

/* A reading connection inside a read transaction: one snapshot until it is given back. */
enum rag_status reader_begin(struct store *store, struct database **ret, struct rag_error *reterr);
void reader_end(struct store *store, struct database *db);

/* One slice of deleting what no document shows any more; the writer's idle work. */
enum rag_status reclaim_slice(void *context, struct database *db, bool *ret_more);

/* Copy a column into the arena; never NULL on RAG_OK. */
enum rag_status arena_column(struct arena *arena, sqlite3_stmt *statement, int column, char **ret);

#endif
