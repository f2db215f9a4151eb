#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ragctl/tune_parts.h"

void tune_outcome_release(struct tune_outcome *o)
{
    free(o->found);
    memset(o, 0, sizeof *o);
}

void tune_outcome_note(struct tune_outcome *o, const char *fmt, ...)
{
    va_list ap;

    if (o->n_notes == TUNE_NOTES_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(o->notes[o->n_notes], sizeof o->notes[0], fmt, ap);
    va_end(ap);
    o->n_notes++;
}

bool tune_has_titles(const struct tune_bench *b, size_t n_min, struct tune_outcome *o)
{
    size_t n_learn = tune_bench_count(b, false, TUNE_TITLE_KINDS);
    size_t n_measure = tune_bench_count(b, true, TUNE_TITLE_KINDS);

    if (n_learn >= n_min && n_measure >= n_min)
        return true;
    snprintf(o->verdict, sizeof o->verdict,
             "of titles and headings, from which it learns, there are %zu and, in the measuring "
             "half, %zu questions; at least %zu of each are needed",
             n_learn, n_measure, n_min);
    return false;
}

double tune_number(const struct json *object, const char *key)
{
    double value = json_number(json_member(object, key));

    return isfinite(value) ? value : 0.0;
}

enum rag_status tune_as_json(void (*write)(struct json_writer *w, const void *value),
                             const void *value, struct json **ret, struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf text;

    buf_init(&text, 4096);
    json_writer_init(&w, &text);
    json_begin_object(&w, NULL);
    write(&w, value);
    json_end_object(&w);
    status = json_parse(buf_str(&text), text.len, "setting", ret, reterr);
    buf_release(&text);
    return status;
}

static bool same(const struct json *a, const struct json *b)
{
    char *x = NULL;
    char *y = NULL;
    bool equal = json_print(a, &x) == RAG_OK && json_print(b, &y) == RAG_OK && strcmp(x, y) == 0;

    free(x);
    free(y);
    return equal;
}

static void judge(struct tune_outcome *o)
{
    const struct paired *d = &o->gain.mrr_at_10;

    o->better = d->low > 0;
    if (o->better)
        snprintf(o->verdict, sizeof o->verdict,
                 "better: MRR@10 %+.4f [%+.4f, %+.4f] on %zu questions", d->mean, d->low, d->high,
                 d->n);
    else
        snprintf(o->verdict, sizeof o->verdict,
                 "not better beyond chance: MRR@10 %+.4f [%+.4f, %+.4f] on %zu questions; what was "
                 "in place stays",
                 d->mean, d->low, d->high, d->n);
}

enum rag_status tune_measure(struct tune_bench *b, enum tune_setting setting, struct json *found,
                             unsigned kinds, struct tune_outcome *o, struct rag_error *reterr)
{
    const struct json *present = b->settings[setting];
    enum rag_status status = tune_bench_ranks(b, reterr);
    uint32_t *after = NULL;

    o->kinds = kinds;
    if (status == RAG_OK && json_print(found, &o->found) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    if (status != RAG_OK)
        goto out;
    o->before = o->after = tune_bench_quality(b, b->ranks, kinds);
    if (same(found, present)) {
        snprintf(o->verdict, sizeof o->verdict, "the best that was found is what is in place");
        goto out;
    }
    o->changed = true;
    status = tune_bench_try(b, setting, found, reterr);
    if (status == RAG_OK)
        status = tune_bench_rank(b, "auto", "questions after", &after, reterr);
    if (status != RAG_OK)
        goto out;
    o->after = tune_bench_quality(b, after, kinds);
    o->gain = tune_bench_gain(b, b->ranks, after, kinds);
    judge(o);
    if (o->better) {
        status = tune_bench_keep(b, setting, found, after, reterr);
        found = NULL; /* the bench's */
    } else {
        status = tune_bench_try(b, setting, b->own[setting] ? present : NULL, reterr);
    }
out:
    json_free(found);
    return status;
}
