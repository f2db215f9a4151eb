#include "embed/extract.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "text/grapheme.h"
#include "text/nfc.h"

/* ---- which format ---- */

#define SUPPORTED                                                                                  \
    "text/plain (.txt), text/markdown (.md), text/html (.html), application/json (.json), "        \
    "application/x-ndjson (.ndjson, .jsonl)"

static const struct {
    const char *mime;
    enum document_format format;
} mimes[] = {
    {"text/plain",            FORMAT_TEXT    }, /* the first of a format is its name */
    {"text/markdown",         FORMAT_MARKDOWN},
    {"text/html",             FORMAT_HTML    },
    {"application/json",      FORMAT_JSON    },
    {"application/x-ndjson",  FORMAT_NDJSON  },
    {"text/x-markdown",       FORMAT_MARKDOWN},
    {"application/xhtml+xml", FORMAT_HTML    },
    {"application/ndjson",    FORMAT_NDJSON  },
    {"application/jsonl",     FORMAT_NDJSON  },
    {"application/x-jsonl",   FORMAT_NDJSON  },
};

static const struct {
    const char *suffix;
    enum document_format format;
} suffixes[] = {
    {".txt",      FORMAT_TEXT    },
    {".text",     FORMAT_TEXT    },
    {".log",      FORMAT_TEXT    },
    {".md",       FORMAT_MARKDOWN},
    {".markdown", FORMAT_MARKDOWN},
    {".mkd",      FORMAT_MARKDOWN},
    {".html",     FORMAT_HTML    },
    {".htm",      FORMAT_HTML    },
    {".xhtml",    FORMAT_HTML    },
    {".json",     FORMAT_JSON    },
    {".ndjson",   FORMAT_NDJSON  },
    {".jsonl",    FORMAT_NDJSON  },
};

static bool same_word(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

/* The parameters behind the type: is there a charset that is not UTF-8? */
static enum rag_status check_charset(const char *parameters, struct rag_error *reterr)
{
    const char *p = parameters;

    while ((p = strchr(p, ';')) != NULL) {
        size_t n;

        p++;
        p += strspn(p, " \t");
        if (strncasecmp(p, "charset=", 8) != 0)
            continue;
        p += 8;
        p += *p == '"';
        n = strcspn(p, "\"; \t");
        if (!same_word(p, n, "utf-8") && !same_word(p, n, "utf8") && !same_word(p, n, "us-ascii"))
            return rag_fail(reterr, RAG_EINVAL,
                            "charset '%.*s': only UTF-8 is read; convert the text first "
                            "(iconv -f %.*s -t utf-8)",
                            (int)(n < 40 ? n : 40), p, (int)(n < 40 ? n : 40), p);
    }
    return RAG_OK;
}

enum rag_status document_format_of(const char *content_type, const char *name,
                                   enum document_format *ret, struct rag_error *reterr)
{
    const char *suffix;

    if (content_type) {
        size_t n;

        content_type += strspn(content_type, " \t");
        n = strcspn(content_type, "; \t");
        for (size_t i = 0; i < sizeof mimes / sizeof mimes[0]; i++) {
            enum rag_status status;

            if (!same_word(content_type, n, mimes[i].mime))
                continue;
            status = check_charset(content_type + n, reterr);
            if (status == RAG_OK)
                *ret = mimes[i].format;
            return status;
        }
        if (n > 0 && !same_word(content_type, n, "application/octet-stream"))
            return rag_fail(reterr, RAG_EINVAL,
                            "content type '%.*s': not supported; supported: " SUPPORTED,
                            (int)(n < 100 ? n : 100), content_type);
    }
    suffix = name ? strrchr(name, '.') : NULL;
    for (size_t i = 0; suffix && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcasecmp(suffix, suffixes[i].suffix) == 0) {
            *ret = suffixes[i].format;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EINVAL,
                    "document '%.200s': its name does not tell the format; supported: " SUPPORTED,
                    name ? name : "");
}

const char *document_format_mime(enum document_format format)
{
    for (size_t i = 0; i < sizeof mimes / sizeof mimes[0]; i++)
        if (mimes[i].format == format)
            return mimes[i].mime;
    return "application/octet-stream";
}

/* ---- a document while it is built ---- */

void extraction_init(struct extraction *e)
{
    memset(e, 0, sizeof *e);
    buf_init(&e->text, DOCUMENT_BYTES_MAX);
    buf_init(&e->title, DOCUMENT_BYTES_MAX);
}

void extraction_release(struct extraction *e)
{
    buf_release(&e->text);
    buf_release(&e->title);
    free(e->blocks);
    e->blocks = NULL;
}

enum rag_status extraction_push(struct extraction *e, const struct block *block,
                                struct rag_error *reterr)
{
    assert(block->byte_start <= block->byte_end && block->byte_end <= e->text.len);
    assert(e->n_blocks == 0 || e->blocks[e->n_blocks - 1].byte_end <= block->byte_start);
    if (e->n_blocks == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 64;
        struct block *grown;

        if (e->n_blocks >= BLOCKS_PER_DOCUMENT_MAX)
            return rag_fail(reterr, RAG_ELIMIT,
                            "document: over %u paragraphs, items and rows; split the file",
                            BLOCKS_PER_DOCUMENT_MAX);
        grown = realloc(e->blocks, cap * sizeof *grown);
        if (!grown)
            return rag_fail(reterr, RAG_ENOMEM, "document: out of memory");
        e->blocks = grown;
        e->cap = cap;
    }
    e->blocks[e->n_blocks++] = *block;
    return RAG_OK;
}

void append_one_line(struct buf *out, const char *s, size_t n)
{
    size_t at = white_skip(s, 0, n);
    bool first = true;

    while (at < n) {
        size_t word = at;

        while (at < n) {
            size_t step;

            if (white_char(utf8_decode(s + at, &step)))
                break;
            at += step;
        }
        if (!first)
            buf_append_char(out, ' ');
        buf_append(out, s + word, at - word);
        first = false;
        at = white_skip(s, at, n);
    }
}

enum rag_status extraction_title(struct extraction *e, const char *s, size_t n,
                                 struct rag_error *reterr)
{
    buf_reset(&e->title);
    append_one_line(&e->title, s, n);
    if (buf_status(&e->title) != RAG_OK)
        return rag_fail(reterr, buf_status(&e->title), "title: out of memory");
    if (e->title.len > TITLE_BYTES_MAX) {
        e->title.len = grapheme_floor(e->title.data, e->title.len, TITLE_BYTES_MAX);
        e->title.len = white_trim(e->title.data, 0, e->title.len);
        e->title.data[e->title.len] = '\0';
    }
    return RAG_OK;
}

enum rag_status extraction_source(struct extraction *e, const char *body, size_t n_bytes,
                                  struct rag_error *reterr)
{
    enum rag_status status;
    size_t bad = 0;

    if (!utf8_valid(body, n_bytes, &bad))
        return rag_fail(reterr, RAG_EFORMAT,
                        "document: byte %zu (0x%02X) is not UTF-8; convert the text first, from "
                        "the Korean Windows encoding with: iconv -f cp949 -t utf-8",
                        bad, (unsigned)(unsigned char)body[bad]);
    status = nfc_append(body, n_bytes, &e->text, reterr);
    if (status == RAG_ELIMIT)
        return rag_fail(reterr, RAG_ELIMIT, "document: text of %zu bytes; the limit is %u", n_bytes,
                        DOCUMENT_BYTES_MAX);
    return status;
}

bool text_line_at(const char *s, size_t n, size_t at, struct text_line *ret)
{
    const char *lf;

    if (at >= n)
        return false;
    lf = memchr(s + at, '\n', n - at);
    ret->start = at;
    ret->end = lf ? (size_t)(lf - s) : n;
    ret->next = lf ? ret->end + 1 : n;
    return true;
}

/* ---- the whole ---- */

void extracted_release(struct extracted *e)
{
    if (!e)
        return;
    free(e->text);
    free(e->title);
    free(e->blocks);
    free(e->metadata);
    free(e->name);
    memset(e, 0, sizeof *e);
}

enum rag_status extract_body(enum document_format format, const char *body, size_t n_bytes,
                             struct extracted *ret, struct rag_error *reterr)
{
    struct extraction e;
    struct extracted done = {0};
    enum rag_status status;

    extraction_init(&e);
    switch (format) {
    case FORMAT_TEXT:
        status = extract_text(body, n_bytes, &e, reterr);
        break;
    case FORMAT_MARKDOWN:
        status = extract_markdown(body, n_bytes, &e, reterr);
        break;
    case FORMAT_HTML:
        status = extract_html(body, n_bytes, &e, reterr);
        break;
    default:
        status = rag_fail(reterr, RAG_EINVAL, "format '%s': not one of text, markdown, html",
                          document_format_mime(format));
    }
    if (status == RAG_OK && (buf_take(&e.text, &done.text, &done.n_bytes) != RAG_OK ||
                             buf_take(&e.title, &done.title, NULL) != RAG_OK))
        status = rag_fail(reterr, RAG_ENOMEM, "document: out of memory");
    if (status == RAG_OK) {
        done.blocks = e.blocks; /* moves to the caller */
        done.n_blocks = e.n_blocks;
        e.blocks = NULL;
        *ret = done;
    } else {
        extracted_release(&done);
    }
    extraction_release(&e);
    return status;
}

enum rag_status extract_document(enum document_format format, const char *body, size_t n_bytes,
                                 struct extracted *ret, struct rag_error *reterr)
{
    if (format == FORMAT_NDJSON)
        return rag_fail(reterr, RAG_EINVAL,
                        "document: NDJSON holds many documents; send it to the bulk endpoint");
    if (format == FORMAT_JSON)
        return extract_record(body, n_bytes, ret, reterr);
    return extract_body(format, body, n_bytes, ret, reterr);
}
