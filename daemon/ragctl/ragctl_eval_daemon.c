#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ragctl/ragctl_eval.h"
#include "daemon/ragctl/ragctl_model.h"

#define START_MS       30000 /* an empty state opens in milliseconds; a cold disk takes longer */
#define STOP_MS        20000 /* it drains and saves its indexes */
#define POLL_MS        20
#define PROBE_MS       2000 /* one question whether it is ready */
#define LOG_TAIL_BYTES 4096
#define EXIT_NOT_RUN   127 /* of the child, as shells do it */
#define FOLDER_MAX     90  /* sun_path holds 108 bytes, the socket's name included */

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* ragd beside this program, or just "ragd" for execvp() to look for. */
static void find_program(char ret[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - sizeof "ragd");
    char *slash;

    if (n > 0) {
        ret[n] = '\0';
        slash = strrchr(ret, '/');
        if (slash) {
            memcpy(slash + 1, "ragd", sizeof "ragd");
            if (access(ret, X_OK) == 0)
                return;
        }
    }
    memcpy(ret, "ragd", sizeof "ragd");
}

static enum rag_status make_folder(struct eval_daemon *d, struct rag_error *reterr)
{
    const char *parent = getenv("TMPDIR");

    if (!parent || parent[0] != '/' || strlen(parent) + sizeof "/ragctl-eval-XXXXXX" > FOLDER_MAX)
        parent = "/tmp";
    snprintf(d->folder, sizeof d->folder, "%s/ragctl-eval-XXXXXX", parent);
    if (!mkdtemp(d->folder)) {
        int errnum = errno;

        d->folder[0] = '\0';
        return rag_fail_errno(reterr, RAG_EIO, errnum, "folder '%s': cannot make a temporary one",
                              parent);
    }
    snprintf(d->socket, sizeof d->socket, "%s/s", d->folder);
    return RAG_OK;
}

/* In the child: never returns. Only async-signal-safe calls, and the texts are ready. */
static void run_child(const char *program, char *const argv[], const char *log, pid_t parent)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    setsid(); /* Ctrl-C is for us, who then stop it in order */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || null < 0 || out < 0)
        _exit(EXIT_NOT_RUN);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(program, argv);
    _exit(EXIT_NOT_RUN);
}

/* The last line of the log that says something, for a message. */
static void log_tail(const struct eval_daemon *d, char ret[256])
{
    char tail[LOG_TAIL_BYTES + 1];
    char path[192];
    char *line;
    size_t n;
    FILE *f;

    ret[0] = '\0';
    snprintf(path, sizeof path, "%s/log", d->folder);
    f = fopen(path, "rbe");
    if (!f)
        return;
    if (fseek(f, -LOG_TAIL_BYTES, SEEK_END) != 0)
        rewind(f);
    n = fread(tail, 1, LOG_TAIL_BYTES, f);
    fclose(f);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r'))
        n--;
    tail[n] = '\0';
    line = strrchr(tail, '\n');
    snprintf(ret, 256, "%.255s", line ? line + 1 : tail);
}

static enum rag_status not_started(const struct eval_daemon *d, const char *program,
                                   const char *why, struct rag_error *reterr)
{
    char tail[256];

    log_tail(d, tail);
    return rag_fail(reterr, RAG_EIO, "private ragd '%s': %s%s%s", program, why,
                    tail[0] != '\0' ? "; it said: " : "", tail);
}

static enum rag_status wait_ready(struct eval_daemon *d, const struct ragctl_options *options,
                                  const char *program, struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    struct ragctl_client client = {0};
    enum rag_status status = ragctl_client_open(options, &client, reterr);

    client.busy_wait_ms = 0;
    while (status == RAG_OK) {
        struct http_call probe = {.method = "GET", .path = "/readyz", .timeout_ms = PROBE_MS};
        int how = 0;

        if (ragctl_client_do(&client, &probe, NULL) == RAG_OK)
            break;
        if (waitpid(d->pid, &how, WNOHANG) == d->pid) {
            d->pid = 0;
            status = not_started(d, program,
                                 WIFEXITED(how) && WEXITSTATUS(how) == EXIT_NOT_RUN
                                     ? "cannot be run; is it beside ragctl or in $PATH?"
                                     : "ended before it was ready",
                                 reterr);
        } else if (clock_elapsed_ms(since_ns) > START_MS) {
            status = not_started(d, program, "not ready within 30 s", reterr);
        } else {
            status = interrupt_check(reterr);
        }
        sleep_ms(POLL_MS);
    }
    ragctl_client_close(&client);
    return status;
}

/* The private ragd runs elsewhere: a whole path, or "" for none. */
static enum rag_status real_model(const char *word, enum model_role role, const char *option,
                                  char **ret, struct rag_error *reterr)
{
    char *path = NULL;
    char *real;
    enum rag_status status = ragctl_model_path(word, role, &path, reterr);

    if (status != RAG_OK || !*path) {
        *ret = path;
        return status;
    }
    real = realpath(path, NULL);
    if (!real)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "option '--%s': '%s'", option, path);
    free(path);
    *ret = real;
    return status;
}

/* The models that the evaluation names, as a configuration file. */
static enum rag_status write_config(const char *path, const struct eval_options *eval,
                                    struct rag_error *reterr)
{
    const struct {
        const char *key;
        const char *word;
        enum model_role role;
    } models[] = {
        {"embedder", eval->embedder, MODEL_EMBEDDER},
        {"reranker", eval->reranker, MODEL_RERANKER},
    };
    enum rag_status status = RAG_OK;
    FILE *f = fopen(path, "wbe");
    bool written;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be written", path);
    fputs("[models]\n", f);
    for (size_t i = 0; i < sizeof models / sizeof models[0] && status == RAG_OK; i++) {
        char *real = NULL;

        if (!models[i].word)
            continue;
        status = real_model(models[i].word, models[i].role, models[i].key, &real, reterr);
        if (status == RAG_OK)
            fprintf(f, "%s = %s\n", models[i].key, *real ? real : MODEL_NAME_NONE);
        free(real);
    }
    written = !ferror(f);
    if ((fclose(f) != 0 || !written) && status == RAG_OK)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be written", path);
    return status;
}

enum rag_status eval_daemon_start(struct eval_daemon *d, const struct ragctl_options *options,
                                  const struct eval_options *eval, struct rag_error *reterr)
{
    struct ragctl_options private_options = *options;
    char program[PATH_MAX];
    char state[160];
    char log[160];
    char name[] = "ragd";
    char state_option[] = "--state";
    char socket_option[] = "--socket";
    char config_option[] = "-f";
    char config[PATH_MAX];
    char *argv[] = {name, state_option, state, socket_option, d->socket, NULL, NULL, NULL};
    pid_t parent = getpid();
    enum rag_status status;

    memset(d, 0, sizeof *d);
    find_program(program);
    status = make_folder(d, reterr);
    if (status != RAG_OK)
        return status;
    snprintf(state, sizeof state, "%s/state", d->folder);
    snprintf(log, sizeof log, "%s/log", d->folder);
    if (eval->config) {
        snprintf(config, sizeof config, "%s", eval->config);
        argv[5] = config_option;
        argv[6] = config;
    } else if (eval->embedder || eval->reranker) {
        snprintf(config, sizeof config, "%s/ragd.conf", d->folder);
        argv[5] = config_option;
        argv[6] = config;
        status = write_config(config, eval, reterr);
        if (status != RAG_OK)
            return status;
    }
    fflush(NULL);
    d->pid = fork();
    if (d->pid < 0) {
        d->pid = 0;
        return rag_fail_errno(reterr, RAG_EIO, errno, "private ragd: cannot start a process");
    }
    if (d->pid == 0)
        run_child(program, argv, log, parent);
    private_options.socket_path = d->socket;
    private_options.url = NULL;
    return wait_ready(d, &private_options, program, reterr);
}

enum rag_status eval_daemon_explain(struct eval_daemon *d, enum rag_status status,
                                    struct rag_error *reterr)
{
    char tail[256];
    int how = 0;

    if (status == RAG_OK || d->pid == 0)
        return status;
    /* a connection breaks a moment before its process can be waited for */
    sleep_ms(POLL_MS);
    if (waitpid(d->pid, &how, WNOHANG) != d->pid)
        return status;
    d->pid = 0;
    log_tail(d, tail);
    return rag_fail(reterr, RAG_EIO, "private ragd: ended by %s %d during the evaluation%s%s",
                    WIFSIGNALED(how) ? "signal" : "exit status",
                    WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how),
                    tail[0] != '\0' ? "; its log ends: " : "", tail);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void eval_daemon_stop(struct eval_daemon *d)
{
    int64_t since_ns = clock_monotonic_ns();

    if (d->pid > 0) {
        kill(d->pid, SIGTERM);
        while (waitpid(d->pid, NULL, WNOHANG) == 0) {
            if (clock_elapsed_ms(since_ns) > STOP_MS) {
                kill(d->pid, SIGKILL);
                waitpid(d->pid, NULL, 0);
                break;
            }
            sleep_ms(POLL_MS);
        }
        d->pid = 0;
    }
    if (d->folder[0] != '\0')
        nftw(d->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    d->folder[0] = '\0';
}
