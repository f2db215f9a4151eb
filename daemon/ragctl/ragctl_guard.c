#include "daemon/ragctl/ragctl_guard.h"

#include "daemon/ragctl/ragctl_args.h"
#include "daemon/reexec.h"
#include "nn/mapped_file.h"

int ragctl_guard(const struct ragctl_options *options, int argc, char **argv)
{
    static const struct {
        const char *verb;
        bool computes; /* before its first thread the process may begin anew */
        int (*run)(const struct ragctl_options *options, int argc, char **argv);
    } verbs[] = {
        {"check", false, ragctl_guard_check},
        {"eval",  false, ragctl_guard_eval },
        {"train", true,  ragctl_guard_train},
    };
    const char *names[sizeof verbs / sizeof verbs[0]];
    struct rag_error error = {0};
    const char *verb = NULL;

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        names[i] = verbs[i].verb;
    if (ragctl_args_verb(names, sizeof names / sizeof names[0], "guard", argv + 1, argc - 1, &verb,
                         &error) != RAG_OK)
        return ragctl_usage("guard", &error);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (verb != verbs[i].verb)
            continue;
        if (verbs[i].computes) {
            if (reexec_for_compute(&error) != RAG_OK)
                ragctl_note(options, "%s", error.text);
            if (mapped_file_guard(&error) != RAG_OK)
                return ragctl_fail(options, &error);
        }
        return verbs[i].run(options, argc - 1, argv + 1);
    }
    return ragctl_usage("guard", &error);
}
