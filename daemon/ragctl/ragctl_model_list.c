#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/model_record.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model.h"
#include "daemon/ragctl/ragctl_model_decoder.h"
#include "daemon/ragctl/ragctl_print.h"
#include "nn/compute_pool.h"
#include "nn/model_config.h"
#include "nn/model_files.h"
#include "nn/weights.h"

#define PATH_BYTES_MAX   4096
#define MODELS_MAX       1024 /* that are listed */
#define OUTPUT_BYTES_MAX (16u << 20)
#define DIGEST_SHOWN     12 /* of its 64 digits */
#define COMMIT_SHOWN     12

struct listed {
    char *name; /* below the models' folder, or "builtin:NAME"; owned */
    char *path; /* of a built-in model; NULL: below the models' folder; owned */
};

struct listing {
    const char *dir;
    bool with_builtin;         /* no folder was named: those that come with ragd too */
    struct compute_pool *pool; /* owned */
    struct listed items[MODELS_MAX];
    size_t n;
};

/* What is told about one model. */
struct described {
    char dir[PATH_BYTES_MAX]; /* or a GGUF file */
    char digest[SHA256_HEX_BYTES];
    const char *family;
    const char *kind; /* "embedder", "reranker", "decoder" */
    const char *type; /* of most of its numbers: "f16", "Q4_K" */
    uint64_t n_bytes;
    struct model_record record;
    char *licence; /* owned */
    bool broken;
    struct rag_error problem; /* when it is */
};

static bool join(char ret[PATH_BYTES_MAX], const char *a, const char *b)
{
    int n = snprintf(ret, PATH_BYTES_MAX, "%s/%s", a, b);

    return n > 0 && n < PATH_BYTES_MAX;
}

static bool has_file(const char *dir, const char *name)
{
    char path[PATH_BYTES_MAX];
    struct stat st;

    return join(path, dir, name) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum rag_status add(struct listing *l, const char *name, struct rag_error *reterr)
{
    if (l->n == MODELS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "models folder '%s': more than %d models", l->dir,
                        MODELS_MAX);
    l->items[l->n].name = strdup(name);
    if (!l->items[l->n].name)
        return rag_fail(reterr, RAG_ENOMEM, "model list: out of memory");
    l->n++;
    return RAG_OK;
}

/* A built-in model, where it would be opened from, unless it is there already. */
static enum rag_status add_builtin(struct listing *l, const char *name, struct rag_error *reterr)
{
    char full[sizeof MODEL_NAME_BUILTIN + BUILTIN_NAME_BYTES_MAX];
    char *path = NULL;
    enum rag_status status;

    if (snprintf(full, sizeof full, MODEL_NAME_BUILTIN "%s", name) >= (int)sizeof full ||
        builtin_model_find(name, l->dir, &path, NULL) != RAG_OK)
        return RAG_OK; /* other things lie there */
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->items[i].name, full) == 0) {
            free(path);
            return RAG_OK;
        }
    }
    status = add(l, full, reterr);
    if (status == RAG_OK)
        l->items[l->n - 1].path = path; /* ownership to the listing */
    else
        free(path);
    return status;
}

/* The folders of every place where built-in models are but the models' folder itself. */
static enum rag_status scan_builtin(struct listing *l, struct rag_error *reterr)
{
    struct builtin_places places = {.n = 0};
    enum rag_status status = builtin_places(NULL, &places, reterr);

    for (size_t i = 0; i < places.n && status == RAG_OK; i++) {
        DIR *d = opendir(places.dirs[i]);

        for (const struct dirent *e; status == RAG_OK && d && (e = readdir(d)) != NULL;) {
            if (e->d_name[0] != '.')
                status = add_builtin(l, e->d_name, reterr);
        }
        if (d)
            closedir(d);
    }
    builtin_places_release(&places);
    return status;
}

static bool has_several_gguf(const char *path)
{
    char *file = NULL;
    enum rag_status status = decoder_gguf_path(path, &file, NULL);

    free(file);
    return status == RAG_EFORMAT;
}

static enum rag_status scan(struct listing *l, const char *below, int n_deeper,
                            struct rag_error *reterr);

/* A GGUF file is a model, and a folder with a config.json is one, unless it is there for several
 * GGUF files. Any other folder may hold models. */
static enum rag_status look_at(struct listing *l, const char *name, const char *path, int n_deeper,
                               struct rag_error *reterr)
{
    static const char ending[] = ".gguf";
    size_t n = strlen(name);

    if (!is_folder(path)) {
        bool is_gguf = n > sizeof ending - 1 && strcmp(name + n - (sizeof ending - 1), ending) == 0;

        return is_gguf ? add(l, name, reterr) : RAG_OK;
    }
    if (n_deeper < 0)
        return RAG_OK;
    if ((has_file(path, "config.json") || has_file(path, "modules.json")) &&
        !has_several_gguf(path))
        return add(l, name, reterr);
    return scan(l, name, n_deeper - 1, reterr);
}

/* Models at the top or one folder down ("org/name"), GGUF files two; n_deeper: folders in folders
 * that are looked into, -1: only files count. */
static enum rag_status scan(struct listing *l, const char *below, int n_deeper,
                            struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char path[PATH_BYTES_MAX];
    DIR *d;

    if (!join(path, l->dir, below))
        return RAG_OK;
    d = opendir(path);
    if (!d && below[0] == '\0' && !(l->with_builtin && l->n > 0))
        return rag_fail_errno(reterr, errno == ENOENT ? RAG_ENOTFOUND : RAG_EIO, errno,
                              "models folder '%s': cannot list; choose another with --models-dir",
                              l->dir);
    for (const struct dirent *e; status == RAG_OK && d && (e = readdir(d)) != NULL;) {
        char name[PATH_BYTES_MAX];

        if (e->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s%s%s", below, below[0] ? "/" : "", e->d_name) <
                (int)sizeof name &&
            join(path, l->dir, name))
            status = look_at(l, name, path, n_deeper, reterr);
    }
    if (d)
        closedir(d);
    return status;
}

static const char *most_numbers(const struct weights *w)
{
    static const char *const names[] = {
        [TENSOR_F32] = "f32", [TENSOR_F16] = "f16", [TENSOR_BF16] = "bf16", [TENSOR_I8] = "int8"};
    size_t n[sizeof names / sizeof names[0]] = {0};
    size_t best = 0;

    for (size_t i = 0; i < weights_count(w); i++)
        n[weights_at(w, i)->type] += weights_at(w, i)->n_elements;
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
        best = n[i] > n[best] ? i : best;
    return names[best];
}

/* What pull recorded, or the README says: in the model's folder, or in that around a file. */
static void read_licence(struct described *ret)
{
    char dir[PATH_BYTES_MAX];
    char *slash;

    memcpy(dir, ret->dir, sizeof dir);
    slash = strrchr(dir, '/');
    if (!is_folder(dir) && slash)
        *slash = '\0';
    if (model_record_read(dir, &ret->record, NULL) == RAG_OK && ret->record.licence[0])
        ret->licence = strdup(ret->record.licence);
    else if (model_readme_licence(dir, &ret->licence) != RAG_OK)
        ret->licence = NULL;
}

static void describe_decoder(const struct listing *l, struct described *ret)
{
    uint8_t digest[SHA256_BYTES];
    struct model_tensors *tensors = NULL;
    struct decoder_facts facts;

    ret->kind = "decoder";
    if (model_tensors_open(ret->dir, &tensors, &ret->problem) != RAG_OK) {
        ret->broken = true;
        return;
    }
    decoder_facts(tensors, &facts);
    ret->family = decoder_family_name(model_tensors_config(tensors)->family);
    ret->type = block_type_name(facts.most);
    ret->n_bytes = model_tensors_bytes(tensors);
    if (model_tensors_digest(tensors, l->pool, digest, NULL) == RAG_OK)
        sha256_hex(digest, ret->digest);
    model_tensors_close(tensors);
}

static void describe_encoder(const struct listing *l, const char *dir, struct described *ret)
{
    uint8_t digest[SHA256_BYTES];
    struct model_config config = {0};
    struct weights *weights = NULL;

    if (model_config_open(dir, &config, &ret->problem) != RAG_OK) {
        ret->broken = true;
    } else {
        ret->family = model_family_name(config.family);
        ret->kind = config.classifies ? "reranker" : "embedder";
    }
    if (weights_open(dir, &weights, ret->broken ? NULL : &ret->problem) != RAG_OK) {
        ret->broken = true;
    } else {
        ret->n_bytes = weights_bytes(weights);
        ret->type = most_numbers(weights);
    }
    weights_close(weights);
    if (!ret->broken && !has_file(dir, "tokenizer.json") && !has_file(dir, "tokenizer.model") &&
        !has_file(dir, "vocab.txt")) {
        ret->broken = true;
        rag_fail(&ret->problem, RAG_ENOTFOUND,
                 "tokenizer '%.300s': neither tokenizer.json, tokenizer.model nor vocab.txt", dir);
    }
    if (model_digest(dir, l->pool, digest, NULL) == RAG_OK)
        sha256_hex(digest, ret->digest);
}

static void describe(const struct listing *l, const struct listed *item, struct described *ret)
{
    char inner[PATH_BYTES_MAX];
    const char *dir = ret->dir;

    memset(ret, 0, sizeof *ret);
    if (item->path ? snprintf(ret->dir, PATH_BYTES_MAX, "%s", item->path) >= PATH_BYTES_MAX
                   : !join(ret->dir, l->dir, item->name))
        return;
    ret->family = "?";
    ret->kind = "?";
    ret->type = "?";
    /* the older layout of sentence-transformers keeps the encoder in a folder of its own */
    if (!has_file(dir, "config.json") && join(inner, ret->dir, "0_Transformer") && is_folder(inner))
        dir = inner;
    if (decoder_config_is_decoder(dir))
        describe_decoder(l, ret);
    else
        describe_encoder(l, dir, ret);
    read_licence(ret);
}

static void described_release(struct described *d)
{
    model_record_release(&d->record);
    free(d->licence);
}

static void put_json(struct json_writer *w, const char *name, const struct described *d)
{
    json_begin_object(w, NULL);
    json_put_string(w, "name", name);
    json_put_string(w, "dir", d->dir);
    json_put_string(w, "family", d->family);
    json_put_string(w, "kind", d->kind);
    json_put_int(w, "bytes", (int64_t)d->n_bytes);
    json_put_string(w, "type", d->type);
    json_put_string(w, "licence", d->licence ? d->licence : "");
    json_put_string(w, "source", d->record.source);
    json_put_string(w, "commit", d->record.commit);
    json_put_string(w, "fingerprint", d->digest);
    json_put_string(w, "problem", d->broken ? d->problem.text : NULL);
    json_end_object(w);
}

static void put_row(struct print_table *t, const char *name, const struct described *d)
{
    struct buf size;

    buf_init(&size, 64);
    progress_append_bytes(&size, d->n_bytes);
    print_table_cell(t, "%s", name);
    print_table_cell(t, "%s", d->family);
    print_table_cell(t, "%s", d->kind);
    print_table_cell(t, "%s", buf_str(&size));
    print_table_cell(t, "%s", d->type);
    print_table_cell(t, "%.40s", d->licence && d->licence[0] ? d->licence : "?");
    print_table_cell(t, "%.*s", DIGEST_SHOWN, d->digest);
    print_table_cell(t, "%s%.*s%s", d->record.source ? "pulled " : "", COMMIT_SHOWN,
                     d->record.commit ? d->record.commit : "",
                     d->broken ? "  cannot be loaded, see model check" : "");
    buf_release(&size);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

static void print_models(const struct ragctl_options *options, const struct listing *l,
                         struct described *d)
{
    struct print_table table;
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    print_table_init(&table, "lllrllll");
    json_writer_init(&w, &out);
    if (options->json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "models");
    }
    for (const char *const *h = (const char *const[]){"NAME", "FAMILY", "KIND", "SIZE", "TYPE",
                                                      "LICENCE", "FINGERPRINT", "FROM", NULL};
         *h; h++)
        print_table_cell(&table, "%s", *h);
    for (size_t i = 0; i < l->n; i++) {
        describe(l, &l->items[i], d);
        if (options->json)
            put_json(&w, l->items[i].name, d);
        else
            put_row(&table, l->items[i].name, d);
        described_release(d);
    }
    if (options->json) {
        json_end_array(&w);
        json_end_object(&w);
        buf_append_char(&out, '\n');
    } else if (l->n > 0) {
        print_table_append(&table, &out);
    } else {
        buf_printf(&out,
                   has_file(l->dir, "config.json")
                       ? "'%s' is itself a model; --models-dir is the folder around it\n"
                       : "no models in '%s'; get one: ragctl model pull NAME\n",
                   l->dir);
    }
    fputs(buf_str(&out), stdout);
    print_table_release(&table);
    buf_release(&out);
}

int ragctl_model_list(const struct ragctl_options *options, int argc, char **argv)
{
    const char *dir = NULL;
    const struct ragctl_arg table[] = {
        {.name = "--models-dir", .text = &dir},
    };
    struct listing *l = calloc(1, sizeof *l);
    struct described *d = calloc(1, sizeof *d);
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {0};
    enum rag_status status;
    bool usage = true;
    int n_words = 0;

    status = l && d && words ? ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv,
                                                 words, &n_words, &error)
                             : rag_fail(&error, RAG_ENOMEM, "model list: out of memory");
    if (status == RAG_OK && n_words > 0)
        status = rag_fail(&error, RAG_EINVAL,
                          "model list: takes no words; the folder goes to "
                          "--models-dir");
    if (status == RAG_OK) {
        usage = false;
        l->dir = dir ? dir : RAGCTL_MODELS_DIR_DEFAULT;
        l->with_builtin = !dir;
        status = compute_pool_open(0, &l->pool, &error);
    }
    if (status == RAG_OK && l->with_builtin)
        status = scan_builtin(l, &error);
    if (status == RAG_OK)
        status = scan(l, "", 1, &error);
    if (status == RAG_OK) {
        qsort(l->items, l->n, sizeof l->items[0], by_name);
        print_models(options, l, d);
    }
    for (size_t i = 0; l && i < l->n; i++) {
        free(l->items[i].name);
        free(l->items[i].path);
    }
    if (l)
        compute_pool_close(l->pool);
    free(l);
    free(d);
    free(words);
    if (status == RAG_OK)
        return RAGCTL_OK;
    return usage ? ragctl_usage("model", &error) : ragctl_fail(options, &error);
}
