/* What a refusal names: passages that the search found and that are no answer, or not known to be
 * one, so that a person may look. Nothing is searched again. They are taken as they were given to
 * the gate; but where it found that no passage has the question's words (low_relevance), those go
 * first whose vectors are nearest, since words have nothing to say there.
 *
 * They are passages to the policy, as citations are: what the first stages of the guard have not
 * read is read here, masked or passed over; but no more than NEAREST_READS_MAX of them, since
 * nobody asked for it. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/pipeline_internal.h"
#include "retrieve/snippet.h"

/* All that may be named, best first; *ret_n_near of them by their vectors. ret has room for all
 * that were fetched. */
static size_t order(struct pipeline_answer *a, struct passage **ret, size_t *ret_n_near)
{
    struct retrieval *r = &a->retrieval;
    bool by_vectors = strcmp(a->reason_code, "low_relevance") == 0;
    size_t n = 0;

    for (size_t i = 0; by_vectors && i < r->n_fetched; i++)
        if (r->passages[i].dense_rank != RANK_NONE)
            ret[n++] = &r->passages[i];
    if (n > 0)
        qsort(ret, n, sizeof(*ret), passages_compare_dense);
    *ret_n_near = n;
    for (size_t i = 0; i < a->n_given; i++)
        if (*ret_n_near == 0 || r->passages[i].dense_rank == RANK_NONE)
            ret[n++] = &r->passages[i];
    return n;
}

static enum rag_status name(struct pipeline_answer *a, const struct passage *s, bool by_vectors,
                            struct rag_error *reterr)
{
    struct byte_span words = {s->words.start, s->words.end};
    struct byte_span cut = snippet_cut(s->text, s->text_bytes, words, NEAREST_CHARS_MAX);
    const char *text = arena_strndup(&a->retrieval.arena, s->text + cut.start, cut.end - cut.start);

    if (!text)
        return rag_fail(reterr, RAG_ENOMEM, "answer: out of memory");
    a->nearest[a->n_nearest++] = (struct nearest){
        .chunk = s->id,
        .version_id = s->version_id,
        .document = s->document,
        .title = s->title,
        .heading = s->heading,
        .byte_start = s->byte_start,
        .byte_end = s->byte_end,
        .snippet = text,
        .snippet_start = s->byte_start + cut.start,
        .snippet_end = s->byte_start + cut.end,
        .score = by_vectors ? s->dense_score : s->score,
        .by_vectors = by_vectors,
    };
    return RAG_OK;
}

/* Add to a->nearest, which holds what was found before a failure too. */
static enum rag_status collect(const struct pipeline *p, const struct pipeline_request *request,
                               struct pipeline_answer *a, size_t most, struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    struct passage **ordered = arena_calloc(&r->arena, r->n_fetched + 1, sizeof(*ordered));
    enum rag_status status = RAG_OK;
    size_t n_near = 0;
    size_t n_read = 0;
    size_t n;

    if (!ordered)
        return rag_fail(reterr, RAG_ENOMEM, "answer: out of memory");
    n = order(a, ordered, &n_near);
    for (size_t i = 0; i < n && a->n_nearest < most && status == RAG_OK; i++) {
        bool unread = (size_t)(ordered[i] - r->passages) >= r->n_guarded;
        bool keep = false;

        if (unread && n_read++ >= NEAREST_READS_MAX)
            continue;
        status = pipeline_guard_passage(p, request, r, ordered[i], &keep, reterr);
        if (status == RAG_OK && keep)
            status = name(a, ordered[i], i < n_near, reterr);
    }
    return status;
}

enum rag_status pipeline_nearest(const struct pipeline *p, const struct pipeline_request *request,
                                 struct pipeline_answer *a, struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    size_t most = request->top_k ? request->top_k : p->n_passages;
    struct rag_error why;
    enum rag_status status;

    if (most > p->n_nearest)
        most = p->n_nearest;
    if (most == 0 || strcmp(a->reason_code, "guard") == 0)
        return RAG_OK;
    status = collect(p, request, a, most, &why);
    if (status == RAG_ECANCELLED)
        return rag_fail(reterr, status, "%s", why.text);
    if (status != RAG_OK)
        pipeline_note_degraded(r, STAGE_GUARD, &why);
    return RAG_OK;
}
