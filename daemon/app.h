/* daemon/app.h - what a running daemon consists of, as the handlers see it.
 *
 * Built by ragd.c in the order of the members, torn down in reverse; immutable while
 * requests run, but for 'ready' and 'draining'. */
#ifndef RAG_DAEMON_APP_H
#define RAG_DAEMON_APP_H

#include <stdatomic.h>

#include "cache/answer_cache.h"
#include "daemon/collections.h"
#include "daemon/config.h"
#include "daemon/embedding_worker.h"
#include "daemon/generators.h"
#include "daemon/guard_models.h"
#include "daemon/http_server.h"
#include "daemon/ingest.h"
#include "daemon/live_requests.h"
#include "daemon/metrics.h"
#include "daemon/models.h"
#include "daemon/otlp_exporter.h"
#include "daemon/pipeline.h"
#include "daemon/remotes.h"
#include "daemon/tracer.h"
#include "daemon/workers.h"
#include "store/audit.h"
#include "store/store.h"

struct app {
    const struct config *config;
    struct metrics *metrics;
    struct live_requests *live;
    struct otlp_exporter *exporter; /* these two: NULL without [trace] endpoint */
    struct tracer *tracer;
    struct store *store;
    struct audit *audit;
    struct analyzer *analyzer;
    struct answer_cache *cache; /* NULL: off */
    struct remotes remotes;
    struct models *models;
    struct generators generators;
    struct guard_models_context guard_models; /* what the guard borrows of the two above */
    struct guard *guard;
    struct embedding_worker *embedding;
    struct collections *collections;
    struct workers *workers;
    struct ingest ingest;
    struct audit_debt audit_debt; /* of ingest */
    struct pipeline pipeline;
    atomic_bool ready;    /* everything is open: GET /readyz says 200 */
    atomic_bool draining; /* SIGTERM came: GET /readyz says 503 */
};

/* The route table for http_server_start(); context of every handler is the app. */
extern const struct http_route app_routes[];
extern const size_t app_n_routes;

#endif
