/* nn/decoder_rows_template.h - nn/decoder_rows.h on whatever vectors were included before it.
 * The including file defines PATH(name): the name of its path appended. */

static inline vf load_upto(const float *p, size_t n)
{
    return n >= VF_LANES ? vf_load(p) : vf_load_n(p, n);
}

static inline void store_upto(float *p, size_t n, vf x)
{
    if (n >= VF_LANES)
        vf_store(p, x);
    else
        vf_store_n(p, n, x);
}

/* Four sums side by side, for the latency of an addition. */
static float sum_of_squares(const float *x, size_t width)
{
    vf sum[4] = {vf_set1(0), vf_set1(0), vf_set1(0), vf_set1(0)};
    size_t i = 0;

    for (; i + 4 * VF_LANES <= width; i += 4 * VF_LANES)
        for (size_t j = 0; j < 4; j++) {
            vf value = vf_load(x + i + j * VF_LANES);

            sum[j] = vf_fma(value, value, sum[j]);
        }
    for (; i < width; i += VF_LANES) {
        vf value = load_upto(x + i, width - i);

        sum[0] = vf_fma(value, value, sum[0]);
    }
    return vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

void PATH(row_rms_norm)(const float *weight, size_t width, float epsilon, const float *x,
                        size_t x_stride, size_t n, float *y, size_t y_stride)
{
    for (size_t row = 0; row < n; row++) {
        const float *from = x + row * x_stride;
        float *to = y + row * y_stride;
        vf factor = vf_set1(1.0f / sqrtf(sum_of_squares(from, width) / (float)width + epsilon));

        for (size_t i = 0; i < width; i += VF_LANES) {
            size_t left = width - i;

            store_upto(
                to + i, left,
                vf_mul(vf_mul(load_upto(from + i, left), factor), load_upto(weight + i, left)));
        }
    }
}

/* Plain loops, which compilers turn into vectors. */
static void rotate_halves(const float *cosine, const float *sine, size_t half, float *x)
{
    float *restrict low = x;
    float *restrict high = x + half;

    for (size_t i = 0; i < half; i++) {
        float a = low[i];
        float b = high[i];

        low[i] = a * cosine[i] - b * sine[i];
        high[i] = a * sine[i] + b * cosine[i];
    }
}

static void rotate_pairs(const float *cosine, const float *sine, size_t half, float *restrict x)
{
    for (size_t i = 0; i < half; i++) {
        float a = x[2 * i];
        float b = x[2 * i + 1];

        x[2 * i] = a * cosine[i] - b * sine[i];
        x[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
}

void PATH(row_rope)(const float *cos_sin, size_t head_dim, bool interleaved, size_t n_heads,
                    float *x)
{
    float cosine[KV_HEAD_DIM_MAX / 2];
    float sine[KV_HEAD_DIM_MAX / 2];
    size_t half = head_dim / 2;

    for (size_t i = 0; i < half; i++) {
        cosine[i] = cos_sin[2 * i];
        sine[i] = cos_sin[2 * i + 1];
    }
    for (size_t head = 0; head < n_heads; head++)
        if (interleaved)
            rotate_pairs(cosine, sine, half, x + head * head_dim);
        else
            rotate_halves(cosine, sine, half, x + head * head_dim);
}

static inline vf silu(vf x)
{
    return vf_div(x, vf_add(vf_set1(1), vf_exp(vf_sub(vf_set1(0), x))));
}

void PATH(row_gated)(bool gelu, const float *gate, const float *up, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += VF_LANES) {
        vf x = load_upto(gate + i, n - i);

        x = gelu ? vf_gelu_tanh(x) : silu(x);
        store_upto(y + i, n - i, vf_mul(x, load_upto(up + i, n - i)));
    }
}
