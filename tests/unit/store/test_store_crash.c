/* Goal: what was acknowledged before kill -9 is there afterwards, and nothing is there in half.
 * Method: a child puts, updates and deletes documents and tells each acknowledged step through a
 * pipe; it is killed at a random moment, the state is opened again and compared. At most the one
 * step in progress may be there without having been told. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/bounds.h"
#include "store/audit.h"

#define N_ROUNDS 20
#define N_NAMES  6

/* A step is decided by its number alone: the parent knows what the child does. */
struct step {
    char name[2];
    unsigned content; /* 0: a delete; else the seed of its text */
};

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

static struct step step_of(uint32_t i)
{
    uint32_t h = mix(i + 1);

    return (struct step){
        {(char)('a' + h % N_NAMES), '\0'},
        h % 5 == 0 ? 0 : i + 1
    };
}

/* Now and then a document of more than one slice. */
static char *text_of(unsigned content)
{
    uint32_t h = mix(content * 7919u);
    size_t n = h % 16 == 0 ? STAGE_SLICE_CHUNKS * 2 + h % 100 : h % 40;
    char *text = malloc(n + 1);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('!' + mix(content + (uint32_t)i) % 90);
    text[n] = '\0';
    return text;
}

static void run_child(const char *dir, int64_t collection, uint32_t first, int out)
{
    struct store *store = open_store(dir);
    struct audit *audit = NULL;

    if (audit_open(dir, &audit, NULL) != RAG_OK)
        _exit(3);
    for (uint32_t i = first;; i++) {
        struct step step = step_of(i);
        struct store_put_result result = {0};
        enum rag_status status;
        uint64_t seq;

        if (step.content == 0) {
            uint64_t version;

            status = store_document_delete(store, collection, step.name, "uid:1", &result.change,
                                           &version, NULL);
        } else {
            char *text = text_of(step.content);

            status = put_text(store, collection, step.name, text, NULL, NULL, &result, NULL);
            free(text);
        }
        if (status == RAG_OK)
            status = audit_append(audit, "change", "uid:1", "{}", result.change, &seq, NULL);
        if (status != RAG_OK && status != RAG_ENOTFOUND)
            _exit(4);
        if (write(out, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(5);
    }
}

/* Run a child until it has acknowledged n_at_least steps and for a while after that; returns the
 * step after the last one that it acknowledged. */
static uint32_t run_and_kill(const char *dir, int64_t collection, uint32_t first,
                             unsigned n_at_least, unsigned ms)
{
    uint32_t next = first;
    uint32_t got;
    int pipes[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipes[0]);
        run_child(dir, collection, first, pipes[1]);
    }
    close(pipes[1]);
    while (next - first < n_at_least && read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got) {
        assert_int_equal(got, next);
        next = got + 1;
    }
    usleep(ms * 1000);
    kill(pid, SIGKILL);
    while (read(pipes[0], &got, sizeof got) == (ssize_t)sizeof got) {
        assert_int_equal(got, next);
        next = got + 1;
    }
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return next;
}

/* The texts that steps 0..n-1 leave; NULL: no document. */
static void model(uint32_t n, char *texts[N_NAMES])
{
    memset(texts, 0, N_NAMES * sizeof *texts);
    for (uint32_t i = 0; i < n; i++) {
        struct step step = step_of(i);
        char **text = &texts[step.name[0] - 'a'];

        free(*text);
        *text = step.content == 0 ? NULL : text_of(step.content);
    }
}

static bool store_equals(struct fixture *f, uint32_t n)
{
    char *want[N_NAMES];
    bool equal = true;

    model(n, want);
    for (size_t i = 0; i < N_NAMES; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        enum rag_status status;
        char *text = NULL;
        size_t n_bytes = 0;

        status = store_document_text(f->store, f->collection, name, &text, &n_bytes, NULL);
        equal = equal && (want[i] ? status == RAG_OK && strcmp(text, want[i]) == 0
                                  : status == RAG_ENOTFOUND);
        free(text);
        free(want[i]);
    }
    return equal;
}

static const struct {
    const char *what; /* must be 0 */
    const char *sql;
} invariants[] = {
    {"documents whose version is not published",
     "SELECT count(*) FROM documents d LEFT JOIN versions v ON v.id=d.version_id"
     " WHERE v.state IS NOT 1"                                                              },
    {"published versions that nobody shows",
     "SELECT count(*) FROM versions WHERE state=1 AND id NOT IN"
     " (SELECT version_id FROM documents)"                                                  },
    {"versions with chunks missing",
     "SELECT count(*) FROM versions v WHERE state=1 AND n_chunks<>"
     " (SELECT count(*) FROM version_chunks o WHERE o.version_id=v.id)"                     },
    {"chunks without an owner",
     "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM version_chunks)"    },
    {"owners without a chunk",
     "SELECT count(*) FROM version_chunks WHERE chunk_id NOT IN (SELECT id FROM chunks)"    },
    {"owners without a version",
     "SELECT count(*) FROM version_chunks WHERE version_id NOT IN (SELECT id FROM versions)"},
    {"texts without a version",
     "SELECT count(*) FROM texts WHERE version_id NOT IN (SELECT id FROM versions)"         },
    {"metadata without a version",
     "SELECT count(*) FROM metadata WHERE version_id NOT IN (SELECT id FROM versions)"      },
};

static void acknowledged_changes_survive_kill(void **state)
{
    struct fixture *f = *state;
    unsigned seed = (unsigned)getpid();
    uint32_t next = 0;

    for (int round = 0; round < N_ROUNDS; round++) {
        struct audit_report report;
        struct audit *audit = NULL;
        uint64_t last;

        store_close(f->store);
        f->store = NULL;
        /* the odd ones are killed whatever they are at, be it the recovery at their start */
        next = run_and_kill(f->dir, f->collection, next, round % 2 ? 0 : 3,
                            15 + mix(seed + (unsigned)round) % 60);
        f->store = open_store(f->dir);
        if (!store_equals(f, next)) {
            next++; /* the step in progress had been committed */
            if (!store_equals(f, next))
                fail_msg("round %d (seed %u): the state is neither after %u nor after %u steps",
                         round, seed, next - 1, next);
        }
        wait_reclaimed(f->dir);
        for (size_t i = 0; i < COUNT(invariants); i++)
            if (query_number(f->dir, "ragd.db", invariants[i].sql) != 0)
                fail_msg("round %d (seed %u): %s", round, seed, invariants[i].what);
        assert_int_equal(audit_open(f->dir, &audit, NULL), RAG_OK);
        assert_int_equal(audit_verify(audit, NULL, NULL, &report, NULL), RAG_OK);
        if (!report.whole)
            fail_msg("round %d (seed %u): %s", round, seed, report.problem);
        last = store_last_change(f->store);
        /* of the last change the row may be missing, of no other */
        assert_true(audit_last_change(audit) + 1 >= last && audit_last_change(audit) <= last);
        if (audit_last_change(audit) < last) {
            uint64_t seq;

            assert_int_equal(audit_append(audit, "change", "uid:1", "{}", last, &seq, NULL),
                             RAG_OK);
        }
        audit_close(audit);
    }
    assert_true(next > N_ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_changes_survive_kill, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests_name("store after kill -9", tests, NULL, NULL);
}
