/* daemon/ragctl/ragctl_model_decoder.h - what ragctl tells about a decoder. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_DECODER_H
#define RAG_DAEMON_RAGCTL_MODEL_DECODER_H

#include <stdint.h>

#include "daemon/ragctl/ragctl.h"
#include "nn/compute_pool.h"
#include "nn/model_tensors.h"

struct decoder_facts {
    uint64_t n_parameters;
    struct {
        uint64_t n_tensors;
        uint64_t n_elements;
        uint64_t n_bytes;
    } types[BLOCK_TYPES];
    enum block_type most; /* of the numbers have this type */
};

/* O(tensors); nothing but the header is read. */
void decoder_facts(const struct model_tensors *t, struct decoder_facts *ret);

/* 'model check' of a decoder: loads it as the daemon would, and prints what it is. 'path': a GGUF
 * file or a directory. The exit status. */
int ragctl_model_check_decoder(const struct ragctl_options *options, const char *path,
                               struct compute_pool *pool);

#endif
