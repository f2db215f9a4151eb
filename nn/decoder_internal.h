/* nn/decoder_internal.h - what the files of the decoder share; nobody else includes it. */
#ifndef RAG_NN_DECODER_INTERNAL_H
#define RAG_NN_DECODER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/block_linear.h"
#include "nn/block_rows.h"
#include "nn/decoder.h"
#include "nn/kernels.h"
#include "nn/kv_attention.h"

enum decoder_linear {
    DECODER_Q,    /* [n_heads * head_dim, hidden] */
    DECODER_K,    /* [n_kv_heads * head_dim, hidden] */
    DECODER_V,    /* the same */
    DECODER_O,    /* [hidden, n_heads * head_dim] */
    DECODER_GATE, /* [intermediate, hidden] */
    DECODER_UP,   /* the same */
    DECODER_DOWN, /* [hidden, intermediate] */
    DECODER_LINEARS
};

enum decoder_norm {
    DECODER_NORM_ATTENTION,        /* [hidden], before attention */
    DECODER_NORM_FEED_FORWARD,     /* [hidden], before the feed-forward half */
    DECODER_NORM_ATTENTION_OUT,    /* [hidden], behind attention: with post_norms, else NULL */
    DECODER_NORM_FEED_FORWARD_OUT, /* likewise, behind the feed-forward half */
    DECODER_NORM_Q,                /* [head_dim], of each head: with qk_norm, else NULL */
    DECODER_NORM_K,                /* likewise */
    DECODER_NORMS
};

struct decoder_layer {
    struct block_linear *linears[DECODER_LINEARS]; /* owned */
    float *norms[DECODER_NORMS];                   /* owned; norm_offset is in them */
    bool local;                                    /* sees a window, has the local rotation */
};

struct decoder {
    const struct model_tensors *tensors; /* borrowed */
    const struct decoder_config *config; /* theirs */
    const struct kernels *kernels;
    struct compute_pool *pool; /* borrowed; or NULL */
    size_t n_threads;          /* of the pool */
    bool fp32;
    enum block_type dense_type;
    struct matrix embedding;      /* in the file */
    struct decoder_layer *layers; /* [n_layers]; owned */
    float *norm;                  /* [hidden], behind the last layer; owned */
    struct block_linear *head;    /* [vocab_size, hidden]; owned */
    struct kv_shape shape;        /* of layers that see everything */
    struct kv_shape shape_local;
    uint64_t n_parameters;
    uint64_t bytes;
    char kernels_name[64];
    size_t n_embedded;               /* rows of the table read since its pages were let go */
    struct decoder_scratch *scratch; /* of the call in progress, kept for the next one; owned */
};

/* ---- one call: decoder_run.c makes slices of steps, decoder_steps.c computes them ---- */

#define DECODER_ROW_ITEM    8   /* rows that an item norms and quantises */
#define DECODER_RANGE_MAX   256 /* outputs of a linear that an item computes */
#define DECODER_QUERY_ITEM  32  /* queries of a kv head that an item attends */
#define DECODER_STORE_ITEM  64  /* positions of a kv head that an item rotates and stores */
#define DECODER_SMALL_ROWS  16  /* of a segment: one item stores and attends a kv head */
#define DECODER_NARROW_ROWS 32  /* of a slice: below, ranges are made small, for balance */

/* Some consecutive new tokens of one sequence. In the last layer, from attention on, only the rows
 * whose logits are wanted are kept: the last n_kept of the segment, which stand at first_kept. */
struct decoder_segment {
    struct kv_sequence *sequence;
    size_t first_row;
    size_t n_rows;
    size_t first_position; /* of the first row */
    size_t first_kept;
    size_t n_kept;
};

enum decoder_step_kind {
    STEP_EMBED,
    STEP_NORM_ATTENTION,
    STEP_QKV,
    STEP_STORE,
    STEP_ATTEND,
    STEP_QUANTIZE_ATTENDED,
    STEP_OUT,
    STEP_NORM_FEED_FORWARD,
    STEP_GATED,
    STEP_QUANTIZE_GATED,
    STEP_DOWN,
    STEP_NORM_LAST,
    STEP_HEAD,
};
#define DECODER_LAYER_STEPS 10 /* at most */
#define DECODER_OTHER_STEPS 3

/* The items of a step do not depend on each other; threads take them one after another. */
struct decoder_step {
    enum decoder_step_kind kind;
    size_t layer;
    size_t n_rows; /* that it works on */
    size_t width;  /* of a range of outputs, for linears */
    size_t n_items;
    atomic_size_t next; /* item to be taken */
};

/* A thread's own memory. */
struct decoder_lane {
    float *rows;           /* [DECODER_ROW_ITEM, hidden] */
    float *outputs[2];     /* a range of outputs of all rows */
    unsigned char *linear; /* scratch of linears and of attention */
    unsigned char *attention;
};

/* Memory of a slice of up to rows_max rows. */
struct decoder_scratch {
    void *memory;    /* owned: all below */
    size_t rows_max; /* at least what a thread's rows are */
    uint32_t *ids;   /* [rows] */
    float **logits;  /* [kept rows]: where they go */
    struct decoder_segment *segments;
    struct decoder_step *steps;
    size_t *layer_ends;
    float *x;                  /* [rows, hidden]: the states */
    float *branch;             /* [rows, hidden]: what is normed before it is added */
    float *normed;             /* [rows, hidden], fp32 only */
    float *qkv;                /* [rows, (n_heads + 2 n_kv_heads) * head_dim] */
    float *attended;           /* [rows, n_heads * head_dim] */
    float *gated;              /* [rows, intermediate] */
    float *rope;               /* [rows, head_dim]: cos and sin of each row's position */
    float *rope_local;         /* the same for local layers */
    struct block_rows hidden8; /* these three share their memory: each is used up before the next */
    struct block_rows attended8;
    struct block_rows gated8;
    struct decoder_lane *lanes;
};

/* Rows that go through all layers together. */
struct decoder_slice {
    const struct decoder *d;
    const struct decoder_scratch *scratch;
    size_t n_rows;
    size_t n_kept;
    size_t n_segments;
    size_t n_steps;
    size_t first_step; /* of the run in progress */
    bool small;        /* every segment has at most DECODER_SMALL_ROWS rows */
    atomic_bool not_finite;
};

/* Work of compute_pool_run_steps(): step first_step + 'step' of the slice (context). One item for
 * each thread of the pool; which items of the step it computes shows as they are taken. */
void decoder_step_work(void *slice, size_t step, size_t item, size_t thread);
/* Items of a step, whose other members are set. */
size_t decoder_step_items(const struct decoder_slice *s, const struct decoder_step *step);

/* Memory for n rows, or the one that is there. RAG_ENOMEM. */
enum rag_status decoder_scratch_need(struct decoder *d, size_t n_rows, struct rag_error *reterr);
void decoder_scratch_free(struct decoder_scratch *s);

#endif
