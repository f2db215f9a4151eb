/* daemon/ragctl/ragctl_model_run.h - options and output that embed, tokenize and score share. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_RUN_H
#define RAG_DAEMON_RAGCTL_MODEL_RUN_H

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model.h"
#include "daemon/ragctl/ragctl_model_texts.h"
#include "nn/compute_pool.h"
#include "nn/encoder.h"

struct model_run {
    const struct ragctl_options *options;
    const char *verb;
    char *dir; /* of the model; owned */
    const char *precision;
    const char *file;
    int64_t max_length; /* 0: the model's */
    int64_t threads;    /* 0: the cores */
    struct model_texts texts;
    struct compute_pool *pool; /* owned */
    char **words;              /* owned; DIR and what follows it */
    int n_words;
    bool usage; /* the failure is one of the command line */
};

/* Read argv by 'table' (the verb's own options) and the shared ones --precision, --max-length,
 * --threads, --file. A model directory is needed. */
enum rag_status model_run_begin(struct model_run *run, const struct ragctl_options *options,
                                int argc, char **argv, const struct ragctl_arg *table, size_t n,
                                struct rag_error *reterr);
enum rag_status model_run_precision(struct model_run *run, enum precision *ret,
                                    struct rag_error *reterr);
/* The texts: those of --file, or the words behind DIR, each with the pair (or NULL). */
enum rag_status model_run_texts(struct model_run *run, const char *pair, struct rag_error *reterr);
enum rag_status model_run_pool(struct model_run *run, struct rag_error *reterr);
/* Releases everything; the exit status, after reporting 'error' when status is no RAG_OK. */
int model_run_end(struct model_run *run, enum rag_status status, const struct rag_error *error);

/* A float with the 9 digits that bring it back exactly; -0 is written as 0. */
void model_put_float(struct json_writer *w, const char *key, float v);

#endif
