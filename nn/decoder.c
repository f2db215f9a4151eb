#define _GNU_SOURCE
#include "nn/decoder.h"

#include <stdlib.h>

#include "nn/decoder_internal.h"

void decoder_close(struct decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->layers && i < d->config->n_layers; i++) {
        for (size_t k = 0; k < DECODER_LINEARS; k++)
            block_linear_free(d->layers[i].linears[k]);
        for (size_t k = 0; k < DECODER_NORMS; k++)
            free(d->layers[i].norms[k]);
    }
    block_linear_free(d->head);
    decoder_scratch_free(d->scratch);
    free(d->layers);
    free(d->norm);
    free(d);
}

static size_t layer_page_bytes(const struct decoder *d)
{
    return kv_page_bytes(d->kernels, &d->shape);
}

void decoder_info(const struct decoder *d, struct decoder_info *ret)
{
    *ret = (struct decoder_info){
        .family = decoder_family_name(d->config->family),
        .kernels = d->kernels_name,
        .n_parameters = d->n_parameters,
        .bytes = d->bytes,
        .kv_bytes_per_token = (uint64_t)layer_page_bytes(d) * d->config->n_layers / KV_PAGE_TOKENS,
        .context_max = d->config->context_max,
        .vocab_size = d->config->vocab_size,
    };
}

const struct decoder_config *decoder_config(const struct decoder *d)
{
    return d->config;
}

struct kv_cache_options decoder_kv_options(const struct decoder *d)
{
    return (struct kv_cache_options){
        .n_layers = d->config->n_layers,
        .layer_page_bytes = layer_page_bytes(d),
    };
}
