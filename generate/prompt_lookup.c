#include "generate/prompt_lookup.h"

#include <string.h>

#include "base/bounds.h"

/* How many of the tokens that end before 'place' are those that end the whole, at most 'most'. */
static size_t matched_before(const uint32_t *ids, size_t n, size_t place, size_t most)
{
    size_t m = 0;

    while (m < most && m < place && ids[place - 1 - m] == ids[n - 1 - m])
        m++;
    return m;
}

size_t prompt_lookup(const uint32_t *ids, size_t n, size_t n_most, uint32_t *ret_draft)
{
    size_t longest = PROMPT_LOOKUP_MIN - 1;
    size_t found = 0;
    size_t n_draft;

    if (n < 2 || n_most == 0)
        return 0;
    for (size_t place = n - 1; place >= PROMPT_LOOKUP_MIN && longest < PROMPT_LOOKUP_MAX; place--) {
        size_t m = matched_before(ids, n, place, PROMPT_LOOKUP_MAX);

        if (m > longest) {
            longest = m;
            found = place;
        }
    }
    if (found == 0)
        return 0;
    n_draft = n - found < n_most ? n - found : n_most;
    memcpy(ret_draft, ids + found, n_draft * sizeof *ids);
    return n_draft;
}
