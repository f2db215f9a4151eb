/* daemon/models_configured.h - the models of [models] of ragd.conf. */
#ifndef RAG_DAEMON_MODELS_CONFIGURED_H
#define RAG_DAEMON_MODELS_CONFIGURED_H

#include "base/status.h"
#include "daemon/builtin_models.h"
#include "daemon/config.h"
#include "daemon/models.h"
#include "daemon/remotes.h"
#include "store/vector_index.h"

/* Open what the configuration names; metrics may be NULL. Statuses of models_open(), whose message
 * gets the key in front: a model that cannot be loaded is an error, never left out. */
enum rag_status models_open_configured(const struct config *config, const struct remotes *remotes,
                                       struct metrics *metrics, struct models **ret,
                                       struct rag_error *reterr);
/* Where a model that the configuration names is: what daemon/builtin_models.h makes of the word,
 * else config_model_dir(). malloc'ed; "" for none. RAG_ENOMEM, RAG_EINVAL; RAG_ENOTFOUND of a
 * built-in model alone: whether anything is at a path is not looked at. */
enum rag_status model_configured_dir(const struct config *config, enum model_role role,
                                     const char *name, char **ret, struct rag_error *reterr);
/* Say of a configured model that is not at its path (model_configured_dir) what a person may do
 * about it. name: as the configuration has it, or NULL. RAG_OK: there is something, or there is no
 * name; RAG_ENOTFOUND. */
enum rag_status model_path_check(const char *name, const char *path, struct rag_error *reterr);
/* One line in the log for each model. */
void models_log(const struct models *m);

/* Models that are left to 'default', with no server in their place, and not installed. */
#define MODELS_MISSING_MAX 2
struct model_missing {
    const char *role;   /* "embedder", "reranker": the key in [models] */
    const char *effect; /* what is done without it */
    struct rag_error why;
};
/* Their number. */
size_t models_missing(const struct config *config, struct model_missing ret[MODELS_MISSING_MAX]);
void models_log_missing(const struct config *config); /* a warning for each */

/* How the vector indexes are made; dim stays 0. */
struct vector_index_options vector_options_configured(const struct config *config);

#endif
