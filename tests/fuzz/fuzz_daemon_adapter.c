/* The body of PUT /v1/collections/{c}/adapter: what is accepted maps a question to a unit vector or
 * leaves it, and what is shown of it, put again, is the same adapter. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/collection_adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct question_adapter *map)
{
    float *q = calloc(2 * map->dim, sizeof *q);
    double squares = 0;

    if (!q)
        abort();
    q[map->dim / 2] = 1;
    (void)question_adapter_apply(map, q, q + map->dim);
    for (size_t i = map->dim; i < 2 * map->dim; i++)
        squares += (double)q[i] * (double)q[i];
    if (!(fabs(squares - 1) < 1e-3))
        abort();
    free(q);
}

/* Only the members that are put. */
static void check_again(const struct collection_adapter *a)
{
    static const char *const keys[] = {"fingerprint", "dim", "rank", "weights", NULL};
    struct collection_adapter *again = NULL;
    struct json *shown = NULL;
    struct json *body = NULL;
    struct json_writer w;
    struct buf out;

    buf_init(&out, 64u << 20);
    json_writer_init(&w, &out);
    collection_adapter_write(a, true, true, NULL, &w);
    if (json_parse(buf_str(&out), out.len, "shown", &shown, NULL) != RAG_OK)
        abort();
    buf_reset(&out);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    for (size_t i = 0; keys[i]; i++) {
        char *text = NULL;

        if (json_print(json_member(shown, keys[i]), &text) != RAG_OK)
            abort();
        json_put_raw(&w, keys[i], text);
        free(text);
    }
    json_end_object(&w);
    if (json_parse(buf_str(&out), out.len, "body", &body, NULL) != RAG_OK ||
        collection_adapter_read(body, &again, NULL) != RAG_OK || strcmp(again->id, a->id) != 0)
        abort();
    collection_adapter_unref(again);
    json_free(shown);
    json_free(body);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct collection_adapter *a = NULL;
    struct json *body = NULL;
    struct rag_error error;

    if (json_parse((const char *)data, size, "body", &body, &error) != RAG_OK)
        return 0;
    if (json_is_object(body) && collection_adapter_read(body, &a, &error) == RAG_OK) {
        check_map(a->map);
        check_again(a);
    }
    collection_adapter_unref(a);
    json_free(body);
    return 0;
}
