/* daemon/http_route.h - which handler serves a path; percent-decoding (RFC 3986, section 2.1).
 * Thread-safe. */
#ifndef RAG_DAEMON_HTTP_ROUTE_H
#define RAG_DAEMON_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "daemon/http_server.h"

#define HTTP_PARAMS_MAX  4  /* '{name}' segments of one pattern */
#define HTTP_ALLOW_BYTES 64 /* every method that HTTP has, joined by ", " */

/* A segment of the path, still encoded. */
struct http_segment {
    const char *name; /* in the pattern, ends at '}' */
    const char *text; /* in the path, not NUL-terminated */
    size_t n_bytes;
};

struct http_match {
    const struct http_route *route; /* NULL: nothing is there, or not for this method */
    size_t index;                   /* of the route in the table */
    struct http_segment segments[HTTP_PARAMS_MAX];
    size_t n_segments;
    char allow[HTTP_ALLOW_BYTES]; /* the methods of this path; "": no route has it */
};

/* Find the route of an encoded path. A GET route serves HEAD too. ret borrows from
 * 'routes' and 'path'. */
void http_route_find(const struct http_route *routes, size_t n_routes, const char *method,
                     const char *path, struct http_match *ret);

/* Percent-decode n bytes into the arena, NUL-terminated. NULL: a bad escape, a NUL byte,
 * not UTF-8, or the arena is full. */
char *http_decode(struct arena *arena, const char *text, size_t n, bool plus_is_space);

#endif
