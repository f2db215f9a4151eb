#include "generate/decode_job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"

enum rag_status decode_job_init(struct decode_job *job, const struct decode_request *request,
                                const struct tokenizer *tokenizer,
                                const struct token_bytes *token_bytes, size_t vocab_size,
                                size_t draft_tokens, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    memset(job, 0, sizeof *job);
    job->request = request;
    job->token_bytes = token_bytes;
    job->vocab_size = vocab_size;
    job->draft_max = draft_tokens;
    job->outcome.n_prompt = request->n_prompt;
    buf_init(&job->piece, ANSWER_BYTES_MAX);
    buf_init(&job->fresh, ANSWER_BYTES_MAX);
    buf_init(&job->text, ANSWER_BYTES_MAX);
    token_stream_init(&job->stream, tokenizer, true);
    pthread_cond_init(&job->wake, NULL);
    job->ids = malloc((request->n_prompt + request->n_new_max) * sizeof *job->ids);
    if (!job->ids) {
        status = rag_fail(reterr, RAG_ENOMEM, "generation: out of memory");
        goto out;
    }
    memcpy(job->ids, request->prompt, request->n_prompt * sizeof *job->ids);
    job->n_ids = request->n_prompt;
    status = sampler_open(request->sampling, vocab_size, &job->sampler, reterr);
    if (status == RAG_OK)
        status = sampler_accept(job->sampler, job->ids, job->n_ids, reterr);
    if (status == RAG_OK)
        status = stop_filter_open(request->sampling->stop, &job->stop, reterr);
    if (status == RAG_OK && request->schema) {
        job->allowed = calloc((vocab_size + 63) / 64, sizeof *job->allowed);
        status = job->allowed ? json_schema_begin(request->schema, &job->schema, reterr)
                              : rag_fail(reterr, RAG_ENOMEM, "generation: out of memory");
    }
out:
    if (status != RAG_OK)
        decode_job_release(job);
    return status;
}

void decode_job_release(struct decode_job *job)
{
    assert(!job->sequence);
    sampler_close(job->sampler);
    stop_filter_close(job->stop);
    json_schema_end(job->schema);
    token_stream_release(&job->stream);
    free(job->allowed);
    free(job->ids);
    buf_release(&job->piece);
    buf_release(&job->fresh);
    buf_release(&job->text);
    pthread_cond_destroy(&job->wake);
}

bool decode_job_prefilled(const struct decode_job *job)
{
    return job->first_ns != 0;
}

bool decode_job_unwanted(const struct decode_job *job, int64_t now_ns, enum finish_reason *ret)
{
    const struct decode_request *r = job->request;

    if (atomic_load(&job->stopped) || (r->cancel && atomic_load(r->cancel)))
        *ret = FINISH_CANCELLED;
    else if (r->deadline_ns != 0 && now_ns >= r->deadline_ns)
        *ret = FINISH_DEADLINE;
    else
        return false;
    return true;
}

void decode_job_draft(struct decode_job *job, size_t n_most)
{
    size_t n_output = job->n_ids - job->request->n_prompt;
    size_t n_left = job->request->n_new_max - n_output; /* >= 1 */

    job->n_draft = 0;
    if (job->n_turns_plain > 0) {
        job->n_turns_plain--;
        return;
    }
    if (n_most > job->draft_max)
        n_most = job->draft_max;
    if (n_most > n_left - 1)
        n_most = n_left - 1; /* the run's last logits give one token more */
    if (n_most > 0)
        job->n_draft = prompt_lookup(job->ids, job->n_ids, n_most, job->ids + job->n_ids);
}

/* ---- one token ---- */

/* fresh += the part of 'piece' that the stop strings let through. */
static enum rag_status show(struct decode_job *job, bool last, bool *ret_stopped,
                            struct rag_error *reterr)
{
    size_t before = job->fresh.len;
    enum rag_status status = stop_filter_put(job->stop, buf_str(&job->piece), job->piece.len,
                                             &job->fresh, ret_stopped, reterr);

    if (status == RAG_OK && last && !*ret_stopped)
        status = stop_filter_finish(job->stop, &job->fresh, reterr);
    if (status == RAG_OK)
        status = buf_status(&job->fresh);
    buf_reset(&job->piece);
    job->n_shown += job->fresh.len - before;
    return status;
}

static void end(struct decode_job *job, enum finish_reason reason)
{
    job->ended = true;
    job->outcome.finish_reason = reason;
}

/* An end that the model chose: what the stream holds back is shown. At a limit it is half a
 * character, or a blank before a word that does not come, and nobody misses it. */
static enum rag_status end_by_model(struct decode_job *job, struct rag_error *reterr)
{
    enum rag_status status = token_stream_finish(&job->stream, &job->piece, reterr);
    bool stopped = false;

    if (status == RAG_OK)
        status = show(job, true, &stopped, reterr);
    end(job, FINISH_STOP);
    return status;
}

static bool is_end(const struct decode_request *r, uint32_t id)
{
    for (size_t i = 0; i < r->n_ends; i++)
        if (r->ends[i] == id)
            return true;
    return false;
}

/* A token joins the answer. */
static enum rag_status accept(struct decode_job *job, uint32_t id, struct rag_error *reterr)
{
    const struct decode_request *r = job->request;
    bool complete = false;
    bool stopped = false;
    enum rag_status status;
    bool last;

    job->ids[job->n_ids++] = id;
    job->outcome.n_output++;
    last = job->outcome.n_output == r->n_new_max;
    status = sampler_accept(job->sampler, &id, 1, reterr);
    if (status == RAG_OK && job->schema) {
        status = json_schema_put(job->schema, job->token_bytes, id, reterr);
        /* a model without an end token could say nothing more */
        complete = status == RAG_OK && r->n_ends == 0 && json_schema_complete(job->schema);
    }
    /* rows that a model has beyond its tokenizer's ids, as Qwen's, are tokens without a text */
    if (status == RAG_OK && id < tokenizer_vocab_size(job->stream.tokenizer))
        status = token_stream_put(&job->stream, id, &job->piece, reterr);
    if (status == RAG_OK)
        status = show(job, last && !complete, &stopped, reterr);
    if (status != RAG_OK)
        return status;
    job->outcome.stop_string = stopped;
    if (stopped)
        end(job, FINISH_STOP);
    else if (complete)
        return end_by_model(job, reterr);
    else if (last || job->n_shown >= ANSWER_BYTES_MAX - TOKENIZER_TOKEN_BYTES_MAX)
        end(job, FINISH_LENGTH);
    return RAG_OK;
}

/* The next token from its logits; *ret_id is not set when it ended. */
static enum rag_status take(struct decode_job *job, float *logits, uint32_t *ret_id,
                            struct rag_error *reterr)
{
    const struct decode_request *r = job->request;
    enum rag_status status = RAG_OK;
    uint32_t id = 0;

    if (job->schema)
        status = json_schema_allowed(job->schema, job->token_bytes, r->ends, r->n_ends,
                                     job->allowed, job->vocab_size, reterr);
    if (status == RAG_OK)
        status = sampler_next(job->sampler, logits, job->allowed, &id, reterr);
    if (status != RAG_OK)
        return status;
    *ret_id = id;
    return is_end(r, id) ? end_by_model(job, reterr) : accept(job, id, reterr);
}

/* More after a draft that was taken whole, fewer after one that was not, and a pause that doubles
 * after one of which nothing was: a text that copies nothing pays one token in 16. */
static void adapt(struct decode_job *job, size_t n_taken, size_t draft_tokens)
{
    if (job->n_draft == 0)
        return;
    job->outcome.n_drafted += job->n_draft;
    job->outcome.n_accepted += n_taken;
    if (n_taken == job->n_draft) {
        job->draft_max = job->draft_max * 2 < draft_tokens ? job->draft_max * 2 : draft_tokens;
    } else {
        job->draft_max = n_taken + 1;
    }
    job->n_misses = n_taken > 0 ? 0 : job->n_misses + (job->n_misses < 4);
    if (n_taken == 0)
        job->n_turns_plain = (1u << job->n_misses) - 1;
}

enum rag_status decode_job_advance(struct decode_job *job, float *logits, size_t draft_tokens,
                                   struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_taken = 0;

    if (job->first_ns == 0)
        job->first_ns = clock_monotonic_ns();
    for (size_t row = 0; row <= job->n_draft && status == RAG_OK && !job->ended; row++) {
        /* accept() writes over it */
        uint32_t expected = row < job->n_draft ? job->ids[job->n_ids] : 0;
        uint32_t id = 0;

        status = take(job, logits + row * job->vocab_size, &id, reterr);
        if (row == job->n_draft || id != expected)
            break;
        n_taken++;
    }
    adapt(job, n_taken, draft_tokens);
    job->n_draft = 0;
    return status;
}
