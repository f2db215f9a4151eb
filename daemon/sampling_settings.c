#include "daemon/sampling_settings.h"

#include <string.h>

#include "base/bounds.h"
#include "base/sha256.h"

#define SEED_MAX ((int64_t)1 << 53) /* integers that JSON's numbers hold exactly */

const char *const sampling_keys[] = {
    "max_completion_tokens", "max_tokens", "temperature", "top_p", "top_k", "min_p",
    "repetition_penalty",    "seed",       "stop",        NULL};

static enum rag_status read_float(const struct json *object, const char *key, double min,
                                  double max, float *ret, struct rag_error *reterr)
{
    double value = (double)*ret;
    enum rag_status status = json_get_double(object, key, min, max, &value, reterr);

    if (status == RAG_OK)
        *ret = (float)value;
    return status;
}

static enum rag_status read_tokens(const struct json *object, struct sampling *s,
                                   struct rag_error *reterr)
{
    int64_t tokens = s->max_new_tokens;
    int64_t completion;
    enum rag_status status =
        json_get_int(object, "max_tokens", 1, DECODER_CONTEXT_MAX, &tokens, reterr);

    completion = tokens;
    if (status == RAG_OK)
        status = json_get_int(object, "max_completion_tokens", 1, DECODER_CONTEXT_MAX, &completion,
                              reterr);
    if (status == RAG_OK && json_is_number(json_member(object, "max_tokens")) &&
        completion != tokens)
        status = rag_fail(reterr, RAG_EINVAL,
                          "'max_completion_tokens': %lld differs from 'max_tokens' (%lld), which "
                          "means the same",
                          (long long)completion, (long long)tokens);
    s->max_new_tokens = (int)completion;
    return status;
}

static enum rag_status bad_stop(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EINVAL,
                    "'stop': is not a text or an array of at most %d texts of 1 to %d bytes",
                    SAMPLING_STOPS_MAX, SAMPLING_STOP_BYTES_MAX);
}

static bool is_stop(const struct json *node)
{
    const char *text = json_string(node);

    return text && text[0] != '\0' && strlen(text) <= SAMPLING_STOP_BYTES_MAX;
}

static enum rag_status read_stop(const struct json *object, struct arena *arena, struct sampling *s,
                                 struct rag_error *reterr)
{
    const struct json *stop = json_member(object, "stop");
    const char **list;
    size_t n = json_is_array(stop) ? json_size(stop) : 1;

    if (!stop || json_is_null(stop) || n == 0)
        return RAG_OK;
    if (n > SAMPLING_STOPS_MAX || !(json_is_array(stop) || is_stop(stop)))
        return bad_stop(reterr);
    list = arena_calloc(arena, n + 1, sizeof *list);
    if (!list)
        return rag_fail(reterr, RAG_ENOMEM, "'stop': out of memory");
    n = 0;
    if (!json_is_array(stop))
        list[n++] = json_string(stop);
    for (const struct json *e = json_is_array(stop) ? json_first(stop) : NULL; e;
         e = json_next(e)) {
        if (!is_stop(e))
            return bad_stop(reterr);
        list[n++] = json_string(e);
    }
    s->stop = list;
    return RAG_OK;
}

static enum rag_status read_seed(const struct json *object, struct sampling *s,
                                 struct rag_error *reterr)
{
    int64_t seed = 0;
    enum rag_status status = json_get_int(object, "seed", -SEED_MAX, SEED_MAX, &seed, reterr);

    if (status != RAG_OK)
        return status;
    if (!json_is_number(json_member(object, "seed")) && s->temperature > 0) {
        if (random_bytes(&seed, sizeof seed) != RAG_OK)
            return rag_fail(reterr, RAG_EIO, "'seed': no random bytes from the system");
        seed &= SEED_MAX - 1;
    }
    s->seed = (uint64_t)seed;
    return RAG_OK;
}

enum rag_status sampling_read(const struct json *object, struct arena *arena,
                              struct sampling *sampling, struct rag_error *reterr)
{
    int64_t top_k = sampling->top_k;
    enum rag_status status = read_tokens(object, sampling, reterr);

    if (status == RAG_OK)
        status = read_float(object, "temperature", 0, (double)SAMPLING_TEMPERATURE_MAX,
                            &sampling->temperature, reterr);
    if (status == RAG_OK)
        status = read_float(object, "top_p", 1e-6, 1, &sampling->top_p, reterr);
    if (status == RAG_OK)
        status = json_get_int(object, "top_k", 0, INT32_MAX, &top_k, reterr);
    if (status == RAG_OK)
        status = read_float(object, "min_p", 0, 1, &sampling->min_p, reterr);
    if (status == RAG_OK)
        status = read_float(object, "repetition_penalty", (double)SAMPLING_PENALTY_MIN,
                            (double)SAMPLING_PENALTY_MAX, &sampling->repetition_penalty, reterr);
    sampling->top_k = (int)top_k;
    if (status == RAG_OK)
        status = read_seed(object, sampling, reterr);
    return status == RAG_OK ? read_stop(object, arena, sampling, reterr) : status;
}

void sampling_write(struct json_writer *w, const struct sampling *s)
{
    json_begin_object(w, "sampling");
    json_put_int(w, "max_completion_tokens", s->max_new_tokens);
    json_put_single(w, "temperature", s->temperature);
    json_put_single(w, "top_p", s->top_p);
    json_put_int(w, "top_k", s->top_k);
    json_put_single(w, "min_p", s->min_p);
    json_put_single(w, "repetition_penalty", s->repetition_penalty);
    json_put_int(w, "seed", (int64_t)s->seed);
    if (s->stop) {
        json_begin_array(w, "stop");
        for (size_t i = 0; s->stop[i]; i++)
            json_put_string(w, NULL, s->stop[i]);
        json_end_array(w);
    }
    json_end_object(w);
}
