/* daemon/ragctl/ragctl_guard.h - the verbs of 'ragctl guard'. argv[0] is the verb. */
#ifndef RAG_DAEMON_RAGCTL_GUARD_H
#define RAG_DAEMON_RAGCTL_GUARD_H

#include "daemon/ragctl/ragctl.h"

int ragctl_guard_check(const struct ragctl_options *options, int argc, char **argv);
int ragctl_guard_eval(const struct ragctl_options *options, int argc, char **argv);
int ragctl_guard_train(const struct ragctl_options *options, int argc, char **argv);

#endif
