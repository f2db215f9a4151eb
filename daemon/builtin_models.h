/* daemon/builtin_models.h - models that come with ragd, and the words that name a model.
 *
 *     none             no model; so does an empty value
 *     default          the built-in one of that role where it is installed, else none
 *     builtin:NAME     the built-in one of that name; an error where it is not
 *     anything else    is the caller's affair: a path, or a folder below one of its own
 *
 * A built-in model is a folder NAME in one of these places; the first that has it counts:
 *
 *     1. $RAGD_BUILTIN_MODELS, where it is set and not empty; then 3 to 5 are not looked at
 *     2. the caller's folder of models (models_dir), so that a newer one of the name comes first
 *     3. share/ragd/models beside the program: a build folder, which links to etc/models
 *     4. ../share/ragd/models: where the program is in bin/ of some prefix
 *     5. share/ragd/models of the prefix that the program was built for
 *
 * Thread-safe, as far as the environment does not change meanwhile. */
#ifndef RAG_DAEMON_BUILTIN_MODELS_H
#define RAG_DAEMON_BUILTIN_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define MODEL_NAME_NONE        "none"
#define MODEL_NAME_DEFAULT     "default"
#define MODEL_NAME_BUILTIN     "builtin:"
#define BUILTIN_MODELS_ENV     "RAGD_BUILTIN_MODELS"
#define BUILTIN_PLACES_MAX     5
#define BUILTIN_NAME_BYTES_MAX 96 /* as a file name that people can still read */

enum model_role { MODEL_EMBEDDER, MODEL_RERANKER, MODEL_GENERATOR };

/* "ragd-ko-embed"; NULL: there is none for the role, and 'default' is a name as any other. */
const char *builtin_default(enum model_role role);

struct builtin_places {
    char *dirs[BUILTIN_PLACES_MAX]; /* owned; in the order above, none twice */
    size_t n;
};
/* models_dir: NULL or "": no such folder. RAG_OK or RAG_ENOMEM. */
enum rag_status builtin_places(const char *models_dir, struct builtin_places *ret,
                               struct rag_error *reterr);
void builtin_places_release(struct builtin_places *p); /* a zeroed one is a no-op */

/* The folder of a built-in model, malloc'ed. RAG_EINVAL (no name of one), RAG_ENOTFOUND (names the
 * places), RAG_ENOMEM. */
enum rag_status builtin_model_find(const char *name, const char *models_dir, char **ret,
                                   struct rag_error *reterr);

/* What a person's word for a model means, malloc'ed: a path, "" for no model, or NULL: the word is
 * none of those above. 'word' may be NULL: none. Statuses of builtin_model_find(). */
enum rag_status model_word_resolve(const char *word, enum model_role role, const char *models_dir,
                                   char **ret, struct rag_error *reterr);

/* Does the word ask for one certain model, so that a missing one is an error? */
bool model_word_insists(const char *word);

/* RAG_ENOTFOUND (names the places) where the word is 'default' and the role's built-in model is not
 * installed, so that it came to mean none; else RAG_OK, or RAG_ENOMEM. */
enum rag_status model_default_check(const char *word, enum model_role role, const char *models_dir,
                                    struct rag_error *reterr);

#endif
