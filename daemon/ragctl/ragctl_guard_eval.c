/* ragctl guard eval: how well personal data is found in sentences whose data is known. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_guard.h"
#include "eval/input.h"
#include "guard/pii.h"

#define KINDS_MAX        16
#define CLASSES_MAX      8
#define PLACES_MAX       64 /* of one sentence */
#define CLASS_BYTES_MAX  32
#define OUTPUT_BYTES_MAX (1u << 20)

struct tally {
    char name[CLASS_BYTES_MAX];
    size_t n;     /* that are there */
    size_t found; /* of them, with the same bytes */
};
struct kind_tally {
    struct tally all;
    size_t reported;
    struct tally classes[CLASSES_MAX]; /* of "class" in the file: forms, told apart */
    size_t n_classes;
};
struct place {
    char kind[CLASS_BYTES_MAX];
    char form[CLASS_BYTES_MAX]; /* "class"; or "" */
    uint32_t start;
    uint32_t end;
};
struct places {
    struct place items[PLACES_MAX];
    size_t n;
};

struct eval {
    struct kind_tally kinds[KINDS_MAX];
    size_t n_kinds;
    size_t n_sentences;
    size_t n_with; /* that have any */
    size_t n_bytes;
    double ms;
    int64_t show; /* mistakes that are still to be printed */
};

static bool keep(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    struct places *p = context;
    struct place *place = &p->items[p->n];

    (void)score;
    snprintf(place->kind, sizeof place->kind, "%s", detail);
    place->form[0] = '\0';
    place->start = start;
    place->end = end;
    return ++p->n < PLACES_MAX;
}

static enum rag_status tally_of(struct eval *e, const char *kind, struct kind_tally **ret,
                                struct rag_error *reterr)
{
    size_t i = 0;

    while (i < e->n_kinds && strcmp(e->kinds[i].all.name, kind) != 0)
        i++;
    if (i == KINDS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "more than %d kinds", KINDS_MAX);
    if (i == e->n_kinds)
        snprintf(e->kinds[e->n_kinds++].all.name, CLASS_BYTES_MAX, "%s", kind);
    *ret = &e->kinds[i];
    return RAG_OK;
}

static void count_class(struct kind_tally *k, const char *form, bool found)
{
    size_t i = 0;

    while (i < k->n_classes && strcmp(k->classes[i].name, form) != 0)
        i++;
    if (form[0] == '\0' || i == CLASSES_MAX)
        return;
    if (i == k->n_classes)
        snprintf(k->classes[k->n_classes++].name, CLASS_BYTES_MAX, "%s", form);
    k->classes[i].n++;
    k->classes[i].found += found;
}

static bool holds(const struct places *p, const struct place *wanted)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].start == wanted->start && p->items[i].end == wanted->end &&
            strcmp(p->items[i].kind, wanted->kind) == 0)
            return true;
    return false;
}

static void show(struct eval *e, const char *what, const struct place *p, const char *text)
{
    if (e->show-- <= 0)
        return;
    fprintf(stderr, "%s %s '%.*s': %s\n", what, p->kind, (int)(p->end - p->start), text + p->start,
            text);
}

static enum rag_status compare(struct eval *e, const char *text, const struct places *wanted,
                               const struct places *found, struct rag_error *reterr)
{
    struct kind_tally *k = NULL;
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < wanted->n && status == RAG_OK; i++) {
        bool hit = holds(found, &wanted->items[i]);

        status = tally_of(e, wanted->items[i].kind, &k, reterr);
        if (status != RAG_OK)
            return status;
        k->all.n++;
        k->all.found += hit;
        count_class(k, wanted->items[i].form, hit);
        if (!hit)
            show(e, "missed", &wanted->items[i], text);
    }
    for (size_t i = 0; i < found->n && status == RAG_OK; i++) {
        status = tally_of(e, found->items[i].kind, &k, reterr);
        if (status != RAG_OK)
            return status;
        k->reported++;
        if (!holds(wanted, &found->items[i]))
            show(e, "wrong", &found->items[i], text);
    }
    return status;
}

static enum rag_status read_places(const struct json *root, size_t n_bytes, struct places *ret,
                                   struct rag_error *reterr)
{
    const struct json *array = NULL;
    enum rag_status status = json_get_array(root, "pii", &array, reterr);

    for (const struct json *o = json_first(array); o && status == RAG_OK; o = json_next(o)) {
        struct place *p = &ret->items[ret->n];
        const char *kind = "";
        const char *form = "";
        int64_t start = -1;
        int64_t end = -1;

        if (ret->n == PLACES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "pii: more than %d places", PLACES_MAX);
        status = json_get_string(o, "kind", CLASS_BYTES_MAX - 1, &kind, reterr);
        if (status == RAG_OK)
            status = json_get_string(o, "class", CLASS_BYTES_MAX - 1, &form, reterr);
        if (status == RAG_OK)
            status = json_get_int(o, "start", 0, (int64_t)n_bytes, &start, reterr);
        if (status == RAG_OK)
            status = json_get_int(o, "end", 0, (int64_t)n_bytes, &end, reterr);
        if (status == RAG_OK && (pii_kind_parse(kind) == 0 || start < 0 || end < start))
            status = rag_fail(reterr, RAG_EFORMAT, "pii: needs \"kind\", \"start\" and \"end\"");
        if (status != RAG_OK)
            return status;
        snprintf(p->kind, sizeof p->kind, "%s", kind);
        snprintf(p->form, sizeof p->form, "%s", form);
        p->start = (uint32_t)start;
        p->end = (uint32_t)end;
        ret->n++;
    }
    return status;
}

static enum rag_status measure_line(struct eval *e, const char *line, size_t n_line,
                                    struct rag_error *reterr)
{
    struct places wanted = {.n = 0};
    struct places found = {.n = 0};
    const struct finding_sink sink = {keep, &found};
    struct json *root = NULL;
    const char *text = NULL;
    int64_t begun;
    enum rag_status status = json_parse(line, n_line, "line", &root, reterr);

    if (status == RAG_OK)
        status = json_get_string(root, "text", EVAL_LINE_BYTES_MAX, &text, reterr);
    if (status == RAG_OK && !text)
        status = rag_fail(reterr, RAG_EFORMAT, "needs \"text\" and \"pii\"");
    if (status == RAG_OK)
        status = read_places(root, strlen(text), &wanted, reterr);
    if (status == RAG_OK) {
        begun = clock_monotonic_ns();
        pii_find(text, strlen(text), PII_ALL, &sink);
        e->ms += clock_elapsed_ms(begun);
        e->n_sentences++;
        e->n_with += wanted.n > 0;
        e->n_bytes += strlen(text);
        status = compare(e, text, &wanted, &found, reterr);
    }
    json_free(root);
    return status;
}

static enum rag_status measure_file(struct eval *e, const char *path, struct rag_error *reterr)
{
    struct input *in = NULL;
    enum rag_status status = input_open(path, &in, reterr);
    bool end = false;
    struct buf line;

    buf_init(&line, EVAL_LINE_BYTES_MAX);
    while (status == RAG_OK && !end) {
        struct rag_error error = {RAG_OK, ""};

        status = input_line(in, &line, &end, reterr);
        if (status != RAG_OK || end || line.len == 0)
            continue;
        status = measure_line(e, buf_str(&line), line.len, &error);
        if (status != RAG_OK)
            rag_fail(reterr, status, "file '%.200s', line %zu: %.250s", path, input_line_number(in),
                     error.text);
    }
    if (status == RAG_OK && e->n_sentences == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "file '%.200s': no sentences", path);
    buf_release(&line);
    input_close(in);
    return status;
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 1;
}

static void put_tally(struct json_writer *w, const struct tally *t)
{
    json_put_int(w, "n", (int64_t)t->n);
    json_put_int(w, "found", (int64_t)t->found);
    json_put_double(w, "recall", share(t->found, t->n));
}

static void print_json(const struct eval *e)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "sentences", (int64_t)e->n_sentences);
    json_put_int(&w, "with", (int64_t)e->n_with);
    json_put_int(&w, "without", (int64_t)(e->n_sentences - e->n_with));
    json_put_double(&w, "mb_per_s", e->ms > 0 ? (double)e->n_bytes / 1e3 / e->ms : 0);
    json_begin_object(&w, "kinds");
    for (size_t i = 0; i < e->n_kinds; i++) {
        const struct kind_tally *k = &e->kinds[i];

        json_begin_object(&w, k->all.name);
        put_tally(&w, &k->all);
        json_put_int(&w, "reported", (int64_t)k->reported);
        json_put_double(&w, "precision", share(k->all.found, k->reported));
        for (size_t c = 0; c < k->n_classes; c++) {
            json_begin_object(&w, k->classes[c].name);
            put_tally(&w, &k->classes[c]);
            json_end_object(&w);
        }
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void print_text(const struct eval *e)
{
    printf("%zu sentences, %zu of them with personal data\n", e->n_sentences, e->n_with);
    for (size_t i = 0; i < e->n_kinds; i++) {
        const struct kind_tally *k = &e->kinds[i];

        printf("%-18s recall %.4f of %zu, precision %.4f of %zu\n", k->all.name,
               share(k->all.found, k->all.n), k->all.n, share(k->all.found, k->reported),
               k->reported);
        for (size_t c = 0; c < k->n_classes; c++)
            printf("  %-16s recall %.4f of %zu\n", k->classes[c].name,
                   share(k->classes[c].found, k->classes[c].n), k->classes[c].n);
    }
}

int ragctl_guard_eval(const struct ragctl_options *options, int argc, char **argv)
{
    struct eval e = {.n_sentences = 0};
    const struct ragctl_arg table[] = {
        {.name = "--show", .number = &e.show, .max = 100000}
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    int n_words = 0;

    if (!words) {
        rag_fail(&error, RAG_ENOMEM, "guard eval: out of memory");
        return ragctl_fail(options, &error);
    }
    status = ragctl_args_parse(table, 1, argc, argv, words, &n_words, &error);
    if (status == RAG_OK && n_words != 1)
        status = rag_fail(&error, RAG_EINVAL, "guard eval: needs one FILE");
    if (status != RAG_OK) {
        free(words);
        return ragctl_usage("guard", &error);
    }
    status = measure_file(&e, words[0], &error);
    free(words);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    if (options->json)
        print_json(&e);
    else
        print_text(&e);
    return RAGCTL_OK;
}
