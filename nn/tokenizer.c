#define _POSIX_C_SOURCE 200809L
#include "nn/tokenizer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

/* ---- opening ---- */

/* The file into *ret (malloc'ed). RAG_ENOTFOUND is silent: another file may do. */
static enum rag_status read_file(const char *path, size_t max, char **ret, size_t *ret_n,
                                 struct rag_error *reterr)
{
    /* O_NONBLOCK: opening a pipe would wait for its writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum rag_status status = RAG_OK;
    char *data = NULL;
    struct stat st;
    size_t n = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? RAG_ENOTFOUND
                   : rag_fail_errno(reterr, RAG_EIO, errno, "file '%.300s'", path);
    if (fstat(fd, &st) < 0) {
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%.300s'", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        status = rag_fail(reterr, RAG_EFORMAT, "file '%.300s': not a regular file", path);
        goto out;
    }
    if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
        status = rag_fail(reterr, RAG_ELIMIT, "file '%.300s': %jd bytes, the limit is %zu", path,
                          (intmax_t)st.st_size, max);
        goto out;
    }
    data = malloc((size_t)st.st_size + 1);
    if (!data) {
        status = rag_fail(reterr, RAG_ENOMEM, "file '%.300s': out of memory", path);
        goto out;
    }
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, data + n, (size_t)st.st_size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%.300s'", path);
            goto out;
        }
        if (got == 0)
            break; /* shorter than it was: what is there decides */
        n += (size_t)got;
    }
    data[n] = '\0';
    *ret = data;
    *ret_n = n;
    data = NULL; /* the caller's now */
out:
    free(data);
    close(fd);
    return status;
}

static enum rag_status tokenizer_new(struct tokenizer **ret, struct rag_error *reterr)
{
    struct tokenizer *t = calloc(1, sizeof *t);

    if (t && unicode_table_init(&t->unicode) == RAG_OK) {
        *ret = t;
        return RAG_OK;
    }
    free(t);
    return rag_fail(reterr, RAG_ENOMEM, "tokenizer: out of memory");
}

/* What was read becomes the caller's, or is closed. */
static enum rag_status finish(enum rag_status status, struct tokenizer *t, struct tokenizer **ret)
{
    if (status == RAG_OK)
        *ret = t;
    else
        tokenizer_close(t);
    return status;
}

enum rag_status tokenizer_open_json(const char *text, size_t n, struct tokenizer **ret,
                                    struct rag_error *reterr)
{
    struct tokenizer *t = NULL;
    enum rag_status status = tokenizer_new(&t, reterr);

    if (status == RAG_OK)
        status = tokenizer_read_json(text, n, t, reterr);
    return finish(status, t, ret);
}

/* An empty one, and the tokenizer_config.json beside what it will be read from, or NULL. */
static enum rag_status begin(const char *config, size_t n_config, struct tokenizer **ret,
                             struct json **ret_config, struct rag_error *reterr)
{
    enum rag_status status = tokenizer_new(ret, reterr);

    if (status == RAG_OK && config)
        status = json_parse(config, n_config, "tokenizer_config.json", ret_config, reterr);
    return status;
}

enum rag_status tokenizer_open_vocab_txt(const char *text, size_t n, const char *config,
                                         size_t n_config, struct tokenizer **ret,
                                         struct rag_error *reterr)
{
    struct tokenizer *t = NULL;
    struct json *json = NULL;
    enum rag_status status = begin(config, n_config, &t, &json, reterr);

    if (status == RAG_OK)
        status = tokenizer_read_vocab_txt(text, n, json, t, reterr);
    json_free(json);
    return finish(status, t, ret);
}

enum rag_status tokenizer_open_sentencepiece(const uint8_t *data, size_t n, const char *config,
                                             size_t n_config, struct tokenizer **ret,
                                             struct rag_error *reterr)
{
    struct tokenizer *t = NULL;
    struct json *json = NULL;
    enum rag_status status = begin(config, n_config, &t, &json, reterr);

    if (status == RAG_OK)
        status = tokenizer_read_sentencepiece(data, n, json, t, reterr);
    json_free(json);
    return finish(status, t, ret);
}

enum rag_status tokenizer_open_gguf(const struct gguf *g, struct tokenizer **ret,
                                    struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    enum rag_status status = tokenizer_new(&t, reterr);

    if (status != RAG_OK)
        return status;
    status = tokenizer_read_gguf(g, t, &inner);
    if (status != RAG_OK)
        rag_fail(reterr, status, "tokenizer '%.200s': %s", gguf_path(g), inner.text);
    return finish(status, t, ret);
}

/* Put the directory before the message of what is inside a file. */
static enum rag_status in_file(const char *dir, const char *file, enum rag_status status,
                               const struct rag_error *inner, struct rag_error *reterr)
{
    return rag_fail(reterr, status, "tokenizer '%.200s/%s': %s", dir, file, inner->text);
}

/* Neither file can be found: mostly the folder's name is wrong. */
static enum rag_status no_tokenizer(const char *dir, struct rag_error *reterr)
{
    struct stat st;

    if (stat(dir, &st) != 0)
        return rag_fail_errno(reterr, RAG_ENOTFOUND, errno, "model '%.300s'", dir);
    if (!S_ISDIR(st.st_mode))
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "model '%.300s': is a file; give the folder that has config.json", dir);
    return rag_fail(
        reterr, RAG_ENOTFOUND,
        "tokenizer '%.300s': neither tokenizer.json, tokenizer.model nor vocab.txt is there; is it "
        "the model's own folder?",
        dir);
}

/* RAG_ENOTFOUND is silent, as of read_file(). */
static enum rag_status read_in_dir(const char *dir, const char *file, size_t max, char **ret,
                                   size_t *ret_n, struct rag_error *reterr)
{
    struct buf path;
    enum rag_status status;

    buf_init(&path, PATH_MAX);
    buf_printf(&path, "%s/%s", dir, file);
    status = buf_status(&path);
    if (status == RAG_OK)
        status = read_file(buf_str(&path), max, ret, ret_n, reterr);
    else
        status = rag_fail(reterr, status, "tokenizer '%.200s...': path too long", dir);
    buf_release(&path);
    return status;
}

/* Ids beside the model's own would be missing without a word. */
static enum rag_status no_added_tokens(const char *dir, struct rag_error *reterr)
{
    char *text = NULL;
    size_t n = 0;
    enum rag_status status =
        read_in_dir(dir, "added_tokens.json", TOKENIZER_JSON_BYTES_MAX, &text, &n, reterr);

    free(text);
    if (status == RAG_OK)
        return rag_fail(reterr, RAG_EFORMAT,
                        "tokenizer '%.200s': added_tokens.json beside tokenizer.model is not "
                        "supported; put the model's tokenizer.json there",
                        dir);
    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

/* tokenizer.model, else vocab.txt; both have something in tokenizer_config.json. */
static enum rag_status open_with_config(const char *dir, struct tokenizer **ret,
                                        struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    char *text = NULL;
    char *config = NULL;
    size_t n = 0;
    size_t n_config = 0;
    bool pieces = true;
    enum rag_status status =
        read_in_dir(dir, "tokenizer.model", TOKENIZER_MODEL_BYTES_MAX, &text, &n, reterr);

    if (status == RAG_OK)
        status = no_added_tokens(dir, reterr);
    if (status == RAG_ENOTFOUND) {
        pieces = false;
        status = read_in_dir(dir, "vocab.txt", TOKENIZER_JSON_BYTES_MAX, &text, &n, reterr);
    }
    if (status == RAG_ENOTFOUND)
        status = no_tokenizer(dir, reterr);
    if (status != RAG_OK)
        goto out;
    status = read_in_dir(dir, "tokenizer_config.json", TOKENIZER_JSON_BYTES_MAX, &config, &n_config,
                         reterr);
    if (status != RAG_OK && status != RAG_ENOTFOUND)
        goto out;
    if (pieces)
        status =
            tokenizer_open_sentencepiece((const uint8_t *)text, n, config, n_config, ret, &inner);
    else
        status = tokenizer_open_vocab_txt(text, n, config, n_config, ret, &inner);
    if (status != RAG_OK)
        status = in_file(dir, pieces ? "tokenizer.model" : "vocab.txt", status, &inner, reterr);
out:
    free(text);
    free(config);
    return status;
}

enum rag_status tokenizer_open(const char *dir, struct tokenizer **ret, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    char *text = NULL;
    size_t n = 0;
    enum rag_status status =
        read_in_dir(dir, "tokenizer.json", TOKENIZER_JSON_BYTES_MAX, &text, &n, reterr);

    if (status == RAG_ENOTFOUND)
        return open_with_config(dir, ret, reterr);
    if (status != RAG_OK)
        return status;
    status = tokenizer_open_json(text, n, ret, &inner);
    if (status != RAG_OK)
        status = in_file(dir, "tokenizer.json", status, &inner, reterr);
    free(text);
    return status;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_normalizers; i++) {
        pattern_free(t->normalizers[i].pattern);
        free(t->normalizers[i].text);
        charsmap_release(&t->normalizers[i].map);
    }
    for (size_t i = 0; i < t->n_splitters; i++)
        pattern_free(t->splitters[i].pattern);
    for (size_t i = 0; i < t->n_decoders; i++) {
        pattern_free(t->decoders[i].pattern);
        free(t->decoders[i].text);
    }
    for (size_t i = 0; i < t->n_added; i++)
        free(t->added[i].decoded);
    free(t->added);
    trie_release(&t->added_raw);
    trie_release(&t->added_normalized);
    trie_release(&t->model.trie);
    free(t->model.scores);
    free(t->model.merges);
    free(t->model.ranks);
    free(t->model.prefix);
    free(t->model.suffix);
    vocab_release(&t->vocab);
    unicode_table_release(&t->unicode);
    free(t);
}

/* ---- results ---- */

void token_work_free(struct token_work *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < 2; i++) {
        buf_release(&w->text[i]);
        buf_release(&w->split[i]);
        free(w->pieces[i].items);
        free(w->ids[i].items);
    }
    buf_release(&w->extra);
    buf_release(&w->front);
    free(w->nodes);
    free(w->symbols);
    free(w->heap);
    free(w);
}

struct token_work *token_work_new(void)
{
    struct token_work *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        buf_init(&w->text[i], TOKENIZER_NORMALIZED_BYTES_MAX);
        buf_init(&w->split[i], TOKENIZER_NORMALIZED_BYTES_MAX);
    }
    buf_init(&w->extra, TOKENIZER_NORMALIZED_BYTES_MAX);
    buf_init(&w->front, TOKENIZER_NORMALIZED_BYTES_MAX);
    return w;
}

void token_list_release(struct token_list *list)
{
    if (!list)
        return;
    free(list->ids);
    free(list->types);
    token_work_free(list->work);
    memset(list, 0, sizeof *list);
}

enum rag_status token_list_room(struct token_list *list, size_t n)
{
    size_t cap = list->cap ? list->cap : 64;
    uint32_t *ids;
    uint8_t *types;

    if (n <= list->cap)
        return RAG_OK;
    while (cap < n)
        cap *= 2;
    ids = realloc(list->ids, cap * sizeof *ids);
    if (ids)
        list->ids = ids;
    types = realloc(list->types, cap);
    if (types)
        list->types = types;
    if (!ids || !types)
        return RAG_ENOMEM;
    list->cap = cap;
    return RAG_OK;
}

/* ---- encoding ---- */

struct encoding {
    const struct tokenizer *t;
    struct token_work *w;
    struct id_list *ids;
    size_t max_tokens; /* 0: none */
    const char *s;     /* of the split in progress */
    size_t lead;       /* bytes of s that come from the text's first character */
};

static enum rag_status encode_word(struct encoding *e, const char *s, size_t n)
{
    switch (e->t->model.kind) {
    case MODEL_WORDPIECE:
        return wordpiece_encode(e->t, e->w, s, n, e->ids);
    case MODEL_UNIGRAM:
        return unigram_encode(e->t, e->w, s, n, e->ids);
    default:
        return bpe_encode(e->t, e->w, s, n, e->ids);
    }
}

/* Normalized text without added tokens. */
static enum rag_status encode_words(struct encoding *e, const char *s, size_t n, size_t lead)
{
    const struct piece_list *pieces = NULL;
    const char *text = NULL;
    enum rag_status status = split_words(e->t, e->w, s, n, lead, &text, &pieces);

    for (size_t i = 0; status == RAG_OK && i < pieces->n; i++) {
        status = encode_word(e, text + pieces->items[i].begin, pieces->items[i].n);
        if (e->ids->stop == 0 && e->max_tokens > 0 && e->ids->n >= e->max_tokens)
            e->ids->stop = e->ids->n;
    }
    return status;
}

static enum rag_status normalized_part(void *context, size_t begin, size_t end,
                                       const struct added_token *token)
{
    struct encoding *e = context;

    if (token)
        return id_push(e->ids, token->id);
    return encode_words(e, e->s + begin, end - begin, e->lead > begin ? e->lead - begin : 0);
}

static enum rag_status raw_part(void *context, size_t begin, size_t end,
                                const struct added_token *token)
{
    struct encoding *e = context;
    struct encoding inner = *e;
    enum rag_status status;
    size_t n = 0;

    if (token)
        return id_push(e->ids, token->id);
    if (begin == 0)
        unicode_at(e->s, &inner.lead);
    status = normalize(e->t, e->w, e->s + begin, end - begin, &inner.s, &n, &inner.lead);
    if (status != RAG_OK)
        return status;
    return added_split(e->t, e->w, &e->t->added_normalized, inner.s, n, normalized_part, &inner);
}

static enum rag_status encode_sequence(const struct tokenizer *t, struct token_work *w,
                                       size_t which, const char *s, size_t n, size_t max_tokens,
                                       struct rag_error *reterr)
{
    struct encoding e = {t, w, &w->ids[which], max_tokens, s, 0};
    const char *noun = which == 0 ? "text" : "pair";
    enum rag_status status;
    size_t bad = 0;

    e.ids->n = 0;
    e.ids->stop = 0;
    if (n > TOKENIZER_TEXT_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%s: %zu bytes, a tokenizer takes %u", noun, n,
                        TOKENIZER_TEXT_BYTES_MAX);
    if (!utf8_valid(s, n, &bad))
        return rag_fail(reterr, RAG_EINVAL, "%s: not UTF-8 at byte %zu", noun, bad);
    w->steps = TOKENIZER_PATTERN_STEPS + n * TOKENIZER_PATTERN_STEPS_PER_BYTE;
    status = added_split(t, w, &t->added_raw, s, n, raw_part, &e);
    if (status == RAG_ELIMIT)
        return rag_fail(reterr, status,
                        "%s: %zu bytes grow past %u when normalized, or a pattern "
                        "of the tokenizer takes too many steps",
                        noun, n, TOKENIZER_NORMALIZED_BYTES_MAX);
    if (status == RAG_EINVAL)
        return rag_fail(reterr, status,
                        "%s: a character is not in the vocabulary, which has no unknown token",
                        noun);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: out of memory", noun);
    if (e.ids->stop == 0)
        e.ids->stop = e.ids->n;
    return RAG_OK;
}

enum rag_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n_bytes,
                                 const char *pair, size_t n_pair_bytes,
                                 const struct tokenize_options *options, struct token_list *ret,
                                 struct rag_error *reterr)
{
    const struct template *tp = pair ? &t->pair : &t->single;
    size_t n_special = options->special ? tp->n_special : 0;
    size_t max = options->max_tokens;
    struct token_work *w = ret->work ? ret->work : token_work_new();
    size_t keep[2];
    enum rag_status status;

    ret->n = 0;
    ret->n_full = 0;
    ret->work = w;
    if (!w)
        return rag_fail(reterr, RAG_ENOMEM, "text: out of memory");
    w->plain = options->plain;
    w->refused = options->refused;
    w->n_refused = options->n_refused;
    if (max > 0 && max < n_special)
        return rag_fail(reterr, RAG_ELIMIT, "max_tokens: %zu, the special tokens alone are %zu",
                        max, n_special);
    status = encode_sequence(t, w, 0, text, n_bytes, max, reterr);
    w->ids[1].n = 0;
    w->ids[1].stop = 0;
    if (status == RAG_OK && pair)
        status = encode_sequence(t, w, 1, pair, n_pair_bytes, max, reterr);
    if (status != RAG_OK)
        return status;
    keep[0] = w->ids[0].n;
    keep[1] = w->ids[1].n;
    if (max > 0)
        truncation_lengths(keep[0], keep[1], w->ids[0].stop, w->ids[1].stop, pair != NULL,
                           max - n_special, &keep[0], &keep[1]);
    status = template_apply(tp, w->ids, keep, options->special, ret);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "text: out of memory");
    ret->n_full = w->ids[0].n + w->ids[1].n + n_special;
    return RAG_OK;
}

/* ---- questions ---- */

size_t tokenizer_vocab_size(const struct tokenizer *t)
{
    return t->vocab.n;
}

enum rag_status tokenizer_id(const struct tokenizer *t, const char *token, uint32_t *ret)
{
    uint32_t id = vocab_find(&t->vocab, token, strlen(token));

    if (id == ID_NONE)
        return RAG_ENOTFOUND;
    *ret = id;
    return RAG_OK;
}

size_t tokenizer_n_special(const struct tokenizer *t, bool pair)
{
    return pair ? t->pair.n_special : t->single.n_special;
}
