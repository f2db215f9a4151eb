/* daemon/guard_models.h - the guard, opened with the models that this daemon has.
 *
 * The embedder gives the vectors of rules of kind examples and classifier. The judge is the decoder
 * of this machine, or the server of [openai] where there is none and the text may leave. */
#ifndef RAG_DAEMON_GUARD_MODELS_H
#define RAG_DAEMON_GUARD_MODELS_H

#include "base/status.h"
#include "daemon/config.h"
#include "daemon/generators.h"
#include "daemon/models.h"
#include "guard/guard.h"
#include "text/analyzer.h"

struct guard_models_context {
    struct models *models;               /* borrowed, as both */
    const struct generators *generators; /* members may be NULL */
    struct bi_encoder_info embedder;     /* filled by guard_open_configured() */
};

/* Statuses of guard_open(), whose message gets the key in front. 'context' is borrowed for the
 * guard's life. */
enum rag_status guard_open_configured(const struct config *config, const struct analyzer *analyzer,
                                      struct guard_models_context *context, struct guard **ret,
                                      struct rag_error *reterr);

#endif
