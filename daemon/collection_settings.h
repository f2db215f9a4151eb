/* daemon/collection_settings.h - what PUT /v1/collections/{c} sets, as JSON from clients and in the
 * store. */
#ifndef RAG_DAEMON_COLLECTION_SETTINGS_H
#define RAG_DAEMON_COLLECTION_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/status.h"
#include "daemon/config.h"
#include "embed/chunker.h"
#include "retrieve/fusion.h"
#include "retrieve/rerank_lexical.h"

struct collection_settings {
    char **readers; /* principals, or "*" for everybody who may connect; owned */
    size_t n_readers;
    char **writers; /* owned */
    size_t n_writers;
    bool offline;                                      /* its text never leaves this machine */
    enum config_backend backends[CONFIG_BACKENDS_MAX]; /* who answers, in this order */
    size_t n_backends;                                 /* 0: as the daemon's configuration says */
    struct chunker_options chunks;
    bool fusion_set; /* else the daemon's */
    struct fusion_options fusion;
    /* fingerprint of the embedder that it was measured with; "" unknown */
    char fusion_tuned_with[SHA256_HEX_BYTES];
    bool lexical_set; /* else LEXICAL_WEIGHTS_DEFAULT */
    struct lexical_weights lexical;
    bool rerank_set; /* else the daemon's */
    float rerank_words;
    bool gate_set; /* else the daemon's */
    float gate_relevance_min;
};

/* The daemon's, of collections that set none. */
struct collection_defaults {
    struct fusion_options fusion;
    float gate_relevance_min;
    float rerank_words;
};

void collection_principals_free(char **list, size_t n); /* readers or writers; NULL is a no-op */
void collection_settings_release(struct collection_settings *s); /* a zeroed one is a no-op */

/* Change *s by the members of body (NULL: none); on failure *s may be partly changed. defaults:
 * of members that a first "fusion", "lexical", "rerank" or "gate" leaves out. RAG_EINVAL names the
 * member, RAG_ENOMEM. */
enum rag_status collection_settings_read(struct collection_settings *s, const struct json *body,
                                         const struct collection_defaults *defaults,
                                         struct rag_error *reterr);
/* The members of an open object. */
void collection_settings_write(const struct collection_settings *s, struct json_writer *w);
/* An object of them; *ret is malloc'ed. RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status collection_settings_print(const struct collection_settings *s, char **ret,
                                          struct rag_error *reterr);

#endif
