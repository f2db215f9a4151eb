/* daemon/ragctl/ragctl_eval.h - parts of "ragctl eval"; internal to it.
 *
 *   ragctl_eval.c          the command: options, files, reports
 *   ragctl_eval_cache.c    "eval cache": pairs of questions, no daemon
 *   ragctl_eval_trec.c     the three files of a TREC collection
 *   ragctl_eval_daemon.c   a private ragd that lives as long as the evaluation
 *   ragctl_eval_corpus.c   the throw-away collection and what goes into it
 *   ragctl_eval_ask.c      one question: search, ask, score
 *
 * One thread. Texts of the outcomes are borrowed from the dataset or the question set, or
 * live in the run's arena. */
#ifndef RAG_DAEMON_RAGCTL_EVAL_H
#define RAG_DAEMON_RAGCTL_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bounds.h"
#include "base/status.h"
#include "daemon/ragctl/interrupt.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_files.h"
#include "daemon/ragctl/ragctl_shadow.h"
#include "eval/dataset.h"
#include "eval/evidence.h"
#include "eval/question_set.h"
#include "eval/run.h"

/* ---- ragctl_eval_daemon.c ---- */

struct eval_daemon {
    pid_t pid;        /* 0: not running */
    char folder[128]; /* "" when there is none */
    char socket[160];
};

struct eval_options;

/* Start the ragd beside this program (else the one of PATH) with a state of its own in a
 * new folder of $TMPDIR or /tmp, and wait until it is ready. RAG_EIO says why it is not,
 * with the last line of its log; RAG_ECANCELLED after a signal. It reads eval->config, or a
 * configuration with the models of 'eval'. */
enum rag_status eval_daemon_start(struct eval_daemon *d, const struct ragctl_options *options,
                                  const struct eval_options *eval, struct rag_error *reterr);
/* After a failure: when the private daemon is no longer there, say so in *reterr instead, with
 * how it ended and the last line of its log. Returns the status to go on with. */
enum rag_status eval_daemon_explain(struct eval_daemon *d, enum rag_status status,
                                    struct rag_error *reterr);
/* Stop it and remove its folder. A zeroed one is a no-op. */
void eval_daemon_stop(struct eval_daemon *d);

/* ---- the evaluation ---- */

struct eval_options {
    const char *path; /* a file, or the folder or first file of a TREC collection */
    char *const *paths;
    int n_paths;
    const char *config;   /* of the private daemon, or NULL */
    const char *embedder; /* directories of its models, or NULL */
    const char *reranker;
    const char *mode;   /* of the searches, or NULL */
    const char *fusion; /* a JSON object, or NULL */
    const char *distractors;
    const char *protocol;
    const char *report;
    const char *off_topic;
    int64_t sample; /* 0: all */
    int64_t seed;
    int64_t chunk_chars; /* 0: the default of the kind of file */
    bool titles;
    bool no_answers;
};

/* What the questions of a set are about: a document that was ingested. */
struct eval_document {
    const char *name;                  /* borrowed from the files */
    struct evidence_document evidence; /* of the stored text; only of documents with evidence */
    bool indexed;
};

struct evaluation {
    const struct ragctl_options *options;
    const struct eval_options *eval;
    struct ragctl_client *client;
    struct shadow corpus; /* the collection that is asked */
    size_t top_k;         /* results that are asked for */

    struct dataset *dataset; /* one of the two */
    struct question_set *set;
    struct ragctl_files files;       /* of the set; owned */
    struct eval_document *documents; /* [files.n], by name; owned */
    size_t n_documents;

    struct run *run;
};

/* ---- ragctl_eval.c ---- */

/* Write a finished page. RAG_ELIMIT, RAG_ENOMEM (of the buf), RAG_EIO name the file. */
enum rag_status eval_write_file(const struct buf *page, const char *path, struct rag_error *reterr);

/* Write a finished text to stdout; RAG_ENOMEM, RAG_ELIMIT (of the buf), RAG_EIO. */
enum rag_status eval_print(const struct buf *text, struct rag_error *reterr);

/* ---- ragctl_eval_cache.c ---- */

/* "eval cache FILE": argv[0] is "cache". */
int ragctl_eval_cache(const struct ragctl_options *options, int argc, char **argv);

/* ---- ragctl_eval_trec.c ---- */

struct eval_trec {
    char *documents; /* paths; owned */
    char *topics;
    char *judgments;
};
/* Tell the files apart: of one folder, or of several named files. RAG_ENOTFOUND: not all three
 * are there; RAG_EINVAL: one of them twice; RAG_EIO. */
enum rag_status eval_trec_find(char *const *paths, int n_paths, struct eval_trec *ret,
                               struct rag_error *reterr);
void eval_trec_release(struct eval_trec *t); /* a zeroed one is a no-op */
/* Errors of dataset_read_trec(). */
enum rag_status eval_trec_read(const struct eval_trec *t, struct dataset *d,
                               struct rag_error *reterr);

/* ---- ragctl_eval_corpus.c ---- */

/* Make the collection and ingest the dataset's passages, or the documents beside the set. */
enum rag_status eval_corpus_make(struct evaluation *e, struct rag_error *reterr);
/* Index of a document of the set by name, or e->n_documents. */
size_t eval_corpus_find(const struct evaluation *e, const char *name);

/* ---- ragctl_eval_ask.c ---- */

/* Put every question to the daemon and fill the run. */
enum rag_status eval_ask_all(struct evaluation *e, struct rag_error *reterr);

#endif
