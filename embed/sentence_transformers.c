#define _GNU_SOURCE
#include "embed/sentence_transformers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/buf.h"
#include "base/json.h"
#include "nn/model_files.h"
#include "nn/weights.h"

#define PATH_BYTES_MAX        4096
#define MODULE_PATH_BYTES_MAX 128 /* "2_Dense" */
#define MODULES_MAX           16

void sentence_settings_release(struct sentence_settings *s)
{
    free(s->transformer_dir);
    free(s->plain_prompt);
    free(s->query_prompt);
    free(s->passage_prompt);
    for (size_t i = 0; i < s->n_dense; i++) {
        free(s->dense[i].weight);
        free(s->dense[i].bias);
    }
    memset(s, 0, sizeof *s);
}

/* "Pooling" of "sentence_transformers.models.Pooling": the packages above it move. */
static const char *last_part(const char *dotted)
{
    const char *dot = strrchr(dotted, '.');

    return dot ? dot + 1 : dotted;
}

/* The folder of a module, joined to the model's. Only plain names below it are let through. */
static enum rag_status module_dir(const char *dir, const char *path, char ret[PATH_BYTES_MAX],
                                  struct rag_error *reterr)
{
    size_t n = strlen(path);
    int written;

    while (n > 0 && path[n - 1] == '/')
        n--;
    if (n > MODULE_PATH_BYTES_MAX || path[0] == '/' || path[0] == '.' || strstr(path, "/.") ||
        strchr(path, '\\'))
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s/modules.json': path '%.80s' is no folder below the model", dir,
                        path);
    written = snprintf(ret, PATH_BYTES_MAX, n > 0 ? "%s/%.*s" : "%s", dir, (int)n, path);
    if (written < 0 || written >= PATH_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "model '%.200s': path over %d bytes", dir,
                        PATH_BYTES_MAX);
    return RAG_OK;
}

/* ---- pooling ---- */

static enum rag_status pooling_of_mode(const char *dir, const struct json *mode, enum pooling *ret,
                                       struct rag_error *reterr)
{
    const char *name;

    if (json_is_array(mode) && json_size(mode) == 1)
        mode = json_first(mode);
    name = json_string(mode);
    if (!name)
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s/config.json': pooling_mode must be one of mean, cls, max", dir);
    if (pooling_parse(name, ret) != RAG_OK)
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s/config.json': pooling_mode '%.40s' is not known (mean, cls, max)",
                        dir, name);
    return RAG_OK;
}

/* Which of the pooling_mode_* switches are on: exactly one of the three that are known. */
static enum rag_status pooling_of_switches(const char *dir, const struct json *config,
                                           enum pooling *ret, struct rag_error *reterr)
{
    static const struct {
        const char *key;
        enum pooling pooling;
    } known[] = {
        {"pooling_mode_cls_token",   POOLING_CLS },
        {"pooling_mode_max_tokens",  POOLING_MAX },
        {"pooling_mode_mean_tokens", POOLING_MEAN},
    };
    enum pooling pooling = POOLING_MEAN;
    size_t n_on = 0;

    for (const struct json *m = json_first(config); m; m = json_next(m)) {
        bool found = false;

        if (strncmp(json_key(m), "pooling_mode_", strlen("pooling_mode_")) != 0)
            continue;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcmp(json_key(m), known[i].key) == 0) {
                found = true;
                if (json_true(m)) {
                    pooling = known[i].pooling;
                    n_on++;
                }
            }
        }
        if (!found && json_true(m))
            return rag_fail(reterr, RAG_EFORMAT,
                            "file '%s/config.json': %.60s is not supported (mean, cls or max "
                            "pooling are)",
                            dir, json_key(m));
    }
    if (n_on > 1 || (n_on == 0 && json_member(config, "pooling_mode_mean_tokens")))
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s/config.json': %zu pooling modes are on, exactly one must be "
                        "(concatenated poolings are not supported)",
                        dir, n_on);
    *ret = pooling; /* no switch at all: mean is that class's default */
    return RAG_OK;
}

static enum rag_status read_pooling(const char *dir, enum pooling *ret, struct rag_error *reterr)
{
    struct json *config = NULL;
    enum rag_status status = model_json(dir, "config.json", &config, reterr);
    const struct json *mode;
    bool include_prompt = true;

    if (status != RAG_OK)
        return status;
    mode = json_member(config, "pooling_mode");
    status = json_get_bool(config, "include_prompt", &include_prompt, reterr);
    if (status != RAG_OK || !include_prompt) {
        status = rag_fail(reterr, RAG_EFORMAT,
                          "file '%s/config.json': include_prompt must be true (pooling without "
                          "the prompt's tokens is not supported)",
                          dir);
        goto out;
    }
    status = mode ? pooling_of_mode(dir, mode, ret, reterr)
                  : pooling_of_switches(dir, config, ret, reterr);
out:
    json_free(config);
    return status;
}

/* ---- dense ---- */

static enum rag_status dense_activation_of(const char *dir, const char *name,
                                           enum dense_activation *ret, struct rag_error *reterr)
{
    static const char *const names[] = {
        [DENSE_IDENTITY] = "Identity", [DENSE_TANH] = "Tanh",       [DENSE_RELU] = "ReLU",
        [DENSE_GELU] = "GELU",         [DENSE_SIGMOID] = "Sigmoid",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(last_part(name), names[i]) == 0) {
            *ret = (enum dense_activation)i;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "file '%s/config.json': activation_function '%.80s' is not known (Identity, "
                    "Tanh, ReLU, GELU, Sigmoid)",
                    dir, name);
}

static enum rag_status read_tensor(const struct weights *w, const char *dir, const char *name,
                                   const size_t *shape, size_t n_dims, float **ret,
                                   struct rag_error *reterr)
{
    const struct tensor *t = NULL;
    enum rag_status status = weights_need(w, name, shape, n_dims, &t, reterr);
    float *values;

    if (status != RAG_OK)
        return status;
    values = calloc(t->n_elements, sizeof *values);
    if (!values)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    tensor_read_f32(t, 0, t->n_elements, values);
    *ret = values;
    return RAG_OK;
}

static enum rag_status read_dense(const char *dir, struct dense_layer *ret,
                                  struct rag_error *reterr)
{
    const char *activation = "Tanh"; /* that class's default */
    struct dense_layer layer = {.normalise_first = ret->normalise_first};
    struct weights *weights = NULL;
    struct json *config = NULL;
    enum rag_status status;
    int64_t n_out = 0;
    int64_t n_in = 0;
    bool bias = true;

    status = model_json(dir, "config.json", &config, reterr);
    if (status != RAG_OK)
        return status;
    status = json_get_int(config, "in_features", 1, EMBEDDING_DIM_MAX, &n_in, reterr);
    if (status == RAG_OK)
        status = json_get_int(config, "out_features", 1, EMBEDDING_DIM_MAX, &n_out, reterr);
    if (status == RAG_OK)
        status = json_get_bool(config, "bias", &bias, reterr);
    if (status == RAG_OK)
        status = json_get_string(config, "activation_function", 256, &activation, reterr);
    if (status != RAG_OK || n_in == 0 || n_out == 0) {
        status = rag_fail(reterr, RAG_EFORMAT,
                          "file '%s/config.json': in_features and out_features must be 1..%d, "
                          "bias true or false, activation_function a name",
                          dir, EMBEDDING_DIM_MAX);
        goto out;
    }
    layer.n_in = (size_t)n_in;
    layer.n_out = (size_t)n_out;
    status = dense_activation_of(dir, activation, &layer.activation, reterr);
    if (status == RAG_OK)
        status = weights_open(dir, &weights, reterr);
    if (status == RAG_OK)
        status = read_tensor(weights, dir, "linear.weight",
                             (const size_t[]){layer.n_out, layer.n_in}, 2, &layer.weight, reterr);
    if (status == RAG_OK && bias)
        status = read_tensor(weights, dir, "linear.bias", (const size_t[]){layer.n_out}, 1,
                             &layer.bias, reterr);
    if (status == RAG_OK)
        status = weights_intact(weights, reterr);
out:
    if (status == RAG_OK) {
        *ret = layer;
    } else {
        free(layer.weight);
        free(layer.bias);
    }
    weights_close(weights);
    json_free(config);
    return status;
}

static double activate(enum dense_activation activation, double x)
{
    switch (activation) {
    case DENSE_IDENTITY:
        return x;
    case DENSE_TANH:
        return tanh(x);
    case DENSE_RELU:
        return x > 0.0 ? x : 0.0;
    case DENSE_GELU:
        return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
    case DENSE_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    }
    return x;
}

void dense_apply(const struct dense_layer *layer, const float *x, float *ret_y)
{
    for (size_t o = 0; o < layer->n_out; o++) {
        const float *row = layer->weight + o * layer->n_in;
        double sum = layer->bias ? (double)layer->bias[o] : 0.0;

        for (size_t i = 0; i < layer->n_in; i++)
            sum += (double)row[i] * (double)x[i];
        ret_y[o] = (float)activate(layer->activation, sum);
    }
}

/* ---- modules.json ---- */

struct module_reader {
    const char *dir; /* of the model */
    struct sentence_settings *settings;
    bool transformer;
    bool pooling;
    bool normalised; /* a Normalize came since the last Dense */
};

static enum rag_status read_module(struct module_reader *r, const char *type, const char *dir,
                                   struct rag_error *reterr)
{
    struct sentence_settings *s = r->settings;
    const char *name = last_part(type);
    enum rag_status status;

    if (strcmp(name, "Transformer") == 0 && !r->transformer) {
        r->transformer = true;
        free(s->transformer_dir);
        s->transformer_dir = strdup(dir);
        return s->transformer_dir ? RAG_OK
                                  : rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    }
    if (strcmp(name, "Pooling") == 0 && r->transformer && !r->pooling) {
        r->pooling = true;
        return read_pooling(dir, &s->pooling, reterr);
    }
    if (strcmp(name, "Normalize") == 0 && r->pooling) {
        r->normalised = true;
        return RAG_OK;
    }
    if (strcmp(name, "Dropout") == 0 && r->pooling)
        return RAG_OK; /* does something in training only */
    if (strcmp(name, "Dense") == 0 && r->pooling && s->n_dense < MODEL_DENSE_MAX) {
        s->dense[s->n_dense].normalise_first = r->normalised;
        r->normalised = false;
        status = read_dense(dir, &s->dense[s->n_dense], reterr);
        if (status == RAG_OK)
            s->n_dense++;
        return status;
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "file '%s/modules.json': module '%.80s' is not supported there (Transformer, "
                    "Pooling, then up to %d Dense and Normalize)",
                    r->dir, type, MODEL_DENSE_MAX);
}

static enum rag_status read_modules(const char *dir, struct sentence_settings *s,
                                    struct rag_error *reterr)
{
    struct module_reader reader = {.dir = dir, .settings = s};
    struct json *modules = NULL;
    char folder[PATH_BYTES_MAX];
    enum rag_status status = model_json(dir, "modules.json", &modules, reterr);

    if (status == RAG_ENOTFOUND) { /* a folder without its list of modules still says its pooling */
        status = module_dir(dir, "1_Pooling", folder, reterr);
        if (status == RAG_OK)
            status = read_pooling(folder, &s->pooling, reterr);
        return status == RAG_ENOTFOUND ? RAG_OK : status;
    }
    if (status != RAG_OK)
        return status;
    if (!json_is_array(modules) || json_size(modules) > MODULES_MAX) {
        status = rag_fail(reterr, RAG_EFORMAT,
                          "file '%s/modules.json': must be an array of at most %d modules", dir,
                          MODULES_MAX);
        goto out;
    }
    for (const struct json *m = json_first(modules); m && status == RAG_OK; m = json_next(m)) {
        const char *type = json_string(json_member(m, "type"));
        const char *path = json_string(json_member(m, "path"));

        if (!type || !path) {
            status =
                rag_fail(reterr, RAG_EFORMAT,
                         "file '%s/modules.json': a module needs a \"type\" and a \"path\"", dir);
            break;
        }
        status = module_dir(dir, path, folder, reterr);
        if (status == RAG_OK)
            status = read_module(&reader, type, folder, reterr);
    }
    if (status == RAG_OK && !reader.pooling)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "file '%s/modules.json': needs a Transformer and a Pooling module", dir);
out:
    json_free(modules);
    return status;
}

/* ---- lengths and prompts ---- */

static enum rag_status read_lengths(struct sentence_settings *s, struct rag_error *reterr)
{
    static const char *const names[] = {"sentence_bert_config.json", "sentence_roberta_config.json",
                                        "sentence_xlm-roberta_config.json",
                                        "sentence_camembert_config.json",
                                        "sentence_distilbert_config.json"};
    struct json *config = NULL;
    enum rag_status status = RAG_ENOTFOUND;
    int64_t max_tokens = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == RAG_ENOTFOUND; i++)
        status = model_json(s->transformer_dir, names[i], &config, reterr);
    if (status == RAG_ENOTFOUND)
        return RAG_OK;
    if (status != RAG_OK)
        return status;
    status = json_get_int(config, "max_seq_length", 2, 1 << 30, &max_tokens, reterr);
    if (status == RAG_OK)
        status = json_get_bool(config, "do_lower_case", &s->lower_case, reterr);
    if (status != RAG_OK)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "model '%s': sentence_bert_config.json: max_seq_length must be a number "
                          "from 2, do_lower_case true or false",
                          s->transformer_dir);
    s->max_tokens = (size_t)max_tokens;
    json_free(config);
    return status;
}

/* Replaces *slot by a copy of the prompt 'name', when there is one. */
static enum rag_status take_prompt(const char *dir, const struct json *prompts, const char *name,
                                   char **slot, struct rag_error *reterr)
{
    const struct json *node = name ? json_member(prompts, name) : NULL;
    const char *text = json_string(node);
    char *copy;

    if (!node || json_is_null(node))
        return RAG_OK;
    if (!text || strlen(text) > MODEL_PROMPT_BYTES_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "file '%s/config_sentence_transformers.json': prompt '%.40s' must be a "
                        "text of at most %d bytes",
                        dir, name, MODEL_PROMPT_BYTES_MAX);
    copy = strdup(text);
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    free(*slot);
    *slot = copy;
    return RAG_OK;
}

/* *ret_any: at least one prompt is named there, so that nothing is guessed from the model's name.
 */
static enum rag_status read_prompts(const char *dir, struct sentence_settings *s, bool *ret_any,
                                    struct rag_error *reterr)
{
    struct json *config = NULL;
    const struct json *prompts;
    const char *standard;
    enum rag_status status = model_json(dir, "config_sentence_transformers.json", &config, reterr);

    *ret_any = false;
    if (status == RAG_ENOTFOUND)
        return RAG_OK;
    if (status != RAG_OK)
        return status;
    prompts = json_member(config, "prompts");
    standard = json_string(json_member(config, "default_prompt_name"));

    /* a later row of the same prompt replaces the earlier one */
    const struct {
        const char *name;
        char **slot;
    } wanted[] = {
        {standard,   &s->plain_prompt  },
        {standard,   &s->query_prompt  },
        {standard,   &s->passage_prompt},
        {"query",    &s->query_prompt  },
        {"document", &s->passage_prompt},
        {"passage",  &s->passage_prompt},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0] && status == RAG_OK; i++)
        status = take_prompt(dir, prompts, wanted[i].name, wanted[i].slot, reterr);
    /* newer files list empty prompts that stand for none */
    *ret_any = s->plain_prompt[0] || s->query_prompt[0] || s->passage_prompt[0];
    json_free(config);
    return status;
}

static bool is_small_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* "e5" as a word of its own: "intfloat/multilingual-e5-small", "e5_base", "KoE5", not "be5t". */
static bool names_e5(const char *name)
{
    for (const char *p = name; (p = strcasestr(p, "e5")) != NULL; p += 2) {
        bool begins =
            p == name || strchr("/-_. ", p[-1]) || (p[0] == 'E' && is_small_letter(p[-1]));

        if (begins && (p[2] == '\0' || strchr("/-_. ", p[2])))
            return !strcasestr(name, "instruct"); /* those have prompts of another kind */
    }
    return false;
}

static enum rag_status is_e5(const char *dir, const char *transformer_dir, bool *ret,
                             struct rag_error *reterr)
{
    char *dir_name = model_dir_name(dir);
    struct json *config = NULL;
    enum rag_status status;
    const char *name;

    if (!dir_name)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    *ret = names_e5(dir_name);
    free(dir_name);
    if (*ret)
        return RAG_OK;
    status = model_json(transformer_dir, "config.json", &config, reterr);
    if (status != RAG_OK) /* the encoder says what is wrong with it */
        return status == RAG_ENOMEM ? status : RAG_OK;
    name = json_string(json_member(config, "_name_or_path"));
    *ret = name && names_e5(name);
    json_free(config);
    return RAG_OK;
}

static enum rag_status set_prompt(char **slot, const char *text, struct rag_error *reterr)
{
    free(*slot);
    *slot = strdup(text);
    return *slot ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
}

enum rag_status sentence_settings_read(const char *dir, struct sentence_settings *ret,
                                       struct rag_error *reterr)
{
    struct sentence_settings s = {.pooling = POOLING_MEAN};
    enum rag_status status = RAG_OK;
    bool prompts = false;
    bool e5 = false;

    s.transformer_dir = strdup(dir);
    s.plain_prompt = strdup("");
    s.query_prompt = strdup("");
    s.passage_prompt = strdup("");
    if (!s.transformer_dir || !s.plain_prompt || !s.query_prompt || !s.passage_prompt)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    if (status == RAG_OK)
        status = read_modules(dir, &s, reterr);
    if (status == RAG_OK)
        status = read_lengths(&s, reterr);
    if (status == RAG_OK)
        status = read_prompts(dir, &s, &prompts, reterr);
    if (status == RAG_OK && !prompts)
        status = is_e5(dir, s.transformer_dir, &e5, reterr);
    if (status == RAG_OK && e5)
        status = set_prompt(&s.query_prompt, "query: ", reterr);
    if (status == RAG_OK && e5)
        status = set_prompt(&s.passage_prompt, "passage: ", reterr);
    if (status != RAG_OK) {
        sentence_settings_release(&s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

enum rag_status sentence_lower_case(const char *text, size_t n_bytes, struct buf *ret)
{
    for (size_t i = 0; i < n_bytes;) {
        utf8proc_int32_t c;
        utf8proc_uint8_t lower[4];
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                 (utf8proc_ssize_t)(n_bytes - i), &c);

        if (step <= 0)
            return RAG_EINVAL;
        buf_append(ret, lower, (size_t)utf8proc_encode_char(utf8proc_tolower(c), lower));
        i += (size_t)step;
    }
    return buf_status(ret);
}
