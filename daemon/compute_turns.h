/* daemon/compute_turns.h - two that compute, never both at once: the models' queue, whose slices
 * are embeddings and reranks (daemon/model_queue.h), and the decoder, whose steps are layers
 * (generate/decode_scheduler.h).
 *
 * A decoder may be at it for minutes, a slice takes some 40 ms, and a question needs its slices
 * before its answer can begin. So the decoder gives way between two layers: while a question's
 * request waits or computes, it does not, but for one layer after MODELS_PREFERRED_MAX slices in a
 * row. Slices of documents have one turn after DECODER_BULK_NS of layers; without a decoder at work
 * they wait for nobody.
 *
 * Thread-safe; one thread is the decoder's, one the queue's. */
#ifndef RAG_DAEMON_COMPUTE_TURNS_H
#define RAG_DAEMON_COMPUTE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct compute_turns; /* opaque */

/* bulk_ns: of layers between two slices of documents. RAG_ENOMEM. */
enum rag_status compute_turns_open(int64_t bulk_ns, struct compute_turns **ret,
                                   struct rag_error *reterr);
void compute_turns_close(struct compute_turns *t); /* nobody uses it any more; NULL is a no-op */

/* A question's request comes, and is done: around its wait. */
void compute_turns_enter(struct compute_turns *t);
void compute_turns_leave(struct compute_turns *t);

/* Around a slice, on the queue's thread. */
void compute_turns_begin_slice(struct compute_turns *t, bool bulk);
void compute_turns_end_slice(struct compute_turns *t);

/* On the decoder's thread: before each layer, the first one of a run too, returns when the decoder
 * may compute; and when a run is over. */
void compute_turns_begin_layer(struct compute_turns *t);
void compute_turns_end_run(struct compute_turns *t);

#endif
