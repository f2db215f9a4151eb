#include "eval/cache_pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "text/nfc.h"

#define NO_TEXT UINT32_MAX

/* A line of a question set. */
struct asked {
    const char *id;
    const char *of; /* "" */
    uint32_t text;
};

struct reader {
    struct cache_pairs *p;
    char where[320]; /* "file 'x' line 3" */
    struct buf scratch;
    struct asked *asked; /* owned */
    size_t n_asked;
    size_t cap_asked;
};

void cache_pairs_release(struct cache_pairs *p)
{
    free(p->texts);
    free(p->slots);
    free(p->pairs);
    arena_release(&p->arena);
    memset(p, 0, sizeof *p);
}

static enum rag_status no_memory(const struct reader *r, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", r->where);
}

/* Room for one more of *n items of 'size' bytes. */
static bool grow(void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 256;
    void *moved = realloc(*items, more * size);
    if (!moved)
        return false;
    *items = moved;
    *cap = more;
    return true;
}

/* ---- texts, each once ---- */

/* FNV-1a, 64 bits: Fowler, Noll and Vo. */
static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return h;
}

static uint32_t *slot_of(const struct cache_pairs *p, const char *s, size_t n)
{
    size_t at = (size_t)hash_bytes(s, n) & (p->n_slots - 1);
    while (p->slots[at] != 0) {
        const struct cache_text *t = &p->texts[p->slots[at] - 1];
        if (t->n_bytes == n && memcmp(t->text, s, n) == 0)
            break;
        at = (at + 1) & (p->n_slots - 1);
    }
    return &p->slots[at];
}

static bool more_slots(struct cache_pairs *p)
{
    if (p->n_texts * 2 < p->n_slots)
        return true;
    size_t n = p->n_slots ? p->n_slots * 2 : 1024;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return false;
    free(p->slots);
    p->slots = slots;
    p->n_slots = n;
    for (size_t i = 0; i < p->n_texts; i++)
        *slot_of(p, p->texts[i].text, p->texts[i].n_bytes) = (uint32_t)(i + 1);
    return true;
}

/* The number of a text in NFC; NO_TEXT without memory. */
static uint32_t number_of(struct cache_pairs *p, const char *s, size_t n)
{
    if (!more_slots(p) || !grow((void **)&p->texts, p->n_texts, &p->cap_texts, sizeof *p->texts))
        return NO_TEXT;
    uint32_t *slot = slot_of(p, s, n);
    if (*slot != 0)
        return *slot - 1;
    char *copy = arena_strndup(&p->arena, s, n);
    if (!copy)
        return NO_TEXT;
    uint32_t number = (uint32_t)p->n_texts++;
    p->texts[number] = (struct cache_text){.text = copy, .n_bytes = n, .same = number};
    *slot = number + 1;
    return number;
}

/* ---- pairs ---- */

enum rag_status cache_pairs_add(struct cache_pairs *p, const struct cache_pair *pair)
{
    if (p->n >= EVAL_CACHE_PAIRS_MAX)
        return RAG_ELIMIT;
    if (!grow((void **)&p->pairs, p->n, &p->cap, sizeof *p->pairs))
        return RAG_ENOMEM;
    p->pairs[p->n++] = *pair;
    return RAG_OK;
}

static enum rag_status add_pair(struct reader *r, const struct cache_pair *pair,
                                struct rag_error *reterr)
{
    enum rag_status status = cache_pairs_add(r->p, pair);
    if (status == RAG_ELIMIT)
        return rag_fail(reterr, status, "%s: more than %d pairs; give fewer", r->where,
                        EVAL_CACHE_PAIRS_MAX);
    return status == RAG_OK ? RAG_OK : no_memory(r, reterr);
}

/* Union-find with path halving (Tarjan and van Leeuwen, JACM 31, 1984): equivalence carries over
 * from pair to pair. */
static uint32_t root_of(struct cache_text *texts, uint32_t i)
{
    while (texts[i].same != i) {
        texts[i].same = texts[texts[i].same].same;
        i = texts[i].same;
    }
    return i;
}

static void join_equivalent(struct cache_pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct cache_pair *pair = &p->pairs[i];
        if (pair->label == CACHE_EQUIVALENT)
            p->texts[root_of(p->texts, pair->b)].same = root_of(p->texts, pair->a);
    }
    for (uint32_t i = 0; i < p->n_texts; i++)
        p->texts[i].same = root_of(p->texts, i);
}

/* ---- lines ---- */

static enum rag_status read_question(struct reader *r, const struct json *line, const char *key,
                                     uint32_t *ret, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *text = NULL;
    enum rag_status status = json_get_string(line, key, QUESTION_BYTES_MAX, &text, &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    if (!text || text[strspn(text, " \t\n")] == '\0')
        return rag_fail(reterr, RAG_EFORMAT, "%s: '%s' is missing or empty", r->where, key);
    buf_reset(&r->scratch);
    status = nfc_append(text, strlen(text), &r->scratch, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    *ret = number_of(r->p, buf_str(&r->scratch), r->scratch.len);
    return *ret == NO_TEXT ? no_memory(r, reterr) : RAG_OK;
}

/* A short text that is kept; "" when it is absent. */
static enum rag_status read_short(struct reader *r, const struct json *line, const char *key,
                                  const char **ret, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    const char *text = "";
    enum rag_status status = json_get_string(line, key, EVAL_CACHE_NAME_BYTES_MAX, &text, &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    *ret = arena_strdup(&r->p->arena, text);
    return *ret ? RAG_OK : no_memory(r, reterr);
}

static enum rag_status read_label(const struct reader *r, const struct json *line, uint8_t *ret,
                                  struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    bool equivalent = false;
    double score = NAN;
    enum rag_status status = json_get_bool(line, "equivalent", &equivalent, &inner);

    if (status == RAG_OK)
        status = json_get_double(line, "score0_5", 0, 5, &score, &inner);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s: %s", r->where, inner.text);
    if (json_member(line, "equivalent"))
        *ret = equivalent ? CACHE_EQUIVALENT : CACHE_DIFFERENT;
    else if (isnan(score))
        return rag_fail(reterr, RAG_EFORMAT,
                        "%s: needs \"equivalent\" (true or false) or \"score0_5\"", r->where);
    else
        *ret = score >= CACHE_SCORE_EQUIVALENT ? CACHE_EQUIVALENT
               : score < CACHE_SCORE_DIFFERENT ? CACHE_DIFFERENT
                                               : CACHE_BETWEEN;
    return RAG_OK;
}

static enum rag_status read_pair(struct reader *r, const struct json *line,
                                 struct rag_error *reterr)
{
    struct cache_pair pair = {0};
    enum rag_status status = read_question(r, line, "a", &pair.a, reterr);

    if (status == RAG_OK)
        status = read_question(r, line, "b", &pair.b, reterr);
    if (status == RAG_OK)
        status = read_label(r, line, &pair.label, reterr);
    if (status == RAG_OK)
        status = read_short(r, line, "kind", &pair.kind, reterr);
    return status == RAG_OK ? add_pair(r, &pair, reterr) : status;
}

static enum rag_status read_asked(struct reader *r, const struct json *line,
                                  struct rag_error *reterr)
{
    struct asked asked = {0};
    enum rag_status status = read_question(r, line, "question", &asked.text, reterr);

    if (status == RAG_OK)
        status = read_short(r, line, "id", &asked.id, reterr);
    if (status == RAG_OK)
        status = read_short(r, line, "of", &asked.of, reterr);
    if (status != RAG_OK)
        return status;
    if (!grow((void **)&r->asked, r->n_asked, &r->cap_asked, sizeof *r->asked))
        return no_memory(r, reterr);
    r->asked[r->n_asked++] = asked;
    return RAG_OK;
}

static enum rag_status read_line(struct reader *r, const struct buf *line, struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status;

    if (buf_str(line)[strspn(buf_str(line), " \t\r")] == '\0')
        return RAG_OK;
    status = json_parse(buf_str(line), line->len, r->where, &root, reterr);
    if (status != RAG_OK)
        return status;
    if (json_member(root, "question"))
        status = read_asked(r, root, reterr);
    else
        status = read_pair(r, root, reterr);
    json_free(root);
    return status;
}

/* The rewordings of a question set with their originals. */
static enum rag_status pair_rewordings(struct reader *r, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    r->p->questions = r->n_asked > 0;
    for (size_t i = 0; i < r->n_asked && status == RAG_OK; i++) {
        size_t k = 0;

        if (r->asked[i].of[0] == '\0')
            continue;
        while (k < r->n_asked && strcmp(r->asked[k].id, r->asked[i].of) != 0)
            k++;
        if (k == r->n_asked)
            return rag_fail(reterr, RAG_EFORMAT,
                            "%s: question '%s' rewords '%s', which is not there", r->where,
                            r->asked[i].id, r->asked[i].of);
        struct cache_pair pair = {
            .a = r->asked[k].text, .b = r->asked[i].text, .label = CACHE_EQUIVALENT, .kind = ""};
        status = add_pair(r, &pair, reterr);
    }
    return status;
}

enum rag_status cache_pairs_read(struct input *in, struct cache_pairs *ret,
                                 struct rag_error *reterr)
{
    struct cache_pairs pairs = {0};
    struct reader r = {.p = &pairs};
    enum rag_status status = RAG_OK;
    struct buf line;
    bool end = false;

    arena_init(&pairs.arena, EVAL_CACHE_TEXT_BYTES_MAX);
    buf_init(&r.scratch, QUESTION_BYTES_MAX * 4);
    buf_init(&line, EVAL_CACHE_LINE_BYTES_MAX);
    while (status == RAG_OK) {
        status = input_line(in, &line, &end, reterr);
        if (status != RAG_OK || end)
            break;
        snprintf(r.where, sizeof r.where, "file '%.200s' line %zu", input_name(in),
                 input_line_number(in));
        status = read_line(&r, &line, reterr);
    }
    snprintf(r.where, sizeof r.where, "file '%.200s'", input_name(in));
    if (status == RAG_OK)
        status = pair_rewordings(&r, reterr);
    if (status == RAG_OK && pairs.n == 0)
        status =
            rag_fail(reterr, RAG_EFORMAT,
                     "%s: has no pairs; a line is {\"a\", \"b\", \"equivalent\"}, {\"a\", \"b\", "
                     "\"score0_5\"} or a question with \"of\"",
                     r.where);
    if (status == RAG_OK) {
        join_equivalent(&pairs);
        *ret = pairs;
        pairs = (struct cache_pairs){0}; /* the caller's now */
    }
    free(r.asked);
    buf_release(&r.scratch);
    buf_release(&line);
    cache_pairs_release(&pairs);
    return status;
}
