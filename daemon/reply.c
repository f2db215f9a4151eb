#include "daemon/reply.h"

#include <stdlib.h>
#include <string.h>

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

void reply_write_answer(struct json_writer *w, const struct pipeline_answer *a)
{
    json_put_string(w, "answer", a->refused ? "" : buf_str(&a->result.answer));
    json_put_bool(w, "refused", a->refused);
    json_put_string(w, "reason", a->reason);
    json_put_string(w, "reason_code", a->reason_code);
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
    json_put_string(w, "cache", "none");
}

void reply_write_results(struct json_writer *w, const char *key, const struct retrieval *r,
                         size_t n)
{
    json_begin_array(w, key);
    for (size_t i = 0; i < n && i < r->n_passages; i++) {
        const struct passage *s = &r->passages[i];

        json_begin_object(w, NULL);
        json_put_int(w, "rank", (int64_t)i + 1);
        json_put_string(w, "document", s->document);
        json_put_int(w, "chunk", (int64_t)s->id);
        json_put_double(w, "score", (double)s->rerank_score);
        json_put_string(w, "title", s->title);
        json_put_string(w, "heading", s->heading);
        if (s->context[0] != '\0')
            json_put_string(w, "context", s->context);
        json_put_string_n(w, "text", s->text, s->text_bytes);
        json_put_int(w, "byte_start", s->byte_start);
        json_put_int(w, "byte_end", s->byte_end);
        json_put_int(w, "version", (int64_t)s->version_id);
        json_put_int(w, "bm25_rank", s->bm25_rank);
        json_put_double(w, "bm25_score", (double)s->bm25_score);
        json_put_double(w, "rerank_score", (double)s->rerank_score);
        json_end_object(w);
    }
    json_end_array(w);
}

static int by_bm25_rank(const void *a, const void *b)
{
    const struct passage *x = *(const struct passage *const *)a;
    const struct passage *y = *(const struct passage *const *)b;

    return (x->bm25_rank > y->bm25_rank) - (x->bm25_rank < y->bm25_rank);
}

static void write_ranking(struct json_writer *w, const char *stage,
                          const struct passage *const *list, size_t n, bool bm25)
{
    json_begin_array(w, stage);
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "document", list[i]->document);
        json_put_int(w, "chunk", (int64_t)list[i]->id);
        json_put_double(w, "score", (double)(bm25 ? list[i]->bm25_score : list[i]->rerank_score));
        json_end_object(w);
    }
    json_end_array(w);
}

enum rag_status reply_write_rankings(struct json_writer *w, const struct retrieval *r, size_t n)
{
    const struct passage **list = calloc(r->n_passages + 1, sizeof *list);

    if (!list)
        return RAG_ENOMEM;
    if (n > r->n_passages)
        n = r->n_passages;
    for (size_t i = 0; i < r->n_passages; i++)
        list[i] = &r->passages[i];
    json_begin_object(w, "stages");
    write_ranking(w, "rerank", list, n, false);
    qsort(list, r->n_passages, sizeof *list, by_bm25_rank);
    write_ranking(w, "bm25", list, n, true);
    json_end_object(w);
    free(list);
    return RAG_OK;
}

void reply_write_stages(struct json_writer *w, const struct retrieval *r)
{
    json_begin_object(w, "stages_ms");
    for (int s = 0; s < N_STAGES; s++)
        if (r->ran[s])
            json_put_double(w, stage_name((enum stage)s), r->stages_ms[s]);
    json_end_object(w);
}
