#define _GNU_SOURCE
#define PCRE2_CODE_UNIT_WIDTH 8
#include "guard/pattern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcre2.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "guard/rule.h"

#define CLOCK_EVERY 1024 /* steps: reading a thread's clock costs as much as 20 of them */

struct guard_pattern {
    pcre2_code *code;
};

static int64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum rag_status compile_fail(int code, size_t at, struct rag_error *reterr)
{
    char why[128];

    if (pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why) < 0)
        why[0] = '\0';
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    return rag_fail(reterr, RAG_EINVAL, "at byte %zu: %s", at, why);
}

static enum rag_status check_size(const pcre2_code *code, struct rag_error *reterr)
{
    size_t n_bytes = 0;

    pcre2_pattern_info(code, PCRE2_INFO_SIZE, &n_bytes);
    if (n_bytes > GUARD_PATTERN_CODE_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "compiles to %zu bytes, the limit is %u: repeat less inside repetitions",
                        n_bytes, GUARD_PATTERN_CODE_BYTES_MAX);
    return RAG_OK;
}

enum rag_status guard_pattern_compile(const char *text, bool ignore_case,
                                      struct guard_pattern **ret, struct rag_error *reterr)
{
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT |
                             PCRE2_MULTILINE | (ignore_case ? PCRE2_CASELESS : 0);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    struct guard_pattern *p = calloc(1, sizeof *p);
    enum rag_status status = RAG_OK;
    size_t at = 0;
    int code = 0;

    if (!context || !p) {
        status = rag_fail(reterr, RAG_ENOMEM, "out of memory");
        goto out;
    }
    pcre2_set_max_pattern_length(context, GUARD_PATTERN_BYTES_MAX);
    pcre2_set_parens_nest_limit(context, GUARD_PATTERN_NEST_MAX);
    p->code = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &code, &at, context);
    status = p->code ? check_size(p->code, reterr) : compile_fail(code, at, reterr);
    if (status != RAG_OK)
        goto out;
    /* Without it (no such CPU, no memory that may be executed) the interpreter does the same. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    *ret = p;
    p = NULL; /* moved out */
out:
    guard_pattern_free(p);
    pcre2_compile_context_free(context);
    return status;
}

void guard_pattern_free(struct guard_pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

/* What one pattern may spend on one text. */
struct budget {
    uint64_t n_steps; /* that are left */
    uint64_t n_until_clock;
    int64_t ends_ns; /* of this thread's time */
    const atomic_bool *cancel;
    bool cancelled;
};

/* Called before each item of the pattern, wherever the match stands: a negative number ends it. */
static int on_step(pcre2_callout_block *block, void *data)
{
    struct budget *b = data;

    (void)block;
    if (b->n_steps == 0)
        return PCRE2_ERROR_MATCHLIMIT;
    b->n_steps--;
    if (--b->n_until_clock > 0)
        return 0;
    b->n_until_clock = CLOCK_EVERY;
    b->cancelled = b->cancel && atomic_load_explicit(b->cancel, memory_order_relaxed);
    return b->cancelled || thread_ns() >= b->ends_ns ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static enum rag_status match_fail(int code, const struct budget *b, struct rag_error *reterr)
{
    if (b->cancelled)
        return rag_fail(reterr, RAG_ECANCELLED, "pattern: cancelled");
    if (code == PCRE2_ERROR_NOMEMORY)
        return rag_fail(reterr, RAG_ENOMEM, "pattern: out of memory");
    return rag_fail(reterr, RAG_ELIMIT, "pattern: cut off at a limit (%s)",
                    code == PCRE2_ERROR_HEAPLIMIT ? "memory" : "steps or time");
}

/* One match from 'at' on. The compiled code has a small stack: what needs more is interpreted. */
static int match(const struct guard_pattern *p, const char *text, size_t n, size_t at,
                 uint32_t options, pcre2_match_data *data, pcre2_match_context *context)
{
    int code = pcre2_match(p->code, (PCRE2_SPTR)text, n, at, options, data, context);

    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(p->code, (PCRE2_SPTR)text, n, at, options | PCRE2_NO_JIT, data, context);
    return code;
}

static enum rag_status find_all(const struct guard_pattern *p, const char *text, size_t n,
                                struct budget *budget, pcre2_match_data *data,
                                pcre2_match_context *context, const struct finding_sink *sink,
                                struct rag_error *reterr)
{
    size_t at = 0;

    while (at < n) {
        /* empty matches mean nothing here, and an end before the start (\K) neither */
        int code = match(p, text, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, context);
        const size_t *span = pcre2_get_ovector_pointer(data);

        if (code == PCRE2_ERROR_NOMATCH)
            return RAG_OK;
        if (code < 0)
            return match_fail(code, budget, reterr);
        assert(span[1] <= n);
        if (span[1] <= at || span[0] >= span[1]) {
            at += utf8_sequence_bytes(text + at, n - at);
            continue;
        }
        at = span[1];
        if (!sink->on_finding(sink->context, "pattern", (uint32_t)span[0], (uint32_t)span[1], 1))
            return RAG_OK;
    }
    return RAG_OK;
}

enum rag_status guard_pattern_find(const struct guard_pattern *p, const char *text, size_t n,
                                   const atomic_bool *cancel, const struct finding_sink *sink,
                                   struct rag_error *reterr)
{
    const int64_t ms =
        GUARD_PATTERN_CPU_MS + (int64_t)(n >> 10) * GUARD_PATTERN_CPU_MS_PER_MIB / 1024;
    struct budget budget = {
        .n_steps = GUARD_PATTERN_STEPS + (uint64_t)n * GUARD_PATTERN_STEPS_PER_BYTE,
        .n_until_clock = CLOCK_EVERY,
        .ends_ns = thread_ns() + ms * 1000000,
        .cancel = cancel,
    };
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    enum rag_status status;

    if (data && context) {
        pcre2_set_match_limit(context, GUARD_PATTERN_MATCH_LIMIT);
        pcre2_set_heap_limit(context, GUARD_PATTERN_HEAP_KIB);
        pcre2_set_callout(context, on_step, &budget);
        status = find_all(p, text, n, &budget, data, context, sink, reterr);
    } else {
        status = rag_fail(reterr, RAG_ENOMEM, "pattern: out of memory");
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return status;
}

/* ---- the kind of rule ---- */

struct pattern_rule {
    struct guard_pattern **patterns; /* owned */
    size_t n;
    bool ignore_case;
};

static enum rag_status add_pattern(void *context, const char *text, struct rag_error *reterr)
{
    struct pattern_rule *r = context;
    struct rag_error inner = {0};
    enum rag_status status =
        guard_pattern_compile(text, r->ignore_case, &r->patterns[r->n], &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "patterns: element %zu '%.100s': %s", r->n + 1, text,
                        inner.text);
    r->n++;
    return RAG_OK;
}

static void close_rule(void *state)
{
    struct pattern_rule *r = state;

    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        guard_pattern_free(r->patterns[i]);
    free(r->patterns);
    free(r);
}

static enum rag_status open_rule(const struct rule_source *source, void **ret,
                                 struct rag_error *reterr)
{
    struct pattern_rule *r = calloc(1, sizeof *r);
    enum rag_status status;
    size_t n = 0;

    if (r)
        r->patterns = calloc(GUARD_PATTERNS_MAX, sizeof(struct guard_pattern *));
    if (!r || !r->patterns) {
        close_rule(r);
        return rag_fail(reterr, RAG_ENOMEM, "patterns: out of memory");
    }
    status = json_get_bool(source->object, "ignore_case", &r->ignore_case, reterr);
    if (status == RAG_OK)
        status = rule_each_text(source->object, "patterns", GUARD_PATTERNS_MAX,
                                GUARD_PATTERN_BYTES_MAX, add_pattern, r, &n, reterr);
    if (status == RAG_OK && n == 0)
        status = rag_fail(reterr, RAG_EINVAL,
                          "patterns: missing; give an array of regular expressions (PCRE2)");
    if (status != RAG_OK) {
        close_rule(r);
        return status;
    }
    *ret = r;
    return RAG_OK;
}

/* A pattern that is cut off does not keep the others from looking. */
static enum rag_status check_text(const void *state, const struct rule_check *check,
                                  const struct finding_sink *sink, struct rag_error *reterr)
{
    const struct pattern_rule *r = state;
    const struct guard_text *text = check->text;
    enum rag_status worst = RAG_OK;

    for (size_t i = 0; i < r->n; i++) {
        enum rag_status status = guard_pattern_find(r->patterns[i], text->text, text->n_bytes,
                                                    text->cancel, sink, reterr);

        if (status == RAG_ECANCELLED || status == RAG_ENOMEM)
            return status;
        if (status != RAG_OK)
            worst = status;
    }
    return worst;
}

static const char *const members[] = {"patterns", "ignore_case", NULL};

const struct rule_kind pattern_kind = {"pattern", members,    RULE_STAGES_ALL, true,
                                       open_rule, close_rule, check_text};
