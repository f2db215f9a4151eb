/* daemon/ragctl/ragctl.c - the person's tool: options that every command knows, then dispatch. */
#include "daemon/ragctl/ragctl.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/http_client.h"
#include "daemon/ragctl/ragctl_args.h"

#define COMMANDS_MAX 32

static const char shared_help[] =
    "Options of every command, before or after it:\n"
    "  -s, --socket PATH   of the daemon ($RAGD_SOCKET, else " RAGCTL_SOCKET_DEFAULT ")\n"
    "      --url URL       http://127.0.0.1:PORT instead; its token is in $RAGD_TOKEN\n"
    "  -c, --collection C  the collection\n"
    "      --json          print one JSON object\n"
    "  -q, --quiet         no progress bar, no notes\n"
    "      --timeout S     seconds for one request\n"
    "  -h, --help          explain a command\n";

static void print_overview(FILE *out)
{
    fputs("usage: ragctl COMMAND [options] ...\n\n"
          "ragctl talks to ragd, which answers questions from your documents.\n\n",
          out);
    for (const struct ragctl_command *c = ragctl_command_table(); c->name; c++)
        fprintf(out, "  %-11s %s\n", c->name, c->summary);
    fprintf(out, "\n%s\nragctl COMMAND --help explains one; see also ragctl(1).\n", shared_help);
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS_MAX];
    struct rag_error error;
    const char *nearest;
    size_t n = 0;

    for (const struct ragctl_command *c = ragctl_command_table(); c->name && n < COMMANDS_MAX; c++)
        names[n++] = c->name;
    nearest = ragctl_args_nearest(name, names, n);
    if (nearest)
        rag_fail(&error, RAG_EINVAL, "command '%s': unknown; did you mean '%s'?", name, nearest);
    else
        rag_fail(&error, RAG_EINVAL, "command '%s': unknown", name);
    return ragctl_usage(name, &error);
}

/* What was printed may still not have been written: a full disk, a pipe without reader. */
static int close_output(int exit_status)
{
    bool failed = ferror(stdout) != 0;

    if (fclose(stdout) != 0 || failed) {
        if (errno != EPIPE)
            fprintf(stderr, "ragctl: standard output: cannot be written: %s\n", strerror(errno));
        return exit_status == RAGCTL_OK ? RAGCTL_FAILED : exit_status;
    }
    return exit_status;
}

int main(int argc, char **argv)
{
    struct ragctl_options options;
    const struct ragctl_command *command;
    struct rag_error error = {0};
    bool help = false;

    /* A reader that goes away ("| head") is an error of the last write, not the end by a
     * signal in the middle of an ingest. */
    signal(SIGPIPE, SIG_IGN);
    if (ragctl_options_take(&argc, argv, &options, &help, &error) != RAG_OK)
        return ragctl_usage("", &error);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        argv[1] = (char *)(uintptr_t) "version";
    if (argc < 2 || strcmp(argv[1], "help") == 0) {
        command = argc > 2 ? ragctl_command_find(argv[2]) : NULL;
        if (argc > 2 && !command)
            return unknown_command(argv[2]);
        help = help || argc > 1;
    } else {
        command = ragctl_command_find(argv[1]);
        if (!command)
            return unknown_command(argv[1]);
    }
    if (!command) {
        print_overview(help ? stdout : stderr);
        return help ? RAGCTL_OK : RAGCTL_USAGE;
    }
    if (help) {
        printf("usage: ragctl %s\n\n%s\n%s", command->usage, command->help, shared_help);
        return RAGCTL_OK;
    }
    if (command->needs_collection && !options.collection) {
        rag_fail(&error, RAG_EINVAL, "%s: needs --collection", command->name);
        return ragctl_usage(command->name, &error);
    }
    if (http_client_global() != RAG_OK) {
        rag_fail(&error, RAG_ENOMEM, "ragctl: out of memory");
        return ragctl_fail(&options, &error);
    }
    return close_output(command->run(&options, argc - 1, argv + 1));
}
