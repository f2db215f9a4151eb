/* 'ragctl model pack DIR OUT': OUT is written as a hidden folder beside it and appears by one
 * rename, after the packed weights were opened once. Copied is what ragd reads of a model, and the
 * texts that say what it is; nothing else. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/model_record.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model.h"
#include "embed/sentence_transformers.h"
#include "nn/encoder.h"
#include "nn/encoder_pack.h"
#include "nn/model_files.h"

#define PATH_BYTES_MAX   4096
#define COPY_BYTES       65536
#define OUTPUT_BYTES_MAX (64u << 10)

struct packing {
    const struct ragctl_options *options;
    char *dir; /* the source; owned */
    const char *out;
    char stage[PATH_BYTES_MAX];  /* "" until it is there */
    char parent[PATH_BYTES_MAX]; /* of OUT */
    struct compute_pool *pool;   /* owned */
    struct sentence_settings settings;
    const char *below; /* where the transformer is, below both folders: "" or "/0_Transformer" */
    struct encoder_pack_info info;
    char digest[SHA256_HEX_BYTES];
};

static bool join(char ret[PATH_BYTES_MAX], const char *a, const char *separator, const char *b)
{
    return snprintf(ret, PATH_BYTES_MAX, "%s%s%s", a, separator, b) < PATH_BYTES_MAX;
}

static enum rag_status too_long(const char *path, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ELIMIT, "folder '%.200s': path over %d bytes", path,
                    PATH_BYTES_MAX);
}

/* ---- copies ---- */

static enum rag_status copy_file(const char *from, const char *to, struct rag_error *reterr)
{
    struct atomic_file out = {.fd = -1};
    char block[COPY_BYTES];
    enum rag_status status;
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (in < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", from);
    status = atomic_file_open(&out, "file", to, 0666, reterr);
    while (status == RAG_OK && (n = read(in, block, sizeof block)) != 0) {
        if (n > 0)
            status = atomic_file_write(&out, block, (uint64_t)n, reterr);
        else if (errno != EINTR)
            status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot read", from);
    }
    if (status == RAG_OK)
        status = atomic_file_commit(&out, reterr);
    atomic_file_close(&out);
    close(in);
    return status;
}

/* Settings, vocabularies and papers; of a module behind the transformer its weights as well. Not
 * what lists or records the weights that were packed. */
static bool is_wanted(const char *name, bool is_module)
{
    static const char *const endings[] = {".json", ".jinja", ".txt", ".model", ".md"};
    static const char *const papers[] = {"LICENSE", "LICENCE", "NOTICE", "COPYING"};

    if (name[0] == '.' || strcmp(name, MODEL_RECORD_NAME) == 0 ||
        model_file_ends(name, ".safetensors.index.json"))
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (model_file_ends(name, endings[i]))
            return true;
    }
    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
        if (strcmp(name, papers[i]) == 0)
            return true;
    }
    return is_module && model_file_ends(name, ".safetensors");
}

/* The wanted files of DIR + below to the stage; below: "" or "/1_Pooling". A folder that is not
 * there has none (a Normalize module needs none). */
static enum rag_status copy_folder(struct packing *p, const char *below, bool is_module,
                                   struct rag_error *reterr)
{
    char from[PATH_BYTES_MAX];
    char to[PATH_BYTES_MAX];
    enum rag_status status = RAG_OK;
    DIR *d;

    if (!join(from, p->dir, "", below) || !join(to, p->stage, "", below))
        return too_long(p->dir, reterr);
    d = opendir(from);
    if (!d)
        return errno == ENOENT && *below
                   ? RAG_OK
                   : rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': cannot list", from);
    if (*below && mkdir(to, 0777) != 0 && errno != EEXIST)
        status = rag_fail_errno(reterr, rag_status_of_write(errno), errno,
                                "folder '%s': cannot create", to);
    for (const struct dirent *e; status == RAG_OK && (e = readdir(d)) != NULL;) {
        char source[PATH_BYTES_MAX];
        char target[PATH_BYTES_MAX];
        struct stat st;

        if (!is_wanted(e->d_name, is_module))
            continue;
        if (!join(source, from, "/", e->d_name) || !join(target, to, "/", e->d_name))
            status = too_long(p->dir, reterr);
        else if (stat(source, &st) == 0 && S_ISREG(st.st_mode))
            status = copy_file(source, target, reterr);
    }
    closedir(d);
    return status;
}

/* The folders that modules.json names, whose paths sentence_settings_read() has checked. */
static enum rag_status copy_modules(struct packing *p, struct rag_error *reterr)
{
    struct json *modules = NULL;
    enum rag_status status = model_json(p->dir, "modules.json", &modules, reterr);

    if (status == RAG_ENOTFOUND)
        return copy_folder(p, "/1_Pooling", true, reterr);
    for (const struct json *m = json_first(modules); m && status == RAG_OK; m = json_next(m)) {
        const char *path = json_string(json_member(m, "path"));
        char below[PATH_BYTES_MAX];
        size_t n = path ? strlen(path) : 0;

        while (n > 0 && path[n - 1] == '/')
            n--;
        if (n == 0)
            continue;
        snprintf(below, sizeof below, "/%.*s", (int)n, path);
        status = copy_folder(p, below, strcmp(below, p->below) != 0, reterr);
    }
    json_free(modules);
    return status;
}

/* ---- the folder ---- */

static enum rag_status make_stage(struct packing *p, struct rag_error *reterr)
{
    char path[PATH_BYTES_MAX];
    struct stat st;
    size_t n = strlen(p->out);
    char *slash;

    if (n == 0 || n >= sizeof path - 32)
        return rag_fail(reterr, RAG_EINVAL, "folder '%.200s': not a path of 1 to %zu bytes", p->out,
                        sizeof path - 33);
    memcpy(path, p->out, n + 1);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    if (lstat(path, &st) == 0)
        return rag_fail(reterr, RAG_EEXIST,
                        "folder '%s': is there already; name a new one, or remove it first", path);
    slash = strrchr(path, '/');
    snprintf(p->parent, sizeof p->parent, "%.*s",
             slash ? (int)(slash == path ? 1 : slash - path) : 1, slash ? path : ".");
    if (snprintf(p->stage, sizeof p->stage, "%s/.%.200s.pack.%ld", p->parent,
                 slash ? slash + 1 : path, (long)getpid()) >= (int)sizeof p->stage) {
        p->stage[0] = '\0';
        return too_long(p->out, reterr);
    }
    if (mkdir(p->stage, 0777) != 0) {
        enum rag_status status = rag_fail_errno(reterr, rag_status_of_write(errno), errno,
                                                "folder '%s': cannot create", p->stage);

        p->stage[0] = '\0';
        return status;
    }
    return RAG_OK;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static enum rag_status publish(struct packing *p, struct rag_error *reterr)
{
    int parent;

    if (renameat2(AT_FDCWD, p->stage, AT_FDCWD, p->out, RENAME_NOREPLACE) != 0)
        return rag_fail_errno(reterr, errno == EEXIST ? RAG_EEXIST : RAG_EIO, errno,
                              "folder '%s': cannot rename into place", p->out);
    p->stage[0] = '\0'; /* it is OUT now */
    parent = open(p->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        fsync(parent);
        close(parent);
    }
    return RAG_OK;
}

/* ---- the weights ---- */

static enum rag_status pack_weights(struct packing *p, struct rag_error *reterr)
{
    const struct encoder_options options = {.precision = PRECISION_INT8, .pool = p->pool};
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    uint8_t digest[SHA256_BYTES];
    struct encoder *e = NULL;
    enum rag_status status;

    if (!join(folder, p->stage, "", p->below) || !join(path, folder, "/", "model.safetensors"))
        return too_long(p->out, reterr);
    status = encoder_pack(p->settings.transformer_dir, p->pool, path, &p->info, reterr);
    if (status == RAG_OK)
        status = encoder_open(folder, &options, &e, reterr);
    encoder_close(e);
    if (status == RAG_OK)
        status = model_digest(folder, p->pool, digest, reterr);
    if (status == RAG_OK)
        sha256_hex(digest, p->digest);
    return status;
}

static enum rag_status pack(struct packing *p, struct rag_error *reterr)
{
    enum rag_status status = sentence_settings_read(p->dir, &p->settings, reterr);

    if (status != RAG_OK)
        return status;
    p->below = p->settings.transformer_dir + strlen(p->dir); /* as sentence_settings_read() joins */
    status = make_stage(p, reterr);
    if (status == RAG_OK)
        status = copy_folder(p, "", false, reterr);
    if (status == RAG_OK)
        status = copy_modules(p, reterr);
    if (status == RAG_OK)
        status = pack_weights(p, reterr);
    return status == RAG_OK ? publish(p, reterr) : status;
}

/* ---- output ---- */

static void print_packed(const struct packing *p)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (p->options->json) {
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "dir", p->out);
        json_put_int(&w, "bytes", (int64_t)p->info.n_bytes);
        json_put_int(&w, "source_bytes", (int64_t)p->info.n_source_bytes);
        json_put_int(&w, "layers", (int64_t)p->info.n_linears);
        json_put_int(&w, "fp32_layers", (int64_t)p->info.n_fp32_linears);
        json_put_string(&w, "fingerprint", p->digest);
        json_end_object(&w);
        buf_append_char(&out, '\n');
    } else {
        buf_printf(&out, "%s: weights of ", p->out);
        progress_append_bytes(&out, p->info.n_bytes);
        buf_append_str(&out, ", of ");
        progress_append_bytes(&out, p->info.n_source_bytes);
        buf_printf(&out, "; %zu of %zu linear layers stay in fp32; fingerprint %.12s\n",
                   p->info.n_fp32_linears, p->info.n_linears, p->digest);
    }
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

int ragctl_model_pack(const struct ragctl_options *options, int argc, char **argv)
{
    struct packing p = {.options = options};
    int64_t n_threads = 0;
    const struct ragctl_arg table[] = {
        {.name = "--threads", .number = &n_threads, .min = 1, .max = COMPUTE_THREADS_MAX},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {0};
    enum rag_status status;
    bool usage = true;
    int n_words = 0;

    status = words ? ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words,
                                       &n_words, &error)
                   : rag_fail(&error, RAG_ENOMEM, "model pack: out of memory");
    if (status == RAG_OK && n_words != 2)
        status = rag_fail(&error, RAG_EINVAL,
                          "model pack: needs the model's directory and the new one, not %d words",
                          n_words);
    if (status == RAG_OK) {
        usage = false;
        p.out = words[1];
        status = ragctl_model_need("pack", words[0], &p.dir, &error);
    }
    if (status == RAG_OK)
        status = compute_pool_open((size_t)n_threads, &p.pool, &error);
    if (status == RAG_OK)
        status = pack(&p, &error);
    if (status == RAG_OK)
        print_packed(&p);
    if (p.stage[0])
        nftw(p.stage, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    sentence_settings_release(&p.settings);
    compute_pool_close(p.pool);
    free(p.dir);
    free(words);
    if (status == RAG_OK)
        return RAGCTL_OK;
    return usage ? ragctl_usage("model", &error) : ragctl_fail(options, &error);
}
