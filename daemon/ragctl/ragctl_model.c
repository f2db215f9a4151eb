#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ragctl/ragctl_verb.h"

/* Who gives the bare name of a built-in model means it, as a rule; a file of the name comes first.
 */
static enum rag_status check_bare_name(const char *word, struct rag_error *reterr)
{
    char *builtin = NULL;

    if (access(word, F_OK) == 0 || errno != ENOENT ||
        builtin_model_find(word, RAGCTL_MODELS_DIR_DEFAULT, &builtin, NULL) != RAG_OK)
        return RAG_OK;
    free(builtin);
    return rag_fail(reterr, RAG_ENOTFOUND,
                    "model '%.200s': no such file or folder; '" MODEL_NAME_BUILTIN
                    "%.200s' is installed",
                    word, word);
}

enum rag_status ragctl_model_path(const char *word, enum model_role role, char **ret,
                                  struct rag_error *reterr)
{
    char *path = NULL;
    enum rag_status status =
        model_word_resolve(word, role, RAGCTL_MODELS_DIR_DEFAULT, &path, reterr);

    if (status == RAG_OK && !path)
        status = check_bare_name(word, reterr);
    if (status == RAG_OK && !path && !(path = strdup(word)))
        status = rag_fail(reterr, RAG_ENOMEM, "model '%.200s': out of memory", word);
    if (status == RAG_OK)
        *ret = path; /* ownership to the caller */
    return status;
}

enum rag_status ragctl_model_need(const char *verb, const char *word, char **ret,
                                  struct rag_error *reterr)
{
    char *path = NULL;
    enum rag_status status = ragctl_model_path(word, MODEL_GENERATOR, &path, reterr);

    if (status == RAG_OK && !*path) {
        free(path);
        status = rag_fail(reterr, RAG_EINVAL, "model %s: '%.200s' is no model", verb, word);
    } else if (status == RAG_OK) {
        *ret = path; /* ownership to the caller */
    }
    return status;
}

int ragctl_model(const struct ragctl_options *options, int argc, char **argv)
{
    static const struct ragctl_verb verbs[] = {
        {"list",     false, ragctl_model_list    },
        {"check",    true,  ragctl_model_check   },
        {"pack",     true,  ragctl_model_pack    },
        {"pull",     false, ragctl_model_pull    },
        {"embed",    true,  ragctl_model_embed   },
        {"tokenize", false, ragctl_model_tokenize},
        {"score",    true,  ragctl_model_score   },
        {"generate", true,  ragctl_model_generate},
        {"logits",   true,  ragctl_model_logits  },
    };

    return ragctl_verb_run(verbs, sizeof verbs / sizeof verbs[0], "model", options, argc, argv);
}
