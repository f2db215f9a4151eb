#define _GNU_SOURCE
#include "daemon/ragctl/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/http_client.h"
#include "base/json.h"
#include "daemon/ragctl/hub_internal.h"

#define PATH_BYTES_MAX 4096

void hub_model_release(struct hub_model *m)
{
    free(m->name);
    free(m->revision);
    free(m->commit);
    free(m->licence);
    for (size_t i = 0; i < m->n_files; i++)
        free(m->files[i].name);
    free(m->files);
    memset(m, 0, sizeof *m);
}

/* ---- names ---- */

bool hub_name_ok(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t depth = 0;

    for (const char *p = name;;) {
        size_t n = strspn(p, plain);

        if (n == 0 || n > HUB_NAME_BYTES_MAX || p[0] == '.' || ++depth > HUB_NAME_DEPTH_MAX)
            return false;
        if (p[n] == '\0')
            return true;
        if (p[n] != '/')
            return false;
        p += n + 1;
    }
}

/* Would this path leave the folder that it is written below? */
static bool leaves_folder(const char *path)
{
    if (path[0] == '/' || path[0] == '\0' || strchr(path, '\\'))
        return true;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n;
        p += *p == '/';
    }
    return false;
}

static bool revision_ok(const char *revision)
{
    return hub_name_ok(revision) && !strstr(revision, "..");
}

/* ---- listing ---- */

struct listing {
    struct hub *hub;
    struct hub_model *model;
    size_t cap;
};

static enum rag_status copy(const char *text, char **ret, struct rag_error *reterr)
{
    *ret = strdup(text);
    return *ret ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "hub: out of memory");
}

/* A path that could not be made a file is left out, unless it would be one elsewhere: a server
 * that tries that is not to be believed in anything. */
static enum rag_status add_file(struct listing *l, const char *path, uint64_t size,
                                const char *sha256_hex_text, struct rag_error *reterr)
{
    struct hub_model *m = l->model;
    uint8_t digest[SHA256_BYTES];
    struct hub_file *f;

    if (leaves_folder(path))
        return rag_fail(
            reterr, RAG_EFORMAT,
            "model '%s': the server lists '%.100s', which is outside the model's folder", m->name,
            path);
    if (!hub_name_ok(path))
        return RAG_OK;
    for (size_t i = 0; i < m->n_files; i++) {
        if (strcmp(m->files[i].name, path) == 0)
            return rag_fail(reterr, RAG_EFORMAT, "model '%s': the server lists '%.100s' twice",
                            m->name, path);
    }
    if (m->n_files == HUB_FILES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "model '%s': more than %d files", m->name,
                        HUB_FILES_MAX);
    if (m->n_files == l->cap) {
        size_t cap = l->cap > 0 ? 2 * l->cap : 64;
        struct hub_file *files = realloc(m->files, cap * sizeof *files);

        if (!files)
            return rag_fail(reterr, RAG_ENOMEM, "hub: out of memory");
        m->files = files;
        l->cap = cap;
    }
    f = &m->files[m->n_files];
    memset(f, 0, sizeof *f);
    f->size = size;
    if (sha256_hex_text && sha256_from_hex(sha256_hex_text, digest) == RAG_OK)
        sha256_hex(digest, f->sha256);
    else if (sha256_hex_text)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': the server gives '%.80s' as the SHA-256 of '%s'", m->name,
                        sha256_hex_text, path);
    if (copy(path, &f->name, reterr) != RAG_OK)
        return RAG_ENOMEM;
    m->n_files++;
    return RAG_OK;
}

static uint64_t size_of(const struct json *node)
{
    double size = json_number(json_member(node, "size"));

    return size >= 0.0 && size <= 9007199254740992.0 ? (uint64_t)size : HUB_SIZE_UNKNOWN;
}

/* [{"type":"file","path","size","lfs":{"oid","size"}}] */
static enum rag_status add_page(struct listing *l, const struct json *page,
                                struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (!json_is_array(page))
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': the server's list of files is none",
                        l->model->name);
    for (const struct json *e = json_first(page); e && status == RAG_OK; e = json_next(e)) {
        const char *type = json_string(json_member(e, "type"));
        const char *path = json_string(json_member(e, "path"));
        const struct json *lfs = json_member(e, "lfs");
        bool in_lfs = json_is_object(lfs);

        if (!path || (type && strcmp(type, "file") != 0))
            continue;
        status = add_file(l, path, size_of(in_lfs && json_member(lfs, "size") ? lfs : e),
                          in_lfs ? json_string(json_member(lfs, "oid")) : NULL, reterr);
    }
    return status;
}

static enum rag_status get_json(struct hub *hub, const char *path, const char *what,
                                struct json **ret, struct buf *ret_next, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf text;

    buf_init(&text, HUB_LIST_BYTES_MAX);
    status = hub_get_text(hub, path, what, &text, ret_next, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&text), text.len, what, ret, reterr);
    buf_release(&text);
    return status;
}

static enum rag_status list_tree(struct listing *l, const char *what, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct json *page = NULL;
    struct buf path;
    struct buf next;

    buf_init(&path, PATH_BYTES_MAX);
    buf_init(&next, PATH_BYTES_MAX);
    buf_append_str(&path, "/api/models/");
    hub_append_path(&path, l->model->name);
    buf_append_str(&path, "/tree/");
    http_encode_segment(&path, l->model->commit);
    buf_append_str(&path, "?recursive=true");
    for (int i = 0; status == RAG_OK && path.len > 0; i++) {
        if (i == HUB_PAGES_MAX) {
            status = rag_fail(reterr, RAG_ELIMIT, "%s: its list has more than %d pages", what,
                              HUB_PAGES_MAX);
            break;
        }
        buf_reset(&next);
        status = get_json(l->hub, buf_str(&path), what, &page, &next, reterr);
        if (status == RAG_OK)
            status = add_page(l, page, reterr);
        json_free(page);
        page = NULL;
        buf_reset(&path);
        buf_append(&path, buf_str(&next), next.len);
    }
    buf_release(&path);
    buf_release(&next);
    return status;
}

/* "license" of the model card, or of the tag "license:mit". */
static const char *licence_of(const struct json *info)
{
    const struct json *card = json_member(info, "cardData");
    const char *licence = json_string(json_member(card, "license"));
    const char *name = json_string(json_member(card, "license_name"));

    if (licence && strcmp(licence, "other") == 0 && name)
        return name;
    for (const struct json *t = json_first(json_member(info, "tags")); t && !licence;
         t = json_next(t)) {
        const char *tag = json_string(t);

        if (tag && strncmp(tag, "license:", 8) == 0)
            licence = tag + 8;
    }
    return licence ? licence : "";
}

static enum rag_status read_info(struct hub_model *m, const struct json *info,
                                 struct rag_error *reterr)
{
    const char *sha = json_string(json_member(info, "sha"));
    enum rag_status status;

    if (!json_is_object(info))
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': the server's description is none",
                        m->name);
    if (sha && !revision_ok(sha))
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': the server gives '%.80s' as its commit",
                        m->name, sha);
    status = copy(sha ? sha : m->revision, &m->commit, reterr);
    if (status == RAG_OK)
        status = copy(licence_of(info), &m->licence, reterr);
    return status;
}

/* Names without sizes, from a server that has no tree to list. */
static enum rag_status list_siblings(struct listing *l, const struct json *info,
                                     struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    for (const struct json *s = json_first(json_member(info, "siblings")); s && status == RAG_OK;
         s = json_next(s)) {
        const struct json *lfs = json_member(s, "lfs");
        const char *path = json_string(json_member(s, "rfilename"));

        if (path)
            status = add_file(l, path, size_of(s), json_string(json_member(lfs, "sha256")), reterr);
    }
    return status;
}

enum rag_status hub_list(struct hub *hub, const char *name, const char *revision,
                         struct hub_model *ret, struct rag_error *reterr)
{
    struct hub_model model = {0};
    struct listing listing = {.hub = hub, .model = &model};
    struct json *info = NULL;
    enum rag_status status;
    char what[256];
    struct buf path;

    revision = revision ? revision : "main";
    buf_init(&path, PATH_BYTES_MAX);
    if (!hub_name_ok(name) || strstr(name, "..") ||
        (strchr(name, '/') && strchr(name, '/') != strrchr(name, '/')))
        return rag_fail(reterr, RAG_EINVAL,
                        "model '%.100s': must be a name as intfloat/multilingual-e5-small", name);
    if (!revision_ok(revision))
        return rag_fail(reterr, RAG_EINVAL,
                        "revision '%.100s': must be a branch, a tag or a commit", revision);
    snprintf(what, sizeof what, "model '%s' at '%.80s'", name, hub_endpoint(hub));
    status = copy(name, &model.name, reterr);
    if (status == RAG_OK)
        status = copy(revision, &model.revision, reterr);
    if (status != RAG_OK)
        goto out;
    buf_append_str(&path, "/api/models/");
    hub_append_path(&path, name);
    buf_append_str(&path, "/revision/");
    http_encode_segment(&path, revision);
    status = get_json(hub, buf_str(&path), what, &info, NULL, reterr);
    if (status == RAG_OK)
        status = read_info(&model, info, reterr);
    if (status == RAG_OK)
        status = list_tree(&listing, what, reterr);
    if (status == RAG_ENOTFOUND && info)
        status = list_siblings(&listing, info, reterr);
out:
    json_free(info);
    buf_release(&path);
    if (status != RAG_OK) {
        hub_model_release(&model);
        return status;
    }
    *ret = model;
    return RAG_OK;
}
