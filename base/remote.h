/* base/remote.h - an HTTP API of another server, used with care.
 *
 * One struct remote is one configured endpoint: base URL (pinned: nothing is ever sent elsewhere,
 * redirects are errors), key, limits. remote_call() is one logical request:
 *   refused at once  the request is offline, the circuit is open, the day's budget is spent
 *   tried            within the deadline, again after a pause on connection failures, 408, 429,
 * 5xx: full-jitter exponential back-off, Retry-After honoured; never after a piece was taken by the
 * caller told             status, code, tries and bytes, for metrics and the audit; never the key
 * The address that a name resolves to is checked when connecting: private, loopback and link-local
 * ones only with allow_private (so DNS cannot lead inside). TLS is verified (system CAs or
 * ca_file); http:// only to allowed private addresses.
 *
 * The circuit opens after REMOTE_FAILURES_MAX failed calls in a row, and lets one call try after
 * REMOTE_OPEN_MS, doubled after each failed trial up to REMOTE_OPEN_MS_MAX. The budget counts tries
 * that were sent per UTC day and survives a restart when state_path is given.
 * Thread-safe; connections are kept in a pool of at most REMOTE_CONNECTIONS_MAX. */
#ifndef RAG_BASE_REMOTE_H
#define RAG_BASE_REMOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

struct remote; /* opaque */

struct remote_options {
    const char *name;     /* "openai", "embed", "rerank": for messages */
    const char *base_url; /* http(s)://host[:port][/prefix], no query, no user */
    const char *key;      /* sent as "Authorization: Bearer KEY"; NULL: none */
    const char *ca_file;  /* NULL: the system's */
    bool allow_private;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;     /* of one try */
    int64_t stall_ms;       /* without a byte; 0: none */
    int tries_max;          /* 1: no repetition */
    int64_t calls_per_day;  /* 0: no limit */
    const char *state_path; /* of the budget's file; NULL: in memory */
};
/* RAG_OK, RAG_EINVAL naming the option, RAG_ENOMEM. */
enum rag_status remote_open(const struct remote_options *options, struct remote **ret,
                            struct rag_error *reterr);
void remote_close(struct remote *r); /* NULL is a no-op */

struct remote_call {
    const char *path; /* below base_url: "/chat/completions" */
    const char *body; /* JSON */
    size_t body_bytes;
    bool offline;        /* RAG_EDENIED, and no byte, no name look-up, leaves */
    int64_t deadline_ns; /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel;
    size_t response_bytes_max;
    /* A response of 2xx in pieces as they come, or NULL: into ret_body. false: stop
     * (RAG_ECANCELLED). */
    bool (*on_piece)(void *context, const char *data, size_t n_bytes);
    void *context;
};
struct remote_outcome {
    long code;   /* of the last response; 0: none came */
    int n_tries; /* sent */
    double ms;
};
/* RAG_OK only for a 2xx. Else: RAG_EDENIED (offline; 401, 403; certificate), RAG_EBUSY (circuit
 * open, budget spent, 429), RAG_EINVAL (other 4xx, with the server's message cut to one line),
 * RAG_EIO, RAG_ETIMEOUT, RAG_ELIMIT, RAG_ECANCELLED, RAG_ENOMEM. ret_outcome is always written. */
enum rag_status remote_do(struct remote *r, const struct remote_call *call, struct buf *ret_body,
                          struct remote_outcome *ret_outcome, struct rag_error *reterr);

struct remote_stats {
    uint64_t calls, tries, failures, refused_offline, refused_open, refused_budget;
    uint64_t bytes_sent, bytes_received;
    bool circuit_open;
    int64_t calls_today;
};
void remote_stats(struct remote *r, struct remote_stats *ret);

#endif
