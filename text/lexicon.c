#define _GNU_SOURCE
#include "text/lexicon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "text/text_file.h"

#define SYNONYM_WEIGHT 0.5f /* of the word that was asked: the writer chose that one */

void lexicon_release(struct lexicon *x)
{
    for (size_t i = 0; i < x->n_synonyms; i++)
        term_list_release(&x->synonyms[i].terms);
    free(x->synonyms);
    free(x->words);
    *x = (struct lexicon){0};
}

/* The next line without comment and white space at its ends; false at the end. */
static bool next_line(const char **text, const char **ret_line, size_t *ret_n, size_t *n_line)
{
    const char *s = *text;
    size_t n = strcspn(s, "\n");

    if (*s == '\0')
        return false;
    *text = s + n + (s[n] == '\n');
    if (memchr(s, '#', n))
        n = strcspn(s, "#");
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    *ret_line = s;
    *ret_n = n;
    (*n_line)++;
    return true;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

static enum rag_status add_word(struct lexicon *x, size_t *cap, const char *word, size_t n)
{
    uint32_t syllables[WORD_CHARS_MAX];
    size_t n_syllables = 0;

    for (size_t at = 0, step; at < n && n_syllables < WORD_CHARS_MAX; at += step)
        syllables[n_syllables++] = utf8_decode(word + at, &step);
    if (x->n_words == *cap) {
        uint64_t *grown = realloc(x->words, (*cap + 256) * 2 * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        x->words = grown;
        *cap = (*cap + 256) * 2;
    }
    x->words[x->n_words++] = XXH3_64bits(syllables, n_syllables * sizeof *syllables);
    if (n_syllables > x->n_syllables_max)
        x->n_syllables_max = n_syllables;
    return RAG_OK;
}

enum rag_status lexicon_read_dictionary(struct lexicon *x, const char *path, struct buf *contents,
                                        struct rag_error *reterr)
{
    size_t start = contents->len;
    enum rag_status status = text_file_read(path, USER_DICTIONARY_BYTES_MAX, contents, reterr);
    const char *text;
    const char *line;
    size_t n_line = 0;
    size_t cap = 0;
    size_t n;

    if (status != RAG_OK)
        return status;
    text = buf_str(contents) + start;
    while (status == RAG_OK && next_line(&text, &line, &n, &n_line)) {
        if (n == 0)
            continue;
        if (memchr(line, ' ', n) || memchr(line, '\t', n))
            return rag_fail(reterr, RAG_EFORMAT, "file '%s', line %zu: '%.*s' is not one word",
                            path, n_line, (int)(n > 80 ? 80 : n), line);
        if (utf8_count(line, n) > WORD_CHARS_MAX)
            return rag_fail(reterr, RAG_EFORMAT,
                            "file '%s', line %zu: word of %zu characters (at most %d)", path,
                            n_line, utf8_count(line, n), WORD_CHARS_MAX);
        status = add_word(x, &cap, line, n);
    }
    if (status != RAG_OK)
        return rag_fail(reterr, status, "file '%s': out of memory", path);
    if (x->n_words > 0)
        qsort(x->words, x->n_words, sizeof *x->words, by_value);
    return RAG_OK;
}

static enum rag_status add_synonym(struct lexicon *x, size_t *cap, size_t group,
                                   struct term_list *terms)
{
    if (x->n_synonyms == *cap) {
        struct synonym *grown = realloc(x->synonyms, (*cap + 64) * 2 * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        x->synonyms = grown;
        *cap = (*cap + 64) * 2;
    }
    x->synonyms[x->n_synonyms++] = (struct synonym){group, *terms}; /* takes the memory */
    *terms = (struct term_list){0};
    return RAG_OK;
}

static enum rag_status read_group(struct lexicon *x, size_t *cap, size_t group, const char *line,
                                  size_t n, lexicon_analyze_fn analyze, const void *context)
{
    enum rag_status status = RAG_OK;

    for (size_t at = 0, end; at < n && status == RAG_OK; at = end + 1) {
        const char *comma = memchr(line + at, ',', n - at);
        struct term_list terms = {0};

        end = comma ? (size_t)(comma - line) : n;
        status = analyze(context, line + at, end - at, &terms);
        if (status == RAG_OK && terms.n > 0)
            status = add_synonym(x, cap, group, &terms);
        term_list_release(&terms);
    }
    return status;
}

enum rag_status lexicon_read_synonyms(struct lexicon *x, const char *path,
                                      lexicon_analyze_fn analyze, const void *context,
                                      struct buf *contents, struct rag_error *reterr)
{
    size_t start = contents->len;
    enum rag_status status = text_file_read(path, SYNONYMS_BYTES_MAX, contents, reterr);
    const char *text;
    const char *line;
    size_t n_line = 0;
    size_t cap = 0;
    size_t n;

    if (status != RAG_OK)
        return status;
    text = buf_str(contents) + start;
    while (status == RAG_OK && next_line(&text, &line, &n, &n_line)) {
        if (n > 0 && !memchr(line, ',', n))
            return rag_fail(reterr, RAG_EFORMAT,
                            "file '%s', line %zu: one word has no synonym (words are separated "
                            "by commas)",
                            path, n_line);
        status = read_group(x, &cap, n_line, line, n, analyze, context);
    }
    if (status != RAG_OK)
        return rag_fail(reterr, status, "file '%s': out of memory", path);
    return RAG_OK;
}

static bool has_word(const struct lexicon *x, uint64_t hash)
{
    return bsearch(&hash, x->words, x->n_words, sizeof hash, by_value) != NULL;
}

size_t lexicon_prefix(const struct lexicon *x, const uint32_t *s, size_t n)
{
    size_t max = n < x->n_syllables_max ? n : x->n_syllables_max;

    for (size_t k = x->n_words ? max : 0; k > 0; k--)
        if (has_word(x, XXH3_64bits(s, k * sizeof *s)))
            return k;
    return 0;
}

static const struct term *find(const struct term_list *list, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (list->items[i].id == id)
            return &list->items[i];
    return NULL;
}

/* Does the question hold the synonym? Its bigrams, words and numbers decide; the stem
 * term only where there is nothing else, so that 휴가 is seen in 휴가규정. */
static const struct term *occurs(const struct synonym *s, const struct term_list *list, size_t n)
{
    const struct term *first = NULL;
    bool only_stems = true;

    for (size_t i = 0; i < s->terms.n; i++)
        only_stems = only_stems && s->terms.items[i].kind == TERM_STEM;
    for (size_t i = 0; i < s->terms.n; i++) {
        const struct term *found;

        if (s->terms.items[i].kind == TERM_STEM && !only_stems)
            continue;
        found = find(list, n, s->terms.items[i].id);
        if (!found)
            return NULL;
        if (!first)
            first = found;
    }
    return first;
}

static enum rag_status add_group(const struct lexicon *x, size_t asked, struct term_list *list,
                                 struct term at)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < x->n_synonyms && status == RAG_OK; i++) {
        const struct synonym *s = &x->synonyms[i];

        if (i == asked || s->group != x->synonyms[asked].group)
            continue;
        for (size_t k = 0; k < s->terms.n && status == RAG_OK; k++) {
            struct term term = s->terms.items[k];

            if (find(list, list->n, term.id))
                continue;
            term.byte_start = at.byte_start;
            term.byte_end = at.byte_end;
            term.position = at.position;
            term.weight *= SYNONYM_WEIGHT;
            term.kind = TERM_SYNONYM;
            status = term_list_push(list, &term);
        }
    }
    return status;
}

enum rag_status lexicon_expand(const struct lexicon *x, struct term_list *list)
{
    const size_t n = list->n; /* what is added does not expand further */
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < x->n_synonyms && status == RAG_OK; i++) {
        const struct term *found = occurs(&x->synonyms[i], list, n);

        if (found)
            status = add_group(x, i, list, *found);
    }
    return status;
}
