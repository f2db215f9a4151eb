/* What every step of a question has in common: its name and its times, whether anybody still wants
 * the answer, and what happens when a step fails that others can do without. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/pipeline_internal.h"

/* CANDIDATES_MAX chunks of CHUNK_CHARS_MAX, four bytes each */
#define ARENA_BYTES_MAX (256u << 20)

const char *stage_name(enum stage stage)
{
    static const char *const names[N_STAGES] = {
        [STAGE_GUARD] = "guard",     [STAGE_CACHE] = "cache",   [STAGE_CONDENSE] = "condense",
        [STAGE_ANALYZE] = "analyze", [STAGE_FILTER] = "filter", [STAGE_BM25] = "bm25",
        [STAGE_DENSE] = "dense",     [STAGE_FUSE] = "fuse",     [STAGE_FETCH] = "fetch",
        [STAGE_RERANK] = "rerank",   [STAGE_GATE] = "gate",     [STAGE_GENERATE] = "generate",
        [STAGE_AUDIT] = "audit",     [STAGE_TOTAL] = "total",
    };

    assert(stage < N_STAGES);
    return names[stage];
}

int64_t pipeline_stage_begin(const struct pipeline_request *request, enum stage stage)
{
    if (request->stage_now)
        atomic_store_explicit(request->stage_now, (int)stage, memory_order_relaxed);
    return clock_monotonic_ns();
}

void pipeline_stage_done(struct retrieval *r, enum stage stage, int64_t begun_ns)
{
    if (!r->ran[stage])
        r->begun_ns[stage] = begun_ns;
    r->stages_ms[stage] += clock_elapsed_ms(begun_ns);
    r->ran[stage] = true;
}

void guard_notes_release(struct guard_notes *notes)
{
    if (!notes)
        return;
    free(notes->items);
    memset(notes, 0, sizeof *notes);
}

void retrieval_release(struct retrieval *r)
{
    if (!r)
        return;
    term_list_release(&r->terms);
    buf_release(&r->text);
    arena_release(&r->arena);
    arena_release(&r->texts);
    guard_notes_release(&r->guard);
    memset(r, 0, sizeof *r);
}

void retrieval_init(struct retrieval *r)
{
    memset(r, 0, sizeof *r);
    r->reranker = "none";
    r->mode = SEARCH_BM25;
    arena_init(&r->arena, ARENA_BYTES_MAX);
    arena_init(&r->texts, ARENA_BYTES_MAX);
}

enum rag_status pipeline_still_wanted(const struct pipeline_request *request,
                                      struct rag_error *reterr)
{
    if (request->cancel && atomic_load(request->cancel))
        return rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (request->deadline_ns != 0 && clock_monotonic_ns() > request->deadline_ns)
        return rag_fail(reterr, RAG_ETIMEOUT, "request: the deadline passed");
    return RAG_OK;
}

void pipeline_note_degraded(struct retrieval *r, enum stage stage, const struct rag_error *why)
{
    assert(r->n_degraded < DEGRADED_MAX);
    r->degraded[r->n_degraded].stage = stage;
    r->degraded[r->n_degraded].why = *why;
    r->n_degraded++;
}

enum rag_status pipeline_leave_out(const struct pipeline_request *request, struct retrieval *r,
                                   enum stage stage, enum rag_status status,
                                   const struct rag_error *why, struct rag_error *reterr)
{
    enum rag_status wanted = pipeline_still_wanted(request, reterr);

    if (wanted != RAG_OK)
        return wanted;
    if (status == RAG_ENOMEM || status == RAG_ECANCELLED)
        return rag_fail(reterr, status, "%s", why->text);
    pipeline_note_degraded(r, stage, why);
    return RAG_OK;
}

struct lexical_query pipeline_lexical_query(const struct pipeline *p, const struct retrieval *r)
{
    return (struct lexical_query){
        .text = r->text.data,
        .n_bytes = r->text.len,
        .terms = &r->terms,
        .idf = r->idf,
        .question = &r->question,
        .analyzer = p->analyzer,
    };
}
