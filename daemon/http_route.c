#include "daemon/http_route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

char *http_decode(struct arena *arena, const char *text, size_t n, bool plus_is_space)
{
    char *out = arena_alloc(arena, n + 1);
    size_t m = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 1 < n ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return NULL;
        out[m++] = c;
    }
    out[m] = '\0';
    return utf8_valid(out, m, NULL) ? out : NULL;
}

static bool match_path(const char *pattern, const char *path, struct http_match *m)
{
    m->n_segments = 0;
    while (*pattern && *path) {
        size_t n = strcspn(path, "/");

        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        if (n == 0)
            return false;
        assert(m->n_segments < HTTP_PARAMS_MAX);
        m->segments[m->n_segments++] = (struct http_segment){pattern + 1, path, n};
        path += n;
        pattern = strchr(pattern, '}') + 1;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool same_method(const char *route, const char *method)
{
    return strcmp(route, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route, "GET") == 0);
}

static void add_method(char allow[HTTP_ALLOW_BYTES], const char *method)
{
    size_t n = strlen(allow);

    snprintf(allow + n, HTTP_ALLOW_BYTES - n, "%s%s", n > 0 ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_method(allow, "HEAD");
}

void http_route_find(const struct http_route *routes, size_t n_routes, const char *method,
                     const char *path, struct http_match *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < n_routes; i++) {
        if (!match_path(routes[i].pattern, path, ret))
            continue;
        if (same_method(routes[i].method, method)) {
            ret->route = &routes[i];
            ret->index = i;
            return;
        }
        add_method(ret->allow, routes[i].method);
    }
    ret->n_segments = 0;
}
