/* config.json of a model, any bytes: what is accepted is within the limits that memory is sized
 * by. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bounds.h"
#include "nn/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config c;
    struct rag_error error;

    if (model_config_parse("fuzz", (const char *)data, size, &c, &error) != RAG_OK)
        return 0;
    if (c.n_layers == 0 || c.n_layers > ENCODER_LAYERS_MAX || c.n_heads == 0 ||
        c.hidden % c.n_heads != 0 || c.hidden > ENCODER_HIDDEN_MAX || c.embedding == 0 ||
        c.vocab_size == 0 || c.max_tokens == 0 || c.max_tokens > c.n_positions ||
        c.n_labels > ENCODER_LABELS_MAX || !(c.layer_norm_epsilon > 0))
        abort();
    return 0;
}
