/* Any path: finding its route never reads past it, and what decodes is UTF-8 that decodes to
 * itself when it holds no escape. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/http_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
    {"GET",    "/",                     NULL, JOB_INTERACTIVE, "root", 0},
    {"GET",    "/v1/c",                 NULL, JOB_INTERACTIVE, "list", 0},
    {"PUT",    "/v1/c/{c}",             NULL, JOB_INTERACTIVE, "one",  0},
    {"DELETE", "/v1/c/{c}/d/{id}",      NULL, JOB_BULK,        "two",  0},
    {"GET",    "/v1/c/{c}/d/{id}",      NULL, JOB_INTERACTIVE, "two",  0},
    {"POST",   "/v1/c/{c}/d/{id}/more", NULL, JOB_BULK,        "two",  0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"};
    struct http_match match;
    struct arena arena;
    char *path;

    if (size < 1)
        return 0;
    path = malloc(size);
    if (!path)
        return 0;
    memcpy(path, data + 1, size - 1);
    path[size - 1] = '\0';
    arena_init(&arena, 4 * size + 64);
    http_route_find(routes, sizeof routes / sizeof routes[0], methods[data[0] % 6], path, &match);
    for (size_t i = 0; i < match.n_segments; i++) {
        const struct http_segment *s = &match.segments[i];
        char *text = http_decode(&arena, s->text, s->n_bytes, data[0] & 1);

        if (s->n_bytes == 0 || memchr(s->text, '/', s->n_bytes))
            abort();
        if (text && !utf8_valid(text, strlen(text), NULL))
            abort();
        if (text && !memchr(s->text, '%', s->n_bytes) && strlen(text) != s->n_bytes)
            abort();
    }
    arena_release(&arena);
    free(path);
    return 0;
}
