/* bench_bm25 - search speed and quality beside SQLite FTS5 and Xapian.
 *
 *     bench_bm25 [--passages N] [--questions N] [--fts5-questions N] [--work DIR]
 *                [--no-fts5] [--no-xapian] [FILE...]
 *
 * All engines get the same terms: bm25 as ids, FTS5 as hexadecimal words, Xapian as
 * eight bytes each; k1 0.9 and b 0.4 where they can be set (FTS5: 1.2 and 0.75, fixed). All
 * run on one thread in one run. Times are CPU times (of the thread for a question, of the
 * process for a build): on an idle machine with everything cached they equal wall times, on
 * a busy one they stay comparable. The last line is one JSON object. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "bm25_corpus.h"

#define BATCH   50000u
#define K       10u
#define WARM_UP 50u
#define CHANGES 2000u

struct result {
    double build_s; /* without analysis; < 0: not run */
    double *ms;     /* of each question */
    double *rank;   /* reciprocal, 0 when not in the first ten */
    size_t n;
    uint64_t bytes;
    double changes_per_s;
};

struct question {
    struct bm25_query_term terms[CORPUS_QUERY_MAX];
    size_t n;
    size_t gold;
};

struct bench {
    struct corpus *corpus;
    struct question *questions;
    size_t n_questions;
    size_t n_fts5;
    const char *work;
    const char *program; /* argv[0]: the Xapian program lies beside it */
    struct bm25_posting postings[CORPUS_TERMS_MAX];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_bm25: %s: %s\n", what, why);
    exit(1);
}

static void check(enum rag_status status, const char *what)
{
    if (status != RAG_OK)
        die(what, rag_status_code(status));
}

static int64_t cpu_ns(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) != 0)
        die("clock", strerror(errno));
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static double question_ms_since(int64_t start)
{
    return (double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - start) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The q-quantile of the first n values. */
static double quantile(const double *values, size_t n, double q)
{
    double *sorted = malloc((n + 1) * sizeof *sorted);
    double v = 0;

    if (!sorted)
        die("quantile", "out of memory");
    if (n) {
        memcpy(sorted, values, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        v = sorted[(size_t)(q * (double)(n - 1) + 0.5)];
    }
    free(sorted);
    return v;
}

static double mean(const double *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : 0;
}

static void result_init(struct result *r, size_t n)
{
    memset(r, 0, sizeof *r);
    r->ms = calloc(n + 1, sizeof *r->ms);
    r->rank = calloc(n + 1, sizeof *r->rank);
    r->build_s = -1;
    if (!r->ms || !r->rank)
        die("results", "out of memory");
}

static void report(const char *name, const struct result *r)
{
    if (r->build_s < 0)
        return;
    printf("%-7s build %8.1f s  %7.1f MB  p50 %8.3f ms  p99 %8.3f ms  %8.1f questions/s  "
           "MRR@10 %.4f  (%zu questions)\n",
           name, r->build_s, (double)r->bytes / 1e6, quantile(r->ms, r->n, 0.5),
           quantile(r->ms, r->n, 0.99), 1000.0 / mean(r->ms, r->n), mean(r->rank, r->n), r->n);
    fflush(stdout);
}

/* ---- bm25 ---- */

static struct bm25 *build_bm25(struct bench *b, struct result *r)
{
    struct bm25_options options = {BM25_K1_DEFAULT, BM25_B_DEFAULT};
    size_t n_passages = corpus_n(b->corpus);
    struct bm25_batch *batch;
    struct bm25 *index;
    int64_t spent = 0;

    check(bm25_new(&options, &index), "bm25_new");
    check(bm25_batch_new(&batch), "bm25_batch_new");
    for (size_t i = 0; i < n_passages; i++) {
        size_t n;
        uint32_t length;
        int64_t start;

        check(corpus_passage(b->corpus, i, b->postings, &n, &length), "analysis");
        start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
        check(bm25_batch_add(batch, i + 1, b->postings, n, length), "bm25_batch_add");
        if (i % BATCH == BATCH - 1 || i + 1 == n_passages) {
            check(bm25_apply(index, batch, i + 1, NULL), "bm25_apply");
            bm25_batch_free(batch);
            check(bm25_batch_new(&batch), "bm25_batch_new");
        }
        spent += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    bm25_batch_free(batch);
    {
        int64_t start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);

        check(bm25_compact(index, NULL), "bm25_compact");
        spent += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    r->build_s = (double)spent / 1e9;
    return index;
}

/* One batch per change on the full index: a new passage, then an old one removed. */
static double change_rate(struct bench *b, struct bm25 *index)
{
    size_t n_passages = corpus_n(b->corpus);
    size_t n_changes = n_passages < CHANGES ? n_passages : CHANGES;
    int64_t spent = 0;

    for (size_t i = 0; i < 2 * n_changes; i++) {
        struct bm25_batch *batch;
        size_t n;
        uint32_t length;
        int64_t start;

        check(corpus_passage(b->corpus, i / 2, b->postings, &n, &length), "analysis");
        start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
        check(bm25_batch_new(&batch), "bm25_batch_new");
        if (i % 2)
            check(bm25_batch_remove(batch, i / 2 + 1, b->postings, n), "bm25_batch_remove");
        else
            check(bm25_batch_add(batch, n_passages + 1 + i, b->postings, n, length),
                  "bm25_batch_add");
        check(bm25_apply(index, batch, n_passages + i, NULL), "bm25_apply");
        bm25_batch_free(batch);
        spent += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    return 2e9 * (double)n_changes / (double)spent;
}

static void run_bm25(struct bench *b, struct result *r)
{
    struct bm25 *index = build_bm25(b, r);
    struct bm25_hit hits[K];
    struct bm25_stats stats;
    char path[4096];
    struct stat sb;

    bm25_stats(index, &stats);
    r->n = b->n_questions;
    for (size_t i = 0; i < WARM_UP + b->n_questions; i++) {
        const struct question *q = &b->questions[i < WARM_UP ? i % b->n_questions : i - WARM_UP];
        int64_t start = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        size_t n;

        check(bm25_search(index, q->terms, q->n, NULL, K, hits, &n, NULL), "bm25_search");
        if (i < WARM_UP)
            continue;
        r->ms[i - WARM_UP] = question_ms_since(start);
        for (size_t h = 0; h < n; h++)
            if (hits[h].passage_id == q->gold + 1)
                r->rank[i - WARM_UP] = 1.0 / (double)(h + 1);
    }
    snprintf(path, sizeof path, "%s/bench.bm25", b->work);
    check(bm25_save(index, path, "bench", NULL), "bm25_save");
    if (stat(path, &sb) == 0)
        r->bytes = (uint64_t)sb.st_size;
    {
        struct bm25_options options = {BM25_K1_DEFAULT, BM25_B_DEFAULT};
        int64_t start = clock_monotonic_ns();
        struct bm25 *loaded;

        check(bm25_load(path, "bench", &options, &loaded, NULL), "bm25_load");
        printf("bm25    %" PRIu64 " postings, %" PRIu64 " terms, %.2f bytes each in all, "
               "snapshot loaded and checked in %.2f s\n",
               stats.n_postings, stats.n_terms, (double)r->bytes / (double)stats.n_postings,
               clock_elapsed_ms(start) / 1000);
        bm25_free(loaded);
    }
    unlink(path);
    r->changes_per_s = change_rate(b, index);
    printf("bm25    %.0f changes of one passage per second\n", r->changes_per_s);
    bm25_free(index);
}

/* ---- FTS5 ---- */

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

static size_t put_word(char *text, uint64_t term)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++)
        text[i] = digits[term >> (60 - 4 * i) & 15];
    text[16] = ' ';
    return 17;
}

static void build_fts5(struct bench *b, sqlite3 *db, struct result *r)
{
    char *text = malloc((size_t)CORPUS_TERMS_MAX * 17 + 1);
    sqlite3_stmt *insert;
    int64_t spent = 0;

    if (!text)
        die("fts5", "out of memory");
    run_sql(db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-400000;"
                "CREATE VIRTUAL TABLE p USING fts5(t, content='', tokenize='ascii'); BEGIN");
    if (sqlite3_prepare_v2(db, "INSERT INTO p(rowid, t) VALUES(?1, ?2)", -1, &insert, NULL))
        die("fts5", sqlite3_errmsg(db));
    for (size_t i = 0; i < corpus_n(b->corpus); i++) {
        size_t n;
        size_t bytes = 0;
        uint32_t length;
        int64_t start;

        check(corpus_passage(b->corpus, i, b->postings, &n, &length), "analysis");
        for (size_t j = 0; j < n; j++)
            for (uint32_t k = 0; k < b->postings[j].tf && bytes < CORPUS_TERMS_MAX * 17;
                 k += BM25_TF_ONE)
                bytes += put_word(text + bytes, b->postings[j].term);
        start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i + 1);
        sqlite3_bind_text(insert, 2, text, (int)bytes, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            die("fts5", sqlite3_errmsg(db));
        sqlite3_reset(insert);
        spent += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    {
        int64_t start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);

        sqlite3_finalize(insert);
        run_sql(db, "COMMIT; INSERT INTO p(p) VALUES('optimize')");
        spent += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    r->build_s = (double)spent / 1e9;
    free(text);
}

static void run_fts5(struct bench *b, struct result *r)
{
    char path[4096];
    char match[CORPUS_QUERY_MAX * 24];
    sqlite3_stmt *select;
    struct stat sb;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/bench.sqlite", b->work);
    unlink(path);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        die(path, sqlite3_errmsg(db));
    build_fts5(b, db, r);
    if (sqlite3_prepare_v2(db, "SELECT rowid FROM p WHERE p MATCH ?1 ORDER BY rank LIMIT 10", -1,
                           &select, NULL))
        die("fts5", sqlite3_errmsg(db));
    r->n = b->n_fts5 < b->n_questions ? b->n_fts5 : b->n_questions;
    for (size_t i = 0; i < r->n + 3; i++) {
        const struct question *q = &b->questions[i < 3 ? i % r->n : i - 3]; /* 3 to warm up */
        size_t bytes = 0;
        int64_t start = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        int rank = 0;

        for (size_t t = 0; t < q->n; t++) {
            if (t)
                bytes += (size_t)sprintf(match + bytes, "OR ");
            bytes += put_word(match + bytes, q->terms[t].term);
        }
        sqlite3_bind_text(select, 1, match, (int)bytes, SQLITE_STATIC);
        while (sqlite3_step(select) == SQLITE_ROW) {
            rank++;
            if (i >= 3 && sqlite3_column_int64(select, 0) == (sqlite3_int64)q->gold + 1)
                r->rank[i - 3] = 1.0 / rank;
        }
        sqlite3_reset(select);
        if (i >= 3)
            r->ms[i - 3] = question_ms_since(start);
    }
    sqlite3_finalize(select);
    sqlite3_close(db);
    if (stat(path, &sb) == 0)
        r->bytes = (uint64_t)sb.st_size;
    unlink(path);
}

/* ---- Xapian: a program of its own, fed through a pipe ---- */

static void put(FILE *f, const void *data, size_t n)
{
    if (fwrite(data, 1, n, f) != n)
        die("xapian", "its program stopped");
}

static bool run_xapian(struct bench *b, struct result *r)
{
    char program[4096];
    char command[12300];
    char out[4096];
    const char *slash = strrchr(b->program, '/');
    uint32_t end = UINT32_MAX;
    FILE *f;

    snprintf(program, sizeof program, "%.*s/bench_bm25_xapian",
             slash ? (int)(slash - b->program) : 1, slash ? b->program : ".");
    if (access(program, X_OK) != 0)
        return false;
    snprintf(out, sizeof out, "%s/xapian.out", b->work);
    snprintf(command, sizeof command, "'%s' '%s/bench.xapian' >'%s'", program, b->work, out);
    f = popen(command, "w");
    if (!f)
        die(command, strerror(errno));
    for (size_t i = 0; i < corpus_n(b->corpus); i++) {
        size_t n;
        uint32_t n32;
        uint32_t length;

        check(corpus_passage(b->corpus, i, b->postings, &n, &length), "analysis");
        n32 = (uint32_t)n;
        put(f, &n32, sizeof n32);
        for (size_t j = 0; j < n; j++) {
            uint32_t count = b->postings[j].tf / BM25_TF_ONE;

            put(f, &b->postings[j].term, sizeof b->postings[j].term);
            put(f, &count, sizeof count);
        }
    }
    put(f, &end, sizeof end);
    for (size_t i = 0; i < b->n_questions; i++) {
        const struct question *q = &b->questions[i];
        uint32_t n32 = (uint32_t)q->n;
        uint64_t gold = q->gold + 1;

        put(f, &n32, sizeof n32);
        put(f, &gold, sizeof gold);
        for (size_t t = 0; t < q->n; t++)
            put(f, &q->terms[t].term, sizeof q->terms[t].term);
    }
    if (pclose(f) != 0)
        die("xapian", "its program failed");
    f = fopen(out, "r");
    if (!f || fscanf(f, "%lf %" SCNu64, &r->build_s, &r->bytes) != 2)
        die(out, "no results");
    for (r->n = 0; r->n < b->n_questions; r->n++)
        if (fscanf(f, "%lf %lf", &r->ms[r->n], &r->rank[r->n]) != 2)
            die(out, "too few results");
    fclose(f);
    unlink(out);
    return true;
}

/* ---- */

static void make_questions(struct bench *b)
{
    double sum = 0;

    b->questions = calloc(b->n_questions + 1, sizeof *b->questions);
    if (!b->questions)
        die("questions", "out of memory");
    for (size_t i = 0; i < b->n_questions; i++) {
        struct question *q = &b->questions[i];

        check(corpus_question(b->corpus, i, q->terms, &q->n, &q->gold), "question");
        sum += (double)q->n;
    }
    printf("%zu passages (%s), %zu questions of %.1f terms\n", corpus_n(b->corpus),
           corpus_is_synthetic(b->corpus) ? "synthetic, Zipf" : "real sentences", b->n_questions,
           sum / (double)b->n_questions);
    fflush(stdout);
}

static void print_ratio(const char *name, const struct result *ours, const struct result *other)
{
    if (other->build_s < 0) {
        printf(",\"ratio_vs_%s\":null,\"mrr_at_10_%s\":null", name, name);
        return;
    }
    /* the same questions on both sides */
    printf(",\"ratio_vs_%s\":%.2f,\"mrr_at_10_%s\":%.4f,\"mrr_at_10_same_as_%s\":%.4f,"
           "\"p50_ms_%s\":%.3f,\"index_bytes_%s\":%" PRIu64,
           name, quantile(other->ms, other->n, 0.5) / quantile(ours->ms, other->n, 0.5), name,
           mean(other->rank, other->n), name, mean(ours->rank, other->n), name,
           quantile(other->ms, other->n, 0.5), name, other->bytes);
}

int main(int argc, char **argv)
{
    static struct bench b = {.n_questions = 2000, .n_fts5 = 60, .work = "/tmp"};
    const char *files[64];
    size_t n_files = 0;
    size_t n_passages = 1000000;
    bool with_fts5 = true;
    bool with_xapian = true;
    struct rag_error error = {.text = "out of memory"};
    struct result ours, fts5, xapian;

    b.program = argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-fts5") == 0)
            with_fts5 = false;
        else if (strcmp(argv[i], "--no-xapian") == 0)
            with_xapian = false;
        else if (strcmp(argv[i], "--passages") == 0 && i + 1 < argc)
            n_passages = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--questions") == 0 && i + 1 < argc)
            b.n_questions = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--fts5-questions") == 0 && i + 1 < argc)
            b.n_fts5 = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--work") == 0 && i + 1 < argc)
            b.work = argv[++i];
        else if (argv[i][0] == '-' || n_files == sizeof files / sizeof files[0])
            die(argv[i], "unknown option, or too many files");
        else
            files[n_files++] = argv[i];
    }
    if (n_passages == 0 || b.n_questions == 0 || b.n_fts5 == 0)
        die("arguments", "numbers must be at least 1");
    if (corpus_open(files, n_files, n_passages, &b.corpus, &error) != RAG_OK)
        die("corpus", error.text);
    make_questions(&b);
    result_init(&ours, b.n_questions);
    result_init(&fts5, b.n_questions);
    result_init(&xapian, b.n_questions);
    run_bm25(&b, &ours);
    report("bm25", &ours);
    if (with_xapian && !run_xapian(&b, &xapian))
        fprintf(stderr, "bench_bm25: no bench_bm25_xapian beside this program\n");
    report("xapian", &xapian);
    if (with_fts5)
        run_fts5(&b, &fts5);
    report("fts5", &fts5);
    printf("{\"bench\":\"bm25\",\"passages\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"qps\":%.1f",
           corpus_n(b.corpus), quantile(ours.ms, ours.n, 0.5), quantile(ours.ms, ours.n, 0.99),
           1000.0 / mean(ours.ms, ours.n));
    printf(",\"mrr_at_10\":%.4f", mean(ours.rank, ours.n));
    print_ratio("fts5", &ours, &fts5);
    print_ratio("xapian", &ours, &xapian);
    printf(",\"index_bytes\":%" PRIu64 ",\"build_passages_per_s\":%.0f,"
           "\"changes_per_s\":%.0f,\"synthetic\":%s}\n",
           ours.bytes, (double)corpus_n(b.corpus) / ours.build_s, ours.changes_per_s,
           corpus_is_synthetic(b.corpus) ? "true" : "false");
    corpus_close(b.corpus);
    free(b.questions);
    free(ours.ms);
    free(ours.rank);
    free(fts5.ms);
    free(fts5.rank);
    free(xapian.ms);
    free(xapian.rank);
    return 0;
}
