/* daemon/ragctl/ragctl_audit_file.c - 'audit verify --file': an export checked without its daemon.
 *
 * Each line is checked by itself (payload and salt against payload_hash; previous hash, number,
 * time, kind, principal and payload_hash against hash) and against the row before it. Of an export
 * that was filtered rows may be missing in between; then only neighbours are compared. The file's
 * last line says where it ends; that nobody cut it shorter and wrote another end only a head kept
 * elsewhere tells. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_audit.h"

#define LINE_BYTES_MAX (64u << 20)

struct check {
    struct audit_kept_head head; /* that was given */
    bool has_head;
    bool head_seen;
    uint8_t key[AUDIT_PUBLIC_BYTES];
    bool has_key;

    uint64_t n_rows;
    uint64_t n_erased;
    uint64_t n_gaps; /* places where rows are missing */
    uint64_t first;
    uint64_t first_gap; /* the first row that is missing; 0: none */
    uint64_t seq;       /* of the row before */
    uint8_t hash[SHA256_BYTES];
    uint8_t first_previous[SHA256_BYTES];
    struct audit_erasures erasures;
    bool ended;                         /* the last line was read */
    struct audit_checkpoint checkpoint; /* of that line; seq 0: none */
    bool filtered;
    bool limited;
    bool checkpoint_good;
    bool whole;
    uint64_t bad_seq;
    char problem[256]; /* the first one */
};

static void problem(struct check *c, uint64_t seq, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void problem(struct check *c, uint64_t seq, const char *fmt, ...)
{
    va_list ap;

    if (!c->whole)
        return;
    c->whole = false;
    c->bad_seq = seq;
    va_start(ap, fmt);
    vsnprintf(c->problem, sizeof c->problem, fmt, ap);
    va_end(ap);
}

/* ---- one row ---- */

static bool read_hex(const struct json *object, const char *key, uint8_t *ret, size_t n)
{
    const char *hex = json_string(json_member(object, key));

    if (!hex || strlen(hex) != 2 * n || strspn(hex, "0123456789abcdef") != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        ret[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

/* Bytes of the string that begins at s[0] == '"', with both quotes. The JSON is valid. */
static size_t string_bytes(const char *s)
{
    size_t n = 1;

    while (s[n] != '"')
        n += s[n] == '\\' ? 2 : 1;
    return n + 1;
}

/* The value of a member of the outermost object as it stands in the text, which is valid JSON: what
 * was hashed are its bytes, and a number that is read and printed again may have others. */
static bool raw_member(const char *text, const char *key, const char **ret, size_t *ret_n)
{
    size_t n_key = strlen(key);
    bool is_value = false; /* behind the colon of 'key' */
    int depth = 0;

    *ret = NULL;
    for (const char *at = text; *at != '\0'; at++) {
        if (is_value && depth == 1 && (*at == ',' || *at == '}')) {
            *ret_n = (size_t)(at - *ret);
            return true;
        }
        if (*at == '"') {
            size_t n = string_bytes(at);

            if (!is_value && depth == 1 && n == n_key + 2 && memcmp(at + 1, key, n_key) == 0 &&
                at[n] == ':') {
                is_value = true;
                at += n;
                *ret = at + 1;
            } else {
                at += n - 1;
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
    }
    return false;
}

struct row {
    struct audit_row row; /* texts of the JSON document */
    uint8_t previous[SHA256_BYTES];
    uint8_t hash[SHA256_BYTES];
    uint8_t salt[AUDIT_SALT_BYTES];
    bool has_salt;
    const char *payload; /* NULL: erased */
    size_t payload_bytes;
};

static bool read_row(const char *line, const struct json *o, struct row *ret)
{
    const char *text = json_string(json_member(o, "payload_text"));
    int64_t seq = 0;

    ret->row.kind = json_string(json_member(o, "kind"));
    ret->row.principal = json_string(json_member(o, "principal"));
    if (json_get_int(o, "seq", 1, 1ll << 53, &seq, NULL) != RAG_OK || seq < 1 ||
        json_get_int(o, "time_ms", 0, 1ll << 53, &ret->row.time_ms, NULL) != RAG_OK ||
        !ret->row.kind || !ret->row.principal)
        return false;
    ret->row.seq = (uint64_t)seq;
    ret->has_salt = read_hex(o, "salt", ret->salt, sizeof ret->salt);
    ret->payload = text;
    ret->payload_bytes = text ? strlen(text) : 0;
    if (json_is_object(json_member(o, "payload")) &&
        !raw_member(line, "payload", &ret->payload, &ret->payload_bytes))
        return false;
    return read_hex(o, "payload_hash", ret->row.payload_hash, SHA256_BYTES) &&
           read_hex(o, "previous", ret->previous, SHA256_BYTES) &&
           read_hex(o, "hash", ret->hash, SHA256_BYTES);
}

static enum rag_status check_payload(struct check *c, const struct row *r, const struct json *o)
{
    const struct json *named = json_member(json_member(o, "payload"), "seq");
    uint8_t digest[SHA256_BYTES];

    if (!r->payload) {
        c->n_erased++;
        return id_list_add(&c->erasures.gone, r->row.seq);
    }
    if (audit_payload_hash(r->salt, r->payload, r->payload_bytes, digest) != RAG_OK)
        return RAG_ENOMEM;
    if (!r->has_salt || memcmp(digest, r->row.payload_hash, SHA256_BYTES) != 0)
        problem(c, r->row.seq, "row %" PRIu64 " was changed: its payload is not the one recorded",
                r->row.seq);
    if (strcmp(r->row.kind, "audit.erase") == 0 && json_number(named) > 0)
        return id_list_add(&c->erasures.recorded, (uint64_t)json_number(named));
    return RAG_OK;
}

static void check_place(struct check *c, const struct row *r)
{
    uint64_t seq = r->row.seq;

    if (c->n_rows == 0) {
        c->first = seq;
        memcpy(c->first_previous, r->previous, SHA256_BYTES);
    } else if (seq <= c->seq) {
        problem(c, seq, "row %" PRIu64 " stands behind row %" PRIu64, seq, c->seq);
    } else if (seq != c->seq + 1) {
        c->n_gaps++;
        c->first_gap = c->first_gap ? c->first_gap : c->seq + 1;
    } else if (memcmp(c->hash, r->previous, SHA256_BYTES) != 0) {
        problem(c, seq, "row %" PRIu64 " does not follow row %" PRIu64 ": one was changed", seq,
                c->seq);
    }
}

static enum rag_status check_row(struct check *c, const char *line, const struct json *o)
{
    uint8_t digest[SHA256_BYTES];
    struct row r = {.has_salt = false};

    if (!read_row(line, o, &r)) {
        problem(c, c->seq + 1, "the line behind row %" PRIu64 " is no exported row", c->seq);
        return RAG_OK;
    }
    check_place(c, &r);
    if (audit_row_hash(r.previous, &r.row, digest) != RAG_OK)
        return RAG_ENOMEM;
    if (memcmp(digest, r.hash, SHA256_BYTES) != 0)
        problem(c, r.row.seq, "row %" PRIu64 " was changed", r.row.seq);
    if (c->has_head && r.row.seq == c->head.n) {
        c->head_seen = true;
        if (memcmp(r.hash, c->head.hash, SHA256_BYTES) != 0)
            problem(c, r.row.seq, "row %" PRIu64 " is not the one of the head: rows were rewritten",
                    r.row.seq);
    }
    c->seq = r.row.seq;
    memcpy(c->hash, r.hash, SHA256_BYTES);
    c->n_rows++;
    return check_payload(c, &r, o);
}

/* ---- the end ---- */

static void read_end(struct check *c, const struct json *end)
{
    const struct json *point = json_member(end, "checkpoint");
    const struct json *head = json_member(end, "head");
    uint8_t hash[SHA256_BYTES];
    int64_t time_ms = 0;
    int64_t after = 0;
    int64_t rows = -1;
    int64_t seq = 0;
    int64_t n = -1;

    c->ended = true;
    c->filtered = json_true(json_member(end, "filtered"));
    c->limited = json_true(json_member(end, "limited"));
    if (json_get_int(end, "rows", 0, 1ll << 53, &rows, NULL) != RAG_OK ||
        json_get_int(end, "after", 0, 1ll << 53, &after, NULL) != RAG_OK ||
        json_get_int(head, "n", 0, 1ll << 53, &n, NULL) != RAG_OK ||
        !read_hex(head, "hash", hash, sizeof hash)) {
        problem(c, 0, "the last line is damaged");
        return;
    }
    if ((uint64_t)rows != c->n_rows)
        problem(c, 0, "the file has %" PRIu64 " rows, its last line says %" PRId64, c->n_rows,
                rows);
    if (json_is_object(point) &&
        (json_get_int(point, "seq", 1, 1ll << 53, &seq, NULL) != RAG_OK ||
         json_get_int(point, "time_ms", 0, 1ll << 53, &time_ms, NULL) != RAG_OK ||
         !read_hex(point, "hash", c->checkpoint.hash, SHA256_BYTES) ||
         !read_hex(point, "signature", c->checkpoint.signature, AUDIT_SIGNATURE_BYTES) ||
         !read_hex(point, "public_key", c->checkpoint.public_key, AUDIT_PUBLIC_BYTES)))
        problem(c, 0, "the checkpoint of the last line is damaged");
    c->checkpoint.seq = (uint64_t)seq;
    c->checkpoint.time_ms = time_ms;
    if (c->filtered)
        return;
    if (c->n_rows > 0 && c->first != (uint64_t)(after > seq ? after : seq) + 1)
        problem(c, c->first, "the file begins at row %" PRIu64 ", not at %" PRId64, c->first,
                (after > seq ? after : seq) + 1);
    if (!c->limited && c->n_rows > 0 &&
        (c->seq != (uint64_t)n || memcmp(c->hash, hash, SHA256_BYTES) != 0))
        problem(c, c->seq, "the file ends at row %" PRIu64 ", its last line at %" PRId64, c->seq,
                n);
}

/* What the first row says that was before it must be what was signed, or nothing. */
static void check_beginning(struct check *c)
{
    static const uint8_t nothing[SHA256_BYTES];
    const struct audit_checkpoint *p = &c->checkpoint;

    if (p->seq > 0) {
        c->checkpoint_good = audit_checkpoint_signed_by(p, c->has_key ? c->key : p->public_key);
        if (!c->checkpoint_good)
            problem(c, p->seq, "the checkpoint behind row %" PRIu64 " is not signed by the key %s",
                    p->seq, c->has_key ? "given" : "that it names");
    }
    if (c->n_rows == 0)
        return;
    if (c->first == 1 && memcmp(c->first_previous, nothing, sizeof nothing) != 0)
        problem(c, 1, "row 1 does not begin a log");
    if (c->first == p->seq + 1 && p->seq > 0 &&
        memcmp(c->first_previous, p->hash, SHA256_BYTES) != 0)
        problem(c, c->first, "row %" PRIu64 " does not follow the checkpoint", c->first);
}

static void check_whole(struct check *c)
{
    uint64_t unrecorded;

    if (!c->ended)
        problem(c, c->seq, "the file has no last line {\"end\":...}: the export was broken off");
    check_beginning(c);
    if (c->n_gaps > 0 && !c->filtered)
        problem(c, c->first_gap, "row %" PRIu64 " is missing", c->first_gap);
    if (c->has_head && c->head.n > c->seq)
        problem(c, c->seq + 1, "the file ends at row %" PRIu64 ", the head at %" PRIu64, c->seq,
                c->head.n);
    if (c->filtered || c->limited)
        return; /* what records an erasure may be elsewhere */
    unrecorded = audit_erasures_unrecorded(&c->erasures);
    if (unrecorded != 0)
        problem(c, unrecorded, "row %" PRIu64 " lost its payload without a recorded erasure",
                unrecorded);
}

/* ---- the file ---- */

static enum rag_status check_line(struct check *c, const char *line, size_t n,
                                  struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status = RAG_OK;

    if (strspn(line, " \t\r\n") == n)
        return RAG_OK;
    if (c->ended) {
        problem(c, c->seq, "lines follow the last one");
    } else if (json_parse(line, n, "line", &root, NULL) != RAG_OK) {
        problem(c, c->seq + 1,
                "the line behind row %" PRIu64 " is no JSON (a CSV cannot be checked)", c->seq);
    } else if (json_is_object(json_member(root, "end"))) {
        read_end(c, json_member(root, "end"));
    } else {
        status = check_row(c, line, root);
        if (status != RAG_OK)
            rag_fail(reterr, status, "audit: out of memory while verifying");
    }
    json_free(root);
    return status;
}

/* fgets() into a buffer that grows to its limit. RAG_ENOTFOUND: the end of the file. */
static enum rag_status read_line(FILE *f, const char *path, struct buf *line,
                                 struct rag_error *reterr)
{
    char part[65536];

    buf_reset(line);
    while (fgets(part, sizeof part, f)) {
        buf_append_str(line, part);
        if (buf_status(line) != RAG_OK)
            return rag_fail(reterr, buf_status(line), "file '%s': a line over %u bytes", path,
                            LINE_BYTES_MAX);
        if (line->len > 0 && line->data[line->len - 1] == '\n')
            return RAG_OK;
    }
    if (ferror(f))
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be read", path);
    return line->len > 0 ? RAG_OK : RAG_ENOTFOUND;
}

static enum rag_status check_file(struct check *c, const char *path, struct rag_error *reterr)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    enum rag_status status = RAG_OK;
    struct buf line;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be opened", path);
    buf_init(&line, LINE_BYTES_MAX);
    while (status == RAG_OK && c->whole) {
        status = read_line(f, path, &line, reterr);
        if (status == RAG_OK)
            status = check_line(c, buf_str(&line), line.len, reterr);
    }
    buf_release(&line);
    if (f != stdin)
        (void)fclose(f);
    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

static void print_json(const struct check *c)
{
    char hex[SHA256_HEX_BYTES];
    struct json_writer w;
    struct buf out;

    sha256_hex(c->hash, hex);
    buf_init(&out, 65536);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_bool(&w, "whole", c->whole);
    json_put_int(&w, "rows", (int64_t)c->n_rows);
    json_put_int(&w, "erased", (int64_t)c->n_erased);
    json_put_int(&w, "first_seq", (int64_t)c->first);
    json_put_int(&w, "bad_seq", (int64_t)c->bad_seq);
    json_put_string(&w, "problem", c->problem);
    json_put_bool(&w, "filtered", c->filtered);
    json_put_int(&w, "gaps", (int64_t)c->n_gaps);
    if (c->checkpoint.seq > 0)
        json_put_bool(&w, "signature_good", c->checkpoint_good);
    else
        json_put_null(&w, "signature_good");
    json_begin_object(&w, "head");
    json_put_int(&w, "n", (int64_t)c->seq);
    json_put_string(&w, "hash", hex);
    json_end_object(&w);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void print_text(const struct check *c)
{
    char hex[SHA256_HEX_BYTES];

    sha256_hex(c->hash, hex);
    if (c->whole)
        printf("whole: %" PRIu64 " rows", c->n_rows);
    else
        printf("BROKEN: %s (%" PRIu64 " rows read)", c->problem, c->n_rows);
    if (c->n_erased > 0)
        printf(", %" PRIu64 " erased", c->n_erased);
    printf("\n");
    if (c->filtered && c->n_gaps == 0)
        printf("note:  a part of the log, without gaps\n");
    else if (c->filtered)
        printf("note:  a part of the log, with %" PRIu64 " gaps; rows beside a gap could be "
               "compared with nothing\n",
               c->n_gaps);
    if (c->checkpoint.seq > 0)
        printf("cut:   rows before %" PRIu64 " were cut by retention; the signature is %s%s\n",
               c->checkpoint.seq + 1, c->checkpoint_good ? "good" : "NOT GOOD",
               c->has_key ? "" : ", by the key that the file names (--public-key compares it)");
    if (c->has_head && !c->head_seen && c->whole)
        printf("note:  the head given is of a row that is not in the file\n");
    printf("head:  %" PRIu64 ":%s\n", c->seq, hex);
}

enum rag_status ragctl_audit_verify_file(const struct ragctl_options *options,
                                         const struct audit_args *args, bool *ret_whole,
                                         struct rag_error *reterr)
{
    struct check c = {.whole = true, .has_head = args->head, .has_key = args->public_key};
    enum rag_status status = RAG_OK;

    if (args->head)
        status = ragctl_audit_head(args->head, &c.head, reterr);
    if (status == RAG_OK && args->public_key)
        status = ragctl_audit_key(args->public_key, c.key, reterr);
    if (status == RAG_OK)
        status = check_file(&c, args->file, reterr);
    if (status == RAG_OK) {
        check_whole(&c);
        *ret_whole = c.whole;
        if (options->json)
            print_json(&c);
        else
            print_text(&c);
    }
    audit_erasures_release(&c.erasures);
    return status;
}
