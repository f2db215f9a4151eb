/* generate/openai_reply.h - what a server of OpenAI's chat completions answers, piece by piece.
 *
 * Servers cut text where a token ends, which may be inside a character: as raw bytes of a JSON
 * string that is then no UTF-8, or as one half of a surrogate pair. Here the halves are put
 * together; what never becomes a character is U+FFFD. One reply, one thread at a time.
 * Source: platform.openai.com/docs/api-reference/chat. */
#ifndef RAG_GENERATE_OPENAI_REPLY_H
#define RAG_GENERATE_OPENAI_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

enum openai_finish { OPENAI_RUNNING, OPENAI_STOP, OPENAI_LENGTH, OPENAI_FILTERED, OPENAI_TOOL };

struct openai_reply {
    struct buf text;    /* whole characters, since the caller last reset it */
    char partial[4];    /* the beginning of one */
    size_t n_partial;   /* bytes of it */
    uint32_t surrogate; /* the first half of a pair that an event ended in; 0: none */
    enum openai_finish finish;
    bool has_usage;
    uint64_t prompt_tokens;
    uint64_t cached_tokens;
    uint64_t completion_tokens;
};
void openai_reply_init(struct openai_reply *r, size_t text_bytes_max);
void openai_reply_release(struct openai_reply *r);

/* One event of a stream ("delta") or a whole response ("message"). RAG_EFORMAT: no JSON, or of
 * another shape; RAG_EIO: it is an error of the server, with its message (not scrubbed);
 * RAG_EDENIED: the model refused by the API's own field; RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status openai_reply_put(struct openai_reply *r, const char *json, size_t n,
                                 struct rag_error *reterr);
/* No more comes: what is left of a character becomes U+FFFD. */
void openai_reply_finish(struct openai_reply *r);

#endif
