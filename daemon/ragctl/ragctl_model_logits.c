#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "daemon/ragctl/ragctl_model_run.h"
#include "daemon/ragctl/ragctl_model_session.h"

#define OUTPUT_BYTES_MAX (8ull << 30) /* 12 bytes a number: 6,000 positions of 100,000 tokens */
#define POSITIONS        64           /* computed at once: 25 MiB of logits at 100,000 tokens */
#define SHOWN_TOKENS     5            /* of a position, for people */

static void put_position(struct json_writer *w, const float *logits, size_t vocab)
{
    json_begin_array(w, NULL);
    for (size_t i = 0; i < vocab; i++)
        model_put_float(w, NULL, logits[i]);
    json_end_array(w);
}

/* The largest few, best first. */
static void print_position(struct buf *out, size_t position, const float *logits, size_t vocab)
{
    size_t best[SHOWN_TOKENS];
    size_t n = 0;

    for (size_t i = 0; i < vocab; i++) {
        size_t at = n;

        while (at > 0 && logits[i] > logits[best[at - 1]])
            at--;
        if (at == SHOWN_TOKENS)
            continue;
        if (n < SHOWN_TOKENS)
            n++;
        for (size_t j = n - 1; j > at; j--)
            best[j] = best[j - 1];
        best[at] = i;
    }
    buf_printf(out, "%5zu ", position);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "  %zu %.4f", best[i], (double)logits[best[i]]);
    buf_append_char(out, '\n');
}

static enum rag_status put_logits(struct model_session *m, struct buf *out,
                                  struct rag_error *reterr)
{
    size_t vocab = decoder_config(m->decoder)->vocab_size;
    float *logits = malloc(POSITIONS * vocab * sizeof *logits);
    enum rag_status status = RAG_OK;
    struct json_writer w;

    if (!logits)
        return rag_fail(reterr, RAG_ENOMEM, "model logits: out of memory");
    json_writer_init(&w, out);
    if (m->options->json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "logits");
    }
    for (size_t at = 0; at < m->n_ids && status == RAG_OK; at += POSITIONS) {
        size_t n = m->n_ids - at < POSITIONS ? m->n_ids - at : POSITIONS;

        status = model_session_run(m, m->ids + at, n, n, logits, reterr);
        for (size_t i = 0; i < n && status == RAG_OK; i++) {
            if (m->options->json)
                put_position(&w, logits + i * vocab, vocab);
            else
                print_position(out, at + i, logits + i * vocab, vocab);
        }
    }
    if (m->options->json) {
        json_end_array(&w);
        json_end_object(&w);
        buf_append_char(out, '\n');
    }
    free(logits);
    if (status == RAG_OK && buf_status(out) != RAG_OK)
        status = rag_fail(reterr, buf_status(out),
                          "model logits: the output is over %llu bytes, or out of memory",
                          OUTPUT_BYTES_MAX);
    return status;
}

int ragctl_model_logits(const struct ragctl_options *options, int argc, char **argv)
{
    struct model_session m = {0};
    struct rag_error error = {0};
    enum rag_status status;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    status = model_session_begin(&m, options, argc, argv, NULL, 0, &error);
    if (status == RAG_OK && !m.ids)
        status = rag_fail(&error, RAG_EINVAL, "model logits: needs --ids, like --ids 1,2,3");
    if (status == RAG_OK)
        status = model_session_open(&m, &error);
    if (status == RAG_OK)
        status = model_session_room(&m, m.n_ids, &error);
    if (status == RAG_OK)
        status = put_logits(&m, &out, &error);
    if (status == RAG_OK)
        fwrite(buf_str(&out), 1, out.len, stdout);
    buf_release(&out);
    return model_session_end(&m, status, &error);
}
