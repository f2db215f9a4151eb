#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_model_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"

#define OWN_OPTIONS_MAX 16

/* Numbers with commas between them, "1,2, 3". */
static enum rag_status parse_ids(const char *text, uint32_t **ret, size_t *ret_n,
                                 struct rag_error *reterr)
{
    uint32_t *ids = calloc(strlen(text) / 2 + 1, sizeof *ids);
    const char *at = text;
    size_t n = 0;

    if (!ids)
        return rag_fail(reterr, RAG_ENOMEM, "option --ids: out of memory");
    for (;;) {
        unsigned long long id;
        char *end;

        at += strspn(at, " ");
        errno = 0;
        id = strtoull(at, &end, 10);
        if (*at < '0' || *at > '9' || errno != 0 || id > UINT32_MAX)
            break;
        ids[n++] = (uint32_t)id;
        at = end + strspn(end, " ");
        if (*at == '\0') {
            *ret = ids; /* ownership to the caller */
            *ret_n = n;
            return RAG_OK;
        }
        if (*at++ != ',')
            break;
    }
    free(ids);
    return rag_fail(reterr, RAG_EINVAL,
                    "option --ids '%s': must be token ids with commas between them, like 1,2,3",
                    text);
}

enum rag_status model_session_begin(struct model_session *m, const struct ragctl_options *options,
                                    int argc, char **argv, const struct ragctl_arg *table, size_t n,
                                    struct rag_error *reterr)
{
    /* clang-format off */
    struct ragctl_arg all[OWN_OPTIONS_MAX + 3] = {
        {.name = "--precision", .text = &m->precision},
        {.name = "--ids",       .text = &m->ids_text},
        {.name = "--threads",   .number = &m->threads, .min = 1, .max = COMPUTE_THREADS_MAX},
    };
    /* clang-format on */
    enum rag_status status;

    m->options = options;
    m->verb = argv[0];
    m->usage = true;
    for (size_t i = 0; i < n && i < OWN_OPTIONS_MAX; i++)
        all[3 + i] = table[i];
    m->words = calloc((size_t)argc + 1, sizeof *m->words);
    if (!m->words)
        return rag_fail(reterr, RAG_ENOMEM, "model %s: out of memory", m->verb);
    status = ragctl_args_parse(all, 3 + n, argc, argv, m->words, &m->n_words, reterr);
    if (status != RAG_OK)
        return status;
    if (m->n_words != 1)
        return rag_fail(
            reterr, RAG_EINVAL,
            "model %s: needs one model, a directory or a .gguf file, but got %d words%s", m->verb,
            m->n_words,
            m->n_words > 1 && strcmp(m->verb, "generate") == 0 ? "; the text goes behind --prompt"
                                                               : "");
    status = ragctl_model_need(m->verb, m->words[0], &m->path, reterr);
    m->usage = status != RAG_ENOTFOUND;
    if (status != RAG_OK)
        return status;
    return m->ids_text ? parse_ids(m->ids_text, &m->ids, &m->n_ids, reterr) : RAG_OK;
}

static enum rag_status read_precision(const char *name, struct decoder_options *ret,
                                      struct rag_error *reterr)
{
    ret->precision = DECODER_BLOCKS;
    ret->dense_type = BLOCK_Q8_0;
    if (!name || strcmp(name, "int8") == 0)
        return RAG_OK;
    if (strcmp(name, "int4") == 0)
        ret->dense_type = BLOCK_Q4_1;
    else if (strcmp(name, "fp32") == 0)
        ret->precision = DECODER_FP32;
    else
        return rag_fail(reterr, RAG_EINVAL, "option --precision '%s': must be fp32, int8 or int4",
                        name);
    return RAG_OK;
}

static bool all_floats(const struct model_tensors *t)
{
    for (size_t i = 0; i < model_tensors_count(t); i++) {
        struct matrix m;

        model_tensors_at(t, i, &m);
        if (m.type != BLOCK_F32 && m.type != BLOCK_F16 && m.type != BLOCK_BF16)
            return false;
    }
    return true;
}

enum rag_status model_session_open(struct model_session *m, struct rag_error *reterr)
{
    struct decoder_options options = {0};
    enum rag_status status = read_precision(m->precision, &options, reterr);

    if (status != RAG_OK)
        return status;
    m->usage = false;
    status = compute_pool_open((size_t)m->threads, &m->pool, reterr);
    options.pool = m->pool;
    if (status == RAG_OK)
        status = model_tensors_open(m->path, &m->model, reterr);
    /* results are for comparing with other programs: weights become others only on request */
    if (status == RAG_OK && !m->precision && all_floats(m->model))
        options.precision = DECODER_FP32;
    if (status == RAG_OK)
        status = decoder_open(m->model, &options, &m->decoder, reterr);
    return status;
}

enum rag_status model_session_room(struct model_session *m, size_t n, struct rag_error *reterr)
{
    struct kv_cache_options options = decoder_kv_options(m->decoder);
    enum rag_status status;
    struct decoder_info info;
    uint64_t n_pages;

    decoder_info(m->decoder, &info);
    if (n > info.context_max)
        return rag_fail(reterr, RAG_EINVAL, "model '%s': %zu tokens, but its context has %zu",
                        m->path, n, info.context_max);
    n_pages = n / KV_PAGE_TOKENS + 1;
    options.budget_bytes = n_pages * options.n_layers * options.layer_page_bytes;
    status = kv_cache_open(&options, &m->kv, reterr);
    return status == RAG_OK ? kv_sequence_open(m->kv, NULL, 0, &m->sequence, reterr) : status;
}

enum rag_status model_session_run(struct model_session *m, const uint32_t *ids, size_t n,
                                  size_t n_logits, float *ret, struct rag_error *reterr)
{
    const struct decoder_input input = {m->sequence, ids, n, n_logits, ret};

    return decoder_run(m->decoder, &input, 1, NULL, reterr);
}

int model_session_end(struct model_session *m, enum rag_status status,
                      const struct rag_error *error)
{
    kv_sequence_close(m->sequence);
    kv_cache_close(m->kv);
    decoder_close(m->decoder);
    model_tensors_close(m->model);
    compute_pool_close(m->pool);
    free(m->ids);
    free(m->path);
    free(m->words);
    if (status == RAG_OK)
        return RAGCTL_OK;
    return m->usage ? ragctl_usage("model", error) : ragctl_fail(m->options, error);
}
