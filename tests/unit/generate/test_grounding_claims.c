/* How often are sentences taken that a passage supports, and how often such that none does?
 *
 *     test_grounding_claims [-v] [CLAIMS.jsonl KLUE.json]
 *
 * Each claim is held to five passages, its own article in the middle; idf comes from all articles.
 * Besides the claims of tests/data/grounding, each sentence of an article is tried as a model would
 * say it (polite: "verbatim"), with the article absent ("elsewhere"), and with its first number
 * changed ("digits"). Prints one line a label and half: misses of even articles were looked at
 * while the rules were written, those of odd ones were not. -v: the claims that came out wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "generate/grounding_support.h"
#include "text/sentence.h"

#define ARTICLES_MAX 64
#define PASSAGES     5
#define LABELS_MAX   16

struct df {
    uint64_t id;
    unsigned n;
    size_t last; /* article that it was seen in */
};

struct corpus {
    const char *texts[ARTICLES_MAX];
    const char *titles[ARTICLES_MAX];
    size_t n;
    struct df *dfs;
    size_t n_dfs;
};

struct tally {
    char label[32];
    unsigned n[2];
    unsigned taken[2];
};

/* Shares of what is taken that a change of the rules has to keep, both halves together. */
static const struct {
    const char *label;
    float min;
    float max;
} wanted[] = {
    {"accept",    0.90f, 1    },
    {"verbatim",  0.97f, 1    },
    {"number",    0,     0.10f},
    {"name",      0,     0.50f},
    {"negation",  0,     0.20f},
    {"invented",  0,     0.10f},
    {"elsewhere", 0,     0.02f},
    {"digits",    0,     0.02f},
};

static struct analyzer *analyzer;
static struct corpus corpus;
static struct tally tallies[LABELS_MAX];
static bool verbose;

static void die(const char *what)
{
    fprintf(stderr, "test_grounding_claims: %s\n", what);
    exit(1);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1u << 22);
    size_t n;

    if (!f || !text)
        die(path);
    n = fread(text, 1, (1u << 22) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void count_terms(size_t article)
{
    struct term_list list = {0};

    if (analyzer_passage(analyzer, corpus.texts[article], strlen(corpus.texts[article]), &list) !=
        RAG_OK)
        die("out of memory");
    for (size_t i = 0; i < list.n; i++) {
        size_t k = 0;

        while (k < corpus.n_dfs && corpus.dfs[k].id != list.items[i].id)
            k++;
        if (k == corpus.n_dfs) {
            corpus.dfs = realloc(corpus.dfs, (k + 1) * sizeof *corpus.dfs);
            if (!corpus.dfs)
                die("out of memory");
            corpus.dfs[corpus.n_dfs++] = (struct df){list.items[i].id, 0, SIZE_MAX};
        }
        corpus.dfs[k].n += corpus.dfs[k].last != article;
        corpus.dfs[k].last = article;
    }
    term_list_release(&list);
}

static void idf(void *context, const uint64_t *terms, size_t n, float *ret)
{
    (void)context;
    for (size_t i = 0; i < n; i++) {
        unsigned df = 0;

        for (size_t k = 0; k < corpus.n_dfs && df == 0; k++)
            df = corpus.dfs[k].id == terms[i] ? corpus.dfs[k].n : 0;
        ret[i] = 1 + 0.1f * (float)(corpus.n - df); /* grows with rarity; ten articles are few */
    }
}

static struct tally *tally_of(const char *label)
{
    size_t i = 0;

    while (i < LABELS_MAX && tallies[i].label[0] != '\0' && strcmp(tallies[i].label, label) != 0)
        i++;
    if (i == LABELS_MAX)
        die("too many labels");
    snprintf(tallies[i].label, sizeof tallies[i].label, "%s", label);
    return &tallies[i];
}

/* Hold a claim to five passages; own: its article is among them. */
static void hold(size_t article, bool own, const char *question, const char *claim, size_t n,
                 const char *label)
{
    struct generator_passage passages[PASSAGES];
    struct message message = {ROLE_USER, question};
    struct generator_request request = {.messages = &message,
                                        .n_messages = 1,
                                        .passages = passages,
                                        .n_passages = PASSAGES,
                                        .idf_fn = idf};
    struct tally *tally = tally_of(label);
    struct sentence_support support;
    struct evidence *e;
    bool wrong;

    for (size_t i = 0; i < PASSAGES; i++) {
        size_t from = (article + (own ? i + corpus.n - PASSAGES / 2 : i + 1)) % corpus.n;

        passages[i] = (struct generator_passage){.title = corpus.titles[from],
                                                 .heading = "",
                                                 .context = "",
                                                 .text = corpus.texts[from],
                                                 .text_bytes = strlen(corpus.texts[from])};
    }
    if (evidence_open(&request, PASSAGES, analyzer, &e) != RAG_OK ||
        evidence_support(e, claim, n, (1u << PASSAGES) - 1, &support) != RAG_OK)
        die("out of memory");
    tally->n[article % 2]++;
    tally->taken[article % 2] += support.lack == LACK_NOTHING;
    wrong = (support.lack == LACK_NOTHING) !=
            (strcmp(label, "accept") == 0 || strcmp(label, "verbatim") == 0);
    if (verbose && wrong)
        printf("    %s %zu: %.*s | %s %.2f\n", label, article, (int)n, claim,
               support_lack_name(support.lack), (double)support.coverage);
    evidence_close(e);
}

/* "...한다." as a model says it: "...합니다." */
static void polite(const char *s, size_t n, struct buf *out)
{
    static const char *const endings[][2] = {
        {"한다.", "합니다."   },
        {"된다.", "됩니다."   },
        {"있다.", "있습니다."},
        {"없다.", "없습니다."},
        {"했다.", "했습니다."},
        {"이다.", "입니다."   },
        {"좋다.", "좋습니다."},
        {"났다.", "났습니다."},
        {"았다.", "았습니다."},
        {"었다.", "었습니다."},
        {"렸다.", "렸습니다."},
        {"준다.", "줍니다."   }
    };

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t bytes = strlen(endings[i][0]);

        if (n < bytes || memcmp(s + n - bytes, endings[i][0], bytes) != 0)
            continue;
        buf_append(out, s, n - bytes);
        buf_append_str(out, endings[i][1]);
        return;
    }
    buf_append(out, s, n);
}

/* The last digit of the first number becomes another one; false: there is no number. */
static bool change_number(struct buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] >= '0' && b->data[i] <= '9') {
            b->data[i] = b->data[i] == '9' ? '4' : (char)(b->data[i] + 1);
            return true;
        }
    return false;
}

static void hold_sentences(size_t article)
{
    const char *text = corpus.texts[article];
    struct sentence *sentences;
    size_t n;

    if (sentence_split(text, strlen(text), &sentences, &n) != RAG_OK)
        die("out of memory");
    for (size_t i = 0; i < n; i++) {
        size_t bytes = sentences[i].byte_end - sentences[i].byte_start;
        struct buf b;

        buf_init(&b, 65536);
        polite(text + sentences[i].byte_start, bytes, &b);
        hold(article, true, corpus.titles[article], buf_str(&b), b.len, "verbatim");
        hold(article, false, corpus.titles[article], buf_str(&b), b.len, "elsewhere");
        if (change_number(&b))
            hold(article, true, corpus.titles[article], buf_str(&b), b.len, "digits");
        buf_release(&b);
    }
    free(sentences);
}

static void read_articles(const struct json *root)
{
    for (const struct json *e = json_first(json_member(root, "data")); e; e = json_next(e)) {
        const struct json *p = json_first(json_member(e, "paragraphs"));

        if (corpus.n == ARTICLES_MAX)
            break;
        corpus.titles[corpus.n] = json_string(json_member(e, "title"));
        corpus.texts[corpus.n] = json_string(json_member(p, "context"));
        if (!corpus.titles[corpus.n] || !corpus.texts[corpus.n])
            die("no articles");
        count_terms(corpus.n++);
    }
}

static void hold_claims(char *lines)
{
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        struct json *row = NULL;
        const char *claim;
        size_t article;

        if (json_parse(line, strlen(line), "claim", &row, NULL) != RAG_OK)
            die(line);
        article = (size_t)json_number(json_member(row, "article"));
        claim = json_string(json_member(row, "claim"));
        if (article >= corpus.n || !claim)
            die(line);
        hold(article, true, json_string(json_member(row, "question")), claim, strlen(claim),
             json_string(json_member(row, "label")));
        json_free(row);
    }
}

static int check(void)
{
    int failures = 0;

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct tally *t = tally_of(wanted[i].label);
        unsigned n = t->n[0] + t->n[1];
        float share = n > 0 ? (float)(t->taken[0] + t->taken[1]) / (float)n : -1;

        if (share < wanted[i].min || share > wanted[i].max) {
            printf("'%s': %.3f taken, wanted %.2f to %.2f\n", wanted[i].label, (double)share,
                   (double)wanted[i].min, (double)wanted[i].max);
            failures = 1;
        }
    }
    return failures;
}

int main(int argc, char **argv)
{
    struct analyzer_options options = {0};
    struct json *root = NULL;
    char *articles;
    char *claims;
    int failures;

    verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    argv += verbose;
    argc -= verbose;
    if (argc != 1 && argc != 3)
        die("usage: test_grounding_claims [-v] [CLAIMS.jsonl KLUE.json]");
    if (analyzer_open(&options, &analyzer, NULL) != RAG_OK)
        die("no analyzer");
    claims = read_file(argc == 3 ? argv[1] : RAG_TEST_DATA "/grounding/claims.jsonl");
    articles = read_file(argc == 3 ? argv[2] : RAG_TEST_DATA "/klue-synthetic.json");
    if (json_parse(articles, strlen(articles), "articles", &root, NULL) != RAG_OK)
        die("not JSON");
    read_articles(root);
    hold_claims(claims);
    for (size_t i = 0; i < corpus.n; i++)
        hold_sentences(i);
    for (size_t i = 0; i < LABELS_MAX && tallies[i].label[0] != '\0'; i++)
        printf("%-10s seen %3u of %3u taken, unseen %3u of %3u\n", tallies[i].label,
               tallies[i].taken[0], tallies[i].n[0], tallies[i].taken[1], tallies[i].n[1]);
    failures = argc == 1 ? check() : 0;
    json_free(root);
    free(claims);
    free(articles);
    free(corpus.dfs);
    analyzer_close(analyzer);
    return failures;
}
