/* One answer on its way from a model to the reader.
 *
 * Invariants: 'answer' is all that was given out; each citation's answer span lies in it. What
 * announces and claims nothing waits in 'held' and goes out in front of the next supported
 * sentence, so that an answer never consists of it alone. After 'done' nothing is given out. */
#include "generate/grounding.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "generate/grounding_phrases.h"
#include "generate/grounding_sentence.h"
#include "generate/grounding_support.h"

#define HELD_BYTES_MAX 2048
#define SEEN_MAX       256  /* sentences that are known again */
#define LEAD_KNOWN_MIN 0.7f /* of the words of "연차 이월 기준:" in passages or question */
#define LEAD_BYTES_MAX 160

struct grounding {
    struct grounding_options options;
    struct analyzer *analyzer; /* owned; for requests that bring none */
    struct sentence_cutter cutter;
    struct evidence *evidence; /* owned */
    struct buf answer;
    struct buf held;
    unsigned held_breaks; /* in front of it */
    struct citation citations[CITATIONS_MAX];
    size_t n_citations;
    uint64_t seen[SEEN_MAX];
    size_t n_seen;
    size_t n_repeats;
    size_t n_claims;
    size_t n_removed;
    float coverage; /* sum over the supported claims */
    bool refused;   /* the model said that the passages do not answer */
    bool full;      /* a limit of the answer is reached */
    bool done;
};

void grounding_close(struct grounding *g)
{
    if (!g)
        return;
    evidence_close(g->evidence);
    analyzer_close(g->analyzer);
    sentence_cutter_release(&g->cutter);
    buf_release(&g->answer);
    buf_release(&g->held);
    free(g);
}

enum rag_status grounding_open(const struct grounding_options *options, struct grounding **ret,
                               struct rag_error *reterr)
{
    const struct analyzer *analyzer = options->request->analyzer;
    struct grounding *g = calloc(1, sizeof *g);
    enum rag_status status = RAG_OK;

    if (!g)
        return rag_fail(reterr, RAG_ENOMEM, "grounding: out of memory");
    g->options = *options;
    sentence_cutter_init(&g->cutter, options->n_passages);
    buf_init(&g->answer, ANSWER_BYTES_MAX);
    buf_init(&g->held, HELD_BYTES_MAX);
    if (options->n_passages > PASSAGES_MAX || options->n_passages > options->request->n_passages)
        status = rag_fail(reterr, RAG_EINVAL, "grounding: %zu passages of %zu, the limit is %d",
                          options->n_passages, options->request->n_passages, PASSAGES_MAX);
    if (status == RAG_OK && !analyzer) {
        struct analyzer_options defaults = {0};

        status = analyzer_open(&defaults, &g->analyzer, reterr);
        analyzer = g->analyzer;
    }
    if (status == RAG_OK) {
        status = evidence_open(options->request, options->n_passages, analyzer, &g->evidence);
        if (status != RAG_OK)
            rag_fail(reterr, status, "grounding: %s",
                     status == RAG_ENOMEM ? "out of memory" : "a passage is too long");
    }
    if (status != RAG_OK) {
        grounding_close(g);
        return status;
    }
    *ret = g; /* the caller owns it from here on */
    return RAG_OK;
}

bool grounding_done(const struct grounding *g)
{
    return g->done;
}

/* ---- what goes out ---- */

static void separate(struct buf *out, bool first, unsigned breaks)
{
    if (!first)
        buf_append_str(out, breaks == 0 ? " " : breaks == 1 ? "\n" : "\n\n");
}

static void hold(struct grounding *g, const struct answer_sentence *s)
{
    if (g->held.len == 0)
        g->held_breaks = s->breaks;
    separate(&g->held, g->held.len == 0, s->breaks);
    buf_append(&g->held, s->text, s->n);
    if (buf_status(&g->held) != RAG_OK)
        buf_reset(&g->held); /* so much announcing is worth nothing */
}

/* Append the sentence, with what waited for it, and 'tail' to the answer and *ret. Its bytes in the
 * answer in *ret_start, *ret_end. false: the answer is full. */
static bool give_out(struct grounding *g, const struct answer_sentence *s, const char *tail,
                     struct buf *ret, size_t *ret_start, size_t *ret_end)
{
    size_t before = g->answer.len;
    size_t needed = g->held.len + s->n + strlen(tail) + 4;

    if (needed > ANSWER_BYTES_MAX - before) {
        g->full = g->done = true;
        return false;
    }
    if (g->held.len > 0) {
        separate(&g->answer, before == 0, g->held_breaks);
        buf_append(&g->answer, buf_str(&g->held), g->held.len);
        buf_reset(&g->held);
    }
    separate(&g->answer, g->answer.len == 0, s->breaks);
    *ret_start = g->answer.len;
    buf_append(&g->answer, s->text, s->n);
    *ret_end = g->answer.len;
    buf_append_str(&g->answer, tail);
    buf_append(ret, buf_str(&g->answer) + before, g->answer.len - before);
    return true;
}

/* " [1][3]": the passages of the units, each once, in order. */
static void write_marks(const struct grounding *g, const struct sentence_support *support,
                        struct buf *ret)
{
    uint64_t passages = 0;

    for (size_t i = 0; i < support->n_units; i++)
        passages |= (uint64_t)1 << evidence_unit(g->evidence, support->units[i])->passage;
    buf_append_char(ret, ' ');
    for (size_t i = 0; i < PASSAGES_MAX; i++)
        if (passages >> i & 1)
            buf_printf(ret, "[%zu]", i + 1);
}

static enum rag_status give_supported(struct grounding *g, const struct answer_sentence *s,
                                      const struct sentence_support *support, struct buf *ret)
{
    struct buf marks;
    enum rag_status status;
    size_t start;
    size_t end;

    if (g->n_citations + support->n_units > CITATIONS_MAX) {
        g->full = g->done = true;
        return RAG_OK;
    }
    buf_init(&marks, 8 * PASSAGES_MAX);
    write_marks(g, support, &marks);
    status = buf_status(&marks);
    if (status == RAG_OK && give_out(g, s, buf_str(&marks), ret, &start, &end)) {
        for (size_t i = 0; i < support->n_units; i++) {
            const struct unit *u = evidence_unit(g->evidence, support->units[i]);
            uint32_t base = g->options.request->passages[u->passage].byte_start;

            g->citations[g->n_citations++] = (struct citation){
                .passage = u->passage,
                .byte_start = base + u->byte_start,
                .byte_end = base + u->byte_end,
                .answer_start = (uint32_t)start,
                .answer_end = (uint32_t)end,
            };
        }
        g->coverage += support->coverage > 1 ? 1 : support->coverage;
    }
    buf_release(&marks);
    return status;
}

static void give_unsupported(struct grounding *g, const struct answer_sentence *s, struct buf *ret)
{
    size_t start;
    size_t end;

    g->n_removed++;
    if (g->options.unsupported == UNSUPPORTED_MARK)
        (void)give_out(g, s, g->options.korean ? " (근거 없음)" : " (unsupported)", ret, &start,
                       &end);
}

/* ---- one sentence ---- */

/* Was it said before? Models that run in a circle repeat to the byte. */
static bool said_before(struct grounding *g, const struct answer_sentence *s)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < s->n; i++)
        hash = (hash ^ (unsigned char)s->text[i]) * 1099511628211u;
    for (size_t i = 0; i < g->n_seen; i++) {
        if (g->seen[i] != hash)
            continue;
        g->done = ++g->n_repeats >= GROUNDING_REPEATS_MAX;
        return true;
    }
    if (g->n_seen < SEEN_MAX)
        g->seen[g->n_seen++] = hash;
    return false;
}

/* A line that announces what follows: "연차 이월 기준:", "## 절차". */
static bool is_lead(const struct answer_sentence *s)
{
    return s->n <= LEAD_BYTES_MAX &&
           (s->text[0] == '#' || s->text[s->n - 1] == ':' ||
            (s->n > 4 && s->text[0] == '*' && s->text[1] == '*' && s->text[s->n - 1] == '*'));
}

/* Does a passage have the sentence as it is, without its end mark? */
static bool is_verbatim(const struct grounding *g, const struct answer_sentence *s)
{
    size_t n = s->n;

    while (n > 0 && strchr(".!? ", s->text[n - 1]))
        n--;
    for (size_t i = 0; i < g->options.n_passages && n > 0; i++) {
        const struct generator_passage *p = &g->options.request->passages[i];

        for (size_t k = 0; k + n <= p->text_bytes; k++)
            if (p->text[k] == s->text[0] && memcmp(p->text + k, s->text, n) == 0)
                return true;
    }
    return false;
}

/* The words agree; does the cross-encoder? One that fails is not asked: the words have decided. */
static bool pair_agrees(const struct grounding *g, const struct answer_sentence *s,
                        const struct sentence_support *support)
{
    const struct generator_passage *p;
    float score = 1;

    if (!g->options.pair_score)
        return true;
    p = &g->options.request->passages[evidence_unit(g->evidence, support->units[0])->passage];
    if (g->options.pair_score(g->options.pair_score_context, s->text, s->n, p->text, p->text_bytes,
                              &score, NULL) != RAG_OK)
        return true;
    return score >= GROUNDING_PAIR_MIN;
}

/* The support of a sentence by what it cites, else by any passage. */
static enum rag_status find_support(struct grounding *g, const struct answer_sentence *s,
                                    struct sentence_support *ret)
{
    size_t n = g->options.n_passages;
    uint64_t all = n >= 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
    enum rag_status status = RAG_OK;

    *ret = (struct sentence_support){.lack = LACK_WORDS};
    if (s->cited != 0)
        status = evidence_support(g->evidence, s->text, s->n, s->cited, ret);
    if (status == RAG_OK && ret->lack != LACK_NOTHING && s->cited != all)
        status = evidence_support(g->evidence, s->text, s->n, all, ret);
    if (status == RAG_OK && ret->lack == LACK_NOTHING && !pair_agrees(g, s, ret))
        ret->lack = LACK_WORDS;
    return status;
}

static enum rag_status take(struct grounding *g, const struct answer_sentence *s, struct buf *ret)
{
    enum refusal_phrase refusal = phrase_refusal(s->text, s->n);
    struct sentence_support support;
    enum rag_status status;
    float known = 0;

    if (said_before(g, s))
        return RAG_OK;
    if (phrase_announces(s->text, s->n)) {
        hold(g, s);
        return RAG_OK;
    }
    if (refusal == REFUSAL_SURE && !is_verbatim(g, s)) {
        g->refused = g->done = g->n_citations == 0;
        return RAG_OK; /* behind a supported sentence it is said of something else */
    }
    status = find_support(g, s, &support);
    if (status != RAG_OK)
        return status;
    if (support.lack == LACK_NOTHING) {
        g->n_claims++;
        return give_supported(g, s, &support, ret);
    }
    if (refusal == REFUSAL_MAYBE) {
        g->refused = g->done = g->n_citations == 0;
        return RAG_OK;
    }
    if (is_lead(s) && support.lack == LACK_WORDS) {
        status = evidence_known(g->evidence, s->text, s->n, &known);
        if (status == RAG_OK && known >= LEAD_KNOWN_MIN) {
            hold(g, s);
            return RAG_OK;
        }
    }
    g->n_claims++;
    if (status == RAG_OK)
        give_unsupported(g, s, ret);
    return status;
}

/* Take out what is complete; final: all, but for a sentence that broke off when 'broken'. */
static enum rag_status drain(struct grounding *g, bool final, bool broken, struct buf *ret,
                             struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct answer_sentence s;
    bool found = true;

    while (!g->done && found && status == RAG_OK) {
        status = sentence_cutter_next(&g->cutter, final, &s, &found);
        if (status == RAG_OK && found && !(broken && !s.whole))
            status = take(g, &s, ret);
    }
    if (status == RAG_OK)
        status = buf_status(&g->answer);
    if (status == RAG_OK)
        status = buf_status(ret);
    return status == RAG_OK ? status
                            : rag_fail(reterr, status, "grounding: %s",
                                       status == RAG_ENOMEM ? "out of memory" : "text too long");
}

enum rag_status grounding_put(struct grounding *g, const char *text, size_t n, struct buf *ret,
                              struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    /* in pieces, so that a backend that does not stream stays within the cutter's limit */
    while (n > 0 && !g->done && status == RAG_OK) {
        size_t part = n < GROUNDING_SENTENCE_BYTES_MAX ? n : GROUNDING_SENTENCE_BYTES_MAX;

        while (part < n && part > 1 && ((unsigned char)text[part] & 0xC0) == 0x80)
            part--;
        status = sentence_cutter_put(&g->cutter, text, part);
        if (status != RAG_OK)
            return rag_fail(reterr, status, "grounding: out of memory");
        status = drain(g, false, false, ret, reterr);
        text += part;
        n -= part;
    }
    return status;
}

static void refuse(struct generator_result *result, const char *code, const char *reason)
{
    result->finish_reason = FINISH_REFUSED;
    memcpy(result->reason_code, code, strlen(code) + 1);
    memcpy(result->reason, reason, strlen(reason) + 1);
}

enum rag_status grounding_finish(struct grounding *g, struct buf *ret,
                                 struct generator_result *result, struct rag_error *reterr)
{
    bool ended = result->finish_reason == FINISH_STOP && !result->stop_string;
    enum rag_status status = drain(g, true, !ended, ret, reterr);

    if (status != RAG_OK)
        return status;
    g->done = true;
    buf_reset(&result->answer);
    buf_append(&result->answer, buf_str(&g->answer), g->answer.len);
    if (buf_status(&result->answer) != RAG_OK)
        return rag_fail(reterr, buf_status(&result->answer), "grounding: out of memory");
    memcpy(result->citations, g->citations, g->n_citations * sizeof g->citations[0]);
    result->n_citations = g->n_citations;
    result->sentences_removed = g->n_removed;
    result->confidence = g->n_claims > 0 ? g->coverage / (float)g->n_claims : 0;
    result->reason[0] = result->reason_code[0] = '\0';
    if (result->finish_reason != FINISH_STOP && result->finish_reason != FINISH_LENGTH)
        return RAG_OK;
    if (g->full)
        result->finish_reason = FINISH_LENGTH;
    if (g->refused && g->answer.len == 0)
        refuse(result, "no_support",
               g->options.korean ? "문서에서 질문의 답을 찾지 못했습니다."
                                 : "The documents do not answer the question.");
    else if (g->answer.len == 0)
        refuse(result, "unsupported",
               g->options.korean ? "모델이 쓴 답을 문서가 뒷받침하지 않습니다."
                                 : "The documents do not support what the model wrote.");
    return RAG_OK;
}
