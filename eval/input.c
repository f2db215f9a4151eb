/* Invariants: plain[at..n) is what has been read (and decompressed) but not yet given out.
 * in.src is the piece of compressed bytes that zstd has not taken yet; it lies in raw[], or
 * in the caller's memory. frame_open says that a frame has begun and not ended. */
#define _GNU_SOURCE
#include "eval/input.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PIECE_BYTES 131072
#define WINDOW_LOG  27 /* 128 MiB: the limit of the zstd tool, too */

struct input {
    char *name;      /* owned */
    FILE *file;      /* owned; NULL: from memory */
    ZSTD_DCtx *zstd; /* owned; NULL: plain */
    ZSTD_inBuffer src;
    bool frame_open;
    bool file_ended;
    size_t line;
    size_t at;
    size_t n;
    char raw[PIECE_BYTES];
    char plain[PIECE_BYTES];
};

void input_close(struct input *in)
{
    if (!in)
        return;
    if (in->file)
        fclose(in->file);
    ZSTD_freeDCtx(in->zstd);
    free(in->name);
    free(in);
}

const char *input_name(const struct input *in)
{
    return in->name;
}

size_t input_line_number(const struct input *in)
{
    return in->line;
}

/* More raw bytes, when the last ones are used up. */
static enum rag_status read_raw(struct input *in, struct rag_error *reterr)
{
    size_t n;

    if (in->src.pos < in->src.size || in->file_ended)
        return RAG_OK;
    if (!in->file) {
        in->file_ended = true;
        return RAG_OK;
    }
    errno = 0;
    n = fread(in->raw, 1, sizeof in->raw, in->file);
    if (n == 0 && ferror(in->file))
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot read", in->name);
    in->src = (ZSTD_inBuffer){in->raw, n, 0};
    in->file_ended = n == 0;
    return RAG_OK;
}

static enum rag_status start(struct input *in, struct rag_error *reterr)
{
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    enum rag_status status = read_raw(in, reterr);

    if (status != RAG_OK)
        return status;
    if (in->src.size < sizeof magic || memcmp(in->src.src, magic, sizeof magic) != 0)
        return RAG_OK;
    in->zstd = ZSTD_createDCtx();
    if (!in->zstd ||
        ZSTD_isError(ZSTD_DCtx_setParameter(in->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
        return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", in->name);
    return RAG_OK;
}

static struct input *make(const char *name)
{
    struct input *in = calloc(1, sizeof *in);

    if (in)
        in->name = strdup(name);
    if (in && !in->name) {
        free(in);
        in = NULL;
    }
    return in;
}

enum rag_status input_open(const char *path, struct input **ret, struct rag_error *reterr)
{
    struct input *in = make(path);
    enum rag_status status;

    if (!in)
        return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
    in->file = fopen(path, "rbe");
    if (!in->file)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", path);
    else
        status = start(in, reterr);
    if (status != RAG_OK) {
        input_close(in);
        return status;
    }
    *ret = in;
    return RAG_OK;
}

enum rag_status input_memory(const void *data, size_t n_bytes, const char *name, struct input **ret,
                             struct rag_error *reterr)
{
    struct input *in = make(name);
    enum rag_status status;

    if (!in)
        return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", name);
    in->src = (ZSTD_inBuffer){data, n_bytes, 0};
    status = start(in, reterr);
    if (status != RAG_OK) {
        input_close(in);
        return status;
    }
    *ret = in;
    return RAG_OK;
}

static enum rag_status decompress(struct input *in, struct rag_error *reterr)
{
    ZSTD_outBuffer out = {in->plain, sizeof in->plain, 0};
    size_t left = ZSTD_decompressStream(in->zstd, &out, &in->src);

    if (ZSTD_isError(left))
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': damaged zstd data: %s", in->name,
                        ZSTD_getErrorName(left));
    in->frame_open = left != 0;
    in->n = out.pos;
    return RAG_OK;
}

/* Make plain[at..n) not empty, unless the input has ended. */
static enum rag_status fill(struct input *in, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (in->at < in->n)
        return RAG_OK;
    in->at = in->n = 0;
    while (in->n == 0 && status == RAG_OK) {
        status = read_raw(in, reterr);
        if (status != RAG_OK)
            break;
        if (in->zstd && in->file_ended && !in->frame_open)
            break;
        if (in->zstd) {
            bool before = in->file_ended;

            /* zstd may still hold output after the last byte of input */
            status = decompress(in, reterr);
            if (status == RAG_OK && in->n == 0 && before && in->frame_open)
                status = rag_fail(reterr, RAG_EFORMAT,
                                  "file '%s': ends in the middle of a zstd frame", in->name);
            continue;
        }
        in->n = in->src.size - in->src.pos;
        if (in->n == 0)
            break;
        if (in->n > sizeof in->plain)
            in->n = sizeof in->plain;
        memcpy(in->plain, (const char *)in->src.src + in->src.pos, in->n);
        in->src.pos += in->n;
    }
    return status;
}

static enum rag_status append(const struct input *in, struct buf *out, const char *data, size_t n,
                              struct rag_error *reterr)
{
    buf_append(out, data, n);
    if (buf_status(out) == RAG_ELIMIT && in->line > 0)
        return rag_fail(reterr, RAG_ELIMIT,
                        "file '%s' line %zu: longer than the limit of %zu bytes", in->name,
                        in->line, out->max);
    if (buf_status(out) == RAG_ELIMIT)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s': larger than the limit of %zu bytes",
                        in->name, out->max);
    if (buf_status(out) != RAG_OK)
        return rag_fail(reterr, buf_status(out), "file '%s': out of memory", in->name);
    return RAG_OK;
}

enum rag_status input_line(struct input *in, struct buf *line, bool *ret_end,
                           struct rag_error *reterr)
{
    enum rag_status status;
    bool any = false;

    buf_reset(line);
    in->line++;
    for (;;) {
        const char *from;
        const char *lf;
        size_t n;

        status = fill(in, reterr);
        if (status != RAG_OK)
            return status;
        if (in->at == in->n)
            break;
        any = true;
        from = in->plain + in->at;
        lf = memchr(from, '\n', in->n - in->at);
        n = lf ? (size_t)(lf - from) : in->n - in->at;
        in->at += n + (lf ? 1 : 0);
        status = append(in, line, from, n, reterr);
        if (status != RAG_OK)
            return status;
        if (lf)
            break;
    }
    if (line->len > 0 && line->data[line->len - 1] == '\r')
        line->data[--line->len] = '\0';
    *ret_end = !any;
    return RAG_OK;
}

enum rag_status input_all(struct input *in, struct buf *out, struct rag_error *reterr)
{
    enum rag_status status;

    do {
        status = fill(in, reterr);
        if (status == RAG_OK && in->at < in->n)
            status = append(in, out, in->plain + in->at, in->n - in->at, reterr);
        if (status != RAG_OK)
            return status;
        in->at = in->n;
    } while (in->n > 0);
    return RAG_OK;
}
