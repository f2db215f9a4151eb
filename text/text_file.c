#define _GNU_SOURCE
#include "text/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "text/nfc.h"

enum rag_status text_file_read(const char *path, size_t max, struct buf *out,
                               struct rag_error *reterr)
{
    enum rag_status status;
    struct buf raw;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s'", path);
    buf_init(&raw, max);
    for (;;) {
        size_t room = raw.len < max ? max - raw.len : 0;
        char *at = buf_reserve(&raw, room > 65536 ? 65536 : room + (room == 0));

        if (!at)
            break;
        got = read(fd, at, room > 65536 ? 65536 : room);
        if (got <= 0)
            break;
        buf_commit(&raw, (size_t)got);
    }
    status = buf_status(&raw);
    if (status == RAG_ELIMIT)
        rag_fail(reterr, status, "file '%s': longer than %zu bytes", path, max);
    else if (got < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s'", path);
    close(fd);
    if (status == RAG_OK) {
        status = nfc_append(buf_str(&raw), raw.len, out, reterr);
        if (status == RAG_EFORMAT)
            rag_fail(reterr, status, "file '%s': not UTF-8 text", path);
    }
    buf_release(&raw);
    return status;
}
