/* daemon/remotes.h - the other servers that ragd.conf names: [openai] and [remote].
 *
 * Each has its key, its circuit and its budget (base/remote.h). Whether a text may be sent there is
 * decided by who has it: texts of an offline collection never are. */
#ifndef RAG_DAEMON_REMOTES_H
#define RAG_DAEMON_REMOTES_H

#include <stdbool.h>

#include "base/remote.h"
#include "base/status.h"
#include "daemon/config.h"
#include "daemon/metrics.h"

struct remotes {
    struct remote *openai; /* NULL: not configured, as the others */
    struct remote *embed;
    struct remote *rerank;
};
/* Reads the keys; sends nothing. with_state: budgets go on from the files of the state folder. The
 * message names section and key. On failure *ret is empty. */
enum rag_status remotes_open(const struct config *config, bool with_state, struct remotes *ret,
                             struct rag_error *reterr);
void remotes_close(struct remotes *r); /* after all who use them; an empty one is a no-op */
/* One line in the log for each. */
void remotes_log(const struct remotes *r, const struct config *config);
/* ragd_remote_* as they stand now. */
void remotes_count(const struct remotes *r, struct metrics *metrics);

#endif
