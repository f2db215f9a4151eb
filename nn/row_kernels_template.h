/* nn/row_kernels_template.h - the row kernels on whatever vectors were included before it.
 * The including file defines PATH(name): the name of its path appended. */

#define LOW_HALF   1e-30f      /* a row whose values are nearer to each other is its middle */
#define NOT_FINITE 0x7f800000u /* bits of infinity */

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

/* The first value in all lanes: where the search for extremes begins. */
static inline vf column_first(const float *x, const struct q8_rows *ret)
{
    return vf_set1(ret->columns ? x[0] * ret->columns[0] : x[0]);
}

/* The row's extremes into its scale and middle; the factor of its steps is returned, 0 for a row
 * that becomes zeros. */
static float measure_row(const float *x, size_t row, const struct q8_rows *ret)
{
    size_t whole = ret->width - ret->width % VF_LANES;
    vi magnitude = vi_zero();
    vf high = column_first(x, ret);
    vf low = high;
    float highest;
    float lowest;
    float half;

    for (size_t i = 0; i < whole; i += VF_LANES) {
        vf value = column_values(x, i, ret);

        magnitude = vi_larger_magnitude(magnitude, value);
        high = vf_max(high, value);
        low = vf_min(low, value);
    }
    highest = vf_largest(high);
    lowest = -vf_largest(vf_sub(vf_set1(0), low));
    if (whole < ret->width) {
        float rest[VF_LANES];
        vf value = column_values(x, whole, ret);

        magnitude = vi_larger_magnitude(magnitude, value);
        vf_store(rest, value);
        for (size_t i = 0; i < ret->width - whole; i++) {
            highest = rest[i] > highest ? rest[i] : highest;
            lowest = rest[i] < lowest ? rest[i] : lowest;
        }
    }
    half = highest * 0.5f - lowest * 0.5f; /* the difference may be too large for a float */
    ret->middle[row] = highest * 0.5f + lowest * 0.5f;
    if (vi_largest(magnitude) >= NOT_FINITE) {
        ret->middle[row] = NAN;
        ret->scale[row] = NAN;
        return 0;
    }
    ret->scale[row] = half < LOW_HALF ? 0 : half / 127.0f;
    return half < LOW_HALF ? 0 : 127.0f / half;
}

/* One row to 8 bits. The columns beyond the width, up to whole vectors, are written as well: rows
 * have room for whole blocks of 64. */
static void quantize_row(const float *x, size_t row, const struct q8_rows *ret)
{
    unsigned char *data = ret->data + row * ret->stride;
    float factor = measure_row(x, row, ret);
    vf middle = vf_set1(factor > 0 ? ret->middle[row] : 0);

    for (size_t i = 0; i < ret->width; i += VF_LANES) {
        vf value = vf_mul(vf_sub(column_values(x, i, ret), middle), vf_set1(factor));
        vi q = vi_zero();

        /* beyond the width there are zeros, which may be far from the middle */
        if (factor > 0)
            q = vi_from_vf(vf_max(vf_min(value, vf_set1(127)), vf_set1(-127)));
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
