#include "daemon/ragctl/ragctl_model.h"

#include "daemon/ragctl/ragctl_verb.h"

int ragctl_model(const struct ragctl_options *options, int argc, char **argv)
{
    static const struct ragctl_verb verbs[] = {
        {"list",     false, ragctl_model_list    },
        {"check",    true,  ragctl_model_check   },
        {"pull",     false, ragctl_model_pull    },
        {"embed",    true,  ragctl_model_embed   },
        {"tokenize", false, ragctl_model_tokenize},
        {"score",    true,  ragctl_model_score   },
        {"generate", true,  ragctl_model_generate},
        {"logits",   true,  ragctl_model_logits  },
    };

    return ragctl_verb_run(verbs, sizeof verbs / sizeof verbs[0], "model", options, argc, argv);
}
