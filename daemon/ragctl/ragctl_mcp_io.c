/* daemon/ragctl/ragctl_mcp_io.c - newline-delimited messages; see ragctl_mcp.h.
 *
 * Invariants
 *   1. partial holds less than MCP_LINE_BYTES_MAX bytes and no line end; a longer line takes no
 *      memory but a mark in the queue, so that its sender hears of it.
 *   2. Nothing is read while the queue is full: a peer that floods waits in its pipe. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ragctl/ragctl_mcp.h"

void mcp_io_init(struct mcp_io *io, int in, int out)
{
    memset(io, 0, sizeof *io);
    io->in = in;
    io->out = out;
    buf_init(&io->partial, MCP_LINE_BYTES_MAX);
}

void mcp_io_release(struct mcp_io *io)
{
    while (io->n_queued > 0)
        mcp_io_drop(io, io->n_queued - 1);
    buf_release(&io->partial);
}

void mcp_io_drop(struct mcp_io *io, size_t i)
{
    free(io->queue[i].text);
    memmove(&io->queue[i], &io->queue[i + 1], (--io->n_queued - i) * sizeof io->queue[0]);
}

/* The line that is complete in 'partial', or was too long. Blank ones are no messages. */
static void end_line(struct mcp_io *io)
{
    struct mcp_line line = {0};
    bool blank = strspn(buf_str(&io->partial), " \t\r") == io->partial.len;

    if (!io->skipping && !blank && buf_take(&io->partial, &line.text, &line.n_bytes) != RAG_OK)
        line.text = NULL;
    if (io->skipping || !blank)
        io->queue[io->n_queued++] = line; /* owns the text from here on */
    buf_reset(&io->partial);
    io->skipping = false;
}

static void take_in(struct mcp_io *io, const char *bytes, size_t n)
{
    buf_append(&io->partial, bytes, io->skipping ? 0 : n);
    if (buf_status(&io->partial) == RAG_OK)
        return;
    io->skipping = true;
    buf_release(&io->partial);
    buf_init(&io->partial, MCP_LINE_BYTES_MAX);
}

/* Lines of what was read, while there is room for them. */
static void cut_lines(struct mcp_io *io)
{
    while (io->raw_at < io->n_raw && io->n_queued < MCP_QUEUE_MAX) {
        const char *at = io->raw + io->raw_at;
        const char *lf = memchr(at, '\n', io->n_raw - io->raw_at);
        size_t part = lf ? (size_t)(lf - at) : io->n_raw - io->raw_at;

        take_in(io, at, part);
        io->raw_at += part;
        if (lf) {
            io->raw_at++;
            end_line(io);
        }
    }
}

static void read_some(struct mcp_io *io)
{
    ssize_t n;

    if (io->raw_at == io->n_raw && !io->ended) {
        n = read(io->in, io->raw, sizeof io->raw);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        io->ended = n <= 0;
        io->raw_at = 0;
        io->n_raw = n > 0 ? (size_t)n : 0;
        if (io->ended)
            end_line(io); /* a last one without its line end */
    }
    cut_lines(io);
}

void mcp_io_poll(struct mcp_io *io)
{
    struct pollfd ready = {.fd = io->in, .events = POLLIN};

    cut_lines(io);
    while (!io->ended && io->n_queued < MCP_QUEUE_MAX && poll(&ready, 1, 0) > 0)
        read_some(io);
}

enum rag_status mcp_io_next(struct mcp_io *io, struct mcp_line *ret, struct rag_error *reterr)
{
    while (io->n_queued == 0 && !(io->ended && io->raw_at == io->n_raw))
        read_some(io);
    if (io->n_queued == 0)
        return rag_fail(reterr, RAG_ENOTFOUND, "standard input: ended");
    *ret = io->queue[0];
    io->queue[0].text = NULL; /* the caller owns it from here on */
    mcp_io_drop(io, 0);
    return RAG_OK;
}

enum rag_status mcp_io_write(struct mcp_io *io, const struct buf *message, struct rag_error *reterr)
{
    const char *at = buf_str(message);
    size_t left = message->len + 1; /* with its NUL, which becomes the line end */
    char *line = malloc(left);
    char *from = line;
    ssize_t n = 0;

    if (!line || buf_status(message) != RAG_OK) {
        free(line);
        return rag_fail(reterr, RAG_ENOMEM, "message: too long or out of memory");
    }
    for (size_t i = 0; i + 1 < left; i++)
        line[i] = at[i] == '\n' || at[i] == '\r' ? ' ' : at[i];
    line[left - 1] = '\n';
    while (left > 0 && (n >= 0 || errno == EINTR)) {
        n = write(io->out, from, left);
        if (n > 0) {
            from += n;
            left -= (size_t)n;
        }
    }
    free(line);
    if (left > 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "standard output: cannot be written");
    return RAG_OK;
}
