#define _GNU_SOURCE
#include "daemon/config.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/utf8.h"

enum key_type {
    KEY_TEXT,
    KEY_PATH,   /* NULL when empty */
    KEY_PROMPT, /* the same; quotes around it keep its blanks, and "" is an empty one */
    KEY_INT,
    KEY_OCTAL,
    KEY_DOUBLE,
    KEY_LIST,
    KEY_BACKENDS, /* NULL when empty; names */
    KEY_LEVEL,    /* from here on one word of some: words_of() */
    KEY_PRECISION,
    KEY_STORAGE,
    KEY_FUSION,
    KEY_WEIGHTS,
    KEY_UNSUPPORTED,
};

struct row {
    struct config_key key;
    enum key_type type;
    size_t offset; /* in struct config */
    double min;
    double max;
};

#define AT(member) offsetof(struct config, member)

/* clang-format off */
static const struct row rows[] = {
    {{"ragd", "state_dir", "/var/lib/ragd",
      "Databases, indexes and the audit log. Created with mode 0700 when missing."},
     KEY_TEXT, AT(state_dir), 0, 0},
    {{"ragd", "log_file", "", "Where to log; empty: standard error (the journal under systemd)."},
     KEY_TEXT, AT(log_file), 0, 0},
    {{"ragd", "log_level", "info", "debug, info, warn or error."}, KEY_LEVEL, AT(log_level), 0, 0},
    {{"ragd", "admins", "",
      "Principals (uid:N, token:NAME) that may read and write every collection, the whole audit log, and "
      "make backups. Root and the daemon's own user always may."},
     KEY_LIST, AT(admins), 0, 0},

    {{"http", "socket_path", "/run/ragd/ragd.sock", "The Unix socket to listen on."},
     KEY_TEXT, AT(socket_path), 0, 0},
    {{"http", "socket_mode", "0660", "Permissions of the socket, octal: who may connect at all."},
     KEY_OCTAL, AT(socket_mode), 0, 0777},
    {{"http", "socket_group", "", "Group of the socket; empty: the daemon's."},
     KEY_TEXT, AT(socket_group), 0, 0},
    {{"http", "tcp_address", "",
      "Also listen on TCP: 127.0.0.1 or ::1; empty: no TCP. Needs token_file."},
     KEY_TEXT, AT(tcp_address), 0, 0},
    {{"http", "tcp_port", "8089", "Port of tcp_address."}, KEY_INT, AT(tcp_port), 0, 65535},
    {{"http", "token_file", "",
      "Lines NAME:TOKEN, one a client of TCP, sent as 'Authorization: Bearer TOKEN'. At least 16 "
      "characters a token; the file must not be readable by others."},
     KEY_TEXT, AT(token_file), 0, 0},
    {{"http", "threads", "2", "Threads that parse and write; they never compute."},
     KEY_INT, AT(http_threads), 1, 64},
    {{"http", "connections_max", "1024", "Open connections. At the limit the one that has been idle longest makes room; when all are at "
      "work, a new one gets 503. One principal has at most three quarters of them."},
     KEY_INT, AT(connections_max), 8, 65536},
    {{"http", "body_bytes_max", "67108864", "Largest request body in bytes; then 413."},
     KEY_INT, AT(body_bytes_max), 1024, 1073741824},
    {{"http", "bodies_bytes_max", "536870912",
      "Bytes of all request bodies in memory together; then 503 with Retry-After."},
     KEY_INT, AT(bodies_bytes_max), 1024, 68719476736.0},
    {{"http", "idle_timeout_s", "30",
      "Seconds that a client has to send the headers of a request, that may pass without a byte of its "
      "body (which must also come at 1024 bytes a second in the long run), or without its reading a "
      "reply; then 408, or the end of the connection."},
     KEY_INT, AT(idle_timeout_s), 1, 3600},
    {{"http", "drain_timeout_s", "10", "Seconds that running requests get after SIGTERM."},
     KEY_INT, AT(drain_timeout_s), 0, 3600},

    {{"workers", "threads", "4", "Threads that answer and ingest. Bulk work uses at most half. Answers of a model have others beside them, twice "
      "max_running."},
     KEY_INT, AT(workers), 2, 256},
    {{"workers", "job_queue_max", "256", "Waiting questions and searches; then 503."},
     KEY_INT, AT(job_queue_max), 1, 100000},
    {{"workers", "ingest_queue_max", "16", "Waiting documents (each holds its body); then 503."},
     KEY_INT, AT(ingest_queue_max), 1, 10000},

    {{"ask", "deadline_ms", "300000",
      "A question is given up after this many milliseconds; a model writes some tokens a second."},
     KEY_INT, AT(ask_deadline_ms), 1, 3600000},
    {{"ask", "top_k", "5", "Passages that the answer is made from."},
     KEY_INT, AT(retrieve_top_k), 1, PASSAGES_MAX},
    {{"ask", "candidates", "100", "Passages that BM25 returns to the later stages."},
     KEY_INT, AT(retrieve_candidates), 1, CANDIDATES_MAX},
    {{"ask", "rerank_head", "30", "Passages that the rerank stage reads."},
     KEY_INT, AT(rerank_head), 1, CANDIDATES_MAX},
    {{"ask", "relevance_min", "0.22",
      "Refuse when the best passage is less relevant than this (0 to 1; higher refuses more)."},
     KEY_DOUBLE, AT(gate_relevance_min), 0, 1},
    {{"ask", "rerank_pass_min", "0",
      "A passage that the cross-encoder scores this high passes in spite of relevance_min; 0: none does. Scores "
      "differ from model to model: measure before setting it."},
     KEY_DOUBLE, AT(rerank_pass_min), 0, 1},

    {{"retrieve", "dense_candidates", "100", "Passages that the vector search returns."},
     KEY_INT, AT(dense_candidates), 1, CANDIDATES_MAX},
    {{"retrieve", "fusion_method", "convex",
      "How both rankings become one: convex (a weighted sum of scores) or rrf (of reciprocal ranks). This and "
      "the next three hold for collections without a fusion of their own, which 'ragctl tune fusion' measures."},
     KEY_FUSION, AT(fusion_method), 0, 0},
    {{"retrieve", "fusion_weight_dense", "0.3",
      "Weight of the vector ranking, BM25 has the rest of 1; 0: search by words only."},
     KEY_DOUBLE, AT(fusion_weight_dense), 0, 1},
    {{"retrieve", "rrf_k", "60", "rrf: how little the first ranks stand out."},
     KEY_DOUBLE, AT(rrf_k), 1, FUSION_RRF_K_MAX},
    {{"retrieve", "fusion_depth", "100", "Entries of each ranking that are fused; 0: all."},
     KEY_INT, AT(fusion_depth), 0, CANDIDATES_MAX},
    {{"retrieve", "embed_budget_ms", "2000",
      "A search waits this long for its vector and the nearest ones; then BM25 alone answers, and says so."},
     KEY_INT, AT(embed_budget_ms), 1, 3600000},
    {{"retrieve", "rerank_budget_ms", "1000",
      "The cross-encoder reads passages for this long; the others keep their order behind those it has read; 0: "
      "no limit."},
     KEY_INT, AT(rerank_budget_ms), 0, 3600000},

    {{"index", "bm25_k1", "0.9", "BM25: how soon a repeated term stops counting more."},
     KEY_DOUBLE, AT(bm25_k1), 0.01, 10},
    {{"index", "bm25_b", "0.4", "BM25: how much a long passage is held against it."},
     KEY_DOUBLE, AT(bm25_b), 0, 1},
    {{"index", "chunk_chars", "700", "Characters of a chunk in new collections."},
     KEY_INT, AT(chunk_chars), CHUNK_CHARS_MIN, CHUNK_CHARS_MAX},
    {{"index", "chunk_overlap", "80", "Characters that neighbouring chunks share, whole sentences."},
     KEY_INT, AT(chunk_overlap), 0, CHUNK_CHARS_MAX / 2},
    {{"index", "snapshot_interval_s", "60", "Seconds between snapshots of changed indexes."},
     KEY_INT, AT(index_snapshot_interval_s), 1, 86400},

    {{"analyzer", "user_dictionary", "", "A word a line that is kept whole; empty: none."},
     KEY_PATH, AT(analyzer_user_dictionary), 0, 0},
    {{"analyzer", "synonyms", "", "Lines of comma-separated words that mean the same; empty: none."},
     KEY_PATH, AT(analyzer_synonyms), 0, 0},
    {{"analyzer", "mecab_dictionary", "",
      "Folder of a compiled mecab-ko dictionary: use libmecab; empty: the built-in analyzer."},
     KEY_PATH, AT(analyzer_mecab_dictionary), 0, 0},

    {{"models", "embedder", "",
      "The model that turns texts into vectors: a Hugging Face folder (config.json, *.safetensors, tokenizer.json), as "
      "a path, or as a name below models_dir; empty: search by words only."},
     KEY_PATH, AT(models_embedder), 0, 0},
    {{"models", "reranker", "",
      "The cross-encoder that reads question and passage together, given in the same way; empty: the built-in "
      "rerank by words."},
     KEY_PATH, AT(models_reranker), 0, 0},
    {{"models", "models_dir", "", "Where named models are; empty: models/ in state_dir."},
     KEY_TEXT, AT(models_dir), 0, 0},
    {{"models", "precision", "int8",
      "int8 (several times faster; layers that do not bear it stay in fp32) or fp32."},
     KEY_PRECISION, AT(models_precision), 0, 0},
    {{"models", "compute_threads", "0", "Threads that compute; 0: the cores that the daemon may use."},
     KEY_INT, AT(compute_threads), 0, 256},
    {{"models", "embedder_max_tokens", "0",
      "Longer texts are cut for the embedder; 0: what the model says. A change embeds everything anew."},
     KEY_INT, AT(embedder_max_tokens), 0, 65536},
    {{"models", "embedder_dim", "0",
      "Keep the first numbers of each vector only, for models trained so (Matryoshka); 0: all. A change "
      "embeds everything anew."},
     KEY_INT, AT(embedder_dim), 0, EMBEDDING_DIM_MAX},
    {{"models", "query_prompt", "",
      "Put before questions, in quotes to keep a blank at its end; empty: what the model says."},
     KEY_PROMPT, AT(query_prompt), 0, 0},
    {{"models", "passage_prompt", "",
      "Put before passages; empty: what the model says. A change of a prompt embeds everything anew."},
     KEY_PROMPT, AT(passage_prompt), 0, 0},
    {{"models", "reranker_max_tokens", "0",
      "Longer pairs are cut for the reranker; 0: what the model says, 512 at most."},
     KEY_INT, AT(reranker_max_tokens), 0, 65536},
    {{"models", "embed_wait_ms", "5000",
      "Milliseconds that a PUT of a document waits for its own vectors, so that it is found by meaning when it is "
      "acknowledged; 0: not at all. It does not wait when it would take longer."},
     KEY_INT, AT(embed_wait_ms), 0, EMBED_WAIT_MS_MAX},
    {{"models", "vector_storage", "f16",
      "How the index keeps vectors: f32, f16 (half the memory, no loss to speak of) or int8 (as f16, and "
      "faster where all are scanned)."},
     KEY_STORAGE, AT(vector_storage), 0, 0},
    {{"models", "hnsw_min", "20000",
      "Vectors of a collection from which on a graph is searched instead of all of them; 0: never."},
     KEY_INT, AT(hnsw_min), 0, 2000000000},
    {{"models", "hnsw_m", "16", "Links of a vector in the graph: more are more exact and need more memory."},
     KEY_INT, AT(hnsw_m), 4, 128},
    {{"models", "hnsw_ef_construction", "128",
      "Candidates for the links while the graph is built: more are more exact and slower."},
     KEY_INT, AT(hnsw_ef_construction), 8, 4096},
    {{"models", "hnsw_ef_search", "96",
      "Candidates of a search in the graph: more are more exact and slower."},
     KEY_INT, AT(hnsw_ef_search), 8, 4096},

    {{"generate", "model", "",
      "The decoder that writes answers: a GGUF file, or a Hugging Face folder (config.json, *.safetensors, "
      "tokenizer.json), as a path, or as a name below models_dir; empty: answers are sentences of the passages."},
     KEY_PATH, AT(generate_model), 0, 0},
    {{"generate", "backends", "",
      "Who answers questions, tried in this order until one has a sentence that the passages support: "
      "local (the model), extractive (sentences of the passages). Empty: local where a model is given, "
      "then extractive."},
     KEY_BACKENDS, AT(generate_backends), 0, 0},
    {{"generate", "chat_template", "",
      "How the model wants a conversation written: exaone, chatml, llama3, gemma, llama2 or zephyr; empty: what the "
      "model says."},
     KEY_PATH, AT(generate_template), 0, 0},
    {{"generate", "precision", "int8",
      "What weights become that are floats in their file: int8, int4 (half the memory, less exact) or fp32 (slow, for "
      "comparisons). Weights that are quantised in their file stay as they are."},
     KEY_WEIGHTS, AT(generate_precision), 0, 0},
    {{"generate", "kv_budget_mb", "1024",
      "MiB for the keys and values of all conversations, those kept for the next question included; never more. What "
      "one token takes is in the log at start."},
     KEY_INT, AT(kv_budget_mb), 1, 1048576},
    {{"generate", "kv_disk_mb", "0",
      "MiB of them that are written to the state folder at stop, those used last first, and read at start, so that a "
      "restart does not forget what prompts have in common; 0: none. The file holds what was asked and read, mode 0600."},
     KEY_INT, AT(kv_disk_mb), 0, 1048576},
    {{"generate", "context_tokens", "0",
      "Tokens of prompt and answer together, 256 and up; 0: what the model was made for, at most 8192 and what kv_budget_mb holds."},
     KEY_INT, AT(context_tokens), 0, 1048576},
    {{"generate", "max_running", "4",
      "Answers that are written at the same time; others wait. Each one more reads the same weights."},
     KEY_INT, AT(generate_running_max), 1, DECODE_RUNNING_MAX},
    {{"generate", "draft_tokens", "8",
      "Tokens guessed from the prompt and verified at once: faster where answers copy passages, the same text; 0: off."},
     KEY_INT, AT(draft_tokens), 0, DECODE_DRAFT_MAX},
    {{"generate", "unsupported", "remove",
      "What happens to a sentence that no passage supports: remove it, or mark it."},
     KEY_UNSUPPORTED, AT(unsupported), 0, 0},
    {{"generate", "max_new_tokens", "512", "Tokens of an answer, unless the request says."},
     KEY_INT, AT(new_tokens_max), 1, DECODER_CONTEXT_MAX},
    {{"generate", "temperature", "0",
      "0: the likeliest token each time, so that an answer can be repeated; higher: more variety. This and the next "
      "four hold unless the request says."},
     KEY_DOUBLE, AT(temperature), 0, (double)SAMPLING_TEMPERATURE_MAX},
    {{"generate", "top_k", "0", "Draw from the likeliest tokens only, so many; 0: all."},
     KEY_INT, AT(sampling_top_k), 0, 1000000},
    {{"generate", "top_p", "1", "Draw from the likeliest tokens that together have this probability."},
     KEY_DOUBLE, AT(top_p), 0.000001, 1},
    {{"generate", "min_p", "0", "Leave out tokens below this part of the likeliest one's probability."},
     KEY_DOUBLE, AT(min_p), 0, 1},
    {{"generate", "repetition_penalty", "1", "Above 1: what was said already becomes less likely, quoted names too."},
     KEY_DOUBLE, AT(repetition_penalty), (double)SAMPLING_PENALTY_MIN, (double)SAMPLING_PENALTY_MAX},
};
/* clang-format on */
#define N_ROWS (sizeof rows / sizeof rows[0])

const struct config_key *config_keys(size_t *ret_n)
{
    static struct config_key keys[N_ROWS];

    for (size_t i = 0; i < N_ROWS; i++)
        keys[i] = rows[i].key;
    *ret_n = N_ROWS;
    return keys;
}

/* ---- values ---- */

static void *member(struct config *config, const struct row *row)
{
    return (char *)config + row->offset;
}

static enum rag_status set_text(char **at, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return RAG_ENOMEM;
    free(*at);
    *at = copy;
    return RAG_OK;
}

static enum rag_status bad_value(const struct row *row, const char *value, const char *allowed,
                                 struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EINVAL, "%s.%s: '%.80s' is not %s", row->key.section, row->key.name,
                    value, allowed);
}

static enum rag_status set_number(struct config *config, const struct row *row, const char *value,
                                  struct rag_error *reterr)
{
    char allowed[96];
    char *end = NULL;

    errno = 0;
    if (row->type == KEY_DOUBLE) {
        double v = strtod(value, &end);

        snprintf(allowed, sizeof allowed, "a number from %g to %g", row->min, row->max);
        if (end == value || *end != '\0' || !(v >= row->min && v <= row->max))
            return bad_value(row, value, allowed, reterr);
        *(double *)member(config, row) = v;
    } else {
        int base = row->type == KEY_OCTAL ? 8 : 10;
        long long v = strtoll(value, &end, base);

        snprintf(allowed, sizeof allowed,
                 base == 8 ? "an octal mode from %.0f to 0777" : "an integer from %.0f to %.0f",
                 row->min, row->max);
        if (end == value || *end != '\0' || errno != 0 || (double)v < row->min ||
            (double)v > row->max)
            return bad_value(row, value, allowed, reterr);
        *(int64_t *)member(config, row) = v;
    }
    return RAG_OK;
}

/* The words of a type, in the order of its enum, and what they are called. */
static const char *const *words_of(enum key_type type, const char **ret_allowed)
{
    static const struct {
        const char *words[5];
        const char *allowed;
    } kinds[] = {
        [KEY_LEVEL - KEY_LEVEL] = {{"debug", "info", "warn", "error"},
                                   "debug, info, warn or error"                            },
        [KEY_PRECISION - KEY_LEVEL] = {{"fp32", "int8"},                   "int8 or fp32"      },
        [KEY_STORAGE - KEY_LEVEL] = {{"f32", "f16", "int8"},             "f32, f16 or int8"  },
        [KEY_FUSION - KEY_LEVEL] = {{"rrf", "convex"},                  "rrf or convex"     },
        [KEY_WEIGHTS - KEY_LEVEL] = {{"int8", "int4", "fp32"},           "int8, int4 or fp32"},
        [KEY_UNSUPPORTED - KEY_LEVEL] = {{"remove", "mark"},                 "remove or mark"    },
    };

    *ret_allowed = kinds[type - KEY_LEVEL].allowed;
    return kinds[type - KEY_LEVEL].words;
}

static enum rag_status set_word(struct config *config, const struct row *row, const char *value,
                                struct rag_error *reterr)
{
    const char *allowed;
    const char *const *words = words_of(row->type, &allowed);

    for (int i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *(int64_t *)member(config, row) = i;
            return RAG_OK;
        }
    }
    return bad_value(row, value, allowed, reterr);
}

static const char *const backend_names[] = {"local", "extractive"};

/* Names separated by blanks or commas, none twice. */
static bool read_backends(const char *text, enum config_backend *ret, size_t *ret_n)
{
    bool seen[CONFIG_BACKENDS_MAX] = {false};
    size_t n = 0;

    for (text += strspn(text, " ,\t"); *text != '\0'; text += strspn(text, " ,\t")) {
        size_t length = strcspn(text, " ,\t");
        size_t i = 0;

        while (i < CONFIG_BACKENDS_MAX &&
               (strlen(backend_names[i]) != length || strncmp(backend_names[i], text, length) != 0))
            i++;
        if (i == CONFIG_BACKENDS_MAX || seen[i])
            return false;
        seen[i] = true;
        ret[n++] = (enum config_backend)i;
        text += length;
    }
    *ret_n = n;
    return n > 0;
}

size_t config_backends(const struct config *c, enum config_backend ret[CONFIG_BACKENDS_MAX])
{
    size_t n = 0;

    if (c->generate_backends && read_backends(c->generate_backends, ret, &n))
        return n;
    if (c->generate_model)
        ret[n++] = BACKEND_LOCAL;
    ret[n++] = BACKEND_EXTRACTIVE;
    return n;
}

static enum rag_status check_backends(const struct row *row, const char *value,
                                      struct rag_error *reterr)
{
    enum config_backend backends[CONFIG_BACKENDS_MAX];
    size_t n;

    if (!read_backends(value, backends, &n))
        return bad_value(row, value, "a list of local, extractive", reterr);
    return RAG_OK;
}

static enum rag_status set_prompt(char **at, const char *value)
{
    size_t n = strlen(value);
    bool quoted = n >= 2 && value[0] == '"' && value[n - 1] == '"';
    char *copy = quoted ? strndup(value + 1, n - 2) : strdup(value);

    if (!copy)
        return RAG_ENOMEM;
    free(*at);
    *at = copy;
    return RAG_OK;
}

static void free_admins(struct config *config)
{
    for (size_t i = 0; i < config->n_admins; i++)
        free(config->admins[i]);
    free(config->admins);
    config->admins = NULL;
    config->n_admins = 0;
}

static bool is_principal(const char *text)
{
    char *end = NULL;

    if (strlen(text) > PRINCIPAL_BYTES_MAX)
        return false;
    if (strncmp(text, "token:", 6) == 0)
        return text[6] != '\0';
    /* -1 is no user: chown(2) takes it for "leave as it is" */
    return strncmp(text, "uid:", 4) == 0 && text[4] >= '0' && text[4] <= '9' &&
           strtoull(text + 4, &end, 10) < UINT32_MAX && *end == '\0';
}

/* The one list key: principals separated by spaces or commas. */
static enum rag_status set_list(struct config *config, const struct row *row, const char *value,
                                struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char *copy = strdup(value);
    char *save = NULL;

    free_admins(config);
    config->admins = calloc(CONFIG_LIST_MAX, sizeof *config->admins);
    if (!copy || !config->admins)
        status = RAG_ENOMEM;
    for (char *word = status == RAG_OK ? strtok_r(copy, " ,\t", &save) : NULL;
         word && status == RAG_OK; word = strtok_r(NULL, " ,\t", &save)) {
        if (config->n_admins == CONFIG_LIST_MAX)
            status = bad_value(row, word, "among the first 64 elements of the list", reterr);
        else if (!is_principal(word))
            status = bad_value(row, word, "a principal (uid:N or token:NAME)", reterr);
        else if (!(config->admins[config->n_admins] = strdup(word)))
            status = RAG_ENOMEM;
        else
            config->n_admins++;
    }
    free(copy);
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "configuration: out of memory");
    return status;
}

static enum rag_status set_row(struct config *config, const struct row *row, const char *value,
                               struct rag_error *reterr)
{
    char **text = member(config, row);
    enum rag_status status;

    switch (row->type) {
    case KEY_INT:
    case KEY_OCTAL:
    case KEY_DOUBLE:
        return set_number(config, row, value, reterr);
    case KEY_LEVEL:
    case KEY_PRECISION:
    case KEY_STORAGE:
    case KEY_FUSION:
    case KEY_WEIGHTS:
    case KEY_UNSUPPORTED:
        return set_word(config, row, value, reterr);
    case KEY_LIST:
        return set_list(config, row, value, reterr);
    case KEY_PATH:
    case KEY_PROMPT:
    case KEY_BACKENDS:
        if (value[0] == '\0') {
            free(*text);
            *text = NULL;
            return RAG_OK;
        }
        if (row->type == KEY_BACKENDS) {
            status = check_backends(row, value, reterr);
            if (status != RAG_OK)
                return status;
        }
        status = row->type == KEY_PROMPT ? set_prompt(text, value) : set_text(text, value);
        break;
    case KEY_TEXT:
    default:
        status = set_text(text, value);
        break;
    }
    return status == RAG_OK ? status : rag_fail(reterr, status, "configuration: out of memory");
}

/* ---- keys ---- */

/* Edit distance (Levenshtein 1966), for "did you mean". Names are short. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    size_t line[64];

    if (n >= 64 || strlen(a) >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        line[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = line[0];

        line[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = line[j];
            if (line[j] + 1 < best)
                best = line[j] + 1;
            if (line[j - 1] + 1 < best)
                best = line[j - 1] + 1;
            line[j] = best;
        }
    }
    return line[n];
}

/* section NULL: any. NULL: no such key. */
static const struct row *find_row(const char *section, const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if ((!section || strcmp(rows[i].key.section, section) == 0) &&
            strcmp(rows[i].key.name, name) == 0)
            return &rows[i];
    return NULL;
}

static enum rag_status unknown_key(const char *section, const char *name, struct rag_error *reterr)
{
    const struct row *nearest = &rows[0];
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < N_ROWS; i++) {
        size_t d = 2 * distance(name, rows[i].key.name) +
                   (section && strcmp(section, rows[i].key.section) != 0);

        if (d < best) {
            best = d;
            nearest = &rows[i];
        }
    }
    return rag_fail(reterr, RAG_EINVAL, "[%.60s] %.60s: no such key; did you mean [%s] %s?",
                    section ? section : "", name, nearest->key.section, nearest->key.name);
}

enum rag_status config_set(struct config *config, const char *key, const char *value,
                           struct rag_error *reterr)
{
    const char *dot = strchr(key, '.');
    const char *name = dot ? dot + 1 : key;
    char section[64] = "";
    const struct row *row;

    if (dot)
        snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
    row = find_row(dot ? section : NULL, name);
    if (!row)
        return unknown_key(dot ? section : NULL, name, reterr);
    for (size_t i = 0; i < N_ROWS && !dot; i++)
        if (&rows[i] != row && strcmp(rows[i].key.name, name) == 0)
            return rag_fail(reterr, RAG_EINVAL, "%.60s: say which, %s.%s or %s.%s", name,
                            row->key.section, name, rows[i].key.section, name);
    return set_row(config, row, value, reterr);
}

/* ---- the file ---- */

/* A reading: lines are handed to inih one at a time, so that the line of each value is known and
 * nothing after the first bad one is looked at. */
struct reading {
    struct config *config;
    const char *text; /* what is left of the file */
    int line;         /* that was handed over last */
    bool seen[N_ROWS];
    enum rag_status status;
    struct rag_error error; /* of that line */
};

/* inih's fgets(): one line with its end into 'line' of n bytes; NULL: no more. */
static char *next_line(char *line, int n, void *stream)
{
    struct reading *r = stream;
    size_t n_bytes = strcspn(r->text, "\n");
    size_t n_max = (size_t)n - 2; /* inih's own limit, less the end of the line and the NUL */

    if (r->text[0] == '\0' || r->status != RAG_OK)
        return NULL;
    r->line++;
    if (n_bytes > n_max) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "%zu bytes, the limit of a line is %zu",
                             n_bytes, n_max);
        return NULL;
    }
    if (!utf8_valid(r->text, n_bytes, NULL)) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "not UTF-8");
        return NULL;
    }
    memcpy(line, r->text, n_bytes);
    line[n_bytes] = '\n';
    line[n_bytes + 1] = '\0';
    r->text += n_bytes + (r->text[n_bytes] == '\n');
    return line;
}

static int on_value(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    const struct row *row = find_row(section, name);

    if (r->status != RAG_OK)
        return 0;
    if (!row) {
        r->status = unknown_key(section, name, &r->error);
        return 0;
    }
    if (r->seen[row - rows]) {
        r->status = rag_fail(&r->error, RAG_EINVAL, "[%s] %s: given twice", section, name);
        return 0;
    }
    r->seen[row - rows] = true;
    r->status = set_row(r->config, row, value, &r->error);
    return r->status == RAG_OK;
}

enum rag_status config_parse(struct config *config, const char *text, const char *name,
                             struct rag_error *reterr)
{
    struct reading r = {.config = config, .text = text, .status = RAG_OK};
    int bad_line = ini_parse_stream(next_line, &r, on_value, &r);

    if (r.status != RAG_OK && (bad_line <= 0 || bad_line >= r.line))
        return rag_fail(reterr, r.status, "configuration '%s' line %d: %s", name, r.line,
                        r.error.text);
    if (bad_line > 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "configuration '%s' line %d: neither [section], key = value nor comment",
                        name, bad_line);
    if (bad_line < 0)
        return rag_fail(reterr, RAG_ENOMEM, "configuration '%s': out of memory", name);
    return RAG_OK;
}

static enum rag_status read_file(const char *path, char *text, size_t max, struct rag_error *reterr)
{
    FILE *file = fopen(path, "re");
    enum rag_status status = RAG_OK;
    size_t n;

    if (!file)
        return rag_fail_errno(reterr, RAG_EIO, errno, "configuration '%s': cannot open", path);
    n = fread(text, 1, max + 1, file);
    if (ferror(file))
        status = rag_fail_errno(reterr, RAG_EIO, errno, "configuration '%s': cannot read", path);
    else if (n > max)
        status = rag_fail(reterr, RAG_ELIMIT, "configuration '%s': over %zu bytes", path, max);
    else if (memchr(text, '\0', n))
        status =
            rag_fail(reterr, RAG_EINVAL, "configuration '%s': holds a NUL byte, so no text", path);
    else
        text[n] = '\0';
    fclose(file);
    return status;
}

enum rag_status config_load(struct config *config, const char *path, struct rag_error *reterr)
{
    char *text = malloc(CONFIG_BYTES_MAX + 1);
    enum rag_status status;

    if (!text)
        return rag_fail(reterr, RAG_ENOMEM, "configuration '%s': out of memory", path);
    status = read_file(path, text, CONFIG_BYTES_MAX, reterr);
    if (status == RAG_OK)
        status = config_parse(config, text, path, reterr);
    free(text);
    return status;
}

enum rag_status config_new(struct config **ret, struct rag_error *reterr)
{
    struct config *config = calloc(1, sizeof *config);

    if (!config)
        return rag_fail(reterr, RAG_ENOMEM, "configuration: out of memory");
    for (size_t i = 0; i < N_ROWS; i++) {
        enum rag_status status = set_row(config, &rows[i], rows[i].key.fallback, reterr);

        if (status != RAG_OK) {
            config_free(config);
            return status;
        }
    }
    *ret = config;
    return RAG_OK;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].type == KEY_TEXT || rows[i].type == KEY_PATH || rows[i].type == KEY_PROMPT ||
            rows[i].type == KEY_BACKENDS)
            free(*(char **)member(config, &rows[i]));
    free_admins(config);
    free(config);
}

enum rag_status config_check(const struct config *c, struct rag_error *reterr)
{
    struct sockaddr_un address;

    if (c->state_dir[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[ragd] state_dir: empty");
    if (c->socket_path[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[http] socket_path: empty");
    if (strlen(c->socket_path) >= sizeof address.sun_path)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] socket_path: %zu bytes, a Unix socket's path has at most %zu",
                        strlen(c->socket_path), sizeof address.sun_path - 1);
    if (c->tcp_address[0] != '\0' && strcmp(c->tcp_address, "127.0.0.1") != 0 &&
        strcmp(c->tcp_address, "::1") != 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] tcp_address: '%.60s' is not a loopback address (127.0.0.1 or ::1)",
                        c->tcp_address);
    if (c->tcp_address[0] != '\0' && c->token_file[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "[http] tcp_address: needs token_file");
    if (c->chunk_overlap * 2 >= c->chunk_chars)
        return rag_fail(reterr, RAG_EINVAL,
                        "[index] chunk_overlap: %lld is not below half of chunk_chars (%lld)",
                        (long long)c->chunk_overlap, (long long)c->chunk_chars);
    if (c->generate_backends && strstr(c->generate_backends, "local") && !c->generate_model)
        return rag_fail(reterr, RAG_EINVAL, "[generate] backends: local needs model");
    if (c->bodies_bytes_max < c->body_bytes_max)
        return rag_fail(reterr, RAG_EINVAL,
                        "[http] bodies_bytes_max: %lld is below body_bytes_max (%lld)",
                        (long long)c->bodies_bytes_max, (long long)c->body_bytes_max);
    return RAG_OK;
}

enum rag_status config_model_dir(const struct config *c, const char *name, char **ret,
                                 struct rag_error *reterr)
{
    char *path = NULL;
    int n;

    if (!name)
        n = asprintf(&path, "%s", "");
    else if (name[0] == '/' || name[0] == '.')
        n = asprintf(&path, "%s", name);
    else if (c->models_dir[0] != '\0')
        n = asprintf(&path, "%s/%s", c->models_dir, name);
    else
        n = asprintf(&path, "%s/models/%s", c->state_dir, name);
    if (n < 0)
        return rag_fail(reterr, RAG_ENOMEM, "configuration: out of memory");
    *ret = path;
    return RAG_OK;
}
