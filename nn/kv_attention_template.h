/* nn/kv_attention_template.h - nn/kv_attention.h on whatever vectors were included before it.
 * The including file defines PATH(name): the name of its path appended.
 *
 * Inside a page each kv head has
 *
 *     keys   [head_dim][KV_PAGE_TOKENS]   transposed, so that the lanes of a vector are positions
 *     values [KV_PAGE_TOKENS][padded]     padded: head_dim rounded up to VALUE_UNIT; zeros
 *
 * A row is one query head of one query; those of the same query lie together, so that the rows
 * which see a page are neighbours. For a page and a row, positions j = 0 .. KV_PAGE_TOKENS - 1:
 *
 *     s[j]   = fma over d = 0, 1, ..: q[d] keys[d][j]       q times the scale; beginning with 0
 *     m'     = max(m, s[j] that are seen)
 *     p[j]   = exp(s[j] - m'), 0 for those not seen
 *     l[i]   = l[i] exp(m - m') + (p[i] + p[i + VF_LANES] + ..)   lane i; summed at the end
 *     o[d]   = fma over j: p[j] values[j][d]                beginning with o[d] exp(m - m')
 *
 * which is the same however rows and lanes are cut into registers: a position that is not seen adds
 * 0 times something finite. Few rows read halves where they lie; many have them turned into floats
 * first, which changes nothing either. */

#define ALWAYS_INLINE inline __attribute__((always_inline))

#define TILE_ROWS     128 /* about: whole queries, at least one */
#define ROWS_DIRECT   8   /* up to here a page is read as it lies */
#define SCORE_VECTORS 2
#define VALUE_VECTORS 3
#define VALUE_UNIT    16 /* floats; a multiple of VF_LANES */

_Static_assert(KV_PAGE_TOKENS % (SCORE_VECTORS * VF_LANES) == 0, "whole vectors of positions");
_Static_assert(VALUE_UNIT % VF_LANES == 0, "whole vectors of dimensions");

struct kv_tile {
    size_t head_dim;
    size_t padded;
    size_t group; /* query heads of a query */
    size_t window;
    bool half; /* pages hold halves */
    size_t first_position;
    size_t n;    /* queries */
    float *q;    /* [n * group][head_dim] */
    float *s;    /* [n * group][KV_PAGE_TOKENS]: scores, then p */
    float *o;    /* [n * group][padded] */
    float *l;    /* [n * group][VF_LANES] */
    float *m;    /* [n * group] */
    float *c;    /* [n * group]: exp(m - m') of the page at hand */
    float *page; /* keys and values of a page as floats */
};

static size_t padded_dim(const struct kv_shape *s)
{
    return (s->head_dim + VALUE_UNIT - 1) / VALUE_UNIT * VALUE_UNIT;
}

static size_t element_bytes(const struct kv_shape *s)
{
    return s->type == KV_F16 ? 2 : 4;
}

/* Of one kv head in a page. */
static size_t head_bytes(const struct kv_shape *s)
{
    return (s->head_dim + padded_dim(s)) * KV_PAGE_TOKENS * element_bytes(s);
}

size_t PATH(kv_page_bytes)(const struct kv_shape *s)
{
    return s->n_kv_heads * head_bytes(s);
}

/* ---- storing ---- */

static ALWAYS_INLINE vf load_upto(const float *p, size_t n)
{
    return n >= VF_LANES ? vf_load(p) : vf_load_n(p, n);
}

static ALWAYS_INLINE void store_element(unsigned char *p, size_t i, bool half, vf x)
{
    if (half)
        vf_store_half((uint16_t *)(void *)p + i, x);
    else
        vf_store((float *)(void *)p + i, x);
}

/* The value of one position, or as many as there are lanes of a key in their order. */
static void store_row(unsigned char *to, bool half, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += VF_LANES)
        store_element(to, i, half, load_upto(x + i, n - i));
}

static void store_key(unsigned char *keys, size_t slot, bool half, const float *x, size_t n)
{
    uint16_t halves[KV_HEAD_DIM_MAX + VF_LANES];

    if (!half) {
        for (size_t d = 0; d < n; d++)
            ((float *)(void *)keys)[d * KV_PAGE_TOKENS + slot] = x[d];
        return;
    }
    store_row((unsigned char *)halves, true, x, n);
    for (size_t d = 0; d < n; d++)
        ((uint16_t *)(void *)keys)[d * KV_PAGE_TOKENS + slot] = halves[d];
}

/* Keys of VF_LANES positions from a slot that is a multiple of it. */
static void store_keys(unsigned char *keys, size_t slot, bool half, const float *x, size_t stride,
                       size_t n)
{
    for (size_t d = 0; d < n; d += VF_LANES) {
        vf block[VF_LANES];

        for (size_t i = 0; i < VF_LANES; i++)
            block[i] = load_upto(x + i * stride + d, n - d);
        vf_transpose(block);
        for (size_t i = 0; i < VF_LANES && d + i < n; i++)
            store_element(keys, (d + i) * KV_PAGE_TOKENS + slot, half, block[i]);
    }
}

void PATH(kv_store)(const struct kv_shape *s, unsigned char *const *pages, size_t first_position,
                    const float *k_rows, const float *v_rows, size_t stride, size_t n,
                    size_t first_head, size_t n_heads_here)
{
    bool half = s->type == KV_F16;
    size_t value_bytes = padded_dim(s) * element_bytes(s);

    for (size_t head = first_head; head < first_head + n_heads_here; head++) {
        const float *k = k_rows + head * s->head_dim;
        const float *v = v_rows + head * s->head_dim;

        for (size_t i = 0; i < n;) {
            size_t slot = (first_position + i) % KV_PAGE_TOKENS;
            unsigned char *keys =
                pages[(first_position + i) / KV_PAGE_TOKENS] + head * head_bytes(s);
            unsigned char *values = keys + s->head_dim * KV_PAGE_TOKENS * element_bytes(s);
            size_t lanes = slot % VF_LANES == 0 && n - i >= VF_LANES ? VF_LANES : 1;

            if (lanes == VF_LANES)
                store_keys(keys, slot, half, k + i * stride, stride, s->head_dim);
            else
                store_key(keys, slot, half, k + i * stride, s->head_dim);
            for (size_t end = i + lanes; i < end; i++, slot++)
                store_row(values + slot * value_bytes, half, v + i * stride, s->head_dim);
        }
    }
}

/* ---- scores ---- */

static ALWAYS_INLINE vf load_element(const void *p, size_t i, bool half)
{
    return half ? vf_load_half((const uint16_t *)p + i) : vf_load((const float *)p + i);
}

/* s of n_rows <= VF_TILE rows; meanwhile the lines of 'ahead' come nearer. */
static ALWAYS_INLINE void score_rows(const float *q, const void *keys, bool half, size_t head_dim,
                                     size_t n_rows, const unsigned char *ahead, float *s)
{
    size_t line = half ? 64 : 128;

    for (size_t j = 0; j < KV_PAGE_TOKENS; j += SCORE_VECTORS * VF_LANES) {
        vf sum[VF_TILE][SCORE_VECTORS];

        for (size_t r = 0; r < n_rows; r++)
            for (size_t i = 0; i < SCORE_VECTORS; i++)
                sum[r][i] = vf_set1(0);
        for (size_t d = 0; d < head_dim; d++) {
            vf key[SCORE_VECTORS];

            if (ahead && j == 0)
                __builtin_prefetch(ahead + d * line);
            for (size_t i = 0; i < SCORE_VECTORS; i++)
                key[i] = load_element(keys, d * KV_PAGE_TOKENS + j + i * VF_LANES, half);
            for (size_t r = 0; r < n_rows; r++) {
                vf x = vf_set1(q[r * head_dim + d]);

                for (size_t i = 0; i < SCORE_VECTORS; i++)
                    sum[r][i] = vf_fma(key[i], x, sum[r][i]);
            }
        }
        for (size_t r = 0; r < n_rows; r++)
            for (size_t i = 0; i < SCORE_VECTORS; i++)
                vf_store(s + r * KV_PAGE_TOKENS + j + i * VF_LANES, sum[r][i]);
    }
}

static ALWAYS_INLINE void score_all(const struct kv_tile *t, size_t row, size_t end,
                                    const void *keys, bool half, const unsigned char *ahead)
{
#define SCORE_ROWS(count)                                                                          \
    for (; row + (count) <= end; row += (count), ahead = NULL)                                     \
    score_rows(t->q + row * t->head_dim, keys, half, t->head_dim, (count), ahead,                  \
               t->s + row * KV_PAGE_TOKENS)

    SCORE_ROWS(VF_TILE);
    SCORE_ROWS(4);
    SCORE_ROWS(2);
    SCORE_ROWS(1);
#undef SCORE_ROWS
}

/* ---- softmax ---- */

/* What a row does not see of its scores becomes minus infinity; its maximum so far. */
static float row_maximum(float *s, float before, size_t from, size_t to)
{
    vf largest;
    float high;

    for (size_t j = 0; j < from; j++)
        s[j] = -INFINITY;
    for (size_t j = to; j < KV_PAGE_TOKENS; j++)
        s[j] = -INFINITY;
    largest = vf_load(s);
    for (size_t j = VF_LANES; j < KV_PAGE_TOKENS; j += VF_LANES)
        largest = vf_max(largest, vf_load(s + j));
    high = vf_largest(largest);
    return before > high ? before : high;
}

/* p in place of the scores, and the row's l. */
static void row_probabilities(float *s, float *l, float m, float factor, size_t from, size_t to)
{
    vf shift = vf_set1(m);
    vf sum = vf_set1(0);

    for (size_t j = 0; j < KV_PAGE_TOKENS; j += VF_LANES)
        vf_store(s + j, vf_exp(vf_sub(vf_load(s + j), shift)));
    for (size_t j = 0; j < from; j++)
        s[j] = 0;
    for (size_t j = to; j < KV_PAGE_TOKENS; j++)
        s[j] = 0;
    for (size_t j = 0; j < KV_PAGE_TOKENS; j += VF_LANES)
        sum = vf_add(sum, vf_load(s + j));
    vf_store(l, vf_fma(vf_load(l), vf_set1(factor), sum));
}

/* ---- values ---- */

/* o of n_rows <= VF_TILE rows, n_vectors <= VALUE_VECTORS from dimension d on; positions
 * from .. to - 1, the others have p = 0. */
static ALWAYS_INLINE void value_block(const struct kv_tile *t, size_t row, size_t n_rows, size_t d,
                                      size_t n_vectors, const void *values, bool half, size_t from,
                                      size_t to, const unsigned char *ahead)
{
    const float *p = t->s + row * KV_PAGE_TOKENS;
    float *o = t->o + row * t->padded + d;
    size_t bytes = t->padded * (half ? 2 : 4);
    vf sum[VF_TILE][VALUE_VECTORS];

    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n_vectors; i++)
            sum[r][i] = vf_mul(vf_load(o + r * t->padded + i * VF_LANES), vf_set1(t->c[row + r]));
    for (size_t j = from; j < to; j++) {
        vf value[VALUE_VECTORS];

        if (ahead)
            for (size_t at = 0; at < bytes; at += 64)
                __builtin_prefetch(ahead + j * bytes + at);
        for (size_t i = 0; i < n_vectors; i++)
            value[i] = load_element(values, j * t->padded + d + i * VF_LANES, half);
        for (size_t r = 0; r < n_rows; r++) {
            vf x = vf_set1(p[r * KV_PAGE_TOKENS + j]);

            for (size_t i = 0; i < n_vectors; i++)
                sum[r][i] = vf_fma(x, value[i], sum[r][i]);
        }
    }
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n_vectors; i++)
            vf_store(o + r * t->padded + i * VF_LANES, sum[r][i]);
}

static ALWAYS_INLINE void value_rows(const struct kv_tile *t, size_t row, size_t n_rows,
                                     const void *values, bool half, size_t from, size_t to,
                                     const unsigned char *ahead)
{
    size_t d = 0;
    size_t left = t->padded / VF_LANES;

    while (left > 0) {
        size_t n_vectors = left == VALUE_VECTORS + 1 || left < VALUE_VECTORS ? 2 : VALUE_VECTORS;

        if (left == 1)
            value_block(t, row, n_rows, d, n_vectors = 1, values, half, from, to, ahead);
        else if (n_vectors == 2)
            value_block(t, row, n_rows, d, 2, values, half, from, to, ahead);
        else
            value_block(t, row, n_rows, d, VALUE_VECTORS, values, half, from, to, ahead);
        d += n_vectors * VF_LANES;
        left -= n_vectors;
        ahead = NULL;
    }
}

static ALWAYS_INLINE void value_all(const struct kv_tile *t, size_t row, size_t end,
                                    const void *values, bool half, size_t from, size_t to,
                                    const unsigned char *ahead)
{
#define VALUE_ROWS(count)                                                                          \
    for (; row + (count) <= end; row += (count), ahead = NULL)                                     \
    value_rows(t, row, (count), values, half, from, to, ahead)

    VALUE_ROWS(VF_TILE);
    VALUE_ROWS(4);
    VALUE_ROWS(2);
    VALUE_ROWS(1);
#undef VALUE_ROWS
}

/* ---- pages ---- */

struct kv_span {
    size_t from; /* the part of a page that a query sees: positions from .. to - 1 of it */
    size_t to;
};

static struct kv_span seen(const struct kv_tile *t, size_t query, size_t page)
{
    size_t position = t->first_position + query;
    size_t begin = page * KV_PAGE_TOKENS;
    size_t first = t->window && position >= t->window ? position - t->window + 1 : 0;
    struct kv_span span = {first > begin ? first - begin : 0, position + 1 - begin};

    if (span.to > KV_PAGE_TOKENS)
        span.to = KV_PAGE_TOKENS;
    return span;
}

static void softmax_rows(const struct kv_tile *t, size_t page, size_t query, size_t end)
{
    size_t row = query * t->group;
    size_t last = end * t->group;

    for (size_t i = query; i < end; i++) {
        struct kv_span span = seen(t, i, page);

        for (; row < (i + 1) * t->group; row++) {
            float m = row_maximum(t->s + row * KV_PAGE_TOKENS, t->m[row], span.from, span.to);

            t->c[row] = t->m[row] - m;
            t->m[row] = m;
        }
    }
    for (row = query * t->group; row < last; row += VF_LANES) {
        size_t left = last - row;

        vf_store_n(t->c + row, left, vf_exp(vf_load_n(t->c + row, left)));
    }
    row = query * t->group;
    for (size_t i = query; i < end; i++) {
        struct kv_span span = seen(t, i, page);

        for (; row < (i + 1) * t->group; row++)
            row_probabilities(t->s + row * KV_PAGE_TOKENS, t->l + row * VF_LANES, t->m[row],
                              t->c[row], span.from, span.to);
    }
}

static ALWAYS_INLINE void attend(const struct kv_tile *t, size_t page, size_t query, size_t end,
                                 const void *at, bool half, const unsigned char *ahead)
{
    size_t element = half ? 2 : 4;
    const unsigned char *values =
        (const unsigned char *)at + t->head_dim * KV_PAGE_TOKENS * element;
    const unsigned char *values_ahead =
        ahead ? ahead + t->head_dim * KV_PAGE_TOKENS * element : NULL;
    size_t from = seen(t, query, page).from;
    size_t to = seen(t, end - 1, page).to;

    score_all(t, query * t->group, end * t->group, at, half, ahead);
    softmax_rows(t, page, query, end);
    value_all(t, query * t->group, end * t->group, values, half, from, to, values_ahead);
}

static void attend_halves(const struct kv_tile *t, size_t page, size_t query, size_t end,
                          const void *at, const unsigned char *ahead)
{
    attend(t, page, query, end, at, true, ahead);
}

static void attend_floats(const struct kv_tile *t, size_t page, size_t query, size_t end,
                          const void *at, const unsigned char *ahead)
{
    attend(t, page, query, end, at, false, ahead);
}

/* Queries query .. end - 1, which see part of the page at least. */
static void attend_page(const struct kv_tile *t, size_t page, size_t query, size_t end,
                        const unsigned char *at, const unsigned char *ahead)
{
    size_t n = (t->head_dim + t->padded) * KV_PAGE_TOKENS;

    if (!t->half) {
        attend_floats(t, page, query, end, at, ahead);
    } else if ((end - query) * t->group <= ROWS_DIRECT) {
        attend_halves(t, page, query, end, at, ahead);
    } else {
        for (size_t i = 0; i < n; i += VF_LANES)
            vf_store(t->page + i, vf_load_half((const uint16_t *)(const void *)at + i));
        attend_floats(t, page, query, end, t->page, NULL);
    }
}

/* All pages that the queries of the tile see; kv_head is where it begins in each. */
static void attend_pages(const struct kv_tile *t, unsigned char *const *pages, size_t offset)
{
    size_t last_position = t->first_position + t->n - 1;
    size_t last = last_position / KV_PAGE_TOKENS;
    size_t page = t->window && t->first_position >= t->window
                      ? (t->first_position - t->window + 1) / KV_PAGE_TOKENS
                      : 0;

    for (; page <= last; page++) {
        size_t begin = page * KV_PAGE_TOKENS;
        size_t query = begin > t->first_position ? begin - t->first_position : 0;
        size_t end = t->n;

        /* the last position of which a query sees the page's end */
        if (t->window && begin + KV_PAGE_TOKENS - 1 + t->window - 1 < last_position)
            end = begin + KV_PAGE_TOKENS - 1 + t->window - t->first_position;
        attend_page(t, page, query, end, pages[page] + offset,
                    page < last ? pages[page + 1] + offset : NULL);
    }
}

static void begin_rows(const struct kv_tile *t, const float *q, size_t q_stride, float scale)
{
    size_t n_rows = t->n * t->group;

    for (size_t i = 0; i < t->n; i++)
        for (size_t d = 0; d < t->group * t->head_dim; d++)
            t->q[i * t->group * t->head_dim + d] = q[i * q_stride + d] * scale;
    memset(t->o, 0, n_rows * t->padded * sizeof *t->o);
    memset(t->l, 0, n_rows * VF_LANES * sizeof *t->l);
    for (size_t row = 0; row < n_rows; row++)
        t->m[row] = -INFINITY;
}

static void end_rows(const struct kv_tile *t, float *out, size_t out_stride)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t head = 0; head < t->group; head++) {
            size_t row = i * t->group + head;
            const float *o = t->o + row * t->padded;
            float *to = out + i * out_stride + head * t->head_dim;
            vf factor = vf_set1(1.0f / vf_sum(vf_load(t->l + row * VF_LANES)));
            size_t d = 0;

            for (; d + VF_LANES <= t->head_dim; d += VF_LANES)
                vf_store(to + d, vf_mul(vf_load(o + d), factor));
            if (d < t->head_dim)
                vf_store_n(to + d, t->head_dim - d, vf_mul(vf_load(o + d), factor));
        }
}

static size_t tile_queries(const struct kv_shape *s, size_t n)
{
    size_t group = s->n_heads / s->n_kv_heads;
    size_t most = group < TILE_ROWS ? TILE_ROWS / group : 1;

    return n < most ? n : most;
}

/* Places of a tile in 'scratch' (NULL: only counted); floats that they take. */
static size_t lay_out(struct kv_tile *t, const struct kv_shape *s, size_t n, float *scratch)
{
    size_t padded = padded_dim(s);
    size_t rows = (n * (s->n_heads / s->n_kv_heads) + 15) / 16 * 16;
    size_t page = s->type == KV_F16 ? (s->head_dim + padded) * KV_PAGE_TOKENS : 0;

    if (scratch) {
        t->page = scratch;
        t->s = t->page + page;
        t->o = t->s + rows * KV_PAGE_TOKENS;
        t->l = t->o + rows * padded;
        t->m = t->l + rows * VF_LANES;
        t->c = t->m + rows;
        t->q = t->c + rows;
    }
    return page + rows * (KV_PAGE_TOKENS + padded + VF_LANES + 2 + s->head_dim);
}

size_t PATH(kv_attention_scratch)(const struct kv_shape *s, size_t n)
{
    return lay_out(NULL, s, tile_queries(s, n), NULL) * sizeof(float);
}

void PATH(kv_attention)(const struct kv_shape *s, unsigned char *const *pages,
                        size_t first_position, const float *q, size_t q_stride, size_t n,
                        size_t kv_head, float *out, size_t out_stride, void *scratch)
{
    size_t group = s->n_heads / s->n_kv_heads;
    size_t column = kv_head * group * s->head_dim;
    size_t most = tile_queries(s, n);
    struct kv_tile t = {.head_dim = s->head_dim,
                        .padded = padded_dim(s),
                        .group = group,
                        .window = s->window,
                        .half = s->type == KV_F16};

    (void)lay_out(&t, s, most, scratch);
    for (size_t i = 0; i < n; i += most) {
        t.n = n - i < most ? n - i : most;
        t.first_position = first_position + i;
        begin_rows(&t, q + i * q_stride + column, q_stride, s->scale);
        attend_pages(&t, pages, kv_head * head_bytes(s));
        end_rows(&t, out + i * out_stride + column, out_stride);
    }
}
