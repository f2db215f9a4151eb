/* nn/block_pack.h - rows of a file into the packed weights of nn/block_format.h. */
#ifndef RAG_NN_BLOCK_PACK_H
#define RAG_NN_BLOCK_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/block_format.h"
#include "nn/quant_blocks.h"

/* What a type becomes. False: numbers, to be quantised first. */
bool block_pack_format(enum block_type type, enum block_format_id *ret);

struct block_format block_format_of(enum block_format_id id);

/* n_rows (1..16) rows of 'type', row_bytes apart, into one strip. False: a scale is not finite. */
bool block_pack_strip(enum block_type type, const uint8_t *rows, size_t row_bytes, size_t n_rows,
                      size_t n_in, uint8_t *ret);

#endif
