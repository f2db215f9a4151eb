#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_pages.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/ragctl/ragctl_vectors.h"

#define JOBS_DEFAULT              2           /* parsing and indexing overlap with the disk */
#define ERRORS_BYTES_MAX          (64u << 20) /* of --json's "errors": a million failures */
#define METADATA_HEADER_BYTES_MAX 12288       /* what fits beside the other headers */

struct ingest_args {
    const char *prefix;
    const char *name;
    const char *type;
    const char *metadata_file;
    struct ragctl_list metadata;
    int64_t n_jobs;
    bool no_create;
    bool delete_missing;
    bool yes;
    bool dry_run;
    bool no_wait;
};

/* ---- metadata ---- */

/* "key=text" or "key:=JSON" as a member. */
static enum rag_status put_pair(struct json_writer *w, const char *pair, struct rag_error *reterr)
{
    const char *equals = strchr(pair, '=');
    bool typed = equals && equals > pair && equals[-1] == ':';
    enum rag_status status = RAG_OK;
    struct json *value = NULL;
    char *text = NULL;
    char *key;

    if (!equals || equals == pair || (typed && equals == pair + 1))
        return rag_fail(reterr, RAG_EINVAL,
                        "option '--metadata': '%s' is not key=text or key:=JSON", pair);
    key = strndup(pair, (size_t)(equals - pair) - (typed ? 1 : 0));
    if (!key)
        return rag_fail(reterr, RAG_ENOMEM, "option '--metadata': out of memory");
    if (typed) {
        status = json_parse(equals + 1, strlen(equals + 1), "value of --metadata", &value, reterr);
        if (status == RAG_OK)
            status = json_print(value, &text);
        if (status == RAG_OK)
            json_put_raw(w, key, text);
    } else {
        json_put_string(w, key, equals + 1);
    }
    json_free(value);
    free(text);
    free(key);
    return status;
}

static enum rag_status read_metadata_file(const char *path, struct json_writer *w,
                                          struct rag_error *reterr)
{
    char text[METADATA_BYTES_MAX + 1];
    struct json *root = NULL;
    enum rag_status status;
    FILE *f = fopen(path, "rbe");
    size_t n;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be opened", path);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    if (n > METADATA_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': over the limit of %d bytes for metadata",
                        path, METADATA_BYTES_MAX);
    status = json_parse(text, n, path, &root, reterr);
    if (status == RAG_OK && !json_is_object(root))
        status = rag_fail(reterr, RAG_EINVAL, "file '%s': must hold one JSON object", path);
    for (const struct json *m = json_first(root); m && status == RAG_OK; m = json_next(m)) {
        char *value = NULL;

        status = json_print(m, &value);
        if (status == RAG_OK)
            json_put_raw(w, json_key(m), value);
        free(value);
    }
    json_free(root);
    return status;
}

/* The object of all --metadata and --metadata-file, checked by parsing it (a key given
 * twice is an error); *ret NULL when there is none. */
static enum rag_status make_metadata(const struct ingest_args *args, char **ret,
                                     struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct json_writer w;
    struct json *root = NULL;
    struct buf out;

    *ret = NULL;
    if (!args->metadata_file && args->metadata.n == 0)
        return RAG_OK;
    buf_init(&out, METADATA_HEADER_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    if (args->metadata_file)
        status = read_metadata_file(args->metadata_file, &w, reterr);
    for (size_t i = 0; i < args->metadata.n && status == RAG_OK; i++)
        status = put_pair(&w, args->metadata.items[i], reterr);
    json_end_object(&w);
    if (status == RAG_OK && buf_status(&out) != RAG_OK)
        status = rag_fail(reterr, RAG_ELIMIT, "metadata: over the limit of %d bytes",
                          METADATA_HEADER_BYTES_MAX);
    if (status == RAG_OK)
        status = json_parse(buf_str(&out), out.len, "metadata", &root, reterr);
    json_free(root);
    if (status == RAG_OK)
        status = buf_take(&out, ret, NULL);
    buf_release(&out);
    return status;
}

/* ---- the collection ---- */

static enum rag_status make_collection(struct ragctl_client *client, bool no_create,
                                       bool *ret_created, struct rag_error *reterr)
{
    const struct ragctl_options *options = client->options;
    enum rag_status status;
    struct buf path;
    struct buf empty;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&empty, 8);
    buf_append_str(&empty, "{}");
    ragctl_client_collection_path(&path, options->collection, "", NULL);
    status = ragctl_client_call(client, "GET", buf_str(&path), NULL, reterr);
    if (status == RAG_ENOTFOUND && !no_create) {
        status = ragctl_client_send(client, "PUT", buf_str(&path), &empty, NULL, reterr);
        *ret_created = status == RAG_OK;
    }
    buf_release(&path);
    buf_release(&empty);
    return status;
}

/* ---- --delete-missing ---- */

struct names {
    char **items; /* owned */
    size_t n;
    size_t cap;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
}

static enum rag_status names_add(struct names *names, const char *name)
{
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 256;
        char **grown = reallocarray(names->items, cap, sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        names->items = grown;
        names->cap = cap;
    }
    names->items[names->n] = strdup(name);
    return names->items[names->n] ? (names->n++, RAG_OK) : RAG_ENOMEM;
}

static int compare_to_file(const void *name, const void *file)
{
    return strcmp(name, ((const struct ragctl_file *)file)->name);
}

/* Documents under 'prefix' that no file of the run stands for. *ret_n_under: all of them. */
static enum rag_status list_missing(struct ingest_run *in, struct ragctl_client *client,
                                    const char *prefix, struct names *missing,
                                    uint64_t *ret_n_under, struct rag_error *reterr)
{
    struct ragctl_pages pages;
    const struct json *document;
    enum rag_status status = RAG_OK;

    *ret_n_under = 0;
    ragctl_pages_init(&pages, client, in->options->collection);
    while (status == RAG_OK && (status = ragctl_pages_next(&pages, &document, reterr)) == RAG_OK &&
           document) {
        const char *name = json_string(json_member(document, "document"));

        if (!name || strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        ++*ret_n_under;
        if (bsearch(name, in->files->items, in->files->n, sizeof in->files->items[0],
                    compare_to_file))
            continue;
        if (names_add(missing, name) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "--delete-missing: out of memory");
    }
    ragctl_pages_release(&pages);
    return status;
}

static enum rag_status delete_named(struct ingest_run *in, struct ragctl_client *client,
                                    const struct names *missing, struct rag_error *reterr)
{
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    for (size_t i = 0; i < missing->n; i++) {
        enum rag_status status;

        buf_reset(&path);
        ragctl_client_collection_path(&path, in->options->collection, "/documents/",
                                      missing->items[i]);
        status = ragctl_client_call(client, "DELETE", buf_str(&path), NULL, reterr);
        if (status == RAG_OK)
            in->n_deleted++;
        else if (status != RAG_ENOTFOUND)
            ragctl_ingest_failed(in, missing->items[i], missing->items[i], 0, reterr->text);
        if (status == RAG_EIO)
            break;
    }
    buf_release(&path);
    return RAG_OK;
}

enum rag_status ragctl_ingest_delete_missing(struct ingest_run *in, const char *prefix, bool yes,
                                             struct rag_error *reterr)
{
    struct ragctl_client client = {0};
    struct names missing = {0};
    uint64_t n_under = 0;
    enum rag_status status = ragctl_client_open(in->options, &client, reterr);

    if (status == RAG_OK)
        status = list_missing(in, &client, prefix, &missing, &n_under, reterr);
    if (status == RAG_OK && !yes && missing.n > INGEST_DELETE_FREELY && missing.n * 2 > n_under)
        status = rag_fail(reterr, RAG_EINVAL,
                          "--delete-missing: would delete %zu of %" PRIu64
                          " documents; add --yes if that is meant",
                          missing.n, n_under);
    if (status == RAG_OK)
        status = delete_named(in, &client, &missing, reterr);
    names_release(&missing);
    ragctl_client_close(&client);
    return status;
}

/* ---- the command ---- */

static void on_unreadable(void *context, const char *path, const char *why)
{
    ragctl_ingest_failed(context, path, NULL, 0, why);
}

static int print_dry_run(const struct ragctl_options *options, const struct ragctl_files *files)
{
    struct print_table table;
    struct json_writer w;
    struct buf out;

    buf_init(&out, ERRORS_BYTES_MAX);
    print_table_init(&table, "lrll");
    json_writer_init(&w, &out);
    if (options->json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "files");
    }
    for (size_t i = 0; i < files->n; i++) {
        const struct ragctl_file *file = &files->items[i];

        if (options->json) {
            json_begin_object(&w, NULL);
            json_put_string(&w, "document", file->records ? NULL : file->name);
            json_put_string(&w, "path", file->path);
            json_put_string(&w, "type", file->content_type);
            json_put_int(&w, "bytes", (int64_t)file->n_bytes);
            json_end_object(&w);
            continue;
        }
        print_table_cell(&table, "%s", file->records ? "(named by its records)" : file->name);
        print_table_cell(&table, "%" PRIu64, file->n_bytes);
        print_table_cell(&table, "%s", file->content_type);
        print_table_cell(&table, "%s", file->path ? file->path : "-");
    }
    if (options->json) {
        json_end_array(&w);
        json_put_int(&w, "hidden", (int64_t)files->n_hidden);
        json_put_int(&w, "unsupported", (int64_t)files->n_unsupported);
        json_end_object(&w);
        buf_append_char(&out, '\n');
    } else {
        print_table_append(&table, &out);
        buf_printf(&out, "%zu files would be ingested; %zu hidden and %zu unsupported skipped\n",
                   files->n, files->n_hidden, files->n_unsupported);
    }
    fwrite(buf_str(&out), 1, out.len, stdout);
    print_table_release(&table);
    buf_release(&out);
    return RAGCTL_OK;
}

static void print_summary_json(const struct ingest_run *in, bool created, double elapsed_s)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, ERRORS_BYTES_MAX + 4096);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", in->options->collection);
    json_put_bool(&w, "created", created);
    json_put_int(&w, "documents", (int64_t)in->n_documents);
    json_put_int(&w, "unchanged", (int64_t)in->n_unchanged);
    json_put_int(&w, "failed", (int64_t)in->n_failed);
    json_put_int(&w, "deleted", (int64_t)in->n_deleted);
    json_put_int(&w, "chunks", (int64_t)in->n_chunks);
    json_put_int(&w, "files", (int64_t)in->files->n);
    json_put_int(&w, "hidden", (int64_t)in->files->n_hidden);
    json_put_int(&w, "unsupported", (int64_t)in->files->n_unsupported);
    json_put_int(&w, "converted", (int64_t)in->n_converted);
    json_put_int(&w, "vectors_pending", (int64_t)in->n_pending);
    json_put_int(&w, "bytes", (int64_t)in->done_bytes);
    json_put_double(&w, "elapsed_s", elapsed_s);
    json_begin_array(&w, "errors");
    buf_append_str(&out, buf_str(&in->errors_json));
    json_end_array(&w);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void print_summary(const struct ingest_run *in, bool created, double elapsed_s)
{
    struct buf out;

    buf_init(&out, 4096);
    buf_printf(&out, "%s: %" PRIu64 " ingested, %" PRIu64 " unchanged", in->options->collection,
               in->n_documents, in->n_unchanged);
    if (in->n_deleted > 0)
        buf_printf(&out, ", %" PRIu64 " deleted", in->n_deleted);
    if (in->n_failed > 0)
        buf_printf(&out, ", %" PRIu64 " failed", in->n_failed);
    buf_append_str(&out, " (");
    progress_append_bytes(&out, in->done_bytes);
    buf_printf(&out, " in %.1f s", elapsed_s);
    if (in->files->n_hidden > 0)
        buf_printf(&out, "; %zu hidden skipped", in->files->n_hidden);
    if (in->files->n_unsupported > 0)
        buf_printf(&out, "; %zu unsupported skipped", in->files->n_unsupported);
    buf_printf(&out, ")%s\n", created ? "; the collection is new" : "");
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

static enum rag_status wait_for_vectors(struct ingest_run *in, struct rag_error *reterr)
{
    struct ragctl_client client = {0};
    struct vectors_state left = {0};
    enum rag_status status = ragctl_client_open(in->options, &client, reterr);

    if (status == RAG_OK)
        status = ragctl_vectors_wait(&client, in->options->collection, NULL, &left, reterr);
    if (status == RAG_OK && left.n_pending > 0)
        ragctl_note(in->options,
                    "%" PRIu64 " chunks are found by their words only; the daemon tries again: %s",
                    left.n_pending, left.why);
    if (status == RAG_OK)
        in->n_pending = left.n_pending;
    ragctl_client_close(&client);
    return status;
}

static enum rag_status run(struct ingest_run *in, const struct ingest_args *args, bool *ret_created,
                           struct rag_error *reterr)
{
    struct ragctl_client client = {0};
    bool records = false;
    enum rag_status status = ragctl_client_open(in->options, &client, reterr);

    if (status == RAG_OK)
        status = make_collection(&client, args->no_create, ret_created, reterr);
    ragctl_client_close(&client);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < in->files->n; i++)
        records = records || in->files->items[i].records;
    if (records && in->metadata)
        ragctl_note(in->options, "--metadata goes to files; records bring their own");
    /* The number of records is not known before they are read: then the bar counts bytes. */
    progress_init(&in->progress, stderr, in->options->quiet, records ? "documents" : "files",
                  records ? 0 : in->files->n, in->files->n_bytes);
    status = ragctl_ingest_send(in, reterr);
    if (status == RAG_OK && args->delete_missing)
        status = ragctl_ingest_delete_missing(in, args->prefix, args->yes, reterr);
    if (status == RAG_OK && in->pended && !args->no_wait)
        status = wait_for_vectors(in, reterr);
    return status;
}

static enum rag_status check_delete(const struct ingest_args *args,
                                    const struct ragctl_files *files, struct rag_error *reterr)
{
    if (!args->delete_missing)
        return RAG_OK;
    if (files->singles)
        return rag_fail(reterr, RAG_EINVAL, "--delete-missing: every PATH must be a folder");
    if (files->n_unreadable > 0)
        return rag_fail(reterr, RAG_EIO,
                        "--delete-missing: %zu places could not be read, so what is missing is "
                        "not known",
                        files->n_unreadable);
    for (size_t i = 0; i < files->n; i++) {
        if (files->items[i].records)
            return rag_fail(reterr, RAG_EINVAL,
                            "--delete-missing: '%s' holds records, whose names the folder does "
                            "not tell",
                            files->items[i].path);
    }
    return RAG_OK;
}

static enum rag_status list_files(struct ingest_run *in, const struct ingest_args *args,
                                  char **words, int n_words, struct ragctl_files *files,
                                  struct rag_error *reterr)
{
    struct ragctl_files_options options = {.prefix = args->prefix,
                                           .name = args->name,
                                           .content_type = args->type,
                                           .on_unreadable = on_unreadable,
                                           .context = in};
    enum rag_status status;

    for (int i = 0; i < n_words; i++) {
        struct rag_error error = {0};

        status = ragctl_files_add(files, words[i], &options, &error);
        if (status == RAG_ENOMEM)
            return rag_fail(reterr, status, "%s", error.text);
        if (status != RAG_OK) {
            files->n_unreadable++;
            ragctl_ingest_failed(in, words[i], NULL, 0, error.text);
        }
    }
    status = ragctl_files_sort(files, reterr);
    return status == RAG_OK ? check_delete(args, files, reterr) : status;
}

static enum rag_status read_args(int argc, char **argv, struct ingest_args *args, char **words,
                                 int *ret_n_words, struct rag_error *reterr)
{
    const struct ragctl_arg table[] = {
        {.name = "--prefix",             .text = &args->prefix       },
        {.name = "--name",               .text = &args->name         },
        {.name = "--type",               .text = &args->type         },
        {.name = "--metadata",           .list = &args->metadata     },
        {.name = "--metadata-file",      .text = &args->metadata_file},
        {.name = "--jobs",               .number = &args->n_jobs,      .min = 1, .max = INGEST_JOBS_MAX},
        {.name = "--no-create",        .flag = &args->no_create                                   },
        {.name = "--delete-missing",.flag = &args->delete_missing},
        {.name = "--yes",   .flag = &args->yes                                       },
        {.name = "--dry-run",          .flag = &args->dry_run},
        {.name = "--no-wait",.flag = &args->no_wait                            },
    };
    enum rag_status status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv,
                                               words, ret_n_words, reterr);

    if (status != RAG_OK)
        return status;
    if (*ret_n_words == 0)
        return rag_fail(reterr, RAG_EINVAL, "ingest: no file or folder given");
    if (args->name && *ret_n_words > 1)
        return rag_fail(reterr, RAG_EINVAL, "option '--name': for one file, not for %d",
                        *ret_n_words);
    for (int i = 0; i < *ret_n_words; i++) {
        if (strcmp(words[i], "-") == 0 && !args->name)
            return rag_fail(reterr, RAG_EINVAL, "ingest: standard input needs --name");
    }
    return RAG_OK;
}

int ragctl_ingest(const struct ragctl_options *options, int argc, char **argv)
{
    struct ingest_args args = {.prefix = "", .n_jobs = JOBS_DEFAULT};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct ingest_run in = {.options = options, .mutex = PTHREAD_MUTEX_INITIALIZER};
    int64_t start_ns = clock_monotonic_ns();
    struct ragctl_files files = {0};
    struct rag_error error = {0};
    char *metadata = NULL;
    bool created = false;
    int exit_status;
    int n_words = 0;

    buf_init(&in.errors_json, ERRORS_BYTES_MAX);
    json_writer_init(&in.errors, &in.errors_json);
    in.files = &files;
    progress_init(&in.progress, stderr, true, "files", 0, 0);
    if (!words) {
        rag_fail(&error, RAG_ENOMEM, "ingest: out of memory");
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (read_args(argc, argv, &args, words, &n_words, &error) != RAG_OK ||
        make_metadata(&args, &metadata, &error) != RAG_OK) {
        exit_status = ragctl_usage("ingest", &error);
        goto out;
    }
    in.metadata = metadata;
    in.n_jobs = args.n_jobs;
    if (list_files(&in, &args, words, n_words, &files, &error) != RAG_OK) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (args.dry_run) {
        exit_status = print_dry_run(options, &files);
        if (in.n_failed > 0)
            exit_status = RAGCTL_FAILED;
        goto out;
    }
    if (run(&in, &args, &created, &error) != RAG_OK) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (options->json)
        print_summary_json(&in, created, clock_elapsed_ms(start_ns) / 1000.0);
    else
        print_summary(&in, created, clock_elapsed_ms(start_ns) / 1000.0);
    exit_status = in.n_failed > 0 ? RAGCTL_FAILED : RAGCTL_OK;
out:
    free(words);
    free(metadata);
    ragctl_files_release(&files);
    buf_release(&in.errors_json);
    return exit_status;
}
