/* What a durable write costs.
 *
 *     bench_store [DIR]    DIR: where the state goes; the disk matters. Default: the folder it is
 *                          started in, since /tmp may be memory.
 *
 * Measures audit appends with 1 and 32 threads, puts of one-chunk documents with 1 and 8, a
 * document of 60,000 chunks, what small puts and appends wait for while it is staged and reclaimed,
 * and a filter. Prints lines for people and one JSON line at the end. */
#define _GNU_SOURCE
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "store/audit.h"
#include "store/store.h"

#define N_BIG_CHUNKS    60000u
#define BIG_CHUNK_BYTES 300u
#define N_SAMPLES_MAX   200000u

static struct store *store;
static struct audit *audit;
static int64_t collection;
static const char payload[] = "{\"question\":\"한국의 수도는 어디인가요?\",\"answer\":\"서울\"}";

static void die(const char *what, const struct rag_error *error)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, error->text);
    exit(1);
}

static void append_one(void)
{
    struct rag_error error;
    uint64_t seq;

    if (audit_append(audit, "ask", "uid:1000", payload, 0, &seq, &error) != RAG_OK)
        die("append", &error);
}

/* A document whose chunks are 'bytes' long each and all different. */
static void put_one(const char *name, unsigned seed, size_t n_chunks, size_t bytes)
{
    struct store_chunk *chunks = calloc(n_chunks, sizeof *chunks);
    uint64_t *ids = calloc(n_chunks, sizeof *ids);
    char *text = malloc(n_chunks * bytes + 1);
    struct store_put_result result;
    uint8_t source[SHA256_BYTES];
    struct rag_error error;
    char metadata[64];

    if (!chunks || !ids || !text)
        exit(1);
    for (size_t i = 0; i < n_chunks; i++) {
        int n = snprintf(text + i * bytes, bytes, "%u/%zu ", seed, i);

        memset(text + i * bytes + n, 'x', bytes - (size_t)n);
        chunks[i] = (struct store_chunk){.heading = "제목 > 절",
                                         .context = "",
                                         .byte_start = (uint32_t)(i * bytes),
                                         .byte_end = (uint32_t)((i + 1) * bytes)};
        if (sha256(text + i * bytes, bytes, chunks[i].hash) != RAG_OK)
            exit(1);
    }
    text[n_chunks * bytes] = '\0';
    memcpy(source, chunks[0].hash, sizeof source);
    snprintf(metadata, sizeof metadata, "{\"year\":%u,\"lang\":\"ko\"}", 1990 + seed % 40);
    if (store_document_put(store,
                           &(struct store_put){.collection_id = collection,
                                               .name = name,
                                               .title = "제목",
                                               .mime = "text/plain",
                                               .metadata = metadata,
                                               .source_hash = source,
                                               .text = text,
                                               .text_bytes = n_chunks * bytes,
                                               .chunks = chunks,
                                               .n_chunks = n_chunks,
                                               .principal = "uid:1000"},
                           ids, &result, &error) != RAG_OK)
        die("put", &error);
    free(chunks);
    free(ids);
    free(text);
}

/* ---- threads that write for a while ---- */

struct worker {
    bool puts; /* else appends */
    unsigned number;
    double *ms; /* of each call; owned */
    size_t n;
    pthread_t thread;
};
static atomic_bool stop;
static atomic_uint n_names;

static void *work(void *context)
{
    struct worker *w = context;
    char name[32];

    while (!atomic_load(&stop) && w->n < N_SAMPLES_MAX) {
        int64_t begin_ns = clock_monotonic_ns();

        if (w->puts) {
            unsigned seed = atomic_fetch_add(&n_names, 1);

            snprintf(name, sizeof name, "document-%u", seed);
            put_one(name, seed, 1, 1500);
        } else {
            append_one();
        }
        w->ms[w->n++] = clock_elapsed_ms(begin_ns);
    }
    return NULL;
}

static void start(struct worker *w, bool puts)
{
    *w = (struct worker){.puts = puts, .ms = calloc(N_SAMPLES_MAX, sizeof *w->ms)};
    if (!w->ms || pthread_create(&w->thread, NULL, work, w) != 0)
        exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(struct worker *w, double p)
{
    if (w->n == 0)
        return 0;
    qsort(w->ms, w->n, sizeof *w->ms, by_value);
    return w->ms[(size_t)((double)(w->n - 1) * p)];
}

static double rate(bool puts, size_t n_threads, double seconds, const char *what)
{
    struct worker *workers = calloc(n_threads, sizeof *workers);
    int64_t begin_ns = clock_monotonic_ns();
    double p99 = 0;
    double per_s;
    size_t n = 0;

    if (!workers)
        exit(1);
    atomic_store(&stop, false);
    for (size_t i = 0; i < n_threads; i++)
        start(&workers[i], puts);
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&stop, true);
    for (size_t i = 0; i < n_threads; i++) {
        pthread_join(workers[i].thread, NULL);
        n += workers[i].n;
    }
    per_s = (double)n / (clock_elapsed_ms(begin_ns) / 1e3);
    for (size_t i = 0; i < n_threads; i++) {
        double each = percentile(&workers[i], 0.99);

        p99 = each > p99 ? each : p99;
        free(workers[i].ms);
    }
    free(workers);
    printf("%-26s %2zu threads: %8.0f /s, p99 %.2f ms\n", what, n_threads, per_s, p99);
    return per_s;
}

/* ---- a big document beside small writes ---- */

struct beside {
    double big_ms;
    double put_p50_ms;
    double put_p99_ms;
    double put_max_ms;
    double append_p50_ms;
    double append_p99_ms;
    double append_max_ms;
};

static struct beside beside(unsigned seed, const char *what)
{
    struct worker appends;
    struct worker puts;
    struct beside r;
    int64_t begin_ns;

    atomic_store(&stop, false);
    start(&puts, true);
    start(&appends, false);
    usleep(100000);
    begin_ns = clock_monotonic_ns();
    put_one("big", seed, N_BIG_CHUNKS, BIG_CHUNK_BYTES);
    r.big_ms = clock_elapsed_ms(begin_ns);
    usleep(300000);
    atomic_store(&stop, true);
    pthread_join(puts.thread, NULL);
    pthread_join(appends.thread, NULL);
    r.put_p50_ms = percentile(&puts, 0.5);
    r.put_p99_ms = percentile(&puts, 0.99);
    r.put_max_ms = percentile(&puts, 1);
    r.append_p50_ms = percentile(&appends, 0.5);
    r.append_p99_ms = percentile(&appends, 0.99);
    r.append_max_ms = percentile(&appends, 1);
    free(puts.ms);
    free(appends.ms);
    printf("%s of %u chunks: %.0f ms; beside it small puts p50/p99/max %.2f/%.2f/%.2f ms, appends "
           "%.2f/%.2f/%.2f ms\n",
           what, N_BIG_CHUNKS, r.big_ms, r.put_p50_ms, r.put_p99_ms, r.put_max_ms, r.append_p50_ms,
           r.append_p99_ms, r.append_max_ms);
    return r;
}

static double time_filter(size_t *ret_n)
{
    struct filter_value year = {NULL, 1997};
    struct filter_value lang = {"ko", 0};
    struct filter_clause clauses[] = {
        {"year", FILTER_EQ, &year, 1},
        {"lang", FILTER_EQ, &lang, 1}
    };
    int64_t begin_ns = clock_monotonic_ns();
    struct rag_error error;
    struct id_set set;

    for (int i = 0; i < 100; i++) {
        if (store_filter(store, collection, clauses, 2, &set, &error) != RAG_OK)
            die("filter", &error);
        *ret_n = set.n;
        id_set_release(&set);
    }
    return clock_elapsed_ms(begin_ns) / 100;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void)sb;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void print_json(const double rates[4], const struct beside *first,
                       const struct beside *second, double verify_ms, double filter_ms)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "bench", "store");
    json_put_double(&w, "appends_per_s_1", rates[0]);
    json_put_double(&w, "appends_per_s_32", rates[1]);
    json_put_double(&w, "puts_per_s_1", rates[2]);
    json_put_double(&w, "puts_per_s_8", rates[3]);
    json_put_double(&w, "big_put_ms", first->big_ms);
    json_put_double(&w, "put_beside_p99_ms", first->put_p99_ms);
    json_put_double(&w, "put_beside_max_ms", first->put_max_ms);
    json_put_double(&w, "append_beside_p99_ms", first->append_p99_ms);
    json_put_double(&w, "append_beside_max_ms", first->append_max_ms);
    json_put_double(&w, "put_beside_update_max_ms", second->put_max_ms);
    json_put_double(&w, "append_beside_update_max_ms", second->append_max_ms);
    json_put_double(&w, "verify_ms", verify_ms);
    json_put_double(&w, "filter_ms", filter_ms);
    json_end_object(&w);
    puts(buf_str(&out));
    buf_release(&out);
}

int main(int argc, char **argv)
{
    struct store_options options = {0};
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report;
    struct beside first;
    struct beside second;
    double verify_ms;
    double filter_ms;
    int64_t begin_ns;
    double rates[4];
    char dir[4096];
    bool created;
    size_t n;

    snprintf(dir, sizeof dir, "%s/bench-store-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    options.state_dir = dir;
    if (store_open(&options, &store, &error) != RAG_OK ||
        audit_open(dir, &audit, &error) != RAG_OK ||
        store_collection_put(store, "bench", "{}", "-", &collection, &created, &error) != RAG_OK)
        die(dir, &error);
    rates[0] = rate(false, 1, 2, "audit appends");
    rates[1] = rate(false, 32, 2, "audit appends");
    rates[2] = rate(true, 1, 2, "puts of one chunk");
    rates[3] = rate(true, 8, 2, "puts of one chunk");
    first = beside(1u << 30, "put");
    second = beside((1u << 30) + 1, "update");
    begin_ns = clock_monotonic_ns();
    if (audit_verify(audit, NULL, NULL, &report, &error) != RAG_OK || !report.whole)
        die("verify", &error);
    verify_ms = clock_elapsed_ms(begin_ns);
    printf("verify of %llu rows: %.0f ms\n", (unsigned long long)report.n_rows, verify_ms);
    filter_ms = time_filter(&n);
    printf("filter that keeps %zu passages of %u documents: %.2f ms\n", n, atomic_load(&n_names),
           filter_ms);
    print_json(rates, &first, &second, verify_ms, filter_ms);
    audit_close(audit);
    store_close(store);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
