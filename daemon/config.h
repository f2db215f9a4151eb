/* daemon/config.h - ragd.conf: one table of keys, read by inih.
 *
 * The file is INI: [section] and "key = value" lines; a line that begins with '#' or ';' is a
 * comment, and so is what follows " ;" (a blank and a semicolon) in a value. Every key of the table
 * in config.c has a type, a range, a default and a help text; etc/ragd.conf documents each of them
 * and a test compares the two. An unknown, repeated or ill-typed key is an error that names file,
 * line, key, value and what is allowed. */
#ifndef RAG_DAEMON_CONFIG_H
#define RAG_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/sha256.h"
#include "base/status.h"
#include "daemon/log.h"

#define CONFIG_LIST_MAX 64 /* elements of a list value */

/* Texts are owned; "" where a path is not set, but for the paths that are NULL when empty. */
struct config {
    char *state_dir;
    char *log_file;
    int64_t log_level;  /* enum log_level */
    int64_t log_format; /* enum log_format */
    char **admins;      /* principals; owned */
    size_t n_admins;

    char *socket_path;
    int64_t socket_mode;
    char *socket_group; /* "" : the daemon's */
    char *tcp_address;  /* "" : no TCP; else 127.0.0.1 or ::1 */
    int64_t tcp_port;
    char *token_file;
    int64_t http_threads;
    int64_t connections_max;
    int64_t body_bytes_max;
    int64_t bodies_bytes_max; /* of all requests together */
    int64_t idle_timeout_s;
    int64_t drain_timeout_s;

    int64_t workers;
    int64_t job_queue_max;
    int64_t ingest_queue_max;

    int64_t ask_deadline_ms;
    int64_t retrieve_top_k;
    int64_t ask_nearest;
    int64_t retrieve_candidates;
    int64_t rerank_head;
    double rerank_pass_min;
    int64_t dense_candidates;
    int64_t fusion_method; /* enum fusion_method */
    double fusion_weight_dense;
    double rrf_k;
    int64_t fusion_depth;
    int64_t embed_budget_ms;
    int64_t rerank_budget_ms;
    int64_t rerank_pairs;
    int64_t rerank_window;
    double rerank_words;
    double gate_relevance_min;
    double bm25_k1;
    double bm25_b;
    int64_t chunk_chars;
    int64_t chunk_overlap;
    int64_t index_snapshot_interval_s;
    int64_t audit_keep_days; /* 0: for ever */
    int64_t audit_searches;  /* 1: searches are recorded */
    char *guard_policy;      /* NULL: the built-in policy */

    int64_t cache_enabled; /* 0 or 1, as semantic */
    int64_t cache_semantic;
    int64_t cache_entries_max;
    int64_t cache_mb;
    int64_t cache_ttl_s;  /* 0: none */
    int64_t cache_expiry; /* enum cache_expiry */
    int64_t cache_share;  /* enum cache_share */
    double cache_threshold;
    double cache_error_bound;
    double cache_pair_min;
    char *analyzer_user_dictionary; /* NULL: none */
    char *analyzer_synonyms;
    char *analyzer_mecab_dictionary;

    char *models_embedder; /* as written: a path, or a name below models_dir; NULL: none */
    char *models_reranker;
    char *models_dir;
    int64_t models_precision; /* enum precision */
    int64_t compute_threads;  /* 0: the cores */
    int64_t embedder_max_tokens;
    int64_t embedder_dim;
    char *query_prompt; /* NULL: the model's */
    char *passage_prompt;
    int64_t reranker_max_tokens;
    int64_t embed_wait_ms;
    int64_t vector_storage; /* enum vector_storage */
    int64_t hnsw_min;
    int64_t hnsw_m;
    int64_t hnsw_ef_construction;
    int64_t hnsw_ef_search;

    char *generate_backends;    /* names in their order; NULL: as config_backends() says */
    char *generate_model;       /* as models_embedder, or a .gguf file; NULL: none */
    char *generate_template;    /* NULL: the model's own */
    int64_t generate_precision; /* enum generate_precision */
    int64_t kv_budget_mb;
    int64_t kv_disk_mb;     /* 0: nothing of it on disk */
    int64_t context_tokens; /* 0: the model's, with limits */
    int64_t generate_running_max;
    int64_t draft_tokens;
    int64_t unsupported; /* enum unsupported_policy */
    int64_t new_tokens_max;
    double temperature;
    int64_t sampling_top_k;
    double top_p;
    double min_p;
    double repetition_penalty;

    char *openai_url; /* NULL: no such backend */
    char *openai_model;
    char *openai_key_file;
    char *openai_key_env;
    char *openai_ca_file;
    int64_t openai_allow_private;
    int64_t openai_timeout_ms;
    int64_t openai_connect_timeout_ms;
    int64_t openai_stall_ms;
    int64_t openai_tries_max;
    int64_t openai_calls_per_day;
    int64_t openai_stream;
    int64_t openai_context_tokens;
    double openai_prompt_price;
    double openai_completion_price;

    char *embed_url;   /* NULL: none, as the other texts here */
    int64_t embed_api; /* enum remote_embed_api */
    char *embed_model;
    int64_t embed_dim;
    int64_t embed_batch;
    char *embed_key_file;
    char *embed_key_env;
    char *rerank_url;
    int64_t rerank_api; /* enum remote_rerank_api */
    char *rerank_model;
    char *rerank_key_file;
    char *rerank_key_env;
    char *remote_ca_file;
    int64_t remote_allow_private;
    int64_t remote_timeout_ms;
    int64_t remote_connect_timeout_ms;
    int64_t remote_tries_max;
    int64_t remote_calls_per_day;
    char *trace_endpoint; /* NULL: no traces */
    double trace_sample_ratio;
    char *trace_key_file;
    char *trace_ca_file;
    int64_t trace_allow_private; /* bool */
    int64_t trace_queue_max;
    int64_t trace_timeout_ms;
};

/* Of a decoder's weights that are floats in their file. */
enum generate_precision { GENERATE_INT8, GENERATE_INT4, GENERATE_FP32 };

/* Who gets an answer that was made for somebody else. */
enum cache_share { CACHE_SHARE_PRINCIPAL, CACHE_SHARE_READERS };

#define CONFIG_BACKENDS_MAX 3
enum config_backend { BACKEND_LOCAL, BACKEND_OPENAI, BACKEND_EXTRACTIVE };
const char *config_backend_name(enum config_backend backend); /* "local", ... */
/* Names separated by blanks or commas, none twice; false: one is unknown, or there is none. */
bool config_backends_read(const char *text, enum config_backend ret[CONFIG_BACKENDS_MAX],
                          size_t *ret_n);

enum rag_status config_new(struct config **ret, struct rag_error *reterr); /* all defaults */
void config_free(struct config *config);
/* Read a file over what is set. RAG_EIO, RAG_ENOMEM, RAG_ELIMIT (CONFIG_BYTES_MAX), or RAG_EINVAL
 * naming file, line, key, value and what is allowed. On failure what came before is set. */
enum rag_status config_load(struct config *config, const char *path, struct rag_error *reterr);
/* The same with a text in memory; 'name' is what messages call it. */
enum rag_status config_parse(struct config *config, const char *text, const char *name,
                             struct rag_error *reterr);
/* Set one key ("section.key", or the key alone where it is unique). */
enum rag_status config_set(struct config *config, const char *key, const char *value,
                           struct rag_error *reterr);
/* What no single key can tell: paths too long, TCP without tokens, queue sizes. */
enum rag_status config_check(const struct config *config, struct rag_error *reterr);

/* Where a model is: 'name' itself where it begins as a path does, with "/" or ".", else what has
 * that name ("org/name" too) below models_dir, or below models/ of the state directory when that is
 * empty. malloc'ed; "" when name is NULL. */
enum rag_status config_model_dir(const struct config *config, const char *name, char **ret,
                                 struct rag_error *reterr);

/* A hash of all keys of the sections named (NULL-terminated): equal where they are set alike.
 * RAG_OK, RAG_ENOMEM. */
enum rag_status config_sections_hash(const struct config *config, const char *const *sections,
                                     uint8_t ret[SHA256_BYTES]);

/* Backends in the order in which they are tried: as configured, else the model where one is given,
 * the server where one is, then the extractive one. Returns their number, >= 1. */
size_t config_backends(const struct config *config, enum config_backend ret[CONFIG_BACKENDS_MAX]);

/* The table, for the documentation and its test. */
struct config_key {
    const char *section;
    const char *name;
    const char *fallback; /* default, as text */
    const char *help;
};
const struct config_key *config_keys(size_t *ret_n);

#endif
