#include "daemon/ragctl/ragctl_verb.h"

#include <assert.h>

#include "daemon/ragctl/ragctl_args.h"
#include "daemon/reexec.h"
#include "nn/mapped_file.h"

enum rag_status ragctl_prepare_compute(const struct ragctl_options *options,
                                       struct rag_error *reterr)
{
    struct rag_error slow = {0};

    if (reexec_for_compute(&slow) != RAG_OK)
        ragctl_note(options, "%s", slow.text);
    return mapped_file_guard(reterr);
}

int ragctl_verb_run(const struct ragctl_verb *verbs, size_t n, const char *command,
                    const struct ragctl_options *options, int argc, char **argv)
{
    const char *names[RAGCTL_VERBS_MAX];
    struct rag_error error = {0};
    const char *name = NULL;
    size_t i = 0;

    assert(n <= RAGCTL_VERBS_MAX);
    for (size_t k = 0; k < n; k++)
        names[k] = verbs[k].name;
    if (ragctl_args_verb(names, n, command, argv + 1, argc - 1, &name, &error) != RAG_OK)
        return ragctl_usage(command, &error);
    while (names[i] != name)
        i++;
    if (verbs[i].computes && ragctl_prepare_compute(options, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    return verbs[i].run(options, argc - 1, argv + 1);
}
