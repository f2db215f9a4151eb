#define _GNU_SOURCE
#include "daemon/config.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/utf8.h"
#include "daemon/builtin_models.h"
#include "daemon/config_table.h"

const struct config_key *config_keys(size_t *ret_n)
{
    static struct config_key keys[CONFIG_KEYS_MAX];

    assert(config_n_rows <= CONFIG_KEYS_MAX);
    for (size_t i = 0; i < config_n_rows; i++)
        keys[i] = config_rows[i].key;
    *ret_n = config_n_rows;
    return keys;
}

/* ---- values ---- */

static void *member(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

static enum rag_status set_text(char **at, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return RAG_ENOMEM;
    free(*at);
    *at = copy;
    return RAG_OK;
}

static enum rag_status bad_value(const struct config_row *row, const char *value,
                                 const char *allowed, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EINVAL, "%s.%s: '%.80s' is not %s", row->key.section, row->key.name,
                    value, allowed);
}

static enum rag_status set_number(struct config *config, const struct config_row *row,
                                  const char *value, struct rag_error *reterr)
{
    char allowed[96];
    char *end = NULL;

    errno = 0;
    if (row->type == KEY_DOUBLE) {
        double v = strtod(value, &end);

        snprintf(allowed, sizeof allowed, "a number from %g to %g", row->min, row->max);
        if (end == value || *end != '\0' || !(v >= row->min && v <= row->max))
            return bad_value(row, value, allowed, reterr);
        *(double *)member(config, row) = v;
    } else {
        int base = row->type == KEY_OCTAL ? 8 : 10;
        long long v = strtoll(value, &end, base);

        snprintf(allowed, sizeof allowed,
                 base == 8 ? "an octal mode from %.0f to 0777" : "an integer from %.0f to %.0f",
                 row->min, row->max);
        if (end == value || *end != '\0' || errno != 0 || (double)v < row->min ||
            (double)v > row->max)
            return bad_value(row, value, allowed, reterr);
        *(int64_t *)member(config, row) = v;
    }
    return RAG_OK;
}

static enum rag_status set_word(struct config *config, const struct config_row *row,
                                const char *value, struct rag_error *reterr)
{
    const char *allowed;
    const char *const *words = config_words(row->type, &allowed);

    for (int i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *(int64_t *)member(config, row) = i;
            return RAG_OK;
        }
    }
    return bad_value(row, value, allowed, reterr);
}

static const char *const backend_names[] = {"local", "openai", "extractive"};

const char *config_backend_name(enum config_backend backend)
{
    return backend_names[backend];
}

bool config_backends_read(const char *text, enum config_backend ret[CONFIG_BACKENDS_MAX],
                          size_t *ret_n)
{
    bool seen[CONFIG_BACKENDS_MAX] = {false};
    size_t n = 0;

    for (text += strspn(text, " ,\t"); *text != '\0'; text += strspn(text, " ,\t")) {
        size_t length = strcspn(text, " ,\t");
        size_t i = 0;

        while (i < CONFIG_BACKENDS_MAX &&
               (strlen(backend_names[i]) != length || strncmp(backend_names[i], text, length) != 0))
            i++;
        if (i == CONFIG_BACKENDS_MAX || seen[i])
            return false;
        seen[i] = true;
        ret[n++] = (enum config_backend)i;
        text += length;
    }
    *ret_n = n;
    return n > 0;
}

size_t config_backends(const struct config *c, enum config_backend ret[CONFIG_BACKENDS_MAX])
{
    size_t n = 0;

    if (c->generate_backends && config_backends_read(c->generate_backends, ret, &n))
        return n;
    if (c->generate_model)
        ret[n++] = BACKEND_LOCAL;
    if (c->openai_url)
        ret[n++] = BACKEND_OPENAI;
    ret[n++] = BACKEND_EXTRACTIVE;
    return n;
}

static enum rag_status check_backends(const struct config_row *row, const char *value,
                                      struct rag_error *reterr)
{
    enum config_backend backends[CONFIG_BACKENDS_MAX];
    size_t n;

    if (!config_backends_read(value, backends, &n))
        return bad_value(row, value, "a list of local, openai, extractive", reterr);
    return RAG_OK;
}

static enum rag_status set_prompt(char **at, const char *value)
{
    size_t n = strlen(value);
    bool quoted = n >= 2 && value[0] == '"' && value[n - 1] == '"';
    char *copy = quoted ? strndup(value + 1, n - 2) : strdup(value);

    if (!copy)
        return RAG_ENOMEM;
    free(*at);
    *at = copy;
    return RAG_OK;
}

static void free_admins(struct config *config)
{
    for (size_t i = 0; i < config->n_admins; i++)
        free(config->admins[i]);
    free(config->admins);
    config->admins = NULL;
    config->n_admins = 0;
}

static bool is_principal(const char *text)
{
    char *end = NULL;

    if (strlen(text) > PRINCIPAL_BYTES_MAX)
        return false;
    if (strncmp(text, "token:", 6) == 0)
        return text[6] != '\0';
    /* -1 is no user: chown(2) takes it for "leave as it is" */
    return strncmp(text, "uid:", 4) == 0 && text[4] >= '0' && text[4] <= '9' &&
           strtoull(text + 4, &end, 10) < UINT32_MAX && *end == '\0';
}

/* The one list key: principals separated by spaces or commas. */
static enum rag_status set_list(struct config *config, const struct config_row *row,
                                const char *value, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char *copy = strdup(value);
    char *save = NULL;

    free_admins(config);
    config->admins = calloc(CONFIG_LIST_MAX, sizeof *config->admins);
    if (!copy || !config->admins)
        status = RAG_ENOMEM;
    for (char *word = status == RAG_OK ? strtok_r(copy, " ,\t", &save) : NULL;
         word && status == RAG_OK; word = strtok_r(NULL, " ,\t", &save)) {
        if (config->n_admins == CONFIG_LIST_MAX)
            status = bad_value(row, word, "among the first 64 elements of the list", reterr);
        else if (!is_principal(word))
            status = bad_value(row, word, "a principal (uid:N or token:NAME)", reterr);
        else if (!(config->admins[config->n_admins] = strdup(word)))
            status = RAG_ENOMEM;
        else
            config->n_admins++;
    }
    free(copy);
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "configuration: out of memory");
    return status;
}

/* Is the member a text that is owned? */
static bool is_text(enum key_type type)
{
    return type == KEY_TEXT || type == KEY_PATH || type == KEY_MODEL || type == KEY_PROMPT ||
           type == KEY_BACKENDS;
}

static enum rag_status set_row(struct config *config, const struct config_row *row,
                               const char *value, struct rag_error *reterr)
{
    char **text = member(config, row);
    enum rag_status status;

    if (row->type >= KEY_LEVEL)
        return set_word(config, row, value, reterr);
    switch (row->type) {
    case KEY_INT:
    case KEY_OCTAL:
    case KEY_DOUBLE:
        return set_number(config, row, value, reterr);
    case KEY_LIST:
        return set_list(config, row, value, reterr);
    case KEY_PATH:
    case KEY_MODEL:
    case KEY_PROMPT:
    case KEY_BACKENDS:
        if (value[0] == '\0' || (row->type == KEY_MODEL && strcmp(value, MODEL_NAME_NONE) == 0)) {
            free(*text);
            *text = NULL;
            return RAG_OK;
        }
        if (row->type == KEY_BACKENDS) {
            status = check_backends(row, value, reterr);
            if (status != RAG_OK)
                return status;
        }
        status = row->type == KEY_PROMPT ? set_prompt(text, value) : set_text(text, value);
        break;
    case KEY_TEXT:
    default:
        status = set_text(text, value);
        break;
    }
    return status == RAG_OK ? status : rag_fail(reterr, status, "configuration: out of memory");
}

/* ---- keys ---- */

/* Edit distance (Levenshtein 1966), for "did you mean". Names are short. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    size_t line[64];

    if (n >= 64 || strlen(a) >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        line[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = line[0];

        line[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = line[j];
            if (line[j] + 1 < best)
                best = line[j] + 1;
            if (line[j - 1] + 1 < best)
                best = line[j - 1] + 1;
            line[j] = best;
        }
    }
    return line[n];
}

/* section NULL: any. NULL: no such key. */
static const struct config_row *find_row(const char *section, const char *name)
{
    for (size_t i = 0; i < config_n_rows; i++)
        if ((!section || strcmp(config_rows[i].key.section, section) == 0) &&
            strcmp(config_rows[i].key.name, name) == 0)
            return &config_rows[i];
    return NULL;
}

static enum rag_status unknown_key(const char *section, const char *name, struct rag_error *reterr)
{
    const struct config_row *nearest = &config_rows[0];
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < config_n_rows; i++) {
        size_t d = 2 * distance(name, config_rows[i].key.name) +
                   (section && strcmp(section, config_rows[i].key.section) != 0);

        if (d < best) {
            best = d;
            nearest = &config_rows[i];
        }
    }
    return rag_fail(reterr, RAG_EINVAL, "[%.60s] %.60s: no such key; did you mean [%s] %s?",
                    section ? section : "", name, nearest->key.section, nearest->key.name);
}

enum rag_status config_set(struct config *config, const char *key, const char *value,
                           struct rag_error *reterr)
{
    const char *dot = strchr(key, '.');
    const char *name = dot ? dot + 1 : key;
    char section[64] = "";
    const struct config_row *row;

    if (dot)
        snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
    row = find_row(dot ? section : NULL, name);
    if (!row)
        return unknown_key(dot ? section : NULL, name, reterr);
    for (size_t i = 0; i < config_n_rows && !dot; i++)
        if (&config_rows[i] != row && strcmp(config_rows[i].key.name, name) == 0)
            return rag_fail(reterr, RAG_EINVAL, "%.60s: say which, %s.%s or %s.%s", name,
                            row->key.section, name, config_rows[i].key.section, name);
    return set_row(config, row, value, reterr);
}

/* ---- the file ---- */

/* A reading: lines are handed to inih one at a time, so that the line of each value is known and
 * nothing after the first bad one is looked at. */
struct reading {
    struct config *config;
    const char *text; /* what is left of the file */
    int line;         /* that was handed over last */
    bool seen[CONFIG_KEYS_MAX];
    enum rag_status status;
    struct rag_error error; /* of that line */
};

/* inih's fgets(): one line with its end into 'line' of n bytes; NULL: no more. */
static char *next_line(char *line, int n, void *stream)
{
    struct reading *r = stream;
    size_t n_bytes = strcspn(r->text, "\n");
    size_t n_max = (size_t)n - 2; /* inih's own limit, less the end of the line and the NUL */

    if (r->text[0] == '\0' || r->status != RAG_OK)
        return NULL;
    r->line++;
    if (n_bytes > n_max) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "%zu bytes, the limit of a line is %zu",
                             n_bytes, n_max);
        return NULL;
    }
    if (!utf8_valid(r->text, n_bytes, NULL)) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "not UTF-8");
        return NULL;
    }
    memcpy(line, r->text, n_bytes);
    line[n_bytes] = '\n';
    line[n_bytes + 1] = '\0';
    r->text += n_bytes + (r->text[n_bytes] == '\n');
    return line;
}

static int on_value(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    const struct config_row *row = find_row(section, name);

    if (r->status != RAG_OK)
        return 0;
    if (!row) {
        r->status = unknown_key(section, name, &r->error);
        return 0;
    }
    if (r->seen[row - config_rows]) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "[%s] %s: given twice", section, name);
        return 0;
    }
    r->seen[row - config_rows] = true;
    r->status = set_row(r->config, row, value, &r->error);
    return r->status == RAG_OK;
}

enum rag_status config_parse(struct config *config, const char *text, const char *name,
                             struct rag_error *reterr)
{
    struct reading r = {.config = config, .text = text, .status = RAG_OK};
    int bad_line = ini_parse_stream(next_line, &r, on_value, &r);

    if (r.status != RAG_OK && (bad_line <= 0 || bad_line >= r.line))
        return rag_fail(reterr, r.status, "configuration '%s' line %d: %s", name, r.line,
                        r.error.text);
    if (bad_line > 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "configuration '%s' line %d: neither [section], key = value nor comment",
                        name, bad_line);
    if (bad_line < 0)
        return rag_fail(reterr, RAG_ENOMEM, "configuration '%s': out of memory", name);
    return RAG_OK;
}

static enum rag_status read_file(const char *path, char *text, size_t max, struct rag_error *reterr)
{
    FILE *file = fopen(path, "re");
    enum rag_status status = RAG_OK;
    size_t n;

    if (!file)
        return rag_fail_errno(reterr, RAG_EIO, errno, "configuration '%s': cannot open", path);
    n = fread(text, 1, max + 1, file);
    if (ferror(file))
        status = rag_fail_errno(reterr, RAG_EIO, errno, "configuration '%s': cannot read", path);
    else if (n > max)
        status = rag_fail(reterr, RAG_ELIMIT, "configuration '%s': over %zu bytes", path, max);
    else if (memchr(text, '\0', n))
        status =
            rag_fail(reterr, RAG_EINVAL, "configuration '%s': holds a NUL byte, so no text", path);
    else
        text[n] = '\0';
    fclose(file);
    return status;
}

enum rag_status config_load(struct config *config, const char *path, struct rag_error *reterr)
{
    char *text = malloc(CONFIG_BYTES_MAX + 1);
    enum rag_status status;

    if (!text)
        return rag_fail(reterr, RAG_ENOMEM, "configuration '%s': out of memory", path);
    status = read_file(path, text, CONFIG_BYTES_MAX, reterr);
    if (status == RAG_OK)
        status = config_parse(config, text, path, reterr);
    free(text);
    return status;
}

enum rag_status config_new(struct config **ret, struct rag_error *reterr)
{
    struct config *config = calloc(1, sizeof *config);

    if (!config)
        return rag_fail(reterr, RAG_ENOMEM, "configuration: out of memory");
    for (size_t i = 0; i < config_n_rows; i++) {
        enum rag_status status =
            set_row(config, &config_rows[i], config_rows[i].key.fallback, reterr);

        if (status != RAG_OK) {
            config_free(config);
            return status;
        }
    }
    *ret = config;
    return RAG_OK;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config_n_rows; i++)
        if (is_text(config_rows[i].type))
            free(*(char **)member(config, &config_rows[i]));
    free_admins(config);
    free(config);
}

enum rag_status config_check(const struct config *c, struct rag_error *reterr)
{
    struct sockaddr_un address;

    if (c->state_dir[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[ragd] state_dir: empty");
    if (c->socket_path[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[http] socket_path: empty");
    if (strlen(c->socket_path) >= sizeof address.sun_path)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] socket_path: %zu bytes, a Unix socket's path has at most %zu",
                        strlen(c->socket_path), sizeof address.sun_path - 1);
    if (c->tcp_address[0] != '\0' && strcmp(c->tcp_address, "127.0.0.1") != 0 &&
        strcmp(c->tcp_address, "::1") != 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] tcp_address: '%.60s' is not a loopback address (127.0.0.1 or ::1)",
                        c->tcp_address);
    if (c->tcp_address[0] != '\0' && c->token_file[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[http] tcp_address: needs token_file");
    if (c->chunk_overlap * 2 >= c->chunk_chars)
        return rag_fail(reterr, RAG_EINVAL,
                        "[index] chunk_overlap: %lld is not below half of chunk_chars (%lld)",
                        (long long)c->chunk_overlap, (long long)c->chunk_chars);
    if (c->generate_backends && strstr(c->generate_backends, "local") && !c->generate_model)
        return rag_fail(reterr, RAG_EINVAL, "[generate] backends: local needs model");
    if (c->generate_backends && strstr(c->generate_backends, "openai") && !c->openai_url)
        return rag_fail(reterr, RAG_EINVAL,
                        "[generate] backends: openai needs base_url of [openai]");
    if (c->openai_url && !c->openai_model)
        return rag_fail(reterr, RAG_EINVAL,
                        "[openai] base_url: needs model, the name of one there");
    if (c->embed_url && model_word_insists(c->models_embedder))
        return rag_fail(reterr, RAG_EINVAL,
                        "[remote] embed_url: [models] embedder is given too; choose one");
    if (c->rerank_url && model_word_insists(c->models_reranker))
        return rag_fail(reterr, RAG_EINVAL,
                        "[remote] rerank_url: [models] reranker is given too; choose one");
    if (c->embed_url && c->embed_dim == 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "[remote] embed_url: needs embed_dim, the numbers of a vector there");
    if (c->bodies_bytes_max < c->body_bytes_max)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] bodies_bytes_max: %lld is below body_bytes_max (%lld)",
                        (long long)c->bodies_bytes_max, (long long)c->body_bytes_max);
    return RAG_OK;
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

enum rag_status config_sections_hash(const struct config *config, const char *const *sections,
                                     uint8_t ret[SHA256_BYTES])
{
    struct sha256_part *parts = calloc(config_n_rows, 2 * sizeof *parts);
    enum rag_status status = RAG_ENOMEM;
    size_t n = 0;

    for (size_t i = 0; parts && i < config_n_rows; i++) {
        const struct config_row *row = &config_rows[i];
        const void *value = (const char *)config + row->offset;
        const char *text;

        if (!is_among(row->key.section, sections) || row->type == KEY_LIST)
            continue;
        parts[n++] = (struct sha256_part){row->key.name, strlen(row->key.name)};
        if (is_text(row->type)) {
            memcpy(&text, value, sizeof text);
            parts[n++] = (struct sha256_part){text ? text : "", text ? strlen(text) : 0};
        } else {
            parts[n++] = (struct sha256_part){value, sizeof(int64_t)}; /* a double is as long */
        }
    }
    if (parts)
        status = sha256_lengths(parts, n, ret);
    free(parts);
    return status;
}

enum rag_status config_model_dir(const struct config *c, const char *name, char **ret,
                                 struct rag_error *reterr)
{
    char *path = NULL;
    int n;

    if (!name)
        n = asprintf(&path, "%s", "");
    else if (name[0] == '/' || name[0] == '.')
        n = asprintf(&path, "%s", name);
    else if (c->models_dir[0] != '\0')
        n = asprintf(&path, "%s/%s", c->models_dir, name);
    else
        n = asprintf(&path, "%s/models/%s", c->state_dir, name);
    if (n < 0)
        return rag_fail(reterr, RAG_ENOMEM, "configuration: out of memory");
    *ret = path;
    return RAG_OK;
}
