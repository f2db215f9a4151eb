#include "retrieve/bm25_kernels.h"

#include <stdbool.h>
#include <string.h>

static void accumulate_portable(const uint32_t *docs, const uint32_t *tfs, size_t n,
                                const uint32_t *lengths, struct bm25_norm norm, float coef,
                                uint32_t first, int32_t *scores)
{
    for (size_t i = 0; i < n; i++)
        scores[docs[i] - first] += bm25_part(tfs[i], lengths[docs[i]], norm, coef);
}

#define COLLECT_STEP 16u

static size_t collect_portable(int32_t *scores, size_t n, int32_t cut, uint32_t *ret_indices,
                               int32_t *ret_scores)
{
    size_t n_found = 0;

    for (size_t i = 0; i < n; i += COLLECT_STEP) {
        int32_t any = 0;

        for (size_t j = 0; j < COLLECT_STEP; j++)
            any |= scores[i + j] >= cut;
        for (size_t j = 0; j < COLLECT_STEP && any; j++) {
            if (scores[i + j] < cut)
                continue;
            ret_indices[n_found] = (uint32_t)(i + j);
            ret_scores[n_found++] = scores[i + j];
        }
    }
    memset(scores, 0, n * sizeof *scores);
    return n_found;
}

static const struct bm25_kernels portable = {
    .name = "portable",
    .accumulate = accumulate_portable,
    .collect = collect_portable,
};

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void
accumulate_avx2(const uint32_t *docs, const uint32_t *tfs, size_t n, const uint32_t *lengths,
                struct bm25_norm norm, float coef, uint32_t first, int32_t *scores)
{
    const __m256 c0 = _mm256_set1_ps(norm.c0);
    const __m256 c1 = _mm256_set1_ps(norm.c1);
    const __m256 coefs = _mm256_set1_ps(coef);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256i doc = _mm256_loadu_si256((const __m256i *)(const void *)(docs + i));
        __m256 tf =
            _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)(tfs + i)));
        __m256 length =
            _mm256_cvtepi32_ps(_mm256_i32gather_epi32((const int *)(const void *)lengths, doc, 4));
        __m256 below = _mm256_add_ps(tf, _mm256_add_ps(c0, _mm256_mul_ps(c1, length)));
        int32_t parts[8];

        _mm256_storeu_si256((__m256i *)(void *)parts,
                            _mm256_cvttps_epi32(_mm256_mul_ps(coefs, _mm256_div_ps(tf, below))));
        for (size_t j = 0; j < 8; j++)
            scores[docs[i + j] - first] += parts[j] + 1;
    }
    accumulate_portable(docs + i, tfs + i, n - i, lengths, norm, coef, first, scores);
}

__attribute__((target("avx2,bmi"))) static size_t
collect_avx2(int32_t *scores, size_t n, int32_t cut, uint32_t *ret_indices, int32_t *ret_scores)
{
    const __m256i below = _mm256_set1_epi32(cut - 1);
    size_t n_found = 0;

    for (size_t i = 0; i < n; i += 8) {
        __m256i *at = (__m256i *)(void *)(scores + i);
        __m256i score = _mm256_loadu_si256(at);
        __m256 hit = _mm256_castsi256_ps(_mm256_cmpgt_epi32(score, below));
        unsigned bits = (unsigned)_mm256_movemask_ps(hit);

        for (; bits; bits &= bits - 1) {
            size_t j = i + (size_t)__builtin_ctz(bits);

            ret_indices[n_found] = (uint32_t)j;
            ret_scores[n_found++] = scores[j];
        }
        _mm256_storeu_si256(at, _mm256_setzero_si256());
    }
    return n_found;
}

static const struct bm25_kernels avx2 = {
    .name = "avx2",
    .accumulate = accumulate_avx2,
    .collect = collect_avx2,
};

/* Without optimisation the intrinsics are macros that pass an unsigned mask as a short. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"

/* The docs of one list differ, so gather, add, scatter loses no part. */
__attribute__((target("avx512f"))) static void
accumulate_avx512(const uint32_t *docs, const uint32_t *tfs, size_t n, const uint32_t *lengths,
                  struct bm25_norm norm, float coef, uint32_t first, int32_t *scores)
{
    const __m512 c0 = _mm512_set1_ps(norm.c0);
    const __m512 c1 = _mm512_set1_ps(norm.c1);
    const __m512 coefs = _mm512_set1_ps(coef);
    const __m512i firsts = _mm512_set1_epi32((int32_t)first);
    const __m512i zero = _mm512_setzero_si512();

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xFFFFu);
        __m512i doc = _mm512_maskz_loadu_epi32(m, docs + i);
        __m512 tf = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(m, tfs + i));
        __m512i gathered = _mm512_mask_i32gather_epi32(zero, m, doc, lengths, 4);
        __m512 length = _mm512_cvtepi32_ps(gathered);
        __m512i at = _mm512_sub_epi32(doc, firsts);
        __m512i old = _mm512_mask_i32gather_epi32(zero, m, at, scores, 4);
        __m512 below = _mm512_add_ps(tf, _mm512_add_ps(c0, _mm512_mul_ps(c1, length)));
        __m512i part = _mm512_maskz_cvttps_epi32(m, _mm512_mul_ps(coefs, _mm512_div_ps(tf, below)));

        part = _mm512_add_epi32(part, _mm512_set1_epi32(1));
        _mm512_mask_i32scatter_epi32(scores, m, at, _mm512_add_epi32(old, part), 4);
    }
}

__attribute__((target("avx512f"))) static size_t
collect_avx512(int32_t *scores, size_t n, int32_t cut, uint32_t *ret_indices, int32_t *ret_scores)
{
    const __m512i cuts = _mm512_set1_epi32(cut);
    size_t n_found = 0;

    for (size_t i = 0; i < n; i += 16) {
        __m512i score = _mm512_loadu_si512(scores + i);
        unsigned bits = (unsigned)_mm512_cmpge_epi32_mask(score, cuts);

        for (; bits; bits &= bits - 1) {
            size_t j = i + (size_t)__builtin_ctz(bits);

            ret_indices[n_found] = (uint32_t)j;
            ret_scores[n_found++] = scores[j];
        }
        _mm512_storeu_si512(scores + i, _mm512_setzero_si512());
    }
    return n_found;
}

#pragma GCC diagnostic pop

static const struct bm25_kernels avx512 = {
    .name = "avx512",
    .accumulate = accumulate_avx512,
    .collect = collect_avx512,
};

#endif

const struct bm25_kernels *bm25_kernels_variant(size_t i)
{
    const struct bm25_kernels *able[4] = {NULL};
    size_t n = 0;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        able[n++] = &avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        able[n++] = &avx2;
#endif
    able[n++] = &portable;
    return i < n ? able[i] : NULL;
}
