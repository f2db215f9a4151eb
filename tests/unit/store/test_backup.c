/* Goal: a backup taken while writes go on comes back whole, and a damaged one is refused with
 * nothing left behind. Method: one damage per row, done to a good backup. */
#include "store_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/audit.h"
#include "store/backup.h"

struct place {
    struct fixture f;
    struct audit *audit;
    char backup[96];
    char restored[96];
};

static void record(struct audit *audit, uint64_t change)
{
    uint64_t seq;

    assert_int_equal(audit_append(audit, "document.put", "uid:1", "{}", change, &seq, NULL),
                     RAG_OK);
}

static void shell(const char *fmt, const char *path)
{
    char command[256];

    snprintf(command, sizeof command, fmt, path);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    make_dir(p->f.dir);
    snprintf(p->backup, sizeof p->backup, "%s/backup", p->f.dir);
    snprintf(p->restored, sizeof p->restored, "%s/restored", p->f.dir);
    p->f.store = open_store(p->f.dir);
    p->f.collection = make_collection(p->f.store, "books");
    assert_int_equal(audit_open(p->f.dir, &p->audit, NULL), RAG_OK);
    put_ok(&p->f, "x", "abc");
    put_ok(&p->f, "y", "cde");
    record(p->audit, 1);
    record(p->audit, 2);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    audit_close(p->audit);
    store_close(p->f.store);
    remove_tree(p->f.dir);
    free(p);
    return 0;
}

static size_t n_files(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void back_up(struct place *p)
{
    struct rag_error error = {RAG_OK, ""};

    if (backup_create(p->f.store, p->audit, p->backup, &error) != RAG_OK)
        fail_msg("backup_create: %s", error.text);
    assert_int_equal(backup_check(p->backup, &error), RAG_OK);
}

static void what_was_backed_up_comes_back(void **state)
{
    struct place *p = *state;
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report;
    struct audit_head head;
    struct audit *audit = NULL;
    struct store *store;
    char *text = NULL;
    struct stat sb;
    size_t n;

    assert_int_equal(audit_cut(p->audit, 1, "uid:0", "test", NULL), RAG_OK);
    back_up(p);
    audit_head(p->audit, &head);
    put_ok(&p->f, "later", "z");
    if (backup_restore(p->backup, p->restored, &error) != RAG_OK)
        fail_msg("backup_restore: %s", error.text);
    store = open_store(p->restored);
    assert_int_equal(store_last_change(store), 2);
    assert_int_equal(store_document_text(store, p->f.collection, "y", &text, &n, NULL), RAG_OK);
    assert_memory_equal(text, "cde", 3);
    free(text);
    assert_int_equal(store_document_text(store, p->f.collection, "later", &text, &n, NULL),
                     RAG_ENOTFOUND);
    assert_int_equal(audit_open(p->restored, &audit, NULL), RAG_OK);
    assert_int_equal(audit_verify(audit, &head, NULL, &report, NULL), RAG_OK);
    assert_true(report.whole);
    assert_int_equal(report.first_seq, 2);
    audit_close(audit);
    store_close(store);
    assert_int_equal(stat(p->backup, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
}

struct damage {
    const char *name;
    const char *command; /* %s: the backup */
    enum rag_status want;
    const char *want_text;
};

static struct damage damages[] = {
    {"a changed byte in ragd.db",
     "printf X | dd of=%s/ragd.db bs=1 seek=5000 conv=notrunc 2>/dev/null",                                    RAG_EFORMAT,
     "ragd.db is damaged"                                                                                                                       },
    {"a changed byte in audit.db",
     "printf X | dd of=%s/audit.db bs=1 seek=100 conv=notrunc 2>/dev/null",                                    RAG_EFORMAT,
     "audit.db is damaged"                                                                                                                      },
    {"a changed head",                  "printf 9 | dd of=%s/audit.head bs=1 seek=0 conv=notrunc 2>/dev/null",
     RAG_EFORMAT,                                                                                                           "audit.head is"     },
    {"a cut database",                  "truncate -s 4096 %s/ragd.db",                                         RAG_EFORMAT, "ragd.db is damaged"},
    {"a missing database",              "rm %s/ragd.db",                                                       RAG_EIO,     "ragd.db"           },
    {"no manifest: it never finished",  "rm %s/manifest.json",                                                 RAG_EIO,     "not a whole backup"},
    {"a manifest that is no JSON",      "echo nonsense > %s/manifest.json",                                    RAG_EFORMAT,
     "manifest.json"                                                                                                                            },
    {"a manifest without files",        "echo '{\"format\":1}' > %s/manifest.json",                            RAG_EFORMAT,
     "missing"                                                                                                                                  },
    {"a manifest of a later format",    "sed -i 's/\"format\":1/\"format\":7/' %s/manifest.json",
     RAG_EFORMAT,                                                                                                           "format 7"          },
    {"a manifest that names a way out", "sed -i 's/ragd.db/..\\/x.db/' %s/manifest.json",
     RAG_EFORMAT,                                                                                                           "no known file"     },
};

static void check_damage(void **state)
{
    const struct damage *row = *state;
    void *place = NULL;
    struct rag_error error = {RAG_OK, ""};
    struct place *p;

    setup(&place);
    p = place;
    back_up(p);
    shell(row->command, p->backup);
    assert_int_equal(backup_check(p->backup, &error), row->want);
    assert_int_equal(backup_restore(p->backup, p->restored, &error), row->want);
    if (!strstr(error.text, row->want_text))
        fail_msg("\"%s\" does not say \"%s\"", error.text, row->want_text);
    assert_int_equal(n_files(p->restored), 0);
    teardown(&place);
}

static void a_place_that_is_taken_is_refused(void **state)
{
    struct place *p = *state;
    struct rag_error error;

    back_up(p);
    assert_int_equal(backup_create(p->f.store, p->audit, p->backup, &error), RAG_EEXIST);
    assert_int_equal(backup_restore(p->backup, p->f.dir, &error), RAG_EEXIST);
    assert_int_equal(backup_check(p->backup, &error), RAG_OK); /* and it is untouched */
}

/* ---- while writes go on ---- */

struct writing {
    struct place *place;
    atomic_bool stop;
};

static void *write_on(void *context)
{
    struct writing *w = context;
    struct store_put_result result = {0};

    for (unsigned i = 0; !atomic_load(&w->stop); i++) {
        char name[16];

        snprintf(name, sizeof name, "n%u", i % 7);
        assert_int_equal(put_text(w->place->f.store, w->place->f.collection, name, "abcxyz", NULL,
                                  NULL, &result, NULL),
                         RAG_OK);
        record(w->place->audit, result.change);
    }
    return NULL;
}

static void a_backup_under_load_is_consistent(void **state)
{
    struct place *p = *state;
    struct writing writing = {p, false};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    for (int i = 0; i < 5; i++) {
        struct audit_report report;
        struct audit *audit = NULL;
        struct store *store;

        usleep(20000);
        back_up(p);
        assert_int_equal(backup_restore(p->backup, p->restored, NULL), RAG_OK);
        store = open_store(p->restored);
        assert_int_equal(audit_open(p->restored, &audit, NULL), RAG_OK);
        assert_int_equal(audit_verify(audit, NULL, NULL, &report, NULL), RAG_OK);
        assert_true(report.whole);
        /* no number is recorded that the store could give a second time */
        assert_true(audit_last_change(audit) <= store_last_change(store));
        audit_close(audit);
        store_close(store);
        assert_int_equal(query_number(p->restored, "ragd.db",
                                      "SELECT count(*) FROM documents d LEFT JOIN versions v"
                                      " ON v.id=d.version_id WHERE v.state IS NOT 1"),
                         0);
        remove_tree(p->backup);
        remove_tree(p->restored);
    }
    atomic_store(&writing.stop, true);
    pthread_join(thread, NULL);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(damages) + 8];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(damages); i++)
        tests[n++] = (struct CMUnitTest){damages[i].name, check_damage, NULL, NULL, &damages[i]};
#define WITH_PLACE(f) tests[n++] = (struct CMUnitTest){#f, f, setup, teardown, NULL}
    WITH_PLACE(what_was_backed_up_comes_back);
    WITH_PLACE(a_place_that_is_taken_is_refused);
    WITH_PLACE(a_backup_under_load_is_consistent);
    return _cmocka_run_group_tests("backup", tests, n, NULL, NULL);
}
