#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/remote_internal.h"

/* ---- what servers say ---- */

void remote_scrub(char *text, const char *key)
{
    size_t n_key = key ? strlen(key) : 0;
    size_t least = n_key < REMOTE_KEY_RUN_MIN ? n_key : REMOTE_KEY_RUN_MIN;

    for (size_t i = 0; n_key > 0 && text[i] != '\0'; i++) {
        size_t longest = 0;

        for (size_t k = 0; k + least <= n_key; k++) {
            size_t n = 0;

            while (k + n < n_key && text[i + n] == key[k + n])
                n++;
            if (n > longest)
                longest = n;
        }
        if (longest >= least)
            memset(text + i, '*', longest);
    }
}

/* The text in one of the places where servers put it; NULL: in none. */
static const char *message_of(const struct json *root)
{
    const struct json *error = json_member(root, "error");
    const struct json *places[] = {json_member(error, "message"), error,
                                   json_member(root, "message"), json_member(root, "detail")};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (json_is_string(places[i]))
            return json_string(places[i]);
    return NULL;
}

void remote_error_text(const char *body, size_t n_bytes, const char *key, struct buf *out)
{
    struct json *root = NULL;
    const char *text = NULL;
    size_t n;

    if (json_parse(body, n_bytes, "response", &root, NULL) == RAG_OK)
        text = message_of(root);
    if (text) {
        n = strlen(text);
    } else {
        text = body;
        n = strnlen(body, n_bytes);
    }
    /* scrubbed before it is cut, or half a key could stay */
    buf_append(out, text, n < REMOTE_ERROR_BYTES_MAX ? n : REMOTE_ERROR_BYTES_MAX);
    json_free(root);
    if (buf_status(out) != RAG_OK || out->len == 0)
        return;
    remote_scrub(out->data, key);
    n = strcspn(out->data, "\r\n");
    if (n > REMOTE_MESSAGE_BYTES_MAX)
        n = REMOTE_MESSAGE_BYTES_MAX;
    out->data[n] = '\0';
    out->len = n;
}

/* ---- the key ---- */

static enum rag_status key_check(char *key, const char *what, const char *name,
                                 struct rag_error *reterr)
{
    size_t n = strcspn(key, "\r\n");

    key[n] = '\0';
    if (n == 0)
        return rag_fail(reterr, RAG_EINVAL, "%s '%s': holds no key", what, name);
    if (n > REMOTE_KEY_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "%s '%s': a key of over %d bytes", what, name,
                        REMOTE_KEY_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return rag_fail(reterr, RAG_EINVAL,
                            "%s '%s': byte %zu of the key is none that a header may have", what,
                            name, i + 1);
    return RAG_OK;
}

static enum rag_status key_of_file(const char *path, char *key, size_t size,
                                   struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct stat info;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "key file '%s': cannot open", path);
    if (fstat(fd, &info) != 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "key file '%s': cannot read", path);
    else if (!S_ISREG(info.st_mode))
        status = rag_fail(reterr, RAG_EINVAL, "key file '%s': is no regular file", path);
    else if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        status =
            rag_fail(reterr, RAG_EINVAL, "key file '%s': mode %04o lets others in; 'chmod 600' it",
                     path, (unsigned)info.st_mode & 07777);
    if (status == RAG_OK) {
        n = read(fd, key, size - 1);
        if (n < 0)
            status = rag_fail_errno(reterr, RAG_EIO, errno, "key file '%s': cannot read", path);
        else
            key[n] = '\0';
    }
    close(fd);
    return status == RAG_OK ? key_check(key, "key file", path, reterr) : status;
}

enum rag_status remote_key_read(const char *file, const char *variable, char **ret,
                                struct rag_error *reterr)
{
    size_t size = REMOTE_KEY_BYTES_MAX + 64;
    enum rag_status status = RAG_OK;
    const char *value;
    char *key;

    if ((!file || file[0] == '\0') && (!variable || variable[0] == '\0')) {
        *ret = NULL;
        return RAG_OK;
    }
    key = calloc(1, size);
    if (!key)
        return rag_fail(reterr, RAG_ENOMEM, "key: out of memory");
    if (file && file[0] != '\0') {
        status = key_of_file(file, key, size, reterr);
    } else {
        value = getenv(variable);
        if (!value)
            status = rag_fail(reterr, RAG_ENOTFOUND, "variable '%s': is not in the environment",
                              variable);
        else
            strncpy(key, value, size - 1);
        if (status == RAG_OK)
            status = key_check(key, "variable", variable, reterr);
    }
    if (status != RAG_OK) {
        explicit_bzero(key, size);
        free(key);
        return status;
    }
    *ret = key;
    return RAG_OK;
}

void remote_key_free(char *key)
{
    if (!key)
        return;
    explicit_bzero(key, strlen(key));
    free(key);
}
