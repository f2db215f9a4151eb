#include "daemon/ragctl/ragctl_model.h"

#include <string.h>

#include "daemon/ragctl/ragctl_args.h"
#include "daemon/reexec.h"
#include "nn/mapped_file.h"

/* What a program does that computes, before its first thread and before it reads anything: the
 * whole process may begin anew. */
static enum rag_status prepare(const struct ragctl_options *options, struct rag_error *reterr)
{
    struct rag_error slow = {0};

    if (reexec_for_compute(&slow) != RAG_OK)
        ragctl_note(options, "%s", slow.text);
    return mapped_file_guard(reterr);
}

int ragctl_model(const struct ragctl_options *options, int argc, char **argv)
{
    static const struct {
        const char *verb;
        bool computes;
        int (*run)(const struct ragctl_options *options, int argc, char **argv);
    } verbs[] = {
        {"list",     false, ragctl_model_list    },
        {"check",    true,  ragctl_model_check   },
        {"pull",     false, ragctl_model_pull    },
        {"embed",    true,  ragctl_model_embed   },
        {"tokenize", false, ragctl_model_tokenize},
        {"score",    true,  ragctl_model_score   },
        {"generate", true,  ragctl_model_generate},
        {"logits",   true,  ragctl_model_logits  },
    };
    const char *names[sizeof verbs / sizeof verbs[0]];
    struct rag_error error = {0};
    const char *verb = NULL;

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        names[i] = verbs[i].verb;
    if (ragctl_args_verb(names, sizeof names / sizeof names[0], "model", argv + 1, argc - 1, &verb,
                         &error) != RAG_OK)
        return ragctl_usage("model", &error);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (verb != verbs[i].verb)
            continue;
        if (verbs[i].computes && prepare(options, &error) != RAG_OK)
            return ragctl_fail(options, &error);
        return verbs[i].run(options, argc - 1, argv + 1);
    }
    return ragctl_usage("model", &error);
}
