/* daemon/ragctl/ragctl_pages.h - walk a collection's documents, page by page. */
#ifndef RAG_DAEMON_RAGCTL_PAGES_H
#define RAG_DAEMON_RAGCTL_PAGES_H

#include "base/json.h"
#include "daemon/ragctl/ragctl_client.h"

struct ragctl_pages {
    struct ragctl_client *client; /* borrowed */
    const char *collection;       /* borrowed */
    struct json *page;            /* owned; NULL before the first */
    const struct json *next;      /* the document to hand out next, in page */
    bool last;                    /* no page follows */
};

void ragctl_pages_init(struct ragctl_pages *pages, struct ragctl_client *client,
                       const char *collection);
void ragctl_pages_release(struct ragctl_pages *pages);
/* *ret_document: the next one (valid until the next call), or NULL at the end. */
enum rag_status ragctl_pages_next(struct ragctl_pages *pages, const struct json **ret_document,
                                  struct rag_error *reterr);

#endif
