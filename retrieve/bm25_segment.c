#include "retrieve/bm25_segment.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "images are little-endian");
_Static_assert(sizeof(struct bm25_block) == 20, "blocks are stored as they are");

static size_t round8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

size_t bm25_image_bytes(const struct bm25_shape *shape)
{
    /* 12 bytes a doc, 16 a term, both counts 32-bit: only the lists can overflow */
    size_t fixed =
        (size_t)shape->n_docs * 8 + round8((size_t)shape->n_docs * 4) + (size_t)shape->n_terms * 16;

    if (shape->lists_bytes > SIZE_MAX / 2 - fixed)
        return 0;
    return fixed + (size_t)shape->lists_bytes;
}

static void set_pointers(struct bm25_segment *s)
{
    size_t n_docs = s->shape.n_docs;
    size_t n_terms = s->shape.n_terms;
    uint8_t *at = s->image;

    s->ids = (const uint64_t *)(const void *)at;
    at += n_docs * 8;
    s->lengths = (const uint32_t *)(const void *)at;
    at += round8(n_docs * 4);
    s->terms = (const uint64_t *)(const void *)at;
    at += n_terms * 8;
    s->values = (const uint64_t *)(const void *)at;
    at += n_terms * 8;
    s->lists = at;
}

enum rag_status bm25_segment_new(const struct bm25_shape *shape, struct bm25_segment **ret)
{
    struct bm25_segment *s = calloc(1, sizeof *s);
    size_t n = bm25_image_bytes(shape);

    if (!s || n == 0) {
        free(s);
        return RAG_ENOMEM;
    }
    s->image = calloc(1, n);
    if (!s->image) {
        free(s);
        return RAG_ENOMEM;
    }
    atomic_init(&s->refs, 1);
    s->shape = *shape;
    s->image_bytes = n;
    set_pointers(s);
    *ret = s;
    return RAG_OK;
}

void bm25_segment_ref(struct bm25_segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void bm25_segment_unref(struct bm25_segment *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    free((void *)atomic_load_explicit(&s->dead, memory_order_relaxed));
    free(s->image);
    free(s);
}

uint32_t bm25_segment_seek(const struct bm25_segment *s, uint32_t from, uint64_t id)
{
    uint32_t n = s->shape.n_docs;
    uint32_t step = 1;
    uint32_t low = from;  /* everything before it is < id */
    uint32_t high = from; /* everything from it on is >= id, once the first loop ended */

    while (high < n && s->ids[high] < id) {
        low = high + 1;
        high = n - high > step ? high + step : n;
        step *= 2;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t bm25_segment_find(const struct bm25_segment *s, uint64_t id)
{
    uint32_t n = s->shape.n_docs;
    uint32_t doc;

    if (n == 0 || id < s->ids[0] || id > s->ids[n - 1])
        return BM25_NO_DOC;
    doc = bm25_segment_seek(s, 0, id);
    return s->ids[doc] == id ? doc : BM25_NO_DOC;
}

bool bm25_segment_dead(const struct bm25_segment *s, uint32_t doc, uint64_t seq)
{
    _Atomic uint64_t *dead = atomic_load_explicit(&s->dead, memory_order_acquire);
    uint64_t at = dead ? atomic_load_explicit(&dead[doc], memory_order_relaxed) : 0;

    return at != 0 && at <= seq;
}

enum rag_status bm25_segment_reserve_dead(struct bm25_segment *s)
{
    _Atomic uint64_t *dead = atomic_load_explicit(&s->dead, memory_order_relaxed);

    if (dead)
        return RAG_OK;
    dead = calloc(s->shape.n_docs ? s->shape.n_docs : 1, sizeof *dead);
    if (!dead)
        return RAG_ENOMEM;
    atomic_store_explicit(&s->dead, dead, memory_order_release);
    return RAG_OK;
}

void bm25_segment_mark_dead(struct bm25_segment *s, uint32_t doc, uint64_t seq)
{
    _Atomic uint64_t *dead = atomic_load_explicit(&s->dead, memory_order_relaxed);

    atomic_store_explicit(&dead[doc], seq, memory_order_relaxed);
    s->n_dead++;
}

void bm25_segment_list(const struct bm25_segment *s, uint32_t i, struct bm25_list *ret)
{
    uint64_t value = s->values[i];
    const uint32_t *at;

    if (value & BM25_VALUE_ONE) {
        *ret = (struct bm25_list){.n = 1,
                                  .n_blocks = 1,
                                  .one_doc = (uint32_t)value,
                                  .one_tf = (uint32_t)(value >> 32) & 0x7FFFFFFFu};
        return;
    }
    at = (const uint32_t *)(const void *)(s->lists + value);
    *ret = (struct bm25_list){.n = at[0], .n_blocks = bm25_n_blocks(at[0])};
    ret->blocks = (const struct bm25_block *)(const void *)(at + 1);
    ret->words = (const uint32_t *)(const void *)(ret->blocks + ret->n_blocks);
}

bool bm25_segment_term(const struct bm25_segment *s, uint64_t term, uint32_t *ret_i)
{
    uint32_t n = s->shape.n_terms;
    uint32_t low = 0;  /* terms before it are < term */
    uint32_t high = n; /* terms from it on are > term */
    /* Terms are hashes, spread evenly over 2^64: the place is known within a few dozen. */
    uint32_t at = (uint32_t)((term >> 32) * n >> 32);
    uint32_t step = 16;

    while (low < high) {
        uint64_t found;

        if (at < low || at >= high)
            at = low + (high - low) / 2;
        found = s->terms[at];
        if (found == term) {
            *ret_i = at;
            return true;
        }
        if (found < term) {
            low = at + 1;
            at = n - at > step ? at + step : n;
        } else {
            high = at;
            at = at > step ? at - step : 0;
        }
        step *= 4;
    }
    return false;
}
