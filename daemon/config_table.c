#include "daemon/config_table.h"

#define AT(member) offsetof(struct config, member)

/* clang-format off */
const struct config_row config_rows[] = {
    {{"ragd", "state_dir", "/var/lib/ragd",
      "Databases, indexes and the audit log. Created with mode 0700 when missing."},
     KEY_TEXT, AT(state_dir), 0, 0},
    {{"ragd", "log_file", "", "Where to log; empty: standard error (the journal under systemd)."},
     KEY_TEXT, AT(log_file), 0, 0},
    {{"ragd", "log_level", "info", "debug, info, warn or error."}, KEY_LEVEL, AT(log_level), 0, 0},
    {{"ragd", "log_format", "text", "text (key=value) or json (the same keys, an object a line)."},
     KEY_LOG_FORMAT, AT(log_format), 0, 0},
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

    {{"audit", "keep_days", "0",
      "Rows of the audit log that are older than so many days are cut off once a day, behind a signed "
      "checkpoint; 0: they stay for ever."},
     KEY_INT, AT(audit_keep_days), 0, AUDIT_KEEP_DAYS_MAX},
    {{"audit", "searches", "0",
      "1: searches are recorded too, as questions always are; each then waits for its row to be on the disk."},
     KEY_INT, AT(audit_searches), 0, 1},

    {{"cache", "enabled", "1",
      "1: an answer is kept and given again to the same question, as long as it is true; 0: every question is "
      "answered anew."},
     KEY_INT, AT(cache_enabled), 0, 1},
    {{"cache", "semantic", "1",
      "1: also to a question that means the same: similar enough, with the same numbers, dates, names and "
      "negations, and the cross-encoder, where there is one, agrees."},
     KEY_INT, AT(cache_semantic), 0, 1},
    {{"cache", "entries_max", "10000",
      "Answers that are kept; the one used longest ago goes first."},
     KEY_INT, AT(cache_entries_max), 1, CACHE_ENTRIES_MAX},
    {{"cache", "mb", "64",
      "MiB of memory for them, indexes included."},
     KEY_INT, AT(cache_mb), 1, 65536},
    {{"cache", "ttl_s", "604800",
      "Seconds after which an answer is made anew in any case; 0: no such limit."},
     KEY_INT, AT(cache_ttl_s), 0, 315360000},
    {{"cache", "expiry", "change",
      "What else ends an answer, beside a change of what it cites: change (any change of the collection), top_k (a "
      "change after which the search returns other passages: each hit then searches first) or ttl (nothing)."},
     KEY_CACHE_EXPIRY, AT(cache_expiry), 0, 0},
    {{"cache", "share", "principal",
      "Who gets an answer: principal (who asked first, nobody else) or readers (everybody who may read the "
      "collection, as the list stands)."},
     KEY_CACHE_SHARE, AT(cache_share), 0, 0},
    {{"cache", "threshold", "0.85",
      "Similarity from which on a question is looked at more closely, 0 to 1; reports of wrong answers raise it."},
     KEY_DOUBLE, AT(cache_threshold), 0, 1},
    {{"cache", "error_bound", "0.01",
      "Share of answers to similar questions that may be wrong; below what reports so far can show, none is given."},
     KEY_DOUBLE, AT(cache_error_bound), 0, 1},
    {{"cache", "pair_min", "0.5",
      "What the cross-encoder must score two questions, each as the answer of the other. Scores differ from model "
      "to model: measure."},
     KEY_DOUBLE, AT(cache_pair_min), 0, 1},

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
const size_t config_n_rows = sizeof config_rows / sizeof config_rows[0];

const char *const *config_words(enum key_type type, const char **ret_allowed)
{
    static const struct {
        const char *words[5];
        const char *allowed;
    } kinds[] = {
        [KEY_LEVEL - KEY_LEVEL] = {{"debug", "info", "warn", "error"},
                                   "debug, info, warn or error"                              },
        [KEY_PRECISION - KEY_LEVEL] = {{"fp32", "int8"},                   "int8 or fp32"        },
        [KEY_STORAGE - KEY_LEVEL] = {{"f32", "f16", "int8"},             "f32, f16 or int8"    },
        [KEY_FUSION - KEY_LEVEL] = {{"rrf", "convex"},                  "rrf or convex"       },
        [KEY_WEIGHTS - KEY_LEVEL] = {{"int8", "int4", "fp32"},           "int8, int4 or fp32"  },
        [KEY_UNSUPPORTED - KEY_LEVEL] = {{"remove", "mark"},                 "remove or mark"      },
        [KEY_LOG_FORMAT - KEY_LEVEL] = {{"text", "json"},                   "text or json"        },
        [KEY_CACHE_EXPIRY - KEY_LEVEL] = {{"change", "top_k", "ttl"},         "change, top_k or ttl"},
        [KEY_CACHE_SHARE - KEY_LEVEL] = {{"principal", "readers"},           "principal or readers"},
    };

    *ret_allowed = kinds[type - KEY_LEVEL].allowed;
    return kinds[type - KEY_LEVEL].words;
}
