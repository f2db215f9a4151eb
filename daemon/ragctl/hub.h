/* daemon/ragctl/hub.h - a model repository that speaks the Hugging Face Hub's HTTP.
 *
 *     GET {endpoint}/api/models/NAME/revision/REV          commit, licence, file names
 *     GET {endpoint}/api/models/NAME/tree/COMMIT?recursive=true   sizes, SHA-256 (lfs.oid)
 *     GET {endpoint}/NAME/resolve/COMMIT/FILE              the file, mostly behind a redirect
 *
 * Whatever comes from the server is hostile: names, sizes, bodies, redirects. The token goes to
 * the endpoint's own scheme, host and port and nowhere else, and over plain HTTP only to this
 * machine. Redirects never lead from https to http. Busy and broken answers are repeated with
 * pauses: 429 and 5xx (Retry-After respected), connections that fail or end early.
 * Only 'ragctl model pull' uses this; the daemon never goes to the network. One thread.
 * Source: https://huggingface.co/docs/hub/api; Retry-After: RFC 9110, section 10.2.3. */
#ifndef RAG_DAEMON_HUB_H
#define RAG_DAEMON_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "base/status.h"

#define HUB_ENDPOINT_DEFAULT "https://huggingface.co"
#define HUB_SIZE_UNKNOWN     UINT64_MAX

struct hub; /* opaque */

/* endpoint: "https://host[:port][/prefix]"; NULL: HUB_ENDPOINT_DEFAULT. token: or NULL.
 * on_pause (may be NULL) is told why and how long before each repetition. RAG_EINVAL (no http
 * URL; a token over plain HTTP to another machine), RAG_ENOMEM. */
struct hub_options {
    const char *endpoint;
    const char *token;
    void (*on_pause)(void *context, const char *why, int64_t pause_ms);
    void *context;
};
enum rag_status hub_open(const struct hub_options *options, struct hub **ret,
                         struct rag_error *reterr);
void hub_close(struct hub *hub); /* NULL is a no-op */
const char *hub_endpoint(const struct hub *hub);

struct hub_file {
    char *name;                    /* "1_Pooling/config.json"; owned; checked, see hub_name_ok() */
    uint64_t size;                 /* or HUB_SIZE_UNKNOWN */
    char sha256[SHA256_HEX_BYTES]; /* "" when the hub does not say it */
};

struct hub_model {
    char *name;     /* "intfloat/multilingual-e5-small"; owned */
    char *revision; /* as asked for; owned */
    char *commit;   /* that it stands for; owned */
    char *licence;  /* "mit", "" when the hub does not say it; owned */
    struct hub_file *files;
    size_t n_files;
};
void hub_model_release(struct hub_model *m); /* a zeroed one is a no-op */

/* name: "org/name" or "name"; revision: a branch, tag or commit, NULL: "main". RAG_ENOTFOUND,
 * RAG_EDENIED (gated or private; the message says what to do), RAG_EFORMAT (what the server says
 * makes no sense, or names a file outside the model), RAG_ELIMIT, RAG_EINVAL (name), RAG_EBUSY
 * (still busy after all repetitions), RAG_EIO, RAG_ETIMEOUT, RAG_ENOMEM. */
enum rag_status hub_list(struct hub *hub, const char *name, const char *revision,
                         struct hub_model *ret, struct rag_error *reterr);

/* Of weights, which may be large: *.safetensors, *.gguf. */
bool hub_is_weights(const char *name);

/* Is this a name that may be made a path: parts of [A-Za-z0-9._-], none beginning with a dot, at
 * most HUB_NAME_DEPTH_MAX deep. */
bool hub_name_ok(const char *name);

struct hub_fetch {
    const char *dir; /* that exists; the file's folders are made in it */
    /* Told the bytes of this file that are here; may be NULL. */
    void (*on_progress)(void *context, uint64_t n_bytes);
    void *context;
};

/* Bring one file to dir/name. It grows as dir/name.part, is resumed from what an earlier call left
 * there (only where its SHA-256 is known, so that a resumed file is as sure as a fresh one), is
 * checked for size and SHA-256, synced, and renamed. A file that is already there with the right
 * SHA-256 is kept. ret_sha256: of what is there now; ret_fetched: bytes that came over the net.
 * Statuses of hub_list(); RAG_EFORMAT: the content is not what the hub said, twice; RAG_ENOSPC. */
enum rag_status hub_fetch_file(struct hub *hub, const struct hub_model *model,
                               const struct hub_file *file, const struct hub_fetch *fetch,
                               char ret_sha256[SHA256_HEX_BYTES], uint64_t *ret_fetched,
                               struct rag_error *reterr);

#endif
