/* daemon/ragctl/ragctl_mcp_schema.c - what tools/list says of each tool. Schemas of results name
 * what is always there and leave room for more: docs/PROTOCOL.md has all members. */
#include <string.h>

#include "daemon/ragctl/ragctl_mcp.h"

#define COLLECTION                                                                                 \
    "\"collection\":{\"type\":\"string\",\"description\":\"Name of the collection (see "           \
    "list_collections). May be left out when the server was started with --collection.\"}"
#define DOCUMENT                                                                                   \
    "\"document\":{\"type\":\"string\",\"description\":\"Name of the document, as "                \
    "list_documents and search give it.\"}"
#define FILTER                                                                                     \
    "\"filter\":{\"type\":\"object\",\"description\":\"Only documents whose metadata match: "      \
    "{\\\"dept\\\":\\\"hr\\\",\\\"year\\\":{\\\"gte\\\":2024}}.\"}"
#define OBJECT(members, required)                                                                  \
    "{\"type\":\"object\",\"properties\":{" members "},\"required\":[" required "]"
#define CLOSED ",\"additionalProperties\":false}"
#define OPEN   "}"

#define READ_ONLY "{\"readOnlyHint\":true,\"openWorldHint\":false}"

/* clang-format off */
const struct mcp_tool mcp_tools[] = {
    {"search", "Search passages",
     "Finds the passages of a collection that match words or a question, best first, with their "
     "document and byte positions. Use it to read the sources yourself.",
     OBJECT(COLLECTION ",\"query\":{\"type\":\"string\",\"description\":\"Words or a question.\"},"
            "\"top_k\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,\"default\":5},"
            FILTER, "\"query\"") CLOSED,
     OBJECT("\"results\":{\"type\":\"array\",\"items\":"
            OBJECT("\"rank\":{\"type\":\"integer\"},\"document\":{\"type\":\"string\"},"
                   "\"score\":{\"type\":\"number\"},\"title\":{\"type\":\"string\"},"
                   "\"heading\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},"
                   "\"byte_start\":{\"type\":\"integer\"},\"byte_end\":{\"type\":\"integer\"}",
                   "\"rank\",\"document\",\"text\"") OPEN "}", "\"results\"") OPEN,
     READ_ONLY, false},
    {"ask", "Ask a question",
     "Answers a question from the documents of a collection. Every sentence of the answer is "
     "supported by a passage, cited as [n]; when the documents do not answer it, 'refused' is true, "
     "'reason' says why, and 'nearest' has the passages that came nearest and may not answer it.",
     OBJECT(COLLECTION ",\"question\":{\"type\":\"string\"},"
            "\"top_k\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
            "\"description\":\"Passages to answer from.\"}," FILTER
            ",\"messages\":{\"type\":\"array\",\"description\":\"Earlier turns, oldest first, when "
            "the question is a follow-up.\",\"items\":"
            OBJECT("\"role\":{\"enum\":[\"user\",\"assistant\"]},\"content\":{\"type\":\"string\"}",
                   "\"role\",\"content\"") CLOSED "}", "\"question\"") CLOSED,
     OBJECT("\"answer\":{\"type\":\"string\"},\"refused\":{\"type\":\"boolean\"},"
            "\"reason\":{\"type\":\"string\"},\"citations\":{\"type\":\"array\",\"items\":"
            OBJECT("\"n\":{\"type\":\"integer\"},\"document\":{\"type\":\"string\"},"
                   "\"text\":{\"type\":\"string\"}", "\"n\",\"document\",\"text\"") OPEN "},"
            "\"nearest\":{\"type\":\"array\",\"items\":"
            OBJECT("\"document\":{\"type\":\"string\"},\"snippet\":{\"type\":\"string\"}",
                   "\"document\",\"snippet\"") OPEN "},"
            "\"backend\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"}",
            "\"answer\",\"refused\",\"citations\"") OPEN,
     READ_ONLY, false},
    {"list_collections", "List collections",
     "The collections that you may read, and how much each holds.",
     OBJECT("", "") CLOSED,
     OBJECT("\"collections\":{\"type\":\"array\",\"items\":"
            OBJECT("\"name\":{\"type\":\"string\"},\"documents\":{\"type\":\"integer\"}",
                   "\"name\",\"documents\"") OPEN "}", "\"collections\"") OPEN,
     READ_ONLY, false},
    {"list_documents", "List documents",
     "The documents of a collection by name. 'next' is the 'after' of the following page, or null.",
     OBJECT(COLLECTION ",\"after\":{\"type\":\"string\",\"description\":\"Begin behind this "
            "name.\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,"
            "\"default\":100}", "") CLOSED,
     OBJECT("\"documents\":{\"type\":\"array\",\"items\":"
            OBJECT("\"document\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
                   "\"text_bytes\":{\"type\":\"integer\"}", "\"document\"") OPEN "},"
            "\"next\":{\"type\":[\"string\",\"null\"]}", "\"documents\"") OPEN,
     READ_ONLY, false},
    {"get_document", "Read a document",
     "The stored text of a document, whole or a part of it: byte positions are those of search and "
     "of citations. 'truncated' is true when more follows behind 'byte_end'.",
     OBJECT(COLLECTION "," DOCUMENT ",\"byte_start\":{\"type\":\"integer\",\"minimum\":0,"
            "\"default\":0},\"max_bytes\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":4194304,"
            "\"default\":65536}", "\"document\"") CLOSED,
     OBJECT("\"document\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},"
            "\"byte_start\":{\"type\":\"integer\"},\"byte_end\":{\"type\":\"integer\"},"
            "\"text_bytes\":{\"type\":\"integer\"},\"truncated\":{\"type\":\"boolean\"}",
            "\"document\",\"text\",\"truncated\"") OPEN,
     READ_ONLY, false},
    {"put_document", "Store a document",
     "Stores a text under a name and makes it searchable. A document of that name is replaced.",
     OBJECT(COLLECTION "," DOCUMENT ",\"text\":{\"type\":\"string\"},"
            "\"type\":{\"enum\":[\"text/plain\",\"text/markdown\",\"text/html\"],"
            "\"default\":\"text/plain\"},\"title\":{\"type\":\"string\"},"
            "\"metadata\":{\"type\":\"object\",\"description\":\"Texts, numbers, booleans or arrays "
            "of these, for filters.\"}", "\"document\",\"text\"") CLOSED,
     OBJECT("\"document\":{\"type\":\"string\"},\"version\":{\"type\":\"integer\"},"
            "\"unchanged\":{\"type\":\"boolean\"},\"created\":{\"type\":\"boolean\"}",
            "\"document\",\"unchanged\"") OPEN,
     "{\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true,"
     "\"openWorldHint\":false}", true},
    {"delete_document", "Delete a document",
     "Removes a document from the collection and from every search.",
     OBJECT(COLLECTION "," DOCUMENT, "\"document\"") CLOSED,
     OBJECT("\"document\":{\"type\":\"string\"},\"deleted\":{\"type\":\"boolean\"}",
            "\"document\",\"deleted\"") OPEN,
     "{\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true,"
     "\"openWorldHint\":false}", true},
};
/* clang-format on */
const size_t mcp_n_tools = sizeof mcp_tools / sizeof mcp_tools[0];

int mcp_tools_list(struct mcp *m, const struct json *params, struct json_writer *w,
                   struct rag_error *reterr)
{
    if (json_is_string(json_member(params, "cursor"))) { /* all of them are on the first page */
        rag_fail(reterr, RAG_EINVAL, "'cursor': none was given out");
        return MCP_INVALID_PARAMS;
    }
    json_begin_array(w, "tools");
    for (size_t i = 0; i < mcp_n_tools; i++) {
        const struct mcp_tool *tool = &mcp_tools[i];

        if (tool->writes && !m->write)
            continue;
        json_begin_object(w, NULL);
        json_put_string(w, "name", tool->name);
        json_put_string(w, "title", tool->title);
        json_put_string(w, "description", tool->description);
        json_put_raw(w, "inputSchema", tool->input);
        json_put_raw(w, "outputSchema", tool->output);
        json_put_raw(w, "annotations", tool->annotations);
        json_end_object(w);
    }
    json_end_array(w);
    return 0;
}
