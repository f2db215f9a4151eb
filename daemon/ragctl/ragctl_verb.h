/* daemon/ragctl/ragctl_verb.h - a command whose first word says which of its functions runs. */
#ifndef RAG_DAEMON_RAGCTL_VERB_H
#define RAG_DAEMON_RAGCTL_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "daemon/ragctl/ragctl.h"

#define RAGCTL_VERBS_MAX 16 /* of one command; the longest table has 9 */

struct ragctl_verb {
    const char *name;
    bool computes; /* ragctl_prepare_compute() goes first */
    int (*run)(const struct ragctl_options *options, int argc, char **argv);
};

/* The function of the verb argv[1] with argv[0] = the verb; its exit status, or RAGCTL_USAGE. */
int ragctl_verb_run(const struct ragctl_verb *verbs, size_t n, const char *command,
                    const struct ragctl_options *options, int argc, char **argv);

/* What a command does that computes, before its first thread and before it reads anything: the
 * whole process may begin anew. */
enum rag_status ragctl_prepare_compute(const struct ragctl_options *options,
                                       struct rag_error *reterr);

#endif
