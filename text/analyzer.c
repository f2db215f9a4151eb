#include "text/analyzer.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/sha256.h"
#include "text/term_list.h"
#include "text/word.h"

struct analyzer {
    char fingerprint[ANALYZER_FINGERPRINT_BYTES];
};

enum rag_status analyzer_open(const struct analyzer_options *options, struct analyzer **ret,
                              struct rag_error *reterr)
{
    static const char version[] = {'0' + ANALYZER_VERSION};
    struct analyzer *a = calloc(1, sizeof *a);
    uint8_t digest[SHA256_BYTES];

    (void)options;
    if (!a || sha256(version, sizeof version, digest) != RAG_OK) {
        free(a);
        return rag_fail(reterr, RAG_ENOMEM, "analyzer: out of memory");
    }
    sha256_hex(digest, a->fingerprint);
    *ret = a;
    return RAG_OK;
}

void analyzer_close(struct analyzer *a)
{
    free(a);
}

const char *analyzer_fingerprint(const struct analyzer *a)
{
    return a->fingerprint;
}

static enum rag_status push(const struct word *w, size_t from, size_t to, enum term_class class,
                            enum term_kind kind, struct term_list *list)
{
    char bytes[WORD_CHARS_MAX * 4];
    struct term term = {.byte_start = w->chars[from].byte_start,
                        .byte_end = w->chars[to - 1].byte_end,
                        .position = w->position,
                        .weight = 1,
                        .kind = (uint8_t)kind};

    term.id = term_id(class, bytes, word_utf8(w, from, to, bytes));
    return term_list_push(list, &term);
}

static enum rag_status push_bigrams(const struct word *w, size_t from, size_t to,
                                    enum term_class class, enum term_kind kind,
                                    struct term_list *list)
{
    enum rag_status status = RAG_OK;

    if (to - from == 1)
        return push(w, from, to, class, kind, list);
    for (size_t i = from; i + 2 <= to && status == RAG_OK; i++)
        status = push(w, i, i + 2, class, kind, list);
    return status;
}

static enum rag_status push_run(const struct word *w, size_t from, size_t to,
                                struct term_list *list)
{
    switch (w->chars[from].script) {
    case SCRIPT_HANGUL:
        return push_bigrams(w, from, to, CLASS_HANGUL, to - from == 1 ? TERM_STEM : TERM_BIGRAM,
                            list);
    case SCRIPT_HAN:
    case SCRIPT_KANA:
        return push_bigrams(w, from, to, CLASS_HAN, TERM_HANJA, list);
    case SCRIPT_LETTER:
        return push(w, from, to, CLASS_WORD, TERM_WORD, list);
    case SCRIPT_DIGIT:
        return push(w, from, to, CLASS_NUMBER, TERM_NUMBER, list);
    default:
        return RAG_OK;
    }
}

enum rag_status analyzer_passage(const struct analyzer *a, const char *text, size_t n,
                                 struct term_list *list)
{
    struct word_reader reader;
    struct word w;
    enum rag_status status = RAG_OK;

    (void)a;
    if (n > UINT32_MAX)
        return RAG_ELIMIT;
    list->n = 0;
    word_reader_init(&reader, text, n);
    while (status == RAG_OK && word_next(&reader, &w))
        for (size_t from = 0, to; from < w.n && status == RAG_OK; from = to) {
            to = from + 1;
            while (to < w.n && w.chars[to].script == w.chars[from].script)
                to++;
            status = push_run(&w, from, to, list);
        }
    return status;
}

enum rag_status analyzer_question(const struct analyzer *a, const char *text, size_t n,
                                  struct term_list *list)
{
    enum rag_status status = analyzer_passage(a, text, n, list);

    if (status == RAG_OK)
        status = term_list_unique(list);
    if (status == RAG_OK)
        status = term_list_cap(list, QUERY_TERMS_MAX);
    return status;
}
