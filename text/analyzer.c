#define _GNU_SOURCE
#include "text/analyzer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "text/terms.h"

struct analyzer {
    char fingerprint[ANALYZER_FINGERPRINT_BYTES];
    struct suffix_tables *suffixes; /* owned */
    struct lexicon lexicon;
    struct morphemes *morphemes; /* owned; NULL: stems by tables */
    struct term_rules rules;     /* borrows the tables and the lexicon */
};

static const struct {
    const char *name;
    unsigned bit;
} feature_names[] = {
    {"particles",      FEATURE_PARTICLES     },
    {"verbs",          FEATURE_VERBS         },
    {"noun-ends",      FEATURE_NOUN_ENDS     },
    {"stems",          FEATURE_STEMS         },
    {"straddle",       FEATURE_STRADDLE      },
    {"damping",        FEATURE_DAMPING       },
    {"question-words", FEATURE_QUESTION_WORDS},
    {"units",          FEATURE_UNITS         },
    {"codes",          FEATURE_CODES         },
    {"english",        FEATURE_ENGLISH       },
};

enum rag_status analyzer_features(const char *names, unsigned *ret_bits, struct rag_error *reterr)
{
    const size_t n_names = sizeof feature_names / sizeof feature_names[0];
    unsigned bits = 0;

    while (*names) {
        size_t n = strcspn(names, ",");
        size_t i = 0;

        while (i < n_names &&
               (strlen(feature_names[i].name) != n || memcmp(feature_names[i].name, names, n) != 0))
            i++;
        if (i == n_names)
            return rag_fail(reterr, RAG_EINVAL, "feature '%.*s': there is none of this name",
                            (int)(n > 80 ? 80 : n), names);
        bits |= feature_names[i].bit;
        names += n + (names[n] == ',');
    }
    *ret_bits = bits;
    return RAG_OK;
}

static enum rag_status analyze(const struct analyzer *a, const char *text, size_t n, bool question,
                               struct term_list *list)
{
    struct word_reader reader;
    struct word w;
    struct term_pass p = {
        .rules = &a->rules, .w = &w, .list = list, .question = question, .word_weight = 1};

    struct morpheme_list morphemes = {0};

    if (n > UINT32_MAX)
        return RAG_ELIMIT;
    list->n = 0;
    if (a->morphemes) {
        p.status = morphemes_read(a->morphemes, text, n, &morphemes);
        p.morphemes = &morphemes;
    }
    word_reader_init(&reader, text, n);
    while (p.status == RAG_OK && word_next(&reader, &w))
        terms_of_word(&p);
    morpheme_list_release(&morphemes);
    return p.status;
}

static enum rag_status analyze_synonym(const void *context, const char *text, size_t n,
                                       struct term_list *list)
{
    return analyze(context, text, n, true, list);
}

/* The entries decide the terms; the other files of a dictionary come with them. */
static enum rag_status dictionary_digest(const char *dictionary, uint8_t ret[SHA256_BYTES],
                                         struct rag_error *reterr)
{
    struct buf path;
    enum rag_status status;

    buf_init(&path, PATH_MAX);
    buf_printf(&path, "%s/sys.dic", dictionary);
    status = buf_status(&path);
    if (status != RAG_OK)
        rag_fail(reterr, status, "mecab dictionary: path longer than %d bytes", PATH_MAX);
    else
        status = sha256_file(buf_str(&path), ret, reterr);
    buf_release(&path);
    return status;
}

static enum rag_status read_files(struct analyzer *a, const struct analyzer_options *options,
                                  struct rag_error *reterr)
{
    struct buf dictionary;
    struct buf synonyms;
    uint8_t mecab[SHA256_BYTES] = {0};
    enum rag_status status = RAG_OK;

    buf_init(&dictionary, USER_DICTIONARY_BYTES_MAX * 2ul);
    buf_init(&synonyms, SYNONYMS_BYTES_MAX * 2ul);
    if (options->user_dictionary)
        status =
            lexicon_read_dictionary(&a->lexicon, options->user_dictionary, &dictionary, reterr);
    if (status == RAG_OK && options->synonyms)
        status = lexicon_read_synonyms(&a->lexicon, options->synonyms, analyze_synonym, a,
                                       &synonyms, reterr);
    if (status == RAG_OK && options->mecab_dictionary)
        status = dictionary_digest(options->mecab_dictionary, mecab, reterr);
    if (status == RAG_OK) {
        const uint32_t head[] = {ANALYZER_VERSION, a->rules.features};
        const struct sha256_part parts[] = {
            {head,                 sizeof head   },
            {buf_str(&dictionary), dictionary.len},
            {buf_str(&synonyms),   synonyms.len  },
        };
        uint8_t digest[SHA256_BYTES];

        status = sha256_lengths(parts, sizeof parts / sizeof parts[0], digest);
        if (status == RAG_OK)
            sha256_hex(digest, a->fingerprint);
        else
            rag_fail(reterr, status, "analyzer: out of memory");
    }
    buf_release(&dictionary);
    buf_release(&synonyms);
    return status;
}

enum rag_status analyzer_open(const struct analyzer_options *options, struct analyzer **ret,
                              struct rag_error *reterr)
{
    static const struct analyzer_options none = {0};
    struct analyzer *a = calloc(1, sizeof *a);
    enum rag_status status = RAG_OK;

    if (!options)
        options = &none;
    if (!a || !(a->suffixes = suffix_tables_new())) {
        free(a);
        return rag_fail(reterr, RAG_ENOMEM, "analyzer: out of memory");
    }
    a->rules = (struct term_rules){.features = FEATURES_ALL & ~options->features_off,
                                   .suffixes = a->suffixes,
                                   .lexicon = &a->lexicon};
    if (options->mecab_dictionary)
        status = morphemes_open(options->mecab_dictionary, &a->morphemes, reterr);
    if (status == RAG_OK)
        status = read_files(a, options, reterr);
    if (status != RAG_OK) {
        analyzer_close(a);
        return status;
    }
    *ret = a;
    return RAG_OK;
}

void analyzer_close(struct analyzer *a)
{
    if (!a)
        return;
    lexicon_release(&a->lexicon);
    morphemes_close(a->morphemes);
    suffix_tables_free(a->suffixes);
    free(a);
}

const char *analyzer_fingerprint(const struct analyzer *a)
{
    return a->fingerprint;
}

enum rag_status analyzer_passage(const struct analyzer *a, const char *text, size_t n,
                                 struct term_list *list)
{
    return analyze(a, text, n, false, list);
}

enum rag_status analyzer_question(const struct analyzer *a, const char *text, size_t n,
                                  struct term_list *list)
{
    enum rag_status status = analyze(a, text, n, true, list);

    if (status == RAG_OK)
        status = term_list_unique(list);
    if (status == RAG_OK)
        status = lexicon_expand(&a->lexicon, list);
    if (status == RAG_OK)
        status = term_list_cap(list, QUERY_TERMS_MAX);
    return status;
}
