/* daemon/ragctl/ragctl_model.h - the verbs of 'ragctl model'. None of them needs a running daemon.
 * argv[0] is the verb, the rest its own words and options. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_H
#define RAG_DAEMON_RAGCTL_MODEL_H

#include "daemon/ragctl/ragctl.h"

#define RAGCTL_MODELS_DIR_DEFAULT "/var/lib/ragd/models" /* ragd.conf: models/ in state_dir */

int ragctl_model_embed(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_tokenize(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_score(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_generate(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_logits(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_list(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_check(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model_pull(const struct ragctl_options *options, int argc, char **argv);

#endif
