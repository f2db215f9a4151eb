/* The policy (guard/guard.h) at work on one question: what the user says, what was found, what is
 * answered. Findings collect in r->guard; masks keep every byte's place, so spans stay true. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/pipeline_internal.h"
#include "generate/grounding.h"

static enum rag_status add_notes(struct guard_notes *notes, const struct guard_note *where,
                                 const struct guard_result *result)
{
    size_t n = result->n_findings;

    notes->truncated |= result->truncated;
    if (n > GUARD_NOTES_MAX - notes->n) {
        n = GUARD_NOTES_MAX - notes->n;
        notes->truncated = true;
    }
    if (n > 0) {
        struct guard_note *items = realloc(notes->items, (notes->n + n) * sizeof *items);

        if (!items)
            return RAG_ENOMEM;
        notes->items = items;
        for (size_t i = 0; i < n; i++) {
            items[notes->n] = *where;
            items[notes->n++].finding = result->findings[i];
        }
    }
    if (result->verdict > notes->verdict)
        notes->verdict = result->verdict;
    return RAG_OK;
}

/* Check n bytes; ret is initialised here and released by the caller. */
static enum rag_status check(const struct pipeline *p, const struct pipeline_request *request,
                             struct retrieval *r, enum guard_stage stage, const char *text,
                             size_t n, struct guard_result *ret, struct rag_error *reterr)
{
    const struct guard_text t = {
        .text = text,
        .n_bytes = n,
        .collection = request->collection ? request->collection->name : NULL,
        .question = stage == GUARD_ANSWER ? r->text.data : NULL,
        .system_prompt = stage != GUARD_ANSWER    ? NULL
                         : request->system_prompt ? request->system_prompt
                                                  : grounding_rules(r->question.korean),
        .deadline_ns = request->deadline_ns,
        .cancel = request->cancel,
        .may_leave = request->collection && !collection_is_offline(request->collection),
    };

    guard_result_init(ret, n + 1);
    return guard_check(p->guard, stage, &t, ret, reterr);
}

bool pipeline_is_guarded(const struct pipeline *p, const struct pipeline_request *request,
                         enum guard_stage stage)
{
    return p->guard &&
           guard_has_stage(p->guard, stage, request->collection ? request->collection->name : NULL);
}

/* Check and mask in place; *ret_refused: the text may not be used. where: of the finding. */
static enum rag_status apply(const struct pipeline *p, const struct pipeline_request *request,
                             struct retrieval *r, const struct guard_note *where, char *text,
                             size_t n, bool *ret_refused, struct rag_error *reterr)
{
    struct guard_result result;
    enum rag_status status = check(p, request, r, where->stage, text, n, &result, reterr);

    if (status == RAG_OK && add_notes(&r->guard, where, &result) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "guard: out of memory");
    if (status == RAG_OK && result.masked.len == n)
        memcpy(text, result.masked.data, n);
    *ret_refused = result.verdict >= GUARD_DROP;
    if (*ret_refused && where->stage != GUARD_PASSAGE)
        memcpy(r->guard_reason, result.reason, sizeof r->guard_reason);
    guard_result_release(&result);
    return status;
}

/* Did a rule fail to look? Then what it would have masked may still be in the text, which is
 * recorded even where it is refused. */
static bool is_unchecked(const struct guard_notes *notes, size_t from)
{
    for (size_t i = from; i < notes->n; i++)
        if (strcmp(notes->items[i].finding.detail, "unchecked") == 0)
            return true;
    return false;
}

enum rag_status pipeline_guard_question(const struct pipeline *p,
                                        const struct pipeline_request *request, struct retrieval *r,
                                        char *text, bool *ret_refused, struct rag_error *reterr)
{
    const struct guard_note where = {.stage = GUARD_QUESTION};
    enum rag_status status;
    size_t n_before;
    int64_t begun;

    *ret_refused = false;
    if (*text == '\0' || !pipeline_is_guarded(p, request, GUARD_QUESTION))
        return RAG_OK;
    begun = pipeline_stage_begin(request, STAGE_GUARD);
    n_before = r->guard.n;
    status = apply(p, request, r, &where, text, strlen(text), ret_refused, reterr);
    if (*ret_refused && is_unchecked(&r->guard, n_before))
        memset(text, '*', strlen(text));
    pipeline_stage_done(r, STAGE_GUARD, begun);
    return status;
}

/* Its text and what is shown and given with it: title, headings, the header of its table. */
static enum rag_status guard_passage(const struct pipeline *p,
                                     const struct pipeline_request *request, struct retrieval *r,
                                     struct passage *s, size_t rank, bool *ret_keep,
                                     struct rag_error *reterr)
{
    const char **const fields[] = {&s->text, &s->title, &s->heading, &s->context};
    struct guard_note where = {GUARD_PASSAGE, rank, s->id, false, {0}};
    atomic_uint_least64_t *clean = &p->guard_clean[s->id % GUARD_CLEAN_PLACES];
    enum rag_status status = RAG_OK;
    size_t n_before = r->guard.n;
    bool refused = false;

    *ret_keep = true;
    if (atomic_load_explicit(clean, memory_order_relaxed) == s->id)
        return RAG_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && status == RAG_OK && !refused; i++) {
        size_t n = i == 0 ? s->text_bytes : strlen(*fields[i]);
        char *copy;

        if (n == 0)
            continue;
        copy = arena_strndup(&r->texts, *fields[i], n); /* others may read the same text */
        if (!copy)
            return rag_fail(reterr, RAG_ENOMEM, "guard: out of memory");
        where.beside = i > 0;
        status = apply(p, request, r, &where, copy, n, &refused, reterr);
        *fields[i] = copy;
    }
    *ret_keep = !refused;
    if (status == RAG_OK && !refused && r->guard.n == n_before && !r->guard.truncated)
        atomic_store_explicit(clean, s->id, memory_order_relaxed);
    return status;
}

enum rag_status pipeline_guard_passages(const struct pipeline *p,
                                        const struct pipeline_request *request, struct retrieval *r,
                                        size_t n_wanted, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_kept = r->n_guarded;
    size_t i = r->n_guarded;
    int64_t begun;

    if (n_kept >= n_wanted || !pipeline_is_guarded(p, request, GUARD_PASSAGE))
        return RAG_OK;
    begun = pipeline_stage_begin(request, STAGE_GUARD);
    for (; i < r->n_passages && n_kept < n_wanted && status == RAG_OK; i++) {
        bool keep = false;

        status = guard_passage(p, request, r, &r->passages[i], i + 1, &keep, reterr);
        if (status == RAG_OK && keep)
            r->passages[n_kept++] = r->passages[i];
    }
    /* those behind the wanted ones move up; nobody reads their texts */
    memmove(r->passages + n_kept, r->passages + i, (r->n_fetched - i) * sizeof *r->passages);
    r->n_passages -= i - n_kept;
    r->n_fetched -= i - n_kept;
    r->n_guarded = n_kept;
    pipeline_stage_done(r, STAGE_GUARD, begun);
    return status;
}

enum rag_status pipeline_guard_passage(const struct pipeline *p,
                                       const struct pipeline_request *request, struct retrieval *r,
                                       struct passage *s, bool *ret_keep, struct rag_error *reterr)
{
    enum rag_status status;
    int64_t begun;

    *ret_keep = true;
    if ((size_t)(s - r->passages) < r->n_guarded || !pipeline_is_guarded(p, request, GUARD_PASSAGE))
        return RAG_OK;
    begun = pipeline_stage_begin(request, STAGE_GUARD);
    status = guard_passage(p, request, r, s, s->final_rank, ret_keep, reterr);
    pipeline_stage_done(r, STAGE_GUARD, begun);
    return status;
}

enum rag_status pipeline_guard_answer(const struct pipeline *p,
                                      const struct pipeline_request *request, struct retrieval *r,
                                      char *text, size_t n, bool *ret_refused,
                                      struct rag_error *reterr)
{
    const struct guard_note where = {.stage = GUARD_ANSWER};
    enum rag_status status;
    int64_t begun;

    *ret_refused = false;
    if (n == 0 || !pipeline_is_guarded(p, request, GUARD_ANSWER))
        return RAG_OK;
    begun = clock_monotonic_ns(); /* within 'generate', which goes on being the stage */
    status = apply(p, request, r, &where, text, n, ret_refused, reterr);
    pipeline_stage_done(r, STAGE_GUARD, begun);
    return status;
}
