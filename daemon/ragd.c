/* daemon/ragd.c - the daemon: options, start in order, signals, stop in reverse order. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/app.h"
#include "daemon/audit_retention.h"
#include "daemon/config.h"
#include "daemon/handle.h"
#include "daemon/http_server.h"
#include "daemon/log.h"
#include "daemon/models_configured.h"
#include "daemon/notify.h"
#include "daemon/pipeline_open.h"
#include "daemon/reexec.h"
#include "daemon/version.h"
#include "daemon/workers.h"
#include "nn/kernels.h"
#include "nn/mapped_file.h"

static const char usage[] =
    "usage: ragd [-f CONFIG] [--state DIR] [--socket PATH] [-n]\n"
    "\n"
    "  -f CONFIG      read this configuration file (see ragd.conf(5))\n"
    "  --state DIR    where databases and indexes live; overrides the file\n"
    "  --socket PATH  where to listen; overrides the file\n"
    "  -n             check the configuration and exit\n"
    "  --version      print the version and exit\n"
    "\n"
    "ragd --state D --socket S needs no file.\n";

struct options {
    const char *config_path; /* or NULL */
    const char *state_dir;
    const char *socket_path;
    bool check_only;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *ret)
{
    for (int i = 1; i < argc; i++) {
        const char **value = NULL;

        if (strcmp(argv[i], "-f") == 0)
            value = &ret->config_path;
        else if (strcmp(argv[i], "--state") == 0)
            value = &ret->state_dir;
        else if (strcmp(argv[i], "--socket") == 0)
            value = &ret->socket_path;
        else if (strcmp(argv[i], "-n") == 0)
            ret->check_only = true;
        else if (strcmp(argv[i], "--version") == 0)
            return printf("ragd %s\n", RAGD_VERSION) < 0;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return fputs(usage, stdout) < 0;
        else {
            fprintf(stderr, "ragd: option '%s': unknown\n%s", argv[i], usage);
            return 2;
        }
        if (value && ++i == argc) {
            fprintf(stderr, "ragd: option '%s': needs a value\n%s", argv[i - 1], usage);
            return 2;
        }
        if (value)
            *value = argv[i];
    }
    return -1;
}

/* ---- start ---- */

struct daemon {
    struct config *config;
    struct app app;
    struct http_server *server;
    char own_principal[32]; /* "uid:N" of this process: always an administrator */
    const char **admins;    /* [n_admins], borrows from config and above */
    size_t n_admins;
};

static void on_opened(const struct collection_opened *o)
{
    char why[600] = "";

    if (o->rebuilt && o->why[0] != '\0')
        snprintf(why, sizeof why, "%s", o->why);
    log_event(LOG_INFO, NULL, "collection_opened",
              "name=%s passages=%llu rebuilt=%s reconciled=%zu ms=%.1f why=\"%s\"", o->name,
              (unsigned long long)o->n_passages, o->rebuilt ? "yes" : "no", o->n_reconciled, o->ms,
              why);
}

static enum rag_status make_state_dir(const char *path, struct rag_error *reterr)
{
    struct stat sb;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return rag_fail_errno(reterr, RAG_EIO, errno, "state folder '%s': cannot create", path);
    if (stat(path, &sb) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "state folder '%s': cannot stat", path);
    if (!S_ISDIR(sb.st_mode))
        return rag_fail(reterr, RAG_EIO, "state folder '%s': is not a folder", path);
    if ((sb.st_mode & 0002) != 0)
        return rag_fail(reterr, RAG_EDENIED,
                        "state folder '%s': anybody may write there (mode %04o); chmod 700 it",
                        path, (unsigned)(sb.st_mode & 07777));
    return RAG_OK;
}

/* Root and the daemon's own user can read the files anyway, so they administer. */
static enum rag_status collect_admins(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;

    d->admins = calloc(config->n_admins + 2, sizeof *d->admins);
    if (!d->admins)
        return rag_fail(reterr, RAG_ENOMEM, "start: out of memory");
    snprintf(d->own_principal, sizeof d->own_principal, "uid:%lu", (unsigned long)geteuid());
    d->admins[d->n_admins++] = d->own_principal;
    if (strcmp(d->own_principal, "uid:0") != 0)
        d->admins[d->n_admins++] = "uid:0";
    for (size_t i = 0; i < config->n_admins; i++)
        d->admins[d->n_admins++] = config->admins[i];
    return RAG_OK;
}

static struct analyzer_options configured_analyzer(const struct config *config)
{
    return (struct analyzer_options){
        .user_dictionary = config->analyzer_user_dictionary,
        .synonyms = config->analyzer_synonyms,
        .mecab_dictionary = config->analyzer_mecab_dictionary,
    };
}

/* Threads for short requests, and for answers that a decoder or another server writes: those wait
 * for it, some for their turn and twice as many as have one, and searches must not wait with them.
 */
static size_t n_answers(const struct config *config)
{
    return config->generate_model || config->openai_url ? 2 * (size_t)config->generate_running_max
                                                        : 0;
}

static size_t n_workers(const struct config *config)
{
    return (size_t)config->workers + n_answers(config);
}

/* What cannot be kept on the disk is kept in memory: answering needs no cache. */
static enum rag_status open_cache(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;
    struct answer_cache_options options = {
        .store = d->app.store,
        .analyzer = d->app.analyzer,
        .entries_max = (size_t)config->cache_entries_max,
        .bytes_max = (size_t)config->cache_mb << 20,
        .ttl_ms = config->cache_ttl_s * 1000,
        .expiry = (enum cache_expiry)config->cache_expiry,
        .threshold = config->cache_threshold,
        .error_bound = config->cache_error_bound,
    };
    struct rag_error error = {RAG_OK, ""};
    struct answer_cache_stats stats;
    char path[4096];
    char why[256];
    enum rag_status status;

    if (!config->cache_enabled)
        return RAG_OK;
    snprintf(path, sizeof path, "%s/cache.db", config->state_dir);
    options.path = path;
    status = answer_cache_open(&options, &d->app.cache, why, &error);
    if (status == RAG_EIO || status == RAG_ENOSPC) {
        log_event(LOG_ERROR, NULL, "cache_not_on_disk", "error=\"%s\"", error.text);
        options.path = NULL;
        status = answer_cache_open(&options, &d->app.cache, why, &error);
    }
    if (status != RAG_OK) {
        if (reterr)
            *reterr = error;
        return status;
    }
    if (why[0] != '\0')
        log_event(LOG_WARN, NULL, "cache_begun_anew", "why=\"%s\"", why);
    answer_cache_stats(d->app.cache, &stats);
    log_event(LOG_INFO, NULL, "cache_opened", "entries=%zu bytes=%zu", stats.n, stats.bytes);
    return RAG_OK;
}

/* What computes, here or elsewhere, and the policy, which borrows of it. */
static enum rag_status open_models(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;
    struct app *app = &d->app;
    enum rag_status status = remotes_open(config, true, &app->remotes, reterr);

    if (status == RAG_OK)
        status = models_open_configured(config, &app->remotes, app->metrics, &app->models, reterr);
    if (status == RAG_OK) {
        remotes_log(&app->remotes, config);
        models_log(app->models);
        models_log_missing(config);
        status = generators_open(config, app->models, &app->remotes, &app->generators, reterr);
    }
    if (status != RAG_OK)
        return status;
    app->guard_models = (struct guard_models_context){app->models, &app->generators, {0}};
    status = guard_open_configured(config, app->analyzer, &app->guard_models, &app->guard, reterr);
    if (status != RAG_OK)
        return status;
    log_event(LOG_INFO, NULL, "guard_opened", "policy=\"%s\" fingerprint=%.16s",
              config->guard_policy ? config->guard_policy : "built-in",
              guard_fingerprint(app->guard));
    generators_log(&app->generators);
    generators_load(&app->generators, config);
    return RAG_OK;
}

static enum rag_status open_data(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;
    struct app *app = &d->app;
    struct analyzer_options analyzer = configured_analyzer(config);
    struct store_options store = {.state_dir = config->state_dir, .n_readers = n_workers(config)};
    struct collections_options collections;
    struct embedding_worker_options embedding;
    enum rag_status status;
    size_t n_caught_up = 0;

    status = analyzer_open(&analyzer, &app->analyzer, reterr);
    if (status == RAG_OK)
        status = store_open(&store, &app->store, reterr);
    if (status == RAG_OK)
        status = audit_open(config->state_dir, &app->audit, reterr);
    if (status == RAG_OK)
        status = open_cache(d, reterr);
    if (status == RAG_OK)
        status = open_models(d, reterr);
    if (status != RAG_OK)
        return status;
    embedding = (struct embedding_worker_options){
        .store = app->store,
        .models = app->models,
        .index = vector_options_configured(config),
    };
    status = embedding_worker_open(&embedding, &app->embedding, reterr);
    if (status != RAG_OK)
        return status;
    collections = (struct collections_options){
        .store = app->store,
        .analyzer = app->analyzer,
        .cache = app->cache,
        .embedding = app->embedding,
        .state_dir = config->state_dir,
        .bm25 = {(float)config->bm25_k1,      (float)config->bm25_b        },
        .chunks = {(size_t)config->chunk_chars, (size_t)config->chunk_overlap},
        .defaults.fusion = fusion_configured(config),
        .defaults.gate_relevance_min = (float)config->gate_relevance_min,
        .defaults.rerank_words = (float)config->rerank_words,
        .admins = d->admins,
        .n_admins = d->n_admins,
    };
    status = collections_open(&collections, on_opened, &app->collections, reterr);
    if (status != RAG_OK)
        return status;
    app->ingest = (struct ingest){
        .store = app->store,
        .audit = app->audit,
        .collections = app->collections,
        .analyzer = app->analyzer,
        .cache = app->cache,
        .guard = app->guard,
        .metrics = app->metrics,
        .debt = &app->audit_debt,
    };
    status = ingest_catch_up_audit(&app->ingest, &n_caught_up, reterr);
    if (status == RAG_ENOSPC || status == RAG_EIO) {
        /* reading needs no disk; the next change tries again, and fails until it works */
        log_event(LOG_ERROR, NULL, "audit_check_failed", "error=\"%s\"", reterr->text);
        ingest_owe_audit(&app->ingest);
        status = RAG_OK;
    }
    if (status == RAG_OK && n_caught_up > 0)
        log_event(LOG_INFO, NULL, "audit_checked", "changes=%zu", n_caught_up);
    return status;
}

static enum rag_status open_exporter(const struct config *config, struct metrics *metrics,
                                     struct otlp_exporter **ret, struct rag_error *reterr)
{
    struct otlp_exporter_options options = {
        .endpoint = config->trace_endpoint,
        .key_file = config->trace_key_file,
        .ca_file = config->trace_ca_file,
        .allow_private = config->trace_allow_private != 0,
        .timeout_ms = config->trace_timeout_ms,
        .queue_max = (size_t)config->trace_queue_max,
        .metrics = metrics,
    };

    return config->trace_endpoint ? otlp_exporter_open(&options, ret, reterr) : RAG_OK;
}

static enum rag_status open_traces(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;
    enum rag_status status = open_exporter(config, d->app.metrics, &d->app.exporter, reterr);

    if (status == RAG_OK && d->app.exporter)
        status = tracer_new(d->app.exporter, config->trace_sample_ratio, &d->app.tracer, reterr);
    if (status == RAG_OK && d->app.tracer)
        log_event(LOG_INFO, NULL, "tracing", "endpoint=\"%s\" sample_ratio=%g",
                  config->trace_endpoint, config->trace_sample_ratio);
    return status;
}

static enum rag_status start(struct daemon *d, struct rag_error *reterr)
{
    const struct config *config = d->config;
    struct workers_options workers = {
        .n_threads = n_workers(config),
        .n_answers = n_answers(config),
        .queue_max = (size_t)config->job_queue_max,
        .bulk_queue_max = (size_t)config->ingest_queue_max,
    };
    struct http_watch watch;
    enum rag_status status;

    status = make_state_dir(config->state_dir, reterr);
    if (status == RAG_OK)
        status = collect_admins(d, reterr);
    if (status == RAG_OK)
        status = metrics_new(&d->app.metrics, reterr);
    if (status == RAG_OK) /* a connection has one request at a time */
        status = live_requests_new((size_t)config->connections_max, &d->app.live, reterr);
    if (status == RAG_OK) /* before there are other threads, as libcurl wants it */
        status = open_traces(d, reterr);
    for (int i = 0; status == RAG_OK && i < N_STAGES; i++)
        metrics_name_stage(d->app.metrics, (unsigned)i, stage_name((enum stage)i));
    if (status == RAG_OK)
        status = open_data(d, reterr);
    if (status == RAG_OK)
        /* each worker has one question at most: as many as can want a vector at once */
        status = pipeline_open(&d->app, n_workers(config), reterr);
    if (status == RAG_OK)
        status = workers_start(&workers, &d->app.workers, reterr);
    watch = (struct http_watch){
        .metrics = d->app.metrics, .live = d->app.live, .tracer = d->app.tracer};
    if (status == RAG_OK)
        status = http_server_start(config, app_routes, app_n_routes, &d->app, d->app.workers,
                                   &watch, &d->server, reterr);
    return status;
}

static void stop(struct daemon *d)
{
    struct rag_error error = {RAG_OK, ""};

    if (d->server)
        http_server_stop(d->server);
    workers_stop(d->app.workers);
    embedding_worker_stop(d->app.embedding);
    if (d->app.collections) {
        size_t n = collections_save(d->app.collections, 1, true, &error);

        if (error.status != RAG_OK)
            log_event(LOG_ERROR, NULL, "index_save_failed", "error=\"%s\"", error.text);
        else
            log_event(LOG_INFO, NULL, "indexes_saved", "n=%zu", n);
    }
    pipeline_close(&d->app);
    generators_save(&d->app.generators, d->config);
    guard_close(d->app.guard);
    generators_close(&d->app.generators);
    collections_close(d->app.collections);
    embedding_worker_close(d->app.embedding);
    models_close(d->app.models);
    remotes_close(&d->app.remotes);
    if (d->app.audit) {
        char hex[SHA256_HEX_BYTES];
        struct audit_head head;

        audit_head(d->app.audit, &head);
        sha256_hex(head.hash, hex);
        log_event(LOG_INFO, NULL, "audit_head", "n=%llu hash=%s", (unsigned long long)head.n, hex);
    }
    answer_cache_close(d->app.cache);
    audit_close(d->app.audit);
    store_close(d->app.store);
    analyzer_close(d->app.analyzer);
    otlp_exporter_close(d->app.exporter);
    tracer_free(d->app.tracer);
    live_requests_free(d->app.live);
    metrics_free(d->app.metrics);
    free(d->admins);
}

/* ---- run ---- */

/* Wait for a signal or for the time of the next snapshot. */
static int wait_signal(const sigset_t *signals, int64_t seconds)
{
    struct timespec timeout = {.tv_sec = seconds};
    int signal_number;

    do {
        signal_number = sigtimedwait(signals, NULL, &timeout);
    } while (signal_number < 0 && errno == EINTR);
    return signal_number; /* < 0: the time is over */
}

static void save_indexes(struct daemon *d)
{
    struct rag_error error = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    size_t n = collections_save(d->app.collections, 1, false, &error);

    if (error.status != RAG_OK)
        log_event(LOG_ERROR, NULL, "index_save_failed", "error=\"%s\"", error.text);
    if (n > 0)
        log_event(LOG_INFO, NULL, "indexes_saved", "n=%zu ms=%.1f", n, clock_elapsed_ms(begun));
}

static void run(struct daemon *d, const sigset_t *signals)
{
    struct audit_retention retention = {d->app.audit, d->config->audit_keep_days, 0};

    for (;;) {
        int signal_number;

        audit_retention_run(&retention);
        signal_number = wait_signal(signals, d->config->index_snapshot_interval_s);

        if (signal_number == SIGHUP) {
            log_reopen();
            log_event(LOG_INFO, NULL, "log_reopened", "by=SIGHUP");
        } else if (signal_number < 0) {
            save_indexes(d);
            /* Requests allocate in an arena a thread; pages in between that were freed would stay
             * with the process, up to the worst moment of each arena. */
            (void)malloc_trim(0);
        } else {
            log_event(LOG_INFO, NULL, "stopping", "signal=%d", signal_number);
            break;
        }
    }
    atomic_store(&d->app.draining, true);
    notify_state("STOPPING=1");
    http_server_drain(d->server, d->config->drain_timeout_s * 1000);
}

/* Searches use many descriptors at once only when many clients do; take what is allowed. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum rag_status load_config(const struct options *options, struct config **ret,
                                   struct rag_error *reterr)
{
    struct config *config = NULL;
    enum rag_status status = config_new(&config, reterr);

    if (status == RAG_OK && options->config_path)
        status = config_load(config, options->config_path, reterr);
    if (status == RAG_OK && options->state_dir)
        status = config_set(config, "state_dir", options->state_dir, reterr);
    if (status == RAG_OK && options->socket_path)
        status = config_set(config, "socket_path", options->socket_path, reterr);
    if (status == RAG_OK)
        status = config_check(config, reterr);
    if (status != RAG_OK) {
        config_free(config);
        return status;
    }
    *ret = config;
    return RAG_OK;
}

static enum rag_status check_guard(const struct config *config, struct models *models,
                                   const struct generators *generators, struct rag_error *reterr)
{
    const struct analyzer_options options = configured_analyzer(config);
    struct guard_models_context context = {models, generators, {0}};
    struct analyzer *analyzer = NULL;
    struct guard *guard = NULL;
    enum rag_status status = analyzer_open(&options, &analyzer, reterr);

    if (status == RAG_OK)
        status = guard_open_configured(config, analyzer, &context, &guard, reterr);
    guard_close(guard);
    analyzer_close(analyzer);
    return status;
}

/* -n: everything that a start would refuse, but for what only the state can tell. */
static int check_only(const struct config *config)
{
    struct rag_error error = {RAG_OK, ""};
    struct generators generators = {0};
    struct remotes remotes = {0};
    struct otlp_exporter *exporter = NULL;
    struct metrics *metrics = NULL;
    struct models *models = NULL;
    enum rag_status status = mapped_file_guard(&error);

    if (status == RAG_OK)
        status = metrics_new(&metrics, &error);
    if (status == RAG_OK)
        status = open_exporter(config, metrics, &exporter, &error);
    if (status == RAG_OK)
        status = remotes_open(config, false, &remotes, &error);
    if (status == RAG_OK)
        status = models_open_configured(config, &remotes, NULL, &models, &error);
    if (status == RAG_OK)
        status = generators_open(config, models, &remotes, &generators, &error);
    if (status == RAG_OK)
        status = check_guard(config, models, &generators, &error);
    generators_close(&generators);
    models_close(models);
    remotes_close(&remotes);
    otlp_exporter_close(exporter);
    metrics_free(metrics);
    if (status != RAG_OK) {
        fprintf(stderr, "ragd: %s\n", error.text);
        return 1;
    }
    printf("ragd: configuration is fine\n");
    return 0;
}

/* What the models will be computed with; never silently slow. */
static void log_compute(const struct rag_error *slow)
{
    const struct kernels *kernels = NULL;
    struct rag_error error = {RAG_OK, ""};

    if (kernels_choose(&kernels, &error) == RAG_OK)
        log_event(LOG_INFO, NULL, "compute", "kernels=%s blas=%s", kernels_name(kernels),
                  kernels_blas_core(NULL));
    else
        log_event(LOG_ERROR, NULL, "compute", "error=\"%s\"", error.text);
    if (slow->status != RAG_OK)
        log_event(LOG_WARN, NULL, "compute_slow", "error=\"%s\"", slow->text);
}

int main(int argc, char **argv)
{
    struct rag_error error = {RAG_OK, ""};
    struct rag_error slow = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    struct options options = {0};
    struct daemon d = {0};
    int exit_status = 1;
    sigset_t signals;

    int early = parse_options(argc, argv, &options);
    if (early >= 0)
        return early;
    if (load_config(&options, &d.config, &error) != RAG_OK) {
        fprintf(stderr, "ragd: %s\n", error.text);
        return 1;
    }
    if (options.check_only) {
        exit_status = check_only(d.config);
        config_free(d.config);
        return exit_status;
    }
    (void)reexec_for_compute(&slow); /* returns when nothing is left to be done; logged below */
    umask(0077);
    if (mapped_file_guard(&error) != RAG_OK ||
        log_open(d.config->log_file, (enum log_level)d.config->log_level,
                 (enum log_format)d.config->log_format, &error) != RAG_OK) {
        fprintf(stderr, "ragd: %s\n", error.text);
        config_free(d.config);
        return 1;
    }

    /* Block before any thread starts, so that only sigtimedwait() sees them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    raise_descriptor_limit();

    log_event(LOG_INFO, NULL, "starting", "version=%s state=%s socket=%s", RAGD_VERSION,
              d.config->state_dir, d.config->socket_path);
    log_compute(&slow);
    d.app.config = d.config;
    if (start(&d, &error) == RAG_OK) {
        atomic_store(&d.app.ready, true);
        notify_state("READY=1");
        log_event(LOG_INFO, NULL, "ready", "ms=%.1f", clock_elapsed_ms(begun));
        run(&d, &signals);
        exit_status = 0;
    } else {
        log_event(LOG_ERROR, NULL, "start_failed", "error=\"%s\"", error.text);
    }
    stop(&d);
    log_event(LOG_INFO, NULL, "stopped", "status=%d", exit_status);
    log_close();
    config_free(d.config);
    return exit_status;
}
