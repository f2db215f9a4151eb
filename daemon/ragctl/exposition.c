#define _GNU_SOURCE
#include "daemon/ragctl/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cut one line into its parts; false: it is no sample. */
static bool read_sample(char *line, struct exposition_sample *ret)
{
    size_t n = strcspn(line, "{ ");
    const char *labels = "";
    char *rest = line + n;
    char *end = NULL;

    if (n == 0 || line[0] == '#' || *rest == '\0')
        return false;
    if (*rest == '{') {
        labels = ++rest;
        rest = strstr(rest, "} ");
        if (!rest)
            return false;
        *rest++ = '\0';
    }
    line[n] = '\0';
    ret->name = line;
    ret->labels = labels;
    ret->value = strtod(rest + 1, &end);
    return end > rest + 1 && *end == '\0';
}

enum rag_status exposition_parse(const char *text, struct exposition *ret, struct rag_error *reterr)
{
    struct exposition e = {.text = strdup(text)};
    char *save = NULL;
    size_t n_lines = 1;

    for (const char *p = text; *p; p++)
        n_lines += *p == '\n';
    e.samples = calloc(n_lines, sizeof *e.samples);
    if (!e.text || !e.samples) {
        exposition_release(&e);
        return rag_fail(reterr, RAG_ENOMEM, "metrics: out of memory");
    }
    for (char *line = strtok_r(e.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        e.n += read_sample(line, &e.samples[e.n]);
    *ret = e;
    return RAG_OK;
}

void exposition_release(struct exposition *e)
{
    free(e->samples);
    free(e->text);
    *e = (struct exposition){0};
}

/* Where the value of a label begins within "a=\"b\",c=\"d\""; NULL: it is not there. */
static const char *find_label(const char *labels, const char *label)
{
    size_t n = strlen(label);

    for (const char *p = labels; *p;) {
        const char *value = strstr(p, "=\"");

        if (!value)
            return NULL;
        if ((size_t)(value - p) == n && strncmp(p, label, n) == 0)
            return value + 2;
        p = strchr(value + 2, '"'); /* ragd's values hold no quotes */
        if (!p)
            return NULL;
        p += p[1] == ',' ? 2 : 1;
    }
    return NULL;
}

void exposition_label(const struct exposition_sample *sample, const char *label, char *ret,
                      size_t n)
{
    const char *value = find_label(sample->labels, label);

    snprintf(ret, n, "%.*s", value ? (int)strcspn(value, "\"") : 0, value ? value : "");
}

static bool has_label(const struct exposition_sample *s, const char *label, const char *value)
{
    size_t n = value ? strlen(value) : 0;
    const char *found = label ? find_label(s->labels, label) : NULL;

    return !label || (found && strncmp(found, value, n) == 0 && found[n] == '"');
}

double exposition_sum(const struct exposition *e, const char *name, const char *label,
                      const char *value)
{
    double sum = NAN;

    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->samples[i].name, name) == 0 && has_label(&e->samples[i], label, value))
            sum = isnan(sum) ? e->samples[i].value : sum + e->samples[i].value;
    return sum;
}

/* The count of one bucket; 0 when it is not there. */
static double bucket_of(const struct exposition *e, const struct exposition_sample *like)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->samples[i].name, like->name) == 0 &&
            strcmp(e->samples[i].labels, like->labels) == 0)
            return e->samples[i].value;
    return 0;
}

double exposition_quantile(const struct exposition *now, const struct exposition *before,
                           const char *name, const char *label, const char *value, double q)
{
    double below = 0; /* the bucket's lower bound, and what is in all below it */
    double n_below = 0;
    char bucket[128];
    char count[128];
    double total;

    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    snprintf(count, sizeof count, "%s_count", name);
    total = exposition_sum(now, count, label, value) -
            (before->n > 0 ? exposition_sum(before, count, label, value) : 0);
    if (!(total > 0))
        return NAN;
    for (size_t i = 0; i < now->n; i++) {
        const struct exposition_sample *s = &now->samples[i];
        char le[32];
        double bound;
        double n;

        if (strcmp(s->name, bucket) != 0 || !has_label(s, label, value))
            continue;
        exposition_label(s, "le", le, sizeof le);
        bound = strtod(le, NULL); /* "+Inf" too */
        n = s->value - bucket_of(before, s);
        if (n >= q * total) {
            if (isinf(bound) || n <= n_below)
                return below;
            return below + (bound - below) * (q * total - n_below) / (n - n_below);
        }
        below = bound;
        n_below = n;
    }
    return NAN;
}
