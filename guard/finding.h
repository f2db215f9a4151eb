/* guard/finding.h - what the kinds of rules report to the policy (internal to guard/). */
#ifndef RAG_GUARD_FINDING_H
#define RAG_GUARD_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Told of each finding, in text order; false: enough. 'detail' is static. */
struct finding_sink {
    bool (*on_finding)(void *context, const char *detail, uint32_t start, uint32_t end,
                       float score);
    void *context;
};

#endif
