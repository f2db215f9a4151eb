#define _GNU_SOURCE
#include <string.h>

#include "nn/encoder_internal.h"

void encoder_positions(const struct model_config *config, const struct encoder_input *input,
                       uint32_t *ret)
{
    uint32_t n_real = 0;

    for (size_t i = 0; i < input->n_tokens; i++) {
        if (!config->counts_from_pad) {
            ret[i] = (uint32_t)i;
        } else if (input->ids[i] == config->pad_id) {
            /* a pad token that stands in the text: it has the pad's position, and is attended */
            ret[i] = config->pad_id;
        } else {
            ret[i] = config->pad_id + ++n_real;
        }
    }
}

/* out [E] = word[id] + position[p] + type[t] */
static void sum_row(const struct encoder *e, const struct encoder_sequence *sequence, size_t i,
                    float *out, float *other)
{
    size_t n = e->config.embedding;
    size_t type = sequence->input->types ? sequence->input->types[i] : 0;
    size_t id = sequence->input->ids[i];

    tensor_read_f32(e->word, id * n, n, out);
    for (size_t k = 0; e->word_scale && k < n; k++)
        out[k] *= e->word_scale[id];
    tensor_read_f32(e->position, (size_t)sequence->positions[i] * n, n, other);
    row_add(e->kernels, other, n, out);
    if (e->type)
        row_add(e->kernels, e->type + type * n, n, out);
}

void encoder_embed_rows(const struct encoder_rows_state *state, size_t first, size_t end,
                        struct encoder_scratch *s)
{
    const struct encoder *e = state->e;
    size_t width = e->config.embedding;
    size_t hidden = e->config.hidden;
    float *x = state->x + first * hidden;
    float *sums = e->project ? s->hidden : x; /* [end - first, E] */
    size_t i = 0;

    for (size_t row = first; row < end; row++) {
        while (row - state->sequences[i].first_row >= state->sequences[i].input->n_tokens)
            i++;
        sum_row(e, &state->sequences[i], row - state->sequences[i].first_row,
                sums + (row - first) * width, s->attended);
    }
    row_layer_norm(e->kernels, &e->embedding_norm, sums, width, end - first, sums, width, NULL);
    if (e->project) {
        struct encoder_product p = {.linear = e->project, .x = sums, .n_rows = end - first, .y = x};

        encoder_multiply(e, &p, s);
    }
}
