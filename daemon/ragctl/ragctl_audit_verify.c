/* daemon/ragctl/ragctl_audit_verify.c - 'audit verify' of the daemon's log, and 'audit prune'. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_audit.h"

#define KEPT_BYTES_MAX    4096
#define VERIFY_TIMEOUT_MS 3600000 /* a million rows take seconds, a year's log minutes */

/* ---- what somebody kept ---- */

/* "N:HEX", a space instead of the colon too. */
static bool head_of_line(const char *text, size_t n, struct audit_kept_head *ret)
{
    char hex[SHA256_HEX_BYTES];
    uint64_t rows = 0;
    size_t i = 0;

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    for (; i < n && text[i] >= '0' && text[i] <= '9' && rows < UINT64_MAX / 16; i++)
        rows = rows * 10 + (uint64_t)(text[i] - '0');
    if (i == 0 || i >= n || (text[i] != ':' && text[i] != ' ') || n - i - 1 != sizeof hex - 1)
        return false;
    memcpy(hex, text + i + 1, sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    ret->n = rows;
    return sha256_from_hex(hex, ret->hash) == RAG_OK;
}

/* {"n":..,"hash":..}, or an object whose "head" is that: a saved answer of ragctl. */
static bool head_of_json(const char *text, size_t n, struct audit_kept_head *ret)
{
    struct json *root = NULL;
    const struct json *head;
    const char *hash;
    int64_t rows = -1;
    bool good = false;

    if (json_parse(text, n, "head", &root, NULL) != RAG_OK)
        return false;
    head = json_member(root, "head") ? json_member(root, "head") : root;
    hash = json_string(json_member(head, "hash"));
    if (hash && json_get_int(head, "n", 0, INT64_MAX, &rows, NULL) == RAG_OK && rows >= 0)
        good = sha256_from_hex(hash, ret->hash) == RAG_OK;
    ret->n = (uint64_t)rows;
    json_free(root);
    return good;
}

static enum rag_status read_kept(const char *what, const char *forms, const char *path,
                                 char text[KEPT_BYTES_MAX], size_t *ret_n, struct rag_error *reterr)
{
    FILE *f = fopen(path, "rbe");

    if (!f)
        return rag_fail_errno(reterr, RAG_EINVAL, errno,
                              "%s '%s': neither %s nor a file that can be read", what, path, forms);
    *ret_n = fread(text, 1, KEPT_BYTES_MAX, f);
    fclose(f);
    return RAG_OK;
}

enum rag_status ragctl_audit_head(const char *text, struct audit_kept_head *ret,
                                  struct rag_error *reterr)
{
    char kept[KEPT_BYTES_MAX];
    enum rag_status status;
    size_t n = 0;

    if (head_of_line(text, strlen(text), ret))
        return RAG_OK;
    status = read_kept("head", "N:HEX", text, kept, &n, reterr);
    if (status != RAG_OK || head_of_line(kept, n, ret) || head_of_json(kept, n, ret))
        return status;
    return rag_fail(reterr, RAG_EINVAL, "head '%s': the file holds no \"N:HEX\" line", text);
}

enum rag_status ragctl_audit_key(const char *text, uint8_t ret[AUDIT_PUBLIC_BYTES],
                                 struct rag_error *reterr)
{
    char kept[KEPT_BYTES_MAX];
    enum rag_status status;
    size_t n = 0;

    if (sha256_from_hex(text, ret) == RAG_OK)
        return RAG_OK;
    status = read_kept("public key", "64 hex digits", text, kept, &n, reterr);
    if (status != RAG_OK)
        return status;
    if (n == AUDIT_PUBLIC_BYTES) {
        memcpy(ret, kept, AUDIT_PUBLIC_BYTES);
        return RAG_OK;
    }
    while (n > 0 && (kept[n - 1] == '\n' || kept[n - 1] == '\r'))
        n--;
    kept[n < sizeof kept ? n : sizeof kept - 1] = '\0';
    if (sha256_from_hex(kept, ret) == RAG_OK)
        return RAG_OK;
    return rag_fail(reterr, RAG_EINVAL,
                    "public key '%s': the file holds neither 32 bytes nor 64 hex digits", text);
}

/* ---- verify ---- */

static void print_report(const struct json *r)
{
    const struct json *head = json_member(r, "head");
    const struct json *checkpoint = json_member(r, "checkpoint");
    const char *problem = json_string(json_member(r, "problem"));
    const char *hash = json_string(json_member(head, "hash"));
    const char *time = json_string(json_member(checkpoint, "time"));
    const char *key = json_string(json_member(checkpoint, "public_key"));

    if (json_true(json_member(r, "whole")))
        printf("whole: %.0f rows", json_number(json_member(r, "rows")));
    else
        printf("BROKEN: %s (%.0f rows read)", problem ? problem : "unknown",
               json_number(json_member(r, "rows")));
    if (json_number(json_member(r, "erased")) > 0)
        printf(", %.0f erased", json_number(json_member(r, "erased")));
    printf("\n");
    if (json_is_object(checkpoint))
        printf("cut:   rows before %.0f were cut by retention at %s; the signature is %s\n"
               "key:   %s\n",
               json_number(json_member(r, "first_seq")), time ? time : "?",
               json_true(json_member(checkpoint, "signature_good")) ? "good" : "NOT GOOD",
               key ? key : "?");
    if (json_true(json_member(r, "head_was_cut")))
        printf("note:  the head given is of a row that was cut; it could not be compared\n");
    printf("head:  %.0f:%s\n", json_number(json_member(head, "n")), hash ? hash : "");
}

static enum rag_status write_anchors(const struct audit_args *args, struct buf *body,
                                     struct rag_error *reterr)
{
    uint8_t key[AUDIT_PUBLIC_BYTES];
    struct audit_kept_head head;
    char hex[SHA256_HEX_BYTES];
    enum rag_status status = RAG_OK;
    struct json_writer w;

    json_writer_init(&w, body);
    json_begin_object(&w, NULL);
    if (args->head)
        status = ragctl_audit_head(args->head, &head, reterr);
    if (args->head && status == RAG_OK) {
        sha256_hex(head.hash, hex);
        json_begin_object(&w, "head");
        json_put_int(&w, "n", (int64_t)head.n);
        json_put_string(&w, "hash", hex);
        json_end_object(&w);
    }
    if (args->public_key && status == RAG_OK)
        status = ragctl_audit_key(args->public_key, key, reterr);
    if (args->public_key && status == RAG_OK) {
        sha256_hex(key, hex);
        json_put_string(&w, "public_key", hex);
    }
    json_end_object(&w);
    return status;
}

enum rag_status ragctl_audit_verify(struct ragctl_client *client, const struct audit_args *args,
                                    bool *ret_whole, struct rag_error *reterr)
{
    struct http_call request = {.method = "POST", .path = "/v1/audit/verify"};
    struct json *reply = NULL;
    enum rag_status status;
    struct buf body;

    buf_init(&body, KEPT_BYTES_MAX);
    status = write_anchors(args, &body, reterr);
    request.timeout_ms =
        client->options->timeout_ms ? client->options->timeout_ms : VERIFY_TIMEOUT_MS;
    request.body = buf_str(&body);
    request.body_bytes = body.len;
    if (status == RAG_OK)
        status = ragctl_client_do(client, &request, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&client->body), client->body.len, "response of ragd", &reply,
                            reterr);
    if (status == RAG_OK && client->options->json)
        printf("%s\n", buf_str(&client->body));
    else if (status == RAG_OK)
        print_report(reply);
    *ret_whole = json_true(json_member(reply, "whole"));
    json_free(reply);
    buf_release(&body);
    return status;
}

/* ---- prune ---- */

enum rag_status ragctl_audit_prune(struct ragctl_client *client, const struct audit_args *args,
                                   struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;
    double rows;

    buf_init(&body, KEPT_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    if (args->before)
        json_put_int(&w, "before", args->before_ms);
    else
        json_put_int(&w, "keep_days", args->keep_days);
    if (args->why)
        json_put_string(&w, "why", args->why);
    json_put_bool(&w, "dry_run", args->dry_run);
    json_end_object(&w);
    status = ragctl_client_send(client, "POST", "/v1/audit/cut", &body, &reply, reterr);
    rows = json_number(json_member(reply, "rows"));
    if (status == RAG_OK && client->options->json)
        printf("%s\n", buf_str(&client->body));
    else if (status == RAG_OK && rows == 0)
        printf("no row is that old; the log begins at row %.0f\n",
               json_number(json_member(reply, "first_seq")));
    else if (status == RAG_OK)
        printf("%.0f rows %s, up to row %.0f; the log begins at row %.0f%s\n", rows,
               args->dry_run ? "would be cut" : "cut", json_number(json_member(reply, "seq")),
               json_number(json_member(reply, "first_seq")), args->dry_run ? " then" : "");
    json_free(reply);
    buf_release(&body);
    return status;
}
