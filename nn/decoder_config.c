#define _GNU_SOURCE
#include "nn/decoder_config.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bounds.h"
#include "nn/config_keys.h"
#include "nn/decoder_config_internal.h"
#include "nn/kv_attention.h"
#include "nn/model_files.h"

const char *decoder_family_name(enum decoder_family family)
{
    static const char *const names[] = {"llama", "exaone", "qwen2", "qwen3", "gemma3"};

    return names[family];
}

void decoder_config_release(struct decoder_config *c)
{
    free(c->rope_divisors);
    memset(c, 0, sizeof *c);
}

/* ---- what both formats have in common ---- */

enum rag_status decoder_config_check(struct decoder_config *c, struct rag_error *reterr)
{
    if (c->n_kv_heads > c->n_heads || c->n_heads % c->n_kv_heads != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "%zu key-value heads, expected a divisor of the %zu heads", c->n_kv_heads,
                        c->n_heads);
    if (c->head_dim % 2 != 0 || c->head_dim < 2 || c->head_dim > KV_HEAD_DIM_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "heads of %zu, expected an even number from 2 to %d",
                        c->head_dim, KV_HEAD_DIM_MAX);
    if (c->has_bos && c->bos_id >= c->vocab_size)
        return rag_fail(reterr, RAG_EFORMAT,
                        "the beginning token %u is not below the %zu of the "
                        "vocabulary",
                        c->bos_id, c->vocab_size);
    for (size_t i = 0; c->rope_divisors && i < c->head_dim / 2; i++) {
        if (!isfinite(c->rope_divisors[i]) || c->rope_divisors[i] <= 0.0f)
            return rag_fail(reterr, RAG_EFORMAT,
                            "divisor %zu of the rope frequencies is %g, expected more than 0", i,
                            (double)c->rope_divisors[i]);
    }
    if (!c->has_bos)
        c->add_bos = false;
    if (c->attention_scale == 0.0f)
        c->attention_scale = (float)(1.0 / sqrt((double)c->head_dim));
    if (c->rope_theta_local == 0.0f)
        c->rope_theta_local = c->rope_theta;
    return RAG_OK;
}

enum rag_status decoder_config_add_eos(struct decoder_config *c, uint64_t id,
                                       struct rag_error *reterr)
{
    for (size_t i = 0; i < c->n_eos; i++) {
        if (c->eos_ids[i] == id)
            return RAG_OK;
    }
    if (id >= c->vocab_size)
        return rag_fail(reterr, RAG_EFORMAT,
                        "the ending token %llu is not below the %zu of the vocabulary",
                        (unsigned long long)id, c->vocab_size);
    if (c->n_eos == DECODER_EOS_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "more than %d ending tokens", DECODER_EOS_MAX);
    c->eos_ids[c->n_eos++] = (uint32_t)id;
    return RAG_OK;
}

enum rag_status decoder_config_divide(struct decoder_config *c, float value,
                                      struct rag_error *reterr)
{
    size_t n = c->head_dim / 2;

    free(c->rope_divisors);
    c->rope_divisors = calloc(n ? n : 1, sizeof *c->rope_divisors);
    if (!c->rope_divisors)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        c->rope_divisors[i] = value;
    return RAG_OK;
}

/* ---- which files ---- */

struct listing {
    bool directory; /* Hugging Face's: has *.safetensors, or only its config.json yet */
    char *gguf;     /* the first by name; owned */
    size_t n_gguf;
};

static enum rag_status list(const char *dir, struct listing *ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool config = false;
    size_t n = 0;
    DIR *d = opendir(dir);

    if (!d)
        return rag_fail_errno(reterr, errno == ENOENT || errno == ENOTDIR ? RAG_ENOTFOUND : RAG_EIO,
                              errno, "model '%s'", dir);
    for (const struct dirent *e; status == RAG_OK && (e = readdir(d)) != NULL;) {
        if (++n > MODEL_DIR_ENTRIES_MAX) {
            status = rag_fail(reterr, RAG_ELIMIT, "model '%s': more than %d files", dir,
                              MODEL_DIR_ENTRIES_MAX);
        } else if (e->d_name[0] == '.') {
            continue;
        } else if (model_file_ends(e->d_name, ".safetensors")) {
            ret->directory = true;
        } else if (strcmp(e->d_name, "config.json") == 0) {
            config = true;
        } else if (model_file_ends(e->d_name, ".gguf")) {
            ret->n_gguf++;
            if (ret->gguf && strcmp(ret->gguf, e->d_name) < 0)
                continue;
            free(ret->gguf);
            ret->gguf = strdup(e->d_name);
            if (!ret->gguf)
                status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
        }
    }
    closedir(d);
    ret->directory |= config && ret->n_gguf == 0;
    return status;
}

enum rag_status decoder_gguf_path(const char *path, char **ret, struct rag_error *reterr)
{
    struct listing files = {0};
    enum rag_status status = RAG_OK;
    char *found = NULL;
    struct stat sb;

    if (stat(path, &sb) != 0)
        return rag_fail_errno(reterr, errno == ENOENT || errno == ENOTDIR ? RAG_ENOTFOUND : RAG_EIO,
                              errno, "model '%s'", path);
    if (!S_ISDIR(sb.st_mode)) {
        found = strdup(path);
        if (!found)
            return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", path);
        *ret = found;
        return RAG_OK;
    }
    status = list(path, &files, reterr);
    if (status == RAG_OK && !files.directory && files.n_gguf == 0)
        status =
            rag_fail(reterr, RAG_ENOTFOUND,
                     "model '%s': no *.safetensors, no *.gguf and no config.json is there", path);
    if (status == RAG_OK && !files.directory && files.n_gguf > 1)
        status =
            rag_fail(reterr, RAG_EFORMAT, "model '%s': %zu *.gguf files; name one, such as '%s/%s'",
                     path, files.n_gguf, path, files.gguf);
    if (status == RAG_OK && !files.directory && asprintf(&found, "%s/%s", path, files.gguf) < 0) {
        found = NULL;
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", path);
    }
    free(files.gguf);
    if (status == RAG_OK)
        *ret = found;
    return status;
}

bool decoder_config_is_decoder(const char *path)
{
    struct json *config = NULL;
    char *gguf = NULL;
    bool is;

    if (decoder_gguf_path(path, &gguf, NULL) != RAG_OK)
        return false;
    if (gguf) { /* 'path' itself may be any file */
        is = model_file_ends(gguf, ".gguf");
        free(gguf);
        return is;
    }
    is = model_json(path, "config.json", &config, NULL) == RAG_OK &&
         decoder_config_names_decoder(config);
    json_free(config);
    return is;
}

/* ---- reading ---- */

/* A file that need not be there. */
static enum rag_status optional_json(const char *dir, const char *name, struct json **ret,
                                     struct rag_error *reterr)
{
    enum rag_status status = model_json(dir, name, ret, reterr);

    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

/* What was read becomes the caller's, or is released. */
static enum rag_status finish(enum rag_status status, const char *path, const struct rag_error *why,
                              struct decoder_config *c, struct decoder_config *ret,
                              struct rag_error *reterr)
{
    if (status == RAG_OK)
        *ret = *c;
    else
        decoder_config_release(c);
    return config_finish(status, path, why, reterr);
}

enum rag_status decoder_config_parse(const char *path, const char *text, size_t n,
                                     struct decoder_config *ret, struct rag_error *reterr)
{
    struct decoder_config c = {0};
    struct json *root = NULL;
    struct rag_error why = {.text = ""};
    enum rag_status status = json_parse(text, n, "JSON", &root, &why);

    if (status == RAG_OK)
        status = decoder_config_read_hf(root, NULL, NULL, &c, &why);
    json_free(root);
    return finish(status, path, &why, &c, ret, reterr);
}

static enum rag_status open_directory(const char *dir, struct decoder_config *ret,
                                      struct rag_error *reterr)
{
    struct decoder_config c = {0};
    struct json *config = NULL;
    struct json *generation = NULL;
    struct json *tokenizer = NULL;
    struct rag_error why = {.text = ""};
    enum rag_status status = model_json(dir, "config.json", &config, reterr);

    if (status == RAG_OK)
        status = optional_json(dir, "generation_config.json", &generation, reterr);
    if (status == RAG_OK)
        status = optional_json(dir, "tokenizer_config.json", &tokenizer, reterr);
    if (status == RAG_OK)
        status = finish(decoder_config_read_hf(config, generation, tokenizer, &c, &why), dir, &why,
                        &c, ret, reterr);
    json_free(tokenizer);
    json_free(generation);
    json_free(config);
    return status;
}

enum rag_status decoder_config_open(const char *path, struct decoder_config *ret,
                                    struct rag_error *reterr)
{
    struct gguf *g = NULL;
    char *file = NULL;
    enum rag_status status = decoder_gguf_path(path, &file, reterr);

    if (status == RAG_OK && !file)
        return open_directory(path, ret, reterr);
    if (status == RAG_OK)
        status = gguf_open(file, &g, reterr);
    if (status == RAG_OK)
        status = decoder_config_of_gguf(g, ret, reterr);
    gguf_close(g);
    free(file);
    return status;
}
