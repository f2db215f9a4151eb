#define _GNU_SOURCE
#include "daemon/collection_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/fusion_settings.h"
#include "daemon/ranking_settings.h"

void collection_principals_free(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void collection_settings_release(struct collection_settings *s)
{
    collection_principals_free(s->readers, s->n_readers);
    collection_principals_free(s->writers, s->n_writers);
    memset(s, 0, sizeof *s);
}

static enum rag_status list_from_json(const struct json *array, const char *key, char ***ret,
                                      size_t *ret_n, struct rag_error *reterr)
{
    size_t n = json_size(array);
    size_t i = 0;
    char **list;

    if (n > PRINCIPALS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'%s': %zu principals, the limit is %d", key, n,
                        PRINCIPALS_MAX);
    list = calloc(n + 1, sizeof *list);
    if (!list)
        return rag_fail(reterr, RAG_ENOMEM, "'%s': out of memory", key);
    for (const struct json *e = json_first(array); e; e = json_next(e)) {
        const char *text = json_string(e);

        if (!text || strlen(text) > PRINCIPAL_BYTES_MAX ||
            (strcmp(text, "*") != 0 && strncmp(text, "uid:", 4) != 0 &&
             strncmp(text, "token:", 6) != 0)) {
            collection_principals_free(list, i);
            return rag_fail(reterr, RAG_EINVAL,
                            "'%s': element %zu is not \"*\", \"uid:N\" or \"token:NAME\" of at "
                            "most %d bytes",
                            key, i + 1, PRINCIPAL_BYTES_MAX);
        }
        list[i] = strdup(text);
        if (!list[i]) {
            collection_principals_free(list, i);
            return rag_fail(reterr, RAG_ENOMEM, "'%s': out of memory", key);
        }
        i++;
    }
    *ret = list;
    *ret_n = n;
    return RAG_OK;
}

static enum rag_status read_list(const struct json *body, const char *key, char ***list, size_t *n,
                                 struct rag_error *reterr)
{
    const struct json *array;
    enum rag_status status = json_get_array(body, key, &array, reterr);
    char **fresh = NULL;
    size_t n_fresh = 0;

    if (status != RAG_OK || !array)
        return status;
    status = list_from_json(array, key, &fresh, &n_fresh, reterr);
    if (status != RAG_OK)
        return status;
    collection_principals_free(*list, *n);
    *list = fresh;
    *n = n_fresh;
    return RAG_OK;
}

/* "fusion_tuned_with": only beside the fusion that was measured so; another one has it no more. */
static enum rag_status read_tuned_with(struct collection_settings *s, const struct json *body,
                                       bool with_fusion, struct rag_error *reterr)
{
    uint8_t digest[SHA256_BYTES];
    const char *with = NULL;
    enum rag_status status =
        json_get_string(body, "fusion_tuned_with", SHA256_HEX_BYTES - 1, &with, reterr);

    if (status != RAG_OK)
        return status;
    if (with && (!with_fusion || sha256_from_hex(with, digest) != RAG_OK))
        return rag_fail(reterr, RAG_EINVAL,
                        "'fusion_tuned_with': needs a 'fusion' and is an embedder's fingerprint of "
                        "64 hexadecimal digits");
    if (with_fusion)
        snprintf(s->fusion_tuned_with, sizeof s->fusion_tuned_with, "%s", with ? with : "");
    return RAG_OK;
}

/* "fusion": an empty object is the daemon's fusion again; a member that is absent is the daemon's
 * when the collection had none. */
static enum rag_status read_fusion(struct collection_settings *s, const struct json *body,
                                   const struct fusion_options *defaults, struct rag_error *reterr)
{
    const struct json *object = NULL;
    enum rag_status status = json_get_object(body, "fusion", &object, reterr);

    if (status == RAG_OK)
        status = read_tuned_with(s, body, object != NULL, reterr);
    if (status != RAG_OK || !object)
        return status;
    if (json_size(object) == 0) {
        s->fusion_set = false;
        return RAG_OK;
    }
    if (!s->fusion_set)
        s->fusion = *defaults;
    s->fusion_set = true;
    return fusion_settings_read(object, &s->fusion, reterr);
}

/* "lexical": an empty object is the default again. */
static enum rag_status read_lexical(struct collection_settings *s, const struct json *body,
                                    struct rag_error *reterr)
{
    const struct json *object = NULL;
    enum rag_status status = json_get_object(body, "lexical", &object, reterr);

    if (status != RAG_OK || !object)
        return status;
    if (!s->lexical_set)
        s->lexical = LEXICAL_WEIGHTS_DEFAULT;
    s->lexical_set = json_size(object) > 0;
    return lexical_settings_read(object, &s->lexical, reterr);
}

/* "rerank", "gate": likewise; a number each. */
static enum rag_status read_share(const struct json *body, const char *key, float fallback,
                                  enum rag_status (*read)(const struct json *object, float *share,
                                                          struct rag_error *reterr),
                                  bool *set, float *share, struct rag_error *reterr)
{
    const struct json *object = NULL;
    enum rag_status status = json_get_object(body, key, &object, reterr);

    if (status != RAG_OK || !object)
        return status;
    if (!*set)
        *share = fallback;
    *set = json_size(object) > 0;
    return read(object, share, reterr);
}

/* "backends": an empty array is the daemon's order again. */
static enum rag_status read_backends(struct collection_settings *s, const struct json *body,
                                     struct rag_error *reterr)
{
    enum config_backend list[CONFIG_BACKENDS_MAX];
    const struct json *array = NULL;
    enum rag_status status = json_get_array(body, "backends", &array, reterr);
    struct buf names;
    size_t n = 0;

    if (status != RAG_OK || !array)
        return status;
    buf_init(&names, 1024);
    for (const struct json *e = json_first(array); e; e = json_next(e))
        buf_printf(&names, "%.64s ", json_string(e) ? json_string(e) : "?");
    if (json_size(array) > 0 &&
        (buf_status(&names) != RAG_OK || !config_backends_read(buf_str(&names), list, &n)))
        status = rag_fail(reterr, RAG_EINVAL,
                          "'backends': must be some of \"local\", \"openai\", \"extractive\", each "
                          "once");
    buf_release(&names);
    if (status == RAG_OK) {
        memcpy(s->backends, list, n * sizeof list[0]);
        s->n_backends = n;
    }
    return status;
}

/* Change *s by the members of body; on failure *s may be partly changed. */
enum rag_status collection_settings_read(struct collection_settings *s, const struct json *body,
                                         const struct collection_defaults *defaults,
                                         struct rag_error *reterr)
{
    static const char *const keys[] = {"readers",       "writers", "offline",  "chunk_chars",
                                       "chunk_overlap", "fusion",  "backends", "fusion_tuned_with",
                                       "lexical",       "rerank",  "gate",     NULL};
    int64_t chars = (int64_t)s->chunks.chunk_chars;
    int64_t overlap = (int64_t)s->chunks.overlap_chars;
    enum rag_status status;

    if (!body)
        return RAG_OK;
    status = json_only(body, keys, reterr);
    if (status == RAG_OK)
        status = read_list(body, "readers", &s->readers, &s->n_readers, reterr);
    if (status == RAG_OK)
        status = read_list(body, "writers", &s->writers, &s->n_writers, reterr);
    if (status == RAG_OK)
        status = json_get_bool(body, "offline", &s->offline, reterr);
    if (status == RAG_OK)
        status =
            json_get_int(body, "chunk_chars", CHUNK_CHARS_MIN, CHUNK_CHARS_MAX, &chars, reterr);
    if (status == RAG_OK)
        status = json_get_int(body, "chunk_overlap", 0, CHUNK_CHARS_MAX, &overlap, reterr);
    if (status == RAG_OK && overlap * 2 >= chars)
        status = rag_fail(reterr, RAG_EINVAL,
                          "'chunk_overlap': %lld is not below half of chunk_chars (%lld)",
                          (long long)overlap, (long long)chars);
    if (status == RAG_OK)
        status = read_fusion(s, body, &defaults->fusion, reterr);
    if (status == RAG_OK)
        status = read_lexical(s, body, reterr);
    if (status == RAG_OK)
        status = read_share(body, "rerank", defaults->rerank_words, rerank_settings_read,
                            &s->rerank_set, &s->rerank_words, reterr);
    if (status == RAG_OK)
        status = read_share(body, "gate", defaults->gate_relevance_min, gate_settings_read,
                            &s->gate_set, &s->gate_relevance_min, reterr);
    if (status == RAG_OK)
        status = read_backends(s, body, reterr);
    if (status == RAG_OK) {
        s->chunks.chunk_chars = (size_t)chars;
        s->chunks.overlap_chars = (size_t)overlap;
    }
    return status;
}

void collection_settings_write(const struct collection_settings *s, struct json_writer *w)
{
    json_begin_array(w, "readers");
    for (size_t i = 0; i < s->n_readers; i++)
        json_put_string(w, NULL, s->readers[i]);
    json_end_array(w);
    json_begin_array(w, "writers");
    for (size_t i = 0; i < s->n_writers; i++)
        json_put_string(w, NULL, s->writers[i]);
    json_end_array(w);
    json_put_bool(w, "offline", s->offline);
    json_put_int(w, "chunk_chars", (int64_t)s->chunks.chunk_chars);
    json_put_int(w, "chunk_overlap", (int64_t)s->chunks.overlap_chars);
    if (s->fusion_set) {
        json_begin_object(w, "fusion");
        fusion_settings_write(w, &s->fusion);
        json_end_object(w);
    }
    if (s->fusion_set && s->fusion_tuned_with[0])
        json_put_string(w, "fusion_tuned_with", s->fusion_tuned_with);
    if (s->lexical_set) {
        json_begin_object(w, "lexical");
        lexical_settings_write(w, &s->lexical);
        json_end_object(w);
    }
    if (s->rerank_set) {
        json_begin_object(w, "rerank");
        rerank_settings_write(w, s->rerank_words);
        json_end_object(w);
    }
    if (s->gate_set) {
        json_begin_object(w, "gate");
        gate_settings_write(w, s->gate_relevance_min);
        json_end_object(w);
    }
    if (s->n_backends > 0) {
        json_begin_array(w, "backends");
        for (size_t i = 0; i < s->n_backends; i++)
            json_put_string(w, NULL, config_backend_name(s->backends[i]));
        json_end_array(w);
    }
}

enum rag_status collection_settings_print(const struct collection_settings *s, char **ret,
                                          struct rag_error *reterr)
{
    struct json_writer w;
    enum rag_status status;
    struct buf out;

    buf_init(&out, 1u << 20);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    collection_settings_write(s, &w);
    json_end_object(&w);
    status = buf_take(&out, ret, NULL);
    buf_release(&out);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "collection settings: too large or out of memory");
    return RAG_OK;
}
