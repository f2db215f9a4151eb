/* bench_vectors - recall, time and memory of the vector index, beside FAISS's own.
 *
 *   bench_vectors [--n N] [--dim D] [--queries N] [--noise X]        clustered vectors (seeded)
 *   bench_vectors --data FILE.f32 --dim D [--query-data FILE.f32]    raw float32
 *   bench_vectors --text FILE.jsonl --model DIR [--cache FILE.f32] [--n N]   texts, embedded by DIR
 *   options: --storage f32|f16|int8 --m M --ef-construction E --ef-search E --threads T --no-faiss
 *            --sweep (recall and time for many ef_search)
 *            --keep FILE (save the index there, and take it from there the next time)
 *
 * One query at a time, one thread; every query is asked PASSES times and its best time counts, so
 * that other programs on the machine spoil less. Recall is against the products of every vector
 * in float32; another row with the score of the tenth counts as well. The last line is JSON. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/id_set.h"
#include "base/splitmix.h"
#include "bench_vectors_data.h"
#include "bench_vectors_faiss.h"
#include "store/vector_index.h"

#define PASSES    3
#define N_FILTERS 5
#define TIE       1e-5f /* beside the tenth's score: what rounding to float16 moves */

struct options {
    size_t n, dim, n_queries;
    double noise;
    const char *data, *query_data, *text, *model, *cache, *keep;
    struct vector_index_options index;
    const char *storage;
    bool faiss, sweep;
};

static const struct {
    const char *name;
    double keeps; /* negative: of the rows along one direction instead of random ones */
} filters[N_FILTERS] = {
    {"all",            1.0  },
    {"10%",            0.1  },
    {"1%",             0.01 },
    {"0.1%",           0.001},
    {"10%, one topic", -0.1 },
};

struct result {
    double recall, p50_ms, p99_ms;
    size_t fewest; /* results of a query, as many as there are rows to find taken as VECTORS_K */
};

struct bench {
    struct options o;
    struct vectors_data data;
    uint8_t *kept[N_FILTERS];
    struct id_set keep[N_FILTERS];
    struct vectors_truth truths[N_FILTERS];
    struct vector_index *ix;
    struct faiss_peer *faiss;
    double build_s, faiss_build_s;
};

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- filters ---- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The rows with the largest products with one vector. */
static bool keep_topic(const struct vectors_data *d, double keeps, uint8_t *kept)
{
    float *products = malloc(2 * d->n * sizeof *products);
    float *sorted = products ? products + d->n : NULL;
    float least;

    if (!products)
        return false;
    for (size_t i = 0; i < d->n; i++)
        products[i] = sorted[i] = vectors_product(d->queries, d->vectors + i * d->dim, d->dim);
    qsort(sorted, d->n, sizeof *sorted, by_value);
    least = sorted[(size_t)((double)d->n * (1.0 - keeps))];
    for (size_t i = 0; i < d->n; i++)
        kept[i] = products[i] >= least;
    free(products);
    return true;
}

static bool make_filter(struct bench *b, size_t f)
{
    const struct vectors_data *d = &b->data;
    uint64_t *ids = malloc(d->n * sizeof *ids);
    uint64_t state = f;
    size_t n = 0;
    bool ok;

    b->kept[f] = malloc(d->n);
    ok = ids && b->kept[f];
    if (ok && filters[f].keeps < 0)
        ok = keep_topic(d, -filters[f].keeps, b->kept[f]);
    for (size_t i = 0; ok && i < d->n; i++) {
        if (filters[f].keeps > 0)
            b->kept[f][i] = (double)(splitmix_next(&state) >> 11) * 0x1p-53 < filters[f].keeps;
        if (b->kept[f][i])
            ids[n++] = i + 1;
    }
    ok = ok && id_set_init(&b->keep[f], ids, n) == RAG_OK;
    free(ids);
    return ok;
}

/* ---- measuring ---- */

typedef size_t search_fn(struct bench *b, const float *query, size_t f, size_t ef, int64_t *ret);

static size_t search_ours(struct bench *b, const float *query, size_t f, size_t ef, int64_t *ret)
{
    struct vector_search_options options = {.ef_search = ef};
    struct vector_hit hits[VECTORS_K];
    size_t n = 0;

    if (vector_index_search(b->ix, query, f ? &b->keep[f] : NULL, VECTORS_K, &options, hits, &n,
                            NULL) != RAG_OK)
        return 0;
    for (size_t i = 0; i < n; i++)
        ret[i] = (int64_t)hits[i].id - 1;
    return n;
}

static size_t search_exact(struct bench *b, const float *query, size_t f, size_t ef, int64_t *ret)
{
    struct vector_search_options options = {.exact = true};
    struct vector_hit hits[VECTORS_K];
    size_t n = 0;

    (void)ef;
    if (vector_index_search(b->ix, query, f ? &b->keep[f] : NULL, VECTORS_K, &options, hits, &n,
                            NULL) != RAG_OK)
        return 0;
    for (size_t i = 0; i < n; i++)
        ret[i] = (int64_t)hits[i].id - 1;
    return n;
}

static size_t search_faiss(struct bench *b, const float *query, size_t f, size_t ef, int64_t *ret)
{
    size_t n = 0;

    faiss_peer_search(b->faiss, query, VECTORS_K, ef, f ? b->kept[f] : NULL, ret);
    while (n < VECTORS_K && ret[n] >= 0)
        n++;
    return n;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static size_t count_right(const struct bench *b, size_t f, size_t q, const int64_t *rows, size_t n)
{
    const struct vectors_data *d = &b->data;
    size_t n_right = 0;

    for (size_t i = 0; i < n; i++)
        n_right += vectors_product(d->queries + q * d->dim, d->vectors + (size_t)rows[i] * d->dim,
                                   d->dim) >= b->truths[f].least[q] - TIE;
    return n_right;
}

static struct result measure(struct bench *b, search_fn *search, size_t f, size_t ef, size_t passes)
{
    size_t n_queries = b->data.n_queries;
    double *times = malloc(n_queries * sizeof *times);
    struct result r = {.fewest = VECTORS_K};
    size_t n_right = 0;
    size_t n_wanted = 0;

    for (size_t pass = 0; times && pass < passes; pass++) {
        for (size_t q = 0; q < n_queries; q++) {
            int64_t rows[VECTORS_K];
            double start = now_s();
            size_t n = search(b, b->data.queries + q * b->data.dim, f, ef, rows);
            double took = now_s() - start;

            times[q] = pass && times[q] < took ? times[q] : took;
            if (pass)
                continue;
            n_right += count_right(b, f, q, rows, n);
            n_wanted += b->truths[f].n[q];
            n += VECTORS_K - b->truths[f].n[q];
            r.fewest = n < r.fewest ? n : r.fewest;
        }
    }
    if (times) {
        qsort(times, n_queries, sizeof *times, by_time);
        r.p50_ms = times[n_queries / 2] * 1e3;
        r.p99_ms = times[n_queries * 99 / 100] * 1e3;
    }
    r.recall = n_wanted ? (double)n_right / (double)n_wanted : 1.0;
    free(times);
    return r;
}

static void print(const char *who, const char *what, size_t ef, struct result r)
{
    printf("%-8s %-16s ef %4zu  recall@10 %.4f  p50 %8.3f ms  p99 %8.3f ms  fewest %zu\n", who,
           what, ef, r.recall, r.p50_ms, r.p99_ms, r.fewest);
    fflush(stdout);
}

/* ---- the parts ---- */

/* An index from before, of as many vectors: 'change' is the time that its building took. */
static bool load(struct bench *b)
{
    struct vector_index_stats stats;
    uint64_t took_ms = 0;

    if (!b->o.keep ||
        vector_index_load(b->o.keep, b->data.what, &b->o.index, &b->ix, &took_ms, NULL) != RAG_OK)
        return false;
    vector_index_stats(b->ix, &stats);
    b->build_s = (double)took_ms * 1e-3;
    return stats.n == b->data.n;
}

static bool build(struct bench *b)
{
    struct rag_error error;
    uint64_t *ids = malloc(b->data.n * sizeof *ids);
    double start = now_s();
    enum rag_status status;

    if (!ids)
        return false;
    for (size_t i = 0; i < b->data.n; i++)
        ids[i] = i + 1;
    status = vector_index_new(&b->o.index, &b->ix, &error);
    if (status == RAG_OK)
        status = vector_index_add(b->ix, ids, b->data.vectors, b->data.n, &error);
    free(ids);
    if (status == RAG_OK)
        vector_index_settle(b->ix);
    b->build_s = now_s() - start;
    if (status == RAG_OK && b->o.keep)
        status =
            vector_index_save(b->ix, b->o.keep, b->data.what, (uint64_t)(b->build_s * 1e3), &error);
    if (status != RAG_OK)
        fprintf(stderr, "bench_vectors: %s\n", error.text);
    return status == RAG_OK;
}

static void sweep(struct bench *b, const char *who, search_fn *search)
{
    static const size_t efs[] = {10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};

    for (size_t i = 0; i < sizeof efs / sizeof efs[0]; i++)
        print(who, "all", efs[i], measure(b, search, 0, efs[i], PASSES));
}

/* FAISS's index with the same m and ef_construction, at the first ef of its that finds as much. */
static struct result beside_faiss(struct bench *b, double recall, size_t *ret_ef)
{
    const struct vector_index_options *o = &b->o.index;
    double start = now_s();
    struct result r = {0};

    b->faiss = faiss_peer_build(b->data.vectors, b->data.n, b->data.dim, o->m, o->ef_construction,
                                o->n_build_threads);
    b->faiss_build_s = now_s() - start;
    if (!b->faiss)
        return r;
    printf("faiss    built in %.1f s\n", b->faiss_build_s);
    if (b->o.sweep)
        sweep(b, "faiss", search_faiss);
    for (*ret_ef = 16; *ret_ef <= 1024; *ret_ef += *ret_ef / 4) {
        r = measure(b, search_faiss, 0, *ret_ef, 1);
        if (r.recall >= recall)
            break;
    }
    r = measure(b, search_faiss, 0, *ret_ef, PASSES);
    print("faiss", "all", *ret_ef, r);
    for (size_t f = 1; f < N_FILTERS; f++)
        print("faiss", filters[f].name, *ret_ef, measure(b, search_faiss, f, *ret_ef, 1));
    return r;
}

static bool run(struct bench *b)
{
    struct vector_index_stats stats;
    struct result ours[N_FILTERS];
    struct result exact;
    struct result faiss = {0};
    size_t faiss_ef = 0;
    double filtered = 1.0;
    size_t fewest = VECTORS_K;

    for (size_t f = 1; f < N_FILTERS; f++)
        if (!make_filter(b, f))
            return false;
    if (!vectors_find(&b->data, (const uint8_t *const *)b->kept, N_FILTERS, b->truths) ||
        (!load(b) && !build(b)))
        return false;
    vector_index_stats(b->ix, &stats);
    printf("%s; %zu queries\n", b->data.what, b->data.n_queries);
    printf("ragd     %s, %s: built in %.1f s, %" PRIu64 " bytes a vector\n", stats.kind,
           b->o.storage, b->build_s, stats.bytes / stats.n);
    if (b->o.sweep)
        sweep(b, "ragd", search_ours);
    for (size_t f = 0; f < N_FILTERS; f++) {
        ours[f] = measure(b, search_ours, f, b->o.index.ef_search, PASSES);
        print("ragd", filters[f].name, b->o.index.ef_search, ours[f]);
        if (f) {
            filtered = ours[f].recall < filtered ? ours[f].recall : filtered;
            fewest = ours[f].fewest < fewest ? ours[f].fewest : fewest;
        }
    }
    exact = measure(b, search_exact, 0, 0, 1);
    print("ragd", "all, exact", 0, exact);
    if (b->o.faiss)
        faiss = beside_faiss(b, ours[0].recall, &faiss_ef);
    printf("{\"bench\":\"vectors\",\"n\":%zu,\"dim\":%zu,\"recall_at_10\":%.4f,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"filtered_recall_at_10\":%.4f,\"filtered_fewest\":%zu,",
           b->data.n, b->data.dim, ours[0].recall, ours[0].p50_ms, ours[0].p99_ms, filtered,
           fewest);
    printf(
        "\"recall_10pct\":%.4f,\"recall_1pct\":%.4f,\"recall_01pct\":%.4f,\"recall_topic\":%.4f,"
        "\"p50_ms_10pct\":%.3f,\"p50_ms_1pct\":%.3f,\"p50_ms_01pct\":%.3f,\"p50_ms_topic\":%.3f,",
        ours[1].recall, ours[2].recall, ours[3].recall, ours[4].recall, ours[1].p50_ms,
        ours[2].p50_ms, ours[3].p50_ms, ours[4].p50_ms);
    printf("\"bytes_per_vector\":%" PRIu64 ",\"storage\":\"%s\",\"m\":%zu,\"ef_construction\":%zu,"
           "\"ef_search\":%zu,\"build_s\":%.1f,\"build_threads\":%zu,\"exact_ms\":%.3f",
           stats.bytes / stats.n, b->o.storage, b->o.index.m, b->o.index.ef_construction,
           b->o.index.ef_search, b->build_s, b->o.index.n_build_threads, exact.p50_ms);
    if (b->faiss)
        printf(",\"faiss_hnsw_recall_at_10\":%.4f,\"faiss_hnsw_p50_ms\":%.3f,"
               "\"faiss_hnsw_ef\":%zu,\"faiss_hnsw_build_s\":%.1f",
               faiss.recall, faiss.p50_ms, faiss_ef, b->faiss_build_s);
    printf("}\n");
    return true;
}

/* ---- the command line ---- */

static bool number(const char *text, size_t *ret)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    *ret = (size_t)value;
    return *text && !*end;
}

static bool set_option(struct options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        size_t *to;
    } numbers[] = {
        {"--n",               &o->n                    },
        {"--dim",             &o->dim                  },
        {"--queries",         &o->n_queries            },
        {"--m",               &o->index.m              },
        {"--ef-construction", &o->index.ef_construction},
        {"--ef-search",       &o->index.ef_search      },
        {"--threads",         &o->index.n_build_threads},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(name, numbers[i].name) == 0)
            return number(value, numbers[i].to);
    if (strcmp(name, "--noise") == 0)
        o->noise = strtod(value, NULL);
    else if (strcmp(name, "--data") == 0)
        o->data = value;
    else if (strcmp(name, "--query-data") == 0)
        o->query_data = value;
    else if (strcmp(name, "--text") == 0)
        o->text = value;
    else if (strcmp(name, "--model") == 0)
        o->model = value;
    else if (strcmp(name, "--cache") == 0)
        o->cache = value;
    else if (strcmp(name, "--keep") == 0)
        o->keep = value;
    else if (strcmp(name, "--storage") == 0)
        o->storage = value;
    else
        return false;
    return true;
}

static bool read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-faiss") == 0) {
            o->faiss = false;
        } else if (strcmp(argv[i], "--sweep") == 0) {
            o->sweep = true;
        } else if (i + 1 == argc || !set_option(o, argv[i], argv[i + 1])) {
            fprintf(stderr, "bench_vectors: '%s' is no option, or lacks its value\n", argv[i]);
            return false;
        } else {
            i++;
        }
    }
    o->index.storage = strcmp(o->storage, "f32") == 0
                           ? VECTOR_F32
                           : (strcmp(o->storage, "f16") == 0 ? VECTOR_F16 : VECTOR_INT8);
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {
        .o = {.n = 100000,
              .dim = 384,
              .n_queries = 1000,
              .noise = 0.8,
              .storage = "int8",
              .faiss = true,
              .index = {.hnsw_min = 1,
                        .m = 16,
                        .ef_construction = 128,
                        .ef_search = 96,
                        .n_build_threads = 2}}
    };
    bool ok = read_options(&b.o, argc, argv);

    if (ok && b.o.data)
        ok = vectors_raw(&b.data, b.o.data, b.o.query_data, 0, b.o.dim, b.o.n_queries);
    else if (ok && b.o.text && b.o.model)
        ok = vectors_text(&b.data, b.o.text, b.o.model, b.o.cache, b.o.n, b.o.n_queries,
                          b.o.index.n_build_threads);
    else if (ok)
        ok = vectors_clustered(&b.data, b.o.n, b.o.dim, b.o.n_queries, (float)b.o.noise);
    b.o.index.dim = b.data.dim;
    ok = ok && run(&b);
    vector_index_free(b.ix);
    faiss_peer_free(b.faiss);
    for (size_t f = 0; f < N_FILTERS; f++) {
        free(b.kept[f]);
        id_set_release(&b.keep[f]);
        vectors_truth_release(&b.truths[f]);
    }
    vectors_release(&b.data);
    return ok ? 0 : 1;
}
