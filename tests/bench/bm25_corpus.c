#include "bm25_corpus.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/json.h"
#include "text/analyzer.h"
#include "text/sentence.h"

#define LINE_BYTES_MAX     (1u << 20)
#define TEXT_BYTES_MAX     (2u << 30) /* of all sentences together */
#define SENTENCE_BYTES_MIN 20         /* shorter ones ask nothing */
#define ZIPF_TERMS         1000000u
#define ZIPF_PASSAGE       80u /* terms drawn for a passage: as the real text has */

struct corpus {
    size_t n;
    size_t per;      /* sentences of a passage */
    struct buf text; /* all sentences, one after the other */
    size_t *starts;  /* of each sentence, and the end */
    size_t n_sentences;
    size_t starts_cap;
    uint64_t *seen; /* hashes of sentences; 0 = free */
    size_t seen_cap;
    struct analyzer *analyzer; /* NULL: synthetic */
    struct term_list terms;
    double zipf_log; /* ln of the number of terms */
};

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15ull; /* SplitMix64 */
    uint64_t z = *state;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((next_random(state) >> 32) * n >> 32);
}

/* ---- reading text ---- */

/* True when the sentence is new. */
static bool note_sentence(struct corpus *c, const char *s, size_t n)
{
    uint64_t hash = XXH3_64bits(s, n) | 1;
    size_t i = (size_t)(hash >> 20) & (c->seen_cap - 1);

    while (c->seen[i] && c->seen[i] != hash)
        i = (i + 1) & (c->seen_cap - 1);
    if (c->seen[i])
        return false;
    c->seen[i] = hash;
    return true;
}

static enum rag_status add_text(struct corpus *c, const char *text)
{
    struct sentence *sentences = NULL;
    size_t n = 0;
    enum rag_status status = sentence_split(text, strlen(text), &sentences, &n);

    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        const char *s = text + sentences[i].byte_start;
        size_t bytes = sentences[i].byte_end - sentences[i].byte_start;

        if (bytes < SENTENCE_BYTES_MIN || c->n_sentences > c->seen_cap / 2 ||
            !note_sentence(c, s, bytes))
            continue;
        if (c->n_sentences + 2 > c->starts_cap) {
            size_t cap = c->starts_cap ? c->starts_cap * 2 : 1 << 16;
            size_t *starts = realloc(c->starts, cap * sizeof *starts);

            if (!starts) {
                status = RAG_ENOMEM;
                break;
            }
            c->starts = starts;
            c->starts_cap = cap;
        }
        c->starts[c->n_sentences++] = c->text.len;
        buf_append(&c->text, s, bytes);
        buf_append_char(&c->text, ' ');
        c->starts[c->n_sentences] = c->text.len;
        status = buf_status(&c->text);
    }
    free(sentences);
    return status;
}

static enum rag_status add_line(struct corpus *c, const char *line, size_t n, const char *path,
                                struct rag_error *reterr)
{
    struct json *root = NULL;
    const char *text;
    enum rag_status status = json_parse(line, n, path, &root, reterr);

    if (status != RAG_OK)
        return status;
    text = json_string(json_member(root, "text"));
    if (text)
        status = add_text(c, text);
    json_free(root);
    return status;
}

/* Take whole lines off the front of 'pending'. */
static enum rag_status add_lines(struct corpus *c, struct buf *pending, const char *path,
                                 struct rag_error *reterr)
{
    size_t start = 0;
    char *end;
    enum rag_status status = buf_status(pending);

    while (status == RAG_OK && pending->data &&
           (end = memchr(pending->data + start, '\n', pending->len - start)) != NULL) {
        size_t n = (size_t)(end - pending->data) - start;

        if (n)
            status = add_line(c, pending->data + start, n, path, reterr);
        start += n + 1;
    }
    if (start) {
        memmove(pending->data, pending->data + start, pending->len - start);
        pending->len -= start;
    }
    return status;
}

static enum rag_status add_file(struct corpus *c, const char *path, struct rag_error *reterr)
{
    static char in[1 << 16], out[1 << 18];
    FILE *f = fopen(path, "rb");
    ZSTD_DStream *stream = ZSTD_createDStream();
    bool packed = strlen(path) > 4 && strcmp(path + strlen(path) - 4, ".zst") == 0;
    struct buf pending;
    enum rag_status status = RAG_OK;
    size_t got;

    buf_init(&pending, LINE_BYTES_MAX + sizeof out);
    if (!f || !stream)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "text '%s': cannot open", path);
    while (status == RAG_OK && (got = fread(in, 1, sizeof in, f)) > 0) {
        ZSTD_inBuffer source = {in, got, 0};

        if (!packed) {
            buf_append(&pending, in, got);
            status = add_lines(c, &pending, path, reterr);
            continue;
        }
        while (status == RAG_OK && source.pos < source.size) {
            ZSTD_outBuffer target = {out, sizeof out, 0};

            if (ZSTD_isError(ZSTD_decompressStream(stream, &target, &source))) {
                status = rag_fail(reterr, RAG_EFORMAT, "text '%s': not a zstd file", path);
                break;
            }
            buf_append(&pending, out, target.pos);
            status = add_lines(c, &pending, path, reterr);
        }
    }
    buf_release(&pending);
    ZSTD_freeDStream(stream);
    if (f)
        fclose(f);
    return status;
}

enum rag_status corpus_open(const char *const *files, size_t n_files, size_t n_passages,
                            struct corpus **ret, struct rag_error *reterr)
{
    struct analyzer_options options = {0};
    struct corpus *c = calloc(1, sizeof *c);
    enum rag_status status = RAG_OK;

    if (!c)
        return RAG_ENOMEM;
    c->n = n_passages;
    c->zipf_log = log((double)ZIPF_TERMS);
    buf_init(&c->text, TEXT_BYTES_MAX);
    if (n_files) {
        c->seen_cap = 1 << 24;
        c->seen = calloc(c->seen_cap, sizeof *c->seen);
        if (!c->seen)
            status = RAG_ENOMEM;
        else
            status = analyzer_open(&options, &c->analyzer, reterr);
    }
    for (size_t i = 0; i < n_files && status == RAG_OK; i++)
        status = add_file(c, files[i], reterr);
    free(c->seen);
    c->seen = NULL;
    c->per = n_passages ? c->n_sentences / n_passages : 0;
    if (status == RAG_OK && n_files && c->per == 0)
        status = rag_fail(reterr, RAG_EINVAL, "text: %zu sentences are too few for %zu passages",
                          c->n_sentences, n_passages);
    if (c->per > 8)
        c->per = 8; /* a passage of eight sentences is long enough */
    if (status == RAG_OK)
        *ret = c;
    else
        corpus_close(c);
    return status;
}

void corpus_close(struct corpus *c)
{
    if (!c)
        return;
    analyzer_close(c->analyzer);
    term_list_release(&c->terms);
    buf_release(&c->text);
    free(c->starts);
    free(c);
}

size_t corpus_n(const struct corpus *c)
{
    return c->n;
}

bool corpus_is_synthetic(const struct corpus *c)
{
    return c->analyzer == NULL;
}

/* ---- passages ---- */

static int by_term(const void *a, const void *b)
{
    uint64_t x = ((const struct bm25_posting *)a)->term;
    uint64_t y = ((const struct bm25_posting *)b)->term;

    return (x > y) - (x < y);
}

/* Sort terms, each with tf 8, and join repeats. */
static size_t join(struct bm25_posting *postings, size_t n)
{
    size_t n_kept = 0;

    qsort(postings, n, sizeof *postings, by_term);
    for (size_t i = 0; i < n; i++) {
        if (n_kept > 0 && postings[n_kept - 1].term == postings[i].term)
            postings[n_kept - 1].tf += BM25_TF_ONE;
        else
            postings[n_kept++] = postings[i];
    }
    return n_kept;
}

static void synthetic_terms(const struct corpus *c, size_t i, struct bm25_posting *ret)
{
    uint64_t state = i * 0xD1342543DE82EF95ull;

    for (size_t j = 0; j < ZIPF_PASSAGE; j++) {
        /* rank = exp(u * ln V): density 1 / rank */
        double u = (double)(next_random(&state) >> 11) * 0x1p-53;
        uint64_t rank = (uint64_t)exp(u * c->zipf_log);

        ret[j] = (struct bm25_posting){rank * 0x9E3779B97F4A7C15ull, BM25_TF_ONE};
    }
}

enum rag_status corpus_passage(struct corpus *c, size_t i,
                               struct bm25_posting ret[CORPUS_TERMS_MAX], size_t *ret_n,
                               uint32_t *ret_length)
{
    size_t n = ZIPF_PASSAGE;

    if (c->analyzer) {
        size_t from = c->starts[i * c->per];
        size_t to = c->starts[(i + 1) * c->per];
        enum rag_status status =
            analyzer_passage(c->analyzer, c->text.data + from, to - from, &c->terms);

        if (status != RAG_OK)
            return status;
        n = c->terms.n < CORPUS_TERMS_MAX ? c->terms.n : CORPUS_TERMS_MAX;
        for (size_t j = 0; j < n; j++)
            ret[j] = (struct bm25_posting){c->terms.items[j].id, BM25_TF_ONE};
    } else {
        synthetic_terms(c, i, ret);
    }
    *ret_length = (uint32_t)n * BM25_TF_ONE;
    *ret_n = join(ret, n);
    return RAG_OK;
}

/* ---- questions ---- */

static enum rag_status analyze_question(struct corpus *c, const char *text, size_t n,
                                        struct bm25_query_term *ret, size_t *ret_n)
{
    enum rag_status status = analyzer_question(c->analyzer, text, n, &c->terms);

    if (status != RAG_OK)
        return status;
    *ret_n = c->terms.n < CORPUS_QUERY_MAX ? c->terms.n : CORPUS_QUERY_MAX;
    for (size_t i = 0; i < *ret_n; i++)
        ret[i] = (struct bm25_query_term){c->terms.items[i].id, 1.0f};
    return RAG_OK;
}

/* Words first..last (by counter) of the text, or each with a chance of one in 'one_in'. */
static void pick_words(const char *text, size_t n, uint64_t *state, bool run, struct buf *out)
{
    uint32_t n_words = 0;
    uint32_t first;
    uint32_t wanted = 4 + below(state, 5);
    uint32_t word = 0;

    for (size_t i = 0; i < n; i++)
        n_words += text[i] == ' ';
    first = n_words > wanted ? below(state, n_words - wanted + 1) : 0;
    for (size_t i = 0; i < n;) {
        const char *end = memchr(text + i, ' ', n - i);
        size_t bytes = end ? (size_t)(end - (text + i)) : n - i;

        if (run ? word >= first && word < first + wanted : below(state, n_words + 1) < wanted) {
            buf_append(out, text + i, bytes);
            buf_append_char(out, ' ');
        }
        i += bytes + 1;
        word++;
    }
}

enum rag_status corpus_question(struct corpus *c, size_t j,
                                struct bm25_query_term ret[CORPUS_QUERY_MAX], size_t *ret_n,
                                size_t *ret_gold)
{
    uint64_t state = (j + 1) * 0xA0761D6478BD642Full;
    struct buf words;
    enum rag_status status;

    *ret_gold = below(&state, (uint32_t)c->n);
    if (!c->analyzer) {
        struct bm25_posting terms[ZIPF_PASSAGE];
        size_t n;

        synthetic_terms(c, *ret_gold, terms);
        n = join(terms, ZIPF_PASSAGE);
        *ret_n = 0;
        for (size_t i = 0; i < n && *ret_n < 20; i++)
            if (below(&state, 4) == 0)
                ret[(*ret_n)++] = (struct bm25_query_term){terms[i].term, 1.0f};
        return RAG_OK;
    }
    buf_init(&words, LINE_BYTES_MAX);
    do {
        bool run = below(&state, 2) == 0;
        size_t first = *ret_gold * c->per + (run ? below(&state, (uint32_t)c->per) : 0);
        size_t from = c->starts[first];
        size_t to = run ? c->starts[first + 1] : c->starts[(*ret_gold + 1) * c->per];

        buf_reset(&words);
        pick_words(c->text.data + from, to - from, &state, run, &words);
        status = analyze_question(c, buf_str(&words), words.len, ret, ret_n);
    } while (status == RAG_OK && *ret_n == 0);
    buf_release(&words);
    return status;
}
