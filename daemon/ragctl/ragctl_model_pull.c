#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "daemon/ragctl/hub.h"
#include "daemon/ragctl/model_record.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model.h"
#include "nn/decoder_config.h"
#include "nn/model_config.h"
#include "nn/model_files.h"

/* A pull is staged in a hidden folder beside the model's and published by one rename, so that
 * nobody ever opens half a model:
 *
 *     MODELS/org/.name.part/   files, FILE.part while they grow, last ragd-model.json
 *     MODELS/org/name          what the daemon and the other verbs see
 *
 * The staging folder is kept when a pull fails; the next one resumes from it. */

#define PATH_BYTES_MAX  4096
#define FREE_BYTES_LEFT (16u << 20) /* that a pull leaves free on the disk */
#define OUTPUT_BYTES    (4u << 20)
#define CHOICES_SHOWN   8 /* GGUF files of a repository that a message names */

struct pull {
    const struct ragctl_options *options;
    struct hub *hub;                /* owned */
    struct hub_model model;         /* owned */
    struct model_record record;     /* owned */
    const struct hub_file **wanted; /* [n_wanted], borrowed from model; the array is owned */
    size_t n_wanted;
    const char *file; /* of --file: the one GGUF file that is wanted; or NULL */
    char name[2 * HUB_NAME_BYTES_MAX + 2];
    char revision[2 * HUB_NAME_BYTES_MAX + 2];
    char dir[PATH_BYTES_MAX];   /* where the model goes */
    char stage[PATH_BYTES_MAX]; /* where it grows */
    char parent[PATH_BYTES_MAX];
    int lock; /* the staging folder, flock'ed */
    struct progress progress;
    uint64_t done_bytes; /* of the files before the present one */
    size_t done_files;
    uint64_t fetched;
    bool up_to_date;
};

/* ---- which files ---- */

/* "1_Pooling", "2_Dense": a module's folder in the sentence-transformers layout. */
static bool is_module_folder(const char *name, size_t n)
{
    size_t digits = strspn(name, "0123456789");

    return digits > 0 && digits < n && name[digits] == '_';
}

/* What says who may use it, and for what. */
static bool is_paper(const char *name)
{
    static const char *const papers[] = {"README.md",  "LICENSE", "LICENSE.txt",
                                         "LICENSE.md", "NOTICE",  "NOTICE.txt"};

    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
        if (strcmp(name, papers[i]) == 0)
            return true;
    }
    return false;
}

/* What ragd reads beside weights, which are chosen apart. */
static bool is_wanted(const char *name)
{
    static const char *const anywhere[] = {"config.json",
                                           "tokenizer.json",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "tokenizer.model",
                                           "chat_template.jinja",
                                           "generation_config.json",
                                           "vocab.txt",
                                           "sentence_bert_config.json",
                                           "sentence_roberta_config.json",
                                           "sentence_xlm-roberta_config.json",
                                           "sentence_camembert_config.json",
                                           "sentence_distilbert_config.json"};
    static const char *const top[] = {"modules.json", "config_sentence_transformers.json",
                                      "generation_config.json", "tokenizer.model",
                                      "chat_template.jinja"};
    const char *slash = strchr(name, '/');
    const char *base = slash ? slash + 1 : name;

    if (slash && !is_module_folder(name, (size_t)(slash - name)))
        return false;
    for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++) {
        if (strcmp(base, anywhere[i]) == 0)
            return true;
    }
    for (size_t i = 0; !slash && i < sizeof top / sizeof top[0]; i++) {
        if (strcmp(base, top[i]) == 0)
            return true;
    }
    return is_paper(name) || (slash && strcmp(base, "model.safetensors") == 0);
}

static const struct hub_file *find_file(const struct hub_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_files; i++) {
        if (strcmp(m->files[i].name, name) == 0)
            return &m->files[i];
    }
    return NULL;
}

/* Is this one of the weights at the top: the one file, or the shards that the index stands for? */
static bool is_chosen_weights(const struct hub_model *m, const char *name)
{
    bool one = find_file(m, "model.safetensors") != NULL;

    if (strchr(name, '/') || one)
        return one && strcmp(name, "model.safetensors") == 0;
    if (find_file(m, "model.safetensors.index.json"))
        return strcmp(name, "model.safetensors.index.json") == 0 ||
               (strncmp(name, "model-", 6) == 0 && model_file_ends(name, ".safetensors"));
    return model_file_ends(name, ".safetensors");
}

static enum rag_status choose_folder(struct pull *p, struct rag_error *reterr)
{
    const struct hub_model *m = &p->model;
    bool index = find_file(m, "model.safetensors.index.json") != NULL;
    bool transformer = find_file(m, "0_Transformer/model.safetensors") != NULL;
    size_t n_weights = 0;

    for (size_t i = 0; i < m->n_files; i++) {
        bool weights = is_chosen_weights(m, m->files[i].name);

        n_weights += weights;
        if (weights || is_wanted(m->files[i].name))
            p->wanted[p->n_wanted++] = &m->files[i];
    }
    if (n_weights == 0 && !transformer)
        return rag_fail(
            reterr, RAG_ENOTFOUND,
            "model '%s': has no safetensors weights (a pytorch_model.bin runs code when "
            "it is read, so it is not taken); look for a revision or a copy that has",
            m->name);
    if (n_weights > 1 && !index)
        return rag_fail(
            reterr, RAG_EFORMAT,
            "model '%s': %zu safetensors files and no model.safetensors.index.json that "
            "says which belong together",
            m->name, n_weights);
    if (!transformer && (!find_file(m, "config.json") ||
                         (!find_file(m, "tokenizer.json") && !find_file(m, "tokenizer.model") &&
                          !find_file(m, "vocab.txt"))))
        return rag_fail(reterr, RAG_ENOTFOUND, "model '%s': has no %s, so ragd could not use it",
                        m->name, find_file(m, "config.json") ? "tokenizer.json" : "config.json");
    return RAG_OK;
}

/* "model-00001-of-00003.gguf" */
static bool is_part(const char *name)
{
    return strstr(name, "-of-0") != NULL;
}

static enum rag_status name_choices(const struct hub_model *m, struct rag_error *reterr)
{
    struct buf names;
    size_t n = 0;

    buf_init(&names, OUTPUT_BYTES);
    for (size_t i = 0; i < m->n_files; i++) {
        if (model_file_ends(m->files[i].name, ".gguf") && n++ < CHOICES_SHOWN)
            buf_printf(&names, "%s%s", n > 1 ? ", " : "", m->files[i].name);
    }
    rag_fail(reterr, RAG_EINVAL, "model '%s': has %zu GGUF files; choose one with --file: %s%s",
             m->name, n, buf_str(&names), n > CHOICES_SHOWN ? " ..." : "");
    buf_release(&names);
    return RAG_EINVAL;
}

/* One GGUF file, which holds all that a model has, and its papers. */
static enum rag_status choose_gguf(struct pull *p, struct rag_error *reterr)
{
    const struct hub_model *m = &p->model;
    const struct hub_file *file = p->file ? find_file(m, p->file) : NULL;
    size_t n = 0;

    for (size_t i = 0; i < m->n_files && !p->file; i++) {
        if (model_file_ends(m->files[i].name, ".gguf") && n++ == 0)
            file = &m->files[i];
    }
    if (n > 1)
        return name_choices(m, reterr);
    if (!file)
        return rag_fail(reterr, RAG_ENOTFOUND, "model '%s': has no file '%s'", m->name, p->file);
    if (is_part(file->name))
        return rag_fail(reterr, RAG_EINVAL,
                        "model '%s': '%s' is one part of a split file, which ragd does not read; "
                        "look for a copy in one file",
                        m->name, file->name);
    p->wanted[p->n_wanted++] = file;
    for (size_t i = 0; i < m->n_files; i++) {
        if (is_paper(m->files[i].name))
            p->wanted[p->n_wanted++] = &m->files[i];
    }
    return RAG_OK;
}

static enum rag_status choose_files(struct pull *p, struct rag_error *reterr)
{
    bool safetensors = false;
    bool gguf = false;

    p->wanted = calloc(p->model.n_files + 1, sizeof(struct hub_file *));
    if (!p->wanted)
        return rag_fail(reterr, RAG_ENOMEM, "model pull: out of memory");
    for (size_t i = 0; i < p->model.n_files; i++) {
        safetensors |= model_file_ends(p->model.files[i].name, ".safetensors");
        gguf |= model_file_ends(p->model.files[i].name, ".gguf");
    }
    return p->file || (gguf && !safetensors) ? choose_gguf(p, reterr) : choose_folder(p, reterr);
}

/* Small files first: a model that is not supported is noticed before its gigabytes come. */
static int small_first(const void *a, const void *b)
{
    const struct hub_file *x = *(const struct hub_file *const *)a;
    const struct hub_file *y = *(const struct hub_file *const *)b;
    bool heavy_x = hub_is_weights(x->name);
    bool heavy_y = hub_is_weights(y->name);

    return heavy_x != heavy_y ? heavy_x - heavy_y : strcmp(x->name, y->name);
}

/* ---- folders ---- */

static enum rag_status disk_failed(int errnum, const char *what, const char *path,
                                   struct rag_error *reterr)
{
    return rag_fail_errno(reterr, rag_status_of_write(errnum), errnum, "folder '%s': %s", path,
                          what);
}

static enum rag_status make_folder(const char *path, struct rag_error *reterr)
{
    struct stat st;

    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return disk_failed(errno, "cannot create; choose another with --models-dir", path, reterr);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return rag_fail(reterr, RAG_EEXIST, "folder '%s': something else is there", path);
    return RAG_OK;
}

static enum rag_status name_folders(struct pull *p, const char *models_dir,
                                    struct rag_error *reterr)
{
    const char *slash = strchr(p->name, '/');
    const char *last = slash ? slash + 1 : p->name;
    int a;
    int b;
    int c;

    a = snprintf(p->dir, sizeof p->dir, "%s/%s", models_dir, p->name);
    b = snprintf(p->parent, sizeof p->parent, "%s%s%.*s", models_dir, slash ? "/" : "",
                 slash ? (int)(slash - p->name) : 0, p->name);
    c = snprintf(p->stage, sizeof p->stage, "%.*s/.%s.part",
                 (int)(sizeof p->parent - HUB_NAME_BYTES_MAX - 16), p->parent, last);
    if (a < 0 || b < 0 || c < 0 || (size_t)a + HUB_NAME_BYTES_MAX + 32 > sizeof p->dir)
        return rag_fail(reterr, RAG_ELIMIT, "folder '%.200s': path over %d bytes", models_dir,
                        PATH_BYTES_MAX);
    return RAG_OK;
}

static enum rag_status make_folders(struct pull *p, const char *models_dir,
                                    struct rag_error *reterr)
{
    enum rag_status status = make_folder(models_dir, reterr);

    if (status == RAG_OK)
        status = make_folder(p->parent, reterr);
    if (status == RAG_OK)
        status = make_folder(p->stage, reterr);
    if (status != RAG_OK)
        return status;
    p->lock = open(p->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->lock < 0)
        return disk_failed(errno, "cannot open", p->stage, reterr);
    if (flock(p->lock, LOCK_EX | LOCK_NB) != 0)
        return rag_fail(reterr, RAG_EBUSY, "model '%s': another pull of it is running", p->name);
    return RAG_OK;
}

static bool wants(const struct pull *p, const char *name)
{
    char whole[PATH_BYTES_MAX];

    snprintf(whole, sizeof whole, "%s", name);
    if (model_file_ends(whole, ".part"))
        whole[strlen(whole) - 5] = '\0';
    for (size_t i = 0; i < p->n_wanted; i++) {
        if (strcmp(p->wanted[i]->name, whole) == 0)
            return true;
    }
    return false;
}

/* Remove from the staging folder what an earlier pull, of another revision, left there and this
 * one would not overwrite. 'below' is the path inside it, "" at the top. */
static void sweep(const struct pull *p, const char *below, int depth)
{
    char path[PATH_BYTES_MAX];
    DIR *d;

    if (snprintf(path, sizeof path, "%s/%s", p->stage, below) >= (int)sizeof path)
        return;
    d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char name[PATH_BYTES_MAX];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            snprintf(name, sizeof name, "%s%s%s", below, below[0] ? "/" : "", e->d_name) >=
                (int)sizeof name ||
            snprintf(path, sizeof path, "%s/%s", p->stage, name) >= (int)sizeof path ||
            lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0) {
            sweep(p, name, depth - 1);
            rmdir(path); /* stays unless it is empty */
        } else if (!S_ISDIR(st.st_mode) && !wants(p, name)) {
            unlink(path);
        }
    }
    if (d)
        closedir(d);
}

/* The old version is in the staging folder now, by the exchange: take away what its own record
 * lists. What a person put beside it is left alone. */
static void remove_old(const struct pull *p, const struct model_record *old)
{
    char path[PATH_BYTES_MAX];

    for (size_t i = 0; i < old->n_files; i++) {
        char *slash;

        if (snprintf(path, sizeof path, "%s/%s", p->stage, old->files[i].name) >= (int)sizeof path)
            continue;
        unlink(path);
        slash = strrchr(path, '/');
        if (slash && slash > path + strlen(p->stage)) {
            *slash = '\0';
            rmdir(path);
        }
    }
    if (snprintf(path, sizeof path, "%s/" MODEL_RECORD_NAME, p->stage) < (int)sizeof path)
        unlink(path);
    if (rmdir(p->stage) != 0)
        ragctl_note(p->options, "files that pull did not bring were moved to '%s'", p->stage);
}

static enum rag_status publish(struct pull *p, const struct model_record *old,
                               struct rag_error *reterr)
{
    int parent;

    if (old) {
        if (renameat2(AT_FDCWD, p->stage, AT_FDCWD, p->dir, RENAME_EXCHANGE) != 0)
            return disk_failed(errno, "cannot replace the earlier version", p->dir, reterr);
        remove_old(p, old);
    } else if (rename(p->stage, p->dir) != 0) {
        return disk_failed(errno, "cannot rename into place", p->dir, reterr);
    }
    parent = open(p->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        fsync(parent);
        close(parent);
    }
    return RAG_OK;
}

/* ---- fetching ---- */

static void on_pause(void *context, const char *why, int64_t pause_ms)
{
    struct pull *p = context;

    if (!p->options->quiet)
        progress_note(&p->progress, "ragctl: %s; again in %lld.%03lld s", why,
                      (long long)(pause_ms / 1000), (long long)(pause_ms % 1000));
}

static void on_progress(void *context, uint64_t n_bytes)
{
    struct pull *p = context;

    progress_update(&p->progress, p->done_files, p->done_bytes + n_bytes);
}

static enum rag_status check_space(const struct pull *p, uint64_t n_bytes, struct rag_error *reterr)
{
    struct statvfs fs;
    uint64_t free_bytes;
    struct buf sizes;

    if (statvfs(p->stage, &fs) != 0)
        return RAG_OK; /* then writing tells */
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (n_bytes <= UINT64_MAX - FREE_BYTES_LEFT && free_bytes >= n_bytes + FREE_BYTES_LEFT)
        return RAG_OK;
    buf_init(&sizes, 128);
    progress_append_bytes(&sizes, n_bytes);
    buf_append_str(&sizes, " are to come and ");
    progress_append_bytes(&sizes, free_bytes);
    rag_fail(reterr, RAG_ENOSPC,
             "model '%s': %s are free in '%s'; choose another place with "
             "--models-dir",
             p->name, buf_str(&sizes), p->parent);
    buf_release(&sizes);
    return RAG_ENOSPC;
}

/* Bytes of a staged file or its part. */
static uint64_t staged_bytes(const struct pull *p, const char *name)
{
    static const char *const suffixes[] = {"", ".part"};
    uint64_t most = 0;

    for (size_t i = 0; i < 2; i++) {
        char path[PATH_BYTES_MAX];
        struct stat st;

        if (snprintf(path, sizeof path, "%s/%s%s", p->stage, name, suffixes[i]) <
                (int)sizeof path &&
            lstat(path, &st) == 0 && (uint64_t)st.st_size > most)
            most = (uint64_t)st.st_size;
    }
    return most;
}

static enum rag_status fetch_one(struct pull *p, size_t i, struct rag_error *reterr)
{
    const struct hub_fetch fetch = {p->stage, on_progress, p};
    const struct hub_file *file = p->wanted[i];
    struct model_record_file *recorded = &p->record.files[i];
    uint64_t fetched = 0;
    struct stat st;
    char path[PATH_BYTES_MAX];
    enum rag_status status =
        hub_fetch_file(p->hub, &p->model, file, &fetch, recorded->sha256, &fetched, reterr);

    p->fetched += fetched;
    if (status != RAG_OK)
        return status;
    recorded->name = strdup(file->name);
    if (!recorded->name)
        return rag_fail(reterr, RAG_ENOMEM, "model pull: out of memory");
    p->record.n_files = i + 1;
    if (snprintf(path, sizeof path, "%s/%s", p->stage, file->name) >= (int)sizeof path ||
        stat(path, &st) != 0)
        return rag_fail(reterr, RAG_EIO, "file '%s': gone", file->name);
    recorded->n_bytes = (uint64_t)st.st_size;
    p->done_bytes += recorded->n_bytes;
    p->done_files++;
    return RAG_OK;
}

/* A person learns before the big download that ragd has no use for it, and may go on. A GGUF file
 * says what it is only when it is here. */
static void warn_unsupported(const struct pull *p)
{
    struct decoder_config decoder = {0};
    struct model_config encoder;
    struct rag_error error = {0};
    enum rag_status status = RAG_OK;

    if (decoder_config_is_decoder(p->stage))
        status = decoder_config_open(p->stage, &decoder, &error);
    else if (find_file(&p->model, "config.json"))
        status = model_config_open(p->stage, &encoder, &error);
    if (status != RAG_OK)
        ragctl_note(p->options, "this ragd cannot load it: %s", error.text);
    decoder_config_release(&decoder);
}

static enum rag_status fetch_all(struct pull *p, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    uint64_t total = 0;
    uint64_t missing = 0;
    bool warned = false;
    bool gguf = false;

    for (size_t i = 0; i < p->n_wanted; i++) {
        uint64_t size = p->wanted[i]->size;
        uint64_t here = staged_bytes(p, p->wanted[i]->name);

        if (size == HUB_SIZE_UNKNOWN || size > HUB_WEIGHTS_BYTES_MAX)
            continue; /* the latter is refused when its turn comes */
        total += size;
        missing += here < size ? size - here : 0;
    }
    status = check_space(p, missing, reterr);
    if (status != RAG_OK)
        return status;
    p->record.files = calloc(p->n_wanted + 1, sizeof *p->record.files);
    if (!p->record.files)
        return rag_fail(reterr, RAG_ENOMEM, "model pull: out of memory");
    progress_init(&p->progress, stderr, p->options->quiet || p->options->json, "files", p->n_wanted,
                  total);
    for (size_t i = 0; i < p->n_wanted && status == RAG_OK; i++) {
        gguf |= model_file_ends(p->wanted[i]->name, ".gguf");
        if (!warned && model_file_ends(p->wanted[i]->name, ".safetensors")) {
            warn_unsupported(p);
            warned = true;
        }
        status = fetch_one(p, i, reterr);
    }
    progress_finish(&p->progress);
    if (status == RAG_OK && gguf)
        warn_unsupported(p);
    return status;
}

static enum rag_status fill_record(struct pull *p, struct rag_error *reterr)
{
    struct model_record *r = &p->record;
    char pulled[CLOCK_TEXT_BYTES];
    enum rag_status status = RAG_OK;

    clock_format(clock_wall_ms(), pulled);
    r->source = strdup(p->model.name);
    r->endpoint = strdup(hub_endpoint(p->hub));
    r->revision = strdup(p->model.revision);
    r->commit = strdup(p->model.commit);
    r->pulled = strdup(pulled);
    if (p->model.licence[0])
        r->licence = strdup(p->model.licence);
    else
        status = model_readme_licence(p->stage, &r->licence);
    if (status != RAG_OK || !r->source || !r->endpoint || !r->revision || !r->commit ||
        !r->pulled || !r->licence)
        return rag_fail(reterr, RAG_ENOMEM, "model pull: out of memory");
    return model_record_write(p->stage, r, reterr);
}

/* ---- the command ---- */

/* NAME[@revision] */
static enum rag_status split_name(struct pull *p, const char *word, struct rag_error *reterr)
{
    const char *at = strchr(word, '@');
    size_t n = at ? (size_t)(at - word) : strlen(word);

    if (n >= sizeof p->name || (at && strlen(at + 1) >= sizeof p->revision))
        return rag_fail(reterr, RAG_EINVAL, "model '%.100s': too long a name", word);
    snprintf(p->name, sizeof p->name, "%.*s", (int)n, word);
    snprintf(p->revision, sizeof p->revision, "%s", at ? at + 1 : "main");
    if (!hub_name_ok(p->name))
        return rag_fail(reterr, RAG_EINVAL,
                        "model '%.100s': must be a name as intfloat/multilingual-e5-small",
                        p->name);
    return RAG_OK;
}

/* What is at the model's place already. *ret_old stays empty when there is nothing. */
static enum rag_status look_at_place(const struct pull *p, struct model_record *ret_old,
                                     bool *ret_there, struct rag_error *reterr)
{
    enum rag_status status;
    struct stat st;

    *ret_there = lstat(p->dir, &st) == 0;
    if (!*ret_there)
        return RAG_OK;
    status = model_record_read(p->dir, ret_old, reterr);
    if (status == RAG_OK)
        return RAG_OK;
    return rag_fail(reterr, RAG_EEXIST,
                    "folder '%s': is there and was not made by pull; move it away, or choose "
                    "another place with --models-dir",
                    p->dir);
}

/* The same files as this pull would bring? */
static bool lists_wanted(const struct pull *p, const struct model_record *old)
{
    for (size_t i = 0; i < old->n_files; i++) {
        if (!wants(p, old->files[i].name))
            return false;
    }
    return old->n_files == p->n_wanted;
}

static enum rag_status pull(struct pull *p, const char *models_dir, struct rag_error *reterr)
{
    struct hub_options hub = {.endpoint = getenv("HF_ENDPOINT"),
                              .token = getenv("HF_TOKEN"),
                              .on_pause = on_pause,
                              .context = p};
    struct model_record old = {0};
    enum rag_status status;
    bool there = false;

    if (hub.endpoint && hub.endpoint[0] == '\0')
        hub.endpoint = NULL;
    if (hub.token && hub.token[0] == '\0')
        hub.token = NULL;
    progress_init(&p->progress, stderr, true, "files", 0, 0);
    status = name_folders(p, models_dir, reterr);
    if (status == RAG_OK)
        status = look_at_place(p, &old, &there, reterr);
    if (status == RAG_OK)
        status = hub_open(&hub, &p->hub, reterr);
    if (status == RAG_OK)
        status = hub_list(p->hub, p->name, p->revision, &p->model, reterr);
    if (status == RAG_OK)
        status = choose_files(p, reterr);
    if (status != RAG_OK)
        goto out;
    qsort(p->wanted, p->n_wanted, sizeof p->wanted[0], small_first);
    if (there && strcmp(old.commit, p->model.commit) == 0 && lists_wanted(p, &old) &&
        model_record_holds(p->dir, &old)) {
        p->up_to_date = true;
        p->record = old; /* ownership moves */
        old = (struct model_record){0};
        goto out;
    }
    status = make_folders(p, models_dir, reterr);
    if (status != RAG_OK)
        goto out;
    sweep(p, "", HUB_NAME_DEPTH_MAX);
    status = fetch_all(p, reterr);
    if (status == RAG_OK)
        status = fill_record(p, reterr);
    if (status == RAG_OK)
        status = publish(p, there ? &old : NULL, reterr);
out:
    model_record_release(&old);
    return status;
}

static void print_result(const struct pull *p)
{
    const struct model_record *r = &p->record;
    uint64_t n_bytes = 0;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES);
    for (size_t i = 0; i < r->n_files; i++)
        n_bytes += r->files[i].n_bytes;
    if (p->options->json) {
        struct json_writer w;

        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "name", r->source);
        json_put_string(&w, "dir", p->dir);
        json_put_string(&w, "revision", r->revision);
        json_put_string(&w, "commit", r->commit);
        json_put_string(&w, "licence", r->licence);
        json_put_int(&w, "bytes", (int64_t)n_bytes);
        json_put_int(&w, "fetched_bytes", (int64_t)p->fetched);
        json_put_bool(&w, "up_to_date", p->up_to_date);
        model_record_put_files(&w, r);
        json_end_object(&w);
    } else {
        buf_printf(&out, "%s at %.12s: %s '%s' (%zu files, ", r->source, r->commit,
                   p->up_to_date ? "unchanged in" : "in", p->dir, r->n_files);
        progress_append_bytes(&out, n_bytes);
        buf_printf(&out, "), licence %s\nlook at it: ragctl model check '%s'",
                   r->licence[0] ? r->licence : "not said", p->dir);
    }
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

int ragctl_model_pull(const struct ragctl_options *options, int argc, char **argv)
{
    const char *models_dir = RAGCTL_MODELS_DIR_DEFAULT;
    const char *file = NULL;
    const struct ragctl_arg table[] = {
        {.name = "--models-dir", .text = &models_dir},
        {.name = "--file",       .text = &file      },
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct pull *p = calloc(1, sizeof *p);
    struct rag_error error = {0};
    enum rag_status status;
    bool usage = true;
    int n_words = 0;

    status = words && p ? ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv,
                                            words, &n_words, &error)
                        : rag_fail(&error, RAG_ENOMEM, "model pull: out of memory");
    if (status == RAG_OK && n_words != 1)
        status = rag_fail(&error, RAG_EINVAL, "model pull: needs one NAME[@REVISION]");
    if (status == RAG_OK && file && !model_file_ends(file, ".gguf"))
        status =
            rag_fail(&error, RAG_EINVAL, "model pull: --file '%.100s': must be a *.gguf", file);
    if (status == RAG_OK) {
        p->options = options;
        p->file = file;
        p->lock = -1;
        status = split_name(p, words[0], &error);
    }
    if (status == RAG_OK) {
        usage = false;
        status = pull(p, models_dir, &error);
    }
    if (status == RAG_OK)
        print_result(p);
    if (p) {
        hub_close(p->hub);
        hub_model_release(&p->model);
        model_record_release(&p->record);
        free(p->wanted);
        if (p->lock >= 0)
            close(p->lock);
    }
    free(p);
    free(words);
    if (status == RAG_OK)
        return RAGCTL_OK;
    return usage ? ragctl_usage("model", &error) : ragctl_fail(options, &error);
}
