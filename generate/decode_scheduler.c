#include "generate/decode_scheduler.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "generate/decode_job.h"
#include "nn/kv_cache_file.h"

_Static_assert(DECODE_RUNNING_MAX + DECODE_DRAFT_MAX + DECODE_CHUNK_MAX <= DECODER_RUN_TOKENS_MAX,
               "a turn is one run");

struct decode_scheduler {
    struct decode_scheduler_options options;
    struct decoder_info decoder;
    uint64_t page_bytes; /* of all layers */
    pthread_t thread;

    /* the thread's own */
    struct kv_cache *kv;
    struct decode_job **running;  /* [n_running_max], in the order of their admission */
    size_t n_running;             /* of 'running' */
    struct decoder_input *inputs; /* [n_inputs] of this turn */
    struct decode_job **in_turn;  /* [n_inputs], whose they are */
    size_t n_inputs;
    struct decode_job *const *in_run; /* [n_in_run], of those, whom the run computes for */
    size_t n_in_run;
    float *logits;       /* [n_running_max + draft_tokens, vocab_size] */
    size_t chunk_tokens; /* of this turn, by how long layers took */
    int64_t layer_ns;    /* when the layer that is computed began */
    int64_t layer_ns_max;
    atomic_bool abort; /* the run that is computed: too much of it is not wanted any more */

    atomic_bool stopping;
    pthread_mutex_t schema_mutex; /* guards token_bytes until it is there */
    struct token_bytes *token_bytes;

    pthread_mutex_t mutex; /* guards what follows, and the jobs' third part */
    pthread_cond_t work;   /* a job came, or stopping */
    pthread_cond_t left;   /* the last caller left */
    struct decode_job *first;
    struct decode_job **last;
    size_t n_callers;
    struct decode_scheduler_stats stats;
};

static size_t pages_of(size_t n_tokens)
{
    return (n_tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
}

/* ---- the end of a job ---- */

/* Tell the caller, who has it from then on. The mutex is held. */
static void hand_back(struct decode_scheduler *s, struct decode_job *job, enum rag_status status)
{
    const struct decode_outcome *o = &job->outcome;

    job->status = status;
    job->finished = true;
    s->stats.n_requests++;
    s->stats.n_prompt_tokens += job->first_ns ? o->n_prompt : 0;
    s->stats.n_cached_tokens += o->n_cached;
    s->stats.n_output_tokens += o->n_output;
    s->stats.n_drafted += o->n_drafted;
    s->stats.n_accepted += o->n_accepted;
    pthread_cond_signal(&job->wake);
}

/* Text of this turn to the caller. The mutex is held. */
static enum rag_status pass_text(struct decode_job *job)
{
    if (job->fresh.len == 0)
        return RAG_OK;
    buf_append(&job->text, job->fresh.data, job->fresh.len);
    buf_reset(&job->fresh);
    pthread_cond_signal(&job->wake);
    if (buf_status(&job->text) != RAG_OK)
        return rag_fail(&job->error, buf_status(&job->text), "generation: out of memory");
    return RAG_OK;
}

/* A running job ends; its slot and its memory are free. */
static void finish(struct decode_scheduler *s, struct decode_job *job, enum rag_status status)
{
    int64_t now = clock_monotonic_ns();
    struct decode_outcome *o = &job->outcome;
    size_t i = 0;

    while (s->running[i] != job)
        i++;
    memmove(&s->running[i], &s->running[i + 1], (s->n_running - i - 1) * sizeof *s->running);
    s->n_running--;
    kv_sequence_close(job->sequence);
    job->sequence = NULL;
    o->queued_ns = job->admitted_ns - job->begun_ns;
    o->prefill_ns = (job->first_ns ? job->first_ns : now) - job->admitted_ns;
    o->decode_ns = job->first_ns ? now - job->first_ns : 0;
    pthread_mutex_lock(&s->mutex);
    s->stats.n_running--;
    kv_cache_stats(s->kv, &s->stats.kv);
    if (status == RAG_OK)
        status = pass_text(job);
    hand_back(s, job, status);
    pthread_mutex_unlock(&s->mutex);
}

static bool is_unwanted(struct decode_scheduler *s, const struct decode_job *job, int64_t now,
                        enum finish_reason *ret)
{
    if (!atomic_load(&s->stopping))
        return decode_job_unwanted(job, now, ret);
    *ret = FINISH_CANCELLED;
    return true;
}

/* Who waits and is not wanted any more leaves. The mutex is held. */
static void sweep_waiting(struct decode_scheduler *s)
{
    int64_t now = clock_monotonic_ns();
    struct decode_job **at = &s->first;

    while (*at) {
        struct decode_job *job = *at;

        if (is_unwanted(s, job, now, &job->outcome.finish_reason)) {
            *at = job->next;
            s->stats.n_waiting--;
            job->outcome.queued_ns = now - job->begun_ns;
            hand_back(s, job, RAG_OK);
        } else {
            at = &job->next;
        }
    }
    s->last = at;
}

static void sweep_running(struct decode_scheduler *s)
{
    int64_t now = clock_monotonic_ns();

    for (size_t i = s->n_running; i-- > 0;) {
        struct decode_job *job = s->running[i];

        if (is_unwanted(s, job, now, &job->outcome.finish_reason))
            finish(s, job, RAG_OK);
    }
}

/* ---- admission ---- */

/* Pages that the running ones may still take, beyond those that are in use. One more for each: a
 * draft that fails may leave a page that others know, and what goes on there is a copy. */
static uint64_t pages_promised(const struct decode_scheduler *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_running; i++) {
        const struct decode_job *job = s->running[i];
        size_t held = job->sequence ? pages_of(kv_sequence_length(job->sequence)) : 0;

        n += job->n_pages_max - held;
    }
    return n;
}

static bool has_room(const struct decode_scheduler *s, const struct decode_job *job)
{
    struct kv_cache_stats kv;

    kv_cache_stats(s->kv, &kv);
    return kv.used_bytes / s->page_bytes + pages_promised(s) + job->n_pages_max <=
           kv.budget_bytes / s->page_bytes;
}

/* Take in who waits, in order, as far as there is room. The mutex is held. */
static void admit(struct decode_scheduler *s)
{
    while (s->first && s->n_running < s->options.n_running_max && has_room(s, s->first)) {
        struct decode_job *job = s->first;

        s->first = job->next;
        if (!s->first)
            s->last = &s->first;
        s->stats.n_waiting--;
        s->stats.n_running++;
        job->running = true;
        job->admitted_ns = clock_monotonic_ns();
        s->running[s->n_running++] = job;
    }
}

/* ---- what a turn computes ---- */

static void add_input(struct decode_scheduler *s, struct decode_job *job, const uint32_t *ids,
                      size_t n, size_t n_logits, size_t *n_rows)
{
    s->inputs[s->n_inputs] = (struct decoder_input){
        .sequence = job->sequence,
        .ids = ids,
        .n = n,
        .n_logits = n_logits,
        .ret_logits = n_logits ? s->logits + *n_rows * s->decoder.vocab_size : NULL,
    };
    s->in_turn[s->n_inputs++] = job;
    job->n_turn_tokens = n;
    *n_rows += n_logits;
}

/* A token of each that decodes, and its draft: the fewer decode, the longer drafts pay. */
static void plan_decoding(struct decode_scheduler *s, size_t *n_rows)
{
    size_t n_decoding = 0;

    for (size_t i = 0; i < s->n_running; i++)
        n_decoding += decode_job_prefilled(s->running[i]);
    for (size_t i = 0; i < s->n_running; i++) {
        struct decode_job *job = s->running[i];

        if (!decode_job_prefilled(job))
            continue;
        decode_job_draft(job, s->options.draft_tokens / n_decoding);
        add_input(s, job, job->ids + job->n_ids - 1, 1 + job->n_draft, 1 + job->n_draft, n_rows);
    }
}

/* Does a prompt of this turn begin as this one does, further than this one is? Then it pays to
 * wait: a turn later these pages are there to be shared. */
static bool follows_another(const struct decode_scheduler *s, const struct decode_job *job)
{
    size_t n_cached = kv_sequence_length(job->sequence);

    for (size_t i = 0; i < s->n_inputs; i++) {
        const struct decode_job *other = s->in_turn[i];
        size_t n = 0;

        if (decode_job_prefilled(other))
            continue;
        while (n < other->request->n_prompt && n + 1 < job->request->n_prompt &&
               other->ids[n] == job->ids[n])
            n++;
        if (n / KV_PAGE_TOKENS * KV_PAGE_TOKENS > n_cached)
            return true;
    }
    return false;
}

/* The sequence of a prompt, with the pages that are known by now. Until something of its own is
 * computed more may become known. */
static enum rag_status look_up(struct decode_scheduler *s, struct decode_job *job)
{
    enum rag_status status;

    if (job->sequence && kv_sequence_length(job->sequence) > job->outcome.n_cached)
        return RAG_OK;
    kv_sequence_close(job->sequence);
    job->sequence = NULL;
    status = kv_sequence_open(s->kv, job->ids, job->n_ids, &job->sequence, &job->error);
    if (status == RAG_OK)
        job->outcome.n_cached = kv_sequence_length(job->sequence);
    return status;
}

/* Up to chunk_tokens of prompts, those first that were admitted first. What fails here fails alone.
 */
static void plan_prompts(struct decode_scheduler *s, size_t *n_rows)
{
    size_t left = s->chunk_tokens;

    for (size_t i = 0; i < s->n_running && left > 0;) {
        struct decode_job *job = s->running[i];
        enum rag_status status;
        size_t n_done;
        size_t n;

        if (decode_job_prefilled(job)) {
            i++;
            continue;
        }
        status = look_up(s, job);
        if (status != RAG_OK) {
            finish(s, job, status); /* the next one has its place */
            continue;
        }
        if (follows_another(s, job))
            break;
        n_done = kv_sequence_length(job->sequence);
        n = job->n_ids - n_done < left ? job->n_ids - n_done : left;
        add_input(s, job, job->ids + n_done, n, n_done + n == job->n_ids, n_rows);
        left -= n;
        i++;
    }
}

/* ---- a turn ---- */

/* Between two layers: others compute; then, is the larger part of this run still wanted? A run
 * that is given up is computed again without those who left; a token of each that decodes costs
 * less than a chunk of a prompt that nobody waits for. */
static void on_layer(void *context)
{
    struct decode_scheduler *s = context;
    const struct decode_turns *turns = &s->options.turns;
    int64_t now = clock_monotonic_ns();
    enum finish_reason reason;
    size_t n_unwanted = 0;
    size_t n = 0;

    if (now - s->layer_ns > s->layer_ns_max)
        s->layer_ns_max = now - s->layer_ns;
    if (turns->between_layers)
        turns->between_layers(turns->context);
    s->layer_ns = clock_monotonic_ns();
    for (size_t i = 0; i < s->n_in_run; i++) {
        n += s->in_run[i]->n_turn_tokens;
        if (is_unwanted(s, s->in_run[i], s->layer_ns, &reason))
            n_unwanted += s->in_run[i]->n_turn_tokens;
    }
    if (n_unwanted * 2 > n)
        atomic_store(&s->abort, true);
    pthread_mutex_lock(&s->mutex);
    sweep_waiting(s);
    pthread_mutex_unlock(&s->mutex);
}

/* Inputs first .. first + n of this turn. */
static enum rag_status compute(struct decode_scheduler *s, size_t first, size_t n,
                               struct rag_error *reterr)
{
    struct decoder_run_options run = {
        .cancel = &s->abort, .between_layers = on_layer, .context = s};
    const struct decode_turns *turns = &s->options.turns;
    enum rag_status status;

    atomic_store(&s->abort, false);
    s->in_run = s->in_turn + first;
    s->n_in_run = n;
    if (turns->begin)
        turns->begin(turns->context);
    s->layer_ns = clock_monotonic_ns();
    s->layer_ns_max = 0;
    status = decoder_run(s->options.decoder, s->inputs + first, n, &run, reterr);
    if (turns->end)
        turns->end(turns->context);
    return status;
}

/* Half a chunk more or less, so that a layer of one takes layer_ms_max at most. */
static void adapt_chunk(struct decode_scheduler *s, size_t n_tokens)
{
    double layer_ms = (double)s->layer_ns_max / 1e6;
    double longest = s->options.layer_ms_max;

    if (longest <= 0 || n_tokens < s->chunk_tokens)
        return; /* says little about a whole one */
    if (layer_ms > longest && s->chunk_tokens / 2 >= DECODE_CHUNK_MIN)
        s->chunk_tokens /= 2;
    else if (layer_ms < longest / 3 && s->chunk_tokens * 2 <= s->options.chunk_tokens)
        s->chunk_tokens *= 2;
}

/* What was computed for one job. */
static void settle(struct decode_scheduler *s, struct decode_job *job,
                   const struct decoder_input *input, enum rag_status status)
{
    if (status == RAG_ECANCELLED)
        return; /* it goes on next turn, or is swept away */
    if (status == RAG_OK && input->n_logits > 0) {
        status = decode_job_advance(job, input->ret_logits, s->options.draft_tokens, &job->error);
        if (status == RAG_OK && !job->ended)
            kv_sequence_truncate(job->sequence, job->n_ids - 1);
    }
    if (status == RAG_OK && !job->ended && job->fresh.len > 0) {
        pthread_mutex_lock(&s->mutex);
        status = pass_text(job);
        pthread_mutex_unlock(&s->mutex);
    }
    if (status != RAG_OK || job->ended)
        finish(s, job, status);
}

static void turn(struct decode_scheduler *s)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    size_t n_tokens = 0;
    size_t n_rows = 0;

    s->n_inputs = 0;
    plan_decoding(s, &n_rows);
    plan_prompts(s, &n_rows);
    if (s->n_inputs == 0)
        return;
    for (size_t i = 0; i < s->n_inputs; i++)
        n_tokens += s->inputs[i].n;
    status = compute(s, 0, s->n_inputs, &error);
    if (status == RAG_OK)
        adapt_chunk(s, n_tokens);
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct decode_job *job = s->in_turn[i];
        enum rag_status own = status;

        /* what one of them does wrong must not take the others along */
        if (status != RAG_OK && status != RAG_ECANCELLED && s->n_inputs > 1)
            own = compute(s, i, 1, &job->error);
        else
            job->error = error;
        settle(s, job, &s->inputs[i], own);
    }
}

static void *loop(void *context)
{
    struct decode_scheduler *s = context;

    pthread_mutex_lock(&s->mutex);
    for (;;) {
        sweep_waiting(s);
        pthread_mutex_unlock(&s->mutex);
        sweep_running(s);
        pthread_mutex_lock(&s->mutex);
        admit(s);
        kv_cache_stats(s->kv, &s->stats.kv);
        if (s->n_running == 0 && !s->first) {
            if (atomic_load(&s->stopping))
                break;
            pthread_cond_wait(&s->work, &s->mutex);
            continue;
        }
        s->stats.n_turns++;
        pthread_mutex_unlock(&s->mutex);
        turn(s);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* ---- open and close ---- */

static void release(struct decode_scheduler *s)
{
    kv_cache_close(s->kv);
    token_bytes_free(s->token_bytes);
    free(s->running);
    free(s->in_turn);
    free(s->inputs);
    free(s->logits);
    pthread_cond_destroy(&s->left);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->schema_mutex);
    free(s);
}

static enum rag_status open_parts(struct decode_scheduler *s, struct rag_error *reterr)
{
    const struct decode_scheduler_options *o = &s->options;
    struct kv_cache_options kv = decoder_kv_options(o->decoder);
    enum rag_status status;

    kv.budget_bytes = o->kv_budget_bytes;
    if (random_bytes(&kv.hash_key, sizeof kv.hash_key) != RAG_OK)
        return rag_fail(reterr, RAG_EIO, "decoder: no random bytes from the system");
    s->page_bytes = (uint64_t)kv.n_layers * kv.layer_page_bytes;
    status = kv_cache_open(&kv, &s->kv, reterr);
    if (status != RAG_OK)
        return status;
    kv_cache_stats(s->kv, &s->stats.kv);
    s->running = calloc(o->n_running_max, sizeof *s->running);
    s->in_turn = calloc(o->n_running_max, sizeof *s->in_turn);
    s->inputs = calloc(o->n_running_max, sizeof *s->inputs);
    s->logits =
        malloc((o->n_running_max + o->draft_tokens) * s->decoder.vocab_size * sizeof *s->logits);
    if (!s->running || !s->in_turn || !s->inputs || !s->logits)
        return rag_fail(reterr, RAG_ENOMEM, "decoder: out of memory");
    return RAG_OK;
}

enum rag_status decode_scheduler_open(const struct decode_scheduler_options *options,
                                      struct decode_scheduler **ret, struct rag_error *reterr)
{
    struct decode_scheduler *s = calloc(1, sizeof *s);
    enum rag_status status;

    assert(options->n_running_max >= 1 && options->n_running_max <= DECODE_RUNNING_MAX);
    assert(options->chunk_tokens >= 1 && options->chunk_tokens <= DECODE_CHUNK_MAX);
    assert(options->draft_tokens <= DECODE_DRAFT_MAX);
    if (!s)
        return rag_fail(reterr, RAG_ENOMEM, "decoder: out of memory");
    s->options = *options;
    s->chunk_tokens = options->chunk_tokens;
    s->last = &s->first;
    decoder_info(options->decoder, &s->decoder);
    pthread_mutex_init(&s->schema_mutex, NULL);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->left, NULL);
    status = open_parts(s, reterr);
    if (status == RAG_OK && pthread_create(&s->thread, NULL, loop, s) != 0)
        status = rag_fail(reterr, RAG_EIO, "decoder: cannot start its thread");
    if (status != RAG_OK) {
        release(s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

void decode_scheduler_close(struct decode_scheduler *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->stopping, true);
    pthread_cond_signal(&s->work);
    while (s->n_callers > 0)
        pthread_cond_wait(&s->left, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    release(s);
}

/* ---- callers ---- */

/* What the tokens of the vocabulary write is gone through when the first schema comes. */
static enum rag_status need_token_bytes(struct decode_scheduler *s, const struct token_bytes **ret,
                                        struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    pthread_mutex_lock(&s->schema_mutex);
    if (!s->token_bytes)
        status = token_bytes_of(s->options.tokenizer, &s->token_bytes, reterr);
    *ret = s->token_bytes;
    pthread_mutex_unlock(&s->schema_mutex);
    return status;
}

static enum rag_status check(const struct decode_scheduler *s, const struct decode_request *r,
                             struct rag_error *reterr)
{
    uint64_t n_pages = s->options.kv_budget_bytes / s->page_bytes;
    uint64_t n_fit = n_pages > 1 ? (n_pages - 1) * KV_PAGE_TOKENS : 0;

    if (r->n_prompt == 0 || r->n_new_max == 0)
        return rag_fail(reterr, RAG_EINVAL, "generation: the prompt or the answer has no tokens");
    for (size_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] >= s->decoder.vocab_size)
            return rag_fail(reterr, RAG_EINVAL, "generation: token %zu is %u, the model has %zu",
                            i + 1, r->prompt[i], s->decoder.vocab_size);
    if (r->n_prompt > s->decoder.context_max || r->n_new_max > s->decoder.context_max - r->n_prompt)
        return rag_fail(reterr, RAG_ELIMIT,
                        "generation: %zu tokens of prompt and %zu of answer, the model has %zu for "
                        "both",
                        r->n_prompt, r->n_new_max, s->decoder.context_max);
    if (r->n_prompt + r->n_new_max - 1 > n_fit)
        return rag_fail(reterr, RAG_ELIMIT,
                        "generation: %zu tokens of prompt and %zu of answer, the KV budget of %llu "
                        "bytes has room for %llu; ask for less or raise kv_budget_mb",
                        r->n_prompt, r->n_new_max, (unsigned long long)s->options.kv_budget_bytes,
                        (unsigned long long)n_fit);
    return sampling_check(r->sampling, reterr);
}

/* Give what came to the sink until all is done. The mutex is held, but not while the sink has it.
 */
static void follow(struct decode_scheduler *s, struct decode_job *job, struct buf *scratch)
{
    const struct decode_request *r = job->request;

    while (!job->finished || job->text.len > 0) {
        struct buf taken = job->text;

        if (taken.len == 0) {
            pthread_cond_wait(&job->wake, &s->mutex);
            continue;
        }
        job->text = *scratch;
        pthread_mutex_unlock(&s->mutex);
        if (r->on_text && !atomic_load(&job->stopped) &&
            !r->on_text(r->context, buf_str(&taken), taken.len))
            atomic_store(&job->stopped, true);
        pthread_mutex_lock(&s->mutex);
        buf_reset(&taken);
        *scratch = taken;
    }
}

static enum rag_status queue_and_follow(struct decode_scheduler *s, struct decode_job *job,
                                        struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf scratch;

    buf_init(&scratch, ANSWER_BYTES_MAX);
    pthread_mutex_lock(&s->mutex);
    if (atomic_load(&s->stopping)) {
        job->outcome.finish_reason = FINISH_CANCELLED;
    } else if (s->stats.n_waiting >= s->options.n_waiting_max) {
        status = rag_fail(reterr, RAG_EBUSY, "generation: %zu requests are waiting, the limit",
                          s->stats.n_waiting);
    } else {
        s->n_callers++;
        s->stats.n_waiting++;
        *s->last = job;
        s->last = &job->next;
        pthread_cond_signal(&s->work);
        follow(s, job, &scratch);
        status = job->status;
        if (status != RAG_OK && reterr)
            *reterr = job->error;
        if (--s->n_callers == 0)
            pthread_cond_signal(&s->left);
    }
    pthread_mutex_unlock(&s->mutex);
    buf_release(&scratch);
    return status;
}

enum rag_status decode_scheduler_run(struct decode_scheduler *s, const struct decode_request *r,
                                     struct decode_outcome *ret, struct rag_error *reterr)
{
    enum rag_status status = check(s, r, reterr);
    const struct token_bytes *bytes = NULL;
    struct decode_job job;

    if (status == RAG_OK && r->schema)
        status = need_token_bytes(s, &bytes, reterr);
    if (status == RAG_OK)
        status = decode_job_init(&job, r, s->options.tokenizer, bytes, s->decoder.vocab_size,
                                 s->options.draft_tokens, reterr);
    if (status != RAG_OK)
        return status;
    job.begun_ns = clock_monotonic_ns();
    job.n_pages_max = pages_of(r->n_prompt + r->n_new_max - 1) + 1;
    status = queue_and_follow(s, &job, reterr);
    if (status == RAG_OK) {
        /* the answer's part of the ids moves to the front and changes hands */
        memmove(job.ids, job.ids + r->n_prompt, job.outcome.n_output * sizeof *job.ids);
        *ret = job.outcome;
        ret->ids = job.ids;
        job.ids = NULL;
        if (atomic_load(&job.stopped)) /* however far it came meanwhile */
            ret->finish_reason = FINISH_CANCELLED;
    }
    decode_job_release(&job);
    return status;
}

/* With the mutex and without a job the cache is the caller's: the thread touches it for jobs, or
 * with the mutex. */
static enum rag_status be_alone(struct decode_scheduler *s, struct rag_error *reterr)
{
    pthread_mutex_lock(&s->mutex);
    if (s->n_callers == 0)
        return RAG_OK;
    pthread_mutex_unlock(&s->mutex);
    return rag_fail(reterr, RAG_EBUSY, "KV cache: %zu requests use it", s->n_callers);
}

enum rag_status decode_scheduler_load(struct decode_scheduler *s, const char *path,
                                      const uint8_t binding[SHA256_BYTES], size_t *ret_n,
                                      struct rag_error *reterr)
{
    enum rag_status status = be_alone(s, reterr);
    size_t n_pages = 0;

    if (status != RAG_OK)
        return status;
    status = kv_cache_load(s->kv, path, binding, &n_pages, reterr);
    kv_cache_stats(s->kv, &s->stats.kv);
    pthread_mutex_unlock(&s->mutex);
    if (status == RAG_OK)
        *ret_n = n_pages * KV_PAGE_TOKENS;
    return status;
}

enum rag_status decode_scheduler_save(struct decode_scheduler *s, const char *path,
                                      const uint8_t binding[SHA256_BYTES], uint64_t bytes_max,
                                      size_t *ret_n, struct rag_error *reterr)
{
    enum rag_status status = be_alone(s, reterr);
    size_t n_pages = 0;

    if (status != RAG_OK)
        return status;
    status = kv_cache_save(s->kv, path, binding, bytes_max, &n_pages, reterr);
    pthread_mutex_unlock(&s->mutex);
    if (status == RAG_OK)
        *ret_n = n_pages * KV_PAGE_TOKENS;
    return status;
}

void decode_scheduler_stats(struct decode_scheduler *s, struct decode_scheduler_stats *ret)
{
    pthread_mutex_lock(&s->mutex);
    *ret = s->stats;
    pthread_mutex_unlock(&s->mutex);
}
