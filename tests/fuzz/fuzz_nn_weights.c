/* The header of a safetensors file, any bytes: what is accepted lies inside the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "nn/weights_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor_list list = {0};
    struct rag_error error;

    if (weights_read_header("fuzz", data, size, &list, &error) == RAG_OK) {
        volatile float sum = 0;

        for (size_t i = 0; i < list.n; i++) {
            const struct tensor *t = &list.items[i];
            float value[2] = {0, 0};

            if ((const uint8_t *)t->data < data || (const uint8_t *)t->data > data + size)
                abort();
            /* the first and the last element: ASan sees what is outside */
            if (t->n_elements > 0) {
                tensor_read_f32(t, 0, 1, &value[0]);
                tensor_read_f32(t, t->n_elements - 1, 1, &value[1]);
                sum = sum + value[0] + value[1];
            }
        }
    }
    tensor_list_release(&list);
    return 0;
}
