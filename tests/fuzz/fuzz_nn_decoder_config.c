/* config.json of a decoder, any bytes: what is accepted is within the limits that memory is sized
 * by. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bounds.h"
#include "nn/decoder_config.h"
#include "nn/kv_attention.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder_config c = {0};
    struct rag_error error;

    if (decoder_config_parse("fuzz", (const char *)data, size, &c, &error) != RAG_OK)
        return 0;
    if (c.n_layers == 0 || c.n_layers > DECODER_LAYERS_MAX || c.hidden == 0 ||
        c.hidden > DECODER_HIDDEN_MAX || c.n_kv_heads == 0 || c.n_heads % c.n_kv_heads != 0 ||
        c.head_dim < 2 || c.head_dim % 2 != 0 || c.head_dim > KV_HEAD_DIM_MAX ||
        c.vocab_size == 0 || c.vocab_size > DECODER_VOCAB_MAX || c.n_eos > DECODER_EOS_MAX ||
        !(c.norm_epsilon > 0.0f) || !(c.rope_theta >= 1.0f) || !(c.attention_scale > 0.0f) ||
        (c.sliding_window > 0 && c.sliding_pattern == 0))
        abort();
    for (size_t i = 0; c.rope_divisors && i < c.head_dim / 2; i++) {
        if (!(c.rope_divisors[i] > 0.0f) || isinf(c.rope_divisors[i]))
            abort();
    }
    decoder_config_release(&c);
    return 0;
}
