/* base/remote.h - an HTTP API of another server, used with care.
 *
 * One struct remote is one configured endpoint: base URL (pinned: nothing is ever sent elsewhere,
 * redirects are errors, proxies of the environment are not used), key, limits. remote_do() is one
 * logical request:
 *   refused at once  it is offline, the circuit is open, the day's budget is spent
 *   tried            within the deadline; again after a pause when no connection came about or it
 *                    broke, and on 408, 429 and 5xx: full-jitter exponential back-off, Retry-After
 *                    honoured; never after a piece was taken by the caller
 *   told             status, code, tries and time, for metrics and the audit
 * The key goes into one header and nowhere else: what a server says is scrubbed of it.
 * The address that a name resolves to is checked when connecting (base/http_address.h): private
 * ones only with allow_private, so DNS cannot lead inside. TLS is verified (system CAs or ca_file);
 * http:// only to private addresses.
 *
 * The circuit opens after REMOTE_FAILURES_MAX failed calls in a row (no connection, broken, too
 * slow, 5xx; not what the caller's own deadline cut short), and lets one call try after
 * REMOTE_OPEN_MS, doubled after each failed trial up to REMOTE_OPEN_MS_MAX. A Retry-After that is
 * later than the caller's deadline keeps it open until then. The budget counts tries that were sent
 * per UTC day and survives a restart when state_path is given; some are written down ahead, so that
 * a crash never leaves room for more than was allowed.
 * Thread-safe; at most REMOTE_CONNECTIONS_MAX idle connections are kept.
 * Source of the back-off: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015;
 * of the circuit: Nygard, "Release It!", 2007, section 5.2. */
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
    int64_t connect_timeout_ms; /* 0: timeout_ms */
    int64_t timeout_ms;         /* of one try; 0: the deadline's */
    int64_t stall_ms;           /* without a byte; 0: none */
    int tries_max;              /* 1: no repetition; 0: as 1 */
    int64_t calls_per_day;      /* 0: no limit */
    const char *state_path;     /* of the budget's file; NULL: in memory */
};
/* RAG_OK; RAG_EINVAL naming the option; RAG_ENOMEM; of the budget's file RAG_EIO, RAG_ENOSPC,
 * RAG_EFORMAT. All texts are copied. Call http_client_global() once before threads. */
enum rag_status remote_open(const struct remote_options *options, struct remote **ret,
                            struct rag_error *reterr);
void remote_close(struct remote *r);                 /* no call may be running; NULL is a no-op */
const char *remote_base_url(const struct remote *r); /* without a slash at its end */

/* The key of a file (its first line; nobody but the owner may write it, others may not read it) or
 * else of an environment variable; either name may be NULL or "". *ret is malloc'ed and to be freed
 * by remote_key_free(); NULL when both names are. RAG_EINVAL (permissions; empty, too long or with
 * characters that no header may have), RAG_ENOTFOUND (no such variable), RAG_EIO, RAG_ENOMEM;
 * messages name the file or variable, never what is in it. */
enum rag_status remote_key_read(const char *file, const char *variable, char **ret,
                                struct rag_error *reterr);
void remote_key_free(char *key); /* overwrites it first */

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
/* RAG_OK only for a 2xx. Else: RAG_EDENIED (offline), RAG_EBUSY (circuit open, budget spent, 429),
 * RAG_EINVAL (400, 413, 422), RAG_EIO (no connection, broken, certificate, address, any other code,
 * a redirect among them), all with the server's message cut to one line; RAG_ETIMEOUT, RAG_ELIMIT,
 * RAG_ECANCELLED (by the flag within about 100 ms, also while connecting), RAG_ENOMEM. ret_outcome
 * is always written.
 */
enum rag_status remote_do(struct remote *r, const struct remote_call *call, struct buf *ret_body,
                          struct remote_outcome *ret_outcome, struct rag_error *reterr);

/* Hide the key in a text that a server wrote. */
void remote_hide_key(const struct remote *r, char *text);

struct remote_stats {
    uint64_t calls; /* of remote_do(): those of the next counters, and those that still run */
    uint64_t successes;
    uint64_t failures;
    uint64_t cancelled; /* by the flag; who stops at a piece has what it wanted */
    uint64_t refused_offline, refused_open, refused_budget;
    uint64_t tries;                      /* sent */
    uint64_t bytes_sent, bytes_received; /* bodies */
    bool circuit_open;
    int64_t calls_today; /* tries that the budget counts */
};
void remote_stats(struct remote *r, struct remote_stats *ret);

#endif
