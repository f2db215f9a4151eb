#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_time.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGO_MAX_S 3155760000ll /* a hundred years */

/* "7d" -> seconds; false when it is not of that form. */
static bool parse_ago(const char *text, int64_t *ret_s)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {
        {'s', 1    },
        {'m', 60   },
        {'h', 3600 },
        {'d', 86400}
    };
    char *end = NULL;
    long long n;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 10)
        return false;
    n = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end[0] == units[i].unit && end[1] == '\0' && n <= AGO_MAX_S / units[i].seconds) {
            *ret_s = n * units[i].seconds;
            return true;
        }
    }
    return false;
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        int day = tm.tm_mday;
        time_t t;

        if (!end || (*end != '\0' && strcmp(end, "Z") != 0))
            continue;
        t = timegm(&tm);
        /* 31 February would silently be March. */
        if (tm.tm_mday != day || t < 0)
            return false;
        *ret_ms = (int64_t)t * 1000;
        return true;
    }
    return false;
}

enum rag_status ragctl_time_parse(const char *text, const char *what, int64_t now_ms,
                                  int64_t *ret_ms, struct rag_error *reterr)
{
    int64_t ago_s = 0;

    if (parse_ago(text, &ago_s)) {
        int64_t at_ms = now_ms - ago_s * 1000;

        *ret_ms = at_ms > 0 ? at_ms : 0;
        return RAG_OK;
    }
    if (parse_date(text, ret_ms))
        return RAG_OK;
    return rag_fail(reterr, RAG_EINVAL,
                    "%s '%s': not a time; write 2026-01-31, 2026-01-31T09:30 (UTC) or 24h, 7d",
                    what, text);
}
