/* daemon/ragctl/model_record.h - where a model directory came from: MODEL_RECORD_NAME in it.
 *
 *     {"source":"intfloat/multilingual-e5-small","endpoint":"https://huggingface.co",
 *      "revision":"main","commit":"fd1525a9...","licence":"mit","pulled":"2026-11-21T...Z",
 *      "files":[{"name","bytes","sha256"}]}
 *
 * Written by 'ragctl model pull' as the last file, so a directory that has it is whole. */
#ifndef RAG_DAEMON_MODEL_RECORD_H
#define RAG_DAEMON_MODEL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/status.h"

#define MODEL_RECORD_NAME "ragd-model.json"

struct model_record_file {
    char *name; /* below the directory; owned */
    uint64_t n_bytes;
    char sha256[SHA256_HEX_BYTES];
};

struct model_record {
    char *source; /* all texts owned */
    char *endpoint;
    char *revision;
    char *commit;
    char *licence; /* "" unknown */
    char *pulled;  /* RFC 3339 */
    struct model_record_file *files;
    size_t n_files;
};

void model_record_release(struct model_record *r); /* a zeroed one is a no-op */

/* RAG_ENOTFOUND when there is none; RAG_EFORMAT (names that leave the directory too), RAG_EIO,
 * RAG_ENOMEM. */
enum rag_status model_record_read(const char *dir, struct model_record *ret,
                                  struct rag_error *reterr);
/* By base/atomic_file.h. RAG_ENOSPC, RAG_EIO, RAG_ENOMEM, RAG_ELIMIT (HUB_LIST_BYTES_MAX). */
enum rag_status model_record_write(const char *dir, const struct model_record *r,
                                   struct rag_error *reterr);
/* The member "files" of an open object. */
void model_record_put_files(struct json_writer *w, const struct model_record *r);
/* Are all files of the record there with their SHA-256? Reads everything. */
bool model_record_holds(const char *dir, const struct model_record *r);

/* The licence that the front matter of dir/README.md gives ("license: mit"), malloc'ed; "" when
 * there is none. RAG_OK or RAG_ENOMEM. */
enum rag_status model_readme_licence(const char *dir, char **ret);

#endif
