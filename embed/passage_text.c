#include "embed/passage_text.h"

#include <stdbool.h>
#include <string.h>

static bool is_there(const char *text)
{
    return text && text[0] != '\0';
}

/* Is the title the first part of the path? */
static bool leads(const char *title, const char *path)
{
    size_t n = strlen(title);

    return strncmp(path, title, n) == 0 && (path[n] == '\0' || strncmp(path + n, " > ", 3) == 0);
}

static void append_line(const char *text, size_t n, struct buf *out)
{
    if (n == 0)
        return;
    if (out->len > 0)
        buf_append_char(out, '\n');
    buf_append(out, text, n);
}

void passage_text(const struct passage_parts *p, struct buf *out)
{
    if (is_there(p->title) && !(is_there(p->heading) && leads(p->title, p->heading)))
        append_line(p->title, strlen(p->title), out);
    if (is_there(p->heading))
        append_line(p->heading, strlen(p->heading), out);
    if (is_there(p->context))
        append_line(p->context, strlen(p->context), out);
    append_line(p->text, p->text_bytes, out);
}
