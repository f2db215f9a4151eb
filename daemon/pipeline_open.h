/* daemon/pipeline_open.h - the pipeline of a daemon, from its configuration and what is open. */
#ifndef RAG_DAEMON_PIPELINE_OPEN_H
#define RAG_DAEMON_PIPELINE_OPEN_H

#include "daemon/app.h"

/* Fill app->pipeline; everything else of the app but its workers is open. n_side: threads that
 * search vectors beside BM25. RAG_ENOMEM, RAG_EIO. pipeline_close() stops those threads. */
enum rag_status pipeline_open(struct app *app, size_t n_side, struct rag_error *reterr);
void pipeline_close(struct app *app); /* a zeroed one is a no-op */
/* How the configuration joins two rankings. */
struct fusion_options fusion_configured(const struct config *config);

#endif
