#include "generate/word_list.h"

#include <string.h>
#include <strings.h>

static bool is(const char *word, size_t n, const char *other)
{
    return strlen(other) == n && strncasecmp(word, other, n) == 0;
}

static bool begins(const char *s, size_t n, const char *with)
{
    size_t bytes = strlen(with);

    return n >= bytes && memcmp(s, with, bytes) == 0;
}

bool word_list_has(const char *word, size_t n, const char *const *list)
{
    for (; *list; list++)
        if (is(word, n, *list))
            return true;
    return false;
}

size_t word_list_begins(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++)
        if (begins(s, n, *list))
            return strlen(*list);
    return 0;
}

size_t word_list_ends(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++) {
        size_t bytes = strlen(*list);

        if (n >= bytes && memcmp(s + n - bytes, *list, bytes) == 0)
            return bytes;
    }
    return 0;
}

bool word_list_has_stem(const char *word, size_t n, const char *const *list)
{
    for (; *list; list++) {
        bool ascii = (unsigned char)(*list)[0] < 0x80;

        if (ascii ? is(word, n, *list) : begins(word, n, *list))
            return true;
    }
    return false;
}
