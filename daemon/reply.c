#include "daemon/reply.h"

#include "base/clock.h"
#include "daemon/fusion_settings.h"
#include "daemon/ranking_settings.h"

void reply_write_citation(struct json_writer *w, const char *key, const struct pipeline_answer *a,
                          size_t i)
{
    const struct citation *c = &a->result.citations[i];
    const struct passage *s = &a->retrieval.passages[c->passage];

    json_begin_object(w, key);
    json_put_int(w, "n", (int64_t)c->passage + 1);
    json_put_string(w, "document", s->document);
    json_put_int(w, "chunk", (int64_t)s->id);
    json_put_int(w, "byte_start", c->byte_start);
    json_put_int(w, "byte_end", c->byte_end);
    json_put_string_n(w, "text", s->text + (c->byte_start - s->byte_start),
                      c->byte_end - c->byte_start);
    json_put_string(w, "title", s->title);
    json_put_string(w, "heading", s->heading);
    json_put_int(w, "version", (int64_t)s->version_id);
    json_put_int(w, "answer_start", c->answer_start);
    json_put_int(w, "answer_end", c->answer_end);
    json_end_object(w);
}

static void write_cache(struct json_writer *w, const struct cache_use *use)
{
    char time[CLOCK_TEXT_BYTES];

    json_put_string(w, "cache", use->entry == 0 ? "none" : cache_kind_name(use->kind));
    if (use->entry == 0)
        return;
    clock_format(use->created_ms, time);
    json_begin_object(w, "cached_from");
    json_put_int(w, "entry", (int64_t)use->entry);
    json_put_string(w, "question", use->question);
    json_put_double(w, "similarity", (double)use->similarity);
    json_put_double(w, "threshold", use->threshold);
    json_put_string(w, "created", time);
    json_put_string(w, "request_id", use->request_id);
    json_end_object(w);
}

static void write_finding(struct json_writer *w, const struct guard_note *note)
{
    const struct guard_finding *f = &note->finding;

    json_begin_object(w, NULL);
    json_put_string(w, "stage", guard_stage_name(note->stage));
    json_put_string(w, "rule", f->rule);
    json_put_string(w, "detail", f->detail);
    json_put_string(w, "action", guard_action_name(f->action));
    if (note->stage == GUARD_PASSAGE) {
        json_put_int(w, "passage", (int64_t)note->passage);
        json_put_int(w, "chunk", (int64_t)note->chunk);
        json_put_bool(w, "beside", note->beside);
    }
    json_put_int(w, "start", f->start);
    json_put_int(w, "end", f->end);
    json_put_double(w, "score", (double)f->score);
    json_end_object(w);
}

void reply_write_guard(struct json_writer *w, const struct guard_notes *notes)
{
    if (notes->n == 0)
        return;
    json_begin_object(w, "guard");
    json_put_string(w, "verdict", guard_action_name(notes->verdict));
    json_begin_array(w, "findings");
    for (size_t i = 0; i < notes->n; i++)
        write_finding(w, &notes->items[i]);
    json_end_array(w);
    json_put_bool(w, "truncated", notes->truncated);
    json_end_object(w);
}

void reply_write_nearest(struct json_writer *w, const struct pipeline_answer *a)
{
    json_begin_array(w, "nearest");
    for (size_t i = 0; i < a->n_nearest; i++) {
        const struct nearest *s = &a->nearest[i];

        json_begin_object(w, NULL);
        json_put_string(w, "document", s->document);
        json_put_int(w, "chunk", (int64_t)s->chunk);
        json_put_int(w, "version", (int64_t)s->version_id);
        json_put_string(w, "title", s->title);
        json_put_string(w, "heading", s->heading);
        json_put_int(w, "byte_start", s->byte_start);
        json_put_int(w, "byte_end", s->byte_end);
        json_put_double(w, "score", (double)s->score);
        json_put_string(w, "by", s->by_vectors ? "vectors" : "search");
        json_put_string(w, "snippet", s->snippet);
        json_put_int(w, "snippet_start", s->snippet_start);
        json_put_int(w, "snippet_end", s->snippet_end);
        json_end_object(w);
    }
    json_end_array(w);
}

void reply_write_answer(struct json_writer *w, const struct pipeline_answer *a)
{
    json_put_string(w, "answer", a->refused ? "" : buf_str(&a->result.answer));
    json_put_bool(w, "refused", a->refused);
    json_put_string(w, "reason", a->reason);
    json_put_string(w, "reason_code", a->reason_code);
    if (a->refused)
        reply_write_nearest(w, a);
    json_begin_array(w, "citations");
    for (size_t i = 0; !a->refused && i < a->result.n_citations; i++)
        reply_write_citation(w, NULL, a, i);
    json_end_array(w);
    /* the value alone (a date, a number, a name) where the backend is sure of it */
    json_put_string(w, "short_answer", a->refused ? "" : a->result.short_answer);
    json_put_double(w, "relevance", (double)a->verdict.relevance);
    json_put_double(w, "confidence", (double)a->result.confidence);
    json_put_string(w, "backend",
                    a->result.backend && *a->result.backend ? a->result.backend : "none");
    if (a->result.backend && *a->result.backend) {
        json_put_string(w, "finish_reason", finish_reason_name(a->result.finish_reason));
        json_put_int(w, "passages_given", (int64_t)(a->n_given - a->result.passages_dropped));
        json_put_int(w, "passages_dropped", (int64_t)a->result.passages_dropped);
        json_put_int(w, "sentences_removed", (int64_t)a->result.sentences_removed);
    }
    if (a->result.model_fingerprint && *a->result.model_fingerprint) { /* a decoder */
        json_put_string(w, "model_fingerprint", a->result.model_fingerprint);
        reply_write_usage(w, &a->result);
    }
    json_put_string(w, "standalone_question", buf_str(&a->standalone));
    write_cache(w, &a->cache);
    reply_write_guard(w, &a->retrieval.guard);
}

void reply_write_messages(struct json_writer *w, const struct message *messages, size_t n)
{
    json_begin_array(w, "messages");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "role", message_role_name(messages[i].role));
        json_put_string(w, "content", messages[i].text);
        json_end_object(w);
    }
    json_end_array(w);
}

void reply_write_usage(struct json_writer *w, const struct generator_result *r)
{
    json_begin_object(w, "usage");
    json_put_int(w, "prompt_tokens", (int64_t)r->prompt_tokens);
    json_put_int(w, "completion_tokens", (int64_t)r->output_tokens);
    json_put_int(w, "total_tokens", (int64_t)(r->prompt_tokens + r->output_tokens));
    json_begin_object(w, "prompt_tokens_details");
    json_put_int(w, "cached_tokens", (int64_t)r->cached_tokens);
    json_end_object(w);
    json_end_object(w);
    json_begin_object(w, "timings_ms");
    json_put_double(w, "prefill", r->prefill_ms);
    json_put_double(w, "decode", r->decode_ms);
    json_end_object(w);
}

/* A rank, or null where the stage ran and did not return the passage, and its score. */
static void write_stage(struct json_writer *w, const char *rank_key, const char *score_key,
                        uint32_t rank, float score, bool exact)
{
    if (rank == RANK_NONE) {
        json_put_null(w, rank_key);
        json_put_null(w, score_key);
        return;
    }
    json_put_int(w, rank_key, rank);
    if (exact)
        json_put_exact(w, score_key, (double)score);
    else
        json_put_double(w, score_key, (double)score);
}

void reply_write_ranks(struct json_writer *w, const struct retrieval *r, const struct passage *s,
                       bool exact)
{
    if (r->mode != SEARCH_DENSE)
        write_stage(w, "bm25_rank", "bm25_score", s->bm25_rank, s->bm25_score, exact);
    if (r->mode != SEARCH_BM25)
        write_stage(w, "dense_rank", "dense_score", s->dense_rank, s->dense_score, exact);
    if (r->mode == SEARCH_HYBRID)
        write_stage(w, "fused_rank", "fused_score", s->fused_rank, s->fused_score, exact);
    if (r->ran[STAGE_RERANK])
        write_stage(w, "rerank_rank", "rerank_score", s->rerank_rank, s->rerank_score, exact);
}

void reply_write_results(struct json_writer *w, const char *key, const struct retrieval *r,
                         size_t n)
{
    json_begin_array(w, key);
    for (size_t i = 0; i < n && i < r->n_passages; i++) {
        const struct passage *s = &r->passages[i];

        if (s->id == 0) /* of a cached answer that does not cite it */
            continue;
        json_begin_object(w, NULL);
        json_put_int(w, "rank", (int64_t)i + 1);
        json_put_string(w, "document", s->document);
        json_put_int(w, "chunk", (int64_t)s->id);
        json_put_double(w, "score", (double)s->score);
        json_put_string(w, "title", s->title);
        json_put_string(w, "heading", s->heading);
        if (s->context[0] != '\0')
            json_put_string(w, "context", s->context);
        json_put_string_n(w, "text", s->text, s->text_bytes);
        json_put_int(w, "byte_start", s->byte_start);
        json_put_int(w, "byte_end", s->byte_end);
        json_put_int(w, "version", (int64_t)s->version_id);
        reply_write_ranks(w, r, s, false);
        json_end_object(w);
    }
    json_end_array(w);
}

static const struct passage *find_passage(const struct retrieval *r, uint64_t id)
{
    for (size_t i = 0; i < r->n_fetched; i++)
        if (r->passages[i].id == id)
            return &r->passages[i];
    return NULL;
}

static void write_ranked(struct json_writer *w, const struct passage *s, float score)
{
    json_begin_object(w, NULL);
    json_put_string(w, "document", s->document);
    json_put_int(w, "chunk", (int64_t)s->id);
    json_put_int(w, "byte_start", s->byte_start);
    json_put_int(w, "byte_end", s->byte_end);
    json_put_double(w, "score", (double)score);
    json_end_object(w);
}

void reply_write_rankings(struct json_writer *w, const struct retrieval *r, size_t n)
{
    json_begin_object(w, "stages");
    for (size_t i = 0; i < r->n_rankings; i++) {
        const struct ranking *ranking = &r->rankings[i];

        json_begin_array(w, ranking->stage);
        for (size_t k = 0; k < n && k < ranking->n; k++) {
            const struct passage *s = find_passage(r, ranking->items[k].id);

            if (s) /* else it was deleted while we searched */
                write_ranked(w, s, ranking->items[k].score);
        }
        json_end_array(w);
    }
    if (r->ran[STAGE_RERANK]) {
        json_begin_array(w, "rerank");
        for (size_t i = 0; i < n && i < r->n_passages; i++)
            write_ranked(w, &r->passages[i], r->passages[i].score);
        json_end_array(w);
    }
    json_end_object(w);
}

static void write_words(struct json_writer *w, const struct passage *s)
{
    const struct lexical_evidence *e = &s->words;

    json_begin_object(w, NULL);
    json_put_exact(w, "bm25", (double)e->bm25);
    json_put_exact(w, "sentence", (double)e->sentence);
    json_put_exact(w, "window", (double)e->window);
    json_put_exact(w, "proximity", (double)e->proximity);
    if (e->form)
        json_put_bool(w, "kind", e->kind);
    else
        json_put_null(w, "kind");
    if (s->cross_read)
        json_put_exact(w, "cross", (double)s->cross_score);
    else
        json_put_null(w, "cross");
    json_end_object(w);
}

void reply_write_explanation(struct json_writer *w, const struct retrieval *r, size_t n)
{
    json_begin_object(w, "explanation");
    json_begin_array(w, "words");
    for (size_t i = 0; i < n && i < r->n_passages; i++) {
        if (r->passages[i].words.read)
            write_words(w, &r->passages[i]);
        else
            json_put_null(w, NULL);
    }
    json_end_array(w);
    json_begin_object(w, "lexical");
    lexical_settings_write(w, &r->lexical);
    json_end_object(w);
    json_begin_object(w, "rerank");
    rerank_settings_write(w, r->rerank_words);
    json_end_object(w);
    json_begin_object(w, "gate");
    json_put_bool(w, "pass", r->gate.pass);
    json_put_exact(w, "relevance", (double)r->gate.relevance);
    json_put_string(w, "reason_code", r->gate.code);
    json_end_object(w);
    json_end_object(w);
}

void reply_write_retrieval(struct json_writer *w, const struct retrieval *r)
{
    json_put_string(w, "mode", search_mode_name(r->mode));
    if (r->mode == SEARCH_HYBRID) {
        json_begin_object(w, "fusion");
        fusion_settings_write(w, &r->fusion);
        json_end_object(w);
        if (r->fusion.method == FUSION_SCALED)
            json_put_double(w, "words_trusted", 1.0 - (double)r->doubt);
    }
    if (r->adapter[0])
        json_put_string(w, "adapter", r->adapter);
    json_put_string(w, "reranker", r->reranker);
    reply_write_degraded(w, r);
}

void reply_write_degraded(struct json_writer *w, const struct retrieval *r)
{
    json_begin_array(w, "degraded");
    for (size_t i = 0; i < r->n_degraded; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "stage", stage_name(r->degraded[i].stage));
        json_put_string(w, "reason", r->degraded[i].why.text);
        json_end_object(w);
    }
    json_end_array(w);
}

void reply_write_stages(struct json_writer *w, const struct retrieval *r)
{
    json_begin_object(w, "stages_ms");
    for (int s = 0; s < N_STAGES; s++)
        if (r->ran[s])
            json_put_double(w, stage_name((enum stage)s), r->stages_ms[s]);
    json_end_object(w);
}
