/* text/text_file.h - a text that an administrator wrote: dictionaries, policies, word lists. */
#ifndef RAG_TEXT_TEXT_FILE_H
#define RAG_TEXT_TEXT_FILE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the file of at most 'max' bytes to 'out' as nfc_append() does. RAG_OK; RAG_EIO;
 * RAG_ELIMIT; RAG_EFORMAT (not UTF-8); RAG_ENOMEM; the message names the file. */
enum rag_status text_file_read(const char *path, size_t max, struct buf *out,
                               struct rag_error *reterr);

#endif
