#define _GNU_SOURCE
#include "guard/keywords.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "guard/rule.h"
#include "text/korean.h"
#include "text/text_file.h"
#include "text/word.h"

#define ROOT 0u

struct node {
    uint32_t parent;
    uint32_t c;       /* the edge from it */
    uint32_t fail;    /* the longest proper suffix that is a node */
    uint32_t shorter; /* the longest proper suffix that is a word; ROOT: none */
    uint16_t n_chars; /* depth */
    bool is_word;
};
struct edge {
    uint32_t from;
    uint32_t c; /* 0: an empty place */
    uint32_t to;
};

struct keywords {
    bool whole;
    struct suffix_tables *suffixes; /* owned; NULL unless whole */
    struct node *nodes;             /* owned; [0] is the root */
    size_t n_nodes;
    size_t cap_nodes;
    struct edge *edges; /* owned; open addressing, at most half full */
    size_t n_places;    /* a power of two */
    size_t n_words;
};

enum rag_status keywords_new(bool whole, struct keywords **ret, struct rag_error *reterr)
{
    struct keywords *k = calloc(1, sizeof *k);

    if (!k)
        return rag_fail(reterr, RAG_ENOMEM, "words: out of memory");
    k->whole = whole;
    k->cap_nodes = 64;
    k->n_nodes = 1;
    k->n_places = 128;
    k->nodes = calloc(k->cap_nodes, sizeof *k->nodes);
    k->edges = calloc(k->n_places, sizeof *k->edges);
    k->suffixes = whole ? suffix_tables_new() : NULL;
    if (!k->nodes || !k->edges || (whole && !k->suffixes)) {
        keywords_free(k);
        return rag_fail(reterr, RAG_ENOMEM, "words: out of memory");
    }
    *ret = k;
    return RAG_OK;
}

void keywords_free(struct keywords *k)
{
    if (!k)
        return;
    suffix_tables_free(k->suffixes);
    free(k->nodes);
    free(k->edges);
    free(k);
}

/* Where the edge is, or the empty place where it would be. */
static struct edge *place_of(struct edge *edges, size_t n_places, uint32_t from, uint32_t c)
{
    uint64_t state = ((uint64_t)from << 32) | c;
    size_t i = (size_t)splitmix_next(&state) & (n_places - 1);

    while (edges[i].c != 0 && (edges[i].from != from || edges[i].c != c))
        i = (i + 1) & (n_places - 1);
    return &edges[i];
}

static enum rag_status grow(struct keywords *k)
{
    if (k->n_nodes == k->cap_nodes) {
        struct node *nodes = realloc(k->nodes, k->cap_nodes * 2 * sizeof *nodes);

        if (!nodes)
            return RAG_ENOMEM;
        k->nodes = nodes;
        k->cap_nodes *= 2;
    }
    if (k->n_nodes * 2 >= k->n_places) {
        struct edge *edges = calloc(k->n_places * 2, sizeof *edges);

        if (!edges)
            return RAG_ENOMEM;
        for (size_t i = 0; i < k->n_places; i++)
            if (k->edges[i].c != 0)
                *place_of(edges, k->n_places * 2, k->edges[i].from, k->edges[i].c) = k->edges[i];
        free(k->edges);
        k->edges = edges;
        k->n_places *= 2;
    }
    return RAG_OK;
}

static enum rag_status add_char(struct keywords *k, uint32_t *node, uint32_t c)
{
    struct edge *edge = place_of(k->edges, k->n_places, *node, c);

    if (edge->c == 0) {
        enum rag_status status = grow(k);

        if (status != RAG_OK)
            return status;
        edge = place_of(k->edges, k->n_places, *node, c);
        k->nodes[k->n_nodes] = (struct node){
            .parent = *node, .c = c, .n_chars = (uint16_t)(k->nodes[*node].n_chars + 1)};
        *edge = (struct edge){*node, c, (uint32_t)k->n_nodes};
        k->n_nodes++;
    }
    *node = edge->to;
    return RAG_OK;
}

enum rag_status keywords_add(struct keywords *k, const char *word, size_t n,
                             struct rag_error *reterr)
{
    struct word_reader reader;
    uint32_t node = ROOT;
    struct word w;

    word_reader_init(&reader, word, n);
    while (word_next(&reader, &w)) {
        if (k->nodes[node].n_chars + w.n + 1 > GUARD_KEYWORD_CHARS_MAX)
            return rag_fail(reterr, RAG_EINVAL, "a word of more than %d characters",
                            GUARD_KEYWORD_CHARS_MAX - 1);
        if (k->n_nodes + w.n + 1 > GUARD_KEYWORD_LETTERS_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "over %u letters", GUARD_KEYWORD_LETTERS_MAX);
        if (node != ROOT && add_char(k, &node, ' ') != RAG_OK)
            return rag_fail(reterr, RAG_ENOMEM, "out of memory");
        for (size_t i = 0; i < w.n; i++)
            if (add_char(k, &node, w.chars[i].c) != RAG_OK)
                return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    }
    if (node == ROOT)
        return rag_fail(reterr, RAG_EINVAL, "a word without a character that counts");
    if (!k->nodes[node].is_word && k->n_words++ == GUARD_KEYWORDS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "over %d words", GUARD_KEYWORDS_MAX);
    k->nodes[node].is_word = true;
    return RAG_OK;
}

/* The node of the longest suffix that can be extended by c, extended. */
static uint32_t step(const struct keywords *k, uint32_t node, uint32_t c)
{
    for (;;) {
        const struct edge *edge = place_of(k->edges, k->n_places, node, c);

        if (edge->c != 0)
            return edge->to;
        if (node == ROOT)
            return ROOT;
        node = k->nodes[node].fail;
    }
}

enum rag_status keywords_build(struct keywords *k, struct rag_error *reterr)
{
    size_t starts[GUARD_KEYWORD_CHARS_MAX + 2] = {0};
    uint32_t *order = calloc(k->n_nodes, sizeof *order);

    if (!order)
        return rag_fail(reterr, RAG_ENOMEM, "words: out of memory");
    for (size_t i = 0; i < k->n_nodes; i++)
        starts[k->nodes[i].n_chars + 1]++;
    for (size_t depth = 1; depth < sizeof starts / sizeof starts[0]; depth++)
        starts[depth] += starts[depth - 1];
    for (size_t i = 0; i < k->n_nodes; i++)
        order[starts[k->nodes[i].n_chars]++] = (uint32_t)i;
    for (size_t i = 1; i < k->n_nodes; i++) { /* shallow first: what they point at is done */
        struct node *node = &k->nodes[order[i]];

        node->fail = node->parent == ROOT ? ROOT : step(k, k->nodes[node->parent].fail, node->c);
        node->shorter = k->nodes[node->fail].is_word ? node->fail : k->nodes[node->fail].shorter;
    }
    free(order);
    return RAG_OK;
}

/* ---- looking ---- */

/* Characters that a word may consist of together. */
enum group { GROUP_NONE, GROUP_HANGUL, GROUP_LATIN, GROUP_HAN, GROUP_KANA };

static enum group group_of(uint8_t script)
{
    switch (script) {
    case SCRIPT_HANGUL:
    case SCRIPT_JAMO:
        return GROUP_HANGUL;
    case SCRIPT_LETTER:
    case SCRIPT_DIGIT:
        return GROUP_LATIN;
    case SCRIPT_HAN:
        return GROUP_HAN;
    case SCRIPT_KANA:
        return GROUP_KANA;
    default:
        return GROUP_NONE;
    }
}

#define RING (2 * GUARD_KEYWORD_CHARS_MAX) /* a power of two, over the longest word and one */

struct seen {
    uint32_t c;
    uint32_t byte_start;
    uint8_t script;
};

struct search {
    const struct keywords *k;
    const struct finding_sink *sink;
    struct seen ring[RING]; /* the last characters */
    uint64_t n;             /* seen so far */
    uint32_t node;
    uint32_t pending_start; /* found, and not reported: a longer one may follow */
    uint32_t pending_end;   /* 0: none */
    bool stop;
};

static bool begins_word(const struct search *s, uint64_t first)
{
    enum group own = group_of(s->ring[first % RING].script);

    if (first == 0 || own == GROUP_NONE)
        return true;
    return group_of(s->ring[(first - 1) % RING].script) != own;
}

/* Is w, from 'at' on, the end of a word of n_chars that end there, or of its particles? */
static bool ends_word(const struct search *s, const struct word *w, size_t at, size_t n_chars)
{
    enum group own = group_of(w->chars[at - 1].script);
    uint32_t run[WORD_CHARS_MAX];
    size_t n_word = 0;
    size_t end = at;
    struct stem stem;
    size_t n = 0;

    if (at == w->n || own == GROUP_NONE || group_of(w->chars[at].script) != own)
        return true;
    if (own != GROUP_HANGUL)
        return false;
    while (n_word < n_chars && n_word < at && w->chars[at - n_word - 1].script == SCRIPT_HANGUL)
        n_word++;
    while (end < w->n && w->chars[end].script == SCRIPT_HANGUL)
        end++;
    if (end < w->n && w->chars[end].script == SCRIPT_JAMO)
        return false;
    for (size_t i = at - n_word; i < end; i++)
        run[n++] = w->chars[i].c;
    if (n == n_word || n_word == 0)
        return n == n_word;
    stem = korean_stem(s->k->suffixes, run, n, false, SUFFIX_PARTICLES | SUFFIX_VERBS);
    if (stem.n == n_word && stem.shape != STEM_WHOLE)
        return true;
    stem = korean_stem(s->k->suffixes, run + n_word, n - n_word, true, SUFFIX_PARTICLES);
    return stem.shape == STEM_EMPTY;
}

static void report(struct search *s)
{
    if (s->pending_end > 0 && !s->stop)
        s->stop =
            !s->sink->on_finding(s->sink->context, "keyword", s->pending_start, s->pending_end, 1);
    s->pending_end = 0;
}

/* The longest word that ends with character 'at' - 1 of w. */
static void look(struct search *s, const struct word *w, size_t at)
{
    const struct node *nodes = s->k->nodes;
    uint32_t node = nodes[s->node].is_word ? s->node : nodes[s->node].shorter;

    for (; node != ROOT; node = nodes[node].shorter) {
        uint64_t first = s->n - nodes[node].n_chars;
        uint32_t start = s->ring[first % RING].byte_start;

        if (s->k->whole && (!begins_word(s, first) || !ends_word(s, w, at, nodes[node].n_chars)))
            continue;
        if (s->pending_end > 0 && start > s->pending_start)
            report(s);
        s->pending_start = start;
        s->pending_end = w->chars[at - 1].byte_end;
        return;
    }
    /* what is being read begins later than the one found: that will not get longer */
    if (s->pending_end > 0 &&
        (s->node == ROOT ||
         s->ring[(s->n - nodes[s->node].n_chars) % RING].byte_start > s->pending_start))
        report(s);
}

static void put(struct search *s, uint32_t c, uint32_t byte_start, uint8_t script)
{
    s->ring[s->n++ % RING] = (struct seen){c, byte_start, script};
    s->node = step(s->k, s->node, c);
}

/* Only zero-width blanks between two words: what somebody put there hides a word. */
static bool is_invisible(const char *s, size_t n)
{
    for (; n >= 3 && memcmp(s, "\xE2\x80\x8B", 3) == 0; n -= 3)
        s += 3;
    return n == 0;
}

void keywords_find(const struct keywords *k, const char *text, size_t n,
                   const struct finding_sink *sink)
{
    struct search s = {.k = k, .sink = sink};
    struct word_reader reader;
    uint32_t end = 0;
    struct word w;

    word_reader_init(&reader, text, n);
    while (!s.stop && word_next(&reader, &w)) {
        if (w.n == 0) /* nothing but combining marks */
            continue;
        if (s.n > 0 && !is_invisible(text + end, w.chars[0].byte_start - end))
            put(&s, ' ', end, SCRIPT_MARK);
        for (size_t i = 0; i < w.n && !s.stop; i++) {
            put(&s, w.chars[i].c, w.chars[i].byte_start, w.chars[i].script);
            look(&s, &w, i + 1);
        }
        end = w.chars[w.n - 1].byte_end;
    }
    report(&s);
}

/* ---- the kind of rule ---- */

static enum rag_status add_word(void *context, const char *word, struct rag_error *reterr)
{
    struct rag_error inner = {0};
    enum rag_status status = keywords_add(context, word, strlen(word), &inner);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "words: '%.100s': %s", word, inner.text);
    return RAG_OK;
}

/* A word a line; empty lines and those that begin with '#' are passed over. */
static enum rag_status add_file(struct keywords *k, const char *path, struct buf *contents,
                                struct rag_error *reterr)
{
    size_t start = contents->len;
    enum rag_status status = text_file_read(path, GUARD_KEYWORDS_BYTES_MAX, contents, reterr);
    size_t n_line = 0;
    size_t n;

    if (status != RAG_OK)
        return status;
    for (const char *line = buf_str(contents) + start; *line; line += n + (line[n] == '\n')) {
        struct rag_error inner = {0};

        n = strcspn(line, "\n");
        n_line++;
        if (line[0] == '#' || strspn(line, " \t\n") >= n)
            continue;
        status = keywords_add(k, line, n, &inner);
        if (status != RAG_OK)
            return rag_fail(reterr, status, "file '%s': line %zu: %s", path, n_line, inner.text);
    }
    return RAG_OK;
}

static enum rag_status read_match(const struct json *object, bool *ret_whole,
                                  struct rag_error *reterr)
{
    const char *match = "word";
    enum rag_status status = json_get_string(object, "match", 16, &match, reterr);

    if (status != RAG_OK)
        return status;
    if (strcmp(match, "word") != 0 && strcmp(match, "part") != 0)
        return rag_fail(reterr, RAG_EINVAL, "match: '%s' is not word or part", match);
    *ret_whole = strcmp(match, "word") == 0;
    return RAG_OK;
}

static void close_rule(void *state)
{
    keywords_free(state);
}

static enum rag_status open_rule(const struct rule_source *source, void **ret,
                                 struct rag_error *reterr)
{
    struct keywords *k = NULL;
    char *path = NULL;
    bool whole = true;
    size_t n = 0;
    enum rag_status status = read_match(source->object, &whole, reterr);

    if (status == RAG_OK)
        status = keywords_new(whole, &k, reterr);
    if (status == RAG_OK)
        status = rule_each_text(source->object, "words", GUARD_KEYWORDS_MAX,
                                (size_t)GUARD_KEYWORD_CHARS_MAX * 4, add_word, k, &n, reterr);
    if (status == RAG_OK)
        status = rule_path(source, "file", &path, reterr);
    if (status == RAG_OK && path)
        status = add_file(k, path, source->contents, reterr);
    if (status == RAG_OK && n == 0 && !path)
        status = rag_fail(reterr, RAG_EINVAL, "words: missing; give an array of words, or a file");
    if (status == RAG_OK && k->n_words == 0)
        status = rag_fail(reterr, RAG_EINVAL, "file: '%s' has no words", path);
    if (status == RAG_OK)
        status = keywords_build(k, reterr);
    free(path);
    if (status != RAG_OK) {
        keywords_free(k);
        return status;
    }
    *ret = k;
    return RAG_OK;
}

static enum rag_status check_text(const void *state, const struct rule_check *check,
                                  const struct finding_sink *sink, struct rag_error *reterr)
{
    (void)reterr;
    keywords_find(state, check->text->text, check->text->n_bytes, sink);
    return RAG_OK;
}

static const char *const members[] = {"words", "file", "match", NULL};

const struct rule_kind keywords_kind = {"keywords", members,    RULE_STAGES_ALL, true,
                                        open_rule,  close_rule, check_text};
