/* nn/compute_pool.h - the threads that compute, and nothing else does.
 *
 * One pool of n threads, usually one a core. A caller hands in a range of items and sleeps until
 * all are done; several callers at once take turns by item, those that asked first first.
 * BLAS and OpenMP are kept at one thread each (daemon/reexec.c), so that parallelism is here only. */
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

#endif
