/* A question and a text, parted by the first newline: kinds, constraints and entities stay
 * inside their texts, and reading always moves on. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "text/entity.h"
#include "text/particle.h"
#include "text/question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *newline = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t n = newline ? (size_t)(newline - text) : size;
    struct question q;
    struct entity e;
    size_t before = 0;
    size_t at = 0;

    if (size == 0 || size > 16384 || !utf8_valid(text, size, NULL))
        return 0;
    question_analyze(text, n, &q);
    assert(q.focus_start <= q.focus_end && q.focus_end <= n);
    assert(q.n_constraints <= CONSTRAINTS_MAX && strlen(q.unit) < sizeof q.unit);
    assert(answer_kind_name(q.kind));
    for (size_t i = 0; i < q.n_constraints; i++) {
        const struct constraint *c = &q.constraints[i];

        assert(c->byte_start <= c->byte_end && c->byte_end <= n);
        (void)constraint_met(text, c, text + n, size - n);
        assert(particle_after(PARTICLE_SUBJECT, text + c->byte_start, c->byte_end - c->byte_start));
    }
    while (entity_next(text, size, &at, &e)) {
        assert(at > before && at <= size);
        assert(e.byte_start <= e.byte_end && e.byte_end <= size);
        assert(e.unit_start <= e.unit_end && e.unit_end <= size);
        before = at;
    }
    return 0;
}
