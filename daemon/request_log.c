#include "daemon/request_log.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "daemon/log.h"

void request_note_collection(struct request_note *note, const char *name)
{
    snprintf(note->collection, sizeof note->collection, "%s", name);
}

void request_note_question(struct request_note *note, const char *text, size_t n)
{
    uint8_t digest[SHA256_BYTES] = {0};
    char hex[SHA256_HEX_BYTES];

    (void)sha256(text, n, digest);
    sha256_hex(digest, hex);
    note->question_bytes = n;
    snprintf(note->question_sha256, sizeof note->question_sha256, "%.16s", hex);
}

static enum log_level level_of(const struct request_line *line)
{
    if (line->code == 503 || line->code == 507)
        return LOG_WARN;
    if (line->code >= 500)
        return LOG_ERROR;
    return line->route && strncmp(line->route, "/v1/", 4) != 0 ? LOG_DEBUG : LOG_INFO;
}

/* The message of an error's reply; the reply itself where it is no such object. */
static void log_failed(const struct request_line *line, const char *method, const char *route)
{
    const char *reply = line->error ? line->error : "";
    struct json *root = NULL;
    const char *message = NULL;

    if (json_parse(reply, strlen(reply), "reply", &root, NULL) == RAG_OK)
        message = json_string(json_member(json_member(root, "error"), "message"));
    log_event(level_of(line), line->id, "request_failed",
              "method=%s route=%s code=%d ms=%.1f principal=%s bytes=%zu collection=%s "
              "error=\"%s\"",
              method, route, line->code, line->ms, line->principal, line->body_bytes,
              line->note->collection[0] ? line->note->collection : "-", message ? message : reply);
    json_free(root);
}

void request_log(const struct request_line *line)
{
    const struct request_note *note = line->note;
    const char *method = line->method[0] ? line->method : "-";
    const char *route = line->route ? line->route : "-";

    if (line->code >= 500)
        log_failed(line, method, route);
    else if (note->outcome)
        log_event(level_of(line), line->id, "request",
                  "method=%s route=%s code=%d ms=%.1f principal=%s bytes=%zu collection=%s "
                  "outcome=%s backend=%s cache=%s guard=%s prompt_tokens=%llu cached_tokens=%llu "
                  "output_tokens=%llu question_bytes=%zu question_sha256=%s",
                  method, route, line->code, line->ms, line->principal, line->body_bytes,
                  note->collection[0] ? note->collection : "-", note->outcome,
                  note->backend[0] ? note->backend : "none", note->cache[0] ? note->cache : "none",
                  note->guard ? note->guard : "none", (unsigned long long)note->prompt_tokens,
                  (unsigned long long)note->cached_tokens, (unsigned long long)note->output_tokens,
                  note->question_bytes, note->question_sha256[0] ? note->question_sha256 : "-");
    else
        log_event(level_of(line), line->id, "request",
                  "method=%s route=%s code=%d ms=%.1f principal=%s bytes=%zu collection=%s", method,
                  route, line->code, line->ms, line->principal, line->body_bytes,
                  note->collection[0] ? note->collection : "-");
}
