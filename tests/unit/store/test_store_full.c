/* Goal: a full disk fails what is written, clearly, and nothing that was acknowledged; when room
 * comes back the same store goes on.
 * Method: RLIMIT_FSIZE makes every write past a size fail with EFBIG, as a quota would. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/audit.h"

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static rlim_t size_of(const char *dir, const char *file)
{
    char path[128];
    struct stat sb;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    return stat(path, &sb) == 0 ? (rlim_t)sb.st_size : 0;
}

static bool is_there(struct fixture *f, const char *name)
{
    enum rag_status status;
    char *text = NULL;
    size_t n;

    status = store_document_text(f->store, f->collection, name, &text, &n, NULL);
    free(text);
    assert_true(status == RAG_OK || status == RAG_ENOTFOUND);
    return status == RAG_OK;
}

/* n letters; each is a chunk, so that a put needs room for n owners. */
static char *long_text(size_t n, unsigned seed)
{
    char *text = malloc(n + 1);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + (seed * 31 + i * 7) % 26);
    text[n] = '\0';
    return text;
}

static void store_lives_through_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct rag_error error = {RAG_OK, ""};
    size_t n_good = 0;
    size_t n_full = 0;
    char name[16];

    put_ok(f, "before", "abc");
    limit_files(size_of(f->dir, "ragd.db-wal") + 3000000);
    for (unsigned i = 0; i < 60; i++) {
        char *text = long_text(8000, i);
        enum rag_status status;

        snprintf(name, sizeof name, "n%u", i);
        status = put_text(f->store, f->collection, name, text, NULL, NULL, NULL, &error);
        free(text);
        if (status == RAG_OK) {
            n_good++;
        } else {
            assert_int_equal(status, RAG_ENOSPC);
            assert_non_null(strstr(error.text, "ragd.db"));
            n_full++;
        }
        assert_int_equal(is_there(f, name), status == RAG_OK);
    }
    assert_true(n_good > 0 && n_full > 0);
    assert_true(is_there(f, "before"));

    limit_files(RLIM_INFINITY);
    put_ok(f, "after", "xyz");
    fixture_reopen(f);
    assert_true(is_there(f, "before") && is_there(f, "after"));
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM documents"), n_good + 2);
    assert_int_equal(store_last_change(f->store), n_good + 2);
}

static void half_a_big_document_goes_when_the_disk_fills(void **state)
{
    struct fixture *f = *state;
    struct rag_error error = {RAG_OK, ""};
    char *text = long_text(20000, 1);

    limit_files(size_of(f->dir, "ragd.db-wal") + 400000);
    assert_int_equal(put_text(f->store, f->collection, "big", text, NULL, NULL, NULL, &error),
                     RAG_ENOSPC);
    assert_false(is_there(f, "big"));
    limit_files(RLIM_INFINITY);
    put_ok(f, "small", "q"); /* wakes the idle work */
    fixture_reopen(f);
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM version_chunks"), 1);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM chunks"), 1);
    assert_int_equal(put_text(f->store, f->collection, "big", text, NULL, NULL, NULL, &error),
                     RAG_OK);
    free(text);
}

static void audit_lives_through_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report;
    struct audit *audit = NULL;
    char *payload = long_text(4000, 3);
    uint64_t n_good = 0;
    uint64_t n_full = 0;
    uint64_t seq;

    assert_int_equal(audit_open(f->dir, &audit, NULL), RAG_OK);
    limit_files(size_of(f->dir, "audit.db-wal") + 200000);
    for (int i = 0; i < 60; i++) {
        enum rag_status status = audit_append(audit, "ask", "uid:1", payload, 0, &seq, &error);

        if (status == RAG_OK) {
            assert_int_equal(seq, ++n_good);
        } else {
            assert_int_equal(status, RAG_ENOSPC);
            n_full++;
        }
    }
    assert_true(n_good > 0 && n_full > 0);
    limit_files(RLIM_INFINITY);
    assert_int_equal(audit_append(audit, "ask", "uid:1", payload, 0, &seq, &error), RAG_OK);
    assert_int_equal(seq, n_good + 1);
    audit_close(audit);
    assert_int_equal(audit_open(f->dir, &audit, NULL), RAG_OK);
    assert_int_equal(audit_verify(audit, NULL, NULL, &report, NULL), RAG_OK);
    assert_true(report.whole);
    assert_int_equal(report.n_rows, n_good + 1);
    audit_close(audit);
    free(payload);
}

static void a_state_that_cannot_be_written_says_so(void **state)
{
    struct store_options options = {.state_dir = "/proc/self"}; /* read-only for root as well */
    struct store *store = NULL;
    struct rag_error error;

    (void)state;
    assert_int_not_equal(store_open(&options, &store, &error), RAG_OK);
    assert_non_null(strstr(error.text, "/proc/self"));
    options.state_dir = "/nonexistent/ragd";
    assert_int_equal(store_open(&options, &store, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(store_lives_through_a_full_disk, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(half_a_big_document_goes_when_the_disk_fills, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(audit_lives_through_a_full_disk, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test(a_state_that_cannot_be_written_says_so),
    };

    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests_name("store on a full disk", tests, NULL, NULL);
}
