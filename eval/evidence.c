#define _GNU_SOURCE
#include "eval/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static bool kept(uint32_t c, enum evidence_view view)
{
    if (view == VIEW_ALL)
        return true;
    if (c <= ' ' || c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200B))
        return false;
    return view == VIEW_NO_SPACE || c >= 0x80 || !strchr("*_`|~#>\\", (int)c);
}

static void index_release(struct evidence_index *v)
{
    free(v->text);
    free(v->text_at);
    free(v->source_at);
    *v = (struct evidence_index){0};
}

static enum rag_status index_init(struct evidence_index *v, const char *text, size_t n,
                                  enum evidence_view view)
{
    *v = (struct evidence_index){
        .text = malloc(n + 1),
        .text_at = malloc((n + 1) * sizeof *v->text_at),
        .source_at = malloc((n + 1) * sizeof *v->source_at),
    };
    if (!v->text || !v->text_at || !v->source_at) {
        index_release(v);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence_bytes(text + i, n - i);

        if (step > 0 && kept(utf8_decode(text + i, NULL), view)) {
            v->text_at[v->n_chars] = (uint32_t)v->n_bytes;
            v->source_at[v->n_chars++] = (uint32_t)i;
            memcpy(v->text + v->n_bytes, text + i, step);
            v->n_bytes += step;
        }
        i += step > 0 ? step : 1;
    }
    v->text[v->n_bytes] = '\0';
    return RAG_OK;
}

enum rag_status evidence_document_init(struct evidence_document *d, const char *text,
                                       size_t n_bytes, bool html)
{
    *d = (struct evidence_document){.first_view = html ? VIEW_NO_SPACE : VIEW_ALL};
    for (int view = 0; view < N_VIEWS; view++) {
        if (index_init(&d->views[view], text, n_bytes, (enum evidence_view)view) != RAG_OK) {
            evidence_document_release(d);
            return RAG_ENOMEM;
        }
    }
    return RAG_OK;
}

void evidence_document_release(struct evidence_document *d)
{
    for (int view = 0; view < N_VIEWS; view++)
        index_release(&d->views[view]);
}

/* The first character whose byte is >= at. */
static size_t char_at(const uint32_t *bytes, size_t n_chars, size_t at)
{
    size_t low = 0;
    size_t high = n_chars;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bytes[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum rag_status evidence_find(const struct evidence_document *d, const char *evidence,
                              struct evidence_place *ret)
{
    *ret = (struct evidence_place){.view = d->first_view};
    for (int view = (int)d->first_view; view < N_VIEWS; view++) {
        const struct evidence_index *v = &d->views[view];
        struct evidence_index wanted;
        const char *found = NULL;

        if (index_init(&wanted, evidence, strlen(evidence), (enum evidence_view)view) != RAG_OK)
            return RAG_ENOMEM;
        if (wanted.n_bytes > 0)
            found = memmem(v->text, v->n_bytes, wanted.text, wanted.n_bytes);
        if (found) {
            ret->view = (enum evidence_view)view;
            ret->char_start = char_at(v->text_at, v->n_chars, (size_t)(found - v->text));
            ret->char_end = ret->char_start + wanted.n_chars;
        }
        index_release(&wanted);
        if (found)
            break;
    }
    return RAG_OK;
}

/* Characters that the bytes share with the evidence; *ret_n: characters of the bytes. */
static size_t shared_chars(const struct evidence_document *d, const struct evidence_place *place,
                           size_t byte_start, size_t byte_end, size_t *ret_n)
{
    const struct evidence_index *v = &d->views[place->view];
    size_t start = char_at(v->source_at, v->n_chars, byte_start);
    size_t end = char_at(v->source_at, v->n_chars, byte_end);
    size_t from = start > place->char_start ? start : place->char_start;
    size_t to = end < place->char_end ? end : place->char_end;

    *ret_n = end > start ? end - start : 0;
    return from < to ? to - from : 0;
}

bool evidence_covered(const struct evidence_document *d, const struct evidence_place *place,
                      size_t byte_start, size_t byte_end)
{
    size_t n_span;
    size_t n_shared = shared_chars(d, place, byte_start, byte_end, &n_span);
    size_t n_evidence = place->char_end - place->char_start;
    size_t shorter = n_span < n_evidence ? n_span : n_evidence;

    return n_shared > 0 && (double)n_shared >= EVIDENCE_OVERLAP_MIN * (double)shorter;
}

bool evidence_held(const struct evidence_document *d, const struct evidence_place *place,
                   size_t byte_start, size_t byte_end)
{
    size_t n_span;
    size_t n_shared = shared_chars(d, place, byte_start, byte_end, &n_span);
    size_t n_evidence = place->char_end - place->char_start;

    return n_shared > 0 && (double)n_shared >= EVIDENCE_OVERLAP_MIN * (double)n_evidence;
}
