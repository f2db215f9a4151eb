/* nn/encoder_internal.h - what the files of the encoder share.
 *
 *     encoder.c             checks the inputs, plans who computes what, the public calls
 *     encoder_open.c        config.json and tensors to layers
 *     encoder_packed.c      the same of a packed file: int8 as it is stored
 *     encoder_pack.c        writes one
 *     encoder_names.c       what the tensors of each family are called
 *     encoder_forward.c     one layer on some rows
 *     encoder_embeddings.c  ids to the rows that go into the first layer
 *     encoder_heads.c       classification heads
 *     encoder_check.c       int8 against fp32, layer by layer
 *     encoder_columns.c     what makes int8 layers bear outliers
 *
 * Shapes: H hidden, E embedding width, F intermediate; weights are [n_out, n_in]. */
#ifndef RAG_NN_ENCODER_INTERNAL_H
#define RAG_NN_ENCODER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/attention.h"
#include "nn/encoder.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/model_config.h"
#include "nn/row_kernels.h"
#include "nn/weights.h"

/* The matrix products of a layer. Query, key and value are one: their rows are read once. */
enum layer_linear { LINEAR_QKV, LINEAR_OUT, LINEAR_UP, LINEAR_DOWN, LAYER_LINEARS };

struct encoder_layer {
    struct linear *linears[LAYER_LINEARS]; /* [3H, H], [H, H], [F, H], [H, F]; owned */
    float *columns[LAYER_LINEARS];         /* factors of its input, of int8 layers; owned */
    struct layer_norm attention_norm;      /* [H]; gamma and beta are one block, owned by gamma */
    struct layer_norm output_norm;
};

struct encoder {
    struct model_config config;
    enum precision precision;
    struct weights *weights; /* owned; read after open for the embedding tables alone */
    const struct kernels *kernels;
    struct compute_pool *pool; /* borrowed, may be NULL */
    const char *prefix;        /* of the tensor names: "bert.", "" ...; static */

    const struct tensor *word;        /* [vocab_size, E], in the mapped file */
    float *word_scale;                /* [vocab_size] where word is I8, else NULL; owned */
    const struct tensor *position;    /* [n_positions, E], in the mapped file */
    float *type;                      /* [n_types, E]; NULL when there are none; owned */
    struct layer_norm embedding_norm; /* [E] */
    struct linear *project;           /* [H, E], ELECTRA with E != H; else NULL */
    struct encoder_layer *layers;     /* [n_layers]; owned */
    struct attention attention;

    struct linear *head_dense; /* [H, H]; NULL: no head */
    struct linear *head_out;   /* [n_labels, H] */
    size_t n_labels;
    struct layer_check *checks; /* [n_layers, LAYER_LINEARS] of an int8 encoder; owned */
    uint64_t n_parameters;
    uint64_t bytes;
    char kernels_name[64];
};

/* ---- encoder_names.c ---- */

#define TENSOR_NAME_BYTES 192

/* The prefix under which the word embeddings are, or NULL: they are nowhere. */
const char *encoder_find_prefix(const struct weights *w);

enum layer_part {
    PART_QUERY,
    PART_KEY,
    PART_VALUE,
    PART_OUT,
    PART_UP,
    PART_DOWN,
    PART_NORM_1,
    PART_NORM_2,
    LAYER_PARTS
};
/* "PREFIXencoder.layer.3.attention.self.query", without ".weight" or ".bias". */
void encoder_layer_name(const struct encoder *e, size_t layer, enum layer_part part,
                        char ret[TENSOR_NAME_BYTES]);

/* One of the products of a layer: "encoder.layer.3.attention.self.query,key,value" with the prefix
 * for the three that are one, else the name of its part. */
void encoder_product_name(const struct encoder *e, size_t layer, enum layer_linear which,
                          char ret[TENSOR_NAME_BYTES]);

/* ---- encoder_open.c ---- */

/* A linear layer whose rows are those of n_parts tensors, one after another: weights as float32
 * [n_parts * n_out, n_in] and biases. Both malloc'ed. */
struct linear_values {
    float *w;
    float *bias;
    size_t n_out;
    size_t n_in;
};
void linear_values_release(struct linear_values *v);

/* The tensor NAME + suffix of this shape, as float32 into ret, all finite. */
enum rag_status encoder_read_tensor(const struct encoder *e, const char *name, const char *suffix,
                                    const size_t *shape, size_t n_dims, float *ret,
                                    struct rag_error *reterr);
/* Rows and columns of a product's weights. */
void encoder_product_shape(const struct encoder *e, enum layer_linear which, size_t ret_shape[2]);
/* Of a packed file the floats that the int8 weights stand for. */
enum rag_status encoder_read_linear(const struct encoder *e, size_t layer, enum layer_linear which,
                                    struct linear_values *ret, struct rag_error *reterr);
enum rag_status encoder_read_named(const struct encoder *e, const char *const *names,
                                   size_t n_parts, size_t n_out, size_t n_in,
                                   struct linear_values *ret, struct rag_error *reterr);
enum rag_status encoder_make_linear(const struct encoder *e, const struct linear_values *v,
                                    enum precision precision, struct linear **ret,
                                    struct rag_error *reterr);

/* ---- encoder_packed.c ---- */

#define PACKED_SCALE       ".weight_scale" /* [n_out], of .weight */
#define PACKED_INPUT_SCALE ".input_scale"  /* [n_in]: struct encoder_layer's columns */

/* Is the product in the file as int8? */
bool encoder_is_packed(const struct encoder *e, size_t layer, enum layer_linear which);
/* The product and its columns, into e->layers[layer]. */
enum rag_status encoder_open_packed(struct encoder *e, size_t layer, enum layer_linear which,
                                    struct rag_error *reterr);
/* Its weights as floats. */
enum rag_status encoder_unpack(const struct encoder *e, size_t layer, enum layer_linear which,
                               struct linear_values *ret, struct rag_error *reterr);
/* e->word and e->word_scale of a packed table; 'name' without ".weight". */
enum rag_status encoder_open_packed_words(struct encoder *e, const char *name,
                                          struct rag_error *reterr);

/* ---- encoder_columns.c ---- */

/* What is expected of the columns of a layer's input, over many tokens. */
struct column_spread {
    float *mean;      /* [n], owned */
    float *deviation; /* [n], owned */
    size_t n;
};
void column_spread_release(struct column_spread *s); /* a zeroed one is a no-op */
/* All RAG_OK or RAG_ENOMEM. */
enum rag_status column_spread_of_norm(const struct layer_norm *norm, struct column_spread *ret);
/* Of outputs first .. first + n - 1 of a linear layer whose input is 'in'. */
enum rag_status column_spread_through(const struct linear_values *v, size_t first, size_t n,
                                      const struct column_spread *in, struct column_spread *ret);
/* Of the outputs, behind the model's activation. */
void column_spread_activate(const struct encoder *e, struct column_spread *s);
/* Factors [n_in] for the input, malloc'ed; the weights are divided by them in place. Outputs from
 * 'first' on say which inputs matter. */
enum rag_status encoder_even_columns(const struct column_spread *s, size_t first,
                                     struct linear_values *v, float **ret);

/* ---- encoder_forward.c ---- */

/* One sequence among the packed rows that are computed together. */
struct encoder_sequence {
    const struct encoder_input *input;
    const uint32_t *positions; /* [n_tokens] */
    size_t first_row;          /* of its tokens among the packed rows */
    size_t ret_row;            /* where its rows go in the result */
};

/* Rows of some whole sequences and what is known of them between two layers. */
struct encoder_rows_state {
    const struct encoder *e;
    const struct encoder_sequence *sequences;
    size_t n_sequences;
    size_t n_rows;
    float *x;   /* [n_rows, H] */
    float *qkv; /* [n_rows, 3H], of the layer to come */
};

/* Memory of one thread for blocks of at most rows_max rows and sequences of tokens_max tokens. */
struct encoder_scratch {
    size_t rows_max;
    float *attended; /* [rows_max, H] */
    float *hidden;   /* [rows_max, max(F, E)] */
    float *first;    /* [rows_max, H]: states of first tokens, in the last layer alone */
    float *attention;
    float *linear;
    unsigned char *q8;
    void *memory; /* all of it, owned */
};
enum rag_status encoder_scratch_init(const struct encoder *e, size_t rows_max, size_t tokens_max,
                                     struct encoder_scratch *ret);
void encoder_scratch_release(struct encoder_scratch *s); /* a zeroed one is a no-op */

/* y [n_rows, n_out] = activation(x W^T + b) + residual, quantising x where l is int8. */
struct encoder_product {
    const struct linear *linear;
    const float *columns; /* factors of x for int8, or NULL */
    const float *x;       /* [n_rows, n_in] */
    size_t n_rows;
    float *y; /* [n_rows, n_out] */
    enum linear_activation activation;
    const float *residual;    /* [n_rows, n_out] or NULL */
    const struct q8_rows *q8; /* x, quantised already; NULL: not yet */
};
void encoder_multiply(const struct encoder *e, const struct encoder_product *p,
                      struct encoder_scratch *s);

/* Rows first .. end - 1: embeddings, and q, k, v of layer 0. */
void encoder_first_rows(const struct encoder_rows_state *state, size_t first, size_t end,
                        struct encoder_scratch *s);
/* Rows first .. end - 1 through 'layer', which reads state->qkv of all rows of their sequences and
 * writes q, k, v of the next layer to next_qkv (when there is a next one). next_qkv may be
 * state->qkv when the rows are all there are. */
void encoder_layer_rows(const struct encoder_rows_state *state, size_t layer, size_t first,
                        size_t end, float *next_qkv, struct encoder_scratch *s);
/* The last layer for the first tokens of sequences first .. end - 1 (at most rows_max of them):
 * their states are in s->first. */
void encoder_last_layer_first_tokens(const struct encoder_rows_state *state, size_t first,
                                     size_t end, struct encoder_scratch *s);

/* ---- encoder_embeddings.c ---- */

/* The positions of a sequence's tokens. */
void encoder_positions(const struct model_config *config, const struct encoder_input *input,
                       uint32_t *ret);
/* Rows first .. end - 1 of the packed sequences, into state->x. */
void encoder_embed_rows(const struct encoder_rows_state *state, size_t first, size_t end,
                        struct encoder_scratch *s);

/* ---- encoder_heads.c ---- */

struct head_names {
    char dense[TENSOR_NAME_BYTES];
    char out[TENSOR_NAME_BYTES];
};
void encoder_head_names(const struct encoder *e, struct head_names *ret);
enum rag_status encoder_open_head(struct encoder *e, struct rag_error *reterr);
/* Logits [n, n_labels] of states [n, H]. RAG_ENOMEM. */
enum rag_status encoder_head(const struct encoder *e, const float *states, size_t n,
                             float *ret_logits, struct rag_error *reterr);

/* ---- encoder.c ---- */

enum rag_status encoder_check_inputs(const struct encoder *e, const struct encoder_input *inputs,
                                     size_t n, struct rag_error *reterr);

/* ---- encoder_check.c ---- */

/* At open of an int8 encoder, its layers complete: those that do not bear int8 become fp32. */
enum rag_status encoder_probe(struct encoder *e, struct rag_error *reterr);
/* The same of a packed file, where that was decided when it was written. */
enum rag_status encoder_list_packed(struct encoder *e, struct rag_error *reterr);

#endif
