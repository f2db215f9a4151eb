/* daemon/ragctl/ragctl_model.h - the verbs of 'ragctl model'. None of them needs a running daemon.
 * argv[0] is the verb, the rest its own words and options. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_H
#define RAG_DAEMON_RAGCTL_MODEL_H

#include "base/status.h"
#include "daemon/builtin_models.h"
#include "daemon/ragctl/ragctl.h"

#define RAGCTL_MODELS_DIR_DEFAULT "/var/lib/ragd/models" /* ragd.conf: models/ in state_dir */

/* Where a model named on the command line is, malloc'ed: the words of daemon/builtin_models.h, with
 * RAGCTL_MODELS_DIR_DEFAULT as the folder of models, else 'word' itself; "" for none. RAG_EINVAL,
 * RAG_ENOTFOUND (no such built-in model), RAG_ENOMEM. */
enum rag_status ragctl_model_path(const char *word, enum model_role role, char **ret,
                                  struct rag_error *reterr);
/* The same for a verb, which needs one: "none" is RAG_EINVAL. */
enum rag_status ragctl_model_need(const char *verb, const char *word, char **ret,
                                  struct rag_error *reterr);

int ragctl_model_embed(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_tokenize(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_score(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_generate(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_logits(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_list(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_check(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_pack(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_pull(const struct ragctl_options *options, int argc, char **argv);

#endif
