#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "store/backup.h"

#define PATH_BYTES_MAX    4096    /* as the daemon reads */
#define BACKUP_TIMEOUT_MS 3600000 /* 100 GB at 30 MB/s */

/* The daemon has another current folder, so it gets an absolute path. */
static enum rag_status absolute_path(const char *dir, struct buf *out, struct rag_error *reterr)
{
    char cwd[PATH_BYTES_MAX];

    if (dir[0] != '/') {
        if (!getcwd(cwd, sizeof cwd))
            return rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': where am I", dir);
        buf_printf(out, "%s/", cwd);
    }
    buf_append_str(out, dir);
    if (buf_status(out) != RAG_OK)
        return rag_fail(reterr, RAG_EINVAL, "folder '%.100s': path over %d bytes", dir,
                        PATH_BYTES_MAX);
    return RAG_OK;
}

static enum rag_status backup(struct ragctl_client *client, const char *dir,
                              struct rag_error *reterr)
{
    struct http_call request = {
        .method = "POST", .path = "/v1/backup", .timeout_ms = client->options->timeout_ms};
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf path;
    struct buf body;

    buf_init(&path, PATH_BYTES_MAX);
    buf_init(&body, PATH_BYTES_MAX * 6 + 64);
    status = absolute_path(dir, &path, reterr);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "dir", buf_str(&path));
    json_end_object(&w);
    request.body = buf_str(&body);
    request.body_bytes = body.len;
    if (request.timeout_ms == 0)
        request.timeout_ms = BACKUP_TIMEOUT_MS;
    if (status == RAG_OK)
        status = ragctl_client_do(client, &request, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&client->body), client->body.len, "response of ragd", &reply,
                            reterr);
    if (status == RAG_OK && client->options->json) {
        printf("%s\n", buf_str(&client->body));
    } else if (status == RAG_OK) {
        int64_t n_bytes = 0;
        struct buf line;

        buf_init(&line, PATH_BYTES_MAX + 256);
        buf_printf(&line, "backup written to '%s'", buf_str(&path));
        if (json_get_int(reply, "bytes", 0, INT64_MAX, &n_bytes, NULL) == RAG_OK && n_bytes > 0) {
            buf_append_str(&line, " (");
            progress_append_bytes(&line, (uint64_t)n_bytes);
            buf_append_str(&line, ")");
        }
        printf("%s\nto bring it back: ragctl restore '%s' --state DIR\n", buf_str(&line),
               buf_str(&path));
        buf_release(&line);
    }
    json_free(reply);
    buf_release(&path);
    buf_release(&body);
    return status;
}

static enum rag_status one_word(const char *command, const struct ragctl_arg *table, size_t n,
                                int argc, char **argv, const char **ret, struct rag_error *reterr)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", command);
    status = ragctl_args_parse(table, n, argc, argv, words, &n_words, reterr);
    if (status == RAG_OK && n_words != 1)
        status = rag_fail(reterr, RAG_EINVAL, "%s: needs one folder", command);
    *ret = n_words > 0 ? words[0] : NULL;
    free(words);
    return status;
}

int ragctl_backup(const struct ragctl_options *options, int argc, char **argv)
{
    struct ragctl_client client = {0};
    struct rag_error error = {0};
    const char *dir = NULL;
    enum rag_status status;

    if (one_word("backup", NULL, 0, argc, argv, &dir, &error) != RAG_OK)
        return ragctl_usage("backup", &error);
    status = ragctl_client_open(options, &client, &error);
    if (status == RAG_OK)
        status = backup(&client, dir, &error);
    ragctl_client_close(&client);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}

int ragctl_restore(const struct ragctl_options *options, int argc, char **argv)
{
    const char *state_dir = NULL;
    bool check = false;
    const struct ragctl_arg table[] = {
        {.name = "--state", .text = &state_dir},
        {.name = "--check", .flag = &check    },
    };
    struct rag_error error = {0};
    const char *dir = NULL;
    enum rag_status status;

    status = one_word("restore", table, sizeof table / sizeof table[0], argc, argv, &dir, &error);
    if (status == RAG_OK && !state_dir && !check)
        status = rag_fail(&error, RAG_EINVAL,
                          "restore: needs --state, the folder that the state goes to (or --check)");
    if (status != RAG_OK)
        return ragctl_usage("restore", &error);
    status = check ? backup_check(dir, &error) : backup_restore(dir, state_dir, &error);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    if (options->json) {
        struct json_writer w;
        struct buf out;

        buf_init(&out, PATH_BYTES_MAX * 12 + 256);
        json_writer_init(&w, &out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "dir", dir);
        json_put_bool(&w, "whole", true);
        json_put_string(&w, "state", check ? NULL : state_dir);
        json_end_object(&w);
        printf("%s\n", buf_str(&out));
        buf_release(&out);
    } else if (check) {
        printf("backup '%s': whole\n", dir);
    } else {
        printf("restored into '%s'; now start: ragd --state '%s'\n", state_dir, state_dir);
    }
    return RAGCTL_OK;
}
