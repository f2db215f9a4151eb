/* nn/row_kernels_template.h - the row kernels on whatever vectors were included before it.
 * The including file defines PATH(name): the name of its path appended. */

#define LOW_MAGNITUDE 0x0da24260u /* bits of 1e-30f: a row below it is zero */
#define NOT_FINITE    0x7f800000u /* bits of infinity */

static inline float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A vector of the row that is quantised, from column i on; zeros beyond the width. */
static inline vf column_values(const float *x, size_t i, const struct q8_rows *ret)
{
    size_t n = ret->width - i;
    vf value = n >= VF_LANES ? vf_load(x + i) : vf_load_n(x + i, n);

    if (!ret->columns)
        return value;
    return vf_mul(value,
                  n >= VF_LANES ? vf_load(ret->columns + i) : vf_load_n(ret->columns + i, n));
}

/* One row to 8 bits. The columns beyond the width, up to whole vectors, are written as zeros: rows
 * have room for whole blocks of 64. */
static void quantize_row(const float *x, size_t row, const struct q8_rows *ret)
{
    unsigned char *data = ret->data + row * ret->stride;
    vi magnitude = vi_zero();
    uint32_t largest;
    float factor = 0;
    size_t i;

    for (i = 0; i < ret->width; i += VF_LANES)
        magnitude = vi_larger_magnitude(magnitude, column_values(x, i, ret));
    largest = vi_largest(magnitude);
    if (largest >= NOT_FINITE) {
        ret->scale[row] = NAN;
    } else if (largest < LOW_MAGNITUDE) {
        ret->scale[row] = 0;
    } else {
        ret->scale[row] = float_of(largest) / 127.0f;
        factor = 127.0f / float_of(largest);
    }
    for (i = 0; i < ret->width; i += VF_LANES) {
        vf value = column_values(x, i, ret);
        vi q = factor > 0 ? vi_from_vf(vf_mul(value, vf_set1(factor))) : vi_zero();

        if (ret->wide)
            vi_store_wide((int16_t *)(void *)data + i, q);
        else
            vi_store_unsigned(data + i, q);
    }
}

void PATH(q8_quantize)(const float *x, size_t x_stride, size_t n, const struct q8_rows *ret)
{
    for (size_t row = 0; row < n; row++)
        quantize_row(x + row * x_stride, row, ret);
}

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

static void layer_norm_row(const struct layer_norm *norm, const float *x, float *y)
{
    size_t width = norm->width;
    size_t whole = width - width % VF_LANES;
    vf sum = vf_set1(0);
    vf squares = vf_set1(0);
    float mean;
    float factor;

    for (size_t i = 0; i < width; i += VF_LANES)
        sum = vf_add(sum, load_upto(x + i, width - i));
    mean = vf_sum(sum) / (float)width;
    for (size_t i = 0; i < whole; i += VF_LANES) {
        vf d = vf_sub(vf_load(x + i), vf_set1(mean));

        squares = vf_fma(d, d, squares);
    }
    factor = vf_sum(squares);
    for (size_t i = whole; i < width; i++)
        factor += (x[i] - mean) * (x[i] - mean);
    factor = 1.0f / sqrtf(factor / (float)width + norm->epsilon);
    for (size_t i = 0; i < width; i += VF_LANES) {
        size_t n = width - i;
        vf d = vf_mul(vf_sub(load_upto(x + i, n), vf_set1(mean)), vf_set1(factor));

        store_upto(y + i, n,
                   vf_fma(d, load_upto(norm->gamma + i, n), load_upto(norm->beta + i, n)));
    }
}

void PATH(row_layer_norm)(const struct layer_norm *norm, const float *x, size_t x_stride, size_t n,
                          float *y, size_t y_stride, const struct q8_rows *q8)
{
    for (size_t row = 0; row < n; row++) {
        layer_norm_row(norm, x + row * x_stride, y + row * y_stride);
        if (q8)
            quantize_row(y + row * y_stride, row, q8);
    }
}

void PATH(row_add)(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += VF_LANES)
        store_upto(y + i, n - i, vf_add(load_upto(x + i, n - i), load_upto(y + i, n - i)));
}

static inline vf activated(enum linear_activation f, vf x)
{
    switch (f) {
    case LINEAR_GELU:
        return vf_gelu(x);
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

void PATH(row_activate)(enum linear_activation f, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += VF_LANES)
        store_upto(y + i, n - i, activated(f, load_upto(y + i, n - i)));
}

void PATH(row_softmax)(size_t n, float *y)
{
    vf largest = vf_set1(y[0]);
    vf sum = vf_set1(0);
    size_t whole = n - n % VF_LANES;
    float total;
    float shift;

    for (size_t i = 0; i < whole; i += VF_LANES)
        largest = vf_max(largest, vf_load(y + i));
    shift = vf_largest(largest);
    for (size_t i = whole; i < n; i++)
        shift = y[i] > shift ? y[i] : shift;
    for (size_t i = 0; i < whole; i += VF_LANES) {
        vf e = vf_exp(vf_sub(vf_load(y + i), vf_set1(shift)));

        sum = vf_add(sum, e);
        vf_store(y + i, e);
    }
    total = vf_sum(sum);
    if (whole < n) {
        vf_store_n(y + whole, n - whole,
                   vf_exp(vf_sub(vf_load_n(y + whole, n - whole), vf_set1(shift))));
        for (size_t i = whole; i < n; i++)
            total += y[i];
    }
    for (size_t i = 0; i < n; i += VF_LANES)
        store_upto(y + i, n - i, vf_div(load_upto(y + i, n - i), vf_set1(total)));
}

void PATH(row_finish)(const float *sums, const float *bias, size_t n_out, size_t n,
                      const struct linear_output *out)
{
    for (size_t row = 0; row < n; row++) {
        for (size_t i = 0; i < n_out; i += VF_LANES) {
            size_t left = n_out - i;
            vf value = vf_add(load_upto(sums + row * n_out + i, left), load_upto(bias + i, left));

            value = activated(out->activation, value);
            if (out->residual)
                value =
                    vf_add(value, load_upto(out->residual + row * out->residual_stride + i, left));
            store_upto(out->y + row * out->stride + i, left, value);
        }
    }
}
