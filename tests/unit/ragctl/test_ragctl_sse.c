/* Goal: the same events come out however a stream is cut.
 * Method: each stream is fed whole and byte by byte; the events are written as one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl_sse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *stream;
    bool go_on;
    const char *want; /* name=data; */
};

/* clang-format off */
static struct row rows[] = {
    {"an event", "event: delta\ndata: {\"a\":1}\n\n", true, "delta={\"a\":1};"},
    {"two events", "event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", true, "a=1;b=2;"},
    {"no name is a message", "data: x\n\n", true, "message=x;"},
    {"CRLF ends lines too", "event: a\r\ndata: 1\r\n\r\n", true, "a=1;"},
    {"data lines are joined", "data: a\ndata: b\n\n", true, "message=a\nb;"},
    {"one space after the colon goes", "data:  a\n\ndata:b\n\n", true, "message= a;message=b;"},
    {"comments and other fields are ignored", ": hi\nid: 3\nretry: 9\ndata: a\n\n", true,
     "message=a;"},
    {"a name without data is nothing", "event: a\n\ndata: b\n\n", true, "message=b;"},
    {"a field without colon", "data\n\n", true, "message=;"},
    {"empty lines alone", "\n\n\n", true, ""},
    {"an event that is not finished waits", "data: a\n", true, ""},
    {"stop ends the reading", "event: stop\ndata: 1\n\ndata: 2\n\n", false, "stop=1;"},
    {"a line over the limit",
     "data: 0123456789012345678901234567890123456789012345678901234567890123456789\n\n", false,
     ""},
    {"a name over the limit",
     "event: 0123456789012345678901234567890123456789012345678901234567\n\n", true, ""},
};
/* clang-format on */

static bool on_event(void *context, const char *event, const char *data, size_t n)
{
    struct buf *out = context;

    assert_int_equal(strlen(data), n);
    buf_printf(out, "%s=%s;", event, data);
    return strcmp(event, "stop") != 0;
}

static void feed(const struct row *row, size_t step)
{
    size_t n = strlen(row->stream);
    struct ragctl_sse sse;
    bool go_on = true;
    struct buf out;

    buf_init(&out, 4096);
    ragctl_sse_init(&sse, 66, on_event, &out);
    for (size_t i = 0; i < n && go_on; i += step)
        go_on = ragctl_sse_feed(&sse, row->stream + i, n - i < step ? n - i : step);
    assert_int_equal(go_on, row->go_on);
    assert_string_equal(buf_str(&out), row->want);
    ragctl_sse_release(&sse);
    buf_release(&out);
}

static void check_row(void **state)
{
    feed(*state, 4096);
    feed(*state, 1);
    feed(*state, 7);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_sse", tests, NULL, NULL);
}
