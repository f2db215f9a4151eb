#define _POSIX_C_SOURCE 200809L
/* tokenizer.json: the file as a whole, the model's vocabulary, the added tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/tokenizer_internal.h"

static enum rag_status unsupported(struct rag_error *reterr, const char *part, const char *type)
{
    return rag_fail(reterr, RAG_EFORMAT, "%s: type '%.64s' is not supported", part,
                    type ? type : "(none)");
}

/* RAG_EINVAL of the JSON readers is about a file here. */
static enum rag_status in_part(const char *part, enum rag_status status,
                               const struct rag_error *inner, struct rag_error *reterr)
{
    return rag_fail(reterr, status == RAG_EINVAL ? RAG_EFORMAT : status, "%s: %s", part,
                    inner->text);
}

/* ---- vocabulary ---- */

static const char *model_type(const struct json *model)
{
    const struct json *type = json_member(model, "type");

    if (json_string(type))
        return json_string(type);
    /* Files of early versions do not say. */
    if (json_is_array(json_member(model, "vocab")))
        return "Unigram";
    if (json_member(model, "merges"))
        return "BPE";
    return json_member(model, "continuing_subword_prefix") ? "WordPiece" : "(none)";
}

/* An id: an integer below TOKENIZER_IDS_MAX, or ID_NONE. */
static uint32_t id_of(const struct json *node)
{
    double v = json_number(node);

    return v >= 0 && v < TOKENIZER_IDS_MAX && v == (double)(uint32_t)v ? (uint32_t)v : ID_NONE;
}

static enum rag_status add_text(const char *text, size_t *n_bytes, struct rag_error *reterr)
{
    size_t n = text ? strlen(text) : 0;

    if (!text)
        return rag_fail(reterr, RAG_EFORMAT, "model: a token of the vocabulary is no string");
    if (n > TOKENIZER_TOKEN_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "model: token '%.40s...' has %zu bytes, the limit is %d", text, n,
                        TOKENIZER_TOKEN_BYTES_MAX);
    *n_bytes += n; /* <= TOKENIZER_JSON_BYTES_MAX: all of it is in the file */
    return RAG_OK;
}

/* Room for the vocabulary and the added tokens. */
static enum rag_status measure(const struct json *vocab, const struct json *added, size_t *ret_ids,
                               size_t *ret_tokens, size_t *ret_bytes, struct rag_error *reterr)
{
    bool is_array = json_is_array(vocab);
    enum rag_status status = RAG_OK;
    size_t n_ids = 0;
    size_t n_bytes = 0;
    size_t n = 0;

    for (const struct json *v = json_first(vocab); v && status == RAG_OK; v = json_next(v), n++) {
        uint32_t id = is_array ? (uint32_t)n : id_of(v);

        if (id == ID_NONE || n >= TOKENIZER_IDS_MAX)
            return rag_fail(reterr, RAG_EFORMAT,
                            "model: token '%.64s': id %g is not an integer below %u", json_key(v),
                            json_number(v), TOKENIZER_IDS_MAX);
        if (id >= n_ids)
            n_ids = (size_t)id + 1;
        status = add_text(is_array ? json_string(json_first(v)) : json_key(v), &n_bytes, reterr);
    }
    for (const struct json *a = json_first(added); a && status == RAG_OK; a = json_next(a), n++) {
        uint32_t id = id_of(json_member(a, "id"));

        if (id == ID_NONE)
            return rag_fail(reterr, RAG_EFORMAT, "added_tokens: id %g is not an integer below %u",
                            json_number(json_member(a, "id")), TOKENIZER_IDS_MAX);
        if (id >= n_ids)
            n_ids = (size_t)id + 1;
        status = add_text(json_string(json_member(a, "content")), &n_bytes, reterr);
    }
    *ret_ids = n_ids;
    *ret_tokens = n;
    *ret_bytes = n_bytes;
    return status;
}

static enum rag_status put(struct tokenizer *t, uint32_t id, const char *text, bool may_repeat,
                           struct rag_error *reterr)
{
    enum rag_status status = vocab_put(&t->vocab, id, text, strlen(text), may_repeat);

    if (status == RAG_EEXIST)
        return rag_fail(reterr, RAG_EFORMAT, "model: token '%.64s' or its id %u occurs twice", text,
                        id);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "model: the vocabulary's hashes collide");
    return RAG_OK;
}

static enum rag_status vocab_read(const struct json *vocab, const struct json *added,
                                  struct tokenizer *t, struct rag_error *reterr)
{
    size_t n_ids = 0;
    size_t n_tokens = 0;
    size_t n_bytes = 0;
    enum rag_status status = measure(vocab, added, &n_ids, &n_tokens, &n_bytes, reterr);
    uint32_t id = 0;

    if (status != RAG_OK)
        return status;
    if (vocab_init(&t->vocab, n_ids, n_tokens, n_bytes) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    for (const struct json *v = json_first(vocab); v && status == RAG_OK; v = json_next(v), id++) {
        if (json_is_array(vocab)) /* Unigram: the later of equal tokens counts */
            status = put(t, id, json_string(json_first(v)), true, reterr);
        else
            status = put(t, id_of(v), json_key(v), false, reterr);
    }
    return status;
}

/* "<0x41>" and its like, when the model falls back to bytes. */
static void find_byte_tokens(struct tokenizer *t)
{
    for (unsigned b = 0; b < 256; b++) {
        static const char digits[] = "0123456789ABCDEF";
        char text[] = {'<', '0', 'x', digits[b >> 4], digits[b & 15], '>'};

        t->model.byte_ids[b] = vocab_find(&t->vocab, text, sizeof text);
    }
}

/* ---- models ---- */

static enum rag_status unk_read(const struct json *model, struct tokenizer *t,
                                struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *unk = NULL;
    enum rag_status status =
        json_get_string(model, "unk_token", TOKENIZER_TOKEN_BYTES_MAX, &unk, &inner);

    if (status != RAG_OK)
        return in_part("model", status, &inner, reterr);
    t->model.unk = unk ? vocab_find(&t->vocab, unk, strlen(unk)) : ID_NONE;
    if (unk && t->model.unk == ID_NONE)
        return rag_fail(reterr, RAG_EFORMAT, "model: unk_token '%.64s' is not in the vocabulary",
                        unk);
    return RAG_OK;
}

static enum rag_status wordpiece_read(const struct json *model, struct tokenizer *t,
                                      struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *prefix = "##";
    int64_t chars_max = 100;
    enum rag_status status;

    t->model.kind = MODEL_WORDPIECE;
    status = unk_read(model, t, reterr);
    if (status != RAG_OK)
        return status;
    if (t->model.unk == ID_NONE)
        t->model.unk = vocab_find(&t->vocab, "[UNK]", 5);
    if (t->model.unk == ID_NONE)
        return rag_fail(reterr, RAG_EFORMAT, "model: WordPiece without unk_token");
    status = json_get_string(model, "continuing_subword_prefix", TOKENIZER_TOKEN_BYTES_MAX, &prefix,
                             &inner);
    if (status == RAG_OK)
        status = json_get_int(model, "max_input_chars_per_word", 0, TOKENIZER_TEXT_BYTES_MAX,
                              &chars_max, &inner);
    if (status != RAG_OK)
        return in_part("model", status, &inner, reterr);
    t->model.word_chars_max = (size_t)chars_max;
    return wordpiece_build(t, prefix, reterr);
}

/* The score as the reference reads it. Its JSON reader (serde_json) rounds twice: the decimal
 * digits to a double, then the quotient by a power of ten; a number of 17 digits may come out one
 * unit in the last place away from the nearest double. Between segmentations of equal sum, such as
 * those of a repeated letter, that unit decides. */
static double score_of(double v)
{
    char text[40];
    uint64_t digits = 0;
    int exponent = 0;
    bool fraction = false;
    const char *p;
    double power = 1;
    double f;

    snprintf(text, sizeof text, "%.16g", v);
    if (strtod(text, NULL) < v || strtod(text, NULL) > v)
        snprintf(text, sizeof text, "%.17g", v);
    for (p = *text == '-' ? text + 1 : text; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        fraction = fraction || *p == '.';
        if (*p != '.') {
            digits = digits * 10 + (uint64_t)(*p - '0');
            exponent -= fraction;
        }
    }
    if (*p != '\0' || exponent < -22)
        return v; /* written with an exponent: not a logarithm of a probability */
    for (int i = 0; i < -exponent; i++)
        power *= 10; /* exact up to 10^22 */
    f = (double)digits / power;
    return v < 0 ? -f : f;
}

static enum rag_status unigram_read(const struct json *model, const struct json *vocab,
                                    struct tokenizer *t, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    struct model *m = &t->model;
    int64_t unk = -1;
    double lowest = 0;
    uint32_t id = 0;
    enum rag_status status = json_get_int(model, "unk_id", 0, TOKENIZER_IDS_MAX, &unk, &inner);

    m->kind = MODEL_UNIGRAM;
    if (status == RAG_OK)
        status = json_get_bool(model, "byte_fallback", &m->byte_fallback, &inner);
    if (status != RAG_OK)
        return in_part("model", status, &inner, reterr);
    m->scores = calloc((size_t)t->vocab.n + 1, sizeof *m->scores);
    if (!m->scores)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    for (const struct json *v = json_first(vocab); v; v = json_next(v), id++) {
        const struct json *score = json_next(json_first(v));

        if (!score || !json_is_number(score) || json_size(v) != 2)
            return rag_fail(reterr, RAG_EFORMAT, "model: token '%.64s': no score",
                            json_string(json_first(v)));
        m->scores[id] = score_of(json_number(score)); /* finite: json_parse() saw to it */
        if (id == 0 || m->scores[id] < lowest)
            lowest = m->scores[id];
    }
    if (unk >= 0 && (uint64_t)unk >= id)
        return rag_fail(reterr, RAG_EFORMAT, "model: unk_id %lld, but %u tokens", (long long)unk,
                        id);
    m->unk = unk < 0 ? ID_NONE : (uint32_t)unk;
    m->unk_score = lowest - 10; /* the reference's K_UNK_PENALTY */
    find_byte_tokens(t);
    return unigram_build(t, reterr);
}

enum rag_status model_read(const struct json *model, const struct json *added, struct tokenizer *t,
                           struct rag_error *reterr)
{
    const char *type = model_type(model);
    const struct json *vocab = json_member(model, "vocab");
    bool unigram = strcmp(type, "Unigram") == 0;
    enum rag_status status;

    if (!unigram && strcmp(type, "WordPiece") != 0 && strcmp(type, "BPE") != 0)
        return unsupported(reterr, "model", type);
    if (unigram ? !json_is_array(vocab) : !json_is_object(vocab))
        return rag_fail(reterr, RAG_EFORMAT, "model: %s without a vocabulary", type);
    if (json_size(vocab) == 0)
        return rag_fail(reterr, RAG_EFORMAT, "model: the vocabulary is empty");
    status = vocab_read(vocab, added, t, reterr);
    if (status != RAG_OK)
        return status;
    if (unigram)
        return unigram_read(model, vocab, t, reterr);
    if (strcmp(type, "WordPiece") == 0)
        return wordpiece_read(model, t, reterr);
    status = unk_read(model, t, reterr);
    find_byte_tokens(t);
    return status == RAG_OK ? bpe_read(model, t, reterr) : status;
}

/* ---- added tokens ---- */

static int compare_added(const void *a, const void *b)
{
    const struct added_token *x = a;
    const struct added_token *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static enum rag_status added_token_read(const struct json *node, struct tokenizer *t,
                                        struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    struct added_token a = {.normalized = true};
    const char *content = json_string(json_member(node, "content"));
    uint32_t id = id_of(json_member(node, "id"));
    uint32_t known = vocab_find(&t->vocab, content, strlen(content));
    enum rag_status status = json_get_bool(node, "single_word", &a.single_word, &inner);

    a.id = id;
    if (status == RAG_OK)
        status = json_get_bool(node, "lstrip", &a.lstrip, &inner);
    if (status == RAG_OK)
        status = json_get_bool(node, "rstrip", &a.rstrip, &inner);
    if (status == RAG_OK)
        status = json_get_bool(node, "normalized", &a.normalized, &inner);
    if (status == RAG_OK)
        status = json_get_bool(node, "special", &a.special, &inner);
    if (status != RAG_OK)
        return in_part("added_tokens", status, &inner, reterr);
    if (*content == '\0')
        return rag_fail(reterr, RAG_EFORMAT, "added_tokens: id %u: empty", id);
    if (known != ID_NONE && known != id)
        return rag_fail(reterr, RAG_EFORMAT,
                        "added_tokens: '%.64s': id %u, but %u in the vocabulary", content, id,
                        known);
    if (known == ID_NONE) {
        status = put(t, id, content, false, reterr);
        if (status != RAG_OK)
            return status;
        t->vocab.tokens[id].added = true;
    }
    t->vocab.tokens[id].special = a.special || looks_special(content, strlen(content));
    t->added[t->n_added++] = a;
    return RAG_OK;
}

/* What the normalizers make of the token's text; kept where it differs. */
static enum rag_status normalize_added(const struct tokenizer *t, struct token_work *w,
                                       struct added_token *a, const char *text, size_t n,
                                       struct rag_error *reterr)
{
    const char *normal = NULL;
    size_t n_normal = 0;
    size_t lead = 0;
    enum rag_status status;

    w->steps = TOKENIZER_PATTERN_STEPS + n * TOKENIZER_PATTERN_STEPS_PER_BYTE;
    status = normalize(t, w, text, n, &normal, &n_normal, &lead);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "added_tokens: '%.64s' cannot be normalized", text);
    if (n_normal == n && memcmp(normal, text, n) == 0)
        return RAG_OK;
    if (n_normal > TOKENIZER_TOKEN_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "added_tokens: '%.64s' has %zu bytes when normalized",
                        text, n_normal);
    a->decoded = strndup(normal, n_normal);
    return a->decoded ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "added_tokens: out of memory");
}

/* The tries that find added tokens; those that are normalized by their normalized text. */
static enum rag_status added_tries(struct tokenizer *t, struct token_work *w,
                                   struct rag_error *reterr)
{
    struct trie_key *keys = calloc(t->n_added * 2 + 1, sizeof *keys);
    struct trie_key *normalized = keys ? keys + t->n_added : NULL;
    enum rag_status status = RAG_OK;
    size_t n = 0;
    size_t n_normalized = 0;

    if (!keys)
        return rag_fail(reterr, RAG_ENOMEM, "added_tokens: out of memory");
    for (size_t i = 0; i < t->n_added && status == RAG_OK; i++) {
        struct added_token *a = &t->added[i];
        size_t n_text;
        const char *text = vocab_text(&t->vocab, a->id, &n_text);

        if (!a->normalized) {
            keys[n++] = (struct trie_key){text, (uint32_t)n_text, (uint32_t)i};
            continue;
        }
        status = normalize_added(t, w, a, text, n_text, reterr);
        if (a->decoded) {
            text = a->decoded;
            n_text = strlen(text);
        }
        normalized[n_normalized++] = (struct trie_key){text, (uint32_t)n_text, (uint32_t)i};
    }
    if (status == RAG_OK)
        status = trie_build(keys, n, &t->added_raw);
    if (status == RAG_OK)
        status = trie_build(normalized, n_normalized, &t->added_normalized);
    else
        goto out;
    if (status != RAG_OK)
        status = rag_fail(reterr, status, "added_tokens: cannot be indexed");
out:
    free(keys);
    return status;
}

enum rag_status added_read(const struct json *list, struct tokenizer *t, struct rag_error *reterr)
{
    size_t n = json_size(list);
    struct token_work *w = NULL;
    enum rag_status status = RAG_OK;

    if (n > TOKENIZER_ADDED_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "added_tokens: %zu, the limit is %d", n,
                        TOKENIZER_ADDED_MAX);
    t->added = calloc(n + 1, sizeof *t->added);
    w = token_work_new();
    if (!t->added || !w) {
        status = rag_fail(reterr, RAG_ENOMEM, "added_tokens: out of memory");
        goto out;
    }
    for (const struct json *a = json_first(list); a && status == RAG_OK; a = json_next(a))
        status = added_token_read(a, t, reterr);
    if (status != RAG_OK)
        goto out;
    qsort(t->added, t->n_added, sizeof *t->added, compare_added);
    for (size_t i = 1; i < t->n_added; i++) {
        if (t->added[i - 1].id == t->added[i].id) {
            status =
                rag_fail(reterr, RAG_EFORMAT, "added_tokens: id %u occurs twice", t->added[i].id);
            goto out;
        }
    }
    status = added_tries(t, w, reterr);
out:
    token_work_free(w);
    return status;
}

enum rag_status tokenizer_read_json(const char *text, size_t n, struct tokenizer *t,
                                    struct rag_error *reterr)
{
    static const char *const keys[] = {
        "version",       "truncation",     "padding", "added_tokens", "normalizer",
        "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    struct json *root = NULL;
    const struct json *added = NULL;
    const struct json *model = NULL;
    struct rag_error inner = {RAG_OK, ""};
    size_t commas = 0;
    enum rag_status status;

    for (const char *p = text; (p = memchr(p, ',', (size_t)(text + n - p))); p++)
        commas++;
    if (commas > TOKENIZER_JSON_COMMAS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu commas, the limit is %u", commas,
                        TOKENIZER_JSON_COMMAS_MAX);
    status = json_parse(text, n, "JSON", &root, reterr);
    if (status != RAG_OK)
        return status;
    if (!json_is_object(root)) {
        status = rag_fail(reterr, RAG_EFORMAT, "JSON: not an object");
        goto out;
    }
    status = json_only(root, keys, &inner);
    if (status == RAG_OK)
        status = json_get_array(root, "added_tokens", &added, &inner);
    if (status == RAG_OK)
        status = json_get_object(root, "model", &model, &inner);
    if (status != RAG_OK) {
        status = in_part("JSON", status, &inner, reterr);
        goto out;
    }
    if (!model) {
        status = rag_fail(reterr, RAG_EFORMAT, "model: missing");
        goto out;
    }
    status = model_read(model, added, t, reterr);
    if (status == RAG_OK)
        status = normalizers_read(json_member(root, "normalizer"), t, reterr);
    if (status == RAG_OK)
        status = splitters_read(json_member(root, "pre_tokenizer"), t, reterr);
    if (status == RAG_OK)
        status = post_read(json_member(root, "post_processor"), t, reterr);
    if (status == RAG_OK)
        status = decoders_read(json_member(root, "decoder"), t, reterr);
    if (status == RAG_OK)
        status = added_read(added, t, reterr);
out:
    json_free(root);
    return status;
}
