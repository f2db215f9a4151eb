#include "daemon/ragctl/ragctl_guard.h"

#include "daemon/ragctl/ragctl_verb.h"

int ragctl_guard(const struct ragctl_options *options, int argc, char **argv)
{
    static const struct ragctl_verb verbs[] = {
        {"check", false, ragctl_guard_check},
        {"eval",  false, ragctl_guard_eval },
        {"train", true,  ragctl_guard_train},
    };

    return ragctl_verb_run(verbs, sizeof verbs / sizeof verbs[0], "guard", options, argc, argv);
}
