/* daemon/reexec.h - the environment that OpenBLAS and OpenMP read when they are loaded.
 *
 * Threads are the compute pool's affair (nn/compute_pool.h), so both are to use one. OpenBLAS
 * chooses its kernels by a table of CPU models, and takes a CPU newer than itself for an older one
 * (0.3.21: Sapphire Rapids for Haswell, others for Prescott), down to a third of the speed without
 * a word. All of that is read from the environment before main() begins, hence a program that
 * computes executes itself once more with
 *
 *     OPENBLAS_NUM_THREADS=1   OMP_NUM_THREADS=1
 *     OPENBLAS_CORETYPE        a core with this CPU's vectors; a value that is set already stays
 *     RAGD_REEXECUTED=1        that this has been done; removed again afterwards */
#ifndef RAG_DAEMON_REEXEC_H
#define RAG_DAEMON_REEXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The decision, apart from how it is carried out. */
struct reexec_facts {
    const char *core;         /* that OpenBLAS computes for */
    const char *better;       /* one for this CPU's vectors; NULL: it is one */
    const char *coretype;     /* OPENBLAS_CORETYPE, or NULL; so below */
    const char *blas_threads; /* OPENBLAS_NUM_THREADS */
    const char *omp_threads;  /* OMP_NUM_THREADS */
    bool done;                /* RAGD_REEXECUTED */
};
struct reexec_plan {
    bool reexecute;
    const char *coretype; /* to set; NULL: leave it */
    const char *slow;     /* why sgemm will be slow all the same, or NULL */
};
struct reexec_plan reexec_decide(const struct reexec_facts *facts);

/* First thing in main() of a program that computes, before any thread, lock or open file: does not
 * return when the program is executed once more, with the same arguments. RAG_OK: all is as it
 * should be. RAG_EIO: it is not, and the program may go on, slower; the message says what to set by
 * hand, for the log. */
enum rag_status reexec_for_compute(struct rag_error *reterr);

#endif
