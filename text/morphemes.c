#define _GNU_SOURCE
#include "text/morphemes.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"

/* libmecab's opaque types and the functions used of them. */
typedef struct mecab_model_t mecab_model_t;
typedef struct mecab_t mecab_t;
typedef struct mecab_lattice_t mecab_lattice_t;

struct morphemes {
    void *library;        /* owned */
    mecab_model_t *model; /* owned */
    mecab_t *tagger;      /* owned */
    mecab_model_t *(*model_new)(int argc, char **argv);
    void (*model_destroy)(mecab_model_t *model);
    mecab_t *(*new_tagger)(mecab_model_t *model);
    void (*tagger_destroy)(mecab_t *tagger);
    mecab_lattice_t *(*new_lattice)(mecab_model_t *model);
    void (*lattice_destroy)(mecab_lattice_t *lattice);
    void (*set_sentence)(mecab_lattice_t *lattice, const char *text, size_t n);
    int (*parse)(mecab_t *tagger, mecab_lattice_t *lattice);
    const char *(*to_string)(mecab_lattice_t *lattice);
};

void morpheme_list_release(struct morpheme_list *list)
{
    free(list->items);
    *list = (struct morpheme_list){0};
}

static bool load(struct morphemes *m)
{
    const struct {
        const char *name;
        void *function; /* where to put it */
    } wanted[] = {
        {"mecab_model_new",             &m->model_new      },
        {"mecab_model_destroy",         &m->model_destroy  },
        {"mecab_model_new_tagger",      &m->new_tagger     },
        {"mecab_destroy",               &m->tagger_destroy },
        {"mecab_model_new_lattice",     &m->new_lattice    },
        {"mecab_lattice_destroy",       &m->lattice_destroy},
        {"mecab_lattice_set_sentence2", &m->set_sentence   },
        {"mecab_parse_lattice",         &m->parse          },
        {"mecab_lattice_tostr",         &m->to_string      },
    };

    m->library = dlopen("libmecab.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!m->library)
        return false;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *symbol = dlsym(m->library, wanted[i].name);

        if (!symbol)
            return false;
        memcpy(wanted[i].function, &symbol, sizeof symbol); /* POSIX: they are one size */
    }
    return true;
}

enum rag_status morphemes_open(const char *dictionary, struct morphemes **ret,
                               struct rag_error *reterr)
{
    struct morphemes *m = calloc(1, sizeof *m);
    char program[] = "mecab";
    char no_rc[] = "--rcfile=/dev/null";
    char option[] = "-d";
    char *path = strdup(dictionary);
    char *argv[] = {program, no_rc, option, path};
    enum rag_status status = RAG_OK;

    if (!m || !path) {
        status = rag_fail(reterr, RAG_ENOMEM, "analyzer: out of memory");
        goto out;
    }
    if (!load(m)) {
        status = rag_fail(reterr, RAG_EINVAL,
                          "mecab dictionary '%s': libmecab.so.2 cannot be loaded (install "
                          "libmecab2 or leave the setting out)",
                          dictionary);
        goto out;
    }
    m->model = m->model_new(4, argv);
    if (m->model)
        m->tagger = m->new_tagger(m->model);
    if (!m->tagger) {
        status = rag_fail(reterr, RAG_EINVAL,
                          "mecab dictionary '%s': not a compiled dictionary (sys.dic, matrix.bin, "
                          "char.bin, unk.dic, dicrc)",
                          dictionary);
        goto out;
    }
    *ret = m;
    m = NULL; /* the caller's now */
out:
    morphemes_close(m);
    free(path);
    return status;
}

void morphemes_close(struct morphemes *m)
{
    if (!m)
        return;
    if (m->tagger)
        m->tagger_destroy(m->tagger);
    if (m->model)
        m->model_destroy(m->model);
    if (m->library)
        dlclose(m->library);
    free(m);
}

/* The kind of a tag of the mecab-ko-dic set; of an inflected entry ("VV+EC") the first
 * part counts. */
static enum morpheme_kind kind_of(const char *tag)
{
    switch (tag[0]) {
    case 'N':
        return MORPHEME_NOUN;
    case 'X':
        /* prefix, noun suffix, root; the suffixes that make verbs are empty */
        return strncmp(tag, "XSV", 3) == 0 || strncmp(tag, "XSA", 3) == 0 ? MORPHEME_EMPTY
                                                                          : MORPHEME_NOUN;
    case 'V':
        return tag[1] == 'V' || tag[1] == 'A' ? MORPHEME_VERB : MORPHEME_EMPTY;
    case 'M':
        return strncmp(tag, "MAJ", 3) == 0 ? MORPHEME_EMPTY : MORPHEME_OTHER;
    case 'I':
    case 'U':
        return MORPHEME_OTHER;
    case 'S':
        return tag[1] == 'L' || tag[1] == 'H' || tag[1] == 'N' ? MORPHEME_OTHER : MORPHEME_EMPTY;
    default:
        return MORPHEME_EMPTY;
    }
}

static enum rag_status add(struct morpheme_list *list, size_t start, size_t end,
                           enum morpheme_kind kind)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 256;
        struct morpheme *grown = realloc(list->items, cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = (struct morpheme){(uint32_t)start, (uint32_t)end, (uint8_t)kind};
    return RAG_OK;
}

/* Lines "surface<TAB>tag,...": the surfaces follow one another in the text with nothing
 * but white space between them. */
static enum rag_status read_result(const char *result, const char *text, size_t start, size_t end,
                                   struct morpheme_list *ret)
{
    enum rag_status status = RAG_OK;
    size_t at = start;

    while (status == RAG_OK && *result) {
        size_t n_line = strcspn(result, "\n");
        const char *tab = memchr(result, '\t', n_line);
        size_t n = tab ? (size_t)(tab - result) : 0;

        if (!tab) /* EOS */
            break;
        while (at < end && (end - at < n || memcmp(text + at, result, n) != 0))
            at++;
        if (n == 0 || at >= end)
            break;
        status = add(ret, at, at + n, kind_of(tab + 1));
        at += n;
        result += n_line + (result[n_line] == '\n');
    }
    return status;
}

/* The end of the piece at 'at': a line, or as much of one as is parsed at once. */
static size_t piece_end(const char *text, size_t n, size_t at)
{
    const char *newline = memchr(text + at, '\n', n - at);
    size_t end = newline ? (size_t)(newline - text) : n;
    size_t cut;

    if (end - at <= MORPHEME_PIECE_BYTES_MAX)
        return end;
    cut = at + MORPHEME_PIECE_BYTES_MAX;
    for (size_t i = cut; i > at + MORPHEME_PIECE_BYTES_MAX / 2; i--)
        if (text[i] == ' ')
            return i;
    return utf8_floor(text, n, cut);
}

enum rag_status morphemes_read(const struct morphemes *m, const char *text, size_t n,
                               struct morpheme_list *ret)
{
    mecab_lattice_t *lattice = m->new_lattice(m->model);
    enum rag_status status = lattice ? RAG_OK : RAG_ENOMEM;

    ret->n = 0;
    for (size_t at = 0, end; at < n && status == RAG_OK; at = end) {
        const char *result;

        end = piece_end(text, n, at);
        if (end == at) { /* an empty line */
            end++;
            continue;
        }
        m->set_sentence(lattice, text + at, end - at);
        result = m->parse(m->tagger, lattice) ? m->to_string(lattice) : NULL;
        if (result)
            status = read_result(result, text, at, end, ret);
    }
    if (lattice)
        m->lattice_destroy(lattice);
    return status;
}
