#define _GNU_SOURCE
#include "daemon/ragctl/interrupt.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"

/* Set by the handler; the only thing that it touches. */
static volatile sig_atomic_t caught_signal;

/* Of the command that runs, set once. */
static const char *interrupted;
static int64_t limit_of_ms;
static int64_t deadline_ns;

static void on_signal(int number)
{
    caught_signal = number;
}

void interrupt_install(const char *what, int64_t limit_ms)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    interrupted = what;
    limit_of_ms = limit_ms;
    deadline_ns = limit_ms > 0 ? clock_monotonic_ns() + limit_ms * 1000000 : 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

enum rag_status interrupt_check(struct rag_error *reterr)
{
    if (caught_signal != 0)
        return rag_fail(reterr, RAG_ECANCELLED, "%s: stopped by signal %d", interrupted,
                        (int)caught_signal);
    if (deadline_ns != 0 && clock_monotonic_ns() > deadline_ns)
        return rag_fail(reterr, RAG_ETIMEOUT,
                        "%s: the %" PRId64 " minutes that it may take are over", interrupted,
                        limit_of_ms / 60000);
    return RAG_OK;
}
