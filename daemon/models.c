#include "daemon/models.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "cache/embedding_cache.h"
#include "daemon/compute_turns.h"
#include "daemon/model_queue.h"

enum { LANE_EMBED, LANE_RERANK };

struct models {
    struct compute_pool *pool;
    struct bi_encoder *embedder;    /* or NULL */
    struct cross_encoder *reranker; /* or NULL */
    size_t reranker_max_tokens;
    enum precision precision;
    struct metrics *metrics; /* borrowed, or NULL */
    struct compute_turns *turns;
    struct model_queue *queue;
    struct embedding_cache *questions; /* their vectors; NULL: no embedder */

    pthread_mutex_t mutex; /* guards what follows */
    uint64_t n_texts;
    uint64_t n_tokens;
    uint64_t n_pairs;
    double tokens_per_s;
};

struct embed_items {
    const struct bi_encoder *encoder;
    const struct embed_text *texts;
    size_t dim;
    size_t max_tokens;
    float *vectors;   /* [n, dim] */
    uint32_t *tokens; /* [n] or NULL */
};

struct rerank_items {
    struct pair_text query;
    const struct pair_text *passages;
    size_t max_tokens;
    bool raw;
    float *scores; /* [n] */
};

/* A guess that needs no tokenizer: three bytes a token are one Hangul syllable, or a short word's
 * share; the speed is measured in the same unit. */
static size_t guess_tokens(size_t n_bytes, size_t max_tokens)
{
    size_t n = n_bytes / 3 + 3;

    return n < max_tokens ? n : max_tokens;
}

static size_t embed_cost(const struct model_request *r, size_t i)
{
    const struct embed_items *e = r->items;

    return guess_tokens(e->texts[i].n_bytes, e->max_tokens);
}

static size_t rerank_cost(const struct model_request *r, size_t i)
{
    const struct rerank_items *x = r->items;

    return guess_tokens(x->query.n_bytes + x->passages[i].n_bytes, x->max_tokens);
}

/* ---- on the queue's thread ---- */

static void count_texts(struct models *m, size_t n, uint64_t n_tokens, double ms, bool bulk)
{
    pthread_mutex_lock(&m->mutex);
    m->n_texts += n;
    m->n_tokens += n_tokens;
    if (ms > 0.01) {
        double rate = (double)n_tokens * 1000 / ms;

        m->tokens_per_s = m->tokens_per_s > 0 ? .8 * m->tokens_per_s + .2 * rate : rate;
    }
    pthread_mutex_unlock(&m->mutex);
    if (m->metrics) {
        metrics_add(m->metrics, METRIC_MODEL_TEXTS, n);
        metrics_add(m->metrics, METRIC_MODEL_TOKENS, n_tokens);
        metrics_model(m->metrics, bulk ? METRICS_EMBED_BULK : METRICS_EMBED, ms);
    }
}

static void count_embedded(struct models *m, const uint32_t *tokens, size_t n, double ms, bool bulk)
{
    uint64_t n_tokens = 0;

    for (size_t i = 0; i < n; i++)
        n_tokens += tokens[i];
    count_texts(m, n, n_tokens, ms, bulk);
}

static void count_pairs(struct models *m, size_t n, double ms)
{
    pthread_mutex_lock(&m->mutex);
    m->n_pairs += n;
    pthread_mutex_unlock(&m->mutex);
    if (m->metrics) {
        metrics_add(m->metrics, METRIC_MODEL_PAIRS, n);
        metrics_model(m->metrics, METRICS_RERANK, ms);
    }
}

/* All parts have the same encoder and role. */
static enum rag_status run_embed(struct models *m, const struct model_part *parts, size_t n_parts,
                                 const atomic_bool *cancel, struct rag_error *reterr)
{
    const struct model_request *first = parts[0].request;
    const struct embed_items *e = first->items;
    struct embed_text *texts = NULL;
    uint32_t *tokens = NULL;
    float *vectors = NULL;
    enum rag_status status;
    int64_t begun;
    size_t n = 0;

    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].n;
    texts = malloc(n * sizeof *texts);
    tokens = malloc(n * sizeof *tokens);
    vectors = malloc(n * e->dim * sizeof *vectors);
    if (!texts || !tokens || !vectors) {
        status = rag_fail(reterr, RAG_ENOMEM, "models: out of memory");
        goto out;
    }
    n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const struct embed_items *p = parts[i].request->items;

        memcpy(texts + n, p->texts + parts[i].first, parts[i].n * sizeof *texts);
        n += parts[i].n;
    }
    begun = clock_monotonic_ns();
    status = bi_encoder_embed(e->encoder, texts, n, (enum embed_role)first->role, cancel, vectors,
                              tokens, reterr);
    if (status != RAG_OK)
        goto out;
    count_embedded(m, tokens, n, clock_elapsed_ms(begun), first->work_class == MODEL_BULK);
    n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const struct embed_items *p = parts[i].request->items;

        memcpy(p->vectors + parts[i].first * p->dim, vectors + n * p->dim,
               parts[i].n * p->dim * sizeof *vectors);
        if (p->tokens)
            memcpy(p->tokens + parts[i].first, tokens + n, parts[i].n * sizeof *tokens);
        n += parts[i].n;
    }
out:
    free(texts);
    free(tokens);
    free(vectors);
    return status;
}

static enum rag_status run_rerank(struct models *m, const struct model_part *part,
                                  const atomic_bool *cancel, struct rag_error *reterr)
{
    const struct rerank_items *x = part->request->items;
    int64_t begun = clock_monotonic_ns();
    size_t n_scored = 0;
    enum rag_status status =
        cross_encoder_score(m->reranker, x->query, x->passages + part->first, part->n, x->raw, 0,
                            cancel, x->scores + part->first, &n_scored, reterr);

    if (status != RAG_OK)
        return status;
    assert(n_scored == part->n); /* there was no deadline */
    count_pairs(m, n_scored, clock_elapsed_ms(begun));
    return RAG_OK;
}

static enum rag_status run_slice(void *context, const struct model_part *parts, size_t n,
                                 const atomic_bool *cancel, struct rag_error *reterr)
{
    const struct model_request *first = parts[0].request;
    struct models *m = context;
    enum rag_status status;

    assert(n == 1 || first->lane == LANE_EMBED);
    compute_turns_begin_slice(m->turns, first->work_class == MODEL_BULK);
    if (first->lane == LANE_EMBED)
        status = run_embed(m, parts, n, cancel, reterr);
    else
        status = run_rerank(m, &parts[0], cancel, reterr);
    compute_turns_end_slice(m->turns);
    return status;
}

/* ---- the decoder's turns ---- */

static void begin_layer(void *context)
{
    struct models *m = context;

    compute_turns_begin_layer(m->turns);
}

static void end_run(void *context)
{
    struct models *m = context;

    compute_turns_end_run(m->turns);
}

struct decode_turns models_decode_turns(struct models *m)
{
    return (struct decode_turns){begin_layer, begin_layer, end_run, m};
}

/* ---- open and close ---- */

static bool is_given(const char *dir)
{
    return dir && dir[0] != '\0';
}

static enum rag_status open_models(struct models *m, const struct models_options *o,
                                   struct rag_error *reterr)
{
    struct bi_encoder_options embedder = {
        .precision = o->precision,
        .pool = m->pool,
        .max_tokens = o->embedder_max_tokens,
        .dim = o->embedder_dim,
        .query_prompt = o->query_prompt,
        .passage_prompt = o->passage_prompt,
    };
    struct cross_encoder_options reranker = {
        .precision = o->precision,
        .pool = m->pool,
        .max_tokens = o->reranker_max_tokens,
    };
    struct cross_encoder_info info;
    enum rag_status status = RAG_OK;

    if (o->remote_embedder)
        status = bi_encoder_open_remote(o->remote_embedder, &m->embedder, reterr);
    else if (is_given(o->embedder_dir))
        status = bi_encoder_open(o->embedder_dir, &embedder, &m->embedder, reterr);
    if (status == RAG_OK && m->embedder)
        status = embedding_cache_open(EMBEDDING_CACHE_DEFAULT, &m->questions, reterr);
    if (status == RAG_OK && o->remote_reranker)
        status = cross_encoder_open_remote(o->remote_reranker, &m->reranker, reterr);
    else if (status == RAG_OK && is_given(o->reranker_dir))
        status = cross_encoder_open(o->reranker_dir, &reranker, &m->reranker, reterr);
    if (status == RAG_OK && m->reranker) {
        cross_encoder_info(m->reranker, &info);
        m->reranker_max_tokens = info.max_tokens;
    }
    return status;
}

enum rag_status models_open(const struct models_options *options, struct models **ret,
                            struct rag_error *reterr)
{
    struct models *m = calloc(1, sizeof *m);
    struct model_queue_options queue = {run_slice, m};
    enum rag_status status = RAG_OK;

    if (!m)
        return rag_fail(reterr, RAG_ENOMEM, "models: out of memory");
    pthread_mutex_init(&m->mutex, NULL);
    m->precision = options->precision;
    m->metrics = options->metrics;
    if (is_given(options->embedder_dir) || is_given(options->reranker_dir) ||
        options->for_decoder) {
        status = compute_pool_open(options->n_threads, &m->pool, reterr);
        if (status == RAG_OK)
            status = compute_turns_open(DECODER_BULK_MS * 1000000ll, &m->turns, reterr);
        if (status == RAG_OK)
            status = model_queue_open(&queue, &m->queue, reterr);
    }
    if (status == RAG_OK)
        status = open_models(m, options, reterr);
    if (status != RAG_OK) {
        models_close(m);
        return status;
    }
    *ret = m;
    return RAG_OK;
}

void models_close(struct models *m)
{
    if (!m)
        return;
    model_queue_close(m->queue);
    embedding_cache_close(m->questions);
    bi_encoder_close(m->embedder);
    cross_encoder_close(m->reranker);
    compute_turns_close(m->turns);
    compute_pool_close(m->pool);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

const struct bi_encoder *models_embedder(const struct models *m)
{
    return m->embedder;
}

const struct cross_encoder *models_reranker(const struct models *m)
{
    return m->reranker;
}

bool models_embedder_is_remote(const struct models *m)
{
    return m->embedder && bi_encoder_remote(m->embedder);
}

bool models_reranker_is_remote(const struct models *m)
{
    return m->reranker && cross_encoder_remote(m->reranker);
}

struct compute_pool *models_pool(const struct models *m)
{
    return m->pool;
}

enum precision models_precision(const struct models *m)
{
    return m->precision;
}

/* ---- requests ---- */

/* Wait for the queue; a decoder knows that a question does. */
static enum rag_status run_request(struct models *m, struct model_request *request,
                                   size_t *ret_n_done, struct rag_error *reterr)
{
    bool question = request->work_class == MODEL_INTERACTIVE;
    enum rag_status status;

    if (question)
        compute_turns_enter(m->turns);
    status = model_queue_run(m->queue, request, ret_n_done, reterr);
    if (question)
        compute_turns_leave(m->turns);
    return status;
}

static enum rag_status must_stay(const char *what, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EDENIED,
                    "%s: is another server, and an offline collection sends nothing there", what);
}

static const char *prompt_of(const struct bi_encoder *b, enum embed_role role)
{
    struct bi_encoder_info info;

    bi_encoder_info(b, &info);
    return role == EMBED_QUERY     ? info.query_prompt
           : role == EMBED_PASSAGE ? info.passage_prompt
                                   : NULL;
}

static enum rag_status embed_there(struct models *m, const struct bi_encoder *b,
                                   enum models_class c, const struct embed_text *texts, size_t n,
                                   enum embed_role role, int64_t deadline_ns,
                                   const atomic_bool *cancel, float *ret_vectors,
                                   uint32_t *ret_tokens, struct rag_error *reterr)
{
    int64_t begun = clock_monotonic_ns();
    uint64_t n_tokens = 0;
    enum rag_status status =
        remote_embedder_embed(bi_encoder_remote(b), texts, n, prompt_of(b, role), deadline_ns,
                              cancel, ret_vectors, &n_tokens, reterr);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; ret_tokens && i < n; i++)
        ret_tokens[i] = i == 0 ? (uint32_t)n_tokens : 0;
    count_texts(m, n, n_tokens, clock_elapsed_ms(begun), c == MODELS_BULK);
    return RAG_OK;
}

static enum rag_status rerank_there(struct models *m, struct pair_text query,
                                    const struct pair_text *passages, size_t n, bool raw,
                                    int64_t budget_ns, const atomic_bool *cancel, float *ret_scores,
                                    size_t *ret_n_scored, struct rag_error *reterr)
{
    int64_t begun = clock_monotonic_ns();
    enum rag_status status = remote_reranker_score(
        cross_encoder_remote(m->reranker), query, passages, n, raw,
        budget_ns > 0 ? begun + budget_ns : 0, cancel, ret_scores, ret_n_scored, reterr);

    if (status == RAG_OK)
        count_pairs(m, *ret_n_scored, clock_elapsed_ms(begun));
    return status;
}

enum rag_status models_embed(struct models *m, const struct bi_encoder *b, enum models_class c,
                             enum models_reach reach, const struct embed_text *texts, size_t n,
                             enum embed_role role, int64_t deadline_ns, const atomic_bool *cancel,
                             float *ret_vectors, uint32_t *ret_tokens, struct rag_error *reterr)
{
    struct bi_encoder_info info;
    struct embed_items items = {b, texts, 0, 0, ret_vectors, ret_tokens};
    struct model_request request = {
        .work_class = c == MODELS_BULK ? MODEL_BULK : MODEL_INTERACTIVE,
        .model = b,
        .role = (int)role,
        .lane = LANE_EMBED,
        .n = n,
        .cost = embed_cost,
        .items = &items,
        .deadline_ns = deadline_ns,
        .cancel = cancel,
    };
    size_t n_done = 0;

    if (n == 0)
        return RAG_OK;
    if (bi_encoder_remote(b))
        return reach == MODELS_MAY_LEAVE ? embed_there(m, b, c, texts, n, role, deadline_ns, cancel,
                                                       ret_vectors, ret_tokens, reterr)
                                         : must_stay("embedder", reterr);
    assert(m->queue);
    bi_encoder_info(b, &info);
    items.dim = info.dim;
    items.max_tokens = info.max_tokens;
    return run_request(m, &request, &n_done, reterr);
}

enum rag_status models_embed_question(struct models *m, const struct bi_encoder *b,
                                      enum models_reach reach, const char *text, size_t n_bytes,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_vector, struct rag_error *reterr)
{
    struct embed_text question = {text, n_bytes};
    struct bi_encoder_info info;
    enum rag_status status;

    bi_encoder_info(b, &info);
    if (embedding_cache_get(m->questions, info.fingerprint, text, n_bytes, info.dim, ret_vector))
        return RAG_OK;
    status = models_embed(m, b, MODELS_INTERACTIVE, reach, &question, 1, EMBED_QUERY, deadline_ns,
                          cancel, ret_vector, NULL, reterr);
    if (status == RAG_OK)
        embedding_cache_put(m->questions, info.fingerprint, text, n_bytes, ret_vector, info.dim);
    return status;
}

enum rag_status models_rerank(struct models *m, enum models_reach reach, struct pair_text query,
                              const struct pair_text *passages, size_t n, bool raw,
                              int64_t budget_ns, const atomic_bool *cancel, float *ret_scores,
                              size_t *ret_n_scored, struct rag_error *reterr)
{
    struct rerank_items items = {query, passages, m->reranker_max_tokens, raw, ret_scores};
    struct model_request request = {
        .work_class = MODEL_INTERACTIVE,
        .lane = LANE_RERANK,
        .n = n,
        .cost = rerank_cost,
        .items = &items,
        .stop_ns = budget_ns > 0 ? clock_monotonic_ns() + budget_ns : 0,
        .cancel = cancel,
    };

    if (!m->reranker)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "reranker: none is configured ([models] reranker of ragd.conf)");
    if (n == 0) {
        *ret_n_scored = 0;
        return RAG_OK;
    }
    if (cross_encoder_remote(m->reranker))
        return reach == MODELS_MAY_LEAVE ? rerank_there(m, query, passages, n, raw, budget_ns,
                                                        cancel, ret_scores, ret_n_scored, reterr)
                                         : must_stay("reranker", reterr);
    return run_request(m, &request, ret_n_scored, reterr);
}

void models_stats(struct models *m, struct models_stats *ret)
{
    struct model_queue_stats queue = {0};

    if (m->queue)
        model_queue_stats(m->queue, &queue);
    pthread_mutex_lock(&m->mutex);
    *ret = (struct models_stats){
        .n_texts = m->n_texts,
        .n_tokens = m->n_tokens,
        .n_batches = queue.n_slices,
        .n_pairs = m->n_pairs,
        .n_waiting = queue.n_waiting,
        .busy_ms = queue.busy_ms,
        .tokens_per_s = m->tokens_per_s,
    };
    pthread_mutex_unlock(&m->mutex);
}
