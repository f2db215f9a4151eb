/* tests/unit/nn/decoder_config_asserts.h - the numbers of a configuration, compared. Behind
 * cmocka.h.
 */
#ifndef RAG_TESTS_DECODER_CONFIG_ASSERTS_H
#define RAG_TESTS_DECODER_CONFIG_ASSERTS_H

#include <math.h>

#include "nn/decoder_config.h"

static inline void assert_near(float found, float expected)
{
    if (!(fabsf(found - expected) <= 1e-6f * fabsf(expected)))
        fail_msg("%.9g, expected %.9g", (double)found, (double)expected);
}

/* All but the divisors. */
static inline void assert_config(const struct decoder_config *found,
                                 const struct decoder_config *expected)
{
    assert_int_equal(found->family, expected->family);
    assert_int_equal(found->n_layers, expected->n_layers);
    assert_int_equal(found->hidden, expected->hidden);
    assert_int_equal(found->n_heads, expected->n_heads);
    assert_int_equal(found->n_kv_heads, expected->n_kv_heads);
    assert_int_equal(found->head_dim, expected->head_dim);
    assert_int_equal(found->intermediate, expected->intermediate);
    assert_int_equal(found->vocab_size, expected->vocab_size);
    assert_int_equal(found->context_max, expected->context_max);
    assert_near(found->norm_epsilon, expected->norm_epsilon);
    assert_near(found->norm_offset, expected->norm_offset);
    assert_near(found->embedding_scale, expected->embedding_scale);
    assert_near(found->attention_scale, expected->attention_scale);
    assert_int_equal(found->rope_interleaved, expected->rope_interleaved);
    assert_near(found->rope_theta, expected->rope_theta);
    assert_int_equal(found->sliding_window, expected->sliding_window);
    assert_int_equal(found->sliding_pattern, expected->sliding_pattern);
    assert_near(found->rope_theta_local, expected->rope_theta_local);
    assert_int_equal(found->qkv_bias, expected->qkv_bias);
    assert_int_equal(found->qk_norm, expected->qk_norm);
    assert_int_equal(found->post_norms, expected->post_norms);
    assert_int_equal(found->gelu, expected->gelu);
    assert_int_equal(found->tied, expected->tied);
    assert_int_equal(found->has_bos, expected->has_bos);
    assert_int_equal(found->bos_id, expected->bos_id);
    assert_int_equal(found->add_bos, expected->add_bos);
    assert_int_equal(found->n_eos, expected->n_eos);
    for (size_t i = 0; i < expected->n_eos; i++)
        assert_int_equal(found->eos_ids[i], expected->eos_ids[i]);
}

#endif
