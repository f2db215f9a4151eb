#define _GNU_SOURCE
#include "daemon/builtin_models.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/version.h"

#define BELOW "share/ragd/models"

const char *builtin_default(enum model_role role)
{
    static const char *const names[] = {[MODEL_EMBEDDER] = "ragd-ko-embed",
                                        [MODEL_RERANKER] = "ragd-ko-rerank",
                                        [MODEL_GENERATOR] = NULL};

    return names[role];
}

/* ---- places ---- */

/* A copy, without '/' at its end, unless it is there already. */
static enum rag_status add_place(struct builtin_places *p, const char *dir,
                                 struct rag_error *reterr)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    for (size_t i = 0; i < p->n; i++) {
        if (strncmp(p->dirs[i], dir, n) == 0 && p->dirs[i][n] == '\0')
            return RAG_OK;
    }
    p->dirs[p->n] = strndup(dir, n);
    if (!p->dirs[p->n])
        return rag_fail(reterr, RAG_ENOMEM, "built-in models: out of memory");
    p->n++;
    return RAG_OK;
}

/* Cut the last part of a path off; false: there is none before it. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

/* Beside the program, and beside the folder that it is in. */
static enum rag_status add_relative(struct builtin_places *p, struct rag_error *reterr)
{
    char path[PATH_MAX];
    char place[PATH_MAX + sizeof BELOW + 1];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    enum rag_status status = RAG_OK;

    if (n <= 0)
        return RAG_OK;
    path[n] = '\0';
    for (int i = 0; i < 2 && status == RAG_OK && cut_last(path); i++) {
        snprintf(place, sizeof place, "%s/" BELOW, path);
        status = add_place(p, place, reterr);
    }
    return status;
}

enum rag_status builtin_places(const char *models_dir, struct builtin_places *ret,
                               struct rag_error *reterr)
{
    const char *chosen = getenv(BUILTIN_MODELS_ENV);
    struct builtin_places p = {.n = 0};
    enum rag_status status = RAG_OK;

    if (chosen && *chosen)
        status = add_place(&p, chosen, reterr);
    if (status == RAG_OK && models_dir && *models_dir)
        status = add_place(&p, models_dir, reterr);
    if (status == RAG_OK && !(chosen && *chosen)) {
        status = add_relative(&p, reterr);
        if (status == RAG_OK)
            status = add_place(&p, RAGD_SHARE_DIR "/models", reterr);
    }
    if (status != RAG_OK) {
        builtin_places_release(&p);
        return status;
    }
    *ret = p; /* ownership to the caller */
    return RAG_OK;
}

void builtin_places_release(struct builtin_places *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->dirs[i]);
    p->n = 0;
}

/* ---- names ---- */

/* One file name, that does not leave its folder. */
static bool name_ok(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= BUILTIN_NAME_BYTES_MAX && name[0] != '.' && !strchr(name, '/');
}

static enum rag_status not_found(const char *name, const struct builtin_places *p,
                                 struct rag_error *reterr)
{
    enum rag_status status;
    struct buf list;

    buf_init(&list, BUILTIN_PLACES_MAX * (PATH_MAX + 4));
    for (size_t i = 0; i < p->n; i++)
        buf_printf(&list, "%s'%s'", i ? ", " : "", p->dirs[i]);
    status = rag_fail(reterr, RAG_ENOTFOUND,
                      "model '" MODEL_NAME_BUILTIN "%s': is in none of %s; 'ragctl model list' "
                      "shows what is there",
                      name, buf_str(&list));
    buf_release(&list);
    return status;
}

enum rag_status builtin_model_find(const char *name, const char *models_dir, char **ret,
                                   struct rag_error *reterr)
{
    struct builtin_places p = {.n = 0};
    enum rag_status status;
    char *path = NULL;
    bool found = false;

    if (!name_ok(name))
        return rag_fail(reterr, RAG_EINVAL,
                        "model '" MODEL_NAME_BUILTIN "%.*s': not a name of 1 to %d bytes without "
                        "'/'",
                        BUILTIN_NAME_BYTES_MAX, name, BUILTIN_NAME_BYTES_MAX);
    status = builtin_places(models_dir, &p, reterr);
    for (size_t i = 0; i < p.n && status == RAG_OK && !found; i++) {
        struct stat st;

        free(path);
        if (asprintf(&path, "%s/%s", p.dirs[i], name) < 0) {
            path = NULL;
            status = rag_fail(reterr, RAG_ENOMEM, "built-in models: out of memory");
        } else {
            found = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
        }
    }
    if (status == RAG_OK && !found)
        status = not_found(name, &p, reterr);
    builtin_places_release(&p);
    if (status != RAG_OK) {
        free(path);
        return status;
    }
    *ret = path; /* ownership to the caller */
    return RAG_OK;
}

static bool is_default(const char *word)
{
    return strcmp(word, MODEL_NAME_DEFAULT) == 0;
}

bool model_word_insists(const char *word)
{
    return word && *word && strcmp(word, MODEL_NAME_NONE) != 0 && !is_default(word);
}

static enum rag_status no_model(char **ret, struct rag_error *reterr)
{
    char *none = strdup("");

    if (!none)
        return rag_fail(reterr, RAG_ENOMEM, "built-in models: out of memory");
    *ret = none;
    return RAG_OK;
}

enum rag_status model_word_resolve(const char *word, enum model_role role, const char *models_dir,
                                   char **ret, struct rag_error *reterr)
{
    const size_t n_prefix = strlen(MODEL_NAME_BUILTIN);
    enum rag_status status;

    if (!word || !*word || strcmp(word, MODEL_NAME_NONE) == 0)
        return no_model(ret, reterr);
    if (is_default(word) && builtin_default(role)) {
        status = builtin_model_find(builtin_default(role), models_dir, ret, reterr);
        return status == RAG_ENOTFOUND ? no_model(ret, reterr) : status;
    }
    if (strncmp(word, MODEL_NAME_BUILTIN, n_prefix) == 0)
        return builtin_model_find(word + n_prefix, models_dir, ret, reterr);
    *ret = NULL;
    return RAG_OK;
}

enum rag_status model_default_check(const char *word, enum model_role role, const char *models_dir,
                                    struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char *path = NULL;

    if (word && is_default(word) && builtin_default(role))
        status = builtin_model_find(builtin_default(role), models_dir, &path, reterr);
    free(path);
    return status;
}
