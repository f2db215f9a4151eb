/* base/arena.h - memory that lives exactly as long as one request or one batch.
 *
 * Allocations are never freed singly; arena_reset() frees all of them at once
 * (keeping the first block) and arena_release() gives everything back. Not
 * thread-safe: one arena belongs to one thread at a time. */
#ifndef RAG_BASE_ARENA_H
#define RAG_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t n_bytes;             /* handed out since the last reset */
    size_t max;                 /* bytes; past it an allocation returns NULL */
};

void arena_init(struct arena *a, size_t max_bytes); /* allocates nothing */
void arena_release(struct arena *a);
void arena_reset(struct arena *a);

/* n bytes (0 gives a valid pointer), zeroed, aligned for any object; NULL when
 * memory or the cap runs out. */
void *arena_alloc(struct arena *a, size_t n);
/* count * size with the multiplication checked. */
void *arena_calloc(struct arena *a, size_t count, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n); /* NUL-terminated copy */
char *arena_strdup(struct arena *a, const char *s);

#endif
