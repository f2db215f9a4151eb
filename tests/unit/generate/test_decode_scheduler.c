/* Goal: decode_scheduler.h's requests get the text that they get alone, whatever else runs, and
 * give their slots back at once. Method: a tiny decoder with random weights; the plain greedy
 * answer is computed token by token without the scheduler; a gate between two layers holds the
 * thread, so that what it has taken in and what waits is known. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/splitmix.h"
#include "generate/decode_scheduler.h"

#define MODEL     RAG_TEST_DATA "/models/tiny-llama3"
#define PROMPTS   4
#define N_NEW_MAX 96

struct fixture {
    struct model_tensors *tensors;
    struct tokenizer *tokenizer;
    struct decoder *decoder;
    struct decode_scheduler *scheduler;
    uint64_t page_bytes;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool held; /* the gate is closed */
    bool at_gate;
    bool slow;       /* a layer takes 2 ms, so that who reads the text keeps up */
    size_t n_layers; /* times between two layers */
    int depth;       /* begun and not ended */
};

/* ---- the gate ---- */

static void on_begin(void *context)
{
    struct fixture *f = context;

    pthread_mutex_lock(&f->mutex);
    f->depth++;
    pthread_mutex_unlock(&f->mutex);
}

static void on_end(void *context)
{
    struct fixture *f = context;

    pthread_mutex_lock(&f->mutex);
    f->depth--;
    pthread_mutex_unlock(&f->mutex);
}

static void on_layers(void *context)
{
    const struct timespec pause = {0, 2000000};
    struct fixture *f = context;

    pthread_mutex_lock(&f->mutex);
    assert_int_equal(f->depth, 1);
    f->n_layers++;
    f->at_gate = true;
    pthread_cond_broadcast(&f->changed);
    while (f->held)
        pthread_cond_wait(&f->changed, &f->mutex);
    f->at_gate = false;
    pthread_mutex_unlock(&f->mutex);
    if (f->slow)
        nanosleep(&pause, NULL);
}

static void hold(struct fixture *f, bool held)
{
    pthread_mutex_lock(&f->mutex);
    f->held = held;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

static void wait_at_gate(struct fixture *f)
{
    pthread_mutex_lock(&f->mutex);
    while (!f->at_gate)
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
}

static struct decode_scheduler_stats stats_of(struct fixture *f)
{
    struct decode_scheduler_stats stats;

    decode_scheduler_stats(f->scheduler, &stats);
    return stats;
}

/* The gate is held: until n wait or run. */
static void wait_waiting(struct fixture *f, size_t n)
{
    struct timespec pause = {0, 1000000};

    while (stats_of(f).n_waiting != n)
        nanosleep(&pause, NULL);
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct decoder_options options = {.precision = DECODER_BLOCKS, .dense_type = BLOCK_Q8_0};
    struct fixture *f = calloc(1, sizeof *f);
    struct kv_cache_options kv;

    assert_non_null(f);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    assert_int_equal(model_tensors_open(MODEL, &f->tensors, NULL), RAG_OK);
    assert_int_equal(tokenizer_open(MODEL, &f->tokenizer, NULL), RAG_OK);
    assert_int_equal(decoder_open(f->tensors, &options, &f->decoder, NULL), RAG_OK);
    kv = decoder_kv_options(f->decoder);
    f->page_bytes = kv.n_layers * kv.layer_page_bytes;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    decode_scheduler_close(f->scheduler);
    assert_int_equal(f->depth, 0);
    decoder_close(f->decoder);
    tokenizer_close(f->tokenizer);
    model_tensors_close(f->tensors);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    free(f);
    return 0;
}

static struct decode_scheduler_options options_of(struct fixture *f)
{
    return (struct decode_scheduler_options){
        .decoder = f->decoder,
        .tokenizer = f->tokenizer,
        .kv_budget_bytes = 100 * f->page_bytes,
        .n_running_max = 4,
        .n_waiting_max = 8,
        .chunk_tokens = 64,
        .turns = {on_begin, on_layers, on_end, f},
    };
}

static void reopen(struct fixture *f, const struct decode_scheduler_options *options)
{
    struct rag_error error = {RAG_OK, ""};

    decode_scheduler_close(f->scheduler);
    f->scheduler = NULL;
    if (decode_scheduler_open(options, &f->scheduler, &error) != RAG_OK)
        fail_msg("%s", error.text);
}

/* ---- requests ---- */

static const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};

/* Texts that repeat themselves, so that a draft is found; of different lengths. */
static size_t make_prompt(size_t seed, uint32_t *ret)
{
    uint64_t state = seed + 1;
    size_t n = 40 + 37 * seed;

    for (size_t i = 0; i < n; i++)
        ret[i] = i % 20 < 12 && i > 20 ? ret[i - 20] : (uint32_t)(splitmix_next(&state) % 256);
    return n;
}

struct asker {
    struct fixture *f;
    struct decode_request request;
    uint32_t prompt[512];
    struct sampling sampling;
    atomic_bool cancel;
    size_t n_texts_max; /* then the sink says stop; 0: never */
    size_t n_texts;
    char text[16384];
    size_t n_text;
    enum rag_status status;
    struct rag_error error;
    struct decode_outcome outcome;
    pthread_t thread;
};

static bool on_text(void *context, const char *text, size_t n)
{
    struct asker *a = context;

    assert_true(a->n_text + n < sizeof a->text);
    memcpy(a->text + a->n_text, text, n);
    a->n_text += n;
    a->text[a->n_text] = '\0';
    return ++a->n_texts != a->n_texts_max;
}

static struct asker *asker(struct fixture *f, size_t prompt, size_t n_new)
{
    struct asker *a = calloc(1, sizeof *a);

    assert_non_null(a);
    a->f = f;
    a->sampling = greedy;
    a->request = (struct decode_request){
        .prompt = a->prompt,
        .n_prompt = make_prompt(prompt, a->prompt),
        .sampling = &a->sampling,
        .n_new_max = n_new,
        .cancel = &a->cancel,
        .on_text = on_text,
        .context = a,
    };
    return a;
}

static void *ask(void *context)
{
    struct asker *a = context;

    a->status = decode_scheduler_run(a->f->scheduler, &a->request, &a->outcome, &a->error);
    return NULL;
}

static void begin(struct asker *a)
{
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static void join(struct asker *a)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    if (a->status != RAG_OK)
        fail_msg("%s", a->error.text);
}

static void drop(struct asker *a)
{
    free(a->outcome.ids);
    free(a);
}

/* The largest logit at each step, one token at a time, on a cache of its own. */
static void plain_greedy(struct fixture *f, const uint32_t *prompt, size_t n, size_t n_new,
                         uint32_t *ret)
{
    struct kv_cache_options options = decoder_kv_options(f->decoder);
    struct decoder_info info;
    struct kv_sequence *sequence = NULL;
    struct kv_cache *cache = NULL;
    float *logits;

    decoder_info(f->decoder, &info);
    logits = malloc(info.vocab_size * sizeof *logits);
    options.budget_bytes = 100 * f->page_bytes;
    assert_int_equal(kv_cache_open(&options, &cache, NULL), RAG_OK);
    assert_int_equal(kv_sequence_open(cache, prompt, n, &sequence, NULL), RAG_OK);
    for (size_t i = 0; i < n_new; i++) {
        struct decoder_input input = {sequence, i ? &ret[i - 1] : prompt, i ? 1 : n, 1, logits};
        size_t best = 0;

        assert_int_equal(decoder_run(f->decoder, &input, 1, NULL, NULL), RAG_OK);
        for (size_t v = 1; v < info.vocab_size; v++)
            best = logits[v] > logits[best] ? v : best;
        ret[i] = (uint32_t)best;
    }
    kv_sequence_close(sequence);
    kv_cache_close(cache);
    free(logits);
}

static void assert_same_ids(const struct asker *a, const uint32_t *expected, size_t n,
                            const char *when)
{
    if (a->outcome.n_output != n)
        fail_msg("%s: %zu tokens, not %zu", when, a->outcome.n_output, n);
    for (size_t i = 0; i < n; i++)
        if (a->outcome.ids[i] != expected[i])
            fail_msg("%s: token %zu is %u, not %u", when, i, a->outcome.ids[i], expected[i]);
}

/* ---- tests ---- */

static void test_text_is_that_of_plain_greedy(void **state)
{
    static const struct {
        const char *when;
        size_t chunk;
        size_t draft;
        size_t n_running;
    } rows[] = {
        {"one at a time, prompts whole",                  512, 0,                1},
        {"one at a time, prompts in crumbs",              3,   0,                1},
        {"drafts of 8",                                   64,  8,                1},
        {"drafts of 32",                                  64,  DECODE_DRAFT_MAX, 1},
        {"four at once",                                  64,  0,                4},
        {"four at once, in crumbs, with drafts",          7,   8,                4},
        {"four at once share fewer drafts than they are", 64,  3,                4},
    };
    struct fixture *f = *state;
    uint32_t expected[PROMPTS][N_NEW_MAX];
    size_t n_accepted = 0;

    for (size_t p = 0; p < PROMPTS; p++) {
        uint32_t prompt[512];
        size_t n = make_prompt(p, prompt);

        plain_greedy(f, prompt, n, N_NEW_MAX, expected[p]);
    }
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct decode_scheduler_options options = options_of(f);
        struct asker *askers[PROMPTS];

        options.chunk_tokens = rows[r].chunk;
        options.draft_tokens = rows[r].draft;
        options.n_running_max = rows[r].n_running;
        reopen(f, &options);
        for (size_t p = 0; p < PROMPTS; p++)
            begin(askers[p] = asker(f, p, N_NEW_MAX - p));
        for (size_t p = 0; p < PROMPTS; p++) {
            join(askers[p]);
            assert_int_equal(askers[p]->outcome.finish_reason, FINISH_LENGTH);
            assert_same_ids(askers[p], expected[p], N_NEW_MAX - p, rows[r].when);
            n_accepted += askers[p]->outcome.n_accepted;
            drop(askers[p]);
        }
        assert_int_equal(stats_of(f).n_running, 0);
        assert_int_equal(stats_of(f).n_output_tokens, PROMPTS * N_NEW_MAX - 6);
    }
    assert_true(n_accepted > 0); /* else nothing about drafts was shown */
}

static void test_seeded_draws_do_not_depend_on_drafts_and_others(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    uint32_t expected[N_NEW_MAX];

    for (size_t r = 0; r < 3; r++) {
        struct asker *other = asker(f, 2, 40);
        struct asker *a = asker(f, 1, N_NEW_MAX);

        a->sampling.temperature = .6f;
        a->sampling.top_k = 20;
        a->sampling.top_p = .9f;
        a->sampling.repetition_penalty = 1.1f;
        a->sampling.seed = 42;
        options.draft_tokens = r > 0 ? 8 : 0;
        reopen(f, &options);
        if (r == 2)
            begin(other);
        begin(a);
        join(a);
        if (r == 2)
            join(other);
        assert_int_equal(a->outcome.n_output, N_NEW_MAX);
        if (r == 0)
            memcpy(expected, a->outcome.ids, sizeof expected);
        assert_same_ids(a, expected, N_NEW_MAX, "sampled");
        drop(a);
        drop(other);
    }
}

static void test_equal_beginnings_are_computed_once(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    uint32_t expected[20];
    struct asker *a[4];

    reopen(f, &options);
    plain_greedy(f, (a[0] = asker(f, 3, 20))->prompt, 151, 20, expected);
    begin(a[0]);
    join(a[0]);
    assert_int_equal(a[0]->outcome.n_cached, 0);
    begin(a[1] = asker(f, 3, 20));
    join(a[1]);
    assert_int_equal(a[1]->outcome.n_cached, 128); /* whole pages of 151 tokens */
    assert_same_ids(a[1], expected, 20, "from known pages");
    assert_int_equal(stats_of(f).n_cached_tokens, 128);
    drop(a[0]);
    drop(a[1]);

    /* asked at once: the second one waits for the first one's pages */
    reopen(f, &options);
    hold(f, true);
    begin(a[0] = asker(f, 0, 2)); /* something else holds the thread meanwhile */
    wait_at_gate(f);
    begin(a[1] = asker(f, 3, 20));
    begin(a[2] = asker(f, 3, 20));
    wait_waiting(f, 2);
    hold(f, false);
    for (size_t i = 0; i < 3; i++)
        join(a[i]);
    assert_int_equal(a[1]->outcome.n_cached + a[2]->outcome.n_cached, 128);
    assert_same_ids(a[1], expected, 20, "beside its twin");
    assert_same_ids(a[2], expected, 20, "beside its twin");
    for (size_t i = 0; i < 3; i++)
        drop(a[i]);
}

static void test_a_long_prompt_delays_nobody_by_more_than_a_chunk(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct asker *writes = asker(f, 0, 30);
    struct asker *reads = asker(f, 3, 1);

    options.chunk_tokens = 16;
    reopen(f, &options);
    hold(f, true);
    begin(writes);
    wait_at_gate(f);
    begin(reads);
    wait_waiting(f, 1);
    hold(f, false);
    join(writes);
    join(reads);
    /* 40 tokens of the first prompt: 3 turns, the third with a token; 29 more. The other prompt's
     * 151 tokens go along in what each turn has left */
    assert_int_equal(stats_of(f).n_turns, 32);
    drop(writes);
    drop(reads);
}

static void test_ends(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    uint32_t expected[N_NEW_MAX];
    struct asker *a = asker(f, 2, N_NEW_MAX);
    struct asker *b = asker(f, 2, N_NEW_MAX);
    char stop[8] = "";
    const char *stops[] = {stop, NULL};
    size_t first = 0;
    char *at;

    reopen(f, &options);
    plain_greedy(f, a->prompt, a->request.n_prompt, N_NEW_MAX, expected);
    /* a token that ends it: the first that has not been there before, as late as possible */
    for (size_t i = 1; i < 12; i++) {
        size_t k = 0;

        while (expected[k] != expected[i])
            k++;
        first = k == i ? i : first;
    }
    a->request.ends = &expected[first];
    a->request.n_ends = 1;
    begin(a);
    join(a);
    assert_int_equal(a->outcome.finish_reason, FINISH_STOP);
    assert_same_ids(a, expected, first, "with an end token");

    /* a string that ends it: a character in the middle of that text */
    assert_true(a->n_text >= 6);
    at = a->text + a->n_text / 2;
    while ((*at & 0xC0) == 0x80)
        at++;
    stop[0] = *at;
    for (size_t n = 1; (at[n] & 0xC0) == 0x80; n++)
        stop[n] = at[n];
    b->sampling.stop = stops;
    begin(b);
    join(b);
    assert_int_equal(b->outcome.finish_reason, FINISH_STOP);
    assert_int_equal(b->n_text, (size_t)(strstr(a->text, stop) - a->text));
    assert_memory_equal(b->text, a->text, b->n_text);
    drop(b);
    drop(a);
}

static void test_cancel_deadline_and_sink_free_the_slot(void **state)
{
    static const struct {
        const char *how;
        bool cancel;
        bool deadline;
        size_t n_texts_max;
        enum finish_reason reason;
    } rows[] = {
        {"cancelled in its prompt", true,  false, 0, FINISH_CANCELLED},
        {"too late in its prompt",  false, true,  0, FINISH_DEADLINE },
        {"the sink wants no more",  false, false, 2, FINISH_CANCELLED},
    };
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);

    options.n_running_max = 1;
    options.chunk_tokens = 512;
    reopen(f, &options);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct asker *a = asker(f, 3, 300);
        struct asker *next = asker(f, 0, 2);
        size_t n_layers;

        hold(f, true);
        begin(a);
        wait_at_gate(f);
        begin(next);
        wait_waiting(f, 1);
        atomic_store(&a->cancel, rows[r].cancel);
        if (rows[r].deadline)
            a->request.deadline_ns = 1;
        a->n_texts_max = rows[r].n_texts_max;
        f->slow = rows[r].n_texts_max > 0;
        n_layers = f->n_layers;
        hold(f, false);
        join(a);
        join(next);
        assert_int_equal(a->outcome.finish_reason, rows[r].reason);
        if (rows[r].n_texts_max == 0) {
            assert_int_equal(a->outcome.n_output, 0);
            /* the run was given up where it was: no layer more of it, then two turns of 'next' */
            assert_true(f->n_layers - n_layers <= 2 * 3);
        } else {
            assert_true(a->outcome.n_output < 300);
        }
        assert_int_equal(next->outcome.n_output, 2);
        assert_int_equal(stats_of(f).n_running, 0);
        assert_int_equal(stats_of(f).kv.used_bytes, 0);
        drop(a);
        drop(next);
    }
}

static void test_who_waits_may_leave_at_once(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct asker *runs = asker(f, 0, 40);
    struct asker *waits = asker(f, 1, 4);
    struct asker *behind = asker(f, 2, 4);

    options.n_running_max = 1;
    reopen(f, &options);
    hold(f, true);
    begin(runs);
    wait_at_gate(f);
    begin(waits);
    wait_waiting(f, 1);
    begin(behind);
    wait_waiting(f, 2);
    atomic_store(&waits->cancel, true);
    hold(f, false);
    join(waits);
    join(runs);
    join(behind);
    assert_int_equal(waits->outcome.finish_reason, FINISH_CANCELLED);
    assert_int_equal(waits->outcome.prefill_ns, 0);
    assert_int_equal(runs->outcome.n_output, 40);
    assert_int_equal(behind->outcome.n_output, 4);
    drop(runs);
    drop(waits);
    drop(behind);
}

static void test_the_queue_is_bounded_and_in_order(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct asker *a[4];
    struct decode_outcome outcome;

    options.n_running_max = 1;
    options.n_waiting_max = 2;
    reopen(f, &options);
    hold(f, true);
    for (size_t i = 0; i < 3; i++) {
        begin(a[i] = asker(f, i > 0 ? 3 : 0, 4));
        if (i == 0)
            wait_at_gate(f);
        else
            wait_waiting(f, i);
    }
    a[3] = asker(f, 3, 4);
    assert_int_equal(decode_scheduler_run(f->scheduler, &a[3]->request, &outcome, &a[3]->error),
                     RAG_EBUSY);
    assert_non_null(strstr(a[3]->error.text, "2 requests are waiting"));
    hold(f, false);
    for (size_t i = 0; i < 3; i++)
        join(a[i]);
    assert_int_equal(a[1]->outcome.n_cached, 0);
    assert_int_equal(a[2]->outcome.n_cached, 128); /* it came after its twin */
    for (size_t i = 0; i < 4; i++)
        drop(a[i]);
}

static void test_the_kv_budget_is_a_hard_limit(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct decode_outcome outcome;
    uint32_t expected[60];
    struct asker *a[3];

    /* 151 + 60 - 1 tokens: 7 pages, and one to copy into */
    options.kv_budget_bytes = 9 * f->page_bytes;
    options.draft_tokens = 8;
    reopen(f, &options);
    plain_greedy(f, (a[0] = asker(f, 3, 60))->prompt, 151, 60, expected);
    hold(f, true);
    begin(a[0]);
    wait_at_gate(f);
    begin(a[1] = asker(f, 2, 60));
    wait_waiting(f, 1);
    begin(a[2] = asker(f, 3, 60));
    wait_waiting(f, 2);
    hold(f, false);
    for (size_t i = 0; i < 3; i++) {
        join(a[i]);
        assert_int_equal(a[i]->outcome.finish_reason, FINISH_LENGTH);
        assert_true(stats_of(f).kv.held_bytes <= options.kv_budget_bytes);
    }
    assert_same_ids(a[0], expected, 60, "first in a small cache");
    assert_same_ids(a[2], expected, 60, "last in a small cache");
    for (size_t i = 0; i < 3; i++)
        drop(a[i]);

    a[0] = asker(f, 3, 140);
    assert_int_equal(decode_scheduler_run(f->scheduler, &a[0]->request, &outcome, &a[0]->error),
                     RAG_ELIMIT);
    assert_non_null(strstr(a[0]->error.text, "KV budget"));
    drop(a[0]);
}

static void test_what_a_request_may_not_ask(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    static const struct {
        const char *what;
        size_t n_prompt;
        size_t n_new;
        uint32_t first;
        float top_p;
        enum rag_status status;
        const char *says;
    } rows[] = {
        {"no prompt",                      0, 1,   1,   1, RAG_EINVAL, "no tokens"                           },
        {"no answer",                      3, 0,   1,   1, RAG_EINVAL, "no tokens"                           },
        {"a token that the model has not", 3, 1,   320, 1, RAG_EINVAL, "token 1 is 320"                      },
        {"more than the context",          3, 510, 1,   1, RAG_ELIMIT, "3 tokens of prompt and 510 of answer"},
        {"a setting out of range",         3, 3,   1,   2, RAG_EINVAL, "top_p"                               },
    };

    reopen(f, &options);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct asker *a = asker(f, 0, rows[r].n_new);
        struct decode_outcome outcome;

        a->request.n_prompt = rows[r].n_prompt;
        a->prompt[0] = rows[r].first;
        a->sampling.top_p = rows[r].top_p;
        assert_int_equal(decode_scheduler_run(f->scheduler, &a->request, &outcome, &a->error),
                         rows[r].status);
        if (!strstr(a->error.text, rows[r].says))
            fail_msg("%s: '%s'", rows[r].what, a->error.text);
        drop(a);
    }
}

static void test_a_schema_is_kept_to(void **state)
{
    static const char text[] =
        "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"},\"kind\":{\"enum\":"
        "[\"alpha\",\"beta\"]}},\"required\":[\"ok\",\"kind\"],\"additionalProperties\":false}";
    static const uint32_t end = 314;
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct json_schema *schema = NULL;

    assert_int_equal(json_schema_compile(text, strlen(text), &schema, NULL), RAG_OK);
    for (size_t draft = 0; draft <= 8; draft += 8) {
        struct asker *a = asker(f, 1, 80);

        options.draft_tokens = draft;
        reopen(f, &options);
        a->request.schema = schema;
        a->request.ends = &end;
        a->request.n_ends = draft ? 1 : 0; /* without an end token too */
        begin(a);
        join(a);
        assert_int_equal(a->outcome.finish_reason, FINISH_STOP);
        assert_non_null(strstr(a->text, "\"kind\":"));
        assert_int_equal(a->text[a->n_text - 1], '}');
        drop(a);
    }
    json_schema_free(schema);
}

static void test_close_ends_what_runs_and_waits(void **state)
{
    struct fixture *f = *state;
    struct decode_scheduler_options options = options_of(f);
    struct asker *a[3];

    options.n_running_max = 2;
    reopen(f, &options);
    hold(f, true);
    f->slow = true; /* or they could end by themselves before the close comes */
    for (size_t i = 0; i < 3; i++)
        begin(a[i] = asker(f, i, 380));
    wait_at_gate(f);
    while (stats_of(f).n_waiting + stats_of(f).n_running < 3)
        ;
    hold(f, false);
    decode_scheduler_close(f->scheduler);
    f->scheduler = NULL;
    for (size_t i = 0; i < 3; i++) {
        join(a[i]);
        assert_int_equal(a[i]->outcome.finish_reason, FINISH_CANCELLED);
        drop(a[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text_is_that_of_plain_greedy),
        TEST(test_seeded_draws_do_not_depend_on_drafts_and_others),
        TEST(test_equal_beginnings_are_computed_once),
        TEST(test_a_long_prompt_delays_nobody_by_more_than_a_chunk),
        TEST(test_ends),
        TEST(test_cancel_deadline_and_sink_free_the_slot),
        TEST(test_who_waits_may_leave_at_once),
        TEST(test_the_queue_is_bounded_and_in_order),
        TEST(test_the_kv_budget_is_a_hard_limit),
        TEST(test_what_a_request_may_not_ask),
        TEST(test_a_schema_is_kept_to),
        TEST(test_close_ends_what_runs_and_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
