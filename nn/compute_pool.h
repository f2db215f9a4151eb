/* nn/compute_pool.h - the threads that compute, and nothing else does.
 *
 * One pool of n threads, usually one a core. A caller hands in a range of items and sleeps until
 * all are done; several callers at once take turns by item, those that asked first first.
 * BLAS and OpenMP are kept at one thread each (daemon/reexec.c), so that parallelism is here only.
 */
#ifndef RAG_NN_COMPUTE_POOL_H
#define RAG_NN_COMPUTE_POOL_H

#include <stddef.h>

#include "base/status.h"

#define COMPUTE_THREADS_MAX 256

struct compute_pool; /* opaque; thread-safe */

/* n_threads 0: the cores that this process may run on (sched_getaffinity; cgroup CPU quota
 * respected). RAG_OK, RAG_ENOMEM, RAG_EIO (a thread could not be made). */
enum rag_status compute_pool_open(size_t n_threads, struct compute_pool **ret,
                                  struct rag_error *reterr);
void compute_pool_close(struct compute_pool *pool); /* no run may be in progress; NULL: no-op */
size_t compute_pool_threads(const struct compute_pool *pool);

/* Call work(context, item, thread) once for each item in 0..n_items-1, on the pool's threads, in
 * any order; 'thread' (0..n_threads-1) says which, for scratch memory. Returns when the last one
 * has returned. 'work' must not call compute_pool_run() of the same pool. pool NULL: everything
 * runs on the caller's thread, as thread 0. */
void compute_pool_run(struct compute_pool *pool, size_t n_items,
                      void (*work)(void *context, size_t item, size_t thread), void *context);

/* The same for n_steps steps of n_items each, one step after the other: all items of a step have
 * returned before the first one of the next step is called, and what they wrote is visible to it.
 * The caller sleeps once for all of them, and threads that wait for the next step spin for some
 * microseconds before they sleep, so that a step costs about a microsecond and not a wake-up.
 *
 * A forward pass needs one step a layer when step l, for its own block of rows, is
 *     attention of layer l; output linear + residual + layer norm; feed-forward; q k v of layer l+1
 * (step 0: embeddings, q k v of layer 0): only attention reads rows of other items, namely the k
 * and v that the step before wrote. q k v alternate between two buffers, since a thread may be
 * ahead by one item. Batches of many sequences need no steps at all: an item is a group of whole
 * sequences (about 128 to 256 rows, for the weights' sake) through all layers. */
void compute_pool_run_steps(struct compute_pool *pool, size_t n_steps, size_t n_items,
                            void (*work)(void *context, size_t step, size_t item, size_t thread),
                            void *context);

#endif
