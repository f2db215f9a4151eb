#define _GNU_SOURCE
#include "daemon/ragctl/model_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/ragctl/hub.h"
#include "nn/model_files.h"

#define PATH_BYTES_MAX     4096
#define LICENCE_BYTES_MAX  128
#define README_LINES_BYTES 65536 /* front matter is at the beginning */

void model_record_release(struct model_record *r)
{
    free(r->source);
    free(r->endpoint);
    free(r->revision);
    free(r->commit);
    free(r->licence);
    free(r->pulled);
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i].name);
    free(r->files);
    memset(r, 0, sizeof *r);
}

static enum rag_status bad_record(const char *dir, const char *what, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT, "file '%s/" MODEL_RECORD_NAME "': %s", dir, what);
}

static enum rag_status read_files(const char *dir, const struct json *files, struct model_record *r,
                                  struct rag_error *reterr)
{
    size_t n = json_size(files);

    if (!json_is_array(files) || n > HUB_FILES_MAX)
        return bad_record(dir, "needs \"files\", a list", reterr);
    r->files = calloc(n + 1, sizeof *r->files);
    if (!r->files)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    for (const struct json *f = json_first(files); f; f = json_next(f)) {
        struct model_record_file *file = &r->files[r->n_files];
        const char *name = json_string(json_member(f, "name"));
        const char *sha256_text = json_string(json_member(f, "sha256"));
        uint8_t digest[SHA256_BYTES];
        int64_t n_bytes = -1;

        if (!name || !hub_name_ok(name) || !sha256_text ||
            sha256_from_hex(sha256_text, digest) != RAG_OK ||
            json_get_int(f, "bytes", 0, INT64_MAX, &n_bytes, NULL) != RAG_OK || n_bytes < 0)
            return bad_record(dir, "an entry of \"files\" is not name, bytes, sha256", reterr);
        sha256_hex(digest, file->sha256);
        file->n_bytes = (uint64_t)n_bytes;
        file->name = strdup(name);
        if (!file->name)
            return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
        r->n_files++;
    }
    return RAG_OK;
}

enum rag_status model_record_read(const char *dir, struct model_record *ret,
                                  struct rag_error *reterr)
{
    struct model_record r = {0};
    struct json *root = NULL;
    enum rag_status status = model_json(dir, MODEL_RECORD_NAME, &root, reterr);
    const struct {
        const char *key;
        char **slot;
    } texts[] = {
        {"source",   &r.source  },
        {"endpoint", &r.endpoint},
        {"revision", &r.revision},
        {"commit",   &r.commit  },
        {"licence",  &r.licence },
        {"pulled",   &r.pulled  },
    };

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == RAG_OK; i++) {
        const char *text = json_string(json_member(root, texts[i].key));

        *texts[i].slot = strdup(text ? text : "");
        if (!*texts[i].slot)
            status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    }
    if (status == RAG_OK)
        status = read_files(dir, json_member(root, "files"), &r, reterr);
    json_free(root);
    if (status != RAG_OK) {
        model_record_release(&r);
        return status;
    }
    *ret = r;
    return RAG_OK;
}

void model_record_put_files(struct json_writer *w, const struct model_record *r)
{
    json_begin_array(w, "files");
    for (size_t i = 0; i < r->n_files; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "name", r->files[i].name);
        json_put_int(w, "bytes", (int64_t)r->files[i].n_bytes);
        json_put_string(w, "sha256", r->files[i].sha256);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_record(struct buf *out, const struct model_record *r)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "source", r->source);
    json_put_string(&w, "endpoint", r->endpoint);
    json_put_string(&w, "revision", r->revision);
    json_put_string(&w, "commit", r->commit);
    json_put_string(&w, "licence", r->licence);
    json_put_string(&w, "pulled", r->pulled);
    model_record_put_files(&w, r);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

enum rag_status model_record_write(const char *dir, const struct model_record *r,
                                   struct rag_error *reterr)
{
    struct atomic_file f = {0};
    char path[PATH_BYTES_MAX];
    enum rag_status status;
    struct buf text;

    if (snprintf(path, sizeof path, "%s/" MODEL_RECORD_NAME, dir) >= (int)sizeof path)
        return rag_fail(reterr, RAG_ELIMIT, "folder '%.200s': path over %d bytes", dir,
                        PATH_BYTES_MAX);
    buf_init(&text, HUB_LIST_BYTES_MAX);
    put_record(&text, r);
    status = buf_status(&text);
    if (status != RAG_OK)
        rag_fail(reterr, status, "model '%s': its record is over %zu bytes or out of memory", dir,
                 text.max);
    /* readable by others, as the model is: who pulled it may not be who serves it */
    if (status == RAG_OK)
        status = atomic_file_open(&f, "model record", path, 0666, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(&f, buf_str(&text), text.len, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&f, reterr);
    atomic_file_close(&f);
    buf_release(&text);
    return status;
}

bool model_record_holds(const char *dir, const struct model_record *r)
{
    for (size_t i = 0; i < r->n_files; i++) {
        const struct model_record_file *f = &r->files[i];
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX_BYTES];
        char path[PATH_BYTES_MAX];
        struct stat st;

        if (snprintf(path, sizeof path, "%s/%s", dir, f->name) >= (int)sizeof path ||
            stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->n_bytes ||
            sha256_file(path, digest, NULL) != RAG_OK)
            return false;
        sha256_hex(digest, hex);
        if (strcmp(hex, f->sha256) != 0)
            return false;
    }
    return true;
}

/* The value of a line "license: mit", without quotes. */
static char *licence_line(const char *line)
{
    static const char key[] = "license:";
    const char *value;
    size_t n;

    if (strncmp(line, key, sizeof key - 1) != 0)
        return NULL;
    value = line + sizeof key - 1;
    value += strspn(value, " \t\"'");
    n = strcspn(value, "\"'#\r\n");
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    return n > 0 && n <= LICENCE_BYTES_MAX ? strndup(value, n) : NULL;
}

enum rag_status model_readme_licence(const char *dir, char **ret)
{
    char path[PATH_BYTES_MAX];
    char *licence = NULL;
    char line[1024];
    size_t n_read = 0;
    FILE *f = NULL;

    if (snprintf(path, sizeof path, "%s/README.md", dir) < (int)sizeof path)
        f = fopen(path, "re");
    if (f && fgets(line, sizeof line, f) && strncmp(line, "---", 3) == 0) {
        while (!licence && n_read < README_LINES_BYTES && fgets(line, sizeof line, f) &&
               strncmp(line, "---", 3) != 0) {
            n_read += strlen(line);
            licence = licence_line(line);
        }
    }
    if (f)
        fclose(f);
    if (!licence)
        licence = strdup("");
    if (!licence)
        return RAG_ENOMEM;
    *ret = licence;
    return RAG_OK;
}
