/* daemon/ragctl/ragctl_model_session.h - a decoder on the command line: what generate and logits
 * share. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_SESSION_H
#define RAG_DAEMON_RAGCTL_MODEL_SESSION_H

#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model.h"
#include "nn/compute_pool.h"
#include "nn/decoder.h"
#include "nn/kv_cache.h"
#include "nn/model_tensors.h"

struct model_session {
    const struct ragctl_options *options;
    const char *verb;
    char *path;            /* of the model: a directory or a GGUF file; owned */
    const char *precision; /* fp32, int8 or int4; NULL: as the weights are in their file */
    const char *ids_text;  /* --ids, or NULL */
    int64_t threads;       /* 0: the cores */
    char **words;          /* owned */
    int n_words;
    bool usage;                  /* the failure is one of the command line */
    struct compute_pool *pool;   /* owned, as all below */
    struct model_tensors *model; /* tensors and configuration */
    struct decoder *decoder;
    struct kv_cache *kv;
    struct kv_sequence *sequence;
    uint32_t *ids; /* of --ids */
    size_t n_ids;
};

/* Read argv by 'table' (the verb's own options, at most 16) and the shared ones --precision,
 * --threads, --ids, which is read too. A model is needed. */
enum rag_status model_session_begin(struct model_session *m, const struct ragctl_options *options,
                                    int argc, char **argv, const struct ragctl_arg *table, size_t n,
                                    struct rag_error *reterr);
/* Loads the model; from here on failures are not the command line's. */
enum rag_status model_session_open(struct model_session *m, struct rag_error *reterr);
/* An empty sequence with room for n tokens. */
enum rag_status model_session_room(struct model_session *m, size_t n, struct rag_error *reterr);
/* ids behind the sequence; logits of the last n_logits into ret [n_logits, vocab_size]. */
enum rag_status model_session_run(struct model_session *m, const uint32_t *ids, size_t n,
                                  size_t n_logits, float *ret, struct rag_error *reterr);
/* Releases everything; the exit status, after reporting 'error' when status is no RAG_OK. */
int model_session_end(struct model_session *m, enum rag_status status,
                      const struct rag_error *error);

#endif
