/* Any bytes as NDJSON: every line is a record that keeps the invariants, or an error with its
 * number; then the same bytes as one JSON record. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/embed/chunk_check.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void check_record(const struct extracted *record)
{
    const char *wrong = check_extracted(record);

    require(!wrong, wrong);
    if (record->metadata) {
        struct json *root = NULL;

        require(strlen(record->metadata) <= METADATA_BYTES_MAX, "metadata over its limit");
        require(json_parse(record->metadata, strlen(record->metadata), "metadata", &root, NULL) ==
                        RAG_OK &&
                    json_is_object(root) && json_size(root) > 0,
                "metadata is no JSON object");
        json_free(root);
    }
    if (record->name)
        require(strlen(record->name) <= DOCUMENT_NAME_BYTES_MAX, "name over its limit");
}

static enum rag_status on_record(void *context, size_t line, struct extracted *record,
                                 struct rag_error *reterr)
{
    size_t *last = context;

    (void)reterr;
    require(line > *last, "lines out of order");
    *last = line;
    check_record(record);
    return RAG_OK;
}

static bool on_bad(void *context, size_t line, const char *message)
{
    size_t *last = context;

    require(line > *last && message[0] != '\0', "a bad line without number or message");
    *last = line;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t last = 0;
    struct record_sink sink = {on_record, on_bad, &last};
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};

    require(extract_records((const char *)data, size, &sink, &error) == RAG_OK, error.text);
    if (extract_document(FORMAT_JSON, (const char *)data, size, &e, &error) == RAG_OK) {
        check_record(&e);
        extracted_release(&e);
    }
    return 0;
}
