#include "generate/sampler.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "base/utf8.h"

struct candidate {
    float logit;
    uint32_t id;
};

struct sampler {
    float temperature;
    size_t top_k; /* 0: off */
    float top_p;
    float min_p;
    float penalty;
    uint64_t seed;
    uint64_t n_draws;
    size_t vocab_size;
    uint64_t *seen;               /* [ceil(vocab_size / 64)]: tokens of prompt and answer; owned */
    struct candidate *candidates; /* [vocab_size], a heap while tokens are taken out; owned */
};

static enum rag_status check_range(const char *name, double value, double least, bool may_be_least,
                                   double most, struct rag_error *reterr)
{
    if ((value > least || (may_be_least && value >= least)) && value <= most)
        return RAG_OK; /* a NaN is in no range */
    return rag_fail(reterr, RAG_EINVAL, "%s %g: must be %s %g and at most %g", name, value,
                    may_be_least ? "at least" : "above", least, most);
}

static enum rag_status check_stops(const char *const *stop, struct rag_error *reterr)
{
    size_t n = 0;

    for (; stop && stop[n]; n++) {
        size_t length = strlen(stop[n]);

        if (n == SAMPLING_STOPS_MAX)
            return rag_fail(reterr, RAG_EINVAL, "stop: more than %d strings", SAMPLING_STOPS_MAX);
        if (length == 0 || length > SAMPLING_STOP_BYTES_MAX)
            return rag_fail(reterr, RAG_EINVAL, "stop: string %zu has %zu bytes, expected 1 to %d",
                            n + 1, length, SAMPLING_STOP_BYTES_MAX);
        if (!utf8_valid(stop[n], length, NULL))
            return rag_fail(reterr, RAG_EINVAL, "stop: string %zu is not UTF-8", n + 1);
    }
    return RAG_OK;
}

enum rag_status sampling_check(const struct sampling *s, struct rag_error *reterr)
{
    enum rag_status status =
        check_range("temperature", s->temperature, 0, true, SAMPLING_TEMPERATURE_MAX, reterr);

    if (status == RAG_OK)
        status = check_range("top_p", s->top_p, 0, false, 1, reterr);
    if (status == RAG_OK)
        status = check_range("min_p", s->min_p, 0, true, 1, reterr);
    if (status == RAG_OK)
        status = check_range("repetition_penalty", s->repetition_penalty, SAMPLING_PENALTY_MIN,
                             true, SAMPLING_PENALTY_MAX, reterr);
    if (status == RAG_OK && s->top_k < 0)
        status = rag_fail(reterr, RAG_EINVAL, "top_k %d: must not be negative (0: off)", s->top_k);
    if (status == RAG_OK && s->max_new_tokens < 0)
        status = rag_fail(reterr, RAG_EINVAL, "max_new_tokens %d: must not be negative",
                          s->max_new_tokens);
    return status == RAG_OK ? check_stops(s->stop, reterr) : status;
}

enum rag_status sampler_open(const struct sampling *sampling, size_t vocab_size,
                             struct sampler **ret, struct rag_error *reterr)
{
    enum rag_status status = sampling_check(sampling, reterr);
    struct sampler *s;

    assert(vocab_size > 0);
    if (status != RAG_OK)
        return status;
    s = calloc(1, sizeof *s);
    if (s) {
        s->seen = calloc((vocab_size + 63) / 64, sizeof *s->seen);
        s->candidates = sampling->temperature > 0
                            ? malloc(vocab_size * sizeof *s->candidates)
                            : malloc(sizeof *s->candidates); /* greedy needs no list */
    }
    if (!s || !s->seen || !s->candidates) {
        sampler_close(s);
        return rag_fail(reterr, RAG_ENOMEM, "sampling from %zu tokens: out of memory", vocab_size);
    }
    s->temperature = sampling->temperature;
    s->top_k = (size_t)sampling->top_k;
    s->top_p = sampling->top_p;
    s->min_p = sampling->min_p;
    s->penalty = sampling->repetition_penalty;
    s->seed = sampling->seed;
    s->vocab_size = vocab_size;
    *ret = s;
    return RAG_OK;
}

void sampler_close(struct sampler *s)
{
    if (!s)
        return;
    free(s->seen);
    free(s->candidates);
    free(s);
}

enum rag_status sampler_accept(struct sampler *s, const uint32_t *ids, size_t n,
                               struct rag_error *reterr)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= s->vocab_size)
            return rag_fail(reterr, RAG_EINVAL, "token %u: the vocabulary has %zu", ids[i],
                            s->vocab_size);
        s->seen[ids[i] / 64] |= (uint64_t)1 << ids[i] % 64;
    }
    return RAG_OK;
}

static bool bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void penalize(const struct sampler *s, float *logits)
{
    if (s->penalty == 1.0f)
        return;
    for (size_t word = 0; word * 64 < s->vocab_size; word++)
        for (uint64_t bits = s->seen[word]; bits; bits &= bits - 1) {
            float *logit = &logits[word * 64 + (size_t)__builtin_ctzll(bits)];

            *logit = *logit > 0 ? *logit / s->penalty : *logit * s->penalty;
        }
}

/* ---- greedy ---- */

static bool choose_largest(const struct sampler *s, const float *logits, const uint64_t *allowed,
                           uint32_t *ret)
{
    float best = -INFINITY;
    bool found = false;

    for (size_t i = 0; i < s->vocab_size; i++)
        if (logits[i] > best && (!allowed || bit(allowed, i))) {
            best = logits[i];
            *ret = (uint32_t)i;
            found = true;
        }
    return found;
}

/* ---- drawing ---- */

static bool before(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* c[0, n) is a heap but for its root. */
static void sift_down(struct candidate *c, size_t n, size_t root)
{
    struct candidate item = c[root];

    for (;;) {
        size_t child = root * 2 + 1;

        if (child >= n)
            break;
        if (child + 1 < n && before(c[child + 1], c[child]))
            child++;
        if (!before(c[child], item))
            break;
        c[root] = c[child];
        root = child;
    }
    c[root] = item;
}

/* Take the largest out of the heap c[0, n), to c[n - 1]. */
static struct candidate take_largest(struct candidate *c, size_t n)
{
    struct candidate largest = c[0];

    c[0] = c[n - 1];
    sift_down(c, n - 1, 0);
    c[n - 1] = largest;
    return largest;
}

/* Weight of a candidate: e^((logit - largest) / temperature), so that sums are finite. */
static double weight(const struct sampler *s, struct candidate c, float largest)
{
    return exp(((double)c.logit - (double)largest) / (double)s->temperature);
}

/* What may be drawn, in order: sorted[-1], sorted[-2] ... behind the rest of the heap. */
struct kept {
    size_t n;
    double sum; /* of their weights */
};

/* top-k, top-p and min-p are beginnings of the same order, so tokens are taken out of a heap until
 * the first of them says no more; most of the vocabulary is never sorted. */
static struct kept keep_largest(const struct sampler *s, size_t n)
{
    struct candidate *c = s->candidates;
    struct kept kept = {0, 0};
    float largest;
    double total = 0;
    size_t most = n;

    for (size_t i = n / 2; i-- > 0;)
        sift_down(c, n, i);
    largest = c[0].logit;
    if (s->top_k > 0 && s->top_k < n) {
        most = 0;
        while (most < n && (most < s->top_k || c[0].logit == c[n - most].logit)) {
            total += weight(s, take_largest(c, n - most), largest);
            most++;
        }
    } else if (s->top_p < 1.0f) {
        for (size_t i = 0; i < n; i++)
            total += weight(s, c[i], largest);
    }
    while (kept.n < most) {
        struct candidate next =
            s->top_k > 0 && s->top_k < n ? c[n - 1 - kept.n] : take_largest(c, n - kept.n);
        double w = weight(s, next, largest);

        if (kept.n > 0 &&
            ((s->top_p < 1.0f && kept.sum >= (double)s->top_p * total) || w < (double)s->min_p))
            break;
        kept.sum += w;
        kept.n++;
    }
    return kept;
}

/* Draw i of the request, in [0, 1). */
static double draw(struct sampler *s)
{
    uint64_t state = s->seed;

    state = splitmix_next(&state) + s->n_draws++ * 0x9E3779B97F4A7C15u;
    return (double)(splitmix_next(&state) >> 11) * 0x1p-53;
}

static uint32_t draw_one(struct sampler *s, size_t n)
{
    const struct candidate *c = s->candidates;
    double rest;

    if (s->top_k == 0 && s->top_p >= 1.0f && s->min_p <= 0) { /* all of them, in any order */
        float largest = c[0].logit;
        double sum = 0;

        for (size_t i = 1; i < n; i++)
            largest = c[i].logit > largest ? c[i].logit : largest;
        for (size_t i = 0; i < n; i++)
            sum += weight(s, c[i], largest);
        rest = draw(s) * sum;
        for (size_t i = 0; i < n; i++) {
            rest -= weight(s, c[i], largest);
            if (rest < 0)
                return c[i].id;
        }
        return c[n - 1].id; /* rounding */
    } else {
        struct kept kept = keep_largest(s, n);
        float largest = c[n - 1].logit;

        rest = draw(s) * kept.sum;
        for (size_t i = 0; i < kept.n; i++) {
            rest -= weight(s, c[n - 1 - i], largest);
            if (rest < 0)
                return c[n - 1 - i].id;
        }
        return c[n - kept.n].id; /* rounding */
    }
}

enum rag_status sampler_next(struct sampler *s, float *logits, const uint64_t *allowed,
                             uint32_t *ret, struct rag_error *reterr)
{
    size_t n = 0;

    for (size_t i = 0; i < s->vocab_size; i++)
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return rag_fail(reterr, RAG_ENUMERIC, "logit of token %zu is %f", i, (double)logits[i]);
    penalize(s, logits);
    if (s->temperature <= 0) {
        if (choose_largest(s, logits, allowed, ret))
            return RAG_OK;
        return rag_fail(reterr, RAG_ENUMERIC, "no token can follow");
    }
    for (size_t i = 0; i < s->vocab_size; i++)
        if (logits[i] > -INFINITY && (!allowed || bit(allowed, i)))
            s->candidates[n++] = (struct candidate){logits[i], (uint32_t)i};
    if (n == 0)
        return rag_fail(reterr, RAG_ENUMERIC, "no token can follow");
    *ret = draw_one(s, n);
    return RAG_OK;
}
