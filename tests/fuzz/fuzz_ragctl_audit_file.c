/* Any bytes as an exported audit log: it is checked or refused, never believed when its hashes do
 * not fit. What is called whole has a last line. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/ragctl/ragctl_audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    const struct ragctl_options options = {.program = "fuzz", .json = size % 2 == 0};
    struct audit_args args = {.public_key = size % 3 == 0 ? "00000000000000000000000000000000"
                                                            "00000000000000000000000000000000"
                                                          : NULL};
    struct rag_error error = {RAG_OK, ""};
    int in = memfd_create("in", MFD_CLOEXEC);
    bool whole = false;
    char path[64];

    if (!nowhere && !(nowhere = freopen("/dev/null", "w", stdout)))
        abort();
    if (in < 0 || write(in, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", in);
    args.file = path;
    if (ragctl_audit_verify_file(&options, &args, &whole, &error) == RAG_OK && whole &&
        !memmem(data, size, "end", 3) && !memchr(data, '\\', size))
        abort();
    close(in);
    return 0;
}
