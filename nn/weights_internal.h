/* nn/weights_internal.h - what weights.c (a directory) and weights_header.c (a file) share. */
#ifndef RAG_NN_WEIGHTS_INTERNAL_H
#define RAG_NN_WEIGHTS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/weights.h"

struct tensor_list {
    struct tensor *items; /* owned, and each item's name */
    size_t n;
    size_t cap;
    struct unread_tensor *unread; /* of types that are not read; owned, and each name */
    size_t n_unread;
    size_t cap_unread;
    bool packed; /* the header read last, or one before it, says so */
};

struct unread_tensor {
    char *name;
    const char *dtype; /* static */
};

void tensor_list_release(struct tensor_list *list); /* a zeroed one is a no-op */

/* Append the float tensors of one safetensors file of n bytes at 'data' ('path' names it in
 * messages); 'data' must outlive the list. All of the file is validated: RAG_EFORMAT, RAG_ELIMIT,
 * RAG_ENOMEM; on failure the list keeps what it had, or some more. */
enum rag_status weights_read_header(const char *path, const uint8_t *data, size_t n,
                                    struct tensor_list *list, struct rag_error *reterr);

#endif
