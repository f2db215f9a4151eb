/* eval/input.h - evaluation files as bytes and lines, plain or zstd.
 *
 * What is read is told by the first four bytes (RFC 8878, frame magic 0xFD2FB528), not by
 * the name. Frames may follow each other; a window of up to 2^27 bytes is allowed, which is
 * what "zstd --long=27" writes. One thread. */
#ifndef RAG_EVAL_INPUT_H
#define RAG_EVAL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

struct input; /* opaque */

/* Open a file. RAG_EIO names it; RAG_ENOMEM. */
enum rag_status input_open(const char *path, struct input **ret, struct rag_error *reterr);
/* Read from bytes of the caller's, which outlive the input; 'name' is for messages. */
enum rag_status input_memory(const void *data, size_t n_bytes, const char *name, struct input **ret,
                             struct rag_error *reterr);
void input_close(struct input *in); /* NULL is a no-op */

const char *input_name(const struct input *in);   /* as given to input_open() */
size_t input_line_number(const struct input *in); /* of the last line read, from 1 */

/* The next line into *line (overwritten), without its LF or CRLF; *ret_end: there was none.
 * RAG_ELIMIT past line->max (the message names file and line), RAG_EIO, RAG_EFORMAT (broken
 * compression, or it ends in the middle of a frame), RAG_ENOMEM. */
enum rag_status input_line(struct input *in, struct buf *line, bool *ret_end,
                           struct rag_error *reterr);
/* All that is left, appended to *out; errors as above, by out->max. */
enum rag_status input_all(struct input *in, struct buf *out, struct rag_error *reterr);

#endif
