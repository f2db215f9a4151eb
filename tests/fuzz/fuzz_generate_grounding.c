/* A question, two passages and what a model wrote, parted by lines of "---": sentences, marks and
 * citations stay inside their texts, however the text is cut on its way, and so does a follow-up.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "generate/grounding.h"

#define PARTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct analyzer *analyzer;

/* The text up to the next line of "---", NUL-terminated; free() it. */
static char *next_part(const char **at, const char *end, bool last)
{
    const char *stop = end;
    const char *next = end;
    char *part;

    for (const char *p = *at; !last && p + 4 <= end; p++)
        if (memcmp(p, "---\n", 4) == 0 && (p == *at || p[-1] == '\n')) {
            stop = p > *at ? p - 1 : p;
            next = p + 4;
            break;
        }
    part = calloc(1, (size_t)(stop - *at) + 1);
    assert(part);
    memcpy(part, *at, (size_t)(stop - *at));
    *at = next;
    return part;
}

static void check(const struct generator_request *request, const struct generator_result *result)
{
    assert(utf8_valid(buf_str(&result->answer), result->answer.len, NULL));
    assert(result->n_citations <= CITATIONS_MAX && result->confidence >= 0 &&
           result->confidence <= 1);
    assert((result->finish_reason == FINISH_REFUSED) == (result->answer.len == 0));
    for (size_t i = 0; i < result->n_citations; i++) {
        const struct citation *c = &result->citations[i];

        assert(c->passage < request->n_passages && c->byte_start < c->byte_end);
        assert(c->byte_end <= request->passages[c->passage].text_bytes);
        assert(c->answer_start < c->answer_end && c->answer_end <= result->answer.len);
    }
}

static void ground(const struct generator_request *request, const char *text, size_t n, size_t step,
                   struct generator_result *ret)
{
    struct grounding_options options = {.request = request, .n_passages = request->n_passages};
    struct grounding *g;
    struct buf out;

    buf_init(&out, ANSWER_BYTES_MAX);
    generator_result_init(ret);
    if (grounding_open(&options, &g, NULL) != RAG_OK)
        abort();
    for (size_t i = 0; i < n;) {
        size_t end = step == 0 || n - i < step ? n : i + step;

        while (end < n && ((unsigned char)text[end] & 0xC0) == 0x80)
            end++; /* whole characters, as a tokenizer gives them */
        assert(grounding_put(g, text + i, end - i, &out, NULL) == RAG_OK);
        i = end;
    }
    assert(grounding_finish(g, &out, ret, NULL) == RAG_OK);
    assert(out.len == ret->answer.len);
    check(request, ret);
    grounding_close(g);
    buf_release(&out);
}

static void condense(const char *question, const char *before, const char *text)
{
    struct message turns[] = {
        {ROLE_USER,      before  },
        {ROLE_ASSISTANT, text    },
        {ROLE_USER,      question}
    };
    enum condense_need need;
    struct buf out;

    buf_init(&out, QUESTION_BYTES_MAX);
    assert(condense_need(turns, 3, analyzer, &need) == RAG_OK);
    assert(condense_by_words(turns, 3, analyzer, &out) == RAG_OK);
    assert(utf8_valid(buf_str(&out), out.len, NULL));
    (void)condensed_question(turns, 3, analyzer, text, strlen(text), &out, NULL);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    struct generator_passage passages[2];
    struct analyzer_options options = {0};
    struct generator_result whole;
    struct generator_result pieces;
    struct message message;
    char *parts[PARTS];

    if (size > 8192 || memchr(data, '\0', size))
        return 0;
    if (!analyzer && analyzer_open(&options, &analyzer, NULL) != RAG_OK)
        abort();
    for (int i = 0; i < PARTS; i++)
        parts[i] = next_part(&at, end, i + 1 == PARTS);
    if (utf8_valid(parts[0], strlen(parts[0]), NULL) &&
        utf8_valid(parts[1], strlen(parts[1]), NULL) &&
        utf8_valid(parts[2], strlen(parts[2]), NULL)) {
        struct generator_request request = {.messages = &message,
                                            .n_messages = 1,
                                            .passages = passages,
                                            .n_passages = 2,
                                            .analyzer = analyzer};

        message = (struct message){ROLE_USER, parts[0]};
        for (int i = 0; i < 2; i++)
            passages[i] = (struct generator_passage){.title = "",
                                                     .heading = "",
                                                     .context = "",
                                                     .text = parts[i + 1],
                                                     .text_bytes = strlen(parts[i + 1])};
        ground(&request, parts[3], strlen(parts[3]), 0, &whole);
        ground(&request, parts[3], strlen(parts[3]), 1 + size % 7, &pieces);
        assert(strcmp(buf_str(&whole.answer), buf_str(&pieces.answer)) == 0);
        generator_result_release(&whole);
        generator_result_release(&pieces);
        if (utf8_valid(parts[3], strlen(parts[3]), NULL))
            condense(parts[0], parts[1], parts[3]);
    }
    for (int i = 0; i < PARTS; i++)
        free(parts[i]);
    return 0;
}
