/* nn/q8_epilogue.h - from int32 sums to the output of a linear, on whatever vectors were included
 * before it (with nn/vector_math.h). */

static inline __attribute__((always_inline)) vf q8_activated(enum linear_activation f, vf x)
{
    switch (f) {
    case LINEAR_GELU:
        return vf_gelu_rough(x); /* what follows rounds it to 8 bits */
    case LINEAR_GELU_TANH:
        return vf_gelu_tanh(x);
    case LINEAR_RELU:
        return vf_relu(x);
    case LINEAR_TANH:
        return vf_tanh(x);
    case LINEAR_PLAIN:
        break;
    }
    return x;
}

/* A block of sums: rows first_row .. + n_rows - 1 of the call, channels first_out .. + n_outs - 1;
 * sums of a row begin at sums + i * stride. */
struct q8_block {
    const int32_t *sums;
    size_t stride;
    size_t first_row;
    size_t n_rows;
    size_t first_out;
    size_t n_outs; /* those beyond n_out of the weights are left out */
};

static inline __attribute__((always_inline)) void
q8_finish_as(const struct q8_weights *w, const struct q8_rows *x, const struct q8_block *b,
             const struct linear_output *out, enum linear_activation f)
{
    size_t end = w->n_out - b->first_out < b->n_outs ? w->n_out - b->first_out : b->n_outs;

    for (size_t i = 0; i < b->n_rows; i++) {
        size_t row = b->first_row + i;
        const int32_t *sums = b->sums + i * b->stride;
        const float *residual =
            out->residual ? out->residual + row * out->residual_stride + b->first_out : NULL;
        float *y = out->y + row * out->stride + b->first_out;
        vf row_scale = vf_set1(x->scale[row]);
        vf row_middle = vf_set1(x->middle[row]);

        for (size_t o = 0; o < end; o += VF_LANES) {
            /* scale, sum and bias have room for whole panels */
            vf value = vf_fma(vf_from_int(sums + o),
                              vf_mul(row_scale, vf_load(w->scale + b->first_out + o)),
                              vf_fma(row_middle, vf_load(w->sum + b->first_out + o),
                                     vf_load(w->bias + b->first_out + o)));

            value = q8_activated(f, value);
            if (end - o >= VF_LANES) {
                if (residual)
                    value = vf_add(value, vf_load(residual + o));
                vf_store(y + o, value);
            } else {
                if (residual)
                    value = vf_add(value, vf_load_n(residual + o, end - o));
                vf_store_n(y + o, end - o, value);
            }
        }
    }
}

static void q8_finish(const struct q8_weights *w, const struct q8_rows *x, const struct q8_block *b,
                      const struct linear_output *out)
{
    if (b->first_out >= w->n_out)
        return;
    switch (out->activation) {
    case LINEAR_PLAIN:
        q8_finish_as(w, x, b, out, LINEAR_PLAIN);
        break;
    case LINEAR_GELU:
        q8_finish_as(w, x, b, out, LINEAR_GELU);
        break;
    case LINEAR_GELU_TANH:
        q8_finish_as(w, x, b, out, LINEAR_GELU_TANH);
        break;
    case LINEAR_RELU:
        q8_finish_as(w, x, b, out, LINEAR_RELU);
        break;
    case LINEAR_TANH:
        q8_finish_as(w, x, b, out, LINEAR_TANH);
        break;
    }
}

/* Rows are computed in blocks of at most 'most'; the blocks of n rows are made about equally long,
 * since a block of one or two rows costs nearly as much as a whole one. */
static inline size_t q8_rows_of_block(size_t n, size_t most)
{
    size_t n_blocks = (n + most - 1) / most;

    return (n + n_blocks - 1) / n_blocks;
}
