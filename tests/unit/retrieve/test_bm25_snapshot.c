/* Goal: a snapshot brings back exactly what was saved; a missing, damaged, cut or foreign
 * one is refused with the right status and without touching the output; saving is atomic.
 * Method: a small index with several segments, removals and owners is saved, then every
 * byte of the file is changed in turn and every prefix of it is loaded. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "retrieve/bm25_index.h"
#include "retrieve/bm25_snapshot.h"

#define BINDING "analyzer 1"

static const struct bm25_options options = {.k1 = BM25_K1_DEFAULT, .b = BM25_B_DEFAULT};

struct folder {
    char path[64];
    char file[96];
};

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->path, "/tmp/test_bm25_snapshot-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->file, sizeof f->file, "%s/index.bm25", f->path);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;

    (void)unlink(f->file);
    assert_int_equal(rmdir(f->path), 0); /* nothing else may have been left there */
    free(f);
    return 0;
}

static void add(struct bm25 *index, uint64_t id, uint32_t n_terms, uint64_t change)
{
    struct bm25_posting postings[40];
    struct bm25_batch *batch;

    for (uint32_t i = 0; i < n_terms; i++)
        postings[i] = (struct bm25_posting){i * 3 + id % 2, 8 * (1 + (uint32_t)id % 3)};
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    assert_int_equal(bm25_batch_add(batch, id, postings, n_terms, n_terms * 8), RAG_OK);
    assert_int_equal(bm25_apply(index, batch, change, NULL), RAG_OK);
    bm25_batch_free(batch);
}

static struct bm25 *make_index(void)
{
    struct bm25 *index;
    struct bm25_batch *batch;

    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    for (uint64_t id = 1; id <= 150; id++) {
        struct bm25_posting postings[] = {
            {5,            8 + (uint32_t)id % 5},
            {100 + id % 7, 16                  }
        };

        assert_int_equal(bm25_batch_add(batch, id, postings, 2, 20 + (uint32_t)id), RAG_OK);
    }
    assert_int_equal(bm25_apply(index, batch, 40, NULL), RAG_OK);
    bm25_batch_free(batch);
    add(index, 500, 6, 41);
    add(index, 400, 9, 42);
    add(index, 500, 6, 43); /* a second owner */
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    assert_int_equal(bm25_batch_remove(batch, 3, NULL, 0), RAG_OK);
    assert_int_equal(bm25_batch_remove(batch, 77, NULL, 0), RAG_OK);
    assert_int_equal(bm25_apply(index, batch, 44, NULL), RAG_OK);
    bm25_batch_free(batch);
    return index;
}

static void check_equal(struct bm25 *a, struct bm25 *b)
{
    struct bm25_query_term terms[] = {
        {5,   1   },
        {101, 0.5f},
        {3,   1   },
        {6,   1   },
        {103, 1   }
    };
    static struct bm25_hit x[400], y[400];
    struct bm25_stats sa, sb;
    size_t n = 0;
    size_t m = 0;

    assert_int_equal(bm25_search(a, terms, 5, NULL, 400, x, &n, NULL), RAG_OK);
    assert_int_equal(bm25_search(b, terms, 5, NULL, 400, y, &m, NULL), RAG_OK);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(x[i].passage_id, y[i].passage_id);
        assert_true(x[i].score == y[i].score);
    }
    bm25_stats(a, &sa);
    bm25_stats(b, &sb);
    assert_int_equal(sa.n_passages, sb.n_passages);
    assert_int_equal(sa.n_tombstones, sb.n_tombstones);
    assert_int_equal(sa.n_postings, sb.n_postings);
    assert_int_equal(sa.n_segments, sb.n_segments);
    assert_int_equal(sa.change, sb.change);
}

static void count_owners(void *context, uint64_t id, uint32_t n_owners)
{
    (void)id;
    *(uint64_t *)context += n_owners;
}

static void brings_back_what_was_saved(void **state)
{
    const struct folder *f = *state;
    struct bm25 *index = make_index();
    struct bm25 *loaded = NULL;
    uint64_t owners = 0;

    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    assert_int_equal(bm25_load(f->file, BINDING, &options, &loaded, NULL), RAG_OK);
    check_equal(index, loaded);
    assert_int_equal(bm25_each(loaded, count_owners, &owners), RAG_OK);
    assert_int_equal(owners, 148 + 1 + 2);
    /* and it goes on living: both take the same change */
    add(index, 3, 4, 50);
    add(loaded, 3, 4, 50);
    assert_int_equal(bm25_compact(index, NULL), RAG_OK);
    assert_int_equal(bm25_compact(loaded, NULL), RAG_OK);
    check_equal(index, loaded);
    bm25_free(loaded);
    bm25_free(index);
}

static uint8_t *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    struct stat sb;
    uint8_t *data;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &sb), 0);
    data = malloc((size_t)sb.st_size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)sb.st_size, f), sb.st_size);
    fclose(f);
    *ret_n = (size_t)sb.st_size;
    return data;
}

static enum rag_status load_bytes(const uint8_t *data, size_t n, bool check_sums, struct bm25 **ret)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    struct rag_error error = {.text = ""};
    enum rag_status status;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    status = bm25_load_fd(fd, "bytes", check_sums, BINDING, &options, ret, &error);
    close(fd);
    assert_true(status == RAG_OK || error.text[0] != '\0');
    return status;
}

static void every_changed_byte_is_noticed(void **state)
{
    const struct folder *f = *state;
    struct bm25 *index = make_index();
    struct bm25 *loaded = NULL;
    size_t n;
    uint8_t *data;

    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    data = read_file(f->file, &n);
    for (size_t i = 0; i < n; i++) {
        /* bytes of padding between binding and records are read but mean nothing */
        bool padding = i >= 64 + sizeof BINDING - 1 && i < 64 + (sizeof BINDING - 1 + 7) / 8 * 8;

        data[i] ^= 0x10;
        if (load_bytes(data, n, true, &loaded) != RAG_EFORMAT && !padding)
            fail_msg("byte %zu of %zu changed and not noticed", i, n);
        data[i] ^= 0x10;
        if (loaded) {
            bm25_free(loaded);
            loaded = NULL;
        }
    }
    free(data);
    bm25_free(index);
}

static void every_prefix_is_refused(void **state)
{
    const struct folder *f = *state;
    struct bm25 *index = make_index();
    struct bm25 *loaded = NULL;
    size_t n;
    uint8_t *data;

    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    data = read_file(f->file, &n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(load_bytes(data, i, false, &loaded), RAG_EFORMAT);
    assert_null(loaded);
    assert_int_equal(load_bytes(data, n, true, &loaded), RAG_OK);
    bm25_free(loaded);
    free(data);
    bm25_free(index);
}

/* With the sums not compared a changed byte may pass only if searches stay in bounds and
 * pruning stays exact: the sanitizers and the comparison see to it. */
static void without_sums_nothing_leaves_its_bounds(void **state)
{
    const struct folder *f = *state;
    struct bm25_query_term terms[] = {
        {5,   1   },
        {101, 0.5f},
        {3,   1   },
        {6,   1   },
        {103, 1   }
    };
    struct bm25_hit x[50], y[50];
    struct bm25 *index = make_index();
    size_t n;
    uint8_t *data;

    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    data = read_file(f->file, &n);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit += 3) {
            struct bm25 *loaded = NULL;
            size_t n_x = 0;
            size_t n_y = 0;

            data[i] ^= (uint8_t)(1 << bit);
            if (load_bytes(data, n, false, &loaded) == RAG_OK) {
                assert_int_equal(bm25_search(loaded, terms, 5, NULL, 50, x, &n_x, NULL), RAG_OK);
                assert_int_equal(bm25_search_exhaustive(loaded, terms, 5, NULL, 50, y, &n_y, NULL),
                                 RAG_OK);
                assert_int_equal(n_x, n_y);
                for (size_t h = 0; h < n_x; h++)
                    assert_int_equal(x[h].passage_id, y[h].passage_id);
                assert_int_equal(bm25_compact(loaded, NULL), RAG_OK);
            }
            bm25_free(loaded);
            data[i] ^= (uint8_t)(1 << bit);
        }
    }
    free(data);
    bm25_free(index);
}

static void names_what_is_wrong(void **state)
{
    const struct folder *f = *state;
    struct bm25 *index = make_index();
    struct bm25 *loaded = NULL;
    struct rag_error error = {.text = ""};

    assert_int_equal(bm25_load(f->file, BINDING, &options, &loaded, &error), RAG_ENOTFOUND);
    assert_non_null(strstr(error.text, f->file));
    assert_int_equal(bm25_load(f->path, BINDING, &options, &loaded, &error), RAG_EFORMAT);
    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    assert_int_equal(bm25_load(f->file, "analyzer 2", &options, &loaded, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "another analyzer"));
    assert_null(loaded);
    bm25_free(index);
}

static void a_failed_save_leaves_the_old_file(void **state)
{
    const struct folder *f = *state;
    struct bm25 *index = make_index();
    struct bm25 *loaded = NULL;
    struct rag_error error = {.text = ""};
    char temporary[128];
    struct rlimit before;

    assert_int_equal(bm25_save(index, f->file, BINDING, NULL), RAG_OK);
    /* the temporary file cannot be made: its name is taken */
    snprintf(temporary, sizeof temporary, "%s.tmp", f->file);
    assert_int_equal(mkdir(temporary, 0700), 0);
    assert_int_equal(bm25_save(index, f->file, BINDING, &error), RAG_EIO);
    assert_non_null(strstr(error.text, temporary));
    assert_int_equal(rmdir(temporary), 0);
    assert_int_equal(bm25_load(f->file, BINDING, &options, &loaded, &error), RAG_OK);
    check_equal(index, loaded);
    bm25_free(loaded);
    loaded = NULL;
    /* and the file cannot grow, as on a full disk */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, before.rlim_max}), 0);
    assert_int_equal(bm25_save(index, f->file, BINDING, &error), RAG_ENOSPC);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(bm25_load(f->file, BINDING, &options, &loaded, &error), RAG_OK);
    bm25_free(loaded);
    assert_int_equal(bm25_save(index, "/nowhere/at/all", BINDING, &error), RAG_EIO);
    bm25_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(brings_back_what_was_saved, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_noticed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_prefix_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(without_sums_nothing_leaves_its_bounds, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(names_what_is_wrong, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_failed_save_leaves_the_old_file, make_folder,
                                        remove_folder),
    };

    return cmocka_run_group_tests_name("bm25_snapshot", tests, NULL, NULL);
}
