/* Any bytes as the input of an MCP session, without a daemon: every line that comes out is a
 * JSON-RPC 2.0 message (or a batch of them), and the session ends with its input. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/ragctl/ragctl_mcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct json *message)
{
    const char *version = json_string(json_member(message, "jsonrpc"));

    if (!version || strcmp(version, "2.0") != 0)
        abort();
    if (!json_member(message, "result") && !json_member(message, "error") &&
        !json_member(message, "method"))
        abort();
}

static void check_lines(const char *text, size_t n)
{
    while (n > 0) {
        const char *lf = memchr(text, '\n', n);
        struct json *message = NULL;

        if (!lf || json_parse(text, (size_t)(lf - text), "line", &message, NULL) != RAG_OK)
            abort();
        if (json_is_array(message)) {
            for (const struct json *m = json_first(message); m; m = json_next(m))
                check_message(m);
        } else {
            check_message(message);
        }
        json_free(message);
        n -= (size_t)(lf + 1 - text);
        text = lf + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ragctl_options options = {
        .program = "fuzz", .socket_path = "/nonexistent/s", .quiet = true, .timeout_ms = 1000};
    int in = memfd_create("in", MFD_CLOEXEC);
    int out = memfd_create("out", MFD_CLOEXEC);
    struct rag_error error;
    off_t n;

    if (in < 0 || out < 0 || write(in, data, size) != (ssize_t)size || lseek(in, 0, SEEK_SET) != 0)
        abort();
    if (mcp_serve(&options, size % 2 == 0, in, out, &error) != RAG_OK)
        abort();
    n = lseek(out, 0, SEEK_END);
    if (n > 0) {
        char *text = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, out, 0);

        if (text == MAP_FAILED)
            abort();
        check_lines(text, (size_t)n);
        munmap(text, (size_t)n);
    }
    close(in);
    close(out);
    return 0;
}
