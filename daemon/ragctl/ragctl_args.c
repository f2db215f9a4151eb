#include "daemon/ragctl/ragctl_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES_MAX    40 /* longer words are no misspelt option */
#define NEAR_DISTANCE_MAX 2

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Levenshtein distance of two words of at most WORD_BYTES_MAX bytes, by one row. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[WORD_BYTES_MAX + 1];

    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *ragctl_args_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t word_bytes = strlen(word);
    size_t best_distance = NEAR_DISTANCE_MAX + 1;
    const char *best = NULL;

    if (word_bytes > WORD_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = candidates[i] ? strlen(candidates[i]) : 0;
        size_t distance;

        if (bytes == 0 || bytes > WORD_BYTES_MAX)
            continue;
        distance = edit_distance(word, word_bytes, candidates[i], bytes);
        if (distance < best_distance && distance * 3 <= word_bytes) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}

enum rag_status ragctl_args_one_verb(const char *command, const char *const *verbs, size_t n_verbs,
                                     const char *usual, const struct ragctl_arg *args,
                                     size_t n_args, int argc, char **argv, const char **ret_verb,
                                     struct rag_error *reterr)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", command);
    status = ragctl_args_parse(args, n_args, argc, argv, words, &n_words, reterr);
    if (status == RAG_OK && n_words == 0 && usual)
        *ret_verb = usual;
    else if (status == RAG_OK)
        status = ragctl_args_verb(verbs, n_verbs, command, words, n_words, ret_verb, reterr);
    if (status == RAG_OK && n_words > 1)
        status =
            rag_fail(reterr, RAG_EINVAL, "%s %s: '%s' is too much", command, *ret_verb, words[1]);
    free(words);
    return status;
}

enum rag_status ragctl_args_number(const char *text, const char *what, int64_t min, int64_t max,
                                   int64_t *ret, struct rag_error *reterr)
{
    char *end = NULL;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return rag_fail(reterr, RAG_EINVAL, "%s '%s': not a number", what, text);
    if (errno == ERANGE || v < min || v > max)
        return rag_fail(reterr, RAG_EINVAL,
                        "%s '%s': must be a number from %" PRId64 " to %" PRId64, what, text, min,
                        max);
    *ret = v;
    return RAG_OK;
}

static enum rag_status unknown_option(const struct ragctl_arg *args, size_t n_args,
                                      const char *word, size_t name_bytes, struct rag_error *reterr)
{
    static const char *const shared[] = {"--socket",     "--json",    "--quiet", "--url",
                                         "--collection", "--timeout", "--help"};
    const char *nearest = NULL;
    char name[WORD_BYTES_MAX + 1] = "";

    if (name_bytes <= WORD_BYTES_MAX) {
        memcpy(name, word, name_bytes);
        for (size_t i = 0; i < n_args && !nearest; i++)
            nearest = ragctl_args_nearest(name, &args[i].name, 1);
        if (!nearest)
            nearest = ragctl_args_nearest(name, shared, sizeof shared / sizeof shared[0]);
    }
    if (nearest)
        return rag_fail(reterr, RAG_EINVAL, "option '%.*s': unknown; did you mean '%s'?",
                        (int)name_bytes, word, nearest);
    return rag_fail(reterr, RAG_EINVAL,
                    "option '%.*s': unknown (put -- before words that begin with a dash)",
                    (int)name_bytes, word);
}

static enum rag_status store_value(const struct ragctl_arg *arg, const char *value,
                                   struct rag_error *reterr)
{
    if (arg->text) {
        *arg->text = value;
        return RAG_OK;
    }
    if (arg->number)
        return ragctl_args_number(value, arg->name, arg->min, arg->max, arg->number, reterr);
    if (arg->list->n == METADATA_KEYS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "option '%s': given more than %d times", arg->name,
                        METADATA_KEYS_MAX);
    arg->list->items[arg->list->n++] = value;
    return RAG_OK;
}

/* argv[*i] is an option; *i moves on when its value is the next word. */
static enum rag_status read_option(const struct ragctl_arg *args, size_t n_args, int argc,
                                   char **argv, int *i, struct rag_error *reterr)
{
    const char *word = argv[*i];
    const char *equals = strchr(word, '=');
    size_t name_bytes = equals ? (size_t)(equals - word) : strlen(word);
    const struct ragctl_arg *arg = NULL;

    for (size_t k = 0; k < n_args && !arg; k++) {
        if (strlen(args[k].name) == name_bytes && memcmp(args[k].name, word, name_bytes) == 0)
            arg = &args[k];
    }
    if (!arg)
        return unknown_option(args, n_args, word, name_bytes, reterr);
    if (arg->flag) {
        if (equals)
            return rag_fail(reterr, RAG_EINVAL, "option '%s': takes no value", arg->name);
        *arg->flag = true;
        return RAG_OK;
    }
    if (equals)
        return store_value(arg, equals + 1, reterr);
    if (*i + 1 >= argc)
        return rag_fail(reterr, RAG_EINVAL, "option '%s': needs a value", arg->name);
    return store_value(arg, argv[++*i], reterr);
}

/* "-x", "--text": a letter behind the dashes. "- item", "-5" and "-----" are words: no option is
 * like them, and texts often are. */
static bool is_option(const char *word)
{
    size_t dashes = strspn(word, "-");
    char c = word[dashes];

    return (dashes == 1 || dashes == 2) && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

enum rag_status ragctl_args_parse(const struct ragctl_arg *args, size_t n_args, int argc,
                                  char **argv, char **ret_words, int *ret_n_words,
                                  struct rag_error *reterr)
{
    bool only_words = false;
    int n_words = 0;

    for (int i = 1; i < argc; i++) {
        enum rag_status status;

        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || !is_option(argv[i])) {
            ret_words[n_words++] = argv[i];
            continue;
        }
        status = read_option(args, n_args, argc, argv, &i, reterr);
        if (status != RAG_OK)
            return status;
    }
    *ret_n_words = n_words;
    return RAG_OK;
}

enum rag_status ragctl_args_verb(const char *const *verbs, size_t n, const char *command,
                                 char **words, int n_words, const char **ret,
                                 struct rag_error *reterr)
{
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (n_words > 0 && strcmp(verbs[i], words[0]) == 0) {
            *ret = verbs[i];
            return RAG_OK;
        }
        if (used + strlen(verbs[i]) + 3 < sizeof list)
            used += (size_t)sprintf(list + used, "%s%s", i > 0 ? ", " : "", verbs[i]);
    }
    if (n_words == 0)
        return rag_fail(reterr, RAG_EINVAL, "%s: needs one of %s", command, list);
    return rag_fail(reterr, RAG_EINVAL, "%s '%s': not one of %s", command, words[0], list);
}

enum rag_status ragctl_args_no_words(const char *command, const struct ragctl_arg *table, size_t n,
                                     int argc, char **argv, struct rag_error *reterr)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", command);
    status = ragctl_args_parse(table, n, argc, argv, words, &n_words, reterr);
    if (status == RAG_OK && n_words > 0)
        status = rag_fail(reterr, RAG_EINVAL, "%s: '%s' is one word too many", command, words[0]);
    free(words);
    return status;
}
