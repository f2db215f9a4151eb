/* daemon/generators.h - who writes answers: the backends of [generate] of ragd.conf. */
#ifndef RAG_DAEMON_GENERATORS_H
#define RAG_DAEMON_GENERATORS_H

#include <stddef.h>

#include "base/status.h"
#include "daemon/config.h"
#include "daemon/models.h"
#include "daemon/remotes.h"
#include "generate/generator.h"

struct generators {
    struct generator *local;      /* the decoder; NULL: none is configured */
    struct generator *openai;     /* the server; NULL: likewise */
    struct generator *extractive; /* always */
    struct sampling sampling;     /* what a request leaves open */
};

/* The decoder computes on the models' pool and takes turns with them; their reranker, where there
 * is one, judges its sentences. A model that cannot be loaded is an error with the key in front,
 * never left out: statuses of local_open(). On failure *ret is empty. */
enum rag_status generators_open(const struct config *config, struct models *models,
                                const struct remotes *remotes, struct generators *ret,
                                struct rag_error *reterr);
void generators_close(
    struct generators *g); /* before models and remotes; an empty one is a no-op */
/* What earlier prompts left of the decoder's work, read at start and written at stop: the file
 * 'kv.cache' of the state folder, where kv_disk_mb is not 0; else it is removed. What fails is
 * logged: an answer needs none of it. */
void generators_load(const struct generators *g, const struct config *config);
void generators_save(const struct generators *g, const struct config *config);
/* One line in the log for the decoder, and one when its memory may not be there. */
void generators_log(const struct generators *g);
/* The backend of a name; NULL: there is none. */
struct generator *generators_find(const struct generators *g, const char *name);
struct generator *generators_of(const struct generators *g, enum config_backend backend);
/* Tokens and cost of the server's answers, in the metrics. */
void generators_count(const struct generators *g, struct metrics *metrics);

/* What the system could give now (MemAvailable of proc(5)); 0: it does not say. */
uint64_t memory_available_bytes(void);

#endif
