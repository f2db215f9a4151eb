/* daemon/ragctl/ragctl_mcp_resources.c - documents as resources: ragd://COLLECTION/DOCUMENT, both
 * percent-encoded. A cursor is the URI of the last document of the page before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/ragctl/ragctl_mcp.h"

#define SCHEME "ragd://"
#define URI_BYTES_MAX                                                                              \
    (sizeof SCHEME + 3 * (COLLECTION_NAME_BYTES_MAX + DOCUMENT_NAME_BYTES_MAX) + 1)

static void write_uri(struct json_writer *w, const char *key, const char *collection,
                      const char *document)
{
    struct buf uri;

    buf_init(&uri, URI_BYTES_MAX);
    buf_append_str(&uri, SCHEME);
    http_encode_segment(&uri, collection);
    buf_append_char(&uri, '/');
    http_encode_segment(&uri, document);
    json_put_string(w, key, buf_str(&uri));
    buf_release(&uri);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode one segment up to 'end' into a text of at most bytes_max bytes. */
static bool decode(const char *at, const char *end, char *ret, size_t bytes_max)
{
    size_t n = 0;

    for (; at < end; at++) {
        char c = *at;

        if (c == '%') {
            if (end - at < 3 || hex_value(at[1]) < 0 || hex_value(at[2]) < 0)
                return false;
            c = (char)(hex_value(at[1]) * 16 + hex_value(at[2]));
            at += 2;
        }
        if (n == bytes_max || c == '\0')
            return false;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return n > 0 && utf8_valid(ret, n, NULL);
}

struct place {
    char collection[COLLECTION_NAME_BYTES_MAX + 1];
    char document[DOCUMENT_NAME_BYTES_MAX + 1];
};

static bool read_uri(const char *uri, struct place *ret)
{
    const char *collection = uri + sizeof SCHEME - 1;
    const char *slash;

    if (strncmp(uri, SCHEME, sizeof SCHEME - 1) != 0)
        return false;
    slash = strchr(collection, '/');
    return slash && decode(collection, slash, ret->collection, COLLECTION_NAME_BYTES_MAX) &&
           decode(slash + 1, slash + strlen(slash), ret->document, DOCUMENT_NAME_BYTES_MAX);
}

/* What the text is: of HTML and records only the visible text is stored. */
static const char *text_mime(const char *mime)
{
    return strcmp(mime, "text/markdown") == 0 ? mime : "text/plain";
}

/* Up to *left documents of one collection from behind 'after'; *ret_full: there may be more. */
static enum rag_status list_collection(struct mcp *m, const char *collection, const char *after,
                                       size_t *left, struct json_writer *w, struct place *ret_last,
                                       bool *ret_full, struct rag_error *reterr)
{
    struct json *page = NULL;
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, collection, "/documents", NULL);
    buf_printf(&path, "?limit=%zu&after=", *left);
    http_encode_segment(&path, after);
    status = ragctl_client_call(&m->client, "GET", buf_str(&path), &page, reterr);
    for (const struct json *d = json_first(json_member(page, "documents")); d; d = json_next(d)) {
        const char *name = ragctl_text(d, "document");
        const char *title = ragctl_text(d, "title");

        json_begin_object(w, NULL);
        write_uri(w, "uri", collection, name);
        json_put_string(w, "name", name);
        if (*title)
            json_put_string(w, "title", title);
        json_put_string(w, "mimeType", text_mime(ragctl_text(d, "mime")));
        json_put_int(w, "size", (int64_t)json_number(json_member(d, "text_bytes")));
        json_end_object(w);
        snprintf(ret_last->collection, sizeof ret_last->collection, "%s", collection);
        snprintf(ret_last->document, sizeof ret_last->document, "%s", name);
        (*left)--;
    }
    *ret_full = json_is_string(json_member(page, "next"));
    json_free(page);
    buf_release(&path);
    return status;
}

/* The collections in order of name, from that of the cursor on. */
static enum rag_status list_all(struct mcp *m, const struct place *from, struct json_writer *w,
                                struct place *ret_last, bool *ret_more, struct rag_error *reterr)
{
    const char *only = m->options->collection;
    size_t left = MCP_PAGE_RESOURCES;
    struct json *reply = NULL;
    bool full = false;
    enum rag_status status =
        ragctl_client_call(&m->client, "GET", "/v1/collections", &reply, reterr);

    for (const struct json *c = json_first(json_member(reply, "collections"));
         status == RAG_OK && c && left > 0; c = json_next(c)) {
        const char *name = ragctl_text(c, "name");
        int order = strcmp(name, from->collection);

        if (order < 0 || (only && strcmp(name, only) != 0))
            continue;
        status = list_collection(m, name, order == 0 ? from->document : "", &left, w, ret_last,
                                 &full, reterr);
    }
    /* a page that is exactly full at the end of the last collection has an empty successor */
    *ret_more = left == 0;
    json_free(reply);
    return status;
}

int mcp_resources_list(struct mcp *m, const struct json *params, struct json_writer *w,
                       struct rag_error *reterr)
{
    const struct json *cursor = json_member(params, "cursor");
    struct place from = {"", ""};
    struct place last = {"", ""};
    enum rag_status status;
    bool more = false;

    if (cursor && !json_is_null(cursor) &&
        (!json_is_string(cursor) || !read_uri(json_string(cursor), &from))) {
        rag_fail(reterr, RAG_EINVAL, "'cursor': none that was given out");
        return MCP_INVALID_PARAMS;
    }
    json_begin_array(w, "resources");
    status = list_all(m, &from, w, &last, &more, reterr);
    json_end_array(w);
    if (more)
        write_uri(w, "nextCursor", last.collection, last.document);
    return status == RAG_OK ? 0 : MCP_INTERNAL_ERROR;
}

int mcp_resources_templates(struct mcp *m, const struct json *params, struct json_writer *w,
                            struct rag_error *reterr)
{
    (void)m;
    (void)params;
    (void)reterr;
    json_put_raw(w, "resourceTemplates",
                 "[{\"uriTemplate\":\"ragd://{collection}/{document}\",\"name\":\"document\","
                 "\"title\":\"A document's stored text\",\"description\":\"Both parts are "
                 "percent-encoded, slashes too.\",\"mimeType\":\"text/plain\"}]");
    return 0;
}

int mcp_resources_read(struct mcp *m, const struct json *params, struct json_writer *w,
                       struct rag_error *reterr)
{
    const char *uri = json_string(json_member(params, "uri"));
    struct json *reply = NULL;
    enum rag_status status;
    struct place place;
    struct buf path;

    if (!uri || !read_uri(uri, &place)) {
        rag_fail(reterr, RAG_EINVAL,
                 "'uri': needs ragd://COLLECTION/DOCUMENT, each percent-encoded");
        return MCP_INVALID_PARAMS;
    }
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, place.collection, "/documents/", place.document);
    status = ragctl_client_call(&m->client, "GET", buf_str(&path), &reply, reterr);
    if (status == RAG_OK && strlen(ragctl_text(reply, "text")) > MCP_TEXT_BYTES_MAX)
        status = rag_fail(reterr, RAG_ELIMIT,
                          "document '%s': %zu bytes, the limit of a resource is %u; get_document "
                          "reads it in parts",
                          place.document, strlen(ragctl_text(reply, "text")), MCP_TEXT_BYTES_MAX);
    if (status == RAG_OK) {
        json_begin_array(w, "contents");
        json_begin_object(w, NULL);
        json_put_string(w, "uri", uri);
        json_put_string(w, "mimeType", text_mime(ragctl_text(reply, "mime")));
        json_put_string(w, "text", ragctl_text(reply, "text"));
        json_end_object(w);
        json_end_array(w);
    }
    json_free(reply);
    buf_release(&path);
    return mcp_failed(status);
}
