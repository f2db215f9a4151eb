#define _GNU_SOURCE
#include "daemon/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "nn/kernels.h"

#define MARK "RAGD_REEXECUTED"

static bool is_set(const char *value)
{
    return value && *value;
}

static bool is_one(const char *value)
{
    return value && strcmp(value, "1") == 0;
}

struct reexec_plan reexec_decide(const struct reexec_facts *facts)
{
    struct reexec_plan plan = {0};

    if (facts->better && !is_set(facts->coretype) && !facts->done)
        plan.coretype = facts->better;
    else if (facts->better && is_set(facts->coretype) &&
             strcmp(facts->coretype, facts->better) != 0)
        plan.slow = "OPENBLAS_CORETYPE asks for it";
    else if (facts->better)
        plan.slow = "this OpenBLAS has no other";
    plan.reexecute = !facts->done &&
                     (plan.coretype || !is_one(facts->blas_threads) || !is_one(facts->omp_threads));
    return plan;
}

/* The words of /proc/self/cmdline, NUL-separated: main()'s argv may have been reordered since. The
 * pointers go into 'text'. */
static char **words_of(struct buf *text)
{
    size_t n = 0;
    char **words;
    char *at = text->data;
    char *end = at + text->len;

    for (size_t i = 0; i < text->len; i++)
        n += text->data[i] == '\0';
    words = calloc(n + 1, sizeof *words);
    for (size_t i = 0; words && i < n && at < end; i++) {
        words[i] = at;
        at += strlen(at) + 1;
    }
    return words;
}

static enum rag_status read_arguments(struct buf *text, struct rag_error *reterr)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    char piece[4096];
    ssize_t got = 0;

    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "/proc/self/cmdline");
    while ((got = read(fd, piece, sizeof piece)) > 0)
        buf_append(text, piece, (size_t)got);
    close(fd);
    if (got != 0 || text->failed || text->len == 0 || text->data[text->len - 1] != '\0')
        return rag_fail(reterr, RAG_EIO, "/proc/self/cmdline: cannot be read whole");
    return RAG_OK;
}

/* By its own name, so that ps shows that; by the link when the file has been replaced meanwhile. */
static void execute(char **words)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n > 0 && (size_t)n < sizeof path - 1) {
        path[n] = '\0';
        if (access(path, X_OK) == 0)
            execv(path, words);
    }
    execv("/proc/self/exe", words);
}

/* Returns only when it failed. */
static enum rag_status execute_again(const char *coretype, struct rag_error *reterr)
{
    struct buf text;
    char **words = NULL;
    enum rag_status status;

    buf_init(&text, ARGUMENTS_BYTES_MAX);
    status = read_arguments(&text, reterr);
    if (status == RAG_OK)
        words = words_of(&text);
    if (status == RAG_OK && !words)
        status = rag_fail(reterr, RAG_EIO, "no memory for the arguments");
    if (status == RAG_OK) {
        if (setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0 && setenv("OMP_NUM_THREADS", "1", 1) == 0 &&
            (!coretype || setenv("OPENBLAS_CORETYPE", coretype, 1) == 0) &&
            setenv(MARK, "1", 1) == 0)
            execute(words);
        status = rag_fail_errno(reterr, RAG_EIO, errno, "/proc/self/exe");
        unsetenv(MARK);
    }
    free(words);
    buf_release(&text);
    return status;
}

enum rag_status reexec_for_compute(struct rag_error *reterr)
{
    const char *better = NULL;
    struct reexec_facts facts = {.core = kernels_blas_core(&better),
                                 .coretype = getenv("OPENBLAS_CORETYPE"),
                                 .blas_threads = getenv("OPENBLAS_NUM_THREADS"),
                                 .omp_threads = getenv("OMP_NUM_THREADS"),
                                 .done = getenv(MARK) != NULL};
    struct reexec_plan plan;
    struct rag_error why = {RAG_OK, ""};

    facts.better = better;
    plan = reexec_decide(&facts);
    unsetenv(MARK); /* programs that this one starts decide for themselves */
    if (plan.reexecute && execute_again(plan.coretype, &why) != RAG_OK)
        return rag_fail(reterr, RAG_EIO,
                        "%s; OpenBLAS goes on as '%s'; start with OPENBLAS_NUM_THREADS=1 "
                        "OMP_NUM_THREADS=1%s%s for full speed",
                        why.text, facts.core, better ? " OPENBLAS_CORETYPE=" : "",
                        better ? better : "");
    if (plan.slow)
        return rag_fail(reterr, RAG_EIO,
                        "OpenBLAS computes for '%s', not for this CPU ('%s'): %s; fp32 models run "
                        "up to three times slower, int8 models do not",
                        facts.core, better, plan.slow);
    return RAG_OK;
}
