/* generate/generator.h - one interface for every way to produce an answer.
 *
 * Backends: "extractive" (sentences of the passages, no model), later "local"
 * (decoder) and "openai" (compatible endpoint). A backend may be used by many
 * threads at once; one call runs on the caller's thread until it returns. */
#ifndef RAG_GENERATE_GENERATOR_H
#define RAG_GENERATE_GENERATOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/status.h"

enum message_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };
const char *message_role_name(enum message_role role); /* "system", ... */
struct message {
    enum message_role role;
    const char *text; /* NFC */
};

/* A passage of the prompt; its number [n] is its index + 1. Texts are borrowed. */
struct generator_passage {
    uint64_t id;
    const char *title;   /* or "" */
    const char *heading; /* or "" */
    const char *context; /* or "" */
    const char *text;
    size_t text_bytes;
    uint32_t byte_start; /* of text in its document */
    uint32_t byte_end;
    float score; /* rerank_score, 0..1 */
};

enum grounding_policy {
    GROUNDING_STRICT, /* answer only what the passages support, else refuse */
    GROUNDING_NONE,   /* plain chat */
};

struct sampling {
    float temperature;        /* 0: greedy */
    int top_k;                /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    uint64_t seed;
    const char *const *stop; /* NULL-terminated; or NULL */
    int max_new_tokens;      /* 0: the backend's default */
    const char *schema;      /* JSON schema of the answer, or NULL */
};

struct generator_request {
    const struct message *messages; /* the last one is the user's question */
    size_t n_messages;
    const struct generator_passage *passages;
    size_t n_passages;
    enum grounding_policy grounding;
    struct sampling sampling;
    int64_t deadline_ns;       /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel; /* or NULL; set by another thread */
    const char *request_id;
    bool offline; /* the text must not leave this machine */

    /* What a lexical backend needs of the collection; NULL when unknown. The idf of
     * each of n term ids (text/analyzer.h). */
    void (*idf_fn)(void *context, const uint64_t *terms, size_t n, float *ret_idf);
    void *idf_context;
    const void *analyzer; /* const struct analyzer *, the collection's; or NULL */
};

/* What no backend with a model can do: RAG_EINVAL says why. */
enum rag_status generator_request_check(const struct generator_request *request,
                                        struct rag_error *reterr);
/* Tokens of an answer: what is asked for, else the backend's default. */
size_t generator_new_tokens(const struct generator_request *request, size_t n_default);

/* Receives the answer in whole pieces. Return false to stop: the call then ends with
 * finish_reason FINISH_CANCELLED. */
struct generator_sink {
    bool (*on_piece)(void *context, const char *text, size_t n_bytes);
    void *context;
};

enum finish_reason {
    FINISH_STOP,      /* complete */
    FINISH_REFUSED,   /* the passages do not support an answer */
    FINISH_LENGTH,    /* max_new_tokens or ANSWER_BYTES_MAX */
    FINISH_CANCELLED, /* cancel flag or sink */
    FINISH_DEADLINE,
};
const char *finish_reason_name(enum finish_reason reason); /* "stop", "refused", ... */

struct citation {
    size_t passage;      /* index into the request's passages */
    uint32_t byte_start; /* of the cited span in the DOCUMENT's stored text */
    uint32_t byte_end;
    uint32_t answer_start; /* bytes of the answer that this citation supports */
    uint32_t answer_end;
};

struct generator_result {
    enum finish_reason finish_reason;
    bool stop_string;     /* a stop string of the request ended it, maybe inside a sentence */
    struct buf answer;    /* everything that went to the sink, with its [n] marks */
    char reason[256];     /* of a refusal, Korean, one line; else "" */
    char reason_code[32]; /* "no_support", "missing_constraint", "kind_absent"...; else "" */
    float confidence;     /* 0..1 */
    struct citation citations[CITATIONS_MAX];
    size_t n_citations;
    /* The words that answer, when the backend can name them (a date, a number, a name): bytes
     * of the document of passages[short_passage]; start == end: it cannot. short_answer is
     * that text. */
    size_t short_passage;
    uint32_t short_start;
    uint32_t short_end;
    char short_answer[256];
    uint64_t prompt_tokens; /* 0 for backends without tokens */
    uint64_t cached_tokens;
    uint64_t output_tokens;
    double prefill_ms; /* until the first token, waiting for a slot included; 0 without tokens */
    double decode_ms;  /* from there to the last token */
    size_t passages_dropped;  /* of the request's, from the tail: they did not fit the prompt */
    size_t sentences_removed; /* of the model's: no passage supports them */
    const char *backend;      /* static name */
    const char *model_fingerprint; /* static for the generator's life */
    double cost;                   /* in the endpoint's currency; 0 locally */
};
void generator_result_init(struct generator_result *result);
void generator_result_release(struct generator_result *result);

struct generator_capabilities {
    bool needs_passages;
    bool streams;
    bool schema;
    size_t context_tokens_max; /* 0: unlimited */
};

struct generator {
    const char *name;
    struct generator_capabilities capabilities;
    /* RAG_OK whenever there is a result (refusals, cancels and deadlines too: see
     * finish_reason). RAG_ENOMEM, RAG_EIO (remote), RAG_EINVAL (request unusable). */
    enum rag_status (*generate)(struct generator *generator,
                                const struct generator_request *request,
                                const struct generator_sink *sink, struct generator_result *ret,
                                struct rag_error *reterr);
    void (*close)(struct generator *generator);
};

#endif
