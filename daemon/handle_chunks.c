#include "daemon/handle.h"

#define PAGE_CHUNKS_MAX     1000
#define PAGE_CHUNKS_DEFAULT 200
/* Texts of one page: chunks of CHUNK_CHARS_MAX characters of four bytes, with their headings. */
#define PAGE_BYTES_MAX      (128u << 20)

static void write_chunk(struct json_writer *w, const struct store_passage *p)
{
    json_begin_object(w, NULL);
    json_put_int(w, "chunk", (int64_t)p->id);
    json_put_string(w, "document", p->document);
    json_put_string(w, "title", p->title);
    json_put_string(w, "heading", p->heading);
    json_put_string(w, "context", p->context);
    json_put_string_n(w, "text", p->text, p->text_bytes);
    json_put_int(w, "byte_start", p->byte_start);
    json_put_int(w, "byte_end", p->byte_end);
    json_end_object(w);
}

void handle_chunks_list(struct http_request *request, struct http_response *response, void *context)
{
    struct store_passage *chunks = NULL;
    struct rag_error error = {RAG_OK, ""};
    int64_t limit = PAGE_CHUNKS_DEFAULT;
    struct app *app = context;
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    struct arena arena;
    int64_t after = 0;
    struct buf body;
    size_t n = 0;

    arena_init(&arena, PAGE_BYTES_MAX);
    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = handle_query_int(request, "limit", 1, PAGE_CHUNKS_MAX, &limit, &error);
    if (status == RAG_OK)
        status = handle_query_int(request, "after", 0, INT64_MAX, &after, &error);
    if (status == RAG_OK)
        status = collections_get(app->collections, http_request_param(request, "c"),
                                 request->principal, ACCESS_READ, &c, &error);
    if (status == RAG_OK)
        status = store_chunk_page(app->store, c->id, (uint64_t)after, (size_t)limit, &arena,
                                  &chunks, &n, &error);
    collection_release(app->collections, c);
    json_begin_object(&w, NULL);
    json_begin_array(&w, "chunks");
    for (size_t i = 0; i < n; i++)
        write_chunk(&w, &chunks[i]);
    json_end_array(&w);
    /* a full page may have a successor, which begins after its last chunk */
    if (n == (size_t)limit)
        json_put_int(&w, "next", (int64_t)chunks[n - 1].id);
    else
        json_put_null(&w, "next");
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
    arena_release(&arena);
}
