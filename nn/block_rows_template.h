/* nn/block_rows_template.h - nn/block_rows.h with vectors of 8 or 16 floats. The includer defines
 * br_f and br_i (floats, integers), BR_LANES and the functions br_*. */

/* n <= 256 values, and zeros behind them. */
static inline float quantize_block(const float *x, size_t n, int8_t *q)
{
    uint32_t largest;
    br_i so_far = br_zero();
    br_f factor;
    float max;

    for (size_t i = 0; i < n; i += BR_LANES)
        so_far = br_larger_magnitude(so_far, br_load(x + i, n - i));
    largest = br_largest(so_far);
    memcpy(&max, &largest, sizeof max);
    if (largest >= 0x7F800000u || max < 1e-30f) {
        memset(q, 0, BLOCK_ROWS_BLOCK);
        return largest >= 0x7F800000u ? NAN : 0;
    }
    factor = br_set(127.0f / max);
    for (size_t i = 0; i < BLOCK_ROWS_BLOCK; i += BR_LANES)
        br_store8(q + i, i < n ? br_rounded(br_load(x + i, n - i), factor) : br_zero());
    return max / 127.0f;
}

static inline void sum_block(const int8_t *q, int16_t *sum8, int16_t *sum16, int16_t *sum32)
{
    for (size_t g = 0; g < BLOCK_ROWS_BLOCK / 32; g++) {
        /* four sums of eight: bytes to pairs, pairs to fours, fours to eights */
        const __m256i ones = _mm256_set1_epi16(1);
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(q + g * 32));
        __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), v), ones);
        __m256i eights = _mm256_add_epi32(fours, _mm256_srli_epi64(fours, 32));
        int16_t s[4] = {
            (int16_t)_mm256_extract_epi32(eights, 0), (int16_t)_mm256_extract_epi32(eights, 2),
            (int16_t)_mm256_extract_epi32(eights, 4), (int16_t)_mm256_extract_epi32(eights, 6)};

        memcpy(sum8 + 4 * g, s, sizeof s);
        sum16[2 * g] = (int16_t)(s[0] + s[1]);
        sum16[2 * g + 1] = (int16_t)(s[2] + s[3]);
        sum32[g] = (int16_t)(sum16[2 * g] + sum16[2 * g + 1]);
    }
}

static inline void quantize(const float *x, size_t x_stride, size_t n, const struct block_rows *ret)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < ret->n_blocks; b++) {
            size_t at = block_rows_at(ret, i, b);
            size_t first = b * BLOCK_ROWS_BLOCK;
            size_t left = ret->width - first;

            ret->scale[at] = quantize_block(x + i * x_stride + first,
                                            left < BLOCK_ROWS_BLOCK ? left : BLOCK_ROWS_BLOCK,
                                            ret->q + at * BLOCK_ROWS_BLOCK);
            sum_block(ret->q + at * BLOCK_ROWS_BLOCK, ret->sum8 + at * 32, ret->sum16 + at * 16,
                      ret->sum32 + at * 8);
        }
}
