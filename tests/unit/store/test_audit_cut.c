/* Goal: retention drops what is old and nothing else, verification tells a lawful cut from a forged
 * one, and kill -9 in the middle leaves a log that is whole.
 * Method: rows with times written into the closed file; for the kills a child that appends and cuts
 * and tells each acknowledged cut through a pipe. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "store/audit.h"

#define N_KILLS 12

static struct audit *open_audit(const char *dir)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit *audit = NULL;

    if (audit_open(dir, &audit, &error) != RAG_OK)
        fail_msg("audit_open: %s", error.text);
    return audit;
}

static void append_rows(struct audit *audit, size_t n)
{
    uint64_t seq;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            audit_append(audit, "ask", "uid:1", "{\"question\":\"질문\"}", 0, &seq, NULL), RAG_OK);
}

static struct audit_report verify(struct audit *audit, const struct audit_head *head,
                                  const uint8_t *key)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report = {0};

    if (audit_verify(audit, head, key, &report, &error) != RAG_OK)
        fail_msg("audit_verify: %s", error.text);
    return report;
}

static void read_public(const char *dir, uint8_t ret[AUDIT_PUBLIC_BYTES])
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/audit.pub", dir);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(ret, 1, AUDIT_PUBLIC_BYTES, f), AUDIT_PUBLIC_BYTES);
    fclose(f);
}

/* ---- what is old ---- */

static void what_is_old_ends_before_the_first_row_that_stays(void **state)
{
    static const struct {
        const char *name;
        const char *times; /* sets time_ms of rows 1..6 */
        int64_t before_ms;
        uint64_t want;
    } rows[] = {
        {"nothing is older",                                            "UPDATE audit SET time_ms=1000*seq", 1000,  0},
        {"the first three are older",                                   "UPDATE audit SET time_ms=1000*seq", 4000,  3},
        {"the last row stays, however old",                             "UPDATE audit SET time_ms=1000*seq", 90000, 5},
        {"the clock stepped back: an old row behind a young one stays",
         "UPDATE audit SET time_ms=CASE seq WHEN 3 THEN 9000 ELSE 1000 END",                                 5000,  2},
        {"a young first row keeps all",
         "UPDATE audit SET time_ms=CASE seq WHEN 1 THEN 9000"
         " ELSE 1000 END",                                                                                   5000,  0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct audit *audit;
        uint64_t seq = 99;
        char dir[64];

        make_dir(dir);
        audit = open_audit(dir);
        assert_int_equal(audit_first_seq(audit), 1);
        assert_int_equal(audit_seq_before(audit, INT64_MAX, &seq, NULL), RAG_OK);
        assert_int_equal(seq, 0); /* of an empty log */
        append_rows(audit, 6);
        audit_close(audit);
        run_sql(dir, "audit.db", rows[i].times);
        audit = open_audit(dir);
        assert_int_equal(audit_seq_before(audit, rows[i].before_ms, &seq, NULL), RAG_OK);
        if (seq != rows[i].want)
            fail_msg("%s: %llu instead of %llu", rows[i].name, (unsigned long long)seq,
                     (unsigned long long)rows[i].want);
        audit_close(audit);
        remove_tree(dir);
    }
}

static void what_was_cut_is_not_old_again(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit *audit;
    uint64_t seq = 0;
    char dir[64];

    (void)state;
    make_dir(dir);
    audit = open_audit(dir);
    append_rows(audit, 4);
    assert_int_equal(audit_cut(audit, 4, "uid:0", "test", &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "is the last one"));
    assert_int_equal(audit_cut(audit, 3, "uid:0", "test", NULL), RAG_OK);
    assert_int_equal(audit_first_seq(audit), 4);
    assert_int_equal(audit_seq_before(audit, INT64_MAX, &seq, NULL), RAG_OK);
    assert_int_equal(seq, 4); /* row 5 is the cut's own */
    assert_int_equal(audit_seq_before(audit, 1, &seq, NULL), RAG_OK);
    assert_int_equal(seq, 0);
    audit_close(audit);
    remove_tree(dir);
}

/* ---- what somebody did to a cut log ---- */

static void replace_key(const char *dir)
{
    char command[512];

    /* a forger with the whole folder: a key of his own signs his cut */
    snprintf(command, sizeof command, "cd %s && rm audit.key audit.pub", dir);
    assert_int_equal(system(command), 0);
}

static const struct {
    const char *name;
    const char *sql;
    bool new_key;          /* he cuts again, with a key of his own */
    const char *want;      /* by audit.pub; "": whole */
    const char *want_copy; /* by the copy of audit.pub that was kept */
} forgeries[] = {
    {"an honest cut",                        "SELECT 1",                                     false, "",                      ""                                                          },
    {"a checkpoint with another time",       "UPDATE checkpoint SET time_ms=time_ms+1",      false,
     "the checkpoint behind row 4 is not signed by the key of audit.pub",                                                    "the checkpoint behind row 4 is not signed by the key given"},
    {"a checkpoint of another row",
     "UPDATE checkpoint SET seq=6, hash=(SELECT hash FROM audit WHERE seq=6)",               false,
     "the checkpoint behind row 6 is not signed",                                                                            "the checkpoint behind row 6 is not signed"                 },
    {"a signature of another",               "UPDATE checkpoint SET signature=zeroblob(64)", false,
     "the checkpoint behind row 4 is not signed",                                                                            "the checkpoint behind row 4 is not signed"                 },
    {"the checkpoint is gone",               "DELETE FROM checkpoint",                       false, "rows 1..4 are missing",
     "rows 1..4 are missing"                                                                                                                                                             },
    {"the first row behind the cut is gone", "DELETE FROM audit WHERE seq=5",                false,
     "row 5 is missing",                                                                                                     "row 5 is missing"                                          },
    {"a cut with a key of the forger's",     "SELECT 1",                                     true,  "",
     "the checkpoint behind row 6 is not signed by the key given"                                                                                                                        },
};

static void a_forged_cut_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forgeries); i++) {
        uint8_t key[AUDIT_PUBLIC_BYTES];
        struct audit_report report;
        struct audit *audit;
        char dir[64];

        make_dir(dir);
        audit = open_audit(dir);
        append_rows(audit, 10);
        assert_int_equal(audit_cut(audit, 4, "uid:0", "test", NULL), RAG_OK);
        read_public(dir, key);
        for (int k = 0; k < 3000 && query_number(dir, "audit.db",
                                                 "SELECT count(*) FROM audit WHERE seq<=4") > 0;
             k++)
            usleep(10000);
        audit_close(audit);
        run_sql(dir, "audit.db", forgeries[i].sql);
        if (forgeries[i].new_key)
            replace_key(dir);
        audit = open_audit(dir);
        if (forgeries[i].new_key)
            assert_int_equal(audit_cut(audit, 6, "uid:0", "mine", NULL), RAG_OK);
        for (int with_copy = 0; with_copy < 2; with_copy++) {
            const char *want = with_copy ? forgeries[i].want_copy : forgeries[i].want;

            report = verify(audit, NULL, with_copy ? key : NULL);
            if (strncmp(report.problem, want, strlen(want)) != 0 || report.whole != (*want == '\0'))
                fail_msg("%s: \"%s\" instead of \"%s\"", forgeries[i].name, report.problem, want);
        }
        audit_close(audit);
        remove_tree(dir);
    }
}

static void heads_hold_across_a_cut(void **state)
{
    struct audit_head early, late;
    struct audit_report report;
    struct audit *audit;
    char dir[64];

    (void)state;
    make_dir(dir);
    audit = open_audit(dir);
    append_rows(audit, 3);
    audit_head(audit, &early);
    append_rows(audit, 7);
    audit_head(audit, &late);
    assert_int_equal(audit_cut(audit, 6, "uid:0", "test", NULL), RAG_OK);
    report = verify(audit, &late, NULL);
    assert_true(report.whole && !report.head_was_cut && report.checkpoint_good);
    assert_int_equal(report.checkpoint.seq, 6);
    report = verify(audit, &early, NULL); /* a cut row can be compared with nothing */
    assert_true(report.whole && report.head_was_cut);
    audit_close(audit);
    run_sql(dir, "audit.db", "DELETE FROM audit WHERE seq>8");
    audit = open_audit(dir);
    report = verify(audit, &late, NULL);
    assert_non_null(strstr(report.problem, "rows 9..10 were dropped"));
    report = verify(audit, NULL, NULL); /* audit.head knew */
    assert_non_null(strstr(report.problem, "the log ends at row 8, audit.head.lost at 11"));
    audit_close(audit);
    remove_tree(dir);
}

static void a_row_is_found_by_its_request(void **state)
{
    static const char id[] = "0123456789abcdef0123456789abcdef";
    struct rag_error error = {RAG_OK, ""};
    struct audit_entry entry;
    struct audit *audit;
    struct arena arena;
    char payload[128];
    uint64_t seq;
    char dir[64];

    (void)state;
    make_dir(dir);
    arena_init(&arena, 1u << 20);
    audit = open_audit(dir);
    append_rows(audit, 3);
    snprintf(payload, sizeof payload, "{\"request_id\":\"%s\",\"question\":\"q\"}", id);
    for (int i = 0; i < 2; i++)
        assert_int_equal(audit_append(audit, "ask", "uid:1", payload, 0, &seq, NULL), RAG_OK);
    assert_int_equal(audit_get_request(audit, id, &arena, &entry, NULL), RAG_OK);
    assert_int_equal(entry.seq, 4);
    assert_int_equal(audit_erase(audit, 4, "uid:0", "test", NULL), RAG_OK);
    assert_int_equal(audit_get_request(audit, id, &arena, &entry, NULL), RAG_OK);
    assert_int_equal(entry.seq, 5);
    assert_int_equal(audit_cut(audit, 5, "uid:0", "test", NULL), RAG_OK);
    assert_int_equal(audit_get_request(audit, id, &arena, &entry, &error), RAG_ENOTFOUND);
    audit_close(audit);
    arena_release(&arena);
    remove_tree(dir);
}

/* ---- kill -9 ---- */

static void run_child(const char *dir, int out)
{
    struct audit_item items[AUDIT_CUT_SLICE_ROWS];
    struct audit_head head;
    struct audit *audit = NULL;

    if (audit_open(dir, &audit, NULL) != RAG_OK)
        _exit(3);
    for (;;) {
        uint64_t change = audit_last_change(audit);

        for (size_t i = 0; i < COUNT(items); i++)
            items[i] = (struct audit_item){.kind = "document.put",
                                           .principal = "uid:1",
                                           .payload = "{}",
                                           .change = change + i + 1};
        if (audit_append_all(audit, items, COUNT(items), NULL) != RAG_OK)
            _exit(4);
        audit_head(audit, &head);
        head.n -= 1 + head.n % 300;
        if (audit_cut(audit, head.n, "ragd", "keep_days 1", NULL) != RAG_OK)
            _exit(5);
        if (write(out, &head.n, sizeof head.n) != (ssize_t)sizeof head.n)
            _exit(6);
    }
}

/* Runs a child until it has acknowledged n_at_least cuts and for a while after that. The last cut
 * that was acknowledged, or 0. */
static uint64_t run_and_kill(const char *dir, unsigned n_at_least, unsigned ms)
{
    uint64_t cut = 0;
    uint64_t got;
    int pipes[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipes[0]);
        run_child(dir, pipes[1]);
    }
    close(pipes[1]);
    for (unsigned n = 0; n < n_at_least && read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got;
         n++)
        cut = got;
    usleep(ms * 1000);
    kill(pid, SIGKILL);
    while (read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got)
        cut = got;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return cut;
}

static void a_kill_in_the_middle_of_a_cut_leaves_a_whole_log(void **state)
{
    uint64_t random = (uint64_t)getpid();
    struct audit_head head = {0};
    uint64_t last_cut = 0;
    char dir[64];

    (void)state;
    make_dir(dir);
    for (int round = 0; round < N_KILLS; round++) {
        /* the odd ones are killed whatever they are at, be it the recovery at their start */
        uint64_t cut =
            run_and_kill(dir, round % 2 ? 0 : 1, 5 + (unsigned)(splitmix_next(&random) % 150));
        struct audit *audit = open_audit(dir);
        struct audit_report report = verify(audit, &head, NULL);

        if (!report.whole)
            fail_msg("round %d: %s", round, report.problem);
        assert_true(report.checkpoint.seq == 0 || report.checkpoint_good);
        assert_true(report.first_seq > cut && report.first_seq > last_cut);
        assert_true(audit_changes_recorded(audit) == audit_last_change(audit));
        last_cut = report.first_seq - 1;
        audit_head(audit, &head);
        for (int k = 0; k < 3000; k++) { /* what a kill left undone is done by the next start */
            if (query_number(dir, "audit.db",
                             "SELECT count(*) FROM audit WHERE seq<="
                             "(SELECT seq FROM checkpoint)") == 0)
                break;
            usleep(10000);
        }
        assert_int_equal(query_number(dir, "audit.db",
                                      "SELECT count(*) FROM audit WHERE seq<="
                                      "(SELECT seq FROM checkpoint)"),
                         0);
        audit_close(audit);
    }
    assert_true(last_cut > 0);
    remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_old_ends_before_the_first_row_that_stays),
        cmocka_unit_test(what_was_cut_is_not_old_again),
        cmocka_unit_test(a_forged_cut_is_found),
        cmocka_unit_test(heads_hold_across_a_cut),
        cmocka_unit_test(a_row_is_found_by_its_request),
        cmocka_unit_test(a_kill_in_the_middle_of_a_cut_leaves_a_whole_log),
    };

    return cmocka_run_group_tests_name("audit retention", tests, NULL, NULL);
}
