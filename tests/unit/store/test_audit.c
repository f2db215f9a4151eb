/* Goal: the log keeps what was appended, and verification names what somebody did to it.
 * Method: ten rows, then one SQL statement on the closed file per row of the table. */
#include "store_fixture.h"

#include <pthread.h>
#include <sys/stat.h>

#include "store/audit.h"

#define N_ROWS 10

static struct audit *open_audit(const char *dir)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit *audit = NULL;

    if (audit_open(dir, &audit, &error) != RAG_OK)
        fail_msg("audit_open: %s", error.text);
    return audit;
}

static uint64_t append(struct audit *audit, const char *payload, uint64_t change)
{
    struct rag_error error = {RAG_OK, ""};
    uint64_t seq = 0;

    if (audit_append(audit, "ask", "uid:1", payload, change, &seq, &error) != RAG_OK)
        fail_msg("audit_append: %s", error.text);
    return seq;
}

static void append_rows(struct audit *audit, size_t n)
{
    char payload[64];

    for (size_t i = 1; i <= n; i++) {
        snprintf(payload, sizeof payload, "{\"question\":\"질문 %zu\"}", i);
        assert_int_equal(append(audit, payload, i), i);
    }
}

static struct audit_report verify(struct audit *audit, const struct audit_head *head)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report = {0};

    if (audit_verify(audit, head, NULL, &report, &error) != RAG_OK)
        fail_msg("audit_verify: %s", error.text);
    return report;
}

/* ---- what somebody did ---- */

struct row {
    const char *name;
    const char *sql;
    bool forget_head; /* the one who did it removed audit.head too */
    const char *want; /* "" : whole */
    uint64_t want_seq;
};

static struct row rows[] = {
    {"an untouched log is whole",                              "SELECT 1",                                             false, "",                                                  0 },
    {"a changed payload",                                      "UPDATE audit SET payload='{}' WHERE seq=4",            false,
     "row 4 was changed: its payload",                                                                                                                                             4 },
    {"a changed time",                                         "UPDATE audit SET time_ms=time_ms+1 WHERE seq=4",       false,
     "row 4 was changed or inserted",                                                                                                                                              4 },
    {"a changed principal",                                    "UPDATE audit SET principal='uid:2' WHERE seq=10",      false,
     "row 10 was changed or inserted",                                                                                                                                             10},
    {"a changed kind in the first row",                        "UPDATE audit SET kind='x' WHERE seq=1",                false,
     "row 1 was changed or inserted",                                                                                                                                              1 },
    {"a changed hash",                                         "UPDATE audit SET hash=zeroblob(32) WHERE seq=4",       false,
     "row 4 was changed or inserted",                                                                                                                                              4 },
    {"a hash of the wrong length",                             "UPDATE audit SET hash=x'00' WHERE seq=4",              false,
     "row 4 was changed or inserted",                                                                                                                                              4 },
    {"a lost salt",                                            "UPDATE audit SET salt=NULL WHERE seq=4",               false, "row 4 was changed: its salt",
     4                                                                                                                                                                               },
    {"one row is gone",                                        "DELETE FROM audit WHERE seq=4",                        false, "row 4 is missing",                                  4 },
    {"several rows are gone",                                  "DELETE FROM audit WHERE seq BETWEEN 4 AND 6",          false,
     "rows 4..6 are missing",                                                                                                                                                      4 },
    {"the first row is gone",                                  "DELETE FROM audit WHERE seq=1",                        false, "row 1 is missing",                                  1 },
    {"the tail is gone, as audit.head knows",                  "DELETE FROM audit WHERE seq>7",                        false,
     "the log ends at row 7, audit.head.lost at 10: rows 8..10 were dropped",                                                                                                      8 },
    {"all is gone, as audit.head knows",                       "DELETE FROM audit",                                    false, "the log ends at row 0",                             1 },
    {"a tail dropped together with audit.head cannot be seen", "DELETE FROM audit WHERE seq>7",
     true,                                                                                                                    "",                                                  0 },
    {"two rows far apart were exchanged",
     "UPDATE audit SET seq=-1 WHERE seq=3; UPDATE audit SET seq=3 WHERE seq=8;"
     "UPDATE audit SET seq=8 WHERE seq=-1",                                                                            false, "row 3 holds what was row 8: rows were reordered",   3 },
    {"two neighbours were exchanged",
     "UPDATE audit SET seq=-1 WHERE seq=5; UPDATE audit SET seq=5 WHERE seq=6;"
     "UPDATE audit SET seq=6 WHERE seq=-1",                                                                            false, "row 5 holds what was row 6: rows were reordered",   5 },
    {"a row was inserted and the rest pushed on",
     "UPDATE audit SET seq=-seq-1 WHERE seq>4; UPDATE audit SET seq=-seq WHERE seq<0;"
     "INSERT INTO audit(seq,time_ms,kind,principal,salt,payload,payload_hash,hash)"
     " SELECT 5,time_ms,kind,principal,salt,payload,payload_hash,hash FROM audit WHERE seq=2",                         false, "row 5 holds what was row 2",                        5 },
    {"a row was added at the end",
     "INSERT INTO audit(seq,time_ms,kind,principal,salt,payload,payload_hash,hash)"
     " SELECT 11,time_ms,kind,principal,salt,payload,payload_hash,zeroblob(32) FROM audit"
     " WHERE seq=10",                                                                                                  false, "row 11 was changed or inserted",                    11},
    {"a payload that went without a record",                   "UPDATE audit SET payload=NULL, salt=NULL WHERE seq=4",
     false,                                                                                                                   "row 4 lost its payload without a recorded erasure", 4 },
    {"a forged checkpoint",
     "INSERT INTO checkpoint SELECT 1,5,time_ms,hash,zeroblob(64),zeroblob(32) FROM audit"
     " WHERE seq=5",                                                                                                   false, "the checkpoint behind row 5 is not signed",         5 },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct audit_report report;
    struct audit_head head;
    struct audit *audit;
    char path[128];
    char dir[64];

    make_dir(dir);
    audit = open_audit(dir);
    append_rows(audit, N_ROWS);
    audit_head(audit, &head);
    audit_close(audit);
    run_sql(dir, "audit.db", row->sql);
    snprintf(path, sizeof path, "%s/audit.head", dir);
    if (row->forget_head)
        assert_int_equal(unlink(path), 0);
    for (int round = 0; round < 2; round++) { /* a restart and new rows do not hide it */
        audit = open_audit(dir);
        report = verify(audit, NULL);
        assert_int_equal(report.whole, row->want[0] == '\0');
        if (strncmp(report.problem, row->want, strlen(row->want)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", report.problem, row->want);
        assert_int_equal(report.bad_seq, row->want_seq);
        audit_close(audit);
    }
    if (row->forget_head) { /* who kept a copy of the head finds it all the same */
        audit = open_audit(dir);
        report = verify(audit, &head);
        assert_false(report.whole);
        assert_int_equal(report.bad_seq, 8);
        assert_non_null(strstr(report.problem, "rows 8..10 were dropped"));
        audit_close(audit);
    }
    remove_tree(dir);
}

/* ---- what the log does itself ---- */

struct log {
    char dir[64];
    struct audit *audit;
};

static int setup(void **state)
{
    struct log *log = calloc(1, sizeof *log);

    assert_non_null(log);
    make_dir(log->dir);
    log->audit = open_audit(log->dir);
    *state = log;
    return 0;
}

static int teardown(void **state)
{
    struct log *log = *state;

    audit_close(log->audit);
    remove_tree(log->dir);
    free(log);
    return 0;
}

static void a_row_comes_back_as_it_was(void **state)
{
    struct log *log = *state;
    struct audit_entry entry;
    struct arena arena;

    arena_init(&arena, 1u << 20);
    append_rows(log->audit, 3);
    audit_close(log->audit);
    log->audit = open_audit(log->dir);
    assert_int_equal(audit_get(log->audit, 2, &arena, &entry, NULL), RAG_OK);
    assert_int_equal(entry.seq, 2);
    assert_string_equal(entry.kind, "ask");
    assert_string_equal(entry.principal, "uid:1");
    assert_string_equal(entry.payload, "{\"question\":\"질문 2\"}");
    assert_int_equal(entry.change, 2);
    assert_int_equal(audit_get(log->audit, 4, &arena, &entry, NULL), RAG_ENOTFOUND);
    assert_int_equal(audit_get(log->audit, 0, &arena, &entry, NULL), RAG_ENOTFOUND);
    assert_int_equal(append(log->audit, "{}", 0), 4);
    assert_true(verify(log->audit, NULL).whole);
    arena_release(&arena);
}

static void a_change_is_recorded_once(void **state)
{
    struct log *log = *state;

    assert_int_equal(append(log->audit, "{\"a\":1}", 7), 1);
    assert_int_equal(append(log->audit, "{\"a\":2}", 0), 2);
    assert_int_equal(append(log->audit, "{\"a\":3}", 7), 1);
    assert_int_equal(append(log->audit, "{\"a\":4}", 0), 3);
    assert_int_equal(audit_last_change(log->audit), 7);
    /* nor again once its row was cut away, while a lower number still comes */
    assert_int_equal(audit_cut(log->audit, 1, "uid:0", "test", NULL), RAG_OK);
    for (int i = 0; i < 6000; i++) {
        if (query_number(log->dir, "audit.db", "SELECT count(*) FROM audit WHERE seq=1") == 0)
            break;
        usleep(10000);
    }
    append(log->audit, "{\"a\":5}", 7);
    assert_int_equal(query_number(log->dir, "audit.db", "SELECT count(*) FROM audit"), 3);
    assert_int_equal(append(log->audit, "{\"a\":6}", 6), 5);
    assert_int_equal(audit_last_change(log->audit), 7);
    assert_true(verify(log->audit, NULL).whole);
}

static void a_row_of_several_changes_records_each_of_them_once(void **state)
{
    static const uint64_t more[] = {2, 3};
    static const uint64_t overlapping[] = {3, 4, 5};
    const struct audit_item several = {.kind = "documents.put",
                                       .principal = "uid:1",
                                       .payload = "{\"documents\":[]}",
                                       .change = 1,
                                       .more = more,
                                       .n_more = COUNT(more)};
    struct audit_item items[2] = {several, several};
    struct log *log = *state;

    assert_int_equal(audit_append_all(log->audit, &several, 1, NULL), RAG_OK);
    assert_int_equal(audit_changes_recorded(log->audit), 3);
    /* none of them again, by itself or with the others */
    append(log->audit, "{\"a\":1}", 2);
    assert_int_equal(audit_append_all(log->audit, items, COUNT(items), NULL), RAG_OK);
    assert_int_equal(query_number(log->dir, "audit.db", "SELECT count(*) FROM audit"), 1);
    /* some of them were: the row is written for the others, and tells of all */
    assert_int_equal(append(log->audit, "{\"a\":2}", 5), 2);
    assert_int_equal(audit_changes_recorded(log->audit), 0);
    items[0].change = 2;
    items[0].more = overlapping;
    items[0].n_more = COUNT(overlapping);
    assert_int_equal(audit_append_all(log->audit, items, 1, NULL), RAG_OK);
    assert_int_equal(query_number(log->dir, "audit.db", "SELECT change FROM audit WHERE seq=3"), 4);
    assert_int_equal(audit_changes_recorded(log->audit), 5);
    assert_true(verify(log->audit, NULL).whole);
}

static void an_erased_payload_is_gone_and_said_to_be(void **state)
{
    struct log *log = *state;
    struct audit_report report;
    struct audit_entry entry;
    struct arena arena;
    char command[160];

    arena_init(&arena, 1u << 20);
    append_rows(log->audit, 3);
    append(log->audit, "{\"question\":\"ERASE-THIS-SECRET\"}", 0);
    assert_int_equal(audit_erase(log->audit, 4, "uid:0", "GDPR 17", NULL), RAG_OK);
    assert_int_equal(audit_erase(log->audit, 4, "uid:0", "again", NULL), RAG_OK);
    report = verify(log->audit, NULL);
    assert_true(report.whole);
    assert_int_equal(report.n_rows, 5);
    assert_int_equal(report.n_erased, 1);
    assert_int_equal(audit_get(log->audit, 4, &arena, &entry, NULL), RAG_OK);
    assert_null(entry.payload);
    assert_int_equal(audit_get(log->audit, 5, &arena, &entry, NULL), RAG_OK);
    assert_string_equal(entry.kind, "audit.erase");
    assert_string_equal(entry.payload, "{\"seq\":4,\"why\":\"GDPR 17\"}");
    assert_int_equal(audit_erase(log->audit, 5, "uid:0", "hide it", NULL), RAG_EINVAL);
    assert_int_equal(audit_erase(log->audit, 99, "uid:0", "no", NULL), RAG_ENOTFOUND);
    /* no byte of it is left in any file */
    snprintf(command, sizeof command, "grep -rq ERASE-THIS-SECRET %s", log->dir);
    assert_int_not_equal(system(command), 0);
    arena_release(&arena);
}

static void a_cut_leaves_a_signed_beginning(void **state)
{
    struct log *log = *state;
    struct audit_report report;
    struct audit_head before;
    struct rag_error error;
    char path[128];
    struct stat sb;

    append_rows(log->audit, N_ROWS);
    audit_head(log->audit, &before);
    assert_int_equal(audit_cut(log->audit, 11, "uid:0", "test", &error), RAG_ENOTFOUND);
    assert_int_equal(audit_cut(log->audit, 6, "uid:0", "test", NULL), RAG_OK);
    report = verify(log->audit, &before);
    assert_true(report.whole);
    assert_int_equal(report.first_seq, 7);
    assert_int_equal(report.n_rows, 5); /* 7..10 and the cut */
    assert_int_equal(audit_cut(log->audit, 6, "uid:0", "test", &error), RAG_ENOTFOUND);
    assert_int_equal(audit_cut(log->audit, 9, "uid:0", "test", NULL), RAG_OK);
    audit_close(log->audit);
    log->audit = open_audit(log->dir);
    report = verify(log->audit, &before);
    assert_true(report.whole);
    assert_int_equal(report.first_seq, 10);
    assert_int_equal(audit_erase(log->audit, 3, "uid:0", "no", NULL), RAG_ENOTFOUND);
    snprintf(path, sizeof path, "%s/audit.key", log->dir);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    /* dropping more rows by moving the checkpoint needs the key */
    audit_close(log->audit);
    run_sql(log->dir, "audit.db",
            "UPDATE checkpoint SET seq=10, hash=(SELECT hash FROM audit WHERE seq=10)");
    log->audit = open_audit(log->dir);
    report = verify(log->audit, NULL);
    assert_false(report.whole);
    assert_non_null(strstr(report.problem, "not signed"));
}

static enum rag_status note_seq(void *context, const struct audit_entry *entry,
                                struct rag_error *reterr)
{
    char *out = context;
    size_t n = strlen(out);

    (void)reterr;
    snprintf(out + n, 64 - n, "%llu ", (unsigned long long)entry->seq);
    return RAG_OK;
}

static void lists_are_filtered_and_paged(void **state)
{
    struct log *log = *state;
    static const struct {
        struct audit_query query;
        const char *want;
    } queries[] = {
        {{.limit = 3},                                      "1 2 3 "      },
        {{.after = 3, .limit = 2},                          "4 5 "        },
        {{.before = 4, .limit = 2},                         "3 2 "        },
        {{.kind = "search", .limit = 9},                    "6 "          },
        {{.principal = "uid:2", .limit = 9},                "6 "          },
        {{.kind = "ask", .principal = "uid:2", .limit = 9}, ""            },
        {{.until_ms = 1, .limit = 9},                       ""            },
        {{.since_ms = 1, .limit = 9},                       "1 2 3 4 5 6 "},
    };
    uint64_t seq;

    append_rows(log->audit, 5);
    assert_int_equal(audit_append(log->audit, "search", "uid:2", "{}", 0, &seq, NULL), RAG_OK);
    for (size_t i = 0; i < COUNT(queries); i++) {
        char got[64] = "";

        assert_int_equal(audit_list(log->audit, &queries[i].query, note_seq, got, NULL), RAG_OK);
        assert_string_equal(got, queries[i].want);
    }
}

static void a_second_process_is_refused(void **state)
{
    struct log *log = *state;
    struct audit *second = NULL;
    struct rag_error error;

    assert_int_equal(audit_open(log->dir, &second, &error), RAG_EEXIST);
    assert_non_null(strstr(error.text, "in use by pid"));
}

static void a_head_that_lags_is_fine(void **state)
{
    struct log *log = *state;
    char command[256];

    append_rows(log->audit, 3);
    snprintf(command, sizeof command, "cp %s/audit.head %s/kept", log->dir, log->dir);
    assert_int_equal(system(command), 0);
    append(log->audit, "{}", 0);
    audit_close(log->audit);
    snprintf(command, sizeof command, "mv %s/kept %s/audit.head", log->dir, log->dir);
    assert_int_equal(system(command), 0);
    log->audit = open_audit(log->dir);
    assert_true(verify(log->audit, NULL).whole);
}

static void *append_many(void *context)
{
    for (int i = 0; i < 50; i++)
        append(context, "{\"from\":\"a thread\"}", 0);
    return NULL;
}

static void threads_make_one_chain(void **state)
{
    struct log *log = *state;
    pthread_t threads[8];
    struct audit_report report;

    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, log->audit), 0);
    for (int i = 0; i < 5; i++)
        assert_true(verify(log->audit, NULL).whole);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    report = verify(log->audit, NULL);
    assert_true(report.whole);
    assert_int_equal(report.n_rows, 400);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 16];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
#define WITH_LOG(f) tests[n++] = (struct CMUnitTest){#f, f, setup, teardown, NULL}
    WITH_LOG(a_row_comes_back_as_it_was);
    WITH_LOG(a_change_is_recorded_once);
    WITH_LOG(a_row_of_several_changes_records_each_of_them_once);
    WITH_LOG(an_erased_payload_is_gone_and_said_to_be);
    WITH_LOG(a_cut_leaves_a_signed_beginning);
    WITH_LOG(lists_are_filtered_and_paged);
    WITH_LOG(a_second_process_is_refused);
    WITH_LOG(a_head_that_lags_is_fine);
    WITH_LOG(threads_make_one_chain);
    return _cmocka_run_group_tests("audit", tests, n, NULL, NULL);
}
