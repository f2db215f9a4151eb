/* embed/extract.h - a file's bytes -> stored text with structure.
 *
 * Formats: text/plain, text/markdown, text/html, application/json (one record),
 * application/x-ndjson (a record per line). The stored text is NFC and is what GET
 * returns and what spans count in: for plain text and Markdown it is the source
 * itself (marks included), for HTML the visible text (a block per line, cells of a
 * table row joined by " | "), for JSON the record's text field. */
#ifndef RAG_EMBED_EXTRACT_H
#define RAG_EMBED_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

enum document_format { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_HTML, FORMAT_JSON, FORMAT_NDJSON };

/* By Content-Type (parameters ignored; charset other than UTF-8 is RAG_EINVAL), or by the
 * name's suffix when content_type is NULL or application/octet-stream.
 * RAG_OK; RAG_EINVAL names the type and lists what is supported. */
enum rag_status document_format_of(const char *content_type, const char *name,
                                   enum document_format *ret, struct rag_error *reterr);
const char *document_format_mime(enum document_format format);

enum block_kind {
    BLOCK_PARAGRAPH,
    BLOCK_HEADING, /* level 1..6 */
    BLOCK_LIST_ITEM,
    BLOCK_TABLE_HEADER, /* a row; belongs to the rows after it */
    BLOCK_TABLE_ROW,
    BLOCK_CODE,
    BLOCK_QUOTE,
};

/* A run of the stored text, in order, not overlapping. */
struct block {
    uint32_t byte_start;
    uint32_t byte_end;
    uint32_t title_start; /* BLOCK_HEADING: its text without marks, as a span too; */
    uint32_t title_end;   /* BLOCK_TABLE_HEADER: the row without the delimiter row below it */
    uint8_t kind;         /* enum block_kind */
    uint8_t level;        /* of a heading, else 0 */
};

struct extracted {
    char *text; /* NFC, NUL-terminated, owned */
    size_t n_bytes;
    char *title;          /* one line; owned; "" when the document shows none */
    struct block *blocks; /* owned */
    size_t n_blocks;
    char *metadata; /* JSON object of a JSON record's other fields, or NULL; owned */
    char *name;     /* id of a JSON record, or NULL; owned */
};
void extracted_release(struct extracted *e); /* a zeroed one is a no-op */

/* Extract one document (not NDJSON: see extract_records). RAG_OK; RAG_EFORMAT (not UTF-8,
 * with the offset; not JSON); RAG_ELIMIT (text over DOCUMENT_BYTES_MAX, depth, metadata
 * limits: named with value and limit); RAG_EINVAL; RAG_ENOMEM. Thread-safe. */
enum rag_status extract_document(enum document_format format, const char *body, size_t n_bytes,
                                 struct extracted *ret, struct rag_error *reterr);

/* Call on_record for each line of NDJSON: {"id" or "name", "text", "title"?, "metadata"?,
 * "format"?}; other fields join the metadata. Blank lines are skipped. A bad line is reported
 * through on_bad(line number from 1, message) and the rest goes on; when on_bad returns
 * false, or is NULL, the call ends with that error. A record is released after on_record
 * returns. */
struct record_sink {
    enum rag_status (*on_record)(void *context, size_t line, struct extracted *record,
                                 struct rag_error *reterr);
    bool (*on_bad)(void *context, size_t line, const char *message);
    void *context;
};
enum rag_status extract_records(const char *body, size_t n_bytes, const struct record_sink *sink,
                                struct rag_error *reterr);

#endif
