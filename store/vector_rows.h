/* store/vector_rows.h - the vectors of an index: numbered rows that never move.
 *
 * Invariants
 *  1. Rows are only appended, by one thread at a time; a row never changes once a view
 *     (vector_view.h) counts it, but for its mark of death.
 *  2. Row r lies in block r / VECTOR_BLOCK; blocks never move, so readers need no lock.
 *  3. dead[r] is 0, or the number of the change that removed the row: it is dead for views of
 *     that number and later ones.
 *
 * What a row holds, by storage (P = dim padded to VECTOR_PAD with zeros):
 *   VECTOR_F32   P floats
 *   VECTOR_F16   P binary16
 *   VECTOR_INT8  the binary16 of each element once more as v * scale, v = 256 high + low:
 *                P bytes 'high' for scanning, P bytes 'low' apart from them, the scale, and
 *                residual = |scale low|, which bounds what a scan of 'high' alone misses.
 * F16 and INT8 depend on the binary16 of the vector only, so a vector that was kept as binary16
 * meanwhile makes the same row. */
#ifndef RAG_STORE_VECTOR_ROWS_H
#define RAG_STORE_VECTOR_ROWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"
#include "store/vector_index.h"
#include "store/vector_kernels.h"

#define VECTOR_BLOCK      4096u
#define VECTOR_INT16_MAX  32639 /* 256 * 127 + 127 */
#define VECTOR_LENGTH_TOL 1e-2  /* a vector's length is 1 within this */

struct vector_block {
    uint8_t *codes; /* [VECTOR_BLOCK, code_bytes]: what is scanned; 64-byte aligned */
    int8_t *low;    /* INT8: [VECTOR_BLOCK, padded] */
    float *scales;  /* INT8: [VECTOR_BLOCK, 2]: scale, residual */
    uint64_t ids[VECTOR_BLOCK];
    _Atomic uint64_t dead[VECTOR_BLOCK];
};

struct vector_rows {
    atomic_size_t refs;
    enum vector_storage storage;
    size_t dim;
    size_t padded;
    size_t code_bytes; /* of one row in 'codes' */
    const struct vector_kernels *kernels;
    size_t n_blocks; /* the appending thread's */
    struct vector_block *blocks[VECTORS_MAX / VECTOR_BLOCK];
};

/* NULL: no memory. The caller has checked dim. */
struct vector_rows *vector_rows_new(size_t dim, enum vector_storage storage);
void vector_rows_ref(struct vector_rows *rows);
void vector_rows_unref(struct vector_rows *rows); /* NULL: no-op */

/* Room for rows 0 .. n - 1. RAG_OK, RAG_ENOMEM, RAG_ELIMIT beyond VECTORS_MAX. */
enum rag_status vector_rows_reserve(struct vector_rows *rows, size_t n);
/* Write row r, which has room and no reader. */
void vector_rows_set(struct vector_rows *rows, uint32_t r, uint64_t id, const float *vector);
/* Row r of 'rows' = row s of 'from' (same dim and storage), alive. */
void vector_rows_copy(struct vector_rows *rows, uint32_t r, const struct vector_rows *from,
                      uint32_t s);
/* INT8: the scale of row r; and setting it, with the residual that follows from it. */
float vector_rows_scale(const struct vector_rows *rows, uint32_t r);
void vector_rows_set_scale(struct vector_rows *rows, uint32_t r, float scale);
/* Nothing but zeros behind the elements of row r? */
bool vector_rows_padded(const struct vector_rows *rows, uint32_t r);
/* Bytes that n rows hold. */
uint64_t vector_rows_bytes(const struct vector_rows *rows, size_t n);

static inline struct vector_block *vector_rows_block(const struct vector_rows *rows, uint32_t r)
{
    return rows->blocks[r / VECTOR_BLOCK];
}

static inline const uint8_t *vector_rows_code(const struct vector_rows *rows, uint32_t r)
{
    return vector_rows_block(rows, r)->codes + (size_t)(r % VECTOR_BLOCK) * rows->code_bytes;
}

static inline const int8_t *vector_rows_low(const struct vector_rows *rows, uint32_t r)
{
    return vector_rows_block(rows, r)->low + (size_t)(r % VECTOR_BLOCK) * rows->padded;
}

static inline uint64_t vector_rows_id(const struct vector_rows *rows, uint32_t r)
{
    return vector_rows_block(rows, r)->ids[r % VECTOR_BLOCK];
}

static inline bool vector_rows_dead(const struct vector_rows *rows, uint32_t r, uint64_t seq)
{
    uint64_t at = atomic_load_explicit(&vector_rows_block(rows, r)->dead[r % VECTOR_BLOCK],
                                       memory_order_relaxed);

    return at != 0 && at <= seq;
}

static inline void vector_rows_kill(const struct vector_rows *rows, uint32_t r, uint64_t seq)
{
    atomic_store_explicit(&vector_rows_block(rows, r)->dead[r % VECTOR_BLOCK], seq,
                          memory_order_relaxed);
}

/* ---- queries ---- */

struct vector_query {
    float *f32;   /* [padded] */
    int16_t *i12; /* [padded], INT8 only: f32 / scale rounded */
    float scale;
    float length;
    float error; /* INT8: what |score - scan| is at most, beside length * residual */
};

/* For rows like these. RAG_OK or RAG_ENOMEM. */
enum rag_status vector_query_init(struct vector_query *q, const struct vector_rows *rows);
void vector_query_release(struct vector_query *q); /* zeroed: no-op */
void vector_query_set(struct vector_query *q, const struct vector_rows *rows, const float *vector);
void vector_query_set_row(struct vector_query *q, const struct vector_rows *rows, uint32_t r);

/* The inner product with row r as a scan sees it: exact to the storage but for INT8. */
static inline float vector_rows_scan(const struct vector_rows *rows, const struct vector_query *q,
                                     uint32_t r)
{
    const void *code = vector_rows_code(rows, r);

    if (rows->storage == VECTOR_F16)
        return rows->kernels->f16(q->f32, code, rows->padded);
    if (rows->storage == VECTOR_F32)
        return rows->kernels->f32(q->f32, code, rows->padded);
    return (float)rows->kernels->i8(q->i12, code, rows->padded) * q->scale * 256.0f *
           vector_rows_block(rows, r)->scales[(size_t)(r % VECTOR_BLOCK) * 2];
}

/* |vector_rows_score - vector_rows_scan| is at most this. */
static inline float vector_rows_error(const struct vector_rows *rows, const struct vector_query *q,
                                      uint32_t r)
{
    if (rows->storage != VECTOR_INT8)
        return 0.0f;
    return q->error +
           q->length * vector_rows_block(rows, r)->scales[(size_t)(r % VECTOR_BLOCK) * 2 + 1];
}

/* The inner product with row r, exact to the storage. */
float vector_rows_score(const struct vector_rows *rows, const struct vector_query *q, uint32_t r);
/* As a scan sees it, of two rows. */
float vector_rows_between(const struct vector_rows *rows, uint32_t a, uint32_t b);

/* Ask the caches for what a scan of row r will read. */
static inline void vector_rows_prefetch(const struct vector_rows *rows, uint32_t r)
{
    const uint8_t *code = vector_rows_code(rows, r);

    for (size_t i = 0; i < rows->code_bytes; i += 64)
        __builtin_prefetch(code + i);
}

/* Finite and of length 1 within VECTOR_LENGTH_TOL? *ret_length (may be NULL) is its length. */
bool vector_is_unit(const float *vector, size_t dim, double *ret_length);
/* The elements [dim] that row r stands for. */
void vector_rows_get(const struct vector_rows *rows, uint32_t r, float *ret);

#endif
