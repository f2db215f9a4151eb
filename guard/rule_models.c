/* The kinds of rules that judge a text as a whole: classifier, examples and judge. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "guard/classifier.h"
#include "guard/examples.h"
#include "guard/judge.h"
#include "guard/rule.h"

static enum rag_status read_threshold(const struct rule_source *source, double fallback, float *ret,
                                      struct rag_error *reterr)
{
    double threshold = fallback;
    enum rag_status status = json_get_double(source->object, "threshold", 0, 1, &threshold, reterr);

    if (status == RAG_OK)
        *ret = (float)threshold;
    return status;
}

/* The path of the member "file", which must be there; its bytes are part of what decides. */
static enum rag_status read_file_member(const struct rule_source *source, char **ret,
                                        struct rag_error *reterr)
{
    uint8_t digest[SHA256_BYTES];
    char *path = NULL;
    enum rag_status status = rule_path(source, "file", &path, reterr);

    if (status == RAG_OK && !path)
        status = rag_fail(reterr, RAG_EINVAL, "file: missing");
    if (status == RAG_OK)
        status = sha256_file(path, digest, reterr);
    if (status != RAG_OK) {
        free(path);
        return status;
    }
    buf_append(source->contents, digest, sizeof digest);
    *ret = path;
    return RAG_OK;
}

static void tell(const struct finding_sink *sink, const char *detail, float score)
{
    (void)sink->on_finding(sink->context, detail, 0, 0, score);
}

/* ---- classifier ---- */

struct classifier_rule {
    struct classifier *classifier; /* owned */
    float threshold;
};

static void close_classifier(void *state)
{
    struct classifier_rule *r = state;

    if (!r)
        return;
    classifier_free(r->classifier);
    free(r);
}

/* Vectors of another model are numbers without a meaning. Without any model the rule is opened, and
 * every text is 'unchecked': a policy can be tried where no model is loaded. */
static enum rag_status check_embedder(const struct classifier *c, const struct guard_models *models,
                                      const char *path, struct rag_error *reterr)
{
    if (classifier_dim(c) == 0 || !models->embed)
        return RAG_OK;
    if (classifier_dim(c) != models->dim || strcmp(classifier_embedder(c), models->embedder) != 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "file: '%s' was trained with another embedder; train it with this one",
                        path);
    return RAG_OK;
}

static enum rag_status open_classifier(const struct rule_source *source, void **ret,
                                       struct rag_error *reterr)
{
    struct classifier_rule *r = calloc(1, sizeof *r);
    enum rag_status status;
    char *path = NULL;

    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "file: out of memory");
    status = read_threshold(source, 0.5, &r->threshold, reterr);
    if (status == RAG_OK)
        status = read_file_member(source, &path, reterr);
    if (status == RAG_OK)
        status = classifier_load(path, &r->classifier, reterr);
    if (status == RAG_OK)
        status = check_embedder(r->classifier, &source->options->models, path, reterr);
    free(path);
    if (status != RAG_OK) {
        close_classifier(r);
        return status;
    }
    *ret = r;
    return RAG_OK;
}

/* An embedder reads some hundred words of a text; the rest need not be copied for it. */
static enum rag_status embed_text(const struct rule_check *check, size_t dim, float **ret,
                                  struct rag_error *reterr)
{
    const struct guard_text *text = check->text;
    size_t n =
        utf8_floor(text->text, text->n_bytes,
                   text->n_bytes < GUARD_EMBED_BYTES_MAX ? text->n_bytes : GUARD_EMBED_BYTES_MAX);
    const char *copy = strndup(text->text, n);
    float *vector = calloc(dim, sizeof *vector);
    enum rag_status status;

    if (!copy || !vector)
        status = rag_fail(reterr, RAG_ENOMEM, "guard: out of memory");
    else
        status = check->models->embed(check->models->context, check->models->may_leave,
                                      check->models->deadline_ns, &copy, 1, vector, reterr);
    free((char *)copy);
    if (status != RAG_OK) {
        free(vector);
        return status;
    }
    *ret = vector;
    return RAG_OK;
}

static enum rag_status check_classifier(const void *state, const struct rule_check *check,
                                        const struct finding_sink *sink, struct rag_error *reterr)
{
    const struct classifier_rule *r = state;
    size_t dim = classifier_dim(r->classifier);
    enum rag_status status = RAG_OK;
    float *vector = NULL;
    float score = 0;

    if (dim > 0 && !check->models->embed)
        return rag_fail(reterr, RAG_ENOTFOUND, "classifier: no embedder is there");
    if (dim > 0)
        status = embed_text(check, dim, &vector, reterr);
    if (status == RAG_OK)
        status = classifier_score(r->classifier, check->text->text, check->text->n_bytes, vector,
                                  &score, reterr);
    if (status == RAG_OK && score >= r->threshold)
        tell(sink, "classifier", score);
    free(vector);
    return status;
}

/* ---- examples ---- */

struct examples_rule {
    struct examples *examples; /* owned */
    float threshold;
};

static void close_examples(void *state)
{
    struct examples_rule *r = state;

    if (!r)
        return;
    examples_close(r->examples);
    free(r);
}

static enum rag_status open_examples(const struct rule_source *source, void **ret,
                                     struct rag_error *reterr)
{
    struct examples_rule *r = calloc(1, sizeof *r);
    enum rag_status status;
    char *path = NULL;

    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "file: out of memory");
    status = read_threshold(source, 0.8, &r->threshold, reterr);
    if (status == RAG_OK)
        status = read_file_member(source, &path, reterr);
    if (status == RAG_OK && !source->options->analyzer)
        status = rag_fail(reterr, RAG_EINVAL, "kind: examples needs the analyzer");
    if (status == RAG_OK)
        status = examples_open(path, source->options->analyzer, &source->options->models,
                               &r->examples, reterr);
    free(path);
    if (status != RAG_OK) {
        close_examples(r);
        return status;
    }
    *ret = r;
    return RAG_OK;
}

static enum rag_status check_examples(const void *state, const struct rule_check *check,
                                      const struct finding_sink *sink, struct rag_error *reterr)
{
    const struct examples_rule *r = state;
    const char *nearest = NULL;
    float similarity = 0;
    enum rag_status status = examples_nearest(r->examples, check->models, check->text->text,
                                              check->text->n_bytes, &similarity, &nearest, reterr);

    if (status == RAG_OK && similarity >= r->threshold)
        tell(sink, "example", similarity);
    return status;
}

/* ---- judge ---- */

static enum rag_status open_judge(const struct rule_source *source, void **ret,
                                  struct rag_error *reterr)
{
    const char *rubric = NULL;
    enum rag_status status =
        json_get_string(source->object, "rubric", GUARD_RUBRIC_BYTES_MAX, &rubric, reterr);

    if (status == RAG_OK && (!rubric || rubric[0] == '\0'))
        status = rag_fail(reterr, RAG_EINVAL,
                          "rubric: missing; give the question that 'yes' answers when the rule "
                          "applies");
    if (status != RAG_OK)
        return status;
    *ret = strdup(rubric);
    return *ret ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "rubric: out of memory");
}

static enum rag_status check_judge(const void *state, const struct rule_check *check,
                                   const struct finding_sink *sink, struct rag_error *reterr)
{
    bool yes = false;
    enum rag_status status = judge_ask(check->models, state, check->text, &yes, reterr);

    if (status == RAG_OK && yes)
        tell(sink, "judge", 1);
    return status;
}

static const char *const classifier_members[] = {"file", "threshold", NULL};
static const char *const examples_members[] = {"file", "threshold", NULL};
static const char *const judge_members[] = {"rubric", NULL};

const struct rule_kind classifier_kind = {"classifier",    classifier_members, RULE_STAGES_ALL,
                                          false,           open_classifier,    close_classifier,
                                          check_classifier};
const struct rule_kind examples_kind = {"examples",    examples_members, RULE_STAGES_ALL, false,
                                        open_examples, close_examples,   check_examples};
const struct rule_kind judge_kind = {"judge",    judge_members, RULE_STAGES_ALL, false,
                                     open_judge, free,          check_judge};
