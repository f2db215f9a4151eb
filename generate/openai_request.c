#include "generate/openai_request.h"

#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"

#define MESSAGE_TOKENS 4 /* of a message's frame */
#define ANSWER_TOKENS  3 /* that open the answer */

static void write_messages(const struct openai_request *r, struct json_writer *w)
{
    json_begin_array(w, "messages");
    for (size_t i = 0; i < r->n_messages; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "role", message_role_name(r->messages[i].role));
        json_put_string(w, "content", r->messages[i].text);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_sampling(const struct openai_request *r, struct json_writer *w)
{
    const struct sampling *s = r->sampling;

    json_put_double(w, "temperature", (double)s->temperature);
    if (s->top_p < 1)
        json_put_double(w, "top_p", (double)s->top_p);
    if (s->seed != 0)
        json_put_int(w, "seed", (int64_t)(s->seed & INT64_MAX));
    json_put_int(w, r->completion_tokens ? "max_completion_tokens" : "max_tokens",
                 (int64_t)r->n_new);
    if (s->stop && s->stop[0]) {
        json_begin_array(w, "stop");
        for (size_t i = 0; i < OPENAI_STOPS_MAX && s->stop[i]; i++)
            json_put_string(w, NULL, s->stop[i]);
        json_end_array(w);
    }
    if (!s->schema)
        return;
    json_begin_object(w, "response_format");
    json_put_string(w, "type", "json_schema");
    json_begin_object(w, "json_schema");
    json_put_string(w, "name", "answer");
    json_put_bool(w, "strict", true);
    json_put_raw(w, "schema", s->schema);
    json_end_object(w);
    json_end_object(w);
}

void openai_request_write(const struct openai_request *r, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "model", r->model);
    write_messages(r, &w);
    write_sampling(r, &w);
    json_put_bool(&w, "stream", r->stream);
    if (r->stream) {
        json_begin_object(&w, "stream_options");
        json_put_bool(&w, "include_usage", true);
        json_end_object(&w);
    }
    json_end_object(&w);
}

uint64_t openai_tenths(const char *text, size_t n)
{
    uint64_t tenths = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            tenths += 3;
        else if (c < 0x80)
            tenths += 5;
        else if (c >= 0xC0) /* the first byte of a character */
            tenths += 10;
    }
    return tenths;
}

size_t openai_tokens_estimate(const struct message *messages, size_t n)
{
    uint64_t tenths = 0;

    for (size_t i = 0; i < n; i++)
        tenths += openai_tenths(messages[i].text, strlen(messages[i].text));
    return (size_t)(tenths / 10) + n * MESSAGE_TOKENS + ANSWER_TOKENS;
}
