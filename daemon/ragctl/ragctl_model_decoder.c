#include "daemon/ragctl/ragctl_model_decoder.h"

#include <string.h>

void decoder_facts(const struct model_tensors *t, struct decoder_facts *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < model_tensors_count(t); i++) {
        struct matrix m;

        model_tensors_at(t, i, &m);
        ret->types[m.type].n_tensors++;
        ret->types[m.type].n_elements += (uint64_t)m.n_rows * m.n_cols;
        ret->types[m.type].n_bytes += (uint64_t)m.n_rows * m.row_bytes;
        ret->n_parameters += (uint64_t)m.n_rows * m.n_cols;
    }
    for (size_t i = 1; i < BLOCK_TYPES; i++) {
        if (ret->types[i].n_elements > ret->types[ret->most].n_elements)
            ret->most = (enum block_type)i;
    }
}
