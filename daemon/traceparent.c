#include "daemon/traceparent.h"

#include <stddef.h>
#include <string.h>

#define VERSION_AT 0
#define TRACE_AT   3
#define SPAN_AT    36
#define FLAGS_AT   53
#define ALL_BYTES  55

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes from 2 n digits; false: there is something else. */
static bool read_hex(const char *text, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *id, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= id[i];
    return any == 0;
}

bool traceparent_parse(const char *text, struct traceparent *ret)
{
    struct traceparent t;
    uint8_t version;
    uint8_t flags;

    if (strlen(text) < ALL_BYTES || text[TRACE_AT - 1] != '-' || text[SPAN_AT - 1] != '-' ||
        text[FLAGS_AT - 1] != '-')
        return false;
    if (!read_hex(text + VERSION_AT, &version, 1) || !read_hex(text + FLAGS_AT, &flags, 1) ||
        !read_hex(text + TRACE_AT, t.trace_id, TRACE_ID_BYTES) ||
        !read_hex(text + SPAN_AT, t.span_id, SPAN_ID_BYTES))
        return false;
    if (version == 0xff || is_zero(t.trace_id, TRACE_ID_BYTES) || is_zero(t.span_id, SPAN_ID_BYTES))
        return false;
    if (text[ALL_BYTES] != '\0' && (version == 0 || text[ALL_BYTES] != '-'))
        return false;
    t.sampled = (flags & 1) != 0;
    *ret = t;
    return true;
}
