/* nn/attention_template.h - attention in float32 on whatever vectors were included before it.
 * The including file defines PATH(name): the name of its path appended.
 *
 * The lanes of a vector are queries: up to GROUPS vectors of them are computed at once, against
 * keys and values that are read where they lie, one float broadcast to all lanes.
 *
 *     s[j][q] = sum_d k[j][d] qt[d][q]        qt: the queries, scaled and transposed
 *     p[j][q] = exp(s[j][q] - max_j s[j][q])
 *     o[d][q] = sum_j v[j][d] p[j][q] / sum_j p[j][q]
 *
 * Sums run over d and over j in ascending order in every lane, so that a query's result does not
 * depend on its neighbours, and nothing is ever summed across lanes. */

#define GROUPS 3

struct attention_block {
    const float *k; /* of this head: key j at k + j * stride */
    const float *v;
    size_t stride;
    size_t n;
    size_t head_dim;
    float *qt; /* [head_dim][GROUPS * VF_LANES]; o overwrites it */
    float *s;  /* [n][GROUPS * VF_LANES] */
};

#define ROW ((size_t)GROUPS * VF_LANES)

/* s for n_keys <= VF_TILE keys from key j on; the running maxima in 'largest'. */
static inline __attribute__((always_inline)) void scores(const struct attention_block *b, size_t j,
                                                         size_t n_keys, size_t groups, vf *largest)
{
    vf sum[VF_TILE][GROUPS];
    const float *k = b->k + j * b->stride;

    for (size_t i = 0; i < n_keys; i++)
        for (size_t g = 0; g < groups; g++)
            sum[i][g] = vf_set1(0);
    for (size_t d = 0; d < b->head_dim; d++) {
        vf q[GROUPS];

        for (size_t g = 0; g < groups; g++)
            q[g] = vf_load(b->qt + d * ROW + g * VF_LANES);
        for (size_t i = 0; i < n_keys; i++) {
            vf key = vf_set1(k[i * b->stride + d]);

            for (size_t g = 0; g < groups; g++)
                sum[i][g] = vf_fma(key, q[g], sum[i][g]);
        }
    }
    for (size_t i = 0; i < n_keys; i++)
        for (size_t g = 0; g < groups; g++) {
            vf_store(b->s + (j + i) * ROW + g * VF_LANES, sum[i][g]);
            largest[g] = vf_max(largest[g], sum[i][g]);
        }
}

/* o for n_dims <= VF_TILE dimensions from d on, multiplied by 'factor'. */
static inline __attribute__((always_inline)) void
weighted(const struct attention_block *b, size_t d, size_t n_dims, size_t groups, const vf *factor)
{
    vf sum[VF_TILE][GROUPS];

    for (size_t i = 0; i < n_dims; i++)
        for (size_t g = 0; g < groups; g++)
            sum[i][g] = vf_set1(0);
    for (size_t j = 0; j < b->n; j++) {
        const float *v = b->v + j * b->stride + d;
        vf p[GROUPS];

        for (size_t g = 0; g < groups; g++)
            p[g] = vf_load(b->s + j * ROW + g * VF_LANES);
        for (size_t i = 0; i < n_dims; i++) {
            vf value = vf_set1(v[i]);

            for (size_t g = 0; g < groups; g++)
                sum[i][g] = vf_fma(value, p[g], sum[i][g]);
        }
    }
    for (size_t i = 0; i < n_dims; i++)
        for (size_t g = 0; g < groups; g++)
            vf_store(b->qt + (d + i) * ROW + g * VF_LANES, vf_mul(sum[i][g], factor[g]));
}

static inline __attribute__((always_inline)) void attend(const struct attention_block *b,
                                                         size_t groups)
{
    vf largest[GROUPS];
    vf sum[GROUPS];
    size_t j = 0;
    size_t d = 0;

    for (size_t g = 0; g < groups; g++) {
        largest[g] = vf_set1(-INFINITY);
        sum[g] = vf_set1(0);
    }
    for (; j + VF_TILE <= b->n; j += VF_TILE)
        scores(b, j, VF_TILE, groups, largest);
    for (; j < b->n; j++)
        scores(b, j, 1, groups, largest);
    for (j = 0; j < b->n; j++)
        for (size_t g = 0; g < groups; g++) {
            float *s = b->s + j * ROW + g * VF_LANES;
            vf p = vf_exp(vf_sub(vf_load(s), largest[g]));

            sum[g] = vf_add(sum[g], p);
            vf_store(s, p);
        }
    for (size_t g = 0; g < groups; g++)
        sum[g] = vf_div(vf_set1(1), sum[g]);
    for (; d + VF_TILE <= b->head_dim; d += VF_TILE)
        weighted(b, d, VF_TILE, groups, sum);
    for (; d < b->head_dim; d++)
        weighted(b, d, 1, groups, sum);
}

static void attend_1(const struct attention_block *b)
{
    attend(b, 1);
}

static void attend_2(const struct attention_block *b)
{
    attend(b, 2);
}

static void attend_3(const struct attention_block *b)
{
    attend(b, GROUPS);
}

/* Queries to the lanes of qt, times scale; lanes beyond n are 0. */
static void load_queries(const struct attention_block *b, const float *q, size_t n, float scale)
{
    for (size_t first = 0; first < n; first += VF_LANES)
        for (size_t d = 0; d < b->head_dim; d += VF_LANES) {
            size_t left = b->head_dim - d;
            vf block[VF_LANES];

            for (size_t i = 0; i < VF_LANES; i++)
                block[i] =
                    first + i < n ? vf_load_n(q + (first + i) * b->stride + d, left) : vf_set1(0);
            vf_transpose(block);
            for (size_t i = 0; i < VF_LANES && i < left; i++)
                vf_store(b->qt + (d + i) * ROW + first, vf_mul(block[i], vf_set1(scale)));
        }
}

static void store_outputs(const struct attention_block *b, size_t n, float *out, size_t stride)
{
    for (size_t first = 0; first < n; first += VF_LANES)
        for (size_t d = 0; d < b->head_dim; d += VF_LANES) {
            size_t left = b->head_dim - d;
            vf block[VF_LANES];

            for (size_t i = 0; i < VF_LANES; i++)
                block[i] = i < left ? vf_load(b->qt + (d + i) * ROW + first) : vf_set1(0);
            vf_transpose(block);
            for (size_t i = 0; i < VF_LANES && first + i < n; i++)
                vf_store_n(out + (first + i) * stride + d, left, block[i]);
        }
}

size_t PATH(attention_scratch)(const struct attention *a, size_t n)
{
    return (a->head_dim + n) * ROW;
}

void PATH(attention)(const struct attention *a, const float *qkv, size_t qkv_stride, size_t n,
                     size_t first_query, size_t n_queries, float *out, size_t out_stride,
                     float *scratch)
{
    size_t width = a->n_heads * a->head_dim;
    struct attention_block b = {.stride = qkv_stride,
                                .n = n,
                                .head_dim = a->head_dim,
                                .qt = scratch,
                                .s = scratch + a->head_dim * ROW};

    for (size_t head = 0; head < a->n_heads; head++) {
        const float *q = qkv + first_query * qkv_stride + head * a->head_dim;

        b.k = qkv + width + head * a->head_dim;
        b.v = b.k + width;
        for (size_t i = 0; i < n_queries; i += ROW) {
            size_t m = n_queries - i < ROW ? n_queries - i : ROW;

            load_queries(&b, q + i * qkv_stride, m, a->scale);
            if (m > 2 * VF_LANES)
                attend_3(&b);
            else if (m > VF_LANES)
                attend_2(&b);
            else
                attend_1(&b);
            store_outputs(&b, m, out + i * out_stride + head * a->head_dim, out_stride);
        }
    }
}
