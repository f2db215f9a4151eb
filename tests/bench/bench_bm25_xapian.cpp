/* bench_bm25_xapian - the Xapian side of bench_bm25; a program of its own because Xapian
 * is under the GPL. Never installed.
 *
 *     bench_bm25_xapian DIR <passages and questions >results
 *
 * Input, little-endian: per passage u32 n, n x (u64 term, u32 occurrences); u32 2^32 - 1;
 * then per question u32 n, u64 gold id, n x u64 term, until the end. Output: seconds of
 * building and bytes of the database, then per question milliseconds and 1 / rank. */
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include <xapian.h>

static bool get(void *data, size_t n)
{
    return fread(data, 1, n, stdin) == n;
}

static std::string name_of(uint64_t term)
{
    return std::string(reinterpret_cast<const char *>(&term), sizeof term);
}

/* CPU time, as bench_bm25 measures it. */
static double seconds()
{
    timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) / 1e9;
}

static double build(const std::string &dir)
{
    Xapian::WritableDatabase db(dir + ".raw", Xapian::DB_CREATE_OR_OVERWRITE | Xapian::DB_NO_SYNC |
                                                  Xapian::DB_DANGEROUS);
    double spent = 0;
    uint32_t n;

    while (get(&n, sizeof n) && n != UINT32_MAX) {
        std::vector<std::pair<uint64_t, uint32_t>> terms(n);

        for (auto &t : terms)
            if (!get(&t.first, sizeof t.first) || !get(&t.second, sizeof t.second))
                throw Xapian::InvalidArgumentError("input cut short");
        double start = seconds();
        Xapian::Document document;
        for (const auto &t : terms)
            document.add_term(name_of(t.first), t.second);
        db.add_document(document);
        spent += (seconds() - start);
    }
    double start = seconds();
    db.commit();
    db.compact(dir);
    return spent + (seconds() - start);
}

static uint64_t bytes_of(const std::string &dir)
{
    uint64_t bytes = 0;

    for (const auto &entry : std::filesystem::directory_iterator(dir))
        bytes += entry.file_size();
    return bytes;
}

static void ask(Xapian::Database &db)
{
    uint32_t n;
    uint64_t gold;

    while (get(&n, sizeof n) && get(&gold, sizeof gold)) {
        std::vector<std::string> terms;
        double rank = 0;

        for (uint32_t i = 0; i < n; i++) {
            uint64_t term;

            if (!get(&term, sizeof term))
                throw Xapian::InvalidArgumentError("input cut short");
            terms.push_back(name_of(term));
        }
        double start = seconds();
        Xapian::Enquire enquire(db);
        enquire.set_weighting_scheme(Xapian::BM25Weight(0.9, 0, 1, 0.4, 0));
        enquire.set_query(Xapian::Query(Xapian::Query::OP_OR, terms.begin(), terms.end()));
        Xapian::MSet hits = enquire.get_mset(0, 10);
        double ms = (seconds() - start) * 1000;
        for (Xapian::MSetIterator hit = hits.begin(); hit != hits.end(); ++hit)
            if (*hit == gold)
                rank = 1.0 / (hit.get_rank() + 1);
        printf("%.6f %.6f\n", ms, rank);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "bench_bm25_xapian: one argument, the folder of the database\n");
        return 2;
    }
    try {
        const std::string dir = argv[1];

        std::filesystem::remove_all(dir);
        double spent = build(dir);
        printf("%.3f %llu\n", spent, static_cast<unsigned long long>(bytes_of(dir)));
        {
            Xapian::Database db(dir);

            ask(db);
        }
        std::filesystem::remove_all(dir);
        std::filesystem::remove_all(dir + ".raw");
    } catch (const Xapian::Error &e) {
        fprintf(stderr, "bench_bm25_xapian: %s\n", e.get_description().c_str());
        return 1;
    }
    return 0;
}
