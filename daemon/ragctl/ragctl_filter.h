/* daemon/ragctl/ragctl_filter.h - the options that search, ask and chat share, as request members.
 */
#ifndef RAG_DAEMON_RAGCTL_FILTER_H
#define RAG_DAEMON_RAGCTL_FILTER_H

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"

struct ragctl_query {
    const char *filter;      /* --filter: a JSON object, or NULL */
    struct ragctl_list only; /* --where key=text, repeated: shorthand for the filter */
    int64_t top_k;           /* 0: the daemon's default */
};

/* Write "collection", "top_k" and "filter" as members of an open object. RAG_EINVAL when
 * the filter is no JSON object or a --where has no '='. */
enum rag_status ragctl_query_write(struct json_writer *w, const char *collection,
                                   const struct ragctl_query *query, struct rag_error *reterr);

/* A JSON object from the command line as a member; nothing when text is NULL. RAG_EINVAL names the
 * option when it is none. */
enum rag_status ragctl_object_write(struct json_writer *w, const char *key, const char *option,
                                    const char *text, struct rag_error *reterr);

/* The words joined by spaces: a question needs no quotes. RAG_EINVAL when there are none
 * or it is longer than QUESTION_BYTES_MAX; 'noun' names it. */
enum rag_status ragctl_query_join(char **words, int n_words, const char *noun, struct buf *out,
                                  struct rag_error *reterr);

#endif
