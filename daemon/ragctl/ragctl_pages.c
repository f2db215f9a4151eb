#include "daemon/ragctl/ragctl_pages.h"

#include <stddef.h>

#include "base/bounds.h"

#define PAGE_DOCUMENTS 1000

void ragctl_pages_init(struct ragctl_pages *pages, struct ragctl_client *client,
                       const char *collection)
{
    *pages = (struct ragctl_pages){.client = client, .collection = collection};
}

void ragctl_pages_release(struct ragctl_pages *pages)
{
    json_free(pages->page);
    pages->page = NULL;
}

static enum rag_status fetch(struct ragctl_pages *pages, struct rag_error *reterr)
{
    const char *after = json_string(json_member(pages->page, "next"));
    struct json *page = NULL;
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, pages->collection, "/documents", NULL);
    buf_printf(&path, "?limit=%d&after=", PAGE_DOCUMENTS);
    http_encode_segment(&path, after ? after : "");
    status = ragctl_client_call(pages->client, "GET", buf_str(&path), &page, reterr);
    buf_release(&path);
    if (status != RAG_OK)
        return status;
    json_free(pages->page);
    pages->page = page;
    pages->next = json_first(json_member(page, "documents"));
    pages->last = !json_string(json_member(page, "next"));
    return RAG_OK;
}

enum rag_status ragctl_pages_next(struct ragctl_pages *pages, const struct json **ret_document,
                                  struct rag_error *reterr)
{
    *ret_document = NULL;
    if (!pages->next && !(pages->page && pages->last)) {
        enum rag_status status = fetch(pages, reterr);

        if (status != RAG_OK)
            return status;
    }
    *ret_document = pages->next;
    if (pages->next)
        pages->next = json_next(pages->next);
    return RAG_OK;
}
