/* daemon/ragctl/ragctl_mcp.h - 'ragctl mcp': a Model Context Protocol server over standard input
 * and output (internal).
 *
 *   ragctl_mcp.c            the command, JSON-RPC 2.0, the life of a session
 *   ragctl_mcp_io.c         lines in and out
 *   ragctl_mcp_schema.c     what tools/list says
 *   ragctl_mcp_tools.c      tools/call: search and documents
 *   ragctl_mcp_ask.c        tools/call: ask, with progress and cancellation
 *   ragctl_mcp_resources.c  documents as resources
 *
 * One message is worked on at a time. While ragd answers a question, what arrives meanwhile is
 * looked at about once a second and at every sentence: a ping is answered and a cancellation of
 * that question heeded, anything else waits its turn. Source:
 * modelcontextprotocol.io/specification, revisions 2024-11-05, 2025-03-26, 2025-06-18 (transport
 * "stdio"). */
#ifndef RAG_DAEMON_RAGCTL_MCP_H
#define RAG_DAEMON_RAGCTL_MCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl_client.h"

/* ---- lines ---- */

struct mcp_line {
    char *text; /* owned; NULL: it was longer than MCP_LINE_BYTES_MAX */
    size_t n_bytes;
    bool seen; /* looked at while another message was worked on */
};

struct mcp_io {
    int in;
    int out;
    char raw[65536]; /* raw[raw_at..n_raw) was read and is no line yet */
    size_t raw_at;
    size_t n_raw;
    struct buf partial; /* of the line that is arriving */
    bool skipping;      /* that line is too long: the rest of it is thrown away */
    bool ended;         /* no more will be read */
    struct mcp_line queue[MCP_QUEUE_MAX];
    size_t n_queued;
};
void mcp_io_init(struct mcp_io *io, int in, int out);
void mcp_io_release(struct mcp_io *io);
/* Wait for a line; the caller frees line.text. RAG_ENOTFOUND: the end. */
enum rag_status mcp_io_next(struct mcp_io *io, struct mcp_line *ret, struct rag_error *reterr);
/* Take in what is there, without waiting, while there is room. */
void mcp_io_poll(struct mcp_io *io);
void mcp_io_drop(struct mcp_io *io, size_t i); /* queue[i], freed */
/* One line. Line ends within the JSON (never inside its texts) become blanks. RAG_EIO. */
enum rag_status mcp_io_write(struct mcp_io *io, const struct buf *message,
                             struct rag_error *reterr);

/* ---- messages ---- */

/* JSON-RPC 2.0, section 5.1, and the one that MCP adds. */
enum {
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID_REQUEST = -32600,
    MCP_METHOD_NOT_FOUND = -32601,
    MCP_INVALID_PARAMS = -32602,
    MCP_INTERNAL_ERROR = -32603,
    MCP_RESOURCE_NOT_FOUND = -32002,
};

struct mcp {
    const struct ragctl_options *options; /* borrowed */
    struct ragctl_client client;
    struct mcp_io io;
    bool write;           /* --write: tools that change documents */
    bool initialized;     /* initialize was answered */
    bool batches;         /* of this revision of the protocol */
    char *current;        /* the id of the request that is worked on, as JSON; owned, or NULL */
    bool cancelled;       /* its client does not want it any more */
    enum rag_status sent; /* RAG_EIO: nobody reads what is written */
};

/* A session from the first line to the end of 'in'. RAG_ENOMEM, RAG_EINVAL (--url). */
enum rag_status mcp_serve(const struct ragctl_options *options, bool write, int in, int out,
                          struct rag_error *reterr);

/* Handlers write members of the open object 'result'. 0, or the code of an error whose message is
 * in *reterr. */
struct mcp_method {
    const char *name;
    int (*handle)(struct mcp *m, const struct json *params, struct json_writer *result,
                  struct rag_error *reterr);
};
/* Look at what has arrived; false: the current request was cancelled. */
bool mcp_go_on(struct mcp *m);
/* notifications/progress, when the client gave a token (a node; else NULL). */
void mcp_progress(struct mcp *m, const struct json *token, int64_t progress, const char *message,
                  size_t n_bytes);
/* A failure of the daemon as an error of a method. */
int mcp_failed(enum rag_status status);

int mcp_tools_list(struct mcp *m, const struct json *params, struct json_writer *result,
                   struct rag_error *reterr);
int mcp_tools_call(struct mcp *m, const struct json *params, struct json_writer *result,
                   struct rag_error *reterr);
int mcp_resources_list(struct mcp *m, const struct json *params, struct json_writer *result,
                       struct rag_error *reterr);
int mcp_resources_templates(struct mcp *m, const struct json *params, struct json_writer *result,
                            struct rag_error *reterr);
int mcp_resources_read(struct mcp *m, const struct json *params, struct json_writer *result,
                       struct rag_error *reterr);

/* ---- tools ---- */

struct mcp_result {
    struct buf text;       /* for a reader */
    struct buf structured; /* the same as JSON */
    bool bad_arguments;    /* the failure is of what was asked, not of doing it */
};
struct mcp_tool {
    const char *name;
    const char *title;
    const char *description;
    const char *input;       /* JSON schema of the arguments */
    const char *output;      /* of the structured content */
    const char *annotations; /* JSON object */
    bool writes;
};
extern const struct mcp_tool mcp_tools[];
extern const size_t mcp_n_tools;

/* The collection of the arguments or of --collection. RAG_EINVAL. */
enum rag_status mcp_collection(const struct mcp *m, const struct json *arguments, const char **ret,
                               struct mcp_result *result, struct rag_error *reterr);
/* Member 'key' as it was sent, which the daemon checks. RAG_ENOMEM. */
enum rag_status mcp_copy_member(struct json_writer *w, const struct json *arguments,
                                const char *key, struct rag_error *reterr);
enum rag_status mcp_tool_ask(struct mcp *m, const struct json *arguments, const struct json *token,
                             struct mcp_result *result, struct rag_error *reterr);

#endif
