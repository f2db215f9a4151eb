/* tests/unit/nn/scaled_model.h - a model of which one layer does not bear int8. */
#ifndef RAG_TESTS_SCALED_MODEL_H
#define RAG_TESTS_SCALED_MODEL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/weights_internal.h"

/* Multiply row (or, of a matrix, column) 'channel' of a tensor by a factor. */
static inline void scale_channel(struct tensor_list *list, const char *name, size_t channel,
                                 bool column, float factor)
{
    for (size_t i = 0; i < list->n; i++) {
        struct tensor *t = &list->items[i];
        size_t width = t->n_dims == 2 ? t->shape[1] : 1;
        float *values = (float *)(uintptr_t)t->data;

        if (strcmp(t->name, name) != 0)
            continue;
        for (size_t k = 0; k < t->n_elements; k++) {
            float value;

            if ((column ? k % width : k / width) != channel)
                continue;
            memcpy(&value, values + k, sizeof value);
            value *= factor;
            memcpy(values + k, &value, sizeof value);
        }
        return;
    }
    fail_msg("no tensor %s", name);
}

#define SCALED_LAYER "bert.encoder.layer.1.attention."

/* tiny-bert-ce with a value channel times 'factor', which the layer behind attention takes back,
 * and a query channel likewise against its key: the same function. */
static inline void write_scaled(const char *dir, float factor)
{
    static uint8_t file[300000];
    struct tensor_list list = {0};
    char path[512];
    size_t n;
    FILE *f = fopen(RAG_TEST_DATA "/models/tiny-bert-ce/model.safetensors", "rb");

    assert_non_null(f);
    n = fread(file, 1, sizeof file, f);
    fclose(f);
    assert_int_equal(weights_read_header("tiny", file, n, &list, NULL), RAG_OK);
    scale_channel(&list, SCALED_LAYER "self.value.weight", 7, false, factor);
    scale_channel(&list, SCALED_LAYER "self.value.bias", 7, false, factor);
    scale_channel(&list, SCALED_LAYER "output.dense.weight", 7, true, 1 / factor);
    scale_channel(&list, SCALED_LAYER "self.query.weight", 9, false, 100);
    scale_channel(&list, SCALED_LAYER "self.query.bias", 9, false, 100);
    scale_channel(&list, SCALED_LAYER "self.key.weight", 9, false, 0.01f);
    scale_channel(&list, SCALED_LAYER "self.key.bias", 9, false, 0.01f);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    snprintf(path, sizeof path, "cp " RAG_TEST_DATA "/models/tiny-bert-ce/config.json %s", dir);
    assert_int_equal(system(path), 0);
    tensor_list_release(&list);
}

#endif
