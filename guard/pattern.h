/* guard/pattern.h - regular expressions that a policy gives, each within its limits.
 *
 * PCRE2 over characters (UTF, Unicode properties), by its just-in-time compiler where there is one.
 * A pattern is tried in a text for GUARD_PATTERN_STEPS items and GUARD_PATTERN_CPU_MS of this
 * thread's time (more in long texts), counted by callouts before each of its items, so that no
 * start is too short to count; what reaches a limit is cut off there. */
#ifndef RAG_GUARD_PATTERN_H
#define RAG_GUARD_PATTERN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "guard/finding.h"

struct guard_pattern; /* opaque; immutable */

/* RAG_EINVAL naming the place of the mistake, RAG_ELIMIT (GUARD_PATTERN_*), RAG_ENOMEM. */
enum rag_status guard_pattern_compile(const char *text, bool ignore_case,
                                      struct guard_pattern **ret, struct rag_error *reterr);
void guard_pattern_free(struct guard_pattern *p); /* NULL is a no-op */
/* Its matches in n bytes of well-formed text, none empty. RAG_OK; RAG_ELIMIT: cut off at a limit,
 * what was found before stands; RAG_ECANCELLED (cancel may be NULL); RAG_ENOMEM. */
enum rag_status guard_pattern_find(const struct guard_pattern *p, const char *text, size_t n,
                                   const atomic_bool *cancel, const struct finding_sink *sink,
                                   struct rag_error *reterr);

#endif
