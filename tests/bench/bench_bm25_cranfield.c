/* bench_bm25_cranfield - a known answer: nDCG@10 of BM25 on the Cranfield collection.
 *
 *     bench_bm25_cranfield DIR    (cran.all.1400.xml, cran.qry.xml, cranqrel.trec.txt)
 *
 * Lower-case words, no stemming, the <text> field, k1 0.9, b 0.4: a plain BM25 gives .328.
 * The query of a judgment is the ordinal of the query in its file, not its <num>. Judged
 * grades > 0 are relevant, gain 1 each. The last line is one JSON object. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "retrieve/bm25.h"

#define K         10u
#define TERMS_MAX 2000u
#define DOCS_MAX  1400u
#define QUERIES   225u

static unsigned char relevant[QUERIES + 1][DOCS_MAX + 1];

static void die(const char *what)
{
    fprintf(stderr, "bench_bm25_cranfield: %s\n", what);
    exit(1);
}

static char *read_file(const char *folder, const char *name)
{
    char path[4096];
    FILE *f;
    long n;
    char *data;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0)
        die(path);
    data = malloc((size_t)n + 1);
    if (!data || fread(data, 1, (size_t)n, f) != (size_t)n)
        die(path);
    data[n] = '\0';
    fclose(f);
    return data;
}

/* What stands between <tag> and </tag> from *at on; moves *at behind it. NULL at the end. */
static char *next_field(char **at, const char *open, const char *close)
{
    char *start = strstr(*at, open);
    char *end = start ? strstr(start, close) : NULL;

    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return start + strlen(open);
}

/* Distinct words; ret_length counts repeats. */
static size_t words_of(const char *text, struct bm25_posting ret[TERMS_MAX], uint32_t *ret_length)
{
    size_t n = 0;

    *ret_length = 0;
    while (*text) {
        char word[64];
        size_t bytes = 0;
        uint64_t term;
        size_t i = 0;

        while (*text && !isalnum((unsigned char)*text))
            text++;
        for (; isalnum((unsigned char)*text); text++)
            if (bytes < sizeof word)
                word[bytes++] = (char)tolower((unsigned char)*text);
        if (bytes == 0)
            break;
        term = XXH3_64bits(word, bytes);
        *ret_length += BM25_TF_ONE;
        while (i < n && ret[i].term != term)
            i++;
        if (i < n)
            ret[i].tf += BM25_TF_ONE;
        else if (n < TERMS_MAX)
            ret[n++] = (struct bm25_posting){term, BM25_TF_ONE};
    }
    return n;
}

static double ndcg(const struct bm25_hit *hits, size_t n, const unsigned char *judged)
{
    double dcg = 0;
    double ideal = 0;
    size_t n_relevant = 0;

    for (size_t d = 0; d <= DOCS_MAX; d++)
        n_relevant += judged[d];
    for (size_t i = 0; i < n; i++)
        dcg += judged[hits[i].passage_id] / log2((double)i + 2);
    for (size_t i = 0; i < K && i < n_relevant; i++)
        ideal += 1 / log2((double)i + 2);
    return ideal > 0 ? dcg / ideal : 0;
}

int main(int argc, char **argv)
{
    struct bm25_options options = {BM25_K1_DEFAULT, BM25_B_DEFAULT};
    static struct bm25_posting postings[TERMS_MAX];
    struct bm25_batch *batch;
    struct bm25 *index;
    char *docs, *queries, *judgments, *at, *text;
    uint32_t length;
    uint64_t id = 0;
    size_t n_queries = 0;
    double sum = 0;

    if (argc != 2)
        die("one argument, the folder of the collection");
    docs = read_file(argv[1], "cran.all.1400.xml");
    queries = read_file(argv[1], "cran.qry.xml");
    judgments = read_file(argv[1], "cranqrel.trec.txt");
    for (char *line = strtok(judgments, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned query, doc;
        int grade;

        if (sscanf(line, "%u %*s %u %d", &query, &doc, &grade) == 3 && query <= QUERIES &&
            doc <= DOCS_MAX && grade > 0)
            relevant[query][doc] = 1;
    }
    if (bm25_new(&options, &index) != RAG_OK || bm25_batch_new(&batch) != RAG_OK)
        die("out of memory");
    for (at = docs; (text = next_field(&at, "<text>", "</text>")) != NULL;) {
        size_t n = words_of(text, postings, &length);

        if (bm25_batch_add(batch, ++id, postings, n, length) != RAG_OK)
            die("out of memory");
    }
    if (id != DOCS_MAX || bm25_apply(index, batch, 1, NULL) != RAG_OK)
        die("not 1400 documents, or out of memory");
    for (at = queries; (text = next_field(&at, "<title>", "</title>")) != NULL; n_queries++) {
        struct bm25_query_term terms[TERMS_MAX];
        struct bm25_hit hits[K];
        size_t n = words_of(text, postings, &length);
        size_t n_hits = 0;

        for (size_t i = 0; i < n; i++)
            terms[i] = (struct bm25_query_term){postings[i].term, (float)postings[i].tf / 8};
        if (bm25_search(index, terms, n, NULL, K, hits, &n_hits, NULL) != RAG_OK)
            die("search failed");
        if (n_queries < QUERIES)
            sum += ndcg(hits, n_hits, relevant[n_queries + 1]);
    }
    if (n_queries != QUERIES)
        die("not 225 queries");
    printf("{\"bench\":\"bm25_cranfield\",\"queries\":%zu,\"ndcg_at_10\":%.4f}\n", n_queries,
           sum / (double)n_queries);
    bm25_batch_free(batch);
    bm25_free(index);
    free(docs);
    free(queries);
    free(judgments);
    return 0;
}
