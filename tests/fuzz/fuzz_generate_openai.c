/* What a server of chat completions sends: events and their JSON give the same text, end and counts
 * however the bytes are cut on their way, and the text is always UTF-8. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "generate/openai_reply.h"
#include "generate/sse_reader.h"

#define TEXT_BYTES_MAX  (1u << 20)
#define EVENT_BYTES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct openai_reply reply;
    struct buf text;
    enum rag_status status;
    size_t n_events;
};

static bool on_event(void *context, const char *data, size_t n)
{
    struct reading *r = context;

    r->n_events++;
    if (n >= 6 && memcmp(data, "[DONE]", 6) == 0)
        return false;
    r->status = openai_reply_put(&r->reply, data, n, NULL);
    assert(utf8_valid(buf_str(&r->reply.text), r->reply.text.len, NULL));
    assert(r->reply.n_partial < sizeof r->reply.partial);
    buf_append(&r->text, buf_str(&r->reply.text), r->reply.text.len);
    buf_reset(&r->reply.text);
    return r->status == RAG_OK;
}

static void read_stream(const char *data, size_t n, size_t step, struct reading *ret)
{
    struct sse_reader events;
    enum rag_status status = RAG_OK;

    *ret = (struct reading){.status = RAG_OK};
    openai_reply_init(&ret->reply, TEXT_BYTES_MAX);
    buf_init(&ret->text, TEXT_BYTES_MAX);
    sse_reader_init(&events, EVENT_BYTES_MAX, on_event, ret);
    for (size_t i = 0; i < n && status == RAG_OK; i += step)
        status = sse_reader_put(&events, data + i, n - i < step ? n - i : step);
    if (status == RAG_OK)
        status = sse_reader_finish(&events);
    openai_reply_finish(&ret->reply);
    buf_append(&ret->text, buf_str(&ret->reply.text), ret->reply.text.len);
    if (ret->status == RAG_OK)
        ret->status = status;
    sse_reader_release(&events);
}

static void reading_release(struct reading *r)
{
    openai_reply_release(&r->reply);
    buf_release(&r->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 3, 16};
    struct openai_reply reply;
    struct reading whole;

    if (size == 0)
        return 0;
    read_stream((const char *)data, size, size, &whole);
    assert(utf8_valid(buf_str(&whole.text), whole.text.len, NULL));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct reading cut;

        read_stream((const char *)data, size, steps[i], &cut);
        assert(cut.status == whole.status && cut.n_events == whole.n_events);
        assert(cut.reply.finish == whole.reply.finish);
        assert(cut.reply.completion_tokens == whole.reply.completion_tokens);
        assert(cut.text.len == whole.text.len &&
               memcmp(buf_str(&cut.text), buf_str(&whole.text), cut.text.len) == 0);
        reading_release(&cut);
    }
    reading_release(&whole);
    openai_reply_init(&reply, TEXT_BYTES_MAX);
    (void)openai_reply_put(&reply, (const char *)data, size, NULL);
    openai_reply_finish(&reply);
    assert(utf8_valid(buf_str(&reply.text), reply.text.len, NULL));
    openai_reply_release(&reply);
    return 0;
}
